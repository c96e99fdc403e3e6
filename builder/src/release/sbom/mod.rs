//! The bill of materials (SBOM) of a release: one inventory, written in two formats.

mod collect;
mod copyright;
pub mod cyclonedx;
mod license;
pub mod model;
mod purl;
pub mod spdx;

pub use collect::inventory;
pub use purl::cargo as cargo_purl;
