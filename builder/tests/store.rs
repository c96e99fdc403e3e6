//! The store with concurrent writers, and with kill -9.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dbco::digest::Digest;
use dbco::store::{Key, Output, Sharing, StepResult, Store, StoreError};

/// Tells a process of this test that it is to write into the store named here.
const WRITER: &str = "DBCO_TEST_STORE";

/// How many steps a writer records unless it is killed.
const RECORDS: usize = 60;

fn content(number: usize) -> Vec<u8> {
    number.to_string().repeat(1 + number * 37 % 20_000).into_bytes()
}

fn key(number: usize) -> Key {
    Key::new("test", 1).row("number", number)
}

/// Starts this program again as a writer, which prints a line for each recorded step.
fn writer(store: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
        .env(WRITER, store)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Not a separate test: the writer.
#[test]
#[ignore = "run by another test"]
fn write_until_killed() {
    let Some(folder) = std::env::var_os(WRITER) else { return };
    let store = Store::open(Path::new(&folder)).unwrap();
    for number in 0..RECORDS {
        let alone = store.add_bytes(&content(number)).unwrap();
        let mut batch = store.batch().unwrap();
        let mut outputs =
            BTreeMap::from([("alone".to_owned(), Output::Blob { digest: alone, size: content(number).len() as u64 })]);
        for more in 0..5 {
            let (digest, size) = batch.add(content(1000 + 5 * number + more).as_slice()).unwrap();
            outputs.insert(format!("batch {more}"), Output::Blob { digest, size });
        }
        batch.commit().unwrap();
        let result = StepResult { label: "test".into(), key: key(number), outputs, seconds: 0.0 };
        store.record(&result).unwrap();
        println!("recorded {number}");
    }
}

/// Waits for that many records; the writer continues meanwhile.
fn wait_for(writer: &mut Child, records: usize) {
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.by_ref().filter(|line| line.contains("recorded")).take(records).count(), records);
    // The rest is read to the end elsewhere, as a full pipe would stop the writer.
    std::thread::spawn(move || lines.count());
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Everything with a final name is complete, and nothing else is left once the store was opened again.
fn check(folder: &Path) -> usize {
    let store = Store::open(folder).unwrap();
    assert_eq!(files(&folder.join("tmp")), Vec::<std::path::PathBuf>::new());
    for path in files(&folder.join("blobs")) {
        let (digest, _) = Digest::of_file(&path).unwrap();
        assert_eq!(path, store.path().join("blobs").join(&digest.to_string()[..2]).join(digest.to_string()));
        assert!(fs::metadata(&path).unwrap().permissions().readonly());
    }
    let steps = files(&folder.join("steps"));
    for path in &steps {
        let key: Digest = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let result = store.result(&key).unwrap().expect("a result that is recorded is whole");
        assert_eq!(result.key.digest(), key);
    }
    steps.len()
}

#[test]
fn killing_a_writer_costs_its_work_in_hand_only() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut writer = writer(folder.path());
        wait_for(&mut writer, 3 + 7 * round);
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert!(check(folder.path()) >= 3 + 7 * round);
    }
    let mut last = writer(folder.path());
    wait_for(&mut last, RECORDS);
    assert!(last.wait().unwrap().success());
    assert_eq!(check(folder.path()), RECORDS);
}

#[test]
fn two_writers_of_the_same_share_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = [writer(folder.path()), writer(folder.path()), writer(folder.path())];
    writers.iter_mut().for_each(|writer| wait_for(writer, 5));
    // One is killed, others open the store, and sweep it, while the rest continue writing.
    writers[0].kill().unwrap();
    for _ in 0..20 {
        Store::open(folder.path()).unwrap();
    }
    assert!(!writers[0].wait().unwrap().success());
    assert!(writers[1].wait().unwrap().success());
    assert!(writers[2].wait().unwrap().success());
    assert_eq!(check(folder.path()), RECORDS);
}

#[test]
fn many_may_make_the_store_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = folder.path().to_owned();
            std::thread::spawn(move || Store::open(&path).map(drop))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    assert_eq!(fs::read_to_string(folder.path().join("format")).unwrap(), "1\n");
    fs::write(folder.path().join("format"), "99\n").unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Format { found, .. }) if found == "99"));
}

#[test]
fn a_lock_is_free_again_when_its_owner_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hold_a_lock", "--ignored", "--nocapture"])
        .env(WRITER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")));
    let store = Store::open(folder.path()).unwrap();
    let raw = fs::File::open(folder.path().join("locks/step")).unwrap();
    assert!(raw.try_lock().is_err(), "the other process holds it");
    holder.kill().unwrap();
    holder.wait().unwrap();
    drop(store.lock("step").unwrap());
}

/// Not a separate test: holds a lock until killed.
#[test]
#[ignore = "run by another test"]
fn hold_a_lock() {
    let Some(folder) = std::env::var_os(WRITER) else { return };
    let store = Store::open(Path::new(&folder)).unwrap();
    let _lock = store.lock("step").unwrap();
    println!("held");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn content_that_is_not_what_was_locked_is_not_kept() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(b"tampered").unwrap();
    let want = Digest::of("wanted");
    assert!(matches!(writer.commit_as(&want), Err(StoreError::Mismatch { .. })));
    assert!(!store.has_blob(&want) && !store.has_blob(&Digest::of("tampered")));
    assert_eq!(files(&folder.path().join("tmp")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_error_of_the_path_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file/store");
    fs::write(folder.path().join("file"), "").unwrap();
    for sharing in [Sharing::Reading, Sharing::Builds] {
        let error = Store::open_as(&path, sharing, &|| {}).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}
