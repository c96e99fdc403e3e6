//! What a request became: an entry of the lock.

use serde::{Deserialize, Serialize};

use super::kind::Resolved;
use super::locked::{ArchiveDate, Location, LockedFile, is_pool_path};
use super::{Request, Resolver, SourceError};

/// What one request became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockEntry {
    /// As the recipe asked.
    pub request: Request,
    /// The date of the Debian archive's signed index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_date: Option<ArchiveDate>,
    /// All files that it stands for; packages sorted by name.
    pub files: Vec<LockedFile>,
}

impl LockEntry {
    /// What can't be right in an entry, whatever its request asks for. A pool path becomes part of a URL: one that climbs
    /// out would reach any file of the mirror's host. A suite says which mirrors are asked.
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

    /// In what way its files are not those that its request asks for; each reason in words.
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
    /// Pins one request.
    pub fn resolve(&self, request: &Request) -> Result<LockEntry, SourceError> {
        let Resolved { archive_date, files } = request.kind().resolve(self)?;
        Ok(LockEntry { request: request.clone(), archive_date, files })
    }
}
