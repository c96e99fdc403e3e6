//! Architectures, and their names in each tool and project.
//!
//! All names of an architecture are in [`Platform::names`]; `tests/tidy.rs` finds them elsewhere.

/// An architecture: that of an image, or that of dbco's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// The PC's 64-bit architecture.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// The names of an architecture.
#[derive(Debug)]
pub struct Names {
    /// In recipes (`arch`) and `uname -m`.
    pub arch: &'static str,
    /// In Debian: `dpkg --print-architecture`.
    pub debian: &'static str,
    /// In compilers and linkers, before `-gcc`: the GNU triplet as in Debian.
    pub compiler: &'static str,
    /// In the kernel.
    pub kernel: KernelNames,
    /// In GRUB.
    pub grub: GrubNames,
    /// xz's branch filter for its machine code (mksquashfs's `-Xbcj`), if the tools have one.
    pub branch_filter: Option<&'static str>,
    /// The machine of boot tests.
    pub qemu: Qemu,
    /// The device name of its first serial ports, before the port's number.
    pub serial: &'static str,
}

/// The names of an architecture in the kernel's sources (`Makefile`).
#[derive(Debug)]
pub struct KernelNames {
    /// `ARCH`.
    pub arch: &'static str,
    /// `SRCARCH`: the folder below `arch/`.
    pub source: &'static str,
    /// The file below `arch/*/configs` that `make defconfig` takes (`KBUILD_DEFCONFIG`).
    pub defconfig: &'static str,
    /// The file that boot loaders load, which is the default target of `make`.
    pub image: &'static str,
    /// Its path after `make`.
    pub image_path: &'static str,
    /// `COMMAND_LINE_SIZE`, including the final 0 (`arch/*/include/uapi/asm/setup.h`).
    pub command_line: usize,
}

/// GRUB's names of its ports to the firmware of an architecture.
#[derive(Debug)]
pub struct GrubNames {
    /// The port to a PC's BIOS.
    pub bios: Option<BiosNames>,
    /// The port to UEFI: format of `grub-mkimage` and folder of modules.
    pub efi: &'static str,
    /// The program that UEFI starts from a removable medium (UEFI specification, 3.5.1.1).
    pub efi_program: &'static str,
}

/// GRUB's name of its port to a PC's BIOS.
#[derive(Debug)]
pub struct BiosNames {
    /// The folder of its modules.
    pub modules: &'static str,
    /// The format of `grub-mkimage` for a CD.
    pub cd: &'static str,
}

/// A machine of QEMU, and the UEFI firmware for it.
#[derive(Debug)]
pub struct Qemu {
    /// The program.
    pub program: &'static str,
    /// `-machine`.
    pub machine: &'static str,
    /// `-cpu` for emulation: the oldest one supported by the architecture's distributions, plus random numbers.
    pub cpu: &'static str,
    /// The path of the firmware's code in Debian.
    pub uefi_code: &'static str,
    /// The path of the firmware's empty variable store.
    pub uefi_variables: &'static str,
}

static X86_64: Names = Names {
    arch: "x86_64",
    debian: "amd64",
    compiler: "x86_64-linux-gnu",
    kernel: KernelNames {
        arch: "x86_64",
        source: "x86",
        defconfig: "x86_64_defconfig",
        image: "bzImage",
        image_path: "arch/x86/boot/bzImage",
        command_line: 2048,
    },
    grub: GrubNames {
        bios: Some(BiosNames { modules: "i386-pc", cd: "i386-pc-eltorito" }),
        efi: "x86_64-efi",
        efi_program: "BOOTX64.EFI",
    },
    branch_filter: Some("x86"),
    // RDRAND, so that the kernel's random numbers are ready at once; nothing else beyond the plain x86-64 of 2003.
    qemu: Qemu {
        program: "qemu-system-x86_64",
        machine: "q35",
        cpu: "qemu64,+rdrand",
        uefi_code: "/usr/share/OVMF/OVMF_CODE_4M.fd",
        uefi_variables: "/usr/share/OVMF/OVMF_VARS_4M.fd",
    },
    serial: "ttyS",
};

static AARCH64: Names = Names {
    arch: "aarch64",
    debian: "arm64",
    compiler: "aarch64-linux-gnu",
    kernel: KernelNames {
        arch: "arm64",
        source: "arm64",
        defconfig: "defconfig",
        image: "Image",
        image_path: "arch/arm64/boot/Image",
        command_line: 2048,
    },
    grub: GrubNames { bios: None, efi: "arm64-efi", efi_program: "BOOTAA64.EFI" },
    // mksquashfs has none before 4.6 (`arm64`); bookworm's is 4.5.1.
    branch_filter: None,
    qemu: Qemu {
        program: "qemu-system-aarch64",
        machine: "virt",
        cpu: "cortex-a57",
        uefi_code: "/usr/share/AAVMF/AAVMF_CODE.fd",
        uefi_variables: "/usr/share/AAVMF/AAVMF_VARS.fd",
    },
    serial: "ttyAMA",
};

impl Platform {
    /// Every architecture with names here; [`gaps`](Self::gaps) lists what dbco does not support for it yet.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The architecture of toolchains' programs, and so of dbco's builds.
    pub const BUILD: Self = Self::X86_64;

    /// Its names.
    pub const fn names(self) -> &'static Names {
        match self {
            Self::X86_64 => &X86_64,
            Self::Aarch64 => &AARCH64,
        }
    }

    /// What dbco does not support for it yet; empty if support is complete.
    pub fn gaps(self) -> &'static [Gap] {
        match self {
            Self::X86_64 => &[],
            Self::Aarch64 => &[Gap::Compile, Gap::Kernel, Gap::Media, Gap::Machines],
        }
    }
}

/// A feature that dbco does not support for an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Compile components, the kernel among them.
    Compile,
    /// Take the kernel from a package.
    Kernel,
    /// Make media that its firmware boots: ISOs and GRUB's configuration.
    Media,
    /// Run machines of it in boot tests.
    Machines,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_architectures_apart() {
        let [one, other] = Platform::ALL.map(Platform::names);
        assert_ne!(one.arch, other.arch);
        assert_ne!(one.debian, other.debian);
        assert_ne!(one.kernel.image_path, other.kernel.image_path);
        assert_ne!((one.grub.efi, one.grub.efi_program), (other.grub.efi, other.grub.efi_program));
        assert_ne!((one.qemu.program, one.qemu.uefi_code), (other.qemu.program, other.qemu.uefi_code));
    }

    #[test]
    fn what_the_tools_run_on_is_complete() {
        assert_eq!(Platform::BUILD.gaps(), []);
    }

    #[test]
    fn an_image_lies_where_its_architecture_builds_it() {
        for platform in Platform::ALL {
            let kernel = &platform.names().kernel;
            assert_eq!(kernel.image_path, format!("arch/{}/boot/{}", kernel.source, kernel.image));
        }
    }
}
