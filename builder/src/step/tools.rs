//! Runs third-party tools for a step: executions on this machine, in the sandbox of the build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Id, StepError, ToolchainStep, Work};
use crate::beneath::{Dir, Links};
use crate::digest::Digest;
use crate::execution::Execution;
use crate::executor::{Call, CommandRunner, Executed, ExecutionProgress, Executor as _, Local};
use crate::process::Feed;
use crate::sandbox::{Sandbox, SandboxError, Spec};
use crate::store::Blob;

/// The file in which glibc looks for the locale `C.UTF-8`.
const LOCALE: &str = "usr/lib/locale/C.utf8";

/// The environment of every tool: nothing of the host's.
///
/// `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>) is not part of it, because
/// mksquashfs rejects it together with options for the same times. Steps that need it set it themselves.
///
/// The locale is `C.UTF-8` if the toolchain has it (Debian ships it in `libc-bin`, which no package depends on) and `C`
/// otherwise: with a missing locale programs fall back to `C`, and some print a warning at each start.
fn environment(root: &Path) -> BTreeMap<String, String> {
    let utf8 = Dir::open(root, Links::InRoot).is_ok_and(|dir| dir.exists(LOCALE).unwrap_or(false));
    let pairs = [
        ("HOME", "/build"),
        ("LC_ALL", if utf8 { "C.UTF-8" } else { "C" }),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SHELL", "/bin/sh"),
        ("TZ", "UTC"),
        ("USER", "root"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Tools of one root in the sandbox; their output goes to the step's log.
pub(super) struct Sandboxed<'a> {
    pub sandbox: &'a Sandbox,
    pub root: PathBuf,
    env: BTreeMap<String, String>,
    log: &'a Path,
}

impl Sandboxed<'_> {
    /// What the sandbox runs for a call.
    pub fn spec(&self, call: Call<'_>) -> Spec {
        let mut env = self.env.clone();
        env.extend(call.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        Spec {
            root: self.root.clone(),
            binds: call.binds.to_vec(),
            cwd: call.cwd.to_owned(),
            argv: call.argv.to_vec(),
            env,
            ..Spec::default()
        }
    }
}

impl CommandRunner for Sandboxed<'_> {
    fn run(&self, call: Call<'_>, feed: Option<Feed<'_>>, watch: &(dyn Fn(&str) + Sync)) -> Result<(), SandboxError> {
        self.sandbox.run(&self.spec(call), Some(self.log), Some(watch), feed)
    }
}

impl Work<'_> {
    /// The root of a toolchain, as executions name it.
    pub(super) fn root_of(&self, toolchain: Id<ToolchainStep>) -> Digest {
        self.context.graph.step(toolchain.step()).digest
    }

    /// Runs an execution. The build's listener receives the output of its commands.
    pub(super) fn execute(&self, execution: Execution) -> Result<Executed, StepError> {
        self.execute_watched(execution, &|_, _| {})
    }

    /// As [`Work::execute`]; `watch` also receives each line, with the number of the command that printed it, from 0.
    pub(super) fn execute_watched(
        &self,
        execution: Execution,
        watch: &(dyn Fn(usize, &str) + Sync),
    ) -> Result<Executed, StepError> {
        let root = self.root(&execution.root)?;
        let runner = Sandboxed { sandbox: self.sandbox()?, env: environment(&root), root, log: &self.log };
        let observer = |event: ExecutionProgress<'_>| match event {
            ExecutionProgress::Started(title) => self.line(title),
            ExecutionProgress::Line { command, text } => {
                self.line(text);
                watch(command, text);
            }
        };
        let contents = self.contents();
        match &self.context.enter {
            Some(enter) => self.enter(enter, execution, &runner, &observer),
            None => {
                Ok(Local { store: self.store(), contents: &contents, runner: &runner }.execute(execution, &observer)?)
            }
        }
    }

    /// Runs an execution with one output, a file, and returns it.
    pub(super) fn make(&self, execution: Execution) -> Result<Blob, StepError> {
        let [output] = &execution.outputs[..] else { panic!("an execution with one output") };
        let name = output.name.clone();
        let outcome = self.execute(execution)?;
        Ok(outcome.blob(&name).expect("a file is a blob"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_one_that_the_toolchain_has() {
        let root = tempfile::tempdir().unwrap();
        let locale = || environment(root.path())["LC_ALL"].clone();
        assert_eq!(locale(), "C");
        // What exists on the host does not count.
        std::fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("usr/lib/locale")).unwrap();
        assert_eq!(locale(), "C");
        std::fs::create_dir_all(root.path().join("nowhere/C.utf8")).unwrap();
        assert_eq!(locale(), "C.UTF-8", "a link of the root leads to a place in the root");
    }
}
