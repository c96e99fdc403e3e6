//! Projects that build on the library of the program, or on one in a folder.

mod project;

use std::fs;

use project::{Project, Ran, repository};
use serde_json::Value;

/// A project with nothing but its file and one recipe.
fn empty(file: &str, recipe: &str) -> Project {
    let project = Project::bare();
    project.write("dbco.yaml", file);
    project.write("recipes/box.yaml", recipe);
    project
}

const EMBEDDED: &str = "library: embedded\n";
const BOX: &str = "recipe: box\nextends: library:quick.yaml\n";

/// A small library in a folder: what [`Project::new`] has, and a project that builds on it.
fn on_folder(recipe: &str) -> Project {
    let project = Project::new();
    project.unshared("mkdir -p base/recipes && mv small.yaml dbco.lock components toolchains kernel-config patches sources overlay early base/recipes").ends(0);
    project.write("dbco.yaml", "library: {path: base}\n");
    project.write("own/mine.yaml", recipe);
    project
}

#[track_caller]
fn refuses(project: &Project, arguments: &[&str], expected: &[&str]) -> Ran {
    let ran = project.dbco(arguments).ends(2);
    expected.iter().for_each(|text| assert!(ran.err.contains(text), "{text}:\n{}", ran.err));
    ran
}

#[test]
fn a_recipe_extends_one_of_the_library_without_a_copy_of_anything() {
    let project = empty(EMBEDDED, BOX);
    let ran = project.dbco(&["check", "recipes/box.yaml"]).ends(0);
    assert!(ran.err.contains("box: ") && ran.err.contains("components"), "{}", ran.err);
    // The only recipe is the default.
    project.dbco(&["check"]).ends(0);
    let shown = project.dbco(&["show", "rootfs.overlays"]).ends(0);
    assert!(shown.out.contains("library:overlays/base"), "{}", shown.out);
}

#[test]
fn the_library_itself_is_checked_from_any_folder() {
    let project = Project::bare();
    let ran = project.dbco(&["check", "library:quick.yaml"]).ends(0);
    assert!(ran.err.contains("quick: "), "{}", ran.err);
    assert!(!project.path("dbco.lock").exists() && !project.path("recipes").exists());
    refuses(&project, &["check", "library:quik.yaml"], &["did you mean library:quick.yaml?"]);
    refuses(&project, &["check", "library:none"], &["the library has the recipes ", "dbcolinux, "]);
    refuses(&project, &["check", "library:../../etc/passwd"], &["it is not in the library"]);
    refuses(&project, &["check", "library:../builder/src/lib.rs"], &["it is not in the library"]);
}

#[test]
fn what_the_library_has_locked_needs_no_network() {
    let project = empty(EMBEDDED, BOX);
    project.unshared("unshare --net \"$DBCO\" lock").ends(0);
    let lock = project.read("dbco.lock");
    let shipped = fs::read_to_string(repository().join("recipes/dbco.lock")).unwrap();
    assert!(lock.contains("\n    library:\n      sha256: "), "{lock}");
    let entry = shipped.split("\n- request:").find(|entry| entry.contains("package: busybox\n")).unwrap();
    assert!(lock.contains(entry), "{entry}");
    assert!(lock.len() < shipped.len(), "only what the recipe uses");
    project.dbco(&["check", "--locked"]).ends(0);
    // A second run has nothing to do.
    project.unshared("unshare --net \"$DBCO\" lock").ends(0);
    assert_eq!(project.read("dbco.lock"), lock);
}

#[test]
fn another_library_than_the_locked_one_is_noticed() {
    let project = empty(EMBEDDED, BOX);
    project.unshared("unshare --net \"$DBCO\" lock").ends(0);
    let lock = project.read("dbco.lock");
    let digest = "    library:\n      sha256: ";
    let at = lock.find(digest).unwrap() + digest.len();
    let other = format!("{}{}{}", &lock[..at], "0".repeat(64), &lock[at + 64..]);
    project.write("dbco.lock", &other);
    refuses(&project, &["check", "--locked"], &["the library: this dbco has another one", "sha256 000000"]);
    refuses(&project, &["build", "--offline"], &["the library: this dbco has another one", "run `dbco lock`"]);
    // Bringing it up to date leaves one entry for the library.
    project.unshared("unshare --net \"$DBCO\" lock").ends(0);
    assert_eq!(project.read("dbco.lock"), lock);
}

