//! Runs executions.

mod local;

use std::collections::BTreeMap;

use crate::beneath::BeneathError;
use crate::execution::{Execution, Workspace};
use crate::image::ImageError;
use crate::rootfs::FolderError;
use crate::sandbox::SandboxError;
use crate::store::{Blob, Output, StoreError};

pub use local::{Call, CommandRunner, Local, keep_file};

/// Runs executions, on this machine ([`Local`]) or elsewhere.
pub trait Executor: Sync {
    /// Places the inputs, runs the commands, and stores the outputs.
    ///
    /// `watch` is called with the progress, from this thread and others.
    fn execute(&self, execution: Execution, watch: ExecutionObserver<'_>) -> Result<Executed, ExecutionError>;
}

/// Receives the progress of an execution.
pub type ExecutionObserver<'a> = &'a (dyn Fn(ExecutionProgress<'_>) + Sync);

/// The progress of an execution.
#[derive(Clone, Copy, Debug)]
pub enum ExecutionProgress<'a> {
    /// A command that has a title starts.
    Started(&'a str),
    /// A command printed a line.
    Line {
        /// Which of the commands, from 0.
        command: usize,
        /// The line, without its end.
        text: &'a str,
    },
}

/// The results of an execution.
#[derive(Debug)]
pub struct Executed {
    /// The outputs by their names, as the store keeps them.
    pub outputs: BTreeMap<String, Output>,
    /// The folders, as the commands left them.
    pub workspace: Workspace,
}

impl Executed {
    /// The output of that name if it is a file.
    pub fn blob(&self, name: &str) -> Option<Blob> {
        match self.outputs.get(name)? {
            Output::Blob { digest, size } => Some(Blob { digest: *digest, size: *size }),
            _ => None,
        }
    }
}

/// A command of an execution that could not be run, or ended with another status than 0.
#[derive(Debug, thiserror::Error)]
#[error("can't make the {makes}")]
pub struct CommandFailure {
    /// Which of the commands, from 0.
    pub command: usize,
    /// What it was to make.
    pub makes: String,
    /// The cause, with the end of the tool's output.
    #[source]
    pub source: SandboxError,
}

/// Why an execution failed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandFailure),
    /// An output that the commands did not make.
    #[error("no `{path}` was made")]
    NoOutput {
        /// Its name.
        name: String,
        /// Its path below `/build`.
        path: String,
    },
    /// The content of an input, or of the tree on a command's standard input, could not be read or encoded.
    #[error(transparent)]
    Content(#[from] ImageError),
    /// A tree could not be laid out or read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of the folders could not be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
