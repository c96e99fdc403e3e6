//! What a suspended container allows: no command changes what its saved processes rely on.

use super::super::COMMANDS;
use super::World;
use crate::vz::recovery::sweep;
use crate::vz::suspended::{Answer, Operation, rule};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const A: &str = "{00000000-0000-0000-0000-00000000000a}";
const B: &str = "{00000000-0000-0000-0000-00000000000b}";

/// What a command leaves of the suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Everything as it was; the container can continue.
    Dump,
    /// A stopped container.
    Stopped,
    /// It runs on from its dump.
    Runs,
    /// No container.
    Nothing,
}
use Left::{Dump, Nothing, Runs, Stopped};

/// Command lines (without layout: for all), the exit code, and what they leave.
const LINES: &[(&str, &str, u8, Left)] = &[
    ("", "create 101", 44, Dump),
    ("", "destroy 101", 0, Nothing),
    ("", "start 101", 0, Runs),
    ("", "start 101 --skip-fsck --skip-remount", 0, Runs),
    ("", "restart 101", 0, Runs),
    ("", "stop 101", 0, Dump),
    ("", "stop 101 --fast", 0, Dump),
    ("", "ended 101 1000 halt", 0, Dump),
    ("", "ended 101 1000 reboot", 0, Dump),
    ("", "status 101", 0, Dump),
    ("", "mount 101", 50, Dump),
    ("", "umount 101", 40, Dump),
    ("simfs", "quotaon 101", 0, Dump),
    ("overlay", "quotainit 101", 0, Dump),
    ("ploop", "quotaoff 101", 0, Dump),
    ("", "exec 101 true", 8, Dump),
    ("", "exec2 101 true", 31, Dump),
    ("", "enter 101", 31, Dump),
    ("", "console 101", 31, Dump),
    ("", "runscript 101 /dev/null", 50, Dump),
    ("", "set 101 --userpasswd root:secret", 74, Dump),
    ("", "set 101 --private /vz/private/102 --save", 32, Dump),
    ("", "set 101 --root /vz/root/102 --save", 32, Dump),
    ("", "set 101 --capability sys_time:on --save", 32, Dump),
    ("", "set 101 --features nfs:on --save --setmode restart", 32, Dump),
    ("", "set 101 --netfilter full --save", 32, Dump),
    ("", "set 101 --mount_opts noatime --save", 32, Dump),
    ("", "set 101 --diskquota no --save", 32, Dump),
    ("", "set 101 --quotaugidlimit 100 --save", 32, Dump),
    ("", "set 101 --applyconfig users --save", 32, Dump),
    ("", "set 101 --ipadd 10.0.0.1 --ram 512M --hostname other --ostemplate other --save", 0, Dump),
    ("simfs", "set 101 --diskspace 10M --diskinodes 500 --save", 0, Dump),
    ("overlay", "set 101 --diskspace 10M --diskinodes 500 --save", 0, Dump),
    ("ploop", "set 101 --diskspace 40M --save", 0, Dump),
    ("ploop", "set 101 --diskspace 10M --save", 154, Dump),
    ("ploop", "set 101 --diskspace 10M --offline-resize --save", 154, Dump),
    ("", "suspend 101", 31, Dump),
    ("", "chkpnt 101 --suspend", 31, Dump),
    ("", "chkpnt 101 --resume", 17, Dump),
    ("", "chkpnt 101 --kill", 0, Stopped),
    ("", "restore 101 --kill", 0, Stopped),
    ("", "resume 101", 0, Runs),
    ("", "restore 101 --dumpfile /other", 17, Dump),
    ("", "restore 101 --undump --dumpfile /other", 17, Dump),
    ("", "restore 101 --undump --dumpfile /vz/../vz/dump/Dump.101", 0, Runs),
    ("simfs", "snapshot 101", 156, Dump),
    ("overlay", "snapshot 101 --id {00000000-0000-0000-0000-00000000000c}", 0, Dump),
    ("ploop", "snapshot 101 --id {00000000-0000-0000-0000-00000000000c}", 0, Dump),
    ("overlay", "snapshot-switch 101 --id {00000000-0000-0000-0000-00000000000a}", 159, Dump),
    ("ploop", "snapshot-switch 101 --id {00000000-0000-0000-0000-00000000000a} --skip-config", 159, Dump),
    ("overlay", "snapshot-delete 101 --id {00000000-0000-0000-0000-00000000000a}", 0, Dump),
    ("overlay", "snapshot-delete 101 --id {00000000-0000-0000-0000-00000000000b}", 0, Dump),
    ("ploop", "snapshot-delete 101 --id {00000000-0000-0000-0000-00000000000a}", 0, Dump),
    ("ploop", "snapshot-mount 101 --id {00000000-0000-0000-0000-00000000000a} --target TARGET", 0, Dump),
    ("ploop", "snapshot-umount 101 --id {00000000-0000-0000-0000-00000000000a}", 161, Dump),
    ("", "snapshot-list 101", 0, Dump),
    ("simfs", "convert 101", 155, Dump),
    ("overlay", "convert 101", 155, Dump),
    ("ploop", "convert 101", 0, Dump),
    ("", "compact 101", 0, Dump),
];

