//! One request, as a stream of events: run by the network's own thread, so that whoever waits can stop at any moment.

use std::error::Error as _;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::hop::Hop;
use super::logins::Logins;

/// Pieces that may lie between the network's thread and whoever writes them.
const IN_FLIGHT: usize = 16;

/// What happens to a request.
#[derive(Debug)]
pub(in crate::source) enum Event {
    /// The server answers with the file, from byte `start` on; `total` is the whole file's length, where it is stated.
    Opened { start: u64, total: Option<u64> },
    /// The next bytes.
    Data(Vec<u8>),
    /// There are no more.
    End,
    /// It failed; nothing follows.
    Failed(Failure),
}

/// Why one request to one place failed.
#[derive(Clone, Debug)]
pub(in crate::source) struct Failure {
    pub(in crate::source) reason: String,
    /// Whether asking the same place again may help.
    pub(in crate::source) transient: bool,
    /// Whether the server is at fault, so that it would fail for other files too.
    pub(in crate::source) server: bool,
    /// Whether the place is there and the file is not.
    pub(in crate::source) missing: bool,
    /// Whether another place may be the one to blame.
    pub(in crate::source) shared: bool,
    /// What the server wants us to wait.
    pub(in crate::source) wait: Option<Duration>,
}

impl Failure {
    /// Of this file at this place, for good.
    pub(in crate::source) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), transient: false, server: false, missing: false, shared: false, wait: None }
    }

    /// Of the server or the way to it, perhaps not for long.
    pub(in crate::source) fn passing(reason: impl Into<String>) -> Self {
        Self { transient: true, server: true, ..Self::lasting(reason) }
    }
}

/// A request under way; dropping it ends it.
pub(in crate::source) struct Stream {
    task: JoinHandle<()>,
    permits: Arc<Semaphore>,
}

impl Stream {
    /// Asks for the next piece, after one was taken.
    pub(in crate::source) fn more(&self) {
        self.permits.add_permits(1);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.permits.close();
        self.task.abort();
    }
}

/// Where a request's events go, with the number that its owner gave it.
pub(super) struct Outlet {
    pub(super) id: usize,
    pub(super) events: Sender<(usize, Event)>,
}

impl Outlet {
    /// Whether somebody still listens.
    fn send(&self, event: Event) -> bool {
        self.events.send((self.id, event)).is_ok()
    }
}

/// Asks for the file at an `http:` or `https:` URL from byte `from` on.
pub(super) fn request(
    handle: &Handle,
    client: Client,
    logins: Arc<Logins>,
    url: Url,
    from: u64,
    outlet: Outlet,
) -> Stream {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let own = permits.clone();
    let task = handle.spawn(async move {
        if let Err(failure) = receive(&client, &logins, url, from, &outlet, &own).await {
            outlet.send(Event::Failed(failure));
        }
    });
    Stream { task, permits }
}

async fn receive(
    client: &Client,
    logins: &Logins,
    url: Url,
    from: u64,
    outlet: &Outlet,
    permits: &Semaphore,
) -> Result<(), Failure> {
    let (mut response, start, total) = match open(client, logins, url.clone(), from).await? {
        Some(opened) => opened,
        // What we hold is longer than what is there: from the start.
        None => open(client, logins, url, 0).await?.ok_or_else(|| Failure::lasting("answers 416 to a whole file"))?,
    };
    let mut listening = outlet.send(Event::Opened { start, total });
    while listening {
        let Ok(permit) = permits.acquire().await else { break };
        permit.forget();
        listening = match response.chunk().await {
            Ok(Some(bytes)) => outlet.send(Event::Data(bytes.to_vec())),
            Ok(None) => {
                outlet.send(Event::End);
                false
            }
            Err(error) => return Err(Failure::passing(root_cause(&error))),
        };
    }
    Ok(())
}

/// The answer, where in the file it begins, and the file's length; nothing if the file is shorter than `from`.
async fn open(
    client: &Client,
    logins: &Logins,
    url: Url,
    from: u64,
) -> Result<Option<(Response, u64, Option<u64>)>, Failure> {
    let (response, hop) = follow(client, logins, url, from).await?;
    match response.status() {
        StatusCode::OK => {
            let total = response.content_length();
            Ok(Some((response, 0, total)))
        }
        // Without a range in the request nothing says which part this is.
        StatusCode::PARTIAL_CONTENT if from > 0 => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).and_then(content_range);
            match range {
                Some((start, total)) if start == from => Ok(Some((response, start, total))),
                _ => Err(Failure::lasting("answers a range with another than the one asked for")),
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Ok(None),
        _ => Err(hop.told(refusal(&response))),
    }
}

