//! Planning a component's build.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use super::planner::{PlanError, Planner};
use super::{Action, StepId, tree_digest};
use crate::digest::Digest;
use crate::kernel::Fragment;
use crate::process::quote;
use crate::recipe::{Base, Component, Kconfig, Origin, Resolve};
use crate::rootfs::{Pattern, scan};
use crate::source::Crate;
use crate::store::Key;
use crate::tree::Tree;

/// Builds a component: the tree `install` and a blob for each of its named files.
#[derive(Clone, Debug)]
pub struct ComponentAction {
    /// Its name.
    pub name: String,
    /// The root that its commands run in.
    pub toolchain: StepId,
    /// What is unpacked into `/build/src`.
    pub source: Source,
    /// The patch series.
    pub patches: Vec<PatchText>,
    /// Components whose install trees stand under `/deps`.
    pub needs: Vec<(String, StepId)>,
    /// Crates that cargo finds in place of a registry; `None` for a component that has nothing to do with cargo.
    pub crates: Option<Vec<Crate>>,
    /// Its configuration.
    pub kconfig: Option<KconfigAction>,
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

impl ComponentAction {
    /// Patches, configurations and crates, which come from outside.
    pub fn remote_blobs(&self) -> Vec<Digest> {
        let patches = self.patches.iter().filter_map(|patch| match patch.content {
            PatchContent::Blob(blob) => Some(blob),
            PatchContent::Bytes(_) => None,
        });
        let base = self.kconfig.as_ref().and_then(|kconfig| match kconfig.base {
            ConfigBase::Blob(blob) => Some(blob),
            ConfigBase::Target(_) => None,
        });
        let crates = self.crates.iter().flatten().map(|pinned| pinned.sha256);
        patches.chain(base).chain(crates).collect()
    }
}

/// What a component is built from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An archive.
    Archive {
        /// Its name, for messages.
        name: String,
        /// Its content.
        blob: Digest,
    },
    /// A folder of the project.
    Folder(Arc<Tree>),
}

/// A patch of the series.
#[derive(Clone, Debug)]
pub struct PatchText {
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
    fn digest(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes.as_slice()),
            Self::Blob(digest) => *digest,
        }
    }
}

/// A configuration to make and to check.
#[derive(Clone, Debug)]
pub struct KconfigAction {
    /// Its start.
    pub base: ConfigBase,
    /// The make target that completes it.
    pub resolve: Resolve,
    /// What is laid over the start.
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

/// What the image adds to a component: the kernel's patches and fragments.
#[derive(Default)]
pub(super) struct Additions<'a> {
    pub patches: &'a [crate::recipe::decode::At<Origin>],
    pub fragments: &'a [crate::recipe::decode::At<std::path::PathBuf>],
}

