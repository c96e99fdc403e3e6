//! Private areas that are brought to the same state: only what differs is sent, as with rsync(1). A file is taken for the
//! same if type, owner, permissions, size, and time are.

use super::wire::{Entry, Name};
use crate::system::tree::pack_exactly;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Everything below a folder except sockets, in no particular order.
///
/// # Errors
/// It can't be read.
pub fn list(root: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let path = folder.join(entry?.file_name());
            let about = match fs::symlink_metadata(root.join(&path)) {
                // The container is running.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                about => about?,
            };
            let is_folder = about.is_dir();
            if about.file_type().is_socket() {
                continue;
            }
            let of_file = |number: u64| if is_folder { 0 } else { number };
            entries.push(Entry {
                name: Name::of(&path),
                mode: about.mode(),
                uid: about.uid(),
                gid: about.gid(),
                size: of_file(about.size()),
                time: if is_folder { (0, 0) } else { (about.mtime(), about.mtime_nsec()) },
                names: if is_folder { 1 } else { about.nlink() },
            });
            if is_folder {
                folders.push(path);
            }
        }
    }
    Ok(entries)
}

/// What has to be done to make one tree like another.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Removed, in the order in which that is possible.
    pub gone: Vec<Name>,
    /// Sent. Folders are always sent, as their attributes may differ.
    pub changed: BTreeSet<Name>,
}

/// What differs between the source's tree and the destination's.
pub fn difference(source: &[Entry], destination: &[Entry]) -> Difference {
    let there: BTreeMap<&Name, &Entry> =
        destination.iter().map(|entry| (&entry.name, entry)).collect::<BTreeMap<_, _>>();
    let here: BTreeMap<&Name, &Entry> = source.iter().map(|entry| (&entry.name, entry)).collect();
    let mut made = Difference::default();
    for (name, entry) in &here {
        // Which names belong to the same file is not known here, so all those files are sent.
        if there.get(name).is_none_or(|there| *there != *entry) || entry.names > 1 {
            made.changed.insert((*name).clone());
        }
    }
    let kind = |entry: &Entry| entry.mode & nix::libc::S_IFMT;
    let mut gone: Vec<&Entry> = destination
        .iter()
        .filter(|entry| here.get(&entry.name).is_none_or(|here| kind(here) != kind(entry) || entry.names > 1))
        .collect();
    gone.sort_by(|a, b| b.name.cmp(&a.name));
    made.gone = gone.into_iter().map(|entry| entry.name.clone()).collect();
    made
}

/// Packs what has changed below a folder as a tar.
///
/// # Errors
/// Reading or writing failed.
pub fn send(root: &Path, changed: &BTreeSet<Name>, out: &mut dyn Write) -> io::Result<()> {
    let left_out = |path: &Path| {
        let is_folder = fs::symlink_metadata(root.join(path)).is_ok_and(|about| about.is_dir());
        !is_folder && !changed.contains(&Name::of(path))
    };
    pack_exactly(root, &[PathBuf::new()], &left_out, out).map(|_| ())
}

/// Removes files and folders; what is not there is removed already.
///
/// # Errors
/// A name leads elsewhere, or it can't be removed.
pub fn remove(root: &Path, names: &[Name]) -> io::Result<()> {
    for name in names {
        let path = name.path()?;
        // A link in the way would lead elsewhere: the tree here is the one that was listed.
        let mut parents = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
        if parents.any(|above| fs::symlink_metadata(root.join(above)).is_ok_and(|about| !about.is_dir())) {
            continue;
        }
        let path = root.join(path);
        let done = match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(error) => Err(error),
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tree::unpack;
    use std::os::unix::fs::symlink;

    /// Brings one folder to the state of the other; gives how many bytes and names that took.
    fn sync(from: &Path, to: &Path) -> (usize, usize) {
        let difference = difference(&list(from).unwrap(), &list(to).unwrap());
        remove(to, &difference.gone).unwrap();
        let mut tar = Vec::new();
        send(from, &difference.changed, &mut tar).unwrap();
        unpack(tar.as_slice(), to).unwrap();
        let files = |root: &Path| {
            let mut all = list(root).unwrap();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all
        };
        assert_eq!(files(from), files(to));
        (tar.len(), difference.changed.len())
    }

    #[test]
    fn only_what_differs_is_sent() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (one.path(), two.path());
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/large"), vec![1; 500_000]).unwrap();
        fs::write(from.join("a/b/small"), "1").unwrap();
        symlink("b", from.join("a/link")).unwrap();
        fs::hard_link(from.join("a/b/small"), from.join("other")).unwrap();
        assert!(sync(from, to).0 > 500_000);
        assert!(sync(from, to).0 < 20_000, "nothing has changed");
        fs::write(from.join("a/b/small"), "22").unwrap();
        fs::remove_file(from.join("a/link")).unwrap();
        fs::create_dir(from.join("a/link")).unwrap();
        fs::write(from.join("a/link/new"), "").unwrap();
        fs::write(to.join("a/foreign"), "").unwrap();
        assert!(sync(from, to).0 < 20_000);
        assert_eq!(fs::read_to_string(to.join("other")).unwrap(), "22");
        assert_eq!(fs::metadata(to.join("other")).unwrap().nlink(), 2);
        fs::remove_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a"), "a file now").unwrap();
        sync(from, to);
    }
}
