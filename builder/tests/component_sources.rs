//! How an archive becomes the folder that a component is built in: stripped folders, device nodes, archives in
//! packages.

mod project;
mod servers;

use project::{Project, Ran, host};
use servers::{Key, Server, TestArchive};
use tar::EntryType;

const FOLDER: EntryType = EntryType::Directory;
const FILE: EntryType = EntryType::Regular;

/// A project whose kernel is a list of its source's files.
fn project(source: &str) -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[bzimage]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "  patches: [first.patch]\n  config: [tiny]\n", "");
    let list =
        "for f in * */* */*/*; do if [ -f $f ]; then echo $f; elif [ -p $f ]; then echo pipe $f; fi; done > ../list";
    let component = format!(
        "component: kernel\nversion: '1'\nlicense: MIT\nsource: {source}\nbuild: '{list}'\nfiles: {{bzImage: ../list}}\n"
    );
    project.write("components/kernel.yaml", component);
    host::provide(&project);
    project
}

fn archive(members: &[(&str, EntryType)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_entry_type(*kind);
        let content = if *kind == FILE { *name } else { "" };
        header.set_size(content.len() as u64);
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn build(project: &Project) -> Ran {
    project.dbco(&["build", "--offline", "small.yaml"])
}

fn listed(project: &Project) -> Vec<String> {
    let mut list: Vec<String> = project.read("out/small/bzImage").lines().map(str::to_owned).collect();
    list.sort();
    list
}

#[test]
fn as_many_folders_are_taken_off_as_are_stated() {
    let members = [("a/b/c", FILE), ("a/b/d/e", FILE)];
    let project = project("{path: ../sources/x.tar}");
    project.write("sources/x.tar", archive(&members));
    for (strip, expected) in [
        ("", &["b/c", "b/d/e"][..]),
        (", strip: 0", &["a/b/c"]),
        (", strip: 1", &["b/c", "b/d/e"]),
        (", strip: 2", &["c", "d/e"]),
    ] {
        project.edit("components/kernel.yaml", "x.tar}", &format!("x.tar{strip}}}"));
        build(&project).ends(0);
        assert_eq!(listed(&project), expected, "{strip}");
        project.edit("components/kernel.yaml", &format!("x.tar{strip}}}"), "x.tar}");
    }
    // Leaving something out is an error: a file beside the folder, two folders, too few levels.
    for (members, strip, said) in [
        (&members[..], 3, "below 2 folders there is `c` and `d`"),
        (&[("a/b", FILE), ("c/b", FILE)][..], 1, "at its top there is `a` and `c`"),
        (&[("only", FILE)], 1, "at its top there is `only`"),
        (&[("a", FOLDER)], 2, "there is nothing below 1 folder"),
    ] {
        project.write("sources/x.tar", archive(members));
        project.edit("components/kernel.yaml", "x.tar}", &format!("x.tar, strip: {strip}}}"));
        build(&project).ends(1).says(&[&format!("`strip: {strip}`"), said, "set a lower `strip`"]);
        project.edit("components/kernel.yaml", &format!("x.tar, strip: {strip}}}"), "x.tar}");
    }
}

#[test]
fn strip_goes_with_archives_alone() {
    for (source, said) in [
        ("{path: ../sources/kernel, strip: 1}", "only valid for an archive, and this is a folder"),
        ("{path: ../sources/kernel, strip: -1}", "a whole number"),
    ] {
        project(source).dbco(&["check", "small.yaml"]).ends(2).says(&[said]);
    }
    let project = Project::with("patches: [first.patch]", "patches: [{path: patches/first.patch, strip: 1}]");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["`strip` is only valid in the source of a component"]);
}

#[test]
fn nothing_in_an_archive_is_dropped_in_silence() {
    let project = project("{path: ../sources/x.tar}");
    for (name, kind) in [("a/null", EntryType::Char), ("a/dev/sda", EntryType::Block)] {
        project.write("sources/x.tar", archive(&[("a/b", FILE), (name, kind)]));
        build(&project).ends(1).says(&[&format!("`{name}`"), "a device node, which only root can create"]);
    }
    project.write("sources/x.tar", archive(&[("a/b", FILE), ("a/fifo", EntryType::Fifo)]));
    build(&project).ends(0);
    assert_eq!(listed(&project), ["b", "pipe fifo"]);
}

#[test]
fn an_archive_in_a_package_is_a_source() {
    let source =
        String::from_utf8(archive(&[("linux-source-9/Makefile", FILE), ("linux-source-9/init/main.c", FILE)])).unwrap();
    let other = String::from_utf8(archive(&[("patches/one", FILE)])).unwrap();
    let file = "./usr/src/linux-source-9.tar";
    for (more, stated, expected) in [
        (None, "", Ok(&["Makefile", "init/main.c"][..])),
        (Some("./usr/src/patches.tar"), ", file: usr/src/patches.tar", Ok(&["one"])),
        (Some("./usr/share/x/patches.tar"), ", file: usr/share/x/patches.tar", Ok(&["one"])),
        (
            Some("./usr/src/patches.tar"),
            "",
            Err("set one as `file`: `usr/src/linux-source-9.tar` and `usr/src/patches.tar`"),
        ),
        (None, ", file: usr/src/x.tar", Err("no file `usr/src/x.tar`")),
    ] {
        let (key, server) = (Key::generate(), Server::start());
        let files: Vec<(&str, &str)> =
            [(file, source.as_str())].into_iter().chain(more.map(|name| (name, other.as_str()))).collect();
        TestArchive::default()
            .deb("linux-source-9", "9.1-1", "Depends: xz-utils", &files)
            .deb("linux-source", "9.1-1", "Depends: linux-source-9 (= 9.1-1)", &[])
            .publish(&server, &key);
        let debian = "{suite: test, keyring: keys.asc}";
        let project = project(&format!("{{deb: {{package: linux-source, debian: {debian}{stated}}}}}"));
        project.write("keys.asc", key.public());
        let ran = project.dbco(&["build", "small.yaml", "--mirror", &server.url]);
        match expected {
            Ok(list) => {
                ran.ends(0);
                assert_eq!(listed(&project), list);
            }
            Err(said) => drop(ran.ends(1).says(&["linux-source-9 9.1-1", said])),
        }
    }
}
