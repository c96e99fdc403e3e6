//! The machine that this runs on: the engine, the network and mounts, in the form that the commands use.

mod checkpoint;
mod devices;
mod image;
mod mounts;
mod quota;
mod usage;
mod users;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::convert;
use super::exit::{Error, Result};
use super::node::{Activity, Counter, InnerCommand, Mount, Node};
use super::paths::Paths;
use super::spec::Spec;
use super::{below, mark};
use crate::container::{self, Runtime, console, freeze, keeper, limits, ve};
use crate::net;

/// The folder of the logs of containers' consoles.
const LOGS: &str = "/system/var/log/vz";
/// systemd's signal for "power off": SIGRTMIN+4, with glibc's SIGRTMIN (34).
const SYSTEMD_POWEROFF: i32 = 38;

/// Saved processes, and what is called when they exist, before they run: if it fails they are discarded.
type Saved<'a> = (container::checkpoint::Restore, &'a mut dyn FnMut() -> Result<()>);

/// The machine.
#[derive(Debug, Default)]
pub struct Machine {
    runtime: Runtime,
}

impl Machine {
    /// Process 1 of a container, by the host's number.
    fn init(&self, id: u32) -> Result<i32> {
        let state = self.runtime.state(id).map_err(convert::engine_error)?;
        state.map(|state| state.pid).filter(|pid| *pid > 0).ok_or_else(Error::not_running)
    }

    fn netns(&self, id: u32) -> Result<net::Netns> {
        net::Netns::of_pid(self.init(id)?).map_err(convert::network_error)
    }

    /// Starts a container's init, or saved processes in its place, which run after a second function has returned.
    fn start_engine(&self, spec: &Spec, saved: Option<Saved>) -> Result<()> {
        let mut made = convert::engine(spec)?;
        // Its cgroup is new, without such a limit.
        if spec.limits.io_rate.is_some() || spec.limits.io_operations.is_some() {
            made.limits.io = devices::io_limits(spec)?;
        }
        made.devices = devices::resolve(spec)?;
        made.terminal = true;
        if let Some(ids) = spec.ids {
            made.root = users::show(spec.id, &spec.root, ids)?;
        }
        let log = Path::new(LOGS).join(format!("{}.console", spec.id));
        self.runtime.prepare(spec.id).map_err(convert::engine_error)?;
        let mark = Paths::system().running(spec.id);
        // The kernel reports a failing disk; a container that is not on it can run.
        let meanwhile = Box::new(|| drop(mark::settle(&mark)));
        let ended = Box::new(|pid, end| ended(spec.id, pid, end));
        let restore = saved.as_ref().map(|(restore, _)| restore.clone());
        let kept = keeper::Kept { log: &log, restore, meanwhile, ended };
        let network = convert::network(spec, true, net::Neighbours::Detect)?;
        let (engine, wrong) = (convert::engine_error, convert::network_error);
        // In a user namespace it has to be created inside of that, by the engine.
        let mut making = self.runtime.begin(&made, kept, made.ids.is_none()).map_err(engine)?;
        made.network = making.network();
        // The engine works in parallel, and waits at times for the kernel.
        let netns = match making.create(&made).map_err(engine)? {
            Some(netns) => net::Netns::of_fd(netns),
            None => net::Netns::of_pid(making.pid().map_err(engine)?).map_err(wrong)?,
        };
        let Some((restore, commit)) = saved else {
            net::up(&network, &netns).map_err(wrong)?;
            return making.start().map_err(engine);
        };
        // Until the saved connections exist again, the kernel would reject what belongs to them.
        net::hold(&netns).and_then(|()| net::up(&network, &netns)).map_err(wrong)?;
        making.pid().map_err(engine)?;
        making.restore(&restore.log).map_err(engine)?;
        commit()?;
        making.start().and_then(|()| self.runtime.adopt(spec.id)).map_err(engine)?;
        net::release(&netns).map_err(wrong)
    }
}

