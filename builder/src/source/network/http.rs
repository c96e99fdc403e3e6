//! One request, as a stream of events: run by the network's own thread, so that a waiting caller can stop at any
//! moment.

use std::error::Error as _;
use std::future::poll_fn;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Poll;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, LOCATION, RANGE, RETRY_AFTER, TRANSFER_ENCODING};
use reqwest::{Client, Response, StatusCode, Url, Version};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::UserSettings;
use super::failure::Failure;
use super::hop::Hop;

/// The approximate number of bytes sent at a time.
const PIECE: usize = 64 * 1024;

/// The maximum number of chunks between the network's thread and the writer.
const IN_FLIGHT: usize = 16;

/// An event of a request.
#[derive(Debug)]
pub(in crate::source) enum Event {
    /// The server delivers the file from byte `start` on.
    Opened {
        start: u64,
        /// The whole file's length, if known.
        total: Option<u64>,
        /// Whether the end of the file will be indicated, so that a broken connection is not mistaken for it.
        indicates_end: bool,
    },
    /// The next bytes.
    Data(Vec<u8>),
    /// The end of the file.
    End,
    /// It failed; nothing follows.
    Failed(Failure),
}

/// A running request; dropping it ends it.
pub(in crate::source) struct Stream {
    task: JoinHandle<()>,
    permits: Arc<Semaphore>,
}

