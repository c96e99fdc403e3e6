//! Debian archives: signatures, and the packages that are chosen.

mod servers;

use std::fs;
use std::path::Path;

use dbco::lock::{ArchiveDate, Location, Lock, LockEntry};
use dbco::source::debian::{ClosureError, SignatureError};
use dbco::source::{Access, DebianPackages, DebianSource, NoProgress, Request, Resolver, SourceError, fetch};
use dbco::store::Store;
use pgp::crypto::hash::HashAlgorithm;
use servers::{Key, Server, TestArchive, archive, dead_url, mirrors, network, store};

/// Resolves with mirrors whose archive must be signed by `key`.
struct Project {
    folder: tempfile::TempDir,
    store: Store,
}

impl Project {
    fn new(key: &Key) -> Self {
        let (folder, store) = store();
        fs::write(folder.path().join("keys.asc"), key.public()).unwrap();
        Self { folder, store }
    }

    fn resolve(&self, servers: &[&Server], request: &Request) -> Result<LockEntry, SourceError> {
        let urls: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
        self.resolve_from(&urls, request)
    }

    fn resolve_from(&self, urls: &[&str], request: &Request) -> Result<LockEntry, SourceError> {
        let (network, mirrors) = (network(), mirrors(urls));
        Resolver::new(&network, &mirrors, &self.store, self.folder.path(), &NoProgress).resolve(request)
    }
}

fn closure(packages: &[&str]) -> Request {
    let packages = packages.iter().map(|&package| package.to_owned()).collect();
    Request::Debian(DebianPackages { suites: archive().into(), packages, closure: true })
}

fn small() -> TestArchive {
    TestArchive::default().package("tool", "1.0-1", "Depends: libtool (>= 1)").package("libtool", "1.2", "")
}

/// `name=version` of what is chosen from an archive.
fn choose(made: &TestArchive, packages: &[&str]) -> Result<Vec<String>, SourceError> {
    let (key, server) = (Key::generate(), Server::start());
    made.publish(&server, &key);
    let entry = Project::new(&key).resolve(&[&server], &closure(packages))?;
    Ok(entry.files.into_iter().map(|file| format!("{}={}", file.name, file.version.unwrap())).collect())
}

fn refusal(made: &TestArchive, packages: &[&str]) -> (ClosureError, String) {
    let error = choose(made, packages).unwrap_err();
    let text = error.to_string();
    match error {
        SourceError::Closure { source, .. } => (*source, text),
        other => panic!("{other}"),
    }
}

#[test]
fn a_signed_archive_is_locked_and_brought() {
    let (key, server) = (Key::generate(), Server::start());
    small().publish(&server, &key);
    let project = Project::new(&key);
    let entry = project.resolve(&[&server], &closure(&["tool"])).unwrap();
    assert_eq!(entry.archive_date, Some(ArchiveDate::One("2026-01-10T10:12:13Z".to_owned())));
    assert_eq!(entry.files[1].at, Location::Pool("pool/main/t/tool/tool_1.0-1_amd64.deb".to_owned()));
    let lock = Lock::new([entry]);
    assert!(!lock.to_text().contains("127.0.0.1"), "a lock names no mirror");

    // Any other mirror can serve a lock, and the first of these is down.
    let other = Server::start();
    small().publish_unsigned(&other);
    let (network, mirrors) = (network(), mirrors(&[&dead_url(), &other.url]));
    let access = Access::Online { network: &network, mirrors: &mirrors };
    assert_eq!(fetch(lock.entries(), &project.store, access, 2, &NoProgress).unwrap().fetched, 2);
    let tool = fs::read(project.store.blob_path(&lock.entries().next().unwrap().files[1].sha256)).unwrap();
    assert_eq!(tool, b"tool 1.0-1");
}

