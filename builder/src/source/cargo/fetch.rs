//! Fetching crates with the host's `cargo`.
//!
//! Cargo is used, and not a registry directly, because it knows the user's registry, its replacement by a mirror,
//! proxies, certificates and tokens. It runs with its own home below the store, so that nothing of the user's is
//! written and an interrupted run leaves nothing, and with the user's configuration in it. What it fetches is checked
//! against the checksums of the `Cargo.lock`, whatever cargo itself has checked.
//!
//! Cargo is not run on the project, whose manifest may be inside an archive or need a newer cargo, but on an empty one
//! that depends on exactly the wanted crates.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::stat::SFlag;

use super::{CargoLock, Crate};
use crate::beneath::{BeneathError, Dir, Links};
use crate::path_error::FromPathError as _;
use crate::process::{ProcessError, Run};
use crate::source::network::TO_THE_NETWORK;
use crate::source::vendored::{WantedFile, fetch_vendored};
use crate::source::{Access, CONNECTIONS, FetchFailure, FetchReport, Meter, Progress, SourceError};
use crate::store::{Store, StoreError};

/// The environment variables that cargo, and rustup in front of it, may need, in addition to [`TO_THE_NETWORK`] and
/// those with one of [`PREFIXES`].
const PASSED: [&str; 6] = ["PATH", "HOME", "USER", "XDG_CONFIG_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];

/// Cargo's configuration variables that concern the network.
const PREFIXES: [&str; 5] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];

/// How long cargo may be without output. Its own limits (`http.timeout`, `http.low-speed-limit`) end a stalled transfer
/// long before; cloning the index of an old registry prints nothing.
const IDLE: Duration = Duration::from_secs(600);

/// Files of cargo's home that configure registries and credentials.
const CONFIGURATION: [&str; 4] = ["config.toml", "config", "credentials.toml", "credentials"];

/// Makes sure that the store has the archives of these crates; all failures are collected.
pub fn fetch_crates(
    locks: &[(&CargoLock, Vec<&Crate>)],
    store: &Store,
    access: Access<'_>,
    progress: &dyn Progress,
) -> Result<FetchReport, Vec<FetchFailure>> {
    if let Access::Vendored(from) = access {
        let wanted = locks.iter().flat_map(|(lock, crates)| WantedFile::of_crates(lock, crates)).collect();
        return fetch_vendored(wanted, store, from, CONNECTIONS, progress);
    }
    let mut seen = HashSet::new();
    let mut report = FetchReport::default();
    let mut missing: Vec<(&CargoLock, Vec<&Crate>)> = Vec::new();
    for (lock, crates) in locks {
        let mut crates: Vec<&Crate> = crates.iter().copied().filter(|wanted| seen.insert(wanted.sha256)).collect();
        let count = crates.len();
        crates.retain(|wanted| !store.has_blob(&wanted.sha256));
        report.present += count - crates.len();
        if !crates.is_empty() {
            missing.push((lock, crates));
        }
    }
    if missing.is_empty() {
        return Ok(report);
    }
    if matches!(access, Access::Offline) {
        let missing = missing.iter().flat_map(|(_, crates)| crates).map(|wanted| wanted.file_name());
        let missing: Vec<_> = missing.collect();
        return Err(vec![FetchFailure { files: missing.len(), error: SourceError::Offline { missing } }]);
    }
    // A run of cargo that fails may have brought some.
    let lacking = |crates: &[&Crate]| crates.iter().filter(|wanted| !store.has_blob(&wanted.sha256)).count();
    let mut errors = Vec::new();
    for (lock, crates) in &missing {
        match fetch(lock, crates, store, progress) {
            Ok(bytes) => {
                report.fetched += crates.len();
                report.bytes += bytes;
            }
            Err(error) if error.stops_all() => {
                let files = missing.iter().map(|(_, crates)| lacking(crates)).sum();
                return Err(vec![FetchFailure { error, files }]);
            }
            Err(error) => errors.push(FetchFailure { error, files: lacking(crates) }),
        }
    }
    if errors.is_empty() { Ok(report) } else { Err(errors) }
}

