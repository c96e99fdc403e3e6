//! The tree of a git commit, as a deterministic tar archive in the store.
//!
//! Git is the host's `git`: gix, the pure Rust implementation, would more than double the crates to build for one
//! rarely used kind of source, and would know neither the user's credential helpers nor `url.….insteadOf`. What git
//! fetches is checked: a commit's name is the hash of its whole content, and the archive's sha256 is in the lock.
//!
//! The archive is written by dbco, not by `git archive`, whose bytes depend on git's version and the user's attributes.
//! Submodules are included if the request says so, each commit's tree below its path; otherwise they are empty folders.
//! Files that Git LFS stores elsewhere are their pointers. Omitted content is reported.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::process::{ProcessError, Run};
use crate::store::{Store, StoreError};

use super::network::TO_THE_NETWORK;
use super::{LockedFile, Meter, SourceError, submodules};

/// The environment variables that git may need, in addition to [`TO_THE_NETWORK`]: for programs, settings and keys.
const PASSED: [&str; 8] = [
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "USER",
    "SSH_AUTH_SOCK",
    "GIT_SSL_CAINFO",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_GLOBAL",
];

/// A transfer over HTTP that is below this number of bytes a second for this many seconds has failed (git-config(1)). A
/// server that prepares a large pack sends progress, which is more.
const LOW_SPEED: [&str; 2] = ["http.lowSpeedLimit=20", "http.lowSpeedTime=30"];

/// How long git may be without output while it fetches, with any protocol.
const IDLE: Duration = Duration::from_secs(120);

/// Turns off every attribute of a repository or user that changes files on checkout.
const ATTRIBUTES: &str =
    "* -text -eol -crlf -ident -filter -working-tree-encoding -export-ignore -export-subst !merge\n";

/// The archive's name: `project-0123456789ab.tar`.
pub(super) fn file_name(url: &str, commit: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(url);
    format!("{}-{}.tar", last.strip_suffix(".git").unwrap_or(last), commit.get(..12).unwrap_or(commit))
}

/// Makes the archive of a locked commit again and compares it with its digest.
pub(super) fn fetch(
    store: &Store,
    url: &str,
    commit: &str,
    submodules: bool,
    file: &LockedFile,
    meter: &dyn Meter,
) -> Result<u64, SourceError> {
    let (got, size) = archive(store, url, commit, submodules, meter)?;
    if got == file.sha256 {
        return Ok(size);
    }
    let message = format!(
        "its archive has sha256 {got}, the lock has {}: it was written by another version of dbco, or edited; run `dbco lock`",
        file.sha256
    );
    Err(SourceError::Git { request: request(url, commit), message, source: None })
}

/// The maximum nesting of submodules, and their maximum number per commit.
const DEEPEST: usize = 16;
const MOST: usize = 1000;

/// Fetches a commit and stores its tree as a tar archive, with those of its submodules if requested; gives the
/// archive's digest and length in bytes.
pub(super) fn archive(
    store: &Store,
    url: &str,
    commit: &str,
    submodules: bool,
    meter: &dyn Meter,
) -> Result<(Digest, u64), SourceError> {
    let work = store.work_dir()?;
    let mut trees = CommitTrees { folder: work.path(), meter, submodules, found: Vec::new() };
    trees.fetch(url, commit, String::new(), 0)?;
    let mut out = tar::Builder::new(store.blob_writer()?);
    for tree in &trees.found {
        normalize(tree, &mut out, store, meter).map_err(|error| match error {
            Normalize::Store(error) => error.into(),
            Normalize::Entry(message) => failure(url, commit, message, None),
        })?;
    }
    Ok(out.into_inner().map_err(StoreError::io("write", store.path()))?.commit()?)
}

fn failure(url: &str, commit: &str, message: String, source: Option<ProcessError>) -> SourceError {
    SourceError::Git { request: request(url, commit), message, source: source.map(Box::new) }
}

/// A commit's tree as git packs it, and its path: empty, or with a trailing slash.
struct CommitTree {
    tar: PathBuf,
    prefix: String,
}

/// The trees of a commit and its submodules, in the order of packing.
struct CommitTrees<'a> {
    folder: &'a Path,
    meter: &'a dyn Meter,
    submodules: bool,
    found: Vec<CommitTree>,
}

