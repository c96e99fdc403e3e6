//! Layers: which modules of a crate may use which.

use std::collections::{BTreeMap, BTreeSet};

use super::allowed::LAYERS;
use super::{code, is_test, rust};

/// The path of a file's module in its crate: `vz::cmd` for `src/vz/cmd/mod.rs` and for `src/vz/cmd.rs`.
fn module(source: &str, file: &str) -> Vec<String> {
    let path = file.strip_prefix(source).unwrap().trim_start_matches('/').strip_suffix(".rs").unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// Paths in a crate that the code of `module` names with `crate::` or `super::`: `crate::{cli, plan::Plan}` are two.
fn named_paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (start, skipped) in [("crate::", module.len()), ("super::", 1)] {
        for (at, _) in code.match_indices(start) {
            // `super::super::x` is read from its first word; `$crate::` and `other_crate::` don't count.
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_:$".contains(c)) {
                continue;
            }
            let mut base = module[..module.len() - skipped].to_vec();
            let mut rest = &code[at + start.len()..];
            while let Some(behind) = rest.strip_prefix("super::") {
                base.pop();
                rest = behind;
            }
            expand(&base, rest, &mut found);
        }
    }
    found
}

/// The paths at the start of a text, in the syntax of `use`: `a::b`, `{a, b::{c, d}}`. Gives the text after them.
fn expand<'a>(base: &[String], text: &'a str, found: &mut Vec<Vec<String>>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            match rest.strip_prefix('}') {
                Some(behind) => return behind,
                None if rest.is_empty() => return rest,
                None => {}
            }
            let behind = expand(base, rest, found);
            // `as name`, `*`
            rest = behind.trim_start_matches(|c: char| c != ',' && c != '}');
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut path = base.to_vec();
    path.extend((end > 0).then(|| text[..end].to_owned()));
    match text[end..].strip_prefix("::") {
        Some(rest) if end > 0 => expand(&path, rest, found),
        _ => {
            found.push(path);
            &text[end..]
        }
    }
}

#[test]
fn paths_are_found_however_they_are_written() {
    let module = ["vz".to_owned(), "cmd".to_owned(), "run".to_owned()];
    let code = "use crate::{cli, plan::{Plan, step::*}};\nuse super::{call::Call as C, exit};\nlet x = super::super::log(crate::a::b());\nother_crate::c";
    let mut found: Vec<String> = named_paths(code, &module).iter().map(|path| path.join("::")).collect();
    found.sort();
    let expected = ["a::b", "cli", "plan::Plan", "plan::step", "vz::cmd::call::Call", "vz::cmd::exit", "vz::log"];
    assert_eq!(found, expected);
}

