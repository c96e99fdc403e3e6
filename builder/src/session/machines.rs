//! Machines made of built outputs: for interactive use, and for boot tests.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{BuiltRecipe, Error};
use crate::beneath::{Dir, Links};
use crate::boot::LaunchError;
use crate::boot::test::BootEnd;
use crate::boot::{Boot, BootTest, DiskContent, Firmware, HostAccess, HostQemu, Launch, Machine, MachineDisk, Medium};
use crate::recipe::OutputKind;
use crate::recipe::boot::BootEntry;
use crate::recipe::test::{self as declared, Test, TestMachine};
use crate::sandbox::{Bind, Sandbox, Spec};
use crate::step::{Blob, Ref};

/// QEMU from its toolchain's root.
struct Locked {
    sandbox: Sandbox,
    root: PathBuf,
}

impl Launch for Locked {
    fn command(&self, argv: &[String], folder: &Path, access: &HostAccess) -> Result<Command, LaunchError> {
        let env = [("HOME", "/build"), ("LC_ALL", "C.UTF-8"), ("PATH", "/usr/bin:/bin"), ("TERM", "dumb")];
        let spec = Spec {
            root: self.root.clone(),
            binds: vec![Bind { host: folder.to_owned(), inside: "/build".into(), writable: true }],
            cwd: "/build".into(),
            argv: argv.to_vec(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            devices: access.devices.clone(),
            network: access.network,
            terminal: false,
        };
        Ok(self.sandbox.command(&spec))
    }

    fn file(&self, inside: &str) -> io::Result<File> {
        Dir::open(&self.root, Links::InRoot)?.open_file(inside).map_err(io::Error::other)
    }
}

impl BuiltRecipe {
    /// What starts its machines: QEMU of the recipe's toolchain, or the host's.
    pub fn launch(&self, host: bool) -> Result<Box<dyn Launch>, Error> {
        let Some(step) = self.plan.boot.filter(|_| !host) else { return Ok(Box::new(HostQemu)) };
        let root = self.store.root_path(&self.plan.graph.step(step.step()).digest);
        Ok(Box::new(Locked { sandbox: Sandbox::detect(None)?, root }))
    }

    fn blob(&self, from: &Ref<Blob>) -> Option<PathBuf> {
        Some(self.store.blob_path(&self.built.blob(from)?.digest))
    }

    /// The path in the store of an output with a single file, or with a main file.
    pub fn product(&self, kind: OutputKind) -> Result<PathBuf, Error> {
        let product = self.plan.products.iter().find(|product| product.kind == kind && !product.optional);
        let path = product.and_then(|product| self.blob(&product.from));
        path.ok_or_else(|| Error::Request("the output that this boots from is not in the recipe's `outputs`".into()))
    }

    /// Kernel and, if the entry has one, initrd, with the entry's parameters and additional ones.
    pub fn kernel(&self, entry: &BootEntry, more: &str) -> Result<Medium, Error> {
        let parameters = self.recipe.image.boot.parameters(entry);
        Ok(Medium::Kernel {
            kernel: self.product(OutputKind::BzImage)?,
            initrd: if entry.mode.initrd() { Some(self.product(OutputKind::Initrd)?) } else { None },
            cmdline: format!("{parameters} {more}").trim_end().to_owned(),
        })
    }
}

/// A boot test of the recipe, with the disks and media that were built.
pub fn boot_test(done: &BuiltRecipe, test: &Test) -> Result<BootTest, Error> {
    let mut starts = Vec::new();
    for (name, machine, boots) in test.machines() {
        let mut disks = Vec::new();
        for (index, disk) in done.recipe.image.disks_of(machine, boots).iter().enumerate() {
            let made = done.plan.disks.get(&(name.clone(), index)).and_then(|from| done.blob(from));
            let content = made.map_or(DiskContent::Blank(disk.size.unwrap_or_default()), DiskContent::Image);
            disks.push(MachineDisk { bus: disk.bus, content });
        }
        let boots = boots.iter().map(|boot| one_boot(done, machine, boot, &disks));
        starts.push(boots.collect::<Result<Vec<_>, _>>()?);
    }
    let mut starts = starts.into_iter();
    Ok(BootTest {
        name: test.name.to_string(),
        boots: starts.next().unwrap_or_default(),
        timeout: Duration::from_secs(test.timeout.into()),
        forward: test.forward.iter().map(|port| port.value).collect(),
        peer: starts.flatten().next(),
    })
}

fn one_boot(
    done: &BuiltRecipe,
    machine: &TestMachine,
    boot: &declared::TestBoot,
    disks: &[MachineDisk],
) -> Result<Boot, Error> {
    let image = &done.recipe.image;
    // The recipe's checks guarantee that the entry exists.
    let index = image.boot.entries.iter().position(|entry| *entry.id.value == *boot.entry.value).unwrap_or_default();
    let entry = &image.boot.entries[index];
    let declared_medium = boot.medium.unwrap_or(machine.medium);
    let medium = match declared_medium {
        declared::TestMedium::Cd => Medium::Cd(done.product(OutputKind::Iso)?),
        declared::TestMedium::Usb => Medium::Usb(done.product(OutputKind::Iso)?),
        declared::TestMedium::Hd => Medium::Disk,
        declared::TestMedium::Kernel | declared::TestMedium::Disk => done.kernel(entry, &boot.cmdline)?,
    };
    let firmware = match machine.firmware {
        declared::TestFirmware::Uefi => Firmware::Uefi,
        declared::TestFirmware::Bios | declared::TestFirmware::None => Firmware::Bios,
    };
    let (memory, cpus, parallel) = (machine.memory, machine.cpus, machine.parallel);
    let menu =
        matches!(declared_medium, declared::TestMedium::Cd | declared::TestMedium::Usb | declared::TestMedium::Hd);
    let parameters = format!("{} {}", image.boot.parameters(entry), boot.cmdline);
    Ok(Boot {
        machine: Machine {
            platform: image.platform,
            port: image.boot.port(image.platform, &parameters, menu),
            firmware,
            medium,
            memory,
            cpus,
            parallel,
            disks: disks.to_vec(),
            served: false,
            network: true,
            forward: Vec::new(),
            link: None,
        },
        menu: match declared_medium {
            // The ISO's menu is hidden; the checks guarantee that its first entry is the right one.
            declared::TestMedium::Cd | declared::TestMedium::Usb if image.boot.timeout == 0 => None,
            declared::TestMedium::Cd | declared::TestMedium::Usb | declared::TestMedium::Hd => Some(index),
            declared::TestMedium::Kernel | declared::TestMedium::Disk => None,
        },
        expect: boot.expect.clone(),
        login: boot.login.clone(),
        run: boot.run.iter().map(|action| action.step.clone()).collect(),
        end: match (&boot.cut, boot.end) {
            (Some(cut), _) => BootEnd::Cuts(cut.cuts.clone()),
            (None, declared::TestEnd::Cut) => BootEnd::Cut,
            (None, declared::TestEnd::Poweroff) => BootEnd::After("poweroff"),
            (None, declared::TestEnd::Reboot) => BootEnd::After("reboot"),
            (None, declared::TestEnd::Itself) => BootEnd::Itself,
        },
    })
}
