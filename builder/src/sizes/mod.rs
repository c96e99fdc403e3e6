//! Where the bytes of an image come from: of an image of any origin by its containers and files, of one that a recipe
//! built also by the parts of the recipe.

mod group;
mod html;
mod measure;
mod treemap;

pub use group::{Group, Grouping, groups};
pub use html::html;
pub use measure::{MadeBy, MeasureError, measure};

/// A file of an image, a container in it, or what a container needs beside its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file's name or its path in the container around it, as bytes; empty for what is no file.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: PartKind,
    /// Bytes of the outermost file.
    pub bytes: u64,
    /// Bytes of its content.
    pub size: u64,
    /// What brought it, if that is known: `component busybox`.
    pub origin: Option<String>,
    /// The recipe's line that lists the origin, `file:line:column`.
    pub place: Option<String>,
    /// The parts of a container; their bytes add up to its own.
    pub parts: Vec<Part>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// A file that is no container.
    File,
    /// A container, in words: `a squashfs`.
    Container(String),
    /// Headers, tables, padding, and names of files.
    Structure,
}

impl Part {
    /// Calls `visit` for each part that has none itself, with the containers around it, the outermost first.
    pub fn each_leaf<'a>(&'a self, visit: &mut dyn FnMut(&[&'a Part], &'a Part)) {
        fn walk<'a>(part: &'a Part, above: &mut Vec<&'a Part>, visit: &mut dyn FnMut(&[&'a Part], &'a Part)) {
            if part.parts.is_empty() {
                return visit(above, part);
            }
            above.push(part);
            part.parts.iter().for_each(|inner| walk(inner, above, visit));
            above.pop();
        }
        walk(self, &mut Vec::new(), visit);
    }
}
