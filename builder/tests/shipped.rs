//! What is shipped with dbco is consistent: recipes, locks, checks and the README's examples.

mod project;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dbco::lock::Lock;
use dbco::recipe::Settings;
use dbco::recipe::checks::CHECKS;
use dbco::recipe::image::Kernel;
use dbco::recipe::lints::LINTS;
use dbco::recipe::{lint, load, recipes_of_project};
use project::{Project, repository};

/// The image recipes under `recipes/`.
fn recipes() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("recipes")).unwrap().map(|entry| entry.unwrap().path());
    let mut recipes: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    recipes.sort();
    assert!(!recipes.is_empty());
    recipes
}

#[test]
fn every_shipped_recipe_is_accepted_and_its_lock_fits() {
    let project = Project::new();
    for recipe in recipes() {
        let locked: &[&str] = if is_locked(&recipe) { &["--locked"] } else { &[] };
        let arguments = [&["check", recipe.to_str().unwrap()], locked].concat();
        let ran = project.dbco(&arguments).ends(0);
        assert_eq!(ran.err.contains("does not match"), locked.is_empty(), "{}", ran.err);
    }
}

/// The recipes whose sources are not in the lock: suites that remove old versions within weeks, servers that few can
/// reach.
const NOT_LOCKED: [&str; 8] =
    ["alpine", "criu", "criu-cuts", "criu-redis", "dbcolinux-6.12", "debian-kernel", "erofs", "openvz"];

fn is_locked(recipe: &Path) -> bool {
    !NOT_LOCKED.iter().any(|name| recipe.file_stem().is_some_and(|stem| stem == *name))
}

/// It has no entry without a recipe, and none of a suite that changes.
#[test]
fn the_shipped_lock_has_what_is_locked_and_no_more() {
    let path = repository().join("recipes/dbco.lock");
    let lock = Lock::load(&path).unwrap();
    let locked: Vec<PathBuf> = recipes().into_iter().filter(|recipe| is_locked(recipe)).collect();
    assert_eq!(locked.len() + NOT_LOCKED.len(), recipes().len(), "a recipe of NOT_LOCKED is not there");
    let asked: BTreeSet<_> =
        locked.iter().flat_map(|recipe| load(recipe, &Settings::new()).unwrap().requests()).collect();
    let there: BTreeSet<_> = lock.entries().map(|entry| entry.request.clone()).collect();
    assert_eq!(there, asked);
    let others = fs::read_dir(repository().join("recipes")).unwrap().map(|entry| entry.unwrap().path());
    let locks: Vec<_> = others.filter(|path| path.extension().is_some_and(|end| end == "lock")).collect();
    assert_eq!(locks, [path]);
}

/// `dbco lock` would not change it: it is written as this dbco writes it.
#[test]
fn the_shipped_lock_is_as_it_is_written() {
    let lock = repository().join("recipes/dbco.lock");
    let text = fs::read_to_string(&lock).unwrap();
    assert!(Lock::parse(&text, &lock).unwrap().to_text() == text, "{} is not as written", lock.display());
}

/// Every component and toolchain is read: a mistake in an unused one would go unnoticed.
#[test]
fn every_shipped_component_and_toolchain_is_used_by_a_shipped_recipe() {
    let mut used = BTreeSet::new();
    for recipe in recipes() {
        let recipe = load(&recipe, &Settings::new()).unwrap();
        used.extend(recipe.components.keys().map(|name| format!("components/{name}.yaml")));
        let own = recipe.toolchains.into_values();
        let toolchains = [recipe.build, recipe.packer, recipe.boot].into_iter().chain(own);
        used.extend(toolchains.map(|chain| format!("toolchains/{}.yaml", chain.name)));
    }
    for folder in ["components", "toolchains"] {
        for entry in fs::read_dir(repository().join("recipes").join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(used.contains(&name), "{name} is used by no recipe");
        }
    }
}

