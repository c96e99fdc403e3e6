//! Makes a configuration from its start and the fragments, and checks that every setting took effect.

use std::io::Read;

use super::SRC;
use crate::digest::Digest;
use crate::execution::{BUILD, Execution, ExecutionInput, Invocation, Stdin, Workspace};
use crate::executor::CommandFailure;
use crate::kernel::{self, Config, Fragment, Setting, config};
use crate::path_error::FromPathError as _;
use crate::platform::Platform;
use crate::process::{argv, quote};
use crate::recipe::Resolve;
use crate::step::{StepError, Work};
use crate::store::StoreError;

/// Path of the configuration, below [`BUILD`]. Make's targets may have put anything there.
const CONFIG: &str = "src/.config";

/// A distribution's kernel has 300 KB of configuration.
const MOST_CONFIG: u64 = 16 << 20;

/// A configuration to make and to check.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The architecture whose Kconfig files explain settings that did not take effect.
    pub platform: Platform,
    /// Its start.
    pub base: ConfigBase,
    /// The make target that completes it.
    pub resolve: Resolve,
    /// What is applied to the start.
    pub fragments: Vec<Fragment>,
    /// Extra arguments of make.
    pub make: Vec<String>,
}

/// The start of a configuration.
#[derive(Clone, Debug)]
pub enum ConfigBase {
    /// A make target.
    Target(String),
    /// A whole `.config`.
    Blob(Digest),
}

impl Configuration {
    /// | row | why |
    /// |---|---|
    /// | `config base`, `config resolve`, `config make` | how the configuration is made |
    /// | `config <n>` | each fragment's settings, with the versions that they are for: comments and blank lines don't count |
    ///
    /// The architecture is not in the key: it is only used to explain a failure, and a failure is no result.
    pub(super) fn rows(&self) -> Vec<(String, String)> {
        let base = match &self.base {
            ConfigBase::Target(target) => target.clone(),
            ConfigBase::Blob(digest) => digest.to_string(),
        };
        let make = self.make.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let fixed = [("base", base), ("resolve", self.resolve.target().to_owned()), ("make", make)];
        let fixed = fixed.into_iter().map(|(name, value)| (format!("config {name}"), value));
        let fragments = self.fragments.iter().enumerate();
        fixed.chain(fragments.map(|(n, fragment)| (format!("config {n}"), settings(fragment)))).collect()
    }

    /// The configuration, if it is an external file.
    pub(super) fn blob(&self) -> Option<Digest> {
        match self.base {
            ConfigBase::Blob(blob) => Some(blob),
            ConfigBase::Target(_) => None,
        }
    }

    /// Configures the source of a workspace; `execution` creates executions that start in it. Gives the result, too.
    pub(super) fn make(
        &self,
        work: &Work<'_>,
        mut workspace: Workspace,
        execution: impl Fn(Workspace) -> Execution,
    ) -> Result<(Workspace, Config), StepError> {
        let make = |target: &str, stdin: Stdin| {
            let argv = argv!["make", target].into_iter().chain(self.make.iter().cloned()).collect();
            Invocation::new(CONFIG, argv).reading(stdin)
        };
        let run = |execution: Execution| match work.execute(execution) {
            Err(StepError::Command(CommandFailure { source, .. })) => Err(source.into()),
            other => other,
        };
        let fragments = kernel::for_source(&self.fragments, &(&workspace.build().dir(SRC)?).into())?;
        let base = match &self.base {
            ConfigBase::Target(target) => {
                let start = Execution { commands: vec![make(target, Stdin::Empty)], ..execution(workspace) };
                workspace = run(start)?.workspace;
                workspace.build().read_text(CONFIG, MOST_CONFIG)?
            }
            ConfigBase::Blob(blob) => {
                let mut text = String::new();
                let path = work.store().blob_path(blob);
                let read = work.read(blob)?.take(MOST_CONFIG).read_to_string(&mut text);
                let got_size = read.map_err(StoreError::io("read", &path))? as u64;
                // A file of the project may have changed since the plan was made.
                match Digest::of(&text) {
                    got if got == *blob => text,
                    got => return Err(StoreError::Mismatch { want: *blob, got, got_size }.into()),
                }
            }
        };
        let complete = Execution {
            inputs: vec![ExecutionInput::bytes(format!("{BUILD}/{CONFIG}"), config::merge(&base, &fragments))],
            commands: vec![make(self.resolve.target(), Stdin::LineBreaks)],
            ..execution(workspace)
        };
        let workspace = run(complete)?.workspace;
        let result = workspace.build().read_text(CONFIG, MOST_CONFIG)?;
        let mismatches = kernel::check(&fragments, &result, &(&workspace.build().dir(SRC)?).into(), self.platform);
        if mismatches.is_empty() {
            return Ok((workspace, Config::parse(&result)));
        }
        let error = StepError::Config(mismatches);
        // A shell in the configured source helps to find the cause.
        if work.context.enter.is_some() {
            work.warn(&error.to_string());
            return Ok((workspace, Config::parse(&result)));
        }
        Err(error)
    }
}

/// The settings of a fragment as one canonical text.
fn settings(fragment: &Fragment) -> String {
    let line = |setting: &Setting| {
        let line = setting.value.line(&setting.symbol);
        if setting.versions.is_all() { line + "\n" } else { format!("{line} if {}\n", setting.versions) }
    };
    fragment.settings.iter().map(line).collect()
}