#[test]
fn one_run_reads_an_index_once() {
    let (key, server) = (Key::generate(), Server::start());
    small().source("tool", "1.0-1", "tool_1.0.orig.tar.xz").publish(&server, &key);
    let project = Project::new(&key);
    let (network, mirrors) = (network(), mirrors(&[&server.url]));
    let resolver = Resolver::new(&network, &mirrors, &project.store, project.folder.path(), &NoProgress);
    for packages in [["tool"], ["libtool"]] {
        resolver.resolve(&closure(&packages)).unwrap();
    }
    let file = |file: &str| {
        Request::DebianSource(DebianSource {
            archive: archive(),
            package: "tool".to_owned(),
            version: "1.0-1".to_owned(),
            file: file.to_owned(),
        })
    };
    let entry = resolver.resolve(&file("tool_1.0.orig.tar.xz")).unwrap();
    assert_eq!(entry.files[0].at, Location::Pool("pool/main/t/tool/tool_1.0.orig.tar.xz".to_owned()));
    assert_eq!(server.asked().len(), 3, "InRelease, Packages and Sources: {:?}", server.asked());
    // Another run takes the indexes from the store.
    project.resolve(&[&server], &closure(&["tool"])).unwrap();
    assert_eq!(server.asked_for("dists/test/main/binary-amd64/Packages.xz").len(), 1);
    let text = resolver.resolve(&file("tool.zip")).unwrap_err().to_string();
    assert!(text.ends_with("has no file `tool.zip`; it has `tool_1.0.orig.tar.xz`"), "{text}");
}

#[test]
fn sources_must_match_exactly() {
    let (key, server) = (Key::generate(), Server::start());
    TestArchive::default().source("tool", "1.0-1", "a").source("tool", "1.0-10", "a").publish(&server, &key);
    let project = Project::new(&key);
    let fails = |package: &str, version: &str| {
        let (package, version) = (package.to_owned(), version.to_owned());
        let request =
            Request::DebianSource(DebianSource { archive: archive(), package, version, file: "a".to_owned() });
        project.resolve(&[&server], &request).unwrap_err().to_string()
    };
    let text = fails("tool", "1.0");
    assert!(text.contains("source package `tool` has no version `1.0`; there is `1.0-10` and `1.0-1`"), "{text}");
    assert!(text.contains("version: newest"), "{text}");
    assert!(fails("toll", "1.0").ends_with("there is no source package `toll`; did you mean `tool`?"));
}

#[test]
fn a_source_may_be_asked_for_by_a_pattern_or_as_the_newest() {
    let (key, server) = (Key::generate(), Server::start());
    TestArchive::default()
        .source("tool", "1.0-1", "tool_1.0.orig.tar.xz")
        .source("tool", "1.0-10", "tool_1.0.orig.tar.xz")
        .source("tool", "2.0-1", "tool_2.0.orig.tar.xz")
        .publish(&server, &key);
    let project = Project::new(&key);
    let resolve = |version: &str, file: &str| {
        let (version, file) = (version.to_owned(), file.to_owned());
        let request =
            Request::DebianSource(DebianSource { archive: archive(), package: "tool".to_owned(), version, file });
        project.resolve(&[&server], &request)
    };
    for (version, file, there) in [
        ("newest", "tool_*.orig.tar.xz", "2.0-1"),
        ("newest", "tool_2.0.orig.tar.xz", "2.0-1"),
        ("1.*", "tool_*.orig.tar.*", "1.0-10"),
        ("1.0-1", "tool_1.0.orig.tar.xz", "1.0-1"),
        ("*", "*", "2.0-1"),
    ] {
        let entry = resolve(version, file).unwrap();
        assert_eq!(entry.files[0].version.as_deref(), Some(there), "{version} {file}");
        assert!(!entry.files[0].name.contains('*'));
        // The lock fixes the result of the pattern until it is renewed.
        assert!(Lock::new([entry.clone()]).fits(&[entry.request]));
    }
    for (version, file) in [("3.*", "*"), ("newest", "*.zip"), ("newest", "tool_1.0.orig.tar.xz"), ("1", "*")] {
        assert!(resolve(version, file).is_err(), "{version} {file}");
    }
}

fn distrust(prepare: impl FnOnce(&Server, &Key, String)) -> (SignatureError, String) {
    let (key, server) = (Key::generate(), Server::start());
    small().publish_unsigned(&server);
    prepare(&server, &key, small().release());
    let error = Project::new(&key).resolve(&[&server], &closure(&["tool"])).unwrap_err();
    assert!(server.asked_for("dists/test/main/binary-amd64/Packages.xz").is_empty(), "nothing unsigned is followed");
    let text = error.to_string();
    match error {
        SourceError::Untrusted { source, .. } => (*source, text),
        other => panic!("{other}"),
    }
}

