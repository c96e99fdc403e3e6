//! Containers that are saved to disk and continue from there.

use super::World;
use crate::vz::recovery;
use std::fs;

/// A running container, 101.
fn running() -> World {
    let world = World::new();
    world.ok("create 101");
    world.ok("start 101");
    world.node.taken();
    world
}

#[test]
fn suspended_and_resumed() {
    let world = running();
    let said = world.ok("suspend 101");
    assert_eq!(
        said,
        "Setting up checkpoint...\n\tsuspend...\n\tdump...\n\tkill...\nCheckpointing completed successfully\nContainer is unmounted\n"
    );
    assert_eq!(world.node.taken(), ["dump 101", "kill 101"]);
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down suspended\n");
    assert_eq!(world.list("-a -H -o ctid,status").1.trim(), "101 suspended");
    assert!(!world.vz().is_marked(101), "a resume has to be asked for");
    assert_eq!(world.run("suspend 101").0, 31);
    let said = world.ok("resume 101");
    assert!(said.ends_with("Container start in progress...\nRestoring completed successfully\n"), "{said}");
    assert_eq!(world.node.taken(), ["start 101 /sbin/init", "restore 101"]);
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    assert!(world.vz().is_marked(101) && !world.at("vz/dump/Dump.101").exists());
    assert_eq!(fs::read_dir(world.at("vz/dump")).unwrap().count(), 0);
    assert_eq!(world.run("resume 101").0, 32);
}

#[test]
fn a_dump_elsewhere_is_removed_as_well() {
    let world = running();
    world.ok("suspend 101 --dumpfile /backup/one");
    assert!(world.at("backup/one").is_dir());
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    let (code, said) = world.run("resume 101");
    assert_eq!(code, 17);
    assert!(
        said.contains("! Unable to open /vz/dump/Dump.101: No such file or directory\n! Restoring failed"),
        "{said}"
    );
    world.ok("restore 101 --dumpfile /backup/one --skip-fsck --flags 1 --context 1");
    assert!(!world.at("backup/one").exists());
    fs::write(world.at("etc/vz/vz.conf"), fs::read_to_string(world.at("etc/vz/vz.conf")).unwrap() + "DUMPDIR=/dumps\n")
        .unwrap();
    world.ok("suspend 101 --skip_arpdetect");
    assert!(world.at("dumps/Dump.101").is_dir());
    fs::write(world.at("backup/text"), "mine").unwrap();
    world.ok("start 101");
    assert_eq!(world.run("suspend 101 --dumpfile /backup/text").0, 16);
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    assert_eq!(fs::read_to_string(world.at("backup/text")).unwrap(), "mine");
}

#[test]
fn step_by_step() {
    let world = running();
    assert_eq!(world.run("chkpnt 101 --dump --dumpfile /d").0, 16, "it is not frozen");
    world.ok("chkpnt 101 --suspend --flags 7");
    let (code, said) = world.run("chkpnt 101 --dump");
    assert_eq!((code, said.contains("! Error: dumpfile is not specified")), (16, true), "{said}");
    world.ok("chkpnt 101 --dump --dumpfile /d --context 101");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running suspended\n");
    world.ok("chkpnt 101 --resume");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    assert!(world.at("d").is_dir(), "it is the caller's");
    world.ok("chkpnt 101 --suspend");
    world.ok("chkpnt 101 --kill");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    assert_eq!(world.run("restore 101 --undump").0, 17, "no dumpfile");
    assert_eq!(world.run("chkpnt 101 --undump").0, 20);
    assert_eq!(world.run("restore 101 --dump").0, 20);
    world.ok("mount 101");
    world.ok("restore 101 --undump --dumpfile /d --skip-remount");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running suspended\n");
    world.ok("restore 101 --resume");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    assert!(world.at("d").is_dir());
}

#[test]
fn what_can_not_be_saved_goes_on() {
    let world = running();
    world.node.0.borrow_mut().fails = true;
    let (code, said) = world.run("suspend 101");
    assert_eq!(code, 16);
    assert!(said.ends_with("! criu dump: it has a reason\n! Checkpointing failed\n"), "{said}");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    assert_eq!(fs::read_dir(world.at("vz/dump")).unwrap().count(), 0);
    // As it was before.
    world.ok("chkpnt 101 --suspend");
    assert_eq!(world.run("suspend 101").0, 16);
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running suspended\n");
    world.ok("resume 101");
    world.node.0.borrow_mut().fails = false;
    // The earlier dump stays as well, until there is another.
    world.ok("suspend 101");
    world.node.0.borrow_mut().fails = true;
    let (code, said) = world.run("resume 101");
    assert_eq!(code, 17);
    assert!(said.contains("! criu restore: it has a reason\n! Restoring failed"), "{said}");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down suspended\n");
    assert!(!world.vz().is_marked(101));
    world.node.0.borrow_mut().fails = false;
    world.ok("resume 101");
}

