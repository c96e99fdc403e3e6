//! Errors as text for people.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::CommandError;
use super::printer::{Annotation, AnnotationLevel, Printer};
use crate::beneath::Refusal;
use crate::build::BuildError;
use crate::process::ProcessError;
use crate::recipe::{BadRecipe, LoadError};
use crate::sandbox::SandboxError;
use crate::session::RecipeLocation;
use crate::step::CommandFailure;
use crate::step::StepError;

/// Prints why a command failed, and gives its exit status.
pub fn fail(printer: &Printer, failure: &CommandError) -> ExitCode {
    match failure {
        CommandError::Reported => ExitCode::FAILURE,
        CommandError::Failed(error) => {
            print_error(printer, error);
            ExitCode::FAILURE
        }
        CommandError::Status(status, error) => {
            print_error(printer, error);
            ExitCode::from(*status)
        }
        CommandError::Usage(error) => {
            print_error(printer, error);
            ExitCode::from(2)
        }
    }
}

fn print_error(printer: &Printer, error: &anyhow::Error) {
    if let Some(LoadError::Bad(bad)) = error.downcast_ref::<LoadError>() {
        return findings(printer, bad);
    }
    let mut text = chain(error);
    if let Some(build) = error.downcast_ref::<BuildError>() {
        let tail = tail(&build.source);
        if !tail.is_empty() {
            text += "\nthe end of its output:";
            tail.iter().for_each(|line| text += &format!("\n  | {line}"));
        }
        if let Some(log) = &build.log {
            // On its own line, with a short prefix, so that a terminal of 100 columns does not wrap it.
            text += &format!("\nthe full log:\n{}", from_home(log));
        }
    }
    if let Some(hint) = error.downcast_ref::<RecipeLocation>().and_then(|stated| stated.hint.as_deref()).or(hint(error))
    {
        text += &format!("\n{hint}");
    }
    printer.error(&text);
}

/// A path quoted for a shell, with `~` for the user's home.
fn from_home(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some());
    match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}

fn findings(printer: &Printer, bad: &BadRecipe) {
    for finding in &bad.findings {
        let (line, column) = bad.files.position(finding.span);
        let message = match &finding.help {
            Some(help) => format!("{}\n{help}", finding.message),
            None => finding.message.clone(),
        };
        let place = Some((bad.files.path(finding.span.file), line, column));
        printer.annotate(&Annotation { level: AnnotationLevel::Error, code: finding.id, message: &message, place });
    }
    let mut printed = false;
    for finding in &bad.findings {
        let (line, column) = bad.files.position(finding.span);
        printed = printer.value(&serde_json::json!({
            "event": "finding", "code": finding.id, "message": finding.message, "label": finding.label,
            "help": finding.help, "file": bad.files.path(finding.span.file), "line": line, "column": column,
            "related": finding.related.iter().map(|(span, label)| {
                let (line, column) = bad.files.position(*span);
                serde_json::json!({"file": bad.files.path(span.file), "line": line, "column": column, "label": label})
            }).collect::<Vec<_>>(),
        }));
        if !printed {
            break;
        }
    }
    if !printed {
        printer.text(&bad.render(printer.color()));
    }
    let count = bad.findings.len();
    printer.error(&format!("{}; nothing was built", self::count(count, "finding")));
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
        StepError::Script { source, .. }
        | StepError::Command(CommandFailure { source, .. })
        | StepError::Sandbox(source) => source,
        _ => return &[],
    };
    match sandbox {
        SandboxError::Tool(ProcessError::Failed { tail, .. }) => tail,
        _ => &[],
    }
}

/// What to do about an error of the host, whichever part of dbco met it.
pub fn hint(error: &anyhow::Error) -> Option<&'static str> {
    use nix::errno::Errno;
    let printed = error.downcast_ref::<BuildError>().map(|build| tail(&build.source)).unwrap_or_default();
    let printed = printed.iter().any(|line| line.contains("No space left on device"));
    // A `Refusal` wraps the system's error, which is not among its sources.
    let system = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref() {
        Some(Refusal::Io(error)) => error.raw_os_error(),
        _ => cause.downcast_ref::<std::io::Error>()?.raw_os_error(),
    };
    let codes = error.chain().filter_map(system);
    let met = if printed { Some(Errno::ENOSPC) } else { codes.map(Errno::from_raw).next() };
    // Detecting how tools can be isolated also starts processes.
    let refused = format!("(os error {})", Errno::EAGAIN as i32);
    let tried = error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(SandboxError::Unavailable { namespaces, .. }) if namespaces.contains(&refused))
    });
    let met = if tried { Some(Errno::EAGAIN) } else { met };
    let started = tried || error.chain().any(|cause| matches!(cause.downcast_ref(), Some(ProcessError::Start { .. })));
    Some(match met? {
        Errno::ENOSPC | Errno::EDQUOT => {
            "the disk is full: free some space, or choose another location with --store (results) or --output (images);\n\
             no partial files are left"
        }
        Errno::EROFS => {
            "the file system is read-only: choose another location with --store (results) or --output (images)"
        }
        Errno::EMFILE | Errno::ENFILE => "too many files are open: raise the limit (`ulimit -n`), or use fewer --jobs",
        Errno::EAGAIN if started => "cannot start another process: raise the limit (`ulimit -u`), or use fewer --jobs",
        Errno::EXDEV => {
            "the store's folders (blobs, tmp and so on) must be on one file system, none of them a mount or a link to \
             another: choose another location with --store"
        }
        Errno::EFBIG => "the file has reached the file size limit: raise it (`ulimit -f`)",
        Errno::ENOMEM => "there is not enough memory: use fewer --jobs",
        _ => return None,
    })
}

pub use crate::session::{bytes, count};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beneath::BeneathError;
    use crate::path_error::FromPathError as _;
    use nix::errno::Errno;

    #[test]
    fn what_the_host_lacks_has_a_remedy_whoever_met_it() {
        for (errno, remedy) in [
            (Errno::EMFILE, "`ulimit -n`"),
            (Errno::EFBIG, "`ulimit -f`"),
            (Errno::ENOSPC, "--store"),
            (Errno::EXDEV, "one file system"),
        ] {
            let path = Path::new("root");
            let step = StepError::from(BeneathError::of("make", path)(errno));
            let build = BuildError { label: "toolchain sh".into(), log: None, source: Box::new(step) };
            let store = crate::store::StoreError::io("write", path)(errno.into());
            for error in [build.into(), anyhow::Error::from(store)] {
                assert!(hint(&error).is_some_and(|hint| hint.contains(remedy)), "{error:?}");
            }
        }
        let missing = anyhow::Error::from(std::io::Error::from(Errno::ENOENT));
        assert_eq!(hint(&missing), None);
    }
}
