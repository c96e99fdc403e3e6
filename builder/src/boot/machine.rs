//! A machine as data, and QEMU's arguments for it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Accel, Accelerator, BootError, HostAccess, Launch};
use crate::beneath::{Dir, Links};
use crate::path_error::FromPathError as _;
use crate::platform::Platform;
use crate::process::argv;

/// What starts the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF, with its own fresh set of variables.
    Uefi,
}

/// What the machine boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// An image in a SATA CD drive.
    Cd(PathBuf),
    /// An image as a USB stick on an xHCI controller.
    Usb(PathBuf),
    /// The first of its disks.
    Disk,
    /// A kernel that QEMU itself loads, as a boot loader would (Documentation/arch/x86/boot.rst).
    Kernel {
        /// A bzImage.
        kernel: PathBuf,
        /// Its initrd.
        initrd: Option<PathBuf>,
        /// Its command line.
        cmdline: String,
    },
}

/// A machine to boot. Paths are of this machine's file system.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its architecture.
    pub platform: Platform,
    /// Its firmware.
    pub firmware: Firmware,
    /// Its boot medium.
    pub medium: Medium,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// Whether several processors run in parallel under TCG as well, each in a thread of QEMU. Otherwise they take
    /// turns: in parallel, Linux occasionally panics at code that another processor has just patched (a static key's
    /// `int3`; seen with QEMU 7.2).
    pub parallel: bool,
    /// Its disks, those of each bus in order. The machine writes to copies in its folder, whose content is kept when it
    /// is started again in the same folder.
    pub disks: Vec<MachineDisk>,
    /// Whether it has a network card. QEMU itself acts as the router (its "user" network), which needs no privileges;
    /// inside the sandbox nothing is reachable through it.
    pub network: bool,
    /// Whether its disks are served at sockets in its folder (`disk0.sock`, see [`super::power`]) instead of being
    /// files.
    pub served: bool,
    /// Which of its serial ports is the console, 0 to [`LAST_PORT`](crate::image::serial::LAST_PORT): `ttyS0` to
    /// `ttyS3`. The lower ports exist too, unconnected.
    pub port: u8,
    /// Its TCP ports that are reachable from this host. QEMU then runs in the host's network, from which the machine itself
    /// is isolated.
    pub forward: Vec<Forward>,
    /// Its end of the link to the other machine of its test, if there is one: a second network card, connected to a
    /// socket in its folder, `link.sock`. It needs QEMU 7.2 or newer.
    pub link: Option<LinkSide>,
}

/// One of the two machines of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSide {
    /// The test's own machine.
    Own,
    /// Its peer.
    Peer,
}

impl LinkSide {
    /// The hardware address of its card on the link. QEMU gives the cards of every machine the same addresses, and they
    /// begin with `52:54:00:12:34`.
    pub fn address(self) -> &'static str {
        match self {
            Self::Own => "52:54:00:00:00:01",
            Self::Peer => "52:54:00:00:00:02",
        }
    }
}

/// The file name of the socket at which a machine's link is served, in the machine's folder.
pub(super) const LINK_SOCKET: &str = "link.sock";

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineDisk {
    /// Its bus.
    pub bus: Bus,
    /// Its content before the first start.
    pub content: DiskContent,
}

/// The bus of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// Virtio on PCI.
    Virtio,
    /// USB, on the same xHCI controller as a medium.
    Usb,
    /// SCSI, on a virtio controller.
    Scsi,
    /// An NVMe controller with one namespace.
    Nvme,
    /// SATA, on the chipset's AHCI.
    Sata,
    /// An SD card in a reader on PCI.
    Sd,
}

/// The content of a disk before the machine's first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskContent {
    /// A copy of a raw image.
    Image(PathBuf),
    /// The given number of zero bytes.
    Blank(u64),
}

/// A port of the machine that is forwarded from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The port at 127.0.0.1.
    pub host: u16,
    /// The machine's port.
    pub guest: u16,
}

