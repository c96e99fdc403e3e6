//! Leftovers of a power cut among containers: found at the next start, repaired and reported.

use super::conf::{ConfFile, Config};
use super::context::Vz;
use super::exit::{Error, Result};
use super::layout::{self, Place};
use super::list::configured;
use super::lock::Lock;
use super::{cmd, dump, handover, migrate, names};
use crate::durable::sync_folder;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Repairs what a power cut left, and reports it: unfinished files are removed, deletions and interrupted snapshots are
/// finished. A container that another command works on is left alone: its unfinished files are that command's.
///
/// # Errors
/// A leftover can't be removed.
pub fn sweep(vz: &Vz) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    let mut claims = Claims { vz, taken: BTreeMap::new() };
    let keys = ["VE_PRIVATE", "TEMPLATE"];
    let general = vz.general(&keys, 0);
    for key in keys {
        if let Some(path) = general.get(key) {
            let path = vz.paths.at(path);
            folders.insert(if key == "TEMPLATE" {
                path.join("root")
            } else {
                path.parent().unwrap_or(&path).to_owned()
            });
        }
    }
    arrivals(vz, &mut claims, &mut said)?;
    creations(vz, &mut claims, &mut folders, &mut said)?;
    for id in configured(vz) {
        if !claims.is_ours(id) {
            continue;
        }
        if vz.container(id).is_ok() {
            said.extend(cmd::pending::finish(vz, id)?.into_iter().map(|text| format!("CT {id}: {text}")));
        }
        let Ok(ct) = vz.container(id) else { continue };
        let Some(private) = ct.config.get("VE_PRIVATE").map(|path| vz.paths.at(path)) else { continue };
        folders.extend(private.parent().map(Path::to_owned));
        let Some(root) = ct.config.get("VE_ROOT").map(|path| vz.paths.at(path)) else { continue };
        let conf = vz.paths.container_conf(id);
        // What a tree holds is the container's own, so there nothing is looked for.
        let Ok(layout) = ct.layout(&private) else { continue };
        let mounted = vz.node.is_mounted(&root)?;
        let at = Place { private: &private, root: &root, mounted, suspended: vz.is_suspended(id), conf: &conf };
        said.extend(layout.area().repair(at)?.into_iter().map(|text| format!("CT {id}: {text}")));
    }
    for folder in folders {
        for (path, what) in layout::interrupted(&folder) {
            let id = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
            // A conversion that could not be completed, as the container is mounted, still needs it.
            let needed = |id| what == "conversion" && cmd::convert::waiting(vz, id).exists();
            if id.is_some_and(|id| !claims.is_ours(id) || needed(id)) {
                continue;
            }
            fs::remove_dir_all(&path).map_err(|error| Error::file(&path, error))?;
            match (id, what) {
                (Some(id), "destruction") if ConfFile::read(&vz.paths.container_conf(id)).is_ok() => {
                    cmd::create::retire(vz, id)?;
                    said.push(format!("CT {id}: {what} was interrupted and is now complete"));
                }
                (Some(id), "creation") => {
                    said.push(format!(
                        "CT {id}: {what} was interrupted; the incomplete container was removed: create it again"
                    ));
                }
                (Some(id), _) => said.push(format!("CT {id}: {what} was interrupted")),
                (None, _) => said.push(format!("{}: {what} was interrupted, removed", path.display())),
            }
        }
    }
    // Configurations, action scripts and records of migrations that were being replaced.
    for (id, path) in claims.ours(replacements(&vz.paths.conf())) {
        remove_file(&path)?;
        if path.ends_with(format!(".{id}.conf.new")) && vz.paths.container_conf(id).exists() {
            said.push(format!(
                "CT {id}: a change of its configuration was interrupted; the configuration is unchanged"
            ));
        }
    }
    for (_, path) in claims.ours(in_the_making(&vz.paths.names(), ".new")) {
        remove_file(&path)?;
    }
    for (id, path, written) in dump::interrupted(&vz.dump_folder(0)) {
        if claims.is_ours(id) {
            dump::remove(&path)?;
            said.extend(written.then(|| format!("CT {id}: suspending was interrupted; it was not suspended")));
        }
    }
    named(vz, &mut claims, &mut said)?;
    drop(claims);
    let locks = vz.lock_folder(0)?;
    for entry in fs::read_dir(&locks).into_iter().flatten().flatten() {
        // Only at boot are there locks whose owners are from an earlier boot; a name with a pid is an unfinished one.
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.split('.').next().and_then(|id| id.parse::<u32>().ok());
        if id.is_some_and(|id| super::lock::Lock::status(&locks, id).is_none()) && name.contains(".lck") {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(said)
}

/// The containers that no other command works on; they stay locked until this is dropped.
struct Claims<'a> {
    vz: &'a Vz,
    /// `None`: another command has the lock.
    taken: BTreeMap<u32, Option<Lock>>,
}

