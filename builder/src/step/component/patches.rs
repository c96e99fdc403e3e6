//! A component's patch series.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::beneath::Dir;
use crate::digest::Digest;
use crate::image::Contents;
use crate::kernel::patch::{self, PatchError};
use crate::process::ProcessError;
use crate::sandbox::SandboxError;
use crate::step::toolbox::Toolbox;
use crate::step::{StepError, Work};
use crate::store::StoreError;

/// The patch in hand, below what tools see as `/build`.
const PATCH: &str = "next.patch";

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
    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes.as_slice()),
            Self::Blob(digest) => *digest,
        }
    }
}

/// Applies the series with GNU patch, each hunk to exactly the lines that it was written against, wherever they moved.
pub(super) fn apply(series: &[Patch], work: &Work<'_>, build: &Dir, tools: &Toolbox<'_>) -> Result<(), StepError> {
    let budget = work.budget();
    for Patch { name, content } in series {
        let failed = |errors: Vec<PatchError>| StepError::Patch(errors);
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
        let parts = patch::inspect(name, &text, budget).map_err(|error| failed(vec![error]))?;
        build.write(PATCH, &text)?;
        work.line(&format!("applying {name}"));
        let said = Mutex::new(String::new());
        let listen = |line: &str| {
            // Most of what is said of a long patch; it is not what failed.
            if line.starts_with("Hunk #") && line.contains(" succeeded at ") {
                return;
            }
            let mut said = said.lock().unwrap_or_else(|e| e.into_inner());
            said.push_str(line);
            said.push('\n');
        };
        let argv = [
            "patch",
            "-p1",
            "--batch",
            "--forward",
            "--fuzz=0",
            "--no-backup-if-mismatch",
            "--reject-file=-",
            "-i",
            "/build/next.patch",
        ];
        match tools.call(&argv, None, Some(&listen)) {
            Ok(()) => {}
            Err(SandboxError::Tool(ProcessError::Failed { .. })) => {
                let said = said.into_inner().unwrap_or_else(|e| e.into_inner());
                return Err(failed(patch::failures(name, &parts, &said)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(build.remove(PATCH)?)
}

fn unreadable(patch: &str) -> impl FnOnce(std::io::Error) -> StoreError {
    StoreError::io("read", Path::new(patch))
}
