//! Systems on the systems' disk: `/hd/system0`, `/hd/system1` and so on.
//!
//! Unfinished systems have a name that says so (`system0.restoring`), and are renamed atomically when everything is on
//! the disk. So a power cut leaves the old system or the new one, and [`super::recovery`] finds the rest by name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, RenameFlags, renameat2};

use super::tree::{copy_tree, pack, unpack};
use crate::durable::sync_folder;

/// The systems of a disk.
#[derive(Debug, Clone)]
pub struct Systems {
    /// Where the disk is mounted.
    pub hd: PathBuf,
    /// The live system's own tree, template `live`.
    pub live: PathBuf,
    /// Templates by name: `NAME.tar.gz`.
    pub templates: PathBuf,
    /// The folder of locks, in memory.
    pub locks: PathBuf,
    /// The early init's decision: which system it has started.
    pub plan: PathBuf,
}

impl Default for Systems {
    fn default() -> Self {
        Self {
            hd: "/hd".into(),
            live: "/system/live/ro".into(),
            templates: "/vz/template/cache".into(),
            locks: "/system/run/lock".into(),
            plan: "/system/run/boot/plan".into(),
        }
    }
}

/// The error, as a sentence.
pub type Result<T> = std::result::Result<T, String>;

pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> String {
    let what = what.into();
    move |error| {
        let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
        format!("{what}: {error}{why}.")
    }
}

/// Flushes the file system of a path to disk.
pub(super) fn sync(path: &Path) -> Result<()> {
    let folder = File::open(path).map_err(failed(path.display().to_string()))?;
    nix::unistd::syncfs(folder).map_err(|error| failed(path.display().to_string())(error.into()))
}

