//! Compressed archives and Debian packages: what whole ones hold, and early ends, damage and other formats as errors.

#[path = "project/ar.rs"]
mod ar;
mod tars;

use std::io::{Read, Write};

use ar::ar;
use dbco::archive::tar::read_tree;
use dbco::archive::{ArchiveError, ahead, deb, decompress, decompress_with};
use dbco::store::Store;
use dbco::tree::Tree;
use tar::EntryType;
use tars::{Tar, USUAL};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = xz2::write::XzEncoder::new(Vec::new(), 0);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
    out.include_checksum(true).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A compressor, by name.
type Compressor = (&'static str, fn(&[u8]) -> Vec<u8>);

const COMPRESSORS: [Compressor; 4] = [("gzip", gzip), ("xz", xz), ("bzip2", bzip2), ("zstd", zstd)];

/// Bytes that no compressor makes much smaller.
fn noise(count: u32) -> Vec<u8> {
    (0..count).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes()).collect()
}

#[test]
fn several_streams_in_one_file_are_all_read() {
    let (one, two) = (noise(40_000), noise(70_000));
    for (name, compress) in COMPRESSORS {
        for threads in [1, 4] {
            let both = [compress(&one), compress(&two)].concat();
            let mut out = Vec::new();
            let stream = decompress_with(std::io::Cursor::new(both), name, threads, &USUAL).unwrap();
            ahead(stream).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == [one.clone(), two.clone()].concat(), "{name}, {threads} threads");
        }
    }
    // Streams of an xz file may be padded with zeros, four at a time.
    let padded = [xz(&one), vec![0; 8], xz(&two), vec![0; 4]].concat();
    let mut out = Vec::new();
    decompress(padded.as_slice(), "padded", &USUAL).unwrap().read_to_end(&mut out).unwrap();
    assert!(out == [one, two].concat());
}

#[test]
fn what_is_not_compressed_is_passed_on() {
    for bytes in [&b""[..], b"x", b"BZ", b"plain text"] {
        let mut out = Vec::new();
        decompress(bytes, "plain", &USUAL).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, bytes);
    }
}

fn read_compressed(bytes: Vec<u8>) -> Result<Tree, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Store::open(folder.path()).unwrap().batch().unwrap();
    read_tree(decompress(std::io::Cursor::new(bytes), "x.tar", &USUAL)?, "x.tar", &USUAL, &mut batch)
}

#[test]
fn an_early_end_is_told_wherever_it_is() {
    let content = noise(5000);
    let plain = Tar::default().add(EntryType::Regular, "first", "", 0o644, &content).file("second", "2").end();
    // In a header, in content, in padding, between members, and without the end mark.
    for cut in [700, 512 + 3000, 512 + content.len() + 1, 512 + content.len().next_multiple_of(512), plain.len() - 1024]
    {
        let error = read_compressed(plain[..cut].to_vec()).expect_err("cut");
        assert!(matches!(error, ArchiveError::Truncated { .. }), "at {cut}: {error:?}");
    }
    for (name, compress) in COMPRESSORS {
        let whole = compress(&plain);
        // The last bytes are the compressed stream's checksum; they count although the tar archive has ended.
        for cut in [whole.len() / 2, whole.len() - 1] {
            let error = read_compressed(whole[..cut].to_vec()).expect_err(name);
            let text = error.to_string();
            assert!(matches!(error, ArchiveError::Truncated { .. }), "{name} at {cut}: {error:?}");
            assert!(text.contains("x.tar is truncated: it ends inside"), "{text}");
        }
    }
}

#[test]
fn damage_is_told() {
    // More than one block of bzip2's, whose checksum comes after the content.
    let content = noise(60_000);
    let plain = Tar::default().add(EntryType::Regular, "first", "", 0o644, &content).file("second", "2").end();
    for (name, compress) in COMPRESSORS {
        let mut bytes = compress(&plain);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        let error = read_compressed(bytes).expect_err(name);
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{name}: {error:?}");
    }
    let mut bytes = plain.clone();
    bytes[512 + content.len().next_multiple_of(512) + 3] ^= 1;
    let error = read_compressed(bytes).expect_err("second header");
    assert!(error.to_string().contains("checksum is wrong"), "{error}");
    let long = Tar::default().add(EntryType::XHeader, "x", "", 0, b"99 path=a\n").file("a", "").end();
    assert!(matches!(read_compressed(long), Err(ArchiveError::Damaged { .. })));
}

