//! `dbco why`: what brought a file, and what made a step run again.

mod project;

use project::{Project, host};

/// The small project with everything that can bring a path but packages.
fn project() -> Project {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [initrd, rootfs]");
    let more = "overlays: [overlay, more]\n  \
                replace: [/system/etc/motd]\n  \
                dirs: [{path: /system/var/mail, mode: \"1777\"}]\n  \
                links: {/system/etc/mtab: /proc/mounts}\n  \
                attributes: [{path: \"/system/etc/*\", mode: \"0640\"}]";
    project.edit("small.yaml", "overlays: [overlay]", more);
    project.write("more/system/etc/motd", "other\n");
    project
}

#[track_caller]
fn explains(project: &Project, arguments: &[&str], expected: &str) {
    let ran = project.dbco(&[&["why", "--offline"], arguments].concat()).ends(0);
    assert_eq!(ran.out, expected, "{arguments:?}");
}

#[test]
fn a_path_is_explained_by_its_origin_and_by_the_lines_about_it() {
    let project = project();
    explains(
        &project,
        &["small.yaml", "/system/etc/motd"],
        "\
/system/etc/motd in the rootfs: a file, 6 bytes, mode 640, owner 0:0
  from overlay more, listed at small.yaml:12:23
  in place of that of overlay overlay (`replace`)
  small.yaml:16:23: `attributes`
/system/etc/motd in the initramfs: a file, 6 bytes, mode 640, owner 0:0
  from overlay more, listed at small.yaml:12:23
  in place of that of overlay overlay (`replace`)
  small.yaml:16:23: `attributes`
",
    );
    let ran = project.dbco(&["why", "--offline", "small.yaml", "system/etc/mtab"]).ends(0);
    assert!(ran.out.starts_with("/system/etc/mtab in the rootfs: a link to /proc/mounts"), "{}", ran.out);
    assert!(ran.out.contains("\n  from the recipe\n  small.yaml:15:11: `links`\n"), "{}", ran.out);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/system/root"]).ends(0);
    assert!(ran.out.contains("small.yaml:18:14: `users`"), "{}", ran.out);
    // Only in the initramfs.
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/init"]).ends(0);
    assert!(ran.out.contains("in the initramfs") && !ran.out.contains("in the rootfs"), "{}", ran.out);
    assert!(ran.out.contains("from overlay early"), "{}", ran.out);
}

#[test]
fn a_pattern_lists_a_line_for_each_path() {
    let project = project();
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/system/etc/m*"]).ends(0);
    let lines: Vec<&str> = ran.out.lines().filter(|line| line.contains("rootfs")).collect();
    assert_eq!(lines, ["/system/etc/motd: overlay more (rootfs)", "/system/etc/mtab: the recipe (rootfs)"]);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/system/etc/motd", "--json"]).ends(0);
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = events.iter().find(|event| event["event"] == "origin" && event["root"] == "rootfs").unwrap();
    assert_eq!(event["origin"], "overlay more");
    assert_eq!(event["place"], "small.yaml:12:23");
    assert_eq!(event["replaced"][0], "overlay overlay");
}

#[test]
fn a_path_is_taken_literally_before_it_is_a_pattern() {
    let project = project();
    project.write("overlay/system/bin/[", "x");
    for path in ["/system/bin/[", "/system/etc/", "/system/etc/m?td"] {
        project.dbco(&["why", "--offline", "small.yaml", path]).ends(0);
    }
    // A home folder is the recipe's; the account is only in the root, as is what `attributes` states.
    project.edit(
        "small.yaml",
        "home: /system/root}",
        "home: /system/root}\n    - {name: ann, uid: 7, shell: /system/bin/sh}",
    );
    project.edit("small.yaml", "livefs: none", "livefs: none\n  components: []");
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/usr/home/ann"]).ends(0);
    assert!(ran.out.contains("mode 700, owner 7:7\n  from the recipe\n"), "{}", ran.out);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/usr"]).ends(0);
    assert!(ran.out.contains("from nothing but what is below it"), "{}", ran.out);
}

