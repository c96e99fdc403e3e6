use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn text(text: &str) -> Value {
    Value::text(text)
}

#[track_caller]
fn pushes(before: &str, path: &[&str], after: &str) {
    assert_eq!(push(before, path, &text("new")).as_deref(), Ok(after));
}

#[track_caller]
fn inserts(before: &str, path: &[&str], after: &str) {
    assert_eq!(insert(before, path, "new", &text("it")).as_deref(), Ok(after));
}

#[test]
fn an_element_is_added_to_a_list_of_lines() {
    pushes("a:\n- b\n- c\nz: 1\n", &["a"], "a:\n- b\n- c\n- new\nz: 1\n");
    pushes(
        "a:\n  - b   # why\n  # end of a\n\n# z\nz: 1\n",
        &["a"],
        "a:\n  - b   # why\n  - new\n  # end of a\n\n# z\nz: 1\n",
    );
    pushes(
        "x:\n  a:\n      - b: 1\n        c: [d, {e: f}] # g\nz:\n",
        &["x", "a"],
        "x:\n  a:\n      - b: 1\n        c: [d, {e: f}] # g\n      - new\nz:\n",
    );
    pushes(
        "a:\n  - \"b\"  # \"c\"\n  - 'd''e' # f\nz: 1",
        &["a"],
        "a:\n  - \"b\"  # \"c\"\n  - 'd''e' # f\n  - new\nz: 1",
    );
    pushes(
        "a:\n  - b\n  - |\n    c\n    d\n\n\n# z\nz: 1\n",
        &["a"],
        "a:\n  - b\n  - |\n    c\n    d\n  - new\n\n\n# z\nz: 1\n",
    );
    pushes("a:\n  - b:\n", &["a"], "a:\n  - b:\n  - new\n");
    pushes("a:\n  -\n    - b\nz: 1\n", &["a"], "a:\n  -\n    - b\n  - new\nz: 1\n");
    pushes("a:\n- - b\n  - c\n- -1\nz: 1\n", &["a"], "a:\n- - b\n  - c\n- -1\n- new\nz: 1\n");
    pushes("a:\n- -1\n", &["a"], "a:\n- -1\n- new\n");
    pushes("a:\n- b: c\n  d: e\nz: 1\n", &["a"], "a:\n- b: c\n  d: e\n- new\nz: 1\n");
    pushes("'a':\n  - plain\n    more\n", &["a"], "'a':\n  - plain\n    more\n  - new\n");
}

#[test]
fn an_element_is_added_in_brackets() {
    pushes("a: [b, c] # d\n", &["a"], "a: [b, c, new] # d\n");
    pushes("a: []\n", &["a"], "a: [new]\n");
    pushes("a: [ ]\n", &["a"], "a: [new ]\n");
    pushes("a: [b, c, ]\n", &["a"], "a: [b, c, new, ]\n");
    pushes("a: [\n  b, # x, ]\n  \"c # ]\" # y\n]\n", &["a"], "a: [\n  b, # x, ]\n  \"c # ]\", new # y\n]\n");
    pushes("a: {b: {add: [{c: d}]}}\n", &["a", "b", "add"], "a: {b: {add: [{c: d}, new]}}\n");
    pushes("a: {b: [ü, [\"é\"]], c: d}\n", &["a", "b"], "a: {b: [ü, [\"é\"], new], c: d}\n");
}

#[test]
fn a_key_without_a_value_is_an_empty_list() {
    pushes("a:\nb: 1\n", &["a"], "a: [new]\nb: 1\n");
    pushes("a:   # none\nb: 1\n", &["a"], "a: [new]   # none\nb: 1\n");
    pushes("a: null\n", &["a"], "a: [new]\n");
    pushes("a: ~ # none\n", &["a"], "a: [new] # none\n");
    pushes("a:", &["a"], "a: [new]");
    pushes("a: {b: , c: d}\n", &["a", "b"], "a: {b: [new] , c: d}\n");
}

#[test]
fn a_key_is_added() {
    inserts("a: 1\n", &[], "a: 1\nnew: it\n");
    inserts("# head\na: 1\n\nb: 2 # end\n\n# tail\n", &[], "# head\na: 1\n\nb: 2 # end\n\nnew: it\n\n# tail\n");
    inserts("a:\n    b: 1\nc: 2\n", &["a"], "a:\n    b: 1\n    new: it\nc: 2\n");
    inserts("a: {b: 1}\n", &["a"], "a: {b: 1, new: it}\n");
    inserts("a: {}\n", &["a"], "a: {new: it}\n");
    inserts("a: {b: 1, c: }\n", &["a"], "a: {b: 1, c:, new: it }\n");
    inserts("a:\n", &["a"], "a: {new: it}\n");
    inserts("a:\n- b\n", &[], "a:\n- b\nnew: it\n");
    inserts("a: |\n  text\n\nb: 1\n", &[], "a: |\n  text\n\nb: 1\n\nnew: it\n");
    let nested = Value::map([("components", Value::map([("add", Value::List(vec![text("n"), text("a, b")]))]))]);
    assert_eq!(
        insert("a: 1\n", &[], "rootfs", &nested).as_deref(),
        Ok("a: 1\nrootfs:\n  components: {add: [\"n\", \"a, b\"]}\n")
    );
}

