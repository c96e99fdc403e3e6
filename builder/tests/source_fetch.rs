//! Fetching locked files over a network that fails in every way.

mod servers;

use std::fs;
use std::time::{Duration, Instant};

use dbco::digest::Digest;
use dbco::lock::{Location, LockEntry, LockedFile};
use dbco::source::{
    Access, Attempt, Cancel, DebianPackages, DebianSource, FetchFailure, FetchReport, Meter, Mirrors, Network,
    NetworkLimits, NoProgress, Progress, Request, SourceError, UrlFile, fetch,
};
use dbco::store::Store;
use servers::{Fault, Server, dead_url, limits, network, noise, store};

fn locked(name: &str, content: &[u8], urls: &[String]) -> LockEntry {
    let at = Location::Urls(urls.to_vec());
    let (sha256, size) = (Digest::of(content), content.len() as u64);
    LockEntry {
        request: Request::Url(UrlFile { urls: urls.to_vec(), sha256: None }),
        archive_date: None,
        files: vec![LockedFile { name: name.to_owned(), version: None, suite: None, at, sha256, size }],
    }
}

fn bring(entry: &LockEntry, store: &Store, network: &Network) -> Result<FetchReport, Vec<FetchFailure>> {
    let mirrors = Mirrors::default();
    fetch([entry], store, Access::Online { network, mirrors: &mirrors }, 2, &NoProgress)
}

fn attempts(result: Result<FetchReport, Vec<FetchFailure>>) -> Vec<Attempt> {
    match result.unwrap_err().pop().unwrap().error {
        SourceError::Unreachable { attempts, .. } => attempts,
        other => panic!("{other}"),
    }
}

fn content_of(store: &Store, content: &[u8]) -> Vec<u8> {
    fs::read(store.blob_path(&Digest::of(content))).unwrap()
}

#[test]
fn a_truncated_download_goes_on_where_it_broke_off() {
    let (_folder, store) = store();
    let server = Server::start();
    let content = noise(300_000, 1);
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    server.faults("x", &[Fault::Cut(100_000), Fault::Status(503), Fault::Cut(50_000)]);
    let report = bring(&entry, &store, &network()).unwrap();
    assert_eq!(content_of(&store, &content), content);
    assert_eq!(server.asked_for("x"), [0, 100_000, 100_000, 150_000]);
    assert_eq!(report, FetchReport { present: 0, fetched: 1, bytes: 300_000 });
    // Existing files are not fetched again, and no work files are left.
    assert_eq!(bring(&entry, &store, &network()).unwrap().present, 1);
    assert_eq!(server.asked_for("x").len(), 4);
    assert_eq!(fs::read_dir(store.path().join("partial")).unwrap().count(), 0);
}

#[test]
fn another_run_goes_on_with_what_the_last_one_left() {
    let (_folder, store) = store();
    let server = Server::start();
    let content = noise(200_000, 2);
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    server.faults("x", &[Fault::Cut(70_000), Fault::Status(403)]);
    assert_eq!(attempts(bring(&entry, &store, &network()))[0].reason, "answers 403 Forbidden");
    assert!(!store.has_blob(&Digest::of(&content)), "half a file is no blob");
    assert_eq!(bring(&entry, &store, &network()).unwrap().bytes, 130_000);
    assert_eq!(server.asked_for("x"), [0, 70_000, 70_000]);
}

#[test]
fn killed_just_before_the_end_needs_no_network() {
    let (_folder, store) = store();
    let content = noise(10_000, 3);
    fs::write(store.partial_path(&Digest::of(&content)), &content).unwrap();
    bring(&locked("x", &content, &[dead_url()]), &store, &network()).unwrap();
    assert_eq!(content_of(&store, &content), content);
}

#[test]
fn a_stalled_server_is_left_after_the_limit() {
    let (_folder, store) = store();
    let server = Server::start();
    let content = noise(100_000, 4);
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    server.faults("x", &[Fault::Stall(40_000)]);
    let network = Network::new(Cancel::default(), NetworkLimits { stall: Duration::from_millis(200), ..limits() });
    bring(&entry, &store, &network).unwrap();
    assert_eq!(server.asked_for("x"), [0, 40_000]);
}

#[test]
fn a_server_without_ranges_sends_it_all_again() {
    let (_folder, store) = store();
    let server = Server::start();
    server.without_ranges();
    let content = noise(100_000, 5);
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    server.faults("x", &[Fault::Cut(40_000)]);
    assert_eq!(bring(&entry, &store, &network()).unwrap().bytes, 140_000);
    assert_eq!(content_of(&store, &content), content);
}