#[test]
fn without_criu() {
    let world = running();
    world.node.0.borrow_mut().without_criu = true;
    let (code, said) = world.run("suspend 101");
    assert_eq!((code, said.contains("! this system has no CRIU: add the component criu to its recipe")), (16, true));
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    world.ok("chkpnt 101 --suspend");
    assert_eq!(world.run("chkpnt 101 --dump --dumpfile /d").0, 16);
    world.ok("chkpnt 101 --resume");
    world.node.0.borrow_mut().without_criu = false;
    world.ok("suspend 101");
    world.node.0.borrow_mut().without_criu = true;
    let (code, said) = world.run("resume 101");
    assert_eq!((code, said.contains("has no CRIU")), (17, true), "{said}");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down suspended\n");
}

#[test]
fn a_start_continues_a_suspended_one() {
    let world = running();
    world.ok("suspend 101");
    let said = world.ok("start 101 --wait");
    assert!(said.starts_with("Dump file /vz/dump/Dump.101 exists, trying to restore from it\n"), "{said}");
    assert_eq!(world.node.taken(), ["dump 101", "kill 101", "start 101 /sbin/init", "restore 101"]);
    world.ok("suspend 101");
    world.ok("stop 101");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down suspended\n");
    world.node.0.borrow_mut().fails = true;
    let said = world.ok("start 101");
    assert!(said.contains("The container is started anew; the dump is kept as /vz/dump/Dump.101.failed"), "{said}");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running\n");
    // Its files have changed since: it is never restored by itself.
    world.ok("stop 101");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    assert!(world.at("vz/dump/Dump.101.failed").is_dir());
}

#[test]
fn a_destroyed_one_leaves_no_dump() {
    let world = running();
    world.ok("suspend 101");
    world.ok("destroy 101");
    world.ok("create 101");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
}

/// Otherwise what is sent to it would follow the host's default route.
#[test]
fn the_host_rejects_what_is_sent_to_a_suspended_one() {
    let world = running();
    let parked = || world.node.0.borrow().parked.contains(&101);
    world.node.0.borrow_mut().fails = true;
    assert_eq!(world.run("suspend 101").0, 16);
    assert!(!parked(), "it runs on");
    world.node.0.borrow_mut().fails = false;
    world.ok("suspend 101");
    assert!(parked());
    world.node.0.borrow_mut().fails = true;
    assert_eq!(world.run("resume 101").0, 17);
    assert!(parked(), "it is still suspended");
    world.ok("start 101");
    assert!(!parked(), "it is started anew");
    world.node.0.borrow_mut().fails = false;
    for end in ["resume 101", "start 101", "chkpnt 101 --kill"] {
        world.ok("suspend 101");
        assert!(parked());
        world.ok(end);
        assert!(!parked(), "{end}");
    }
    world.ok("start 101");
    world.ok("suspend 101");
    world.ok("destroy 101");
    assert!(!parked());
}

/// The routes that do it end with the machine.
#[test]
fn the_host_rejects_it_again_after_it_was_off() {
    let world = running();
    let vz = world.vz();
    crate::vz::service::park_suspended(&vz).unwrap();
    assert!(world.node.0.borrow().parked.is_empty(), "none is suspended");
    world.ok("suspend 101");
    world.node.0.borrow_mut().parked.clear();
    crate::vz::service::park_suspended(&vz).unwrap();
    assert_eq!(world.node.0.borrow().parked, [101].into());
}

#[test]
fn a_power_cut_meanwhile() {
    let world = running();
    // While it is written: the container starts anew, as it ran.
    fs::create_dir_all(world.at("vz/dump/.Dump.101.new/core")).unwrap();
    let vz = world.after_a_cut();
    assert_eq!(recovery::sweep(&vz).unwrap(), ["CT 101: suspending was interrupted; it was not suspended"]);
    assert_eq!(crate::vz::service::to_start(&vz), [101]);
    assert_eq!(fs::read_dir(world.at("vz/dump")).unwrap().count(), 0);
    world.ok("umount 101");
    world.ok("start 101");
    // When it has its name and the container is still recorded as running: it is continued.
    world.ok("suspend 101");
    crate::vz::mark::set(&world.at("vz/running/101")).unwrap();
    let vz = world.after_a_cut();
    assert!(recovery::sweep(&vz).unwrap().is_empty());
    assert_eq!(crate::vz::service::to_start(&vz), [101]);
    assert!(world.ok("start 101").contains("Restoring completed successfully"));
    // When it runs on and the dump is not removed yet.
    fs::create_dir_all(world.at("vz/dump/.Dump.101.resumed/core")).unwrap();
    let vz = world.after_a_cut();
    assert!(recovery::sweep(&vz).unwrap().is_empty());
    assert_eq!(crate::vz::service::to_start(&vz), [101]);
    assert_eq!(fs::read_dir(world.at("vz/dump")).unwrap().count(), 0);
    // Who is asked for while another works on it is left alone.
    fs::create_dir_all(world.at("vz/dump/.Dump.101.new")).unwrap();
    let lock = vz.lock(101, "").unwrap();
    assert!(recovery::sweep(&vz).unwrap().is_empty());
    drop(lock);
    assert!(world.at("vz/dump/.Dump.101.new").exists());
}
