//! Shared code of the fuzz targets: memory limits, a folder in memory, texts that contain several files, oracles.
//!
//! A target calls the library as its own commands do, with everything from outside taken from the input. The time limit
//! is libFuzzer's (`-timeout`, see ci/test.sh).

use std::alloc::System;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Runs `target`, which may allocate at most `budget` MiB beyond what is allocated already. More ends the process,
/// which libFuzzer counts as a crash. Allocations of C libraries only count in `-rss_limit_mb`.
pub fn within_memory<T>(budget: usize, target: impl FnOnce() -> T) -> T {
    let before = ALLOCATOR.limit();
    let most = ALLOCATOR.allocated() + (budget << 20);
    ALLOCATOR.set_limit(most).expect("more than what is allocated");
    let result = target();
    ALLOCATOR.set_limit(before).expect("more than what is allocated");
    result
}

/// The files of a project, the recipe first.
pub const RECIPE_FILES: [&str; 9] = [
    "recipe.yaml",
    "base.yaml",
    "dbco.yaml",
    "components/a.yaml",
    "components/b.yaml",
    "toolchains/t.yaml",
    "kernel-config/k.config",
    "patches/p.patch",
    "Cargo.lock",
];

/// A folder for this process, below `TMPDIR`; ci/test.sh puts it into memory and removes it.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for temporary files").keep())
}

/// The files of an input: a line `=== NAME` starts a file, the text before the first is the file `first`. Only names in
/// `names`, each once, so that an input names nothing outside its folder.
pub fn files<'a>(input: &'a str, first: &'static str, names: &[&'static str]) -> Vec<(&'static str, &'a str)> {
    let mut files = Vec::new();
    let (mut name, mut start, mut at) = (Some(first), 0, 0);
    let mut end = |name: Option<&'static str>, text: &'a str| {
        if let Some(name) = name
            && !files.iter().any(|(known, _)| *known == name)
        {
            files.push((name, text));
        }
    };
    for line in input.split_inclusive('\n') {
        if let Some(next) = line.strip_prefix("=== ") {
            end(name, &input[start..at]);
            name = names.iter().copied().find(|name| *name == next.trim_end());
            start = at + line.len();
        }
        at += line.len();
    }
    end(name, &input[start..]);
    files
}

/// Writes such files into [`folder`]; those of `names` that the input lacks are removed. Gives the folder.
pub fn project(files: &[(&'static str, &str)], names: &[&'static str]) -> &'static Path {
    let root = folder();
    for name in names {
        let path = root.join(name);
        match files.iter().find(|(known, _)| known == name) {
            Some((_, text)) => {
                if fs::write(&path, text).is_err() {
                    fs::create_dir_all(path.parent().expect("below the folder")).expect("a new folder");
                    fs::write(&path, text).expect("a new file");
                }
            }
            None => drop(fs::remove_file(&path)),
        }
    }
    root
}

/// Formats an error's text as users see it; gives the text.
pub fn told(error: &dyn Display) -> String {
    let text = error.to_string();
    assert!(!text.trim().is_empty(), "an error without words");
    text
}

/// Fails for a path that would leave its folder.
pub fn stays_inside(path: &str) {
    assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path:?} climbs out");
}
