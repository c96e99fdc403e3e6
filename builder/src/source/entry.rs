//! The resolution of a request: an entry of the lock.

use serde::{Deserialize, Serialize};

use super::kind::Resolved;
use super::locked::{ArchiveDate, Location, LockedFile, is_pool_path};
use super::{Request, Resolver, SourceError};

/// The resolution of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockEntry {
    /// The recipe's request.
    pub request: Request,
    /// The date of the Debian archive's signed index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_date: Option<ArchiveDate>,
    /// All its files; packages sorted by name.
    pub files: Vec<LockedFile>,
}

impl LockEntry {
    /// What is invalid in an entry, whatever its request. A pool path becomes part of a URL: one that climbs out would
    /// reach any file on the mirror's host. A suite determines which mirrors are used.
    pub(crate) fn fault(&self) -> Option<String> {
        self.files.iter().find_map(|file| {
            if let Location::Pool(pool) = &file.at
                && !is_pool_path(pool)
            {
                return Some(format!("`{pool}` of {} is not a path inside a Debian mirror", file.name));
            }
            let suite = file.suite.as_ref()?;
            let named = self.request.archives().iter().any(|archive| archive.suite == *suite);
            (!named).then(|| format!("{} is from the suite `{suite}`, which its request does not name", file.name))
        })
    }

    /// How its files differ from those that its request asks for, as reasons.
    pub fn broken(&self) -> Vec<String> {
        let kind = self.request.kind();
        let mut reasons = Vec::new();
        if self.files.is_empty() && !kind.is_empty() {
            reasons.push("it has no files".to_owned());
        }
        reasons.extend(kind.broken(&self.files));
        reasons
    }
}

impl Resolver<'_> {
    /// Resolves one request.
    pub fn resolve(&self, request: &Request) -> Result<LockEntry, SourceError> {
        let Resolved { archive_date, files } = request.kind().resolve(self)?;
        Ok(LockEntry { request: request.clone(), archive_date, files })
    }
}
