//! The bill of materials as SPDX 2.3 JSON (<https://spdx.github.io/spdx-spec/v2.3/>).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::model::{
    Inventory, OutputFile, Part, PartKind, PartRole, PatchFile, Relation, RelationKind, SourceLocation, Supplier, plain,
};
use crate::digest::Digest;
use crate::release::input::{HOME, TOOL, TOOL_VERSION};

/// Nothing is stated (clause 7.7 and others).
const NONE: &str = "NOASSERTION";

const IMAGE: &str = "SPDXRef-image";

/// The document. Its namespace is derived from its content.
pub fn document(inventory: &Inventory) -> Value {
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": inventory.name,
        "documentNamespace": "",
        "creationInfo": {
            "created": inventory.created,
            "creators": [tool()],
        },
        "packages": packages(inventory),
        "files": files(inventory),
        "relationships": relationships(inventory),
    });
    if !inventory.license_texts.is_empty() {
        document["hasExtractedLicensingInfos"] = inventory
            .license_texts
            .iter()
            .map(|(id, text)| json!({"licenseId": id, "name": text.name, "extractedText": text.text}))
            .collect();
    }
    let digest = Digest::of(document.to_string());
    document["documentNamespace"] = json!(format!("{HOME}/spdx/{}-{digest}", plain(&inventory.name)));
    document
}

fn tool() -> String {
    format!("Tool: {TOOL}-{TOOL_VERSION}")
}

fn id(part: &Part) -> String {
    format!("SPDXRef-{}", part.reference())
}

fn file_id(kind: &str, name: &str, sha256: &Digest) -> String {
    format!("SPDXRef-{kind}-{}-{}", plain(name), sha256.short())
}

fn output_id(file: &OutputFile) -> String {
    file_id("output", &file.name, &file.sha256)
}

fn patch_id(patch: &PatchFile) -> String {
    file_id("patch", &patch.name, &patch.sha256)
}

fn packages(inventory: &Inventory) -> Vec<Value> {
    let image = json!({
        "SPDXID": IMAGE,
        "name": inventory.name,
        "versionInfo": inventory.version,
        "summary": inventory.summary,
        "supplier": format!("Organization: {}", inventory.name),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "downloadLocation": NONE,
        "filesAnalyzed": true,
        "packageVerificationCode": {"packageVerificationCodeValue": verification_code(&inventory.outputs)},
        "licenseConcluded": NONE,
        "licenseDeclared": NONE,
        "licenseInfoFromFiles": [NONE],
        "copyrightText": NONE,
    });
    std::iter::once(image).chain(inventory.parts.iter().map(|part| package(inventory, part))).collect()
}

/// The SHA-1 of the sorted SHA-1 digests of the files (clause 7.9).
fn verification_code(files: &[OutputFile]) -> String {
    let mut digests: Vec<&str> = files.iter().map(|file| file.sha1.as_str()).collect();
    digests.sort_unstable();
    Sha1::digest(digests.concat()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn package(inventory: &Inventory, part: &Part) -> Value {
    let mut value = json!({
        "SPDXID": id(part),
        "name": part.name,
        "versionInfo": part.version,
        "supplier": part.supplier.as_ref().map_or_else(|| NONE.to_owned(), supplier),
        "downloadLocation": location(part),
        "filesAnalyzed": false,
        "licenseConcluded": NONE,
        "licenseDeclared": part.license.expression().unwrap_or(NONE),
        "copyrightText": NONE,
    });
    if let [source] = &part.sources[..]
        && source.location != SourceLocation::Project
    {
        value["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": source.sha256}]);
        value["packageFileName"] = json!(source.name);
    }
    if let Some(purl) = &part.purl {
        value["externalRefs"] = json!([{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl,
        }]);
    }
    if let Some(homepage) = part.homepage.as_deref().and_then(absolute) {
        value["homepage"] = json!(homepage);
    }
    match part.kind {
        PartKind::Kernel => value["primaryPackagePurpose"] = json!("OPERATING-SYSTEM"),
        PartKind::Crate => value["primaryPackagePurpose"] = json!("LIBRARY"),
        PartKind::Debian | PartKind::Component | PartKind::Toolchain => {}
    }
    let annotations = annotations(inventory, part);
    if !annotations.is_empty() {
        value["annotations"] = json!(annotations);
    }
    value
}

