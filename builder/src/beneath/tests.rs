//! Every kind of link and special file, with the kernel's lookup and with the walk.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

/// A folder `in` beside a file `secret` that must not be reachable from it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(place.inside("a/b")).unwrap();
        fs::write(place.secret(), "secret").unwrap();
        fs::write(place.inside("a/b/file"), "content").unwrap();
        mkfifo(&place.inside("pipe"), Mode::S_IRWXU).unwrap();
        for (name, target) in [
            ("absolute", place.secret().to_str().unwrap()),
            ("climbing", "../secret"),
            ("a/b/climbing", "../../../secret"),
            ("to-pipe", "pipe"),
            ("to-zero", "/dev/zero"),
            ("dangling", "nowhere"),
            ("round", "round"),
            ("up", ".."),
            ("within", "a/b"),
            ("twice", "within/file"),
            ("a/back", "../a/b/file"),
        ] {
            symlink(target, place.inside(name)).unwrap();
        }
        place
    }

    fn secret(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.folder.path().join("in").join(path)
    }

    /// The folder, with both ways of path lookup.
    fn dirs(&self, links: Links) -> [Dir; 2] {
        [true, false].map(|kernel| Dir { kernel, ..Dir::open(&self.inside(""), links).unwrap() })
    }
}

/// An error and its cause.
fn words(error: &BeneathError) -> String {
    format!("{error}: {}", error.refusal)
}

const ESCAPES: [(&str, &str); 7] = [
    ("absolute", "a link to `/"),
    ("climbing", "a link to `../secret`"),
    ("a/b/climbing", "a link to `../../../secret`"),
    ("to-zero", "a link to `/dev/zero`"),
    ("up/secret", "a link to `..`"),
    ("within/climbing", "a link to `"),
    ("round", "a link to `round`"),
];

