//! Trees that contain a whole system: copying, packing as a tar, unpacking.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

mod pack;
mod place;
mod unpack;

pub use pack::{pack, pack_exactly};
pub use unpack::unpack;

/// Copies a tree with everything that an overlay stores in it: owners, modes, times, extended attributes, devices (a
/// whiteout is one), hard links.
///
/// # Errors
/// The disk is full; the caller is not root; `to` is there.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    copy_into(from, to)
}

/// As [`copy_tree`], into a folder that is there.
///
/// # Errors
/// The disk is full; the caller is not root.
pub fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    let mut seen = HashMap::new();
    copy_entries(from, to, &mut seen)?;
    copy_attributes(from, to)
}

fn copy_entries(from: &Path, to: &Path, seen: &mut HashMap<(u64, u64), PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name), seen)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, seen: &mut HashMap<(u64, u64), PathBuf>) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, mknod};
    let about = fs::symlink_metadata(from)?;
    let kind = about.file_type();
    if !kind.is_dir() && about.nlink() > 1 {
        if let Some(first) = seen.get(&(about.dev(), about.ino())) {
            return fs::hard_link(first, to);
        }
        seen.insert((about.dev(), about.ino()), to.to_owned());
    }
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
    } else if kind.is_dir() {
        fs::create_dir(to)?;
        copy_entries(from, to, seen)?;
    } else if kind.is_file() {
        fs::copy(from, to)?;
    } else {
        let special = match () {
            () if kind.is_char_device() => SFlag::S_IFCHR,
            () if kind.is_block_device() => SFlag::S_IFBLK,
            () if kind.is_fifo() => SFlag::S_IFIFO,
            () => SFlag::S_IFSOCK,
        };
        mknod(to, special, Mode::from_bits_truncate(about.mode()), about.rdev())?;
    }
    copy_attributes(from, to)
}

