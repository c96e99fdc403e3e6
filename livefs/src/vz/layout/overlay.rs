//! Layouts `overlay` and `app`: changes on top of a template, or of the live system. A snapshot is a layer.

use super::area::{Area, Keeper, New, Place, beside, interrupted, shift};
use crate::durable::{replace, unfinished};
use crate::system::tree::copy_tree;
use crate::vz::disk::{clear, make_folder, sync};
use crate::vz::exit::{Error, Result};
use crate::vz::node::{Mount, MountSource, Node};
use crate::vz::snapshots::Snapshots;
use crate::vz::template::{LIVE, Template};
use std::fs;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

/// See the module's documentation.
pub struct Overlay {
    /// Whether it is on top of the live system, whose `/system` it shares and can't change.
    pub app: bool,
}

/// Folders of `/system` that an application's container has of its own, if they are in its changes.
const OWN: [&str; 4] = ["etc", "var", "run", "tmp"];

impl Area for Overlay {
    fn fill(&self, node: &dyn Node, new: &New) -> Result<()> {
        match new.template {
            Template::Tree(tree) if self.app => {
                area(new.made, tree.clone())?;
                own_system(tree, &new.made.join("upper"))?;
            }
            Template::Tree(tree) => area(new.made, tree.clone())?,
            Template::Archive(..) if self.app => app(new.template, Path::new(LIVE), new.made)?,
            Template::Archive(..) => area(new.made, shared(new.template, new.name, new.templates)?)?,
        }
        new.ids.map_or(Ok(()), |ids| self.own(node, new, ids))
    }