impl Node for Machine {
    fn running(&self) -> Result<BTreeMap<u32, Activity>> {
        let folder = Path::new(limits::CGROUPS).join("vz");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(Error::file(&folder, error)),
        };
        let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(ids.filter_map(|id| Some((id, activity(id)?))).collect())
    }

    fn is_running(&self, id: u32) -> Result<bool> {
        Ok(activity(id).is_some())
    }

    fn left(&self, id: u32) -> Result<Option<i32>> {
        Ok(self.runtime.left(id))
    }

    fn is_frozen(&self, id: u32) -> Result<bool> {
        Ok(activity(id) == Some(Activity::Frozen))
    }

    fn is_mounted(&self, path: &Path) -> Result<bool> {
        mounts::is_mounted(path)
    }

    fn mount(&self, mounts: &[Mount]) -> Result<()> {
        for (done, mount) in mounts.iter().enumerate() {
            if let Err(error) = mounts::make(mount) {
                for made in mounts[..done].iter().rev() {
                    let _ = nix::mount::umount2(&made.target, nix::mount::MntFlags::MNT_DETACH);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn umount(&self, path: &Path) -> Result<()> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        // Of what is a container's image, not of what it may lie on.
        let image = image::shown(&path).filter(|(_, image)| image.windows(9).any(|part| part == b"/root.hdd"));
        for target in mounts::mounted_below(&path)?.iter().rev() {
            nix::mount::umount2(target, nix::mount::MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|error| Error::Umount(format!("Can't umount {}: {error}", target.display())))?;
        }
        image.map_or(Ok(()), image::let_go)
    }

    fn format(&self, image: &Path, bytes: u64, inodes: Option<u64>) -> Result<()> {
        image::format(image, bytes, inodes)
    }

    fn check(&self, image: &Path) -> Result<()> {
        image::check(image)
    }

    fn grow(&self, image: &Path, root: &Path, bytes: u64) -> Result<()> {
        image::grow(image, root, bytes)
    }

    fn shrink(&self, image: &Path, bytes: u64) -> Result<()> {
        image::shrink(image, bytes)
    }

    fn hold(&self, root: &Path, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        image::hold(root, work)
    }

    fn trim(&self, root: &Path) -> Result<()> {
        image::trim(root)
    }

    fn used(&self, root: &Path) -> Result<(u64, u64)> {
        image::used(root)
    }

    fn start(&self, spec: &Spec) -> Result<()> {
        let _ = below::remove(&spec.root, Path::new(below::STARTED));
        self.start_engine(spec, None)
    }

    fn can_checkpoint(&self) -> bool {
        container::checkpoint::available()
    }

    fn dump(&self, id: u32, folder: &Path, earlier: Option<&Path>) -> Result<()> {
        self.save(id, folder, earlier)
    }

    fn pre_dump(&self, id: u32, folder: &Path, earlier: Option<&Path>) -> Result<()> {
        self.save_memory(id, folder, earlier)
    }

    fn restore(&self, spec: &Spec, folder: &Path, commit: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.start_saved(spec, folder, commit)
    }

    fn wait_started(&self, spec: &Spec, most: Duration) -> Result<bool> {
        let file = Path::new(below::STARTED);
        // A foreign system does not report its start: it counts as started when its init runs.
        if !below::is_file(&spec.root, Path::new("system/etc/init.d/rcS")) {
            return self.is_running(spec.id);
        }
        let folder = file.parent().unwrap_or(file);
        let folder = below::folder(&spec.root, folder).map_err(|error| Error::file(&spec.root.join(folder), error))?;
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
        watch.add_watch(path.as_str(), AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
        let end = std::time::Instant::now() + most;
        loop {
            if below::is_file(&spec.root, file) {
                return Ok(true);
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Also every second, in case the container ends meanwhile.
            let turn = left.min(Duration::from_secs(1));
            let turn = PollTimeout::try_from(turn).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], turn) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let _ = watch.read_events();
            if !self.is_running(spec.id)? {
                return Err(Error::NotRunning("The container ended while it was starting: see its console log".into()));
            }
        }
    }

    fn halt(&self, spec: &Spec, most: Duration) -> Result<bool> {
        let pid = self.init(spec.id)?;
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match name.as_str() {
            "busybox" => kill(Pid::from_raw(pid), Signal::SIGUSR2)?,
            "systemd" => self.runtime.kill(spec.id, SYSTEMD_POWEROFF).map_err(convert::engine_error)?,
            // As the classic tool does.
            _ => {
                let arguments = ["halt".into()].into();
                let environment = vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())];
                self.exec(spec.id, &InnerCommand { arguments, environment, ..InnerCommand::default() })?;
            }
        }
        freeze::wait(&limits::cgroup(spec.id), "populated", 0, most).map_err(convert::engine_error)
    }

    fn kill(&self, id: u32) -> Result<()> {
        if limits::cgroup(id).exists() { freeze::kill_all(id).map_err(convert::engine_error) } else { Ok(()) }
    }

    fn clean(&self, id: u32) -> Result<()> {
        self.runtime.delete(id).map_err(convert::engine_error)?;
        users::hide(id)?;
        net::down(id, None).map_err(convert::network_error)
    }

    fn park(&self, spec: &Spec) -> Result<()> {
        let addresses: Vec<_> = spec.addresses.iter().map(|one| one.ip).collect();
        net::park(spec.id, &addresses).map_err(convert::network_error)
    }

    fn unpark(&self, id: u32) -> Result<()> {
        net::unpark(id).map_err(convert::network_error)
    }

    fn clean_if_needed(&self, id: u32) -> Result<()> {
        if self.runtime.knows(id) { self.clean(id) } else { Ok(()) }
    }

    fn exec(&self, id: u32, command: &InnerCommand) -> Result<u8> {
        let text = |word: &std::ffi::OsString| word.to_string_lossy().into_owned();
        let arguments: Vec<String> = command.arguments.iter().map(text).collect();
        let input = command.input.as_deref();
        let code = match &command.stopped_root {
            Some(root) => {
                let mut spec = container::ContainerSpec::new(id, root);
                spec.init = arguments;
                spec.environment = command.environment.clone();
                if let Some(ids) = command.ids {
                    spec.root = users::show(id, root, ids)?;
                    spec.ids = Some(convert::ids(ids));
                }
                let ran = self.runtime.run_once(&spec, input);
                users::hide(id)?;
                ran
            }
            None => {
                let terminal = command.terminal && input.is_none() && std::io::stdin().is_terminal();
                self.runtime.exec(id, &arguments, &command.environment, terminal, input)
            }
        };
        Ok(u8::try_from(code.map_err(convert::engine_error)?).unwrap_or(u8::MAX))
    }

    fn console(&self, id: u32, tty: u32) -> Result<()> {
        if tty != 1 {
            return Err(Error::Value(format!(
                "A container has only terminal 1, its console; there is no terminal {tty}"
            )));
        }
        console::attach(&self.runtime.folder, id).map_err(convert::engine_error)
    }

    fn freeze(&self, id: u32, frozen: bool) -> Result<()> {
        if frozen {
            return freeze::freeze(id).map_err(convert::engine_error);
        }
        // Held since a dump.
        if let Some(pid) = self.runtime.left(id) {
            net::Netns::of_pid(pid).and_then(|netns| net::release(&netns)).map_err(convert::network_error)?;
        }
        freeze::thaw(id).map_err(convert::engine_error)
    }

    fn apply(&self, old: &Spec, new: &Spec, keys: &[String]) -> Result<()> {
        let changed = |names: &[&str]| keys.iter().any(|key| names.contains(&key.as_str()));
        let mut made = convert::limits(&new.limits);
        made.io = devices::io_limits(new)?;
        limits::apply(&made, &limits::cgroup(new.id)).map_err(convert::engine_error)?;
        if changed(&["DISKSPACE", "DISKINODES", "QUOTATIME", "DISK_QUOTA"]) {
            quota::set(new, true)?;
        }
        if changed(&["HOSTNAME"]) {
            if let Some(name) = &new.hostname {
                self.set_hostname(new.id, name)?;
            }
        }
        self.apply_network(old, new, &changed)
    }

    fn quota(&self, spec: &Spec, on: bool) -> Result<()> {
        quota::set(spec, on)
    }

    fn threads(&self, id: u32) -> Option<u64> {
        limits::threads(&limits::cgroup(id))
    }

    fn counters(&self, id: u32) -> Result<Vec<Counter>> {
        usage::counters(id)
    }

    fn uptimes(&self, ids: &[u32]) -> BTreeMap<u32, f64> {
        usage::uptimes(ids, |id| self.init(id).ok())
    }

    fn load(&self, id: u32) -> Option<[f64; 3]> {
        ve::load(&limits::cgroup(id))
    }
}

