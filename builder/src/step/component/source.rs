//! The source that a component is built from, unpacked.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use nix::sys::stat::SFlag;

use super::SRC;
use crate::archive::{self, Budget, tar};
use crate::beneath::Dir;
use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::rootfs::lay_out;
use crate::step::package::package_blobs;
use crate::step::{PackageFile, StepError, Work, tree_digest};
use crate::store::StoreError;
use crate::tree::Tree;

/// The source that a component is built from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An archive.
    Archive {
        /// Its name, for messages.
        name: String,
        /// Its content.
        blob: Digest,
        /// How many enclosing folders are removed; `None`: one, if it is the only entry at the top.
        strip: Option<u32>,
    },
    /// An archive in Debian packages.
    Deb {
        /// The packages.
        packages: Vec<PackageFile>,
        /// Its path in them; `None`: the only archive in `usr/src`.
        inside: Option<String>,
        /// As for an archive.
        strip: Option<u32>,
    },
    /// A folder of the project.
    Folder(Arc<Tree>),
}

impl Source {
    /// As in the key: an archive's sha256 and how its top is handled, or a folder's tree.
    pub(super) fn row(&self) -> String {
        match self {
            Self::Archive { blob, strip, .. } => format!("{}{blob}", stripped(*strip)),
            Self::Deb { packages, inside, strip } => {
                let blobs: Vec<_> = packages.iter().map(|package| package.blob.to_string()).collect();
                format!("{}deb {} {}", stripped(*strip), inside.as_deref().unwrap_or("*"), blobs.join(" "))
            }
            Self::Folder(tree) => format!("folder {}", tree_digest(tree)),
        }
    }

    /// The blobs that contain it.
    pub(super) fn blobs(&self) -> Vec<Digest> {
        match self {
            Self::Archive { blob, .. } => vec![*blob],
            Self::Deb { packages, .. } => package_blobs(packages),
            Self::Folder(_) => Vec::new(),
        }
    }

    /// Lays it out as the folder `src` of `build`; files of a project folder get the time `time`.
    pub(super) fn unpack(&self, work: &Work<'_>, build: &Dir, time: SystemTime) -> Result<(), StepError> {
        match self {
            Self::Folder(tree) => Ok(lay_out(tree, &work.contents(), &build.make_dir(SRC)?, time)?),
            Self::Archive { name, blob, strip } => unpack_archive(work, name, work.read(blob)?, build, *strip),
            Self::Deb { packages, inside, strip } => {
                let folder = work.store().work_dir()?;
                let debs = work.dir(&folder)?;
                for PackageFile { name, blob, format } in packages {
                    work.line(&format!("unpacking {name}"));
                    let data =
                        format.files(Box::new(work.read(blob)?), name, work.context.resources.jobs, work.budget())?;
                    tar::unpack_to_dir(data, name, work.budget(), &debs)?;
                }
                let path = archive_in(&debs, packages, inside.as_deref())?;
                unpack_archive(work, &path, debs.open_file(&path)?, build, *strip)
            }
        }
    }
}

/// How an archive's top is handled, as in the row `source`.
fn stripped(strip: Option<u32>) -> String {
    match strip {
        None => String::new(),
        Some(0) => "whole ".to_owned(),
        Some(folders) => format!("strip {folders} "),
    }
}

fn unpack_archive(
    work: &Work<'_>,
    name: &str,
    input: impl Read + Send + 'static,
    build: &Dir,
    strip: Option<u32>,
) -> Result<(), StepError> {
    work.line(&format!("unpacking {name}"));
    let input = archive::decompress(input, name, work.budget())?;
    let input = archive::ahead(input).map_err(StoreError::io("unpack", Path::new(name)))?;
    unpack_at(input, name, work.budget(), build, SRC, strip)
}

/// The source archive in unpacked Debian packages.
fn archive_in(debs: &Dir, packages: &[PackageFile], stated: Option<&str>) -> Result<String, StepError> {
    const FOLDER: &str = "usr/src";
    let items = match debs.list(FOLDER) {
        Err(error) if error.is_missing() => Vec::new(),
        other => other?,
    };
    let names = items.iter().filter_map(|item| item.name.to_str());
    let mut archives: Vec<String> =
        names.filter(|name| name.contains(".tar")).map(|name| format!("{FOLDER}/{name}")).collect();
    if let Some(stated) = stated {
        if debs.has_file(stated) {
            return Ok(stated.to_owned());
        }
    } else if archives.len() == 1 {
        return Ok(archives.remove(0));
    }
    let packages = packages.iter().map(|package| package.name.clone()).collect();
    Err(StepError::NoSource { packages, stated: stated.map(str::to_owned), archives })
}

/// Unpacks an archive as the new folder `to` of `dir`: completely, without leaving out or overwriting anything. `strip`
/// enclosing folders are removed; if that is not stated, one, if it is the only entry at the top.
pub(super) fn unpack_at(
    input: impl Read,
    name: &str,
    budget: &Budget,
    dir: &Dir,
    to: &str,
    strip: Option<u32>,
) -> Result<(), StepError> {
    const UNPACKED: &str = "unpacked";
    let unpacked = dir.make_dir(UNPACKED)?;
    tar::unpack_to_dir(input, name, budget, &unpacked)?;
    let mut top = PathBuf::from(UNPACKED);
    for level in 0..strip.unwrap_or(1) {
        match &dir.list(&top)?[..] {
            [only] if only.kind() == SFlag::S_IFDIR => top.push(&only.name),
            _ if strip.is_none() => break,
            items => {
                let items = items.iter().map(|item| item.name.to_string_lossy().into_owned()).collect();
                return Err(StepError::Strip { archive: name.to_owned(), strip: strip.unwrap_or(1), level, items });
            }
        }
    }
    dir.rename(&top, to)?;
    // The removed folders.
    while top.pop() && !top.as_os_str().is_empty() {
        dir.remove_dir(&top)?;
    }
    Ok(())
}