impl CommitTrees<'_> {
    fn fetch(&mut self, url: &str, commit: &str, prefix: String, depth: usize) -> Result<(), SourceError> {
        let fail = |message: String, source| failure(url, commit, message, source);
        if commit.len() != 40 || !commit.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Err(fail("expected a full commit ID: 40 lower-case hexadecimal digits".to_owned(), None));
        }
        if url.starts_with('-') || url.contains("::") {
            // Options, and helpers such as `ext::` that run arbitrary commands (gitremote-helpers(7)).
            return Err(fail("the repository is not a URL".to_owned(), None));
        }
        let number = self.found.len();
        if depth > DEEPEST || number > MOST {
            let message = format!("more than {MOST} submodules, or submodules nested more than {DEEPEST} deep");
            return Err(fail(message, None));
        }
        let git = Git { folder: &self.folder.join(format!("git{number}")), meter: self.meter };
        let failed = |error: ProcessError| {
            let message = match &error {
                ProcessError::Start { .. } => "sources of kind `git` need `git` on this host; install it, \
                    or use the commit's archive as a `url:` source"
                    .to_owned(),
                ProcessError::Failed { tail, .. } => {
                    format!("git reported: {}", tail.last().map_or("nothing", String::as_str))
                }
                ProcessError::Idle { idle, .. } => format!(
                    "git received nothing for {} s and was terminated: the server does not respond, or git waits for input that is not \
                     available here (a password, a host key confirmation)",
                    idle.as_secs()
                ),
                ProcessError::Io { .. } => "git could not be run".to_owned(),
            };
            fail(message, Some(error))
        };
        git.run(&["init", "--quiet", "--bare"]).map_err(failed)?;
        let info = git.folder.join("info");
        fs::create_dir_all(&info)
            .and_then(|()| fs::write(info.join("attributes"), ATTRIBUTES))
            .map_err(StoreError::io("write", &info))?;
        self.meter.remark(&format!("fetching {commit}"));
        // Not every server delivers a commit that is not the tip of a branch: then all branches and tags are fetched.
        match git.fetch(&["--depth=1", url, commit]) {
            Err(error) if !is_of_network(&error) => git.fetch(&[url, "+refs/*:refs/fetched/*"]).map_err(failed)?,
            outcome => outcome.map_err(failed)?,
        }
        git.run(&["cat-file", "-e", &format!("{commit}^{{commit}}")])
            .map_err(|error| fail("the repository has no such commit".to_owned(), Some(error)))?;
        let modules = git.submodules(commit).map_err(failed)?;
        let tar = self.folder.join(format!("tree{number}.tar"));
        let output = format!("--output={}", tar.display());
        // The tree, not the commit: otherwise git would write the commit's name and time into the archive.
        git.run(&["archive", "--format=tar", &output, &format!("{commit}^{{tree}}")]).map_err(failed)?;
        self.found.push(CommitTree { tar, prefix: prefix.clone() });
        if modules.is_empty() {
            return Ok(());
        }
        if !self.submodules {
            let paths: Vec<&str> = modules.iter().map(|(path, _)| path.as_str()).collect();
            let paths = paths.join(", ");
            self.meter
                .remark(&format!("submodules are left as empty folders: {paths} (`submodules: true` fetches them)"));
            return Ok(());
        }
        let file = format!("{commit}:.gitmodules");
        // A commit may have none.
        let stated = match git.command(&["cat-file", "-e", &file]).run() {
            Ok(()) => git.records(&["config", "--blob", &file, "--list", "--null"]).map_err(failed)?,
            Err(_) => Vec::new(),
        };
        let repositories = submodules::repositories(&stated);
        for (path, module) in modules {
            let Some(stated) = repositories.get(&path) else {
                return Err(fail(format!("its `.gitmodules` names no repository for the submodule `{path}`"), None));
            };
            let from = submodules::absolute(url, stated).filter(|from| is_allowed(url, from)).ok_or_else(|| {
                let stated = crate::mask::text(stated);
                fail(format!("the repository `{stated}` of the submodule `{path}` is not an allowed location"), None)
            })?;
            self.fetch(&from, &module, format!("{prefix}{path}/"), depth + 1)?;
        }
        Ok(())
    }
}

/// Whether another request to the same server would fail in the same way.
fn is_of_network(error: &ProcessError) -> bool {
    // Messages of curl and the resolver; git runs in English.
    let says =
        ["too slow", "timed out", "could not resolve", "connection refused", "couldn't connect", "failed to connect"];
    match error {
        ProcessError::Failed { tail, .. } => {
            let text = tail.join(" ").to_ascii_lowercase();
            says.iter().any(|says| text.contains(says))
        }
        ProcessError::Start { .. } | ProcessError::Idle { .. } | ProcessError::Io { .. } => true,
    }
}

/// Whether a commit of one repository may refer to another: a remote repository may not refer to a folder of this host.
fn is_allowed(parent: &str, url: &str) -> bool {
    submodules::is_local(parent) || !submodules::is_local(url)
}

