//! Planning the build of a component.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::packages;
use super::planner::{PlanError, Planner};
use crate::archive::Budget;
use crate::digest::Digest;
use crate::input::{self, LIMIT, read_text};
use crate::kernel::{Fragment, patch};
use crate::recipe::decode::At;
use crate::recipe::origin::Unpacking;
use crate::recipe::{BaseConfig, Component, KconfigOptions, Origin};
use crate::rootfs::{Modes, Pattern, scan};
use crate::similar;
use crate::source::SourceContent;
use crate::step::{ComponentStep, ConfigBase, Configuration, Id, Patch, PatchContent, Source, ToolchainStep};

/// What the image adds to a component: the kernel's patches and fragments.
#[derive(Default)]
pub(super) struct Additions<'a> {
    pub patches: &'a [At<Origin>],
    pub fragments: &'a [At<PathBuf>],
}

impl Planner<'_> {
    /// A component and, before it, its dependencies. The checks guarantee that there is no cycle.
    pub fn component(&mut self, name: &str, additions: &Additions<'_>) -> Result<Id<ComponentStep>, PlanError> {
        let recipe = self.recipe;
        let described = &recipe.components[name];
        let own = described.toolchain.as_ref().map(|name| &recipe.toolchains[&name.value]);
        let toolchain = self.toolchain(own.unwrap_or(&recipe.build))?;
        let mut needs = Vec::new();
        for need in &described.needs {
            needs.push((need.value.clone(), self.component(&need.value, &Additions::default())?));
        }
        let step = component(self, described, additions, toolchain, needs)?;
        self.limited(step, &described.limits);
        Ok(step)
    }
}

/// Plans the build of a component. `additions` are what the image adds to it.
fn component(
    planner: &mut Planner<'_>,
    component: &Component,
    additions: &Additions<'_>,
    toolchain: Id<ToolchainStep>,
    needs: Vec<(String, Id<ComponentStep>)>,
) -> Result<Id<ComponentStep>, PlanError> {
    let epoch = planner.recipe.image.epoch;
    let source = source(planner, component)?;
    let budget = component.limits.over(planner.plan.graph.budget);
    let patches = component.patches.iter().chain(additions.patches);
    let patches = patches.map(|patch| patch_text(planner, patch, &budget)).collect::<Result<Vec<_>, _>>()?;
    let kconfig = component.kconfig.as_ref().map(|kconfig| configuration(planner, kconfig, additions)).transpose()?;
    let crates = component.cargo.as_ref().map(|lock| lock.crates.clone());
    let step = ComponentStep {
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
    Ok(planner.plan.graph.add(step))
}

fn source(planner: &mut Planner<'_>, component: &Component) -> Result<Source, PlanError> {
    let Unpacking { strip, inside } = &component.unpacking;
    let strip = strip.as_ref().map(|strip| strip.value);
    match &component.source.value {
        Origin::Remote(request) if matches!(request.kind().content(), SourceContent::Packages(_)) => {
            let packages = packages::packages(planner.entry(request)?);
            Ok(Source::Deb { packages, inside: inside.clone(), strip })
        }
        Origin::Remote(request) => {
            let file = planner.locked_file(request)?;
            // A commit's tree has no folder around it.
            let strip = strip.or(matches!(request.kind().content(), SourceContent::Tree).then_some(0));
            Ok(Source::Archive { name: file.name.clone(), blob: file.sha256, strip })
        }
        Origin::Path { path, exclude } if path.is_dir() => {
            let misspelt = exclude.iter().filter_map(|pattern| Some((pattern, misspelt(path, pattern)?)));
            for (pattern, near) in misspelt {
                let place = planner.recipe.files.locate(pattern.span);
                let text =
                    format!("{place}: `exclude` has {}, which does not exist; did you mean {near}?", pattern.value);
                // A component may be planned for several trees.
                if !planner.plan.warnings.contains(&text) {
                    planner.plan.warnings.push(text);
                }
            }
            let exclude = exclude.iter().map(|pattern| Pattern::new(pattern)).collect::<Result<Vec<_>, _>>();
            let folder = scan(path, &exclude.map_err(PlanError::Pattern)?, Modes::Plain).map_err(PlanError::Folder)?;
            planner.plan.graph.files.extend(folder.files);
            Ok(Source::Folder(Arc::new(folder.tree)))
        }
        Origin::Path { path, .. } => {
            let (blob, _) = Digest::of_file(path).map_err(PlanError::read(path))?;
            planner.plan.graph.files.insert(blob, path.clone());
            Ok(Source::Archive { name: path.display().to_string(), blob, strip })
        }
    }
}

/// The name that a pattern of `exclude` probably meant, if it matches nothing but has a neighbour with a similar name.
/// Without such a neighbour it is not a mistake: a fresh clone lacks what builds leave behind.
fn misspelt(source: &Path, pattern: &str) -> Option<String> {
    if pattern.contains(['*', '?', '[']) {
        return None;
    }
    let mut at = PathBuf::new();
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if source.join(&at).join(part).symlink_metadata().is_ok() {
            at.push(part);
            continue;
        }
        let names: Vec<String> = fs::read_dir(source.join(&at))
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let near = similar::nearest(part, names.iter().map(String::as_str))?;
        return Some(format!("/{}", at.join(near).display()));
    }
    None
}

fn patch_text(planner: &Planner<'_>, patch: &Origin, budget: &Budget) -> Result<Patch, PlanError> {
    match patch {
        Origin::Remote(request) => {
            let file = planner.locked_file(request)?;
            Ok(Patch { name: file.name.clone(), content: PatchContent::Blob(file.sha256) })
        }
        Origin::Path { path, .. } => {
            let name = path.display().to_string();
            let bytes = input::read_within(path, budget.patch_size).map_err(PlanError::read(path))?;
            let too_long = || PlanError::read(path)(io::Error::other(patch::too_long(&name, budget)));
            let bytes = bytes.ok_or_else(too_long)?;
            Ok(Patch { name, content: PatchContent::Bytes(Arc::new(bytes)) })
        }
    }
}

fn configuration(
    planner: &mut Planner<'_>,
    kconfig: &KconfigOptions,
    additions: &Additions<'_>,
) -> Result<Configuration, PlanError> {
    let base = match &kconfig.base {
        BaseConfig::Target(target) => ConfigBase::Target(target.clone()),
        BaseConfig::File(origin) => match &origin.value {
            Origin::Remote(request) => ConfigBase::Blob(planner.locked_file(request)?.sha256),
            Origin::Path { path, .. } => {
                let (blob, _) = Digest::of_file(path).map_err(PlanError::read(path))?;
                planner.plan.graph.files.insert(blob, path.clone());
                ConfigBase::Blob(blob)
            }
        },
    };
    let mut fragments = Vec::new();
    for path in kconfig.fragments.iter().chain(additions.fragments) {
        let text = read_text(&path.value, LIMIT).map_err(PlanError::read(&path.value))?;
        let fragment = Fragment::parse(&path.value.display().to_string(), &text).map_err(PlanError::Fragment)?;
        fragments.push(fragment);
    }
    let platform = planner.recipe.image.platform;
    Ok(Configuration { platform, base, resolve: kconfig.resolve, fragments, make: kconfig.make.clone() })
}