/// The same for the crate that runs inside the image. A module may only use those listed before it, so there is no
/// circle. `vz`, which is large, has each of its parts listed.
const LIVEFS: &[(&str, &[&str])] = &[
    // Helpers, which use nothing above them.
    ("platform", &[]),
    ("mount_table", &[]),
    ("process", &[]),
    ("durable", &[]),
    // Independent tasks: the boot, trees with systems, the engine of containers, their network.
    ("boot", &["platform", "process"]),
    ("system", &["boot", "durable", "platform", "process"]),
    ("container", &["mount_table", "platform", "process"]),
    ("net", &[]),
    // The classic OpenVZ tools: data and files,
    ("vz::exit", &[]),
    ("vz::log", &[]),
    ("vz::paths", &[]),
    ("vz::process", &["process"]),
    ("vz::below", &[]),
    ("vz::disk", &["vz::exit"]),
    ("vz::options", &["vz::exit"]),
    ("vz::conf", &["durable", "net", "platform", "vz::exit"]),
    ("vz::lock", &["process", "vz::exit"]),
    ("vz::mark", &["durable"]),
    ("vz::names", &["vz::conf", "vz::exit", "vz::paths"]),
    ("vz::spec", &["net", "platform", "system", "vz::conf", "vz::exit", "vz::paths"]),
    ("vz::snapshots", &["durable", "vz::exit"]),
    ("vz::template", &["system", "vz::exit", "vz::process"]),
    // the machine behind a trait, and the data of commands,
    ("vz::node", &["vz::exit", "vz::spec"]),
    (
        "vz::layout",
        &["durable", "system", "vz::conf", "vz::disk", "vz::exit", "vz::node", "vz::snapshots", "vz::template"],
    ),
    ("vz::convert", &["container", "net", "system", "vz::conf", "vz::exit", "vz::spec"]),
    (
        "vz::context",
        &[
            "vz::below",
            "vz::conf",
            "vz::exit",
            "vz::layout",
            "vz::lock",
            "vz::log",
            "vz::mark",
            "vz::node",
            "vz::paths",
            "vz::spec",
        ],
    ),
    (
        "vz::machine",
        &[
            "container",
            "mount_table",
            "net",
            "platform",
            "vz::below",
            "vz::conf",
            "vz::convert",
            "vz::exit",
            "vz::mark",
            "vz::node",
            "vz::paths",
            "vz::process",
            "vz::spec",
        ],
    ),
    ("vz::dump", &["container", "durable", "vz::context", "vz::exit"]),
    ("vz::suspended", &["vz::context", "vz::dump", "vz::exit"]),
    ("vz::handover", &["durable", "vz::context", "vz::exit"]),
    // the tools.
    (
        "vz::cmd",
        &[
            "container",
            "durable",
            "platform",
            "vz::below",
            "vz::conf",
            "vz::context",
            "vz::disk",
            "vz::dump",
            "vz::exit",
            "vz::handover",
            "vz::layout",
            "vz::log",
            "vz::mark",
            "vz::names",
            "vz::node",
            "vz::options",
            "vz::paths",
            "vz::process",
            "vz::snapshots",
            "vz::spec",
            "vz::suspended",
            "vz::template",
        ],
    ),
    (
        "vz::list",
        &[
            "vz::conf",
            "vz::context",
            "vz::exit",
            "vz::layout",
            "vz::log",
            "vz::names",
            "vz::node",
            "vz::options",
            "vz::paths",
        ],
    ),
    (
        "vz::migrate",
        &[
            "durable",
            "net",
            "system",
            "vz::cmd",
            "vz::conf",
            "vz::context",
            "vz::disk",
            "vz::dump",
            "vz::exit",
            "vz::handover",
            "vz::layout",
            "vz::lock",
            "vz::log",
            "vz::names",
            "vz::node",
            "vz::options",
            "vz::paths",
            "vz::process",
            "vz::suspended",
        ],
    ),
    (
        "vz::recovery",
        &[
            "durable",
            "vz::cmd",
            "vz::conf",
            "vz::context",
            "vz::dump",
            "vz::exit",
            "vz::handover",
            "vz::layout",
            "vz::list",
            "vz::lock",
            "vz::migrate",
            "vz::names",
        ],
    ),
    (
        "vz::service",
        &[
            "vz::cmd",
            "vz::context",
            "vz::exit",
            "vz::handover",
            "vz::list",
            "vz::log",
            "vz::node",
            "vz::paths",
            "vz::process",
            "vz::recovery",
        ],
    ),
    // The applets, which reach them by `mod`.
    ("vz", &[]),
    ("lib", &[]),
    ("main", &[]),
];

