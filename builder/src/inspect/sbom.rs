//! The packages of an SBOM: SPDX 2 and CycloneDX in JSON.

use std::collections::BTreeMap;

use serde_json::Value;

/// An SBOM's kind, and its packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    /// `SPDX-2.3`, `CycloneDX 1.6`.
    pub format: String,
    /// Versions by name; several of the same name are separated by commas.
    pub packages: BTreeMap<String, String>,
}

/// Reads a document; `None` if it is not an SBOM of these kinds.
pub fn parse(document: &[u8]) -> Option<Sbom> {
    let document: Value = serde_json::from_slice(document).ok()?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (format, list, version) = match text(&document, "spdxVersion") {
        Some(format) => (format, document.get("packages"), "versionInfo"),
        None if text(&document, "bomFormat").as_deref() == Some("CycloneDX") => {
            let format = format!("CycloneDX {}", text(&document, "specVersion").unwrap_or_default());
            (format, document.get("components"), "version")
        }
        None => return None,
    };
    let mut packages: BTreeMap<String, String> = BTreeMap::new();
    let mut left: Vec<&Value> = list.and_then(Value::as_array).into_iter().flatten().collect();
    left.reverse();
    while let Some(item) = left.pop() {
        // CycloneDX's components may contain components.
        left.extend(item.get("components").and_then(Value::as_array).into_iter().flatten().rev());
        let Some(name) = text(item, "name") else { continue };
        let version = text(item, version).unwrap_or_default();
        match packages.get_mut(&name) {
            Some(versions) if *versions != version => *versions = format!("{versions}, {version}"),
            Some(_) => {}
            None => drop(packages.insert(name, version)),
        }
    }
    Some(Sbom { format, packages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_give_names_and_versions() {
        let spdx = br#"{"spdxVersion": "SPDX-2.3", "packages": [{"name": "a", "versionInfo": "1"}, {"name": "b"}]}"#;
        let sbom = parse(spdx).unwrap();
        assert_eq!(
            (sbom.format.as_str(), sbom.packages["a"].as_str(), sbom.packages["b"].as_str()),
            ("SPDX-2.3", "1", "")
        );
        let cyclone = br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
            {"name": "a", "version": "1", "components": [{"name": "c", "version": "3"}]}, {"name": "a", "version": "2"}]}"#;
        let sbom = parse(cyclone).unwrap();
        assert_eq!((sbom.packages["a"].as_str(), sbom.packages["c"].as_str()), ("1, 2", "3"));
        assert_eq!(parse(b"{}"), None);
        assert_eq!(parse(b"not JSON"), None);
    }
}