/// What SPDX has no field for.
fn annotations(inventory: &Inventory, part: &Part) -> Vec<Value> {
    let mut comments = Vec::new();
    if part.is_only_tool() {
        comments.push("build tool: not part of the image".to_owned());
    } else if part.roles.contains(&PartRole::BuildTool) {
        comments.push("build tool: also part of the image".to_owned());
    }
    for source in &part.sources {
        match &source.location {
            SourceLocation::Pool(path) => comments.push(format!("location on a Debian mirror: {path}")),
            SourceLocation::Project => {
                comments.push(format!("source in the project: {}, sha256 {}", source.name, source.sha256));
            }
            SourceLocation::Urls(_) | SourceLocation::Git { .. } => {}
        }
    }
    if !part.options.is_empty() {
        let options: Vec<String> = part.options.iter().map(|(symbol, value)| format!("{symbol}={value}")).collect();
        comments.push(format!("enabled kernel options:\n{}", options.join("\n")));
    }
    let annotation = |comment| {
        json!({
            "annotationDate": inventory.created, "annotationType": "OTHER", "annotator": tool(), "comment": comment,
        })
    };
    comments.into_iter().map(annotation).collect()
}

/// The download location (clause 7.7).
fn location(part: &Part) -> String {
    let first = part.sources.first().and_then(|source| source.location.uri());
    first.unwrap_or_else(|| NONE.to_owned())
}

fn absolute(url: &str) -> Option<&str> {
    let parsed = url::Url::parse(url).ok()?;
    (matches!(parsed.scheme(), "http" | "https") && !url.contains(char::is_whitespace)).then_some(url)
}

/// An actor (clause 7.5): `Person: name (address)`, in which parentheses have a meaning.
fn supplier(supplier: &Supplier) -> String {
    let clean = |text: &str| text.replace(['(', ')', '\n'], " ").trim().to_owned();
    match supplier {
        Supplier::Organization(name) => format!("Organization: {}", clean(name)),
        Supplier::Person(text) => {
            let (name, address) = text.split_once('<').unwrap_or((text, ""));
            let address = clean(address.trim_end().trim_end_matches('>'));
            let name = match clean(name) {
                name if name.is_empty() => address.clone(),
                name => name,
            };
            let plausible = address.contains('@') && !address.contains(char::is_whitespace);
            if plausible { format!("Person: {name} ({address})") } else { format!("Person: {name}") }
        }
    }
}

fn files(inventory: &Inventory) -> Vec<Value> {
    let file = |id: String, name: &str, sha1: &str, sha256: &Digest, kind: &str| {
        json!({
            "SPDXID": id,
            "fileName": format!("./{name}"),
            "fileTypes": [kind],
            "checksums": [
                {"algorithm": "SHA1", "checksumValue": sha1},
                {"algorithm": "SHA256", "checksumValue": sha256},
            ],
            "licenseConcluded": NONE,
            "licenseInfoInFiles": [NONE],
            "copyrightText": NONE,
        })
    };
    let outputs = inventory.outputs.iter().map(|output| {
        (output_id(output), file(output_id(output), &output.name, &output.sha1, &output.sha256, "BINARY"))
    });
    let patches = inventory.parts.iter().flat_map(|part| &part.patches);
    let patches = patches
        .map(|patch| (patch_id(patch), file(patch_id(patch), &patch.name, &patch.sha1, &patch.sha256, "SOURCE")));
    // One patch may be applied to several parts.
    outputs.chain(patches).collect::<BTreeMap<_, _>>().into_values().collect()
}

fn relationships(inventory: &Inventory) -> Vec<Value> {
    let mut all = vec![("SPDXRef-DOCUMENT".to_owned(), "DESCRIBES", IMAGE.to_owned())];
    all.extend(inventory.outputs.iter().map(|file| (IMAGE.to_owned(), "CONTAINS", output_id(file))));
    for part in &inventory.parts {
        if part.roles.contains(&PartRole::Image) {
            all.push((IMAGE.to_owned(), "CONTAINS", id(part)));
        }
        if part.roles.contains(&PartRole::BuildTool) {
            all.push((id(part), "BUILD_TOOL_OF", IMAGE.to_owned()));
        }
        all.extend(part.patches.iter().map(|patch| (patch_id(patch), "PATCH_APPLIED", id(part))));
    }
    for Relation { from, kind, to } in &inventory.relations {
        let kind = match kind {
            RelationKind::Contains => "CONTAINS",
            RelationKind::DependsOn => "DEPENDS_ON",
            RelationKind::BuildToolOf => "BUILD_TOOL_OF",
        };
        all.push((id(&inventory.parts[*from]), kind, id(&inventory.parts[*to])));
    }
    let value = |(from, kind, to): (String, &str, String)| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    all.into_iter().map(value).collect()
}
