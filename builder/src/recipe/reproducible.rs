//! What keeps builds of a recipe from being the same everywhere: settings and variables of its kernel with which two builds
//! differ, and inputs that neither the lock nor the project's repository pins. Findings of `dbco check`.

use std::path::{Path, PathBuf};

use super::component::Component;
use super::decode::At;
use super::image::Kernel;
use super::origin::Origin;
use super::text::Span;
use super::{Recipe, project};
use crate::input::{LIMIT, read_text, read_within};
use crate::kernel::Fragment;
use crate::kernel::fragment::requests;
use crate::kernel::reproducible::{unstable, variables};
use crate::kernel::versions::Version;

/// The longest patch that is searched for a remedy.
const MOST_PATCH: u64 = 16 << 20;

/// What makes builds of the recipe's kernel differ, each with its location, the reason and the remedy. Only what the
/// recipe requests can be found; what follows from defaults is found when the kernel is configured.
pub fn unstable_kernel(recipe: &Recipe) -> Vec<String> {
    let Kernel::Component { component, config, patches } = &recipe.image.kernel else { return Vec::new() };
    let Some(component) = recipe.components.get(&component.value) else { return Vec::new() };
    let Some(kconfig) = &component.kconfig else { return Vec::new() };
    // What follows the numbers is a distribution's: 2.6.32-042stab145.3.
    let numbers = component.version.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    let version = Version::parse(numbers);
    let read = |path: &Path| {
        let text = read_text(path, LIMIT).ok()?;
        let fragment = Fragment::parse(&path.display().to_string(), &text).ok()?;
        Some(version.map_or(fragment.clone(), |version| fragment.at(version)))
    };
    let fragments: Vec<Fragment> =
        kconfig.fragments.iter().chain(config).filter_map(|path| read(&path.value)).collect();
    let requested = requests(&fragments);
    let values = |symbol: &str| requested.get(symbol).map(|request| request.origin.value.clone());
    let remedied = |word: &str| is_remedied(component, patches, word);
    let setting = |found: &&crate::kernel::reproducible::UnstableSetting| {
        let origin = &requested[found.symbol].origin;
        format!(
            "{}:{}: CONFIG_{}={}: builds differ: {}\n  help: {}",
            origin.fragment, origin.line, found.symbol, origin.value, found.why, found.remedy
        )
    };
    let mut findings: Vec<String> = unstable(version, &values, &remedied).iter().map(setting).collect();
    // A component without a script compiles nothing.
    if !component.build.trim().is_empty() {
        let place = recipe.files.locate(component.span);
        let missing = variables(version).iter().filter(|(name, _)| !is_remedied(component, patches, name));
        findings.extend(missing.map(|(name, why)| format!("{place}: {name} is not set\n  help: {why}")));
    }
    findings
}

/// Whether a word is in the scripts, variables, make arguments or patches of the kernel.
fn is_remedied(component: &Component, patches: &[At<Origin>], word: &str) -> bool {
    let make = component.kconfig.iter().flat_map(|kconfig| &kconfig.make);
    let in_patch = |patch: &At<Origin>| match &patch.value {
        Origin::Path { path, .. } => read_within(path, MOST_PATCH)
            .is_ok_and(|bytes| bytes.is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(word))),
        Origin::Remote(_) => false,
    };
    component.build.contains(word)
        || component.env.iter().any(|(name, value)| name == word || value.contains(word))
        || make.into_iter().any(|argument| argument.contains(word))
        || component.patches.iter().chain(patches).any(in_patch)
}

/// Local inputs that are not in the project's repository, each with its location: nothing pins them, and another clone
/// does not have them. All others are pinned: files of the repository by its commits, everything else by the lock, which
/// `--locked` requires. Nothing is found in a project without a repository.
pub fn unpinned(recipe: &Recipe) -> Vec<String> {
    let Ok(project) = recipe.project.canonicalize() else { return Vec::new() };
    let Some(top) = project.ancestors().find(|folder| project::is_repository(folder)) else { return Vec::new() };
    let sources =
        recipe.components.values().flat_map(|component| std::iter::once(&component.source).chain(&component.patches));
    let sources = sources.filter_map(|origin| match &origin.value {
        Origin::Path { path, .. } => Some((path, origin.span)),
        Origin::Remote(_) => None,
    });
    let overlays = recipe.image.contents().flat_map(|contents| &contents.overlays);
    let overlays = overlays.map(|overlay| (&overlay.path.value, overlay.path.span));
    // The lock pins the program's library.
    let is_pinned = |path: &Path| recipe.library.as_ref().is_some_and(|library| library.name_of(path).is_some());
    let outside = |(path, span): (&PathBuf, Span)| {
        let found = path.canonicalize().ok().filter(|_| !is_pinned(path))?;
        let text = || {
            let place = recipe.files.locate(span);
            format!(
                "{place}: {} is outside of the repository {}, so nothing pins it\n  help: move it into the repository, or use a \
                 source that is locked (`url`, `git`)",
                found.display(),
                top.display()
            )
        };
        (!found.starts_with(top)).then(text)
    };
    library_outside(recipe, top).into_iter().chain(sources.chain(overlays).filter_map(outside)).collect()
}

/// The library, if it is a folder outside of the repository.
fn library_outside(recipe: &Recipe, top: &Path) -> Option<String> {
    let library = recipe.library.as_ref().filter(|library| library.digest().is_none())?;
    let found = library.folder().canonicalize().ok().filter(|found| !found.starts_with(top))?;
    Some(format!(
        "{}: the library {} is outside of the repository {}, so nothing pins it\n  help: `library: embedded`, or move it into the \
         repository",
        recipe.project.join(project::FILE).display(),
        found.display(),
        top.display()
    ))
}
