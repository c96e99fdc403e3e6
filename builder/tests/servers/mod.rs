//! Shared code of the tests of sources: an HTTP server on this machine that misbehaves on demand, and signed archives.
#![allow(dead_code, reason = "each test binary uses its part")]

#[allow(clippy::duplicate_mod, reason = "some of the tests have a project, too")]
#[path = "../project/ar.rs"]
mod ar;

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use dbco::digest::Digest;
use dbco::source::{Archive, Cancel, Mirrors, Network, NetworkLimits};
use dbco::store::Store;
use pgp::composed::{
    CleartextSignedMessage, DetachedSignature, EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedPublicKey,
    SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::Password;

/// How a server responds to one request, instead of normally.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The given status and no content.
    Status(u16),
    /// Announces everything, sends that many bytes and closes.
    Cut(usize),
    /// Announces everything, sends that many bytes and is silent until the client leaves.
    Stall(usize),
    /// Accepts the request and never answers.
    Silence,
    /// Sends a byte now and then.
    Trickle,
    /// Sends endless headers.
    EndlessHeaders,
    /// Sends an endless body, without a stated length.
    EndlessBody,
    /// Redirects to itself, forever.
    Redirects,
    /// Sends the right number of wrong bytes.
    WrongContent,
    /// Sends half, and says that this is all.
    HalfLength,
    /// Does not speak HTTP.
    Garbage,
    /// Answers with a range that was not requested.
    Part,
    /// Sends that many bytes with HTTP/1.0, without a stated length, and closes.
    Unstated(usize),
    /// Sends each byte in a separate chunk, slowly, with a lot of overhead.
    Wrapped,
    /// Sends 16 KiB about twenty times a second.
    Slow,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Vec<u8>>,
    faults: HashMap<String, VecDeque<Fault>>,
    always: Option<Fault>,
    redirects: HashMap<String, String>,
    no_ranges: bool,
    asked: Vec<Asked>,
}

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path, without the leading `/`.
    pub path: String,
    /// The first requested byte.
    pub from: usize,
    /// The value of the header `Authorization`.
    pub login: Option<String>,
}

