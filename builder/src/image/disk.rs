//! A disk image: an ext4 file system that holds a tree under one or more folders.
//!
//! It has project quotas, so that the disk space of containers can be limited. The file system is created empty, then
//! filled by a script for `debugfs`, in the tree's order. So no file has to exist on this machine with its owner, mode
//! or device number, and nothing depends on the order in which the host lists a folder.

use std::io::Write;

use super::{ImageError, NAME_MAX, check_lengths, file_type};
use crate::digest::Digest;
use crate::execution::{Execution, ExecutionInput, IN, Invocation, OutputPath};
use crate::process::argv;
use crate::tree::{Entry, Node, Tree, TreePath};

const FORMAT: &str = "ext4 (through debugfs)";

/// An ext4 image to make.
#[derive(Clone, Copy, Debug)]
pub struct Disk<'a> {
    /// The folders that the tree is placed under, such as `system0`; the root (`/`) places it at the top. With none,
    /// the image is empty.
    pub folders: &'a [TreePath],
    /// Additional files, by their paths.
    pub files: &'a Tree,
    /// Size of the image in bytes; None for the size of the tree and half as much again, at least 32 MiB.
    pub size: Option<u64>,
    /// Label of the file system, at most 16 bytes.
    pub label: &'a str,
    /// All of its times: seconds since 1970.
    pub epoch: u64,
}

const BLOCK: u64 = 4096;

/// Namespace of the identifiers that are derived from the image's own parameters.
const UUID_DOMAIN: &str = "dbco ext4";

impl Disk<'_> {
    /// The execution that makes the image, the sparse file [`FILE`], with the e2fsprogs of a root.
    pub fn execution(&self, root: Digest, tree: &Tree) -> Result<Execution, ImageError> {
        let mut whole = Tree::new();
        for folder in self.folders {
            let others = whole.free_inode();
            for (path, entry) in &tree.entries {
                let inode = entry.inode.map(|inode| inode + others);
                whole.insert(folder.join(path), Entry { inode, ..entry.clone() });
            }
        }
        for (path, entry) in &self.files.entries {
            whole.insert(path.clone(), entry.clone());
        }
        whole.complete();
        whole.settle_links();
        let mut execution = Execution::new(root);
        execution.inputs = inputs(&whole, self.epoch)?;

        let links = whole.hard_links();
        let files = whole.entries.iter().filter(|(path, entry)| links.earlier(path, entry).is_none());
        let needed = files.map(|(_, entry)| match entry.node {
            Node::File { size, .. } => size.next_multiple_of(BLOCK),
            Node::Dir | Node::Symlink { .. } => BLOCK,
            _ => 0,
        });
        // The default of mke2fs for a stated size: one inode for every 16 KiB.
        let inodes = (whole.entries.len() as u64 + 1024).max(self.size.unwrap_or(0) / (16 << 10));
        let size = self.size.unwrap_or_else(|| {
            ((needed.sum::<u64>() + inodes * 256) * 3 / 2 + (8 << 20)).max(32 << 20).next_multiple_of(1 << 20)
        });
        let mut run = |makes: &str, argv: Vec<String>| execution.commands.push(Invocation::new(makes, argv));
        run("ext4 file system", argv!["truncate", "-s", size, FILE]);
        let uuid = |what| uuid(&format!("{UUID_DOMAIN} {what} {} {size}", self.label));
        let extended =
            format!("hash_seed={},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard", uuid("hash seed"));
        let make = argv![
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            BLOCK,
            "-m",
            0,
            "-N",
            inodes,
            "-L",
            self.label,
            "-U",
            uuid("file system"),
            "-E",
            extended,
            FILE,
        ];
        run("ext4 file system", make);

        // debugfs exits with status 0 even if its commands fail, and prints its version on the same stream as errors.
        let fill = "if debugfs -w -f \"$1\" \"$2\" 2>&1 >/dev/null | grep -v '^debugfs [0-9]'; then exit 1; fi";
        run("content of the ext4 file system", argv!["sh", "-c", fill, "sh", format!("{IN}/{SCRIPT}"), FILE]);
        // After the image is filled, so that its content is counted.
        run("project quota of the ext4 file system", argv!["tune2fs", "-O", "project", "-Q", "prjquota", FILE]);
        run("ext4 file system: e2fsck does not accept it", argv!["e2fsck", "-f", "-n", FILE]);
        execution.env.extend([("E2FSPROGS_FAKE_TIME".to_owned(), self.epoch.to_string())]);
        execution.outputs.push(OutputPath::file(FILE));
        Ok(execution)
    }
}

/// The path that mke2fs writes it to.
pub const FILE: &str = "disk.img";
/// The commands for debugfs.
const SCRIPT: &str = "disk.debugfs";
/// The content of the files, by digest, and the values of extended attributes.
const BLOBS: &str = "disk.blobs";

