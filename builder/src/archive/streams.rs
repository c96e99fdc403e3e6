//! Files made of several concatenated compressed streams, and what may follow the last one.
//!
//! The formats' own tools differ in the latter, and tapes and mirrors pad files: gzip(1) and bzip2(1) accept any number
//! of NUL bytes, xz(1) a multiple of four, zstd(1) none. gzip and bzip2 warn about anything else and ignore it; here it
//! is an error, as nothing may be dropped silently.

use std::io::{self, BufRead, Read};

use super::Exceeded;

/// A decoder of a single stream, which reads nothing beyond its end.
pub(super) trait SingleStream: Read + Sized {
    /// The input type.
    type Input: BufRead;

    /// The unread input after the stream has ended.
    fn rest(self) -> Self::Input;

    /// Whether another stream starts there. Padding is skipped; anything else is an error.
    fn another(rest: &mut Self::Input) -> io::Result<bool>;
}

impl<R: BufRead> SingleStream for flate2::bufread::GzDecoder<R> {
    type Input = R;

    fn rest(self) -> R {
        self.into_inner()
    }

    // GNU gzip's manual, section 9.
    fn another(rest: &mut R) -> io::Result<bool> {
        only_padding_or(rest, 0x1f, "gzip")
    }
}

impl<R: BufRead> SingleStream for bzip2::bufread::BzDecoder<R> {
    type Input = R;

    fn rest(self) -> R {
        self.into_inner()
    }

    fn another(rest: &mut R) -> io::Result<bool> {
        only_padding_or(rest, b'B', "bzip2")
    }
}

impl<R: BufRead> SingleStream for xz2::bufread::XzDecoder<R> {
    type Input = R;

    fn rest(self) -> R {
        self.into_inner()
    }

    // The .xz File Format, section 2.2
    fn another(rest: &mut R) -> io::Result<bool> {
        let (zeros, more) = skip_zeros(rest)?;
        if zeros % 4 != 0 {
            return Err(damaged(format!("{zeros} NUL bytes after an xz stream, expected a multiple of four")));
        }
        match rest.fill_buf()?.first() {
            Some(0xfd) | None => Ok(more),
            Some(_) => Err(foreign("xz")),
        }
    }
}

/// For formats in which padding may only be at the end of the file: whether the next stream, which starts with `first`,
/// follows immediately.
fn only_padding_or(rest: &mut impl BufRead, first: u8, format: &str) -> io::Result<bool> {
    if rest.fill_buf()?.first() == Some(&first) {
        return Ok(true);
    }
    match skip_zeros(rest)? {
        (_, false) => Ok(false),
        (_, true) => Err(foreign(format)),
    }
}

fn foreign(format: &str) -> io::Error {
    damaged(format!("data other than NUL bytes follows the end of its {format} stream"))
}

/// Skips NUL bytes; gives their number, and whether anything else follows.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let bytes = reader.fill_buf()?;
        let (zeros, all) = (bytes.iter().take_while(|&&byte| byte == 0).count(), bytes.len());
        reader.consume(zeros);
        skipped += zeros as u64;
        if all == 0 || zeros < all {
            return Ok((skipped, all > 0));
        }
    }
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// All streams of a file, as one stream.
pub(super) struct Streams<D, N> {
    /// `None` once the last stream has ended.
    decoder: Option<D>,
    /// Creates the decoder of the next stream.
    next: N,
    /// The maximum number of streams. Each costs time and memory, even an empty one.
    most: u64,
    begun: u64,
}

impl<D: SingleStream, N: FnMut(D::Input) -> io::Result<D>> Streams<D, N> {
    /// All streams of a file whose first stream has the given decoder.
    pub(super) fn new(input: D::Input, most: u64, mut next: N) -> io::Result<Self> {
        Ok(Self { decoder: Some(next(input)?), next, most, begun: 1 })
    }
}

impl<D: SingleStream, N: FnMut(D::Input) -> io::Result<D>> Read for Streams<D, N> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if let Some(decoder) = self.decoder.take() {
                let mut rest = decoder.rest();
                if D::another(&mut rest)? {
                    self.begun += 1;
                    if self.begun > self.most {
                        let what = format!("it consists of more than {} compressed streams", self.most);
                        return Err(io::Error::other(Exceeded::new("streams", what)));
                    }
                    self.decoder = Some((self.next)(rest)?);
                }
            }
        }
        Ok(0)
    }
}
