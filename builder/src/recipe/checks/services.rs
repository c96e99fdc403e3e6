use std::collections::BTreeSet;

use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;
use crate::recipe::rootfs::{Layout, Rootfs, Service};
use crate::similar::{did_you_mean, nearest};
use crate::tree::TreePath;

pub const CHECK: Check = Check {
    id: "services",
    rule: "Services have unique names, absolute programs, accounts of the recipe, and wait for services of the recipe, not for each other.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        if let Some(first) = rootfs.services.first().filter(|_| rootfs.layout != Layout::Split) {
            let message = format!("services are for layout `split`, and this one is `{}`", rootfs.layout.name());
            let help = match rootfs.layout {
                Layout::App => "an application is started by its /usr/app/run",
                _ => "add the units or scripts of its own init in an overlay",
            };
            sink.borrow_mut().add(CHECK.id, first.name.span, message).help(help);
            continue;
        }
        for (index, service) in rootfs.services.iter().enumerate() {
            check(rootfs, index, service, sink);
        }
        check_circles(&rootfs.services, sink);
    }
}

fn check(rootfs: &Rootfs, index: usize, service: &Service, sink: &FindingSink) {
    let mut findings = sink.borrow_mut();
    let Service { name, command, user, after, env, directory, .. } = service;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !plain(&name.value) {
        let message = format!("`{}` can't be a service's name", &*name.value);
        findings.add(CHECK.id, name.span, message).label("letters, digits, `-`, `_` and `.`");
    }
    if rootfs.services[..index].iter().any(|other| other.name.value == name.value) {
        findings.add(CHECK.id, name.span, format!("duplicate service `{}`", &*name.value));
    }
    let absolute = |path: &str| path.starts_with('/') && TreePath::new(path).is_ok();
    if let Some(program) = command.value.first().filter(|program| !absolute(program)) {
        let message = format!("the program of a service has an absolute path, and `{program}` has not");
        findings.add(CHECK.id, command.span, message);
    }
    if let Some(word) = command.value.iter().find(|word| word.contains(['\0', '\n'])) {
        let message = format!("a word of a command can't contain a line break or a NUL: {word:?}");
        findings.add(CHECK.id, command.span, message);
    }
    if let Some(folder) = directory.as_ref().filter(|folder| !absolute(&folder.value)) {
        findings.add(CHECK.id, folder.span, format!("`{}` is not an absolute path", folder.value));
    }
    let accounts = || rootfs.users.iter().map(|user| user.name.value.as_str());
    if let Some(user) = user.as_ref().filter(|user| !accounts().any(|name| name == user.value)) {
        let message = format!("service `{}` runs as `{}`, which is no account of the recipe", &*name.value, user.value);
        let finding = findings.add(CHECK.id, user.span, message);
        match nearest(&user.value, accounts()) {
            Some(near) => finding.help(did_you_mean(near)),
            None => finding.help("add it to `users`"),
        };
    }
    let names = || rootfs.services.iter().map(|other| &*other.name.value);
    for wanted in after {
        if !names().any(|name| name == wanted.value) {
            let message = format!("there is no service `{}` to start after", wanted.value);
            let finding = findings.add(CHECK.id, wanted.span, message);
            if let Some(near) = nearest(&wanted.value, names()) {
                finding.help(did_you_mean(near));
            }
        }
    }
    for (name, value) in env {
        let valid = name.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            findings.add(CHECK.id, name.span, format!("`{}` can't be the name of a variable", name.value));
        } else if value.contains(['\0', '\n']) {
            findings.add(CHECK.id, name.span, "the value of a variable can't contain a line break or a NUL");
        }
    }
}

/// Services that wait for each other would never start.
fn check_circles(services: &[Service], sink: &FindingSink) {
    let find = |name: &str| services.iter().find(|service| *service.name.value == *name);
    for service in services {
        let (mut seen, mut open) = (BTreeSet::new(), vec![service]);
        while let Some(one) = open.pop() {
            for wanted in &one.after {
                if *wanted.value == *service.name.value {
                    let message = format!("service `{}` would wait for itself", &*service.name.value);
                    let mut findings = sink.borrow_mut();
                    let finding = findings.add(CHECK.id, service.name.span, message);
                    finding.relate(wanted.span, "by this");
                    return;
                }
                if let Some(next) = find(&wanted.value).filter(|_| seen.insert(&wanted.value)) {
                    open.push(next);
                }
            }
        }
    }
}
