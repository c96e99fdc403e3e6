//! Shared code of the image tests: contents in memory, and third-party tools of this machine.
//!
//! The tools validate outputs and stand in for the toolchain. A missing one fails the test: CI installs them all.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dbco::beneath::{Dir, Links};
use dbco::digest::Digest;
use dbco::image::{Contents, ToolError, Tools};
use dbco::process::{Feed, ProcessError, Run, command};
use dbco::tree::{Entry, Node, Tree, TreePath};

/// Every time in the images of these tests: 2021-01-01T00:00Z. Long past, so that listings show the year.
pub const EPOCH: u64 = 1_609_459_200;

/// Contents in memory.
#[derive(Default)]
pub struct Memory(pub HashMap<Digest, Vec<u8>>);

impl Contents for Memory {
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        let bytes = self.0.get(blob).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    }
}

impl Memory {
    /// Keeps bytes; gives a file's entry with them.
    pub fn file(&mut self, bytes: impl AsRef<[u8]>, mode: u32) -> Entry {
        let digest = Digest::of(&bytes);
        let entry = Entry::file(digest, bytes.as_ref().len() as u64, mode);
        self.0.insert(digest, bytes.as_ref().to_vec());
        entry
    }
}

pub fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

/// Every kind of node, owners, special modes, an empty folder, names with spaces and beyond ASCII.
pub fn sample() -> (Tree, Memory) {
    let mut memory = Memory::default();
    let mut tree = Tree::new();
    tree.insert(TreePath::ROOT, Entry { uid: 5, gid: 6, ..Entry::dir(0o711) });
    tree.insert(path("system/bin/su"), memory.file("#!/system/bin/sh\n", 0o4755));
    tree.insert(path("system/etc/shadow"), Entry { gid: 42, ..memory.file("root:!\n", 0o600) });
    tree.insert(path("system/etc/empty"), memory.file("", 0o644));
    tree.insert(path("system/etc/copy of shadow"), memory.file("root:!\n", 0o644));
    tree.insert(path("system/etc/配置"), memory.file("值\n", 0o644));
    tree.insert(path("system/tmp"), Entry::dir(0o1777));
    tree.insert(path("usr/home/tc"), Entry { uid: 1001, gid: 1001, ..Entry::dir(0o750) });
    tree.insert(path("system/sbin"), Entry::symlink("bin"));
    tree.insert(path("dev/console"), Entry::of(Node::Char { major: 5, minor: 1 }, 0o600));
    tree.insert(path("dev/vda"), Entry { gid: 6, ..Entry::of(Node::Block { major: 254, minor: 0 }, 0o660) });
    tree.insert(path("dev/initctl"), Entry::of(Node::Fifo, 0o600));
    tree.insert(path("system/share/big"), memory.file("0123456789abcdef".repeat(20_000), 0o644));
    tree.complete();
    (tree, memory)
}

/// Runs tools of this machine in a folder.
pub struct HostTools {
    pub folder: tempfile::TempDir,
    dir: Dir,
}

impl HostTools {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { dir: Dir::open(folder.path(), Links::Never).unwrap(), folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Tools for HostTools {
    fn folder(&self) -> &Dir {
        &self.dir
    }

    fn run(&self, argv: &[String], feed: Option<Feed<'_>>) -> Result<(), ToolError> {
        // mksquashfs assigns the root folder to the user it runs as: that is 0 in the sandbox.
        let script = "cd \"$1\"; shift; if [ \"$(id -u)\" = 0 ]; then exec \"$@\"; else exec unshare -r \"$@\"; fi";
        let mut run = Run::new("/bin/sh")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .args(["-c", script, "sh"])
            .args([self.folder.path()])
            .args(argv);
        if let Some(feed) = feed {
            run = run.feed(feed);
        }
        run.run().inspect_err(|error| {
            if let ProcessError::Failed { tail, .. } = error {
                eprintln!("{error}\n{}", tail.join("\n"));
            }
        })?;
        Ok(())
    }
}

/// Runs a validating tool on this machine; gives its output. Fails the test if it is missing or exits with an error.
pub fn judge(program: &str, arguments: &[&str], input: Option<&Path>) -> String {
    let stdin = input.map_or(Stdio::null(), |path| std::fs::File::open(path).unwrap().into());
    let output = command(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(stdin)
        .output()
        .unwrap_or_else(|error| panic!("this test needs `{program}`: {error}; see the packages in .ci/run"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{text}", output.status);
    text
}

/// The text of a path for such a tool's arguments.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
