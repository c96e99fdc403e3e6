//! Budgets of an archive: the error of each names the key that raises it, and raising it is enough.

use std::io::{Cursor, Write, copy, sink};
use std::path::Path;

use dbco::archive::tar::{read_tree, unpack_to_dir};
use dbco::archive::{ArchiveError, Budget, decompress_with};
use dbco::beneath::{Dir, Links};
use dbco::store::Store;

const USUAL: Budget = Budget::USUAL;

/// An archive of empty files, each with an extended attribute of the given number of bytes.
fn archive(names: &[String], attribute: usize) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in names {
        if attribute > 0 {
            let value = vec![b'x'; attribute];
            builder.append_pax_extensions([("SCHILY.xattr.user.a", value.as_slice())]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &b""[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn budgets_of_entries_depth_and_headers() {
    let numbers = |count: u32| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
    let deep = |depth: usize| archive(&[format!("{}f", "d/".repeat(depth))], 0);
    let few = Budget { entries: 9, ..USUAL };
    let shallow = Budget { depth: 2, ..USUAL };
    let bare = Budget { headers: 10_000, ..USUAL };
    for (archive, budget, raised, what, key) in [
        (
            archive(&numbers(80), 1_000_000),
            USUAL,
            Budget { headers: 128 << 20, ..USUAL },
            "more than 67108864 bytes in total",
            "headers",
        ),
        (archive(&numbers(3), 5_000), bare, Budget { headers: 20_000, ..bare }, "more than 10000 bytes", "headers"),
        (deep(300), USUAL, Budget { depth: 301, ..USUAL }, "more than 256 deep", "depth"),
        (deep(2), shallow, Budget { depth: 3, ..shallow }, "more than 2 deep", "depth"),
        (archive(&numbers(10), 0), few, Budget { entries: 10, ..few }, "more than 9 entries", "entries"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = Store::open(&folder.path().join("store")).unwrap().batch().unwrap();
        let error = read_tree(archive.as_slice(), "x.tar", &budget, &mut batch).expect_err(what).to_string();
        assert!(error.starts_with("x.tar is rejected: ") && error.contains(what), "{error}");
        assert!(error.contains(&format!("`limits: {{{key}: …}}`")), "{error}");
        read_tree(archive.as_slice(), "x.tar", &raised, &mut batch).unwrap();
        let place = Dir::open(folder.path(), Links::Never).unwrap().make_dir("to").unwrap();
        let error = unpack_to_dir(archive.as_slice(), "x.tar", &budget, &place).expect_err(what).to_string();
        assert!(error.contains(what) && error.contains(key), "{error}");
    }
}

fn read(packed: &[u8], budget: &Budget) -> Result<u64, String> {
    let stream = decompress_with(Cursor::new(packed.to_vec()), "x", 1, budget);
    let mut stream = stream.map_err(|error: ArchiveError| error.to_string())?;
    copy(&mut stream, &mut sink()).map_err(|error| error.to_string())
}

#[test]
fn a_stream_keeps_to_its_budget_in_every_format() {
    let text = vec![b'x'; 3 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&text).unwrap();
    let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&text).unwrap();
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zstd.window_log(20).unwrap();
    zstd.write_all(&text).unwrap();
    let (xz, zstd) = (xz.finish().unwrap(), zstd.finish().unwrap());
    for packed in [gzip.finish().unwrap(), bzip2.finish().unwrap(), xz.clone(), zstd.clone(), text.clone()] {
        let exact = Budget { unpacked: text.len() as u64, ..USUAL };
        assert_eq!(read(&packed, &exact).unwrap(), text.len() as u64);
        let error = read(&packed, &Budget { unpacked: exact.unpacked - 1, ..exact }).unwrap_err();
        assert!(error.contains("unpacks to more than 3145727 bytes"), "{error}");
        assert!(error.contains("`limits: {unpacked: …}`"), "{error}");
    }
    // `xz -1` has a dictionary of 1 MiB, and this zstd window has the same size.
    for packed in [xz, zstd] {
        let error = read(&packed, &Budget { memory: 1 << 19, ..USUAL }).unwrap_err();
        let key = error.contains("`limits: {memory: …}`");
        assert!(error.contains("more than 524288 bytes of memory") && key, "{error}");
    }
}

#[test]
fn a_stream_that_grows_too_much_is_ended() {
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..1040 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let packed = packed.finish().unwrap();
    let error = read(&packed, &USUAL).unwrap_err();
    assert!(error.contains("it unpacks to more than 1073741824 bytes"), "{error}");
    assert!(
        error.contains("more than 250 times its size; if this is expected, raise the limit with `limits: {ratio: …}`"),
        "{error}"
    );
    assert_eq!(read(&packed, &Budget { ratio: 1_000_000, ..USUAL }).unwrap(), 1040 << 20);
}

/// An entry of a project's folder that is not a regular file is rejected, without blocking.
#[test]
fn a_pipe_or_a_device_is_no_content() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [fifo.as_path(), Path::new("/dev/zero"), Path::new("/dev/tty"), folder.path()] {
        assert!(dbco::digest::Digest::of_file(path).is_err(), "{}", path.display());
    }
}
