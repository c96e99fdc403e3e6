//! Folders that packages and tools have filled with links to places outside: nothing is read or written there.

mod project;
mod support;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dbco::beneath::{BeneathError, Dir, Links};
use dbco::boot::machine::SerialBackend;
use dbco::boot::{
    Accel, Accelerator, Bus, DiskContent, Firmware, HostAccess, Launch, LaunchError, Machine, MachineDisk, Medium,
};
use dbco::digest::Digest;
use dbco::execution::{BUILD, Execution, ExecutionInput, Invocation, OutputForm, OutputPath};
use dbco::executor::{Call, CommandRunner, Executor as _, Local};
use dbco::platform::Platform;
use dbco::process::{Feed, command};
use dbco::sandbox::SandboxError;
use dbco::store::Store;
use dbco::tree::{Entry, Tree};
use nix::errno::Errno;
use nix::libc;
use project::{Project, host, seccomp};
use support::{Memory, path};

const SECRET: &str = "a secret of this machine";

/// A file of this machine, outside the folders of a test.
struct Outside {
    folder: tempfile::TempDir,
}

impl Outside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["secret", "vmlinuz-1"] {
            fs::write(folder.path().join(name), SECRET).unwrap();
        }
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    #[track_caller]
    fn is_as_it_was(&self, what: &str) {
        assert_eq!(fs::read_to_string(self.path()).unwrap(), SECRET, "{what}");
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 2, "{what}");
    }
}

/// Whether a file below a folder contains the secret.
fn leaks(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => leaks(&entry.path()),
        kind if kind.is_file() => String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).contains(SECRET),
        _ => false,
    })
}

/// What a package holds: paths and contents.
type Files<'a> = &'a [(&'a str, &'a [u8])];

/// A project whose kernel is taken from a package that holds these.
fn with_kernel_package(files: &[(&str, &[u8])]) -> Project {
    let project = host::with_kernel_package("", files);
    project.edit("small.yaml", "[initrd, grub-cfg]", "[bzimage]");
    project
}

