//! The context of every command, and a container as described by its configuration.

use super::conf::{ConfFile, Config, Values};
use super::exit::{Error, Result};
use super::layout::Layout;
use super::lock::Lock;
use super::log::Log;
use super::node::Node;
use super::paths::Paths;
use super::spec::Spec;
use super::{below, mark};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Additional parameters, which `vz.conf` or a container's file may set: the paths of its init and its shell; the first
/// that exists is used.
pub(super) const INITS: &str = "/system/init /sbin/init /etc/init /bin/init";
pub(super) const SHELLS: &str = "/bin/bash /system/bin/sh /bin/sh";

/// The status in a lock whose owner is cleaning up a container that has ended, or starting it again.
const ENDED: &str = "ended";
/// How long others wait for that.
const AWAITED: Duration = Duration::from_secs(60);

/// The context of every command.
pub struct Vz {
    /// The paths.
    pub paths: Paths,
    /// The machine.
    pub node: Box<dyn Node>,
    /// The output.
    pub log: Log,
    /// `vz.conf`.
    pub global: ConfFile,
}

/// A container: its number and configuration.
pub struct Ct {
    /// Its number.
    pub id: u32,
    /// Its own file. None: there is none.
    pub file: Option<ConfFile>,
    /// The values in effect.
    pub config: Config,
}

impl Vz {
    /// Reads `vz.conf`.
    ///
    /// # Errors
    /// [`Error::NoGlobalConfig`]
    pub fn global(paths: &Paths) -> Result<ConfFile> {
        let path = paths.global_conf();
        ConfFile::read(&path).map_err(|error| Error::NoGlobalConfig(path, error))
    }

    /// Reads a container's configuration, if it exists.
    ///
    /// # Errors
    /// It exists and can't be read.
    pub fn container(&self, id: u32) -> Result<Ct> {
        let file = self.container_file(id)?;
        // Its private area shows its layout; the global parameter is for new containers.
        let global = self.defaults(id).into_iter().filter(|(key, _)| key != "VE_LAYOUT");
        let config = Config::of(global.chain(file.iter().flat_map(|file| file.values(id).pairs)), id);
        Ok(Ct { id, file, config })
    }

