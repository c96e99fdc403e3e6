//! OSV records (<https://ossf.github.io/osv-schema/>, 1.7): what Debian's, RustSec's and other databases export.

use serde::Deserialize;
use serde_json::Value;

use super::versions::{VersionOrder, same_release};
use super::{Match, Severity, Subject, SubjectKind};

/// One record.
#[derive(Clone, Debug, Deserialize)]
pub struct OsvRecord {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    /// Vulnerabilities that the record is about; Debian's have them here.
    #[serde(default)]
    upstream: Vec<String>,
    withdrawn: Option<String>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    severity: Vec<OsvSeverity>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct OsvSeverity {
    #[serde(default)]
    score: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    severity: Vec<OsvSeverity>,
    #[serde(default)]
    ecosystem_specific: Value,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Range {
    r#type: String,
    #[serde(default)]
    repo: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Clone, Debug, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// The numbers of Debian's releases in OSV's ecosystems: `Debian:12`.
const RELEASES: [(&str, &str); 7] = [
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
];

/// Other ecosystems whose packages are released upstream, as a project's own versions.
const UPSTREAM: [&str; 4] = ["Linux", "OSS-Fuzz", "GIT", "Bitnami"];

impl OsvRecord {
    /// Whether it may concern a subject: cheap, before it is kept.
    pub fn concerns(&self, subject: &Subject) -> bool {
        self.withdrawn.is_none() && self.affected.iter().any(|affected| affected.order(subject).is_some())
    }

    /// The match, if it affects the subject's version.
    pub fn matches(&self, subject: &Subject, source: &str) -> Option<Match> {
        if self.withdrawn.is_some() {
            return None;
        }
        let of = |affected: &Affected| affected.affects(subject, affected.order(subject)?);
        let (affected, fixed) = self.affected.iter().find_map(|affected| Some((affected, of(affected)?)))?;
        let scores = self.severity.iter().chain(&affected.severity).map(|one| Severity::of_vector(&one.score));
        let words = [&self.database_specific, &affected.database_specific, &affected.ecosystem_specific];
        let words = words.into_iter().flat_map(|value| [&value["severity"], &value["urgency"]]);
        let words = words.filter_map(Value::as_str).map(Severity::of_word);
        // RustSec states the vector beside the range.
        let vector = affected.database_specific["cvss"].as_str().map(Severity::of_vector);
        let severity = scores.chain(words).chain(vector).max().unwrap_or_default();
        let (id, aliases) = Match::named(&self.id, self.aliases.iter().chain(&self.upstream).cloned());
        let text = if self.summary.is_empty() { &self.details } else { &self.summary };
        Some(Match {
            id,
            aliases,
            severity,
            summary: super::text::one_line(text),
            fixed,
            files: [].into(),
            source: source.to_owned(),
        })
    }
}

impl Affected {
    /// The order of versions if this is about the subject.
    fn order(&self, subject: &Subject) -> Option<VersionOrder> {
        let Some(Package { ecosystem, name }) = &self.package else {
            // A repository's tags, as in records made from CVEs.
            let repository = |range: &Range| {
                let last = range.repo.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                subject.is_named(last.trim_end_matches(".git"))
            };
            let own = matches!(subject.kind, SubjectKind::Component | SubjectKind::Kernel);
            return (own && self.ranges.iter().any(repository)).then_some(VersionOrder::Upstream);
        };
        match &subject.kind {
            SubjectKind::Debian { release, .. } => {
                let number = RELEASES.iter().find(|(known, _)| known == release).map(|(_, number)| *number);
                let (family, of) = ecosystem.split_once(':').unwrap_or((ecosystem, ""));
                let same = family == "Debian" && (of.is_empty() || number == Some(of));
                (same && *name == subject.name).then_some(VersionOrder::Debian)
            }
            SubjectKind::Crate => (ecosystem == "crates.io" && *name == subject.name).then_some(VersionOrder::Semver),
            SubjectKind::Component | SubjectKind::Kernel => {
                (UPSTREAM.contains(&ecosystem.as_str()) && subject.is_named(name)).then_some(VersionOrder::Upstream)
            }
        }
    }

    /// Whether the subject's version is affected: the first version with a fix, if there is one.
    fn affects(&self, subject: &Subject, order: VersionOrder) -> Option<Option<String>> {
        let version = &subject.version;
        for range in self.ranges.iter().filter(|range| range.r#type != "GIT") {
            if let Some(fixed) = range.affects(version, order) {
                return Some(fixed);
            }
        }
        let listed = self
            .versions
            .iter()
            .any(|known| known == version || (order == VersionOrder::Upstream && same_release(known, version)));
        listed.then_some(None)
    }
}

impl Range {
    /// OSV's algorithm (schema, "Evaluation"): events in the order of their versions, each of which changes the state.
    fn affects(&self, version: &str, order: VersionOrder) -> Option<Option<String>> {
        // The start of everything is before all versions.
        let not_after = |limit: &str| limit == "0" || order.compare(limit, version).is_le();
        let mut introduced: Vec<&str> = self.events.iter().filter_map(|event| event.introduced.as_deref()).collect();
        introduced.retain(|start| not_after(start));
        let begin = introduced.into_iter().reduce(|a, b| {
            let later = b != "0" && (a == "0" || order.compare(a, b).is_lt());
            if later { b } else { a }
        })?;
        let after_begin = |limit: &&str| begin == "0" || order.compare(begin, limit).is_le();
        let fixed: Vec<&str> =
            self.events.iter().filter_map(|event| event.fixed.as_deref()).filter(after_begin).collect();
        let last: Vec<&str> =
            self.events.iter().filter_map(|event| event.last_affected.as_deref()).filter(after_begin).collect();
        if fixed.iter().any(|fixed| not_after(fixed)) || last.iter().any(|last| order.compare(last, version).is_lt()) {
            return None;
        }
        Some(fixed.into_iter().min_by(|a, b| order.compare(a, b)).map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(events: &str) -> Range {
        serde_json::from_str(&format!("{{\"type\": \"SEMVER\", \"events\": {events}}}")).unwrap()
    }

    #[test]
    fn ranges_are_evaluated_event_by_event() {
        let two = range(r#"[{"introduced": "0"}, {"fixed": "1.0.5"}, {"introduced": "2.0.0"}, {"fixed": "2.1.0"}]"#);
        let order = VersionOrder::Semver;
        for (version, fixed) in
            [("0.1.0", Some("1.0.5")), ("1.0.5", None), ("1.9.0", None), ("2.0.0", Some("2.1.0")), ("2.1.0", None)]
        {
            assert_eq!(two.affects(version, order).map(Option::unwrap).as_deref(), fixed, "{version}");
        }
        let last = range(r#"[{"introduced": "1.0.0"}, {"last_affected": "1.2.0"}]"#);
        for (version, affected) in [("0.9.0", false), ("1.0.0", true), ("1.2.0", true), ("1.2.1", false)] {
            assert_eq!(last.affects(version, order).is_some(), affected, "{version}");
        }
    }
}