#[test]
fn a_project_without_a_library_is_told_how_to_state_one() {
    for text in ["", "{}\n", "# nothing\n"] {
        let project = empty(text, BOX);
        refuses(&project, &["check"], &["recipes/box.yaml:2:10", "states none", "library: embedded", "dbco.yaml"])
            .never_says("the file is empty");
    }
    let project = Project::bare();
    project.write("recipes/box.yaml", BOX);
    refuses(&project, &["check"], &["states none", "library: embedded"]);
}

#[test]
fn mistakes_in_the_project_file_have_their_place() {
    for (text, expected) in [
        ("librari: embedded\n", ["dbco.yaml:1:1", "did you mean `library`?"]),
        ("library: embeded\n", ["dbco.yaml:1:10", "expected `embedded` or `{path: FOLDER}`"]),
        ("library: [embedded]\n", ["dbco.yaml:1:10", "expected `embedded` or `{path: FOLDER}`"]),
        ("library: {path: ../nowhere}\n", ["dbco.yaml:1:17", "is no library: it has no folder `recipes`"]),
        ("library: {folder: x}\n", ["dbco.yaml:1:11", "unknown key `folder`"]),
        ("- library\n", ["dbco.yaml:1:1", "a project's file (a mapping)"]),
        ("library: 'x\n", ["dbco.yaml:", "quote"]),
    ] {
        let project = empty(text, BOX);
        refuses(&project, &["check"], &expected);
        refuses(&project, &["show"], &expected);
    }
}

#[test]
fn paths_stay_in_the_library() {
    for path in
        ["library:..", "library:../docs", "library:../../x.yaml", "library:/etc/x.yaml", "library:a/../../../x.yaml"]
    {
        let project = empty(EMBEDDED, &format!("recipe: box\nextends: {path}\n"));
        refuses(&project, &["check"], &["recipes/box.yaml:2:10", "is not in the library"]);
    }
    let project = empty(EMBEDDED, &format!("{BOX}rootfs: {{overlays: {{add: ['library:../../..']}}}}\n"));
    refuses(&project, &["check"], &["recipes/box.yaml:3:", "is not in the library"]);
}

/// A patch that adds a line.
fn patch(line: &str) -> String {
    format!("--- a/Makefile\n+++ b/Makefile\n@@ -0,0 +1 @@\n+{line}\n")
}

#[test]
fn what_a_project_has_replaces_what_the_library_has() {
    let mine = "recipe: mine\nextends: library:small.yaml\nkernel: {config: {add: [own]}}\noutputs: [bzimage]\n";
    let project = on_folder(mine);
    project.write("own/kernel-config/own.config", "CONFIG_A=y\n");
    project.write(
        "own/components/kernel.yaml",
        "component: kernel\nextends: library:components/kernel.yaml\nversion: '2'\nenv: {A: a}\npatches: [library:first.patch]\n",
    );
    project.write("own/patches/first.patch", patch("a"));
    project.dbco(&["check", "own/mine.yaml"]).ends(0);
    let shown = project.dbco(&["show", "own/components/kernel.yaml"]).ends(0);
    assert!(
        shown.out.contains("version: \"2\"") && shown.out.contains("patches: [\"library:first.patch\"]"),
        "{}",
        shown.out
    );
    // The recipe of the library names the component and the patch; those of the project are used.
    project.unshared("unshare --net \"$DBCO\" lock own/mine.yaml").ends(0);
    let keys = |project: &Project| project.dbco(&["--json", "graph", "own/mine.yaml"]).ends(0).out;
    let before = keys(&project);
    project.write("own/components/kernel.yaml", project.read("own/components/kernel.yaml").replace("A: a", "A: b"));
    assert_ne!(keys(&project), before);
    let before = keys(&project);
    project.write("own/patches/first.patch", patch("b"));
    assert_ne!(keys(&project), before);
}

#[test]
fn the_place_of_a_library_does_not_matter() {
    let keys = |folder: &str| {
        let project = on_folder("recipe: mine\nextends: library:small.yaml\noutputs: [initrd, bzimage]\n");
        project.unshared(&format!("mkdir -p {folder} && mv base {folder}/base")).ends(0);
        project.write("dbco.yaml", format!("library: {{path: {folder}/base}}\n"));
        project.unshared("unshare --net \"$DBCO\" lock own/mine.yaml").ends(0);
        let out = project.dbco(&["--json", "graph", "own/mine.yaml"]).ends(0).out;
        let graph: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        assert!(graph.to_string().contains("kernel"), "{graph}");
        graph
    };
    assert_eq!(keys("a"), keys("a/much/longer/path"));
}

