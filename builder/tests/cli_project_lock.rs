//! One lock for the recipes of a project: what they share, what is removed, where it is found, and how earlier locks
//! become part of it.

mod project;

use std::fs;

use dbco::digest::Digest;
use dbco::process::command;
use project::{LOCK, Project, Ran};

/// The URL of a file of the project.
fn url(project: &Project, name: &str) -> String {
    format!("file://{}", project.path(name).display())
}

/// A recipe beside `small.yaml` that requests these patches, each a file of the folder `mirror`.
fn recipe(project: &Project, path: &str, patches: &[&str]) {
    let depth = "../".repeat(path.matches('/').count());
    let name = path.rsplit('/').next().unwrap().trim_end_matches(".yaml");
    let urls: Vec<_> =
        patches.iter().map(|patch| format!("{{url: '{}'}}", url(project, &format!("mirror/{patch}")))).collect();
    for patch in patches.iter().filter(|patch| !patch.contains('$')) {
        project.write(&format!("mirror/{patch}"), format!("patch {patch}"));
    }
    project.write(
        path,
        format!("recipe: {name}\nextends: {depth}small.yaml\nkernel: {{patches: [{}]}}\n", urls.join(", ")),
    );
}

/// The entry of a patch in a lock of the old format, for a file that need not be there.
fn entry(project: &Project, patch: &str, content: &str) -> String {
    let (url, sha256) = (url(project, &format!("mirror/{patch}")), Digest::of(content));
    format!(
        "- request:\n    url:\n      urls: ['{url}']\n  files:\n  - name: {patch}\n    at:\n      urls: ['{url}']\n    \
         sha256: {sha256}\n    size: {}\n",
        content.len()
    )
}

/// A lock in the earlier format, with such entries.
fn old(project: &Project, patches: &[(&str, &str)]) -> String {
    let entries: String = patches.iter().map(|(patch, content)| entry(project, patch, content)).collect();
    LOCK.replace("format: 2", "format: 1") + &entries
}

fn lock(project: &Project, arguments: &[&str]) -> Ran {
    project.dbco(&[&["lock"], arguments].concat())
}

fn fits(project: &Project, recipes: &[&str]) {
    for recipe in recipes {
        project.dbco(&["check", "--locked", recipe]).ends(0);
    }
}

/// The patches in a lock, in order.
fn patches(project: &Project, path: &str) -> Vec<String> {
    let text = project.read(path);
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("- name: "));
    names.map(str::to_owned).collect()
}

#[test]
fn recipes_share_entries_and_lock_leaves_those_of_others_alone() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["a", "both"]);
    recipe(&project, "two.yaml", &["both", "c"]);
    lock(&project, &["one.yaml"]).ends(0).says(&["dbco.lock: 3 sources, 2 files"]);
    lock(&project, &["two.yaml"]).ends(0).says(&["dbco.lock: 3 sources, 2 files"]);
    assert_eq!(patches(&project, "dbco.lock"), ["a", "both", "c"], "each once");
    fits(&project, &["one.yaml", "two.yaml", "small.yaml"]);
    let locked = project.read("dbco.lock");
    for name in ["one.yaml", "two.yaml", "small.yaml"] {
        lock(&project, &[name]).ends(0).never_says("as no recipe uses it");
        assert_eq!(project.read("dbco.lock"), locked, "{name}");
    }
    // An update by name affects every recipe that requests it, and nothing else.
    for patch in ["a", "both", "c"] {
        project.write(&format!("mirror/{patch}"), "another patch");
    }
    lock(&project, &["one.yaml", "--update", "c"])
        .ends(2)
        .says(&["one.yaml has no package, component or source of that name"]);
    lock(&project, &["one.yaml", "--update", "both"]).ends(0);
    let new = Digest::of("another patch").to_string();
    assert_eq!(project.read("dbco.lock").matches(&new).count(), 1);
    lock(&project, &["one.yaml", "--update"]).ends(0);
    assert_eq!(project.read("dbco.lock").matches(&new).count(), 2);
    fits(&project, &["one.yaml", "two.yaml", "small.yaml"]);
}

