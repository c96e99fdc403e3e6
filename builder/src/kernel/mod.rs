//! The kernel's inputs and outputs as text: Kconfig fragments, `.config` files, patches, modules.
//!
//! Nothing here starts a process or accesses the network. The executor runs patch and make in the toolchain; this
//! module determines their input and interprets their results. busybox uses the same Kconfig language and is supported,
//! too.

mod compressed;
pub mod config;
pub mod edit;
pub mod firmware;
pub mod fragment;
pub mod kconfig;
pub mod modules;
pub mod patch;
pub mod reproducible;
mod source;
pub mod verdict;
pub mod versions;

pub use config::{Config, merge};
pub use fragment::{Fragment, FragmentError, Setting, SymbolValue};
pub use source::{NoVersion, for_source, source_version};
pub use verdict::{Mismatch, check};
