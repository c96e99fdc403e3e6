//! Carries executions out.

mod local;

use std::collections::BTreeMap;

use crate::beneath::BeneathError;
use crate::execution::{Execution, Workspace};
use crate::image::ImageError;
use crate::rootfs::FolderError;
use crate::sandbox::SandboxError;
use crate::store::{Blob, Output, StoreError};

pub use local::{Call, Local, Runner};

/// Something that can run the commands of an execution: this machine ([`Local`]), or another.
pub trait Executor: Sync {
    /// Fills the folders, runs the commands, and keeps the outputs in the store.
    ///
    /// `watch` is told what happens, from this thread and others.
    fn execute(&self, execution: Execution, watch: Observer<'_>) -> Result<Executed, ExecutionError>;
}

/// Told what happens during an execution.
pub type Observer<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// What happens during an execution.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
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

/// What an execution gave.
#[derive(Debug)]
pub struct Executed {
    /// The outputs by their names, as the store keeps them.
    pub outputs: BTreeMap<String, Output>,
    /// The folders as the commands left them.
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

/// Why an execution gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// A command could not be run, or ended with another status than 0.
    #[error("can't make the {makes}")]
    Command {
        /// Which of the commands, from 0.
        command: usize,
        /// What it was to make.
        makes: String,
        /// The tool's own words.
        #[source]
        source: SandboxError,
    },
    /// An output that the commands did not make.
    #[error("no `{path}` was made")]
    NoOutput {
        /// Its name.
        name: String,
        /// Its path below `/build`.
        path: String,
    },
    /// The content of an input, or of the tree on a command's standard input, can't be had.
    #[error(transparent)]
    Content(#[from] ImageError),
    /// A tree could not be laid out or read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Something stands in the folders that can't be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
