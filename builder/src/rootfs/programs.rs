//! Programs that an image has to contain because something starts them.

use crate::tree::{Node, Tree, TreePath};

/// A program that is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path.
    pub path: TreePath,
    /// Its purpose: `the shell of account ann`.
    pub role: String,
    /// Where the recipe states it: file, line and column.
    pub place: String,
    /// What to do if it is missing.
    pub remedy: String,
}

/// The programs that a tree does not contain, one line each.
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