#[test]
fn values_are_written_so_that_they_are_read_back() {
    let run = Value::List(vec![
        text("a"),
        Value::map([("command", text("echo \"x: y\" # z")), ("status", Value::Plain("1".into()))]),
    ]);
    let test = Value::map([
        ("name", text("on")),
        ("run", run),
        ("expect", text("login:")),
        ("long", text(&"word ".repeat(40))),
    ]);
    let before = "tests:\n  - {name: first}\n";
    let expected = "  - name: \"on\"\n    run: [a, {command: 'echo \"x: y\" # z', status: 1}]\n    expect: \"login:\"\n    long: \"";
    assert_eq!(push(before, &["tests"], &test).unwrap(), format!("{before}{expected}{}\"\n", "word ".repeat(40)));
    for word in ["n", "y", "on", "1", "1.0", "null", "~", "a: b", "[", "é", "a\tb", "- x", "#", "a -"] {
        for before in ["a:\n- b\n", "a: [b]\n", "a:\n", "a: []"] {
            let after = push(before, &["a"], &text(word)).unwrap();
            let node = value(&after).unwrap();
            let YamlValue::List(list) = &node.get("a").unwrap().value else { panic!("{after}") };
            assert_eq!(list.last().unwrap().text(), Some(word), "{after}");
        }
    }
}

#[test]
fn line_ends_and_a_missing_last_one_stay() {
    pushes("a:\r\n  - b # x\ty\r\nc: 1\r\n", &["a"], "a:\r\n  - b # x\ty\r\n  - new\r\nc: 1\r\n");
    pushes("a:\r\n  - b", &["a"], "a:\r\n  - b\r\n  - new");
    pushes("a:\n  - b # c", &["a"], "a:\n  - b # c\n  - new");
    pushes("a:\n  - b\n...\n", &["a"], "a:\n  - b\n  - new\n...\n");
    pushes("---\na:\n  - b\n", &["a"], "---\na:\n  - b\n  - new\n");
}

#[test]
fn what_is_shared_or_odd_is_refused() {
    let shared = |path: &str| Err(EditError::Shared(path.into()));
    assert_eq!(push("x: &l [b]\na: *l\n", &["a"], &text("new")), shared("a"));
    assert_eq!(push("x: &l [b]\na: *l\n", &["x"], &text("new")), shared("x"));
    assert_eq!(push("a: &m\n  b: [c]\nd: *m\n", &["a", "b"], &text("new")), shared("a"));
    assert_eq!(insert("a: &m {b: c}\nd: *m\n", &["d"], "k", &text("v")), shared("d"));
    for (before, path) in [("a: !!seq [b]\n", "a"), ("a: ! {b: c}\n", "a")] {
        assert_eq!(push(before, &[path], &text("new")), Err(EditError::Form("a".into())), "{before}");
    }
    assert_eq!(push("a: b\n", &["a"], &text("new")), Err(mismatch(&["a"], "a list")));
    assert_eq!(push("a: b\n", &["c"], &text("new")), Err(mismatch(&["c"], "there")));
    assert_eq!(insert("a: [b]\n", &["a"], "k", &text("v")), Err(mismatch(&["a"], "a mapping")));
    assert_eq!(insert("a: {b: 1}\n", &["a"], "b", &text("v")), Err(EditError::Exists("a.b".into())));
    assert_eq!(insert("[b: c]\n", &[], "k", &text("v")), Err(mismatch(&[], "a mapping")));
    assert!(matches!(push("a: [\n", &["a"], &text("new")), Err(EditError::Invalid(_))));
    // A literal that keeps the lines behind it would lose them.
    assert_eq!(push("a:\n  - |+\n    b\n\nc: 1\n", &["a"], &text("new")), Err(EditError::Form("a".into())));
    // An alias beside the path changes nothing.
    pushes("x: &l [b]\ny: *l\na: [c]\n", &["a"], "x: &l [b]\ny: *l\na: [c, new]\n");
}

fn comments(text: &str) -> usize {
    text.matches('#').count()
}

/// The keys that lead to every list and mapping that can be reached by keys.
fn places(node: &YamlNode, path: &[String], found: &mut Vec<Vec<String>>) {
    if matches!(node.value, YamlValue::List(_) | YamlValue::Map(_)) {
        found.push(path.to_vec());
    }
    if let YamlValue::Map(pairs) = &node.value {
        pairs.iter().for_each(|(key, node)| places(node, &[path, std::slice::from_ref(&key.name)].concat(), found));
    }
}

fn yaml_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_below(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_list_and_mapping_of_the_shipped_recipes_can_be_added_to() {
    let mut files = Vec::new();
    yaml_below(&Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("recipes"), &mut files);
    let mut count = 0;
    let added =
        Value::map([("new", Value::List(vec![text("y"), Value::map([("a", text("# b"))])])), ("other", text("it"))]);
    for file in files {
        let before = fs::read_to_string(&file).unwrap();
        let node = value(&before).unwrap();
        let mut paths = Vec::new();
        places(&node, &[], &mut paths);
        for (path, before) in paths.iter().flat_map(|path| {
            [(path, before.clone()), (path, before.replace('\n', "\r\n")), (path, before.trim_end().to_owned())]
        }) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let at = path.iter().fold(&node, |node, key| node.get(key).unwrap());
            let after = match at.value {
                YamlValue::List(_) => push(&before, &path, &added),
                _ => insert(&before, &path, "brand-new", &added),
            };
            // That all else stays the same value was verified; so do all characters.
            let after = after.unwrap_or_else(|error| panic!("{}: {path:?}: {error}", file.display()));
            let start = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
            let end = before.bytes().rev().zip(after.bytes().rev()).take_while(|(a, b)| a == b).count();
            assert!(start + end >= before.len(), "{}: {path:?}:\n{after}", file.display());
            assert_eq!(comments(&after), comments(&before) + 1, "{}: {path:?}", file.display());
            count += 1;
        }
    }
    assert!(count > 500, "{count}");
}