#[test]
fn nothing_outside_is_read_and_the_error_names_path_and_link() {
    let place = Place::new();
    for dir in [Links::Within, Links::Never].into_iter().flat_map(|links| place.dirs(links)) {
        for (path, why) in ESCAPES {
            let error = dir.read(path, 100).expect_err(path);
            assert!(words(&error).starts_with(&format!("can't read `{path}`: ")), "{}", words(&error));
            assert!(words(&error).contains(why), "{}", words(&error));
            assert!(dir.open_file(path).is_err() && !dir.has_file(path), "{path}");
        }
        let error = dir.read("../secret", 100).expect_err("it climbs");
        assert!(words(&error).contains("`..`"), "{}", words(&error));
    }
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_read() {
    let place = Place::new();
    fs::create_dir(place.inside("folder")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(place.inside("socket")).unwrap();
    for dir in place.dirs(Links::Within) {
        for (path, what) in [
            ("pipe", "a named pipe"),
            ("to-pipe", "a named pipe"),
            ("folder", "a folder"),
            ("within", "a folder"),
            ("socket", "a socket"),
        ] {
            for error in [dir.read(path, 100).expect_err(path), dir.open_file(path).map(drop).expect_err(path)] {
                assert!(words(&error).ends_with(&format!("it is {what}, expected a regular file")), "{error:?}");
            }
        }
        assert!(dir.read("missing", 1).expect_err("it is missing").is_missing());
        let error = dir.read("dangling", 1).expect_err("it dangles");
        assert!(words(&error).contains("`dangling`, a link to `nowhere`"), "{}", words(&error));
    }
    let root = Dir::open(Path::new("/dev"), Links::Never).unwrap();
    for dir in [Dir { kernel: false, ..root.following(Links::Never) }, root] {
        for path in ["zero", "null", "tty"] {
            let error = dir.read(path, 100).expect_err(path);
            assert!(words(&error).contains("it is a device"), "{}", words(&error));
        }
    }
    drop(socket);
}

#[test]
fn links_that_stay_inside_are_followed_where_the_rule_allows_it() {
    let place = Place::new();
    let paths = ["within/file", "twice", "a/back", "a/../a/b/file", "./a//b/file"];
    for dir in place.dirs(Links::Within) {
        for path in paths {
            assert_eq!(dir.read(path, 100).unwrap(), b"content", "{path}");
        }
    }
    for dir in place.dirs(Links::Never) {
        for path in &paths[..3] {
            let error = dir.read(path, 100).expect_err(path);
            assert!(words(&error).contains("it leads through `"), "{}", words(&error));
        }
        assert_eq!(dir.read("a/b/file", 100).unwrap(), b"content");
    }
    symlink("/a/b/file", place.inside("rooted")).unwrap();
    symlink("../../../../a/b", place.inside("above")).unwrap();
    for dir in place.dirs(Links::InRoot) {
        for path in ["rooted", "above/file", "../../a/b/file"] {
            assert_eq!(dir.read(path, 100).unwrap(), b"content", "{path}");
        }
        assert!(!dir.exists("absolute").unwrap() && dir.exists("rooted").unwrap());
    }
}

#[test]
fn writing_replaces_links_and_never_follows_them() {
    let place = Place::new();
    for (dir, links) in [Links::Within, Links::Never].into_iter().flat_map(|l| place.dirs(l).map(|dir| (dir, l))) {
        for path in ["absolute", "climbing", "a/b/climbing", "to-zero", "dangling", "pipe", "new/folder/file", "file"] {
            let target = fs::read_link(place.inside(path)).ok();
            dir.write(path, b"new").unwrap_or_else(|error| panic!("{}", words(&error)));
            let metadata = fs::symlink_metadata(place.inside(path)).unwrap();
            assert!(metadata.is_file() && metadata.permissions().mode() & 0o777 == 0o644, "{path}");
            assert_eq!(fs::read_to_string(place.inside(path)).unwrap(), "new");
            dir.remove(path).unwrap();
            dir.remove(path).unwrap();
            if let Some(target) = target {
                symlink(target, place.inside(path)).unwrap();
            }
        }
        // Through a link in the middle, and through one that replaces the folder itself.
        for path in ["up/secret", "up/new", "../secret", "../new", "climbing/x", "a/b/file/x"] {
            assert!(dir.write(path, b"new").is_err(), "{path} by {links:?}");
            assert!(dir.create(path).is_err() && dir.symlink(OsStr::new("x"), path).is_err(), "{path}");
            assert!(dir.remove(path).is_err(), "{path}");
        }
        assert!(dir.write("a", b"new").is_err(), "a folder is not replaced");
        assert!(!place.folder.path().join("new").exists());
    }
    assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret");
}

#[test]
fn what_is_in_the_way_is_named_and_nothing_is_made_through_a_link_to_nothing() {
    let place = Place::new();
    for dir in place.dirs(Links::Within) {
        for path in ["a/b/file/x", "a//b/file//x/y", "a/./b/file/x/../z"] {
            let upto = path.find("file").map(|at| &path[..at + 4]).unwrap();
            let error = dir.read(path, 100).expect_err(path);
            assert!(words(&error).ends_with(&format!(": `{upto}` is not a folder")), "{}", words(&error));
            let error = dir.write(path, b"").expect_err(path);
            assert!(words(&error).ends_with(&format!(": `{upto}` is not a folder")), "{}", words(&error));
        }
        symlink("dangling/x", place.inside("further")).unwrap();
        for path in ["dangling/x", "dangling/x/y", "further/x"] {
            let error = dir.write(path, b"").expect_err(path);
            assert!(words(&error).contains("a link to `nowhere`, which does not exist"), "{}", words(&error));
        }
        fs::remove_file(place.inside("further")).unwrap();
        assert!(!place.inside("nowhere").exists());
        // What is missing below a link that leads somewhere is made.
        dir.write("within/new/x", b"").unwrap();
        fs::remove_dir_all(place.inside("a/b/new")).unwrap();
    }
}

#[test]
fn folders_below_stay_below() {
    let place = Place::new();
    for dir in place.dirs(Links::Never) {
        for path in ["up", "within", "../in", "a/back"] {
            assert!(dir.dir(path).is_err() && dir.make_dir(path).is_err() && dir.list(path).is_err(), "{path}");
        }
        let below = dir.make_dir("a/new/folder").unwrap();
        assert_eq!(below.host_path(), place.inside("a/new/folder"));
        below.write("x", b"x").unwrap();
        assert!(below.read("../../b/file", 9).is_err(), "a folder below has a border of its own");
        let names: Vec<_> =
            dir.list("a").unwrap().into_iter().map(|item| (item.name, item.stat.st_mode >> 12)).collect();
        assert_eq!(names, [("b".into(), 4), ("back".into(), 0o12), ("new".into(), 4)]);
        let back = dir.list("a").unwrap().swap_remove(1);
        assert_eq!(back.read_link().unwrap(), "../a/b/file");
        assert!(matches!(back.open(), Err(Refusal::NotAFile("a link"))));
    }
    // A folder that is replaced by a link after it was opened stays the same folder.
    let dir = Dir::open(&place.inside("a"), Links::Never).unwrap();
    fs::rename(place.inside("a"), place.inside("was-a")).unwrap();
    symlink(place.folder.path(), place.inside("a")).unwrap();
    assert!(dir.has_file("b/file") && !dir.has_file("secret"));
    assert!(Dir::open(&place.inside("a"), Links::Never).is_err());
}

#[test]
fn reading_is_bounded() {
    let place = Place::new();
    let sparse = fs::File::create(place.inside("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    for dir in place.dirs(Links::Never) {
        assert_eq!(dir.read("a/b/file", 7).unwrap(), b"content");
        for (path, most) in [("a/b/file", 6), ("sparse", 1 << 20)] {
            let error = dir.read(path, most).expect_err(path);
            assert!(matches!(error.refusal, Refusal::TooLarge(limit) if limit == most), "{error:?}");
        }
        fs::write(place.inside("latin"), b"\xe4").unwrap();
        assert!(matches!(dir.read_text("latin", 9).unwrap_err().refusal, Refusal::NotText));
        let mut content = String::new();
        dir.open_file("a/b/file").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
    }
}

#[test]
fn paths_longer_than_the_kernel_takes_are_walked() {
    let place = Place::new();
    let path: String = "folder/".repeat(1000) + "file";
    for dir in place.dirs(Links::Never) {
        dir.create(&path).unwrap().write_all(b"deep").unwrap();
        assert_eq!(dir.read(&path, 9).unwrap(), b"deep");
    }
    remove_all(&place.inside("")).unwrap();
    assert!(!place.inside("").exists());
}

/// More levels than the limit of descriptors, and more than a recursion's stack holds in a test.
#[test]
fn a_folder_of_any_depth_and_any_mode_is_removed() {
    let place = Place::new();
    let top = Dir::open(&place.inside(""), Links::Never).unwrap();
    let mut here = Dir::open(&place.inside("a"), Links::Never).unwrap();
    for _ in 0..5_000 {
        here = here.make_dir("d").unwrap();
    }
    here.write("file", b"deep").unwrap();
    for name in [".removed-0", ".removed-1/x", ".removed-2/y/z"] {
        top.make_dir(name).unwrap();
    }
    top.write(".removed-3", b"").unwrap();
    for (path, mode) in [("a/b", 0o000), ("a", 0o500), ("", 0o555)] {
        fs::set_permissions(place.inside(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    drop((top, here));
    remove_all(&place.inside("")).unwrap();
    assert!(fs::symlink_metadata(place.inside("")).is_err());
    assert_eq!(fs::read_to_string(place.secret()).unwrap(), "secret", "no link was followed");
    // A path that does not exist, a file, a link to a folder.
    remove_all(&place.inside("")).unwrap();
    let link = place.folder.path().join("link");
    fs::create_dir(place.folder.path().join("kept")).unwrap();
    symlink("kept", &link).unwrap();
    remove_all(&link).unwrap();
    remove_all(&place.secret()).unwrap();
    assert!(place.folder.path().join("kept").is_dir() && fs::symlink_metadata(&link).is_err());
    assert!(!place.secret().exists());
}
