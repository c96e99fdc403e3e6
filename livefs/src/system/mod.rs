//! Systems and templates: trees that contain a whole system, on the systems' disk or packed; and the backup of single
//! files.
//!
//! | module | content |
//! |---|---|
//! | `tree` | copying, packing and unpacking trees |
//! | `attributes` | extracts extended attributes from a tar before the crate `tar` reads it |
//! | `owners` | shifts a tree's owners for a container with a user namespace |
//! | `systems` | `/hd/systemN`: creating, packing, restoring, copying, removing, so that a power cut leaves the old or the new state |
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
pub mod systems;
pub mod tree;

pub use backup::filetool;
pub use command::system;
pub use install::hdinstall;
