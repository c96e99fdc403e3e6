//! `dbco` builds a bootable Linux from a YAML recipe; see `ARCHITECTURE.md` for the map of this crate.
#![deny(unsafe_code)]

pub mod archive;
pub mod beneath;
pub mod boot;
pub mod build;
pub mod cli;
pub mod digest;
pub mod execution;
pub mod executor;
pub mod image;
pub mod inherited;
pub mod input;
pub mod inspect;
pub mod interrupt;
pub mod kernel;
pub mod lock;
pub mod mask;
pub mod output;
pub mod path_error;
pub mod plan;
pub mod platform;
pub mod printable;
pub mod process;
pub mod reader;
pub mod recipe;
pub mod repro;
pub mod rootfs;
pub mod sandbox;
pub mod session;
pub mod similar;
pub mod source;
pub mod step;
pub mod store;
pub mod threads;
pub mod tree;
pub mod yaml;
