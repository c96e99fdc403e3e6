//! The part of the boot that a shell does not do well: which disk holds the systems, whether it is sound, and what to
//! start from it.
//!
//! The initramfs's `/init` remains a short shell script, which also serves images without this crate. If the livefs
//! contains this crate, the script runs [`bootplan`] and acts on its output; and `rcS` calls [`chroot_system`] in mode
//! `chroot`.
//!
//! | module | content |
//! |---|---|
//! | `cmdline` | the options on the kernel's command line |
//! | `probe` | detects the file system on a device |
//! | `disks` | the existing block devices, and those that appear |
//! | `hd` | the systems' disk: checked, repaired, mounted |
//! | `program` | whether a tree contains a program that can be started |
//! | `plan` | `bootplan`: uses all of these to decide what to start |
//! | `chroot` | `chroot-system`: starts a system inside the live system, with the console |

pub mod chroot;
pub mod cmdline;
pub mod disks;
pub mod hd;
pub mod plan;
pub mod probe;
pub mod program;

pub use chroot::chroot_system;
pub use plan::bootplan;
