//! Decompression by content, not by file name.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::streams::Streams;
use super::{ALWAYS, ArchiveError, Budget, Exceeded};
use crate::{interrupt, threads};

/// Memory limit for decoding one xz file with several threads. Blocks that don't fit are decoded one at a time.
const XZ_MEMORY: u64 = 96 << 20;

/// A decompressed stream.
pub type Stream<'a> = Box<dyn Read + Send + 'a>;

/// Decompresses gzip, xz, bzip2 and zstd, detected by their first bytes; anything else is passed through unchanged.
///
/// Files made of several compressed streams are read to the last one, as the formats' own tools do, and trailing
/// padding is skipped where those tools skip it.
pub fn decompress<'a>(
    reader: impl Read + Send + 'a,
    archive: &str,
    budget: &Budget,
) -> Result<Stream<'a>, ArchiveError> {
    decompress_with(reader, archive, threads::processors(), budget)
}

/// As [`decompress`], with at most the given number of threads. Only xz files with several blocks use more than one.
pub fn decompress_with<'a>(
    reader: impl Read + Send + 'a,
    archive: &str,
    threads: usize,
    budget: &Budget,
) -> Result<Stream<'a>, ArchiveError> {
    let mut reader = reader;
    let failed = |error| ArchiveError::reading(archive, "its first bytes", error);
    // The magic is read in a loop: a single `fill_buf` may return less of it from a pipe.
    let mut magic = Vec::with_capacity(6);
    reader.by_ref().take(6).read_to_end(&mut magic).map_err(failed)?;
    let packed = Arc::new(AtomicU64::new(0));
    let counted = CountingReader { reader: io::Cursor::new(magic.clone()).chain(reader), count: Arc::clone(&packed) };
    let rest = BufReader::with_capacity(1 << 17, counted);
    let stream: Stream<'a> = match magic.as_slice() {
        // RFC 1952, section 2.3.1
        [0x1f, 0x8b, ..] => Box::new(
            Streams::new(rest, budget.streams, |rest| Ok(flate2::bufread::GzDecoder::new(rest))).map_err(failed)?,
        ),
        // The .xz File Format, section 2.1.1.1
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let memory = budget.memory;
            let streams = Streams::new(rest, budget.streams, move |rest| xz(rest, threads, memory)).map_err(failed)?;
            Box::new(XzMemory { streams, memory })
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(
            Streams::new(rest, budget.streams, |rest| Ok(bzip2::bufread::BzDecoder::new(rest))).map_err(failed)?,
        ),
        // RFC 8878, sections 3.1.1 and 3.1.2: a frame, or a skippable frame before it, as pzstd(1) writes. The decoder
        // continues from frame to frame by itself, without more memory.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(rest).map_err(failed)?;
            // The decoder keeps the window in memory; its size is a power of two.
            decoder.window_log_max(budget.memory.max(1).ilog2().clamp(10, 31)).map_err(failed)?;
            Box::new(Zstd { decoder, memory: budget.memory })
        }
        _ => Box::new(rest),
    };
    Ok(Box::new(ExpansionLimit { stream, packed, unpacked: 0, budget: *budget }))
}

/// Counts the bytes read and stops at a signal: a lot may be read that unpacks to nothing.
struct CountingReader<R> {
    reader: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check()?;
        let count = self.reader.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Stops a stream that unpacks to far more than its packed size, which would fill the disk.
struct ExpansionLimit<'a> {
    stream: Stream<'a>,
    packed: Arc<AtomicU64>,
    unpacked: u64,
    budget: Budget,
}

impl Read for ExpansionLimit<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.unpacked += count as u64;
        let Budget { unpacked, ratio, .. } = self.budget;
        if self.unpacked > unpacked {
            let what = format!("it unpacks to more than {unpacked} bytes");
            return Err(io::Error::other(Exceeded::new("unpacked", what)));
        }
        if self.unpacked > ALWAYS && self.unpacked / ratio > self.packed.load(Ordering::Relaxed) {
            let what = format!("it unpacks to more than {ALWAYS} bytes, and to more than {ratio} times its size");
            return Err(io::Error::other(Exceeded::new("ratio", what)));
        }
        Ok(count)
    }
}

type Xz<R> = xz2::bufread::XzDecoder<R>;

fn xz<R: BufRead>(reader: R, threads: usize, memory: u64) -> io::Result<Xz<R>> {
    let stream = if threads > 1 {
        // This decoder holds whole blocks in memory, which is why there is a limit.
        xz2::stream::MtStreamBuilder::new()
            .threads(threads.min(64) as u32)
            .memlimit_threading(XZ_MEMORY)
            .memlimit_stop(memory)
            .decoder()
    } else {
        xz2::stream::Stream::new_stream_decoder(memory, 0)
    };
    Ok(Xz::new_stream(reader, stream?))
}

/// Maps an error of the xz decoder to the budget that it exceeds.
struct XzMemory<R> {
    streams: R,
    memory: u64,
}

impl<R: Read> Read for XzMemory<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.streams.read(buffer).map_err(|error| match error.get_ref().and_then(|e| e.downcast_ref()) {
            Some(xz2::stream::Error::MemLimit) => too_much_memory(self.memory),
            _ => error,
        })
    }
}

struct Zstd<R> {
    decoder: R,
    memory: u64,
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| match error.to_string() {
            // ZSTD_error_frameParameter_windowTooLarge is not exposed by the crate.
            message if message.contains("requires too much memory") => too_much_memory(self.memory),
            _ => error,
        })
    }
}

fn too_much_memory(budget: u64) -> io::Error {
    io::Error::other(Exceeded::new("memory", format!("unpacking it needs more than {budget} bytes of memory")))
}

/// Bytes passed between threads at a time, and the maximum number of such chunks in the queue.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 8;

/// Reads ahead in a separate thread, so that decompressing and writing files run in parallel.
///
/// # Errors
/// No further thread could be started.
pub fn ahead(mut reader: impl Read + Send + 'static) -> io::Result<impl Read + Send> {
    let (sender, pieces) = sync_channel(PIECES);
    let thread = threads::spawn("decompress", move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let end = match reader.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
                Ok(count) => count == 0,
                Err(error) => {
                    // The data before the error is still valid.
                    let _ = sender.send(Ok(piece));
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            // The reader was dropped and needs no more data.
            if sender.send(Ok(piece)).is_err() || end {
                return;
            }
        }
    })?;
    Ok(ReadAhead { pieces: Some(pieces), thread: Some(thread), piece: io::Cursor::new(Vec::new()), ended: false })
}

struct ReadAhead {
    pieces: Option<Receiver<io::Result<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended && self.piece.position() == self.piece.get_ref().len() as u64 {
            let piece = match &self.pieces {
                Some(pieces) => pieces.recv().map_err(|_| io::Error::other("the decompressing thread panicked"))?,
                None => return Ok(0),
            };
            self.piece = io::Cursor::new(piece.inspect_err(|_| self.ended = true)?);
            self.ended = self.piece.get_ref().is_empty();
        }
        self.piece.read(buffer)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // The channel is dropped first, so that a sender waiting for room gives up; its thread then ends soon.
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
