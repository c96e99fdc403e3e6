//! The HTTP client: the only thing in this crate that opens sockets.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::OnceLock;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Certificate, StatusCode, Url};

use super::{Cancel, SourceError};

/// How patient downloads are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// To connect.
    pub connect: Duration,
    /// Without a byte.
    pub stall: Duration,
    /// How often one place is asked while it brings nothing new.
    pub tries: u32,
    /// Before the second try; doubled for each further one.
    pub backoff: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            tries: 4,
            backoff: Duration::from_millis(500),
        }
    }
}

/// The right to use the network. Its client and that client's thread come to life with the first request.
pub struct Network {
    client: OnceLock<Result<Client, String>>,
    cancel: Cancel,
    limits: Limits,
}

/// A server's answer.
pub(super) struct Body {
    pub(super) reader: Box<dyn Read + Send>,
    /// Where in the file the reader begins.
    pub(super) start: u64,
    /// The whole file's length, where the server says it.
    pub(super) total: Option<u64>,
}

/// Why one request to one place failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) said: String,
    /// Whether asking the same place again may help.
    pub(super) transient: bool,
    /// Whether some data came before it failed.
    pub(super) progressed: bool,
    /// Whether the place is there and the file is not.
    pub(super) missing: bool,
    /// What the server wants us to wait.
    pub(super) wait: Option<Duration>,
}

impl Failure {
    pub(super) fn lasting(said: impl Into<String>) -> Self {
        Self { said: said.into(), transient: false, progressed: false, missing: false, wait: None }
    }

    pub(super) fn passing(said: impl Into<String>) -> Self {
        Self { transient: true, ..Self::lasting(said) }
    }
}

impl Network {
    /// Nothing is opened before the first request.
    pub fn new(cancel: Cancel, limits: Limits) -> Self {
        Self { client: OnceLock::new(), cancel, limits }
    }

    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn client(&self) -> Result<&Client, SourceError> {
        let client = self.client.get_or_init(|| {
            let builder = || {
                Client::builder()
                    .user_agent(concat!("dbco/", env!("CARGO_PKG_VERSION")))
                    .connect_timeout(self.limits.connect)
                    // In the blocking client this bounds the wait for the answer, then each read: a stall, not the whole.
                    .timeout(self.limits.stall)
            };
            // A host without CA certificates (a minimal container) gets Mozilla's; plain HTTP would not work otherwise
            // either, as the client can't be built without any.
            builder().build().or_else(|_| builder().tls_certs_only(mozilla_roots()).build()).map_err(|e| root_cause(&e))
        });
        client.as_ref().map_err(|reason| SourceError::Client(reason.clone()))
    }

    /// Asks for the file at `url` from byte `from` on.
    pub(super) fn open(&self, url: &str, from: u64) -> Result<Result<Body, Failure>, SourceError> {
        let Ok(parsed) = Url::parse(url) else { return Ok(Err(Failure::lasting("is not a URL"))) };
        match parsed.scheme() {
            "http" | "https" => Ok(self.open_http(self.client()?, parsed, from)),
            "file" => Ok(open_file(&parsed, from)),
            other => Ok(Err(Failure::lasting(format!("`{other}:` is not supported; http, https and file are")))),
        }
    }

    fn open_http(&self, client: &Client, url: Url, from: u64) -> Result<Body, Failure> {
        let mut request = client.get(url.clone());
        if from > 0 {
            // No If-Range: a file's digest, not its validator, decides whether two parts belong together, and the
            // parts may even come from two mirrors.
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = request.send().map_err(|error| self.failure(&error))?;
        let status = response.status();
        match status {
            StatusCode::OK => {
                let total = response.content_length();
                Ok(Body { reader: Box::new(HttpReader { response }), start: 0, total })
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).and_then(content_range);
                match range {
                    Some((start, total)) if start == from => {
                        Ok(Body { reader: Box::new(HttpReader { response }), start, total })
                    }
                    _ => Err(Failure::lasting("answers a range with another than the one asked for")),
                }
            }
            // What we hold is longer than what is there: from the start.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => self.open_http(client, url, 0),
            _ => Err(refusal(&response)),
        }
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        let cause = root_cause(error);
        if error.is_timeout() {
            let limit = if error.is_connect() { self.limits.connect } else { self.limits.stall };
            Failure::passing(format!("no answer within {limit:?}"))
        } else if error.is_redirect() || error.is_builder() {
            Failure::lasting(cause)
        } else if cause.contains("certificate") {
            Failure::lasting(format!("{cause} (add your organisation's CA to the host's, or name it in SSL_CERT_FILE)"))
        } else {
            Failure::passing(cause)
        }
    }
}

struct HttpReader {
    response: Response,
}

impl Read for HttpReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.response.read(buffer).map_err(|error| {
            let kind = error.kind();
            let text = error.get_ref().map(|inner| root_cause(inner)).unwrap_or_else(|| error.to_string());
            io::Error::new(kind, text)
        })
    }
}

fn mozilla_roots() -> Vec<Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|der| Certificate::from_der(der.as_ref()).ok()).collect()
}

fn refusal(response: &Response) -> Failure {
    let status = response.status();
    let said = match status {
        StatusCode::NOT_FOUND => "not there (404)".to_owned(),
        _ => format!("answers {status}"),
    };
    // RFC 9110 §15: 408 and 5xx may pass; RFC 6585 §4: so does 429; RFC 8470: 425.
    let transient = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let wait = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let wait = wait.map(|seconds: u64| Duration::from_secs(seconds.min(30)));
    Failure { said, transient, progressed: false, missing: matches!(status.as_u16(), 404 | 410), wait }
}

/// First byte and length of the whole in `bytes 5-9/10` (RFC 9110 §14.4).
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

fn open_file(url: &Url, from: u64) -> Result<Body, Failure> {
    let path = url.to_file_path().map_err(|()| Failure::lasting("is not the URL of a local file"))?;
    let open = || -> io::Result<Body> {
        let mut file = File::open(&path)?;
        let total = file.metadata()?.len();
        let start = if from <= total { from } else { 0 };
        file.seek(SeekFrom::Start(start))?;
        Ok(Body { reader: Box::new(file), start, total: Some(total) })
    };
    open().map_err(|error| Failure {
        missing: error.kind() == io::ErrorKind::NotFound,
        ..Failure::lasting(error.to_string())
    })
}

/// The last of an error's causes: the one that says what happened.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    match last.downcast_ref::<reqwest::Error>() {
        Some(error) if error.source().is_none() => {
            let text = error.to_string();
            // reqwest appends the URL, which the report shows anyway.
            text.split(" for url (").next().unwrap_or(&text).to_owned()
        }
        _ => last.to_string(),
    }
}

/// A URL fit for messages: without user name and password.
pub(super) fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
}

/// RFC 3986's unreserved characters and `/` stay. `+` does not: some object stores read it as a space.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// `base/path`, with what a URL can't hold encoded.
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
