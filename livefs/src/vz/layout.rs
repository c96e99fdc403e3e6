//! A container's private area: its content, and the mounts that make the container's root from it.
//!
//! | layout | private area | root |
//! |---|---|---|
//! | `simfs` | the tree itself | bind-mounted |
//! | `overlay` | `upper`, `work`, `layers/UUID`, `Snapshots.json` | the template below, layers, `upper` above |
//! | `app` | as `overlay` | the live system below; `/system` bind-mounted read-only from it |

use super::exit::{Error, Result};
use super::node::Mount;
use super::snapshots::Snapshots;
use crate::durable::sync_folder;
use std::fs;
use std::path::{Path, PathBuf};

/// How a container's files are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Its own files.
    Simfs,
    /// Its changes over a template.
    Overlay,
    /// Its changes over the live system, whose `/system` it shares and can't change.
    App,
}

impl Layout {
    /// Parses `--layout` or `VE_LAYOUT`.
    ///
    /// # Errors
    /// [`Error::Ploop`], or [`Error::Value`] if there is no such layout.
    pub fn parse(text: &str) -> Result<Layout> {
        match text {
            "simfs" => Ok(Layout::Simfs),
            "overlay" => Ok(Layout::Overlay),
            "app" => Ok(Layout::App),
            _ if text == "ploop" || text.starts_with("ploop:") => Err(Error::Ploop),
            _ => Err(Error::Value(format!("Bad parameter for --layout: {text}"))),
        }
    }

    /// Whether its private area has layers and their description, in addition to the container's own changes.
    pub fn has_layers(self) -> bool {
        self != Layout::Simfs
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Simfs => "simfs",
            Layout::Overlay => "overlay",
            Layout::App => "app",
        }
    }

    /// The layout of a container, according to its configuration (`VE_LAYOUT`): a private area of `simfs` is the
    /// container's own tree, so its content must not be used to detect the layout. Without the parameter it is such a
    /// tree, as OpenVZ's were, or an image.
    ///
    /// # Errors
    /// As [`Layout::parse`]; [`Error::Ploop`]: the parameter is missing, and it contains an image.
    pub fn of(private: &Path, set: Option<&str>) -> Result<Layout> {
        match set {
            Some(text) => Layout::parse(text),
            None if private.join("root.hdd").exists() => Err(Error::Ploop),
            None => Ok(Layout::Simfs),
        }
    }
}

/// Folders of `/system` that an application's container may have itself, if they are in its changes.
pub const OWN: [&str; 4] = ["etc", "var", "run", "tmp"];

/// The mounts that make a container's root.
///
/// # Errors
/// [`Error::NoPrivate`]; the layers' description can't be read.
pub fn mounts(layout: Layout, private: &Path, root: &Path) -> Result<Vec<Mount>> {
    if !private.is_dir() {
        return Err(Error::NoPrivate(private.to_owned()));
    }
    let bind = |source: &Path, target: PathBuf, read_only| Mount {
        source: Some(source.to_owned()),
        lower: Vec::new(),
        upper: None,
        metacopy: false,
        target,
        read_only,
    };
    if layout == Layout::Simfs {
        return Ok(vec![bind(private, root.to_owned(), false)]);
    }
    let state = Snapshots::read(private)?;
    let lower = state.lower(private, state.base.as_deref());
    if let Some(colon) = lower.iter().find(|path| path.to_string_lossy().contains([':', ','])) {
        return Err(Error::Mount(format!(
            "Can't mount {}: the path of an overlay must not contain a colon or a comma",
            colon.display()
        )));
    }
    let upper = Some((private.join("upper"), private.join("work")));
    let mut all = vec![Mount {
        source: None,
        lower,
        upper,
        metacopy: state.ids.is_some(),
        target: root.to_owned(),
        read_only: false,
    }];
    if layout == Layout::App {
        // The content of the template's /system can't be changed, not even by copying up.
        all.push(bind(&state.template.join("system"), root.join("system"), true));
        for own in OWN {
            let kept = private.join("upper/system").join(own);
            if kept.is_dir() {
                all.push(bind(&kept, root.join("system").join(own), false));
            }
        }
    }
    Ok(all)
}

/// Empties the work folder of an overlay that was just unmounted. Otherwise the next mount does it, which delays a
/// start; it still does if this fails.
pub fn empty_work(private: &Path) {
    let _ = fs::remove_dir(private.join("work/work"));
}

/// The name of a private area that is unfinished or being removed. A power cut leaves these, and nothing that looks
/// complete.
pub fn beside(private: &Path, what: &str) -> PathBuf {
    let mut name = private.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    private.with_file_name(name)
}

/// Suffixes that [`beside`] adds, with the interrupted operation.
pub const INTERRUPTED: &[(&str, &str)] = &[
    ("creating", "creation"),
    ("destroying", "destruction"),
    ("switching", "switch of a snapshot"),
    ("restoring", "restoration"),
];

/// Interrupted operations in a folder of private areas: the path, and the operation.
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

/// Removes a tree, after renaming it to a name that says so, so that a power cut leaves nothing that looks complete.
/// `between` is called after the renaming.
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