#[test]
fn what_is_no_archive_is_told() {
    for bytes in [b"".to_vec(), b"<html>not found</html>".to_vec(), gzip(b"text"), noise(1000)] {
        let error = read_compressed(bytes).expect_err("no archive");
        assert_eq!(error.to_string(), "x.tar is not a tar archive");
    }
    for bytes in [&b""[..], b"!<ar", b"<html>not found, really not</html>"] {
        let error = deb::data(bytes, "x.deb", 1, &USUAL).err().expect("no package");
        assert_eq!(error.to_string(), "x.deb is not a Debian package");
    }
}

#[test]
fn a_debian_package_gives_its_control_and_its_data() {
    for (suffix, compress) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("xz", xz), ("zst", zstd), ("", |b| b.to_vec())] {
        let control = Tar::default().dir("./").file("./control", "Package: x\n").file("./md5sums", "0 x").end();
        let data = Tar::default().dir("./").file("./usr/bin/x", "x").end();
        let dot = if suffix.is_empty() { "" } else { "." };
        let bytes = ar(&[
            ("debian-binary", b"2.0\n".to_vec()),
            (&format!("control.tar{dot}{suffix}"), compress(&control)),
            ("_extra", b"odd".to_vec()),
            (&format!("data.tar{dot}{suffix}"), compress(&data)),
        ]);
        let files = deb::control(bytes.as_slice(), "x.deb", &USUAL).unwrap();
        assert_eq!(files["control"], b"Package: x\n");
        assert_eq!(files.len(), 2);
        let mut out = Vec::new();
        deb::data(bytes.as_slice(), "x.deb", 1, &USUAL).unwrap().read_to_end(&mut out).unwrap();
        assert!(out == data);

        for cut in [70, 200, bytes.len() - 2] {
            let read = || -> Result<Tree, ArchiveError> {
                let folder = tempfile::tempdir().unwrap();
                let mut batch = Store::open(folder.path())?.batch()?;
                read_tree(deb::data(&bytes[..cut], "x.deb", 1, &USUAL)?, "x.deb", &USUAL, &mut batch)
            };
            let error = read().expect_err("cut");
            assert!(matches!(error, ArchiveError::Truncated { .. }), "{suffix} at {cut}: {error:?}");
        }
    }
}

/// As specified in deb(5), and read by dpkg-deb.
#[test]
fn a_debian_packages_members_have_their_order() {
    let tar = Tar::default().dir("./").end();
    let version = || ("debian-binary", b"2.0\n".to_vec());
    let (control, data) = (("control.tar", tar.clone()), ("data.tar", tar.clone()));
    let read = |members: &[(&str, Vec<u8>)]| {
        let bytes = ar(members);
        deb::data(bytes.as_slice(), "x.deb", 1, &USUAL).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(read(&[version(), control.clone(), data.clone()]), Ok(()));
    assert_eq!(read(&[("debian-binary", b"2.12\nmore\n".to_vec()), control.clone(), data.clone()]), Ok(()));
    for (members, words) in [
        (vec![version(), data.clone(), control.clone()], "found `data.tar`, expected `control.tar`"),
        (vec![version(), control.clone(), control.clone(), data.clone()], "found `control.tar`, expected `data.tar`"),
        (vec![version(), control.clone(), ("data.tar.odd", tar.clone())], "found `data.tar.odd`, expected"),
        (vec![version(), control.clone(), ("database", tar.clone())], "found `database`, expected"),
        (vec![version(), control.clone(), ("data.tar//", tar.clone())], "found `data.tar/`, expected"),
        (vec![("debian-binary", b"2.x\n".to_vec()), control.clone(), data.clone()], "its format version is `2.x`"),
        (vec![("debian-binary", b"2.0".to_vec()), control.clone(), data.clone()], "its format version is `2.0`"),
        // The padding byte after an odd length is ignored, whatever it is.
        (
            vec![("debian-binary", b"2.0\n\xc3\xa9".to_vec()), data.clone(), control.clone()],
            "found `data.tar`, expected",
        ),
        (vec![data, version(), control], "is not a Debian package"),
    ] {
        let said = read(&members).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    // A number consists only of digits.
    let mut bytes = ar(&[version()]);
    bytes[8 + 48..8 + 58].copy_from_slice(b"+4        ");
    assert!(deb::data(bytes.as_slice(), "x.deb", 1, &USUAL).is_err());
}
