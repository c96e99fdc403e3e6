//! Root filesystems as data: layers merged into one tree, accounts, the layout's rules, and the audit.

mod accounts;
mod assemble;
pub mod audit;
mod folder;
mod layer;
mod merge;
mod programs;
pub mod services;
pub mod system;
mod usrmerge;

pub use crate::tree::Pattern;
pub use accounts::Account;
pub use assemble::{Assembly, AssemblyError, StatedFile, assemble};
pub use folder::{Folder, FolderError, Modes, Times, lay_out, read_built, scan, scan_unpacked};
pub use layer::{Layer, LayerOrigin};
pub use merge::{Conflict, Merged, Origins, merge};
pub use programs::{NeededFile, Program};
pub use usrmerge::{follow_usr_links, usr_links};
