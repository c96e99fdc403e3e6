//! A tree from a tar.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use nix::sys::time::TimeSpec;

use super::place::{inside, outside, place, relative};
use crate::system::attributes::{Attributes, without_attributes};

/// Unpacks a tar into a folder, with numeric owners, modes, times, extended attributes, links and devices. Nothing is
/// written outside the folder: a name with `..`, or below a symlink, is an error.
///
/// # Errors
/// The disk is full, or the archive is damaged.
pub fn unpack(reader: impl Read, into: &Path) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let root = nix::unistd::geteuid().is_root();
    let (reader, kept) = without_attributes(reader);
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(root);
    archive.set_preserve_mtime(false);
    archive.set_overwrite(true);
    let mut entries = 0;
    // Creating a file in a folder changes the folder's time, so these are set last.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        entries += 1;
        let attributes = kept.take();
        let changed = read_extensions(&mut entry)?;
        let kind = entry.header().entry_type();
        let name = entry.path()?.into_owned();
        if kind.is_hard_link() {
            let first = entry.link_name()?.ok_or_else(|| outside(&name))?.into_owned();
            link(into, &relative(&first), &relative(&name))?;
            continue;
        }
        if !(kind.is_character_special() || kind.is_block_special() || kind.is_fifo()) {
            if !entry.unpack_in(into)? {
                return Err(outside(&name));
            }
            if !kind.is_symlink() {
                set_attributes(into, &name, attributes, root)?;
            }
        } else {
            let path = place(into, &name)?;
            let header = entry.header();
            let (major, minor) = (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0));
            let special = match () {
                () if kind.is_character_special() => SFlag::S_IFCHR,
                () if kind.is_block_special() => SFlag::S_IFBLK,
                () => SFlag::S_IFIFO,
            };
            let _ = fs::remove_file(&path);
            mknod(&path, special, Mode::empty(), makedev(major.into(), minor.into()))?;
            if root {
                let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
                std::os::unix::fs::lchown(&path, Some(id(header.uid()?)?), Some(id(header.gid()?)?))?;
            }
            let mode = std::os::unix::fs::PermissionsExt::from_mode(header.mode()? & 0o7777);
            fs::set_permissions(&path, mode)?;
            set_attributes(into, &name, attributes, root)?;
        }
        let path = inside(into, &relative(&name))?;
        if kind.is_dir() {
            folders.push((path, changed));
        } else {
            set_time(&path, changed)?;
        }
    }
    if entries == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is empty"));
    }
    folders.iter().try_for_each(|(path, changed)| set_time(path, *changed))
}

/// Gives an existing file a further name, replacing what has that name.
fn link(into: &Path, first: &Path, name: &Path) -> io::Result<()> {
    let (first, path) = (inside(into, first)?, place(into, name)?);
    if first == path {
        return Ok(());
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::hard_link(&first, &path).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot link {} to {}: {error}", path.display(), first.display()))
    })
}

/// Sets the modification time of a file; for a symlink, its own time.
pub(super) fn set_time(path: &Path, changed: TimeSpec) -> io::Result<()> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    let accessed = TimeSpec::UTIME_OMIT;
    Ok(utimensat(nix::fcntl::AT_FDCWD, path, &accessed, &changed, UtimensatFlags::NoFollowSymlink)?)
}

/// Sets the attributes in a member's extended header, after its owner, as changing the owner removes capabilities. A
/// user other than root may set `user.` attributes only.
fn set_attributes(into: &Path, name: &Path, attributes: Attributes, root: bool) -> io::Result<()> {
    let name = relative(name);
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

/// The modification time of a member: its extended header has fractions of seconds.
///
/// The crate `tar` reads sparse files in the old GNU format only. One in a PAX archive, which would silently lose its
/// holes and its name, is an error (GNU tar's manual, "Storing Sparse Files").
fn read_extensions<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<TimeSpec> {
    let mut changed = TimeSpec::new(i64::try_from(entry.header().mtime()?).unwrap_or(i64::MAX), 0);
    let Some(extensions) = entry.pax_extensions()? else { return Ok(changed) };
    let mut sparse = false;
    for extension in extensions {
        let extension = extension?;
        sparse |= extension.key_bytes().starts_with(b"GNU.sparse.");
        if extension.key_bytes() == b"mtime" {
            changed = extension.value().ok().and_then(time).unwrap_or(changed);
        }
    }
    if sparse {
        let message = format!(
            "{} is a sparse file in the PAX format, which is not supported: pack it with `tar --format=gnu`",
            entry.path()?.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(changed)
}

/// Seconds since 1970 with a decimal fraction, as in extended headers.
pub(super) fn time(text: &str) -> Option<TimeSpec> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (seconds, nanoseconds) = (whole.parse().ok()?, format!("{fraction:0<9.9}").parse().ok()?);
    Some(match whole.starts_with('-') && nanoseconds > 0 {
        true => TimeSpec::new(i64::checked_sub(seconds, 1)?, 1_000_000_000 - nanoseconds),
        false => TimeSpec::new(seconds, nanoseconds),
    })
}
