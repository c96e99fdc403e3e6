//! Mirrors that delay a run in every way: the next one delivers soon, and the bad one is not waited for again.

mod servers;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use dbco::digest::Digest;
use dbco::lock::{Location, LockEntry, LockedFile};
use dbco::source::{
    Access, Cancel, DebianPackages, FetchFailure, Mirrors, Network, NetworkLimits, NoProgress, Request, Resolver,
    UrlFile, fetch,
};
use dbco::store::Store;
use servers::{Fault, Key, Server, TestArchive, archive, dead_url, mirrors, noise, store};

/// The time limits with a good mirror beside a bad one, for the first file and for all later ones.
const FIRST: Duration = Duration::from_secs(20);

const FAULTS: [Fault; 14] = [
    Fault::Silence,
    Fault::Stall(0),
    Fault::Stall(1000),
    Fault::Stall(70_000),
    Fault::Trickle,
    Fault::EndlessHeaders,
    Fault::EndlessBody,
    Fault::Redirects,
    Fault::WrongContent,
    Fault::HalfLength,
    Fault::Garbage,
    Fault::Cut(0),
    Fault::Cut(50_000),
    Fault::Status(503),
];

fn locked(name: &str, content: &[u8], urls: &[String]) -> LockEntry {
    let file = LockedFile {
        name: name.to_owned(),
        version: None,
        suite: None,
        at: Location::Urls(urls.to_vec()),
        sha256: Digest::of(content),
        size: content.len() as u64,
    };
    LockEntry {
        request: Request::Url(UrlFile { urls: urls.to_vec(), sha256: None }),
        archive_date: None,
        files: vec![file],
    }
}

fn fetch_all(entries: &[LockEntry], store: &Store, network: &Network) -> Result<u64, Vec<FetchFailure>> {
    let access = Access::Online { network, mirrors: &Mirrors::default() };
    fetch(entries, store, access, 6, &NoProgress).map(|report| report.bytes)
}

/// Whether the store has exactly that content under its name.
fn has(store: &Store, content: &[u8]) -> bool {
    fs::read(store.blob_path(&Digest::of(content))).is_ok_and(|there| there == content)
}

/// Files of a bad and a good mirror, with limits as users have them.
fn first_and_later(name: &str, bad: &str, good: &Server, bad_server: Option<&Server>) {
    let (_folder, store) = store();
    let network = Network::new(Cancel::default(), NetworkLimits::default());
    let files: Vec<(String, Vec<u8>)> =
        (0..30).map(|number| (format!("f{number}"), noise(150_000 + number, number as u64 + 1))).collect();
    let entries: Vec<LockEntry> = files
        .iter()
        .map(|(name, content)| {
            if let Some(server) = bad_server {
                server.file(name, content.clone());
            }
            locked(name, content, &[format!("{bad}/{name}"), good.file(name, content.clone())])
        })
        .collect();
    let begin = Instant::now();
    fetch_all(&entries[..1], &store, &network).unwrap();
    assert!(begin.elapsed() < FIRST, "the first file took {:?}", begin.elapsed());
    let begin = Instant::now();
    fetch_all(&entries[1..], &store, &network).unwrap();
    assert!(begin.elapsed() < FIRST, "later files took {:?}", begin.elapsed());
    for (_, content) in &files {
        assert!(has(&store, content));
    }
    if let Some(server) = bad_server {
        let again: Vec<_> = server.asked().into_iter().filter(|asked| asked.path != "f0").collect();
        assert!(again.is_empty(), "{name}: a bad mirror is not asked again: {again:?}");
    }
}

#[test]
fn every_kind_of_bad_mirror_is_passed_over_soon_and_not_asked_again() {
    std::thread::scope(|scope| {
        for fault in FAULTS {
            scope.spawn(move || {
                let (bad, good) = (Server::bad(fault), Server::start());
                first_and_later(&format!("{fault:?}"), &bad.url, &good, Some(&bad));
            });
        }
        // No server; another protocol; a name that does not exist.
        scope.spawn(|| first_and_later("refused", &dead_url(), &Server::start(), None));
        scope.spawn(|| {
            let bad = Server::bad(Fault::Garbage);
            first_and_later("no TLS", &bad.url.replace("http:", "https:"), &Server::start(), None);
        });
        scope.spawn(|| first_and_later("no such name", "http://mirror.invalid", &Server::start(), None));
    });
}

