//! The lock file: its text, and the ways in which it can be outdated or damaged.

use std::collections::BTreeSet;
use std::path::Path;

use dbco::digest::Digest;
use dbco::lock::{ArchiveDate, Location, Lock, LockEntry, LockError, LockedFile, StaleReason};
use dbco::source::{Archive, DebianPackages, DebianSource, GitCommit, Request, UrlFile};

fn archive(suite: &str) -> Archive {
    Archive { suite: suite.to_owned(), components: vec!["main".to_owned()], arch: "amd64".to_owned(), keyring: None }
}

fn debian(suite: &str, packages: &[&str]) -> Request {
    let packages = packages.iter().map(|&package| package.to_owned()).collect();
    Request::Debian(DebianPackages { suites: archive(suite).into(), packages, closure: true })
}

fn source(version: &str) -> Request {
    let (package, file) = ("busybox".to_owned(), "busybox.orig.tar.bz2".to_owned());
    Request::DebianSource(DebianSource { archive: archive("bookworm"), package, version: version.to_owned(), file })
}

fn url(urls: &[&str], sha256: Option<Digest>) -> Request {
    Request::Url(UrlFile { urls: urls.iter().map(|&url| url.to_owned()).collect(), sha256 })
}

fn git(commit: char) -> Request {
    Request::Git(GitCommit {
        url: "https://git.example/tool.git".to_owned(),
        commit: commit.to_string().repeat(40),
        submodules: false,
    })
}

fn entry(request: Request, names: &[&str]) -> LockEntry {
    let at = |name: &str| match &request {
        Request::Git(GitCommit { url, commit, .. }) => Location::Git { url: url.clone(), commit: commit.clone() },
        Request::Url(UrlFile { urls, .. }) => Location::Urls(urls.clone()),
        _ => Location::Pool(format!("pool/main/{name}_1.0-1_amd64.deb")),
    };
    let file = |name: &&str| LockedFile {
        name: (*name).to_owned(),
        version: Some("1:1.0-1".to_owned()),
        suite: None,
        at: at(name),
        sha256: Digest::of(name),
        size: name.len() as u64,
    };
    let files = names.iter().map(file).collect();
    LockEntry { request, archive_date: Some(ArchiveDate::One("2026-01-10T10:12:13Z".to_owned())), files }
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
    lock.entries().map(|entry| entry.request.clone()).collect()
}

fn stale(lock: &Lock, wanted: &[Request]) -> Vec<String> {
    lock.check(wanted, &BTreeSet::new()).iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_written_reads_back_and_is_stable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.lock");
    full().save(&path).unwrap();
    assert_eq!(Lock::load(&path).unwrap(), full());
    let mut turned: Vec<LockEntry> = full().entries().cloned().collect();
    turned.reverse();
    turned.extend(full().entries().cloned());
    assert_eq!(Lock::new(turned).to_text(), full().to_text(), "neither order nor repetition shows");
    assert!(full().to_text().starts_with("# Written by `dbco lock`"));
    assert!(full().fits(&wanted(&full())));
    assert_eq!(stale(&full(), &wanted(&full())), Vec::<String>::new());
    let nothing = Lock::default();
    assert_eq!(Lock::parse(&nothing.to_text(), &path).unwrap(), nothing);
    assert_eq!(full().find(&git('a')).unwrap().files[0].name, "tool-aaaaaaaaaaaa.tar");
}

#[test]
fn one_file_of_a_lock_in_its_text() {
    let lock = Lock::new([entry(debian("bookworm", &["gcc"]), &["gcc"])]);
    let expected = "\
format: 2
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
    wanted.retain(|request| !matches!(request, Request::Debian(DebianPackages { .. })));
    wanted.push(debian("bookworm", &["flex", "make"]));
    assert_eq!(stale(&full(), &wanted), ["Debian bookworm packages: `flex` was added, `gcc` was removed"]);
    wanted.pop();
    wanted.push(debian("trixie", &["gcc", "make"]));
    assert_eq!(stale(&full(), &wanted), ["Debian trixie packages: suite is now `trixie`, but `bookworm` in the lock"]);
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
        ["Debian source package busybox: version is now `1.36`, but `1.35` in the lock"]
    );
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    let expected = format!("https://git.example/tool.git: commit is now `{b}`, but `{a}` in the lock");
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
fn entries_that_a_recipe_does_not_ask_for_are_no_finding() {
    let lock = full();
    for request in wanted(&lock) {
        let own = std::slice::from_ref(&request);
        assert!(lock.fits(own));
        assert_eq!(stale(&lock, own), Vec::<String>::new());
        assert_eq!(lock.only(own).entries().map(|entry| &entry.request).collect::<Vec<_>>(), [&request]);
    }
    assert!(lock.fits(&[]) && !lock.fits(&[source("1.36")]));
    assert_eq!(lock.only(&[source("1.36")]), Lock::default());
    let found = Lock::new([entry(git('a'), &["x"])]).check(&[source("1.35")], &BTreeSet::new());
    assert_eq!(found.iter().map(|stale| &stale.why).collect::<Vec<_>>(), [&StaleReason::Missing]);
    assert_eq!(found[0].to_string(), "busybox.orig.tar.bz2 of busybox 1.35 from Debian bookworm: not in the lock");
}

