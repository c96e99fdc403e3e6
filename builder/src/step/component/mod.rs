//! A component: unpack, patch, configure, build, install, collect.

mod crates;
mod kconfig;
mod links;
mod patches;
mod source;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{Action, Blob, Graph, Id, Materials, OutputName, Outputs, Ref, StepError, StepId, ToolchainStep, Work};
use crate::digest::Digest;
use crate::execution::{BUILD, DEPS, Execution, ExecutionInput, Invocation, OutputForm, OutputPath, Workspace};
use crate::executor::CommandFailure;
use crate::kernel::reproducible::unstable;
use crate::kernel::{Config, source_version};
use crate::process::{ProcessError, argv};
use crate::sandbox::SandboxError;
use crate::source::Crate;
use crate::store::{Key, Output};
use crate::tree::Tree;
use links::astray;

pub use kconfig::{ConfigBase, Configuration};
pub use patches::{Patch, PatchContent};
pub use source::Source;

/// Below [`BUILD`]: sources, and installed files.
const SRC: &str = "src";
const OUT: &str = "out";

/// Builds a component: the tree `install` and a blob for each of its named files.
#[derive(Clone, Debug)]
pub struct ComponentStep {
    /// Its name.
    pub name: String,
    /// The root that its commands run in.
    pub toolchain: Id<ToolchainStep>,
    /// What is unpacked into `/build/src`.
    pub source: Source,
    /// The patch series.
    pub patches: Vec<Patch>,
    /// Components whose install trees are placed in `/deps`.
    pub needs: Vec<(String, Id<ComponentStep>)>,
    /// Crates that cargo uses instead of a registry; `None` for a component that does not use cargo.
    pub crates: Option<Vec<Crate>>,
    /// Its configuration.
    pub kconfig: Option<Configuration>,
    /// Environment of every command.
    pub env: BTreeMap<String, String>,
    /// Builds.
    pub build: String,
    /// Installs.
    pub install: String,
    /// Named outputs.
    pub files: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub epoch: i64,
}

impl ComponentStep {
    /// The installed files. Its named files are separate outputs, see [`Id::file`].
    pub const INSTALL: OutputName<Self, Tree> = OutputName::new("install");
}

impl Id<ComponentStep> {
    /// The output with that name in the component's `files`.
    pub fn file(self, name: &str) -> Ref<Blob> {
        Ref::new(self.step(), name.to_owned())
    }
}

