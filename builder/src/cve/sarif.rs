//! The result as SARIF 2.1.0 (OASIS Standard), as code scanning of forges reads it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{Finding, Judged, Place, Severity, Status};

/// The schema that the document states.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The document. Paths are relative to `project`, which is the base `PROJECT`.
pub fn sarif(judged: &[Judged<'_>], findings: &[Finding], project: &Path) -> Value {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for one in judged {
        let found = &one.found;
        let text = if found.summary.is_empty() { &found.id } else { &found.summary };
        let mut rule = json!({
            "id": found.id,
            "shortDescription": {"text": text},
            "properties": {"tags": ["security", "vulnerability"]},
        });
        if let Some(score) = score(found.severity) {
            rule["properties"]["security-severity"] = score.into();
        }
        if found.id.starts_with("CVE-") {
            rule["helpUri"] = format!("https://www.cve.org/CVERecord?id={}", found.id).into();
        }
        rules.entry(&found.id).or_insert(rule);
    }
    for finding in findings {
        let text = match finding {
            Finding::Expired(_) => "An exception whose last day has passed",
            Finding::Unused(_) => "An exception that matches nothing",
        };
        rules
            .entry(finding.rule())
            .or_insert_with(|| json!({"id": finding.rule(), "shortDescription": {"text": text}}));
    }
    let index: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(index, id)| (*id, index)).collect();
    let location = |place: &Place| {
        let path = super::sarif_path(&place.file, project);
        json!([{"physicalLocation": {
            "artifactLocation": {"uri": path, "uriBaseId": "PROJECT"},
            "region": {"startLine": place.line.max(1)},
        }}])
    };
    let mut results: Vec<Value> = Vec::new();
    for one in judged {
        let (subject, found) = (one.subject, &one.found);
        let fixed = found.fixed.as_ref().map(|fixed| format!("; fixed in {fixed}")).unwrap_or_default();
        let mut result = json!({
            "ruleId": found.id,
            "ruleIndex": index[found.id.as_str()],
            "level": level(found.severity),
            "message": {"text": format!("{subject}: {} ({}){fixed}", found.id, found.severity.word())},
            "locations": location(&subject.place),
            "partialFingerprints": {"vulnerability/v1": format!("{} {}", found.id, subject.name)},
        });
        let suppressed = match &one.status {
            Status::Affected => None,
            Status::Fixed { patch } => Some(format!("fixed by {patch}")),
            Status::NotCompiled { because } => Some(because.join("; ")),
            Status::Ignored { reason, until, .. } => {
                let until = until.map(|until| format!(" (until {until})")).unwrap_or_default();
                Some(format!("{reason}{until}"))
            }
        };
        // Without `status`, which means accepted (section 3.35.3): schemas made before the final one call it `state`.
        result["suppressions"] = match suppressed {
            Some(text) => json!([{"kind": "external", "justification": text}]),
            None => json!([]),
        };
        results.push(result);
    }
    for finding in findings {
        results.push(json!({
            "ruleId": finding.rule(),
            "ruleIndex": index[finding.rule()],
            "level": "error",
            "message": {"text": finding.text()},
            "locations": location(finding.place()),
            // A document has them for all of its results or for none.
            "suppressions": [],
        }));
    }
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "dbco",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "originalUriBaseIds": {"PROJECT": {"description": {"text": "the folder of the project"}}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium | Severity::Unknown => "warning",
        Severity::Low | Severity::None => "note",
    }
}

/// The middle of the rating's range of scores, which is what GitHub sorts by.
fn score(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Unknown => None,
        Severity::None => Some("0.0"),
        Severity::Low => Some("2.0"),
        Severity::Medium => Some("5.5"),
        Severity::High => Some("8.0"),
        Severity::Critical => Some("9.5"),
    }
}
