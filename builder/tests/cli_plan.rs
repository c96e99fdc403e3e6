//! `dbco graph` and `dbco build --dry-run`: the plan as it is, without network, and without any change on the disk.

mod project;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dbco::process::command;
use project::{Project, host};
use serde_json::Value;

/// A project whose root filesystem has a component that the host's programs build.
fn project() -> Project {
    let project = Project::new();
    host::add_tool(
        &project,
        "source: {path: ../sources/tool}\nbuild: 'mkdir -p $OUT/usr; cat text > $OUT/usr/built'\n",
    );
    project.write("sources/tool/text", "text\n");
    project
}

/// Every file below a folder with its content and stat(2) data: a change of any kind is a difference.
fn state(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u64, i64, i64)> {
    let (mut state, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mut content = Vec::new();
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.is_file() {
            content = fs::read(&path).unwrap();
        }
        state.insert(path, (content, metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
    }
    state
}

/// The only event with this name.
#[track_caller]
fn event(out: &str, name: &str) -> Value {
    let events = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut found: Vec<Value> = events.filter(|event| event["event"] == name).collect();
    assert_eq!(found.len(), 1, "{out}");
    found.remove(0)
}

fn steps<'a>(event: &'a Value, field: &str) -> Vec<&'a str> {
    event["steps"].as_array().unwrap().iter().map(|step| step[field].as_str().unwrap()).collect()
}

/// Runs a command that must not change anything below the project.
#[track_caller]
fn unchanging(project: &Project, arguments: &[&str]) -> project::Ran {
    let before = state(&project.path("."));
    let ran = project.dbco(arguments);
    assert_eq!(state(&project.path(".")), before, "{arguments:?} has changed something");
    ran
}

#[test]
fn a_graph_shows_what_is_cached_and_what_will_run() {
    let project = project();
    let ran = unchanging(&project, &["graph", "small.yaml"]).ends(0);
    let line = |out: &str, name: &str| {
        let found = out.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {out}"));
        found.to_owned()
    };
    assert!(ran.out.starts_with("initrd.img\n└─ initrd "), "{}", ran.out);
    assert!(line(&ran.out, "─ component tool").ends_with("  will run"), "{}", ran.out);
    assert!(line(&ran.out, "─ grub menu").ends_with("  will run"), "{}", ran.out);
    assert!(!ran.out.contains("component kernel"), "no output needs it: {}", ran.out);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let ran = unchanging(&project, &["graph", "small.yaml"]).ends(0);
    assert!(!ran.out.lines().any(|line| line.ends_with("  will run")), "{}", ran.out);
    assert!(ran.out.ends_with("6 steps: 6 cached, none will run\n"), "{}", ran.out);
    // What a change runs again, and what stays.
    project.write("sources/tool/text", "another\n");
    let ran = unchanging(&project, &["graph", "small.yaml"]).ends(0);
    assert!(line(&ran.out, "─ component tool").ends_with("  will run"), "{}", ran.out);
    assert!(line(&ran.out, "─ toolchain host").ends_with("  cached"), "{}", ran.out);
    assert!(line(&ran.out, "─ grub menu").ends_with("  cached"), "{}", ran.out);
    let value = event(&unchanging(&project, &["graph", "--json", "small.yaml"]).ends(0).out, "graph");
    let tool = value["steps"].as_array().unwrap().iter().find(|step| step["name"] == "tool").unwrap();
    assert_eq!((&tool["kind"], &tool["state"]), (&"component".into(), &"runs".into()));
    assert!(tool["seconds"].as_f64().unwrap() >= 0.0, "the earlier run is known: {tool}");
    let toolchain = value["steps"].as_array().unwrap().iter().find(|step| step["kind"] == "toolchain").unwrap();
    assert_eq!(tool["inputs"], serde_json::json!([toolchain["key"]]));
}