/// It adds a patch to them, and must not replace them.
#[test]
fn the_debug_kernel_has_all_of_the_shipped_ones_patches() {
    let patches = |name: &str| {
        let recipe = load(&repository().join("recipes").join(name), &Settings::new()).unwrap();
        let Kernel::Component { patches, .. } = recipe.image.kernel else { panic!("{name} builds no kernel") };
        patches.into_iter().map(|patch| patch.value).collect::<Vec<_>>()
    };
    let (shipped, debug) = (patches("dbcolinux.yaml"), patches("debug.yaml"));
    assert!(!shipped.is_empty() && debug.starts_with(&shipped), "{debug:?} does not begin with {shipped:?}");
}

#[test]
fn every_check_has_an_id_of_its_own_a_rule_and_a_file() {
    let mut ids = BTreeSet::new();
    for check in CHECKS {
        assert!(ids.insert(check.id), "two checks have the id `{}`", check.id);
        let word = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(!check.id.is_empty() && check.id.chars().all(word), "`{}` is no id", check.id);
        assert!(check.rule.ends_with('.') && check.rule.len() > 20, "`{}` says: {}", check.id, check.rule);
    }
    let folder = repository().join("builder/src/recipe/checks");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.filter(|name| name != "mod.rs").collect();
    let expected: BTreeSet<String> = ids.iter().map(|id| format!("{}.rs", id.replace('-', "_"))).collect();
    assert_eq!(files, expected, "each check in a file of its name, each file in CHECKS");
}

#[test]
fn every_lint_has_an_id_of_its_own_a_rule_a_file_and_documentation_and_no_shipped_recipe_breaks_one() {
    let ids: BTreeSet<&str> = LINTS.iter().map(|lint| lint.id).collect();
    assert_eq!(ids.len(), LINTS.len());
    let names = fs::read_dir(repository().join("builder/src/recipe/lints")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.filter(|name| name != "mod.rs").collect();
    assert_eq!(files, ids.iter().map(|id| format!("{}.rs", id.replace('-', "_"))).collect());
    let documented = fs::read_to_string(repository().join("docs/recipes.md")).unwrap();
    for lint in LINTS {
        assert!(documented.contains(&format!("| `{}` |", lint.id)) && lint.rule.ends_with('.'), "{}", lint.id);
    }
    for path in recipes_of_project(&repository().join("recipes")).unwrap() {
        let recipe = load(&path, &Settings::new()).unwrap();
        assert_eq!(lint(&recipe), [], "{}", path.display());
    }
}

/// The YAML blocks of the README and of two pages that are image recipes, as a user would copy them: beside the shipped recipes.
#[test]
fn the_recipes_in_the_documentation_are_accepted() {
    let mut recipes = Vec::new();
    for page in ["README.md", "docs/services.md", "docs/system.md"] {
        let path = repository().join(page);
        if !path.exists() {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        let before = recipes.len();
        recipes.extend(blocks.filter(|block| block.starts_with("recipe:")));
        assert!(recipes.len() > before, "{page} has no ```yaml block that begins with `recipe:`");
    }
    // A copy of what is shipped, so that these recipes find what they refer to, with the files that they add.
    let project = Project::new();
    let copy = format!("cp -R '{0}/recipes' '{0}/kernel-config' .", repository().display());
    project.unshared(&copy).ends(0);
    for (number, recipe) in recipes.iter().enumerate() {
        let name = format!("recipes/documented-{number}.yaml");
        project.write(&name, recipe);
        let overlays = |line: &str| Some(line.trim().strip_prefix("overlays: {add: [")?.split_once("]}")?.0.to_owned());
        for overlay in recipe.lines().filter_map(overlays) {
            for folder in overlay.split(", ") {
                fs::create_dir_all(project.path("recipes").join(folder)).unwrap();
            }
        }
        project.dbco(&["check", &name]).ends(0);
    }
}

/// A pipeline's variable without a value is unset.
#[test]
fn an_empty_variable_names_no_mirror() {
    let project = Project::new();
    let lock = |value: &str| project.dbco_with(&[("DBCO_MIRROR", value)], &["lock", "small.yaml"]);
    lock("").ends(0);
    lock("nonsense").ends(2).says(&["`nonsense` is not the URL of a mirror"]);
    project.dbco(&["lock", "small.yaml", "--mirror", ""]).ends(2).says(&["is not the URL of a mirror"]);
}