impl Action for ComponentStep {
    fn label(&self) -> String {
        format!("component {}", self.name)
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain` | the compilers |
    /// | `source` | what is built: an archive's sha256, or a folder's tree |
    /// | `patch <n>` | the content of each, in order; its name is for messages only |
    /// | `need <name>` | what stands at `/deps/<name>` |
    /// | `cargo` | that, and how, crates are laid out for cargo |
    /// | `crate <name> <version>` | the content of each |
    /// | `config …` | see [`Configuration`] |
    /// | `env <name>`, `build`, `install` | the commands |
    /// | `file <name>` | which files are outputs |
    /// | `epoch` | `SOURCE_DATE_EPOCH` |
    fn key(&self, graph: &Graph) -> Key {
        let Self { name: _, toolchain, source, patches, needs, crates, kconfig, env, build, install, files, epoch } =
            self;
        // 3: install trees hold hard links, capabilities and attributes.
        let mut key = Key::new("component", 3)
            .row("toolchain", graph.digest(*toolchain))
            .row("source", source.row())
            .rows(patches.iter().enumerate().map(|(n, patch)| (format!("patch {n}"), patch.content.digest())))
            .rows(needs.iter().map(|(name, step)| (format!("need {name}"), graph.digest(*step))));
        if let Some(crates) = crates {
            let name = |pinned: &Crate| format!("crate {} {}", pinned.name, pinned.version);
            key = key.row("cargo", 1).rows(crates.iter().map(|pinned| (name(pinned), pinned.sha256)));
        }
        key.rows(kconfig.iter().flat_map(Configuration::rows))
            .rows(env.iter().map(|(name, value)| (format!("env {name}"), value)))
            .row("build", build)
            .row("install", install)
            .rows(files.iter().map(|(name, path)| (format!("file {name}"), path)))
            .row("epoch", epoch)
    }

    fn inputs(&self) -> Vec<StepId> {
        let needs = self.needs.iter().map(|(_, need)| need.step());
        std::iter::once(self.toolchain.step()).chain(needs).collect()
    }

    /// Its source, patches, configuration and crates.
    fn blobs(&self) -> Vec<Digest> {
        let patches = self.patches.iter().filter_map(|patch| match patch.content {
            PatchContent::Blob(blob) => Some(blob),
            PatchContent::Bytes(_) => None,
        });
        let config = self.kconfig.as_ref().and_then(Configuration::blob);
        let crates = self.crates.iter().flatten().map(|pinned| pinned.sha256);
        self.source.blobs().into_iter().chain(patches).chain(config).chain(crates).collect()
    }

    fn is_heavy(&self) -> bool {
        true
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn materials(&self) -> Materials<'_> {
        Materials::Component(self)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let workspace = Workspace::new(work.store().work_dir()?)?;
        let build = workspace.build();
        build.make_dir(OUT)?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch.try_into().unwrap_or_default());
        self.source.unpack(work, build, time)?;
        if let Some(crates) = &self.crates {
            crates::vendor(work, crates, build)?;
        }
        let mut inputs = Vec::new();
        for (name, need) in &self.needs {
            inputs.push(ExecutionInput::tree(format!("{DEPS}/{name}"), work.get(&need.output(Self::INSTALL))?, time));
        }
        let patching = self.execution(work, workspace, inputs);
        let mut workspace = patches::apply(&self.patches, work, patching)?;
        if let Some(kconfig) = &self.kconfig {
            let config;
            (workspace, config) =
                kconfig.make(work, workspace, |workspace| self.execution(work, workspace, Vec::new()))?;
            self.warn_of_unstable(work, kconfig, &config, &workspace)?;
        }
        self.build(work, workspace)
    }
}

impl ComponentStep {
    /// An execution of its commands, which start in its source folder.
    fn execution(&self, work: &Work<'_>, workspace: Workspace, inputs: Vec<ExecutionInput>) -> Execution {
        let fixed = [
            ("JOBS", work.context.resources.jobs.to_string()),
            ("OUT", format!("{BUILD}/{OUT}")),
            ("SOURCE_DATE_EPOCH", self.epoch.to_string()),
            ("DEPS", DEPS.to_owned()),
        ];
        let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
        Execution {
            workspace: Some(workspace),
            inputs,
            env: fixed.chain(self.env.clone()).collect(),
            cwd: format!("{BUILD}/{SRC}"),
            ..Execution::new(work.root_of(self.toolchain))
        }
    }

    /// Warns of settings with which builds differ, including those that are on by default. A remedy may be in the scripts,
    /// or in the patched source.
    fn warn_of_unstable(
        &self,
        work: &Work<'_>,
        kconfig: &Configuration,
        config: &Config,
        workspace: &Workspace,
    ) -> Result<(), StepError> {
        let version = source_version(&(&workspace.build().dir(SRC)?).into());
        let in_patch = |patch: &Patch, word: &str| match &patch.content {
            PatchContent::Bytes(bytes) => String::from_utf8_lossy(bytes).contains(word),
            PatchContent::Blob(_) => false,
        };
        let remedied = |word: &str| {
            let arguments = kconfig.make.iter().chain(self.env.values()).chain([&self.build]);
            arguments.into_iter().any(|text| text.contains(word))
                || self.patches.iter().any(|patch| in_patch(patch, word))
        };
        for setting in unstable(version, &|symbol| config.get(symbol).cloned(), &remedied) {
            work.warn(&format!(
                "CONFIG_{}=y: builds differ: {}\n  help: {}",
                setting.symbol, setting.why, setting.remedy
            ));
        }
        Ok(())
    }

    /// Runs its scripts, and stores their results.
    fn build(&self, work: &Work<'_>, workspace: Workspace) -> Result<Outputs, StepError> {
        let mut execution = self.execution(work, workspace, Vec::new());
        let scripts = [("build", &self.build), ("install", &self.install)];
        let scripts: Vec<_> = scripts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect();
        for (script, text) in &scripts {
            execution.commands.push(Invocation::new(*script, argv!["/bin/sh", "-euc", text]));
        }
        let file = |(name, path): (&String, &String)| OutputPath {
            name: name.clone(),
            // Files built outside the source folder are named with `../`.
            path: path.strip_prefix("../").map_or_else(|| format!("{SRC}/{path}"), str::to_owned),
            // Some outputs of a kernel build are links to others.
            form: OutputForm::LinkedFile,
        };
        let install = OutputPath { name: Self::INSTALL.name().into(), path: OUT.into(), form: OutputForm::Tree };
        execution.outputs = self.files.iter().map(file).chain([install]).collect();
        let outcome = work.execute(execution).map_err(|error| match error {
            StepError::Command(CommandFailure { command, source, .. }) => {
                StepError::Script { script: scripts[command].0, source: without_text(source) }
            }
            StepError::NoOutput { name, path } => match self.files.get(&name) {
                Some(stated) => StepError::NoOutput { path: stated.clone(), name },
                None => StepError::NoOutput { name, path },
            },
            other => other,
        })?;
        let outputs = outcome.outputs;
        let Some(Output::Tree { digest }) = outputs.get(Self::INSTALL.name()) else { panic!("a tree was asked for") };
        let astray = astray(&work.store().tree(digest)?);
        if astray.is_empty() { Ok(outputs) } else { Err(StepError::Links(astray)) }
    }
}

/// The error of a script without the script, whose length would hide its output.
fn without_text(error: SandboxError) -> SandboxError {
    match error {
        SandboxError::Tool(ProcessError::Failed { status, tail, .. }) => {
            let command = "/bin/sh -euc …".to_owned();
            SandboxError::Tool(ProcessError::Failed { command, status, tail })
        }
        other => other,
    }
}
