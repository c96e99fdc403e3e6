//! The interface of the classic tools to the machine: the engine, the network and mounts, behind one trait. Commands
//! use nothing else, so they are tested on any host with a mock node.

use super::exit::Result;
use super::spec::Spec;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A mount that makes a container's root, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where.
    pub target: PathBuf,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A folder.
    Bind(PathBuf),
    /// An overlay.
    Overlay {
        /// Folders below, the topmost first.
        lower: Vec<PathBuf>,
        /// The folder of changes and the one for work in hand, on one file system. None: read-only.
        upper: Option<(PathBuf, PathBuf)>,
        /// Whether files above may be without their content, which is below.
        metacopy: bool,
    },
    /// A file that holds an ext4, by a loop device that goes with the mount; options as mount(8) takes them.
    Image(PathBuf, String),
}

/// A command inside.
#[derive(Debug, Clone, Default)]
pub struct InnerCommand {
    /// The program and its arguments. Looked up in `PATH` inside.
    pub arguments: Vec<OsString>,
    /// Its complete environment.
    pub environment: Vec<(String, String)>,
    /// Whether it gets its own terminal, which ours is connected to.
    pub terminal: bool,
    /// Its input. None: our standard input.
    pub input: Option<Vec<u8>>,
    /// Whether it runs in the mounted root of a stopped container: only with its file system.
    pub stopped_root: Option<PathBuf>,
    /// The first user and group on the host, if the container has a user namespace.
    pub ids: Option<(u32, u32)>,
}

/// A beancounter of a running container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counter {
    /// Its name.
    pub name: String,
    /// The current value.
    pub held: u64,
    /// The maximum so far.
    pub maxheld: u64,
    /// Barrier and limit that the kernel enforces; None: unknown, and the configured ones count.
    pub set: Option<(u64, u64)>,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// What a running container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Its processes run.
    Runs,
    /// All its processes are frozen.
    Frozen,
}

/// The machine.
pub trait Node {
    /// The running containers.
    fn running(&self) -> Result<BTreeMap<u32, Activity>>;
    /// Whether one is running.
    fn is_running(&self, id: u32) -> Result<bool> {
        Ok(self.running()?.contains_key(&id))
    }
    /// The host's PID of process 1 of one that is running, or has ended without being cleaned up ([`Node::clean`]).
    fn left(&self, id: u32) -> Result<Option<i32>>;
    /// Whether one is frozen.
    fn is_frozen(&self, id: u32) -> Result<bool> {
        Ok(self.running()?.get(&id) == Some(&Activity::Frozen))
    }
    /// Whether something is mounted there.
    fn is_mounted(&self, path: &Path) -> Result<bool>;
    /// Mounts, in order; if one fails, the previous ones are undone.
    fn mount(&self, mounts: &[Mount]) -> Result<()>;
    /// Unmounts a folder and everything below.
    fn umount(&self, path: &Path) -> Result<()>;
    /// Makes a file of this size that holds an empty ext4, for so many files if it is told.
    fn format(&self, image: &Path, bytes: u64, inodes: Option<u64>) -> Result<()>;
    /// Looks whether the file system in a file that is not in use is sound, and mends what can be mended by itself.
    fn check(&self, image: &Path) -> Result<()>;
    /// Lets a mounted file system grow with its image.
    fn grow(&self, image: &Path, root: &Path, bytes: u64) -> Result<()>;
    /// Lets the file system in a file that is not in use shrink, and the file with it. A power cut may leave neither.
    fn shrink(&self, image: &Path, bytes: u64) -> Result<()>;
    /// Does something while nothing changes in a mounted file system, and all of it is on its device.
    fn hold(&self, root: &Path, work: &mut dyn FnMut() -> Result<()>) -> Result<()>;
    /// Gives what a mounted file system does not use back to what its image lies on.
    fn trim(&self, root: &Path) -> Result<()>;
    /// Blocks of 1024 bytes and inodes that are in use in a mounted file system.
    fn used(&self, root: &Path) -> Result<(u64, u64)>;
    /// Starts a container whose root is mounted: its namespaces, limits, network and init.
    fn start(&self, spec: &Spec) -> Result<()>;
    /// Whether the machine can save the processes of a container.
    fn can_checkpoint(&self) -> bool;
    /// Saves the processes of a frozen container to a folder; it stays frozen. `earlier` is the last of the folders of
    /// [`Node::pre_dump`], relative to this one.
    fn dump(&self, id: u32, folder: &Path, earlier: Option<&Path>) -> Result<()>;
    /// Saves the memory of a running container to an empty folder, as far as it has changed since `earlier`.
    fn pre_dump(&self, id: u32, folder: &Path, earlier: Option<&Path>) -> Result<()>;
    /// Starts a container whose root is mounted from processes that were saved to a folder. They do not run before
    /// `commit` has returned; if that fails they are discarded, and had no effect.
    fn restore(&self, spec: &Spec, folder: &Path, commit: &mut dyn FnMut() -> Result<()>) -> Result<()>;
    /// Waits until it reports that it has started, or until the time is over (false).
    fn wait_started(&self, spec: &Spec, most: Duration) -> Result<bool>;
    /// Asks its init to halt and waits for its end. False: the time is over and it is still running.
    fn halt(&self, spec: &Spec, most: Duration) -> Result<bool>;
    /// Kills all its processes and waits for their end.
    fn kill(&self, id: u32) -> Result<()>;
    /// Removes what is left on the host of a stopped one: network, groups.
    fn clean(&self, id: u32) -> Result<()>;
    /// Lets the host reject what is sent to the addresses of a container while it does not run, until
    /// [`Node::unpark`]: nobody else may answer for one that is suspended.
    fn park(&self, spec: &Spec) -> Result<()>;
    /// Undoes [`Node::park`].
    fn unpark(&self, id: u32) -> Result<()>;
    /// As [`Node::clean`], if a check shows that it is necessary: before a start there is usually nothing.
    fn clean_if_needed(&self, id: u32) -> Result<()> {
        self.clean(id)
    }
    /// Runs a command inside, connected to our standard streams. Gives its exit code, or 128 + N for signal N.
    fn exec(&self, id: u32, command: &InnerCommand) -> Result<u8>;
    /// Connects our terminal to a console of the container.
    fn console(&self, id: u32, tty: u32) -> Result<()>;
    /// Freezes (true) or thaws all its processes.
    fn freeze(&self, id: u32, frozen: bool) -> Result<()>;
    /// Applies changed parameters: `keys` are those that differ between the two.
    fn apply(&self, old: &Spec, new: &Spec, keys: &[String]) -> Result<()>;
    /// Switches a container's disk limits on (with the spec's values) or off.
    fn quota(&self, spec: &Spec, on: bool) -> Result<()>;
    /// The number of threads of one, which is its beancounter `numproc`; none if it has ended. Costs much less than
    /// [`Node::counters`], for which the kernel looks at each process.
    fn threads(&self, id: u32) -> Option<u64>;
    /// The usage of a running one, in the units of the beancounters: bytes, pages, or a count.
    fn counters(&self, id: u32) -> Result<Vec<Counter>>;
    /// How many seconds ago each of these was started, of those that are running.
    fn uptimes(&self, ids: &[u32]) -> BTreeMap<u32, f64>;
    /// The load of the last 1, 5 and 15 minutes of one that is running and not frozen, if the kernel provides it.
    fn load(&self, id: u32) -> Option<[f64; 3]>;
}
