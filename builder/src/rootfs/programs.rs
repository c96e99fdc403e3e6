//! Programs that an image has to hold because something starts them.

use crate::tree::{Node, Tree, TreePath};

/// A program that is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it has to be.
    pub path: TreePath,
    /// What it is for: `the shell of account ann`.
    pub role: String,
    /// Where the recipe states it: file, line and column.
    pub place: String,
    /// What to do where it is missing.
    pub remedy: String,
}

/// Those that a tree does not hold, a line for each.
pub(super) fn missing(programs: &[Program], tree: &Tree) -> Vec<String> {
    let line = |Program { path, role, place, remedy }: &Program| {
        let why = match tree.find(path) {
            None => "does not exist".to_owned(),
            Some(entry) => match &entry.node {
                Node::File { .. } if entry.mode & 0o111 != 0 => return None,
                Node::File { .. } => format!("is a file of mode {:o}, which is not executable", entry.mode),
                node => format!("is {}", node.kind()),
            },
        };
        Some(format!("{place}: {role}, {path}, {why}: {remedy}"))
    };
    programs.iter().filter_map(line).collect()
}