#[test]
fn a_wrong_beginning_is_thrown_away() {
    let (_folder, store) = store();
    let server = Server::start();
    let content = noise(100_000, 6);
    fs::write(store.partial_path(&Digest::of(&content)), noise(30_000, 7)).unwrap();
    bring(&locked("x", &content, &[server.file("x", content.clone())]), &store, &network()).unwrap();
    assert_eq!(server.asked_for("x"), [30_000, 0]);
    assert_eq!(content_of(&store, &content), content);
}

#[test]
fn a_wrong_hash_goes_to_the_next_place() {
    let (_folder, store) = store();
    let (bad, good) = (Server::start(), Server::start());
    let content = noise(50_000, 8);
    let urls = [bad.file("x", noise(50_000, 9)), good.file("x", content.clone())];
    bring(&locked("x", &content, &urls), &store, &network()).unwrap();
    assert_eq!(content_of(&store, &content), content);
    assert_eq!((bad.asked_for("x").len(), good.asked_for("x")), (1, vec![0]));
    assert!(!store.has_blob(&Digest::of(noise(50_000, 9))), "what was wrong is not kept");
}

#[test]
fn when_all_places_fail_each_says_why() {
    let (_folder, store) = store();
    let server = Server::start();
    let content = noise(1000, 10);
    server.faults("busy", &[Fault::Status(503); 4]);
    let urls = [
        format!("{}/gone", server.url),
        dead_url(),
        server.file("wrong", noise(1000, 11)),
        server.file("long", noise(2000, 10)),
        server.file("busy", content.clone()),
        "ftp://mirror.example/x".to_owned(),
    ];
    let errors = bring(&locked("x.tar", &content, &urls), &store, &network()).unwrap_err();
    let text = errors[0].to_string();
    assert_eq!(errors.len(), 1);
    assert!(text.starts_with("can't get x.tar\n"), "{text}");
    let attempts = attempts(Err(errors));
    let said: Vec<_> = attempts.iter().map(|attempt| (attempt.reason.as_str(), attempt.times)).collect();
    let wrong = format!("sha256 is {} (1000 bytes), expected {}", Digest::of(noise(1000, 11)), Digest::of(&content));
    let expected = [
        ("not found (404)", 1),
        ("Connection refused (os error 111)", 4),
        (&wrong, 1),
        ("is 2000 bytes long, expected 1000", 1),
        ("answers 503 Service Unavailable", 4),
        ("`ftp:` is not supported; http, https and file are", 1),
    ];
    assert_eq!(said, expected);
    assert!(attempts.iter().zip(&urls).all(|(attempt, url)| attempt.url == *url));
    assert!(urls.iter().all(|url| text.contains(url.as_str())), "{text}");
}

#[test]
fn a_file_that_nobody_keeps_leads_to_what_helps_for_its_kind() {
    let server = Server::start();
    let gone = |request: Request, at: Location| {
        let (_folder, store) = store();
        let (sha256, version) = (Digest::of("x"), Some("1.0-1".to_owned()));
        let files = vec![LockedFile { name: "old".to_owned(), version, suite: None, at, sha256, size: 1 }];
        let entry = LockEntry { request, archive_date: None, files };
        let (network, mirrors) = (network(), servers::mirrors(&[&server.url]));
        let access = Access::Online { network: &network, mirrors: &mirrors };
        fetch([&entry], &store, access, 1, &NoProgress).unwrap_err()[0].to_string()
    };
    let pool = || Location::Pool("pool/old".to_owned());
    let archive = servers::archive;
    let text = gone(
        Request::Debian(DebianPackages { suites: archive().into(), packages: vec!["old".to_owned()], closure: true }),
        pool(),
    );
    assert!(text.contains("old 1.0-1 was removed from the mirror: run `dbco lock --update`"), "{text}");
    // Locking a source package with a stated version again would give the same.
    let (package, version, file) = ("linux".to_owned(), "1.0-1".to_owned(), "old".to_owned());
    let text = gone(Request::DebianSource(DebianSource { archive: archive(), package, version, file }), pool());
    assert!(text.contains("set another `version` of source package `linux`"), "{text}");
    assert!(text.contains("`newest`") && !text.contains("--update"), "{text}");
    let urls = vec![format!("{}/old", server.url)];
    let text = gone(Request::Url(UrlFile { urls: urls.clone(), sha256: None }), Location::Urls(urls));
    assert!(text.contains("set another `url`") && !text.contains("lock"), "{text}");
}

#[test]
fn passwords_stay_out_of_messages() {
    let (_folder, store) = store();
    let url = dead_url().replace("http://", "http://user:secret@");
    let text = bring(&locked("x", b"x", &[url]), &store, &network()).unwrap_err()[0].to_string();
    assert!(text.contains("127.0.0.1") && !text.contains("secret"), "{text}");
}

#[test]
fn local_files_are_places_too() {
    let (folder, store) = store();
    let path = folder.path().join("a file");
    fs::write(&path, "content").unwrap();
    let url = format!("file://{}", path.display()).replace(' ', "%20");
    bring(&locked("x", b"content", &[url]), &store, &network()).unwrap();
    assert_eq!(content_of(&store, b"content"), b"content");
}

