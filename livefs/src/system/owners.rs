//! Owners of a tree, shifted for a container with a user namespace: files of root inside belong to its LOCAL_UID here.
//!
//! Shifted once, when the tree is created, and not mapped by its mounts: of the file systems that a tree may be on,
//! Linux 6.1 only supports mapping for ext4, not for tmpfs or squashfs. The owners on disk are then the actual ones.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::Path;

/// The number of users and groups in a container; its own IDs are below this.
pub const COUNT: u32 = 65_536;

/// The attribute with a program's capabilities (include/uapi/linux/capability.h, `vfs_cap_data`).
const CAPABILITIES: &str = "security.capability";

/// Shifts all owners in a folder, including its own: `uid` and `gid` are those of root inside, from [`COUNT`] on.
/// Paths, relative to the folder, for which `left_out` is true are skipped, with everything below. Owners that are
/// shifted already stay, so a second call, after an error, finishes the work.
///
/// # Errors
/// A file has an owner outside the container's range; the caller is not root.
pub fn shift(tree: &Path, uid: u32, gid: u32, left_out: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    below(tree, Path::new(""), uid, gid, left_out)
}

fn below(tree: &Path, inner: &Path, uid: u32, gid: u32, left_out: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    if left_out(inner) {
        return Ok(());
    }
    let path = if inner.as_os_str().is_empty() { tree.to_owned() } else { tree.join(inner) };
    let about = fs::symlink_metadata(&path)?;
    let failed = |text: String| io::Error::other(format!("{}: {text}", path.display()));
    let (owner, group) = (shifted(about.uid(), uid), shifted(about.gid(), gid));
    let (Some(owner), Some(group)) = (owner, group) else {
        let text =
            format!("belongs to {}:{}, but ids in a container are at most {}", about.uid(), about.gid(), COUNT - 1);
        return Err(failed(text));
    };
    if (owner, group) != (about.uid(), about.gid()) {
        let kind = about.file_type();
        let capabilities = if kind.is_file() { xattr::get(&path, CAPABILITIES).unwrap_or(None) } else { None };
        lchown(&path, Some(owner), Some(group)).map_err(|error| failed(error.to_string()))?;
        // Changing the owner has removed these two.
        if kind.is_file() || kind.is_fifo() {
            fs::set_permissions(&path, fs::Permissions::from_mode(about.mode() & 0o7777))?;
        }
        if let Some(value) = capabilities {
            let value =
                of_namespace(&value, uid).ok_or_else(|| failed("its capabilities have an unknown format".into()))?;
            xattr::set(&path, CAPABILITIES, &value)?;
        }
    }
    if about.is_dir() {
        for entry in fs::read_dir(&path)? {
            below(tree, &inner.join(entry?.file_name()), uid, gid, left_out)?;
        }
    }
    Ok(())
}

/// An ID inside as the host's; None if it is out of range.
fn shifted(number: u32, first: u32) -> Option<u32> {
    match number {
        number if number < COUNT => first.checked_add(number),
        number if number >= first && number - first < COUNT => Some(number),
        _ => None,
    }
}

/// A program's capabilities, restricted to the user namespace whose root is `uid`: revision 3.
fn of_namespace(value: &[u8], uid: u32) -> Option<Vec<u8>> {
    let magic = u32::from_le_bytes(value.get(..4)?.try_into().ok()?);
    let (revision, flags) = (magic & 0xff00_0000, magic & 0x00ff_ffff);
    let sets = value.get(4..20)?;
    if ![0x0200_0000, 0x0300_0000].contains(&revision) {
        return None;
    }
    Some([&(0x0300_0000 | flags).to_le_bytes()[..], sets, &uid.to_le_bytes()[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 1000, 65_535].map(|number| shifted(number, 100_000)), [100_000, 101_000, 165_535].map(Some));
        assert_eq!([100_000, 165_535].map(|number| shifted(number, 100_000)), [100_000, 165_535].map(Some));
        assert_eq!([65_536, 99_999, 165_536, u32::MAX].map(|number| shifted(number, 100_000)), [None; 4]);
    }

    #[test]
    fn capabilities_are_the_containers() {
        let mut two = 0x0200_0001_u32.to_le_bytes().to_vec();
        two.extend([0, 0x20, 0, 0]);
        two.extend([0; 12]);
        let three = of_namespace(&two, 100_000).unwrap();
        assert_eq!((three.len(), &three[..4]), (24, &0x0300_0001_u32.to_le_bytes()[..]));
        assert_eq!((&three[4..20], &three[20..]), (&two[4..20], &100_000_u32.to_le_bytes()[..]));
        assert_eq!(of_namespace(&two[..12], 1), None);
        assert_eq!(of_namespace(&[0; 20], 1), None);
    }

    #[test]
    fn a_tree_is_shifted_by_root_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("usr/bin")).unwrap();
        fs::write(at("usr/bin/su"), "").unwrap();
        fs::hard_link(at("usr/bin/su"), at("usr/bin/sg")).unwrap();
        fs::set_permissions(at("usr/bin/su"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::create_dir(at("system")).unwrap();
        let left_out = |path: &Path| path == Path::new("system");
        let done = shift(folder.path(), 100_000, 200_000, &left_out);
        if !nix::unistd::geteuid().is_root() {
            assert!(done.is_err());
            return;
        }
        done.unwrap();
        shift(folder.path(), 100_000, 200_000, &left_out).unwrap();
        for name in ["", "usr", "usr/bin", "usr/bin/su", "usr/bin/sg"] {
            let about = fs::symlink_metadata(at(name)).unwrap();
            assert_eq!((about.uid(), about.gid()), (100_000, 200_000), "{name}");
        }
        assert_eq!(fs::metadata(at("usr/bin/sg")).unwrap().mode() & 0o7777, 0o4755);
        assert_eq!(fs::metadata(at("system")).unwrap().uid(), 0);
    }
}
