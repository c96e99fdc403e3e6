//! Work that an archive must not cause for free: empty streams, chains of links. And what may follow a compressed
//! stream, as in the formats' own tools.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use dbco::archive::tar::{read_tree, unpack_to_dir};
use dbco::archive::{ArchiveError, Budget, decompress_with};
use dbco::beneath::{Dir, Links};
use dbco::process::command;
use dbco::store::Store;

const USUAL: Budget = Budget::USUAL;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut packed = xz2::write::XzEncoder::new(Vec::new(), 1);
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

type Pack = fn(&[u8]) -> Vec<u8>;

const FORMATS: [(&str, Pack); 4] = [("gzip", gzip), ("bzip2", bzip2), ("xz", xz), ("zstd", zstd)];

fn read(packed: &[u8], threads: usize, budget: &Budget) -> Result<Vec<u8>, String> {
    let stream = decompress_with(Cursor::new(packed.to_vec()), "x", threads, budget);
    let mut stream = stream.map_err(|error: ArchiveError| error.to_string())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

#[test]
fn what_stands_behind_a_stream_counts_as_for_the_formats_own_tools() {
    let zeros = |count: usize| vec![0; count];
    for (name, pack) in FORMATS {
        let one = pack(b"one\n");
        let tails = [
            (zeros(1), name == "gzip" || name == "bzip2"),
            (zeros(2), name == "gzip" || name == "bzip2"),
            (zeros(4), name != "zstd"),
            (zeros(7), name == "gzip" || name == "bzip2"),
            (zeros(512), name != "zstd"),
            (zeros(300_000), name != "zstd"),
            (b"junk".to_vec(), false),
            (b"\0\0\0\0junk".to_vec(), false),
            (one[..3].to_vec(), false),
        ];
        for (tail, taken) in tails {
            let file = [one.clone(), tail.clone()].concat();
            let shown = format!("{name} and {:?}", &tail[..tail.len().min(9)]);
            for threads in [1, 2] {
                let text = read(&file, threads, &USUAL);
                assert_eq!(text.as_deref() == Ok(b"one\n"), taken, "{shown}: {text:?}");
            }
            // The tool's own message. bzip2 accepts anything, with a warning.
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, &file).unwrap();
            let said = command(name).arg("-dc").arg(&path).output().unwrap();
            let well =
                said.status.success() && said.stderr.is_empty() || name == "bzip2" && tail.iter().all(|&b| b == 0);
            assert_eq!(well, taken, "{shown}: {said:?}");
        }
        // Concatenated streams, with padding between them only in xz.
        let two = [one.clone(), pack(b""), pack(b"two\n")].concat();
        assert_eq!(read(&two, 1, &USUAL).unwrap(), b"one\ntwo\n", "{name}");
        let apart = [one.clone(), zeros(4), pack(b"two\n")].concat();
        assert_eq!(read(&apart, 1, &USUAL).is_ok(), name == "xz", "{name}");
    }
    // RFC 8878, section 3.1.2: skippable frames, also as the first one.
    let skipped = b"\x5f\x2a\x4d\x18\x03\0\0\0abc";
    let one = zstd(b"one\n");
    for file in [[skipped, &one[..]].concat(), [&one[..], skipped].concat(), [skipped, &one[..], skipped].concat()] {
        assert_eq!(read(&file, 1, &USUAL).unwrap(), b"one\n");
    }
}

