//! What the classic face needs of the machine: the engine, the network and mounts, behind one trait. Commands know nothing else, so
//! they are tested on any host with a node that keeps notes.

use super::exit::{Error, Result};
use super::spec::Spec;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A mount that makes a container's root, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// A folder that is bound, or None for an overlay.
    pub source: Option<PathBuf>,
    /// Folders below, the topmost first. For an overlay.
    pub lower: Vec<PathBuf>,
    /// The folder of changes and the one for work in hand, on one file system. None: read-only.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// Where.
    pub target: PathBuf,
    /// Whether nothing can be changed below.
    pub read_only: bool,
}

/// A command inside.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program and its arguments. Looked up by `PATH` inside.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Whether it gets a terminal of its own, which ours is joined to.
    pub terminal: bool,
    /// What it reads. None: our standard input.
    pub input: Option<Vec<u8>>,
    /// Whether it runs in the mounted root of a container that does not run: nothing but its file system.
    pub stopped_root: Option<PathBuf>,
}

/// What a container uses, in the units of the beancounters: bytes, pages, things.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// By the beancounter's name: now, at most, refused.
    pub counters: Vec<(&'static str, u64, u64, u64)>,
    /// Seconds since it started.
    pub uptime: Option<f64>,
    /// The load of the last 1, 5 and 15 minutes, if it is known.
    pub load: Option<[f64; 3]>,
    /// Blocks of 1024 bytes in use, and inodes.
    pub disk: Option<(u64, u64)>,
}

/// The machine.
pub trait Node {
    /// Those that run, suspended ones included, in no set order.
    fn running(&self) -> Result<Vec<u32>>;
    /// Whether one runs.
    fn is_running(&self, id: u32) -> Result<bool> {
        Ok(self.running()?.contains(&id))
    }
    /// Whether one is frozen.
    fn is_frozen(&self, id: u32) -> Result<bool>;
    /// Whether something is mounted there.
    fn is_mounted(&self, path: &Path) -> Result<bool>;
    /// Mounts, in order; if one fails, those before are taken back.
    fn mount(&self, mounts: &[Mount]) -> Result<()>;
    /// Unmounts a folder and all below.
    fn umount(&self, path: &Path) -> Result<()>;
    /// Starts a container whose root is mounted: its namespaces, limits, network and init.
    fn start(&self, spec: &Spec) -> Result<()>;
    /// Waits until it says that it has started up, or until the time is over (false).
    fn wait_started(&self, spec: &Spec, most: Duration) -> Result<bool>;
    /// Asks its init to halt and waits for its end. False: the time is over and it still runs.
    fn halt(&self, spec: &Spec, most: Duration) -> Result<bool>;
    /// Kills all its processes and waits for their end.
    fn kill(&self, id: u32) -> Result<()>;
    /// Removes what is left on the host of one that does not run: network, groups.
    fn clean(&self, id: u32) -> Result<()>;
    /// Runs a command inside, joined to our standard streams. Gives its exit code, 128 + N for signal N.
    fn exec(&self, id: u32, command: &Command) -> Result<u8>;
    /// Joins our terminal to a console of the container.
    fn console(&self, id: u32, tty: u32) -> Result<()>;
    /// Freezes (true) or thaws all its processes.
    fn freeze(&self, id: u32, frozen: bool) -> Result<()>;
    /// Lets changed parameters take effect: `keys` are those that differ between the two.
    fn apply(&self, old: &Spec, new: &Spec, keys: &[String]) -> Result<()>;
    /// Turns the disk's limits of a container on (with the spec's) or off.
    fn quota(&self, spec: &Spec, on: bool) -> Result<()>;
    /// What it uses.
    fn usage(&self, id: u32) -> Result<Usage>;
}

/// The machine that this runs on. Mounts are made here; what needs the engine is refused until a build has it.
pub struct Machine;

fn no_engine<T>() -> Result<T> {
    Err(Error::Kernel("This build has no container engine: only what needs no running container works".into()))
}