/// Owner, mode, extended attributes and times, which come last.
fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    let about = fs::symlink_metadata(from)?;
    let names = match xattr::list(from) {
        // A file system without extended attributes.
        Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => None,
        names => Some(names?),
    };
    for name in names.into_iter().flatten() {
        if let Some(value) = xattr::get(from, &name)? {
            xattr::set(to, &name, &value)?;
        }
    }
    std::os::unix::fs::lchown(to, Some(about.uid()), Some(about.gid()))?;
    if !about.is_symlink() {
        // After the owner: chown takes set-user-ID away.
        fs::set_permissions(to, fs::Permissions::from_mode(about.mode() & 0o7777))?;
    }
    let time = |seconds, nanoseconds| nix::sys::time::TimeSpec::new(seconds, nanoseconds);
    let (accessed, changed) = (time(about.atime(), about.atime_nsec()), time(about.mtime(), about.mtime_nsec()));
    Ok(utimensat(nix::fcntl::AT_FDCWD, to, &accessed, &changed, UtimensatFlags::NoFollowSymlink)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::place::inside;
    use super::unpack::{set_time, time};
    use super::*;
    use nix::sys::time::TimeSpec;

    /// A tar of files.
    pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut made = tar::Builder::new(Vec::new());
        for (name, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_uid(nix::unistd::getuid().as_raw().into());
            header.set_gid(nix::unistd::getgid().as_raw().into());
            header.set_mtime(1);
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            made.append(&header, *text).unwrap();
        }
        made.into_inner().unwrap()
    }

    #[test]
    fn nothing_climbs_out() {
        let folder = tempfile::tempdir().unwrap();
        for bad in ["../escaped", "a/../../escaped"] {
            let tree = folder.path().join("tree");
            fs::create_dir_all(&tree).unwrap();
            assert!(unpack(&archive(&[(bad, b"x")])[..], &tree).is_err(), "{bad}");
            assert!(!folder.path().join("escaped").exists());
        }
        assert!(unpack(&b""[..], folder.path()).is_err());
        std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
        assert!(inside(folder.path(), Path::new("link/x")).is_err());
    }

    #[test]
    fn what_is_packed_is_unpacked_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, again) = (folder.path().join("tree"), folder.path().join("again"));
        fs::create_dir_all(tree.join("system/bin")).unwrap();
        fs::write(tree.join("system/bin/sh"), "shell").unwrap();
        fs::set_permissions(tree.join("system/bin/sh"), fs::Permissions::from_mode(0o4755)).unwrap();
        fs::write(tree.join("system/secret"), "x").unwrap();
        std::os::unix::fs::symlink("bin/sh", tree.join("system/init")).unwrap();
        nix::unistd::mkfifo(&tree.join("system/pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let secret = |name: &Path| name == Path::new("system/secret");
        let bytes = pack(&tree, &[PathBuf::new()], &secret, Vec::new()).unwrap();
        fs::create_dir(&again).unwrap();
        unpack(&bytes[..], &again).unwrap();
        assert_eq!(fs::read(again.join("system/bin/sh")).unwrap(), b"shell");
        assert_eq!(fs::metadata(again.join("system/bin/sh")).unwrap().mode() & 0o7777, 0o4755);
        assert_eq!(fs::read_link(again.join("system/init")).unwrap(), Path::new("bin/sh"));
        assert!(!again.join("system/secret").exists());
        assert!(fs::metadata(again.join("system/pipe")).unwrap().file_type().is_fifo());
        assert_eq!(pack(&tree, &[PathBuf::new()], &secret, Vec::new()).unwrap(), bytes, "the same each time");
    }

    #[test]
    fn names_of_one_file_stay_so_and_times_are_kept() {
        use std::time::{Duration, UNIX_EPOCH};
        let folder = tempfile::tempdir().unwrap();
        let (tree, again) = (folder.path().join("tree"), folder.path().join("again"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/one"), "x").unwrap();
        xattr::set(tree.join("a/b/one"), "user.mine", b"1").unwrap();
        for name in ["a/two", "three"] {
            fs::hard_link(tree.join("a/b/one"), tree.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", tree.join("a/link")).unwrap();
        fs::hard_link(tree.join("a/link"), tree.join("a/link2")).unwrap();
        nix::unistd::mkfifo(&tree.join("a/pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let times = [("a/b/one", 100), ("a/link", 200), ("a/pipe", 0), ("a/b", 400), ("a", 500), ("", 600)];
        for (name, seconds) in times {
            set_time(&tree.join(name), TimeSpec::new(seconds, 0)).unwrap();
        }
        let bytes = pack(&tree, &[PathBuf::new()], &|_| false, Vec::new()).unwrap();
        let check = || {
            let inode = |name: &str| fs::symlink_metadata(again.join(name)).unwrap().ino();
            assert_eq!(inode("a/b/one"), inode("a/two"));
            assert_eq!(inode("a/b/one"), inode("three"));
            assert_eq!(inode("a/link"), inode("a/link2"));
            assert_eq!(xattr::get(again.join("three"), "user.mine").unwrap().as_deref(), Some(&b"1"[..]));
            for (name, seconds) in times {
                let about = fs::symlink_metadata(again.join(name)).unwrap();
                assert_eq!(about.modified().unwrap(), UNIX_EPOCH + Duration::from_secs(seconds as u64), "{name}");
            }
        };
        fs::create_dir(&again).unwrap();
        unpack(&bytes[..], &again).unwrap();
        check();
        // Over what is there, as a backup comes back: files that have come apart are one again.
        fs::remove_file(again.join("three")).unwrap();
        fs::write(again.join("three"), "other").unwrap();
        unpack(&bytes[..], &again).unwrap();
        check();
    }

    #[test]
    fn links_lead_nowhere_but_into_the_tree_and_times_have_parts_of_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, host) = (folder.path().join("tree"), folder.path().join("host"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&host).unwrap();
        fs::write(host.join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(&host, tree.join("out")).unwrap();
        for (first, name) in [("out/secret", "a"), ("../host/secret", "a"), ("none", "a"), ("b", "out/c")] {
            fs::write(tree.join("b"), "").unwrap();
            let mut made = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Link);
            header.set_size(0);
            header.set_mtime(1);
            made.append_link(&mut header, name, first).unwrap();
            assert!(unpack(&made.into_inner().unwrap()[..], &tree).is_err(), "{first} {name}");
        }
        assert_eq!(fs::read_dir(&host).unwrap().count(), 1);
        for (text, seconds, nanoseconds) in [("1.5", 1, 500_000_000), ("7", 7, 0), ("-1.25", -2, 750_000_000)] {
            let mut made = tar::Builder::new(Vec::new());
            made.append_pax_extensions([("mtime", text.as_bytes())]).unwrap();
            let mut bytes = made.get_ref().clone();
            bytes.extend(archive(&[("new/file", b"x")]));
            unpack(&bytes[..], &tree).unwrap();
            let about = fs::metadata(tree.join("new/file")).unwrap();
            assert_eq!((about.mtime(), about.mtime_nsec()), (seconds, nanoseconds), "{text}");
        }
        assert_eq!((time("x"), time("1.x"), time("")), (None, None, None));
    }

    /// A capability's value holds any byte; a folder of an overlay has the attribute that hides what lies below it.
    #[test]
    fn attributes_are_kept_whatever_they_hold_and_of_folders_too() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, again) = (folder.path().join("tree"), folder.path().join("again"));
        fs::create_dir_all(tree.join("d")).unwrap();
        fs::write(tree.join("d/f"), "x").unwrap();
        fs::write(tree.join("plain"), "y").unwrap();
        let values: [(&str, &str, &[u8]); 5] = [
            ("d/f", "user.line", b"a\nb"),
            ("d/f", "user.record", b"1\n13 path=gone\n"),
            ("d/f", "user.empty", b""),
            ("d", "user.opaque", b"y"),
            ("", "user.root", b"\n"),
        ];
        for (path, name, value) in values {
            xattr::set(tree.join(path), name, value).unwrap();
        }
        let bytes = pack(&tree, &[PathBuf::new()], &|_| false, Vec::new()).unwrap();
        fs::create_dir(&again).unwrap();
        unpack(&bytes[..], &again).unwrap();
        for (path, name, value) in values {
            assert_eq!(xattr::get(again.join(path), name).unwrap().as_deref(), Some(value), "{path} {name}");
        }
        assert_eq!(xattr::list(again.join("plain")).unwrap().count(), 0, "an attribute of another member");
        assert_eq!(fs::read(again.join("plain")).unwrap(), b"y");
    }

    /// As written by GNU tar 1.34 for a file with a hole and a byte, in the formats 0.0, 0.1 and 1.0.
    #[test]
    fn sparse_files_of_pax_archives_are_refused() {
        let versions: [&[(&str, &str)]; 3] = [
            &[("GNU.sparse.size", "1048577"), ("GNU.sparse.numblocks", "1")],
            &[("GNU.sparse.size", "1048577"), ("GNU.sparse.map", "1048576,1"), ("GNU.sparse.name", "f")],
            &[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "f")],
        ];
        for records in versions {
            let mut made = tar::Builder::new(Vec::new());
            made.append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes()))).unwrap();
            let mut header = tar::Header::new_ustar();
            header.set_size(1);
            header.set_mode(0o644);
            made.append_data(&mut header, "GNUSparseFile.0/f", &b"x"[..]).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let error = unpack(&made.into_inner().unwrap()[..], folder.path()).unwrap_err();
            assert!(error.to_string().contains("tar --format=gnu"), "{error}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn copies_keep_all() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("d")).unwrap();
        fs::write(from.join("d/f"), "x").unwrap();
        fs::set_permissions(from.join("d/f"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::hard_link(from.join("d/f"), from.join("g")).unwrap();
        std::os::unix::fs::symlink("nowhere", from.join("l")).unwrap();
        copy_tree(&from, &to).unwrap();
        let f = fs::metadata(to.join("d/f")).unwrap();
        assert_eq!((f.mode() & 0o7777, f.nlink()), (0o4711, 2));
        assert_eq!(f.mtime_nsec(), fs::metadata(from.join("d/f")).unwrap().mtime_nsec());
        assert_eq!(fs::read_link(to.join("l")).unwrap(), Path::new("nowhere"));
    }
}
