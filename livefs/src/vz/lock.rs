//! Only one command at a time works on a container: `LOCKDIR/CTID.lck` has a line with the pid and one with the status.

use super::exit::{Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A container's lock. It is released when this is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
}

impl Lock {
    /// Takes a container's lock. A lock whose owner is gone is removed, and reported to `stale`. `status` describes the
    /// operation (classic tools leave it empty except for `restoring` and the like).
    ///
    /// # Errors
    /// [`Error::Locked`]; [`Error::System`] if the folder can't be written to.
    pub fn take(folder: &Path, id: u32, status: &str, mut stale: impl FnMut(&Path)) -> Result<Lock> {
        let path = folder.join(format!("{id}.lck"));
        let failed = |error| {
            Error::system(format!("Unable to create lock file {}, use --skiplock option", path.display()), error)
        };
        let own = folder.join(format!("{id}.lck.{}", std::process::id()));
        let write = || fs::write(&own, format!("{}\n{status}\n", std::process::id()));
        let written = match write() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(folder).and_then(|()| write()),
            done => done,
        };
        let result = written.map_err(failed).and_then(|()| link(&own, &path, &mut stale));
        let _ = fs::remove_file(&own);
        result.map(|()| Lock { path })
    }

    /// Waits until no process works on a container, or until the time is over. The lock may be taken again when this
    /// returns.
    ///
    /// # Errors
    /// The folder can't be watched.
    pub fn wait(folder: &Path, id: u32, most: Option<Duration>) -> Result<()> {
        let path = folder.join(format!("{id}.lck"));
        let changes = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        changes.add_watch(folder, AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM)?;
        let end = most.map(|most| Instant::now() + most);
        loop {
            // After the watch is set, so that no change is missed.
            let text = fs::read_to_string(&path).unwrap_or_default();
            let owner = text.lines().next().and_then(|pid| pid.trim().parse().ok());
            let Some(Ok(owner)) = owner.map(crate::process::watch) else { return Ok(()) };
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            let left = left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
            let mut both =
                [PollFd::new(changes.as_fd(), PollFlags::POLLIN), PollFd::new(owner.as_fd(), PollFlags::POLLIN)];
            match poll(&mut both, left) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let _ = changes.read_events();
        }
    }

    /// The status line in the lock of a container.
    pub fn status(folder: &Path, id: u32) -> Option<String> {
        let text = fs::read_to_string(folder.join(format!("{id}.lck"))).ok()?;
        let mut lines = text.lines();
        let pid: i32 = lines.next()?.trim().parse().ok()?;
        alive(pid).then(|| lines.next().unwrap_or_default().to_owned())
    }
}

/// Links the written file to the lock's name, which fails if that exists: so the lock never exists without its pid.
fn link(own: &Path, path: &Path, stale: &mut impl FnMut(&Path)) -> Result<()> {
    // Twice: after removing a stale lock this may lose the race for the new one, and then sees a live one.
    for _ in 0..2 {
        match fs::hard_link(own, path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(Error::file(path, error)),
            Err(_) => {}
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        let owner = text.lines().next().and_then(|pid| pid.trim().parse::<i32>().ok());
        if let Some(pid) = owner.filter(|pid| alive(*pid)) {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
            return Err(Error::Locked { pid, command });
        }
        stale(path);
        // Renamed to a unique name before it is removed: if another process has replaced it meanwhile, that is detected
        // and undone.
        let aside = own.with_extension(format!("{}.stale", std::process::id()));
        if fs::rename(path, &aside).is_ok() {
            let same = fs::read_to_string(&aside).unwrap_or_default() == text;
            if !same {
                let _ = fs::hard_link(&aside, path);
            }
            let _ = fs::remove_file(&aside);
        }
    }
    Err(Error::Locked { pid: 0, command: String::new() })
}

fn alive(pid: i32) -> bool {
    pid > 0 && Path::new(&format!("/proc/{pid}")).exists()
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("101.lck");
        let never = |path: &Path| panic!("{} is not stale", path.display());
        let lock = Lock::take(folder.path(), 101, "starting", never).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\nstarting\n", std::process::id()));
        assert_eq!(Lock::status(folder.path(), 101).as_deref(), Some("starting"));
        let error = Lock::take(folder.path(), 101, "", never).unwrap_err();
        assert_eq!(error.code(), 9);
        assert!(error.to_string().ends_with("Container already locked"));
        Lock::take(folder.path(), 102, "", never).unwrap();
        drop(lock);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), 101, "", |_| ()).unwrap();
        let begin = Instant::now();
        Lock::wait(folder.path(), 101, Some(Duration::from_millis(20))).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(20) && lock.path.exists());
        let folder_of = folder.path().to_owned();
        let waiter = std::thread::spawn(move || Lock::wait(&folder_of, 101, None));
        drop(lock);
        waiter.join().unwrap().unwrap();
        // The lock of a process that is gone has no owner.
        fs::write(folder.path().join("101.lck"), "2147483646\n\n").unwrap();
        Lock::wait(folder.path(), 101, None).unwrap();
    }

    #[test]
    fn owner_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["2147483646\n\n", "", "what\n"] {
            fs::write(folder.path().join("101.lck"), text).unwrap();
            let mut seen = 0;
            drop(Lock::take(folder.path(), 101, "", |_| seen += 1).unwrap());
            assert_eq!(seen, 1, "{text:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
