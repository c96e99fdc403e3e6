//! CVE records (`dataType: CVE_RECORD`, schema 5.0 to 5.2), in particular those of the kernel's CVE team
//! (<https://docs.kernel.org/process/cve.html>), which name the files of a vulnerability.

use serde::Deserialize;
use serde_json::Value;

use super::versions::VersionOrder;
use super::{Match, Severity, Subject, SubjectKind};

/// One record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CveRecord {
    cve_metadata: Metadata,
    containers: Containers,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    cve_id: String,
    #[serde(default)]
    state: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Containers {
    cna: Container,
    #[serde(default)]
    adp: Vec<Container>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    title: String,
    #[serde(default)]
    descriptions: Vec<Description>,
    #[serde(default)]
    affected: Vec<Product>,
    #[serde(default)]
    metrics: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
struct Description {
    #[serde(default)]
    value: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    #[serde(default)]
    product: String,
    #[serde(default)]
    default_status: String,
    #[serde(default)]
    program_files: Vec<String>,
    #[serde(default)]
    versions: Vec<VersionRange>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionRange {
    version: String,
    status: String,
    less_than: Option<String>,
    less_than_or_equal: Option<String>,
    #[serde(default)]
    version_type: String,
}

impl CveRecord {
    /// Whether it may concern a subject.
    pub fn concerns(&self, subject: &Subject) -> bool {
        let own = matches!(subject.kind, SubjectKind::Component | SubjectKind::Kernel);
        own && self.cve_metadata.state != "REJECTED"
            && self.containers.cna.affected.iter().any(|product| subject.is_named(&product.product))
    }

    /// The match, if it affects the subject's version.
    pub fn matches(&self, subject: &Subject, source: &str) -> Option<Match> {
        if !self.concerns(subject) {
            return None;
        }
        let cna = &self.containers.cna;
        let products = || cna.affected.iter().filter(|product| subject.is_named(&product.product));
        // The same versions once more as commits, which say nothing about a release, are not used.
        let by_release = || products().filter(|product| !product.is_by_commit());
        if !by_release().any(|product| product.affects(&subject.version)) {
            return None;
        }
        let scores = [&self.containers.cna].into_iter().chain(&self.containers.adp).flat_map(|one| &one.metrics);
        let severity = scores.flat_map(severity).max().unwrap_or_default();
        let text =
            if cna.title.is_empty() { cna.descriptions.first().map_or("", |text| &text.value) } else { &cna.title };
        Some(Match {
            id: self.cve_metadata.cve_id.clone(),
            aliases: [].into(),
            severity,
            summary: super::text::one_line(text),
            fixed: by_release().find_map(|product| product.fixed(&subject.version)),
            files: products().flat_map(|product| product.program_files.iter().cloned()).collect(),
            source: source.to_owned(),
        })
    }
}

/// The severities in an object of `metrics`, one for each version of CVSS.
fn severity(metrics: &Value) -> impl Iterator<Item = Severity> + '_ {
    metrics
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, metric)| metric["baseSeverity"].as_str())
        .map(Severity::of_word)
}

impl Product {
    fn is_by_commit(&self) -> bool {
        !self.versions.is_empty() && self.versions.iter().all(|range| range.version_type == "git")
    }

    /// The status of the first range that includes a version, otherwise the default (schema, "Version status decision algorithm").
    fn affects(&self, version: &str) -> bool {
        let ranges = self.versions.iter().filter(|range| range.version_type != "git");
        let status = ranges
            .into_iter()
            .find(|range| range.includes(version))
            .map_or(&self.default_status, |range| &range.status);
        // What the record calls unknown may be affected.
        status != "unaffected" && !(status.is_empty() && self.versions.is_empty())
    }

    /// The lowest version after this one that is stated to be unaffected, in the same series if there is one.
    fn fixed(&self, version: &str) -> Option<String> {
        let starts = self.versions.iter().filter(|range| range.status == "unaffected" && range.version != "0");
        let ends =
            self.versions.iter().filter(|range| range.status == "affected").filter_map(|range| range.less_than.clone());
        let all = starts.map(|range| range.version.clone()).chain(ends);
        let mut later: Vec<String> = all.filter(|one| one.starts_with(|c: char| c.is_ascii_digit())).collect();
        later.retain(|one| VersionOrder::Upstream.compare(version, one).is_lt());
        later.sort_by(|a, b| VersionOrder::Upstream.compare(a, b));
        later.into_iter().next()
    }
}

impl VersionRange {
    fn includes(&self, version: &str) -> bool {
        let order = VersionOrder::Upstream;
        let from_start = self.version == "0" || self.version == "*" || order.compare(&self.version, version).is_le();
        match (&self.less_than, &self.less_than_or_equal) {
            (None, None) if self.version == "*" => true,
            // A kernel's series is named by its first release: 5.10 as the start, then ranges for what is after it.
            (None, None) => order.compare(&self.version, version).is_eq(),
            (Some(end), _) => from_start && (end == "*" || order.compare(version, end).is_lt()),
            (None, Some(end)) => from_start && is_until(version, end),
        }
    }
}

/// Whether a version is not after `end`, which may be `6.1.*` or `*`.
fn is_until(version: &str, end: &str) -> bool {
    match end.strip_suffix('*') {
        Some("") => true,
        Some(series) => version.starts_with(series) || version == series.trim_end_matches('.'),
        None => VersionOrder::Upstream.compare(version, end).is_le(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of the kernel's records.
    #[test]
    fn a_kernels_series_have_their_own_fixes() {
        let product: Product = serde_json::from_str(
            r#"{"product": "Linux", "defaultStatus": "affected", "programFiles": ["net/a.c"], "versions": [
                {"version": "5.10", "status": "affected"},
                {"version": "0", "lessThan": "5.10", "status": "unaffected", "versionType": "semver"},
                {"version": "6.1.82", "lessThanOrEqual": "6.1.*", "status": "unaffected", "versionType": "semver"},
                {"version": "6.9", "lessThanOrEqual": "*", "status": "unaffected", "versionType": "original_commit_for_fix"}]}"#,
        )
        .unwrap();
        for (version, affected) in [
            ("5.4.200", false),
            ("5.10", true),
            ("5.15.3", true),
            ("6.1.81", true),
            ("6.1.82", false),
            ("6.1.107", false),
            ("6.2", true),
            ("6.9", false),
            ("6.12.107", false),
        ] {
            assert_eq!(product.affects(version), affected, "{version}");
        }
        assert_eq!(product.fixed("6.1.81").as_deref(), Some("6.1.82"));
    }
}
