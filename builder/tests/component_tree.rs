//! What a component installs, through to the images: hard links, capabilities, attributes. Read back by other tools.

mod project;
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dbco::archive::Budget;
use dbco::archive::tar::read_tree;
use dbco::image::cpio::write_cpio;
use dbco::image::disk::Disk;
use dbco::image::squashfs::{Packing, Squashfs};
use dbco::platform::Platform;
use dbco::store::Store;
use dbco::tree::{Tree, TreePath};
use project::{Project, host};
use support::{EPOCH, HostTools, host, judge, text};

const INSTALL: &str = "mkdir -p $OUT/system/bin $OUT/system/sbin && \
    echo tool >$OUT/system/bin/tool && ln $OUT/system/bin/tool $OUT/system/sbin/other && \
    ln $OUT/system/bin/tool $OUT/system/sbin/third && echo tool >$OUT/system/bin/copy && \
    echo src >kept && ln kept $OUT/system/bin/kept";
const ATTRIBUTES: &str = " && echo ping >$OUT/system/bin/ping && setcap cap_net_raw+ep $OUT/system/bin/ping && \
    ln $OUT/system/bin/ping $OUT/system/bin/ping4 && setfattr -n user.note -v text $OUT/system/bin/ping && \
    setfattr -n user.folder -v 0x00ff0a $OUT/system/sbin";

/// The small project with a component that installs what a script creates.
fn project(outputs: &str, install: &str) -> Project {
    let project = Project::with("[initrd, grub-cfg]", outputs);
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "layout: split\n", "layout: split\n  components: [linked]\n");
    component(&project, install);
    project.write("sources/linked/file", "");
    host::provide_with(&project, &["setcap", "setfattr"]);
    project
}

fn component(project: &Project, install: &str) {
    let file = format!(
        "component: linked\nversion: '1'\nlicense: MIT\nsource: {{path: ../sources/linked}}\ninstall: '{install}'\n"
    );
    project.write("components/linked.yaml", file);
}

/// Whether the file system of temporary folders supports attributes; tmpfs of older kernels has none for users.
fn has_attributes(project: &Project) -> bool {
    let has = xattr::set(project.path("small.yaml"), "user.note", b"x").is_ok();
    if !has {
        eprintln!("extended attributes are not tested: the file system of temporary folders has none");
    }
    has
}

/// Device and inode, number of links.
fn inode(folder: &Path, name: &str) -> ((u64, u64), u64) {
    let metadata = fs::symlink_metadata(folder.join(name)).unwrap();
    ((metadata.dev(), metadata.ino()), metadata.nlink())
}

#[track_caller]
fn links_are_right(folder: &Path) {
    let first = inode(folder, "system/bin/tool");
    assert_eq!(first.1, 3);
    assert_eq!(inode(folder, "system/sbin/other"), first);
    assert_eq!(inode(folder, "system/sbin/third"), first);
    for alone in ["system/bin/copy", "system/bin/kept"] {
        assert_eq!(inode(folder, alone).1, 1, "{alone}");
    }
}

/// The tree in a project's template, and the content of its files.
fn template(project: &Project) -> (Tree, Store) {
    let store = Store::open(&project.path("store")).unwrap();
    let tar = judge_gunzip(&project.path("out/small/small.tar.gz"));
    let mut batch = store.batch().unwrap();
    let tree = read_tree(tar.as_slice(), "template", &Budget::default(), &mut batch).unwrap();
    batch.commit().unwrap();
    (tree, store)
}

fn judge_gunzip(file: &Path) -> Vec<u8> {
    let output = dbco::process::command("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn hard_links_of_a_component_reach_archives() {
    let project = project("[template]", INSTALL);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let out = tempfile::tempdir().unwrap();
    judge("tar", &["-C", text(out.path()), "-xzf", text(&project.path("out/small/small.tar.gz"))], None);
    links_are_right(out.path());

    let (tree, store) = template(&project);
    let mut cpio = Vec::new();
    write_cpio(&tree, &store, EPOCH, &mut cpio).unwrap();
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("archive"), &cpio).unwrap();
    let script = format!("cd {} && cpio -idm --quiet --no-preserve-owner <archive", text(out.path()));
    judge("sh", &["-c", &script], None);
    links_are_right(out.path());
}

#[test]
fn capabilities_and_attributes_of_a_component_reach_every_format_that_holds_them() {
    let project = project("[template]", &format!("{INSTALL}{ATTRIBUTES}"));
    if !has_attributes(&project) {
        return;
    }
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let (tree, store) = template(&project);
    let ping = tree.get(&TreePath::new("system/bin/ping").unwrap()).unwrap();
    let capability = ping.xattrs["security.capability"].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(capability, "0100000200200000000000000000000000000000", "revision 2: of no namespace");
    assert!(ping.inode.is_some(), "and it has another name");

    // GNU tar: its listing marks files with attributes and gives their lengths.
    let archive = project.path("out/small/small.tar.gz");
    let listing = judge("tar", &["-tvvzf", text(&archive), "--xattrs", "--xattrs-include=*"], None);
    for line in ["x: 4 user.note", "x: 20 security.capability", "x: 3 user.folder"] {
        assert!(listing.contains(line), "{line}: {listing}");
    }

    // The meaning of capabilities is known to getcap, for files unpacked by root of some namespace.
    let tools = HostTools::new();
    let squashfs = Squashfs { platform: Platform::BUILD, packing: Packing::Gzip, block: 128 << 10, epoch: EPOCH };
    let packed = tools.make(squashfs.execution(host(), tree.clone()).unwrap(), &store).unwrap();
    for unpack in [
        format!("tar -xzf {} --xattrs --xattrs-include=*", text(&archive)),
        format!("unsquashfs -q -n -d . -f {}", text(&packed)),
    ] {
        let out = tempfile::tempdir().unwrap();
        let read = "getcap -r system; getfattr --absolute-names -d -e hex system/bin/ping4 system/sbin";
        let script = format!("cd {} && {unpack} && {read}", text(out.path()));
        let root = if nix::unistd::Uid::effective().is_root() { [].as_slice() } else { &["unshare", "-r"] };
        let argv: Vec<&str> = root.iter().copied().chain(["sh", "-c", &script]).collect();
        let said = judge(argv[0], &argv[1..], None);
        for line in [
            "system/bin/ping cap_net_raw=ep",
            "system/bin/ping4 cap_net_raw=ep",
            "user.note=0x74657874",
            "user.folder=0x00ff0a",
        ] {
            assert!(said.contains(line), "{unpack}: {line}: {said}");
        }
        links_are_right(out.path());
    }

    let disk = Disk { folders: &[TreePath::ROOT], files: &Tree::new(), size: None, label: "dbco", epoch: EPOCH };
    let image = tools.make(disk.execution(host(), &tree).unwrap(), &store).unwrap();
    judge("e2fsck", &["-f", "-n", text(&image)], None);
    let ask = |request: &str| judge("debugfs", &["-R", request, text(&image)], None);
    assert!(ask("ea_get /system/bin/ping user.note").contains("text"));
    let raw = ask("ea_get -x /system/bin/ping4 security.capability").replace(' ', "");
    assert!(raw.contains(&capability), "{raw}");
    assert!(ask("stat /system/bin/tool").contains("Links: 3"));

    // An initramfs can't represent them.
    let error = write_cpio(&tree, &store, EPOCH, std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("/system/bin/ping"), "{error}");
}
