//! Private areas: what each layout does in its own way, and what all of them have in common.

use crate::durable::sync_folder;
use crate::vz::conf::Config;
use crate::vz::exit::{Error, Result};
use crate::vz::node::{Mount, Node, Source};
use crate::vz::snapshots::Snapshots;
use crate::vz::template::Template;
use std::fs;
use std::path::{Path, PathBuf};

/// A private area that is to be made.
pub struct New<'a> {
    /// What it begins as.
    pub template: &'a Template,
    /// The template's name.
    pub name: &'a str,
    /// `TEMPLATE`
    pub templates: &'a Path,
    /// Where it is made. Nothing is there.
    pub made: &'a Path,
    /// Where it may be mounted meanwhile.
    pub root: &'a Path,
    /// Root's user and group on the host, if the container has a user namespace.
    pub ids: Option<(u32, u32)>,
    /// What is configured.
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
    /// The container's configuration file.
    pub conf: &'a Path,
}

/// What each layout does in its own way.
pub trait Area {
    /// Looks whether all is configured that it takes to make one.
    ///
    /// # Errors
    /// Something is not.
    fn ready(&self, _config: &Config) -> Result<()> {
        Ok(())
    }

    /// Makes a private area. What is left of one that failed is removed by whoever asked for it.
    ///
    /// # Errors
    /// The disk is full; the template is damaged.
    fn fill(&self, node: &dyn Node, new: &New) -> Result<()>;

    /// The mounts that make a container's root, the outermost first.
    ///
    /// # Errors
    /// What describes the private area can't be read.
    fn mounts(&self, private: &Path, root: &Path, options: Option<&str>) -> Result<Vec<Mount>>;

    /// Looks whether a private area that is not mounted is sound, and mends what can be mended.
    ///
    /// # Errors
    /// It is damaged.
    fn check(&self, _node: &dyn Node, _private: &Path) -> Result<()> {
        Ok(())
    }

    /// Puts away what the next mount would have to, after a root was unmounted.
    fn unmounted(&self, _private: &Path) {}

    /// Whether it is bounded by its own size, and not by limits of the disk that it lies on.
    fn is_image(&self) -> bool {
        false
    }

    /// Gives it another size, in bytes. One that has none of its own stays as it is.
    ///
    /// # Errors
    /// What it holds needs more; the disk is full.
    fn resize(&self, _node: &dyn Node, _at: Place, _bytes: u64) -> Result<()> {
        Ok(())
    }

    /// How it has snapshots, if it can have any.
    fn snapshots(&self) -> Option<&dyn Keeper> {
        None
    }

    /// Puts right what a power cut left in a private area, and tells of it.
    ///
    /// # Errors
    /// What is there can't be removed.
    fn repair(&self, _at: Place) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// How a layout keeps snapshots. A power cut leaves what was before or what comes after.
pub trait Keeper {
    /// Where a snapshot's configuration is kept.
    fn conf(&self, private: &Path, id: &str) -> PathBuf;

    /// Keeps the files as they are. `state` has the new snapshot, and is written once these are on the disk.
    ///
    /// # Errors
    /// The disk is full.
    fn take(&self, node: &dyn Node, at: Place, state: &mut Snapshots, id: &str) -> Result<()>;

    /// Puts a snapshot in the place of the files of a private area that is not mounted, and its configuration in that of the container if
    /// `conf` says so. Writes `state`.
    ///
    /// # Errors
    /// The disk is full.
    fn switch(&self, at: Place, state: &mut Snapshots, id: &str, conf: bool) -> Result<()>;

    /// Removes what was kept of a snapshot that `state`, as it is on the disk, does not have any more.
    ///
    /// # Errors
    /// It can't be removed.
    fn discard(&self, private: &Path, id: &str) -> Result<()>;

    /// What shows a snapshot read-only.
    fn shown(&self, private: &Path, state: &Snapshots, id: &str) -> Source;
}

/// The name of a private area in the making, or about to go. A power cut leaves these, and nothing that looks whole.
pub fn beside(private: &Path, what: &str) -> PathBuf {
    let mut name = private.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    private.with_file_name(name)
}

/// Suffixes that [`beside`] gives, with what was interrupted.
pub const INTERRUPTED: &[(&str, &str)] = &[
    ("creating", "creation"),
    ("destroying", "destruction"),
    ("switching", "switch of a snapshot"),
    ("restoring", "restoration"),
    ("resizing", "change of the size"),
    ("converting", "conversion"),
    ("converted", "conversion"),
];

/// What was interrupted in a folder of private areas: the path, and what it was.
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

/// Removes a tree, first under a name that tells what it is, so that a power cut leaves nothing that looks whole. `between` is done
/// once it has that name.
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
    // Else the next start would tell of an interruption that there was not.
    sync_folder(private.parent().unwrap_or(private)).map_err(failed)
}

/// Shifts the owners of a tree to those of a user namespace; see [`owners::shift`](crate::system::owners::shift).
pub(super) fn shift(tree: &Path, ids: (u32, u32), left_out: &dyn Fn(&Path) -> bool) -> Result<()> {
    crate::system::owners::shift(tree, ids.0, ids.1, left_out).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(format!("{}: {error}", tree.display())),
        _ => Error::Create(format!("Creation of container private area failed: {error}")),
    })
}