/// A suspended container, with a file that has two names, and two snapshots: of a stopped and of a running one.
fn suspended(layout: &str) -> World {
    let world = World::new();
    world.ok(&format!("create 101 --layout {layout} --diskspace 20M --diskinodes 1000 --hostname web"));
    let sample = world.at("etc/vz/conf/ve-users.conf-sample");
    fs::write(sample, "LOCAL_UID=\"100000\"\nLOCAL_GID=\"100000\"\n").unwrap();
    let snapshot = |id: &str| {
        if layout != "simfs" {
            world.ok(&format!("snapshot 101 --id {id}"));
        }
    };
    snapshot(A);
    world.ok("start 101");
    let files = if layout == "overlay" { "vz/private/101/upper" } else { "vz/root/101" };
    fs::write(world.at(files).join("one"), "known").unwrap();
    fs::hard_link(world.at(files).join("one"), world.at(files).join("two")).unwrap();
    snapshot(B);
    world.ok("suspend 101");
    fs::create_dir_all(world.at("other")).unwrap();
    fs::copy(world.at("vz/dump/Dump.101/core"), world.at("other/core")).unwrap();
    fs::write(world.at("other").join(crate::container::checkpoint::NOTES), "{}").unwrap();
    world.node.taken();
    world
}

/// The files that the processes know: names, content, and the numbers of their inodes; of an image what it holds.
fn files(world: &World, layout: &str) -> Vec<(String, Vec<u8>, u64)> {
    fn below(folder: &Path, all: &mut Vec<(String, Vec<u8>, u64)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            all.push((path.display().to_string(), content, about.ino()));
            if about.is_dir() {
                below(&path, all);
            }
        }
    }
    let private = world.at("vz/private/101");
    let mut all = Vec::new();
    match layout {
        "ploop" => {
            let image = fs::read(private.join("root.hdd/root.hdd")).unwrap();
            let length = u64::from_le_bytes(image[8..16].try_into().unwrap()) as usize;
            all.push((String::new(), image[4096..4096 + length].to_vec(), 0));
        }
        "overlay" => {
            below(&private.join("upper"), &mut all);
            let state = crate::vz::snapshots::Snapshots::read(&private).unwrap();
            all.push((format!("{:?}", state.lower(&private, state.base.as_deref())), Vec::new(), 0));
        }
        _ => below(&private, &mut all),
    }
    all.sort();
    all
}

#[test]
fn every_command_leaves_what_saved_processes_know() {
    for layout in ["simfs", "overlay", "ploop"] {
        for (_, line, code, left) in LINES.iter().filter(|(only, ..)| only.is_empty() || *only == layout) {
            let world = suspended(layout);
            let before = files(&world, layout);
            let target = world.at("look");
            fs::create_dir(&target).unwrap();
            let line = line.replace("TARGET", &target.canonicalize().unwrap().display().to_string());
            // This layout has no snapshots.
            let code = if layout == "simfs" && line.starts_with("snapshot-list") { 167 } else { *code };
            let (conf, dump) = (world.conf(101), world.at("vz/dump/Dump.101"));
            let (got, said) = world.run(&line);
            let case = format!("{layout}: vzctl {line}: {said}");
            assert_eq!(got, code, "{case}");
            if [50, 74, 154, 155, 159, 32].contains(&code) || line.contains("/other") {
                let how = "container is suspended\n! vzctl resume 101 continues it, vzctl chkpnt 101 --kill gives";
                assert!(said.contains(how), "{case}");
                assert_eq!(world.conf(101), conf, "{case}");
                assert!(world.node.taken().is_empty(), "{case}");
            }
            match left {
                Dump => {
                    assert_eq!(files(&world, layout), before, "{case}");
                    assert!(world.ok("status 101").ends_with("unmounted down suspended\n"), "{case}");
                    world.ok("resume 101");
                    assert!(!dump.exists());
                }
                Stopped => {
                    assert_eq!(files(&world, layout), before, "{case}");
                    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n", "{case}");
                    assert_eq!(fs::read_dir(world.at("vz/dump")).unwrap().count(), 0, "{case}");
                    assert!(world.ok("start 101").starts_with("Starting container...\n"));
                }
                Runs => {
                    assert!(world.node.taken().contains(&"restore 101".to_owned()), "{case}");
                    assert!(!dump.exists(), "{case}");
                }
                Nothing => {
                    assert_eq!(world.ok("status 101"), "CTID 101 deleted unmounted down\n", "{case}");
                    assert!(!dump.exists(), "{case}");
                }
            }
        }
    }
}

