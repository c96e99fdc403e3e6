//! Errors as prose, for people.

use std::process::ExitCode;

use super::Failure;
use super::face::Face;
use crate::build::{BuildError, StepError};
use crate::process::ProcessError;
use crate::recipe::{BadRecipe, LoadError};
use crate::sandbox::SandboxError;

/// Says why a command failed, and gives its exit status.
pub fn fail(face: &Face, failure: &Failure) -> ExitCode {
    match failure {
        Failure::Said => ExitCode::FAILURE,
        Failure::Failed(error) => {
            say(face, error);
            ExitCode::FAILURE
        }
        Failure::Usage(error) => {
            say(face, error);
            ExitCode::from(2)
        }
    }
}

fn say(face: &Face, error: &anyhow::Error) {
    if let Some(LoadError::Bad(bad)) = error.downcast_ref::<LoadError>() {
        return findings(face, bad);
    }
    let mut text = chain(error);
    if let Some(build) = error.downcast_ref::<BuildError>() {
        let tail = tail(&build.source);
        if !tail.is_empty() {
            text += "\nthe end of its output:";
            tail.iter().for_each(|line| text += &format!("\n  | {line}"));
        }
        if let Some(log) = &build.log {
            text += &format!("\nthe whole log: {}", log.display());
        }
    }
    if let Some(hint) = hint(error) {
        text += &format!("\n{hint}");
    }
    face.error(&text);
}

fn findings(face: &Face, bad: &BadRecipe) {
    face.text(&bad.render(face.color()));
    let count = bad.findings.len();
    let what = if count == 1 { "1 finding".to_owned() } else { format!("{count} findings") };
    face.error(&format!("{what}; nothing was built"));
}

/// An error and its causes, each once.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

fn tail(error: &StepError) -> &[String] {
    let sandbox = match error {
        StepError::Script { source, .. } | StepError::Sandbox(source) => source,
        StepError::Image(crate::image::ImageError::Tool { source, .. }) => {
            match source.downcast_ref::<SandboxError>() {
                Some(source) => source,
                None => return &[],
            }
        }
        _ => return &[],
    };
    match sandbox {
        SandboxError::Tool(ProcessError::Failed { tail, .. }) => tail,
        _ => &[],
    }
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    let full = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
    };
    let printed = error.downcast_ref::<BuildError>().map(|build| tail(&build.source)).unwrap_or_default();
    let said = printed.iter().any(|line| line.contains("No space left on device"));
    (said || error.chain().any(full)).then_some(
        "the disk is full: free some space, or choose another place with --store (results) or --output (images);\n\
         nothing half-written is left",
    )
}

/// A length in bytes, for people.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}