/// Follows redirects. What fails behind one says where that was.
async fn follow(client: &Client, logins: &Logins, url: Url, from: u64) -> Result<(Response, Hop), Failure> {
    let mut hop = Hop::first(url);
    loop {
        let mut request = client.get(hop.url().clone());
        if from > 0 {
            // No If-Range: a file's digest, not its validator, decides whether two parts belong together, and the
            // parts may even come from two mirrors.
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(login) = hop.login(logins) {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        let response = request.send().await.map_err(|error| hop.told(failure(&error)))?;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(location) = location.filter(|_| response.status().is_redirection()) else {
            return Ok((response, hop));
        };
        hop = hop.next(location)?;
    }
}

fn failure(error: &reqwest::Error) -> Failure {
    let cause = root_cause(error);
    if error.is_timeout() {
        Failure::passing("no connection within the time limit")
    } else if error.is_builder() {
        Failure::lasting(cause)
    } else if cause.contains("certificate") {
        let advice = "add your organisation's CA to the host's, or name it in SSL_CERT_FILE";
        Failure { server: true, ..Failure::lasting(format!("{cause} ({advice})")) }
    } else {
        Failure::passing(cause)
    }
}

fn refusal(response: &Response) -> Failure {
    let status = response.status();
    let reason = match status {
        StatusCode::NOT_FOUND => "not there (404)".to_owned(),
        StatusCode::UNAUTHORIZED => "answers 401 Unauthorized: put `machine HOST login USER password PASSWORD` \
            into ~/.netrc or /etc/apt/auth.conf.d/"
            .to_owned(),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => "the proxy answers 407: it wants a login, which stands in the \
            proxy's address (`http_proxy`, `https_proxy`) as http://USER:PASSWORD@HOST:PORT"
            .to_owned(),
        _ => format!("answers {status}"),
    };
    // RFC 9110 §15: 408 and 5xx may pass; RFC 6585 §4: so does 429; RFC 8470: 425.
    let transient = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let wait = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let wait = wait.map(|seconds: u64| Duration::from_secs(seconds.min(30)));
    let missing = matches!(status.as_u16(), 404 | 410);
    Failure { reason, transient, server: transient, missing, shared: false, wait }
}

/// First byte and length of the whole in `bytes 5-9/10` (RFC 9110 §14.4).
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The last of an error's causes: the one that says what happened.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
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

/// Reads a local file from byte `from` on.
pub(super) fn read_file(handle: &Handle, url: Url, from: u64, outlet: Outlet) -> Stream {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let (own, waiter) = (permits.clone(), handle.clone());
    let task = handle.spawn_blocking(move || {
        let next = || waiter.block_on(own.acquire()).map(tokio::sync::SemaphorePermit::forget).is_ok();
        if let Err(failure) = pieces(&url, from, &outlet, next) {
            outlet.send(Event::Failed(failure));
        }
    });
    Stream { task, permits }
}

fn pieces(url: &Url, from: u64, outlet: &Outlet, mut next: impl FnMut() -> bool) -> Result<(), Failure> {
    let path = url.to_file_path().map_err(|()| Failure::lasting("is not the URL of a local file"))?;
    let failed = |error: io::Error| Failure {
        missing: error.kind() == io::ErrorKind::NotFound,
        ..Failure::lasting(error.to_string())
    };
    // A FIFO or a device would never end.
    let mut file = crate::input::open(&path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let start = if from <= total { from } else { 0 };
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut listening = outlet.send(Event::Opened { start, total: Some(total) });
    let mut buffer = vec![0; 256 * 1024];
    while listening && next() {
        let count = file.read(&mut buffer).map_err(failed)?;
        listening = match count {
            0 => {
                outlet.send(Event::End);
                false
            }
            count => outlet.send(Event::Data(buffer[..count].to_vec())),
        };
    }
    Ok(())
}
