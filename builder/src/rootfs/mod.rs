//! Root filesystems as data: layers merged into one tree, accounts, the layout's rules, and the audit.

mod accounts;
mod assemble;
pub mod audit;
mod folder;
mod merge;
mod pattern;

pub use accounts::Account;
pub use assemble::{Assembly, AssemblyError, assemble};
pub use folder::{Folder, FolderError, Times, lay_out, read_built, scan};
pub use merge::{Conflict, Layer, merge};
pub use pattern::Pattern;