#[test]
fn many_bad_mirrors_before_the_good_one_do_not_add_up() {
    soon_despite(&[Fault::Silence, Fault::Stall(10), Fault::Trickle, Fault::Silence, Fault::Stall(0)], 5);
}

#[test]
fn many_stalled_mirrors_before_the_good_one_do_not_add_up() {
    soon_despite(&[Fault::Silence; 11], 62);
}

/// A file comes from the good mirror after these.
fn soon_despite(faults: &[Fault], seed: u64) {
    let (_folder, store) = store();
    let bad: Vec<Server> = faults.iter().copied().map(Server::bad).collect();
    let good = Server::start();
    let content = noise(200_000, seed);
    let mut urls: Vec<String> = bad.iter().map(|server| server.file("x", content.clone())).collect();
    urls.push(good.file("x", content.clone()));
    let begin = Instant::now();
    fetch_all(&[locked("x", &content, &urls)], &store, &Network::new(Cancel::default(), NetworkLimits::default()))
        .unwrap();
    assert!(begin.elapsed() < FIRST, "{:?}", begin.elapsed());
}

#[test]
fn an_archive_is_resolved_from_the_next_mirror_soon() {
    std::thread::scope(|scope| {
        for fault in FAULTS {
            scope.spawn(move || {
                let (key, bad, good) = (Key::generate(), Server::bad(fault), Server::start());
                let made = TestArchive::default().package("tool", "1", "");
                made.publish(&bad, &key);
                made.publish(&good, &key);
                let (folder, store) = store();
                fs::write(folder.path().join("keys.asc"), key.public()).unwrap();
                let network = Network::new(Cancel::default(), NetworkLimits::default());
                let mirrors = mirrors(&[&bad.url, &good.url]);
                let request = Request::Debian(DebianPackages {
                    suites: archive().into(),
                    packages: vec!["tool".to_owned()],
                    closure: true,
                });
                let begin = Instant::now();
                let resolver = Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress);
                let entry = resolver.resolve(&request).unwrap();
                let access = Access::Online { network: &network, mirrors: &mirrors };
                fetch([&entry], &store, access, 2, &NoProgress).unwrap();
                assert!(begin.elapsed() < FIRST, "{fault:?}: {:?}", begin.elapsed());
            });
        }
    });
}

#[test]
fn a_place_that_delivers_wrong_bytes_and_stalls_does_not_spoil_the_file() {
    let (_folder, store) = store();
    let content = noise(300_000, 7);
    let (bad, good) = (Server::bad(Fault::Stall(100_000)), Server::start());
    // The right length with wrong bytes, a third of them.
    let urls = [bad.file("x", noise(300_000, 8)), good.file("x", content.clone())];
    let limits = NetworkLimits { hedge: Duration::from_millis(200), ..NetworkLimits::default() };
    fetch_all(&[locked("x", &content, &urls)], &store, &Network::new(Cancel::default(), limits)).unwrap();
    assert!(has(&store, &content));
    assert_eq!(good.asked_for("x").last(), Some(&0), "from the start, from one place");
}

#[test]
fn an_interrupt_ends_every_download_at_once() {
    std::thread::scope(|scope| {
        for fault in FAULTS.into_iter().filter(|fault| !matches!(fault, Fault::Status(_) | Fault::Cut(_))) {
            scope.spawn(move || {
                let (_folder, store) = store();
                let server = Server::bad(fault);
                let content = noise(100_000, 9);
                let entries = [locked("x", &content, &[server.file("x", content.clone())])];
                let cancel = Cancel::default();
                let limits =
                    NetworkLimits { backoff: Duration::from_secs(600), tries: 1000, ..NetworkLimits::default() };
                let network = Network::new(cancel.clone(), limits);
                let ended = std::thread::scope(|scope| {
                    let run = scope.spawn(|| fetch_all(&entries, &store, &network).map_err(|errors| errors.len()));
                    server.wait_until_asked();
                    let begin = Instant::now();
                    cancel.cancel();
                    let _ = run.join().unwrap();
                    begin.elapsed()
                });
                assert!(ended < Duration::from_secs(1), "{fault:?}: {ended:?}");
            });
        }
    });
}

