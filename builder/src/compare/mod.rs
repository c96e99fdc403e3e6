//! Two images, or two folders of them, compared by meaning: what boots, what is in them, how it is configured. Two images
//! that only store the same in different ways (another compression, another order) have no differences, but notes.

mod content;
mod folder;
mod html;
mod image;
mod tree;

use serde::Serialize;

pub use folder::folders;
pub use html::html;
pub use image::images;

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// A file that only one side has, or another kind of image.
    Format,
    /// How it boots: boot images and partitions.
    Boot,
    /// Entries of a GRUB configuration, command lines.
    Grub,
    /// A kernel's version and properties.
    Kernel,
    /// A setting of a kernel's configuration.
    Config,
    /// A package of dpkg's database.
    Package,
    /// A package of an SBOM.
    Sbom,
    /// A file, folder, link or device of a tree.
    File,
}

impl Topic {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 8] =
        [Self::Format, Self::Boot, Self::Grub, Self::Kernel, Self::Config, Self::Package, Self::Sbom, Self::File];

    /// A heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Format => "Formats",
            Self::Boot => "Boot structures and partitions",
            Self::Grub => "GRUB entries and command lines",
            Self::Kernel => "Kernel",
            Self::Config => "Kernel configuration",
            Self::Package => "Packages",
            Self::Sbom => "SBOM",
            Self::File => "Files",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is about.
    pub topic: Topic,
    /// The images that it is in, from the outside to the inside, joined by `//`; empty for the outermost.
    pub place: String,
    /// The path, symbol, package …
    pub subject: String,
    /// Which property differs: `mode`, `content` …; empty if the subject as a whole was added or removed.
    pub property: &'static str,
    /// Its value on the first side; `None` if it was added.
    pub before: Option<String>,
    /// Its value on the second side; `None` if it was removed.
    pub after: Option<String>,
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What differs, in the order in which it was found.
    pub differences: Vec<Difference>,
    /// What differs without meaning: sizes, compression, times if they are not compared; and what could not be read.
    pub notes: Vec<String>,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct CompareOptions {
    /// Limits for each image.
    pub limits: crate::reader::Limits,
    /// Whether modification times count.
    pub times: bool,
}

impl Comparison {
    /// Adds a difference if the values differ.
    fn value<T: PartialEq + ToString>(&mut self, at: &At<'_>, property: &'static str, before: &T, after: &T) {
        if before != after {
            self.change(at, property, Some(before.to_string()), Some(after.to_string()));
        }
    }

    fn change(&mut self, at: &At<'_>, property: &'static str, before: Option<String>, after: Option<String>) {
        let (place, subject) = (at.place.to_owned(), at.subject.to_owned());
        self.differences.push(Difference { topic: at.topic, place, subject, property, before, after });
    }

    /// Adds what two sorted maps have not in common.
    fn maps(
        &mut self,
        topic: Topic,
        place: &str,
        before: &std::collections::BTreeMap<String, String>,
        after: &std::collections::BTreeMap<String, String>,
    ) {
        let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (old, new) = (before.get(name), after.get(name));
            if old != new {
                self.change(&At { topic, place, subject: name }, "", old.cloned(), new.cloned());
            }
        }
    }
}

/// The place of a difference.
struct At<'a> {
    topic: Topic,
    place: &'a str,
    subject: &'a str,
}

/// The place of something inside an image.
fn inside(place: &str, path: &str) -> String {
    if place.is_empty() { path.to_owned() } else { format!("{place}//{path}") }
}
