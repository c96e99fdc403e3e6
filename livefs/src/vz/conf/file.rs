//! A configuration file as lines: `KEY="value"`, comments, and anything else that was written into it by hand.

use super::params::{self, Kind};
use super::read::Values;
use crate::durable::replace;
use std::fs;
use std::io;
use std::path::Path;

/// A configuration file. Unchanged lines are written back as they were read, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfFile {
    lines: Vec<String>,
}

impl ConfFile {
    /// Splits a file's text into lines.
    pub fn parse(text: &str) -> ConfFile {
        ConfFile { lines: text.lines().map(str::to_owned).collect() }
    }

    /// Reads a file. Invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// It does not exist, or can't be read.
    pub fn read(path: &Path) -> io::Result<ConfFile> {
        Ok(ConfFile::parse(&String::from_utf8_lossy(&fs::read(path)?)))
    }

    /// A key's unparsed value: that of the first line that sets it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().filter_map(|line| split(line).ok()?).find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The values in effect, and the errors in other lines.
    pub fn values(&self, ctid: u32) -> Values {
        let lines = self.lines.iter().enumerate();
        Values::of(lines.filter_map(|(at, line)| Some((at + 1, split(line).transpose()?))), ctid)
    }

    /// Sets a key: in its first line, otherwise at the end. For a beancounter, whose last line counts, all other lines
    /// are removed.
    pub fn set(&mut self, key: &str, value: &str) {
        let made = format!("{key}=\"{value}\"");
        let mut places = (0..self.lines.len()).filter(|&at| sets(&self.lines[at], key)).collect::<Vec<_>>().into_iter();
        let Some(first) = places.next() else { return self.lines.push(made) };
        self.lines[first] = made;
        if params::by_key(key).is_some_and(|param| matches!(param.kind, Kind::Limit(_))) {
            places.rev().for_each(|at| drop(self.lines.remove(at)));
        }
    }

    /// Removes all lines that set a key.
    pub fn remove(&mut self, key: &str) {
        self.lines.retain(|line| !sets(line, key));
    }

    /// The file's text.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// Writes the file atomically: a power cut leaves the old or the new one. If it is a symlink, its target is
    /// written.
    ///
    /// # Errors
    /// The disk is full, or the folder can't be written to.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            found => found?,
        };
        replace(&path, self.text().as_bytes(), 0o644)
    }
}

/// A line's key and value; None: it is empty or a comment. Double quotes around a value are not part of it, and text
/// after the last of them is ignored; without quotes the value is the rest of the line.
fn split(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (key, value) = line.split_once('=').ok_or("'=' not found")?;
    match value.strip_prefix('"') {
        None => Ok(Some((key, value))),
        Some(quoted) => {
            let end = quoted.rfind('"').ok_or("unmatched quotes")?;
            Ok(Some((key, &quoted[..end])))
        }
    }
}

fn sets(line: &str, key: &str) -> bool {
    matches!(split(line), Ok(Some((name, _))) if name == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\n\nPHYSPAGES=\"0:256M\"\nNAME=web\n  ODD LINE\nIP_ADDRESS=\"10.0.0.1 10.0.0.2\"  # both\nNAME=\"www\"  # again\n";

    #[test]
    fn unchanged_is_written_back_as_it_was() {
        assert_eq!(ConfFile::parse(TEXT).text(), TEXT);
    }

    #[test]
    fn values() {
        let file = ConfFile::parse(TEXT);
        assert_eq!(file.get("PHYSPAGES"), Some("0:256M"));
        assert_eq!(file.get("NAME"), Some("web"), "the first counts");
        assert_eq!(file.get("IP_ADDRESS"), Some("10.0.0.1 10.0.0.2"));
        assert_eq!(file.get("ODD"), None);
        assert_eq!(ConfFile::parse("A=\"x").get("A"), None);
        assert_eq!(ConfFile::parse("A='x'").get("A"), Some("'x'"));
        assert_eq!(ConfFile::parse("A=x  y ").get("A"), Some("x  y"));
        assert_eq!(ConfFile::parse("A=").get("A"), Some(""));
    }

    #[test]
    fn what_is_wrong_is_told_and_skipped() {
        let text = "CPULIMIT=\"abc\"\nCPULIMIT=\"20\"\nNUMPROC=\"5\"\nNUMPROC=\"6\"\nIP_ADDRESS=\"10.0.0.1 bad\"\nODD LINE\nONBOOT=\"yes\"\nONBOOT=\"no\"\nIOLIMIT=\"3G\"\nFEATURES=\"nfs:on fly:on\"\nMINE=\"1\"\nHOSTNAME=\"x\nVE_ROOT=/vz/root/$VEID/\n";
        let values = ConfFile::parse(text).values(101);
        let pairs: Vec<String> = values.pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let expected = "CPULIMIT=20 NUMPROC=6 IP_ADDRESS=10.0.0.1 ONBOOT=yes IOLIMIT=2147483647 FEATURES=nfs:on MINE=1 VE_ROOT=/vz/root/$VEID";
        assert_eq!(pairs.join(" "), expected);
        let said: Vec<String> = values.findings.iter().map(|one| one.sentence(Path::new("/c"))).collect();
        assert_eq!(
            said,
            [
                "Warning at /c:1: invalid value for CPULIMIT (\"abc\"), skipped",
                "Warning at /c:5: invalid value for IP_ADDRESS (\"10.0.0.1\"), skipped",
                "Warning: can't parse /c:6 ('=' not found), skipping",
                "Warning at /c:8: duplicate for ONBOOT (\"no\"), ignored",
                "Warning at /c:9: too large value for IOLIMIT (\"3G\"), truncated",
                "Warning: Unknown feature: fly:on",
                "Warning at /c:11: unknown parameter MINE (\"1\"), ignored",
                "Warning: can't parse /c:12 (unmatched quotes), skipping",
            ]
        );
    }

    #[test]
    fn set_keeps_all_else() {
        let mut file = ConfFile::parse(TEXT);
        file.set("NAME", "mail");
        file.set("ONBOOT", "yes");
        let expected = "# a comment\n\nPHYSPAGES=\"0:256M\"\nNAME=\"mail\"\n  ODD LINE\nIP_ADDRESS=\"10.0.0.1 10.0.0.2\"  # both\nNAME=\"www\"  # again\nONBOOT=\"yes\"\n";
        assert_eq!(file.text(), expected);
        file.remove("NAME");
        assert_eq!(file.get("NAME"), None);
        let mut counter = ConfFile::parse("NUMPROC=\"1\"\nA=\"b\"\nNUMPROC=\"2\"\n");
        counter.set("NUMPROC", "3");
        assert_eq!(counter.text(), "NUMPROC=\"3\"\nA=\"b\"\n", "the last counts, so no other may follow");
    }

    #[test]
    fn a_symlink_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("101.conf"));
        fs::write(&real, TEXT).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        let mut file = ConfFile::read(&link).unwrap();
        file.set("ONBOOT", "no");
        file.write(&link).unwrap();
        assert!(link.is_symlink());
        assert_eq!(ConfFile::read(&real).unwrap(), file);
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
        // A folder prevents the rename: the error is reported and nothing is left.
        fs::create_dir_all(folder.path().join("102.conf/x")).unwrap();
        assert!(file.write(&folder.path().join("102.conf")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