    /// A container's own file, if it has one.
    ///
    /// # Errors
    /// It exists and can't be read.
    pub fn container_file(&self, id: u32) -> Result<Option<ConfFile>> {
        let path = self.paths.container_conf(id);
        match ConfFile::read(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(&path, error)),
        }
    }

    /// The values of `vz.conf` for every container: all except those that only a container's own file may set.
    /// `LOCAL_UID` is in the stock file and is for kernels without OpenVZ's patches.
    pub fn defaults(&self, id: u32) -> Vec<(String, String)> {
        const OWN: &[&str] = &["NETFILTER", "ONBOOT", "LOCAL_UID", "LOCAL_GID"];
        let mut pairs = self.global.values(id).pairs;
        pairs.retain(|(key, _)| !OWN.contains(&key.as_str()));
        pairs
    }

    /// Reports what was skipped in `vz.conf` and in a container's own file.
    ///
    /// # Errors
    /// The container's file exists and can't be read.
    pub fn tell_findings(&self, id: u32) -> Result<()> {
        self.tell(&self.global, &self.paths.global_conf(), id);
        if self.global.values(id).pairs.iter().any(|(key, _)| key == "NETFILTER") {
            let path = self.paths.global_conf();
            self.log.info(format_args!("Warning: NETFILTER should not be set in {}, ignoring", path.display()));
        }
        let path = self.paths.container_conf(id);
        match ConfFile::read(&path) {
            Ok(file) => self.tell(&file, &path, id),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file(&path, error)),
        }
        Ok(())
    }

    /// Reports what was skipped in a file.
    pub fn tell(&self, file: &ConfFile, path: &Path, id: u32) {
        self.tell_of(&file.values(id), path);
    }

    /// Reports what was skipped in a file with these values.
    pub fn tell_of(&self, values: &Values, path: &Path) {
        for finding in &values.findings {
            self.log.say(finding.level, finding.sentence(path));
        }
    }

    /// Takes a container's lock. If its keeper holds it, as the container has just ended, it is waited for.
    ///
    /// # Errors
    /// [`Error::Locked`], or `LOCKDIR` is not set.
    pub fn lock(&self, id: u32, status: &str) -> Result<Lock> {
        let folder = self.lock_folder(id)?;
        let end = Instant::now() + AWAITED;
        loop {
            let locked = match self.take_lock(&folder, id, status) {
                Err(error @ Error::Locked { .. }) => error,
                done => return done,
            };
            // A keeper may have taken it at any time; if it is free now its owner was a keeper, or a command that has
            // ended.
            let keepers = Lock::status(&folder, id).is_none_or(|status| status == ENDED);
            let left = end.saturating_duration_since(Instant::now());
            if !keepers || left.is_zero() {
                return Err(locked);
            }
            Lock::wait(&folder, id, Some(left))?;
        }
    }

    /// Takes a container's lock for its keeper, however long others hold it.
    ///
    /// # Errors
    /// `LOCKDIR` is not set.
    pub fn lock_ended(&self, id: u32) -> Result<Lock> {
        let folder = self.lock_folder(id)?;
        loop {
            match self.take_lock(&folder, id, ENDED) {
                Err(Error::Locked { .. }) => Lock::wait(&folder, id, None)?,
                done => return done,
            }
        }
    }

    fn take_lock(&self, folder: &Path, id: u32, status: &str) -> Result<Lock> {
        Lock::take(folder, id, status, |path| {
            self.log.info(format_args!("Removing stale lock file {}", path.display()))
        })
    }

    /// `LOCKDIR`
    ///
    /// # Errors
    /// It is not set.
    pub fn lock_folder(&self, id: u32) -> Result<PathBuf> {
        Ok(self.paths.at(self.general(&["LOCKDIR"], id).path("LOCKDIR")?))
    }

    /// Some keys of `vz.conf`.
    pub fn general(&self, keys: &[&str], id: u32) -> Config {
        let pairs = self.global.values(id).pairs.into_iter();
        Config::of(pairs.filter(|(key, _)| keys.contains(&key.as_str())), id)
    }

    /// Sets up the log by `VERBOSE`, `LOGGING`, `LOGFILE` and `LOG_LEVEL`; `verbose` comes from the command line.
    ///
    /// # Errors
    /// `LOGGING` is neither `yes` nor `no`.
    pub fn settle_log(&mut self, id: u32, verbose: Option<i32>) -> Result<()> {
        let config = self.general(&["VERBOSE", "LOGGING", "LOGFILE", "LOG_LEVEL"], id);
        let level = |key| config.get(key).and_then(|text| text.parse().ok());
        self.log.verbose = verbose.or_else(|| level("VERBOSE")).unwrap_or(0).max(-1);
        if config.yes("LOGGING")? != Some(false) {
            if let Some(path) = config.get("LOGFILE") {
                // A log that can't be written must not prevent managing containers.
                if let Ok(file) = File::options().create(true).append(true).open(self.paths.at(path)) {
                    self.log.set_file(file, level("LOG_LEVEL").unwrap_or(0), format!("CT {id}"));
                }
            }
        }
        Ok(())
    }

    /// Whether a container is marked as running: it is, or was when the power failed.
    pub fn is_marked(&self, id: u32) -> bool {
        mark::runs(&self.paths.running(id))
    }

    /// Marks a container as running, also for the next boot, once its keeper has flushed the mark to disk; or as
    /// stopped on purpose.
    ///
    /// # Errors
    /// The mark can't be written.
    pub fn mark(&self, id: u32, runs: bool) -> Result<()> {
        let path = self.paths.running(id);
        if runs { mark::set(&path) } else { mark::clear(&path) }.map_err(|error| Error::file(&path, error))
    }

    /// Marks a container as running, on the disk.
    ///
    /// # Errors
    /// The mark can't be written.
    pub fn mark_at_once(&self, id: u32) -> Result<()> {
        self.mark(id, true)?;
        let path = self.paths.running(id);
        mark::settle(&path).map_err(|error| Error::file(&path, error))
    }
}

impl Ct {
    /// The layout of its private area.
    ///
    /// # Errors
    /// As [`Layout::of`].
    pub fn layout(&self, private: &Path) -> Result<Layout> {
        Layout::of(private, self.config.get("VE_LAYOUT"))
    }

    /// The spec for the engine. Init and shell are searched in the mounted root.
    ///
    /// # Errors
    /// As [`Spec::of`].
    pub fn spec(&self, vz: &Vz) -> Result<Spec> {
        let mut spec = Spec::of(self.id, &self.config, &vz.paths)?;
        let first = |key, default: &str| {
            let names: Vec<String> =
                self.config.get(key).unwrap_or(default).split_whitespace().map(str::to_owned).collect();
            names.into_iter().map(PathBuf::from).find(|name| below::is_file(&spec.root, name))
        };
        (spec.init, spec.shell) = (first("INIT", INITS), first("SHELL", SHELLS));
        if self.layout(&spec.private).is_ok_and(|layout| layout.area().is_image()) {
            // What bounds it is its own size.
            (spec.limits.disk, spec.limits.inodes) = (None, None);
        }
        Ok(spec)
    }
}
