//! The tree of a git commit.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Fetching, Request, Resolved, SourceContent, SourceContext, SourceKind, StatedSource, changed, last_part, misplaced,
    no_credentials,
};
use crate::mask;
use crate::source::git::{archive, fetch, file_name};
use crate::source::keys;
use crate::source::locked::{Location, LockedFile};
use crate::source::{Resolver, SourceError};
use crate::yaml::decode::{At, FindingSink, Table};
use crate::yaml::node::YamlNode;

/// The tree of a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GitCommit {
    /// Anything that `git fetch` accepts.
    pub url: String,
    /// The commit's full name.
    pub commit: String,
    /// Whether the trees of its submodules are included, recursively.
    #[serde(default, skip_serializing_if = "is_false")]
    pub submodules: bool,
}

/// For serde's `skip_serializing_if`.
fn is_false(value: &bool) -> bool {
    !value
}

impl fmt::Display for GitCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = if self.submodules { " with its submodules" } else { "" };
        write!(f, "commit {} of {}{with}", self.commit, mask::text(&self.url))
    }
}

impl SourceKind for GitCommit {
    fn subject(&self) -> String {
        mask::text(&self.url).into_owned()
    }

    fn names(&self) -> Vec<String> {
        vec![last_part(&self.url).trim_end_matches(".git").to_owned(), mask::text(&self.url).into_owned()]
    }

    fn content(&self) -> SourceContent {
        SourceContent::Tree
    }

    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Resolved, SourceError> {
        let Self { url, commit, submodules } = self;
        let meter = resolver.progress.start(&mask::text(url), None);
        let (sha256, size) = archive(resolver.store, url, commit, *submodules, &*meter)?;
        let at = Location::Git { url: url.clone(), commit: commit.clone() };
        Ok(Resolved::file(LockedFile { name: file_name(url, commit), version: None, suite: None, at, sha256, size }))
    }

    fn broken(&self, files: &[LockedFile]) -> Vec<String> {
        let own = |file: &LockedFile| matches!(&file.at, Location::Git { url, commit } if *url == self.url && *commit == self.commit);
        let other = files.iter().filter(|file| !own(file));
        other.map(|file| format!("its file `{}` is not from that commit", file.name)).collect()
    }

    fn likeness(&self, other: &Request) -> usize {
        let Request::Git(other) = other else { return 0 };
        2 * usize::from(self.url == other.url) + usize::from(self.commit == other.commit)
    }

    fn differences(&self, locked: &Request) -> Vec<String> {
        let mut words = Vec::new();
        let Request::Git(locked) = locked else { return words };
        if locked.submodules != self.submodules {
            words.push(format!("submodules are {} included", if self.submodules { "now" } else { "no longer" }));
        }
        changed(&mut words, "repository", &mask::text(&locked.url), &mask::text(&self.url));
        changed(&mut words, "commit", &locked.commit, &self.commit);
        words
    }

    fn uses_http(&self) -> bool {
        false
    }

    fn fetch(&self, file: &LockedFile, with: &Fetching<'_>) -> Result<u64, SourceError> {
        let Location::Git { url, commit } = &file.at else { return Err(misplaced(self, file)) };
        let meter = with.progress.start(&file.name, None);
        fetch(with.store, url, commit, self.submodules, file, &*meter)
    }
}

/// Reads `git`.
pub(super) fn decode(node: &YamlNode, _: &Table<'_>, _: SourceContext<'_>, sink: &FindingSink) -> Option<StatedSource> {
    let table = Table::open(node, &keys::GIT, sink)?;
    let url: Option<At<String>> = table.required("url");
    let commit: Option<At<String>> = table.required("commit");
    let submodules = table.or_default("submodules");
    table.close();
    let (commit, url) = (commit?, url?);
    if !no_credentials(&url, url.span, sink) {
        return None;
    }
    if commit.len() != 40 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        let message = "a commit is 40 hexadecimal digits: a branch or a tag may move";
        sink.borrow_mut().add("wrong-type", commit.span, message);
        return None;
    }
    Some(StatedSource::of(Request::Git(GitCommit {
        url: url.value,
        commit: commit.value.to_ascii_lowercase(),
        submodules,
    })))
}
