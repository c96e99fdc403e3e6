//! Programs and files that an image has to contain because something starts or reads them.

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

/// A file that something reads, at one of several paths.
#[derive(Clone, Debug)]
pub struct NeededFile {
    /// Where it may be.
    pub paths: Vec<TreePath>,
    /// Its purpose: `the keyboard map of \`keymap: de\``.
    pub role: String,
    /// Where the recipe states it: file, line and column.
    pub place: String,
    /// What to do if it is missing.
    pub remedy: String,
}

/// The files that a tree does not contain, one line each.
pub(super) fn missing_files(files: &[NeededFile], tree: &Tree) -> Vec<String> {
    let is_file = |path: &TreePath| tree.find(path).is_some_and(|entry| matches!(entry.node, Node::File { .. }));
    let missing = files.iter().filter(|file| !file.paths.iter().any(is_file));
    let line = |NeededFile { paths, role, place, remedy }: &NeededFile| {
        let paths: Vec<String> = paths.iter().map(TreePath::to_string).collect();
        format!("{place}: {role}, {}, does not exist: {remedy}", paths.join(" or "))
    };
    missing.map(line).collect()
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
