//! Whether QEMU can use KVM on this host.
//!
//! That `/dev/kvm` can be opened says little: with nested virtualisation guests may hang, or be slower than without
//! KVM. So a probe guest is started with it, and has to finish in time.

use std::fs::OpenOptions;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{HostAccess, Launch, probe};
use crate::beneath::{Dir, Links};
use crate::platform::Platform;
use crate::process::{self, argv};
use crate::threads;

pub(super) const KVM: &str = "/dev/kvm";

/// What executes a guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The host's processor.
    Kvm,
    /// QEMU's translator (TCG).
    Tcg,
}

/// The accelerator, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accel {
    /// The accelerator.
    pub kind: Accelerator,
    /// The reason, as a phrase: `a guest ended its work in 0.2 s`.
    pub reason: String,
}

impl std::fmt::Display for Accel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.kind {
            Accelerator::Kvm => "KVM",
            Accelerator::Tcg => "TCG",
        };
        write!(f, "{name} ({})", self.reason)
    }
}

/// The probe takes 0.3 s under TCG, about as long with a usable KVM, and more than ten times as long where each
/// privileged instruction of a guest is emulated. With both cores busy it stays below a second.
const PATIENCE: Duration = Duration::from_secs(3);

impl Accel {
    /// Runs a probe guest that has to finish within three seconds. Keep the result for the whole run.
    ///
    /// `folder` is an empty folder for the guest's disk.
    pub fn detect(launch: &dyn Launch, folder: &Path, platform: Platform) -> Self {
        if platform != probe::PLATFORM {
            let (wanted, probed) = (platform.names().arch, probe::PLATFORM.names().arch);
            let reason = format!("the probe of KVM is for {probed}, the machine is {wanted}");
            return Self { kind: Accelerator::Tcg, reason };
        }
        Self::detect_on(launch, folder, Path::new(KVM))
    }

    pub(super) fn detect_on(launch: &dyn Launch, folder: &Path, device: &Path) -> Self {
        let tcg = |reason: String| Self { kind: Accelerator::Tcg, reason };
        if let Err(error) = OpenOptions::new().read(true).write(true).open(device) {
            return tcg(format!("{} can't be used: {error}", device.display()));
        }
        match guest_lives(launch, folder, "kvm", PATIENCE) {
            Ok(Some(time)) => {
                let reason = format!("a test guest finished in {:.1} s", time.as_secs_f64());
                Self { kind: Accelerator::Kvm, reason }
            }
            Ok(None) => {
                let device = device.display();
                tcg(format!("{device} exists, but a test guest did not finish in {} s", PATIENCE.as_secs()))
            }
            Err(reason) => tcg(format!("{} can't be probed: {reason}", device.display())),
        }
    }
}

/// Runs the probe guest; gives its run time, or None if it did not finish successfully in time.
pub fn guest_lives(
    launch: &dyn Launch,
    folder: &Path,
    accelerator: &str,
    patience: Duration,
) -> Result<Option<Duration>, String> {
    let qemu = &probe::PLATFORM.names().qemu;
    // AHCI does not accept a disk of a single sector.
    let mut disk = probe::BOOT_SECTOR.to_vec();
    disk.resize(1 << 20, 0);
    let dir = Dir::open(folder, Links::Never).map_err(|error| error.to_string())?;
    dir.write("probe.img", &disk).map_err(|error| error.to_string())?;
    let mut argv = argv![qemu.program, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"];
    argv.extend(argv!["-machine", format!("{},accel={accelerator}", qemu.machine), "-m", 64, "-monitor", "none"]);
    argv.extend(argv!["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    argv.extend(argv!["-drive", "if=ide,format=raw,file=probe.img"]);
    argv.extend(argv!["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
    let devices: Vec<PathBuf> = if accelerator == "kvm" { vec![KVM.into()] } else { Vec::new() };
    let access = HostAccess { devices, network: false };
    let started = Instant::now();
    let mut command = launch.command(&argv, folder, &access).map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let guard = process::Registered::new(&child);
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    let reader = threads::spawn("probe", move || {
        let mut text = Vec::new();
        // Only what came before an error counts.
        let _ = output.map(|mut output| output.read_to_end(&mut text));
        let _ = sender.send(text);
    });
    // Without a reader no output arrives, and the machine is stopped at once.
    let text = receiver.recv_timeout(patience);
    let time = started.elapsed();
    // It may have exited already; then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
    drop(guard);
    let _ = reader.map_err(|error| error.to_string())?.join();
    Ok(text.is_ok_and(|text| text == probe::WORD).then_some(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::HostQemu;

    #[test]
    fn without_the_device_it_is_tcg_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let accel = Accel::detect_on(&HostQemu, folder.path(), Path::new("/nonexistent/kvm"));
        assert_eq!(accel.kind, Accelerator::Tcg);
        assert!(accel.to_string().starts_with("TCG (/nonexistent/kvm can't be used: No such file"), "{accel}");
    }
}
