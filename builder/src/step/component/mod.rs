//! A component: unpack, patch, configure, build, install, collect.

mod crates;
mod kconfig;
mod links;
mod patches;
mod source;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::toolbox::Toolbox;
use super::{Action, Blob, Graph, Id, Name, Outputs, Ref, StepError, StepId, ToolchainStep, Work};
use crate::beneath::{Dir, Links};
use crate::digest::Digest;
use crate::process::ProcessError;
use crate::rootfs::{lay_out, read_built};
use crate::sandbox::SandboxError;
use crate::source::Crate;
use crate::store::{Key, Output};
use crate::tree::Tree;
use links::astray;

pub use kconfig::{ConfigBase, Configuration};
pub use patches::{Patch, PatchContent};
pub use source::Source;

/// Below what tools see as `/build`: sources, and what is installed.
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
    /// Components whose install trees stand under `/deps`.
    pub needs: Vec<(String, Id<ComponentStep>)>,
    /// Crates that cargo finds in place of a registry; `None` for a component that has nothing to do with cargo.
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
    /// What it installs. Its named files are outputs beside it, see [`Id::file`].
    pub const INSTALL: Name<Self, Tree> = Name::new("install");
}

impl Id<ComponentStep> {
    /// The output that the component's `files` have under that name.
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

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let folder = work.store().work_dir()?;
        let top = work.dir(&folder)?;
        let (build, deps) = (top.make_dir("build")?, top.make_dir("deps")?);
        build.make_dir(OUT)?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch.try_into().unwrap_or_default());
        self.source.unpack(work, &build, time)?;
        for (name, need) in &self.needs {
            let tree = work.get(&need.output(Self::INSTALL))?;
            lay_out(&tree, &work.contents(), &deps.make_dir(name)?, time)?;
        }
        if let Some(crates) = &self.crates {
            crates::vendor(work, crates, &build)?;
        }
        let (jobs, epoch) = (work.context.jobs.to_string(), self.epoch.to_string());
        let tools = Toolbox::new(work, self.toolchain, &build)?
            .bind(&deps, "/deps")
            .cwd("/build/src")
            .env([
                ("JOBS", jobs.as_str()),
                ("OUT", "/build/out"),
                ("SOURCE_DATE_EPOCH", epoch.as_str()),
                ("DEPS", "/deps"),
            ])
            .env(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        patches::apply(&self.patches, work, &build, &tools)?;
        if let Some(kconfig) = &self.kconfig {
            kconfig.make(work, &build, &tools)?;
        }
        script(&tools, "build", &self.build)?;
        script(&tools, "install", &self.install)?;
        self.collect(work, &build)
    }
}

impl ComponentStep {
    /// The folders are looked up anew: the scripts may have put something else in their places.
    fn collect(&self, work: &Work<'_>, build: &Dir) -> Result<Outputs, StepError> {
        let mut outputs = BTreeMap::new();
        // A kernel has links at some of its outputs, to others.
        let src = build.dir(SRC)?.following(Links::Within);
        let beside = build.following(Links::Within);
        for (name, path) in &self.files {
            // What is built outside of its source is named by `../`.
            let output = match path.strip_prefix("../") {
                Some(path) => work.keep(&beside, path),
                None => work.keep(&src, path),
            };
            let output = output.map_err(|error| match error {
                StepError::Beneath(error) if error.is_missing() => {
                    StepError::NoOutput { name: name.clone(), path: path.clone() }
                }
                other => other,
            })?;
            let Blob { digest, size } = output;
            outputs.insert(name.clone(), Output::Blob { digest, size });
        }
        let mut batch = work.store().batch()?;
        let tree = read_built(&build.dir(OUT)?, &mut batch)?;
        batch.commit()?;
        let astray = astray(&tree);
        if !astray.is_empty() {
            return Err(StepError::Links(astray));
        }
        outputs.extend([Self::INSTALL.of(work.store().add_tree(&tree)?)]);
        Ok(outputs)
    }
}

fn script(tools: &Toolbox<'_>, script: &'static str, text: &str) -> Result<(), StepError> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let failed = |error| match error {
        // The whole script would hide what it printed.
        SandboxError::Tool(ProcessError::Failed { status, tail, .. }) => {
            let command = "/bin/sh -euc …".to_owned();
            SandboxError::Tool(ProcessError::Failed { command, status, tail })
        }
        other => other,
    };
    let called = tools.call(&["/bin/sh", "-euc", text], None, None);
    called.map_err(|error| StepError::Script { script, source: failed(error) })
}
