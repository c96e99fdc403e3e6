//! The tree of a git commit, as a deterministic tar archive in the store.
//!
//! Git itself is the host's `git`: gix, the pure-Rust one, would more than double the crates to build for one kind of
//! source that is rarely used, and would know neither the user's credential helpers nor `url.….insteadOf`. What git
//! brings is checked: a commit's name is the hash of all it holds, and the archive's sha256 stands in the lock.
//!
//! The archive is written by us, not by `git archive`, whose bytes depend on git's version and the user's attributes.
//! Submodules are left out, as empty folders.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::digest::Digest;
use crate::lock::LockedFile;
use crate::process::{ProcessError, Run};
use crate::store::{Store, StoreError};

use super::{Meter, SourceError};

/// What git may need of our environment: where programs, settings, keys and proxies are.
const PASSED: [&str; 16] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "USER",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_GLOBAL",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
];

/// Turns off everything by which a repository's or a user's attributes change files on their way out.
const ATTRIBUTES: &str =
    "* -text -eol -crlf -ident -filter -working-tree-encoding -export-ignore -export-subst !merge\n";

/// The archive's name: `project-0123456789ab.tar`.
pub(super) fn file_name(url: &str, commit: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(url);
    format!("{}-{}.tar", last.strip_suffix(".git").unwrap_or(last), commit.get(..12).unwrap_or(commit))
}

/// Makes the archive of a locked commit again and holds it against its digest.
pub(super) fn bring(
    store: &Store,
    url: &str,
    commit: &str,
    file: &LockedFile,
    meter: &dyn Meter,
) -> Result<u64, SourceError> {
    let (got, size) = archive(store, url, commit, meter)?;
    if got == file.sha256 {
        return Ok(size);
    }
    let message = format!(
        "its archive has sha256 {got}, the lock says {}: the lock was made by another dbco, or was changed; run `dbco lock`",
        file.sha256
    );
    Err(SourceError::Git { request: request(url, commit), message, source: None })
}

/// Brings a commit and keeps its tree as a tar archive; gives the archive's digest and length in bytes.
pub(super) fn archive(store: &Store, url: &str, commit: &str, meter: &dyn Meter) -> Result<(Digest, u64), SourceError> {
    let fail = |message: String, source: Option<ProcessError>| SourceError::Git {
        request: request(url, commit),
        message,
        source: source.map(Box::new),
    };
    if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(fail("a commit's full name is expected: 40 lower-case hexadecimal digits".to_owned(), None));
    }
    if url.starts_with('-') || url.contains("::") {
        // Options, and helpers such as `ext::` that run any command (gitremote-helpers(7)).
        return Err(fail("the repository is not a URL".to_owned(), None));
    }
    let work = store.work_dir()?;
    let git = Git { folder: &work.path().join("git"), meter };
    let failed = |error: ProcessError| {
        let message = match &error {
            ProcessError::Start { .. } => "sources of kind `git` need `git` on this host; install it, \
                or use the commit's archive as a `url:` source"
                .to_owned(),
            ProcessError::Failed { tail, .. } => {
                format!("git says: {}", tail.last().map_or("nothing", String::as_str))
            }
            ProcessError::Io { .. } => "git could not be run".to_owned(),
        };
        fail(message, Some(error))
    };
    git.run(&["init", "--quiet", "--bare"]).map_err(failed)?;
    let info = git.folder.join("info");
    fs::create_dir_all(&info)
        .and_then(|()| fs::write(info.join("attributes"), ATTRIBUTES))
        .map_err(StoreError::io("write", &info))?;
    meter.say(&format!("fetching {commit}"));
    // Not every server gives a commit that is no branch's tip: then all branches and tags are brought.
    if git.run(&["fetch", "--quiet", "--no-tags", "--depth=1", url, commit]).is_err() {
        git.run(&["fetch", "--quiet", "--no-tags", url, "+refs/*:refs/fetched/*"]).map_err(failed)?;
    }
    git.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")])
        .map_err(|error| fail("the repository has no such commit".to_owned(), Some(error)))?;
    let tar = work.path().join("tree.tar");
    let output = format!("--output={}", tar.display());
    // The tree, not the commit: git would write the commit's name and time into the archive.
    git.run(&["archive", "--format=tar", &output, &format!("{commit}^{{tree}}")]).map_err(failed)?;
    normalize(&tar, store).map_err(|error| match error {
        Normalize::Store(error) => error.into(),
        Normalize::Entry(message) => fail(message, None),
    })
}

fn request(url: &str, commit: &str) -> String {
    format!("commit {commit} of {}", super::network::shown(url))
}

struct Git<'a> {
    folder: &'a Path,
    meter: &'a dyn Meter,
}

impl Git<'_> {
    fn run(&self, arguments: &[&str]) -> Result<(), ProcessError> {
        let watch = |line: &str| self.meter.say(line);
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(self.folder);
        let mut run = Run::new("git").args([git_dir]).args(arguments).watch(&watch);
        for name in PASSED {
            if let Some(value) = std::env::var_os(name) {
                run = run.env(name, value);
            }
        }
        // English messages, and never a question at the terminal.
        run.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").run()
    }
}

enum Normalize {
    Store(StoreError),
    Entry(String),
}

impl From<StoreError> for Normalize {
    fn from(error: StoreError) -> Self {
        Normalize::Store(error)
    }
}

/// Writes git's archive anew: ustar with GNU long names, owner 0:0, time 0, modes 755 and 644, in git's own order,
/// which is that of the tree objects and thus part of the commit.
fn normalize(tar: &Path, store: &Store) -> Result<(Digest, u64), Normalize> {
    let io = |error: io::Error| Normalize::Store(StoreError::io("read", tar)(error));
    let mut archive = tar::Archive::new(BufReader::new(File::open(tar).map_err(io)?));
    let mut out = tar::Builder::new(store.blob_writer()?);
    let written = |error: io::Error| Normalize::Store(StoreError::io("write", store.path())(error));
    for entry in archive.entries().map_err(io)? {
        let mut entry = entry.map_err(io)?;
        let path = entry.path().map_err(io)?.into_owned();
        let kind = entry.header().entry_type();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let runs = entry.header().mode().map_err(io)? & 0o100 != 0;
        match kind {
            tar::EntryType::Directory => {
                header.set_mode(0o755);
                header.set_size(0);
                out.append_data(&mut header, &path, io::empty()).map_err(written)?;
            }
            tar::EntryType::Regular => {
                header.set_mode(if runs { 0o755 } else { 0o644 });
                header.set_size(entry.size());
                let content: &mut dyn Read = &mut entry;
                out.append_data(&mut header, &path, content).map_err(written)?;
            }
            tar::EntryType::Symlink => {
                header.set_mode(0o777);
                header.set_size(0);
                let target = entry.link_name().map_err(io)?.unwrap_or_default().into_owned();
                out.append_link(&mut header, &path, target).map_err(written)?;
            }
            // The commit's name, where git wrote one.
            tar::EntryType::XGlobalHeader => {}
            other => return Err(Normalize::Entry(format!("`{}` has type {other:?} in git's archive", path.display()))),
        }
    }
    Ok(out.into_inner().map_err(written)?.commit()?)
}
