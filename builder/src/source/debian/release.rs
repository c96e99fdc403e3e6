//! An archive's Release file: what its signature covers, and through that all its indexes.

use std::collections::BTreeMap;

use deb822_fast::Paragraph;

use crate::digest::Digest;
use crate::source::Archive;

use super::error::IndexError;

/// A verified Release file (the format: Debian wiki, RepositoryFormat).
#[derive(Debug)]
pub(super) struct Release {
    pub(super) suite: String,
    /// When the archive was last changed, as RFC 3339.
    pub(super) date: Option<String>,
    /// The end of its validity, as RFC 3339.
    pub(super) valid_until: Option<String>,
    /// Its default priority in apt (apt_preferences(5)): 500, or 100 or 1 for one that is not to be used automatically.
    pub(super) priority: u16,
    pub(super) by_hash: bool,
    /// Whether `binary-<arch>` indexes lack the packages for all architectures.
    pub(super) splits_all: bool,
    /// As named in the Release file: those of the security archive are `updates/main` …
    components: Vec<String>,
    files: BTreeMap<String, (Digest, u64)>,
}

/// An index file named by the Release file: its path, digest and length in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexFile {
    pub(super) path: String,
    pub(super) sha256: Digest,
    pub(super) size: u64,
}

impl Release {
    /// Parses text whose signature was verified, and checks that it is for the requested suite: a mirror may otherwise
    /// answer with another suite, which is signed as well.
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
        let has = |wanted: &String| components.iter().any(|component| last_part(component) == last_part(wanted));
        if let Some(missing) = archive.components.iter().find(|component| !has(component)) {
            return Err(IndexError::NoComponent { component: missing.clone(), components });
        }
        let mut files = BTreeMap::new();
        for line in field("SHA256").unwrap_or_default().lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let parsed = (|| Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?)))();
            let Some((sha256, size, path)) = parsed else {
                return Err(IndexError::Release(format!("`{}` is not a line of a SHA256 list", line.trim())));
            };
            files.insert(path.to_owned(), (sha256, size));
        }
        Ok(Self {
            suite: archive.suite.clone(),
            date: field("Date").and_then(rfc3339),
            valid_until: field("Valid-Until").and_then(rfc3339),
            priority: match (field("NotAutomatic"), field("ButAutomaticUpgrades")) {
                (Some("yes"), Some("yes")) => 100,
                (Some("yes"), _) => 1,
                _ => 500,
            },
            by_hash: field("Acquire-By-Hash") == Some("yes"),
            splits_all: architectures.iter().any(|arch| arch == "all")
                && words("No-Support-for-Architecture-all").all(|what| what != "Packages"),
            components,
            files,
        })
    }

    /// A remark on unusual dates as of `now` (RFC 3339, UTC). apt refuses such an archive; here the lock would be just
    /// as good, and old suites have no newer dates.
    pub(super) fn date_remark(&self, now: &str) -> Option<String> {
        let date = self.date.as_deref()?;
        if date > now {
            return Some(format!(
                "its index is dated {date}, in the future: the clock of this host or of the archive is wrong"
            ));
        }
        let until = self.valid_until.as_deref().filter(|until| *until < now)?;
        Some(format!("its index of {date} was valid until {until}: the mirror is no longer updated"))
    }

    /// The smallest form of a component's index that can be read. Its folder has the component's name as stated, or as
    /// in the Release file, or without the part before the last `/`.
    pub(super) fn index(&self, component: &str, index: &str) -> Option<IndexFile> {
        let own = self.components.iter().filter(|own| last_part(own) == last_part(component));
        let folders = [component].into_iter().chain(own.map(String::as_str)).chain([last_part(component)]);
        let stems = folders.map(|folder| format!("{folder}/{index}"));
        let paths = stems.flat_map(|stem| [".xz", ".gz", ""].map(|extension| format!("{stem}{extension}")));
        paths.into_iter().find_map(|path| {
            let &(sha256, size) = self.files.get(&path)?;
            Some(IndexFile { path, sha256, size })
        })
    }
}

/// The part of component names that is compared, as in apt: `main` of `updates/main`.
fn last_part(component: &str) -> &str {
    component.rsplit('/').next().unwrap_or(component)
}

/// The date of a Release file in RFC 3339; in the file it has the format of mail, with a time zone that RFC 2822 does
/// not have.
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
            assert_eq!(release.index("main", "binary-amd64/Packages").unwrap().size, 0);
        }
    }

    #[test]
    fn archives_may_ask_not_to_be_used_by_themselves() {
        for (fields, priority) in [
            ("", 500),
            ("NotAutomatic: yes\n", 1),
            ("NotAutomatic: yes\nButAutomaticUpgrades: yes\n", 100),
            ("NotAutomatic: no\nButAutomaticUpgrades: yes\n", 500),
        ] {
            let text = TEXT.replace("Acquire-By-Hash", &format!("{fields}Acquire-By-Hash"));
            let release = Release::parse(&text, &archive("bookworm", "main", "amd64")).unwrap();
            assert_eq!(release.priority, priority, "{fields}");
        }
    }

    #[test]
    fn dates_in_the_future_and_past_their_end_are_remarked() {
        let text = TEXT.replace("Acquire-By-Hash", "Valid-Until: Sat, 17 Jan 2026 10:12:13 UTC\nAcquire-By-Hash");
        let release = Release::parse(&text, &archive("bookworm", "main", "amd64")).unwrap();
        for (now, remark) in [
            ("2026-01-10T10:12:12Z", Some("in the future")),
            ("2026-01-10T10:12:13Z", None),
            ("2026-01-17T10:12:13Z", None),
            ("2026-01-17T10:12:14Z", Some("was valid until 2026-01-17T10:12:13Z")),
        ] {
            let text = release.date_remark(now);
            assert_eq!(text.is_some(), remark.is_some(), "{now}: {text:?}");
            assert!(text.unwrap_or_default().contains(remark.unwrap_or_default()), "{now}");
        }
        let release = Release::parse(TEXT, &archive("bookworm", "main", "amd64")).unwrap();
        assert_eq!(release.date_remark("2099-01-01T00:00:00Z"), None, "Debian's main suites have no end");
    }

    #[test]
    fn components_are_compared_by_their_last_part_and_have_either_folder() {
        let security = TEXT.replace("Components: main contrib", "Components: updates/main updates/contrib");
        for (folder, wanted) in
            [("main", "main"), ("main", "updates/main"), ("updates/main", "main"), ("updates/main", "updates/main")]
        {
            let text = security.replace("main/binary-amd64", &format!("{folder}/binary-amd64"));
            let release = Release::parse(&text, &archive("bookworm", wanted, "amd64")).unwrap();
            let index = release.index(wanted, "binary-amd64/Packages").unwrap();
            assert_eq!(index.path, format!("{folder}/binary-amd64/Packages.xz"), "{wanted}");
            assert!(release.index("contrib", "binary-amd64/Packages").is_none());
        }
        for wanted in ["updates", "mai", "updates/", "x/non-free"] {
            assert!(Release::parse(&security, &archive("bookworm", wanted, "amd64")).is_err(), "{wanted}");
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
