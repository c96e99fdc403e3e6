//! Recipes with everything they refer to, and every check: `=== NAME` starts another file of the project.
#![no_main]

use dbco::recipe::{LoadError, load};
use dbco_fuzz::{RECIPE_FILES, files, project, told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let root = project(&files(text, RECIPE_FILES[0], &RECIPE_FILES), &RECIPE_FILES);
    match within_memory(64, || load(&root.join(RECIPE_FILES[0]), &Default::default())) {
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
});
