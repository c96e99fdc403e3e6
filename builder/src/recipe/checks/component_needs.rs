use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;

pub const CHECK: Check =
    Check { id: "component-needs", rule: "No component needs itself, directly or through others.", run };

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for component in subject.components.values() {
        let mut below = Vec::new();
        let mut queue: Vec<&str> = component.needs.iter().map(|need| need.value.as_str()).collect();
        while let Some(name) = queue.pop() {
            if name == component.name {
                let message = format!("component `{name}` needs itself");
                let span = component.needs.first().map_or(component.span, |need| need.span);
                sink.borrow_mut().add(CHECK.id, span, message);
                break;
            }
            if !below.contains(&name) {
                below.push(name);
                let needs = subject.components.get(name).map(|component| &component.needs);
                queue.extend(needs.into_iter().flatten().map(|need| need.value.as_str()));
            }
        }
    }
}