#[test]
fn an_unsigned_archive_is_refused() {
    let (error, text) = distrust(|server, _, release| drop(server.file("dists/test/InRelease", release)));
    assert_eq!(error, SignatureError::Unsigned);
    assert!(text.contains("keys.asc") && text.contains("InRelease: not signed"), "{text}");
    let (error, _) = distrust(|server, _, release| drop(server.file("dists/test/Release", release)));
    assert_eq!(error, SignatureError::Unsigned);
}

#[test]
fn a_tampered_release_is_refused() {
    let (error, _) = distrust(|server, key, release| {
        let signed = key.sign_clear(&release).replace("Origin: Test", "Origin: Evil");
        server.file("dists/test/InRelease", signed);
    });
    assert!(matches!(error, SignatureError::Bad(_)), "{error}");
    let (error, _) = distrust(|server, key, release| {
        server.file("dists/test/Release.gpg", key.sign_detached(&release, HashAlgorithm::Sha512));
        server.file("dists/test/Release", release.replace("Origin: Test", "Origin: Evil"));
    });
    assert!(matches!(error, SignatureError::Bad(_)), "{error}");
}

#[test]
fn text_around_a_signed_text_is_refused() {
    for (before, after) in [("Origin: Evil\n", ""), ("", "Origin: Evil\n")] {
        let (error, _) = distrust(|server, key, release| {
            server.file("dists/test/InRelease", format!("{before}{}{after}", key.sign_clear(&release)));
        });
        assert!(matches!(error, SignatureError::Unsigned | SignatureError::Malformed(_)), "{error}");
    }
}

#[test]
fn another_key_is_refused() {
    let stranger = Key::generate();
    let (error, _) =
        distrust(|server, _, release| drop(server.file("dists/test/InRelease", stranger.sign_clear(&release))));
    assert!(matches!(error, SignatureError::UnknownKey(_)), "{error}");
}

/// Keys and signatures made by GnuPG (see `tests/servers/signatures/README`), in a form that no library would produce.
#[test]
fn broken_hashes_and_keys_past_their_time_are_refused() {
    let signatures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/signatures");
    let read = |name: &str| fs::read_to_string(signatures.join(name)).unwrap();
    for (name, reason) in [
        ("weak", "it uses SHA1, which is insecure"),
        ("revoked", "the key was revoked"),
        ("expired", "it was made after the key expired"),
    ] {
        let server = Server::start();
        server.file("dists/test/Release", read("Release"));
        server.file("dists/test/Release.gpg", read(&format!("{name}.gpg")));
        let project = Project::new(&Key::generate());
        fs::write(project.folder.path().join("keys.asc"), read(&format!("{name}.asc"))).unwrap();
        let text = project.resolve(&[&server], &closure(&["tool"])).unwrap_err().to_string();
        assert!(text.contains(&format!("is rejected: {reason}")), "{text}");
    }
}

#[test]
fn a_detached_signature_serves_as_well() {
    let (key, server) = (Key::generate(), Server::start());
    small().publish_unsigned(&server);
    server.file("dists/test/Release.gpg", key.sign_detached(&small().release(), HashAlgorithm::Sha256));
    server.file("dists/test/Release", small().release());
    assert_eq!(Project::new(&key).resolve(&[&server], &closure(&["tool"])).unwrap().files.len(), 2);
}

#[test]
fn a_bad_mirror_is_passed_over() {
    let (key, bad, good) = (Key::generate(), Server::start(), Server::start());
    small().publish(&bad, &Key::generate());
    small().publish(&good, &key);
    bad.file("dists/test/main/binary-amd64/Packages.xz", "tampered");
    assert_eq!(Project::new(&key).resolve(&[&bad, &good], &closure(&["tool"])).unwrap().files.len(), 2);
}