/// A server; it lives as long as the test's process.
#[derive(Clone)]
pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
    came: Arc<Condvar>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let came = Arc::new(Condvar::new());
        let (shared, bell) = (state.clone(), came.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, bell) = (shared.clone(), bell.clone());
                // A disconnecting client is not a failure of the server.
                std::thread::spawn(move || drop(serve(stream, &state, &bell)));
            }
        });
        Self { url, state, came }
    }

    /// A server that responds to every request in this way.
    pub fn bad(fault: Fault) -> Self {
        let server = Self::start();
        server.state.lock().unwrap().always = Some(fault);
        server
    }

    /// From now on redirects requests for a path.
    pub fn redirect(&self, path: &str, to: &str) -> String {
        self.state.lock().unwrap().redirects.insert(path.to_owned(), to.to_owned());
        format!("{}/{path}", self.url)
    }

    /// Waits until it has received a request.
    pub fn wait_until_asked(&self) {
        let state = self.state.lock().unwrap();
        drop(self.came.wait_while(state, |state| state.asked.is_empty()).unwrap());
    }

    pub fn file(&self, path: &str, content: impl Into<Vec<u8>>) -> String {
        self.state.lock().unwrap().files.insert(path.to_owned(), content.into());
        format!("{}/{path}", self.url)
    }

    pub fn remove(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path);
    }

    /// The responses to the next requests for a path, one each.
    pub fn faults(&self, path: &str, faults: &[Fault]) {
        self.state.lock().unwrap().faults.entry(path.to_owned()).or_default().extend(faults);
    }

    /// From now on always sends whole files.
    pub fn without_ranges(&self) {
        self.state.lock().unwrap().no_ranges = true;
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The first byte of each request for a path.
    pub fn asked_for(&self, path: &str) -> Vec<usize> {
        self.asked().into_iter().filter(|asked| asked.path == path).map(|asked| asked.from).collect()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, came: &Condvar) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut from, mut login) = (None, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse::<usize>().ok();
        }
        if line.to_ascii_lowercase().starts_with("authorization: ") {
            login = Some(line["authorization: ".len()..].trim().to_owned());
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').replace("%2B", "+").replace("%3A", ":");
    let (content, fault, from, redirect) = {
        let mut state = state.lock().unwrap();
        state.asked.push(Asked { path: path.clone(), from: from.unwrap_or(0), login });
        came.notify_all();
        let from = from.filter(|_| !state.no_ranges);
        let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front).or(state.always);
        (state.files.get(&path).cloned(), fault, from, state.redirects.get(&path).cloned())
    };
    let close = "Connection: close\r\n\r\n";
    if let Some(to) = redirect {
        return write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n{close}");
    }
    if let Some(fault) = fault
        && let Some(done) = misbehave(&mut stream, fault, &path, content.as_ref().map_or(0, Vec::len))
    {
        return done;
    }
    if let Some(Fault::Status(status)) = fault {
        return write!(stream, "HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\n{close}");
    }
    let Some(content) = content else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n{close}");
    };
    let total = content.len();
    let body = match from {
        Some(from) if from >= total => {
            let headers = format!("Content-Range: bytes */{total}\r\nContent-Length: 0\r\n{close}");
            return write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\n{headers}");
        }
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
            write!(stream, "HTTP/1.1 206 Partial Content\r\n{range}Content-Length: {}\r\n{close}", total - from)?;
            &content[from..]
        }
        None if matches!(fault, Some(Fault::Unstated(_))) => {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?;
            &content[..]
        }
        None => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n{close}")?;
            &content[..]
        }
    };
    let other: Vec<u8>;
    let body = match fault {
        Some(Fault::WrongContent) => {
            other = body.iter().map(|byte| byte ^ 1).collect();
            &other[..]
        }
        _ => body,
    };
    match fault {
        Some(Fault::Cut(count) | Fault::Unstated(count)) => stream.write_all(&body[..count.min(body.len())]),
        Some(Fault::Stall(count)) => {
            stream.write_all(&body[..count.min(body.len())])?;
            // Ends when the client closes its side.
            reader.read_line(&mut String::new()).map(drop)
        }
        Some(Fault::Slow) => {
            // A pause between chunks, which ends when the client closes its side.
            stream.set_read_timeout(Some(Duration::from_millis(50)))?;
            body.chunks(16 << 10).try_for_each(|piece| match std::io::Read::read(&mut stream, &mut [0]) {
                Ok(0) => Ok(()),
                _ => stream.write_all(piece),
            })
        }
        _ => stream.write_all(body),
    }
}

/// Faults other than an HTTP answer that contains the file; `None` for all others.
fn misbehave(stream: &mut TcpStream, fault: Fault, path: &str, length: usize) -> Option<std::io::Result<()>> {
    // Until the client disconnects: then a write fails.
    let repeat = |stream: &mut TcpStream, begin: String, piece: &[u8], pause: Option<Duration>| {
        stream.write_all(begin.as_bytes())?;
        if pause.is_some() {
            stream.set_read_timeout(pause)?;
        }
        loop {
            if pause.is_some() && matches!(std::io::Read::read(stream, &mut [0]), Ok(0)) {
                return Ok(());
            }
            stream.write_all(piece)?;
        }
    };
    let ok = "HTTP/1.1 200 OK\r\n";
    let announced = format!("{ok}Content-Length: {length}\r\n\r\n");
    Some(match fault {
        Fault::Silence => std::io::Read::read(stream, &mut [0]).map(drop),
        Fault::Trickle => repeat(stream, announced, b"x", Some(Duration::from_millis(300))),
        Fault::EndlessHeaders => repeat(stream, ok.to_owned(), b"X-More: and more\r\n", None),
        Fault::EndlessBody => repeat(stream, format!("{ok}\r\n"), &[b'x'; 8192], None),
        Fault::Redirects => {
            write!(stream, "HTTP/1.1 302 Found\r\nLocation: /{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Fault::HalfLength => {
            let half = length / 2;
            let headers = format!("{ok}Content-Length: {half}\r\nConnection: close\r\n\r\n");
            stream.write_all(headers.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; half]))
        }
        Fault::Garbage => stream.write_all(&noise(4096, 99)),
        Fault::Part => {
            let range = format!("Content-Range: bytes 0-9/{length}\r\nContent-Length: 10\r\nConnection: close\r\n\r\n");
            write!(stream, "HTTP/1.1 206 Partial Content\r\n{range}0123456789")
        }
        Fault::Wrapped => {
            let chunk = format!("1;more={}\r\nx\r\n", "y".repeat(200));
            let pause = Some(Duration::from_millis(20));
            repeat(stream, format!("{ok}Transfer-Encoding: chunked\r\n\r\n"), chunk.as_bytes(), pause)
        }
        Fault::Status(_) | Fault::Cut(_) | Fault::Unstated(_) | Fault::Stall(_) | Fault::WrongContent | Fault::Slow => {
            return None;
        }
    })
}

