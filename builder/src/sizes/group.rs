//! The leaves of a measured image, added up by what they have in common.

use std::collections::BTreeMap;

use super::{Part, PartKind};
use crate::printable::printable;

/// By what files are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// By what brought them: component, package, overlay, the recipe.
    Origin,
    /// By their folders.
    Folder,
    /// Each by itself.
    File,
}

/// Files that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Their origin, folder or address.
    pub name: String,
    /// The recipe's line that lists the origin, `file:line:column`.
    pub place: Option<String>,
    /// Bytes of the image.
    pub bytes: u64,
    /// Bytes of their content.
    pub size: u64,
    /// Their number.
    pub files: usize,
    /// The files: address and bytes, the largest first.
    pub members: Vec<(String, u64)>,
}

/// The files of an image in groups, the largest first.
pub fn groups(image: &Part, by: Grouping) -> Vec<Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    image.each_leaf(&mut |above, leaf| {
        let address = address(above, leaf);
        let (name, place) = match (&leaf.kind, by) {
            (PartKind::Structure, _) => (address.clone(), None),
            (_, Grouping::File) => (address.clone(), leaf.place.clone()),
            (_, Grouping::Folder) => match address.rsplit_once('/') {
                Some((folder, _)) if !folder.is_empty() => (format!("{}/", folder.trim_end_matches('/')), None),
                _ => (address.clone(), None),
            },
            (_, Grouping::Origin) => origin(above, leaf).unwrap_or_else(|| ("of unknown origin".into(), None)),
        };
        let group = groups.entry(name.clone()).or_insert_with(|| Group {
            name,
            place,
            bytes: 0,
            size: 0,
            files: 0,
            members: Vec::new(),
        });
        group.bytes += leaf.bytes;
        group.size += leaf.size;
        group.files += usize::from(leaf.kind == PartKind::File);
        group.members.push((address, leaf.bytes));
    });
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        group.members.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    }
    groups.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name)));
    groups
}

/// The origin of a file, or that of the nearest container around it that has one.
fn origin(above: &[&Part], leaf: &Part) -> Option<(String, Option<String>)> {
    let parts = std::iter::once(leaf).chain(above.iter().rev().copied());
    parts.into_iter().find_map(|part| Some((part.origin.clone()?, part.place.clone())))
}

/// The address in the image, without the image's own name: `boot/initrd.img//livefs.squashfs//system/bin/sh`.
fn address(above: &[&Part], leaf: &Part) -> String {
    let mut paths: Vec<String> = above.iter().skip(1).map(|part| printable(&part.path).to_string()).collect();
    match &leaf.kind {
        PartKind::Structure => {
            let of = above.last().map_or("", |container| match &container.kind {
                PartKind::Container(words) => words,
                _ => "",
            });
            let of = of.trim_start_matches("an ").trim_start_matches("a ");
            let what = format!("headers, tables and padding of the {of}");
            match paths.is_empty() {
                true => what,
                false => format!("{}: {what}", paths.join("//")),
            }
        }
        // The image itself, if it is no container.
        _ if above.is_empty() => printable(&leaf.path).to_string(),
        _ => {
            paths.push(printable(&leaf.path).to_string());
            paths.join("//")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64, origin: Option<&str>) -> Part {
        Part {
            path: path.into(),
            kind: PartKind::File,
            bytes,
            size: 2 * bytes,
            origin: origin.map(str::to_owned),
            place: None,
            parts: Vec::new(),
        }
    }

    fn container(path: &str, words: &str, origin: Option<&str>, parts: Vec<Part>) -> Part {
        let bytes = parts.iter().map(|part| part.bytes).sum();
        Part { kind: PartKind::Container(words.into()), parts, ..file(path, bytes, origin) }
    }

    fn image() -> Part {
        let structure = Part { kind: PartKind::Structure, ..file("", 5, None) };
        let squashfs = container(
            "livefs",
            "a squashfs",
            None,
            vec![
                file("bin/a", 40, Some("component a")),
                file("bin/b", 30, Some("component b")),
                file("etc/x", 2, None),
                structure.clone(),
            ],
        );
        let initrd = container(
            "boot/initrd",
            "an initrd",
            Some("the initrd"),
            vec![squashfs, file("init", 8, Some("component a"))],
        );
        container("x.iso", "an ISO 9660 image", None, vec![initrd, file("boot/kernel", 100, Some("kernel")), structure])
    }

    #[test]
    fn groups_add_up_to_the_image() {
        let image = image();
        for by in [Grouping::Origin, Grouping::Folder, Grouping::File] {
            let groups = groups(&image, by);
            assert_eq!(groups.iter().map(|group| group.bytes).sum::<u64>(), image.bytes, "{by:?}");
            assert!(groups.is_sorted_by(|one, other| one.bytes >= other.bytes), "{by:?}");
        }
    }

    #[test]
    fn a_file_without_an_origin_has_that_of_its_container() {
        let groups = groups(&image(), Grouping::Origin);
        let named: Vec<(&str, u64, usize)> =
            groups.iter().map(|group| (group.name.as_str(), group.bytes, group.files)).collect();
        assert_eq!(
            named,
            [
                ("kernel", 100, 1),
                ("component a", 48, 2),
                ("component b", 30, 1),
                ("boot/initrd//livefs: headers, tables and padding of the squashfs", 5, 0),
                ("headers, tables and padding of the ISO 9660 image", 5, 0),
                ("the initrd", 2, 1),
            ]
        );
        assert_eq!(groups[1].members[0], ("boot/initrd//livefs//bin/a".to_owned(), 40));
    }
}