#[test]
fn outputs_are_built_on_a_library_and_nothing_is_written_into_it() {
    let project = on_folder("recipe: mine\nextends: library:small.yaml\noutputs: [grub-cfg]\n");
    let list = "find base -printf '%p %T@ %m\\n' | sort";
    let before = project.unshared(list).ends(0).out;
    project.unshared("unshare --net \"$DBCO\" build own/mine.yaml").ends(0);
    assert!(project.read("out/mine/grub.cfg").contains("menuentry"));
    assert_eq!(project.unshared(list).ends(0).out, before);
    // The lock of a project is beside its file.
    assert!(project.path("dbco.lock").is_file());
}

#[test]
fn an_unpinned_library_is_a_finding_in_a_repository() {
    let project = on_folder("recipe: mine\nextends: library:small.yaml\n");
    project.dbco(&["check", "own/mine.yaml"]).ends(0);
    project.unshared("mkdir top && mv dbco.yaml own top && git init -q top").ends(0);
    project.write("top/dbco.yaml", "library: {path: ../base}\n");
    refuses(&project, &["check", "top/own/mine.yaml"], &["top/dbco.yaml: the library", "nothing pins it"]);
    project.unshared("mv base top/base").ends(0);
    project.write("top/dbco.yaml", "library: {path: base}\n");
    project.dbco(&["check", "top/own/mine.yaml"]).ends(0);
}

#[test]
fn several_recipes_have_no_default() {
    let project = empty(EMBEDDED, BOX);
    project.write("recipes/other.yaml", BOX.replace("box", "other"));
    refuses(&project, &["check"], &["can't read the recipe recipes/dbcolinux.yaml", "recipes/box.yaml"]);
}

#[test]
fn an_older_lock_of_the_library_is_no_way_back() {
    let project = empty(EMBEDDED, BOX);
    project.unshared("unshare --net \"$DBCO\" lock").ends(0);
    let lock = project.read("dbco.lock");
    // One entry is missing, and the others are newer than the library's.
    let entries: Vec<&str> = lock.split("\n- request:").collect();
    let dated = |entry: &str| entry.contains("archive-date");
    let index = entries.iter().position(|entry| dated(entry)).unwrap();
    let date = entries[index].split("archive-date: ").nth(1).unwrap().lines().next().unwrap();
    let others: Vec<String> = entries
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != index)
        .map(|(_, entry)| entry.replace(date, "\"2036-01-01T00:00:00Z\""))
        .collect();
    assert!(others.iter().any(|entry| entry.contains("2036")), "another entry of that archive");
    project.write("dbco.lock", others.join("\n- request:"));
    let ran = project.unshared("unshare --net \"$DBCO\" lock --mirror http://127.0.0.1:9/");
    assert_ne!(ran.code, Some(0), "it is resolved by the network: {}", ran.err);
}

#[test]
fn the_recipes_of_a_library_are_the_same_from_every_folder_of_a_project() {
    let project = on_folder("recipe: mine\nextends: library:small.yaml\n");
    fs::rename(project.path("own"), project.path("recipes")).unwrap();
    project.write(
        "recipes/components/kernel.yaml",
        "component: kernel\nextends: library:components/kernel.yaml\nenv: {A: b}\n",
    );
    fs::create_dir(project.path("sub")).unwrap();
    let keys = |folder: &str| {
        let line = format!(
            "cd {folder} && \"$DBCO\" show library:small.yaml recipe && \"$DBCO\" check library:small.yaml 2>&1"
        );
        project.unshared(&line).ends(0).out
    };
    assert_eq!(keys("."), keys("sub"));
    assert_eq!(keys("."), keys("recipes"));
}

#[test]
fn components_and_toolchains_have_names_and_no_places() {
    for (text, expected) in [
        ("rootfs: {components: {add: ['library:dropbear']}}", "did you mean `dropbear`?"),
        ("toolchains: {build: 'library:bookworm'}", "did you mean `bookworm`?"),
    ] {
        let project = empty(EMBEDDED, &format!("{BOX}{text}\n"));
        refuses(&project, &["check"], &["recipes/box.yaml:3:", "is named without a place", expected]);
    }
}
