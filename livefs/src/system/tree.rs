//! Trees that contain a whole system: copying, packing as a tar, unpacking.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::attributes::{Attributes, without_attributes};

/// Copies a tree with everything that an overlay stores in it: owners, modes, times, extended attributes, devices (a
/// whiteout is one), hard links.
///
/// # Errors
/// The disk is full; the caller is not root.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    copy(from, to, &mut std::collections::HashMap::new())
}

fn copy(from: &Path, to: &Path, seen: &mut std::collections::HashMap<(u64, u64), PathBuf>) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
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
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name), seen)?;
        }
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
    if !kind.is_symlink() {
        // After the owner: chown clears set-user-ID.
        fs::set_permissions(to, fs::Permissions::from_mode(about.mode() & 0o7777))?;
    }
    let time = |seconds, nanoseconds| nix::sys::time::TimeSpec::new(seconds, nanoseconds);
    let (accessed, changed) = (time(about.atime(), about.atime_nsec()), time(about.mtime(), about.mtime_nsec()));
    Ok(utimensat(nix::fcntl::AT_FDCWD, to, &accessed, &changed, UtimensatFlags::NoFollowSymlink)?)
}

/// Packs `names` below `root` as a tar: in the order of names, with numeric owners and extended attributes. Paths for
/// which `left_out` is true are skipped, with everything below; sockets always are.
///
/// # Errors
/// Reading or writing failed.
pub fn pack<W: Write>(root: &Path, names: &[PathBuf], left_out: &dyn Fn(&Path) -> bool, out: W) -> io::Result<W> {
    let mut archive = tar::Builder::new(out);
    archive.follow_symlinks(false);
    for name in names {
        pack_one(root, name, left_out, &mut archive)?;
    }
    archive.into_inner()
}

fn pack_one<W: Write>(
    root: &Path,
    name: &Path,
    left_out: &dyn Fn(&Path) -> bool,
    archive: &mut tar::Builder<W>,
) -> io::Result<()> {
    let path = root.join(name);
    let about = fs::symlink_metadata(&path)?;
    if left_out(name) || about.file_type().is_socket() {
        return Ok(());
    }
    let inner = if name.as_os_str().is_empty() { Path::new(".") } else { name };
    let names: Vec<_> = match xattr::list(&path) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => Vec::new(),
        names => names?.collect(),
    };
    let mut records = Vec::new();
    for attribute in names {
        let value = xattr::get(&path, &attribute)?.unwrap_or_default();
        records.push((format!("SCHILY.xattr.{}", attribute.to_string_lossy()), value));
    }
    if !records.is_empty() {
        archive.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
    }
    let kind = about.file_type();
    if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() {
        // The crate would use the path on this machine instead of the name.
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&about);
        header.set_entry_type(match () {
            () if kind.is_char_device() => tar::EntryType::Char,
            () if kind.is_block_device() => tar::EntryType::Block,
            () => tar::EntryType::Fifo,
        });
        header.set_size(0);
        let part = |number: u64| u32::try_from(number).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
        header.set_device_major(part(nix::sys::stat::major(about.rdev()))?)?;
        header.set_device_minor(part(nix::sys::stat::minor(about.rdev()))?)?;
        archive.append_data(&mut header, inner, io::empty())?;
    } else {
        archive.append_path_with_name(&path, inner)?;
    }
    if about.is_dir() {
        let mut entries = fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        for entry in entries {
            pack_one(root, &name.join(entry), left_out, archive)?;
        }
    }
    Ok(())
}

/// Unpacks a tar into a folder, with numeric owners, modes, times, extended attributes, links and devices. Nothing gets
/// outside: a name with `..`, or below a symlink, is an error.
pub fn unpack(reader: impl Read, into: &Path) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let root = nix::unistd::geteuid().is_root();
    let (reader, kept) = without_attributes(reader);
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(root);
    archive.set_overwrite(true);
    let mut entries = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        entries += 1;
        let attributes = kept.take();
        refuse_pax_sparse(&mut entry)?;
        let kind = entry.header().entry_type();
        let name = entry.path()?.into_owned();
        if !(kind.is_character_special() || kind.is_block_special() || kind.is_fifo()) {
            if !entry.unpack_in(into)? {
                return Err(outside(&name));
            }
            if !(kind.is_symlink() || kind.is_hard_link()) {
                set_attributes(into, &name, attributes, root)?;
            }
            continue;
        }
        let path = inside(into, &name)?;
        let header = entry.header();
        let device = makedev(header.device_major()?.unwrap_or(0).into(), header.device_minor()?.unwrap_or(0).into());
        let special = match () {
            () if kind.is_character_special() => SFlag::S_IFCHR,
            () if kind.is_block_special() => SFlag::S_IFBLK,
            () => SFlag::S_IFIFO,
        };
        let _ = fs::remove_file(&path);
        mknod(&path, special, Mode::empty(), device)?;
        if root {
            let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
            std::os::unix::fs::lchown(&path, Some(id(header.uid()?)?), Some(id(header.gid()?)?))?;
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(header.mode()? & 0o7777);
        fs::set_permissions(&path, mode)?;
        set_attributes(into, &name, attributes, root)?;
    }
    if entries == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is empty"));
    }
    Ok(())
}

/// Sets the attributes of a member's extended header, after its owner, as changing that removes capabilities. Without
/// root only `user.` attributes can be set.
fn set_attributes(into: &Path, name: &Path, attributes: Attributes, root: bool) -> io::Result<()> {
    // As the crate does, which makes absolute names relative.
    let name: PathBuf = name.components().filter(|part| !matches!(part, Component::RootDir)).collect();
    for (attribute, value) in attributes {
        if root || attribute.as_encoded_bytes().starts_with(b"user.") {
            xattr::set(inside(into, &name)?, &attribute, &value).map_err(|error| {
                let (name, attribute) = (name.display(), attribute.to_string_lossy());
                io::Error::new(error.kind(), format!("cannot set the attribute {attribute} of {name}: {error}"))
            })?;
        }
    }
    Ok(())
}

/// `tar` only supports sparse files in the old GNU format; one in a PAX archive would silently lose its holes and its
/// name (GNU tar's manual, "Storing Sparse Files").
fn refuse_pax_sparse<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<()> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    for extension in extensions {
        if extension?.key_bytes().starts_with(b"GNU.sparse.") {
            let message = format!(
                "{} is a sparse file in the PAX format, which is not supported: pack it with `tar --format=gnu`",
                entry.path()?.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    Ok(())
}

/// The path of a name in the tree, if all components on the way are folders of the tree.
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

fn outside(name: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is outside of the tree", name.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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

    /// A capability's value can contain any byte; a folder of an overlay has the attribute that hides what is below it.
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