#[test]
fn a_body_without_end_stops_at_the_limit() {
    let (folder, store) = store();
    let server = Server::bad(Fault::EndlessBody);
    let url = server.file("x", "content");
    let limits = NetworkLimits { max_size: 1 << 20, tries: 1, ..NetworkLimits::default() };
    let (network, mirrors) = (Network::new(Cancel::default(), limits), Mirrors::default());
    let resolver = Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress);
    for sha256 in [None, Some(Digest::of("content"))] {
        let error =
            resolver.resolve(&Request::Url(UrlFile { urls: vec![url.clone()], sha256 })).unwrap_err().to_string();
        assert!(error.contains("is longer than 1048576 bytes") && error.contains("max-size"), "{error}");
    }
    let there: u64 = walk(store.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(there < 2 << 20, "{there} bytes are left");
    // A locked file ends at its size, whatever the limit.
    let content = b"xxxxxxx";
    fetch_all(&[locked("x", content, &[url])], &store, &network).unwrap();
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { files.extend(walk(&entry.path())) } else { files.push(entry.path()) }
    }
    files
}

#[test]
fn one_cause_is_told_once_for_all_files() {
    let (_folder, store) = store();
    let dead = dead_url();
    let entries: Vec<LockEntry> =
        (0..40).map(|number| locked(&format!("f{number:02}"), &[number], &[format!("{dead}/f{number}")])).collect();
    let limits = NetworkLimits { backoff: Duration::from_millis(10), ..NetworkLimits::default() };
    let errors = fetch_all(&entries, &store, &Network::new(Cancel::default(), limits)).unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!((texts.len(), errors[0].files), (1, 40), "{texts:?}");
    assert!(texts[0].contains("`f00`, `f01`") && texts[0].contains("and 32 more"), "{}", texts[0]);
    assert_eq!(texts[0].matches("Connection refused").count(), 1, "{}", texts[0]);
}

#[test]
fn local_files_that_would_never_end_are_no_places() {
    let (folder, store) = store();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in ["/dev/zero", "/dev/stdin", fifo.to_str().unwrap()] {
        let entry = locked("x", b"x", &[format!("file://{path}")]);
        let errors =
            fetch_all(&[entry], &store, &Network::new(Cancel::default(), NetworkLimits::default())).unwrap_err();
        assert!(errors[0].to_string().contains("is not a regular file"), "{}", errors[0]);
    }
}

/// `user:password` as a server receives it (RFC 7617).
const ANN: &str = "Basic YW5uOnNlY3JldA==";

#[test]
fn logins_go_to_their_host_alone_and_never_on_with_a_redirect() {
    let (folder, store) = store();
    let (own, other) = (Server::start(), Server::start());
    let apt = folder.path().join("etc/apt/auth.conf.d");
    fs::create_dir_all(&apt).unwrap();
    let host = own.url.strip_prefix("http://").unwrap();
    fs::write(apt.join("own.conf"), format!("machine http://{host}/deb login ann password secret\n")).unwrap();
    let network = Network::new(Cancel::default(), NetworkLimits::default()).with_logins(folder.path());
    let contents: Vec<Vec<u8>> = (0..5).map(|number| noise(100, number + 40)).collect();
    other.file("d", contents[3].clone());
    own.file("deb/e2", contents[4].clone());
    let urls = [
        own.file("deb/a", contents[0].clone()),
        own.file("public/b", contents[1].clone()),
        other.file("c", contents[2].clone()),
        own.redirect("deb/d", &format!("{}/d", other.url)),
        other.redirect("e", &format!("{}/deb/e2", own.url)),
    ];
    let entries: Vec<LockEntry> =
        contents.iter().zip(&urls).map(|(content, url)| locked(url, content, std::slice::from_ref(url))).collect();
    fetch_all(&entries, &store, &network).unwrap();
    let logins = |server: &Server| -> Vec<(String, Option<String>)> {
        let mut all: Vec<_> = server.asked().into_iter().map(|asked| (asked.path, asked.login)).collect();
        all.sort();
        all
    };
    let of = |path: &str, login: Option<&str>| (path.to_owned(), login.map(str::to_owned));
    assert_eq!(
        logins(&own),
        [of("deb/a", Some(ANN)), of("deb/d", Some(ANN)), of("deb/e2", Some(ANN)), of("public/b", None)]
    );
    assert_eq!(logins(&other), [of("c", None), of("d", None), of("e", None)]);
}