#[test]
fn what_fetch_brings_and_gc_keeps_is_what_the_recipe_asks_for() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["a"]);
    recipe(&project, "two.yaml", &["b"]);
    for name in ["one.yaml", "two.yaml"] {
        lock(&project, &[name]).ends(0);
    }
    fs::remove_dir_all(project.path("store")).unwrap();
    fs::remove_file(project.path("mirror/b")).unwrap();
    project.dbco(&["fetch", "one.yaml"]).ends(0).says(&["fetched 1 file (7 B), 0 already present"]);
    project.dbco(&["build", "--offline", "one.yaml"]).ends(0);
    project.dbco(&["fetch", "two.yaml"]).ends(1).says(&["mirror/b"]);
    let blob = |content: &str| {
        let digest = Digest::of(content).to_string();
        project.path("store/blobs").join(&digest[..2]).join(digest).exists()
    };
    assert!(blob("patch a"));
    project.dbco(&["cache", "gc", "--keep", "one.yaml"]).ends(0);
    assert!(blob("patch a"));
    // A recipe in a folder that was never locked is reported, a named one is an error.
    recipe(&project, "new/three.yaml", &["never-locked"]);
    project.dbco(&["cache", "gc", "--keep", "."]).ends(0).says(&["three.yaml: not all of its sources are locked"]);
    assert!(blob("patch a"));
    project.dbco(&["cache", "gc", "--keep", "new/three.yaml"]).ends(2).says(&["never-locked", "run `dbco lock`"]);
    project.dbco(&["cache", "gc", "--keep", "small.yaml"]).ends(0);
    assert!(!blob("patch a"), "no recipe that is kept asks for it");
}

#[test]
fn an_older_form_is_named_until_it_is_pruned() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["a"]);
    recipe(&project, "two.yaml", &["b"]);
    for name in ["one.yaml", "two.yaml"] {
        lock(&project, &[name]).ends(0);
    }
    project.edit("one.yaml", "/a'}]", "/a', sha256: X}]");
    project.edit("one.yaml", "X}", &format!("{}}}", Digest::of("patch a")));
    let pin = format!("mirror/a: the recipe's sha256 is now {}", Digest::of("patch a"));
    project.dbco(&["check", "one.yaml"]).ends(0).says(&[&pin]);
    lock(&project, &["one.yaml"]).ends(0).never_says("as no recipe uses it");
    assert_eq!(patches(&project, "dbco.lock"), ["a", "a", "b"]);
    fits(&project, &["one.yaml", "two.yaml"]);
    lock(&project, &["one.yaml", "--prune"]).ends(0).says(&["removed, as no recipe uses it: file://", "mirror/a"]);
    assert_eq!(patches(&project, "dbco.lock"), ["a", "b"]);
    let pruned = project.read("dbco.lock");
    lock(&project, &["two.yaml", "--prune"]).ends(0).never_says("as no recipe uses it");
    assert_eq!(project.read("dbco.lock"), pruned);
    fits(&project, &["one.yaml", "two.yaml", "small.yaml"]);
    // The request of another recipe is not mistaken for an older form of this one's.
    project.edit("toolchains/none.yaml", "packages: []", "packages: [dash]");
    project.write("toolchains/other.yaml", "toolchain: other\ndebian: bookworm\npackages: []\n");
    project.write(
        "three.yaml",
        "recipe: three\nextends: small.yaml\ntoolchains: {build: other, image: other, boot: other}\n",
    );
    let said = "dash of Debian bookworm main (amd64): not in the lock";
    project.dbco(&["check", "small.yaml"]).ends(0).says(&[said]).never_says("was added");
    fs::remove_file(project.path("three.yaml")).unwrap();
    project.dbco(&["check", "small.yaml"]).ends(0).says(&["Debian bookworm packages: `dash` was added"]);
}