#[test]
fn a_padded_archive_is_whole_and_one_with_more_behind_it_is_not() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    builder.append_data(&mut header, "a", &b"x\n"[..]).unwrap();
    let archive = builder.into_inner().unwrap();
    for (name, pack) in &FORMATS[..3] {
        for (tail, taken) in [(vec![0; 512], true), (b"PK".to_vec(), false)] {
            let packed = [pack(&archive), tail].concat();
            let folder = tempfile::tempdir().unwrap();
            let place = Dir::open(folder.path(), Links::Never).unwrap();
            let stream = decompress_with(Cursor::new(packed), "x.tar", 1, &USUAL).unwrap();
            let result = unpack_to_dir(stream, "x.tar", &USUAL, &place);
            assert_eq!(result.is_ok(), taken, "{name}: {result:?}");
            if let Err(error) = result {
                assert!(!error.to_string().contains("truncated"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn streams_are_counted_also_those_that_hold_nothing() {
    let few = Budget { streams: 100, ..USUAL };
    for (name, pack) in &FORMATS[..3] {
        for text in [&b""[..], b"x"] {
            let file = pack(text).repeat(101);
            let error = read(&file, 1, &few).unwrap_err();
            assert!(error.contains("more than 100 compressed streams"), "{name}: {error}");
            assert!(error.contains("`limits: {streams: …}`"), "{name}: {error}");
            assert_eq!(read(&file, 1, &Budget { streams: 101, ..few }).unwrap().len(), 101 * text.len(), "{name}");
        }
    }
    assert!(read(&zstd(b"x").repeat(101), 1, &few).is_ok(), "frames cost no more than their bytes");
}

/// An archive with a chain of links, each of which has `parts` components (an odd number), followed by that many empty
/// files.
fn chain(links: usize, parts: usize, files: usize) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, name: &str, target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o755);
        header.set_entry_type(kind);
        match target {
            "" => builder.append_data(&mut header, name, &b""[..]).unwrap(),
            target => builder.append_link(&mut header, name, target).unwrap(),
        }
    };
    add(tar::EntryType::Directory, "l0", "");
    add(tar::EntryType::Directory, "other", "");
    for number in 1..=links {
        let target = "other/../".repeat(parts / 2) + &format!("l{}", number - 1);
        add(tar::EntryType::Symlink, &format!("l{number}"), &target);
    }
    for number in 0..files {
        // In another folder each time, so that none is cached.
        add(tar::EntryType::Regular, &format!("l{links}/{number}"), "");
        add(tar::EntryType::Regular, &format!("other/{number}"), "");
    }
    builder.into_inner().unwrap()
}

#[test]
fn links_on_the_way_are_counted_over_the_whole_archive() {
    let unpack = |archive: &[u8], budget: &Budget| {
        let folder = tempfile::tempdir().unwrap();
        let place = Dir::open(folder.path(), Links::Never).unwrap();
        unpack_to_dir(archive, "x.tar", budget, &place).map_err(|error| error.to_string())?;
        Ok::<_, String>(std::fs::read_dir(folder.path().join("l0")).unwrap().count())
    };
    for (links, parts, files) in [(1, 1, 50), (5, 11, 20), (40, 101, 3)] {
        let archive = chain(links, parts, files);
        let needed = (links * parts * files) as u64;
        assert_eq!(unpack(&archive, &Budget { links: needed, ..USUAL }).unwrap(), files);
        let error = unpack(&archive, &Budget { links: needed - 1, ..USUAL }).unwrap_err();
        let what = format!("symbolic links expand to more than {} path components in total", needed - 1);
        assert!(error.contains(&what) && error.contains("`limits: {links: …}`"), "{error}");
    }
    // What would take minutes is stopped before that.
    let error = unpack(&chain(40, 801, 1000), &USUAL).unwrap_err();
    assert!(error.contains("more than 1000000 path components"), "{error}");
}

#[test]
fn no_link_has_a_text_that_no_system_could_hold() {
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
        let long = "x/".repeat(2048);
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("linkpath", long.as_bytes())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_entry_type(kind);
        header.set_path("link").unwrap();
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
        let archive = builder.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut batch = Store::open(&folder.path().join("store")).unwrap().batch().unwrap();
        let error = read_tree(archive.as_slice(), "x.tar", &USUAL, &mut batch).unwrap_err().to_string();
        assert!(error.contains("a link with a target of more than 4095 bytes"), "{error}");
        let place = Dir::open(Path::new(folder.path()), Links::Never).unwrap();
        assert!(unpack_to_dir(archive.as_slice(), "x.tar", &USUAL, &place).is_err());
    }
}