impl Systems {
    /// The names of the existing systems, in order.
    pub fn list(&self) -> Result<Vec<String>> {
        let entries =
            fs::read_dir(&self.hd).map_err(failed(format!("Cannot list the systems at {}", self.hd.display())))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().join("system").is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| check_name(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Whether a system is running, or has processes in it.
    pub fn in_use(&self, name: &str) -> bool {
        let plan = fs::read_to_string(&self.plan).unwrap_or_default();
        let says = |key: &str, value: &str| plan.lines().any(|line| line == format!("{key}={value}"));
        let started = says("mode", "chroot") || says("mode", "switch");
        if started && says("system", &format!("/{name}")) && !says("mode", "live") {
            return true;
        }
        let path = self.hd.join(name);
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())).any(
            |entry| {
                ["root", "cwd"]
                    .iter()
                    .any(|link| fs::read_link(entry.path().join(link)).is_ok_and(|target| target.starts_with(&path)))
            },
        )
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.hd.join(name))
    }

    fn there(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name)?;
        if path.is_dir() {
            return Ok(path);
        }
        let all = self.list()?;
        let all = if all.is_empty() { "none".into() } else { all.join(", ") };
        Err(format!("There is no system {name} at {}; systems there: {all}.", self.hd.display()))
    }

    fn absent(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name)?;
        if fs::symlink_metadata(&path).is_ok() {
            return Err(format!("{name} is there already: remove it first, or restore it."));
        }
        Ok(path)
    }

    fn idle(&self, name: &str) -> Result<()> {
        if self.in_use(name) {
            return Err(format!("{name} is in use: shut it down, or start the live system alone (mode=live)."));
        }
        Ok(())
    }

    /// Locks a system against others as long as the result lives.
    fn lock(&self, name: &str) -> Result<Flock<File>> {
        fs::create_dir_all(&self.locks).map_err(failed(self.locks.display().to_string()))?;
        let path = self.locks.join(format!("system-{name}"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(failed(path.display().to_string()))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| format!("{name} is locked by another command."))
    }

    /// Unpacks a template (`live`, a name, or an archive's path) or an archive under an unfinished name.
    fn lay_out(&self, template: &str, made: &Path) -> Result<()> {
        clear(made)?;
        if template == "live" && self.live.is_dir() {
            return copy_tree(&self.live, made).map_err(failed(format!("Cannot copy {}", self.live.display())));
        }
        let archive = if template.contains('/') {
            PathBuf::from(template)
        } else {
            let named = |ending: &str| self.templates.join(format!("{template}{ending}"));
            let found = [".tar.gz", ".tar"].iter().map(|ending| named(ending)).find(|path| path.is_file());
            found.ok_or_else(|| {
                format!("There is no template {template} (.tar.gz or .tar) in {}.", self.templates.display())
            })?
        };
        let what = || failed(format!("Cannot unpack {}", archive.display()));
        let mut file = BufReader::with_capacity(1 << 16, File::open(&archive).map_err(what())?);
        fs::create_dir(made).map_err(failed(made.display().to_string()))?;
        let start = io::BufRead::fill_buf(&mut file).map_err(what())?;
        let reader: Box<dyn Read> =
            if start.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        unpack(reader, made).map_err(what())?;
        if !made.join("system").is_dir() && !made.join("sbin").exists() {
            return Err(format!("{} does not contain a system: it has neither /system nor /sbin.", archive.display()));
        }
        Ok(())
    }

    /// Creates a system from a template.
    ///
    /// # Errors
    /// It exists; the template is missing or damaged; the disk is full. Then nothing is left.
    pub fn create(&self, name: &str, template: &str) -> Result<()> {
        let path = self.absent(name)?;
        let _lock = self.lock(name)?;
        let made = beside(&path, "creating");
        let done = self.lay_out(template, &made).and_then(|()| settle(&made, &path));
        undo(done, &made)
    }

    /// Creates a copy of a system.
    ///
    /// # Errors
    /// As [`Self::create`]; the other system is in use.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (source, path) = (self.there(from)?, self.absent(to)?);
        self.idle(from)?;
        let _locks = (self.lock(from)?, self.lock(to)?);
        let made = beside(&path, "copying");
        clear(&made)?;
        let done = copy_tree(&source, &made).map_err(failed(format!("Cannot copy {from}")));
        undo(done.and_then(|()| settle(&made, &path)), &made)
    }

    /// Packs a system as a tar, compressed if the name ends in `.gz`.
    ///
    /// # Errors
    /// It is in use; the disk is full. An older file of that name then stays.
    pub fn pack(&self, name: &str, file: &Path) -> Result<()> {
        let source = self.there(name)?;
        self.idle(name)?;
        let compressed = match file.extension().and_then(|ending| ending.to_str()) {
            Some("gz" | "tgz") => true,
            Some("tar") => false,
            _ => return Err(format!("{}: expected a name that ends in .tar.gz or .tar.", file.display())),
        };
        let _lock = self.lock(name)?;
        // The archive may be written anywhere: a link beside the system records where, until it is finished.
        let note = beside(&source, "packing");
        clear(&note)?;
        let noted = |done: io::Result<()>| {
            done.and_then(|()| sync_folder(&self.hd)).map_err(failed(note.display().to_string()))
        };
        noted(std::os::unix::fs::symlink(file, &note))?;
        let packed = write_whole(file, |out| {
            let everything = |_: &Path| false;
            let names = [PathBuf::new()];
            if compressed {
                pack(&source, &names, &everything, GzEncoder::new(out, Compression::default()))?.finish()?;
            } else {
                pack(&source, &names, &everything, out)?;
            }
            Ok(())
        });
        let removed = noted(fs::remove_file(&note));
        packed.and(removed)
    }

    /// Replaces a system by the content of an archive or a template ("ghost"), or creates one from it.
    ///
    /// # Errors
    /// It is in use; the archive is damaged; the disk is full. The system is then unchanged.
    pub fn restore(&self, name: &str, archive: &str) -> Result<()> {
        let path = self.path(name)?;
        self.idle(name)?;
        let _lock = self.lock(name)?;
        let made = beside(&path, "restoring");
        let done = self.lay_out(archive, &made).and_then(|()| sync(&made));
        undo(done, &made)?;
        let what = || failed(format!("Cannot replace {name}"));
        if !path.exists() {
            return settle(&made, &path);
        }
        renameat2(AT_FDCWD, &made, AT_FDCWD, &path, RenameFlags::RENAME_EXCHANGE)
            .map_err(|error| what()(error.into()))?;
        sync(&self.hd)?;
        // Flushed to disk, too: otherwise the next start would report an interruption that did not happen.
        fs::remove_dir_all(&made).and_then(|()| sync_folder(&self.hd)).map_err(what())
    }

    /// Removes a system.
    ///
    /// # Errors
    /// It is in use.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.there(name)?;
        self.idle(name)?;
        let _lock = self.lock(name)?;
        let gone = beside(&path, "removing");
        clear(&gone)?;
        let what = || failed(format!("Cannot remove {name}"));
        fs::rename(&path, &gone).map_err(what())?;
        sync(&self.hd)?;
        fs::remove_dir_all(&gone).and_then(|()| sync_folder(&self.hd)).map_err(what())
    }
}

