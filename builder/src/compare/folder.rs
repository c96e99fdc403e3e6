//! Two folders of images, such as two outputs of dbco.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::stat::SFlag;

use super::content::{self, first_difference};
use super::{At, CompareOptions, Comparison, Topic};
use crate::beneath::{BeneathError, Dir, Links};
use crate::printable;
use crate::reader::{Fault, Region};

/// Files in a folder that are compared.
const MOST: usize = 100_000;
/// Folders inside each other.
const DEPTH: usize = 64;

/// Files that follow from the others: dbco's mark, and the sums.
const DERIVED: [&str; 2] = [".dbco-outputs", "SHA256SUMS"];

/// Compares the files of two folders by name. If each has one ISO or one tar archive, whose names differ, these are compared
/// with each other: they are named after the recipe.
pub fn folders(out: &mut Comparison, a: &Path, b: &Path, options: &CompareOptions) -> Result<(), Fault> {
    let open = |path: &Path| Dir::open(path, Links::Never).map_err(Fault::from);
    let (old, new) = (open(a)?, open(b)?);
    let (mut before, mut after) = (files(&old)?, files(&new)?);
    let mut pairs: Vec<(String, String)> =
        before.keys().filter(|name| after.contains_key(*name)).map(|name| (name.clone(), name.clone())).collect();
    for (name, _) in &pairs {
        before.remove(name);
        after.remove(name);
    }
    for ending in [".iso", ".tar.gz", ".tar.xz", ".tar.zst", ".squashfs", ".erofs"] {
        let one = |files: &BTreeMap<String, u64>| {
            let mut found = files.keys().filter(|name| name.ends_with(ending));
            found.next().cloned().filter(|_| found.next().is_none())
        };
        if let (Some(name), Some(other)) = (one(&before), one(&after)) {
            out.notes.push(format!("{name} is compared with {other}"));
            before.remove(&name);
            after.remove(&other);
            pairs.push((name, other));
        }
    }
    for (files, removed) in [(&before, true), (&after, false)] {
        for (name, size) in files {
            let shown = printable::printable(name).to_string();
            let value = Some(format!("a file of {size} bytes"));
            let (before, after) = if removed { (value, None) } else { (None, value) };
            out.change(&At { topic: Topic::Format, place: "", subject: &shown }, "", before, after);
        }
    }
    for (name, other) in pairs {
        let region = |dir: &Dir, name: &str| -> Result<Region, Fault> {
            let file = dir.open_file(name).map_err(|error| Fault::Missing(foreign(error)))?;
            Ok(Region::of_file(file)?)
        };
        let sides = (region(&old, &name)?, region(&new, &other)?);
        if let Some(at) = first_difference(&mut sides.0.cursor(), &mut sides.1.cursor())? {
            let shown = printable::printable(&name).to_string();
            content::files(out, "", &shown, (&sides.0, &sides.1), at, options)?;
        }
    }
    Ok(())
}

fn foreign(error: BeneathError) -> String {
    format!("{error}: {}", error.refusal)
}

/// Regular files below a folder, by path, with their sizes.
fn files(top: &Dir) -> Result<BTreeMap<String, u64>, Fault> {
    let mut found = BTreeMap::new();
    let mut left = vec![(String::new(), 0)];
    while let Some((path, depth)) = left.pop() {
        if depth > DEPTH || found.len() > MOST {
            return Err(Fault::Limit(format!("a folder has more than {MOST} files, or {DEPTH} levels")));
        }
        for entry in top.list(&path).map_err(|error| Fault::Missing(foreign(error)))? {
            let Some(name) = entry.name.to_str() else {
                return Err(Fault::Unsupported(format!(
                    "{}: a name that is not UTF-8",
                    printable::path(Path::new(&entry.name))
                )));
            };
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            match entry.kind() {
                SFlag::S_IFDIR => left.push((path, depth + 1)),
                SFlag::S_IFREG if !DERIVED.contains(&path.as_str()) => {
                    found.insert(path, entry.stat.st_size.unsigned_abs());
                }
                _ => {}
            }
        }
    }
    Ok(found)
}