/// Fetches crates of one lock; gives the number of bytes.
fn fetch(lock: &CargoLock, crates: &[&Crate], store: &Store, progress: &dyn Progress) -> Result<u64, SourceError> {
    let fail = |message: String, source: Option<ProcessError>| SourceError::Crates {
        lock: lock.path.clone(),
        message,
        source: source.map(Box::new),
    };
    let meter = progress.start(&lock.path.display().to_string(), None);
    let work = store.work_dir()?;
    let (home, project) = (work.path().join("home"), work.path().join("project"));
    let written = |error: io::Error| StoreError::io("write", work.path())(error);
    prepare(&home, &project, lock, crates).map_err(written)?;
    run(lock, &home, &project, &*meter).map_err(|error| {
        let message = match &error {
            ProcessError::Start { .. } => {
                "crates are fetched with `cargo`, which is not installed on this host: install it, \
                or run `dbco fetch` on a host that has it"
                    .to_owned()
            }
            ProcessError::Failed { tail, .. } => format!("cargo reported: {}", error_message(tail)),
            ProcessError::Idle { idle, .. } => {
                format!("cargo printed nothing for {} s and was terminated", idle.as_secs())
            }
            ProcessError::Io { .. } => "cargo could not be run".to_owned(),
        };
        fail(message, Some(error))
    })?;
    // From here on the folder's content is from cargo, and from whatever it started.
    let cache = Dir::open(work.path(), Links::Never).map_err(written)?;
    let unread = |error: BeneathError| StoreError::io("read", &home)(io::Error::other(error));
    let cached = cached(&cache).map_err(unread)?;
    let mut bytes = 0;
    for wanted in crates {
        let Some(path) = cached.get(&wanted.file_name()) else {
            let message = format!(
                "cargo did not fetch `{}`: is its registry replaced by a folder in cargo's configuration? \
                 A registry is needed, or a mirror of one",
                wanted.file_name()
            );
            return Err(fail(message, None));
        };
        let mut file = cache.open_file(path).map_err(unread)?;
        let mut writer = store.blob_writer()?;
        crate::digest::copy(&mut file, &mut writer).map_err(StoreError::io("copy", path))?;
        bytes += match writer.commit_as(&wanted.sha256) {
            Err(StoreError::Mismatch { got, .. }) => {
                let message = format!(
                    "`{}` has sha256 {got}, the lock has {}: the crate or the lock was altered; the crate is not used",
                    wanted.file_name(),
                    wanted.sha256
                );
                return Err(fail(message, None));
            }
            other => other?,
        };
        meter.at(bytes);
    }
    Ok(bytes)
}

/// A home with the user's configuration, and a project that depends on the wanted crates and has their lock.
fn prepare(home: &Path, project: &Path, lock: &CargoLock, crates: &[&Crate]) -> io::Result<()> {
    fs::create_dir_all(home)?;
    fs::create_dir_all(project)?;
    for (name, path) in CONFIGURATION.iter().filter_map(|name| Some((name, users_home()?.join(name)))) {
        if path.exists() {
            symlink(path, home.join(name))?;
        }
    }
    fs::write(project.join("lib.rs"), "")?;
    fs::write(project.join("Cargo.lock"), &lock.text)?;
    fs::write(project.join("Cargo.toml"), manifest(crates))
}

fn users_home() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("CARGO_HOME").or_else(|| Some(variable("HOME")?.join(".cargo")))?;
    std::path::absolute(home).ok()
}

/// Each crate is given a unique name, as a lock may hold several versions of one. No features: they would only add
/// crates, and those that the project needs are in the lock anyway.
fn manifest(crates: &[&Crate]) -> String {
    let mut text = "[package]\nname = \"dbco-fetch\"\nversion = \"0.0.0\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n\
                    [dependencies]\n"
        .to_owned();
    for (number, Crate { name, version, .. }) in crates.iter().enumerate() {
        let _ = writeln!(
            text,
            "c{number} = {{ package = \"{name}\", version = \"={version}\", default-features = false }}"
        );
    }
    text
}

fn run(lock: &CargoLock, home: &Path, project: &Path, meter: &dyn Meter) -> Result<(), ProcessError> {
    let watch = |line: &str| meter.remark(line.trim());
    // Cargo reads configuration from its working directory and all folders above: the project's applies as well.
    let folder = lock.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut manifest = OsString::from("--manifest-path=");
    manifest.push(project.join("Cargo.toml"));
    let mut run = Run::new("cargo").args(["fetch"]).args([manifest]).cwd(folder).watch(&watch);
    for (name, value) in std::env::vars_os() {
        let known = name.to_str().is_some_and(|name| {
            PASSED.contains(&name)
                || TO_THE_NETWORK.contains(&name)
                || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        });
        if known {
            run = run.env(name, value);
        }
    }
    run.env("CARGO_HOME", home).env("CARGO_TERM_COLOR", "never").env("LC_ALL", "C").group().idle(IDLE).run()
}

/// Cargo's error message: everything from its last `error:` on.
fn error_message(tail: &[String]) -> String {
    let from = tail.iter().rposition(|line| line.starts_with("error")).unwrap_or(tail.len().saturating_sub(1));
    let lines: Vec<&str> = tail[from..].iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n  ") }
}

/// The archives below cargo's cache, which has a folder for each registry, by name.
fn cached(work: &Dir) -> Result<BTreeMap<String, PathBuf>, BeneathError> {
    const CACHE: &str = "home/registry/cache";
    let mut files = BTreeMap::new();
    let registries = match work.list(CACHE) {
        Err(error) if error.is_missing() => return Ok(files),
        registries => registries?,
    };
    for registry in registries.into_iter().filter(|item| item.kind() == SFlag::S_IFDIR) {
        let registry = Path::new(CACHE).join(registry.name);
        for file in work.list(&registry)? {
            files.insert(file.name.to_string_lossy().into_owned(), registry.join(file.name));
        }
    }
    Ok(files)
}
