//! The lock file: its text, and the ways in which it can be stale or damaged.

use std::path::Path;

use dbco::digest::Digest;
use dbco::lock::{ArchiveDate, Entry, Location, Lock, LockError, LockedFile, Why};
use dbco::source::{Archive, Request};

fn archive(suite: &str) -> Archive {
    Archive { suite: suite.to_owned(), components: vec!["main".to_owned()], arch: "amd64".to_owned(), keyring: None }
}

fn debian(suite: &str, packages: &[&str]) -> Request {
    let packages = packages.iter().map(|&package| package.to_owned()).collect();
    Request::Debian { suites: archive(suite).into(), packages, closure: true }
}

fn source(version: &str) -> Request {
    let (package, file) = ("busybox".to_owned(), "busybox.orig.tar.bz2".to_owned());
    Request::DebianSource { archive: archive("bookworm"), package, version: version.to_owned(), file }
}

fn url(urls: &[&str], sha256: Option<Digest>) -> Request {
    Request::Url { urls: urls.iter().map(|&url| url.to_owned()).collect(), sha256 }
}

fn git(commit: char) -> Request {
    Request::Git {
        url: "https://git.example/tool.git".to_owned(),
        commit: commit.to_string().repeat(40),
        submodules: false,
    }
}

fn entry(request: Request, names: &[&str]) -> Entry {
    let file = |name: &&str| LockedFile {
        name: (*name).to_owned(),
        version: Some("1:1.0-1".to_owned()),
        suite: None,
        at: Location::Pool(format!("pool/main/{name}_1.0-1_amd64.deb")),
        sha256: Digest::of(name),
        size: name.len() as u64,
    };
    Entry {
        request,
        archive_date: Some(ArchiveDate::One("2026-01-10T10:12:13Z".to_owned())),
        files: names.iter().map(file).collect(),
    }
}

fn full() -> Lock {
    Lock::new([
        entry(url(&["https://a.example/x.tar.xz", "https://b.example/x.tar.xz"], None), &["x.tar.xz"]),
        entry(git('a'), &["tool-aaaaaaaaaaaa.tar"]),
        entry(source("1.35"), &["busybox.orig.tar.bz2"]),
        entry(debian("bookworm", &["gcc", "make"]), &["gcc", "libc6", "make"]),
    ])
}

fn wanted(lock: &Lock) -> Vec<Request> {
    lock.entries.iter().map(|entry| entry.request.clone()).collect()
}

fn stale(lock: &Lock, wanted: &[Request]) -> Vec<String> {
    lock.check(wanted).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_written_reads_back_and_is_stable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lock");
    full().save(&path).unwrap();
    assert_eq!(Lock::load(&path).unwrap(), full());
    let mut turned = full().entries;
    turned.reverse();
    turned.extend(full().entries);
    assert_eq!(Lock::new(turned).to_text(), full().to_text(), "neither order nor repetition shows");
    assert!(full().to_text().starts_with("# Written by `dbco lock`"));
    assert_eq!(full().check(&wanted(&full())), []);
    assert_eq!(full().find(&git('a')).unwrap().files[0].name, "tool-aaaaaaaaaaaa.tar");
}

#[test]
fn one_file_of_a_lock_in_its_text() {
    let lock = Lock::new([entry(debian("bookworm", &["gcc"]), &["gcc"])]);
    let expected = "\
format: 1
entries:
- request:
    debian:
      archive:
        suite: bookworm
        components:
        - main
        arch: amd64
      packages:
      - gcc
      closure: true
  archive-date: \"2026-01-10T10:12:13Z\"
  files:
  - name: gcc
    version: 1:1.0-1
    at:
      pool: pool/main/gcc_1.0-1_amd64.deb
    sha256: 75bfbc58c43ac51a823fe0dbf1feff9ad5cd4c2f28d2a3c2f5fad7ae2bbdb23e
    size: 3
";
    let text = lock.to_text();
    let body = text.lines().filter(|line| !line.starts_with('#') && !line.contains("sha256")).collect::<Vec<_>>();
    let expected = expected.lines().filter(|line| !line.contains("sha256")).collect::<Vec<_>>();
    assert_eq!(body, expected);
    assert!(text.contains(&format!("    sha256: {}\n", Digest::of("gcc"))));
}

