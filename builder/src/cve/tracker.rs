//! Debian's security tracker: `https://security-tracker.debian.org/tracker/data/json`, an object of source packages, each an object of
//! vulnerabilities with their state in each release. It has no version of its own; the form is that of 2015 to 2026.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::versions::VersionOrder;
use super::{Match, Severity, Subject, SubjectKind};

/// The vulnerabilities of source packages, by package and identifier.
pub type Tracker = BTreeMap<String, BTreeMap<String, TrackedIssue>>;

/// One vulnerability of one source package.
#[derive(Clone, Debug, Deserialize)]
pub struct TrackedIssue {
    #[serde(default)]
    description: String,
    releases: BTreeMap<String, ReleaseState>,
}

/// Its state in one release.
#[derive(Clone, Debug, Deserialize)]
struct ReleaseState {
    /// `open`, `resolved` or `undetermined`.
    status: String,
    /// The version with the fix; `0` if the release never had the vulnerability.
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
}

/// The vulnerabilities of a subject.
pub fn matches(tracker: &Tracker, subject: &Subject, source: &str) -> Vec<Match> {
    let SubjectKind::Debian { release, .. } = &subject.kind else { return Vec::new() };
    let issues = tracker.get(&subject.name).into_iter().flatten();
    let matching = issues.filter_map(|(id, issue)| {
        let state = issue.releases.get(release)?;
        let fixed = state.fixed_version.as_deref();
        let affected = match state.status.as_str() {
            "resolved" => {
                let fixed = fixed?;
                fixed != "0" && VersionOrder::Debian.compare(&subject.version, fixed).is_lt()
            }
            _ => true,
        };
        affected.then(|| Match {
            id: id.clone(),
            aliases: [].into(),
            severity: Severity::of_word(&state.urgency),
            summary: super::text::one_line(&issue.description),
            fixed: fixed.filter(|_| state.status == "resolved").map(str::to_owned),
            files: [].into(),
            source: source.to_owned(),
        })
    });
    matching.collect()
}
