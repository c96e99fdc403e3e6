//! `compatibility.txt`, the table of commands and options: COMPATIBILITY.md contains its text, the program has what it
//! names, and what it names has been tested.

use super::super::COMMANDS;
use super::World;
use crate::vz::conf::params::{PARAMS, When};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row: names, each with its arguments, and their description.
#[derive(Default)]
struct Row {
    command: bool,
    names: Vec<String>,
    is: String,
    since: Vec<String>,
    keys: Vec<String>,
    when: String,
    how: String,
    tries: Vec<String>,
}

impl Row {
    fn read(block: &str) -> Row {
        let mut row = Row::default();
        let list = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
        for line in block.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}: a word and what follows it"));
            match word {
                "command" | "option" => (row.command, row.names) = (word == "command", list(rest)),
                "is" => row.is = rest.to_owned(),
                "since" => row.since = list(rest),
                "key" => row.keys = list(rest),
                "when" => row.when = rest.to_owned(),
                "how" => row.how = rest.to_owned(),
                "try" => row.tries.push(rest.to_owned()),
                _ => panic!("{line}: not a word of this table"),
            }
        }
        assert!(row.since.len() == 1 || row.since.len() == row.names.len(), "{block}: one release for each name");
        let known = ["same", "different", "ours", "kept", "absent"].contains(&row.is.as_str());
        assert!(known || row.refusal().is_some(), "{block}: `is {}`", row.is);
        assert!(row.is != "ours" || row.since == ["-"], "{block}: ours since a release of theirs");
        row
    }

    fn refusal(&self) -> Option<u8> {
        self.is.strip_prefix("refused ").map(|code| code.parse().expect("an exit code"))
    }

    /// As a line of COMPATIBILITY.md.
    fn line(&self) -> String {
        let code = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut keys = self.keys.clone();
        keys.dedup();
        let keys = if keys == ["-"] { String::new() } else { code(&keys) };
        let (names, since, is) = (code(&self.names), self.since.join(", "), &self.is);
        match self.command {
            true => format!("| {names} | {is} | {since} | {} |\n", self.how),
            false => format!("| {names} | {keys} | {is} | {since} | {} | {} |\n", self.when, self.how),
        }
    }
}

fn rows() -> Vec<Row> {
    let text = include_str!("../../../../compatibility.txt");
    text.split("\n\n").filter(|block| !block.starts_with('#')).map(|block| Row::read(block.trim())).collect()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// With `UPDATE=1` it is written instead.
#[test]
fn compatibility_md_holds_the_table() {
    let rows = rows();
    let table = |command: bool, head: &str| {
        let columns = head.matches('|').count() - 1;
        let lines: String = rows.iter().filter(|row| row.command == command).map(Row::line).collect();
        format!("{head}\n|{}\n{lines}", "---|".repeat(columns))
    };
    let path = here("COMPATIBILITY.md");
    let given = fs::read_to_string(&path).unwrap();
    let mut made = given.clone();
    for (name, table) in [
        ("commands", table(true, "| command | is | since | how |")),
        ("options", table(false, "| option | key | is | since | takes effect | today |")),
    ] {
        let mark = format!("<!-- {name}: made from compatibility.txt -->\n");
        let start = made.find(&mark).expect("the table's place") + mark.len();
        let end = start + made[start..].find("<!-- end -->").expect("its end");
        made.replace_range(start..end, &table);
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, made).unwrap();
    } else {
        assert!(given == made, "COMPATIBILITY.md is not what compatibility.txt says: run this test with UPDATE=1");
    }
}

#[test]
fn the_table_names_what_the_program_has() {
    let rows = rows();
    let said = |command: bool| {
        let present = rows.iter().filter(move |row| row.command == command && row.is != "absent");
        present.flat_map(|row| row.names.iter().filter_map(|name| name.split(' ').next())).collect::<BTreeSet<_>>()
    };
    let commands: BTreeSet<&str> = COMMANDS.iter().flat_map(|command| command.names.iter().copied()).collect();
    assert_eq!(said(true), commands);
    let known: Vec<String> = super::super::set::known().iter().map(|known| format!("--{}", known.0)).collect();
    assert_eq!(said(false), known.iter().map(String::as_str).collect::<BTreeSet<_>>());

    for row in &rows {
        for (at, name) in row.names.iter().enumerate() {
            let Some(param) = PARAMS.iter().find(|param| !row.command && name[2..] == *param.option) else { continue };
            let key = row.keys.get(at).or(row.keys.first()).expect("a key");
            assert_eq!(key, param.key, "{name}");
            let restart = matches!(param.when, When::Restart(_));
            assert_eq!(row.when.starts_with("restart"), restart, "{name} takes effect: {}", row.when);
        }
    }
}

#[test]
fn what_is_refused_is_refused_so() {
    for row in rows().iter().filter(|row| row.refusal().is_some()) {
        assert!(!row.tries.is_empty(), "{:?} are not tried", row.names);
        for line in &row.tries {
            let world = World::new();
            world.ok("create 101");
            let (code, said) = world.run(line);
            assert_eq!(Some(code), row.refusal(), "vzctl {line}: {said}");
            assert!(!said.is_empty(), "vzctl {line} says nothing");
        }
    }
}

/// In the classic tool's cases, in unit tests, or in a boot test.
#[test]
fn what_is_not_refused_is_run() {
    let mut texts: Vec<(bool, String)> = Vec::new();
    for (folder, kind) in [
        ("tests/vzctl-cases", "txt"),
        ("src/vz/cmd/tests", "rs"),
        ("../recipes", "yaml"),
        ("../recipes/overlays/tests/usr/tests", "sh"),
    ] {
        for entry in fs::read_dir(here(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == kind) && !path.ends_with("compatibility.rs") {
                texts.push((kind != "rs", fs::read_to_string(path).unwrap()));
            }
        }
    }
    for file in ["tests.rs", "run.rs", "snapshot.rs", "suspend.rs"] {
        texts.push((false, fs::read_to_string(here("src/vz/cmd").join(file)).unwrap()));
    }
    let lines: Vec<Vec<&str>> = texts
        .iter()
        .flat_map(|(shell, text)| text.lines().map(move |line| (*shell, line)))
        // A line of a script calls it by its name; in a unit test, the text between quotes is what follows the name.
        .filter_map(|(shell, line)| match shell {
            true => line.split_once("vzctl ").map(|(_, line)| line),
            false => line.contains('"').then_some(line),
        })
        .map(|line| line.split([' ', '"', '=', '\'', ';', ')']).collect())
        .collect();
    let missing: Vec<String> = rows()
        .into_iter()
        .filter(|row| row.is != "absent" && row.refusal().is_none())
        .flat_map(|row| row.names)
        .filter(|name| {
            // A command, then a container, then arguments; the name of a layout or a template may be any.
            !lines.iter().any(|line| name.split(' ').all(|word| line.contains(&word)))
        })
        .collect();
    assert!(missing.is_empty(), "no test runs {missing:#?}");
}
