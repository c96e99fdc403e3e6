//! A run of third-party tools as a value: their root, their inputs, the commands and the outputs.
//!
//! All paths are paths inside the sandbox, so an [`Execution`] means the same on every machine that an executor uses. Three
//! folders of the root are filled for it:
//!
//! - [`BUILD`] is writable and persists: outputs are paths below it;
//! - [`DEPS`] is read-only, and shared by all executions in the same [`Workspace`];
//! - [`IN`] is read-only, and exists during one execution only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use crate::beneath::{BeneathError, Dir, Links};
use crate::digest::Digest;
use crate::store::WorkDir;
use crate::tree::Tree;

/// The folder that commands work in: an absolute path inside the sandbox, as are the next two.
pub const BUILD: &str = "/build";
/// Trees that commands read, for the lifetime of the workspace.
pub const DEPS: &str = "/deps";
/// Files that commands read, for one execution.
pub const IN: &str = "/in";

/// Commands to run in a root, in order, until one fails.
#[derive(Debug)]
pub struct Execution {
    /// The root: the digest of its step's key.
    pub root: Digest,
    /// The folders as an earlier execution left them; `None` for new ones.
    pub workspace: Option<Workspace>,
    /// Files and trees to place in the folders first.
    pub inputs: Vec<ExecutionInput>,
    /// Variables beside those that every tool has: `HOME`, `LC_ALL`, `PATH`, `SHELL`, `TZ`, `USER`.
    pub env: BTreeMap<String, String>,
    /// The working folder of the commands.
    pub cwd: String,
    /// The commands.
    pub commands: Vec<Invocation>,
    /// What to store of the results.
    pub outputs: Vec<OutputPath>,
}

impl Execution {
    /// An execution without commands, in [`BUILD`] of a new workspace.
    pub fn new(root: Digest) -> Self {
        Self {
            root,
            workspace: None,
            inputs: Vec::new(),
            env: BTreeMap::new(),
            cwd: BUILD.to_owned(),
            commands: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

/// A file or tree to place below [`BUILD`], [`DEPS`] or [`IN`].
#[derive(Debug)]
pub struct ExecutionInput {
    /// The absolute path inside.
    pub path: String,
    /// Its content.
    pub content: InputContent,
}

impl ExecutionInput {
    /// A file with this content.
    pub fn bytes(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: InputContent::Bytes(bytes.into()) }
    }

    /// Files and folders that commands only read.
    pub fn files(path: impl Into<String>, tree: Tree) -> Self {
        Self { path: path.into(), content: InputContent::Files(tree) }
    }

    /// A writable copy of a tree, with `time` as the modification time of every file.
    pub fn tree(path: impl Into<String>, tree: Tree, time: SystemTime) -> Self {
        Self { path: path.into(), content: InputContent::Tree { tree, time } }
    }
}

/// The content of an input.
#[derive(Debug)]
pub enum InputContent {
    /// A file; it replaces an existing file or link.
    Bytes(Vec<u8>),
    /// A folder with regular files (hard links included) and folders. They are only read: their modes are ignored, and they
    /// may be hard links to files of the store.
    Files(Tree),
    /// A folder with copies of a tree's files, folders and symbolic links.
    Tree {
        /// The tree.
        tree: Tree,
        /// The modification time of its files.
        time: SystemTime,
    },
}

/// A command.
#[derive(Debug)]
pub struct Invocation {
    /// What it makes, for the error message if it fails: `ISO`.
    pub makes: String,
    /// A line that is reported when the command starts.
    pub title: Option<String>,
    /// The program and its arguments; without a slash the program is looked up in `PATH`.
    pub argv: Vec<String>,
    /// Its standard input.
    pub stdin: Stdin,
}

impl Invocation {
    /// A command with an empty standard input.
    pub fn new(makes: impl Into<String>, argv: Vec<String>) -> Self {
        Self { makes: makes.into(), title: None, argv, stdin: Stdin::Empty }
    }

    /// The same command with this standard input.
    pub fn reading(self, stdin: Stdin) -> Self {
        Self { stdin, ..self }
    }
}

/// The standard input of a command.
#[derive(Debug)]
pub enum Stdin {
    /// Nothing.
    Empty,
    /// Line breaks without end: the default answer to every question.
    LineBreaks,
    /// A tree as a tar archive ([`write_tar`](crate::image::tar::write_tar)), which is not written to a file.
    Tar {
        /// The tree.
        tree: Tree,
        /// The time of all its entries: seconds since 1970.
        epoch: u64,
    },
}

/// A file or folder to store after the last command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPath {
    /// Its name among the outputs.
    pub name: String,
    /// Its path below [`BUILD`].
    pub path: String,
    /// Its form.
    pub form: OutputForm,
}

impl OutputPath {
    /// A file by its path.
    pub fn file(path: &str) -> Self {
        Self { name: path.to_owned(), path: path.to_owned(), form: OutputForm::File }
    }
}

/// The form of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// A regular file; a link is an error.
    File,
    /// A regular file, or a link that leads to one below [`BUILD`].
    LinkedFile,
    /// A folder with all its content, owned by root: see [`read_built`](crate::rootfs::read_built).
    Tree,
}

/// The folders that successive executions share: a tree that stays on disk, of which only the required parts are read.
///
/// Its folders are removed when it is dropped.
#[derive(Debug)]
pub struct Workspace {
    top: Dir,
    build: Dir,
    /// The inputs below [`DEPS`] that have been placed.
    laid_out: BTreeSet<String>,
    _work: WorkDir,
}

impl Workspace {
    /// One with an empty [`BUILD`], in a new folder.
    pub fn new(work: WorkDir) -> Result<Self, BeneathError> {
        let top = Dir::open(work.path(), Links::Never).map_err(BeneathError::of("open", work.path()))?;
        let build = top.make_dir(&BUILD[1..])?;
        Ok(Self { top, build, laid_out: BTreeSet::new(), _work: work })
    }

    /// The folder that commands see as [`BUILD`]. Commands may have put anything there.
    pub fn build(&self) -> &Dir {
        &self.build
    }

    /// The folder above those that commands see.
    pub(crate) fn top(&self) -> &Dir {
        &self.top
    }

    /// Records that an input is placed; `false` if it already was, in a folder that commands can't change.
    pub(crate) fn is_new(&mut self, path: &str) -> bool {
        !Path::new(path).starts_with(DEPS) || self.laid_out.insert(path.to_owned())
    }
}
