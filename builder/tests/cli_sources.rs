//! Updating a lock by name, the dates of archives, and messages about sources: through the command line.

mod project;
mod servers;

use project::Project;
use servers::{Key, Server, TestArchive};

/// A project whose toolchain requests `tool` from a test archive, and the server that has it.
fn with_archive(key: &Key) -> (Project, Server) {
    let (project, server) = (Project::new(), Server::start());
    project.write("keys.asc", key.public());
    project.edit("toolchains/none.yaml", "debian: bookworm", "debian: {suite: test, keyring: keys.asc}");
    project.edit("toolchains/none.yaml", "packages: []", "packages: [tool]");
    (project, server)
}

fn archive(version: &str, date: &str) -> TestArchive {
    TestArchive::default().package("tool", version, "Depends: libtool").package("libtool", "1", "").dated(date)
}

const JANUARY: &str = "Sat, 10 Jan 2026 10:12:13 UTC";
const MARCH: &str = "Sun, 01 Mar 2026 10:12:13 UTC";

#[test]
fn an_older_index_is_refused_until_it_is_allowed() {
    let key = Key::generate();
    let (project, server) = with_archive(&key);
    let lock = |more: &[&str]| {
        let common = ["lock", "small.yaml", "--mirror", &server.url];
        project.dbco(&[&common[..], more].concat())
    };
    archive("2.0", MARCH).publish(&server, &key);
    lock(&[]).ends(0);
    let locked = project.read("dbco.lock");
    assert!(locked.contains("2026-03-01T10:12:13Z"), "{locked}");

    archive("1.9", JANUARY).publish(&server, &key);
    for more in [&["--update"][..], &["--update", "tool"], &["--update", "none"]] {
        lock(more).ends(1).says(&[
            "2026-01-10T10:12:13Z",
            "2026-03-01T10:12:13Z",
            "tool 2.0 → 1.9",
            "--allow-downgrade",
        ]);
        assert_eq!(project.read("dbco.lock"), locked);
    }
    // Another request for the same suite is not downgraded either.
    project.edit("toolchains/none.yaml", "packages: [tool]", "packages: [libtool]");
    lock(&[]).ends(1).says(&["2026-01-10T10:12:13Z", "--allow-downgrade"]);
    project.dbco(&["build", "small.yaml", "--mirror", &server.url]).ends(1).says(&["--allow-downgrade"]);
    project.edit("toolchains/none.yaml", "packages: [libtool]", "packages: [tool]");
    lock(&["--update", "--allow-downgrade"]).ends(0).says(&["older than in the lock: tool 2.0 → 1.9"]);
    assert!(project.read("dbco.lock").contains("2026-01-10T10:12:13Z"));

    // A newer index with an older version is accepted, and reported.
    archive("1.8", MARCH).publish(&server, &key);
    lock(&["--update"]).ends(0).says(&["older than in the lock: tool 1.9 → 1.8"]);
}

#[test]
fn an_index_past_its_time_or_from_the_future_is_told() {
    let key = Key::generate();
    let (project, server) = with_archive(&key);
    let lock = || project.dbco(&["lock", "small.yaml", "--update", "--mirror", &server.url]).ends(0);
    archive("1", JANUARY).publish(&server, &key);
    lock().says(&["warning: Debian test main (amd64)", "was valid until 2026-01-17T10:12:13Z"]);
    archive("1", "Thu, 01 Jan 2099 10:12:13 UTC").publish(&server, &key);
    lock().says(&["2099-01-01T10:12:13Z, in the future"]);
}

#[test]
fn an_update_by_name_takes_what_has_that_name_and_nothing_else() {
    let key = Key::generate();
    let (project, server) = with_archive(&key);
    project.write("mirror/kernel-1.tar", "one");
    let url = format!("file://{}", project.path("mirror/kernel-1.tar").display());
    project.edit("components/kernel.yaml", "{path: ../sources/kernel}", &format!("{{url: '{url}'}}"));
    let lock = |more: &[&str]| project.dbco(&[&["lock", "small.yaml", "--mirror", &server.url], more].concat());
    archive("1", JANUARY).publish(&server, &key);
    lock(&[]).ends(0);
    project.write("mirror/kernel-1.tar", "two!");
    archive("2", MARCH).publish(&server, &key);
    let state = || (project.read("dbco.lock").contains("size: 4"), project.read("dbco.lock").contains("2026-03-01"));
    let first = project.read("dbco.lock");
    for (name, kernel, packages) in [
        ("kernel", true, false),
        ("kernel-1.tar", true, false),
        (&url, true, false),
        ("tool", false, true),
        // Locked, because tool needs it.
        ("libtool", false, true),
        ("none", false, true),
        ("", true, true),
    ] {
        project.write("dbco.lock", &first);
        let more: &[&str] = if name.is_empty() { &["--update"] } else { &["--update", name] };
        lock(more).ends(0);
        assert_eq!(state(), (kernel, packages), "{name}");
    }
    project.write("dbco.lock", &first);
    for name in ["kernal", "toool", "kern", "x"] {
        lock(&["--update", name]).ends(2).says(&["has no package, component or source of that name"]);
    }
    lock(&["--update", "kernal"]).ends(2).says(&["did you mean `kernel`?"]);
    project.dbco(&["lock", "--update", "small.yaml"]).ends(2);
    lock(&["--update", "small.yaml"]).ends(2).says(&["this is a file", "`dbco lock small.yaml --update`"]);
    assert_eq!(project.read("dbco.lock"), first);
}

