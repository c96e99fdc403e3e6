//! A configuration file as its lines: `KEY="value"`, comments, and whatever else was written into it by hand.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A configuration file. What is not changed is written back as it was read, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfFile {
    lines: Vec<String>,
}

impl ConfFile {
    /// Takes a file's text apart.
    pub fn parse(text: &str) -> ConfFile {
        ConfFile { lines: text.lines().map(str::to_owned).collect() }
    }

    /// Reads a file. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// It is not there, or can't be read.
    pub fn read(path: &Path) -> io::Result<ConfFile> {
        Ok(ConfFile::parse(&String::from_utf8_lossy(&fs::read(path)?)))
    }

    /// A key's value: that of the last line which sets it, as in a shell.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// All keys and values in the file's order; a key may come again.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| split(line))
    }

    /// Sets a key: where it stands already (a comment behind the value stays, further lines that set it go), else at the end.
    pub fn set(&mut self, key: &str, value: &str) {
        let made = format!("{key}=\"{value}\"");
        let places: Vec<usize> =
            (0..self.lines.len()).filter(|&i| split(&self.lines[i]).is_some_and(|(name, _)| name == key)).collect();
        let Some((&last, others)) = places.split_last() else { return self.lines.push(made) };
        let rest = behind(&self.lines[last]).to_owned();
        self.lines[last] = made + &rest;
        for &place in others.iter().rev() {
            self.lines.remove(place);
        }
    }

    /// Removes all lines that set a key.
    pub fn remove(&mut self, key: &str) {
        self.lines.retain(|line| split(line).is_none_or(|(name, _)| name != key));
    }

    /// The file's text.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// Writes the file in one step: a power cut leaves the old or the new.
    ///
    /// # Errors
    /// The disk is full, or the folder can't be written to.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        replace(path, self.text().as_bytes(), 0o644)
    }
}

/// Puts a file in the place of another in one step: beside it, to the disk, then renamed, then the folder to the disk.
///
/// # Errors
/// The disk is full, or the folder can't be written to. The old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    // A name that no container's file has, so that a leftover is never taken for one.
    let beside = folder.join(format!(".{name}.new"));
    // In a container's own folder somebody may have put a symlink there: it is removed, and a new one is not followed.
    let _ = fs::remove_file(&beside);
    let written = File::options().create_new(true).write(true).mode(mode).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder(folder)
}

/// Brings what was made, renamed or removed in a folder to the disk.
///
/// # Errors
/// Those of the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A line's key and value, if it sets one. Quotes around the value, single or double, are not part of it; without quotes it
/// ends at white space.
fn split(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.trim_start().split_once('=')?;
    let good = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !good || key.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    Some((key, &rest[value_range(rest)]))
}

/// Where in what follows the `=` the value is.
fn value_range(rest: &str) -> std::ops::Range<usize> {
    match rest.as_bytes().first() {
        Some(&quote @ (b'"' | b'\'')) => {
            let end = rest[1..].find(quote as char).map_or(rest.trim_end().len(), |at| at + 1);
            1..end.max(1)
        }
        _ => 0..rest.find(char::is_whitespace).unwrap_or(rest.len()),
    }
}

/// What stands behind a line's value: mostly nothing, or a comment.
fn behind(line: &str) -> &str {
    let Some((_, rest)) = line.split_once('=') else { return "" };
    let end = value_range(rest).end;
    let end = if rest.starts_with(['"', '\'']) { (end + 1).min(rest.len()) } else { end };
    &rest[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\n\nPHYSPAGES=\"0:256M\"\nNAME=web # mine\n  ODD LINE\nIP_ADDRESS='10.0.0.1 10.0.0.2'\nNAME=\"www\"  # again\n";

    #[test]
    fn unchanged_is_written_back_as_it_was() {
        assert_eq!(ConfFile::parse(TEXT).text(), TEXT);
    }

    #[test]
    fn values() {
        let file = ConfFile::parse(TEXT);
        assert_eq!(file.get("PHYSPAGES"), Some("0:256M"));
        assert_eq!(file.get("NAME"), Some("www"));
        assert_eq!(file.get("IP_ADDRESS"), Some("10.0.0.1 10.0.0.2"));
        assert_eq!(file.get("ODD"), None);
        assert_eq!(ConfFile::parse("A=\"x").get("A"), Some("x"));
        assert_eq!(ConfFile::parse("A=\"").get("A"), Some(""));
        assert_eq!(ConfFile::parse("A=").get("A"), Some(""));
    }

    #[test]
    fn set_keeps_all_else() {
        let mut file = ConfFile::parse(TEXT);
        file.set("NAME", "mail");
        file.set("ONBOOT", "yes");
        let expected = "# a comment\n\nPHYSPAGES=\"0:256M\"\n  ODD LINE\nIP_ADDRESS='10.0.0.1 10.0.0.2'\nNAME=\"mail\"  # again\nONBOOT=\"yes\"\n";
        assert_eq!(file.text(), expected);
        file.remove("NAME");
        assert_eq!(file.get("NAME"), None);
    }

    #[test]
    fn written_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("101.conf");
        fs::write(&path, TEXT).unwrap();
        let mut file = ConfFile::read(&path).unwrap();
        file.set("ONBOOT", "no");
        file.write(&path).unwrap();
        assert_eq!(ConfFile::read(&path).unwrap(), file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        // A folder in the way of the rename: the error is told and nothing is left.
        fs::create_dir_all(folder.path().join("102.conf/x")).unwrap();
        assert!(file.write(&folder.path().join("102.conf")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
