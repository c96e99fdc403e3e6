//! Systems and templates: trees that contain a whole system, on the systems' disk or packed; and the backup of single
//! files.
//!
//! | module | content |
//! |---|---|
//! | `tree` | trees copied, packed, unpacked |
//! | `attributes` | extended attributes taken out of a tar on its way to the crate that reads it |
//! | `owners` | a tree's owners shifted for a container with a user namespace |
//! | `sparse` | copies of large files that are mostly holes |
//! | `systems` | `/hd/systemN`: made, packed, restored, copied, removed, so that a power cut leaves the old or the new |
//! | `install` | `hdinstall`: a disk that boots by itself |
//! | `recovery` | removes what a power cut left, at the next start |
//! | `command` | `system`, the command line for it |
//! | `backup` | `filetool`: Tiny Core's backup of listed files |

mod attributes;
pub mod backup;
mod command;
pub mod install;
pub mod owners;
pub mod recovery;
pub mod sparse;
pub mod systems;
pub mod tree;

pub use backup::filetool;
pub use command::system;
pub use install::hdinstall;
