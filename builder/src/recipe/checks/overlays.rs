use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Check, CheckInput};
use crate::input;
use crate::recipe::decode::FindingSink;
use crate::recipe::rootfs::Rootfs;
use crate::tree::{Pattern, TreePath};

pub const CHECK: Check = Check {
    id: "overlays",
    rule: "What overlays have at the top is in the layout; no two overlays provide one path with different contents, unless `replace` names it.",
    run,
};

/// The number of overlay files that are compared while checking; the build compares the rest.
const FILES: usize = 20_000;

/// The number of bytes that are compared while checking.
const BYTES: u64 = 16 << 20;

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        outside_of_layout(rootfs, sink);
        let mut known: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for overlay in &rootfs.overlays {
            for path in files(&overlay.path.value) {
                let Ok(inside) = path.strip_prefix(&overlay.path.value).map(Path::to_owned) else { continue };
                if let Some(first) = known.get(&inside)
                    && !is_replaced(rootfs, &inside)
                    && differ(first, &path)
                {
                    if sink.borrow().is_full() {
                        return;
                    }
                    let inside = inside.display();
                    let message = format!("`/{inside}` of this overlay differs from {}", first.display());
                    let help = format!("to let this one win: `replace: [/{inside}]` in the same mapping");
                    sink.borrow_mut().add(CHECK.id, overlay.path.span, message).help(help);
                }
                known.insert(inside, path);
            }
        }
    }
}

/// Reports what overlays have at the top that the layout does not permit.
fn outside_of_layout(rootfs: &Rootfs, sink: &FindingSink) {
    let Some(top) = rootfs.layout.top() else { return };
    for overlay in &rootfs.overlays {
        let entries = fs::read_dir(&overlay.path.value).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| !top.contains(&name.as_str()));
        names.sort();
        for name in names {
            let message = format!("`/{name}` of this overlay is outside of layout `{}`", rootfs.layout.name());
            let help = format!("allowed at the top: /{}", top.join(", /"));
            sink.borrow_mut().add(CHECK.id, overlay.path.span, message).help(help);
        }
    }
}

/// Everything below a folder that is not a folder itself.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
        if found.len() > FILES {
            break;
        }
    }
    found.sort();
    found
}

/// Whether a pattern of `replace` may match the path; if uncertain the build decides.
fn is_replaced(rootfs: &Rootfs, inside: &Path) -> bool {
    let Some(path) = inside.to_str().and_then(|inside| TreePath::new(inside).ok()) else { return true };
    rootfs.replace.iter().any(|pattern| Pattern::new(pattern).map_or(true, |pattern| pattern.matches(&path)))
}

/// Whether two paths certainly have different content.
fn differ(one: &Path, other: &Path) -> bool {
    let (Ok(first), Ok(second)) = (one.symlink_metadata(), other.symlink_metadata()) else { return false };
    if first.file_type() != second.file_type() {
        return true;
    }
    if first.is_symlink() {
        return fs::read_link(one).ok() != fs::read_link(other).ok();
    }
    if !first.is_file() || first.len() > BYTES {
        return false;
    }
    first.len() != second.len()
        || matches!((input::read(one, BYTES), input::read(other, BYTES)), (Ok(first), Ok(second)) if first != second)
}
