//! The folder of logs and reports beside the outputs: files that dbco wrote may be replaced, no others.
//!
//! Logs grow in place, so that a test can be watched. So the files to be written are listed beforehand
//! (`.dbco-unfinished`, names only), and those written afterwards (`.dbco-outputs`, with digests), as in an output
//! folder.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::OutputError;
use super::mark::{self, FileDigests, MARK, UNFINISHED};
use crate::beneath::{BeneathError, Dir, Links};
use crate::digest::Digest;
use crate::inherited::{for_user, mode_for_user};
use crate::path_error::{FromPathError as _, PathError};

/// A larger mark can't be dbco's.
const MOST_BYTES: u64 = 1 << 20;

/// A log folder, and the names to be written there.
#[derive(Debug)]
pub struct LogFolder {
    folder: PathBuf,
    names: BTreeSet<String>,
}

/// The files of a folder that are dbco's.
struct OwnedFiles {
    /// Files with their recorded content.
    files: FileDigests,
    /// Files that a run was still writing.
    unfinished: FileDigests,
}

/// The log folder while logs are written: no other process writes there. When dropped, it records what was written.
#[derive(Debug)]
pub struct LogWriter {
    dir: Dir,
    names: BTreeSet<String>,
    /// Files of earlier runs.
    kept: FileDigests,
    _lock: File,
}

impl LogFolder {
    /// The folder `name` in `parent` for files of these names, if nothing prevents writing them.
    pub fn new(parent: &Path, name: &str, names: impl IntoIterator<Item = String>) -> Result<Self, OutputError> {
        let logs = Self { folder: parent.join(name), names: names.into_iter().collect() };
        if let Some(wrong) = logs.names.iter().map(String::as_str).chain([name]).find(|name| !mark::is_name(name)) {
            return Err(OutputError::Name(wrong.to_owned()));
        }
        match logs.open() {
            Ok(dir) => logs.look(&dir).map(|_| logs),
            Err(OutputError::Io(PathError { source, .. })) if source.kind() == io::ErrorKind::NotFound => Ok(logs),
            Err(error) => Err(error),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    fn open(&self) -> Result<Dir, OutputError> {
        match fs::symlink_metadata(&self.folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => {
                let what = if metadata.is_symlink() { "a symbolic link" } else { "a file" };
                return Err(OutputError::InTheWay { path: self.folder.clone(), what });
            }
            Err(error) => return Err(OutputError::io("open", &self.folder)(error)),
        }
        Dir::open(&self.folder, Links::Never).map_err(OutputError::io("open", &self.folder))
    }

    /// The unchanged files that dbco wrote there, if that covers everything that is to be replaced.
    fn look(&self, dir: &Dir) -> Result<OwnedFiles, OutputError> {
        let mut names = Vec::new();
        let mut marked = |name: &str| {
            let text = match dir.stat(name) {
                Ok(None) => String::new(),
                _ => dir.read_text(name, MOST_BYTES).unwrap_or_else(|_| "?".to_owned()),
            };
            // An empty one says nothing, and nothing is lost with it.
            mark::parse(&text).unwrap_or_else(|| {
                names.extend((!text.is_empty()).then(|| name.to_owned()));
                FileDigests::new()
            })
        };
        let (mut files, mut unfinished) = (marked(MARK), marked(UNFINISHED));
        files.retain(|name, stated| content(dir, name, Some(stated.1)).is_some_and(|content| content == *stated));
        // What a killed run was writing may hold anything.
        unfinished.retain(|name, stated| content(dir, name, None).map(|content| *stated = content).is_some());
        let is_ours = |name: &str| files.contains_key(name) || unfinished.contains_key(name);
        for name in self.names.iter().filter(|name| !is_ours(name)) {
            if dir.stat(name).map_err(self.failed("read"))?.is_some() {
                names.push(name.clone());
            }
        }
        if names.is_empty() {
            Ok(OwnedFiles { files, unfinished })
        } else {
            Err(OutputError::Taken { folder: self.folder.clone(), names })
        }
    }

    /// Creates the folder if it does not exist, and locks it for writing.
    pub fn begin(&self) -> Result<LogWriter, OutputError> {
        let above = self.folder.parent().unwrap_or(Path::new("."));
        for_user(|| fs::create_dir_all(above)).map_err(OutputError::io("make", &self.folder))?;
        match for_user(|| fs::create_dir(&self.folder)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(OutputError::io("make", &self.folder)(error));
            }
            _ => {}
        }
        let dir = self.open()?;
        let lock = dir.lock().map_err(OutputError::io("lock", &self.folder))?;
        let Some(lock) = lock else { return Err(OutputError::Busy(self.folder.clone())) };
        let OwnedFiles { files: mut kept, mut unfinished } = self.look(&dir)?;
        kept.extend(unfinished.clone());
        kept.retain(|name, _| !self.names.contains(name));
        // Their content is not known yet.
        unfinished.extend(self.names.iter().map(|name| (name.clone(), (Digest::of(""), 0))));
        put(&dir, UNFINISHED, &unfinished).map_err(self.failed("write"))?;
        Ok(LogWriter { dir, names: self.names.clone(), kept, _lock: lock })
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(BeneathError) -> OutputError + use<> {
        let folder = self.folder.clone();
        move |error| OutputError::io(action, &folder)(io::Error::other(error))
    }
}

impl LogWriter {
    /// A new file with one of the names, replacing that of an earlier run.
    pub fn create(&self, name: &str) -> io::Result<File> {
        assert!(self.names.contains(name), "{name} was not looked at");
        let file = self.dir.create(name).map_err(io::Error::other)?;
        file.set_permissions(Permissions::from_mode(mode_for_user()))?;
        Ok(file)
    }

    /// As [`LogWriter::create`], with the complete content.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.create(name)?.write_all(content)
    }

    fn finish(&self) -> Result<(), BeneathError> {
        let mut files = self.kept.clone();
        for name in &self.names {
            files.extend(content(&self.dir, name, None).map(|content| (name.clone(), content)));
        }
        put(&self.dir, MARK, &files)?;
        self.dir.remove(UNFINISHED)
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // Without it the names remain listed as being written, which is also correct.
        let _ = self.finish();
    }
}

/// Writes a mark atomically.
fn put(dir: &Dir, name: &str, files: &FileDigests) -> Result<(), BeneathError> {
    let new = format!("{name}.new");
    dir.write(&new, mark::format(files).as_bytes())?;
    dir.rename(&new, name)
}

/// Digest and length in bytes of a regular file; one of another length than `expected` is not read. What is appended
/// meanwhile is not read to its end.
fn content(dir: &Dir, name: &str, expected: Option<u64>) -> Option<(Digest, u64)> {
    let file = dir.open_file(name).ok()?;
    let length = file.metadata().ok()?.len();
    if expected.is_some_and(|expected| expected != length) {
        return None;
    }
    Digest::of_reader(file.take(length.saturating_add(1))).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join("x.tests").join(name)
        }