#[test]
fn the_table_has_every_command() {
    let tried: BTreeSet<&str> = LINES.iter().filter_map(|(_, line, ..)| line.split(' ').next()).collect();
    for command in COMMANDS {
        assert!(command.names.iter().any(|name| tried.contains(name)), "{:?} on a suspended container", command.names);
    }
}

#[test]
fn after_it_is_given_up_all_is_allowed() {
    let world = suspended("ploop");
    // A power cut had left it marked as running: it is not to start by itself.
    crate::vz::mark::set(&world.at("vz/running/101")).unwrap();
    world.ok("chkpnt 101 --kill");
    assert!(!world.vz().is_marked(101));
    assert_eq!(world.run("chkpnt 101 --kill").0, 16);
    assert_eq!(world.run("restore 101 --kill").0, 17);
    world.ok("mount 101");
    world.ok("umount 101");
    world.ok("set 101 --capability sys_time:on --diskspace 19M --save");
    world.ok(&format!("snapshot-switch 101 --id {A}"));
}

/// A dump elsewhere is whose who asked for it.
#[test]
fn a_dump_elsewhere_refuses_nothing() {
    let world = suspended("ploop");
    world.ok("resume 101");
    world.ok("suspend 101 --dumpfile /mine");
    world.ok("mount 101");
    world.ok("umount 101");
    world.ok("restore 101 --undump --dumpfile /mine");
}

#[test]
fn one_that_runs_is_not_suspended() {
    let world = suspended("overlay");
    world.ok("resume 101");
    // As a command that was killed may leave it.
    fs::rename(world.at("other"), world.at("vz/dump/Dump.101")).unwrap();
    world.ok("set 101 --userpasswd root:secret");
    assert_eq!(world.run("set 101 --private /x --save").0, 32);
    world.ok("set 101 --capability sys_time:on --save");
}

/// The dump of an earlier container with the number, whose private area was removed by hand.
#[test]
fn a_new_container_has_no_dump() {
    for with_conf in [true, false] {
        let world = suspended("simfs");
        fs::remove_dir_all(world.at("vz/private/101")).unwrap();
        if !with_conf {
            fs::remove_file(world.at("etc/vz/conf/101.conf")).unwrap();
        }
        // Only one that is really made ends them.
        assert_eq!(world.run("create 101 --ostemplate none").0, 91);
        assert!(world.at("vz/dump/Dump.101").exists());
        world.ok("create 101");
        assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
        assert!(world.ok("start 101").starts_with("Starting container...\n"));
    }
}

/// A snapshot of a suspended container has its files and no memory, as one of a running container.
#[test]
fn a_snapshot_has_the_files_of_the_suspension() {
    let world = suspended("overlay");
    let c = "{00000000-0000-0000-0000-00000000000c}";
    world.ok(&format!("snapshot 101 --id {c}"));
    let layer = world.at("vz/private/101/layers/00000000-0000-0000-0000-00000000000c");
    assert_eq!(fs::read_to_string(layer.join("one")).unwrap(), "known");
    assert_eq!(fs::metadata(world.at("vz/private/101/upper/one")).unwrap().nlink(), 2);
    world.ok("resume 101");
    let said = world.ok(&format!("snapshot-switch 101 --id {c}"));
    assert!(said.contains("Killing container ..."), "it is stopped, not continued: {said}");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    assert_eq!(world.run(&format!("snapshot-switch 101 --id {c} --must-resume")).0, 159);
}

