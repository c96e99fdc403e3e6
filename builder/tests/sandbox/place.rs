//! A root and a work folder to run tools in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use dbco::sandbox::{Bind, SKELETON, Sandbox, SandboxError, Spec};

const TOOLS: &[&str] =
    &["sh", "cat", "chmod", "id", "ln", "ls", "mkdir", "mknod", "mv", "rm", "setsid", "sleep", "uname", "wc"];

/// A folder like a store, with a root and a work folder.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub sandbox: Sandbox,
}

impl Place {
    pub fn new(sandbox: Sandbox) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder, sandbox };
        fs::create_dir_all(place.work()).unwrap();
        for name in SKELETON.iter().chain(&["usr/bin", "usr/lib"]) {
            fs::create_dir_all(place.root().join(name)).unwrap();
        }
        for name in ["bin", "lib", "lib64"] {
            let to = if name == "bin" { "usr/bin" } else { "usr/lib" };
            symlink(to, place.root().join(name)).unwrap();
        }
        for tool in TOOLS {
            place.install(tool);
        }
        place
    }

    /// Copies a program of the host, and each library listed by ldd(1), into the root.
    pub fn install(&self, tool: &str) {
        let find = format!("PATH=$PATH:/usr/sbin:/sbin; command -v {tool}");
        let found = Command::new("sh").args(["-c", &find]).output().unwrap();
        let program = String::from_utf8(found.stdout).unwrap().trim().to_owned();
        fs::copy(&program, self.root().join("usr/bin").join(tool)).unwrap_or_else(|e| panic!("{tool}: {e}"));
        let listed = Command::new("ldd").arg(&program).output().unwrap();
        for word in String::from_utf8(listed.stdout).unwrap().split_whitespace().filter(|word| word.starts_with('/')) {
            let name = Path::new(word).file_name().unwrap();
            // The loader's path is fixed; libraries are found in /lib by default.
            let _ = fs::copy(word, self.root().join("usr/lib").join(name)).unwrap();
        }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("roots/key")
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("tmp/work")
    }

    pub fn spec(&self, script: &str) -> Spec {
        Spec {
            root: self.root(),
            binds: vec![Bind { host: self.work(), inside: "/build".into(), writable: true }],
            cwd: "/build".into(),
            argv: ["sh", "-euc", script].map(String::from).into(),
            env: BTreeMap::from([("PATH".into(), "/usr/bin".into()), ("LC_ALL".into(), "C".into())]),
            devices: Vec::new(),
            network: false,
            terminal: false,
        }
    }

    pub fn lines(&self, spec: &Spec) -> Result<Vec<String>, SandboxError> {
        let lines = Mutex::new(Vec::new());
        self.sandbox.run(spec, None, Some(&|line: &str| lines.lock().unwrap().push(line.to_owned())), None)?;
        Ok(lines.into_inner().unwrap())
    }

    pub fn sh(&self, script: &str) -> Vec<String> {
        self.lines(&self.spec(script)).unwrap_or_else(|error| panic!("{script}: {error:?}"))
    }
}