#[test]
fn a_kernel_package_whose_kernel_is_a_link_is_refused_with_the_path() {
    let outside = Outside::new();
    let build = |project: &Project| project.dbco(&["build", "--offline", "small.yaml"]);
    let sound = with_kernel_package(&[("./boot/vmlinuz-1", b"kernel"), ("./boot/config-1", b"CONFIG_X=y\n")]);
    build(&sound).ends(0);
    assert_eq!(sound.read("out/small/bzImage"), "kernel");
    let to = |target: &Path| format!("-> {}", target.display()).into_bytes();
    let (file, folder) = (to(&outside.path()), to(outside.folder.path()));
    let up = to(&Path::new(&"../".repeat(20)).join(outside.path().strip_prefix("/").unwrap()));
    let inside = to(Path::new("../usr/kernel"));
    let cases: [(Files<'_>, &str); 6] = [
        (&[("./boot/vmlinuz-1", &file)], "boot/vmlinuz-1"),
        (&[("./boot/vmlinuz-1", &up)], "boot/vmlinuz-1"),
        (&[("./boot", &folder)], "boot"),
        (&[("./boot/vmlinuz-1", b"kernel"), ("./boot/config-1", &file)], "boot/config-1"),
        (&[("./boot/vmlinuz-1", b"kernel"), ("./boot/System.map-1", &up)], "boot/System.map-1"),
        // Even one that stays inside: its target is not the package's kernel.
        (&[("./usr/kernel", b"kernel"), ("./boot/vmlinuz-1", &inside)], "boot/vmlinuz-1"),
    ];
    for (files, named) in cases {
        let project = with_kernel_package(files);
        let ran = build(&project).ends(1).says(&[&format!("`{named}`"), "link"]);
        assert!(!leaks(&project.path("store")) && !project.path("out/small").exists(), "{named}: {}", ran.err);
        outside.is_as_it_was(named);
    }
}

/// Tools that do nothing but leave something in the folder that they work in, in place of what is there.
struct Hostile {
    links: Vec<(&'static str, PathBuf)>,
}

impl CommandRunner for Hostile {
    fn run(&self, call: Call<'_>, _: Option<Feed<'_>>, _: &(dyn Fn(&str) + Sync)) -> Result<(), SandboxError> {
        let build = &call.binds.iter().find(|bind| bind.inside == BUILD).unwrap().host;
        for (name, target) in &self.links {
            let path = build.join(name);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        Ok(())
    }
}

/// What an execution with such tools comes to that puts `inputs` where they have been before, and asks for `output`.
fn executed(
    outside: &Outside,
    links: Vec<(&'static str, PathBuf)>,
    inputs: Vec<ExecutionInput>,
    output: OutputPath,
) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let what = format!("{links:?} {output:?}");
    let local = Local { store: &store, contents: &Memory::default(), runner: &Hostile { links } };
    let root = Digest::of("none");
    let command = || vec![Invocation::new("nothing", vec!["true".into()])];
    let first = Execution { commands: command(), ..Execution::new(root) };
    let workspace = Some(local.execute(first, &|_| {}).unwrap().workspace);
    let second = Execution { workspace, inputs, outputs: vec![output], ..Execution::new(root) };
    let made = local.execute(second, &|_| {});
    outside.is_as_it_was(&what);
    assert!(!leaks(folder.path()), "{what}: {made:?}");
    made.is_ok()
}

#[test]
fn links_that_tools_leave_are_replaced_or_refused() {
    let outside = Outside::new();
    let (file, folder) = (outside.path(), outside.folder.path().to_owned());
    let linked = |path: &str| OutputPath { form: OutputForm::LinkedFile, ..OutputPath::file(path) };
    let tree = |path: &str| OutputPath { form: OutputForm::Tree, ..OutputPath::file(path) };
    let input = |path: &str| vec![ExecutionInput::bytes(format!("{BUILD}/{path}"), "ours")];
    let mut files = Tree::new();
    files.insert(path("config"), Entry::dir(0o755));
    // A file that is put there anew takes a link's place; what is read, and a folder, must not be one that leads out.
    for (links, inputs, output, expected) in [
        (vec![(".config", file.clone())], input(".config"), OutputPath::file(".config"), true),
        (vec![(".config", folder.join("new"))], input(".config"), linked(".config"), true),
        (vec![("src", folder.clone())], input("src/.config"), OutputPath::file("src/.config"), false),
        (vec![("out.img", file.clone())], Vec::new(), OutputPath::file("out.img"), false),
        (vec![("out.img", file.clone())], Vec::new(), linked("out.img"), false),
        (vec![("out.img", folder.join("new"))], Vec::new(), linked("out.img"), false),
        (vec![("src", folder.clone())], Vec::new(), OutputPath::file("src/secret"), false),
        (vec![("src", folder.clone())], Vec::new(), linked("src/secret"), false),
        (vec![("out", folder.clone())], Vec::new(), tree("out"), false),
        // What a tree holds are links as they are.
        (vec![("out/link", file.clone())], Vec::new(), tree("out"), true),
        (
            vec![("out/config", folder.clone())],
            vec![ExecutionInput::files(format!("{BUILD}/out"), files)],
            tree("out"),
            false,
        ),
        (vec![("made", "a".into()), ("other", "made".into())], input("a"), linked("other"), true),
        (vec![("made", "a".into()), ("other", "made".into())], input("a"), OutputPath::file("other"), false),
    ] {
        let what = format!("{links:?} {output:?}");
        assert_eq!(executed(&outside, links, inputs, output), expected, "{what}");
    }
}

/// QEMU's root has one file.
struct Root(PathBuf);

impl Launch for Root {
    fn command(&self, _: &[String], _: &Path, _: &HostAccess) -> Result<std::process::Command, LaunchError> {
        Err("no machine is started here".into())
    }

    fn file(&self, _: &str) -> io::Result<File> {
        File::open(&self.0)
    }
}

#[test]
fn links_that_a_machine_s_qemu_leaves_are_replaced_before_the_next_start() {
    let outside = Outside::new();
    let folder = tempfile::tempdir().unwrap();
    let (work, kernel) = (folder.path().join("work"), folder.path().join("kernel"));
    fs::write(&kernel, "kernel").unwrap();
    let machine = Machine {
        platform: Platform::BUILD,
        port: 0,
        firmware: Firmware::Uefi,
        medium: Medium::Kernel { kernel: kernel.clone(), initrd: Some(kernel.clone()), cmdline: String::new() },
        memory: 64,
        cpus: 1,
        parallel: false,
        disks: vec![
            MachineDisk { bus: Bus::Virtio, content: DiskContent::Blank(4096) },
            MachineDisk { bus: Bus::Virtio, content: DiskContent::Image(kernel.clone()) },
        ],
        served: false,
        network: false,
        forward: Vec::new(),
        link: None,
    };
    let accel = Accel { kind: Accelerator::Tcg, reason: "stated".into() };
    let prepare = || machine.prepare(&Root(kernel.clone()), &accel, SerialBackend::Pipe, &work).map(drop);
    let names = ["vars.fd", "kernel", "initrd", "disk0.img", "disk1.img"];
    for target in [outside.path(), outside.folder.path().join("new")] {
        fs::create_dir(&work).unwrap();
        prepare().unwrap();
        for name in names {
            fs::remove_file(work.join(name)).unwrap();
            symlink(&target, work.join(name)).unwrap();
        }
        prepare().unwrap();
        for name in names {
            assert!(fs::symlink_metadata(work.join(name)).unwrap().is_file(), "{name}");
        }
        outside.is_as_it_was(&target.display().to_string());
        assert!(!leaks(&work));
        // What the machine has written is kept for its next start.
        fs::write(work.join("disk0.img"), "written").unwrap();
        prepare().unwrap();
        assert_eq!(fs::read_to_string(work.join("disk0.img")).unwrap(), "written");
        fs::remove_dir_all(&work).unwrap();
    }
    // The folder itself is no link.
    symlink(outside.folder.path(), &work).unwrap();
    assert!(prepare().is_err());
    outside.is_as_it_was("the folder");
}

/// Makes openat2(2) fail as on a kernel before 5.6, for this thread and all that it starts.
fn forbid_openat2() {
    seccomp::refuse(&[(libc::SYS_openat2, Errno::ENOSYS)]).unwrap();
    let open = nix::fcntl::openat2(nix::fcntl::AT_FDCWD, ".", nix::fcntl::OpenHow::new());
    assert_eq!(open.unwrap_err(), Errno::ENOSYS);
}

/// The results of each operation on a folder full of traps, with each rule for links.
fn answers(outside: &Outside) -> Vec<String> {
    let mut answers = Vec::new();
    let secret = outside.path();
    for links in [Links::Never, Links::Within, Links::InRoot] {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/file"), "inside").unwrap();
        nix::unistd::mkfifo(&top.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let up = PathBuf::from("../".repeat(30)).join(secret.strip_prefix("/").unwrap());
        for (name, target) in [
            ("in", Path::new("a/file")),
            ("in-folder", Path::new("a")),
            ("a/back", Path::new("../a/file")),
            ("absolute", Path::new("/a/file")),
            ("gone", Path::new("nowhere")),
            ("loop", Path::new("loop")),
            ("out", &secret),
            ("out-folder", outside.folder.path()),
            ("up", &up),
            ("proc", Path::new("/proc/self/root")),
        ] {
            symlink(target, top.join(name)).unwrap();
        }
        let dir = Dir::open(top, links).unwrap();
        let say = |result: Result<String, BeneathError>| match result {
            Ok(text) => text,
            Err(error) => format!("{error}: {}", error.refusal),
        };
        let paths = [
            "a/file",
            "a",
            "a/b",
            "in",
            "in-folder/file",
            "a/back",
            "absolute",
            "gone",
            "gone/below",
            "loop",
            "out",
            "out-folder/secret",
            "up",
            "pipe",
            "proc/etc",
            "../a",
            "a/../a/file",
            "/a/file",
            "a/file/below",
            "nothing",
            "",
        ];
        for path in paths {
            answers.push(format!("{links:?} {path} read {}", say(dir.read_text(path, 100))));
            answers.push(format!("{links:?} {path} file {} {:?}", dir.has_file(path), dir.exists(path).ok()));
            answers.push(format!("{links:?} {path} list {}", say(dir.list(path).map(|all| all.len().to_string()))));
            answers.push(format!("{links:?} {path} text {}", say(dir.read_link(path).map(|text| format!("{text:?}")))));
        }
        for path in
            ["in", "in-folder/new", "out", "out-folder/new", "up", "gone/new", "loop/new", "new/deep/file", "pipe"]
        {
            answers.push(format!("{links:?} {path} make {}", say(dir.make_dir(path).map(|_| "made".to_owned()))));
            answers.push(format!(
                "{links:?} {path} write {}",
                say(dir.write(path, b"new").map(|()| "written".to_owned()))
            ));
            answers.push(format!("{links:?} {path} then {}", say(dir.read_text(path, 100))));
        }
        assert!(!leaks(top));
    }
    outside.is_as_it_was("answers");
    assert!(answers.iter().all(|answer| !answer.contains(SECRET)), "{answers:#?}");
    let private = |answer: &String| answer.replace(&outside.folder.path().display().to_string(), "OUTSIDE");
    answers.iter().map(private).collect()
}

/// Not a separate test: the results on a kernel without openat2(2).
#[test]
#[ignore = "run by another test"]
fn answers_without_openat2() {
    forbid_openat2();
    for answer in answers(&Outside::new()) {
        println!("answer {}", answer.escape_debug());
    }
    // A whole build, with tools in the sandbox, and a script that tries to lead outside.
    let outside = Outside::new();
    let project = Project::new();
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "  overlays: [overlay]", "  overlays: [overlay]\n  components: [tool]");
    host::provide(&project);
    let component = |install: &str| {
        project.write(
            "components/tool.yaml",
            format!(
                "component: tool\nversion: '1'\nlicense: MIT\nsource: {{path: ../sources/tool}}\ninstall: {install}\n"
            ),
        );
    };
    project.write("sources/tool/tool", "tool");
    component("mkdir -p $OUT/system/bin && cp tool $OUT/system/bin/");
    let build = || project.dbco(&["build", "--offline", "small.yaml"]);
    build().ends(0);
    component(&format!("rm -r /build/out && ln -s {} /build/out", outside.folder.path().display()));
    build().ends(1).says(&["link"]);
    assert!(!leaks(&project.path("store")));
    outside.is_as_it_was("a build");
}

#[test]
fn without_openat2_the_answers_are_the_same() {
    let mut child = command(std::env::current_exe().unwrap());
    child.args(["--exact", "answers_without_openat2", "--ignored", "--nocapture"]);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let without: Vec<_> =
        text.lines().filter_map(|line| line.split_once("answer ").map(|(_, answer)| answer)).collect();
    let with: Vec<_> = answers(&Outside::new()).iter().map(|answer| answer.escape_debug().to_string()).collect();
    assert_eq!(without.len(), with.len());
    for (without, with) in without.iter().zip(&with) {
        assert_eq!(without, with);
    }
}
