//! `dbco` reads a YAML recipe and produces a bootable Linux; see `ARCHITECTURE.md` for the map of this crate.
#![deny(unsafe_code)]

pub mod boot;
pub mod digest;
pub mod image;
pub mod process;
pub mod store;
pub mod tree;