/// The layer of a path: the longest prefix that a table lists.
fn layer(layers: &[(&'static str, &[&str])], path: &[String]) -> Option<&'static str> {
    let mut names = (1..=path.len()).rev().map(|length| path[..length].join("::"));
    names.find_map(|name| layers.iter().find(|(listed, _)| *listed == name)).map(|(listed, _)| *listed)
}

/// How a crate differs from the table of its layers.
fn against_layers(source: &str, layers: &[(&'static str, &[&str])]) -> Vec<String> {
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (file, text) in rust(source) {
        if is_test(&file) {
            continue;
        }
        let path = module(source, &file);
        let parted = layers.iter().any(|(name, _)| name.starts_with(&format!("{}::", path[0])));
        let name = if parted { path.iter().take(2).cloned().collect::<Vec<_>>().join("::") } else { path[0].clone() };
        let Some((own, allowed)) = layers.iter().find(|(listed, _)| *listed == name) else {
            wrong.push(format!("{file}: module `{name}` is not in the table of layers"));
            continue;
        };
        for named in named_paths(&code(&text), &path) {
            let Some(other) = layer(layers, &named) else { continue };
            if other != *own && !allowed.contains(&other) {
                wrong.push(format!("{file}: `{own}` uses `{other}`"));
            }
            used.insert((*own, other));
        }
    }
    wrong.dedup();
    for (name, allowed) in layers {
        let unused = allowed.iter().filter(|other| !used.iter().any(|used| used == &(*name, **other)));
        wrong.extend(unused.map(|other| format!("`{name}` does not use `{other}`, which the table permits")));
    }
    wrong
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let wrong = [against_layers("builder/src", LAYERS), against_layers("livefs/src", LIVEFS)].concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (at, (name, allowed)) in LIVEFS.iter().enumerate() {
        let above = allowed.iter().filter(|other| !LIVEFS[..at].iter().any(|(below, _)| below == *other));
        assert_eq!(
            above.collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "`{name}` may use modules that do not stand before it"
        );
    }
}

/// The files of a crate, each with the files that it uses.
fn uses_of_files(source: &str) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let files: Vec<_> = rust(source).into_iter().filter(|(file, _)| !is_test(file)).collect();
    let modules: BTreeSet<Vec<String>> = files.iter().map(|(file, _)| module(source, file)).collect();
    let uses = |(file, text): &(String, String)| {
        let own = module(source, file);
        let named = named_paths(&code(text), &own).into_iter();
        // The file of an item is that of the longest prefix of its path that is a module.
        let file = |path: Vec<String>| {
            let lengths = (1..=path.len()).rev();
            lengths.map(|length| path[..length].to_vec()).find(|beginning| modules.contains(beginning))
        };
        let others = named.filter_map(file).filter(|other| *other != own).collect();
        (own, others)
    };
    files.iter().map(uses).collect()
}

/// No files of a crate use each other in a circle, directly or through others. A `mod.rs` that re-exports items of its
/// own modules (`pub use part::Item`) does not count as a use.
#[test]
fn no_files_use_each_other_in_a_circle() {
    for source in ["builder/src", "livefs/src"] {
        let uses = uses_of_files(source);
        assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 100, "uses are not found");
        let circles = uses.keys().filter(|file| reaches_itself(&uses, file));
        let circles: Vec<String> = circles.map(|path| path.join("::")).collect();
        assert!(circles.is_empty(), "{source}: these use each other in a circle: {}", circles.join(" "));
    }
}

/// Whether a file uses itself through others.
fn reaches_itself(uses: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>, file: &[String]) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![file.to_vec()]);
    while let Some(at) = next.pop() {
        for other in uses.get(&at).into_iter().flatten() {
            if other == file {
                return true;
            }
            if seen.insert(other.clone()) {
                next.push(other.clone());
            }
        }
    }
    false
}

/// The tables permit no path from a module back to itself.
#[test]
fn no_modules_use_each_other_in_a_circle() {
    for table in [LAYERS, LIVEFS] {
        let mut left: BTreeMap<&str, &[&str]> = table.iter().copied().collect();
        loop {
            let before = left.len();
            let names: BTreeSet<&str> = left.keys().copied().collect();
            left.retain(|_, uses| uses.iter().any(|other| names.contains(other)));
            if left.len() == before {
                break;
            }
        }
        assert!(left.is_empty(), "these use each other in a circle, or those that do: {:?}", left.keys());
    }
}