impl Claims<'_> {
    /// Whether the container can be repaired. If its lock can't be written it can: then no other command has it.
    fn is_ours(&mut self, id: u32) -> bool {
        match self.taken.get(&id) {
            Some(lock) => lock.is_some(),
            None => match self.vz.lock(id, "repairing") {
                Ok(lock) => self.taken.insert(id, Some(lock)).is_none(),
                Err(Error::Locked { .. }) => self.taken.insert(id, None).is_some(),
                Err(_) => true,
            },
        }
    }

    /// Those files whose containers can be repaired.
    fn ours(&mut self, mut files: Vec<(u32, PathBuf)>) -> Vec<(u32, PathBuf)> {
        files.retain(|(id, _)| self.is_ours(*id));
        files
    }
}

/// Files of a folder that are in the making, `.CTID` and this ending, with their container.
fn in_the_making(folder: &Path, ending: &str) -> Vec<(u32, PathBuf)> {
    files(folder, |name| name.strip_prefix('.')?.strip_suffix(ending)?.parse().ok())
}

/// Files of a folder that were to replace a file of a container ([`crate::durable::unfinished`]), with that container.
fn replacements(folder: &Path) -> Vec<(u32, PathBuf)> {
    files(folder, |name| name.strip_prefix('.')?.strip_suffix(".new")?.split_once('.')?.0.parse().ok())
}

/// The files of a folder whose names have a container, and that.
fn files(folder: &Path, container: impl Fn(&str) -> Option<u32>) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<(u32, PathBuf)> =
        entries.filter_map(|entry| Some((container(entry.file_name().to_str()?)?, entry.path()))).collect();
    all.sort();
    all
}

fn remove_file(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|error| Error::file(path, error))
}

/// Containers that were arriving from another machine are still that one's.
fn arrivals(vz: &Vz, claims: &mut Claims<'_>, said: &mut Vec<String>) -> Result<()> {
    for (id, token) in handover::all_arriving(vz) {
        if claims.is_ours(id) && migrate::undo_left(vz, id, &token)? {
            said.push(format!("CT {id}: migration to this machine was interrupted; it is where it was"));
        }
    }
    Ok(())
}

/// Configurations that [`cmd::create`] had not renamed yet: if its private area exists the container is complete, and
/// its configuration is renamed. Folders of private areas that are only known from such a configuration are added to
/// `folders`.
fn creations(vz: &Vz, claims: &mut Claims<'_>, folders: &mut BTreeSet<PathBuf>, said: &mut Vec<String>) -> Result<()> {
    for (id, path) in claims.ours(in_the_making(&vz.paths.conf(), ".conf.creating")) {
        let file = ConfFile::read(&path).map_err(|error| Error::file(&path, error))?;
        let config = Config::layered([&vz.global, &file], id);
        let private = config.get("VE_PRIVATE").map(|path| vz.paths.at(path));
        folders.extend(private.as_deref().and_then(Path::parent).map(Path::to_owned));
        let (conf, name) = (vz.paths.container_conf(id), file.get("NAME"));
        if private.is_some_and(|private| private.is_dir()) {
            fs::rename(&path, &conf).map_err(|error| Error::file(&path, error))?;
            said.push(format!("CT {id}: creation was interrupted and is now complete"));
        } else {
            remove_file(&path)?;
            if let Some(name) = name.filter(|name| names::valid(name) && !conf.exists()) {
                names::remove(&vz.paths, id, name)?;
            }
        }
        sync_folder(&vz.paths.conf()).map_err(|error| Error::file(&path, error))?;
    }
    Ok(())
}