/// A URL without a listening server.
pub fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Bytes without a pattern, the same every time.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A separate store.
pub fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// Hardly any wait between attempts.
pub fn limits() -> NetworkLimits {
    NetworkLimits { backoff: Duration::from_millis(1), ..NetworkLimits::default() }
}

pub fn network() -> Network {
    Network::new(Cancel::default(), limits())
}

/// Only these mirrors; no configuration of the host.
pub fn mirrors(urls: &[&str]) -> Mirrors {
    let flags: Vec<String> = urls.iter().map(|&url| url.to_owned()).collect();
    Mirrors::discover(&flags, None, std::path::Path::new("/nonexistent")).unwrap()
}

/// An OpenPGP key made for a test.
pub struct Key(SignedSecretKey);

impl Key {
    pub fn generate() -> Self {
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters
            .key_type(KeyType::Ed25519)
            .can_certify(true)
            .can_sign(true)
            .can_encrypt(EncryptionCaps::None)
            .primary_user_id("Test archive <archive@mirror.example>".into());
        Self(parameters.build().unwrap().generate(rand::thread_rng()).unwrap())
    }

    pub fn public(&self) -> String {
        SignedPublicKey::from(self.0.clone()).to_armored_string(Default::default()).unwrap()
    }

    pub fn sign_clear(&self, text: &str) -> String {
        let signed =
            CleartextSignedMessage::sign(rand::thread_rng(), text, &self.0.primary_key, &Password::empty()).unwrap();
        signed.to_armored_string(Default::default()).unwrap()
    }

    pub fn sign_detached(&self, text: &str, hash: HashAlgorithm) -> String {
        let (key, password) = (&self.0.primary_key, Password::empty());
        let signed =
            DetachedSignature::sign_binary_data(rand::thread_rng(), key, &password, hash, text.as_bytes()).unwrap();
        signed.to_armored_string(Default::default()).unwrap()
    }
}

/// A Debian archive that is being built: suite `test`, component `main`, architecture `amd64`.
pub struct TestArchive {
    suite: String,
    fields: String,
    packages: String,
    sources: String,
    date: Option<String>,
    pool: Vec<(String, Vec<u8>)>,
}

impl Default for TestArchive {
    fn default() -> Self {
        Self::of("test", "")
    }
}

impl TestArchive {
    /// An archive of that suite, whose Release file also has these lines.
    pub fn of(suite: &str, fields: &str) -> Self {
        let (suite, fields) = (suite.to_owned(), fields.to_owned());
        Self { suite, fields, packages: String::new(), sources: String::new(), date: None, pool: Vec::new() }
    }

    /// Adds a package `name version`; `fields` are further lines of its paragraph.
    pub fn package(self, name: &str, version: &str, fields: &str) -> Self {
        self.add(name, version, fields, format!("{name} {version}").into_bytes())
    }

