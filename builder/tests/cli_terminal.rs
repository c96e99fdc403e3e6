//! Terminal output: progress that fits its width, numbers of steps, and the effect of ^C. The terminal is script(1)'s.

mod project;
mod servers;

use project::terminal::at_terminal;
use project::{Project, host};
use servers::Server;

const COLUMNS: usize = 50;

/// Columns and rows of the terminals.
const SIZE: (usize, usize) = (COLUMNS, 24);

/// The rows that were shown, without control sequences (ECMA-48, 5.4). Progress fills each of its rows to the end, and
/// continues in the next: what does not fit into one row would displace everything after it.
fn rows(shown: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' if rest.clone().next() == Some('[') => {
                rest.next();
                let end = rest.by_ref().find(|c| ('@'..='~').contains(c));
                // Clearing a line or moving up starts another row.
                plain.extend(end.filter(|end| "AGKJ".contains(*end)).map(|_| '\n'));
            }
            '\r' => plain.push('\n'),
            c => plain.push(c),
        }
    }
    let row = |chars: &[char]| chars.iter().collect::<String>().trim_end().to_owned();
    let lines = plain.lines().filter(|line| !line.is_empty()).map(|line| line.chars().collect::<Vec<_>>());
    lines.flat_map(|line| line.chunks(COLUMNS).map(row).collect::<Vec<_>>()).collect()
}

fn moves(line: &str) -> bool {
    line.starts_with(|c: char| ('\u{2800}'..='\u{28ff}').contains(&c)) || line.contains("B/s  ")
}

/// Every row starts like a row of progress, or like one of `lines`.
#[track_caller]
fn in_place(rows: &[String], lines: &[&str]) {
    let bar = |row: &str| row.starts_with("  ") && row.contains(" B/s  ") || row.contains("iB/s  ");
    let known = |row: &String| moves(row) || bar(row) || lines.iter().any(|line| row.starts_with(line));
    let strange: Vec<_> = rows.iter().filter(|row| !known(row)).collect();
    assert!(strange.is_empty(), "{strange:#?} in {rows:#?}");
}

/// A project with a component to build by the host's tools.
fn with_component(build: &str) -> Project {
    let project = Project::new();
    host::add_tool(&project, &format!("source: {{path: ../sources/kernel}}\nbuild: |\n  {build}\nfiles: {{a: a}}\n"));
    project
}

#[test]
fn steps_have_numbers_and_no_line_is_wider_than_the_terminal() {
    let long = "0123456789 ".repeat(20);
    let project =
        with_component(&format!("echo '{long}'; echo a > a; mkfifo p; env cat p & echo x > p; echo '{long}'"));
    let shown = at_terminal(&project, SIZE, "$DBCO build --offline --only initrd small.yaml", &[]).text;
    let rows = rows(&shown);
    assert!(rows.iter().any(|row| moves(row) && row.contains("[2/5] component tool")), "{rows:#?}");
    assert!(rows.iter().any(|row| moves(row) && row.ends_with("0123456789")), "{rows:#?}");
    in_place(&rows, &["  toolchain host", "  component tool", "  rootfs", "  initramfs", "  initrd", "out/small"]);
    assert!(shown.contains("  component tool "), "{shown}");
    // A recipe that was never built has no changes.
    assert!(!shown.contains("changed"), "{shown}");
    project.write("overlay/system/etc/motd", "other\n");
    let shown = at_terminal(&project, SIZE, "$DBCO build --offline --only initrd small.yaml", &[]).text;
    assert!(!shown.contains("component tool"), "{shown}");
    project.write("components/tool.yaml", project.read("components/tool.yaml").replace("a > a", "b > a"));
    let shown = at_terminal(&project, SIZE, "$DBCO build --offline --only initrd small.yaml", &[]).text;
    assert!(shown.contains("component tool") && shown.contains("(changed: build)"), "{shown}");
}

#[test]
fn interrupted_it_says_so_at_once_and_leaves_no_moving_line() {
    let project = with_component("mkfifo p; echo waiting; cat p");
    let shown =
        at_terminal(&project, SIZE, "$DBCO build --offline --only initrd small.yaml", &[("waiting", "\x03")]).text;
    let lines = rows(&shown);
    let ending = lines.iter().position(|line| line.starts_with("stopping (^C again")).expect("it says so");
    assert!(lines[ending..].iter().any(|line| line.starts_with("interrupted: ")), "{lines:#?}");
    assert!(!lines[ending..].iter().any(|line| moves(line)), "{lines:#?}");
}

#[test]
fn downloads_have_a_total() {
    let (project, server) = (Project::new(), Server::start());
    let mut recipe = project.read("small.yaml");
    recipe = recipe.replace("layout: split", "layout: split\n  components: [one, two, three]");
    project.write("small.yaml", recipe);
    for name in ["one", "two", "three"] {
        server.file(&format!("{name}.tar"), name.repeat(1000));
        let url = format!("{}/{name}.tar", server.url);
        let component = format!("component: {name}\nversion: '1'\nlicense: MIT\nsource: {{url: '{url}'}}\n");
        project.write(&format!("components/{name}.yaml"), component);
    }
    project.dbco(&["lock", "small.yaml"]).ends(0);
    std::fs::remove_dir_all(project.path("store/blobs")).unwrap();
    let shown = at_terminal(&project, SIZE, "$DBCO fetch small.yaml", &[]).text;
    let rows = rows(&shown);
    assert!(rows.iter().any(|row| row.contains(" 0/3 ") && row.ends_with(" left")), "{rows:#?}");
    assert!(rows.iter().any(|row| row.contains(" 3/3 ")), "{rows:#?}");
    in_place(&rows, &["fetched 3 files"]);
    assert!(shown.contains("3 files"), "{shown}");
}