/// A place whose connections are never established: its queue is full, and further ones are not answered. The streams
/// keep it so.
fn full() -> (String, TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut streams = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        streams.push(stream);
        // std requests a queue of 128.
        assert!(streams.len() < 1000, "the queue takes no end");
    }
    (format!("http://{address}"), listener, streams)
}

#[test]
fn a_mirror_that_does_not_connect_is_passed_over_soon_and_not_asked_again() {
    let (url, _listener, _streams) = full();
    first_and_later("does not connect", &url, &Server::start(), None);
}

#[test]
fn a_place_that_starts_over_and_never_gets_further_is_given_up() {
    let (_folder, store) = store();
    let server = Server::bad(Fault::Stall(70_000));
    server.without_ranges();
    let content = noise(150_000, 60);
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    let (stall, backoff) = (Duration::from_millis(300), Duration::from_millis(1));
    let limits = NetworkLimits { stall, backoff, ..NetworkLimits::default() };
    fetch_all(&[entry], &store, &Network::new(Cancel::default(), limits)).unwrap_err();
    // The first brought something new.
    assert_eq!(server.asked_for("x").len() as u32, limits.tries + 1);
}

#[test]
fn a_mirror_that_is_merely_slow_is_measured_against_the_next() {
    let (_folder, store) = store();
    let (slow, good) = (Server::bad(Fault::Slow), Server::start());
    let content = noise(24 << 20, 61);
    let urls = [slow.file("x", content.clone()), good.file("x", content.clone())];
    let limits = NetworkLimits { hedge: Duration::from_millis(300), ..NetworkLimits::default() };
    let begin = Instant::now();
    fetch_all(&[locked("x", &content, &urls)], &store, &Network::new(Cancel::default(), limits)).unwrap();
    assert!(has(&store, &content));
    // Alone it would take over a minute.
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    assert!(good.asked_for("x").len() == 1 && good.asked_for("x")[0] > 0, "{:?}", good.asked_for("x"));
}

#[test]
fn a_partial_that_another_run_holds_and_does_not_fill_is_not_waited_for() {
    let (_folder, store) = store();
    let (server, content) = (Server::start(), noise(100_000, 63));
    let held = fs::File::create(store.partial_path(&Digest::of(&content))).unwrap();
    held.lock().unwrap();
    let entry = locked("x", &content, &[server.file("x", content.clone())]);
    let limits = NetworkLimits { stall: Duration::from_millis(300), ..NetworkLimits::default() };
    fetch_all(&[entry], &store, &Network::new(Cancel::default(), limits)).unwrap();
    assert!(has(&store, &content));
}

