//! `bootplan`: decides what to start, before anything of the initramfs is given up.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cmdline::{Cmdline, Hd, Mode, Selector};
use super::disks::{Disk, Places};
use super::{hd, program};

/// The label of the systems' disk, if the command line does not name a disk.
const LABEL: &str = "dbcolinux";
/// The first program of a system, and of the live system, unless `init=` says otherwise.
const INIT: &str = "/system/init";

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The mode. `Live` is also the fallback for what is not possible.
    pub mode: Mode,
    /// The system's folder on its disk.
    pub system: String,
    /// The systems' disk, once it is mounted.
    pub hd: Option<PathBuf>,
    /// The first program: in the system, or for `Live` in the live system.
    pub init: String,
    /// Messages to show, in complete sentences.
    pub messages: Vec<String>,
}

impl Plan {
    /// As assignments for a shell. No value has a character that is special to a shell: `Cmdline` rejects them, and
    /// devices are named by the kernel.
    fn assignments(&self) -> String {
        let mut text = format!("mode={}\nsystem={}\n", self.mode, self.system);
        // The name comes from the kernel, but it is checked all the same before a shell reads it.
        let hd = self.hd.as_ref().map(|hd| hd.display().to_string()).filter(|hd| Selector::parse(hd).is_ok());
        let _ = writeln!(text, "hd={}", hd.unwrap_or_default());
        // The live system remains the one that process 1 belongs to.
        let (init, inner) =
            if self.mode == Mode::Chroot { (INIT, self.init.as_str()) } else { (self.init.as_str(), "") };
        let _ = writeln!(text, "init={init}\ninner={inner}");
        text
    }
}

/// Finds the disk, mounts it at `folder`, and decides. `tree` is the livefs, whose e2fsck checks the disk.
pub fn plan(cmdline: Cmdline, places: &Places, tree: &Path, folder: &Path) -> Plan {
    let (limit, mut messages) = (cmdline.limit(), cmdline.problems);
    if let Some(other) = &cmdline.await_too {
        match places.wait(other, limit) {
            Ok(Some(_)) => {}
            Ok(None) => messages.push(format!("waitusb={}: {other} did not appear.", limit.as_secs())),
            Err(error) => messages.push(format!("Cannot list the disks: {error}.")),
        }
    }
    let mut plan =
        Plan { mode: cmdline.mode, system: cmdline.system, hd: None, init: INIT.into(), messages: Vec::new() };
    // A missing disk that was not requested is not reported.
    let asked = cmdline.mode != Mode::Live || cmdline.hd != Hd::Default;
    let wanted = match &cmdline.hd {
        Hd::Default => Some(Selector::Label(LABEL.into())),
        Hd::Named(selector) => Some(selector.clone()),
        Hd::Bad => None,
    };
    if let Some(wanted) = wanted {
        match attach(&wanted, limit, asked, places, tree, folder) {
            Ok((hd, more)) => {
                plan.hd = hd;
                messages.extend(more);
            }
            Err(why) => messages.push(why),
        }
    }
    let mut start = cmdline.init;
    if plan.mode != Mode::Live {
        let init = start.clone().unwrap_or_else(|| INIT.into());
        let checked = if plan.hd.is_some() { check(folder, &plan.system, &init) } else { Err(None) };
        if let Err(why) = checked {
            messages.extend(why);
            messages.push(format!("mode={} is not possible: the live system was started instead.", plan.mode));
            plan.mode = Mode::Live;
            // It was meant for the system.
            start = None;
        }
    }
    if let Some(init) = start {
        let tree_has = plan.mode != Mode::Live || program::check(tree, Path::new(&init)).is_ok();
        if tree_has {
            plan.init = init;
        } else {
            messages.push(format!("The live system has no program {init} (init=): starting {INIT} instead."));
        }
    }
    plan.messages = messages;
    plan
}

type Attached = (Option<PathBuf>, Vec<String>);

fn attach(
    wanted: &Selector,
    limit: Duration,
    asked: bool,
    places: &Places,
    tree: &Path,
    folder: &Path,
) -> Result<Attached, String> {
    let listed = |error: std::io::Error| format!("Cannot list the disks: {error}.");
    match places.wait(wanted, limit).map_err(listed)? {
        Some(disk) => {
            let messages = hd::attach(&disk, hd::e2fsck(tree).as_deref(), folder)?;
            Ok((Some(disk.device), messages))
        }
        None if asked => {
            let there = places.disks().map_err(listed)?;
            Err(format!(
                "The systems' disk {wanted} did not appear within {} s (waitusb=). {} Set it with hd=LABEL=…, hd=UUID=… or hd=/dev/….",
                limit.as_secs(),
                list(&there)
            ))
        }
        None => Ok((None, Vec::new())),
    }
}

