//! Snapshots. Of overlay layouts one is a layer: what had changed since its parent; of an image it is a copy. Their description is our own JSON,
//! `Snapshots.json` in the private area, not ploop's `Snapshots.xml`.
//!
//! `base` is the layer that the current changes are based on; `current` is the snapshot that they follow. They differ
//! after a snapshot of a running container: the overlay stays mounted as it is, and the layer is a copy of its changes.

use super::exit::{Error, Result};
use crate::durable::replace;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// All that is known of a private area's snapshots, and of an overlay's layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// The tree below all layers; of an image there is none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub template: PathBuf,
    /// Root's user and group on the host, if owners are those of a user namespace: template files with only a changed
    /// owner are then in the upper layer without their content (overlay's "metacopy").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<(u32, u32)>,
    /// The layer that the changes are based on. None: the template.
    pub base: Option<String>,
    /// The snapshot that the changes follow.
    pub current: Option<String>,
    /// A switch of images that is to be finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switching: Option<Switching>,
    /// All layers, oldest first.
    #[serde(default)]
    pub all: Vec<Snapshot>,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// A snapshot whose image takes the place of the container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switching {
    /// Its UUID.
    pub id: String,
    /// Whether its configuration takes the place of the container's, too.
    pub conf: bool,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// A UUID in braces, as the classic tools write it.
    pub id: String,
    /// The layer below. None: the template.
    pub below: Option<String>,
    /// The previous snapshot.
    pub parent: Option<String>,
    /// Its time, as `2026-11-24 04:30:00`, UTC.
    pub date: String,
    /// The value of `--name`.
    pub name: String,
    /// The value of `--description`.
    pub description: String,
    /// Deleted, but still a layer that others are based on.
    #[serde(default)]
    pub hidden: bool,
}

impl Snapshots {
    /// The description's file name in the private area.
    pub const FILE: &'static str = "Snapshots.json";

    /// Reads that of a private area.
    ///
    /// # Errors
    /// It is missing, or invalid.
    pub fn read(private: &Path) -> Result<Snapshots> {
        let path = private.join(Snapshots::FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::Snapshot(167, format!("Failed to read {}: {error}", path.display())))?;
        serde_json::from_str(&text)
            .map_err(|error| Error::Snapshot(167, format!("Failed to read {}: {error}", path.display())))
    }

    /// Writes it atomically.
    ///
    /// # Errors
    /// The disk is full, or the folder can't be written to.
    pub fn write(&self, private: &Path) -> Result<()> {
        let path = private.join(Snapshots::FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| Error::System(error.to_string()))?;
        replace(&path, &text, 0o600).map_err(|error| Error::file(&path, error))
    }

    /// A snapshot that is not deleted, by its UUID with or without braces.
    pub fn find(&self, id: &str) -> Option<&Snapshot> {
        let id = uuid(id)?;
        self.all.iter().find(|one| one.id == id && !one.hidden)
    }

    /// The trees of a layer and all lower ones, the topmost first, for an overlay's `lowerdir`.
    pub fn lower(&self, private: &Path, layer: Option<&str>) -> Vec<PathBuf> {
        let mut trees = Vec::new();
        let mut next = layer;
        // A description that was edited by hand may contain a cycle.
        while let Some(one) =
            next.and_then(|id| self.all.iter().find(|one| one.id == id)).filter(|_| trees.len() <= self.all.len())
        {
            trees.push(Snapshots::layer(private, &one.id));
            next = one.below.as_deref();
        }
        trees.push(self.template.clone());
        trees
    }

    /// A layer's tree.
    pub fn layer(private: &Path, id: &str) -> PathBuf {
        private.join("layers").join(id.trim_matches(['{', '}']))
    }

    /// Removes deleted layers that nothing is based on any more, and gives their names.
    pub fn unused(&mut self) -> Vec<String> {
        let mut gone = Vec::new();
        loop {
            let used = |id: &str| {
                self.base.as_deref() == Some(id) || self.all.iter().any(|one| one.below.as_deref() == Some(id))
            };
            let Some(place) = self.all.iter().position(|one| one.hidden && !used(&one.id)) else { return gone };
            gone.push(self.all.remove(place).id);
        }
    }
}

/// A UUID in the classic form: braces and lower-case letters. None: it is not a UUID.
pub fn uuid(text: &str) -> Option<String> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let good = bare.len() == 36
        && bare
            .bytes()
            .enumerate()
            .all(|(at, b)| if [8, 13, 18, 23].contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() });
    good.then(|| format!("{{{}}}", bare.to_lowercase()))
}

/// A new UUID, from the kernel.
///
/// # Errors
/// `/proc` is not mounted.
pub fn new_uuid() -> Result<String> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    uuid(text.trim()).ok_or_else(|| Error::System(format!("{} does not contain a UUID", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, below: Option<&str>) -> Snapshot {
        let text = String::new;
        Snapshot {
            id: id.into(),
            below: below.map(Into::into),
            parent: None,
            date: text(),
            name: text(),
            description: text(),
            hidden: false,
        }
    }

    #[test]
    fn layers() {
        let (a, b) = ("{00000000-0000-0000-0000-00000000000a}", "{00000000-0000-0000-0000-00000000000b}");
        let mut state = Snapshots {
            template: "/t".into(),
            ids: None,
            switching: None,
            base: Some(b.into()),
            current: Some(b.into()),
            all: vec![one(a, None), one(b, Some(a))],
        };
        let private = Path::new("/p");
        let trees = state.lower(private, state.base.as_deref());
        assert_eq!(trees, [Snapshots::layer(private, b), Snapshots::layer(private, a), "/t".into()]);
        assert_eq!(trees[0], Path::new("/p/layers/00000000-0000-0000-0000-00000000000b"));
        assert!(state.find("00000000-0000-0000-0000-00000000000A").is_some());
        state.all[0].hidden = true;
        assert!(state.find(a).is_none());
        assert!(state.unused().is_empty(), "b lies on a");
        state.all[1].hidden = true;
        state.base = None;
        assert_eq!(state.unused(), [b, a]);
        assert!(state.all.is_empty());
        state.all = vec![one(a, Some(b)), one(b, Some(a))];
        assert!(state.lower(private, Some(a)).len() <= 4, "a circle ends");
    }

    #[test]
    fn uuids() {
        assert_eq!(
            uuid("{12345678-1234-1234-1234-1234567890AB}").as_deref(),
            Some("{12345678-1234-1234-1234-1234567890ab}")
        );
        for bad in ["", "12345678", "{12345678-1234-1234-1234-1234567890ab", "../../../../../../../../../../../abc/d"] {
            assert_eq!(uuid(bad), None, "{bad}");
        }
        assert_ne!(new_uuid().unwrap(), new_uuid().unwrap());
    }
}