impl Machine {
    fn set_hostname(&self, id: u32, name: &str) -> Result<()> {
        let path = format!("/proc/{}/ns/uts", self.init(id)?);
        let space = File::open(&path).map_err(|error| Error::file(Path::new(&path), error))?;
        // A namespace is a thread's property, so a thread of its own goes there.
        let done = std::thread::scope(|scope| {
            let set = || setns(&space, CloneFlags::CLONE_NEWUTS).and_then(|()| nix::unistd::sethostname(name));
            scope.spawn(set).join()
        });
        done.map_err(|_| Error::System("The thread that sets the host name failed".into()))?.map_err(Error::from)
    }

    fn apply_network(&self, old: &Spec, new: &Spec, changed: &dyn Fn(&[&str]) -> bool) -> Result<()> {
        if !changed(&["IP_ADDRESS", "NETIF", "NETDEV", "FORWARD"]) {
            return Ok(());
        }
        let netns = self.netns(new.id)?;
        let before = convert::network(old, true, net::Neighbours::Detect)?;
        let after = convert::network(new, true, net::Neighbours::Detect)?;
        let wrong = convert::network_error;
        let ips = |network: &net::Network| network.addresses.iter().map(|one| one.ip).collect::<Vec<_>>();
        let (old_ips, new_ips) = (ips(&before), ips(&after));
        let gone: Vec<_> = old_ips.iter().copied().filter(|ip| !new_ips.contains(ip)).collect();
        let come: Vec<_> = after.addresses.iter().filter(|one| !old_ips.contains(&one.ip)).copied().collect();
        if !come.is_empty() {
            net::add_addresses(new.id, &netns, &come, &after.neighbours).map_err(wrong)?;
        }
        if !gone.is_empty() {
            net::remove_addresses(new.id, &netns, &gone).map_err(wrong)?;
        }
        for old in before.interfaces.iter().filter(|old| !after.interfaces.contains(old)) {
            net::remove_interface(new.id, &netns, &old.name).map_err(wrong)?;
        }
        for new_one in after.interfaces.iter().filter(|one| !before.interfaces.contains(one)) {
            net::add_interface(new.id, &netns, new_one).map_err(wrong)?;
        }
        for name in before.devices.iter().filter(|name| !after.devices.contains(name)) {
            net::remove_device(&netns, name).map_err(wrong)?;
        }
        for name in after.devices.iter().filter(|name| !before.devices.contains(name)) {
            net::add_device(&netns, name).map_err(wrong)?;
        }
        if changed(&["FORWARD", "IP_ADDRESS"]) {
            net::set_forwards(new.id, &new_ips, &after.forwards).map_err(wrong)?;
        }
        Ok(())
    }
}

