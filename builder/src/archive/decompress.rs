//! Decompression by content, not by file name.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::ArchiveError;

/// Memory that decoding one xz file with several threads may take. Blocks that don't fit are decoded one by one.
const XZ_MEMORY: u64 = 96 << 20;

/// A decompressed stream.
pub type Stream<'a> = Box<dyn Read + Send + 'a>;

/// Decompresses gzip, xz, bzip2 and zstd, each told by its first bytes; anything else is passed on as it is.
///
/// Files made of several compressed streams are read to the last one, as the formats' own tools do.
pub fn decompress<'a>(reader: impl Read + Send + 'a, archive: &str) -> Result<Stream<'a>, ArchiveError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    decompress_with(reader, archive, threads)
}

/// As [`decompress`], with that many threads at most. Only xz files of several blocks make use of more than one.
pub fn decompress_with<'a>(
    reader: impl Read + Send + 'a,
    archive: &str,
    threads: usize,
) -> Result<Stream<'a>, ArchiveError> {
    let mut reader = reader;
    let failed = |error| ArchiveError::reading(archive, "its first bytes", error);
    // The magic is read in a loop of our own: one `fill_buf` may give less of it from a pipe.
    let mut magic = Vec::with_capacity(6);
    reader.by_ref().take(6).read_to_end(&mut magic).map_err(failed)?;
    let rest = BufReader::with_capacity(1 << 17, io::Cursor::new(magic.clone()).chain(reader));
    Ok(match magic.as_slice() {
        // RFC 1952, section 2.3.1
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(rest)),
        // The .xz File Format, section 2.1.1.1
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(XzStreams { decoder: Some(xz(rest, threads).map_err(failed)?), threads })
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(rest)),
        // RFC 8878, section 3.1.1
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(rest).map_err(failed)?),
        _ => Box::new(rest),
    })
}

type Xz<R> = xz2::bufread::XzDecoder<R>;

fn xz<R: BufRead>(reader: R, threads: usize) -> io::Result<Xz<R>> {
    let stream = if threads > 1 {
        // This decoder holds whole blocks in memory, hence the limit.
        xz2::stream::MtStreamBuilder::new()
            .threads(threads.min(64) as u32)
            .memlimit_threading(XZ_MEMORY)
            .memlimit_stop(u64::MAX)
            .decoder()
    } else {
        xz2::stream::Stream::new_stream_decoder(u64::MAX, 0)
    };
    Ok(Xz::new_stream(reader, stream?))
}

/// All streams of an xz file, with the padding between them (The .xz File Format, sections 2 and 2.2).
struct XzStreams<R> {
    /// `None` when the last stream has ended.
    decoder: Option<Xz<R>>,
    threads: usize,
}

impl<R: BufRead> Read for XzStreams<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if let Some(decoder) = self.decoder.take() {
                let mut reader = decoder.into_inner();
                if skip_zeros(&mut reader)? {
                    self.decoder = Some(xz(reader, self.threads)?);
                }
            }
        }
        Ok(0)
    }
}

/// Skips NUL bytes; whether anything else follows.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = reader.fill_buf()?;
        let (zeros, all) = (bytes.iter().take_while(|&&byte| byte == 0).count(), bytes.len());
        reader.consume(zeros);
        if all == 0 || zeros < all {
            return Ok(all > 0);
        }
    }
}

/// Bytes handed from thread to thread at a time, and how many such pieces wait at most.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 8;

/// Reads ahead in a thread of its own, so that decompressing and writing files go on side by side.
pub fn ahead(mut reader: impl Read + Send + 'static) -> impl Read + Send {
    let (sender, pieces) = sync_channel(PIECES);
    let thread = std::thread::spawn(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let end = match reader.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
                Ok(count) => count == 0,
                Err(error) => {
                    // What came before the error is still good.
                    let _ = sender.send(Ok(piece));
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            // A reader that was dropped wants no more.
            if sender.send(Ok(piece)).is_err() || end {
                return;
            }
        }
    });
    Ahead { pieces: Some(pieces), thread: Some(thread), piece: io::Cursor::new(Vec::new()), ended: false }
}

struct Ahead {
    pieces: Option<Receiver<io::Result<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Ahead {
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

impl Drop for Ahead {
    fn drop(&mut self) {
        // First the channel, so that a sender that waits for room gives up; then its thread ends soon.
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
