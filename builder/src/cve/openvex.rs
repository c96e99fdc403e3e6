//! What is known about vulnerabilities as an OpenVEX document (specification 0.2.0): what patches fix, and what exceptions state.

use serde_json::{Value, json};

use super::{Judged, Status};
use crate::digest::Digest;

/// Whose document it is, and when it was made.
#[derive(Clone, Debug)]
pub struct VexHeader {
    /// The author.
    pub author: String,
    /// RFC 3339.
    pub timestamp: String,
    /// The image's recipe, and its package URL.
    pub image: String,
}

/// The document: a statement for each vulnerability that is not simply there.
pub fn openvex(judged: &[Judged<'_>], header: &VexHeader) -> Value {
    let mut statements = Vec::new();
    for one in judged {
        let (subject, found) = (one.subject, &one.found);
        let aliases: Vec<&String> = found.aliases.iter().collect();
        let mut statement = json!({
            "vulnerability": {"name": found.id},
            "products": [{"@id": header.image, "subcomponents": [{"@id": subject.purl()}]}],
        });
        if !aliases.is_empty() {
            statement["vulnerability"]["aliases"] = json!(aliases);
        }
        match &one.status {
            Status::Affected => {
                statement["status"] = "affected".into();
                statement["action_statement"] = match &found.fixed {
                    Some(fixed) => format!("update {} to {fixed} or later", subject.name),
                    None => "no fixed version is known".to_owned(),
                }
                .into();
            }
            Status::Fixed { patch } => {
                statement["status"] = "fixed".into();
                statement["status_notes"] = format!("fixed by the patch {patch}").into();
            }
            Status::NotCompiled { because } => {
                statement["status"] = "not_affected".into();
                statement["justification"] = "vulnerable_code_not_present".into();
                statement["impact_statement"] = because.join("; ").into();
            }
            Status::Ignored { reason, justification: Some(justification), .. } => {
                statement["status"] = "not_affected".into();
                statement["justification"] = justification.clone().into();
                statement["impact_statement"] = reason.clone().into();
            }
            Status::Ignored { reason, justification: None, until } => {
                let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
                statement["status"] = "affected".into();
                statement["action_statement"] = format!("accepted{until}: {reason}").into();
            }
        }
        statements.push(statement);
    }
    let content = json!({"statements": statements, "timestamp": header.timestamp, "author": header.author});
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://openvex.dev/docs/dbco/{}", Digest::of(content.to_string())),
        "author": header.author,
        "timestamp": header.timestamp,
        "version": 1,
        "tooling": concat!("dbco ", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    })
}