#[test]
fn prune_counts_every_recipe_of_the_project_and_no_other() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["one"]);
    recipe(&project, "recipes/two.yaml", &["two"]);
    recipe(&project, "images/deep/three.yaml", &["three"]);
    recipe(&project, "apart/four.yaml", &["four"]);
    recipe(&project, "nested/five.yaml", &["five"]);
    project.write("nested/dbco.lock", "format: 2\n");
    let all = ["one.yaml", "recipes/two.yaml", "images/deep/three.yaml", "apart/four.yaml", "nested/five.yaml"];
    for name in all {
        lock(&project, &[name]).ends(0);
    }
    assert_eq!(patches(&project, "dbco.lock"), ["four", "one", "three", "two"], "the fifth has another lock");
    assert_eq!(patches(&project, "nested/dbco.lock"), ["five"]);
    lock(&project, &["one.yaml", "--prune"]).ends(0).never_says("as no recipe uses it");
    fits(&project, &all);
    // Files that are not recipes, and one whose name comes from another recipe.
    project.write("other.yml", "extends: [standard]\ncomponent: x\n");
    project.write(".eslintrc.yaml", "extends: standard\n");
    project.write("images/six.yaml", "extends: ../one.yaml\n");
    fs::remove_file(project.path("recipes/two.yaml")).unwrap();
    fs::rename(project.path("one.yaml"), project.path("moved.yaml")).unwrap();
    project.edit("images/six.yaml", "one.yaml", "moved.yaml");
    let ran = lock(&project, &["images/six.yaml", "--prune"]).ends(0).says(&["mirror/two"]);
    assert_eq!(ran.err.matches("as no recipe uses it").count(), 1, "{}", ran.err);
    assert_eq!(patches(&project, "dbco.lock"), ["four", "one", "three"]);
}

#[test]
fn prune_drops_nothing_where_it_can_not_know_what_is_asked_for() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["a"]);
    lock(&project, &["one.yaml"]).ends(0);
    recipe(&project, "one.yaml", &["b"]);
    lock(&project, &["one.yaml"]).ends(0);
    let locked = project.read("dbco.lock");
    assert_eq!(patches(&project, "dbco.lock"), ["a", "b"]);
    for (text, said) in [
        ("recipe: broken\nextends: small.yaml\noutputs: [floppy]\n", "floppy"),
        ("recipe: broken\nextends: gone.yaml\n", "gone.yaml"),
        ("recipe: broken\nextends: small.yaml\nparams: {size: {}}\n", "`size` has no default"),
        ("recipe: [\n", "broken.yaml:"),
    ] {
        project.write("more/broken.yaml", text.replace("small.yaml", "../small.yaml"));
        let ran = lock(&project, &["one.yaml", "--prune"]).ends(2);
        ran.says(&[said, "more/broken.yaml are unknown, as it can't be read", "nothing was removed"]);
        assert_eq!(project.read("dbco.lock"), locked);
        // No other recipe requests the others.
        lock(&project, &["one.yaml"]).ends(0);
    }
    project.write("more/broken.yaml", b"recipe: \xff\n");
    lock(&project, &["one.yaml", "--prune"]).ends(2).says(&["more/broken.yaml", "not UTF-8", "nothing was removed"]);
    assert_eq!(project.read("dbco.lock"), locked);
    fs::remove_file(project.path("more/broken.yaml")).unwrap();
    lock(&project, &["one.yaml", "--prune"]).ends(0).says(&["mirror/a"]);
    assert_eq!(patches(&project, "dbco.lock"), ["b"]);
}

#[test]
fn prune_keeps_what_any_choice_of_a_parameter_asks_for() {
    let project = Project::new();
    for patch in ["a", "b", "p", "q"] {
        project.write(&format!("mirror/{patch}"), patch);
    }
    recipe(&project, "choice.yaml", &["${which}"]);
    project.edit("choice.yaml", "kernel:", "params: {which: {default: a, choices: [a, b]}}\nkernel:");
    recipe(&project, "free.yaml", &["${any}"]);
    project.edit(
        "free.yaml",
        "kernel:",
        "params: {any: {default: p}, unused: {default: z}, time: {default: '7'}}\nboot:\n  timeout: ${time}\nkernel:",
    );
    for arguments in
        [&["choice.yaml"][..], &["choice.yaml", "--set", "which=b"], &["free.yaml"], &["free.yaml", "--set", "any=q"]]
    {
        lock(&project, arguments).ends(0);
    }
    let locked = project.read("dbco.lock");
    assert_eq!(patches(&project, "dbco.lock"), ["a", "b", "p", "q"]);
    // The values for the named recipe count, too.
    let note = "free.yaml: its sources depend on `any`, which can have any value";
    lock(&project, &["free.yaml", "--set", "any=q", "--prune"])
        .ends(0)
        .says(&[note])
        .never_says("as no recipe uses it");
    assert_eq!(project.read("dbco.lock"), locked);
    let ran = lock(&project, &["choice.yaml", "--prune"]).ends(0);
    ran.says(&[note, "removed, as no recipe uses it", "mirror/q"]).never_says("`unused`").never_says("`time`");
    assert_eq!(patches(&project, "dbco.lock"), ["a", "b", "p"]);
}