impl Node for Machine {
    fn running(&self) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }

    fn is_frozen(&self, _: u32) -> Result<bool> {
        Ok(false)
    }

    fn is_mounted(&self, path: &Path) -> Result<bool> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(mounted_below(&path)?.contains(&path))
    }

    fn mount(&self, mounts: &[Mount]) -> Result<()> {
        for (done, mount) in mounts.iter().enumerate() {
            if let Err(error) = make(mount) {
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
        for target in mounted_below(&path)?.iter().rev() {
            nix::mount::umount2(target, nix::mount::MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|error| Error::Umount(format!("Can't umount {}: {error}", target.display())))?;
        }
        Ok(())
    }

    fn start(&self, _: &Spec) -> Result<()> {
        no_engine()
    }

    fn wait_started(&self, _: &Spec, _: Duration) -> Result<bool> {
        no_engine()
    }

    fn halt(&self, _: &Spec, _: Duration) -> Result<bool> {
        no_engine()
    }

    fn kill(&self, _: u32) -> Result<()> {
        no_engine()
    }

    fn clean(&self, _: u32) -> Result<()> {
        Ok(())
    }

    fn exec(&self, _: u32, _: &Command) -> Result<u8> {
        no_engine()
    }

    fn console(&self, _: u32, _: u32) -> Result<()> {
        no_engine()
    }

    fn freeze(&self, _: u32, _: bool) -> Result<()> {
        no_engine()
    }

    fn apply(&self, _: &Spec, _: &Spec, _: &[String]) -> Result<()> {
        no_engine()
    }

    fn quota(&self, _: &Spec, _: bool) -> Result<()> {
        Err(Error::Quota("This build has no disk quota".into()))
    }

    fn usage(&self, _: u32) -> Result<Usage> {
        Ok(Usage::default())
    }
}

/// All mount points at a folder and below, in the order of their making.
fn mounted_below(path: &Path) -> Result<Vec<PathBuf>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo");
    let table = table.map_err(|error| Error::file(Path::new("/proc/self/mountinfo"), error))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(unescape(point)));
    Ok(points.filter(|point| point.starts_with(path)).collect())
}

/// `\040` and the like as the kernel writes them (proc_pid_mountinfo(5)).
fn unescape(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let (bytes, mut made, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let code = text.get(at + 1..at + 4).and_then(|code| u8::from_str_radix(code, 8).ok());
        match (bytes[at], code) {
            (b'\\', Some(code)) => {
                made.push(code);
                at += 4;
            }
            (byte, _) => {
                made.push(byte);
                at += 1;
            }
        }
    }
    OsString::from_vec(made)
}

fn make(mount: &Mount) -> Result<()> {
    use nix::mount::{MsFlags, mount as call};
    let failed = |what: String| move |error: nix::Error| Error::Mount(format!("Can't mount: {what}: {error}"));
    let target = &mount.target;
    let none = None::<&str>;
    match &mount.source {
        Some(source) => {
            let what = || format!("{} {}", target.display(), source.display());
            call(Some(source), target, none, MsFlags::MS_BIND, none).map_err(failed(what()))?;
            if mount.read_only {
                let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                call(none, target, none, flags, none).map_err(failed(what()))?;
            }
        }
        None => {
            let list: Vec<String> = mount.lower.iter().map(|path| path.display().to_string()).collect();
            let mut data = format!("lowerdir={}", list.join(":"));
            if let Some((upper, work)) = &mount.upper {
                data += &format!(",upperdir={},workdir={}", upper.display(), work.display());
            }
            let flags = if mount.read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
            call(Some("overlay"), target, Some("overlay"), flags, Some(data.as_str())).map_err(failed(data.clone()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_of_mount_points() {
        assert_eq!(super::unescape("/vz/a\\040b\\134c"), "/vz/a b\\c");
        assert_eq!(super::unescape("/plain\\"), "/plain\\");
    }
}
