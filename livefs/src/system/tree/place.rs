//! Names of a tree's files, which can't lead out of it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The path of a name in the tree, if all its parents are folders of the tree.
pub(crate) fn inside(tree: &Path, name: &Path) -> io::Result<PathBuf> {
    let mut path = tree.to_owned();
    let mut parts = name.components().filter(|part| *part != Component::CurDir).peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else { return Err(outside(name)) };
        path.push(part);
        if parts.peek().is_some() && !fs::symlink_metadata(&path)?.is_dir() {
            return Err(outside(name));
        }
    }
    Ok(path)
}

/// The path of a name in the tree; missing parent folders are created.
pub(in crate::system) fn place(tree: &Path, name: &Path) -> io::Result<PathBuf> {
    let name = relative(name);
    for folder in name.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
        match fs::create_dir(inside(tree, folder)?) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    inside(tree, &name)
}

/// A name as GNU `tar` reads it, which makes absolute names relative.
pub(in crate::system) fn relative(name: &Path) -> PathBuf {
    name.components().filter(|part| !matches!(part, Component::RootDir)).collect()
}

pub(in crate::system) fn outside(name: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is outside of the tree", name.display()))
}