#[test]
fn a_lock_of_one_recipe_is_used_until_it_is_taken_over() {
    let project = Project::new();
    fs::remove_file(project.path("dbco.lock")).unwrap();
    recipe(&project, "one.yaml", &["a"]);
    // Its server no longer has any of it.
    fs::remove_file(project.path("mirror/a")).unwrap();
    let text = old(&project, &[("a", "patch of before"), ("z", "not asked for")]);
    project.write("one.lock", &text);
    fits(&project, &["one.yaml"]);
    project.write("mirror/a", "patch of before");
    project.dbco(&["fetch", "one.yaml"]).ends(0).says(&["fetched 1 file"]);
    project.dbco(&["build", "one.yaml"]).ends(0).never_says("imported");
    project.dbco(&["build", "--offline", "one.yaml"]).ends(0);
    project.dbco(&["cache", "gc", "--keep", "one.yaml"]).ends(0);
    assert!(!project.path("dbco.lock").exists());
    fs::remove_file(project.path("mirror/a")).unwrap();
    lock(&project, &["one.yaml"]).ends(0).says(&["dbco.lock: imported the entries of one.lock, which can be removed"]);
    assert_eq!(patches(&project, "dbco.lock"), ["a", "z"]);
    assert!(project.read("dbco.lock").contains("format: 2\n"));
    assert_eq!(project.read("one.lock"), text, "it is the user's");
    let taken = project.read("dbco.lock");
    lock(&project, &["one.yaml"]).ends(0).never_says("imported");
    assert_eq!(project.read("dbco.lock"), taken);
    // A lock that does not match is taken over and updated in one step, also by a build.
    let project = Project::new();
    fs::remove_file(project.path("dbco.lock")).unwrap();
    recipe(&project, "one.yaml", &["a", "b"]);
    project.write("one.lock", old(&project, &[("a", "patch a")]));
    project
        .dbco(&["build", "--locked", "one.yaml"])
        .ends(2)
        .says(&["one.lock does not match the recipe", "mirror/b: not in the lock"]);
    project.dbco(&["build", "one.yaml"]).ends(0).says(&["imported the entries of one.lock"]);
    assert_eq!(patches(&project, "dbco.lock"), ["a", "b"]);
    // That of a recipe named `dbco` has the right name already.
    let project = Project::new();
    recipe(&project, "dbco.yaml", &["a"]);
    project.write("dbco.lock", old(&project, &[("a", "patch a")]));
    lock(&project, &["dbco.yaml"]).ends(0).never_says("imported");
    assert!(project.read("dbco.lock").contains("format: 2\n"));
}

#[test]
fn beside_a_lock_of_the_project_an_old_one_only_gives_what_that_lacks() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["a", "b"]);
    recipe(&project, "two.yaml", &["a"]);
    lock(&project, &["two.yaml"]).ends(0);
    let own = project.read("dbco.lock");
    fs::remove_dir_all(project.path("mirror")).unwrap();
    project.write("one.lock", old(&project, &[("a", "of before"), ("b", "of before"), ("z", "not asked for")]));
    project
        .dbco(&["check", "--locked", "one.yaml"])
        .ends(2)
        .says(&["dbco.lock does not match", "mirror/b: not in the lock"]);
    assert_eq!(project.read("dbco.lock"), own);
    lock(&project, &["one.yaml"]).ends(0).says(&["imported the entries of one.lock"]);
    assert_eq!(patches(&project, "dbco.lock"), ["a", "b"]);
    assert_eq!(project.read("dbco.lock").matches(&Digest::of("of before").to_string()).count(), 1, "b alone");
    fits(&project, &["one.yaml", "two.yaml"]);
    lock(&project, &["one.yaml"]).ends(0).never_says("imported");
    // A damaged one only matters where it is needed.
    project.write("one.lock", "format: 1\n<<<<<<< ours\n");
    lock(&project, &["one.yaml"]).ends(0);
    recipe(&project, "one.yaml", &["a", "c"]);
    lock(&project, &["one.yaml"]).ends(2).says(&["one.lock:2: the lock contains merge conflict markers"]);
}