#[test]
fn offline_names_what_is_missing() {
    let (_folder, store) = store();
    let server = Server::start();
    store.add_bytes(b"here").unwrap();
    let url = [server.file("x", "there")];
    let entries = [locked("here", b"here", &url), locked("there", b"there", &url)];
    let errors = fetch(&entries, &store, Access::Offline, 1, &NoProgress).unwrap_err();
    assert_eq!(errors[0].to_string(), "offline, and not in the store: `there`; run `dbco fetch` while online");
    assert_eq!(errors[0].files, 1);
    assert_eq!(server.asked(), []);
    assert_eq!(fetch(&entries[..1], &store, Access::Offline, 1, &NoProgress).unwrap().present, 1);
}

#[test]
fn many_files_come_over_many_connections_and_failures_are_collected() {
    let (_folder, store) = store();
    let server = Server::start();
    let entries: Vec<LockEntry> = (0..20)
        .map(|number| {
            let (name, content) = (format!("f{number:02}"), noise(10_000 + number, number as u64 + 1));
            let url =
                if number % 7 == 0 { format!("{}/none", server.url) } else { server.file(&name, content.clone()) };
            locked(&name, &content, &[url])
        })
        .collect();
    let (network, mirrors) = (network(), Mirrors::default());
    let access = Access::Online { network: &network, mirrors: &mirrors };
    let errors = fetch(&entries, &store, access, 6, &NoProgress).unwrap_err();
    let failed: Vec<_> = errors.iter().map(|error| error.to_string().lines().next().unwrap().to_owned()).collect();
    assert_eq!(failed, ["can't get f00", "can't get f07", "can't get f14"]);
    let there = entries.iter().filter(|entry| store.has_blob(&entry.files[0].sha256)).count();
    assert_eq!(there, 17, "the others came nevertheless");
}

#[test]
fn a_cause_that_keeps_several_files_away_counts_each_of_them() {
    let (_folder, store) = store();
    let server = Server::start();
    let (dead, missing) = (dead_url(), format!("{}/none", server.url));
    let file = |name: &str, url: &str| locked(name, name.as_bytes(), &[url.to_owned()]);
    let entries = [file("a", &dead), file("b", &dead), file("c", &missing), file("d", &dead), file("d", &dead)];
    let (network, mirrors) = (network(), Mirrors::default());
    let access = Access::Online { network: &network, mirrors: &mirrors };
    let errors = fetch(&entries, &store, access, 2, &NoProgress).unwrap_err();
    let counts: Vec<_> = errors.iter().map(|failure| failure.files).collect();
    assert_eq!(counts, [3, 1], "{errors:?}");
    assert!(errors[0].to_string().starts_with("can't get `a`, `b` and `d`\n"), "{}", errors[0]);
    let errors = fetch(&entries, &store, Access::Offline, 2, &NoProgress).unwrap_err();
    assert_eq!((errors.len(), errors[0].files), (1, 4));
}

#[test]
fn two_builds_bring_a_file_once() {
    let (_folder, store) = store();
    let server = Server::start();
    let content = noise(2_000_000, 12);
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    std::thread::scope(|scope| {
        let both = [(); 4].map(|()| scope.spawn(|| bring(&entry, &store, &network()).unwrap().bytes));
        let bytes: u64 = both.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(bytes, 2_000_000);
    });
    assert_eq!(server.asked_for("x"), [0]);
}

/// Presses ^C as soon as a download announces that it will wait.
struct Interrupt(Cancel);

impl Progress for Interrupt {
    fn start(&self, _name: &str, _total: Option<u64>) -> Box<dyn Meter + '_> {
        Box::new(Interrupt(self.0.clone()))
    }
}

impl Meter for Interrupt {
    fn at(&self, _bytes: u64) {}
    fn remark(&self, _text: &str) {
        self.0.cancel();
    }
}

#[test]
fn an_interrupt_ends_the_wait_between_tries() {
    let (_folder, store) = store();
    let cancel = Cancel::default();
    let network = Network::new(cancel.clone(), NetworkLimits { backoff: Duration::from_secs(600), ..limits() });
    let entry = locked("x", b"x", &[dead_url()]);
    let (mirrors, progress) = (Mirrors::default(), Interrupt(cancel));
    let begin = Instant::now();
    let access = Access::Online { network: &network, mirrors: &mirrors };
    let errors = fetch([&entry], &store, access, 1, &progress).unwrap_err();
    assert!(matches!(errors.as_slice(), [FetchFailure { error: SourceError::Cancelled, files: 1 }]), "{errors:?}");
    assert!(begin.elapsed() < Duration::from_secs(60));
}
