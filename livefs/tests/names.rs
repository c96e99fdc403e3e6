//! The one program under several names.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::process::{Command, Output};

fn livefs(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_livefs")).args(arguments).output().unwrap()
}

/// The image makes a link for each.
#[test]
fn the_names_are_listed_one_a_line() {
    let listed = livefs(&["--list"]);
    assert_eq!(listed.status.code(), Some(0));
    let text = String::from_utf8(listed.stdout).unwrap();
    let names: BTreeSet<&str> = text.lines().collect();
    assert_eq!(names.len(), text.lines().count(), "a name stands twice: {text}");
    for name in &names {
        assert!(!name.is_empty() && !name.contains(['/', ' ']) && *name != "livefs", "`{name}` is no name for a link");
    }
    let unknown = livefs(&["no-such-name"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
}
