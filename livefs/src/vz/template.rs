//! Templates: `live` is the live system's own tree, all others are archives in `TEMPLATE/cache`.

use super::exit::{Error, Result};
use super::process::command;
use super::snapshots::copy_tree;
use flate2::read::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Stdio};

/// The live system's tree, read-only.
pub const LIVE: &str = "/system/live/ro";

/// Endings of archives, with the command that unpacks what we can't ourselves.
const ENDINGS: &[(&str, Option<&str>)] = &[
    (".tar", None),
    (".tar.gz", None),
    (".tar.xz", Some("unxz")),
    (".tar.zst", Some("unzstd")),
    (".tar.bz2", Some("bunzip2")),
];

/// Where a template comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// A tree that is there.
    Tree(PathBuf),
    /// An archive, and the command that unpacks its compression.
    Archive(PathBuf, Option<&'static str>),
}

impl Template {
    /// Looks for a template by name. `live` is the live system's tree, `folder` that of the archives.
    ///
    /// # Errors
    /// [`Error::TemplateMissing`]
    pub fn find(name: &str, live: &Path, folder: &Path) -> Result<Template> {
        if name == "live" && live.is_dir() {
            return Ok(Template::Tree(live.to_owned()));
        }
        let base = folder.join("cache").join(name);
        let missing = || {
            Error::TemplateMissing(format!("Cached OS template {}.tar[.gz|.xz|.zst|.bz2] not found", base.display()))
        };
        if name.contains('/') || name.starts_with('.') || name.is_empty() {
            return Err(missing());
        }
        let with = |ending: &str| base.with_file_name(format!("{name}{ending}"));
        let found = ENDINGS.iter().find(|(ending, _)| with(ending).is_file()).ok_or_else(missing)?;
        Ok(Template::Archive(with(found.0), found.1))
    }

    /// Makes a tree of it in `into`, which must not exist.
    ///
    /// # Errors
    /// The disk is full; the archive is damaged, or wants to write outside the tree.
    pub fn lay_out(&self, into: &Path) -> Result<()> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(format!("{}: {error}", into.display())),
            // tar's own words only name the file; why is in the error below.
            _ => match std::error::Error::source(&error) {
                Some(why) => Error::Create(format!("Creation of container private area failed: {error}: {why}")),
                None => Error::Create(format!("Creation of container private area failed: {error}")),
            },
        };
        match self {
            Template::Tree(tree) => copy_tree(tree, into).map_err(failed),
            Template::Archive(path, None) => {
                let mut file = File::open(path).map_err(failed)?;
                fs::create_dir(into).map_err(failed)?;
                if path.extension().is_some_and(|ending| ending == "gz") {
                    return unpack(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, file)), into)
                        .map_err(failed);
                }
                unpack(&mut file, into).map_err(failed)
            }
            Template::Archive(path, Some(program)) => {
                fs::create_dir(into).map_err(failed)?;
                let file = File::open(path).map_err(failed)?;
                let mut child: Child =
                    command(program).stdin(file).stdout(Stdio::piped()).spawn().map_err(|error| {
                        Error::Create(format!("Unable to unpack {}: {program}: {error}", path.display()))
                    })?;
                let output = child.stdout.take().unwrap_or_else(|| unreachable!("its output is piped"));
                let unpacked = unpack(output, into);
                let status = child.wait().map_err(failed)?;
                unpacked.map_err(failed)?;
                if status.success() {
                    return Ok(());
                }
                Err(Error::Create(format!("Unable to unpack {}: {program} ended with {status}", path.display())))
            }
        }
    }
}

/// Unpacks a tar into a folder, with numeric owners, modes, times, extended attributes, links and devices. Nothing climbs out of it:
/// a name with `..`, or below a symlink, is an error.
fn unpack(reader: impl Read, into: &Path) -> io::Result<()> {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let root = nix::unistd::geteuid().is_root();
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(root);
    archive.set_unpack_xattrs(root);
    archive.set_overwrite(true);
    let mut entries = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        entries += 1;
        let kind = entry.header().entry_type();
        if !(kind.is_character_special() || kind.is_block_special() || kind.is_fifo()) {
            if !entry.unpack_in(into)? {
                return Err(outside(&entry.path()?));
            }
            continue;
        }
        let name = entry.path()?.into_owned();
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
    }
    if entries == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is empty"));
    }
    Ok(())
}

/// A name's place in the tree, if all on the way are folders of the tree.
fn inside(tree: &Path, name: &Path) -> io::Result<PathBuf> {
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
    io::Error::new(io::ErrorKind::InvalidData, format!("{} leads out of the tree", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
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
    fn found_and_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("cache")).unwrap();
        let error = Template::find("web", &at("none"), folder.path()).unwrap_err();
        assert_eq!(error.code(), 91);
        for bad in ["../web", "", ".", "live"] {
            assert_eq!(Template::find(bad, &at("none"), folder.path()).unwrap_err().code(), 91, "{bad}");
        }
        let packed = File::create(at("cache/web.tar.gz")).unwrap();
        let mut gz = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        io::Write::write_all(&mut gz, &archive(&[("etc-file", b"hello")])).unwrap();
        gz.finish().unwrap();
        let template = Template::find("web", &at("none"), folder.path()).unwrap();
        template.lay_out(&at("tree")).unwrap();
        assert_eq!(fs::read(at("tree/etc-file")).unwrap(), b"hello");
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
}
