//! Recipes with everything they refer to, and every check: `=== NAME` starts another file of the project.
#![no_main]

use dbco::recipe::{LoadError, effective, load};
use dbco::show::{Style, shown, write};
use dbco::yaml::node::parse;
use dbco::yaml::text::{Findings, RecipeFiles};
use dbco_fuzz::{files, project, told, within_memory};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 8] = [
    "recipe.yaml",
    "base.yaml",
    "components/a.yaml",
    "components/b.yaml",
    "toolchains/t.yaml",
    "kernel-config/k.config",
    "patches/p.patch",
    "Cargo.lock",
];

fuzz_target!(|text: &str| {
    let root = project(&files(text, NAMES[0], &NAMES), &NAMES);
    match within_memory(64, || load(&root.join(NAMES[0]), &Default::default())) {
        Ok(recipe) => {
            recipe.requests().iter().for_each(|request| drop(told(request)));
            recipe.cargo_locks();
        }
        Err(LoadError::Bad(bad)) => {
            assert!(!bad.findings.is_empty());
            for finding in &bad.findings {
                let place = bad.files.locate(finding.span);
                let mut numbers = place.rsplitn(3, ':').map(|part| part.parse::<usize>());
                assert!(matches!((numbers.next(), numbers.next()), (Some(Ok(1..)), Some(Ok(1..)))), "{place}");
            }
            bad.render(false);
            told(&bad);
        }
        Err(error) => drop(told(&error)),
    }
    // What is shown of it is YAML.
    if let Ok(merged) = within_memory(64, || effective(&root.join(NAMES[0]), &Default::default())) {
        for style in [Style::Values, Style::Origins] {
            let text = write(&shown(&merged), style);
            let (mut files, mut findings) = (RecipeFiles::default(), Findings::default());
            let file = files.add("shown.yaml".as_ref(), text.clone());
            assert!(parse(&files, file, &mut findings).is_some(), "{text}");
        }
    }
});