impl Stream {
    /// Requests the next chunk, after one was taken.
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

/// The receiver of a request's events, with the request's number.
pub(super) struct EventSender {
    pub(super) id: usize,
    pub(super) events: Sender<(usize, Event)>,
}

impl EventSender {
    /// Whether the receiver still exists.
    fn send(&self, event: Event) -> bool {
        self.events.send((self.id, event)).is_ok()
    }
}

/// Requests the file at an `http:` or `https:` URL from byte `from` on.
pub(super) fn request(
    handle: &Handle,
    client: Client,
    user: Arc<UserSettings>,
    url: Url,
    from: u64,
    outlet: EventSender,
) -> Stream {
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let own = permits.clone();
    let task = handle.spawn(async move {
        if let Err(failure) = receive(&client, &user, url, from, &outlet, &own).await {
            outlet.send(Event::Failed(failure));
        }
    });
    Stream { task, permits }
}

async fn receive(
    client: &Client,
    user: &UserSettings,
    url: Url,
    from: u64,
    outlet: &EventSender,
    permits: &Semaphore,
) -> Result<(), Failure> {
    let (mut response, start, total) = match open(client, user, url.clone(), from).await? {
        Some(opened) => opened,
        // The local part is longer than the file: restart from the beginning.
        None => open(client, user, url, 0)
            .await?
            .ok_or_else(|| Failure::lasting("answers 416 to a request for the whole file"))?,
    };
    let mut listening = outlet.send(Event::Opened { start, total, indicates_end: indicates_end(&response) });
    while listening {
        let Ok(permit) = permits.acquire().await else { break };
        permit.forget();
        let mut piece = Vec::new();
        let last = gather(&mut response, &mut piece).await;
        if !piece.is_empty() {
            listening = outlet.send(Event::Data(piece));
        }
        match last {
            Ok(false) => {}
            Ok(true) => {
                outlet.send(Event::End);
                listening = false;
            }
            Err(error) => return Err(Failure::passing(root_cause(&error))),
        }
    }
    Ok(())
}

/// Waits for bytes, and adds those that are already available, up to [`PIECE`]: a server that sends one byte at a time
/// (each in a chunk, say) then costs a step of the network's thread for each, but not a step of everything after it.
/// Gives whether that was the end.
async fn gather(response: &mut Response, piece: &mut Vec<u8>) -> reqwest::Result<bool> {
    loop {
        let next = if piece.is_empty() {
            response.chunk().await?
        } else {
            // The connection is read by a separate task, which gets to run here.
            tokio::task::yield_now().await;
            let mut chunk = pin!(response.chunk());
            match poll_fn(|context| Poll::Ready(chunk.as_mut().poll(context))).await {
                Poll::Ready(next) => next?,
                Poll::Pending => return Ok(false),
            }
        };
        let Some(bytes) = next else { return Ok(true) };
        piece.extend_from_slice(&bytes);
        if piece.len() >= PIECE {
            return Ok(false);
        }
    }
}

/// RFC 9112, section 6.3: without a length or chunks a body ends with the connection, even if it was cut off.
fn indicates_end(response: &Response) -> bool {
    let chunked = response.version() >= Version::HTTP_11 && response.headers().contains_key(TRANSFER_ENCODING);
    response.version() >= Version::HTTP_2 || chunked || response.content_length().is_some()
}

/// The response, its start position in the file, and the file's length; nothing if the file is shorter than `from`.
async fn open(
    client: &Client,
    user: &UserSettings,
    url: Url,
    from: u64,
) -> Result<Option<(Response, u64, Option<u64>)>, Failure> {
    let (response, hop) = follow(client, user, url, from).await?;
    match response.status() {
        StatusCode::OK => {
            let total = response.content_length();
            Ok(Some((response, 0, total)))
        }
        // Without a range in the request, nothing says which part this is.
        StatusCode::PARTIAL_CONTENT if from > 0 => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).and_then(content_range);
            match range {
                Some((start, total)) if start == from => Ok(Some((response, start, total))),
                _ => Err(Failure::lasting("answers with another range than requested")),
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Ok(None),
        _ => Err(hop.failure_here(refusal(&response), &user.proxies)),
    }
}

/// Follows redirects. A failure after one names the URL where it happened.
async fn follow(client: &Client, user: &UserSettings, url: Url, from: u64) -> Result<(Response, Hop), Failure> {
    let mut hop = Hop::first(url);
    loop {
        let mut request = client.get(hop.url().clone());
        if from > 0 {
            // No If-Range: a file's digest, not its validator, decides whether two parts belong together, and the parts
            // may even come from two mirrors.
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(login) = hop.login(&user.logins) {
            request = request.basic_auth(&login.user, Some(&login.password));
        }
        let response = request.send().await.map_err(|error| hop.failure_here(failure(&error), &user.proxies))?;
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
        StatusCode::NOT_FOUND => "not found (404)".to_owned(),
        StatusCode::UNAUTHORIZED => "answers 401 Unauthorized: put `machine HOST login USER password PASSWORD` \
            into ~/.netrc or /etc/apt/auth.conf.d/"
            .to_owned(),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "the proxy answers 407 Proxy Authentication Required: put the login into the \
            proxy's address (`http_proxy`, `https_proxy`) as http://USER:PASSWORD@HOST:PORT"
                .to_owned()
        }
        _ => format!("answers {status}"),
    };
    // RFC 9110 §15: 408 and 5xx may be temporary; RFC 6585 §4: so may 429; RFC 8470: 425.
    let transient = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
    let wait = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let wait = wait.map(|seconds: u64| Duration::from_secs(seconds.min(30)));
    let missing = matches!(status.as_u16(), 404 | 410);
    Failure { reason, transient, server: transient, missing, shared: false, wait }
}

/// First byte and total length in `bytes 5-9/10` (RFC 9110 §14.4).
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The innermost cause of an error, which says what happened.
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
pub(super) fn read_file(handle: &Handle, url: Url, from: u64, outlet: EventSender) -> Stream {
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

fn pieces(url: &Url, from: u64, outlet: &EventSender, mut next: impl FnMut() -> bool) -> Result<(), Failure> {
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
    let mut listening = outlet.send(Event::Opened { start, total: Some(total), indicates_end: true });
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::source::{Cancel, Network, NetworkLimits};

    /// The result of a server sending these bytes: whether the end is indicated, the chunks' lengths, whether the end
    /// arrived.
    fn answer(bytes: Vec<u8>) -> (bool, Vec<usize>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let server = crate::threads::spawn("server", move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(&bytes).unwrap();
        });
        let (sender, events) = channel();
        let network = Network::new(Cancel::default(), NetworkLimits::default());
        let stream = network.open(&url, 0, 7, &sender).unwrap().unwrap();
        drop(sender);
        let (mut indicated, mut pieces, mut ended) = (false, Vec::new(), false);
        while let Ok((7, event)) = events.recv() {
            match event {
                Event::Opened { indicates_end, .. } => indicated = indicates_end,
                Event::Data(bytes) => {
                    pieces.push(bytes.len());
                    stream.more();
                }
                Event::End => ended = true,
                Event::Failed(_) => {}
            }
        }
        server.unwrap().join().unwrap();
        (indicated, pieces, ended)
    }

    #[test]
    fn chunks_of_one_byte_are_put_together() {
        const BYTES: usize = 100_000;
        let mut text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        text.extend(b"1\r\nx\r\n".repeat(BYTES));
        let whole = [&text[..], b"0\r\n\r\n"].concat();
        for (bytes, whole) in [(whole, true), (text, false)] {
            let (indicated, pieces, ended) = answer(bytes);
            assert_eq!((indicated, ended, pieces.iter().sum::<usize>()), (true, whole, BYTES));
            assert!(pieces.len() < BYTES / 20, "{} pieces", pieces.len());
        }
    }

    #[test]
    fn a_length_or_chunks_tell_the_end() {
        for (head, body, indicated) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3", "abc", true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 3", "abc", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: close", "abc", false),
            ("HTTP/1.1 200 OK\r\nServer: x", "abc", false),
            ("HTTP/1.0 200 OK\r\nServer: x", "abc", false),
        ] {
            let (indicates, pieces, ended) = answer(format!("{head}\r\n\r\n{body}").into_bytes());
            assert_eq!((indicates, ended, pieces.iter().sum::<usize>()), (indicated, true, 3), "{head}");
        }
    }
}