/// Names of systems: `system` and a distinguishing suffix.
pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    match name.strip_prefix("system") {
        Some(rest) if rest.len() <= 32 && plain(rest) => Ok(()),
        _ => Err(format!("`{name}` is not a valid name of a system: expected system0, system1 and so on.")),
    }
}

pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

pub(super) fn clear(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path.display().to_string())(error)),
        _ => Ok(()),
    }
}

/// Flushes a tree to disk and gives it its final name.
fn settle(made: &Path, path: &Path) -> Result<()> {
    sync(made)?;
    fs::rename(made, path).map_err(failed(path.display().to_string()))?;
    sync(path)
}

/// Removes what a failure left.
fn undo(done: Result<()>, made: &Path) -> Result<()> {
    if done.is_err() {
        // The cause of the failure is more useful.
        let _ = clear(made);
    }
    done
}

/// Writes a file so that its name has either the old content or the complete new one.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let made = beside(path, "partial");
    let what = || failed(format!("Cannot write {}", path.display()));
    let written = File::create(&made).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 16, file);
        write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    });
    // The folder is flushed as well: once the file is reported as written it must exist after a power cut.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let done = written.and_then(|()| fs::rename(&made, path)).and_then(|()| sync_folder(folder)).map_err(what());
    if done.is_err() {
        let _ = fs::remove_file(&made);
    }
    done
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A disk with a template `live`.
    pub(in crate::system) fn disk() -> (tempfile::TempDir, Systems) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let systems =
            Systems { hd: at("hd"), live: at("live"), templates: at("cache"), locks: at("locks"), plan: at("plan") };
        fs::create_dir_all(at("live/system/bin")).unwrap();
        fs::write(at("live/system/bin/sh"), "one").unwrap();
        fs::create_dir(at("hd")).unwrap();
        (folder, systems)
    }

    pub(in crate::system) fn content(systems: &Systems, name: &str) -> String {
        fs::read_to_string(systems.hd.join(name).join("system/bin/sh")).unwrap()
    }

    #[test]
    fn a_system_is_made_packed_changed_and_restored() {
        let (folder, systems) = disk();
        systems.create("system0", "live").unwrap();
        assert!(systems.create("system0", "live").unwrap_err().contains("is there already"));
        let packed = folder.path().join("saved.tar.gz");
        systems.pack("system0", &packed).unwrap();
        fs::write(systems.hd.join("system0/system/bin/sh"), "changed").unwrap();
        systems.copy("system0", "system1").unwrap();
        systems.restore("system0", packed.to_str().unwrap()).unwrap();
        assert_eq!((content(&systems, "system0").as_str(), content(&systems, "system1").as_str()), ("one", "changed"));
        assert_eq!(systems.list().unwrap(), ["system0", "system1"]);
        systems.remove("system1").unwrap();
        assert_eq!(systems.list().unwrap(), ["system0"]);
        assert!(systems.remove("system1").unwrap_err().contains("systems there: system0"));
        assert_eq!(fs::read_dir(&systems.hd).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_failure_leaves_what_was() {
        let (folder, systems) = disk();
        systems.create("system0", "live").unwrap();
        let bad = folder.path().join("bad.tar.gz");
        fs::write(&bad, [0x1f, 0x8b, 8, 0]).unwrap();
        systems.restore("system0", bad.to_str().unwrap()).unwrap_err();
        assert!(systems.restore("system0", "none").unwrap_err().contains("There is no template none"));
        assert_eq!(content(&systems, "system0"), "one");
        assert!(systems.pack("system0", Path::new("/x.zip")).unwrap_err().contains(".tar.gz"));
        for bad in ["../etc", "system/x", "home", "system0.creating"] {
            assert!(systems.create(bad, "live").unwrap_err().contains("not a valid name of a system"), "{bad}");
        }
        assert_eq!(fs::read_dir(&systems.hd).unwrap().count(), 1);
    }

    #[test]
    fn what_runs_is_left_alone() {
        let (_folder, systems) = disk();
        systems.create("system0", "live").unwrap();
        fs::write(&systems.plan, "mode=chroot\nsystem=/system0\n").unwrap();
        for done in [systems.remove("system0"), systems.restore("system0", "live"), systems.copy("system0", "system1")]
        {
            assert!(done.unwrap_err().contains("is in use"));
        }
        systems.create("system1", "live").unwrap();
        let _held = systems.lock("system1").unwrap();
        assert!(systems.remove("system1").unwrap_err().contains("locked by another"));
    }
}
