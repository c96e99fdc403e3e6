//! Layout `ploop`: images, their size, snapshots, conversion, and what a power cut leaves of each.

use super::World;
use crate::vz::layout::Layout;
use crate::vz::recovery::sweep;
use std::fs;

const A: &str = "{00000000-0000-0000-0000-00000000000a}";
const B: &str = "{00000000-0000-0000-0000-00000000000b}";

fn image(world: &World, name: &str) -> std::path::PathBuf {
    world.at("vz/private/101/root.hdd").join(name)
}

/// Names of what is in the images' folder.
fn images(world: &World) -> Vec<String> {
    let entries = fs::read_dir(image(world, "")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A container of this layout, with a file `mark`.
fn made(more: &str) -> World {
    let world = World::new();
    world.ok(&format!("create 101 --layout ploop --diskspace 10M:20M {more}"));
    mark(&world, "one");
    world.node.taken();
    world
}

fn mark(world: &World, text: &str) {
    world.ok("mount 101");
    fs::write(world.at("vz/root/101/mark"), text).unwrap();
    world.ok("umount 101");
    world.node.taken();
}

fn marked(world: &World) -> String {
    world.ok("mount 101");
    let text = fs::read_to_string(world.at("vz/root/101/mark")).unwrap();
    world.ok("umount 101");
    world.node.taken();
    text
}

#[test]
fn an_image_is_made_mounted_and_removed() {
    let world = World::new();
    world.ok("create 101 --layout ploop:expanded --diskspace 10M:20M --diskinodes 1000:2000");
    assert_eq!(world.node.taken(), ["format 20971520 Some(2000)"]);
    assert!(world.conf(101).contains("VE_LAYOUT=\"ploop\"\n"), "{}", world.conf(101));
    assert_eq!(images(&world), ["DiskDescriptor.xml", "root.hdd"]);
    assert_eq!(fs::metadata(image(&world, "root.hdd")).unwrap().len(), 20 << 20);
    let text = fs::read_to_string(image(&world, "DiskDescriptor.xml")).unwrap();
    assert!(text.contains("<Disk_size>40960</Disk_size>") && text.contains("<File>root.hdd</File>"), "{text}");
    // As many files as blocks, whatever the sample for larger ones says.
    world.ok("create 102 --layout ploop --diskspace 20M --diskinodes 200000");
    assert_eq!(world.node.taken(), ["format 20971520 Some(5120)"]);
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    world.ok("start 101");
    assert_eq!(world.node.taken(), ["check root.hdd", "start 101 /sbin/init"]);
    assert!(world.list("-o ctid,layout,diskspace,diskspace.h,diskinodes 101").1.contains("ploop"));
    assert_eq!(
        world.list("-H -o layout,diskspace,diskspace.h,diskinodes 101").1,
        "ploop        4096      20480         77\n"
    );
    world.ok("compact 101");
    assert_eq!(world.ok("quotaon 101"), "CT is on ploop, disk quota is obsoleted, skipping operation\n");
    assert_eq!(world.run("destroy 101").0, 32);
    world.ok("stop 101");
    world.node.taken();
    world.ok("start 101 --skip-fsck");
    assert_eq!(world.node.taken(), ["start 101 /sbin/init"]);
    world.ok("stop 101 --fast --skip-umount");
    assert_eq!(world.run("destroy 101").0, 41);
    world.ok("umount 101");
    // Another's format is told apart from a damaged image.
    let good = fs::read(image(&world, "root.hdd")).unwrap();
    fs::write(image(&world, "root.hdd"), [b'W'; 4096]).unwrap();
    let (code, said) = world.run("start 101");
    assert!(code == 152 && said.contains("is not an image of ext4 as it is"), "{said}");
    fs::write(image(&world, "root.hdd"), good).unwrap();
    // Without a word it is told by its descriptor, as the classic tool does.
    let conf = world.conf(101).replace("VE_LAYOUT=\"ploop\"\n", "");
    fs::write(world.at("etc/vz/conf/101.conf"), conf).unwrap();
    world.ok("mount 101");
    world.ok("umount 101");
    assert_eq!(Layout::of(&world.at("vz/private/101"), None).unwrap(), Layout::Ploop);
    world.ok("destroy 101");
    assert!(!world.at("vz/private/101").exists() && world.node.0.borrow().images.is_empty());
}

#[test]
fn its_owners_are_those_of_its_users() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    use std::os::unix::fs::MetadataExt;
    let world = made("--local_uid 100000");
    world.ok("mount 101");
    assert_eq!(fs::metadata(world.at("vz/root/101/sbin/init")).unwrap().uid(), 100_000);
    world.ok("umount 101");
}

#[test]
fn its_size_changes() {
    let world = made("");
    let size = || fs::metadata(image(&world, "root.hdd")).unwrap().len();
    for (line, code, text) in [
        ("set 101 --diskspace 40M", 20, "can't use --diskspace without --save for a ploop-based container"),
        ("set 101 --offline-resize --save", 20, "can only be used with --diskspace"),
    ] {
        let (got, said) = world.run(line);
        assert!(got == code && said.contains(text), "vzctl {line}: {said}");
    }
    world.ok("set 101 --diskspace 40M --save");
    assert_eq!(world.node.taken(), ["check root.hdd", "grow 41943040"]);
    assert!(world.conf(101).contains("DISKSPACE=\"40960:40960\""), "{}", world.conf(101));
    // A power cut may have left the file alone as it is to be.
    world.ok("set 101 --diskspace 40M --save");
    assert_eq!(world.node.taken(), ["check root.hdd", "grow 41943040"]);
    assert_eq!((size(), marked(&world).as_str()), (40 << 20, "one"));
    world.ok("start 101");
    world.node.taken();
    world.ok("set 101 --diskspace 40M:50M --save");
    assert_eq!(world.node.taken(), ["grow 52428800", "apply DISKSPACE"]);
    let (code, said) = world.run("set 101 --diskspace 30M --save");
    assert!(code == 154 && said.contains("can't shrink while the container is mounted"), "{said}");
    let (code, said) = world.run("set 101 --diskspace 60M --offline-resize --save");
    assert!(code == 21 && said.contains("--offline-resize can't be used on a running container"), "{said}");
    assert!(world.conf(101).contains("DISKSPACE=\"40960:51200\""));
    world.ok("stop 101");
    world.node.taken();
    let said = world.ok("set 101 --diskspace 30M --offline-resize --diskinodes 500 --save");
    assert!(said.contains("--diskinodes is ignored for ploop-based container"), "{said}");
    assert!(!said.contains("only makes sense"), "{said}");
    assert_eq!(world.node.taken(), ["shrink 31457280"]);
    assert_eq!((size(), marked(&world).as_str()), (30 << 20, "one"));
    let descriptor = fs::read_to_string(image(&world, "DiskDescriptor.xml")).unwrap();
    assert!(descriptor.contains("<Disk_size>61440</Disk_size>"), "{descriptor}");
    // What it holds needs more: all is as it was.
    let (code, said) = world.run("set 101 --diskspace 4K --save");
    assert!(code == 154 && said.contains("Failed to resize image: New size smaller than minimum"), "{said}");
    assert_eq!((size(), marked(&world).as_str()), (30 << 20, "one"));
    assert_eq!(images(&world), ["DiskDescriptor.xml", "root.hdd"]);
}

#[test]
fn snapshots_are_whole_images() {
    let world = made("--hostname first.example.org");
    world.ok(&format!("snapshot 101 --id {A} --name first --description one"));
    world.ok("set 101 --hostname second.example.org --save");
    mark(&world, "two");
    world.ok("start 101");
    world.node.taken();
    world.ok(&format!("snapshot 101 --id {B} --skip-config"));
    assert_eq!(world.node.taken(), ["hold"], "nothing changes while it is copied");
    assert!(world.node.0.borrow().frozen.is_empty() && world.node.0.borrow().running.contains(&101));
    assert_eq!(
        images(&world),
        ["DiskDescriptor.xml".to_owned(), "root.hdd".into(), format!("root.hdd.{A}"), format!("root.hdd.{B}")]
    );
    let descriptor = fs::read_to_string(image(&world, "DiskDescriptor.xml")).unwrap();
    let parent = format!("<GUID>{B}</GUID>\n\t\t\t<ParentGUID>{A}</ParentGUID>");
    assert!(descriptor.contains(&parent) && descriptor.contains(&format!("<File>root.hdd.{B}</File>")), "{descriptor}");
    assert_eq!(world.ok("snapshot-list 101 -o uuid,current,name -H"), format!("{A}   first\n{B} *\n"));
    // To the first, from one that runs: with its configuration.
    let said = world.ok(&format!("snapshot-switch 101 --id {A}"));
    assert!(said.contains("Container has been successfully switched to another snapshot"), "{said}");
    assert_eq!((world.ok("status 101"), marked(&world)), ("CTID 101 exist unmounted down\n".into(), "one".into()));
    assert!(world.conf(101).contains("HOSTNAME=\"first.example.org\""));
    mark(&world, "three");
    world.ok(&format!("snapshot-switch 101 --id {B} --skip-config"));
    assert_eq!(marked(&world), "two");
    // What is mounted of one is read-only, and as it was.
    fs::create_dir(world.at("look")).unwrap();
    let target = world.at("look").canonicalize().unwrap();
    world.ok(&format!("snapshot-mount 101 --id {A} --target {}", target.display()));
    assert_eq!(fs::read_to_string(target.join("mark")).unwrap(), "one");
    world.ok(&format!("snapshot-umount 101 --id {A}"));
    world.ok(&format!("snapshot-delete 101 --id {A}"));
    assert_eq!(world.run(&format!("snapshot-delete 101 --id {A}")).0, 158);
    assert_eq!(images(&world), ["DiskDescriptor.xml".to_owned(), "root.hdd".into(), format!("root.hdd.{B}")]);
    world.ok(&format!("snapshot-delete 101 --id {B}"));
    assert_eq!((world.ok("snapshot-list 101 -H"), marked(&world)), (String::new(), "two".into()));
    assert_eq!(fs::read_dir(world.at("vz/private/101/dump")).unwrap().count(), 0);
    assert!(sweep(&world.after_a_cut()).unwrap().is_empty());
}

/// At each place where the power may go.
#[test]
fn a_cut_leaves_what_was_or_what_comes() {
    let world = made("--hostname first.example.org");
    let state = world.at("vz/private/101/Snapshots.json");
    let swept = || sweep(&world.after_a_cut()).unwrap();
    let none = ["DiskDescriptor.xml".to_owned(), "root.hdd".into()];
    // A snapshot: half copied, and whole without its description.
    fs::write(image(&world, &format!("root.hdd.{A}.creating")), "half").unwrap();
    assert_eq!(swept(), ["CT 101: creation was interrupted"]);
    let before = fs::read(&state).unwrap();
    world.ok(&format!("snapshot 101 --id {A}"));
    let after = fs::read(&state).unwrap();
    fs::write(&state, before).unwrap();
    assert_eq!(swept(), [format!("CT 101: a snapshot was interrupted; {A} was removed")]);
    assert_eq!((images(&world), marked(&world)), (none.to_vec(), "one".into()));
    assert!(!world.at("vz/private/101/dump").join(format!("{A}.ve.conf")).exists());
    // A deletion: the description is gone, the image is not.
    world.ok(&format!("snapshot 101 --id {A}"));
    assert_eq!(fs::read(&state).unwrap().len(), after.len());
    let descriptor = fs::read(image(&world, "DiskDescriptor.xml")).unwrap();
    mark(&world, "two");
    world.ok("set 101 --hostname second.example.org --save");
    // A switch: half copied; described, with both images; described, with the new one in its place.
    fs::write(image(&world, "root.hdd.switching"), "half").unwrap();
    assert_eq!(swept(), ["CT 101: switch of a snapshot was interrupted"]);
    assert_eq!(marked(&world), "two");
    let text = fs::read_to_string(&state).unwrap();
    let switching = text.replacen('{', &format!("{{\"switching\": {{\"id\": \"{A}\", \"conf\": true}},"), 1);
    for placed in [false, true] {
        mark(&world, "two");
        world.ok("set 101 --hostname second.example.org --save");
        fs::write(&state, &switching).unwrap();
        let copy = image(&world, if placed { "root.hdd" } else { "root.hdd.switching" });
        fs::copy(image(&world, &format!("root.hdd.{A}")), copy).unwrap();
        assert_eq!(swept(), ["CT 101: switch of a snapshot was interrupted and is now complete"]);
        assert_eq!(marked(&world), "one");
        assert!(world.conf(101).contains("HOSTNAME=\"first.example.org\""));
        assert_eq!(fs::read(image(&world, "DiskDescriptor.xml")).unwrap(), descriptor);
        assert!(swept().is_empty());
    }
    // A change of the size: half copied. The descriptor of before.
    fs::write(image(&world, "root.hdd.resizing"), "half").unwrap();
    fs::write(image(&world, "DiskDescriptor.xml"), "old").unwrap();
    let half = [image(&world, ".DiskDescriptor.xml.new"), world.at("vz/private/101/.Snapshots.json.new")];
    half.iter().for_each(|path| fs::write(path, "ha").unwrap());
    assert_eq!(swept(), ["CT 101: change of the size was interrupted"]);
    assert!(half.iter().all(|path| !path.exists()));
    assert_eq!(fs::read(image(&world, "DiskDescriptor.xml")).unwrap(), descriptor);
    assert_eq!(marked(&world), "one");
    // A creation: taken back, with its image.
    fs::create_dir_all(world.at("vz/private/102.creating/root.hdd")).unwrap();
    assert_eq!(swept(), ["CT 102: creation was interrupted; the incomplete container was removed: create it again"]);
    assert!(!world.at("vz/private/102.creating").exists());
}

#[test]
fn a_tree_is_converted() {
    for layout in ["simfs", "overlay"] {
        let world = World::new();
        world.ok(&format!("create 101 --layout {layout} --diskspace 20M"));
        world.ok("start 101");
        assert_eq!(world.run("convert 101").0, 32);
        world.ok("stop 101");
        world.ok("mount 101");
        assert_eq!(world.run("convert 101 --layout ploop").0, 41);
        world.ok("umount 101");
        if layout == "overlay" {
            world.ok(&format!("snapshot 101 --id {A}"));
            assert_eq!(world.run("convert 101").0, 155);
            world.ok(&format!("snapshot-delete 101 --id {A}"));
        }
        let said = world.ok("convert 101");
        assert!(said.ends_with("Container was successfully converted to the ploop layout\n"), "{said}");
        assert_eq!(images(&world), ["DiskDescriptor.xml", "root.hdd"]);
        assert!(world.conf(101).contains("VE_LAYOUT=\"ploop\""));
        assert_eq!(world.ok("convert 101 --layout ploop:raw"), "CT is already on ploop\n");
        world.ok("start 101");
        assert!(world.at("vz/root/101/sbin/init").exists(), "what the tree held");
        world.ok("stop 101");
        assert!(sweep(&world.after_a_cut()).unwrap().is_empty());
        let left: Vec<_> =
            fs::read_dir(world.at("vz/private")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["101"]);
    }
}

#[test]
fn an_interrupted_conversion_is_taken_back_or_finished() {
    let world = World::new();
    world.ok("create 101 --diskspace 20M");
    let (conf, waiting) = (world.at("etc/vz/conf/101.conf"), world.at("etc/vz/conf/.101.conf.converting"));
    let at = |ending: &str| world.at(&format!("vz/private/101{ending}"));
    let old = world.conf(101);
    // Without its configuration it is taken back.
    fs::create_dir(at(".converting")).unwrap();
    assert_eq!(sweep(&world.after_a_cut()).unwrap(), ["CT 101: conversion was interrupted"]);
    assert_eq!(
        (world.conf(101), at("").join("sbin/init").exists(), at(".converting").exists()),
        (old.clone(), true, false)
    );
    // With it, it is finished: from before both renames, between them, and after.
    world.ok("convert 101");
    let new = world.conf(101);
    for stage in 0..3 {
        fs::write(&conf, &old).unwrap();
        fs::write(&waiting, &new).unwrap();
        if stage < 2 {
            fs::rename(at(""), at(".converting")).unwrap();
        }
        let tree = at(if stage == 0 { "" } else { ".converted" });
        fs::create_dir_all(tree.join("sbin")).unwrap();
        assert_eq!(
            sweep(&world.after_a_cut()).unwrap(),
            ["CT 101: conversion was interrupted and is now complete"],
            "{stage}"
        );
        assert_eq!((world.conf(101), images(&world).len(), waiting.exists()), (new.clone(), 2, false), "{stage}");
        assert!(!at(".converting").exists() && !at(".converted").exists());
        world.ok("mount 101");
        assert!(world.at("vz/root/101/sbin/init").exists());
        world.ok("umount 101");
    }
}
