//! Locks, missing sources and missing mirrors, through the command line.

mod project;

use project::{LOCK, Project};

#[test]
fn a_lock_that_fits_is_enough_without_a_network() {
    let project = Project::new();
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(ran.out.contains("out/small/initrd.img"), "{}", ran.out);
    for name in ["initrd.img", "grub.cfg", "SHA256SUMS"] {
        assert!(project.path("out/small").join(name).is_file(), "{name}");
    }
    let again = project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(again.out.contains("out/small: nothing to do"), "{}", again.out);
    assert_eq!(again.err, "");
}

#[test]
fn a_change_names_the_input_that_differs_and_runs_what_depends_on_it_alone() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    project.write("overlay/system/etc/motd", "good morning\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let ran = ran.says(&["rootfs (changed: layer 0)", "initrd (changed: root)"]).never_says("grub menu");
    assert!(ran.out.contains("out/small: 3 steps"), "{}", ran.out);
}

#[test]
fn the_events_of_a_build_are_json_lines() {
    let project = Project::new();
    let ran = project.dbco(&["--json", "build", "--offline", "small.yaml"]).ends(0);
    assert_eq!(ran.err, "");
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "planned");
    assert_eq!(events[0]["to-run"], 4);
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["steps"]), (&"done".into(), &4.into()));
    assert!(events.iter().any(|event| event["event"] == "finished" && event["step"] == "initrd"));
    project.edit("small.yaml", "outputs:", "output:");
    let ran = project.dbco(&["--json", "build", "--offline", "small.yaml"]).ends(2);
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "error"), "{}", ran.out);
}

#[test]
fn without_a_lock_offline_and_locked_say_how_to_make_one() {
    let project = Project::new();
    std::fs::remove_file(project.path("dbco.lock")).unwrap();
    let said = &["dbco.lock does not exist: run `dbco lock` to create it"];
    project.dbco(&["build", "--offline", "small.yaml"]).ends(2).says(said);
    project.dbco(&["build", "--locked", "small.yaml"]).ends(2).says(said);
    project.dbco(&["check", "--locked", "small.yaml"]).ends(2).says(said);
    project.dbco(&["fetch", "small.yaml"]).ends(2).says(said);
    project.dbco(&["check", "small.yaml"]).ends(0).says(said);
}

#[test]
fn a_stale_lock_is_refused_with_the_entry_and_the_reason() {
    let project = Project::new();
    project.edit("toolchains/none.yaml", "packages: []", "packages: [dash]");
    let said =
        &["dbco.lock does not match the recipe:", "Debian bookworm packages: `dash` was added", "run `dbco lock`"];
    project.dbco(&["build", "--locked", "small.yaml"]).ends(2).says(said);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(2).says(said);
    project.dbco(&["check", "--locked", "small.yaml"]).ends(2).says(said);
    project.dbco(&["check", "small.yaml"]).ends(0).says(&["its lock does not match", "`dash` was added"]);
    assert_eq!(project.read("dbco.lock"), LOCK);
}

#[test]
fn a_source_that_the_lock_lacks_is_named() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "{path: ../sources/kernel}", "{url: 'file:///nowhere/new.tar.xz'}");
    let said = &["file:///nowhere/new.tar.xz: not in the lock"];
    project.dbco(&["build", "--locked", "small.yaml"]).ends(2).says(said);
}

#[test]
fn a_damaged_lock_is_shown_with_its_line_and_never_overwritten() {
    let project = Project::new();
    for (text, said) in [
        (LOCK.replace("closure: true", "<<<<<<< ours"), "the lock is damaged"),
        (
            LOCK.replace("- request:", "<<<<<<< ours\n- request:"),
            "dbco.lock:3: the lock contains merge conflict markers",
        ),
        (LOCK.replace("closure", "closing"), "dbco.lock:7"),
        (LOCK.replace("format: 2", "format: 9"), "the lock has format 9, this version of dbco reads 1 and 2"),
        (String::new(), "dbco.lock"),
    ] {
        project.write("dbco.lock", &text);
        for command in [&["build", "--locked"][..], &["build"], &["lock"], &["fetch"], &["check", "--locked"]] {
            project.dbco(&[command, &["small.yaml"]].concat()).ends(2).says(&[said]);
        }
        assert_eq!(project.read("dbco.lock"), text);
    }
}