/// A command was killed in a conversion or a switch: it is completed before the container starts, not after it has
/// written to the old files.
#[test]
fn what_was_interrupted_is_completed_before_a_start() {
    let world = suspended("ploop");
    let before = files(&world, "ploop");
    let state = world.at("vz/private/101/Snapshots.json");
    let switching = || {
        let text = fs::read_to_string(&state).unwrap();
        let text = text.replacen('{', &format!("{{\"switching\": {{\"id\": \"{A}\", \"conf\": false}},"), 1);
        fs::write(&state, text).unwrap();
        let images = world.at("vz/private/101/root.hdd");
        fs::copy(images.join(format!("root.hdd.{A}")), images.join("root.hdd.switching")).unwrap();
    };
    switching();
    // Whatever has left it so: the files of the snapshot are not those of the processes.
    let (said, told) =
        (sweep(&world.after_a_cut()).unwrap(), "it can't continue as it was suspended; its dump is set aside");
    assert_eq!(said, ["CT 101: switch of a snapshot was interrupted and is now complete", &format!("CT 101: {told}")]);
    assert_ne!(files(&world, "ploop"), before);
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    assert!(world.at("vz/dump/Dump.101.failed").exists());
    // Without a restart of the machine.
    switching();
    let said = world.ok("start 101");
    assert!(said.starts_with("! switch of a snapshot was interrupted and is now complete\nStarting"), "{said}");
    world.ok("suspend 101");
    assert!(sweep(&world.after_a_cut()).unwrap().is_empty());
    world.ok("resume 101");
    // Nothing is changed below one that is mounted.
    switching();
    let (image, other) =
        (world.at("vz/private/101/root.hdd/root.hdd"), world.at("vz/private/101/root.hdd/root.hdd.switching"));
    let number = fs::metadata(&image).unwrap().ino();
    assert!(sweep(&world.vz()).unwrap().is_empty());
    world.ok("set 101 --onboot yes --save");
    assert!(fs::metadata(&image).unwrap().ino() == number && other.exists());

    let world = suspended("simfs");
    world.ok("chkpnt 101 --kill");
    let (conf, waiting) = (world.at("etc/vz/conf/101.conf"), world.at("etc/vz/conf/.101.conf.converting"));
    let old = world.conf(101);
    world.ok("convert 101");
    fs::rename(&conf, &waiting).unwrap();
    fs::write(&conf, old).unwrap();
    let said = world.ok("start 101");
    assert!(said.starts_with("! conversion was interrupted and is now complete\nStarting"), "{said}");
    assert!(world.conf(101).contains("VE_LAYOUT=\"ploop\"") && !waiting.exists());
    assert!(world.node.taken().contains(&"check root.hdd".to_owned()));
}

/// Where the power may go during what a suspended container allows.
#[test]
fn a_power_cut_leaves_it_suspended_or_stopped() {
    let world = suspended("overlay");
    let before = files(&world, "overlay");
    let half = world.at("vz/private/101/layers/00000000-0000-0000-0000-00000000000c.creating");
    fs::create_dir_all(half.join("etc")).unwrap();
    assert_eq!(sweep(&world.after_a_cut()).unwrap(), ["CT 101: creation was interrupted"]);
    assert_eq!((files(&world, "overlay"), half.exists()), (before, false));
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down suspended\n");
    // While its dump is removed.
    fs::rename(world.at("vz/dump/Dump.101"), world.at("vz/dump/.Dump.101.resumed")).unwrap();
    fs::remove_file(world.at("vz/dump/.Dump.101.resumed/core")).unwrap();
    let vz = world.after_a_cut();
    assert!(sweep(&vz).unwrap().is_empty());
    assert_eq!(fs::read_dir(world.at("vz/dump")).unwrap().count(), 0);
    assert!(crate::vz::service::to_start(&vz).is_empty());
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
}

#[test]
fn refusals_have_codes_of_their_operations() {
    let codes = [
        (Operation::ResumeOther, 17),
        (Operation::SetPlace, 32),
        (Operation::SetForStart, 32),
        (Operation::Mount, 50),
        (Operation::RunScript, 50),
        (Operation::SetPassword, 74),
        (Operation::Shrink, 154),
        (Operation::Convert, 155),
        (Operation::SnapshotSwitch, 159),
    ];
    for (operation, code) in codes {
        assert!(matches!(rule(operation), Answer::Refused(got, _) if got == code), "{operation:?}");
    }
}