#[test]
fn recipes_that_are_locked_at_the_same_time_all_keep_their_entries() {
    let project = Project::new();
    let names: Vec<String> = (0..6).map(|number| format!("r{number}")).collect();
    for name in &names {
        recipe(&project, &format!("{name}.yaml"), &["common", name]);
    }
    std::thread::scope(|scope| {
        for name in &names {
            let project = &project;
            scope.spawn(move || lock(project, &[&format!("{name}.yaml")]).ends(0));
        }
    });
    assert_eq!(patches(&project, "dbco.lock"), ["common", "r0", "r1", "r2", "r3", "r4", "r5"]);
    for name in &names {
        fits(&project, &[&format!("{name}.yaml")]);
    }
}

fn git(project: &Project, arguments: &[&str]) -> bool {
    let settings = ["-c", "user.name=Ann", "-c", "user.email=ann@example.invalid", "-c", "init.defaultBranch=main"];
    let output = command("git").args(settings).args(arguments).current_dir(project.path("")).output().unwrap();
    output.status.success()
}

/// Two branches each lock a separate recipe, whose entries are those in `ours` and `theirs`.
fn branches(ours: &str, theirs: &str) -> Project {
    let project = Project::new();
    recipe(&project, "base.yaml", &["c", "g", "k"]);
    lock(&project, &["base.yaml"]).ends(0);
    project.write(".gitignore", "store\nhome\nmirror\nout\n");
    assert!(
        git(&project, &["init", "-q"]) && git(&project, &["add", "-A"]) && git(&project, &["commit", "-qm", "base"])
    );
    for (branch, patch) in [("theirs", theirs), ("ours", ours)] {
        assert!(git(&project, &["checkout", "-qb", branch, "main"]));
        recipe(&project, &format!("{branch}.yaml"), &[patch, "g"]);
        lock(&project, &[&format!("{branch}.yaml")]).ends(0);
        assert!(git(&project, &["add", "-A"]) && git(&project, &["commit", "-qm", branch]));
    }
    project
}

#[test]
fn branches_that_each_add_an_entry_merge_unless_these_are_neighbours() {
    for (ours, theirs) in [("a", "e"), ("e", "i"), ("i", "a"), ("h", "m"), ("m", "d")] {
        let project = branches(ours, theirs);
        assert!(
            git(&project, &["merge", "-q", "--no-edit", "theirs"]),
            "{ours} {theirs}\n{}",
            project.read("dbco.lock")
        );
        fits(&project, &["base.yaml", "ours.yaml", "theirs.yaml"]);
        let merged = project.read("dbco.lock");
        lock(&project, &["base.yaml"]).ends(0);
        assert_eq!(project.read("dbco.lock"), merged, "as it would have been written");
    }
    // The same entry on both sides is one.
    let project = branches("e", "e");
    assert!(git(&project, &["merge", "-q", "--no-edit", "theirs"]));
    assert_eq!(patches(&project, "dbco.lock"), ["c", "e", "g", "k"]);
    // Adjacent entries conflict, which is resolved as the error says.
    let project = branches("d", "e");
    assert!(!git(&project, &["merge", "-q", "--no-edit", "theirs"]));
    let said = ["dbco.lock:", "the lock contains merge conflict markers", "`git checkout --ours dbco.lock`"];
    for command in ["lock", "build", "fetch"] {
        project.dbco(&[command, "ours.yaml"]).ends(2).says(&said);
    }
    assert!(git(&project, &["checkout", "--ours", "dbco.lock"]));
    lock(&project, &["theirs.yaml"]).ends(0);
    fits(&project, &["base.yaml", "ours.yaml", "theirs.yaml"]);
}