    fn add(mut self, name: &str, version: &str, fields: &str, content: Vec<u8>) -> Self {
        let path = format!("pool/main/{}/{name}/{name}_{version}_amd64.deb", &name[..1]);
        self.packages += &format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{}Filename: {path}\nSize: {}\nSHA256: {}\n\n",
            if fields.is_empty() { String::new() } else { format!("{fields}\n") },
            content.len(),
            Digest::of(&content),
        );
        self.pool.push((path, content));
        self
    }

    /// Adds a real package `name version` that installs these files.
    pub fn deb(self, name: &str, version: &str, fields: &str, files: &[(&str, &str)]) -> Self {
        let control = format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}\n");
        let content = deb(&[("./control", &control)], files);
        self.add(name, version, fields, content)
    }

    /// Sets the Release file's date, in the format of RFC 2822, with `UTC`.
    pub fn dated(mut self, date: &str) -> Self {
        self.date = Some(date.to_owned());
        self
    }

    /// The text of its index of packages.
    pub fn index(&self) -> &str {
        &self.packages
    }

    /// Adds a source package with one file.
    pub fn source(mut self, name: &str, version: &str, file: &str) -> Self {
        let content = format!("source {name} {version}").into_bytes();
        let folder = format!("pool/main/{}/{name}", &name[..1]);
        self.sources += &format!(
            "Package: {name}\nVersion: {version}\nDirectory: {folder}\nChecksums-Sha256:\n {} {} {file}\n\n",
            Digest::of(&content),
            content.len(),
        );
        self.pool.push((format!("{folder}/{file}"), content));
        self
    }

    /// The Release file's text.
    pub fn release(&self) -> String {
        let line = |path: &str, text: &str| format!(" {} {} {path}\n", Digest::of(xz(text)), xz(text).len());
        format!(
            "Origin: Test\nSuite: {0}\nCodename: {0}name\n{1}Date: {2}\nValid-Until: Sat, 17 Jan 2026 10:12:13 UTC\n\
             Architectures: all amd64\nComponents: main\nNo-Support-for-Architecture-all: Packages\nSHA256:\n{3}{4}",
            self.suite,
            self.fields,
            self.date.as_deref().unwrap_or("Sat, 10 Jan 2026 10:12:13 UTC"),
            line("main/binary-amd64/Packages.xz", &self.packages),
            line("main/source/Sources.xz", &self.sources),
        )
    }

    /// Puts it on a server, signed by `key`.
    pub fn publish(&self, server: &Server, key: &Key) {
        server.file(&format!("dists/{}/InRelease", self.suite), key.sign_clear(&self.release()));
        self.publish_unsigned(server);
    }

    /// Puts everything but a Release file on a server.
    pub fn publish_unsigned(&self, server: &Server) {
        let index = |path: &str| format!("dists/{}/main/{path}", self.suite);
        server.file(&index("binary-amd64/Packages.xz"), xz(&self.packages));
        server.file(&index("source/Sources.xz"), xz(&self.sources));
        for (path, content) in &self.pool {
            server.file(path, content.clone());
        }
    }
}

/// The archive that [`TestArchive`] makes, with the keyring `keys.asc` of the project.
pub fn archive() -> Archive {
    Archive {
        suite: "test".to_owned(),
        components: vec!["main".to_owned()],
        arch: "amd64".to_owned(),
        keyring: Some("keys.asc".to_owned()),
    }
}

/// A Debian package (deb(5), ar(5)): control files and installed files, by name.
pub fn deb(control: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<u8> {
    let tar = |files: &[(&str, &str)]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    };
    ar::ar(&[("debian-binary", b"2.0\n".to_vec()), ("control.tar", tar(control)), ("data.tar", tar(files))])
}

pub fn xz(text: &str) -> Vec<u8> {
    let mut out = xz2::write::XzEncoder::new(Vec::new(), 0);
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap()
}