        fn logs(&self, names: &[&str]) -> Result<LogFolder, OutputError> {
            LogFolder::new(self.folder.path(), "x.tests", names.iter().map(ToString::to_string))
        }

        fn write(&self, names: &[&str], content: &str) {
            let writing = self.logs(names).unwrap().begin().unwrap();
            names.iter().for_each(|name| writing.write(name, content.as_bytes()).unwrap());
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap()
        }

        #[track_caller]
        fn refuses(&self, names: &[&str], want: &[&str]) {
            let taken = |result: Result<(), OutputError>| match result {
                Err(OutputError::Taken { names, .. }) => names,
                other => panic!("{other:?}"),
            };
            assert_eq!(taken(self.logs(names).map(drop)), want);
            // Even if it appeared after the first check.
            let logs = LogFolder { folder: self.path(""), names: names.iter().map(ToString::to_string).collect() };
            assert_eq!(taken(logs.begin().map(drop)), want);
        }
    }

    #[test]
    fn logs_of_earlier_runs_are_replaced_and_those_of_other_tests_stay() {
        let place = Place::new();
        place.write(&["a.log", "b.log", "junit.xml"], "first");
        place.write(&["a.log", "junit.xml"], "second");
        assert_eq!(["a.log", "b.log", "junit.xml"].map(|name| place.read(name)), ["second", "first", "second"]);
        let names: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        place.write(&["b.log"], "third");
        place.write(&["a.log", "b.log"], "fourth");
        assert_eq!(place.read("b.log"), "fourth");
    }

    #[test]
    fn what_dbco_did_not_write_and_what_was_edited_is_refused_and_stays() {
        let place = Place::new();
        fs::create_dir(place.path("")).unwrap();
        fs::write(place.path("a.log"), "a diary").unwrap();
        fs::write(place.path("notes"), "notes").unwrap();
        place.refuses(&["a.log", "b.log"], &["a.log"]);
        place.write(&["b.log"], "log");
        fs::write(place.path("b.log"), "log, with remarks").unwrap();
        place.refuses(&["b.log"], &["b.log"]);
        fs::create_dir(place.path("c.log")).unwrap();
        symlink("../outside", place.path("d.log")).unwrap();
        fs::write(place.folder.path().join("outside"), "outside").unwrap();
        symlink("gone", place.path("e.log")).unwrap();
        nix::unistd::mkfifo(&place.path("f.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let all = ["a.log", "b.log", "c.log", "d.log", "e.log", "f.log"];
        place.refuses(&all, &all);
        assert_eq!(["a.log", "b.log", "notes"].map(|name| place.read(name)), ["a diary", "log, with remarks", "notes"]);
        assert_eq!(fs::read_to_string(place.folder.path().join("outside")).unwrap(), "outside");
        // One of dbco's logs that has been replaced by a link.
        place.write(&["g.log"], "outside");
        fs::remove_file(place.path("g.log")).unwrap();
        symlink("../outside", place.path("g.log")).unwrap();
        place.refuses(&["g.log"], &["g.log"]);
    }

    #[test]
    fn a_mark_of_somebody_elses_is_refused_and_stays() {
        for name in [MARK, UNFINISHED] {
            let place = Place::new();
            fs::create_dir(place.path("")).unwrap();
            for text in ["a diary", "# dbco wrote this folder.\n"] {
                fs::write(place.path(name), text).unwrap();
                place.refuses(&["a.log"], &[name]);
                assert_eq!(place.read(name), text);
            }
            fs::remove_file(place.path(name)).unwrap();
            symlink("../outside", place.path(name)).unwrap();
            place.refuses(&["a.log"], &[name]);
            fs::remove_file(place.path(name)).unwrap();
            // What a power cut may leave of one.
            fs::write(place.path(name), "").unwrap();
            place.write(&["a.log"], "log");
            assert_eq!(place.read("a.log"), "log");
        }
    }

    /// A file that it would take hours to read.
    #[test]
    fn a_wrong_length_is_told_without_reading() {
        let place = Place::new();
        place.write(&["a.log"], "log");
        File::options().write(true).open(place.path("a.log")).unwrap().set_len(1 << 40).unwrap();
        place.refuses(&["a.log"], &["a.log"]);
        place.write(&["b.log"], "log");
        assert_eq!(fs::metadata(place.path("a.log")).unwrap().len(), 1 << 40);
    }

    #[test]
    fn the_folder_is_no_link_and_no_file() {
        for make in [|path: &Path| fs::write(path, "").unwrap(), |path: &Path| symlink("elsewhere", path).unwrap()] {
            let place = Place::new();
            fs::create_dir(place.folder.path().join("elsewhere")).unwrap();
            make(&place.folder.path().join("x.tests"));
            assert!(matches!(place.logs(&["a.log"]), Err(OutputError::InTheWay { .. })));
            let logs =
                LogFolder { folder: place.folder.path().join("x.tests"), names: BTreeSet::from(["a.log".into()]) };
            assert!(matches!(logs.begin(), Err(OutputError::InTheWay { .. })));
            assert_eq!(fs::read_dir(place.folder.path().join("elsewhere")).unwrap().count(), 0);
        }
        let place = Place::new();
        for name in ["../a.log", "", "/a", ".dbco-outputs"] {
            assert!(matches!(place.logs(&[name]), Err(OutputError::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_killed_run_leaves_logs_that_the_next_ones_replace() {
        let place = Place::new();
        place.write(&["a.log", "b.log"], "first");
        let killed = |names: &[&str]| {
            let writing = place.logs(names).unwrap().begin().unwrap();
            names.iter().for_each(|name| writing.write(name, b"half").unwrap());
            // What an interruption leaves: neither the mark nor the end of the list of files being written.
            let marks = [MARK, UNFINISHED].map(|name| fs::read(place.path(name)).ok());
            drop(writing);
            for (name, mark) in [MARK, UNFINISHED].into_iter().zip(marks) {
                match mark {
                    Some(text) => fs::write(place.path(name), text).unwrap(),
                    None => fs::remove_file(place.path(name)).unwrap(),
                }
            }
        };
        killed(&["a.log"]);
        killed(&["b.log", "c.log"]);
        killed(&["d.log"]);
        place.write(&["e.log"], "whole");
        place.write(&["a.log", "b.log", "c.log", "d.log", "e.log"], "whole");
        assert_eq!(["a.log", "d.log"].map(|name| place.read(name)), ["whole", "whole"]);
        assert!(!place.path(UNFINISHED).exists());
    }

    #[test]
    fn two_do_not_write_at_once() {
        let place = Place::new();
        let writing = place.logs(&["a.log"]).unwrap().begin().unwrap();
        assert!(matches!(place.logs(&["b.log"]).unwrap().begin(), Err(OutputError::Busy(_))));
        drop(writing);
        place.write(&["b.log"], "log");
    }
}
