//! A separate project for each test: a small recipe with everything that it refers to, a store, an empty home.
//!
//! Nothing in it needs a network or a compiler: its toolchains request no packages, and only outputs are requested that
//! dbco makes by itself.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod ar;
pub mod host;
pub mod releases;
pub mod seccomp;
pub mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dbco::process::command;

/// The recipe, the content of `small.yaml` from line 1.
pub const RECIPE: &str = "\
recipe: small
epoch: 2021-01-01
toolchains: {build: none, image: none, boot: none}
params:
  host: {default: box, choices: [box, crate]}
kernel:
  component: kernel
  patches: [first.patch]
  config: [tiny]
rootfs:
  layout: split
  overlays: [overlay]
  users:
    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root}
initrd:
  compression: none
  livefs: none
  overlays: [early]
boot:
  cmdline: host=${host}
  entries:
    - {id: live, title: Live, mode: live}
outputs: [initrd, grub-cfg]
tests:
  - {name: first, entry: live, medium: kernel, expect: \"login:\"}
";

/// A lock that matches [`RECIPE`].
pub const LOCK: &str = "\
format: 2
entries:
- request:
    debian:
      archive: {suite: bookworm, components: [main], arch: amd64}
      packages: []
      closure: true
  files: []
";

const COMPONENT: &str = "\
component: kernel
version: '1'
license: MIT
source: {path: ../sources/kernel}
kconfig: {base: tinyconfig}
files: {bzImage: bzImage}
";

const TOOLCHAIN: &str = "\
toolchain: none
debian: bookworm
packages: []
";

/// A folder with a recipe that passes every check and a matching lock.
pub struct Project {
    folder: tempfile::TempDir,
}

/// The result of a run of dbco.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Project {
    pub fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.write("small.yaml", RECIPE);
        project.write("dbco.lock", LOCK);
        project.write("components/kernel.yaml", COMPONENT);
        project.write("toolchains/none.yaml", TOOLCHAIN);
        project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\n");
        project.write("patches/first.patch", "");
        project.write("sources/kernel/Makefile", "");
        project.write("overlay/system/etc/motd", "hello\n");
        for program in ["overlay/system/bin/sh", "early/init"] {
            project.write(program, "program\n");
            fs::set_permissions(project.path(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::create_dir(project.path("home")).unwrap();
        project
    }

    /// An empty folder, and an empty home in it.
    pub fn bare() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(project.path("home")).unwrap();
        project
    }

    /// A project whose recipe has `from` replaced by `to`.
    pub fn with(from: &str, to: &str) -> Self {
        let project = Self::new();
        project.edit("small.yaml", from, to);
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces the only occurrence of `from` in a file.
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {name}");
        self.write(name, text.replacen(from, to, 1));
    }

    /// Runs dbco in the project's folder.
    pub fn dbco(&self, arguments: &[&str]) -> Ran {
        self.run(command(env!("CARGO_BIN_EXE_dbco")).args(arguments))
    }

    /// Runs dbco in the project's folder, with changes to its environment.
    pub fn dbco_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        self.run_with(command(env!("CARGO_BIN_EXE_dbco")).args(arguments), environment)
    }

    /// Runs a script of the host's shell as root of a separate user and mount namespace; `$DBCO` is dbco. Nothing that
    /// it mounts outlives it.
    pub fn unshared(&self, script: &str) -> Ran {
        self.run(command("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]))
    }

    /// Gives a command the project's folder and a separate environment.
    pub fn prepare<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("DBCO", env!("CARGO_BIN_EXE_dbco"))
            .env("DBCO_STORE", self.path("store"))
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    }

    fn run(&self, command: &mut Command) -> Ran {
        self.run_with(command, &[])
    }

    fn run_with(&self, command: &mut Command, environment: &[(&str, &str)]) -> Ran {
        let Output { status, stdout, stderr } =
            self.prepare(command).envs(environment.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

impl Ran {
    /// The run must end with this status.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Standard error must contain each of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "no `{part}` in:\n{}", self.err);
        }
        self
    }

    /// Standard error must not contain this.
    #[track_caller]
    pub fn never_says(self, part: &str) -> Self {
        assert!(!self.err.contains(part), "`{part}` in:\n{}", self.err);
        self
    }
}

/// The repository's top folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// `dbco check` of the recipe with one change refuses it and says all of `parts`.
#[track_caller]
pub fn refused(from: &str, to: &str, parts: &[&str]) {
    Project::with(from, to).dbco(&["check", "small.yaml"]).ends(2).says(parts).says(&["nothing was built"]);
}
