//! Outputs that are the root filesystem itself: an archive, and a squashfs. Read by third-party tools.

mod project;

use std::collections::BTreeMap;

use dbco::process::command;
use project::{Project, host};

/// The output of a shell command, run in the project's folder.
#[track_caller]
fn printed(project: &Project, line: &str) -> String {
    let output = command("sh").args(["-ec", line]).current_dir(project.path("")).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The small project with a root that contains every kind of node and an owner other than root.
fn project(outputs: &str) -> Project {
    let project = Project::with("outputs: [initrd, grub-cfg]", outputs);
    let more = "overlays: [overlay]\n  \
                nodes: [{path: /system/dev/console, type: char, major: 5, minor: 1, mode: \"0600\"}]\n  \
                dirs: [{path: /system/var/mail, mode: \"1777\", uid: 1000, gid: 8}]\n  \
                links: {/system/etc/mtab: /proc/mounts}";
    project.edit("small.yaml", "overlays: [overlay]", more);
    project
}

/// Each path's type and mode, owner, and the target of a device or a link, from a listing of tar or of unsquashfs.
fn nodes(listing: &str) -> BTreeMap<String, Vec<String>> {
    let node = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let size = if words[0].starts_with('c') { words[2] } else { "" };
        let at = words.iter().position(|word| word.starts_with("./") || word.starts_with("root")).unwrap();
        let path = words[at].trim_start_matches("./").trim_start_matches("root").trim_matches('/').to_owned();
        let facts = [&words[..2], &[size], &words[at + 1..]].concat();
        (path, facts.into_iter().map(str::to_owned).collect())
    };
    listing.lines().filter(|line| !line.is_empty()).map(node).collect()
}

#[test]
fn the_root_filesystem_is_an_archive_in_each_compression() {
    let project = project("outputs: [rootfs]");
    let mut listings = Vec::new();
    for (word, ending, read) in [
        ("", "tar.zst", "zstd -dc"),
        ("zstd", "tar.zst", "zstd -dc"),
        ("xz", "tar.xz", "xz -dc"),
        ("gzip", "tar.gz", "gzip -dc"),
        ("lz4", "tar.lz4", "lz4 -dc"),
        ("none", "tar", "cat"),
    ] {
        let recipe = project.read("small.yaml");
        if !word.is_empty() {
            project.edit("small.yaml", "layout: split\n", &format!("layout: split\n  compression: {word}\n"));
        }
        project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
        let archive = format!("out/small/small.rootfs.{ending}");
        listings.push(printed(&project, &format!("{read} {archive} | TZ=UTC tar --numeric-owner -tvf -")));
        project.write("small.yaml", recipe);
    }
    assert!(listings.iter().all(|listing| *listing == listings[0]));
    let nodes = nodes(&listings[0]);
    let fact = |path: &str| nodes[path].join(" ").trim_end().to_owned();
    assert_eq!(fact("system/dev/console"), "crw------- 0/0 5,1");
    assert_eq!(fact("system/var/mail"), "drwxrwxrwt 1000/8");
    assert_eq!(fact("system/etc/mtab"), "lrwxrwxrwx 0/0  -> /proc/mounts");
    assert_eq!(fact("system/etc/motd"), "-rw-r--r-- 0/0");
}

#[test]
fn the_squashfs_is_an_output_of_its_own_and_holds_what_the_archive_does() {
    let project = project("outputs: [rootfs, squashfs, initrd]");
    project.edit("small.yaml", "image: none", "image: host");
    project.edit("small.yaml", "livefs: none", "livefs: squashfs");
    host::provide_with(&project, &["mksquashfs"]);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let archive = "zstd -dc out/small/small.rootfs.tar.zst | TZ=UTC tar --numeric-owner -tvf -";
    let squashfs = "unsquashfs -lln -UTC -d root out/small/small.squashfs | sed 's/, */,/'";
    assert_eq!(nodes(&printed(&project, archive)), nodes(&printed(&project, squashfs)));
    // It is the one in the initrd, packed once.
    let inside = "cpio -i --quiet --to-stdout livefs.squashfs < out/small/initrd.img | sha256sum";
    let outside = "sha256sum < out/small/small.squashfs";
    assert_eq!(printed(&project, inside), printed(&project, outside));
    // By itself it needs no initrd.
    project.dbco(&["build", "--offline", "--only", "squashfs", "-o", "one", "small.yaml"]).ends(0);
    assert_eq!(printed(&project, "ls one/small"), "SHA256SUMS\nsmall.squashfs\n");
}

#[test]
fn the_recipe_says_how_the_squashfs_is_packed() {
    let project = project("outputs: [squashfs]");
    project.edit("small.yaml", "image: none", "image: host");
    host::provide_with(&project, &["mksquashfs"]);
    let recipe = project.read("small.yaml");
    for (keys, compression, block) in [
        ("", "zstd", 256 << 10),
        ("squashfs: {block: 1M}", "zstd", 1 << 20),
        ("squashfs: {compression: gzip, block: 4K}", "gzip", 4 << 10),
        ("squashfs: {compression: lz4}", "lz4", 256 << 10),
        ("squashfs: {compression: xz}", "xz", 256 << 10),
    ] {
        project.write("small.yaml", format!("{recipe}{keys}\n"));
        project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
        let said = printed(&project, "unsquashfs -s out/small/small.squashfs");
        assert!(said.contains(&format!("\nCompression {compression}\n")), "{keys}: {said}");
        assert!(said.contains(&format!("\nBlock size {block}\n")), "{keys}: {said}");
    }
    for (keys, told) in [
        ("squashfs: {block: 2M}", "a power of two from 4K to 1M"),
        ("squashfs: {block: 5K}", "a power of two"),
        ("squashfs: {compression: lzo}", "one of: zstd, xz, gzip, lz4"),
        ("squashfs: {blocks: 4K}", "did you mean `block`?"),
    ] {
        project.write("small.yaml", format!("{recipe}{keys}\n"));
        let line = format!("small.yaml:{}:", recipe.lines().count() + 1);
        project.dbco(&["check", "small.yaml"]).ends(2).says(&[&line, told]);
    }
}

#[test]
fn what_can_not_be_asked_of_them_has_its_place() {
    let project = project("outputs: [rootfs, squashf]");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["small.yaml:", "unknown value `squashf`", "did you mean `squashfs`?"]);
    let project = self::project("outputs: [rootfs]");
    project.edit("small.yaml", "layout: split\n", "layout: split\n  compression: bzip2\n");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["small.yaml:12:16", "unknown value `bzip2`"]);
}

#[test]
fn a_kernel_without_an_image_is_told_before_it_is_built() {
    for (outputs, output) in [("[bzimage]", "bzimage"), ("[initrd, iso]", "iso")] {
        let project = Project::with("[initrd, grub-cfg]", outputs);
        project.edit("components/kernel.yaml", "files: {bzImage: bzImage}\n", "");
        let said = format!("component `kernel` has no file `bzImage` under `files`, which output `{output}` needs");
        project.dbco(&["check", "small.yaml"]).ends(2).says(&["kernel-image", "small.yaml:7:14", &said]);
        let component = project.read("components/kernel.yaml") + "files: {bzImage: bzImage}\n";
        project.write("components/kernel.yaml", component);
        project.dbco(&["check", "small.yaml"]).ends(0);
    }
}
