//! Templates: `live` is the live system's own tree, all others are archives in `TEMPLATE/cache`.

use super::exit::{Error, Result};
use super::process::command;
use crate::system::tree::{copy_into, unpack};
use flate2::read::MultiGzDecoder;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The live system's tree, read-only.
pub const LIVE: &str = "/system/live/ro";

/// Suffixes of archives, with the command for compressions that vzctl does not unpack itself.
const ENDINGS: &[(&str, Option<&str>)] = &[
    (".tar", None),
    (".tar.gz", None),
    (".tar.xz", Some("unxz")),
    (".tar.zst", Some("unzstd")),
    (".tar.bz2", Some("bunzip2")),
];

/// The content of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// An existing tree.
    Tree(PathBuf),
    /// An archive, and the command that unpacks its compression.
    Archive(PathBuf, Option<&'static str>),
}

impl Template {
    /// Finds a template by name. `live` is the live system's tree, `folder` that of the archives.
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

    /// Creates a tree from it in `into`, which must not exist.
    ///
    /// # Errors
    /// As [`Template::lay_out_into`].
    pub fn lay_out(&self, into: &Path) -> Result<()> {
        fs::create_dir(into)
            .map_err(|error| Error::system(format!("Unable to create directory {}", into.display()), error))?;
        self.lay_out_into(into)
    }

    /// Makes a tree of it in a folder that is there.
    ///
    /// # Errors
    /// The disk is full; the archive is damaged, or wants to write outside the tree.
    pub fn lay_out_into(&self, into: &Path) -> Result<()> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(format!("{}: {error}", into.display())),
            // tar's own message only names the file; the reason is in its source.
            _ => match std::error::Error::source(&error) {
                Some(why) => Error::Create(format!("Creation of container private area failed: {error}: {why}")),
                None => Error::Create(format!("Creation of container private area failed: {error}")),
            },
        };
        match self {
            Template::Tree(tree) => copy_into(tree, into).map_err(failed),
            Template::Archive(path, None) => {
                let mut file = File::open(path).map_err(failed)?;
                if path.extension().is_some_and(|ending| ending == "gz") {
                    return unpack(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, file)), into)
                        .map_err(failed);
                }
                unpack(&mut file, into).map_err(failed)
            }
            Template::Archive(path, Some(program)) => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tree::tests::archive;

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
}
