//! A mock machine that records calls.

use crate::system::tree::{pack, unpack};
use crate::vz::exit::{Error, Result};
use crate::vz::node::{Activity, Counter, InnerCommand, Mount, MountSource, Node};
use crate::vz::spec::Spec;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// The state of the mock machine.
#[derive(Default)]
pub struct State {
    pub running: BTreeSet<u32>,
    pub frozen: BTreeSet<u32>,
    pub left: BTreeMap<u32, i32>,
    /// Containers whose addresses the host rejects.
    pub parked: BTreeSet<u32>,
    pub mounted: BTreeSet<PathBuf>,
    /// Images that are mounted: where, their file, the folder that shows what is in them, and whether it goes back.
    pub images: BTreeMap<PathBuf, (PathBuf, tempfile::TempDir, bool)>,
    pub notes: Vec<String>,
    pub exit: u8,
    /// The machine has no CRIU.
    pub without_criu: bool,
    /// CRIU fails.
    pub fails: bool,
}

#[derive(Clone, Default)]
pub struct Notes(pub Rc<RefCell<State>>);

impl Notes {
    pub fn note(&self, text: String) {
        self.0.borrow_mut().notes.push(text);
    }
    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().notes)
    }
}

/// Where an image's content begins; before it is how much there is, and ext4's mark.
const CONTENT: u64 = 4096;

/// An image holds a tar.
fn read_image(image: &Path, into: &Path) {
    let text = fs::read(image).unwrap();
    let length = u64::from_le_bytes(text[8..16].try_into().unwrap());
    if length > 0 {
        unpack(&text[CONTENT as usize..(CONTENT + length) as usize], into).unwrap();
    }
}

impl Notes {
    /// Writes what is in a mounted image back to it.
    fn settle(&self, root: &Path) {
        let state = self.0.borrow();
        let Some((image, folder, _)) = state.images.get(root).filter(|(_, _, writes)| *writes) else { return };
        // It may be gone, as that of a container that was destroyed.
        let Ok(file) = fs::File::options().write(true).open(image) else { return };
        let text = pack(folder.path(), &[PathBuf::new()], &|_| false, Vec::new()).unwrap();
        file.write_all_at(&(text.len() as u64).to_le_bytes(), 8).unwrap();
        file.write_all_at(&text, CONTENT).unwrap();
    }
}

