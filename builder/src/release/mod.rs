//! Releases: the bill of materials and the provenance of an image, signatures, and how others check all of it.
//!
//! A release is a folder of outputs with three more files, which `SHA256SUMS` lists with the outputs, and signatures of
//! `SHA256SUMS` and of the statement beside these.

pub mod input;
pub mod project;
pub mod provenance;
pub mod sbom;
pub mod signature;
pub mod verify;

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::step::Blob;

pub use input::{ReleaseError, ReleaseInput};
pub use project::{ProjectCommit, ProjectError, check_out};
pub use provenance::{Statement, first_difference};

/// The bill of materials in SPDX's format.
pub const SPDX: &str = "sbom.spdx.json";

/// The bill of materials in CycloneDX's format.
pub const CYCLONEDX: &str = "sbom.cdx.json";

/// The statement of provenance.
pub const PROVENANCE: &str = "provenance.intoto.json";

/// Makes the documents of a release and stores them; gives them by file name.
pub fn documents(input: &ReleaseInput<'_>) -> Result<BTreeMap<String, Blob>, ReleaseError> {
    let inventory = sbom::inventory(input)?;
    let mut files: BTreeMap<String, Digest> =
        inventory.outputs.iter().map(|output| (output.name.clone(), output.sha256)).collect();
    let mut documents = BTreeMap::new();
    let mut add = |name: &str, text: String| -> Result<Digest, ReleaseError> {
        let digest = input.store.add_bytes(text.as_bytes())?;
        documents.insert(name.to_owned(), Blob { digest, size: text.len() as u64 });
        Ok(digest)
    };
    for (name, document) in
        [(SPDX, sbom::spdx::document(&inventory)), (CYCLONEDX, sbom::cyclonedx::document(&inventory))]
    {
        let text = serde_json::to_string_pretty(&document).expect("plain data with string keys") + "\n";
        files.insert(name.to_owned(), add(name, text)?);
    }
    add(PROVENANCE, Statement::of(input, &files)?.to_text())?;
    Ok(documents)
}
