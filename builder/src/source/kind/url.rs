//! One file, from any of several places.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

use super::{
    Fetching, Request, Resolved, SourceContent, SourceContext, SourceKind, StatedSource, last_part, misplaced,
    no_credentials,
};
use crate::digest::Digest;
use crate::mask;
use crate::path_error::FromPathError as _;
use crate::source::download::{Download, fetch_file, fetch_unknown};
use crate::source::locked::{Location, LockedFile};
use crate::source::network::file_name;
use crate::source::{Resolver, SourceError};
use crate::store::StoreError;
use crate::yaml::decode::{Decode, FindingSink, Table};
use crate::yaml::node::{YamlNode, YamlValue};

/// One file, from any of several places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UrlFile {
    /// `http:`, `https:` or `file:`; tried in this order.
    pub urls: Vec<String>,
    /// The digest, if the recipe pins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

impl fmt::Display for UrlFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask::text(self.urls.first().map_or("a URL", String::as_str)))
    }
}

impl SourceKind for UrlFile {
    fn subject(&self) -> String {
        mask::text(self.urls.first().map_or("", String::as_str)).into_owned()
    }

    fn names(&self) -> Vec<String> {
        self.urls.iter().flat_map(|url| [last_part(url).to_owned(), mask::text(url).into_owned()]).collect()
    }

    fn content(&self) -> SourceContent {
        SourceContent::File
    }

    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Resolved, SourceError> {
        let urls = &self.urls;
        let Some(name) = urls.first().and_then(|url| file_name(url)) else {
            let message = "expected a URL that ends in a file name".to_owned();
            return Err(SourceError::BadRequest { request: self.to_string(), message });
        };
        let meter = resolver.progress.start(&name, None);
        let (sha256, size) = match self.sha256 {
            Some(sha256) => {
                let if_gone = "the recipe's `url` refers to a file that does not exist".to_owned();
                let wanted = Download { name: name.clone(), sha256, size: None, urls: urls.clone(), if_gone };
                fetch_file(resolver.network, resolver.store, &wanted, &*meter)?;
                let path = resolver.store.verified_blob(&sha256)?;
                (sha256, fs::metadata(&path).map_err(StoreError::io("read", &path))?.len())
            }
            None => fetch_unknown(resolver.network, resolver.store, &name, urls, &*meter)?,
        };
        let at = Location::Urls(urls.clone());
        Ok(Resolved::file(LockedFile { name, version: None, suite: None, at, sha256, size }))
    }

    fn broken(&self, files: &[LockedFile]) -> Vec<String> {
        let Some(pin) = self.sha256 else { return Vec::new() };
        let other = files.iter().any(|file| file.sha256 != pin);
        other.then(|| format!("its sha256 is not the recipe's {pin}")).into_iter().collect()
    }

    fn likeness(&self, other: &Request) -> usize {
        let Request::Url(other) = other else { return 0 };
        self.urls.iter().filter(|url| other.urls.contains(url)).count()
    }

    fn differences(&self, locked: &Request) -> Vec<String> {
        let Request::Url(locked) = locked else { return Vec::new() };
        let but = |all: &[String], known: &[String], what: &str| -> Vec<String> {
            let new = all.iter().filter(|url| !known.contains(url));
            new.map(|url| format!("`{}` was {what}", mask::text(url))).collect()
        };
        let mut words = but(&self.urls, &locked.urls, "added");
        words.extend(but(&locked.urls, &self.urls, "removed"));
        match (locked.sha256, self.sha256) {
            (had, Some(pin)) if had != self.sha256 => words.push(format!("the recipe's sha256 is now {pin}")),
            (Some(_), None) => words.push("the recipe no longer has a sha256".to_owned()),
            _ => {}
        }
        if words.is_empty() {
            words.push("the order of its addresses changed".to_owned());
        }
        words
    }

    fn fetch(&self, file: &LockedFile, with: &Fetching<'_>) -> Result<u64, SourceError> {
        let Location::Urls(urls) = &file.at else { return Err(misplaced(self, file)) };
        let if_gone =
            format!("{} was removed from the server: set another `url` for the same file in the component", file.name);
        with.by_urls(file, file.name.clone(), urls.clone(), if_gone)
    }
}

/// The additional key that pins the file.
pub(super) const SHA256: &str = "sha256";

/// Reads `url`, and `sha256` beside it.
pub(super) fn decode(
    node: &YamlNode,
    beside: &Table<'_>,
    _: SourceContext<'_>,
    sink: &FindingSink,
) -> Option<StatedSource> {
    let sha256: Option<String> = beside.optional(SHA256);
    let urls = match &node.value {
        YamlValue::Text { text, .. } => vec![text.clone()],
        _ => Vec::<String>::decode(node, sink)?,
    };
    if urls.is_empty() {
        sink.borrow_mut().add("source-kind", node.span, "`url` has no address");
        return None;
    }
    for url in &urls {
        if !no_credentials(url, node.span, sink) {
            return None;
        }
        if let Err(message) = check_address(url) {
            sink.borrow_mut().add("source-kind", node.span, message);
            return None;
        }
    }
    let sha256 = match sha256.map(|text| text.parse::<Digest>()) {
        Some(Err(error)) => {
            let span = beside.value(SHA256).unwrap_or(beside.span);
            sink.borrow_mut().add("wrong-type", span, error.to_string());
            return None;
        }
        Some(Ok(digest)) => Some(digest),
        None => None,
    };
    Some(StatedSource::of(Request::Url(UrlFile { urls, sha256 })))
}

/// Whether a URL is one that every program parses in the same way (RFC 3986): a program that is lenient, in its own
/// way, may see a password or a host where another one sees a path.
fn check_address(url: &str) -> Result<(), String> {
    if !["http://", "https://", "file://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("`{}` is not an address: expected http://, https:// or file://", mask::word(url)));
    }
    if let Some(odd) = url.chars().find(|c| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(*c)) {
        let encoded: String = odd.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(format!(
            "an address can't contain {odd:?}: write `{encoded}`, or quote the address if it ended before that"
        ));
    }
    match ::url::Url::parse(url) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{}` is not an address: {error}", mask::word(url))),
    }
}
