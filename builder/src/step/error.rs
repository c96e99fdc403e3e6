//! Why a step failed.

use super::packages::{Diverting, remedy};
use crate::archive::ArchiveError;
use crate::beneath::BeneathError;
use crate::executor::{CommandFailure, ExecutionError};
use crate::image::ImageError;
use crate::kernel::modules::ModuleError;
use crate::kernel::patch::PatchError;
use crate::kernel::{Mismatch, NoVersion};
use crate::process::ProcessError;
use crate::rootfs::{AssemblyError, Conflict, FolderError};
use crate::sandbox::SandboxError;
use crate::sandbox::root::RootError;
use crate::source;
use crate::store::StoreError;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Settings that did not take effect.
    #[error("{} did not take effect:{}", count(.0.len(), "setting"), list(.0))]
    Config(Vec<Mismatch>),
    /// Settings for some versions of a source whose version is unknown.
    #[error(transparent)]
    Version(#[from] NoVersion),
    /// Patches that don't apply.
    #[error("the patch series does not apply:{}", list(.0))]
    Patch(Vec<PatchError>),
    /// A named output that the build did not make.
    #[error("the build produced no `{path}`, which `files` lists as `{name}`")]
    NoOutput {
        /// The output's name.
        name: String,
        /// The expected path.
        path: String,
    },
    /// An output that another step did not make.
    #[error("{step} has no output `{output}`, which is needed here")]
    Lacking {
        /// The other step.
        step: String,
        /// The output.
        output: String,
    },
    /// Links of an install tree that lead out of it or into the build's folders.
    #[error("its install tree has {} that work only in the build:{}\ncopy their targets (`cp -L`) or remove them", count(.0.len(), "link"), list(.0))]
    Links(Vec<String>),
    /// It was entered instead of run ([`Enter`](super::Enter)): it has no outputs.
    #[error("it was entered and has no outputs")]
    Entered,
    /// There is no shell to enter it with.
    #[error("its root has no shell: add `bash` to the packages of {0}")]
    NoShell(String),
    /// A command that it does not run.
    #[error("it runs no `{}`; it runs: {}", .name.escape_debug(), .commands.join(", "))]
    NoCommand {
        /// The name that was given.
        name: String,
        /// The names of its commands.
        commands: Vec<String>,
    },
    /// A script of a component failed.
    #[error("its {script} script failed")]
    Script {
        /// `build` or `install`.
        script: &'static str,
        /// The cause.
        #[source]
        source: SandboxError,
    },
    /// Paths at which packages differ.
    #[error("packages contain different versions of one path:{}\n{}", list(.conflicts), remedy(.conflicts, .diverting))]
    Packages {
        /// The paths.
        conflicts: Vec<Conflict>,
        /// Packages whose maintainer scripts call dpkg-divert(1).
        diverting: Vec<Diverting>,
    },
    /// A package's control file that can't be read.
    #[error("invalid control file of package {package}: {why}")]
    Control {
        /// Its name and version.
        package: String,
        /// What is wrong with it.
        why: String,
    },
    /// The recipe removes more enclosing folders of an archive than there are.
    #[error("{archive}: `strip: {strip}` removes a folder only if it contains everything; {}", remaining(*level, items))]
    Strip {
        /// The archive.
        archive: String,
        /// The number in the recipe.
        strip: u32,
        /// How many could be removed.
        level: u32,
        /// What is at that level.
        items: Vec<String>,
    },
    /// Debian packages that do not hold the source.
    #[error("{}", no_source(packages, stated.as_deref(), archives))]
    NoSource {
        /// The packages, each with its version.
        packages: Vec<String>,
        /// The requested path.
        stated: Option<String>,
        /// The archives in `usr/src`.
        archives: Vec<String>,
    },
    /// Kernel packages that contain no kernel.
    #[error(
        "no kernel (boot/vmlinuz-* or usr/lib/modules/*/vmlinuz) in {}{}",
        source::list(packages),
        instead(depends)
    )]
    NoKernel {
        /// The packages, each with its version.
        packages: Vec<String>,
        /// Their dependencies that may be kernel packages.
        depends: Vec<String>,
    },
    /// A third-party tool failed.
    #[error(transparent)]
    Command(#[from] CommandFailure),
    /// A module that the kernel package does not contain.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A tool failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// An archive is damaged or has paths that lead outside.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The packages of a toolchain can't be laid out as a root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Layers that can't be merged into a root filesystem.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// An image could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Something in a folder that an archive or a tool has filled could not be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// A folder could not be read or laid out.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A command outside the sandbox failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// ^C.
    #[error("interrupted")]
    Interrupted,
}

impl From<ExecutionError> for StepError {
    fn from(error: ExecutionError) -> Self {
        match error {
            ExecutionError::Command(failure) => failure.into(),
            ExecutionError::NoOutput { name, path } => Self::NoOutput { name, path },
            ExecutionError::Content(error) => error.into(),
            ExecutionError::Folder(error) => error.into(),
            ExecutionError::Beneath(error) => error.into(),
            ExecutionError::Store(error) => error.into(),
        }
    }
}

/// What is at the level where no further folder of an archive can be removed; `level` were removed.
fn remaining(level: u32, items: &[String]) -> String {
    let place = match level {
        0 => "at its top".to_owned(),
        level => format!("below {}", count(level as usize, "folder")),
    };
    match items {
        [] => format!("there is nothing {place}: set a lower `strip`"),
        items => format!("{place} there is {}: set a lower `strip`", source::list(items)),
    }
}

fn no_source(packages: &[String], stated: Option<&str>, archives: &[String]) -> String {
    let (packages, archives) = (source::list(packages), (!archives.is_empty()).then(|| source::list(archives)));
    match (stated, archives) {
        (Some(stated), Some(archives)) => format!("no file `{stated}` in {packages}; usr/src has {archives}"),
        (Some(stated), None) => format!("no file `{stated}` in {packages}, and no archive in usr/src"),
        (None, Some(archives)) => format!("no single archive in usr/src of {packages}: set one as `file`: {archives}"),
        (None, None) => format!("no archive in usr/src of {packages}"),
    }
}

fn instead(depends: &[String]) -> String {
    if depends.is_empty() {
        return String::new();
    }
    format!("\n  the package depends on {}: set the one with the kernel as `package`", source::list(depends))
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The number of lines of one kind that are shown: with a long patch for another version, thousands of hunks fail.
const SHOWN: usize = 30;

fn list<T: ToString>(items: &[T]) -> String {
    let shown: String = items.iter().take(SHOWN).map(|item| format!("\n  {}", item.to_string())).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}\n  and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_of_bounded_length() {
        for (count, lines, last) in [(1, 1, "29"), (30, 30, "29"), (31, 31, "and 1 more"), (5000, 31, "and 4970 more")]
        {
            let items: Vec<String> = (0..count).map(|number: usize| number.to_string()).collect();
            let text = StepError::Links(items).to_string();
            let listed: Vec<_> = text.lines().skip(1).take_while(|line| line.starts_with("  ")).collect();
            assert_eq!(listed.len(), lines, "{text}");
            assert!(count == 1 || listed[lines - 1].trim() == last, "{text}");
        }
    }
}
