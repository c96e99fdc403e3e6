use super::{Check, Subject};
use crate::recipe::Origin;
use crate::recipe::decode::{At, Sink};

pub const CHECK: Check = Check {
    id: "patterns",
    rule: "Patterns of paths begin with `/` and are patterns; lines of `audit.allow` are `<file>: <text>`.",
    run,
};

fn run(subject: &Subject<'_>, sink: &Sink) {
    for component in subject.components.values() {
        if let Origin::Path { exclude, .. } = &component.source.value {
            exclude.iter().for_each(|text| check(text, text, "/", sink));
        }
    }
    let rootfs = &subject.image.rootfs;
    for text in rootfs.exclude.iter().chain(&rootfs.replace) {
        check(text, text, "/", sink);
    }
    for line in &rootfs.audit_allow {
        match line.split_once(": ") {
            Some((file, _)) => check(line, file.trim(), "/*", sink),
            None => {
                let message = format!("`{}` does not say which text is allowed in which file", line.value);
                sink.borrow_mut().add(CHECK.id, line.span, message).help("\"/system/bin/tool: /etc/*\"");
            }
        }
    }
}

fn check(stated: &At<String>, pattern: &str, begin: &str, sink: &Sink) {
    let mut findings = sink.borrow_mut();
    if let Err(error) = glob::Pattern::new(pattern) {
        findings.add(CHECK.id, stated.span, format!("`{pattern}` is no pattern: {}", error.msg));
    } else if !pattern.starts_with(|c| begin.contains(c)) {
        let message = format!("`{pattern}` does not begin with `/`, so it fits no path");
        findings.add(CHECK.id, stated.span, message).label(format!("did you mean `/{pattern}`?"));
    }
}
