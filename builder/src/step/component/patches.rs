//! A component's patch series.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::digest::Digest;
use crate::execution::{Execution, ExecutionInput, IN, Invocation, Workspace};
use crate::executor::CommandFailure;
use crate::image::Contents;
use crate::kernel::patch::{self, PatchError};
use crate::path_error::FromPathError as _;
use crate::process::ProcessError;
use crate::sandbox::SandboxError;
use crate::step::{StepError, Work};
use crate::store::StoreError;

/// A patch of the series.
#[derive(Clone, Debug)]
pub struct Patch {
    /// As the recipe names it.
    pub name: String,
    /// Plain, gzip or xz.
    pub content: PatchContent,
}

/// Where a patch's text is.
#[derive(Clone, Debug)]
pub enum PatchContent {
    /// Read from the project.
    Bytes(Arc<Vec<u8>>),
    /// In the store.
    Blob(Digest),
}

impl PatchContent {
    /// The sha256 of the patch's file.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes.as_slice()),
            Self::Blob(digest) => *digest,
        }
    }
}

/// Applies the series with GNU patch, each hunk to exactly the lines that it was written against, wherever they moved.
/// `execution` begins in the source.
pub(super) fn apply(series: &[Patch], work: &Work<'_>, mut execution: Execution) -> Result<Workspace, StepError> {
    let budget = work.budget();
    let failed = |errors: Vec<PatchError>| StepError::Patch(errors);
    let mut texts = Vec::new();
    for (number, Patch { name, content }) in series.iter().enumerate() {
        let mut bytes = Vec::new();
        match content {
            PatchContent::Bytes(text) => bytes.extend_from_slice(text),
            PatchContent::Blob(blob) => {
                let from = work.contents().open(blob).map_err(unreadable(name))?;
                // One byte more than may be read tells that there are more.
                let mut from = from.take(budget.patch_size.saturating_add(1));
                from.read_to_end(&mut bytes).map_err(unreadable(name))?;
            }
        }
        let text = patch::plain(name, bytes, budget).map_err(|error| failed(vec![error]))?;
        texts.push(patch::inspect(name, &text, budget).map_err(|error| failed(vec![error]))?);
        let path = format!("{IN}/{number:04}.patch");
        let fixed = std::iter::once("patch").chain(patch::ARGUMENTS);
        let argv = fixed.chain(["-i", &path]).map(str::to_owned).collect();
        let title = Some(format!("applying {name}"));
        execution.commands.push(Invocation { title, ..Invocation::new("patched source", argv) });
        execution.inputs.push(ExecutionInput::bytes(path, text));
    }
    let said = Mutex::new((0, String::new()));
    let listen = |command: usize, line: &str| {
        // Most of what is said of a long patch; it is not what failed.
        if line.starts_with("Hunk #") && line.contains(" succeeded at ") {
            return;
        }
        let mut said = said.lock().unwrap_or_else(|e| e.into_inner());
        if said.0 != command {
            *said = (command, String::new());
        }
        said.1.push_str(line);
        said.1.push('\n');
    };
    let outcome = work.execute_watched(execution, &listen).map_err(|error| match error {
        StepError::Command(CommandFailure {
            command, source: SandboxError::Tool(ProcessError::Failed { .. }), ..
        }) => {
            let said = said.lock().unwrap_or_else(|e| e.into_inner());
            let text = if said.0 == command { said.1.as_str() } else { "" };
            failed(patch::failures(&series[command].name, &texts[command], text))
        }
        StepError::Command(CommandFailure { source, .. }) => source.into(),
        other => other,
    })?;
    Ok(outcome.workspace)
}

fn unreadable(patch: &str) -> impl FnOnce(std::io::Error) -> StoreError {
    StoreError::io("read", Path::new(patch))
}
