//! Rules of the repository itself: layers, sizes, leftovers, what must not be in it.

use std::fs;
use std::path::{Path, PathBuf};

use dbco::process::command;

#[path = "tidy/allowed.rs"]
mod allowed;
#[path = "tidy/layers.rs"]
mod layers;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Paths of tracked files, relative to the repository.
fn tracked() -> Vec<String> {
    let output = command("git").args(["ls-files", "-z"]).current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "this test needs git, and runs in a clone");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('\0').filter(|path| repository().join(path).is_file()).map(str::to_owned).collect()
}

/// Rust files below a folder, with their texts.
fn rust(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What cargo makes there, crates' generated code among it, is not ours.
                folders.extend((!path.ends_with("target")).then_some(path));
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The text before the unit tests, without comments and single-line string literals.
fn code(text: &str) -> String {
    let mut tests = text.match_indices("#[cfg(test)]\n").map(|(at, start)| (at, &text[at + start.len()..]));
    let tests = tests.find(|(_, rest)| rest.lines().next().is_some_and(|line| line.ends_with("mod tests {")));
    let code = &text[..tests.map_or(text.len(), |(at, _)| at)];
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// Whether a file contains only unit tests, which may use everything.
fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.ends_with("_tests.rs") || file.contains("/tests/")
}

/// Texts that may only be in these files; a path that ends in `/` is a folder.
const PLACES: &[(&[&str], &[&str], &str)] = &[
    (&["reqwest", "UdpSocket"], &["builder/src/source/"], "one module touches the network"),
    (
        &["std::net", "TcpStream"],
        &["builder/src/source/", "builder/src/boot/dialogue.rs", "builder/src/boot/link.rs"],
        "other than it only boot tests do, which connect to their own machines",
    ),
    (&["Command::new"], &["builder/src/process.rs"], "one module starts processes"),
    (
        &["println!", "print!(", "eprint!(", "io::stdout", "io::stderr", "stdout()", "stderr()"],
        &["builder/src/cli/", "builder/src/sandbox/mod.rs"],
        "one module prints",
    ),
    (
        &["thread::spawn", "thread::scope", "thread::Builder", ".spawn_scoped("],
        &["builder/src/threads.rs", "builder/src/process.rs", "builder/src/output/tests.rs"],
        "nothing may panic if the host allows no more threads",
    ),
    (&["process::exit"], &["builder/src/cli/", "builder/src/sandbox/"], "only the command line ends the process"),
    (
        &["unsafe "],
        &["builder/src/sandbox/sys.rs", "builder/src/process/leash.rs"],
        "unsafe code sits in one small module",
    ),
];

/// Modules that work on folders with content from archives and third-party tools. A path of the host would follow their
/// links.
///
/// Others access such folders without being listed here:
/// - `sandbox/mounts.rs` and `sandbox/chroot.rs` prepare what a tool sees before it runs. Where they create something
///   below a path with foreign content they use a handle; the rest is in a root that was laid out through handles and
///   is checked against its list, or on a tmpfs of their own. After the tool has run a chroot's work folders are moved
///   back by their inodes, and the copy of the root is removed through handles.
/// - `source/git.rs` reads one archive that git has written where dbco told it to, from a repository without a work
///   tree.
/// - `store/roots.rs` uses lstat(2) on roots, and follows nothing.
const HANDLES_ONLY: &[&str] = &[
    "builder/src/archive/",
    "builder/src/boot/",
    "builder/src/build/",
    "builder/src/execution.rs",
    "builder/src/executor/",
    "builder/src/image/",
    "builder/src/kernel/",
    "builder/src/sandbox/root.rs",
    "builder/src/source/cargo/",
    "builder/src/step/",
];

/// Calls that open or examine something by its path.
const BY_PATH: &[&str] = &[
    "fs::canonicalize",
    "fs::copy",
    "fs::create_dir",
    "fs::hard_link",
    "fs::metadata",
    "fs::read",
    "fs::remove",
    "fs::rename",
    "fs::set_permissions",
    "fs::symlink",
    "fs::write",
    "File::create",
    "File::open",
    "OpenOptions",
    "glob::glob(",
    ".exists()",
    ".host_path()",
    ".is_file()",
    ".read_dir()",
];

/// The legitimate uses, as written in the code: the content there is dbco's.
const OURS: &[(&str, &str)] = &[
    // The accelerator's device; files of the store, or of the user's own QEMU; the folder that QEMU sees, and the logs
    // of tests.
    ("builder/src/boot/accel.rs", "OpenOptions::new().read(true).write(true).open(device)"),
    ("builder/src/boot/accel.rs", "use std::fs::OpenOptions;"),
    ("builder/src/boot/machine.rs", "File::open(image)"),
    ("builder/src/boot/machine.rs", "File::open(from)"),
    ("builder/src/boot/mod.rs", "File::open(inside)"),
    ("builder/src/boot/nbd.rs", "std::fs::remove_file(socket)"),
    ("builder/src/boot/test.rs", "File::create(self.join(name))"),
    ("builder/src/boot/test.rs", "fs::remove_dir_all(folder)"),
    ("builder/src/boot/test.rs", "fs::create_dir_all(folder)"),
    ("builder/src/boot/running.rs", "self.dir.host_path()"),
    // Created before cargo runs; the user's configuration.
    ("builder/src/source/cargo/fetch.rs", "fs::create_dir_all(home)"),
    ("builder/src/source/cargo/fetch.rs", "fs::create_dir_all(project)"),
    ("builder/src/source/cargo/fetch.rs", "path.exists()"),
    ("builder/src/source/cargo/fetch.rs", "fs::symlink;"),
    ("builder/src/source/cargo/fetch.rs", "fs::write(project.join(\"lib.rs\"), \"\")"),
    ("builder/src/source/cargo/fetch.rs", "fs::write(project.join(\"Cargo.lock\"), &lock.text)"),
    ("builder/src/source/cargo/fetch.rs", "fs::write(project.join(\"Cargo.toml\"), manifest(crates))"),
    ("builder/src/build/run.rs", "std::fs::remove_file(&log)"),
    ("builder/src/build/run.rs", "log.exists()"),
    ("builder/src/executor/local.rs", "let host = top.dir(&inside[1..])?.host_path()"),
    ("builder/src/sandbox/root.rs", "fs::metadata(&path).map_err(StoreError::io(\"find\""),
    ("builder/src/sandbox/root.rs", "store.seal_root(top.host_path(), key)"),
    ("builder/src/sandbox/root.rs", "fs::rename(top.host_path(), &target)"),
];

#[test]
fn folders_that_others_filled_are_opened_by_handles_alone() {
    let mut wrong = Vec::new();
    for (file, text) in rust("builder/src") {
        if !HANDLES_ONLY.iter().any(|place| file.starts_with(place)) || file.ends_with("tests.rs") {
            continue;
        }
        let ours = OURS.iter().filter(|(place, _)| *place == file);
        let code = ours.fold(code(&text), |code, (_, text)| {
            assert!(code.contains(text), "{file} has no `{text}` any more");
            code.replace(text, "")
        });
        let found = BY_PATH.iter().filter(|text| code.contains(**text));
        wrong.extend(found.map(|text| format!("{file}: `{text}`: use `beneath::Dir`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn network_processes_and_printing_have_one_place_each() {
    let mut wrong = Vec::new();
    for (file, text) in rust("builder/src") {
        let code = code(&text);
        for (texts, places, why) in PLACES {
            if places.iter().any(|place| file == *place || (place.ends_with('/') && file.starts_with(place))) {
                continue;
            }
            let found = texts.iter().filter(|text| code.contains(**text));
            wrong.extend(found.map(|text| format!("{file}: `{text}`, but {why}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names of architectures, which only the `platform` of each crate may contain. Code that is for one of them uses a
/// name of [`dbco::platform::Platform`].
const ARCHITECTURES: &[&str] = &[
    "aarch64",
    "amd64",
    "arm64",
    "BOOTAA64",
    "BOOTX64",
    "i386",
    "OVMF",
    "q35",
    "qemu-system",
    "ttyAMA",
    "\"ttyS",
    "x86-64",
    "x86_64",
    "\"x86\"",
];

/// More of them in the crate that runs inside the image; the builder also handles other kernels, and names them.
const ARCHITECTURES_OF_LIVEFS: &[&str] = &["bzImage", "SCMP_ARCH_", "=ttyS"];

#[test]
fn names_of_architectures_have_one_place() {
    let mut wrong = Vec::new();
    for (file, text) in [rust("builder/src"), rust("livefs/src")].concat() {
        if file.ends_with("/src/platform.rs") || is_test(&file) {
            continue;
        }
        let code = code(&text);
        let more = if file.starts_with("livefs/") { ARCHITECTURES_OF_LIVEFS } else { &[] };
        let found = ARCHITECTURES.iter().chain(more).filter(|name| code.contains(**name));
        wrong.extend(found.map(|name| format!("{file}: `{name}`: use `platform`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rust_file_is_longer_than_500_lines() {
    let all = [rust("builder"), rust("livefs/src"), rust("livefs/tests")].concat();
    let long = all.into_iter().map(|(file, text)| (text.lines().count(), file));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > 500).collect();
    assert!(long.is_empty(), "what is the second idea of {long:?}?");
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_left_out() {
    // Assembled here, so that this file does not match itself.
    let words = [["to", "do!("], ["unimple", "mented!("], ["#[ig", "nore"], ["FIX", "ME"], ["X", "XX"], ["dbg", "!("]];
    let mut wrong = Vec::new();
    for (file, text) in [rust("builder"), rust("livefs/src"), rust("livefs/tests")].concat() {
        // Boots are run separately, so that the quick loop stays quick; `.ci/run` runs them too, and those that need
        // validators. Those that need kernels' sources are run by `ci/test.sh kconfig`. Others are parts of another test.
        let reasons = ["boots ", "needs the validators of ", "needs the sources of ", "run by another test"];
        let text = reasons.iter().fold(text, |text, reason| text.replace(&format!("#[{} = \"{reason}", "ignore"), ""));
        for word in words.map(|parts| parts.concat()) {
            if text.contains(&word) {
                wrong.push(format!("{file}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file under `src` is reached by a `mod`; any other file is dead.
#[test]
fn no_source_file_is_dead() {
    let files = [rust("builder/src"), rust("livefs/src")].concat();
    for (file, _) in &files {
        let path = Path::new(file);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if file.ends_with("src/lib.rs") || file.ends_with("src/main.rs") || file.ends_with("_tests.rs") {
            continue;
        }
        let (name, folder) = if stem == "mod" {
            let folder = path.parent().unwrap();
            (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap())
        } else {
            (stem, path.parent().unwrap())
        };
        let mut parents = vec![folder.join("mod.rs"), folder.join("lib.rs")];
        parents.push(folder.with_extension("rs"));
        let declares = |text: &str| text.lines().any(|line| line.trim_end().ends_with(&format!("mod {name};")));
        let found = files.iter().any(|(other, text)| parents.contains(&PathBuf::from(other)) && declares(text));
        assert!(found, "{file} is no module of this crate");
    }
}

/// Whether a line contains the word; a path only at its beginning: `/vz/root/101` is not a place of this machine.
fn names(line: &str, word: &str) -> bool {
    let inside = |before: &str| before.ends_with(|c: char| c.is_ascii_alphanumeric() || "_-.}".contains(c));
    line.match_indices(word).any(|(at, _)| !word.starts_with('/') || !inside(&line[..at]))
}

/// A clone works anywhere: no tracked file names the machines it was made on.
#[test]
fn no_tracked_file_names_a_machine_or_a_proxy() {
    let words = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/home/us", "er"],
        ["/tmp/wt", "-"],
        ["artif", "actory"],
        ["nex", "us."],
        ["127.0.0.1:", "3128"],
        ["host.docker.in", "ternal"],
    ];
    let mut wrong = Vec::new();
    for file in tracked() {
        let Ok(text) = fs::read_to_string(repository().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().map(|parts| parts.concat()).find(|word| names(line, word)) {
                wrong.push(format!("{file}:{}: {word}: {line}", number + 1));
            }
        }
        // Another registry would be in Cargo.lock.
        if file == "Cargo.lock" {
            let other = text.lines().filter(|line| line.starts_with("source = "));
            let other = other.filter(|line| !line.contains("registry+https://github.com/rust-lang/crates.io-index"));
            wrong.extend(other.map(|line| format!("{file}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_tracked_file_is_larger_than_one_mebibyte() {
    for file in tracked() {
        let size = fs::symlink_metadata(repository().join(&file)).unwrap().len();
        assert!(size <= 1 << 20, "{file} has {size} bytes");
    }
}

/// The fuzz targets are a separate workspace: its lock has the tool's dependencies, in the tool's versions.
#[test]
fn the_fuzz_crates_lock_follows_the_tools() {
    let read = |path: &str| -> toml::Table { fs::read_to_string(repository().join(path)).unwrap().parse().unwrap() };
    let packages = |lock: &toml::Table| {
        let all = lock["package"].as_array().unwrap().iter();
        let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
        all.map(|package| (text(package, "name"), text(package, "version"))).collect::<Vec<_>>()
    };
    let (tool, fuzz) = (packages(&read("Cargo.lock")), packages(&read("builder/fuzz/Cargo.lock")));
    for (key, value) in read("builder/Cargo.toml")["dependencies"].as_table().unwrap() {
        let name = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
        let versions: Vec<_> = tool.iter().filter(|package| package.0 == name).collect();
        assert!(
            versions.iter().any(|package| fuzz.contains(package)),
            "{versions:?} are not in builder/fuzz/Cargo.lock: cargo metadata --manifest-path builder/fuzz/Cargo.toml"
        );
    }
}
