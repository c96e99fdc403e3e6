//! The kinds of output of a recipe, and their compressions. [`plan::outputs`](crate::plan) plans how each is made.

use super::decode::{Decode, FindingSink, word};
use super::node::YamlNode;
use crate::image::compress::Compression;

/// An output of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutputKind {
    /// `bzImage`, and `config` and `System.map` if the kernel has them.
    BzImage,
    /// `initrd.img`.
    Initrd,
    /// `grub.cfg`.
    GrubCfg,
    /// `<recipe>.iso`.
    Iso,
    /// `<recipe>.tar.gz`, a template of containers and systems.
    Template,
    /// `<recipe>.rootfs.tar.zst`, the root filesystem as an archive.
    Rootfs,
    /// `<recipe>.squashfs`, the root filesystem as a file system.
    Squashfs,
    /// `<recipe>.erofs`, the same in another format.
    Erofs,
}

/// The words of the recipe and of `--only`.
const WORDS: [(&str, OutputKind); 8] = [
    ("bzimage", OutputKind::BzImage),
    ("initrd", OutputKind::Initrd),
    ("grub-cfg", OutputKind::GrubCfg),
    ("iso", OutputKind::Iso),
    ("template", OutputKind::Template),
    ("rootfs", OutputKind::Rootfs),
    ("squashfs", OutputKind::Squashfs),
    ("erofs", OutputKind::Erofs),
];

impl OutputKind {
    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(_, kind)| *kind)
    }

    /// Its word in recipes and in `--only`.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// The kind with that word; the error lists all words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            format!("expected one of: {}", words.join(", "))
        })
    }
}

impl Decode for OutputKind {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        word(node, &WORDS, sink)
    }
}

impl Decode for Compression {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let words =
            [("zstd", Self::Zstd), ("xz", Self::Xz), ("gzip", Self::Gzip), ("lz4", Self::Lz4), ("none", Self::None)];
        word(node, &words, sink)
    }
}
