//! The commit of a project that a release is built from, by the host's git.

use std::path::{Path, PathBuf};

use crate::process::{ProcessError, Run};
use crate::source::host_git;

/// Settings that would change files of a checkout, or run programs of the repository.
const SETTINGS: [&str; 8] = [
    "core.autocrlf=false",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "advice.detachedHead=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
];

/// How many changed files an error lists.
const SHOWN: usize = 5;

/// A commit that was checked to be all of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectCommit {
    /// The top of the work tree, without links.
    pub top: PathBuf,
    /// The commit's full name.
    pub commit: String,
    /// The repository's URL: that of the remote `origin`, or as the user gave it; without credentials.
    pub url: Option<String>,
}

/// Why there is no commit that is all of the project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Git is not installed, or could not be run.
    #[error("a release is built from a git commit, and `git` could not be run")]
    Git(#[source] ProcessError),
    /// The project is not in a repository.
    #[error(
        "{} is not in a git repository ({said}): a release is built from a commit; `git init`, `git add` and `git commit` make one",
        path.display()
    )]
    NoRepository {
        /// The project's folder.
        path: PathBuf,
        /// What git reported.
        said: String,
    },
    /// The repository has no commit.
    #[error("{} has no commit: a release is built from one; run `git commit`", .0.display())]
    NoCommit(PathBuf),
    /// Files differ from the commit.
    #[error(
        "the work tree {} has changes that are not committed: {}{}\ncommit them, or stash them (`git stash --include-untracked`)",
        top.display(), names.join(", "), more(*others)
    )]
    Dirty {
        /// The top of the work tree.
        top: PathBuf,
        /// The first files.
        names: Vec<String>,
        /// How many more there are.
        others: usize,
    },
    /// A commit could not be checked out.
    #[error("commit {commit} could not be checked out from {from}: {said}")]
    Checkout {
        /// The commit.
        commit: String,
        /// The repository.
        from: String,
        /// What git reported.
        said: String,
    },
}

fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" and {others} more") }
}

impl ProjectCommit {
    /// The commit of the work tree that `project` is in. Files that differ from it, or that git does not know, are an
    /// error. `url` replaces the URL of the remote `origin`.
    pub fn of(project: &Path, url: Option<&str>) -> Result<Self, ProjectError> {
        let folder = if project.as_os_str().is_empty() { Path::new(".") } else { project };
        let top = match output(folder, &["rev-parse", "--show-toplevel"]) {
            Ok(text) => PathBuf::from(text.trim_end_matches('\n')),
            Err(error) => {
                let path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
                return Err(refused(error, |said| ProjectError::NoRepository { path, said }));
            }
        };
        let commit = output(&top, &["rev-parse", "--verify", "HEAD^{commit}"])
            .map_err(|error| refused(error, |_| ProjectError::NoCommit(top.clone())))?;
        let changed = changed(&top)?;
        if !changed.is_empty() {
            let names = changed.iter().take(SHOWN).cloned().collect();
            return Err(ProjectError::Dirty { top, names, others: changed.len().saturating_sub(SHOWN) });
        }
        // A repository without that remote has no URL.
        let origin = || output(&top, &["remote", "get-url", "origin"]).ok().map(|text| text.trim().to_owned());
        let url = url.map(str::to_owned).or_else(origin).filter(|url| !url.is_empty());
        let url = url.map(|url| crate::mask::text(&url).into_owned());
        let top = top.canonicalize().unwrap_or(top);
        Ok(Self { commit: commit.trim().to_owned(), url, top })
    }

    /// A path in the work tree, relative to its top; another path stays as it is.
    pub fn relative(&self, path: &Path) -> String {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        whole.strip_prefix(&self.top).unwrap_or(path).display().to_string()
    }

    /// Whether a file is part of the commit.
    pub fn has(&self, path: &str) -> bool {
        let name = format!("{}:{path}", self.commit);
        git(&self.top, &["cat-file", "-e", &name]).run().is_ok()
    }
}

/// Checks out a commit of a repository, at a URL or in a folder, into `folder`, which must be empty.
pub fn check_out(from: &str, commit: &str, folder: &Path) -> Result<(), ProjectError> {
    let fail = |error| {
        let (commit, from) = (commit.to_owned(), crate::mask::text(from).into_owned());
        refused(error, |said| ProjectError::Checkout { commit, from, said })
    };
    if from.starts_with('-') || from.contains("::") || !is_commit(commit) {
        let said = "it is not the URL of a repository with a commit's full name".to_owned();
        return Err(ProjectError::Checkout {
            commit: commit.to_owned(),
            from: crate::mask::text(from).into_owned(),
            said,
        });
    }
    git(folder, &["init", "--quiet"]).run().map_err(fail)?;
    // Not every server delivers a commit that is not the tip of a branch: then all branches and tags are fetched.
    if git(folder, &["fetch", "--quiet", "--no-tags", "--depth=1", "--", from, commit]).run().is_err() {
        git(folder, &["fetch", "--quiet", "--no-tags", "--", from, "+refs/*:refs/fetched/*"]).run().map_err(fail)?;
    }
    git(folder, &["checkout", "--quiet", "--force", commit]).run().map_err(fail)
}

/// Whether this is the full name of a commit.
fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Files that differ from the commit, or that it does not contain, except for ignored ones.
fn changed(top: &Path) -> Result<Vec<String>, ProjectError> {
    let status =
        ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames"];
    let text = output(top, &status).map_err(ProjectError::Git)?;
    // Each entry has two letters and a space before the path (git-status(1), "Porcelain Format Version 1").
    Ok(text.split('\0').filter_map(|entry| entry.get(3..)).map(str::to_owned).collect())
}

/// An error of git itself, or else that of its absence.
fn refused(error: ProcessError, say: impl FnOnce(String) -> ProjectError) -> ProjectError {
    match error {
        ProcessError::Failed { tail, .. } => {
            let last = tail.iter().rev().find(|line| line.starts_with("fatal: ")).or(tail.last());
            say(last.map_or("git reported nothing".to_owned(), |line| line.trim_start_matches("fatal: ").to_owned()))
        }
        other => ProjectError::Git(other),
    }
}

fn output(folder: &Path, arguments: &[&str]) -> Result<String, ProcessError> {
    git(folder, arguments).output().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn git<'a>(folder: &Path, arguments: &[&str]) -> Run<'a> {
    host_git()
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .args(["--no-optional-locks"])
        .args(arguments)
        .cwd(folder)
}
