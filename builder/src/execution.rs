//! One run of foreign tools as a value: the root that they come from, what they see, what is run and what is kept.
//!
//! All paths are those inside, and nothing says where they are on this machine, so an [`Execution`] means the same wherever
//! an executor carries it out. Three folders of the root are filled for it:
//!
//! - [`BUILD`] can be written to, and is what the commands leave behind: outputs are paths below it;
//! - [`DEPS`] is read-only, and stays for the executions that go on in the same [`Workspace`];
//! - [`IN`] is read-only, and is there for one execution.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use crate::beneath::{BeneathError, Dir, Links};
use crate::digest::Digest;
use crate::store::WorkDir;
use crate::tree::Tree;

/// The folder that commands work in.
pub const BUILD: &str = "/build";
/// Trees that commands read, here for as long as the workspace is.
pub const DEPS: &str = "/deps";
/// Files that the commands of one execution read.
pub const IN: &str = "/in";

/// Commands to run in a root, one after the other, until one fails.
#[derive(Debug)]
pub struct Execution {
    /// The root: the digest of its step's key.
    pub root: Digest,
    /// The folders as an earlier execution left them; `None` for new ones.
    pub workspace: Option<Workspace>,
    /// What is put into the folders first.
    pub inputs: Vec<Input>,
    /// Variables beside those that every tool has: `HOME`, `LC_ALL`, `PATH`, `SHELL`, `TZ`, `USER`.
    pub env: BTreeMap<String, String>,
    /// Where the commands start.
    pub cwd: String,
    /// The commands.
    pub commands: Vec<Invocation>,
    /// What is kept of what they made.
    pub outputs: Vec<OutputPath>,
}

impl Execution {
    /// Nothing to do yet, in [`BUILD`] of a new workspace.
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

/// What is put at a path: below [`BUILD`], [`DEPS`] or [`IN`].
#[derive(Debug)]
pub struct Input {
    /// The absolute path inside.
    pub path: String,
    /// What it holds.
    pub content: InputContent,
}

impl Input {
    /// A file of ours.
    pub fn bytes(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: InputContent::Bytes(bytes.into()) }
    }

    /// Files and folders that are only read.
    pub fn files(path: impl Into<String>, tree: Tree) -> Self {
        Self { path: path.into(), content: InputContent::Files(tree) }
    }

    /// A tree as a build finds it, every file as of `time`.
    pub fn tree(path: impl Into<String>, tree: Tree, time: SystemTime) -> Self {
        Self { path: path.into(), content: InputContent::Tree { tree, time } }
    }
}

/// What an input holds.
#[derive(Debug)]
pub enum InputContent {
    /// A file; it takes the place of a file or a link that is there.
    Bytes(Vec<u8>),
    /// A folder with plain files, several names of one file among them, and folders. They are only read: their modes do not
    /// count, and they may be links to files of the store.
    Files(Tree),
    /// A folder with copies of a tree's files, its folders and its symbolic links.
    Tree {
        /// The tree.
        tree: Tree,
        /// The time of its files.
        time: SystemTime,
    },
}

/// A command.
#[derive(Debug)]
pub struct Invocation {
    /// What it makes, for the error if it fails: `ISO`.
    pub makes: String,
    /// Said when it starts, if anything is.
    pub title: Option<String>,
    /// The program and its arguments; without a slash the program is looked up in `PATH`.
    pub argv: Vec<String>,
    /// Its standard input.
    pub stdin: Stdin,
}

impl Invocation {
    /// A command that reads nothing.
    pub fn new(makes: impl Into<String>, argv: Vec<String>) -> Self {
        Self { makes: makes.into(), title: None, argv, stdin: Stdin::Empty }
    }

    /// The same, with a standard input.
    pub fn reading(self, stdin: Stdin) -> Self {
        Self { stdin, ..self }
    }
}

/// What a command reads from its standard input.
#[derive(Debug)]
pub enum Stdin {
    /// Nothing.
    Empty,
    /// Line breaks for as long as it reads: the default for every question.
    LineBreaks,
    /// A tree as a tar archive ([`write_tar`](crate::image::tar::write_tar)), which need not exist as a file.
    Tar {
        /// The tree.
        tree: Tree,
        /// The time of all its entries: seconds since 1970.
        epoch: u64,
    },
}

/// Something that is kept after the last command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPath {
    /// Its name in the outcome.
    pub name: String,
    /// Its path below [`BUILD`].
    pub path: String,
    /// What it is.
    pub form: OutputForm,
}

impl OutputPath {
    /// A file by its path.
    pub fn file(path: &str) -> Self {
        Self { name: path.to_owned(), path: path.to_owned(), form: OutputForm::File }
    }
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputForm {
    /// A regular file; a link is an error.
    File,
    /// A regular file, or a link that leads to one below [`BUILD`].
    LinkedFile,
    /// A folder with all that it holds, owned by root: see [`read_built`](crate::rootfs::read_built).
    Tree,
}

/// The folders of executions that go on from each other: a tree that lies on a disk until somebody asks for a part of it.
///
/// It goes when it is dropped.
#[derive(Debug)]
pub struct Workspace {
    top: Dir,
    build: Dir,
    /// Inputs below [`DEPS`] that are there.
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

    /// What is seen inside as [`BUILD`]. Once commands have run anything may stand there.
    pub fn build(&self) -> &Dir {
        &self.build
    }

    /// The folder that holds those that are seen inside.
    pub(crate) fn top(&self) -> &Dir {
        &self.top
    }

    /// Notes that an input is there; `false` if it was before, and could not have been changed since.
    pub(crate) fn is_new(&mut self, path: &str) -> bool {
        !Path::new(path).starts_with(DEPS) || self.laid_out.insert(path.to_owned())
    }
}
