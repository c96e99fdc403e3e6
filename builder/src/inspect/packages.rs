//! The packages in a tree, by dpkg's database (dpkg-query(1), deb822(5)).

use std::collections::BTreeMap;

use super::small;
use crate::reader::{Fault, Filesystem};

/// Versions by name; of another architecture than the first by `name:arch`.
pub type Packages = BTreeMap<String, String>;

/// The most bytes of a database that are read; a desktop's has 6 MB.
const MOST: u64 = 64 << 20;

/// The packages that are installed according to dpkg's `status`, or its parts in `status.d`, as images without dpkg have.
pub(crate) fn installed(filesystem: &dyn Filesystem) -> Result<Packages, Fault> {
    let mut packages = Packages::new();
    let listing = filesystem.listing();
    for entry in listing.entries() {
        let path = entry.path.strip_prefix(b"system/").unwrap_or(&entry.path);
        let part = path.strip_prefix(b"var/lib/dpkg/status.d/").is_some_and(|name| !name.ends_with(b".md5sums"));
        if (path == b"var/lib/dpkg/status" || part) && entry.is_file() {
            let content = small(filesystem, entry, MOST)?;
            packages.extend(dpkg_status(&String::from_utf8_lossy(&content)));
        }
    }
    Ok(packages)
}

/// The packages that a `status` file states as installed.
pub fn dpkg_status(text: &str) -> Packages {
    let mut packages = Packages::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            let line = paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        // Without a status, as in `status.d`, it is installed.
        let there = field("Status").is_none_or(|status| status.ends_with(" installed"));
        if let (Some(name), Some(version), true) = (field("Package"), field("Version"), there) {
            let name = match field("Architecture") {
                Some(architecture) if packages.contains_key(&name) => format!("{name}:{architecture}"),
                _ => name,
            };
            packages.insert(name, version);
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let packages = dpkg_status(
            "Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n Version: 9\n\nPackage: b\nStatus: \
             deinstall ok config-files\nVersion: 2\n\nPackage: c\nVersion: 3\n",
        );
        assert_eq!(packages, Packages::from([("a".into(), "1".into()), ("c".into(), "3".into())]));
    }
}
