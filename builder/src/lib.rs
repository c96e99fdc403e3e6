//! `dbco` reads a YAML recipe and produces a bootable Linux; see `ARCHITECTURE.md` for the map of this crate.
#![deny(unsafe_code)]

pub mod digest;
pub mod lock;
pub mod process;
pub mod source;
pub mod store;
pub mod tree;
