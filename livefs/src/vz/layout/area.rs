//! Private areas: the operations that differ by layout, and those that are the same for all.

use crate::durable::sync_folder;
use crate::vz::conf::Config;
use crate::vz::exit::{Error, Result};
use crate::vz::node::{Mount, MountSource, Node};
use crate::vz::snapshots::Snapshots;
use crate::vz::template::Template;
use std::fs;
use std::path::{Path, PathBuf};

/// A private area that is to be made.
pub struct New<'a> {
    /// Its initial content.
    pub template: &'a Template,
    /// The template's name.
    pub name: &'a str,
    /// `TEMPLATE`
    pub templates: &'a Path,
    /// Where it is made. The path does not exist.
    pub made: &'a Path,
    /// Where it may be mounted in the meantime.
    pub root: &'a Path,
    /// Root's user and group on the host, if the container has a user namespace.
    pub ids: Option<(u32, u32)>,
    /// The configuration.
    pub config: &'a Config,
}

/// A container's private area and its root.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The private area.
    pub private: &'a Path,
    /// Where its root is mounted.
    pub root: &'a Path,
    /// Whether it is mounted.
    pub mounted: bool,
    /// Whether saved processes are to continue on its files.
    pub suspended: bool,
    /// The container's configuration file.
    pub conf: &'a Path,
}

/// The operations that differ by layout.
pub trait Area {
    /// Checks whether the configuration has everything that is required to make one.
    ///
    /// # Errors
    /// Something is not.
    fn ready(&self, _config: &Config) -> Result<()> {
        Ok(())
    }

    /// Makes a private area. If that fails, the caller removes what is left of it.
    ///
    /// # Errors
    /// The disk is full; the template is damaged.
    fn fill(&self, node: &dyn Node, new: &New) -> Result<()>;

    /// The mounts that make up a container's root, the outermost first.
    ///
    /// # Errors
    /// What describes the private area can't be read.
    fn mounts(&self, private: &Path, root: &Path, options: Option<&str>) -> Result<Vec<Mount>>;

    /// Checks whether a private area that is not mounted is intact, and repairs what can be repaired.
    ///
    /// # Errors
    /// It is damaged.
    fn check(&self, _node: &dyn Node, _private: &Path) -> Result<()> {
        Ok(())
    }

    /// Cleans up after an unmount, so that the next mount does not have to.
    fn unmounted(&self, _private: &Path) {}

    /// Whether it has a size of its own, and is not limited by quotas of the disk that it is on.
    fn is_image(&self) -> bool {
        false
    }

    /// Whether a size in bytes is less than its own.
    ///
    /// # Errors
    /// It can't be read.
    fn shrinks(&self, _private: &Path, _bytes: u64) -> Result<bool> {
        Ok(false)
    }

    /// Resizes it, in bytes. One without a size of its own stays unchanged.
    ///
    /// # Errors
    /// What it holds needs more; the disk is full.
    fn resize(&self, _node: &dyn Node, _at: Place, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// Its snapshot operations, if it supports snapshots.
    fn snapshots(&self) -> Option<&dyn Keeper> {
        None
    }

    /// Whether a switch to a snapshot was interrupted after its data was on the disk.
    fn is_switching(&self, _private: &Path) -> bool {
        false
    }

    /// Completes such a switch of a private area that is not mounted.
    ///
    /// # Errors
    /// The disk is full, or fails.
    fn finish(&self, _at: Place) -> Result<()> {
        Ok(())
    }

    /// Repairs what a power cut left in a private area, and reports it.
    ///
    /// # Errors
    /// What is there can't be removed.
    fn repair(&self, _at: Place) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// How a layout keeps snapshots. After a power cut, the state is either the old or the new one.
pub trait Keeper {
    /// Where a snapshot's configuration is kept.
    fn conf(&self, private: &Path, id: &str) -> PathBuf;

    /// Keeps the files in their current state. `state` contains the new snapshot, and is written once the files are on
    /// the disk.
    ///
    /// # Errors
    /// The disk is full.
    fn take(&self, node: &dyn Node, at: Place, state: &mut Snapshots, id: &str) -> Result<()>;

    /// Replaces the files of a private area that is not mounted with a snapshot, and the container's configuration with
    /// the snapshot's if `conf` says so. Writes `state`.
    ///
    /// # Errors
    /// The disk is full.
    fn switch(&self, at: Place, state: &mut Snapshots, id: &str, conf: bool) -> Result<()>;

    /// Removes the data of a snapshot that `state`, as it is on the disk, no longer contains.
    ///
    /// # Errors
    /// It can't be removed.
    fn discard(&self, private: &Path, id: &str) -> Result<()>;

    /// The mounts that show a snapshot read-only.
    fn shown(&self, private: &Path, state: &Snapshots, id: &str) -> MountSource;
}

/// The name of a private area that is being created or removed. A power cut leaves such a name, and nothing that looks
/// complete.
pub fn beside(private: &Path, what: &str) -> PathBuf {
    let mut name = private.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    private.with_file_name(name)
}

/// Suffixes for [`beside`], with the operation that was interrupted.
pub const INTERRUPTED: &[(&str, &str)] = &[
    ("creating", "creation"),
    ("destroying", "destruction"),
    ("switching", "switch of a snapshot"),
    ("restoring", "restoration"),
    ("resizing", "change of the size"),
    ("converting", "conversion"),
    ("converted", "conversion"),
];

/// The interrupted operations in a folder of private areas: the path, and the operation.
pub fn interrupted(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<(PathBuf, &'static str)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let suffix = name.rsplit_once('.')?.1;
            let what = INTERRUPTED.iter().find(|(known, _)| *known == suffix)?.1;
            Some((entry.path(), what))
        })
        .collect();
    all.sort();
    all
}

/// Removes a tree, which is first renamed to a name for trees in removal, so that a power cut leaves nothing that looks
/// complete. `between` is called after the renaming.
///
/// # Errors
/// [`Error::Delete`], or that of `between`.
pub fn remove(private: &Path, between: impl FnOnce() -> Result<()>) -> Result<()> {
    let failed = |error| Error::Delete(format!("Unable to remove {}: {error}", private.display()));
    let aside = beside(private, "destroying");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(failed)?;
    }
    fs::rename(private, &aside).map_err(failed)?;
    sync_folder(private.parent().unwrap_or(private)).map_err(failed)?;
    between()?;
    fs::remove_dir_all(&aside).map_err(failed)?;
    // Otherwise the next start would report an interruption that did not happen.
    sync_folder(private.parent().unwrap_or(private)).map_err(failed)
}

/// Shifts the owners of a tree to those of a user namespace; see [`owners::shift`](crate::system::owners::shift).
pub(super) fn shift(tree: &Path, ids: (u32, u32), left_out: &dyn Fn(&Path) -> bool) -> Result<()> {
    crate::system::owners::shift(tree, ids.0, ids.1, left_out).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(format!("{}: {error}", tree.display())),
        _ => Error::Create(format!("Creation of container private area failed: {error}")),
    })
}
