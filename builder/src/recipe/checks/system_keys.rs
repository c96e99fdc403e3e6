use std::collections::BTreeMap;
use std::path::Path;

use super::{Check, CheckInput};
use crate::input;
use crate::recipe::component::Component;
use crate::recipe::decode::FindingSink;
use crate::recipe::origin::Origin;
use crate::recipe::rootfs::{Keymap, Layout, Rootfs};
use crate::similar::similar;

pub const CHECK: Check = Check {
    id: "system-keys",
    rule: "`hostname`, `timezone`, `locale`, `keymap` and `network` are stated of roots in which something reads them, and name what \
           the root has.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        for (key, span) in rootfs.system.stated() {
            let help = match (rootfs.layout, key) {
                (Layout::App, _) => "an application has those of the system that it runs in",
                (Layout::Fhs, "keymap") => {
                    "a distribution has a program of its own for it: add its file in an overlay (Debian: `/etc/default/keyboard`)"
                }
                (Layout::Fhs, "network") => {
                    "a distribution has a program of its own for it: add its file in an overlay (`/etc/network/interfaces`, `/etc/systemd/network`)"
                }
                _ => continue,
            };
            let message = format!("`{key}` has no meaning in layout `{}`", rootfs.layout.name());
            sink.borrow_mut().add(CHECK.id, span, message).help(help);
        }
        check_locale(rootfs, sink);
        check_keymap(rootfs, subject.components, sink);
    }
}

/// glibc, which packages are linked with, has the locale of POSIX built in; others are files.
fn check_locale(rootfs: &Rootfs, sink: &FindingSink) {
    let (Some(locale), Some(packages)) = (&rootfs.system.locale, &rootfs.packages) else { return };
    let folder = format!("usr/lib/locale/{}", locale.folder());
    let by_overlay = [folder.as_str(), "usr/lib/locale/locale-archive"].iter().any(|path| in_overlays(rootfs, path));
    let by_package = packages.value.kind().names().iter().any(|name| name == "locales-all");
    // A component may bring it as well, which only a build shows.
    if locale.is_built_in() || by_overlay || by_package || !rootfs.components.is_empty() {
        return;
    }
    let message = format!(
        "no package of this root has the locale {}: programs would use `C` instead, as no maintainer script generates it",
        locale.0
    );
    sink.borrow_mut().add(CHECK.id, locale.span, message).help(format!(
        "add the package `locales-all`, use `C.UTF-8`, or add /{folder} in an overlay (`localedef` makes it)"
    ));
}

fn in_overlays(rootfs: &Rootfs, path: &str) -> bool {
    rootfs.overlays.iter().any(|overlay| overlay.path.value.join(path).symlink_metadata().is_ok())
}

fn check_keymap(rootfs: &Rootfs, components: &BTreeMap<String, Component>, sink: &FindingSink) {
    let Some(keymap) = rootfs.system.keymap.as_ref().filter(|_| rootfs.layout == Layout::Split) else { return };
    if Keymap::FOLDERS.iter().any(|folder| in_overlays(rootfs, &format!("{folder}/{}.kmap", keymap.0))) {
        return;
    }
    let listed = rootfs.components.iter().filter(|name| name.value == "keymaps").find_map(|name| {
        let Origin::Path { path, .. } = &components.get(&name.value)?.source.value else { return None };
        maps(&path.join("maps"))
    });
    // Without the shipped component the build decides, as any other one may bring maps.
    let Some(names) = listed.filter(|names| !names.contains(&keymap.0)) else { return };
    let message = format!("the component `keymaps` has no map {:?}", keymap.0);
    let mut findings = sink.borrow_mut();
    let finding = findings.add(CHECK.id, keymap.span, message);
    if let Some(near) = similar(&keymap.0, names.iter().map(String::as_str)).first() {
        finding.suggest(near);
    }
    finding.help(format!(
        "it has {}; others are lines of its file `maps`, or /usr/share/kmap/NAME.kmap in an overlay",
        names.join(", ")
    ));
}

/// The names in the list of the shipped component: the first word of each line.
fn maps(path: &Path) -> Option<Vec<String>> {
    let text = input::read_text(path, input::LIMIT).ok()?;
    Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}