/// The beginning of a file that stands for content stored elsewhere (the Git LFS specification, "The Pointer").
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

fn request(url: &str, commit: &str) -> String {
    format!("commit {commit} of {}", crate::mask::text(url))
}

struct Git<'a> {
    folder: &'a Path,
    meter: &'a dyn Meter,
}

impl Git<'_> {
    fn run(&self, arguments: &[&str]) -> Result<(), ProcessError> {
        self.command(arguments).watch(&|line: &str| self.meter.remark(line)).run()
    }

    /// Fetches objects. With progress output, which distinguishes a slow server from a silent one.
    fn fetch(&self, arguments: &[&str]) -> Result<(), ProcessError> {
        let all: Vec<&str> = ["fetch", "--progress", "--no-tags"].iter().chain(arguments).copied().collect();
        let watch = |line: &str| {
            if line.starts_with("warning: ") {
                self.meter.remark(line);
            }
        };
        self.command(&all).idle(IDLE).watch(&watch).run()
    }

    /// The output of a command, split at NUL bytes.
    fn records(&self, arguments: &[&str]) -> Result<Vec<String>, ProcessError> {
        let bytes = self.command(arguments).output()?;
        let pieces = bytes.split(|byte| *byte == 0).filter(|piece| !piece.is_empty());
        Ok(pieces.map(|piece| String::from_utf8_lossy(piece).into_owned()).collect())
    }

    /// The submodules of a commit by path, each with its commit: mode 160000 in git-ls-tree(1).
    fn submodules(&self, commit: &str) -> Result<Vec<(String, String)>, ProcessError> {
        let entries = self.records(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let module = |line: &String| {
            let (entry, path) = line.strip_prefix("160000 ")?.split_once('\t')?;
            Some((path.to_owned(), entry.split(' ').nth(1)?.to_owned()))
        };
        Ok(entries.iter().filter_map(module).collect())
    }

    fn command<'a>(&self, arguments: &[&str]) -> Run<'a> {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(self.folder);
        let settings = ["-c", LOW_SPEED[0], "-c", LOW_SPEED[1]];
        host_git().args(settings).args([git_dir]).args(arguments)
    }
}

/// The host's git, without arguments yet, with the environment that it may need and English messages. It does not prompt
/// at the terminal.
pub fn host_git<'a>() -> Run<'a> {
    let mut run = Run::new("git");
    for name in PASSED.iter().chain(&TO_THE_NETWORK) {
        if let Some(value) = std::env::var_os(name) {
            run = run.env(name, value);
        }
    }
    run.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").group()
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

/// Rewrites git's archive: ustar with GNU long names, owner 0:0, time 0, modes 755 and 644, in git's own order, which
/// is that of the tree objects and thus part of the commit.
fn normalize(
    CommitTree { tar, prefix }: &CommitTree,
    out: &mut tar::Builder<impl Write>,
    store: &Store,
    meter: &dyn Meter,
) -> Result<(), Normalize> {
    let io = |error: io::Error| Normalize::Store(StoreError::io("read", tar)(error));
    let mut archive = tar::Archive::new(BufReader::new(File::open(tar).map_err(io)?));
    let written = |error: io::Error| Normalize::Store(StoreError::io("write", store.path())(error));
    for entry in archive.entries().map_err(io)? {
        let mut entry = entry.map_err(io)?;
        let path = Path::new(prefix).join(entry.path().map_err(io)?);
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
                let mut start = Vec::new();
                entry.by_ref().take(LFS_POINTER.len() as u64).read_to_end(&mut start).map_err(io)?;
                if start == LFS_POINTER {
                    meter.remark(&format!("`{}` is a Git LFS pointer, not the file itself", path.display()));
                }
                let content: &mut dyn Read = &mut start.chain(&mut entry);
                out.append_data(&mut header, &path, content).map_err(written)?;
            }
            tar::EntryType::Symlink => {
                header.set_mode(0o777);
                header.set_size(0);
                let target = entry.link_name().map_err(io)?.unwrap_or_default().into_owned();
                // `append_link` drops dots and double slashes from a short text.
                match header.set_link_name_literal(target.as_os_str().as_bytes()) {
                    Ok(()) => out.append_data(&mut header, &path, io::empty()),
                    Err(_) => out.append_link(&mut header, &path, target),
                }
                .map_err(written)?;
            }
            // The commit's name, if git wrote one.
            tar::EntryType::XGlobalHeader => {}
            other => return Err(Normalize::Entry(format!("`{}` has type {other:?} in git's archive", path.display()))),
        }
    }
    Ok(())
}