#[test]
fn a_step_is_named_by_label_name_or_key() {
    let project = project();
    let graph = |arguments: &[&str]| {
        let words = [&["graph", "--json", "small.yaml"], arguments].concat();
        event(&project.dbco(&words).ends(0).out, "graph")
    };
    let all = graph(&[]);
    let below = graph(&["tool"]);
    assert_eq!(steps(&below, "step"), ["toolchain host", "component tool"]);
    let key = steps(&below, "key")[1].to_owned();
    for name in ["component tool", &key[..12], &key[..4]] {
        assert_eq!(graph(&[name]), below, "{name}");
    }
    let above = graph(&["tool", "--reverse"]);
    assert!(steps(&above, "step").starts_with(&["component tool"]) && steps(&above, "step").contains(&"initrd"));
    let only = graph(&["--only", "grub-cfg"]);
    assert_eq!(steps(&only, "step"), ["grub menu"]);
    assert!(steps(&all, "step").len() > steps(&above, "step").len());
    let ran = project.dbco(&["graph", "small.yaml", "tol"]).ends(2);
    ran.says(&["there is no step `tol`; did you mean `tool`?"]);
    project.dbco(&["graph", "small.yaml", "no-such"]).ends(2).says(&["there are: ", "component tool", "grub menu"]);
    project.dbco(&["graph", "small.yaml", "--reverse"]).ends(2).says(&["--reverse needs a STEP"]);
    project.dbco(&["graph", "small.yaml", "--only", "iso"]).ends(2).says(&["not in the recipe's `outputs`"]);
    let reversed = project.dbco(&["graph", "small.yaml", "tool", "--reverse"]).ends(0).out;
    assert!(reversed.starts_with("component tool ") && reversed.contains("─ initrd.img"), "{reversed}");
    // Other parameters give another plan.
    let set = graph(&["--set", "host=crate"]);
    assert_eq!(steps(&all, "step"), steps(&set, "step"));
    assert_ne!(steps(&all, "key"), steps(&set, "key"));
    // Two steps with one label.
    project.edit(
        "small.yaml",
        "initrd, grub-cfg]",
        "initrd, grub-cfg, rootfs, template]\ntemplate: {compression: gzip}",
    );
    let ran = project.dbco(&["graph", "small.yaml", "archive"]).ends(2);
    ran.says(&["there are several steps `archive`; give the key of one instead: "]);
}

#[test]
fn graphviz_and_xml_parsers_read_the_graph() {
    let project = project();
    let judge = |program: &str, arguments: &[&str], input: &str| {
        let mut child = command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs `{program}`: {error}; see the packages in .ci/run"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}\n{input}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{input}");
        text
    };
    let dot = unchanging(&project, &["graph", "--format", "dot", "small.yaml"]).ends(0).out;
    // One line for each node and edge as Graphviz understood them.
    let plain = judge("dot", &["-Tplain"], &dot);
    let nodes: Vec<&str> = plain.lines().filter(|line| line.starts_with("node ")).collect();
    let edges = plain.lines().filter(|line| line.starts_with("edge ")).count();
    let value = event(&project.dbco(&["graph", "--json", "small.yaml"]).ends(0).out, "graph");
    let count = |field: &str| -> usize {
        value["steps"].as_array().unwrap().iter().map(|step| step[field].as_array().unwrap().len()).sum()
    };
    assert_eq!(nodes.len(), steps(&value, "step").len() + count("files"), "{plain}");
    assert_eq!(edges, count("inputs") + count("files"), "{plain}");
    assert!(nodes.iter().any(|node| node.contains("component tool")), "{plain}");
    let svg = unchanging(&project, &["graph", "--format", "svg", "small.yaml"]).ends(0).out;
    let read = "import sys, xml.etree.ElementTree as t; e = t.fromstring(sys.stdin.read()); \
                print(e.tag, sum(1 for _ in e.iter('{http://www.w3.org/2000/svg}g')))";
    let shapes = judge("python3", &["-c", read], &svg);
    assert_eq!(shapes.trim(), format!("{{http://www.w3.org/2000/svg}}svg {}", steps(&value, "step").len()));
}

#[test]
fn without_a_store_every_step_will_run_and_none_is_made() {
    let project = Project::new();
    assert!(!project.path("store").exists());
    let value = event(&unchanging(&project, &["graph", "--json", "small.yaml"]).ends(0).out, "graph");
    assert!(steps(&value, "state").iter().all(|state| *state == "runs"), "{value}");
    let ran = unchanging(&project, &["build", "--dry-run", "small.yaml"]).ends(0);
    assert!(ran.out.contains("time: unknown, as no step with the same name ran before"), "{}", ran.out);
    assert!(!project.path("store").exists() && !project.path("out").exists());
}

#[test]
fn a_lock_that_does_not_match_is_named_and_stays() {
    let project = Project::new();
    fs::remove_file(project.path("dbco.lock")).unwrap();
    unchanging(&project, &["graph", "small.yaml"]).ends(2).says(&["dbco.lock", "`dbco lock`"]);
    unchanging(&project, &["build", "--dry-run", "small.yaml"]).ends(2).says(&["dbco.lock", "`dbco lock`"]);
}