/// A project whose kernel's source is one file, locked and not fetched.
fn unfetched() -> Project {
    let project = Project::new();
    project.write("mirror/kernel.tar", "not much of an archive");
    let url = format!("file://{}", project.path("mirror/kernel.tar").display());
    project.edit("components/kernel.yaml", "{path: ../sources/kernel}", &format!("{{url: '{url}'}}"));
    project.edit("small.yaml", "[initrd, grub-cfg]", "[bzimage]");
    project.dbco(&["lock", "small.yaml"]).ends(0).says(&["dbco.lock: 2 sources, 1 file"]);
    project
}

#[test]
fn a_build_without_a_network_says_what_was_not_fetched() {
    let project = unfetched();
    std::fs::remove_dir_all(project.path("store")).unwrap();
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["offline, and not in the store: `kernel.tar`; run `dbco fetch` while online"]);
    project.dbco(&["fetch", "small.yaml"]).ends(0).says(&["fetched 1 file (22 B), 0 already present"]);
    project.dbco(&["fetch", "small.yaml"]).ends(0).says(&["fetched 0 files (0 B), 1 already present"]);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(1).never_says("offline");
}

#[test]
fn a_source_that_changed_since_it_was_locked_is_refused_with_both_digests() {
    let project = unfetched();
    std::fs::remove_dir_all(project.path("store")).unwrap();
    project.write("mirror/kernel.tar", "NOT MUCH OF AN ARCHIVE");
    let ran = project.dbco(&["fetch", "small.yaml"]).ends(1);
    ran.says(&["can't get kernel.tar", "sha256 is ", "expected ", "1 file could not be fetched"]);
}

#[test]
fn a_source_that_is_nowhere_is_named_with_every_place_that_was_tried() {
    let project = Project::new();
    project.edit(
        "components/kernel.yaml",
        "{path: ../sources/kernel}",
        "{url: ['file:///nowhere/kernel.tar', 'file:///neither/kernel.tar']}",
    );
    let ran = project.dbco(&["lock", "small.yaml"]).ends(1);
    ran.says(&["file:///nowhere/kernel.tar: ", "file:///neither/kernel.tar: ", "1 source could not be locked"]);
    assert_eq!(project.read("dbco.lock"), LOCK);
}

#[test]
fn a_host_without_apt_is_asked_for_a_mirror_once_in_one_line() {
    let project = Project::new();
    project.edit("toolchains/none.yaml", "packages: []", "packages: [dash]");
    project.edit(
        "small.yaml",
        "kernel:\n  component: kernel\n  patches: [first.patch]\n  config: [tiny]\n",
        "kernel: {package: linux, debian: bookworm}\n",
    );
    let ran = project.unshared("mount -t tmpfs none /etc/apt; exec \"$DBCO\" lock small.yaml").ends(2);
    let config = format!("into {}", project.path("home/.config/dbco/config.yaml").display());
    let ran = ran.says(&["no mirror is known for Debian bookworm", "--mirror URL", "DBCO_MIRROR", &config]);
    assert_eq!(ran.err.matches("no mirror is known").count(), 1, "{}", ran.err);
    assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.err);
    assert_eq!(project.read("dbco.lock"), LOCK);
}

#[test]
fn a_mirror_that_makes_no_sense_is_wrong_usage() {
    let project = Project::new();
    project.edit("toolchains/none.yaml", "packages: []", "packages: [dash]");
    let lock = |mirror| project.dbco(&["lock", "small.yaml", "--mirror", mirror]).ends(2);
    lock("ftp://mirror").says(&["--mirror ftp://mirror", "expected http://, https:// or file:///"]);
    lock("debain=http://mirror").says(&["`debain` is not an archive with mirrors; did you mean `debian`?"]);
    lock("http://mirror/debian?token=x").says(&["can't contain `?`", "~/.netrc"]).never_says("token=x");
    lock("http://mirror/debian#x").says(&["can't contain `#`"]);
    for key in ["connect", "answer", "stall", "min-rate", "hedge", "max-size"] {
        project.write("home/.config/dbco/config.yaml", format!("# {key}: 5\nnetwork: # {key}\n  {key}: 0\n"));
        let words = format!("`{key}` must be a positive number");
        project.dbco(&["lock", "small.yaml"]).ends(2).says(&["config.yaml:3", &words]);
    }
    project.write("home/.config/dbco/config.yaml", "# mine\nmirrors:\n  debian: [mirror]\n");
    project.dbco(&["lock", "small.yaml"]).ends(2).says(&["config.yaml:3", "`mirror` is not the URL of a mirror"]);
}
