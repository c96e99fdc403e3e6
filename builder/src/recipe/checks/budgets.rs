use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;

pub const CHECK: Check = Check { id: "budgets", rule: "A budget is for an output of the recipe that states it.", run };

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let image = subject.image;
    for (kind, budget) in image.budgets.iter().filter(|(kind, _)| !image.gives(*kind)) {
        // A recipe may have fewer outputs than the one that it extends.
        if budget.span.file != image.name.span.file {
            continue;
        }
        let message = format!("`budgets` has `{}`, which is not in the recipe's `outputs`", kind.word());
        sink.borrow_mut().add(CHECK.id, budget.span, message).label("no such output");
    }
}