    fn mounts(&self, private: &Path, root: &Path, _: Option<&str>) -> Result<Vec<Mount>> {
        let bind = |source: &Path, target: PathBuf, read_only| Mount {
            source: MountSource::Bind(source.to_owned()),
            target,
            read_only,
        };
        let state = Snapshots::read(private)?;
        let lower = state.lower(private, state.base.as_deref());
        if let Some(colon) = lower.iter().find(|path| path.to_string_lossy().contains([':', ','])) {
            return Err(Error::Mount(format!(
                "Can't mount {}: the path of an overlay must not contain a colon or a comma",
                colon.display()
            )));
        }
        let upper = Some((private.join("upper"), private.join("work")));
        let source = MountSource::Overlay { lower, upper, metacopy: state.ids.is_some() };
        let mut all = vec![Mount { source, target: root.to_owned(), read_only: false }];
        if self.app {
            // The content of the template's /system can't be changed, not even by copying it up.
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

    /// Empties the work folder: otherwise the next mount would do it and delay a start. If this fails, the next mount
    /// does it.
    fn unmounted(&self, private: &Path) {
        let _ = fs::remove_dir(private.join("work/work"));
    }

    fn snapshots(&self) -> Option<&dyn Keeper> {
        Some(self)
    }

    fn repair(&self, at: Place) -> Result<Vec<String>> {
        let (private, mut said) = (at.private, Vec::new());
        clear(&unfinished(&private.join(Snapshots::FILE)))?;
        for (path, what) in interrupted(private).into_iter().chain(interrupted(&private.join("layers"))) {
            // A switch is completed below: the changes that it set aside are not needed any more, unless they have not been
            // replaced yet.
            if path.ends_with("upper.switching") && !private.join("upper").exists() && !switched(private) {
                fs::rename(&path, private.join("upper")).map_err(|error| Error::file(&path, error))?;
            } else {
                fs::remove_dir_all(&path).map_err(|error| Error::file(&path, error))?;
            }
            said.push(format!("{what} was interrupted"));
        }
        if let Ok(state) = Snapshots::read(private) {
            if repair(private, &state)? {
                said.push("a snapshot was interrupted and is now complete".into());
            }
        }
        Ok(said)
    }
}

impl Overlay {
    /// Shifts the owners of a private area to those of a user namespace. The overlay is mounted for this, so that only the owners of
    /// the template's files are stored above it, not their content.
    fn own(&self, node: &dyn Node, new: &New, ids: (u32, u32)) -> Result<()> {
        // /system of an application's container belongs to the machine, except for the container's own parts of it.
        let theirs = |path: &Path| {
            let mut parts = path.iter().map(|part| part.to_string_lossy());
            let system = self.app && parts.next().is_some_and(|part| part == "system");
            system && parts.next().is_some_and(|part| !OWN.contains(&part.as_ref()))
        };
        let state = Snapshots { ids: Some(ids), ..Snapshots::read(new.made)? };
        state.write(new.made)?;
        make_folder(new.root)?;
        node.umount(new.root)?;
        node.mount(&Overlay { app: false }.mounts(new.made, new.root, None)?)?;
        let done = shift(new.root, ids, &theirs);
        node.umount(new.root)?;
        done
    }
}

impl Keeper for Overlay {
    fn conf(&self, private: &Path, id: &str) -> PathBuf {
        private.join("layers").join(format!("{}.ve.conf", id.trim_matches(['{', '}'])))
    }

    fn take(&self, _: &dyn Node, at: Place, state: &mut Snapshots, id: &str) -> Result<()> {
        let failed = |error: std::io::Error| Error::system("Failed to create snapshot", error);
        if at.mounted || at.suspended {
            // The overlay in use keeps its upper folder: its content is copied, while nothing changes it. The same for saved
            // processes: a file with several names is one file in the upper folder, and not any more in a layer once it
            // is written to.
            let layer = Snapshots::layer(at.private, id);
            let made = beside(&layer, "creating");
            let _ = fs::remove_dir_all(&made);
            make_folder(&at.private.join("layers"))?;
            let copied = sync(at.private).and_then(|()| copy_tree(&at.private.join("upper"), &made).map_err(failed));
            let settled = copied.and_then(|()| sync(&made)).and_then(|()| fs::rename(&made, &layer).map_err(failed));
            if settled.is_err() {
                let _ = fs::remove_dir_all(&made);
                return settled;
            }
        } else {
            // The tree is renamed after the description is written; a power cut between the two leaves a layer without a tree,
            // which `repair` completes.
            state.base = Some(id.to_owned());
            state.write(at.private)?;
            repair(at.private, state)?;
        }
        state.write(at.private)
    }

    fn switch(&self, at: Place, state: &mut Snapshots, id: &str, conf: bool) -> Result<()> {
        let private = at.private;
        let failed =
            |error: std::io::Error| Error::Snapshot(159, format!("Failed to switch to snapshot {id}: {error}"));
        // The changes are renamed first: from then on they no longer count, and leftovers are removed at the next start.
        let aside = private.join("upper.switching");
        let _ = fs::remove_dir_all(&aside);
        fs::rename(private.join("upper"), &aside).map_err(failed)?;
        (state.base, state.current) = (Some(id.to_owned()), Some(id.to_owned()));
        let gone = state.unused();
        state.write(private)?;
        empty_upper(private, state)?;
        let kept = self.conf(private, id);
        if conf && kept.is_file() {
            let text = fs::read(&kept).map_err(failed)?;
            replace(at.conf, &text, 0o644).map_err(failed)?;
        }
        fs::remove_dir_all(&aside).map_err(failed)?;
        gone.iter().try_for_each(|id| self.discard(private, id))
    }

    fn discard(&self, private: &Path, id: &str) -> Result<()> {
        clear(&Snapshots::layer(private, id))
    }

    fn shown(&self, private: &Path, state: &Snapshots, id: &str) -> MountSource {
        MountSource::Overlay { lower: state.lower(private, Some(id)), upper: None, metacopy: state.ids.is_some() }
    }
}

/// Whether a switch got as far as its description: the changes that were set aside belong to another layer than the current base.
fn switched(private: &Path) -> bool {
    Snapshots::read(private).is_ok_and(|state| state.base.is_some() && state.base == state.current)
}

/// Completes a snapshot of a stopped container that a power cut interrupted: its base has no tree yet, as the tree is still the upper
/// folder.
fn repair(private: &Path, state: &Snapshots) -> Result<bool> {
    let Some(base) = &state.base else { return Ok(false) };
    let (layer, upper) = (Snapshots::layer(private, base), private.join("upper"));
    let failed = |error| Error::file(&layer, error);
    let mut done = false;
    if !layer.exists() {
        make_folder(&private.join("layers"))?;
        fs::rename(&upper, &layer).map_err(failed)?;
        done = true;
    }
    if !upper.exists() {
        empty_upper(private, state)?;
        done = true;
    }
    Ok(done)
}

fn empty_upper(private: &Path, state: &Snapshots) -> Result<()> {
    for folder in ["upper", "work"] {
        make_folder(&private.join(folder))?;
    }
    let upper = private.join("upper");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&upper, mode).map_err(|error| Error::file(&upper, error))?;
    // This folder becomes the root of the container.
    match state.ids {
        Some((uid, gid)) => lchown(&upper, Some(uid), Some(gid)).map_err(|error| Error::file(&upper, error)),
        None => Ok(()),
    }
}

/// An empty overlay over a tree.
fn area(made: &Path, template: PathBuf) -> Result<()> {
    for folder in ["upper", "work", "layers"] {
        make_folder(&made.join(folder))?;
    }
    // Every user may enter the root of a tree, whatever the umask is.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let upper = made.join("upper");
    fs::set_permissions(&upper, mode).map_err(|error| Error::file(&upper, error))?;
    Snapshots { template, ..Snapshots::default() }.write(made)
}

/// The template of an application contains its own content only, which is the upper layer on top of the live system.
fn app(template: &Template, live: &Path, made: &Path) -> Result<()> {
    area(made, live.to_owned())?;
    let upper = made.join("upper");
    fs::remove_dir(&upper).map_err(|error| Error::file(&upper, error))?;
    template.lay_out(&upper)?;
    if !template_is_bare(&upper) {
        return Ok(());
    }
    own_system(live, &upper)?;
    let inittab = upper.join("system/etc/inittab");
    fs::write(&inittab, APP_INITTAB).map_err(|error| Error::file(&inittab, error))
}

/// Whether a template contains no system of its own.
fn template_is_bare(upper: &Path) -> bool {
    fs::symlink_metadata(upper.join("system")).is_err()
}

/// The task of init in an application's container: start the application, and restart it when it ends.
const APP_INITTAB: &str = "\
# What init starts in this container: the application alone.
::sysinit:/system/etc/init.d/rcS
::respawn:/usr/app/run >>/system/var/log/app.log 2>&1
::shutdown:/system/etc/init.d/rcK
";

/// The part of `/system` that is an application's own: configuration and what changes. The programs are the live system's.
fn own_system(live: &Path, upper: &Path) -> Result<()> {
    let (from, system) = (live.join("system/etc"), upper.join("system"));
    for folder in ["var/log", "var/lib", "var/tmp", "tmp", "run"] {
        make_folder(&system.join(folder))?;
    }
    let etc = system.join("etc");
    copy_tree(&from, &etc).map_err(|error| Error::file(&from, error))?;
    // The container configuration of the live system does not belong in its containers.
    match fs::remove_dir_all(etc.join("vz")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&etc, error)),
        _ => {}
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    for folder in ["tmp", "var/tmp"] {
        let path = system.join(folder);
        fs::set_permissions(&path, fs::Permissions::clone(&open)).map_err(|error| Error::file(&path, error))?;
    }
    Ok(())
}

/// A template's tree that overlays share; it is unpacked at its first use.
fn shared(template: &Template, name: &str, templates: &Path) -> Result<PathBuf> {
    let tree = templates.join("root").join(name);
    if !tree.is_dir() {
        let made = beside(&tree, "creating");
        make_folder(&templates.join("root"))?;
        if made.exists() {
            fs::remove_dir_all(&made).map_err(|error| Error::file(&made, error))?;
        }
        template.lay_out(&made)?;
        sync(&made)?;
        fs::rename(&made, &tree).map_err(|error| Error::file(&tree, error))?;
    }
    Ok(tree)
}
