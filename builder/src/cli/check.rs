//! `dbco check`.

use anyhow::anyhow;

use super::session::Session;
use super::{Outcome, RecipeArgs, usage};
use crate::kernel::Fragment;
use crate::lock::Lock;
use crate::recipe::image::Kernel;

pub fn run(session: &Session<'_>, args: &RecipeArgs, locked: bool) -> Outcome {
    let recipe = session.recipe(args)?;
    let own = recipe.components.values().filter_map(|component| component.kconfig.as_ref());
    let mut fragments: Vec<_> = own.flat_map(|kconfig| &kconfig.fragments).map(|path| path.value.clone()).collect();
    if let Kernel::Component { config, .. } = &recipe.image.kernel {
        fragments.extend(config.iter().map(|path| path.value.clone()));
    }
    let mut errors = Vec::new();
    for path in fragments {
        let text = std::fs::read_to_string(&path)?;
        if let Err(found) = Fragment::parse(&path.display().to_string(), &text) {
            errors.extend(found.iter().map(ToString::to_string));
        }
    }
    if !errors.is_empty() {
        return Err(usage(anyhow!(errors.join("\n"))));
    }
    let path = recipe.lock_path();
    let stale = match Lock::load(&path) {
        Ok(lock) => lock.check(&recipe.requests()).iter().map(|stale| format!("\n  {stale}")).collect(),
        Err(error) if locked => return Err(usage(error)),
        Err(error) => format!("\n  {error}"),
    };
    if !stale.is_empty() && locked {
        let what = format!("{} does not fit the recipe:{stale}", path.display());
        return Err(usage(anyhow!("{what}\nrun `dbco lock` to bring it up to date")));
    }
    let note = if stale.is_empty() { String::new() } else { format!("; its lock does not fit:{stale}") };
    let image = &recipe.image;
    let (entries, tests) = (image.boot.entries.len(), image.tests.len());
    let summary = format!(
        "{}: {} components, {entries} boot entries, {tests} tests{note}",
        image.name.value,
        recipe.components.len()
    );
    session.face.note(&summary);
    Ok(())
}