#[test]
fn the_nearest_lock_up_to_the_top_of_the_repository_counts() {
    let project = Project::new();
    recipe(&project, "deep/er/one.yaml", &["a"]);
    let one = "deep/er/one.yaml";
    lock(&project, &[one]).ends(0);
    assert_eq!(patches(&project, "dbco.lock"), ["a"]);
    assert!(!project.path("deep/er/dbco.lock").exists());
    fits(&project, &[one]);
    // A nearer one.
    project.write("deep/dbco.lock", "format: 2\n");
    project.dbco(&["check", "--locked", one]).ends(2).says(&["deep/dbco.lock does not match"]);
    fs::remove_file(project.path("deep/dbco.lock")).unwrap();
    // Nothing is searched above the top of a repository, a clone or a work tree; within it, it is.
    for (top, is_file) in [("deep/.git", false), ("deep/er/.git", false), ("deep/er/.git", true)] {
        let path = project.path(top);
        if is_file {
            fs::write(&path, "gitdir: x\n").unwrap()
        } else {
            fs::create_dir(&path).unwrap()
        }
        let missing = "deep/er/dbco.lock does not exist: run `dbco lock` to create it";
        project.dbco(&["check", "--locked", one]).ends(2).says(&[missing]);
        let at_top = format!("{}/dbco.lock", top.trim_end_matches("/.git"));
        fs::copy(project.path("dbco.lock"), project.path(&at_top)).unwrap();
        // It fits; that its sources are outside of the repository is a finding of its own.
        let ran = project.dbco(&["check", "--locked", one]).ends(2);
        assert!(ran.err.contains("one: 1 component") && !ran.err.contains("does not match"), "{}", ran.err);
        assert!(ran.err.contains("is outside of the repository"), "{}", ran.err);
        fs::remove_file(project.path(&at_top)).unwrap();
        // The first one is made beside the recipe.
        lock(&project, &[one]).ends(0).says(&["deep/er/dbco.lock: 2 sources"]);
        fs::remove_file(project.path("deep/er/dbco.lock")).unwrap();
        if is_file { fs::remove_file(&path).unwrap() } else { fs::remove_dir(&path).unwrap() }
    }
    // By a path from within.
    let inside = project.path("deep/er");
    let ran = command(env!("CARGO_BIN_EXE_dbco"))
        .args(["check", "--locked", "one.yaml"])
        .current_dir(inside)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn another_lock_file_can_be_named() {
    let project = Project::new();
    recipe(&project, "one.yaml", &["a"]);
    let before = project.read("dbco.lock");
    project.write("more/x", "");
    let missing = "more/my.lock does not exist: run `dbco lock` to create it";
    for command in [
        &["check", "--locked"][..],
        &["build", "--locked"],
        &["build", "--offline"],
        &["fetch"],
        &["audit", "--locked"],
    ] {
        project.dbco(&[command, &["--lock", "more/my.lock", "one.yaml"]].concat()).ends(2).says(&[missing]);
    }
    lock(&project, &["--lock", "more/my.lock", "one.yaml"]).ends(0).says(&["more/my.lock: 2 sources, 1 file"]);
    assert_eq!(project.read("dbco.lock"), before);
    project.dbco(&["build", "--offline", "--lock", "more/my.lock", "one.yaml"]).ends(0);
    project.dbco(&["build", "--lock", "built.lock", "one.yaml"]).ends(0);
    assert_eq!(project.read("built.lock"), project.read("more/my.lock"));
    assert_eq!(project.read("dbco.lock"), before);
    project.dbco(&["check", "--locked", "one.yaml"]).ends(2).says(&["dbco.lock does not match the recipe"]);
    // It is unknown which recipes share it.
    lock(&project, &["--lock", "more/my.lock", "--prune", "one.yaml"]).ends(2).says(&["--prune", "--lock"]);
    // An old one is read there, too, and rewritten; the one beside the recipe is left alone.
    project.write("more/old.lock", old(&project, &[("a", "patch a")]));
    project.write("one.lock", "damaged");
    lock(&project, &["--lock", "more/old.lock", "one.yaml"]).ends(0).never_says("imported");
    assert_eq!(project.read("more/old.lock"), project.read("more/my.lock"));
}
