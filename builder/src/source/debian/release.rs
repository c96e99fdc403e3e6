//! An archive's Release file: what its signature covers, and through that all its indexes.

use std::collections::BTreeMap;

use deb822_fast::Paragraph;

use crate::digest::Digest;
use crate::source::Archive;

use super::IndexError;

/// A verified Release file (the format: Debian wiki, RepositoryFormat).
#[derive(Debug)]
pub(super) struct Release {
    pub(super) suite: String,
    /// When the archive was last changed, as RFC 3339.
    pub(super) date: Option<String>,
    pub(super) by_hash: bool,
    /// Whether `binary-<arch>` indexes lack the packages for all architectures.
    pub(super) splits_all: bool,
    files: BTreeMap<String, (Digest, u64)>,
}

/// An index file that the Release names: its path, digest and length in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexFile {
    pub(super) path: String,
    pub(super) sha256: Digest,
    pub(super) size: u64,
}

impl Release {
    /// Reads what a signature has covered, and makes sure that it is the suite that was asked for: a mirror may
    /// otherwise answer with another suite, signed just as well.
    pub(super) fn parse(text: &str, archive: &Archive) -> Result<Self, IndexError> {
        let release: Paragraph =
            text.parse().map_err(|error: deb822_fast::Error| IndexError::Release(error.to_string()))?;
        let field = |name: &str| release.get(name).map(str::trim);
        let words = |name: &str| field(name).unwrap_or_default().split_whitespace().map(str::to_owned);
        let names: Vec<String> = [field("Codename"), field("Suite")].into_iter().flatten().map(str::to_owned).collect();
        if !names.contains(&archive.suite) {
            return Err(IndexError::OtherSuite { wanted: archive.suite.clone(), names });
        }
        let architectures: Vec<String> = words("Architectures").collect();
        if !architectures.contains(&archive.arch) {
            return Err(IndexError::NoArch { arch: archive.arch.clone(), architectures });
        }
        let components: Vec<String> = words("Components").collect();
        if let Some(missing) = archive.components.iter().find(|component| !components.contains(component)) {
            return Err(IndexError::NoComponent { component: missing.clone(), components });
        }
        let mut files = BTreeMap::new();
        for line in field("SHA256").unwrap_or_default().lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let parsed = (|| Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?)))();
            let Some((sha256, size, path)) = parsed else {
                return Err(IndexError::Release(format!("`{}` is no line of a SHA256 list", line.trim())));
            };
            files.insert(path.to_owned(), (sha256, size));
        }
        Ok(Self {
            suite: archive.suite.clone(),
            date: field("Date").and_then(rfc3339),
            by_hash: field("Acquire-By-Hash") == Some("yes"),
            splits_all: architectures.iter().any(|arch| arch == "all")
                && words("No-Support-for-Architecture-all").all(|what| what != "Packages"),
            files,
        })
    }

    /// The smallest form of an index that can be read here.
    pub(super) fn index(&self, stem: &str) -> Option<IndexFile> {
        [".xz", ".gz", ""].iter().find_map(|extension| {
            let path = format!("{stem}{extension}");
            let &(sha256, size) = self.files.get(&path)?;
            Some(IndexFile { path, sha256, size })
        })
    }
}

/// The date of a Release file in RFC 3339; it is written as in mail, with a zone that RFC 2822 does not have.
fn rfc3339(date: &str) -> Option<String> {
    let date = date.strip_suffix("UTC").map_or(date.to_owned(), |time| format!("{time}+0000"));
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&date).ok()?;
    Some(zoned.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(suite: &str, component: &str, arch: &str) -> Archive {
        let components = vec![component.to_owned()];
        Archive { suite: suite.to_owned(), components, arch: arch.to_owned(), keyring: None }
    }

    const TEXT: &str = "Origin: Debian\nSuite: oldstable\nCodename: bookworm\nDate: Sat, 10 Jan 2026 10:12:13 UTC\n\
        Acquire-By-Hash: yes\nNo-Support-for-Architecture-all: Packages\nArchitectures: all amd64\n\
        Components: main contrib\nSHA256:\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages.xz\n";

    #[test]
    fn a_suite_is_found_by_either_name() {
        for suite in ["bookworm", "oldstable"] {
            let release = Release::parse(TEXT, &archive(suite, "main", "amd64")).unwrap();
            assert_eq!(release.date.as_deref(), Some("2026-01-10T10:12:13Z"));
            assert!(release.by_hash && !release.splits_all);
            assert_eq!(release.index("main/binary-amd64/Packages").unwrap().size, 0);
        }
    }

    #[test]
    fn another_suite_component_or_architecture_is_refused() {
        let refused =
            |suite, component, arch| Release::parse(TEXT, &archive(suite, component, arch)).unwrap_err().to_string();
        assert_eq!(
            refused("trixie", "main", "amd64"),
            "the mirror has `bookworm` and `oldstable` where `trixie` should be"
        );
        assert!(refused("bookworm", "non-free", "amd64").contains("`main` and `contrib`"));
        assert!(refused("bookworm", "main", "riscv64").contains("`all` and `amd64`"));
    }
}
