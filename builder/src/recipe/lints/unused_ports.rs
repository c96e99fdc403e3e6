use super::Lint;
use crate::boot::test::TestStep;
use crate::recipe::decode::FindingSink;
use crate::recipe::load::Recipe;

pub const LINT: Lint = Lint {
    id: "unused-ports",
    rule: "A boot test connects to each port that it forwards, once at least: nothing else does while it runs.",
    run,
};

fn run(recipe: &Recipe, sink: &FindingSink) {
    for test in &recipe.image.tests {
        let used = |wanted: u16| {
            let steps = test.boots.iter().flat_map(|boot| &boot.run);
            steps.into_iter().any(|action| matches!(action.step, TestStep::Tcp { port, .. } if port == wanted))
        };
        for (index, port) in test.forward.iter().enumerate() {
            let mut findings = sink.borrow_mut();
            if let Some(first) = test.forward[..index].iter().find(|other| other.value == port.value) {
                let message = format!("test `{}` forwards port {} twice", test.name.value, port.value);
                findings.add(LINT.id, port.span, message).relate(first.span, "the first time");
            } else if !used(port.value) {
                let message = format!(
                    "test `{}` forwards port {}, and none of its steps connects to it",
                    test.name.value, port.value
                );
                let help = format!("a step: `- {{tcp: {}, expect: …}}`; or remove the port", port.value);
                findings.add(LINT.id, port.span, message).help(help);
            }
        }
    }
}
