//! Several suites of Debian: which version of each package is chosen, and from where.

mod servers;

use std::fs;
use std::path::Path;

use dbco::lock::{ArchiveDate, Lock, LockEntry, LockedFile, downgrades, rollback};
use dbco::source::debian::offline;
use dbco::source::{Access, DebianPackages, Mirrors, NoProgress, Request, Resolver, SourceError, Suites, fetch};
use servers::{Key, Server, TestArchive, archive, network, store};

const BACKPORTS: &str = "NotAutomatic: yes\nButAutomaticUpgrades: yes\n";
const EXPERIMENTAL: &str = "NotAutomatic: yes\n";

/// A closure of packages of these suites.
fn request(suites: &[&str], packages: &[&str]) -> Request {
    let suites = suites.iter().map(|suite| {
        let mut archive = archive();
        archive.suite = suite.to_string();
        archive
    });
    let packages = packages.iter().map(|&package| package.to_owned()).collect();
    Request::Debian(DebianPackages { suites: Suites::new(suites.collect()).unwrap(), packages, closure: true })
}

/// A main, a security, an updates and two more archives; the security archive is on a separate server.
struct World {
    folder: tempfile::TempDir,
    store: dbco::store::Store,
    key: Key,
    main: Server,
    security: Server,
}

impl World {
    fn new(archives: &[TestArchive], security: &TestArchive) -> Self {
        let (folder, store) = store();
        let world = Self { folder, store, key: Key::generate(), main: Server::start(), security: Server::start() };
        fs::write(world.folder.path().join("keys.asc"), world.key.public()).unwrap();
        archives.iter().for_each(|archive| archive.publish(&world.main, &world.key));
        security.publish(&world.security, &world.key);
        world
    }

    fn mirrors(&self) -> Mirrors {
        let flags = [self.main.url.clone(), format!("debian-security={}", self.security.url)];
        Mirrors::discover(&flags, None, Path::new("/nonexistent")).unwrap()
    }

    fn entry(&self, suites: &[&str], packages: &[&str]) -> Result<LockEntry, SourceError> {
        let (network, mirrors) = (network(), self.mirrors());
        let resolver = Resolver::new(&network, &mirrors, &self.store, self.folder.path(), &NoProgress);
        resolver.resolve(&request(suites, packages))
    }
}

const ALL: [&str; 5] = ["test", "test-security", "test-updates", "test-backports", "experimental"];

/// The content of the archives, in the order of [`ALL`], with apt's priority of each.
fn archives() -> [(TestArchive, u16); 5] {
    let main = TestArchive::of("test", "")
        .package("tool", "1.0-1", "Depends: lib (>= 1), data")
        .package("lib", "1.0-1", "")
        .package("data", "1.0-1", "")
        .package("same", "1", "")
        .package("daemon", "1", "Depends: mta")
        .package("postfix", "1", "Provides: mta");
    let security = TestArchive::of("test-security", "").package("lib", "1.0-1+deb1", "").package("same", "1", "");
    let updates = TestArchive::of("test-updates", "").package("data", "1.0-2", "").package("same", "1", "");
    let backports = TestArchive::of("test-backports", BACKPORTS)
        .package("tool", "2.0-1~bpo1", "Depends: lib (>= 2), data, plugin")
        .package("lib", "2.0-1~bpo1", "Depends: data (>= 1.0)")
        .package("plugin", "2.0-1~bpo1", "")
        .package("data", "3.0-1~bpo1", "")
        .package("exim", "2~bpo1", "Provides: mta")
        .package("left", "1", "Depends: right (= 1)")
        .package("right", "1", "Depends: left (= 2)")
        .package("left", "2", "Depends: right (= 2)")
        .package("right", "2", "Depends: left (= 1)");
    let experimental = TestArchive::of("experimental", EXPERIMENTAL)
        .package("plugin", "9", "")
        .package("tool", "9", "Depends: lib (= 9)")
        .package("lib", "9", "");
    [(main, 500), (security, 500), (updates, 500), (backports, 100), (experimental, 1)]
}

fn world() -> World {
    let [main, security, updates, backports, experimental] = archives().map(|(archive, _)| archive);
    World::new(&[main, updates, backports, experimental], &security)
}

