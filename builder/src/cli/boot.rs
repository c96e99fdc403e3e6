//! `dbco run` and `dbco test`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use super::build::writable;
use super::prose::count;
use super::session::CliSession;
use super::{BuildArgs, CommandError, CommandResult, usage};
use crate::boot::test::{LogSink, TestEvent, TestRunner, log_name};
use crate::boot::{Accel, Firmware, Machine, Medium};
use crate::boot::{junit, run::HINT, run::interactive};
use crate::image::serial::LAST_PORT;
use crate::output;
use crate::plan::PlanTargets;
use crate::recipe::boot::BootEntry;
use crate::recipe::{OutputKind, Recipe};
use crate::session::boot_test;
use crate::similar;

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    build: BuildArgs,
    /// What the machine boots from
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
    /// Kernel and initrd, loaded by QEMU
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
    /// Run only the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Where the JUnit report goes [default: <output>/<recipe>.tests/junit.xml]
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Use this machine's QEMU instead of the locked one
    #[arg(long)]
    host_qemu: bool,
}

pub fn run(session: &CliSession<'_>, args: &RunArgs) -> CommandResult {
    let wanted = PlanTargets { boot: !args.host_qemu, ..PlanTargets::default() };
    let recipe = session.recipe(&args.build.recipe)?;
    // Checked before the work starts: media that this command can't boot from.
    let index = startable(&recipe, args)?;
    let store = session.store()?;
    let done = session.build(recipe, store, &args.build.options(), &wanted)?;
    let entry = &done.recipe.image.boot.entries[index];
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
        platform: done.recipe.image.platform,
        port: console(&done.recipe, entry, args),
        firmware,
        medium,
        memory: args.memory,
        cpus: 1,
        parallel: false,
        disks: Vec::new(),
        served: false,
        network: true,
        forward: Vec::new(),
        link: None,
    };
    let launch = done.launch(args.host_qemu)?;
    let (probe, work) = (done.store.work_dir()?, done.store.work_dir()?);
    let accel = Accel::detect(&*launch, probe.path(), done.recipe.image.platform);
    session.printer.note(&format!("booting with {accel}; {HINT}"));
    session.printer.finish();
    Ok(interactive(&machine, &*launch, &accel, work.path())?)
}

/// The index of the entry to start, if the recipe's outputs and the flags are compatible.
fn startable(recipe: &Recipe, args: &RunArgs) -> Result<usize, CommandError> {
    let image = &recipe.image;
    let ids = || image.boot.entries.iter().map(|entry| &*entry.id.value);
    let index = match &args.entry {
        Some(_) if args.medium != RunMedium::Kernel => {
            return Err(usage(anyhow!("--entry is only valid with `--medium kernel`: other media show the boot menu")));
        }
        Some(id) => ids().position(|known| known == id).ok_or_else(|| {
            let known = match similar::nearest(id, ids()) {
                Some(near) => similar::did_you_mean(near),
                None => format!("there are: {}", ids().collect::<Vec<_>>().join(", ")),
            };
            usage(anyhow!("--entry {id}: the boot menu has no such entry; {known}"))
        })?,
        None => 0,
    };
    let port = console(recipe, &image.boot.entries[index], args);
    if port > LAST_PORT {
        let serial = image.platform.names().serial;
        return Err(usage(anyhow!(
            "the console is {serial}{port}, and a machine has {serial}0 to {serial}{LAST_PORT}"
        )));
    }
    let needed: &[OutputKind] = match args.medium {
        RunMedium::Kernel if image.boot.entries[index].mode.initrd() => &[OutputKind::BzImage, OutputKind::Initrd],
        RunMedium::Kernel => &[OutputKind::BzImage],
        RunMedium::Cd | RunMedium::Usb => &[OutputKind::Iso],
    };
    for kind in needed {
        if !image.gives(*kind) {
            let name = kind.word();
            return Err(usage(anyhow!("`{name}`, which this machine boots from, is not in the recipe's `outputs`")));
        }
    }
    Ok(index)
}

/// The serial port of the machine's console.
fn console(recipe: &Recipe, entry: &BootEntry, args: &RunArgs) -> u8 {
    let boot = &recipe.image.boot;
    boot.port(recipe.image.platform, &boot.parameters(entry), args.medium != RunMedium::Kernel)
}

/// The tests to run, by index.
fn chosen(recipe: &Recipe, filter: Option<&str>) -> Result<Vec<usize>, CommandError> {
    let tests = &recipe.image.tests;
    let fits = |index: &usize| filter.is_none_or(|text| tests[*index].name.contains(text));
    let chosen: Vec<usize> = (0..tests.len()).filter(fits).collect();
    match (chosen.is_empty(), filter) {
        (false, _) => Ok(chosen),
        (true, Some(text)) if !tests.is_empty() => {
            let names: Vec<&str> = tests.iter().map(|test| &**test.name).collect();
            Err(usage(anyhow!("--filter {text}: no test's name contains it; there are: {}", names.join(", "))))
        }
        _ => Err(usage(anyhow!("the recipe declares no tests"))),
    }
}