impl Node for Notes {
    fn running(&self) -> Result<BTreeMap<u32, Activity>> {
        let state = self.0.borrow();
        let activity = |id| if state.frozen.contains(id) { Activity::Frozen } else { Activity::Runs };
        Ok(state.running.iter().map(|id| (*id, activity(id))).collect())
    }
    fn left(&self, id: u32) -> Result<Option<i32>> {
        Ok(self.0.borrow().left.get(&id).copied())
    }
    fn is_frozen(&self, id: u32) -> Result<bool> {
        Ok(self.0.borrow().frozen.contains(&id))
    }
    fn is_mounted(&self, path: &Path) -> Result<bool> {
        Ok(self.0.borrow().mounted.contains(path))
    }
    fn mount(&self, mounts: &[Mount]) -> Result<()> {
        // The tree of a simple bind mount is visible at its target, so that files in a root are found.
        for mount in mounts {
            let shown = match &mount.source {
                MountSource::Bind(source) => source.clone(),
                MountSource::Overlay { lower, .. } => lower.last().unwrap().clone(),
                MountSource::Image(image, _) => {
                    let folder = tempfile::tempdir().unwrap();
                    read_image(image, folder.path());
                    let path = folder.path().to_owned();
                    let kept = (image.clone(), folder, !mount.read_only);
                    self.0.borrow_mut().images.insert(mount.target.clone(), kept);
                    path
                }
            };
            fs::remove_dir(&mount.target).unwrap();
            std::os::unix::fs::symlink(shown, &mount.target).unwrap();
            self.0.borrow_mut().mounted.insert(mount.target.clone());
        }
        Ok(())
    }
    fn umount(&self, path: &Path) -> Result<()> {
        self.0.borrow_mut().mounted.remove(path);
        self.settle(path);
        self.0.borrow_mut().images.remove(path);
        if path.is_symlink() {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }
        Ok(())
    }
    fn format(&self, image: &Path, bytes: u64, inodes: Option<u64>) -> Result<()> {
        let file = fs::File::create_new(image).unwrap();
        file.set_len(bytes).unwrap();
        file.write_all_at(&[0x53, 0xef], 1024 + 0x38).unwrap();
        self.note(format!("format {bytes} {inodes:?}"));
        Ok(())
    }
    fn check(&self, image: &Path) -> Result<()> {
        self.note(format!("check {}", image.file_name().unwrap().to_string_lossy()));
        Ok(())
    }
    fn grow(&self, image: &Path, root: &Path, bytes: u64) -> Result<()> {
        assert!(self.is_mounted(root)?);
        fs::File::options().write(true).open(image).unwrap().set_len(bytes).unwrap();
        self.note(format!("grow {bytes}"));
        Ok(())
    }
    fn shrink(&self, image: &Path, bytes: u64) -> Result<()> {
        let text = fs::read(image).unwrap();
        let held = CONTENT + u64::from_le_bytes(text[8..16].try_into().unwrap());
        if bytes < held {
            return Err(Error::System("New size smaller than minimum".into()));
        }
        fs::File::options().write(true).open(image).unwrap().set_len(bytes).unwrap();
        self.note(format!("shrink {bytes}"));
        Ok(())
    }
    fn hold(&self, root: &Path, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.settle(root);
        self.note("hold".into());
        work()
    }
    fn trim(&self, root: &Path) -> Result<()> {
        assert!(self.is_mounted(root)?);
        self.note("trim".into());
        Ok(())
    }
    fn used(&self, _: &Path) -> Result<(u64, u64)> {
        Ok((4096, 77))
    }
    fn start(&self, spec: &Spec) -> Result<()> {
        let mut state = self.0.borrow_mut();
        let next = state.left.values().max().map_or(1000, |last| last + 1);
        state.left.insert(spec.id, next);
        drop(state);
        self.note(format!("start {} {}", spec.id, spec.init.as_ref().unwrap().display()));
        self.0.borrow_mut().running.insert(spec.id);
        Ok(())
    }
    fn can_checkpoint(&self) -> bool {
        !self.0.borrow().without_criu
    }
    fn pre_dump(&self, _: u32, _: &Path, _: Option<&Path>) -> Result<()> {
        Ok(())
    }
    fn dump(&self, id: u32, folder: &Path, _: Option<&Path>) -> Result<()> {
        assert!(self.is_frozen(id)? && fs::read_dir(folder).unwrap().next().is_none());
        fs::write(folder.join("core"), "memory").unwrap();
        if self.0.borrow().fails {
            return Err(Error::Suspend("criu dump: it has a reason".into()));
        }
        fs::write(folder.join(crate::container::checkpoint::NOTES), "{}").unwrap();
        self.note(format!("dump {id}"));
        Ok(())
    }
    fn restore(&self, spec: &Spec, folder: &Path, commit: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        assert!(self.is_mounted(&spec.root)?);
        assert_eq!(fs::read_to_string(folder.join("core")).unwrap(), "memory");
        if self.0.borrow().fails {
            return Err(Error::Resume("criu restore: it has a reason".into()));
        }
        commit()?;
        self.start(spec)?;
        self.note(format!("restore {}", spec.id));
        Ok(())
    }
    fn wait_started(&self, _: &Spec, _: Duration) -> Result<bool> {
        Ok(true)
    }
    fn halt(&self, spec: &Spec, most: Duration) -> Result<bool> {
        self.note(format!("halt {} {}", spec.id, most.as_secs()));
        Ok(self.0.borrow_mut().running.remove(&spec.id))
    }
    fn kill(&self, id: u32) -> Result<()> {
        self.note(format!("kill {id}"));
        let mut state = self.0.borrow_mut();
        state.running.remove(&id);
        state.frozen.remove(&id);
        Ok(())
    }
    fn park(&self, spec: &Spec) -> Result<()> {
        self.0.borrow_mut().parked.insert(spec.id);
        Ok(())
    }
    fn unpark(&self, id: u32) -> Result<()> {
        self.0.borrow_mut().parked.remove(&id);
        Ok(())
    }
    fn clean(&self, id: u32) -> Result<()> {
        self.0.borrow_mut().left.remove(&id);
        Ok(())
    }
    fn exec(&self, id: u32, command: &InnerCommand) -> Result<u8> {
        let words: Vec<String> = command.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let input = command
            .input
            .as_ref()
            .map(|input| format!(" <{}", String::from_utf8_lossy(input).trim_end()))
            .unwrap_or_default();
        self.note(format!("exec {id} {}{input}", words.join("|")));
        Ok(self.0.borrow().exit)
    }
    fn console(&self, _: u32, _: u32) -> Result<()> {
        Ok(())
    }
    fn freeze(&self, id: u32, frozen: bool) -> Result<()> {
        let mut state = self.0.borrow_mut();
        if frozen {
            state.frozen.insert(id)
        } else {
            state.frozen.remove(&id)
        };
        Ok(())
    }
    fn apply(&self, _: &Spec, _: &Spec, keys: &[String]) -> Result<()> {
        self.note(format!("apply {}", keys.join(" ")));
        Ok(())
    }
    fn quota(&self, _: &Spec, _: bool) -> Result<()> {
        Ok(())
    }
    fn threads(&self, id: u32) -> Option<u64> {
        self.note(format!("threads {id}"));
        Some(12)
    }
    fn counters(&self, id: u32) -> Result<Vec<Counter>> {
        self.note(format!("counters {id}"));
        let counter = |name: &str, set| Counter { name: name.into(), held: 12, maxheld: 15, set, failcnt: 0 };
        Ok(vec![counter("numproc", None), counter("numfile", Some((1024, 2048)))])
    }
    fn uptimes(&self, ids: &[u32]) -> BTreeMap<u32, f64> {
        self.note("uptimes".into());
        ids.iter().map(|id| (*id, 93_784.5)).collect()
    }
    fn load(&self, id: u32) -> Option<[f64; 3]> {
        self.note(format!("load {id}"));
        Some([0.5, 0.25, 1.0])
    }
}