#[test]
fn packages_added_and_removed() {
    let mut wanted = wanted(&full());
    wanted.retain(|request| !matches!(request, Request::Debian { .. }));
    wanted.push(debian("bookworm", &["flex", "make"]));
    assert_eq!(stale(&full(), &wanted), ["Debian bookworm packages: `flex` was added, `gcc` was removed"]);
    wanted.pop();
    wanted.push(debian("trixie", &["gcc", "make"]));
    assert_eq!(stale(&full(), &wanted), ["Debian trixie packages: suite is now `trixie`, locked is `bookworm`"]);
}

#[test]
fn each_kind_of_source_says_what_changed() {
    let lock = full();
    let swap = |old: &Request, new: Request| {
        let mut wanted = wanted(&lock);
        wanted.retain(|request| request != old);
        wanted.push(new);
        stale(&lock, &wanted)
    };
    assert_eq!(
        swap(&source("1.35"), source("1.36")),
        ["Debian source package busybox: version is now `1.36`, locked is `1.35`"]
    );
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    let expected = format!("https://git.example/tool.git: commit is now `{b}`, locked is `{a}`");
    assert_eq!(swap(&git('a'), git('b')), [expected]);
    let old = url(&["https://a.example/x.tar.xz", "https://b.example/x.tar.xz"], None);
    assert_eq!(
        swap(&old, url(&["https://a.example/x.tar.xz"], None)),
        ["https://a.example/x.tar.xz: `https://b.example/x.tar.xz` was removed"]
    );
    let pin = Digest::of("pin");
    let pinned = url(&["https://a.example/x.tar.xz", "https://b.example/x.tar.xz"], Some(pin));
    assert_eq!(swap(&old, pinned), [format!("https://a.example/x.tar.xz: the recipe's sha256 is now {pin}")]);
}

#[test]
fn missing_and_superfluous_entries() {
    let lock = Lock::new([entry(git('a'), &["x"])]);
    let found = lock.check(&[source("1.35")]);
    assert_eq!(found.iter().map(|stale| &stale.why).collect::<Vec<_>>(), [&Why::Missing, &Why::Superfluous]);
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "busybox.orig.tar.bz2 of busybox 1.35 from Debian bookworm: not in the lock".to_owned(),
            format!(
                "commit {} of https://git.example/tool.git: in the lock, but nothing in the recipe asks for it",
                "a".repeat(40)
            ),
        ]
    );
}

#[test]
fn files_that_are_not_what_was_asked_for() {
    let pinned = url(&["https://a.example/x"], Some(Digest::of("other")));
    let lock = Lock::new([
        entry(debian("bookworm", &["gcc=2", "make"]), &["gcc"]),
        entry(pinned, &["x"]),
        entry(git('a'), &[]),
    ]);
    let found = stale(&lock, &wanted(&lock));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].ends_with("`gcc=2` is not among its files, `make` is not among its files"), "{found:?}");
    assert!(found[1].ends_with("it holds no file"), "{found:?}");
    assert!(found[2].contains("is not the recipe's"), "{found:?}");
}

#[test]
fn a_damaged_lock_is_named_with_its_line() {
    let text = full().to_text();
    let path = Path::new("recipes/x.lock");
    let damaged = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let mark = to.trim_end().lines().last().unwrap();
        let line = 1 + changed.lines().position(|line| line.contains(mark)).unwrap();
        (Lock::parse(&changed, path).unwrap_err(), line as u64)
    };
    for (from, to) in [
        ("size: ", "size: x"),
        ("sha256: ", "sha256: zz"),
        ("files:", "flies:"),
        ("format: 1\n", "format: 1\n<<<<<<< ours\n"),
    ] {
        let (error, expected) = damaged(from, to);
        let LockError::Syntax { line, .. } = error else { panic!("{error}") };
        assert!(line.abs_diff(expected) <= 1, "line {line}, expected {expected}: {error}");
        assert!(error.to_string().starts_with(&format!("recipes/x.lock:{line}: ")), "{error}");
    }
    let (error, _) = damaged("pool/main/", "pool/../../");
    assert!(error.to_string().contains("is not a path inside a Debian mirror"), "{error}");
    let (error, _) = damaged("format: 1", "format: 7");
    assert!(matches!(error, LockError::Format { found: 7, .. }), "{error}");
    let missing = Lock::load(Path::new("/nonexistent/x.lock")).unwrap_err();
    assert!(missing.to_string().ends_with("run `dbco lock` to make it"), "{missing}");
}
