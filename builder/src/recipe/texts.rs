//! Fragments and patches of the project: their errors are reported together with those of the recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::component::Component;
use super::decode::{At, FindingSink};
use super::image::{Image, Kernel};
use super::origin::Origin;
use super::text::{RecipeFiles, Span};
use crate::archive::Budget;
use crate::input::{LIMIT, read_text, read_within};
use crate::kernel::{Fragment, patch};

/// Reads every fragment and patch of the components and the image.
pub(super) fn check(
    image: Option<&Image>,
    components: &BTreeMap<String, Component>,
    files: &mut RecipeFiles,
    sink: &FindingSink,
) {
    let own = components.values().filter_map(|component| component.kconfig.as_ref());
    let mut fragments: Vec<&At<PathBuf>> = own.flat_map(|kconfig| &kconfig.fragments).collect();
    let base = image.map_or_else(Budget::default, |image| image.limits.over(Budget::default()));
    let mut patches: Vec<(&At<Origin>, Budget)> = Vec::new();
    for component in components.values() {
        let budget = component.limits.over(base);
        patches.extend(component.patches.iter().map(|patch| (patch, budget)));
    }
    if let Some(Kernel::Component { component, config, patches: more }) = image.map(|image| &image.kernel) {
        fragments.extend(config);
        let budget = components.get(&component.value).map_or(base, |component| component.limits.over(base));
        patches.extend(more.iter().map(|patch| (patch, budget)));
    }
    let mut seen = BTreeSet::new();
    for fragment in fragments.into_iter().filter(|fragment| seen.insert(&fragment.value)) {
        check_fragment(fragment, files, sink);
    }
    for (patch, budget) in patches {
        if let Origin::Path { path, .. } = &patch.value
            && seen.insert(path)
        {
            check_patch(path, &budget, patch.span, sink);
        }
    }
}

fn check_fragment(path: &At<PathBuf>, files: &mut RecipeFiles, sink: &FindingSink) {
    let text = match read_text(&path.value, LIMIT) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("can't read the fragment {}: {error}", path.value.display());
            sink.borrow_mut().add("missing-file", path.span, message);
            return;
        }
    };
    let Err(errors) = Fragment::parse(&path.value.display().to_string(), &text) else { return };
    let file = files.add(&path.value, text.clone());
    for error in errors {
        let start: usize = text.split_inclusive('\n').take(error.line - 1).map(str::len).sum();
        let end = start + text[start..].lines().next().unwrap_or_default().len();
        sink.borrow_mut().add("fragment", Span { file, start, end }, error.what);
    }
}

/// What GNU patch would apply only partly, or not at all.
fn check_patch(path: &std::path::Path, budget: &Budget, span: Span, sink: &FindingSink) {
    let name = path.display().to_string();
    let found = match read_within(path, budget.patch_size) {
        Err(error) => {
            let message = format!("can't read the patch {name}: {error}");
            sink.borrow_mut().add("missing-file", span, message);
            return;
        }
        // An empty patch is not an error of the recipe.
        Ok(Some(bytes)) if bytes.is_empty() => return,
        Ok(Some(bytes)) => patch::plain(&name, bytes, budget).and_then(|plain| patch::inspect(&name, &plain, budget)),
        Ok(None) => Err(patch::too_long(&name, budget)),
    };
    if let Err(error) = found {
        sink.borrow_mut().add("patch", span, error.to_string());
    }
}
