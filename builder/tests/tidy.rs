//! Rules of the repository itself: layers, sizes, leftovers, what must not be in it.

use std::fs;
use std::path::{Path, PathBuf};

use dbco::process::command;

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
                folders.push(path);
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

/// The text before the unit tests, without comments and texts in quotes that span no line.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The modules of this crate that a text names: `crate::cli::…`, and `crate::{cli, plan::Plan}`.
fn named_modules(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_alphabetic() => {
                            names.push(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

/// What each module may use of its crate, itself aside. A module that is not here is an error: say where it belongs.
const LAYERS: &[(&str, &[&str])] = &[
    // Data and helpers, which know of nothing above them.
    ("digest", &[]),
    ("tree", &["digest"]),
    ("process", &[]),
    ("store", &["digest", "tree"]),
    ("archive", &["digest", "store", "tree"]),
    // Work on data, without a recipe's stages.
    ("kernel", &["archive", "digest", "store", "tree"]),
    ("image", &["archive", "digest", "process", "store", "tree"]),
    ("sandbox", &["archive", "digest", "process", "store", "tree"]),
    ("source", &["archive", "digest", "lock", "process", "store"]),
    // The stages: recipe, lock, plan, build, outputs.
    ("recipe", &["digest", "image", "source", "tree"]),
    ("lock", &["digest", "source", "store"]),
    ("rootfs", &["digest", "image", "recipe", "store", "tree"]),
    ("plan", &["digest", "image", "kernel", "lock", "process", "recipe", "rootfs", "source", "store", "tree"]),
    (
        "build",
        &[
            "archive", "digest", "image", "kernel", "plan", "process", "recipe", "rootfs", "sandbox", "source",
            "store", "tree",
        ],
    ),
    ("boot", &["digest", "image", "process", "recipe", "sandbox", "store"]),
    ("output", &["build", "digest", "plan", "store"]),
    // The face, which may use everything and is used by nothing.
    (
        "cli",
        &[
            "boot", "build", "digest", "image", "kernel", "lock", "output", "plan", "process", "recipe", "rootfs",
            "sandbox", "source", "store",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (file, text) in rust("builder/src") {
        let module = file.strip_prefix("builder/src/").unwrap().split(['/', '.']).next().unwrap();
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{file}: module `{module}` is not in LAYERS"));
            continue;
        };
        for named in named_modules(&code(&text)) {
            if named != module && !allowed.contains(&named.as_str()) && LAYERS.iter().any(|(name, _)| *name == named) {
                wrong.push(format!("{file}: `{module}` uses `{named}`"));
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Texts that may stand in these files only; a path that ends in `/` is a folder.
const PLACES: &[(&[&str], &[&str], &str)] = &[
    (&["reqwest", "UdpSocket"], &["builder/src/source/"], "one module touches the network"),
    (
        &["std::net", "TcpStream"],
        &["builder/src/source/", "builder/src/boot/converse.rs"],
        "beside it only boot tests do, which ask their own machines",
    ),
    (&["Command::new"], &["builder/src/process.rs"], "one module starts processes"),
    (
        &["println!", "print!(", "eprint!(", "io::stdout", "io::stderr", "stdout()", "stderr()"],
        &["builder/src/cli/", "builder/src/sandbox/mod.rs"],
        "one module prints",
    ),
    (&["process::exit"], &["builder/src/cli/", "builder/src/sandbox/"], "only the command line ends the process"),
    (&["unsafe "], &["builder/src/sandbox/sys.rs", "builder/src/process.rs"], "unsafe code sits in one small module"),
];

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

#[test]
fn no_rust_file_is_longer_than_600_lines() {
    let long = rust("builder").into_iter().map(|(file, text)| (text.lines().count(), file));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > 600).collect();
    assert!(long.is_empty(), "what is the second idea of {long:?}?");
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_left_out() {
    // Put together here, so that this file does not find itself.
    let words = [["to", "do!("], ["unimple", "mented!("], ["#[ig", "nore"], ["FIX", "ME"], ["X", "XX"], ["dbg", "!("]];
    let mut wrong = Vec::new();
    for (file, text) in rust("builder") {
        // Boots stand apart, so that the quick loop stays quick; `.ci/run` runs them too. Others are halves of a test.
        let reasons = ["boots ", "run by another test"];
        let text = reasons.iter().fold(text, |text, reason| text.replace(&format!("#[{} = \"{reason}", "ignore"), ""));
        for word in words.map(|parts| parts.concat()) {
            if text.contains(&word) {
                wrong.push(format!("{file}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file under `src` is reached by a `mod`; a file that is not is dead.
#[test]
fn no_source_file_is_dead() {
    let files = rust("builder/src");
    for (file, _) in &files {
        let path = Path::new(file);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if file.ends_with("src/lib.rs") || file.ends_with("src/main.rs") {
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

/// Whether a line has the word; a path only where it begins: `/vz/root/101` is no place of this machine's.
fn names(line: &str, word: &str) -> bool {
    let inside = |before: &str| before.ends_with(|c: char| c.is_ascii_alphanumeric() || "_-.}".contains(c));
    line.match_indices(word).any(|(at, _)| !word.starts_with('/') || !inside(&line[..at]))
}

/// A clone works anywhere: nothing tracked names the machines it was made on.
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
        // A registry of its own would stand in Cargo.lock.
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