#[test]
fn a_dry_run_says_what_the_build_then_does() {
    let project = project();
    let dry = |project: &Project| {
        event(&unchanging(project, &["build", "--dry-run", "--json", "small.yaml"]).ends(0).out, "dry-run")
    };
    let ran = |project: &Project| {
        let out = project.dbco(&["build", "--offline", "--json", "small.yaml"]).ends(0).out;
        let events = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut ran: Vec<String> = events
            .filter(|event| event["event"] == "finished")
            .map(|event| event["step"].as_str().unwrap().to_owned())
            .collect();
        ran.sort();
        ran
    };
    let sorted = |value: &Value| {
        let mut steps: Vec<String> = steps(value, "step").into_iter().map(str::to_owned).collect();
        steps.sort();
        steps
    };
    let changes = |value: &Value| -> Vec<(String, String)> {
        let files = value["files"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        files.map(|file| (text(&file["path"]), text(&file["change"]))).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(path, change)| (format!("out/small/{path}"), change.to_string())).collect()
    };
    let first = dry(&project);
    assert_eq!(first["estimate"]["seconds"], Value::Null);
    assert_eq!(first["downloads"], serde_json::json!({"files": 0, "bytes": 0, "crates": 0}));
    assert_eq!(changes(&first), pairs(&[("grub.cfg", "built"), ("initrd.img", "built")]));
    assert_eq!(sorted(&first), ran(&project));
    let second = dry(&project);
    assert_eq!((sorted(&second), &second["estimate"]["seconds"]), (Vec::new(), &Value::from(0.0)));
    assert_eq!(changes(&second), pairs(&[("grub.cfg", "unchanged"), ("initrd.img", "unchanged")]));
    let text = unchanging(&project, &["build", "--dry-run", "small.yaml"]).ends(0).out;
    assert_eq!(
        text,
        "no step will run: the store has all results\ndownloads: none\nout/small:\n  grub.cfg    unchanged\n  initrd.img  unchanged\n"
    );
    // After a change the times of the steps of the same names are known, and only the new one's is not.
    project.write("sources/tool/text", "another\n");
    let third = dry(&project);
    assert_eq!(third["estimate"]["unknown"], 0);
    assert!(third["estimate"]["seconds"].as_f64().unwrap() > 0.0, "{third}");
    assert_eq!(changes(&third), pairs(&[("grub.cfg", "unchanged"), ("initrd.img", "built")]));
    let text = unchanging(&project, &["build", "--dry-run", "--jobs", "77", "small.yaml"]).ends(0).out;
    for part in ["component tool", "last time ", "time: about ", "with another number of jobs than 77"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(sorted(&third), ran(&project));
    let only = unchanging(&project, &["build", "--dry-run", "--json", "--only", "initrd", "small.yaml"]).ends(0).out;
    assert_eq!(changes(&event(&only, "dry-run")), pairs(&[("grub.cfg", "removed"), ("initrd.img", "unchanged")]));
    // What prevents a build from writing its outputs prevents the dry run.
    project.write("out/small/thesis", "mine");
    unchanging(&project, &["build", "--dry-run", "small.yaml"]).ends(1).says(&["it contains `thesis`"]);
    project.dbco(&["build", "--dry-run", "--release", "small.yaml"]).ends(2);
}

#[test]
fn downloads_are_counted_and_what_is_never_run_has_no_time() {
    let project = project();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    // All that was made and fetched is removed: what remains is how long the steps took.
    project.dbco(&["cache", "gc", "--older-than", "0d"]).ends(0);
    let value = event(&unchanging(&project, &["build", "--dry-run", "--json", "small.yaml"]).ends(0).out, "dry-run");
    assert_eq!((&value["estimate"]["unknown"], &value["downloads"]["files"]), (&0.into(), &1.into()));
    let size =
        project.read("dbco.lock").lines().find_map(|line| line.trim().strip_prefix("size: ")?.parse::<u64>().ok());
    assert_eq!(value["downloads"]["bytes"].as_u64(), size);
    let text = unchanging(&project, &["build", "--dry-run", "small.yaml"]).ends(0).out;
    assert!(text.contains("downloads: 1 file, ") && text.contains("without downloads"), "{text}");
    project.edit("small.yaml", "[tool]", "[tool, new]");
    project
        .write("components/new.yaml", "component: new\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/tool}\n");
    let text = unchanging(&project, &["build", "--dry-run", "small.yaml"]).ends(0).out;
    let new = text.lines().find(|line| line.contains("component new")).unwrap();
    assert!(new.ends_with("time unknown"), "{text}");
    assert!(text.contains("time: at least ") && text.contains("without 1 step of unknown time"), "{text}");
}

#[test]
fn damage_is_seen_and_left_where_it_is() {
    let project = project();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let value = event(&project.dbco(&["graph", "--json", "small.yaml", "tool"]).ends(0).out, "graph");
    let key = steps(&value, "key")[1].to_owned();
    let result = project.path(&format!("store/steps/{}/{key}.json", &key[..2]));
    fs::remove_file(&result).unwrap();
    fs::write(&result, "{}").unwrap();
    let ran = unchanging(&project, &["graph", "small.yaml", "tool"]).ends(0).says(&["damaged"]);
    assert!(ran.out.lines().next().unwrap().ends_with("not needed"), "all that is made of it is cached: {}", ran.out);
    unchanging(&project, &["build", "--dry-run", "--only", "initrd", "small.yaml"]).ends(0);
}
