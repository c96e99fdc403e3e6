//! What the image tests share: contents in memory, and foreign tools of this machine.
//!
//! The tools are judges and stand-ins for the toolchain. A missing one fails the test: CI installs them all.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dbco::digest::Digest;
use dbco::execution::Execution;
use dbco::executor::{Call, CommandRunner, ExecutionError, Executor as _, Local};
use dbco::image::Contents;
use dbco::image::grub::{ELTORITO, ESP, HYBRID_MBR, Images};
use dbco::image::iso::{BootImages, Iso};
use dbco::platform::Platform;
use dbco::process::{Feed, ProcessError, Run, command};
use dbco::sandbox::SandboxError;
use dbco::store::{Blob, Store};
use dbco::tree::{Entry, Node, Tree, TreePath};

/// Every time in the images of these tests: 2021-01-01T00:00Z. Long past, so that listings give the year.
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

/// Tools of this machine, in place of a root's.
pub struct HostTools {
    pub folder: tempfile::TempDir,
    pub store: Store,
    /// What each command is run by: `taskset`, say.
    pub before: Vec<String>,
}

impl HostTools {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Store::open(&folder.path().join("store")).unwrap(), folder, before: Vec::new() }
    }

    /// Carries out an execution; gives its outputs by name.
    pub fn execute(
        &self,
        execution: Execution,
        contents: &dyn Contents,
    ) -> Result<BTreeMap<String, Blob>, ExecutionError> {
        let contents = Both { first: contents, rest: &self.store };
        let local = Local { store: &self.store, contents: &contents, runner: self };
        let executed = local.execute(execution, &|_| {})?;
        let names: Vec<String> = executed.outputs.keys().cloned().collect();
        Ok(names.into_iter().map(|name| (name.clone(), executed.blob(&name).unwrap())).collect())
    }

    /// Carries out an execution that makes one file; gives its path.
    pub fn make(&self, execution: Execution, contents: &dyn Contents) -> Result<PathBuf, ExecutionError> {
        let outputs = self.execute(execution, contents)?;
        assert_eq!(outputs.len(), 1);
        Ok(self.store.blob_path(&outputs.values().next().unwrap().digest))
    }

    /// An ISO with this tree, and its boot images.
    pub fn iso(&self, iso: &Iso<'_>, tree: &Tree, contents: &dyn Contents) -> PathBuf {
        let images = Images { platform: Platform::BUILD, marker: iso.marker, epoch: iso.epoch };
        let made = self.execute(images.execution(host()).unwrap(), contents).unwrap();
        let images = BootImages { eltorito: made[ELTORITO], mbr: made[HYBRID_MBR], esp: made[ESP] };
        self.make(iso.execution(host(), tree, images).unwrap(), contents).unwrap()
    }
}

/// The root that stands for this machine.
pub fn host() -> Digest {
    Digest::of("this machine")
}

/// The first's contents, and for all others the store's.
struct Both<'a> {
    first: &'a dyn Contents,
    rest: &'a Store,
}

impl Contents for Both<'_> {
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        self.first.open_unchecked(blob).or_else(|_| Contents::open_unchecked(self.rest, blob))
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        self.first.stored(blob).or_else(|| self.rest.stored(blob))
    }
}

/// A root of this machine's folders, with those of the execution at their places.
const ENTER: &str = r#"
set -eu
mount -t tmpfs dbco "$1"
for folder in bin dev etc lib lib32 lib64 libx32 proc sbin usr; do
  if [ -e "/$folder" ]; then mkdir "$1/$folder"; mount --rbind "/$folder" "$1/$folder"; fi
done
mkdir -m 1777 "$1/tmp"
top=$1 count=$2
shift 2
while [ "$count" -gt 0 ]; do
  mkdir "$top$2"
  mount --bind "$1" "$top$2"
  shift 2
  count=$((count - 1))
done
exec chroot "$top" "$@"
"#;

impl CommandRunner for HostTools {
    fn run(&self, call: Call<'_>, feed: Option<Feed<'_>>, _: &(dyn Fn(&str) + Sync)) -> Result<(), SandboxError> {
        let top = tempfile::tempdir_in(&self.folder).unwrap();
        let binds = call.binds.iter().flat_map(|bind| [bind.host.to_str().unwrap(), &bind.inside]);
        let enter = ["-rm", "/bin/sh", "-c", ENTER, "sh", text(top.path()), &call.binds.len().to_string()];
        let mut run = Run::new("/usr/bin/unshare")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .args(enter.map(str::to_owned))
            .args(binds)
            .args(["sh", "-c", "cd \"$1\"; shift; exec \"$@\"", "sh", call.cwd])
            .args(&self.before)
            .args(call.argv);
        for (name, value) in call.env {
            run = run.env(name, value);
        }
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

/// Runs a judge on this machine; gives what it prints. Fails the test if it is missing or ends with an error.
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

/// The text of a path for a judge's arguments.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
