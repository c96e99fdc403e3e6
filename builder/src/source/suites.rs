//! Suites of Debian archives, and packages as requests name them.

use crate::similar::nearest;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Debian archive's suite. It does not include the mirror.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Archive {
    /// `bookworm`; a codename, or a suite's name such as `stable`.
    pub suite: String,
    /// `main`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Debian's name of the architecture: `amd64`.
    pub arch: String,
    /// OpenPGP keys that may sign it, armoured or binary, relative to the project; by default the built-in Debian keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyring: Option<String>,
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debian {} {} ({})", self.suite, self.components.join("+"), self.arch)
    }
}

/// Suites that packages are taken from together: at least one, all for one architecture, each named once. Their order
/// only decides which suite a version is taken from if several have it.
///
/// In a lock a single suite is a mapping, as in earlier formats, and several are a list of such mappings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suites(Vec<Archive>);

/// The maximum number of suites in a request.
pub const MOST_SUITES: usize = 16;

/// Why archives can't be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuitesError {
    /// The list is empty.
    #[error("expected at least one suite")]
    None,
    /// A suite is named twice.
    #[error("duplicate suite `{0}`")]
    Twice(String),
    /// There are more than the number of bits for them.
    #[error("at most {MOST_SUITES} suites can be combined")]
    TooMany,
    /// They are for different architectures.
    #[error("the suites are of different architectures: {0} and {1}")]
    Architectures(String, String),
}

impl Suites {
    /// Combines archives.
    pub fn new(archives: Vec<Archive>) -> Result<Self, SuitesError> {
        let first = archives.first().ok_or(SuitesError::None)?;
        if archives.len() > MOST_SUITES {
            return Err(SuitesError::TooMany);
        }
        for (index, archive) in archives.iter().enumerate() {
            if archives[..index].iter().any(|before| before.suite == archive.suite) {
                return Err(SuitesError::Twice(archive.suite.clone()));
            }
            if archive.arch != first.arch {
                return Err(SuitesError::Architectures(first.arch.clone(), archive.arch.clone()));
            }
        }
        Ok(Self(archives))
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Archive] {
        &self.0
    }

    /// The first, which is the only one in most recipes.
    pub fn first(&self) -> &Archive {
        &self.0[0]
    }

    /// Whether there are several.
    pub fn several(&self) -> bool {
        self.0.len() > 1
    }

    /// The archive with that suite; the first if no suite is given.
    pub fn find(&self, suite: Option<&str>) -> Option<&Archive> {
        match suite {
            Some(suite) => self.0.iter().find(|archive| archive.suite == suite),
            None => self.0.first(),
        }
    }

    /// The suites' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|archive| archive.suite.as_str())
    }
}

impl From<Archive> for Suites {
    fn from(archive: Archive) -> Self {
        Self(vec![archive])
    }
}

impl fmt::Display for Suites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Archive { components, arch, .. } = self.first();
        let suites: Vec<_> = self.names().collect();
        let same = self.0.iter().all(|archive| archive.components == *components);
        let components = if same { format!(" {}", components.join("+")) } else { String::new() };
        write!(f, "Debian {}{components} ({arch})", suites.join("+"))
    }
}

impl Serialize for Suites {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Suites {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        // Not `untagged`, which would hide errors within an archive.
        impl<'de> Visitor<'de> for Form {
            type Value = Vec<Archive>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an archive or a list of archives")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<Archive>, A::Error> {
                Archive::deserialize(MapAccessDeserializer::new(map)).map(|archive| vec![archive])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<Archive>, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq))
            }
        }
        Self::new(deserializer.deserialize_any(Form)?).map_err(serde::de::Error::custom)
    }
}

/// A package in a request: `name`, `name/suite`, `name=version` or `name/suite=version`, as in `apt-get install`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageRequest<'a> {
    /// The package.
    pub name: &'a str,
    /// The suite that it must be from.
    pub suite: Option<&'a str>,
    /// Its version: exactly, with `*` for any part, or `newest`.
    pub version: Option<&'a str>,
}

impl<'a> PackageRequest<'a> {
    /// Parses one.
    pub fn parse(text: &'a str) -> Self {
        let (package, version) = text.split_once('=').map_or((text, None), |(package, v)| (package, Some(v)));
        let (name, suite) = package.split_once('/').map_or((package, None), |(name, suite)| (name, Some(suite)));
        Self { name, suite, version }
    }

    /// The version if it is stated exactly: neither a pattern nor `newest`.
    pub fn exact_version(&self) -> Option<&'a str> {
        self.version.filter(|version| *version != "newest" && !version.contains('*'))
    }
}

impl fmt::Display for PackageRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(suite) = self.suite {
            write!(f, "/{suite}")?;
        }
        match self.version {
            Some(version) => write!(f, "={version}"),
            None => Ok(()),
        }
    }
}

/// Debian's suites, by codename and by role.
const KNOWN: [&str; 12] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
];

/// The endings of the names of additional suites.
const KNOWN_ENDINGS: [&str; 5] = ["-security", "-updates", "-backports", "-backports-sloppy", "-proposed-updates"];

/// The suite of Debian's that an unknown name was probably meant to be.
pub fn suggested_suite(suite: &str) -> Option<String> {
    let (base, ending) = match suite.split_once(['-', '/']) {
        Some((base, _)) => suite.split_at(base.len()),
        None => (suite, ""),
    };
    let base = nearest(base, KNOWN)?;
    // `/updates` was the ending of the security archive's suites.
    let ending = if ["", "/updates"].contains(&ending) { ending } else { nearest(ending, KNOWN_ENDINGS)? };
    Some(format!("{base}{ending}")).filter(|meant| meant != suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_as_for_apt() {
        for (text, name, suite, version) in [
            ("vim", "vim", None, None),
            ("vim/bookworm-backports", "vim", Some("bookworm-backports"), None),
            ("vim=2:9.0.1378-2", "vim", None, Some("2:9.0.1378-2")),
            ("vim/sid=2:9.*", "vim", Some("sid"), Some("2:9.*")),
        ] {
            let package = PackageRequest::parse(text);
            assert_eq!((package.name, package.suite, package.version), (name, suite, version));
            assert_eq!(package.to_string(), text);
        }
    }

    #[test]
    fn misspelt_suites_are_recognized() {
        for (given, meant) in [
            ("bokworm", Some("bookworm")),
            ("bookworm-secrity", Some("bookworm-security")),
            ("trixi-backport", Some("trixie-backports")),
            ("sdi", Some("sid")),
            ("bookworm", None),
            ("bookworm-security", None),
            ("buster/updates", None),
            ("own-archive", None),
            ("rex", None),
        ] {
            assert_eq!(suggested_suite(given).as_deref(), meant, "{given}");
        }
    }

    #[test]
    fn suites_beside_each_other_are_of_one_architecture_and_named_once() {
        let archive = |suite: &str, arch: &str| Archive {
            suite: suite.to_owned(),
            components: vec!["main".to_owned()],
            arch: arch.to_owned(),
            keyring: None,
        };
        let (one, two) = (archive("a", "amd64"), archive("b", "amd64"));
        assert_eq!(Suites::new(vec![one.clone(), two]).unwrap().to_string(), "Debian a+b main (amd64)");
        assert_eq!(Suites::new(vec![]), Err(SuitesError::None));
        assert_eq!(Suites::new(vec![one.clone(), archive("a", "amd64")]), Err(SuitesError::Twice("a".to_owned())));
        let error = Suites::new(vec![one, archive("b", "arm64")]).unwrap_err();
        assert!(error.to_string().ends_with("amd64 and arm64"), "{error}");
    }
}