/// The existing disks, as a sentence.
fn list(disks: &[Disk]) -> String {
    // The livefs itself is not a disk that anyone would name.
    let shown = disks.iter().filter(|disk| !disk.device.to_string_lossy().contains("/loop"));
    let shown: Vec<String> = shown.map(|disk| format!("{} ({})", disk.device.display(), disk.content)).collect();
    if shown.is_empty() {
        "No disk with a filesystem was found.".into()
    } else {
        format!("There are: {}.", shown.join(", "))
    }
}

/// Whether a system can be started.
fn check(folder: &Path, system: &str, init: &str) -> Result<(), Option<String>> {
    let root = folder.join(system.trim_start_matches('/'));
    if !root.is_dir() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut others: Vec<String> = entries
            .map(|entry| format!("/{}", entry.file_name().to_string_lossy()))
            .filter(|name| name.starts_with("/system"))
            .collect();
        others.sort();
        let others = if others.is_empty() { "none".into() } else { others.join(", ") };
        return Err(Some(format!("The systems' disk has no {system} (system=); systems there: {others}.")));
    }
    program::check(&root, Path::new(init)).map_err(|why| Some(format!("{init} of {system} {why}.")))
}

/// `bootplan TREE FOLDER`: prints the plan for the kernel's command line as shell assignments, and messages on standard
/// error. TREE is the livefs, FOLDER is where the systems' disk is mounted.
pub fn bootplan(arguments: Vec<OsString>) -> u8 {
    let [tree, folder] = &arguments[..] else {
        eprintln!("usage: bootplan TREE FOLDER");
        return 2;
    };
    let text = match fs::read_to_string("/proc/cmdline") {
        Ok(text) => text,
        Err(error) => {
            eprintln!("Cannot read /proc/cmdline: {error}.");
            return 1;
        }
    };
    let made = plan(Cmdline::parse(&text), &Places::default(), Path::new(tree), Path::new(folder));
    for line in &made.messages {
        eprintln!("{line}");
    }
    print!("{}", made.assignments());
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine without disks, and a live system with an init.
    fn decide(text: &str) -> Plan {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places { list: folder.path().join("list"), nodes: folder.path().join("dev") };
        fs::create_dir(&places.list).expect("a folder");
        fs::create_dir_all(folder.path().join("ro/system/bin")).expect("a folder");
        let sh = folder.path().join("ro/system/bin/sh");
        fs::write(&sh, "").expect("a file");
        fs::set_permissions(&sh, fs::Permissions::from_mode(0o755)).expect("a mode");
        plan(Cmdline::parse(text), &places, &folder.path().join("ro"), &folder.path().join("hd"))
    }

    #[test]
    fn without_a_disk_the_live_system_starts_and_says_nothing() {
        let plan = decide("ro quiet");
        assert_eq!((plan.mode, plan.hd.as_ref(), plan.messages.len()), (Mode::Live, None, 0));
        assert_eq!(plan.assignments(), "mode=live\nsystem=/system0\nhd=\ninit=/system/init\ninner=\n");
    }

    #[test]
    fn a_disk_that_was_asked_for_and_is_not_there_is_named() {
        let plan = decide("mode=switch hd=LABEL=systems waitusb=0 init=/sbin/init");
        assert_eq!((plan.mode, plan.init.as_str()), (Mode::Live, INIT));
        assert!(plan.messages[0].contains("LABEL=systems did not appear within 0 s"), "{:?}", plan.messages);
        assert!(plan.messages[0].contains("No disk with a filesystem was found"), "{:?}", plan.messages);
        assert!(plan.messages[1].contains("mode=switch is not possible"), "{:?}", plan.messages);
    }

    #[test]
    fn an_init_of_the_live_systems_own_is_taken_if_it_is_there() {
        assert_eq!(decide("init=/system/bin/sh").init, "/system/bin/sh");
        let plan = decide("init=/system/bin/shh");
        assert_eq!(plan.init, INIT);
        assert!(plan.messages[0].contains("no program /system/bin/shh"), "{:?}", plan.messages);
    }

    #[test]
    fn a_system_is_checked_before_it_is_entered() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("system1/system")).expect("folders");
        let why = check(folder.path(), "/system0", INIT).unwrap_err().expect("a sentence");
        assert_eq!(why, "The systems' disk has no /system0 (system=); systems there: /system1.");
        let why = check(folder.path(), "/system1", INIT).unwrap_err().expect("a sentence");
        assert_eq!(why, "/system/init of /system1 is missing.");
    }

    #[test]
    fn in_chroot_mode_process_1_stays_the_live_systems() {
        let plan = Plan {
            mode: Mode::Chroot,
            system: "/system2".into(),
            hd: Some("/dev/vda1".into()),
            init: "/sbin/init".into(),
            messages: Vec::new(),
        };
        assert_eq!(
            plan.assignments(),
            "mode=chroot\nsystem=/system2\nhd=/dev/vda1\ninit=/system/init\ninner=/sbin/init\n"
        );
    }
}
