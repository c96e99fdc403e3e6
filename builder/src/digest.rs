//! SHA-256 digests: the names of everything in the [store](crate::store).

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest (FIPS 180-4), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// The digest and length in bytes of a file, read as a stream.
    pub fn of_file(path: &Path) -> io::Result<(Self, u64)> {
        Self::of_reader(crate::input::open(path)?)
    }

    /// The digest and length in bytes of the rest of a reader.
    pub fn of_reader(mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new(io::sink());
        copy(&mut reader, &mut hasher)?;
        Ok(hasher.finish())
    }

    /// The first twelve digits: enough to distinguish digests in messages.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a sha256: 64 hexadecimal digits are expected")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let bad = || NotADigest(text.to_owned());
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A writer that passes everything through and keeps the running digest and length.
pub struct Hasher<W> {
    inner: W,
    sha256: Sha256,
    length: u64,
}

impl<W: Write> Hasher<W> {
    /// Starts with no data, passing through to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, sha256: Sha256::new(), length: 0 }
    }

    /// The digest and the number of bytes written.
    pub fn finish(self) -> (Digest, u64) {
        (Digest(self.sha256.finalize().into()), self.length)
    }

    /// The digest and number of bytes written, and the inner writer.
    pub fn into_parts(self) -> (Digest, u64, W) {
        (Digest(self.sha256.finalize().into()), self.length, self.inner)
    }
}

impl<W: Write> Write for Hasher<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A reader that fails at its end, with [`io::ErrorKind::InvalidData`], if the content does not have the expected
/// digest.
pub struct Checked<R> {
    inner: R,
    hasher: Option<Hasher<io::Sink>>,
    want: Digest,
}

impl<R: Read> Checked<R> {
    /// Reads from `inner`, whose whole content must have the digest `want`.
    pub fn new(inner: R, want: Digest) -> Self {
        Self { inner, hasher: Some(Hasher::new(io::sink())), want }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.write_all(&buffer[..count])?;
            }
        } else if !buffer.is_empty()
            && let Some(hasher) = self.hasher.take()
        {
            let (got, _) = hasher.finish();
            if got != self.want {
                let message = format!("its content changed: expected sha256 {}, got {got}", self.want);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(count)
    }
}

/// [`io::copy`] with a 128 KiB buffer, for few system calls and constant memory; it stops when a signal arrives.
pub fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<u64> {
    let mut buffer = vec![0; 128 * 1024];
    let mut total = 0;
    loop {
        crate::interrupt::check()?;
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&buffer[..count])?;
        total += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_published_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of("").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(""));
    }

    #[test]
    fn a_checked_reader_gives_all_and_fails_at_the_end_of_what_does_not_fit() {
        for (content, fits) in [("hello", true), ("", false), ("hellp", false), ("hell", false), ("hello!", false)] {
            let mut text = String::new();
            let result = Checked::new(content.as_bytes(), Digest::of("hello")).read_to_string(&mut text);
            assert_eq!(result.is_ok(), fits, "{content}");
        }
        assert!(Checked::new(io::empty(), Digest::of("")).read_to_end(&mut Vec::new()).is_ok());
    }

    #[test]
    fn what_is_not_a_digest_is_refused() {
        for text in ["", "e3b0", &"g".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