#[test]
fn what_cannot_be_the_file_is_not_locked() {
    let (folder, store) = store();
    let part = Server::bad(Fault::Part);
    let server = Server::start();
    let page = "<!DOCTYPE html><html><body>Log in to use this network</body></html>";
    let network = Network::new(
        Cancel::default(),
        NetworkLimits { backoff: Duration::from_millis(1), ..NetworkLimits::default() },
    );
    for (url, reason) in [
        (part.file("x.tar.gz", "content"), "answers 206"),
        (server.file("empty.tar.gz", ""), "is empty"),
        (server.file("page.tar.gz", page), "is a web page"),
    ] {
        let mirrors = Mirrors::default();
        let resolver = Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress);
        let error =
            resolver.resolve(&Request::Url(UrlFile { urls: vec![url.clone()], sha256: None })).unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains(reason), "{error}");
        // Another place may have it.
        let good = server.file("good.tar.gz", "content");
        let urls = vec![url.clone(), good];
        let entry = resolver.resolve(&Request::Url(UrlFile { urls, sha256: None })).unwrap();
        assert_eq!(entry.files[0].sha256, Digest::of("content"), "{url}");
    }
}

#[test]
fn a_body_that_the_connection_alone_ends_is_no_proof_of_a_whole_file() {
    let (folder, store) = store();
    let content = noise(50_000, 7);
    let half = &content[..20_000];
    let whole = |fault: Option<Fault>| {
        let server = fault.map_or_else(Server::start, Server::bad);
        server.file("x.tar.gz", content.clone())
    };
    let (cut, unstated) = (|| whole(Some(Fault::Unstated(20_000))), || whole(Some(Fault::Unstated(50_000))));
    let mirrors = Mirrors::default();
    let network = servers::network();
    let resolver = Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress);
    let resolve = |urls: &[String], sha256| resolver.resolve(&Request::Url(UrlFile { urls: urls.to_vec(), sha256 }));
    for urls in [vec![cut(), whole(None)], vec![unstated(), whole(None)], vec![unstated(), unstated()]] {
        let entry = resolve(&urls, None).unwrap();
        assert_eq!((entry.files[0].sha256, entry.files[0].size), (Digest::of(&content), 50_000), "{urls:?}");
    }
    // The same server twice does not count as a second source.
    let twice = cut();
    let refused = [
        (vec![cut()], half, vec![]),
        (vec![unstated()], &content, vec![]),
        (vec![twice.clone(), twice.replace("x.tar.gz", "./x.tar.gz")], half, vec![]),
        (vec![cut(), unstated()], half, vec!["neither does ", "sent 50000 different bytes"]),
        (vec![unstated(), cut()], &content, vec!["neither does ", "sent 20000 different bytes"]),
    ];
    for (urls, came, more) in refused {
        let error = resolve(&urls, None).unwrap_err().to_string();
        let parts = [format!("truncated it after {} bytes", came.len()), format!("`sha256: {}`", Digest::of(came))];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(more.iter().all(|part| error.contains(part)) && error.contains(&urls[0]), "{error}");
    }
    // A digest in the recipe decides, too.
    let other = noise(1000, 9);
    let server = Server::bad(Fault::Unstated(999));
    let url = [server.file("y", other.clone())];
    assert!(resolve(&url, Some(Digest::of(&other))).unwrap_err().to_string().contains("(999 bytes), expected"));
    let server = Server::bad(Fault::Unstated(1000));
    let url = [server.file("y", other.clone())];
    assert_eq!(resolve(&url, Some(Digest::of(&other))).unwrap().files[0].size, 1000);
}

#[test]
fn the_rate_is_that_of_the_content_not_of_what_is_around_it() {
    let (_folder, store) = store();
    let (bad, good) = (Server::bad(Fault::Wrapped), Server::start());
    let content = vec![b'x'; 50_000];
    // The bad one delivers 10,000 bytes a second, 50 of them content.
    let (stall, hedge) = (Duration::from_millis(600), Duration::from_secs(60));
    let limits = NetworkLimits { stall, hedge, tries: 1, ..NetworkLimits::default() };
    let urls = [bad.file("x", content.clone()), good.file("x", content.clone())];
    let network = Network::new(Cancel::default(), limits);
    fetch_all(&[locked("x", &content, &urls)], &store, &network).unwrap();
    let errors = fetch_all(&[locked("y", &content[1..], &urls[..1])], &store, &Network::new(Cancel::default(), limits));
    let error = errors.unwrap_err()[0].to_string();
    assert!(error.contains("bytes received in 600ms") && error.contains("min-rate"), "{error}");
}