/// What a container does, according to its cgroup; none if it does not run.
fn activity(id: u32) -> Option<Activity> {
    let events = limits::events(id)?;
    match (events.populated, events.frozen) {
        (false, _) => None,
        (true, false) => Some(Activity::Runs),
        (true, true) => Some(Activity::Frozen),
    }
}

/// What the keeper of a container executes when that has ended: `vzctl` cleans it up, or starts it again. Returns only
/// if that can't be run.
fn ended(id: u32, pid: i32, end: keeper::End) {
    use std::os::unix::process::CommandExt;
    let words = ["vzctl".to_owned(), "--quiet".into(), "ended".into(), id.to_string(), pid.to_string()];
    let _ = super::process::command("/proc/self/exe").args(words).arg(end.word()).exec();
}

/// The block device of a path's file system, or None for one in memory.
fn disk_of(path: &Path) -> Result<Option<(PathBuf, u32, u32)>> {
    use std::os::unix::fs::MetadataExt;
    let data = fs::metadata(path).map_err(|error| Error::file(path, error))?;
    let (major, minor) = (nix::sys::stat::major(data.dev()), nix::sys::stat::minor(data.dev()));
    let folder = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if !folder.exists() {
        return Ok(None);
    }
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Some((folder, number(major), number(minor))))
}
