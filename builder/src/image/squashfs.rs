//! The livefs as a squashfs, packed by `mksquashfs -tar` from a tar stream on its standard input.
//!
//! So owners, device nodes and modes never have to exist on this machine's disk.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{ImageError, check_lengths, rooted};
use crate::digest::Digest;
use crate::execution::{Execution, Invocation, OutputPath, Stdin};
use crate::platform::Platform;
use crate::process::argv;
use crate::tree::{Node, Tree, TreePath};

/// The path that mksquashfs writes it to.
pub const FILE: &str = "livefs.squashfs";

/// How the blocks are compressed. The kernel needs CONFIG_SQUASHFS_ZSTD, SQUASHFS_XZ, SQUASHFS_ZLIB or SQUASHFS_LZ4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
// The `Debug` text is part of the keys of steps: a renamed variant changes them.
pub enum Packing {
    /// Zstandard at its highest level.
    Zstd,
    /// XZ, both with and without the architecture's branch filter where there is one; the smaller result is kept for
    /// each block.
    Xz,
    /// Deflate, level 9.
    Gzip,
    /// LZ4 in its high compression mode.
    Lz4,
}

/// A squashfs to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Squashfs {
    /// The architecture that most of its programs are for.
    pub platform: Platform,
    /// Compression of its blocks.
    pub packing: Packing,
    /// Block size in bytes: a power of two from 4 KiB to 1 MiB. Larger blocks make the image smaller and reading
    /// slower.
    pub block: u32,
    /// Time of every file and of the file system itself: seconds since 1970.
    pub epoch: u64,
}

impl Squashfs {
    /// Whether the format allows this block size.
    pub fn can_have_block(bytes: u32) -> bool {
        bytes.is_power_of_two() && (4 << 10..=1 << 20).contains(&bytes)
    }

    /// The execution that packs `tree` as the file [`FILE`], with the mksquashfs of a root.
    pub fn execution(&self, root: Digest, tree: Tree) -> Result<Execution, ImageError> {
        let format = "squashfs";
        let epoch = u32::try_from(self.epoch).map_err(|_| ImageError::Epoch { format, epoch: self.epoch })?;
        let top = rooted(&tree).next().transpose()?.map(|(_, entry)| entry).expect("the root comes first");
        // mksquashfs truncates longer names and still exits with status 0 (SQUASHFS_NAME_LEN).
        for (path, entry) in &tree.entries {
            check_lengths(format, path, entry, 256)?;
        }
        let mut argv = argv![
            "mksquashfs",
            "-",
            FILE,
            "-tar",
            "-noappend",
            "-quiet",
            "-no-progress",
            "-exit-on-error",
            "-reproducible"
        ];
        // Not `sqfstar`: version 4.5.1 takes the level after `-Xcompression-level` for the file to write. mksquashfs
        // creates the root itself, ignores the archive's `./` entry, and makes the user that runs it the owner.
        if (top.uid, top.gid) != (0, 0) {
            let what = format!("it belongs to {}:{}, the root of a squashfs must be 0:0", top.uid, top.gid);
            return Err(ImageError::CantHold { format, path: TreePath::ROOT, what });
        }
        argv.extend(argv!["-root-mode", format!("{:o}", top.mode)]);
        argv.extend(argv!["-root-time", epoch, "-mkfs-time", epoch, "-all-time", epoch, "-b", self.block]);
        argv.extend(match self.packing {
            Packing::Zstd => argv!["-comp", "zstd", "-Xcompression-level", 22],
            Packing::Xz => {
                let filter = self.platform.names().branch_filter.map(|filter| argv!["-Xbcj", filter]);
                [argv!["-comp", "xz"], filter.unwrap_or_default()].concat()
            }
            Packing::Gzip => argv!["-comp", "gzip", "-Xcompression-level", 9],
            Packing::Lz4 => argv!["-comp", "lz4", "-Xhc"],
        });
        if tree.entries.values().all(|entry| entry.xattrs.is_empty()) {
            argv.extend(argv!["-no-xattrs"]);
        }
        if !search_for_duplicates(&tree) {
            argv.push("-no-duplicates".into());
        }
        let command = Invocation::new(format, argv).reading(Stdin::Tar { tree, epoch: self.epoch });
        Ok(Execution { commands: vec![command], outputs: vec![OutputPath::file(FILE)], ..Execution::new(root) })
    }
}

/// How many different files of one size mksquashfs may search for duplicates: this many take a second.
const SAME_SIZE: usize = 8192;

/// Whether mksquashfs is to search for files with the same content, to store them once.
///
/// It compares each file with all others of its size: 100,000 small files take minutes. The tree has the digests, so
/// the search is skipped if no two files are the same.
fn search_for_duplicates(tree: &Tree) -> bool {
    let mut blobs: HashMap<Digest, u64> = HashMap::new();
    let mut repeated = false;
    let links = tree.hard_links();
    let files = tree.entries.iter().filter(|(path, entry)| links.earlier(path, entry).is_none());
    for (_, entry) in files {
        if let Node::File { blob, size } = entry.node
            && size > 0
        {
            repeated |= blobs.insert(blob, size).is_some();
        }
    }
    let mut sizes: HashMap<u64, usize> = HashMap::new();
    for size in blobs.values() {
        *sizes.entry(*size).or_default() += 1;
    }
    repeated && sizes.values().all(|count| *count <= SAME_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn tree(files: impl IntoIterator<Item = (String, u64)>) -> Tree {
        let mut tree = Tree::new();
        for (index, (content, size)) in files.into_iter().enumerate() {
            tree.insert(TreePath::new(&index.to_string()).unwrap(), Entry::file(Digest::of(content), size, 0o644));
        }
        tree
    }

    #[test]
    fn duplicates_are_searched_for_where_there_are_some_and_it_does_not_take_minutes() {
        let same = |content: &str| (content.to_owned(), 1);
        assert!(search_for_duplicates(&tree([same("a"), same("b"), same("a")])));
        assert!(!search_for_duplicates(&tree([same("a"), same("b")])));
        assert!(!search_for_duplicates(&tree([(String::new(), 0), (String::new(), 0)])));
        let many = |size: fn(u64) -> u64| {
            let files = (0..20_000).map(move |n| (n.to_string(), size(n)));
            tree(files.chain([("0".to_owned(), size(0))]))
        };
        assert!(!search_for_duplicates(&many(|_| 7)));
        assert!(search_for_duplicates(&many(|n| 1 + n % 10)));
    }
}
