//! Known vulnerabilities of what an image contains, from data that the user has fetched.
//!
//! Stages: [`Subject`]s are what the image contains ([`Database::of`] only keeps what concerns them); [`Database::matches`] gives
//! the advisories that a subject's version is subject to; [`judge`] decides what each of them means for this image: a patch
//! fixes it, its code is not compiled, the project has an exception, or it is affected.
//!
//! An advisory only counts as not affecting the image if something says so that can be named: an advisory's own range of
//! versions, a patch that names it, a configuration, or an exception with a reason. Missing data never does.

mod data;
mod exceptions;
mod judge;
pub mod kbuild;
mod keys;
mod openvex;
mod osv;
mod record;
mod sarif;
mod text;
mod tracker;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use data::{DataError, Database};
pub use exceptions::{Exception, Exceptions, ExceptionsError, FILE, JUSTIFICATIONS};
pub use judge::{Finding, Judged, Status, fails, judge};
pub use keys::EXCEPTIONS;
pub use openvex::{VexHeader, openvex};
pub use sarif::sarif;

/// The characters of a URI that need no encoding (RFC 3986, "unreserved"), and the colon that package URLs keep.
const KEPT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');

/// How severe a vulnerability is, by the rating of CVSS (specification of version 3.1, section 5) or of the data's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The data has no rating.
    #[default]
    Unknown,
    /// No impact of its own; Debian's `unimportant`.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Whether it is at least a limit. An unknown one may be anything, so it reaches every limit.
    pub fn reaches(self, limit: Self) -> bool {
        self == Self::Unknown || self >= limit
    }

    /// From a word of any of the formats: CVSS's, and Debian's urgency.
    pub fn of_word(word: &str) -> Self {
        match word.trim().trim_end_matches('*').to_ascii_lowercase().as_str() {
            "none" | "unimportant" => Self::None,
            "low" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" | "important" => Self::High,
            "critical" => Self::Critical,
            _ => Self::Unknown,
        }
    }

    /// From a CVSS vector: `CVSS:3.1/AV:N/…`.
    pub fn of_vector(vector: &str) -> Self {
        cvss::Cvss::from_str(vector).map_or(Self::Unknown, |cvss| Self::of_word(cvss.severity().as_str()))
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Self::of_word(text) {
            Self::Unknown => Err("expected low, medium, high or critical".into()),
            severity => Ok(severity),
        }
    }
}

/// What kind of thing an image contains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A Debian source package, of which the image has binary packages.
    Debian {
        /// The release's code name: `bookworm`.
        release: String,
        /// The binary packages.
        binaries: BTreeSet<String>,
    },
    /// A component that is built from source.
    Component,
    /// The kernel, which is built from source.
    Kernel,
    /// A crate, as a `Cargo.lock` pins it.
    Crate,
}

/// Something that the image contains and that may have vulnerabilities.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its kind.
    pub kind: SubjectKind,
    /// A source package, component or crate.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Other names that data may use for it, in lower case: a product of a CPE, a repository.
    pub aliases: BTreeSet<String>,
    /// The vulnerabilities that its patches state to fix, each with the patch.
    pub fixes: BTreeMap<String, String>,
    /// Where the project states it.
    pub place: Place,
}

/// A place in the project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

impl Subject {
    /// Whether data means this subject by a name.
    fn is_named(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.name.to_ascii_lowercase() == name || self.aliases.contains(&name)
    }

    /// Its package URL (<https://github.com/package-url/purl-spec>).
    pub fn purl(&self) -> String {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, KEPT).to_string();
        let (name, version) = (encode(&self.name), encode(&self.version));
        match &self.kind {
            SubjectKind::Debian { release, .. } => {
                format!("pkg:deb/debian/{name}@{version}?arch=source&distro={release}")
            }
            SubjectKind::Crate => format!("pkg:cargo/{name}@{version}"),
            SubjectKind::Component | SubjectKind::Kernel => format!("pkg:generic/{name}@{version}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, version, .. } = self;
        match kind {
            SubjectKind::Debian { release, .. } => write!(f, "{name} {version} (Debian {release})"),
            SubjectKind::Component => write!(f, "{name} {version}"),
            SubjectKind::Kernel => write!(f, "{name} {version} (kernel)"),
            SubjectKind::Crate => write!(f, "crate {name} {version}"),
        }
    }
}

/// An advisory that a subject's version is subject to, according to the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The main identifier, a CVE's if there is one.
    pub id: String,
    /// Others of the same vulnerability.
    pub aliases: BTreeSet<String>,
    /// Its severity.
    pub severity: Severity,
    /// One line.
    pub summary: String,
    /// The first version with a fix, if the data has one.
    pub fixed: Option<String>,
    /// Source files that the vulnerability is in, if the data names them.
    pub files: BTreeSet<String>,
    /// The file of the data that says so.
    pub source: String,
}

impl Match {
    /// Whether an identifier means this vulnerability.
    pub fn is(&self, id: &str) -> bool {
        self.id == id || self.aliases.contains(id)
    }

    /// The CVE's identifier among several names of a vulnerability, otherwise the first name.
    fn named(id: &str, others: impl IntoIterator<Item = String>) -> (String, BTreeSet<String>) {
        let mut aliases: BTreeSet<String> = others.into_iter().collect();
        aliases.insert(id.to_owned());
        // Debian's records in OSV have their own prefix.
        let cve = id.strip_prefix("DEBIAN-").filter(|id| id.starts_with("CVE-")).map(str::to_owned);
        let main = cve.or_else(|| aliases.iter().find(|alias| alias.starts_with("CVE-")).cloned());
        let main = main.unwrap_or_else(|| id.to_owned());
        aliases.remove(&main);
        (main, aliases)
    }

    /// Adds a match to others of the same subject, or to the one that is about the same vulnerability.
    pub fn join(matches: &mut Vec<Self>, found: Self) {
        let same = |known: &&mut Match| known.is(&found.id) || found.aliases.iter().any(|alias| known.is(alias));
        match matches.iter_mut().find(same) {
            Some(known) => known.merge(found),
            None => matches.push(found),
        }
    }

    /// Takes over what another record of the same vulnerability says: the higher severity, and everything that is missing.
    fn merge(&mut self, other: Self) {
        let Self { id, aliases, severity, summary, fixed, files, source } = other;
        self.aliases.extend(aliases);
        self.aliases.insert(id);
        self.aliases.remove(&self.id);
        self.severity = self.severity.max(severity);
        if self.summary.is_empty() {
            self.summary = summary;
        }
        self.fixed = self.fixed.take().or(fixed);
        // A database that does not name files does not contradict one that does.
        self.files.extend(files);
        if self.source != source {
            self.source += &format!(", {source}");
        }
    }
}

/// A file as a URI relative to the project's folder, for reports.
fn sarif_path(file: &Path, project: &Path) -> String {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (project, file) = (resolved(project), resolved(file));
    let common = project.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = project.components().skip(common).map(|_| "..".to_owned());
    let rest = file.components().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let encode = |part: String| percent_encoding::utf8_percent_encode(&part, KEPT).to_string();
    up.chain(rest).map(encode).collect::<Vec<_>>().join("/")
}
