//! The bill of materials of an image as data, independent of the formats that it is written in.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;

/// Everything that a release is made from. Two builds of one commit give equal values.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The recipe's name.
    pub name: String,
    /// The recipe's one-line description.
    pub summary: String,
    /// The version of the image: the commit of the project.
    pub version: String,
    /// The recipe's epoch as RFC 3339 in UTC: the date of the documents.
    pub created: String,
    /// The outputs.
    pub outputs: Vec<OutputFile>,
    /// The parts, in a fixed order; relations name them by index.
    pub parts: Vec<Part>,
    /// Relations between parts.
    pub relations: BTreeSet<Relation>,
    /// Texts of licences that have no SPDX identifier, by their `LicenseRef-…`.
    pub license_texts: BTreeMap<String, LicenseText>,
}

/// An output of the release.
#[derive(Clone, Debug)]
pub struct OutputFile {
    /// Its file name.
    pub name: String,
    /// The sha256 of its content.
    pub sha256: Digest,
    /// The SHA-1 of its content in hexadecimal, which SPDX 2.3 requires for files (clause 8.4).
    pub sha1: String,
    /// Length in bytes.
    pub size: u64,
}

/// The text of a licence that has no SPDX identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseText {
    /// Its name where it was found.
    pub name: String,
    /// The text.
    pub text: String,
}

/// An index of [`Inventory::parts`].
pub type PartId = usize;

/// Something that an image is made from.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who distributes it.
    pub supplier: Option<Supplier>,
    /// Its package URL (ECMA-427), if there is a type of package for it.
    pub purl: Option<String>,
    /// The licence that it states.
    pub license: License,
    /// Its files: archives with their sha256 and where they are.
    pub sources: Vec<SourceFile>,
    /// Its homepage or repository.
    pub homepage: Option<String>,
    /// Why it is listed.
    pub roles: BTreeSet<PartRole>,
    /// The patches that are applied to it, in order.
    pub patches: Vec<PatchFile>,
    /// The enabled options of a kernel: symbol and value.
    pub options: Vec<(String, String)>,
}

/// The kind of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// A Debian package.
    Debian,
    /// A component that is built from source.
    Component,
    /// A component or package that is the kernel.
    Kernel,
    /// A crate that a component is built from.
    Crate,
    /// A toolchain: a set of packages in which components are built.
    Toolchain,
}

/// Why a part is listed. A part may have several roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartRole {
    /// Its files, or what is built from it, are in the image.
    Image,
    /// It is a tool of the build.
    BuildTool,
}

/// Who distributes a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supplier {
    /// An organization, or the host name of the server that it is fetched from.
    Organization(String),
    /// A person with an e-mail address, as far as known.
    Person(String),
}

/// The licence that a part states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum License {
    /// An SPDX licence expression, possibly with `LicenseRef-…`.
    Expression(String),
    /// Nothing is known.
    Unknown,
}

/// A file that a part comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name.
    pub name: String,
    /// Where it is: a URL, `git+URL@COMMIT`, or a path relative to any Debian mirror.
    pub location: SourceLocation,
    /// The sha256 of its content, or of the tree of a folder.
    pub sha256: Digest,
}

/// Where a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLocation {
    /// At these URLs.
    Urls(Vec<String>),
    /// A commit of a repository.
    Git {
        /// The repository's URL.
        url: String,
        /// The commit.
        commit: String,
    },
    /// Below the top of a Debian mirror.
    Pool(String),
    /// In the project.
    Project,
}

/// A patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchFile {
    /// Its path in the project, or its file name.
    pub name: String,
    /// The sha256 of its content.
    pub sha256: Digest,
    /// The SHA-1 of its content in hexadecimal, see [`OutputFile::sha1`].
    pub sha1: String,
}

/// `from` relates to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation {
    /// The first part.
    pub from: PartId,
    /// How it relates to the second.
    pub kind: RelationKind,
    /// The second part.
    pub to: PartId,
}

/// How two parts relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationKind {
    /// The second is part of the first.
    Contains,
    /// The first needs the second: at run time for packages, in its build for components.
    DependsOn,
    /// The first is a tool that the second is built with.
    BuildToolOf,
}

impl SourceLocation {
    /// The location as one URI, if it has one.
    pub fn uri(&self) -> Option<String> {
        match self {
            Self::Urls(urls) => urls.first().cloned(),
            Self::Git { url, commit } => Some(git_uri(url, commit)),
            Self::Pool(_) | Self::Project => None,
        }
    }
}

/// A commit in the form of SPDX's download locations (SPDX 2.3, clause 7.7): `git+https://…@COMMIT`.
pub fn git_uri(url: &str, commit: &str) -> String {
    let url = url.strip_prefix("git+").unwrap_or(url);
    if url.contains("://") { format!("git+{url}@{commit}") } else { format!("git+file://{url}@{commit}") }
}

impl License {
    /// The expression; `None` if nothing is known.
    pub fn expression(&self) -> Option<&str> {
        match self {
            Self::Expression(text) => Some(text),
            Self::Unknown => None,
        }
    }
}

impl Part {
    /// A part of that kind of which nothing is known yet.
    pub fn new(kind: PartKind) -> Self {
        Self {
            kind,
            name: String::new(),
            version: String::new(),
            supplier: None,
            purl: None,
            license: License::Unknown,
            sources: Vec::new(),
            homepage: None,
            roles: BTreeSet::new(),
            patches: Vec::new(),
            options: Vec::new(),
        }
    }

    /// Whether it is only a tool of the build.
    pub fn is_only_tool(&self) -> bool {
        !self.roles.contains(&PartRole::Image)
    }

    /// An identifier that is unique in the inventory and independent of all other parts: letters, digits, `.` and `-`.
    pub fn reference(&self) -> String {
        let kind = match self.kind {
            PartKind::Debian => "deb",
            PartKind::Component | PartKind::Kernel => "component",
            PartKind::Crate => "crate",
            PartKind::Toolchain => "toolchain",
        };
        // Several packages of one name and version may exist; their files differ.
        let short = self.sources.first().map(|source| format!("-{}", source.sha256.short())).unwrap_or_default();
        plain(&format!("{kind}-{}-{}{short}", self.name, self.version))
    }
}

/// A text with everything but letters, digits, `.` and `-` replaced by `-`.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}
