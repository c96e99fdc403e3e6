//! Paths into images: `FILE//PATH`, where `//` enters a container, and again inside it:
//! `live.iso//boot/initrd.img//system.sfs//usr/bin/env`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{Content, Entry, Fault, Image, Limits, ReaderError, Region};
use crate::input;
use crate::printable::printable;

/// A file of the host, and a path in each container, from the outermost to the innermost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The file.
    pub file: PathBuf,
    /// The paths. All but the last are of containers; an empty last one is the innermost container's root.
    pub inside: Vec<Vec<u8>>,
}

impl Address {
    /// Parses an address. The file is the shortest part before a `//` that is a regular file, so that `//` in a path of
    /// the host does no harm. If there is none, it is the whole text.
    pub fn parse(text: &OsStr) -> Self {
        let bytes = text.as_bytes();
        let file = |end: usize| PathBuf::from(OsStr::from_bytes(&bytes[..end]));
        let positions = (0..bytes.len()).filter(|&at| at > 0 && bytes[at..].starts_with(b"//"));
        match positions.into_iter().find(|&at| file(at).is_file()) {
            Some(at) => Self { file: file(at), inside: split(&bytes[at + 2..]) },
            None => Self { file: file(bytes.len()), inside: Vec::new() },
        }
    }

    /// As text, safe to print: of the first `levels` paths.
    fn place(&self, levels: usize) -> Vec<u8> {
        let mut text = self.file.as_os_str().as_bytes().to_vec();
        for path in self.inside.iter().take(levels) {
            text.extend_from_slice(b"//");
            text.extend_from_slice(path);
        }
        text
    }

    /// Opens the innermost container.
    pub fn open(&self, limits: &Limits) -> Result<Opened, ReaderError> {
        let at = |levels: usize| ReaderError::at(self.place(levels));
        if self.inside.len() > limits.nested {
            return Err(at(limits.nested)(Fault::Limit(format!(
                "more than {} containers inside each other",
                limits.nested
            ))));
        }
        let data = input::open(&self.file).and_then(Region::of_file);
        // A missing file is not a damaged one.
        let data = data.map_err(|error| at(0)(Fault::Io(error)))?;
        let mut image = Image::open(&data, limits).map_err(at(0))?;
        let Some((last, containers)) = self.inside.split_last() else {
            return Ok(Opened { image, path: Vec::new(), place: self.place(0), whole: true });
        };
        for (level, path) in containers.iter().enumerate() {
            let data = content_of(&image, path, limits).map_err(at(level + 1))?;
            image = Image::open(&data, limits).map_err(at(level + 1))?;
        }
        let place = self.place(containers.len());
        Ok(Opened { image, path: super::entry::normal(last), place, whole: false })
    }
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    loop {
        // Further slashes belong to the path: `image///usr` is `/usr`.
        rest = &rest[rest.iter().take_while(|&&byte| byte == b'/').count()..];
        match rest.windows(2).position(|pair| pair == b"//") {
            Some(at) => {
                parts.push(rest[..at].to_vec());
                rest = &rest[at + 2..];
            }
            None => {
                parts.push(rest.to_vec());
                return parts;
            }
        }
    }
}

/// The content of a file in an image; links are followed.
fn content_of(image: &Image, path: &[u8], limits: &Limits) -> Result<Region, Fault> {
    let filesystem = image.filesystem().ok_or_else(|| no_container(image))?;
    let entry = find(image, path)?;
    if !entry.is_file() {
        return Err(Fault::Missing(format!("it is {}, not a file", entry.kind.name())));
    }
    filesystem.open(entry)?.region(limits)
}

fn find<'a>(image: &'a Image, path: &[u8]) -> Result<&'a Entry, Fault> {
    let listing = image.listing().ok_or_else(|| no_container(image))?;
    listing.find(path, true).ok_or_else(|| Fault::Missing("nothing has this path there".into()))
}

fn no_container(image: &Image) -> Fault {
    Fault::Unsupported(format!("the file is {}, which contains no files that dbco can read", image.format.describe()))
}

/// The innermost container of an address, and the path in it.
pub struct Opened {
    /// The container.
    pub image: Image,
    /// The path in it; empty for its root.
    pub path: Vec<u8>,
    /// The container's address.
    place: Vec<u8>,
    /// The address is only that of a file of the host.
    whole: bool,
}

impl Opened {
    /// The container's address, safe to print.
    pub fn place(&self) -> String {
        printable(&self.place).to_string()
    }

    /// Whether the address names a file of the host, and nothing in it.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The address of a path in the container.
    fn at(&self, path: &[u8]) -> impl FnOnce(Fault) -> ReaderError {
        ReaderError::at([&self.place[..], b"//", path].concat())
    }

    /// The entry at the path, with links followed.
    pub fn entry(&self) -> Result<&Entry, ReaderError> {
        find(&self.image, &self.path).map_err(self.at(&self.path))
    }

    /// The content of one of the container's files.
    pub fn content(&self, entry: &Entry) -> Result<Content<'_>, ReaderError> {
        let opened = match self.image.filesystem() {
            Some(filesystem) => filesystem.open(entry),
            None => Err(no_container(&self.image)),
        };
        opened.map_err(self.at(&entry.path))
    }

    /// The error of reading an entry's content.
    pub fn reading(&self, entry: &Entry, error: std::io::Error) -> ReaderError {
        self.at(&entry.path)(error.into())
    }

    /// What the address names as an image: the container itself, or the file at the path.
    pub fn into_image(self, limits: &Limits) -> Result<Self, ReaderError> {
        if self.path.is_empty() {
            return Ok(self);
        }
        let (at, place) = (self.at(&self.path), [&self.place[..], b"//", &self.path].concat());
        let image = content_of(&self.image, &self.path, limits).and_then(|data| Image::open(&data, limits));
        Ok(Self { image: image.map_err(at)?, path: Vec::new(), place, whole: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_slashes_enter_a_container() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.iso");
        std::fs::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        let parsed = |text: String| {
            let address = Address::parse(OsStr::new(&text));
            (
                address.file.to_str().unwrap().to_owned(),
                address.inside.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect::<Vec<_>>(),
            )
        };
        let inside =
            |paths: &[&str]| (file.to_owned(), paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        assert_eq!(parsed(file.to_owned()), inside(&[]));
        assert_eq!(parsed(format!("{file}//")), inside(&[""]));
        assert_eq!(parsed(format!("{file}//boot/initrd//usr/bin")), inside(&["boot/initrd", "usr/bin"]));
        assert_eq!(parsed(format!("{file}///etc/passwd")), inside(&["etc/passwd"]));
        let doubled = file.replacen('/', "//", 2);
        assert_eq!(parsed(format!("{doubled}//a//")).1, ["a", ""]);
        assert_eq!(parsed("none.iso//a".into()), ("none.iso//a".into(), vec![]));
    }
}
