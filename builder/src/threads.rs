//! The one place that starts threads: a host that allows no more (`ulimit -u`, a container's limit) must not make a
//! build panic.

use std::io;
use std::num::NonZero;
use std::thread::{Builder, JoinHandle};

/// The number of threads that the host runs at a time.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Calls `work` in up to `count` threads, including this one; returns when all have ended. If the host allows no more
/// threads there are fewer of them. The threads take their work from something that they share.
pub fn side_by_side(count: usize, work: &(impl Fn() + Sync)) {
    std::thread::scope(|scope| {
        for _ in 1..count {
            if Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Calls `one` in parallel to `other`, or before it if the host allows no more threads.
pub fn both<A: Send, B>(one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| match Builder::new().spawn_scoped(scope, &one) {
        Err(_) => (one(), other()),
        Ok(thread) => {
            let second = other();
            let first = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (first, second)
        }
    })
}

/// Starts a thread for work without a fallback.
///
/// # Errors
/// The host allows no more threads.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(|source| io::Error::new(source.kind(), NoThread(source)))
}

/// The error for a thread that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start another thread: raise the limit (`ulimit -u`, or the container's), or use fewer --jobs")]
pub struct NoThread(#[source] io::Error);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_piece_of_work_is_done_once() {
        for (threads, pieces) in [(0, 3), (1, 10), (4, 1000), (64, 5)] {
            let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
            side_by_side(threads, &|| {
                while let Some(piece) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|next| *next < pieces) {
                    done.lock().unwrap().push(piece);
                }
            });
            let mut done = done.into_inner().unwrap();
            done.sort();
            assert_eq!(done, (0..pieces).collect::<Vec<_>>());
        }
        assert_eq!(both(|| 1, || "two"), (1, "two"));
        assert_eq!(spawn("three", || 3).unwrap().join().unwrap(), 3);
    }
}
