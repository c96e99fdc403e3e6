//! What `dbco show` writes of a recipe, with all that is wrong in it, is YAML. Inputs are those of the target `recipe`.
#![no_main]

use dbco::recipe::effective;
use dbco::show::{Style, shown, write};
use dbco::yaml::node::parse;
use dbco::yaml::text::{Findings, RecipeFiles};
use dbco_fuzz::{RECIPE_FILES, files, project, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let root = project(&files(text, RECIPE_FILES[0], &RECIPE_FILES), &RECIPE_FILES);
    let Ok(merged) = within_memory(64, || effective(&root.join(RECIPE_FILES[0]), &Default::default())) else { return };
    for style in [Style::Values, Style::Origins] {
        let text = write(&shown(&merged), style);
        let (mut files, mut findings) = (RecipeFiles::default(), Findings::default());
        let file = files.add("shown.yaml".as_ref(), text.clone());
        assert!(parse(&files, file, &mut findings).is_some(), "{text}");
    }
});
