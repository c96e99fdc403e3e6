//! The programs that run inside dbcolinux.
//!
//! One program with several names (`src/main.rs`), as busybox is; each module below has one task:
//!
//! | module | content |
//! |---|---|
//! | `boot` | the kernel's command line, finding disks, the boot modes |
//! | `system` | systems (`/systemN`) and templates as trees: creating, packing, restoring, copying, removing; backup; installation |
//! | `container` | the engine: one container's namespaces, limits, mounts and processes, through an OCI runtime |
//! | `net` | a container's network: links, addresses, routes, packet filter, forwarded ports |
//! | `vz` | the classic OpenVZ tools, based on `container` and `net`: configuration, `vzctl`, `vzlist` |

pub mod boot;
pub mod container;
mod durable;
mod mount_table;
pub mod net;
mod platform;
mod process;
pub mod system;
pub mod vz;