#[test]
fn a_wrong_path_recipe_or_step_is_an_error_that_names_near_ones() {
    let project = project();
    let refused = |arguments: &[&str], parts: &[&str]| {
        project.dbco(&[&["why", "--offline"], arguments].concat()).ends(2).says(parts);
    };
    refused(
        &["small.yaml", "/system/etc/mot"],
        &["/system/etc/mot is not in rootfs or initramfs", "`/system/etc/motd`"],
    );
    refused(&["small.yaml", "/other/motd"], &["did you mean `/system/etc/motd`?"]);
    refused(&["smal.yaml"], &["a path in the image is missing"]);
    refused(&["small.yaml"], &["a path in the image is missing"]);
    refused(&[], &["a path in the image, or --rebuilt STEP, is missing"]);
    refused(&["small.yaml", "--rebuilt", "rotfs"], &["no step `rotfs`", "did you mean `rootfs`?"]);
    project.write("stray.img", "x");
    refused(&["stray.img", "/x"], &["no recipe below the current folder is named", "give the recipe"]);
}

#[test]
fn an_image_stands_for_the_recipe_that_built_it_while_it_is_what_that_builds() {
    let project = project();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let ran = project.dbco(&["why", "--offline", "out/small/initrd.img", "/init"]).ends(0);
    assert!(ran.out.contains("from overlay early"), "{}", ran.out);
    project.write("overlay/system/etc/motd", "changed\n");
    project.write("more/system/etc/motd", "changed\n");
    let ran = project.dbco(&["why", "--offline", "out/small/initrd.img", "/init"]).ends(1);
    ran.says(&["out/small/initrd.img is not what small.yaml builds now", "dbco build small.yaml"]);
}

#[test]
fn a_package_is_explained_by_what_needs_it() {
    let project = project();
    let text = "Package: tool\nVersion: 1\nArchitecture: amd64\nDepends: libtool1\nMaintainer: x <x@example.org>\nDescription: x\n";
    let lib = text.replace("tool\n", "libtool1\n").replace("Depends: libtool1\n", "");
    host::provide_packages(
        &project,
        &[
            ("tool", "1", host::deb(text, &[("usr/bin/tool", b"tool")])),
            ("libtool1", "1", host::deb(&lib, &[("usr/lib/libtool.so.1", b"lib")])),
        ],
    );
    // The other one is a dependency.
    project.edit("dbco.lock", "packages: [libtool1, tool]", "packages: [tool]");
    project.edit(
        "small.yaml",
        "rootfs:\n  layout: split\n",
        "rootfs:\n  layout: split\n  debian: bookworm\n  packages: [tool]\n",
    );
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/usr/lib/libtool.so.1"]).ends(0);
    assert!(ran.out.contains("from package libtool1 1"), "{}", ran.out);
    assert!(ran.out.contains("needed by: tool → libtool1"), "{}", ran.out);
}

#[test]
fn what_made_a_step_run_again_is_followed_to_the_input_that_changed() {
    let project = project();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "--rebuilt", "initrd"]).ends(0);
    assert_eq!(ran.out, "the store has no other result of initrd\n");
    project.write("more/system/etc/motd", "changed\n");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "--rebuilt", "initrd"]).ends(0);
    let lines: Vec<&str> = ran.out.lines().map(str::trim).collect();
    let starts = [
        "initrd: now ",
        "root is made by another step:",
        "initramfs: now ",
        "layer is made by another step:",
        "rootfs: now ",
    ];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}: {}", ran.out);
    }
    assert!(lines[5].starts_with("- layer: folder "), "{}", ran.out);
    assert!(lines[6].starts_with("+ layer: overlay more (folder "), "{}", ran.out);
    assert_eq!(lines.len(), 7, "{}", ran.out);
    // A statement of the recipe is shown by its lines.
    project.edit("small.yaml", "/proc/mounts", "/proc/self/mounts");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "--rebuilt", "rootfs", "--json"]).ends(0);
    let event: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(event["differences"].as_array().unwrap().len(), 1, "{event}");
    assert_eq!(event["differences"][0]["input"], "stated", "{event}");
    assert!(event["differences"][0]["now"][0].as_str().unwrap().contains("/proc/self/mounts"), "{event}");
    project.edit("small.yaml", "[overlay, more]", "[more, overlay]");
    let ran = project.dbco(&["why", "--offline", "small.yaml", "--rebuilt", "rootfs"]).ends(0);
    let lines: Vec<&str> = ran.out.lines().skip(1).collect();
    assert_eq!(lines, ["  + layer: the same inputs, in another order or number"]);
}
