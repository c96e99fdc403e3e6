//! The requests of all recipes of a project: everything else can be removed from its lock.

use std::collections::BTreeSet;
use std::path::Path;

use super::notice::Notice;
use super::{Error, Reporter};
use crate::recipe::Settings;
use crate::recipe::{Recipe, recipes_of_project};
use crate::source::Request;

/// The maximum number of combinations of a recipe's parameters.
const MOST_COMBINATIONS: usize = 256;

/// The requests of all recipes of a project, for `--prune`: `named` as it was loaded, and each recipe with its defaults
/// with each of its profiles, and with all choices of its parameters. A recipe that can't be read is an error, since its requests are unknown.
pub fn requests_of_project(reporter: &dyn Reporter, named: &Recipe) -> Result<BTreeSet<Request>, Error> {
    let paths = recipes_of_project(&named.project).map_err(|error| {
        let folder = named.project.display();
        Error::Request(format!("--prune: can't find all recipes in {folder}, so nothing was removed: {error}"))
    })?;
    let mut requests: BTreeSet<Request> = named.requests().into_iter().collect();
    for path in &paths {
        let recipe = named.load_another(path, &Settings::new()).map_err(|error| {
            reporter.notice(&Notice::NothingDropped(path));
            Error::from(error)
        })?;
        let default = recipe.requests();
        for settings in combinations(&recipe, path)? {
            // A choice with which the recipe can't be built has no requests.
            requests.extend(named.load_another(path, &settings).ok().into_iter().flat_map(|recipe| recipe.requests()));
        }
        let open = free_parameters(&recipe).filter(|name| changes_sources(&recipe, path, name, &default));
        let open: Vec<&str> = open.map(String::as_str).collect();
        if !open.is_empty() {
            reporter.notice(&Notice::OpenParameters(path, &open));
        }
        requests.extend(default);
    }
    Ok(requests)
}

/// Each combination of the choices of a recipe's parameters, without a profile and with each of them.
fn combinations(recipe: &Recipe, path: &Path) -> Result<Vec<Settings>, Error> {
    let profiles = recipe.profiles.iter().map(|name| Settings::of_profile(name));
    let mut all: Vec<Settings> = std::iter::once(Settings::new()).chain(profiles).collect();
    for (name, parameter) in recipe.params.iter().filter(|(_, parameter)| !parameter.choices.is_empty()) {
        if all.len() * parameter.choices.len() > MOST_COMBINATIONS {
            return Err(Error::Request(format!(
                "--prune: the parameters and profiles of {} have more than {MOST_COMBINATIONS} combinations, so its sources are not all \
                 known; nothing was removed",
                path.display()
            )));
        }
        let with = |settings: &Settings| {
            let settings = settings.clone();
            parameter.choices.iter().map(move |choice| {
                let mut settings = settings.clone();
                settings.set(name, choice);
                settings
            })
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all)
}

fn free_parameters(recipe: &Recipe) -> impl Iterator<Item = &String> {
    recipe.params.iter().filter(|(_, parameter)| parameter.choices.is_empty()).map(|(name, _)| name)
}

/// Whether another value of a parameter leads to other requests; also if the recipe accepts none of the other values
/// tried.
fn changes_sources(recipe: &Recipe, path: &Path, name: &str, default: &[Request]) -> bool {
    // A word, and numbers, at least one of which is not the default.
    let with =
        |value: &str| recipe.load_another(path, &Settings::from_iter([(name.to_owned(), value.to_owned())])).ok();
    let mut others = ["dbco-0", "7", "8"].into_iter().filter_map(with).peekable();
    others.peek().is_none() || others.any(|recipe| recipe.requests() != default)
}
