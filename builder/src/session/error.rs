//! The errors of a session's calls.

use std::path::PathBuf;

use super::budget::OverBudget;
use super::notice::count;
use super::stated::RecipeLocation;
use crate::build::BuildError;
use crate::lock::{LockError, StaleEntry};
use crate::output::{OutputError, SignError};
use crate::plan::PlanError;
use crate::recipe::{LoadError, OutputKind};
use crate::release::ReleaseError;
use crate::release::signature::KeyError;
use crate::release::verify::VerifyError;
use crate::sandbox::SandboxError;
use crate::store::StoreError;
use crate::vendor::VendorError;

/// One or more sources that could not be locked or fetched, for one reason.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SourceFailure {
    /// Where the recipe requests it, `file:line:column`, if a recipe does.
    pub place: Option<String>,
    /// The error.
    pub error: anyhow::Error,
    /// How many sources that are: requests while locking, files while fetching.
    pub sources: usize,
}

/// How many sources the failures are about.
pub(crate) fn sources(failures: &[SourceFailure]) -> usize {
    failures.iter().map(|failure| failure.sources).sum()
}

/// Why a session's call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store's path can't be passed to other processes.
    #[error("the store's path {0:?} is not UTF-8: choose another one with --store")]
    StorePath(PathBuf),
    /// The location of the store is unknown.
    #[error("neither XDG_CACHE_HOME nor HOME is set: pass --store DIR")]
    NoHome,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A recipe can't be read.
    #[error(transparent)]
    Recipe(#[from] LoadError),
    /// The request can't be carried out.
    #[error("{0}")]
    Request(String),
    /// The recipe has no such output.
    #[error("--only {}: it is not in the recipe's `outputs`, which are {}", .0.word(), .1.join(", "))]
    NoOutput(OutputKind, Vec<&'static str>),
    /// The user's configuration or the mirrors are invalid or missing.
    #[error(transparent)]
    Config(anyhow::Error),
    /// The lock can't be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock is out of date, and must not be changed.
    #[error("{} does not match the recipe:{}\nrun `dbco lock` to bring it up to date", path.display(), lines(.stale))]
    Stale {
        /// The lock.
        path: PathBuf,
        /// Each outdated or missing entry.
        stale: Vec<StaleEntry>,
    },
    /// Planning failed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Sources could not be locked or fetched.
    #[error("{} {what}", count(sources(failures), unit))]
    Sources {
        /// What is counted: `source` while locking, `file` while fetching.
        unit: &'static str,
        /// What failed: `could not be locked`, `could not be fetched`.
        what: &'static str,
        /// Each source with its error.
        failures: Vec<SourceFailure>,
    },
    /// Something that ends all work on sources, such as a full disk or an old index.
    #[error(transparent)]
    Source(anyhow::Error),
    /// This host can't run the tools.
    #[error("{0}")]
    Host(String),
    /// This host can't isolate tools.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A step failed.
    #[error("{error}")]
    Build {
        /// The step's location in the recipe, and what to do.
        stated: Option<RecipeLocation>,
        /// The error.
        #[source]
        error: BuildError,
    },
    /// Outputs are larger than their budgets.
    #[error(
        "{}\nnothing was written; `dbco sizes {}` shows what the bytes are for",
        over.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        recipe.display()
    )]
    Budget {
        /// The recipe.
        recipe: PathBuf,
        /// The outputs.
        over: Vec<OverBudget>,
    },
    /// The outputs can't be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Sources could not be vendored.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// The documents of a release can't be made.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A release is not what it should be.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A key can't be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signatures can't be written.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A signal interrupted it.
    #[error("interrupted")]
    Interrupted,
}

fn lines(stale: &[StaleEntry]) -> String {
    stale.iter().map(|stale| format!("\n  {stale}")).collect()
}

impl Error {
    /// Whether the request is at fault, and not something that happened while carrying it out.
    pub fn is_usage(&self) -> bool {
        if let Self::Release(error) = self {
            return error.is_usage();
        }
        matches!(
            self,
            Self::StorePath(_)
                | Self::NoHome
                | Self::Recipe(_)
                | Self::Request(_)
                | Self::NoOutput(..)
                | Self::Config(_)
                | Self::Lock(
                    LockError::Missing(_)
                        | LockError::Syntax { .. }
                        | LockError::Conflict { .. }
                        | LockError::Format { .. }
                )
                | Self::Vendor(VendorError::NotOurs { .. })
                | Self::Stale { .. }
                | Self::Plan(_)
                | Self::Key(_)
        )
    }
}
