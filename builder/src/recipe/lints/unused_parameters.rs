use super::Lint;
use crate::recipe::decode::FindingSink;
use crate::recipe::load::Recipe;

pub const LINT: Lint = Lint {
    id: "unused-parameters",
    rule: "A parameter that a recipe declares itself is used: `--set` of another one would change nothing.",
    run,
};

fn run(recipe: &Recipe, sink: &FindingSink) {
    for (name, parameter) in &recipe.params {
        let own = parameter.declared.filter(|span| recipe.files.path(span.file) == recipe.path);
        // What a recipe takes over from the one that it extends may have been used by what it replaced.
        if let Some(span) = own.filter(|_| !parameter.is_used) {
            let message = format!("nothing uses the parameter `{name}`");
            sink.borrow_mut()
                .add(LINT.id, span, message)
                .help(format!("write ${{{name}}} where its value belongs, or remove it"));
        }
    }
}