/// Renaming takes two steps: the link and the configuration, which takes precedence.
fn named(vz: &Vz, claims: &mut Claims<'_>, said: &mut Vec<String>) -> Result<()> {
    for id in configured(vz) {
        if !claims.is_ours(id) {
            continue;
        }
        let Ok(ct) = vz.container(id) else { continue };
        let Some(name) = ct.file.as_ref().and_then(|file| file.get("NAME")).filter(|name| names::valid(name)) else {
            continue;
        };
        if names::by_name(&vz.paths, name).is_none() {
            names::set(&vz.paths, id, name, None)?;
            said.push(format!("CT {id}: a change of its name was interrupted; the name is {name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vz::cmd::tests::World;
    use crate::vz::service;

    #[test]
    fn a_container_that_a_command_works_on_is_left_alone() {
        let world = World::new();
        world.ok("create 101 --layout ploop --diskspace 100M");
        let files = [
            "vz/private/101/root.hdd/root.hdd.{00000000-0000-0000-0000-00000000000a}.creating",
            "vz/private/101/.Snapshots.json.new",
            "etc/vz/conf/.101.conf.new",
            "etc/vz/conf/.101.moving.new",
            "etc/vz/conf/.101.0123456789abcdef.arriving.new",
            "etc/vz/conf/.101.mount.new",
            "etc/vz/conf/.102.conf.creating",
        ];
        fs::create_dir_all(world.at("vz/private/102.creating")).unwrap();
        for file in files {
            fs::write(world.at(file), "VE_PRIVATE=/vz/private/102\n").unwrap();
        }
        let is_there = || files.map(|file| world.at(file).exists());
        let vz = world.after_a_cut();
        let locks = [101, 102].map(|id| vz.lock(id, "").unwrap());
        assert!(sweep(&vz).unwrap().is_empty());
        assert_eq!(is_there(), [true; 7]);
        assert!(world.at("vz/private/102.creating").exists());
        drop(locks);
        assert_eq!(sweep(&vz).unwrap().len(), 3);
        assert_eq!(is_there(), [false; 7]);
        assert!(!world.at("vz/private/102.creating").exists());
    }

    #[test]
    fn after_a_power_cut() {
        let world = World::new();
        for id in [101, 102, 103, 104] {
            world.ok(&format!("create {id} --layout overlay"));
            world.ok(&format!("start {id}"));
        }
        world.ok("set 103 --onboot no --save");
        world.ok("set 104 --bootorder 9 --save");
        world.ok("stop 102");
        world.ok("destroy 102");
        // 105 was unfinished, 102 was being removed when the power failed, 101's snapshot only had its description.
        fs::create_dir_all(world.at("vz/private/105.creating/etc")).unwrap();
        fs::create_dir_all(world.at("vz/private/102.destroying/etc")).unwrap();
        fs::rename(world.at("etc/vz/conf/102.conf.destroyed"), world.at("etc/vz/conf/102.conf")).unwrap();
        fs::write(world.at("vz/private/103/.Snapshots.json.new"), "ha").unwrap();
        fs::write(world.at("vz/private/101/upper/a"), "kept").unwrap();
        let id = "{00000000-0000-0000-0000-00000000000a}";
        let text = fs::read_to_string(world.at("vz/private/101/Snapshots.json"))
            .unwrap()
            .replace("\"base\": null", &format!("\"base\": \"{id}\""));
        fs::write(world.at("vz/private/101/Snapshots.json"), text).unwrap();
        fs::write(world.at("vz/lock/101.lck"), "2147483646\n\n").unwrap();
        let vz = world.after_a_cut();
        let said = sweep(&vz).unwrap();
        assert_eq!(
            said,
            [
                "CT 101: a snapshot was interrupted and is now complete",
                "CT 102: destruction was interrupted and is now complete",
                "CT 105: creation was interrupted; the incomplete container was removed: create it again"
            ]
        );
        assert_eq!(
            fs::read_to_string(world.at("vz/private/101/layers/00000000-0000-0000-0000-00000000000a/a")).unwrap(),
            "kept"
        );
        assert!(!world.at("vz/private/103/.Snapshots.json.new").exists());
        assert!(!world.at("vz/lock/101.lck").exists() && !world.at("vz/private/105.creating").exists());
        assert_eq!(service::to_start(&vz), [104, 101]);
        assert!(sweep(&vz).unwrap().is_empty(), "the second time there is nothing to do");
    }

    /// At each point where the power may fail while a container gets its names.
    #[test]
    fn a_creation_is_taken_back_or_finished() {
        let world = World::new();
        world.ok("create 101 --name web");
        let conf = world.conf(101);
        let (real, waiting) = (world.at("etc/vz/conf/101.conf"), world.at("etc/vz/conf/.101.conf.creating"));
        let (private, made) = (world.at("vz/private/101"), world.at("vz/private/101.creating"));
        let finished = "CT 101: creation was interrupted and is now complete";
        // The private area has its name, the configuration does not.
        fs::rename(&real, &waiting).unwrap();
        assert_eq!(sweep(&world.after_a_cut()).unwrap(), [finished]);
        assert_eq!((world.conf(101), world.ok("status web")), (conf, "CTID 101 exist unmounted down\n".into()));
        // Neither has its name; the configuration may be incomplete.
        for text in [fs::read_to_string(&real).unwrap(), "NAME=\"we".into(), String::new()] {
            world.run("create 101 --name web");
            fs::rename(&real, &waiting).unwrap();
            fs::write(&waiting, text).unwrap();
            fs::rename(&private, &made).unwrap();
            let said = sweep(&world.after_a_cut()).unwrap();
            assert_eq!(
                said,
                ["CT 101: creation was interrupted; the incomplete container was removed: create it again"]
            );
            assert!(!real.exists() && !waiting.exists() && !private.exists() && !made.exists());
        }
        // The configuration had existed before: it stays.
        fs::write(&real, "HOSTNAME=\"mine\"\n").unwrap();
        fs::write(&waiting, "HOSTNAME=\"mine\"\nOSTEMPLATE=\"live\"\n").unwrap();
        fs::create_dir(&made).unwrap();
        sweep(&world.after_a_cut()).unwrap();
        assert_eq!(world.conf(101), "HOSTNAME=\"mine\"\n");
        world.ok("create 101");
        assert!(sweep(&world.after_a_cut()).unwrap().is_empty());
    }

    #[test]
    fn changes_in_the_making_are_told_of_and_removed() {
        let world = World::new();
        world.ok("create 101 --name web");
        let conf = world.conf(101);
        fs::write(world.at("etc/vz/conf/.101.conf.new"), "HOSTN").unwrap();
        // The link has the new name, the configuration still the old one.
        fs::rename(world.at("etc/vz/names/web"), world.at("etc/vz/names/www")).unwrap();
        std::os::unix::fs::symlink("../conf/101.conf", world.at("etc/vz/names/.101.new")).unwrap();
        let vz = world.after_a_cut();
        assert_eq!(
            sweep(&vz).unwrap(),
            [
                "CT 101: a change of its configuration was interrupted; the configuration is unchanged",
                "CT 101: a change of its name was interrupted; the name is web"
            ]
        );
        assert_eq!((world.conf(101), world.ok("status web")), (conf, "CTID 101 exist unmounted down\n".into()));
        assert_eq!(service::to_start(&vz), [0_u32; 0]);
        assert!(sweep(&vz).unwrap().is_empty());
    }
}