/// | row | why |
/// |---|---|
/// | `toolchain` | the compilers |
/// | `source` | what is built: an archive's sha256, or a folder's tree |
/// | `patch <n>` | the content of each, in order; its name is for messages only |
/// | `need <name>` | what stands at `/deps/<name>` |
/// | `cargo` | that, and how, crates are laid out for cargo |
/// | `crate <name> <version>` | the content of each |
/// | `config base`, `config resolve`, `config make` | how the configuration is made |
/// | `config <n>` | each fragment's settings: comments and blank lines don't count |
/// | `env <name>`, `build`, `install` | the commands |
/// | `file <name>` | which files are outputs |
/// | `epoch` | `SOURCE_DATE_EPOCH` |
pub(super) fn component(
    planner: &mut Planner<'_>,
    component: &Component,
    additions: &Additions<'_>,
    toolchain: StepId,
    needs: Vec<(String, StepId)>,
) -> Result<StepId, PlanError> {
    let epoch = planner.recipe.image.epoch;
    let source = source(planner, component)?;
    let patches = component.patches.iter().chain(additions.patches);
    let patches = patches.map(|patch| patch_text(planner, patch)).collect::<Result<Vec<_>, _>>()?;
    let kconfig = component.kconfig.as_ref().map(|kconfig| kconfig_action(planner, kconfig, additions)).transpose()?;
    let plan = &mut planner.plan;
    let mut key = Key::new("component", 1)
        .row("toolchain", plan.digest(toolchain))
        .row(
            "source",
            match &source {
                Source::Archive { blob, .. } => blob.to_string(),
                Source::Folder(tree) => format!("folder {}", tree_digest(tree)),
            },
        )
        .rows(patches.iter().enumerate().map(|(n, patch)| (format!("patch {n}"), patch.content.digest())))
        .rows(needs.iter().map(|(name, step)| (format!("need {name}"), plan.digest(*step))));
    let crates = component.cargo.as_ref().map(|lock| lock.crates.clone());
    if let Some(crates) = &crates {
        let name = |pinned: &Crate| format!("crate {} {}", pinned.name, pinned.version);
        key = key.row("cargo", 1).rows(crates.iter().map(|pinned| (name(pinned), pinned.sha256)));
    }
    if let Some(kconfig) = &kconfig {
        let base = match &kconfig.base {
            ConfigBase::Target(target) => target.clone(),
            ConfigBase::Blob(digest) => digest.to_string(),
        };
        key = key
            .row("config base", base)
            .row("config resolve", kconfig.resolve.target())
            .row("config make", kconfig.make.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "))
            .rows(
                kconfig.fragments.iter().enumerate().map(|(n, fragment)| (format!("config {n}"), settings(fragment))),
            );
    }
    let key = key
        .rows(component.env.iter().map(|(name, value)| (format!("env {name}"), value)))
        .row("build", &component.build)
        .row("install", &component.install)
        .rows(component.files.iter().map(|(name, path)| (format!("file {name}"), path)))
        .row("epoch", epoch);
    let action = ComponentAction {
        name: component.name.clone(),
        toolchain,
        source,
        patches,
        needs,
        crates,
        kconfig,
        env: component.env.clone(),
        build: component.build.clone(),
        install: component.install.clone(),
        files: component.files.clone(),
        epoch,
    };
    Ok(plan.add(format!("component {}", component.name), key, Action::Component(Box::new(action))))
}

/// A fragment's settings as one canonical text.
fn settings(fragment: &Fragment) -> String {
    fragment.settings.iter().map(|setting| setting.value.line(&setting.symbol) + "\n").collect()
}

fn source(planner: &mut Planner<'_>, component: &Component) -> Result<Source, PlanError> {
    match &component.source.value {
        Origin::Remote(request) => {
            let file = planner.locked_file(request)?;
            Ok(Source::Archive { name: file.name.clone(), blob: file.sha256 })
        }
        Origin::Path { path, exclude } if path.is_dir() => {
            let exclude = exclude.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<Vec<_>, _>>();
            let folder = scan(path, &exclude.map_err(PlanError::Pattern)?).map_err(PlanError::Folder)?;
            planner.plan.files.extend(folder.files);
            Ok(Source::Folder(Arc::new(folder.tree)))
        }
        Origin::Path { path, .. } => {
            let (blob, _) = Digest::of_file(path).map_err(PlanError::read(path))?;
            planner.plan.files.insert(blob, path.clone());
            Ok(Source::Archive { name: path.display().to_string(), blob })
        }
    }
}

fn patch_text(planner: &Planner<'_>, patch: &Origin) -> Result<PatchText, PlanError> {
    match patch {
        Origin::Remote(request) => {
            let file = planner.locked_file(request)?;
            Ok(PatchText { name: file.name.clone(), content: PatchContent::Blob(file.sha256) })
        }
        Origin::Path { path, .. } => {
            let bytes = fs::read(path).map_err(PlanError::read(path))?;
            Ok(PatchText { name: path.display().to_string(), content: PatchContent::Bytes(Arc::new(bytes)) })
        }
    }
}

fn kconfig_action(
    planner: &Planner<'_>,
    kconfig: &Kconfig,
    additions: &Additions<'_>,
) -> Result<KconfigAction, PlanError> {
    let base = match &kconfig.base {
        Base::Target(target) => ConfigBase::Target(target.clone()),
        Base::File(origin) => match &origin.value {
            Origin::Remote(request) => ConfigBase::Blob(planner.locked_file(request)?.sha256),
            Origin::Path { path, .. } => ConfigBase::Blob(planner.store.add_file(path)?.0),
        },
    };
    let mut fragments = Vec::new();
    for path in kconfig.fragments.iter().chain(additions.fragments) {
        let text = fs::read_to_string(&path.value).map_err(PlanError::read(&path.value))?;
        let fragment = Fragment::parse(&path.value.display().to_string(), &text).map_err(PlanError::Fragment)?;
        fragments.push(fragment);
    }
    Ok(KconfigAction { base, resolve: kconfig.resolve, fragments, make: kconfig.make.clone() })
}
