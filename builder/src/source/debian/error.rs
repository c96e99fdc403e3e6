//! Errors of an archive: its indexes, its signature, a request for its packages.

use crate::source::list::list;

/// Errors of an archive's indexes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The signed Release file can't be read.
    #[error("its Release file can't be read: {0}")]
    Release(String),
    /// It belongs to another suite.
    #[error("the mirror has {} where `{wanted}` should be", list(.names))]
    OtherSuite {
        /// The requested suite.
        wanted: String,
        /// Its own name of the suite.
        names: Vec<String>,
    },
    /// It lacks the architecture.
    #[error("it has no architecture `{arch}`; it has {}", list(.architectures))]
    NoArch {
        /// The requested architecture.
        arch: String,
        /// Its architectures.
        architectures: Vec<String>,
    },
    /// It lacks a component.
    #[error("it has no component `{component}`; it has {}", list(.components))]
    NoComponent {
        /// The requested component.
        component: String,
        /// Its components.
        components: Vec<String>,
    },
    /// The Release file does not name an index.
    #[error("its Release file lists no `{0}` that is uncompressed or compressed with xz or gzip")]
    NoIndex(String),
    /// An index is malformed, although it matches the signed digest.
    #[error("its index `{path}` can't be read: {reason}")]
    Index {
        /// The index.
        path: String,
        /// The error.
        reason: String,
    },
}

/// Errors of a signature. Keys are identified by their fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("not signed")]
    Unsigned,
    /// Not valid OpenPGP data.
    #[error("its signature can't be read: {0}")]
    Malformed(String),
    /// Made by a key that is not in the keyring.
    #[error("signed by a key that is not accepted: {}", .0.join(", "))]
    UnknownKey(Vec<String>),
    /// The text is not the one that was signed.
    #[error("bad signature by {0}: the file was changed after it was signed")]
    Bad(String),
    /// Made by a known key that must not sign, or not in this way.
    #[error("the signature by {key} is rejected: {reason}")]
    Refused {
        /// The key.
        key: String,
        /// The reason.
        reason: String,
    },
}

/// Why no set of packages satisfies a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// There are no such packages.
    #[error("{}", unknown(.0))]
    Unknown(Vec<UnknownPackage>),
    /// A dependency that nothing satisfies.
    #[error("nothing satisfies `{wanted}`, which {} needs{}: {why}", .chain.last().map_or("the recipe", String::as_str), through(.chain))]
    Unsatisfiable {
        /// The dependency, with all its alternatives.
        wanted: String,
        /// The dependency path from the requested package to the one with the dependency.
        chain: Vec<String>,
        /// The available alternatives.
        why: String,
    },
    /// Two of the packages are incompatible.
    #[error("`{one}` {relation}, but both are needed\n  {}\n  {}\n  \
             leave one out, or name another alternative for it among the recipe's packages", needed(.one_chain), needed(.other_chain))]
    Conflict {
        /// The package that declares it.
        one: String,
        /// The declaration: `conflicts with …`, `breaks …`.
        relation: String,
        /// The dependency path from a requested package to the first.
        one_chain: Vec<String>,
        /// The dependency path to the other.
        other_chain: Vec<String>,
    },
    /// One package was requested in two versions.
    #[error("package `{package}` is requested in two versions, {} and {}", .versions[0], .versions[1])]
    TwoVersions {
        /// The package.
        package: String,
        /// Both versions.
        versions: [String; 2],
    },
    /// One version of a package was requested from two suites.
    #[error("package `{package}` is requested from two suites, {} and {}", .suites[0], .suites[1])]
    TwoSuites {
        /// The package.
        package: String,
        /// Both suites.
        suites: [String; 2],
    },
    /// A package whose relations can't be parsed.
    #[error("package `{package}` has an invalid dependency: `{text}`")]
    Malformed {
        /// The package.
        package: String,
        /// The text.
        text: String,
    },
}

/// A requested package that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPackage {
    /// The request.
    pub name: String,
    /// The available alternatives, as text; may be empty.
    pub alternatives: String,
}

fn unknown(packages: &[UnknownPackage]) -> String {
    let one = |package: &UnknownPackage| format!("there is no package `{}`{}", package.name, package.alternatives);
    packages.iter().map(one).collect::<Vec<_>>().join("\n  ")
}

fn through(chain: &[String]) -> String {
    if chain.len() < 2 { String::new() } else { format!(" ({})", chain.join(" → ")) }
}

fn needed(chain: &[String]) -> String {
    match chain {
        [] => String::new(),
        [one] => format!("`{one}` was requested"),
        [rest @ .., last] => format!("`{last}` is needed by {}", rest.join(" → ")),
    }
}
