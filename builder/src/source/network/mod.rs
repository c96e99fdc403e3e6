//! The HTTP client: the only code in this crate that opens sockets.
//!
//! Requests run on a separate thread and send [`Event`]s, so that waiting for one never blocks.

mod failure;
mod health;
mod hop;
mod http;
mod logins;
mod proxies;

use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{Certificate, Client, Url, redirect};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{Cancel, SourceError};
use http::EventSender;
use logins::Logins;
use proxies::Proxies;

pub(super) use failure::Failure;
pub(super) use health::{Health, origin};
pub(super) use http::{Event, Stream};

/// Environment variables for the network access of the host's programs: proxies, with the names that curl reads
/// (curl(1); not `HTTP_PROXY`), and certificates.
pub(super) const TO_THE_NETWORK: [&str; 9] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Timeouts and size limits of downloads.
#[derive(Clone, Copy, Debug)]
pub struct NetworkLimits {
    /// The time to connect, including name lookup and TLS.
    pub connect: Duration,
    /// The time from the request to the response's headers, including all redirects.
    pub answer: Duration,
    /// The period over which the rate is measured; a place that delivers less than `min_rate` in it has failed.
    pub stall: Duration,
    /// Bytes per second.
    pub min_rate: u64,
    /// After this time without data, or at a low rate, the next place is tried in parallel.
    pub hedge: Duration,
    /// How often one place is tried while it delivers nothing new.
    pub tries: u32,
    /// The wait before the second attempt; doubled for each further one.
    pub backoff: Duration,
    /// The maximum size in bytes of a file whose length is not known beforehand.
    pub max_size: u64,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(15),
            stall: Duration::from_secs(10),
            min_rate: 1024,
            hedge: Duration::from_secs(3),
            tries: 4,
            backoff: Duration::from_millis(500),
            max_size: 4 << 30,
        }
    }
}

/// Access to the network. Its client and that client's thread are started with the first request.
pub struct Network {
    engine: OnceLock<Result<Engine, String>>,
    cancel: Cancel,
    limits: NetworkLimits,
    user: Arc<UserSettings>,
    health: Health,
}

/// The user's network settings.
#[derive(Default)]
struct UserSettings {
    logins: Logins,
    proxies: Proxies,
}

struct Engine {
    client: Client,
    handle: Handle,
    /// Dropped with the engine, which ends its thread.
    _stop: oneshot::Sender<()>,
}

impl Network {
    /// Nothing is opened before the first request.
    pub fn new(cancel: Cancel, limits: NetworkLimits) -> Self {
        let user = Arc::new(UserSettings { logins: Logins::default(), proxies: Proxies::of_environment() });
        Self { engine: OnceLock::new(), cancel, limits, user, health: Health::default() }
    }

    /// Adds the user's credentials: from `$NETRC` or `~/.netrc`, and from apt's `auth.conf` and `auth.conf.d` below
    /// `apt_root`.
    pub fn with_logins(mut self, apt_root: &Path) -> Self {
        let logins = Logins::of_user(apt_root);
        self.user = Arc::new(UserSettings { logins, proxies: Proxies::of_environment() });
        self
    }

    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(super) fn limits(&self) -> &NetworkLimits {
        &self.limits
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// ` (through the proxy …)`, if requests for a URL go through one; otherwise empty.
    pub(super) fn proxy_of(&self, url: &str) -> String {
        Url::parse(url).map(|url| self.user.proxies.named(&url)).unwrap_or_default()
    }

    /// Starts what requests need, which otherwise the first request does.
    pub(super) fn start(&self) -> Result<(), SourceError> {
        self.engine().map(|_| ())
    }

    fn engine(&self) -> Result<&Engine, SourceError> {
        let engine = self.engine.get_or_init(|| Engine::start(&self.limits));
        engine.as_ref().map_err(|reason| SourceError::Client(reason.clone()))
    }

    /// Requests the file at `url` from byte `from` on; `events` receives the events, each with the number `id`.
    pub(super) fn open(
        &self,
        url: &str,
        from: u64,
        id: usize,
        events: &Sender<(usize, Event)>,
    ) -> Result<Result<Stream, Failure>, SourceError> {
        let Ok(parsed) = Url::parse(url) else { return Ok(Err(Failure::lasting("is not a URL"))) };
        let outlet = EventSender { id, events: events.clone() };
        let Engine { client, handle, .. } = self.engine()?;
        match parsed.scheme() {
            "http" | "https" => Ok(Ok(http::request(handle, client.clone(), self.user.clone(), parsed, from, outlet))),
            "file" => Ok(Ok(http::read_file(handle, parsed, from, outlet))),
            other => Ok(Err(Failure::lasting(format!("`{other}:` is not supported; http, https and file are")))),
        }
    }
}

impl Engine {
    fn start(limits: &NetworkLimits) -> Result<Self, String> {
        // An error says that the process has one already, as after another engine's start.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("dbco/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.connect)
                .redirect(redirect::Policy::none())
        };
        // On a host without CA certificates (a minimal container) Mozilla's are used; otherwise plain HTTP would not
        // work either, as the client can't be built without any.
        let client = builder().build().or_else(|_| builder().tls_certs_only(mozilla_roots()).build());
        let client = client.map_err(|error| http::root_cause(&error))?;
        // Tokio panics if the host gives it no thread for name lookups; if one thread remains it waits for that.
        // Whether a thread can be started is tried first.
        let no_thread = |error: std::io::Error| error.to_string();
        let _ = crate::threads::spawn("name look-ups", || ()).map_err(no_thread)?.join();
        let runtime =
            Builder::new_current_thread().enable_all().thread_keep_alive(Duration::from_secs(1 << 32)).build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.spawn_blocking(|| ());
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // Ends when the sender is dropped, which is not a message either.
            let _ = runtime.block_on(stopped);
            // A hanging name lookup does not keep the process running.
            runtime.shutdown_background();
        };
        crate::threads::spawn("network", run).map_err(|error| error.to_string())?;
        Ok(Self { client, handle, _stop: stop })
    }
}

fn mozilla_roots() -> Vec<Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|der| Certificate::from_der(der.as_ref()).ok()).collect()
}

/// RFC 3986's unreserved characters and `/` are kept. `+` is not: some object stores read it as a space.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// `base/path`, with characters that are invalid in a URL encoded.
pub(super) fn join(base: &str, path: &str) -> String {
    format!("{}/{}", base.trim_end_matches('/'), utf8_percent_encode(path, &KEPT))
}

/// The file name at the end of a URL.
pub(super) fn file_name(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok()?;
    let last = parsed.path_segments()?.next_back()?;
    let name = percent_decode_str(last).decode_utf8().ok()?.into_owned();
    (!name.is_empty() && !name.contains('/') && name != "..").then_some(name)
}