#[test]
fn a_tampered_index_is_refused() {
    let (key, server) = (Key::generate(), Server::start());
    small().publish(&server, &key);
    let evil = TestArchive::default().package("tool", "6.6-6", "");
    let (path, other) = ("dists/test/main/binary-amd64/Packages.xz", Server::start());
    evil.publish(&other, &key);
    server.file(path, servers::xz("Package: tool\n"));
    let error = Project::new(&key).resolve(&[&server], &closure(&["tool"])).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SourceError::Unreachable { .. }) && text.contains("expected"), "{text}");
}

#[test]
fn another_suite_in_its_place_is_refused() {
    let (key, server) = (Key::generate(), Server::start());
    small().publish_unsigned(&server);
    let release =
        small().release().replace("Suite: test", "Suite: old").replace("Codename: testname", "Codename: older");
    server.file("dists/test/InRelease", key.sign_clear(&release));
    let text = Project::new(&key).resolve(&[&server], &closure(&["tool"])).unwrap_err().to_string();
    assert!(text.contains("the mirror has `older` and `old` where `test` should be"), "{text}");
}

#[test]
fn keyrings_that_hold_no_key_are_named() {
    let (key, server) = (Key::generate(), Server::start());
    small().publish(&server, &key);
    let project = Project::new(&key);
    for content in ["", "no key\n"] {
        fs::write(project.folder.path().join("keys.asc"), content).unwrap();
        let error = project.resolve(&[&server], &closure(&["tool"])).unwrap_err();
        assert!(matches!(&error, SourceError::Keyring { path, .. } if path.ends_with("keys.asc")), "{error}");
    }
}

#[test]
fn without_a_mirror_the_three_ways_are_told() {
    let key = Key::generate();
    let text = Project::new(&key).resolve_from(&[], &closure(&["tool"])).unwrap_err().to_string();
    for way in ["--mirror URL", "DBCO_MIRROR", "mirrors: {debian: [URL]}"] {
        assert!(text.contains(way), "{text}");
    }
}

#[test]
fn the_highest_version_unless_one_is_stated() {
    let made = TestArchive::default().package("a", "1.9", "").package("a", "1.10", "").package("a", "1.10~rc1", "");
    assert_eq!(choose(&made, &["a"]).unwrap(), ["a=1.10"]);
    assert_eq!(choose(&made, &["a=1.9"]).unwrap(), ["a=1.9"]);
    let (error, text) = refusal(&made, &["a=2"]);
    assert!(matches!(error, ClosureError::Unknown(_)));
    assert!(text.ends_with("there is no package `a=2`; available: a `1.10`, `1.10~rc1` and `1.9`"), "{text}");
    assert!(matches!(refusal(&made, &["a", "a=1.9"]).0, ClosureError::TwoVersions { .. }));
}

#[test]
fn cycles_and_pre_depends() {
    let made = TestArchive::default()
        .package("a", "1", "Depends: b")
        .package("b", "1", "Pre-Depends: c\nRecommends: never")
        .package("c", "1", "Depends: a (= 1)")
        .package("base", "1", "Essential: yes");
    assert_eq!(choose(&made, &["a"]).unwrap(), ["a=1", "b=1", "c=1"]);
}

#[test]
fn alternatives_prefer_what_is_there_anyway() {
    let made = TestArchive::default()
        .package("a", "1", "Depends: first | second")
        .package("first", "1", "")
        .package("second", "1", "")
        .package("z", "1", "Depends: second");
    assert_eq!(choose(&made, &["a"]).unwrap(), ["a=1", "first=1"]);
    assert_eq!(choose(&made, &["a", "z"]).unwrap(), ["a=1", "second=1", "z=1"], "in whatever order they are read");
}

#[test]
fn alternatives_that_cannot_be_had_are_passed_over() {
    let made = TestArchive::default()
        .package("a", "1", "Depends: gone | old (>= 2) | foreign:arm64 | enemy | good:any")
        .package("old", "1", "")
        .package("foreign", "1", "")
        .package("enemy", "1", "Breaks: a (<< 2)")
        .package("good", "1", "");
    assert_eq!(choose(&made, &["a"]).unwrap(), ["a=1", "good=1"]);
}