/// `name version suite` of each package that is chosen.
fn chosen(suites: &[&str], packages: &[&str]) -> Result<Vec<String>, String> {
    let all = archives();
    let of = |suite: &&str| &all[ALL.iter().position(|known| known == suite).unwrap()];
    let indexes: Vec<(&[u8], u16)> =
        suites.iter().map(of).map(|(archive, priority)| (archive.index().as_bytes(), *priority)).collect();
    let Request::Debian(DebianPackages { suites, packages, closure }) = request(suites, packages) else {
        unreachable!()
    };
    let files = offline::packages(indexes, &suites, &packages, closure)?;
    let one = |file: &LockedFile| {
        format!("{} {} {}", file.name, file.version.as_deref().unwrap(), file.suite.as_deref().unwrap_or("-"))
    };
    Ok(files.iter().map(one).collect())
}

#[test]
fn the_newest_of_the_highest_priority_is_taken() {
    for (suites, packages, expected) in [
        (&ALL[..1], &["tool"][..], &["data 1.0-1 -", "lib 1.0-1 -", "tool 1.0-1 -"][..]),
        (&ALL[..2], &["tool"], &["data 1.0-1 test", "lib 1.0-1+deb1 test-security", "tool 1.0-1 test"]),
        // Backports have newer versions of all, which nobody requested.
        (&ALL, &["tool"], &["data 1.0-2 test-updates", "lib 1.0-1+deb1 test-security", "tool 1.0-1 test"]),
        // A package that only backports have is chosen from there, but not from a suite that must be requested
        // explicitly.
        (&ALL, &["plugin"], &["plugin 2.0-1~bpo1 test-backports"]),
        (&["test", "experimental"], &["plugin"], &["plugin 9 experimental"]),
        // Of the providers, the one with the higher priority.
        (&ALL, &["daemon"], &["daemon 1 test", "postfix 1 test"]),
        // The same file in three suites: from the first.
        (&ALL, &["same"], &["same 1 test"]),
        (&["test-updates", "test"], &["same"], &["same 1 test-updates"]),
    ] {
        assert_eq!(chosen(suites, packages).unwrap(), expected, "{suites:?} {packages:?}");
    }
}

