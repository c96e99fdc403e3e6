use super::Lint;
use crate::recipe::decode::FindingSink;
use crate::recipe::load::Recipe;

pub const LINT: Lint = Lint {
    id: "silent-tests",
    rule: "A boot test expects something: one with an empty `expect` and no commands passes on any kernel that starts.",
    run,
};

fn run(recipe: &Recipe, sink: &FindingSink) {
    for test in &recipe.image.tests {
        let peers = test.peer.iter().map(|peer| &peer.boot);
        for boot in test.boots.iter().chain(peers) {
            if boot.expect.trim().is_empty() && boot.run.is_empty() && boot.login.is_none() && boot.cut.is_none() {
                let message = format!("test `{}` expects nothing of this boot", test.name.value);
                let help = "expect: the last line that the system prints when it has started, such as `login:`";
                sink.borrow_mut().add(LINT.id, boot.entry.span, message).help(help);
            }
        }
    }
}