#[test]
fn virtual_packages_by_priority_and_version() {
    let made = TestArchive::default()
        .package("a", "1", "Depends: awk")
        .package("gawk", "1", "Priority: optional\nProvides: awk")
        .package("mawk", "1", "Priority: required\nProvides: awk, other (= 3)")
        .package("b", "1", "Depends: other (>= 2)")
        .package("c", "1", "Depends: awk (>= 1)");
    assert_eq!(choose(&made, &["a"]).unwrap(), ["a=1", "mawk=1"]);
    assert_eq!(choose(&made, &["a", "gawk"]).unwrap(), ["a=1", "gawk=1"]);
    assert_eq!(choose(&made, &["b"]).unwrap(), ["b=1", "mawk=1"]);
    let (error, text) = refusal(&made, &["c"]);
    assert!(matches!(error, ClosureError::Unsatisfiable { .. }), "an unversioned Provides has no version: {text}");
    let (_, text) = refusal(&made, &["awk"]);
    assert!(text.contains("virtual") && text.contains("`mawk` or `gawk`"), "{text}");
}

#[test]
fn what_cannot_be_satisfied_names_who_wanted_it() {
    let made = TestArchive::default()
        .package("top", "1", "Depends: middle")
        .package("middle", "1", "Depends: lib (>= 2) | gone")
        .package("lib", "1", "");
    let (error, text) = refusal(&made, &["top"]);
    let ClosureError::Unsatisfiable { wanted, chain, why } = error else { panic!("{error}") };
    assert_eq!(wanted, "lib (>= 2) | gone");
    assert_eq!(chain, ["top", "middle"]);
    assert_eq!(why, "there is only lib 1; there is no package gone");
    assert!(text.contains("which middle needs (top → middle)"), "{text}");
}

#[test]
fn conflicts_name_both_and_who_wanted_them() {
    let made = TestArchive::default()
        .package("a", "1", "Depends: x")
        .package("b", "1", "Depends: y")
        .package("x", "1", "")
        .package("y", "2", "Conflicts: x (<< 3)");
    let (error, text) = refusal(&made, &["a", "b"]);
    let ClosureError::Conflict { one, one_chain, other_chain, .. } = error else { panic!("{error}") };
    assert_eq!(
        (one.as_str(), one_chain, other_chain),
        ("y", vec!["b".into(), "y".into()], vec!["a".into(), "x".into()])
    );
    assert!(text.contains("`y` conflicts with `x (<< 3)`"), "{text}");
    // A name that a package both provides and excludes only excludes the others.
    let own = TestArchive::default().package("m", "1", "Provides: mta\nConflicts: mta").package(
        "n",
        "1",
        "Provides: mta\nConflicts: mta",
    );
    assert_eq!(choose(&own, &["m"]).unwrap(), ["m=1"]);
    assert!(matches!(refusal(&own, &["m", "n"]).0, ClosureError::Conflict { .. }));
}

#[test]
fn every_unknown_package_is_named_at_once() {
    let (error, text) = refusal(&small(), &["toool", "libtol", "quite-another"]);
    assert!(matches!(&error, ClosureError::Unknown(all) if all.len() == 3), "{error:?}");
    assert!(
        text.contains("`toool`; did you mean `tool`?") && text.contains("`libtol`; did you mean `libtool`?"),
        "{text}"
    );
    assert!(text.ends_with("there is no package `quite-another`"), "{text}");
}

#[test]
fn exactly_these_packages() {
    let (key, server) = (Key::generate(), Server::start());
    small().publish(&server, &key);
    let request =
        Request::Debian(DebianPackages { suites: archive().into(), packages: vec!["tool".to_owned()], closure: false });
    let entry = Project::new(&key).resolve(&[&server], &request).unwrap();
    assert_eq!(entry.files.len(), 1);
}

#[test]
fn an_index_cannot_point_out_of_the_archive() {
    let (key, server) = (Key::generate(), Server::start());
    let made = TestArchive::default().package("../../evil", "1", "");
    made.publish(&server, &key);
    let text = Project::new(&key).resolve(&[&server], &closure(&["tool"])).unwrap_err().to_string();
    assert!(text.contains("is not a path inside the archive"), "{text}");
}
