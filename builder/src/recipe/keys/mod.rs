//! The keys of recipes, components and toolchains: a table for each mapping, which the parser, the schema and the
//! reference share.

mod boot;
mod changes;
mod component;
mod image;
mod project;
mod rootfs;
mod scalars;
mod system;
mod test;
mod toolchain;

pub use boot::{BOOT, BOOT_ENTRY};
pub use changes::LIST_CHANGES;
pub use component::{CARGO, COMPONENT, KCONFIG, LIMITS, SOURCE};
pub use image::{BUDGETS, INITRD, ISO, KERNEL, PARAMETER, RECIPE, SQUASHFS, TEMPLATE, TOOLCHAINS};
pub use project::{LIBRARY_FOLDER, PROJECT};
pub use rootfs::{ATTRIBUTES, AUDIT, DIVERSION, GROUP, NODE, OVERLAY, ROOTFS, SERVICE, USER};
pub use system::INTERFACE;
pub use test::{CUT, DISK, LOGIN, PEER, STEP, TEST, TEST_BOOT};
pub use toolchain::TOOLCHAIN;
