//! The bill of materials as CycloneDX 1.6 JSON (<https://cyclonedx.org/docs/1.6/json/>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::model::{Inventory, OutputFile, Part, PartKind, PartRole, Relation, RelationKind, SourceLocation, Supplier};
use crate::digest::Digest;
use crate::release::input::{TOOL, TOOL_VERSION};

/// The reference of the image.
const IMAGE: &str = "image";

/// The document. Its serial number is derived from its content.
pub fn document(inventory: &Inventory) -> Value {
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": inventory.created,
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": TOOL, "version": TOOL_VERSION}]},
            "supplier": {"name": inventory.name},
            "component": {
                "type": "operating-system",
                "bom-ref": IMAGE,
                "name": inventory.name,
                "version": inventory.version,
                "description": inventory.summary,
                "components": inventory.outputs.iter().map(output).collect::<Vec<_>>(),
            },
        },
        "components": inventory.parts.iter().map(|part| component(inventory, part)).collect::<Vec<_>>(),
        "dependencies": dependencies(inventory),
    });
    document["serialNumber"] = json!(uuid(&Digest::of(document.to_string())));
    document
}

/// A UUID of version 8 (RFC 9562, section 5.8) from the first bits of a digest.
fn uuid(digest: &Digest) -> String {
    let hex = digest.to_string();
    let variant = ['8', '9', 'a', 'b'][usize::from(hex.as_bytes()[16]) % 4];
    format!("urn:uuid:{}-{}-8{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn output(file: &OutputFile) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("output-{}", file.name),
        "name": file.name,
        "hashes": [sha256(&file.sha256)],
        "properties": [property("dbco:size", file.size)],
    })
}

fn sha256(digest: &Digest) -> Value {
    json!({"alg": "SHA-256", "content": digest})
}

fn property(name: &str, value: impl ToString) -> Value {
    json!({"name": name, "value": value.to_string()})
}

fn component(inventory: &Inventory, part: &Part) -> Value {
    let kind = match part.kind {
        PartKind::Debian | PartKind::Crate => "library",
        PartKind::Component => "application",
        PartKind::Kernel => "operating-system",
        PartKind::Toolchain => "platform",
    };
    let mut value = json!({
        "type": kind,
        "bom-ref": part.reference(),
        "name": part.name,
        "version": part.version,
        "scope": if part.is_only_tool() { "excluded" } else { "required" },
        "properties": properties(part),
    });
    if let Some(supplier) = &part.supplier {
        value["supplier"] = match supplier {
            Supplier::Organization(name) | Supplier::Person(name) => json!({"name": name}),
        };
    }
    if let Some(purl) = &part.purl {
        value["purl"] = json!(purl);
    }
    // A package's or a crate's file is the component itself; that of a component is what it is built from.
    if let (PartKind::Debian | PartKind::Crate, [source]) = (part.kind, &part.sources[..]) {
        value["hashes"] = json!([sha256(&source.sha256)]);
    }
    if let Some(expression) = part.license.expression() {
        value["licenses"] = json!([{"expression": expression, "acknowledgement": "declared"}]);
        let texts = texts(inventory, expression);
        if !texts.is_empty() {
            value["evidence"] = json!({"licenses": texts});
        }
    }
    let references = references(part);
    if !references.is_empty() {
        value["externalReferences"] = json!(references);
    }
    if !part.patches.is_empty() {
        let patch = |name: &str| json!({"type": "unofficial", "diff": {"url": iri(name)}});
        let patches: Vec<Value> = part.patches.iter().map(|patch_file| patch(&patch_file.name)).collect();
        value["pedigree"] = json!({"patches": patches});
    }
    value
}

/// A path as an IRI reference (RFC 3987): what has a meaning in one is escaped.
fn iri(path: &str) -> String {
    path.chars()
        .map(|c| if " \"%:<>?#[]\\^`{|}".contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// What CycloneDX has no field for.
fn properties(part: &Part) -> Vec<Value> {
    let mut all = Vec::new();
    for role in &part.roles {
        let word = match role {
            PartRole::Image => "image",
            PartRole::BuildTool => "build-tool",
        };
        all.push(property("dbco:role", word));
    }
    for source in &part.sources {
        match &source.location {
            SourceLocation::Pool(path) => all.push(property("dbco:source:pool", path)),
            SourceLocation::Project => {
                all.push(property("dbco:source:path", &source.name));
                all.push(property("dbco:source:sha256", source.sha256));
            }
            SourceLocation::Urls(_) | SourceLocation::Git { .. } => {}
        }
    }
    let patch =
        |patch: &super::model::PatchFile| property("dbco:patch:sha256", format!("{} {}", patch.sha256, patch.name));
    all.extend(part.patches.iter().map(patch));
    all.extend(part.options.iter().map(|(symbol, value)| property(&format!("dbco:kernel:{symbol}"), value)));
    all
}

/// The texts of the licences in an expression that have no SPDX identifier.
fn texts(inventory: &Inventory, expression: &str) -> Vec<Value> {
    let words = expression.split(|c: char| c.is_whitespace() || "()".contains(c));
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("LicenseRef-")).collect();
    let text = |id: &str| {
        let text = inventory.license_texts.get(id)?;
        Some(json!({"license": {"name": id, "text": {"contentType": "text/plain", "content": text.text}}}))
    };
    named.into_iter().filter_map(text).collect()
}

fn references(part: &Part) -> Vec<Value> {
    let mut all = Vec::new();
    for source in &part.sources {
        let reference = |kind: &str, url: &str| json!({"type": kind, "url": url, "hashes": [sha256(&source.sha256)]});
        match &source.location {
            SourceLocation::Urls(urls) => {
                all.extend(urls.iter().map(|url| reference("source-distribution", url)));
            }
            SourceLocation::Git { .. } => {
                all.extend(source.location.uri().map(|uri| reference("vcs", &uri)));
            }
            SourceLocation::Pool(path) if part.kind != PartKind::Debian => {
                all.push(reference("source-distribution", &iri(path)));
            }
            SourceLocation::Pool(_) | SourceLocation::Project => {}
        }
    }
    let homepage =
        part.homepage.as_deref().filter(|url| url::Url::parse(url).is_ok() && !url.contains(char::is_whitespace));
    all.extend(homepage.map(|url| json!({"type": "website", "url": url})));
    all
}

/// For each part, what it directly needs. A component needs its toolchain, a toolchain its packages.
fn dependencies(inventory: &Inventory) -> Vec<Value> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in &inventory.parts {
        all.entry(part.reference()).or_default();
        if part.roles.contains(&PartRole::Image) || part.kind == PartKind::Toolchain {
            all.entry(IMAGE.to_owned()).or_default().insert(part.reference());
        }
    }
    all.entry(IMAGE.to_owned()).or_default();
    for Relation { from, kind, to } in &inventory.relations {
        let (from, to) = (inventory.parts[*from].reference(), inventory.parts[*to].reference());
        let (of, needs) = match kind {
            RelationKind::Contains | RelationKind::DependsOn => (from, to),
            RelationKind::BuildToolOf => (to, from),
        };
        all.entry(of).or_default().insert(needs);
    }
    all.into_iter().map(|(of, needs)| json!({"ref": of, "dependsOn": needs})).collect()
}