#[test]
fn a_package_may_name_its_suite_or_version() {
    for (packages, expected) in [
        // Its dependencies come from there if nothing else satisfies them, as with apt-get.
        (
            &["tool/test-backports"][..],
            &[
                "data 1.0-2 test-updates",
                "lib 2.0-1~bpo1 test-backports",
                "plugin 2.0-1~bpo1 test-backports",
                "tool 2.0-1~bpo1 test-backports",
            ][..],
        ),
        // Even if another package would have chosen the candidate before.
        (&["lib", "tool/experimental"], &["lib 9 experimental", "tool 9 experimental"]),
        (&["tool/experimental"], &["lib 9 experimental", "tool 9 experimental"]),
        (&["lib=1.0-1+deb1", "lib/experimental"], &[]),
        (&["data=1.0-1"], &["data 1.0-1 test"]),
        (&["data=newest"], &["data 3.0-1~bpo1 test-backports"]),
        (&["data=1.*"], &["data 1.0-2 test-updates"]),
        (&["data/test=newest"], &["data 1.0-1 test"]),
        (&["same/test-updates"], &["same 1 test-updates"]),
        (
            &["tool=2.*", "lib/test-backports"],
            &[
                "data 1.0-2 test-updates",
                "lib 2.0-1~bpo1 test-backports",
                "plugin 2.0-1~bpo1 test-backports",
                "tool 2.0-1~bpo1 test-backports",
            ],
        ),
    ] {
        match chosen(&ALL, packages) {
            Ok(found) => assert_eq!(found, expected, "{packages:?}"),
            Err(said) => {
                assert!(expected.is_empty(), "{packages:?}: {said}");
                let versions =
                    "package `lib` is requested in two versions, 1.0-1+deb1 (test-security) and 9 (experimental)";
                assert!(said.contains(versions), "{said}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_said_with_suites() {
    let text = |packages: &[&str]| chosen(&ALL, packages).unwrap_err();
    let said = text(&["data/experimental"]);
    assert!(
        said.ends_with(
            "there is no package `data/experimental`; available: data `1.0-2 (test-updates)`, `1.0-1 (test)` and \
             `3.0-1~bpo1 (test-backports)`"
        ),
        "{said}"
    );
    let said = text(&["data/test-backport"]);
    assert!(said.contains(": `test-backport` is not among the suites, which are `test`, "), "{said}");
    assert!(
        said.starts_with("Debian test+test-security+test-updates+test-backports+experimental main (amd64): "),
        "{said}"
    );
}

#[test]
fn the_lock_says_which_suite_and_when_and_files_come_from_its_mirrors() {
    let world = world();
    // Backports are not used by default; the rest is as without them.
    let with_backports = world.entry(&ALL[..4], &["tool"]).unwrap();
    let entry = world.entry(&ALL[..3], &["tool"]).unwrap();
    assert_eq!(with_backports.files, entry.files);
    let Some(ArchiveDate::Each(dates)) = &entry.archive_date else { panic!("{:?}", entry.archive_date) };
    assert_eq!(dates.keys().collect::<Vec<_>>(), ["test", "test-security", "test-updates"]);
    let lock = Lock::new([entry.clone()]);
    let text = lock.to_text();
    assert!(
        text.contains("suite: test-security\n") && text.contains("test-updates: \"2026-01-10T10:12:13Z\""),
        "{text}"
    );
    assert_eq!(Lock::parse(&text, Path::new("r.lock")).unwrap(), lock);
    assert!(lock.fits(std::slice::from_ref(&entry.request)));
    // A file of a suite that was not requested: which mirror would have it?
    let other = text.replacen("    suite: test-security", "    suite: other", 1);
    assert!(Lock::parse(&other, Path::new("r.lock")).is_err());
    // Each from its own mirror.
    let (network, mirrors) = (network(), world.mirrors());
    let access = Access::Online { network: &network, mirrors: &mirrors };
    assert_eq!(fetch(&[entry], &world.store, access, 2, &NoProgress).unwrap().fetched, 3);
    assert_eq!(world.security.asked_for("pool/main/l/lib/lib_1.0-1+deb1_amd64.deb").len(), 1);
    assert_eq!(world.main.asked_for("pool/main/d/data/data_1.0-2_amd64.deb").len(), 1);
}

#[test]
fn a_lock_that_does_not_fit_says_what_changed_in_suites_and_packages() {
    let world = world();
    let lock = Lock::new([world.entry(&ALL[..2], &["tool", "data"]).unwrap()]);
    let says = |suites: &[&str], packages: &[&str]| {
        lock.check(&[request(suites, packages)], &Default::default())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(says(&ALL[..2], &["tool", "data"]), "");
    let said = says(&ALL[..3], &["tool", "data"]);
    assert!(said.ends_with("packages: the suite `test-updates` was added"), "{said}");
    let said = says(&["test-security"], &["tool", "data/test-security"]);
    assert!(said.contains("`data/test-security` was added") && said.contains("the suite `test` was removed"), "{said}");
    let said = says(&["test-security", "test"], &["tool", "data"]);
    assert!(said.ends_with("the order of its suites changed"), "{said}");
    // Locked from another suite than requested now.
    let mut moved = world.entry(&ALL[..3], &["same/test-updates"]).unwrap();
    moved.files[0].suite = Some("test".to_owned());
    let said = Lock::new([moved.clone()]).check(&[moved.request], &Default::default());
    assert!(said[0].to_string().contains("`same/test-updates` is not among its files"), "{}", said[0]);
}

#[test]
fn what_two_requests_say_of_one_package_counts_together() {
    for packages in [["same/test-updates", "same=1"], ["same=1", "same/test-updates"]] {
        assert_eq!(chosen(&ALL, &packages).unwrap(), ["same 1 test-updates"]);
    }
    let error = chosen(&ALL, &["same/test", "same/test-updates"]).unwrap_err();
    assert!(error.contains("`same` is requested from two suites, test and test-updates"), "{error}");
}

/// Each of these requires another version of the other.
#[test]
fn versions_that_displace_each_other_come_to_an_end() {
    let error = chosen(&ALL, &["left/test-backports=1"]).unwrap_err();
    assert!(error.contains("left") && error.contains("right"), "{error}");
}

#[test]
fn going_back_is_seen_in_each_suite_by_itself() {
    let world = world();
    let old = Lock::new([world.entry(&ALL[..2], &["tool"]).unwrap()]);
    // A replayed index of the security archive, with a current main archive.
    TestArchive::of("test", "")
        .dated("Sun, 11 Jan 2026 00:00:00 UTC")
        .package("tool", "1.0-1", "Depends: lib")
        .publish(&world.main, &world.key);
    TestArchive::of("test-security", "")
        .dated("Fri, 09 Jan 2026 00:00:00 UTC")
        .package("lib", "1.0-1~old", "")
        .publish(&world.security, &world.key);
    let new = world.entry(&ALL[..2], &["tool"]).unwrap();
    let back = rollback(&old, &new).unwrap().to_string();
    assert!(back.contains("Debian test-security main") && back.contains("2026-01-09T00:00:00Z"), "{back}");
    assert_eq!(downgrades(&old, &new), ["lib 1.0-1+deb1 → 1.0-1~old"]);
    // A request for only one of the suites is compared with it, too.
    let new = world.entry(&["test-security"], &["lib"]).unwrap();
    assert!(rollback(&old, &new).is_some());
}
