//! A tree as a tar.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Packs the files at `names` below `root` as a tar: in the order of names, with numeric owners, extended attributes
/// and hard links. Paths for which `left_out` returns true, everything below them, and sockets are skipped.
///
/// # Errors
/// Reading or writing failed.
pub fn pack<W: Write>(root: &Path, names: &[PathBuf], left_out: &dyn Fn(&Path) -> bool, out: W) -> io::Result<W> {
    pack_all(root, names, left_out, false, out)
}

/// As [`pack`], with times to the nanosecond, which takes a header more for each file.
///
/// # Errors
/// Reading or writing failed.
pub fn pack_exactly<W: Write>(
    root: &Path,
    names: &[PathBuf],
    left_out: &dyn Fn(&Path) -> bool,
    out: W,
) -> io::Result<W> {
    pack_all(root, names, left_out, true, out)
}

fn pack_all<W: Write>(
    root: &Path,
    names: &[PathBuf],
    left_out: &dyn Fn(&Path) -> bool,
    exact: bool,
    out: W,
) -> io::Result<W> {
    let mut packer = Packer { root, left_out, exact, archive: tar::Builder::new(out), linked: HashMap::new() };
    packer.archive.follow_symlinks(false);
    for name in names {
        packer.add(name)?;
    }
    packer.archive.into_inner()
}

struct Packer<'a, W: Write> {
    root: &'a Path,
    left_out: &'a dyn Fn(&Path) -> bool,
    /// With nanoseconds.
    exact: bool,
    archive: tar::Builder<W>,
    /// Files with several names, by device and inode: the first name that was packed.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<'_, W> {
    fn add(&mut self, name: &Path) -> io::Result<()> {
        let path = self.root.join(name);
        let about = fs::symlink_metadata(&path)?;
        let kind = about.file_type();
        if (self.left_out)(name) || kind.is_socket() {
            return Ok(());
        }
        let inner = if name.as_os_str().is_empty() { Path::new(".") } else { name };
        if !kind.is_dir() && about.nlink() > 1 {
            if let Some(first) = self.linked.get(&(about.dev(), about.ino())) {
                let mut header = header(&about, tar::EntryType::Link);
                return self.archive.append_link(&mut header, inner, first);
            }
            self.linked.insert((about.dev(), about.ino()), inner.to_owned());
        }
        let names: Vec<_> = match xattr::list(&path) {
            Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => Vec::new(),
            names => names?.collect(),
        };
        let mut records = Vec::new();
        for attribute in names {
            let value = xattr::get(&path, &attribute)?.unwrap_or_default();
            records.push((format!("SCHILY.xattr.{}", attribute.to_string_lossy()), value));
        }
        if self.exact && !kind.is_dir() {
            records.push(("mtime".into(), format!("{}.{:09}", about.mtime(), about.mtime_nsec()).into_bytes()));
        }
        if !records.is_empty() {
            let records = records.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            self.archive.append_pax_extensions(records)?;
        }
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() {
            // The crate would use the path on this machine instead of the name.
            let mut header = header(
                &about,
                match () {
                    () if kind.is_char_device() => tar::EntryType::Char,
                    () if kind.is_block_device() => tar::EntryType::Block,
                    () => tar::EntryType::Fifo,
                },
            );
            let part = |number: u64| u32::try_from(number).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
            header.set_device_major(part(nix::sys::stat::major(about.rdev()))?)?;
            header.set_device_minor(part(nix::sys::stat::minor(about.rdev()))?)?;
            self.archive.append_data(&mut header, inner, io::empty())?;
        } else {
            self.archive.append_path_with_name(&path, inner)?;
        }
        if about.is_dir() {
            let mut entries =
                fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
            entries.sort();
            for entry in entries {
                self.add(&name.join(entry))?;
            }
        }
        Ok(())
    }
}

/// The header of a member without content.
fn header(about: &fs::Metadata, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(about);
    header.set_entry_type(kind);
    header.set_size(0);
    header
}
