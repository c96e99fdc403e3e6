//! What the documents of a release are made from.

use std::io;
use std::path::Path;

use super::project::{ProjectCommit, ProjectError};
use crate::build::Built;
use crate::lock::Lock;
use crate::path_error::{FromPathError as _, PathError};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::store::{Store, StoreError};

/// The name of this program in documents.
pub const TOOL: &str = "dbco";

/// The version of this program.
pub const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The address of this program's project, from which identifiers are derived.
pub const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// A release that was built.
pub struct ReleaseInput<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The part of the lock that the recipe uses.
    pub lock: &'a Lock,
    /// The lock's file.
    pub lock_path: &'a Path,
    /// All steps, planned with [`PlanTargets::release`](crate::plan::PlanTargets::release).
    pub plan: &'a Plan,
    /// The results of all steps.
    pub built: &'a Built,
    /// The store that holds them.
    pub store: &'a Store,
    /// The commit of the project that was built.
    pub project: &'a ProjectCommit,
}

impl ReleaseInput<'_> {
    /// A path of the project relative to the top of its repository; one of the library as recipes write it.
    pub fn name_of(&self, path: &Path) -> String {
        self.recipe.path_in_library(path).unwrap_or_else(|| self.project.relative(path))
    }
}

/// Why the documents of a release could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The state of the project does not permit a release.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The build has no such result.
    #[error("the build has no {0}")]
    Missing(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file that the build uses is not part of the commit.
    #[error("{path} is used by the build, but is not in commit {commit}")]
    NotInCommit {
        /// The file.
        path: String,
        /// The commit.
        commit: String,
    },
    /// The commit gives other steps than the work tree.
    #[error(
        "the commit {commit} gives another image than the work tree: {step} differs in {}\n\
         git does not keep something that the build uses, such as an ignored file or an empty folder",
        rows.join(", ")
    )]
    CommitDiffers {
        /// The commit.
        commit: String,
        /// The first step that differs.
        step: String,
        /// The rows of its key that differ.
        rows: Vec<String>,
    },
}

impl ReleaseError {
    /// A file that can't be read.
    pub fn read(path: &Path, error: io::Error) -> Self {
        Self::io("read", path)(error)
    }

    /// Whether the request is at fault, and not something that happened while carrying it out.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotInCommit { .. } | Self::CommitDiffers { .. } | Self::Project(_))
    }
}
