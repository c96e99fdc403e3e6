//! A disk image: ext4 that holds a tree under one folder or several.
//!
//! It has project quota, so that containers' disk space can be limited. The file system is made empty, then filled by a script for `debugfs`, in the tree's order. No file has to exist on this
//! machine with its owner, mode or device number, and nothing depends on the order in which a host's folder is read.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::content::place;
use super::tools::argv;
use super::{Contents, ImageError, NAME_MAX, Tools, check_lengths, file_type};
use crate::digest::Digest;
use crate::tree::{Entry, Node, Tree, TreePath};

const FORMAT: &str = "ext4 (through debugfs)";

/// An ext4 image to make.
#[derive(Clone, Copy, Debug)]
pub struct Disk<'a> {
    /// The folders that the tree is put under: `system0`; the root puts it at the top. None makes it empty.
    pub folders: &'a [TreePath],
    /// Files beside these, at their paths.
    pub files: &'a Tree,
    /// Bytes of the image; None for what the tree needs and half as much again, at least 32 MiB.
    pub size: Option<u64>,
    /// Label of the file system, at most 16 bytes.
    pub label: &'a str,
    /// Every time in it: seconds since 1970.
    pub epoch: u64,
}

const BLOCK: u64 = 4096;

/// Namespace of the identifiers that are made from the image's own parameters.
const UUID_DOMAIN: &str = "dbco ext4";

impl Disk<'_> {
    /// Writes the sparse image `output` into the tools' folder.
    pub fn write(
        &self,
        tree: &Tree,
        contents: &dyn Contents,
        tools: &dyn Tools,
        output: &str,
    ) -> Result<(), ImageError> {
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
        self.write_script(&whole, contents, tools)?;

        let links = whole.hard_links();
        let files = whole.entries.iter().filter(|(path, entry)| links.earlier(path, entry).is_none());
        let needed = files.map(|(_, entry)| match entry.node {
            Node::File { size, .. } => size.next_multiple_of(BLOCK),
            Node::Dir | Node::Symlink { .. } => BLOCK,
            _ => 0,
        });
        // As mke2fs has it by itself where a size is asked for: one for 16 KiB.
        let inodes = (whole.entries.len() as u64 + 1024).max(self.size.unwrap_or(0) / (16 << 10));
        let size = self.size.unwrap_or_else(|| {
            ((needed.sum::<u64>() + inodes * 256) * 3 / 2 + (8 << 20)).max(32 << 20).next_multiple_of(1 << 20)
        });
        tools.folder().create(output)?.set_len(size).map_err(ImageError::io("write", Path::new(output)))?;

        let time = format!("E2FSPROGS_FAKE_TIME={}", self.epoch);
        let uuid = |what| uuid(&format!("{UUID_DOMAIN} {what} {} {size}", self.label));
        let extended =
            format!("hash_seed={},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard", uuid("hash seed"));
        let make = argv![
            "env",
            time,
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
            output,
        ];
        tools.run(&make, None).map_err(ImageError::tool("ext4 file system"))?;

        // debugfs ends with status 0 whatever its commands do, and prints its version on the same stream as errors.
        let fill = "if debugfs -w -f disk.debugfs \"$1\" 2>&1 >/dev/null | grep -v '^debugfs [0-9]'; then exit 1; fi";
        let fill = argv!["env", time, "sh", "-c", fill, "sh", output];
        tools.run(&fill, None).map_err(ImageError::tool("content of the ext4 file system"))?;
        // After the filling, so that what is there is counted.
        let quota = argv!["env", time, "tune2fs", "-O", "project", "-Q", "prjquota", output];
        tools.run(&quota, None).map_err(ImageError::tool("project quota of the ext4 file system"))?;
        let check = argv!["env", time, "e2fsck", "-f", "-n", output];
        tools.run(&check, None).map_err(ImageError::tool("ext4 file system: e2fsck does not accept it"))
    }

    fn write_script(&self, tree: &Tree, contents: &dyn Contents, tools: &dyn Tools) -> Result<(), ImageError> {
        let blobs = tools.folder().make_dir("disk.blobs")?;
        let file = tools.folder().create("disk.debugfs")?;
        let mut script = Script { out: BufWriter::new(file), epoch: self.epoch };
        let mut placed: HashSet<Digest> = HashSet::new();
        let links = tree.hard_links();
        let written = |result: std::io::Result<()>| result.map_err(ImageError::io("write", Path::new("disk.debugfs")));
        for (at, entry) in &tree.entries {
            if let Node::File { blob, size } = &entry.node
                && placed.insert(*blob)
            {
                place(contents, at, blob, *size, (&blobs, &blob.to_string()))?;
            }
            let target = if let Node::Symlink { target } = &entry.node { target.as_str() } else { "" };
            if [at.as_str(), target].iter().any(|text| text.contains(['\n', '\r'])) {
                let what = "a line break in a name or link".to_owned();
                return Err(ImageError::CantHold { format: FORMAT, path: at.clone(), what });
            }
            if let Node::Char { major, minor } | Node::Block { major, minor } = entry.node
                && major.max(minor) > u16::MAX.into()
            {
                let what = format!("device {major}:{minor}; debugfs supports numbers up to 65535");
                return Err(ImageError::CantHold { format: FORMAT, path: at.clone(), what });
            }
            for (index, value) in entry.xattrs.values().enumerate() {
                blobs.write(xattr_file(at, index), value)?;
            }
            check_lengths(FORMAT, at, entry, NAME_MAX)?;
            match links.earlier(at, entry) {
                Some(first) => written(script.link(at, first))?,
                None => written(script.entry(at, entry, links.names(entry).len()))?,
            }
        }
        written(script.out.flush())
    }
}

/// Writes debugfs(8)'s commands.
struct Script<W> {
    out: W,
    epoch: u64,
}

impl<W: Write> Script<W> {
    /// Another name of a file that was written before.
    fn link(&mut self, path: &TreePath, first: &TreePath) -> std::io::Result<()> {
        writeln!(self.out, "ln {} {}", word(&first.to_string()), word(&path.to_string()))
    }

    /// `names` is how many names a file has, where it has several: `ln` does not count.
    fn entry(&mut self, path: &TreePath, entry: &Entry, names: usize) -> std::io::Result<()> {
        let full = word(&path.to_string());
        if let Some(parent) = path.parent() {
            // `write` and `mknod` take a name in the current folder only.
            writeln!(self.out, "cd {}", word(&parent.to_string()))?;
        }
        let name = word(path.name());
        match &entry.node {
            Node::Dir if path.is_root() => {}
            Node::Dir => writeln!(self.out, "mkdir {name}")?,
            Node::File { blob, .. } => writeln!(self.out, "write disk.blobs/{blob} {name}")?,
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
            writeln!(self.out, "ea_set -f disk.blobs/{} {full} {}", xattr_file(path, index), word(name))?;
        }
        Ok(())
    }
}

/// The file that holds the value of a path's n-th extended attribute.
fn xattr_file(path: &TreePath, index: usize) -> String {
    format!("{}.{index}", Digest::of(path.as_str()))
}

/// A word for libss, which debugfs reads its commands with: in double quotes, a quote in it doubled.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A UUID (RFC 9562, version 8) made of a text.
fn uuid(text: &str) -> String {
    let hex = Digest::of(text).to_string();
    format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}
