use super::Lint;
use crate::recipe::decode::FindingSink;
use crate::recipe::image::Kernel;
use crate::recipe::load::Recipe;

pub const LINT: Lint = Lint {
    id: "repeated-fragments",
    rule: "A fragment is named once for a component: its second place overrides those between.",
    run,
};

fn run(recipe: &Recipe, sink: &FindingSink) {
    for component in recipe.components.values() {
        let Some(kconfig) = &component.kconfig else { continue };
        let added = match &recipe.image.kernel {
            Kernel::Component { component: kernel, config, .. } if kernel.value == component.name => config.as_slice(),
            _ => &[],
        };
        let all: Vec<_> = kconfig.fragments.iter().chain(added).collect();
        for (index, fragment) in all.iter().enumerate() {
            let Some(first) = all[..index].iter().find(|earlier| earlier.value == fragment.value) else { continue };
            let message = format!("the fragment {} is named twice", fragment.value.display());
            let mut findings = sink.borrow_mut();
            findings.add(LINT.id, fragment.span, message).relate(first.span, "the first time").help("keep one of them");
        }
    }
}