pub fn test(session: &CliSession<'_>, args: &TestArgs) -> CommandResult {
    let wanted = PlanTargets { boot: !args.host_qemu, disks: true, ..PlanTargets::default() };
    let recipe = session.recipe(&args.build.recipe)?;
    // Checked before the work starts: whether there are tests to run, and whether their results can be written.
    let chosen = chosen(&recipe, args.filter.as_deref())?;
    writable(&args.build.output)?;
    let logs = logs(&recipe, &chosen, args)?;
    let store = session.store()?;
    let done = session.build(recipe, store, &args.build.options(), &wanted)?;
    let tests = chosen.iter().map(|index| boot_test(&done, &done.recipe.image.tests[*index]));
    let tests = tests.collect::<Result<Vec<_>, _>>()?;
    let launch = done.launch(args.host_qemu)?;
    let (probe, work) = (done.store.work_dir()?, done.store.work_dir()?);
    let accel = Accel::detect(&*launch, probe.path(), done.recipe.image.platform);
    session.printer.note(&format!("{} with {accel}", count(tests.len(), "boot test")));
    let place = TestLogs { folder: logs.path(), writing: logs.begin()? };
    let runner = TestRunner {
        launch: &*launch,
        accel,
        work: work.path(),
        logs: &place,
        jobs: args.build.options().resources().jobs,
    };
    let outcomes = runner.run(&tests, &|event| match event {
        TestEvent::Phase { name, phase } => session.printer.machine(name, phase, None),
        TestEvent::Started { name, last_line } => {
            let last_line = last_line.clone();
            session.printer.machine(name, "start", Some(std::sync::Arc::new(move || last_line.get())));
        }
        TestEvent::Done(outcome) => {
            session.printer.machine_ended(&outcome.name);
            show(session, outcome);
        }
    });
    if crate::interrupt::raised().is_some() {
        return Err(CommandError::Reported);
    }
    let mut report = Vec::new();
    junit::write(&done.recipe.image.name, &outcomes, &mut report)?;
    match junit_path(args, logs.path())? {
        Some(path) => crate::store::write_atomically(&path, &report)?,
        None => place.writing.write(JUNIT, &report).with_context(|| format!("can't write {JUNIT}"))?,
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    session.printer.line(&format!("{} passed, {failed} failed", outcomes.len() - failed));
    if failed > 0 { Err(CommandError::Reported) } else { Ok(()) }
}

/// The report's file name in the log folder.
const JUNIT: &str = "junit.xml";

/// The log folder for these tests.
fn logs(recipe: &Recipe, chosen: &[usize], args: &TestArgs) -> Result<output::LogFolder, CommandError> {
    let (parent, name) = (&args.build.output, format!("{}.tests", recipe.image.name.value));
    let machines = chosen.iter().flat_map(|index| recipe.image.tests[*index].machines());
    let mut names: Vec<String> = machines.map(|(name, ..)| log_name(&name)).collect();
    if junit_path(args, &parent.join(&name))?.is_none() {
        names.push(JUNIT.to_owned());
    }
    output::LogFolder::new(parent, &name, names).map_err(usage)
}

/// The path of the report, if it is not the default one in the log folder.
fn junit_path(args: &TestArgs, logs: &Path) -> Result<Option<PathBuf>, CommandError> {
    let Some(path) = &args.junit else { return Ok(None) };
    let own = std::path::absolute(logs.join(JUNIT))?;
    Ok(if std::path::absolute(path)? == own { None } else { Some(path.clone()) })
}

/// The log folder of the running tests.
struct TestLogs<'a> {
    folder: &'a Path,
    writing: output::LogWriter,
}

impl LogSink for TestLogs<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        self.writing.create(name)
    }
}

fn show(session: &CliSession<'_>, outcome: &crate::boot::TestOutcome) {
    let value = serde_json::json!({
        "event": "test", "name": outcome.name, "passed": outcome.passed(), "seconds": outcome.seconds(),
        "failure": outcome.failure, "log": outcome.log, "notes": outcome.notes,
        "peer_log": outcome.peer.as_ref().map(|peer| &peer.log),
    });
    if session.printer.value(&value) {
        return;
    }
    let phases: Vec<String> =
        outcome.phases.iter().map(|phase| format!("{} {:.1}", phase.name, phase.seconds)).collect();
    let verdict = if outcome.passed() { "ok  " } else { "FAIL" };
    let mut text = format!("{verdict} {:<16} {:>6.1} s  ({})", outcome.name, outcome.seconds(), phases.join(", "));
    for note in &outcome.notes {
        text += &format!("\n       {note}");
    }
    session.printer.text(&text);
    if let Some(failure) = &outcome.failure {
        let console = |whose: &str, tail: &[String], log: &Path| {
            let tail: String = tail.iter().map(|line| format!("\n  | {line}")).collect();
            format!("\nthe end of {whose} console output:{tail}\nthe full log: {}", log.display())
        };
        let mut text = format!("{}: {failure}", outcome.name);
        text += &console("its", &outcome.tail, &outcome.log);
        if let Some(peer) = &outcome.peer {
            text += &console("its peer's", &peer.tail, &peer.log);
        }
        session.printer.error(&text);
    }
}
