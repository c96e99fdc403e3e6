use super::{Check, CheckInput};
use crate::recipe::Origin;
use crate::recipe::decode::{At, FindingSink};
use crate::recipe::image::Kernel;
use crate::recipe::rootfs::Rootfs;
use crate::tree::Pattern;

pub const CHECK: Check = Check {
    id: "patterns",
    rule: "Patterns of paths are valid and begin with `/`; lines of `audit.allow` are `<file>: <text>`.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for component in subject.components.values() {
        if let Origin::Path { exclude, .. } = &component.source.value {
            exclude.iter().for_each(|text| check(text, text, "/", sink));
        }
    }
    if let Kernel::Package { absent_firmware, .. } = &subject.image.kernel {
        for pattern in absent_firmware {
            if let Err(error) = glob::Pattern::new(pattern) {
                let message = format!("`{}` is not a valid pattern: {}", pattern.value, error.msg);
                sink.borrow_mut().add(CHECK.id, pattern.span, message);
            }
        }
    }
    for rootfs in subject.contents() {
        check_rootfs(rootfs, sink);
    }
}

fn check_rootfs(rootfs: &Rootfs, sink: &FindingSink) {
    let attributes = rootfs.attributes.iter().map(|stated| &stated.path);
    for text in rootfs.exclude.iter().chain(&rootfs.replace).chain(attributes) {
        check(text, text, "/", sink);
    }
    if let Some(first) = rootfs.exclude.first().filter(|_| rootfs.packages.is_none()) {
        let message = "`exclude` applies to packages, and there are no `packages`";
        sink.borrow_mut().add(CHECK.id, first.span, message);
    }
    for line in &rootfs.audit_allow {
        match line.split_once(": ") {
            Some((file, _)) => check(line, file.trim(), "/*", sink),
            None => {
                let message = format!("`{}` does not have the form `<file>: <text>`", line.value);
                sink.borrow_mut().add(CHECK.id, line.span, message).help("\"/system/bin/tool: /etc/*\"");
            }
        }
    }
}

fn check(stated: &At<String>, pattern: &str, begin: &str, sink: &FindingSink) {
    let mut findings = sink.borrow_mut();
    if let Err(error) = glob::Pattern::new(pattern) {
        findings.add(CHECK.id, stated.span, format!("`{pattern}` is not a valid pattern: {}", error.msg));
    } else if !pattern.starts_with(|c| begin.contains(c)) {
        let message = format!("`{pattern}` does not begin with `/`, so it matches no path");
        findings.add(CHECK.id, stated.span, message).suggest(format_args!("/{pattern}"));
    } else if begin == "/"
        && let Err(why) = Pattern::new(pattern)
    {
        findings.add(CHECK.id, stated.span, why).label("valid between two `/`: brackets can't contain one");
    }
}
