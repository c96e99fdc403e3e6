//! `dbco inspect`, `ls`, `cat`, `extract` and `diff` as commands.

mod project;

use std::os::unix::fs::PermissionsExt;

use dbco::process::command;
use project::Project;

/// Runs a script of the host's shell in the project's folder.
fn script(project: &Project, text: &str) {
    let output = project.prepare(command("sh").args(["-ec", text])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An ISO with an initrd with a squashfs.
const ISO: &str = "mkdir -p root/usr/bin root/etc iso/boot/grub init
    printf 'hello\\n' > root/usr/bin/x; ln -s usr/bin root/bin; printf 'Package: a\\nVersion: 1\\n' > pkg; mkdir -p root/var/lib/dpkg; mv pkg root/var/lib/dpkg/status
    mksquashfs root init/system.sfs -quiet -no-progress -all-root -mkfs-time 0 -all-time 0 >&2
    (cd init && find . | cpio -o -H newc --quiet | gzip -9) > iso/boot/initrd
    printf 'menuentry \"Live\" { linux /boot/vmlinuz quiet\\n initrd /boot/initrd\\n}\\n' > iso/boot/grub/grub.cfg
    xorriso -no_rc -report_about FATAL -outdev live.iso -map iso / >&2";

#[test]
fn files_are_found_through_images_inside_each_other() {
    let project = Project::new();
    script(&project, ISO);
    let listed = project.dbco(&["ls", "live.iso"]).ends(0);
    assert_eq!(listed.out, ".\nboot\nboot/grub\nboot/grub/grub.cfg\nboot/initrd\n");
    let listed = project.dbco(&["ls", "-l", "live.iso//boot/initrd//system.sfs//usr"]).ends(0);
    assert!(listed.out.contains("-rw-r--r-- 0/0                  6 1970-01-01 00:00 usr/bin/x"), "{}", listed.out);
    // Through a link of the image.
    assert_eq!(project.dbco(&["cat", "live.iso//boot/initrd//system.sfs//bin/x"]).ends(0).out, "hello\n");
    let inspected = project.dbco(&["inspect", "live.iso"]).ends(0).out;
    for part in [
        "an ISO 9660 image",
        "\"Live\"",
        "/boot/vmlinuz quiet",
        "segment at 0: gzip",
        "//system.sfs: a squashfs",
        "1 package installed",
    ] {
        assert!(inspected.contains(part), "{part} is not in\n{inspected}");
    }
    let json = project.dbco(&["inspect", "--json", "live.iso//boot/initrd"]).ends(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["format"].as_str(), json["images"][0]["path"].as_str()), (Some("initrd"), Some("system.sfs")));
    project.dbco(&["cat", "live.iso//boot/none"]).ends(1).says(&["live.iso//boot/none: nothing has this path there"]);
    project.dbco(&["cat", "live.iso//boot"]).ends(1).says(&["live.iso//boot: it is a folder, not a file"]);
    project.dbco(&["cat", "live.iso"]).ends(2).says(&["expected IMAGE//PATH"]);
    project.dbco(&["ls", "none.iso//boot"]).ends(2).says(&["can't open none.iso//boot", "No such file"]);
    project
        .dbco(&["ls", "live.iso//boot/grub/grub.cfg//a"])
        .ends(1)
        .says(&["of an unknown format, which contains no files"]);
    project
        .dbco(&["ls", "--max-unpacked", "1K", "live.iso//boot/initrd//"])
        .ends(1)
        .says(&["more than 1024 bytes", "--max-unpacked"]);
}

#[test]
fn extracting_never_leaves_the_folder_and_never_overwrites() {
    let project = Project::new();
    script(&project, ISO);
    project.dbco(&["extract", "live.iso//boot/initrd//system.sfs", "-o", "one"]).ends(0);
    assert!(std::fs::metadata(project.path("one/system.sfs")).unwrap().len() > 100);
    project.dbco(&["extract", "live.iso//boot/initrd//system.sfs//", "-o", "all"]).ends(0);
    assert_eq!(project.read("all/bin/x"), "hello\n");
    project.dbco(&["extract", "live.iso", "-o", "all"]).ends(2).says(&["all is not empty"]);

    // A link to a folder outside, and a file through it; a name with `..`; a device.
    let member = |name: &str, kind: tar::EntryType, link: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_size(content.len() as u64);
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_cksum();
        let mut bytes = [header.as_bytes(), content].concat();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    let outside = project.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let bytes = [
        member("out", tar::EntryType::Symlink, outside.to_str().unwrap(), b""),
        member("out/evil", tar::EntryType::Regular, "", b"evil"),
        member("../evil", tar::EntryType::Regular, "", b"evil"),
        member("null", tar::EntryType::Char, "", b""),
        member("good", tar::EntryType::Regular, "", b"good"),
        vec![0; 1024],
    ];
    project.write("evil.tar", bytes.concat());
    let ran = project.dbco(&["extract", "evil.tar", "-o", "evil"]).ends(1);
    ran.says(&[
        "not written: out/evil:",
        "not written: ../evil: its path contains `..`",
        "not written: null: a device needs root",
    ]);
    assert_eq!(project.read("evil/good"), "good");
    assert_eq!(std::fs::metadata(project.path("evil/good")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
    assert!(!project.path("evil.tar").parent().unwrap().join("evil").is_file());
}

#[test]
fn a_difference_is_named_down_to_the_file_in_the_innermost_image() {
    let project = Project::new();
    script(&project, ISO);
    project.dbco(&["diff", "live.iso", "live.iso"]).ends(0);
    script(&project, "mkdir a b; mv live.iso a/one.iso");
    let changed = ISO
        .replace("hello", "world")
        .replace("Version: 1", "Version: 2")
        .replace("quiet\\n", "debug\\n")
        .replace("    mksquashfs", "    chmod 755 root/usr/bin/x; mksquashfs")
        .replace("mkdir -p root/usr/bin", "rm -rf root init iso; mkdir -p root/usr/bin");
    script(&project, &changed);
    script(
        &project,
        "mv live.iso b/two.iso; echo CONFIG_A=y > a/config; echo '# CONFIG_A is not set' > b/config; echo CONFIG_B=m >> b/config",
    );
    let ran = project.dbco(&["diff", "a", "b", "--html", "page.html"]).ends(1);
    let place = "one.iso//boot/initrd//system.sfs//";
    for line in [
        format!("  ~ {place}usr/bin/x content: line 1: hello → line 1: world"),
        format!("  ~ {place}usr/bin/x mode: 0644 → 0755"),
        format!("  ~ {place}a: 1 → 2"),
        "  ~ one.iso//boot/grub/grub.cfg//Live: /boot/vmlinuz quiet; initrd /boot/initrd → /boot/vmlinuz debug; initrd /boot/initrd".into(),
        "  - config//A: y".into(),
        "  + config//B: m".into(),
    ] {
        assert!(ran.out.lines().any(|other| other == line), "{line}\nis not in\n{}", ran.out);
    }
    assert!(ran.err.contains("one.iso is compared with two.iso"), "{}", ran.err);
    let page = project.read("page.html");
    assert!(page.contains("usr/bin/x") && page.contains("6 differences") && !page.contains("http"), "{page}");
    let json = project.dbco(&["diff", "--json", "a/one.iso", "b/two.iso"]).ends(1).out;
    let last: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((last["equal"].as_bool(), last["differences"].as_u64()), (Some(false), Some(4)));
    project.dbco(&["diff", "a", "b/two.iso"]).ends(2).says(&["a is a folder and b/two.iso is not"]);

    // The same content stored in another way is no difference.
    script(
        &project,
        "mksquashfs root c.sfs -quiet -no-progress -all-root >&2; mksquashfs root d.sfs -quiet -no-progress -all-root -b 4096 >&2",
    );
    project.dbco(&["diff", "c.sfs", "d.sfs"]).ends(0).says(&["squashfs blocks"]);
}