/// The inputs from which debugfs fills the file system.
fn inputs(tree: &Tree, epoch: u64) -> Result<Vec<ExecutionInput>, ImageError> {
    let mut script = Script { out: Vec::new(), epoch };
    let (mut blobs, mut values) = (Tree::new(), Vec::new());
    let links = tree.hard_links();
    for (at, entry) in &tree.entries {
        if let Node::File { blob, size } = entry.node {
            blobs.insert(TreePath::new(&blob.to_string()).expect("a plain name"), Entry::file(blob, size, 0o644));
        }
        let target = if let Node::Symlink { target } = &entry.node { target.as_str() } else { "" };
        if [at.as_str(), target].iter().any(|text| text.contains(['\n', '\r'])) {
            let what = "a line break in a name or link".to_owned();
            return Err(ImageError::CantHold { format: FORMAT, path: at.clone(), what });
        }
        if let Node::Char { major, minor } | Node::Block { major, minor } = entry.node
            && major.max(minor) > u32::from(u16::MAX)
        {
            let what = format!("device {major}:{minor}; debugfs supports numbers up to 65535");
            return Err(ImageError::CantHold { format: FORMAT, path: at.clone(), what });
        }
        for (index, value) in entry.xattrs.values().enumerate() {
            values.push(ExecutionInput::bytes(format!("{IN}/{BLOBS}/{}", xattr_file(at, index)), value.clone()));
        }
        check_lengths(FORMAT, at, entry, NAME_MAX)?;
        match links.earlier(at, entry) {
            Some(first) => script.link(at, first),
            None => script.entry(at, entry, links.names(entry).len()),
        }
        .map_err(ImageError::Write)?;
    }
    let mut inputs = vec![
        ExecutionInput::files(format!("{IN}/{BLOBS}"), blobs),
        ExecutionInput::bytes(format!("{IN}/{SCRIPT}"), script.out),
    ];
    inputs.append(&mut values);
    Ok(inputs)
}

/// Writes debugfs(8)'s commands.
struct Script<W> {
    out: W,
    epoch: u64,
}

impl<W: Write> Script<W> {
    /// Another name of a file that has already been written.
    fn link(&mut self, path: &TreePath, first: &TreePath) -> std::io::Result<()> {
        writeln!(self.out, "ln {} {}", word(&first.to_string()), word(&path.to_string()))
    }

    /// `names` is the number of names of each file that has several: `ln` does not update the link count.
    fn entry(&mut self, path: &TreePath, entry: &Entry, names: usize) -> std::io::Result<()> {
        let full = word(&path.to_string());
        if let Some(parent) = path.parent() {
            // `write` and `mknod` only accept a name in the current folder.
            writeln!(self.out, "cd {}", word(&parent.to_string()))?;
        }
        let name = word(path.name());
        match &entry.node {
            Node::Dir if path.is_root() => {}
            Node::Dir => writeln!(self.out, "mkdir {name}")?,
            Node::File { blob, .. } => writeln!(self.out, "write {IN}/{BLOBS}/{blob} {name}")?,
            Node::Symlink { target } => writeln!(self.out, "symlink {name} {}", word(target))?,
            Node::Char { major, minor } => writeln!(self.out, "mknod {name} c {major} {minor}")?,
            Node::Block { major, minor } => writeln!(self.out, "mknod {name} b {major} {minor}")?,
            Node::Fifo => writeln!(self.out, "mknod {name} p")?,
        }
        let mode = file_type(&entry.node) | entry.mode;
        writeln!(self.out, "sif {full} mode 0{mode:o}")?;
        for (field, id) in [("uid", entry.uid), ("gid", entry.gid)] {
            if id != 0 {
                writeln!(self.out, "sif {full} {field} {id}")?;
            }
        }
        if names > 1 {
            writeln!(self.out, "sif {full} links_count {names}")?;
        }
        for field in ["atime", "mtime", "ctime", "crtime"] {
            writeln!(self.out, "sif {full} {field} @{}", self.epoch)?;
        }
        for (index, name) in entry.xattrs.keys().enumerate() {
            writeln!(self.out, "ea_set -f {IN}/{BLOBS}/{} {full} {}", xattr_file(path, index), word(name))?;
        }
        Ok(())
    }
}

/// The file that holds the value of a path's n-th extended attribute.
fn xattr_file(path: &TreePath, index: usize) -> String {
    format!("{}.{index}", Digest::of(path.as_str()))
}

/// A word for libss, which parses debugfs's commands: in double quotes, with quotes inside doubled.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A UUID (RFC 9562, version 8) derived from a text.
fn uuid(text: &str) -> String {
    let hex = Digest::of(text).to_string();
    format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}