#[test]
fn fetch_refuses_a_lock_that_does_not_fit() {
    let project = Project::new();
    project.edit("toolchains/none.yaml", "packages: []", "packages: [dash]");
    project.dbco(&["fetch", "small.yaml"]).ends(2).says(&[
        "does not match the recipe",
        "`dash` was added",
        "run `dbco lock`",
    ]);
}

#[test]
fn credentials_in_a_recipe_are_refused_without_being_shown() {
    for (source, name) in [
        ("{url: 'https://ann:hunter2@mirror.invalid/x.tar'}", "url"),
        ("{url: ['http://mirror.invalid/x.tar', 'http://hunter2@mirror.invalid/x.tar']}", "second"),
        (
            "{git: {url: 'https://ann:hunter2@mirror.invalid/x.git', commit: 0123456789012345678901234567890123456789}}",
            "git",
        ),
    ] {
        let project = Project::new();
        project.edit("components/kernel.yaml", "{path: ../sources/kernel}", source);
        for command in ["check", "lock", "build"] {
            let ran = project.dbco(&[command, "small.yaml"]).ends(2);
            let ran = ran.says(&["kernel.yaml:4", "machine mirror.invalid login USER password PASSWORD", ".netrc"]);
            assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"), "{name} {command}: {}", ran.err);
        }
    }
}

#[test]
fn a_misspelt_suite_and_a_missing_file_have_the_line_that_asks() {
    let (project, server) = with_archive(&Key::generate());
    project.edit("toolchains/none.yaml", "suite: test, keyring: keys.asc", "suite: bokworm");
    let lock = ["lock", "small.yaml", "--mirror", &server.url];
    // With Debian's keys it can only be a mistake; with others it may exist.
    project.dbco(&lock).ends(2).says(&["none.yaml:2:17", "did you mean `bookworm`?"]);
    assert!(server.asked().is_empty());
    project.edit("toolchains/none.yaml", "suite: bokworm", "suite: bokworm, keyring: keys.asc");
    let ran = project.dbco(&lock).ends(1);
    ran.says(&["none.yaml:2:9", "the mirror has no suite `bokworm`; did you mean `bookworm`?"]);
    let project = Project::new();
    let url = format!("{}/nothing.tar", server.url);
    project.edit("components/kernel.yaml", "{path: ../sources/kernel}", &format!("{{url: '{url}'}}"));
    project.dbco(&["lock", "small.yaml"]).ends(1).says(&["kernel.yaml:4", "nothing.tar: not found (404)"]);
}

#[test]
fn a_suite_that_a_mirror_does_not_have_is_shown_where_the_recipe_names_it() {
    let key = Key::generate();
    let (project, server) = with_archive(&key);
    archive("1", JANUARY).publish(&server, &key);
    project.edit("toolchains/none.yaml", "suite: test", "suites: [test, own-suite]");
    let lock = || project.dbco(&["lock", "small.yaml", "--mirror", &server.url]).ends(1);
    lock().says(&["toolchains/none.yaml:2:9", "the mirror has no suite `own-suite`"]);
    project.edit("toolchains/none.yaml", "suites: [test, own-suite]", "suite: test");
    project.edit(
        "small.yaml",
        "  layout: split\n",
        "  layout: split\n  debian: {suite: other, keyring: keys.asc}\n  packages: [tool]\n",
    );
    lock().says(&["small.yaml:12:11", "the mirror has no suite `other`"]);
    project.edit("small.yaml", "suite: other", "suites: [test, test-updates]");
    TestArchive::of("test-updates", "").package("tool", "2", "").dated(MARCH).publish(&server, &key);
    project.dbco(&["lock", "small.yaml", "--mirror", &server.url]).ends(0);
    let locked = project.read("dbco.lock");
    assert!(
        locked.contains("suite: test-updates") && locked.contains("test-updates: \"2026-03-01T10:12:13Z\""),
        "{locked}"
    );
    // Only one of the suites is replayed.
    TestArchive::of("test-updates", "").package("tool", "1.5", "").dated(JANUARY).publish(&server, &key);
    let update = ["lock", "small.yaml", "--mirror", &server.url, "--update", "tool"];
    project.dbco(&update).ends(1).says(&["Debian test-updates main", "tool 2 → 1.5", "--allow-downgrade"]);
    assert_eq!(project.read("dbco.lock"), locked);
    project.dbco(&[&update[..], &["--allow-downgrade"]].concat()).ends(0);
    assert!(project.read("dbco.lock").contains("version: \"1.5\""));
}

