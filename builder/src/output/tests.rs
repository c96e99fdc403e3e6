//! The treatment of an output folder, depending on its content.

use std::fs::File;
use std::os::unix::fs::symlink;

use super::*;

struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        Self { folder, store }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out/small")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.out().join(name)
    }

    fn products(&self, files: &[(&str, &str)]) -> FileDigests {
        let add = |(name, text): &(&str, &str)| {
            (name.to_string(), (self.store.add_bytes(text.as_bytes()).unwrap(), text.len() as u64))
        };
        files.iter().map(add).collect()
    }

    fn target(&self, overwrite: bool) -> Result<OutputFolder, OutputError> {
        OutputFolder::new(&self.folder.path().join("out"), "small", overwrite, &self.store)
    }

    fn try_put(&self, files: &[(&str, &str)], overwrite: bool) -> Result<WriteReport, OutputError> {
        self.target(overwrite)?.put(&self.products(files), &self.store)
    }

    fn put(&self, files: &[(&str, &str)]) -> WriteReport {
        self.try_put(files, false).unwrap()
    }

    /// The error of a build that finds the folder in its current state; the build must not change anything.
    #[track_caller]
    fn refused(&self) -> String {
        let before = snapshot(&self.folder.path().join("out"));
        let error = self.try_put(&[("a", "new")], false).unwrap_err();
        assert_eq!(snapshot(&self.folder.path().join("out")), before);
        error.to_string()
    }

    /// The entries beside the folder.
    fn beside(&self) -> Vec<String> {
        names(&self.folder.path().join("out"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All paths below a folder, with the content of files and the targets of links.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for name in names(folder) {
        let path = folder.join(name);
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            all.push((path.clone(), Vec::new()));
            all.extend(snapshot(&path));
        } else if metadata.is_symlink() {
            all.push((path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
        } else {
            all.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    all
}

#[test]
fn the_folder_is_replaced_whole_and_nothing_is_left_beside_it() {
    let place = Place::new();
    assert!(!place.put(&[("a", "1"), ("b", "2")]).unchanged);
    assert_eq!(names(&place.out()), [MARK, SUMS, "a", "b"]);
    place.put(&[("a", "3")]);
    assert_eq!(names(&place.out()), [MARK, SUMS, "a"]);
    assert_eq!(fs::read_to_string(place.file("a")).unwrap(), "3");
    assert_eq!(place.beside(), ["small"]);
}

#[test]
fn the_same_is_unchanged_and_what_is_missing_is_written_again() {
    let place = Place::new();
    let files = [("a", "1"), ("b", "2")];
    place.put(&files);
    assert!(place.put(&files).unchanged);
    for name in ["a", SUMS, MARK] {
        fs::remove_file(place.file(name)).unwrap();
        if name == MARK {
            // Its list of digests and the store identify it as dbco's.
            assert!(place.target(false).is_ok());
        }
        let report = place.put(&files);
        assert!(!report.unchanged && report.kept.is_none(), "{name}");
        assert!(place.put(&files).unchanged, "{name}");
    }
    fs::remove_dir_all(place.out()).unwrap();
    fs::create_dir(place.out()).unwrap();
    assert!(!place.put(&files).unchanged, "an empty folder is filled");
}

#[test]
fn what_others_wrote_is_refused_by_its_name_and_stays() {
    type Case = (&'static str, fn(&Path));
    let cases: [Case; 8] = [
        ("`mine`", |out| fs::write(out.join("mine"), "x").unwrap()),
        ("`thesis`", |out| fs::create_dir(out.join("thesis")).unwrap()),
        ("`thesis`", |out| {
            fs::create_dir(out.join("thesis")).unwrap();
            fs::write(out.join("thesis/text"), "years of work").unwrap();
            let sums = fs::read_to_string(out.join(SUMS)).unwrap();
            fs::write(out.join(SUMS), sums + "0  thesis\n").unwrap();
        }),
        ("`.hidden`", |out| fs::write(out.join(".hidden"), "x").unwrap()),
        ("`.dbco-mine`", |out| fs::write(out.join(".dbco-mine"), "x").unwrap()),
        ("`link`", |out| symlink("/etc", out.join("link")).unwrap()),
        ("`.dbco-outputs`", |out| fs::write(out.join(MARK), "a diary").unwrap()),
        ("`a\\u{1b}[2J`", |out| fs::write(out.join("a\u{1b}[2J"), "x").unwrap()),
    ];
    for (name, disturb) in cases {
        let place = Place::new();
        place.put(&[("a", "1")]);
        disturb(&place.out());
        let error = place.refused();
        assert!(error.contains(name) && error.contains("--output"), "{name}: {error}");
        // --overwrite does not touch it either.
        assert!(place.try_put(&[("a", "new")], true).is_err(), "{name}");
    }
}

#[test]
fn a_folder_of_somebody_elses_with_sums_that_fit_is_not_ours() {
    let place = Place::new();
    fs::create_dir_all(place.out()).unwrap();
    fs::write(place.file("debian-12.iso"), "an image").unwrap();
    fs::write(place.file(SUMS), format!("{}  debian-12.iso\n", Digest::of("an image"))).unwrap();
    assert!(place.refused().contains("`debian-12.iso`"));
    // A folder with a list of digests that matches nothing, or of nothing.
    for sums in ["", "0  debian-12.iso\n", "../x\n"] {
        fs::write(place.file(SUMS), sums).unwrap();
        assert!(place.refused().contains("`debian-12.iso`"), "{sums}");
    }
}

#[test]
fn a_folder_of_a_version_without_marks_is_taken_over() {
    let place = Place::new();
    let files = [("a", "1"), ("b", "2")];
    let old = |place: &Place| {
        place.put(&files);
        fs::remove_file(place.file(MARK)).unwrap();
    };
    old(&place);
    assert!(!place.put(&[("a", "3")]).unchanged);
    assert_eq!(names(&place.out()), [MARK, SUMS, "a"]);
    // Not one that was edited, holds more, or whose content is nowhere else.
    let disturbances: [fn(&Place); 3] = [
        |place| fs::write(place.file("b"), "3").unwrap(),
        |place| fs::write(place.file("c"), "3").unwrap(),
        |place| fs::remove_file(place.store.blob_path(&Digest::of("2"))).unwrap(),
    ];
    for disturb in disturbances {
        let place = Place::new();
        old(&place);
        disturb(&place);
        assert!(place.refused().contains("no valid `.dbco-outputs`"));
    }
}

#[test]
fn what_is_in_the_folders_place_is_refused() {
    let place = Place::new();
    fs::write(place.out(), "a file").unwrap();
    assert!(place.refused().contains("is a file"));
    fs::remove_file(place.out()).unwrap();
    let elsewhere = place.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, place.out()).unwrap();
    assert!(place.refused().contains("is a symbolic link"));
}

#[test]
fn edited_outputs_are_refused_by_name_or_kept_by_flag() {
    type Case = fn(&Path);
    let cases: [Case; 5] = [
        |path| fs::write(path, "x").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, "much longer than before").unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            symlink("/etc/passwd", path).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
            fs::write(path.join("inside"), "mine").unwrap();
        },
    ];
    for (number, edit) in cases.into_iter().enumerate() {
        let place = Place::new();
        place.put(&[("a", "1"), ("b", "2")]);
        edit(&place.file("b"));
        let error = place.refused();
        assert!(error.contains("`b` changed") && error.contains("--overwrite"), "{number}: {error}");
        assert!(place.try_put(&[("a", "1"), ("b", "2")], false).is_err(), "the recipe is the same: {number}");
        let edited = snapshot(&place.out()).into_iter().filter(|(path, _)| path.starts_with(place.file("b")));
        let edited: Vec<_> = edited.map(|(_, content)| content).collect();
        let report = place.try_put(&[("a", "1"), ("b", "2")], true).unwrap();
        let kept = report.kept.unwrap();
        assert_eq!(place.beside(), ["small", "small.edited"]);
        assert_eq!(names(&kept), ["b"]);
        assert_eq!(snapshot(&kept).into_iter().map(|(_, content)| content).collect::<Vec<_>>(), edited);
        assert!(place.put(&[("a", "1"), ("b", "2")]).unchanged);
        // What is kept is no longer dbco's.
        edit(&place.file("a"));
        place.try_put(&[("a", "1")], true).unwrap();
        assert_eq!(place.beside(), ["small", "small.edited", "small.edited.2"]);
    }
}

#[test]
fn an_edit_that_keeps_length_and_time_is_seen() {
    let place = Place::new();
    place.put(&[("a", "1")]);
    let mut target = place.target(false).unwrap();
    let file = File::options().write(true).open(place.file("a")).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    std::io::Write::write_all(&mut &file, b"2").unwrap();
    file.set_modified(time).unwrap();
    let products = place.products(&[("a", "1")]);
    assert!(matches!(target.put(&products, &place.store), Err(OutputError::Edited { .. })));
}

/// Files that would take hours to read.
#[test]
fn a_wrong_length_is_told_without_reading() {
    let place = Place::new();
    let files = [("a", "1"), ("b", "2")];
    place.put(&files);
    let long = |path: &Path| File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
    let refused = || place.try_put(&[("a", "new")], false).unwrap_err().to_string();
    long(&place.file("b"));
    assert!(refused().contains("`b` changed"));
    assert!(place.try_put(&files, true).unwrap().kept.is_some());
    // Nor in a folder left by an interrupted writer, or written by a version without marks.
    let left = place.folder.path().join("out/.dbco-outputs-left");
    fs::rename(place.folder.path().join("out/small.edited"), &left).unwrap();
    fs::copy(place.file(MARK), left.join(MARK)).unwrap();
    assert!(place.put(&files).unchanged);
    assert_eq!(fs::metadata(left.join("b")).unwrap().len(), 1 << 40);
    fs::remove_file(place.file(MARK)).unwrap();
    long(&place.file("b"));
    assert!(refused().contains("no valid `.dbco-outputs`"));
    // Nor files of somebody else's that the store has never held.
    for file in [File::create(place.file("a")).unwrap(), File::create(place.file("b")).unwrap()] {
        file.set_len(1 << 40).unwrap();
    }
    fs::write(place.file(SUMS), ["a", "b"].map(|name| format!("{}  {name}\n", Digest::of(name))).concat()).unwrap();
    assert!(refused().contains("no valid `.dbco-outputs`"));
}

#[test]
fn what_comes_into_the_folder_during_the_build_is_seen() {
    let place = Place::new();
    place.put(&[("a", "1")]);
    let mut target = place.target(false).unwrap();
    fs::write(place.file("notes"), "mine").unwrap();
    let products = place.products(&[("a", "2")]);
    assert!(matches!(target.put(&products, &place.store), Err(OutputError::Foreign { .. })));
    // Even in the moment before the exchange.
    let fresh = StagingFolder::fill(&place.folder.path().join("out"), &products, &place.store).unwrap();
    let kept = fresh.move_into_place(&mut target.looker, &place.store).unwrap().unwrap();
    assert_eq!(fs::read_to_string(kept.join("notes")).unwrap(), "mine");
    assert_eq!(names(&place.out()), [MARK, SUMS, "a"]);
}

#[test]
fn what_a_killed_writer_left_is_swept_and_no_more() {
    let place = Place::new();
    let out = place.folder.path().join("out");
    let products = place.products(&[("a", "1"), ("b", "2")]);
    place.put(&[("a", "1"), ("b", "2")]);
    let all = fs::read(place.file(MARK)).unwrap();
    let left = |name: &str, files: &[(&str, &[u8])]| {
        let folder = out.join(format!(".dbco-outputs-{name}"));
        fs::create_dir(&folder).unwrap();
        files.iter().for_each(|(file, content)| fs::write(folder.join(file), content).unwrap());
    };
    left("empty", &[]);
    left("begun", &[(mark::UNFINISHED, &all)]);
    left("half", &[(mark::UNFINISHED, &all), ("a", b"1"), ("b", b"")]);
    left("done", &[(mark::UNFINISHED, &all), (MARK, &all), ("a", b"1"), ("b", b"2")]);
    left("finished", &[(MARK, &all), ("a", b"1"), ("b", b"2")]);
    left("replaced", &[(MARK, &all), ("b", b"2")]);
    // Foreign or edited files.
    left("diary", &[("diary", b"dear")]);
    left("unmarked", &[("a", b"1")]);
    left("foreign", &[(MARK, &all), ("a", b"1"), ("notes", b"mine")]);
    left("edited", &[(MARK, &all), ("a", b"my own")]);
    fs::create_dir(out.join(".dbco-notes")).unwrap();
    fs::write(out.join(".dbco-notes/diary"), "dear").unwrap();
    fs::write(out.join(".dbco-outputs-file"), "mine").unwrap();
    symlink(".dbco-notes", out.join(".dbco-outputs-link")).unwrap();
    // A folder that is being filled at the moment.
    let fresh = StagingFolder::fill(&out, &products, &place.store).unwrap();
    assert!(place.put(&[("a", "1"), ("b", "2")]).unchanged, "it is swept where there is nothing to do, too");
    let mut left = place.beside();
    left.retain(|name| name.len() < ".dbco-outputs-".len() + 12);
    let ours = [
        ".dbco-notes",
        ".dbco-outputs-diary",
        ".dbco-outputs-edited",
        ".dbco-outputs-file",
        ".dbco-outputs-foreign",
        ".dbco-outputs-link",
        ".dbco-outputs-unmarked",
        "small",
    ];
    assert_eq!(left, ours);
    assert_eq!(fs::read_to_string(out.join(".dbco-outputs-edited/a")).unwrap(), "my own");
    assert_eq!(fs::read_to_string(out.join(".dbco-outputs-foreign/notes")).unwrap(), "mine");
    assert_eq!(place.beside().len(), ours.len() + 1);
    drop(fresh);
    assert_eq!(place.beside(), ours);
}

#[test]
fn who_has_the_old_folder_open_keeps_it_whole() {
    let place = Place::new();
    place.put(&[("a", "1")]);
    let mut old = File::open(place.file("a")).unwrap();
    place.put(&[("a", "2")]);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut old, &mut text).unwrap();
    assert_eq!(text, "1");
}

#[test]
fn what_can_not_be_written_leaves_the_old_folder_as_it_was() {
    let place = Place::new();
    place.put(&[("a", "1")]);
    let products = place.products(&[("a", "2"), ("b", "3")]);
    let blob = place.store.blob_path(&products["b"].0);
    fs::remove_file(&blob).unwrap();
    for damage in ["4", "", "33"] {
        fs::write(&blob, damage).unwrap();
        let error = place.target(false).unwrap().put(&products, &place.store).unwrap_err();
        assert!(matches!(error, OutputError::Store(StoreError::Damaged { .. })), "{error}");
        assert!(!blob.exists());
    }
    assert!(place.target(false).unwrap().put(&products, &place.store).is_err());
    assert!(place.put(&[("a", "1")]).unchanged);
    assert_eq!(place.beside(), ["small"]);
}

#[test]
fn only_single_components_are_names() {
    let place = Place::new();
    for name in ["", ".", "..", "../x", "/abs", "a/b", "a\n", ".dbco-outputs"] {
        let error = OutputFolder::new(place.folder.path(), name, false, &place.store).unwrap_err();
        assert!(matches!(error, OutputError::Name(_)), "{name}");
        let products = FileDigests::from([(name.to_owned(), (Digest::of(""), 0))]);
        assert!(matches!(place.target(false).unwrap().put(&products, &place.store), Err(OutputError::Name(_))));
    }
    assert_eq!(place.beside(), Vec::<String>::new());
}

#[test]
fn two_writers_of_one_folder_leave_the_whole_of_one() {
    let place = Place::new();
    let texts: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    let all: Vec<FileDigests> = texts.iter().map(|text| place.products(&[("a", text), ("b", text)])).collect();
    std::thread::scope(|scope| {
        for products in &all {
            let place = &place;
            scope.spawn(move || place.target(false).unwrap().put(products, &place.store).unwrap());
        }
    });
    assert_eq!(fs::read(place.file("a")).unwrap(), fs::read(place.file("b")).unwrap());
    assert!(place.target(false).is_ok());
    assert_eq!(place.beside(), ["small"]);
}
