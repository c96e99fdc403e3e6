//! `dbco run` and `dbco test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::build::{Done, prepare};
use super::session::Session;
use super::{BuildArgs, Failure, Outcome, usage};
use crate::boot::test::{Cuts, End, Event, Login, Step, Tests};
use crate::boot::{Accel, Boot, BootTest, Bus, Content, Disk, Firmware, HostAccess, HostQemu, Launch, Machine, Medium};
use crate::boot::{junit, run::HINT, run::interactive};
use crate::image::ToolError;
use crate::plan::{Ref, Wanted};
use crate::recipe::boot::Entry;
use crate::recipe::image::OutputKind;
use crate::recipe::test::{self as declared, Test};
use crate::sandbox::{Bind, Sandbox, Spec};
use crate::store::Output;

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    build: BuildArgs,
    /// What the machine starts from
    #[arg(long, value_enum, default_value = "kernel")]
    medium: RunMedium,
    /// Its firmware, for a CD or a USB disk
    #[arg(long, value_enum, default_value = "bios")]
    firmware: RunFirmware,
    /// Its memory in MiB
    #[arg(short, long, default_value_t = 256, value_name = "MIB")]
    memory: u32,
    /// The boot menu's entry, with `--medium kernel` [default: the first]
    #[arg(long, value_name = "ID")]
    entry: Option<String>,
    /// Use this machine's QEMU instead of the locked one
    #[arg(long)]
    host_qemu: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RunMedium {
    /// Kernel and initrd, handed over by QEMU
    Kernel,
    /// The ISO in a CD drive
    Cd,
    /// The ISO as a USB disk
    Usb,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RunFirmware {
    Bios,
    Uefi,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    build: BuildArgs,
    /// Only the tests whose name holds this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Where the JUnit report goes [default: <output>/<recipe>.tests/junit.xml]
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Use this machine's QEMU instead of the locked one
    #[arg(long)]
    host_qemu: bool,
}

/// QEMU from its toolchain's root.
struct Locked {
    sandbox: Sandbox,
    root: PathBuf,
}

impl Launch for Locked {
    fn command(&self, argv: &[String], folder: &Path, access: &HostAccess) -> Result<Command, ToolError> {
        let env = [("HOME", "/build"), ("LC_ALL", "C.UTF-8"), ("PATH", "/usr/bin:/bin"), ("TERM", "dumb")];
        let spec = Spec {
            root: self.root.clone(),
            binds: vec![Bind { host: folder.to_owned(), inside: "/build".into(), writable: true }],
            cwd: "/build".into(),
            argv: argv.to_vec(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            devices: access.devices.clone(),
            network: access.network,
        };
        Ok(self.sandbox.command(&spec))
    }

    fn file(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }
}

impl Done {
    fn launch(&self, host: bool) -> Result<Box<dyn Launch>, Failure> {
        let Some(step) = self.plan.boot.filter(|_| !host) else { return Ok(Box::new(HostQemu)) };
        let root = self.store.root_path(&self.plan.step(step).digest);
        Ok(Box::new(Locked { sandbox: Sandbox::detect()?, root }))
    }

    fn blob(&self, from: &Ref) -> Option<PathBuf> {
        match self.built.output(from)? {
            Output::Blob { digest, .. } => Some(self.store.blob_path(&digest)),
            _ => None,
        }
    }

    fn product(&self, kind: OutputKind) -> Result<PathBuf, Failure> {
        let product = self.plan.products.iter().find(|product| product.kind == Some(kind) && !product.optional);
        let path = product.and_then(|product| self.blob(&product.from));
        path.ok_or_else(|| usage(anyhow!("the recipe's `outputs` lack what this boots from")))
    }

    fn kernel(&self, entry: &Entry, more: &str) -> Result<Medium, Failure> {
        let parameters = self.recipe.image.boot.parameters(entry);
        Ok(Medium::Kernel {
            kernel: self.product(OutputKind::BzImage)?,
            initrd: if entry.mode.initrd() { Some(self.product(OutputKind::Initrd)?) } else { None },
            cmdline: format!("{parameters} {more}").trim_end().to_owned(),
        })
    }
}

pub fn run(session: &Session<'_>, args: &RunArgs) -> Outcome {
    let wanted = Wanted { boot: !args.host_qemu, ..Wanted::default() };
    let done = prepare(session, &args.build, &wanted)?;
    let image = &done.recipe.image;
    let entry = match &args.entry {
        Some(id) => image.entry(id).ok_or_else(|| usage(anyhow!("the boot menu has no entry `{id}`")))?,
        None => &image.boot.entries[0],
    };
    let medium = match args.medium {
        RunMedium::Kernel => done.kernel(entry, "")?,
        RunMedium::Cd => Medium::Cd(done.product(OutputKind::Iso)?),
        RunMedium::Usb => Medium::Usb(done.product(OutputKind::Iso)?),
    };
    let firmware = match args.firmware {
        RunFirmware::Bios => Firmware::Bios,
        RunFirmware::Uefi => Firmware::Uefi,
    };
    let machine = Machine {
        firmware,
        medium,
        memory: args.memory,
        cpus: 1,
        parallel: false,
        disks: Vec::new(),
        served: false,
        network: true,
        forward: Vec::new(),
    };
    let launch = done.launch(args.host_qemu)?;
    let (probe, work) = (done.store.work_dir()?, done.store.work_dir()?);
    let accel = Accel::detect(&*launch, probe.path());
    session.face.note(&format!("booting with {accel}; {HINT}"));
    session.face.finish();
    Ok(interactive(&machine, &*launch, &accel, work.path())?)
}

pub fn test(session: &Session<'_>, args: &TestArgs) -> Outcome {
    let wanted = Wanted { boot: !args.host_qemu, disks: true, ..Wanted::default() };
    let done = prepare(session, &args.build, &wanted)?;
    let chosen = |test: &&Test| args.filter.as_ref().is_none_or(|text| test.name.contains(text.as_str()));
    let declared: Vec<&Test> = done.recipe.image.tests.iter().filter(chosen).collect();
    if declared.is_empty() {
        return Err(usage(anyhow!("there is no test to run: the recipe declares none, or --filter fits none")));
    }
    let tests = declared.iter().map(|test| boot_test(&done, test)).collect::<Result<Vec<_>, _>>()?;
    let launch = done.launch(args.host_qemu)?;
    let (probe, work) = (done.store.work_dir()?, done.store.work_dir()?);
    let accel = Accel::detect(&*launch, probe.path());
    session.face.note(&format!("{} boot tests with {accel}", tests.len()));
    let logs = args.build.output.join(format!("{}.tests", done.recipe.image.name.value));
    fs::create_dir_all(&logs)?;
    let runner =
        Tests { launch: &*launch, accel, work: work.path(), logs: &logs, jobs: super::build::jobs(&args.build) };
    let outcomes = runner.run(&tests, &|event| match event {
        Event::Phase { .. } => {}
        Event::Done(outcome) => show(session, outcome),
    });
    let path = args.junit.clone().unwrap_or_else(|| logs.join("junit.xml"));
    let mut report = Vec::new();
    junit::write(&done.recipe.image.name, &outcomes, &mut report)?;
    crate::store::write_atomically(&path, &report)?;
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    session.face.line(&format!("{} passed, {failed} failed", outcomes.len() - failed));
    if failed > 0 { Err(Failure::Said) } else { Ok(()) }
}

fn show(session: &Session<'_>, outcome: &crate::boot::Outcome) {
    let value = serde_json::json!({
        "event": "test", "name": outcome.name, "passed": outcome.passed(), "seconds": outcome.seconds(),
        "failure": outcome.failure, "log": outcome.log, "notes": outcome.notes,
    });
    if session.face.value(&value) {
        return;
    }
    let phases: Vec<String> =
        outcome.phases.iter().map(|phase| format!("{} {:.1}", phase.name, phase.seconds)).collect();
    let verdict = if outcome.passed() { "ok  " } else { "FAIL" };
    let mut text = format!("{verdict} {:<16} {:>6.1} s  ({})", outcome.name, outcome.seconds(), phases.join(", "));
    for note in &outcome.notes {
        text += &format!("\n       {note}");
    }
    session.face.text(&text);
    if let Some(failure) = &outcome.failure {
        let tail: String = outcome.tail.iter().map(|line| format!("\n  | {line}")).collect();
        session.face.error(&format!(
            "{}: {failure}\nthe end of its console:{tail}\nthe whole log: {}",
            outcome.name,
            outcome.log.display()
        ));
    }
}

fn boot_test(done: &Done, test: &Test) -> Result<BootTest, Failure> {
    let mut disks = Vec::new();
    for (index, disk) in test.all_disks(&done.recipe.image).iter().enumerate() {
        let made = done.plan.disks.get(&(test.name.value.clone(), index)).and_then(|from| done.blob(from));
        let content = made.map_or(Content::Blank(disk.size.unwrap_or_default()), Content::Image);
        let bus = match disk.bus {
            declared::Bus::Virtio => Bus::Virtio,
            declared::Bus::Usb => Bus::Usb,
        };
        disks.push(Disk { bus, content });
    }
    Ok(BootTest {
        name: test.name.value.clone(),
        boots: test.boots.iter().map(|boot| one_boot(done, test, boot, &disks)).collect::<Result<_, _>>()?,
        timeout: Duration::from_secs(test.timeout.into()),
        forward: test.forward.clone(),
    })
}

fn one_boot(done: &Done, test: &Test, boot: &declared::Boot, disks: &[Disk]) -> Result<Boot, Failure> {
    let image = &done.recipe.image;
    // The recipe's checks have found the entry.
    let index = image.boot.entries.iter().position(|entry| entry.id.value == boot.entry.value).unwrap_or_default();
    let entry = &image.boot.entries[index];
    let declared_medium = boot.medium.unwrap_or(test.medium);
    let medium = match declared_medium {
        declared::Medium::Cd => Medium::Cd(done.product(OutputKind::Iso)?),
        declared::Medium::Usb => Medium::Usb(done.product(OutputKind::Iso)?),
        declared::Medium::Hd => Medium::Disk,
        declared::Medium::Kernel | declared::Medium::Disk => done.kernel(entry, &boot.cmdline)?,
    };
    let firmware = match test.firmware {
        declared::Firmware::Uefi => Firmware::Uefi,
        declared::Firmware::Bios | declared::Firmware::None => Firmware::Bios,
    };
    let (memory, cpus, parallel) = (test.memory, test.cpus, test.parallel);
    Ok(Boot {
        machine: Machine {
            firmware,
            medium,
            memory,
            cpus,
            parallel,
            disks: disks.to_vec(),
            served: false,
            network: true,
            forward: Vec::new(),
        },
        menu: matches!(declared_medium, declared::Medium::Cd | declared::Medium::Usb | declared::Medium::Hd)
            .then_some(index),
        expect: boot.expect.clone(),
        login: boot.login.as_ref().map(|login| Login { user: login.user.clone(), password: login.password.clone() }),
        run: boot.run.iter().map(step).collect(),
        end: match (&boot.cut, boot.end) {
            (Some(cut), _) => End::Cuts(Cuts {
                during: cut.during.clone(),
                times: cut.times.value,
                outcome: cut.outcome.clone(),
                words: cut.words.clone(),
            }),
            (None, declared::End::Cut) => End::Cut,
            (None, declared::End::Poweroff) => End::After("poweroff"),
            (None, declared::End::Reboot) => End::After("reboot"),
        },
    })
}

fn step(action: &declared::Action) -> Step {
    match action.clone() {
        declared::Action::Command { command, expect, status } => Step::Command { command, expect, status },
        declared::Action::Type { keys, expect } => Step::Type { keys, expect },
        declared::Action::Tcp { port, send, expect } => Step::Tcp { port: port.value, send, expect },
    }
}
