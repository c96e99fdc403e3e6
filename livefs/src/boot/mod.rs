//! The part of the boot that a shell does not do well: which disk holds the systems, whether it is sound, and what to
//! start from it.
//!
//! The initramfs's `/init` remains a short shell script, which also serves images without this crate. If the livefs
//! contains this crate, the script runs [`bootplan`] and acts on its output; and `rcS` calls [`chroot_system`] in mode
//! `chroot`.
//!
//! | module | what it holds |
//! |---|---|
//! | `cmdline` | what the kernel's command line asks for |
//! | `probe` | which filesystem a device holds |
//! | `disks` | the block devices there are, and those that appear |
//! | `hd` | the systems' disk: checked, repaired, mounted |
//! | `program` | whether a tree holds a program that can be started |
//! | `plan` | `bootplan`: all of these in their order, and what comes of them |
//! | `chroot` | `chroot-system`: a system started inside the live system, with the console |

pub mod chroot;
pub mod cmdline;
pub mod disks;
pub mod hd;
pub mod plan;
pub mod probe;
pub mod program;

pub use chroot::chroot_system;
pub use plan::bootplan;
