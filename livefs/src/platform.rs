//! The architecture that this crate is compiled for: its names and sizes, all in one place.
//!
//! `builder/tests/tidy.rs` finds names of architectures elsewhere. To support another architecture, add its `row` here.

pub use row::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("src/platform.rs has no names for this architecture: add a module `row` for it");

#[cfg(target_arch = "x86_64")]
mod row {
    /// Bytes in a page. User beancounters count pages, and the signature of swap space is at the end of the first one.
    pub const PAGE: u64 = 4096;

    /// The kernel's file name on boot media and on an installed disk.
    pub const KERNEL: &str = "bzImage";

    /// The program that UEFI starts from `EFI/BOOT` of a disk (UEFI specification, 3.5.1.1).
    pub const UEFI_PROGRAM: &str = "BOOTX64.EFI";

    /// The kernel's `COMMAND_LINE_SIZE`, including the final 0 (`arch/x86/include/asm/setup.h`).
    pub const COMMAND_LINE: usize = 2048;

    /// The device name of the first serial ports, before the port's number.
    pub const SERIAL: &str = "ttyS";

    /// The default kernel command line of an installed disk: consoles on the screen and on the first serial port.
    pub const CONSOLES: &str = "console=tty0 console=ttyS0,115200";

    /// libseccomp's names of the ABIs whose system calls a process may use.
    pub const SECCOMP: &[&str] = &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
}