/// A request of another recipe is not an older form of this one's, and neither is another request of its own.
#[test]
fn a_neighbour_that_is_asked_for_is_not_taken_for_an_older_form() {
    let lock = full();
    let gone = debian("bookworm", &["gcc", "make"]);
    for (wanted, others, changed) in [
        (vec![debian("bookworm", &["gcc", "flex"])], vec![], true),
        (vec![debian("bookworm", &["gcc", "flex"])], vec![gone.clone()], false),
        (vec![debian("bookworm", &["gcc", "flex"]), gone.clone()], vec![], false),
        (vec![git('b')], vec![gone], true),
        (vec![git('b')], vec![git('a')], false),
        (vec![source("2"), source("3")], vec![], true),
    ] {
        let found = lock.check(&wanted, &others.into_iter().collect());
        assert_eq!(found.iter().any(|stale| matches!(stale.why, StaleReason::Changed(_))), changed, "{found:?}");
        // One older form belongs to one request.
        assert!(found.iter().filter(|stale| matches!(stale.why, StaleReason::Changed(_))).count() <= 1, "{found:?}");
    }
}

#[test]
fn a_lock_of_one_recipe_is_read_and_written_in_the_format_of_now() {
    let text = full().to_text();
    let old = text.replacen("format: 2", "format: 1", 1);
    assert_ne!(old, text);
    assert_eq!(Lock::parse(&old, Path::new("x.lock")).unwrap().to_text(), text);
}

/// Two processes change a lock that both have read before: neither loses what the other has added.
#[test]
fn changes_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dbco.lock");
    full().save(&path).unwrap();
    let read = Lock::load(&path).unwrap();
    let numbers = || (0..32).map(|number| source(&format!("2.{number}")));
    std::thread::scope(|scope| {
        for request in numbers() {
            let (read, path) = (read.clone(), &path);
            let add = move |lock: &mut Lock| {
                lock.add(entry(request, &["x"]));
                Ok::<(), LockError>(())
            };
            scope.spawn(move || read.update(path, add).unwrap());
        }
    });
    let all: Vec<_> = wanted(&full()).into_iter().chain(numbers()).collect();
    let lock = Lock::load(&path).unwrap();
    assert!(lock.fits(&all), "{:?}", lock.check(&all, &BTreeSet::new()));
    assert_eq!(lock.entries().len(), all.len());
    // A change that fails writes nothing, and if a lock was removed its content is what was read.
    let fails = |_: &mut Lock| Err(LockError::Missing("x".into()));
    lock.clone().update(&path, fails).unwrap_err();
    assert_eq!(Lock::load(&path).unwrap(), lock);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read.clone().update::<LockError>(&path, |_| Ok(())).unwrap(), read);
}

/// A process that holds the folder's lock for long does not stop `dbco lock`.
#[test]
fn a_folder_that_somebody_holds_is_waited_for_for_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let held = std::fs::File::open(folder.path()).unwrap();
    held.lock().unwrap();
    let path = folder.path().join("dbco.lock");
    full().update::<LockError>(&path, |_| Ok(())).unwrap();
    assert_eq!(Lock::load(&path).unwrap(), full());
}

/// A version that counts as the requested one when resolving (Debian policy 5.6.12) counts as such in the lock, too.
#[test]
fn a_version_in_another_spelling_is_the_same() {
    for (version, same) in
        [("1:1.0-1", true), ("1:1.0-01", true), ("01:1.00-1", true), ("1.0-1", false), ("1:1.0-2", false)]
    {
        let lock = Lock::new([entry(debian("bookworm", &[&format!("gcc={version}")]), &["gcc"])]);
        assert_eq!(stale(&lock, &wanted(&lock)).is_empty(), same, "{version}");
    }
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
    assert!(found[1].ends_with("it has no files"), "{found:?}");
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
    for (from, to) in [("size: ", "size: x"), ("sha256: ", "sha256: zz"), ("files:", "flies:")] {
        let (error, expected) = damaged(from, to);
        let LockError::Syntax { line, .. } = error else { panic!("{error}") };
        assert!(line.abs_diff(expected) <= 1, "line {line}, expected {expected}: {error}");
        assert!(error.to_string().starts_with(&format!("recipes/x.lock:{line}: ")), "{error}");
    }
    let (error, _) = damaged("pool/main/", "pool/../../");
    assert!(error.to_string().contains("is not a path inside a Debian mirror"), "{error}");
    for (from, to) in [("format: 2\n", "format: 2\n<<<<<<< ours\n"), ("- request:", "=======\n- request:")] {
        let changed = text.replacen(from, to, 1);
        let mark = 1 + changed.lines().position(|line| line.starts_with(['<', '='])).unwrap();
        let error = Lock::parse(&changed, path).unwrap_err();
        assert!(matches!(error, LockError::Conflict { line, .. } if line == mark as u64), "{error}");
        let said = error.to_string();
        assert!(
            said.starts_with(&format!("recipes/x.lock:{mark}: ")) && said.contains("`git checkout --ours"),
            "{said}"
        );
    }
    let entries = text.find("- request").unwrap();
    let error = Lock::parse(&format!("{text}{}", &text[entries..]), path).unwrap_err().to_string();
    assert!(error.starts_with("recipes/x.lock: there are two entries for gcc, make of Debian bookworm"), "{error}");
    let (error, _) = damaged("format: 2", "format: 7");
    assert!(matches!(error, LockError::Format { found: 7, .. }), "{error}");
    let missing = Lock::load(Path::new("/nonexistent/x.lock")).unwrap_err();
    assert!(missing.to_string().ends_with("run `dbco lock` to create it"), "{missing}");
}