/// Where QEMU connects the serial port of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialBackend {
    /// QEMU's standard input and output, with nothing else on them.
    Pipe,
    /// The same for interactive use: Ctrl-a x ends QEMU, Ctrl-a c switches to its monitor.
    Terminal,
}

impl Machine {
    /// Puts all files into `folder` and gives QEMU's command line, with all paths relative to that folder.
    pub fn prepare(
        &self,
        launch: &dyn Launch,
        accel: &Accel,
        serial: SerialBackend,
        folder: &Path,
    ) -> Result<Vec<String>, BootError> {
        let qemu = &self.platform.names().qemu;
        // QEMU may have run in this folder before.
        let dir = Dir::open(folder, Links::Never).map_err(BootError::io("open", folder))?;
        let mut argv = argv![qemu.program, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"];
        argv.extend(match accel.kind {
            Accelerator::Kvm => argv!["-machine", format!("{},accel=kvm", qemu.machine), "-cpu", "host"],
            Accelerator::Tcg => {
                let thread = if self.cpus > 1 && !self.parallel { "single" } else { "multi" };
                argv!["-machine", qemu.machine, "-accel", format!("tcg,thread={thread}"), "-cpu", qemu.cpu]
            }
        });
        argv.extend(argv!["-m", self.memory, "-smp", self.cpus]);
        argv.extend(match serial {
            SerialBackend::Pipe => argv!["-monitor", "none", "-chardev", "stdio,id=console,signal=off"],
            SerialBackend::Terminal => argv!["-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "console"],
        });
        for _ in 0..self.port {
            argv.extend(argv!["-serial", "null"]);
        }
        argv.extend(argv!["-serial", "chardev:console"]);
        if self.firmware == Firmware::Uefi {
            if !dir.has_file("vars.fd") {
                let vars =
                    launch.file(qemu.uefi_variables).map_err(BootError::io("open", Path::new(qemu.uefi_variables)))?;
                copy_writable(vars, &dir, "vars.fd")?;
            }
            let code = format!("if=pflash,unit=0,format=raw,readonly=on,file={}", qemu.uefi_code);
            argv.extend(argv!["-drive", code, "-drive", "if=pflash,unit=1,format=raw,file=vars.fd"]);
        }
        if matches!(self.medium, Medium::Usb(_)) || self.disks.iter().any(|disk| disk.bus == Bus::Usb) {
            argv.extend(argv!["-device", "qemu-xhci"]);
        }
        if self.disks.iter().any(|disk| disk.bus == Bus::Scsi) {
            argv.extend(argv!["-device", "virtio-scsi-pci,id=scsi"]);
        }
        self.medium(&dir, &mut argv)?;
        let mut sata = 0;
        for (index, disk) in self.disks.iter().enumerate() {
            let name = image(index);
            match &disk.content {
                _ if dir.has_file(&name) => {}
                DiskContent::Image(image) => {
                    copy_writable(File::open(image).map_err(BootError::io("open", image))?, &dir, &name)?;
                }
                DiskContent::Blank(size) => {
                    dir.create(&name)?.set_len(*size).map_err(BootError::io("make", Path::new(&name)))?;
                }
            }
            let drive = match self.served {
                // QEMU passes on the machine's flushes.
                true => format!("cache=writeback,file=nbd+unix:///?socket={}", socket(index)),
                false => format!("cache=unsafe,file={name}"),
            };
            argv.extend(argv!["-drive", format!("if=none,id=disk{index},format=raw,{drive}")]);
            let device = match disk.bus {
                Bus::Virtio => "virtio-blk-pci".to_owned(),
                Bus::Usb => "usb-storage".to_owned(),
                Bus::Scsi => "scsi-hd,bus=scsi.0".to_owned(),
                Bus::Nvme => format!("nvme,serial=disk{index}"),
                // The CD drive is the first.
                Bus::Sata => {
                    sata += 1;
                    format!("ide-hd,bus=ide.{sata}")
                }
                Bus::Sd => {
                    argv.extend(argv!["-device", format!("sdhci-pci,id=sd{index}")]);
                    argv.extend(argv!["-device", format!("sd-card,bus=sd-bus,drive=disk{index}")]);
                    continue;
                }
            };
            // After the medium in the boot order: OVMF does not show its programs disks that are not in it.
            argv.extend(argv!["-device", format!("{device},drive=disk{index},bootindex={}", index + 1)]);
        }
        if self.network {
            // No boot ROM: no image boots from the network, and the attempt costs seconds.
            let mut user = "user,id=net0".to_owned();
            if !self.forward.is_empty() {
                user.push_str(",restrict=on");
            }
            for Forward { host, guest } in &self.forward {
                user.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"));
            }
            argv.extend(argv!["-netdev", user, "-device", "virtio-net-pci,netdev=net0,romfile="]);
        }
        if let Some(side) = self.link {
            let stream = format!("stream,id=link,server=off,addr.type=unix,addr.path={LINK_SOCKET}");
            let card = format!("virtio-net-pci,netdev=link,mac={},romfile=", side.address());
            argv.extend(argv!["-netdev", stream, "-device", card]);
        }
        Ok(argv)
    }

    /// The host resources that QEMU needs for this machine.
    pub fn access(&self, accel: &Accel) -> HostAccess {
        let devices = match accel.kind {
            Accelerator::Kvm => vec![super::accel::KVM.into()],
            Accelerator::Tcg => Vec::new(),
        };
        HostAccess { devices, network: !self.forward.is_empty() }
    }

    fn medium(&self, dir: &Dir, argv: &mut Vec<String>) -> Result<(), BootError> {
        let drive = |file: &str| argv!["-drive", format!("if=none,id=medium,format=raw,readonly=on,file={file}")];
        match &self.medium {
            Medium::Cd(image) => {
                link(image, dir, "medium.iso")?;
                argv.extend(drive("medium.iso"));
                // GRUB also draws its menu on a screen, as on a real machine.
                argv.extend(argv!["-device", "VGA", "-device", "ide-cd,drive=medium,bootindex=0"]);
            }
            Medium::Usb(image) => {
                link(image, dir, "medium.iso")?;
                argv.extend(drive("medium.iso"));
                argv.extend(argv!["-device", "VGA"]);
                argv.extend(argv!["-device", "usb-storage,drive=medium,bootindex=0,removable=on"]);
            }
            Medium::Disk => argv.extend(argv!["-device", "VGA"]),
            Medium::Kernel { kernel, initrd, cmdline } => {
                link(kernel, dir, "kernel")?;
                argv.extend(argv!["-kernel", "kernel", "-append", cmdline]);
                if let Some(initrd) = initrd {
                    link(initrd, dir, "initrd")?;
                    argv.extend(argv!["-initrd", "initrd"]);
                }
            }
        }
        Ok(())
    }
}

/// The file name of a disk's image in the machine's folder.
pub(super) fn image(index: usize) -> String {
    format!("disk{index}.img")
}

/// The file name of the socket that serves a disk.
pub(super) fn socket(index: usize) -> String {
    format!("disk{index}.sock")
}

/// A file that QEMU only reads: a hard link if possible, otherwise a copy. A file left by an earlier start is replaced.
fn link(from: &Path, dir: &Dir, to: &str) -> Result<(), BootError> {
    if dir.hard_link_from(from, to).is_ok() {
        return Ok(());
    }
    copy_writable(File::open(from).map_err(BootError::io("open", from))?, dir, to)
}

/// A copy that QEMU may write to, whatever the mode of the original.
fn copy_writable(mut from: File, dir: &Dir, to: &str) -> Result<(), BootError> {
    let mut file = dir.create(to)?;
    crate::digest::copy(&mut from, &mut file).map(drop).map_err(BootError::io("copy", Path::new(to)))
}