#[test]
fn secrets_in_a_url_are_not_shown() {
    let server = Server::start();
    let project = Project::new();
    for query in ["token=S3CRET", "a=1&X-Amz-Signature=S3CRET&X-Amz-Credential=S3CRET%2Fx", "sig=S3CRET"] {
        let url = format!("{}/nothing.tar?{query}", server.url);
        project.edit("components/kernel.yaml", "{path: ../sources/kernel}", &format!("{{url: '{url}'}}"));
        for arguments in [
            &["lock", "small.yaml"][..],
            &["build", "small.yaml"],
            &["build", "small.yaml", "--offline"],
            &["lock", "small.yaml", "--update", "nothing.tra"],
            &["check", "small.yaml", "--locked"],
        ] {
            let ran = project.dbco(arguments);
            assert!(!ran.err.contains("S3CRET") && !ran.out.contains("S3CRET"), "{arguments:?}\n{}", ran.err);
        }
        project.dbco(&["lock", "small.yaml"]).ends(1).says(&["nothing.tar?", "=***", "not found (404)"]);
        project.edit("components/kernel.yaml", &format!("{{url: '{url}'}}"), "{path: ../sources/kernel}");
    }
    // Also in errors about the line itself.
    project.edit(
        "components/kernel.yaml",
        "{path: ../sources/kernel}",
        "{url: 'https://h.example/x?token=S3CRET', uxl: 1}",
    );
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["unknown key `uxl`"]).never_says("S3CRET");
}

/// A recipe in a separate folder whose root has packages of the suite `test`, signed by the keys beside it.
fn packages(project: &Project, folder: &str, key: &Key, package: &str) -> String {
    project.write(&format!("{folder}/keys.asc"), key.public());
    let path = format!("{folder}/{folder}.yaml");
    let rootfs = format!("rootfs: {{debian: {{suite: test, keyring: keys.asc}}, packages: [{package}]}}");
    project.write(&path, format!("recipe: {folder}\nextends: ../small.yaml\n{rootfs}\n"));
    path
}

#[test]
fn no_recipe_goes_back_behind_an_index_that_another_has_seen() {
    let (key, project, server) = (Key::generate(), Project::new(), Server::start());
    project.write("keys.asc", key.public());
    for (name, package) in [("one", "tool"), ("two", "libtool")] {
        let rootfs = format!("rootfs: {{debian: {{suite: test, keyring: keys.asc}}, packages: [{package}]}}");
        project.write(&format!("{name}.yaml"), format!("recipe: {name}\nextends: small.yaml\n{rootfs}\n"));
    }
    let publish = |date| {
        TestArchive::default().package("tool", "1", "").package("libtool", "1", "").dated(date).publish(&server, &key);
    };
    let lock = |arguments: &[&str]| project.dbco(&[&["lock", "--mirror", &server.url], arguments].concat());
    publish(MARCH);
    lock(&["one.yaml"]).ends(0);
    let locked = project.read("dbco.lock");
    publish(JANUARY);
    lock(&["two.yaml"]).ends(1).says(&["2026-01-10T10:12:13Z", "the lock's 2026-03-01T10:12:13Z", "--allow-downgrade"]);
    assert_eq!(project.read("dbco.lock"), locked);
    // Permission for one recipe does not apply to the next.
    lock(&["two.yaml", "--allow-downgrade"]).ends(0);
    lock(&["two.yaml", "--update"]).ends(1).says(&["2026-03-01T10:12:13Z", "--allow-downgrade"]);
    publish(MARCH);
    lock(&["two.yaml", "--update"]).ends(0);
    assert!(!project.read("dbco.lock").contains("2026-01-10"));
}

/// A key ring is named relative to its recipe, and is a different one in another folder.
#[test]
fn recipes_in_several_folders_do_not_share_what_other_keys_have_signed() {
    let (project, server, right, wrong) = (Project::new(), Server::start(), Key::generate(), Key::generate());
    TestArchive::default().package("tool", "1", "").dated(MARCH).publish(&server, &right);
    let lock = |path: &str| project.dbco(&["lock", path, "--mirror", &server.url]);
    let (one, two) = (packages(&project, "one", &right, "tool"), packages(&project, "two", &wrong, "tool"));
    lock(&one).ends(0);
    assert!(project.read("dbco.lock").contains("keyring: one/keys.asc"), "{}", project.read("dbco.lock"));
    let ran = lock(&two).ends(1);
    ran.says(&["no mirror has a trusted Release file", "two/keys.asc"]);
    // The same keys by another path are the same.
    project.edit(&two, "keyring: keys.asc", "keyring: ../one/keys.asc");
    project.dbco(&["check", "--locked", &two]).ends(0);
    // Through a link to a folder, whose `..` is elsewhere.
    std::os::unix::fs::symlink("../one", project.path("two/link")).unwrap();
    project.edit(&two, "../one/keys.asc", "link/../one/keys.asc");
    lock(&two).ends(0);
}
