//! `dbco new`: what it makes passes `dbco check`, nothing else changes, and it makes all or nothing.

mod project;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use project::terminal::at_terminal;
use project::{Project, Ran};

/// Every file below a project's folder, other than those of its store and home, with its content.
fn files(project: &Project) -> BTreeMap<String, String> {
    fn below(top: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            if name == "store" || name == "home" {
                continue;
            }
            if path.is_dir() {
                found.insert(format!("{name}/"), String::new());
                below(top, &path, found);
            } else {
                found.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
            }
        }
    }
    let mut found = BTreeMap::new();
    let top = project.path("");
    below(&top, &top, &mut found);
    found
}

/// A project in the folder of the test: what `dbco new` makes.
fn made() -> Project {
    let project = Project::bare();
    project.dbco(&["new", "box"]).ends(0);
    project.unshared("mv box/* box/.gitignore . && rmdir box").ends(0);
    project
}

/// The command is refused, says this, and changes nothing.
#[track_caller]
fn refused(project: &Project, arguments: &[&str], parts: &[&str]) -> Ran {
    let before = files(project);
    let ran = project.dbco(arguments).ends(2).says(parts);
    assert_eq!(files(project), before, "{arguments:?}");
    ran
}

/// The command succeeds, and each of the recipes is valid after it.
#[track_caller]
fn makes(project: &Project, arguments: &[&str], recipes: &[&str]) -> Ran {
    let before = files(project);
    let listed = project.dbco(&[arguments, &["--dry-run"]].concat()).ends(0);
    assert_eq!(files(project), before, "--dry-run of {arguments:?}");
    let ran = project.dbco(arguments).ends(0);
    let after = files(project);
    // Both runs name the same files.
    let named = |ran: &Ran, words: [&str; 2]| -> Vec<String> {
        let name = |line: &str| words.iter().find_map(|word| line.strip_prefix(word)).map(str::to_owned);
        ran.out.lines().filter_map(name).collect()
    };
    let names = named(&ran, ["made ", "changed "]);
    assert_eq!(named(&listed, ["would make ", "would change "]), names);
    let differ: Vec<&String> = after
        .iter()
        .filter(|(name, text)| before.get(*name) != Some(text) && !name.ends_with('/'))
        .map(|(name, _)| name)
        .collect();
    let mut sorted = names;
    sorted.sort();
    assert_eq!(differ, sorted.iter().collect::<Vec<_>>(), "{arguments:?}");
    recipes.iter().for_each(|recipe| {
        project.dbco(&["check", recipe]).ends(0).never_says("warning");
    });
    ran
}

/// Every line of the old text is in the new one, in the same order.
#[track_caller]
fn keeps_lines(before: &str, after: &str, added: usize) {
    let mut lines = after.lines();
    before.lines().for_each(|line| assert!(lines.any(|other| other == line), "`{line}` is gone:\n{after}"));
    assert_eq!(after.lines().count(), before.lines().count() + added, "{after}");
}

#[test]
fn a_project_is_made_where_nothing_was() {
    for (name, more) in [
        ("box", vec![]),
        ("n", vec![]),
        ("1.0", vec![]),
        ("My_box+2", vec![]),
        ("x/y/deep", vec![]),
        ("big", vec!["--extends", "library:dbcolinux.yaml"]),
        ("other", vec!["--name", "on"]),
    ] {
        let project = Project::bare();
        let ran = project.dbco(&[&["new", name][..], &more].concat()).ends(0);
        assert!(ran.err.contains("dbco check") && ran.err.contains("git init"), "{}", ran.err);
        let own = more.get(1).filter(|_| more[0] == "--name").copied().unwrap_or(name.rsplit('/').next().unwrap());
        for file in ["dbco.yaml", &format!("recipes/{own}.yaml"), ".gitignore", "README.md"] {
            let path = format!("{name}/{file}");
            assert!(
                project.path(&path).is_file() && ran.out.contains(&format!("made {path}\n")),
                "{path}: {}",
                ran.out
            );
        }
        // Nothing is private, as temporary folders are.
        let script = format!(
            "cd {name} && \"$DBCO\" check && test $(stat -c %a .) = 755 && test $(stat -c %a recipes/{own}.yaml) = 644"
        );
        let ran = project.unshared(&format!("umask 022; {script}")).ends(0);
        assert!(ran.err.contains(&format!("{own}: ")), "{}", ran.err);
        refused(&project, &["new", name], &[name, "is not empty: it has ", "dbco.yaml"]);
        assert!(!files(&project).keys().any(|name| name.contains(".dbco-new")), "{:?}", files(&project));
    }
}

#[test]
fn an_empty_folder_stays_the_same_one() {
    let project = Project::bare();
    fs::create_dir(project.path("box")).unwrap();
    project.unshared("cd box && \"$DBCO\" new . --name mine && test -f dbco.yaml && \"$DBCO\" check").ends(0);
    assert!(project.path("box/recipes/mine.yaml").exists());
}

#[test]
fn a_project_that_is_not_made_leaves_nothing() {
    let project = Project::bare();
    project.write("file", "");
    project.write("full/.hidden", "");
    refused(&project, &["new", "file"], &["file exists, and is no folder"]);
    refused(&project, &["new", "full"], &["full is not empty: it has .hidden"]);
    refused(&project, &["new"], &["DIR is missing"]);
    refused(&project, &["new", "a b"], &["can't be used as a name", "pass --name"]);
    refused(&project, &["new", "box", "--name", "../x"], &["can't be used as a name"]);
    refused(&project, &["new", "box", "--extends", "library:quik.yaml"], &["quik.yaml", "nothing was made"])
        .never_says(".dbco-new");
    refused(&project, &["new", "new/box", "--extends", "nowhere.yaml"], &["nowhere.yaml", "nothing was made"])
        .never_says(".dbco-new");
    let before = files(&project);
    project.dbco(&["new", "file/box"]).ends(1).says(&["can't make"]);
    let listed = project.dbco(&["new", "box", "--dry-run"]).ends(0);
    assert!(listed.out.contains("would make box/dbco.yaml\n  + "), "{}", listed.out);
    assert_eq!(files(&project), before);
}

#[test]
fn components_are_made_in_each_language() {
    let project = made();
    for (name, lang) in [("hello", "c"), ("n", "c"), ("tool", "make"), ("crate-1", "rust"), ("words", "shell")] {
        let before = project.read("recipes/box.yaml");
        makes(&project, &["new", "component", name, "--lang", lang], &["recipes/box.yaml"]);
        assert_eq!(
            project.read("recipes/box.yaml").lines().filter(|line| line.contains('#')).count(),
            before.lines().filter(|line| line.contains('#')).count()
        );
        let shown = project.dbco(&["show", "rootfs.components"]).ends(0);
        assert!(shown.out.contains(name), "{}", shown.out);
        refused(&project, &["new", "component", name, "--lang", lang], &["has a component", "already"]);
    }
    assert!(project.read("recipes/box.yaml").contains("  components: {add: [hello, \"n\", tool, crate-1, words]}\n"));
}

#[test]
fn a_component_may_have_its_source_elsewhere() {
    let project = made();
    project.write("mine/Makefile", "");
    project.write("crate/Cargo.lock", "version = 4\n\n[[package]]\nname = \"crate\"\nversion = \"0.1.0\"\n");
    let lists = |lang, source| ["new", "component", "tool", "--license", "MIT", "--lang", lang, "--source", source];
    for (lang, source, stated) in [
        (
            "autotools",
            "https://example.org/tool-1.2.tar.gz",
            "version: \"1.2\"\nsummary: The program tool\nlicense: MIT\nsource: {url: \"https://example.org/tool-1.2.tar.gz\"}\n",
        ),
        ("make", "mine", "source: {path: ../../mine}\n"),
        ("rust", "./crate", "source: {path: ../../crate, exclude: [/target]}\ntoolchain: rust\n"),
    ] {
        let project_files = files(&project);
        makes(&project, &lists(lang, source), &["recipes/box.yaml"]);
        let text = project.read("recipes/components/tool.yaml");
        assert!(text.contains(stated), "{text}");
        assert!(!project.path("recipes/sources").exists());
        project.write("recipes/box.yaml", &project_files["recipes/box.yaml"]);
        fs::remove_file(project.path("recipes/components/tool.yaml")).unwrap();
    }
    fs::remove_dir(project.path("recipes/components")).unwrap();
    refused(&project, &lists("rust", "https://example.org/a.tar.gz"), &["Cargo.lock", "--source FOLDER"]);
    refused(&project, &lists("c", "https://example.org/a.git"), &["git repository", "commit"]);
    refused(&project, &lists("c", "nowhere"), &["can't find nowhere"]);
    refused(&project, &["new", "component", "tool", "--lang", "autotools"], &["--source URL|PATH"]);
    refused(&project, &["new", "component", "tool", "--lang", "c", "--source", "mine"], &["--license is missing"]);
    // What the recipe then refuses is taken back.
    refused(&project, &lists("rust", "mine"), &["mine/Cargo.lock", "nothing was made"]);
}

#[test]
fn an_image_an_app_a_fragment_a_test_and_patches_are_made() {
    let project = made();
    makes(&project, &["new", "image", "second"], &["recipes/second.yaml"]);
    makes(&project, &["new", "image", "third", "--extends", "second.yaml"], &["recipes/third.yaml"]);
    makes(&project, &["new", "app", "web", "--port", "8081"], &["recipes/web.yaml"]);
    assert!(
        project.read("recipes/web.yaml").contains("forward: [8081]\n")
            && project.read("recipes/sources/web/web.c").contains("htons(8081)")
    );

    let before = project.read("recipes/web.yaml");
    let on_web = ["--recipe", "recipes/web.yaml"];
    let fragment = [
        "new",
        "fragment",
        "usb",
        "--set-symbol",
        "USB_STORAGE=m",
        "--set-symbol",
        "CONFIG_LOCALVERSION=\"-x\"",
        "--set-symbol",
        "BTRFS_FS=n",
    ];
    makes(&project, &[&fragment[..], &on_web].concat(), &["recipes/web.yaml"]);
    let text = project.read("kernel-config/usb.config");
    assert!(
        text.ends_with("\nCONFIG_USB_STORAGE=m\nCONFIG_LOCALVERSION=\"-x\"\n# CONFIG_BTRFS_FS is not set\n"),
        "{text}"
    );
    keeps_lines(&before, &project.read("recipes/web.yaml"), 3);
    refused(&project, &[&fragment[..], &on_web].concat(), &["has a fragment `usb` already"]);
    makes(&project, &["new", "fragment", "empty", "--recipe", "recipes/web.yaml"], &["recipes/web.yaml"]);
    refused(
        &project,
        &["new", "fragment", "other", "--recipe", "recipes/box.yaml"],
        &["kernel", "not built from source", "kernel.component"],
    );
    refused(
        &project,
        &["new", "fragment", "virt", "--recipe", "recipes/web.yaml"],
        &["the library has a fragment `virt`"],
    );
    for setting in ["USB", "USB=yes", "=y", "U S B=y", "USB=\"a"] {
        let arguments = ["new", "fragment", "other", "--recipe", "recipes/web.yaml", "--set-symbol", setting];
        refused(&project, &arguments, &["is no setting", "NAME=VALUE"]);
    }

    let before = project.read("recipes/box.yaml");
    let on_box = ["--recipe", "recipes/box.yaml"];
    let test = ["new", "test", "kernel", "--command", "uname -r # \"x\"", "--expect", "6.1: y"];
    makes(&project, &[&test[..], &on_box].concat(), &["recipes/box.yaml"]);
    keeps_lines(&before, &project.read("recipes/box.yaml"), 8);
    let shown = project.dbco(&["show", "recipes/box.yaml", "tests.kernel.run", "--json"]).ends(0);
    assert!(shown.out.contains("uname -r # \\\"x\\\"") && shown.out.contains("6.1: y"), "{}", shown.out);
    refused(&project, &[&test[..], &on_box].concat(), &["has a test `kernel` already"]);

    project.write("a fix.patch", PATCH);
    project.write("fix.patch", PATCH);
    let patch = |component, file, recipe| vec!["new", "patch", component, file, "--recipe", recipe];
    // The library's component, with and without patches; the kernel; the project's own component.
    makes(&project, &patch("busybox", "fix.patch", "recipes/box.yaml"), &["recipes/box.yaml", "recipes/web.yaml"]);
    makes(&project, &patch("vestress", "fix.patch", "recipes/box.yaml"), &["recipes/box.yaml"]);
    makes(&project, &patch("linux-6.1", "fix.patch", "recipes/web.yaml"), &["recipes/web.yaml"]);
    makes(&project, &patch("web", "fix.patch", "recipes/web.yaml"), &["recipes/web.yaml"]);
    assert!(project.read("recipes/components/web.yaml").ends_with("\npatches: [web/fix.patch]\n"));
    assert_eq!(project.read("recipes/patches/busybox/fix.patch"), PATCH);
    let shown = project.dbco(&["show", "recipes/web.yaml", "kernel.patches"]).ends(0);
    assert!(shown.out.trim_end().ends_with("linux-6.1/fix.patch"), "{}", shown.out);
    refused(&project, &patch("web", "fix.patch", "recipes/web.yaml"), &["has the patch `web/fix.patch` already"]);
    refused(&project, &patch("web", "a fix.patch", "recipes/web.yaml"), &["can't be used as a name"]);
    refused(&project, &patch("nothing", "fix.patch", "recipes/web.yaml"), &["there is no component `nothing`"]);
    refused(
        &project,
        &patch("web", "README.md", "recipes/web.yaml"),
        &["README.md: it contains no change in unified format"],
    );
    // From standard input, with a name.
    project.unshared("\"$DBCO\" new patch busybox - --name 2.patch --recipe recipes/box.yaml <fix.patch").ends(0);
    project
        .unshared("\"$DBCO\" new patch busybox - --recipe recipes/box.yaml <fix.patch")
        .ends(2)
        .says(&["--name is missing"]);
    let shown = project.dbco(&["show", "recipes/components/busybox.yaml", "patches"]).ends(0);
    assert!(shown.out.contains("busybox/fix.patch") && shown.out.contains("busybox/2.patch"), "{}", shown.out);
    project.dbco(&["check", "recipes/box.yaml"]).ends(0);
}

const PATCH: &str = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";

#[test]
fn a_recipe_keeps_its_form() {
    let odd = "# Mine.\r\nrecipe: box  # its name\r\nextends:   library:quick.yaml\r\n\r\nrootfs:\r\n    # Programs.\r\n    components:\r\n    - busybox   # the shell\r\n    # - gone\r\n\r\n    links: {/usr/bin/x: y}\t# z\r\ntests: [\r\n  {name: a, entry: live, medium: kernel, expect: \"login:\"}, # first\r\n]";
    let project = made();
    project.write("recipes/box.yaml", odd);
    project.dbco(&["new", "component", "hello", "--lang", "c"]).ends(0);
    let expected = odd.replace("# the shell\r\n", "# the shell\r\n    - hello\r\n");
    assert_eq!(project.read("recipes/box.yaml"), expected);
    project.dbco(&["new", "test", "b"]).ends(0);
    let text = project.read("recipes/box.yaml");
    let added = "{name: a, entry: live, medium: kernel, expect: \"login:\"}, {name: b, entry: live, ";
    assert!(text.contains(added) && text.ends_with(", # first\r\n]"), "{text}");
    project.dbco(&["check"]).ends(0);
    // A link stays one.
    fs::rename(project.path("recipes/box.yaml"), project.path("real.txt")).unwrap();
    std::os::unix::fs::symlink("../real.txt", project.path("recipes/box.yaml")).unwrap();
    project.dbco(&["new", "test", "c"]).ends(0);
    assert!(project.path("recipes/box.yaml").is_symlink() && project.read("real.txt").contains("name: c"));
}

#[test]
fn what_can_not_be_edited_safely_is_told() {
    let text = "recipe: box\nextends: library:quick.yaml\nrootfs:\n  components: &all [vestress]\ntemplate: {layout: app, components: *all}\n";
    let project = made();
    project.write("recipes/box.yaml", text);
    let ran = project.dbco(&["new", "component", "hello", "--lang", "c"]).ends(0);
    assert_eq!(project.read("recipes/box.yaml"), text);
    assert!(ran.err.contains("recipes/box.yaml was left as it is") && ran.err.contains("alias"), "{}", ran.err);
    assert!(ran.err.contains("; add to it:\n  template: {components: [hello]}\n"), "{}", ran.err);
    assert!(project.path("recipes/components/hello.yaml").exists());
}

#[test]
fn nothing_is_overwritten_and_nothing_half_done_is_left() {
    let project = made();
    refused(&project, &["new", "component", "busybox", "--lang", "c"], &["the library has a component `busybox`"]);
    refused(
        &project,
        &["new", "image", "box"],
        &["recipes/box.yaml, recipes/overlays/box/usr/share/box/about exist already", "nothing was made"],
    );
    for name in ["a b", "../x", "", "-x", "ü", "a\nb"] {
        for kind in ["image", "component", "app", "fragment", "test"] {
            let before = files(&project);
            let ran = project.dbco(&["new", kind, &format!("--recipe={}", "recipes/box.yaml"), "--", name]);
            assert!(ran.code == Some(2), "{kind} {name:?}: {}", ran.err);
            assert_eq!(files(&project), before);
        }
    }
    for name in ["1a", "fn", "a.b"] {
        refused(&project, &["new", "component", name, "--lang", "rust"], &["can't be used as a name"]);
    }
    refused(&project, &["new", "test", "x", "--recipe", "library:quick.yaml"], &["is the library's"]);
    refused(&project, &["new", "test", "x", "--recipe", "recipes/bx.yaml"], &["did you mean recipes/box.yaml?"]);
    project.write("recipes/sources/hello/Makefile", "mine\n");
    refused(
        &project,
        &["new", "component", "hello", "--lang", "c"],
        &["recipes/sources/hello/Makefile exists already"],
    );
    // A file where a folder has to be: some of the others are written before that.
    project.write("recipes/sources/tool", "a file\n");
    let before = files(&project);
    project.dbco(&["new", "component", "tool", "--lang", "c"]).ends(1).says(&["recipes/sources/tool"]);
    assert_eq!(files(&project), before);
    // A recipe with errors is not edited.
    project.write("recipes/box.yaml", "recipe: box\nextends: library:quick.yaml\nnonsense: 1\n");
    refused(&project, &["new", "component", "other", "--lang", "c"], &["unknown key `nonsense`"]);
}

#[test]
fn what_is_missing_is_named_or_asked_for() {
    let project = made();
    for (arguments, missing) in [
        (vec!["image"], "NAME"),
        (vec!["component"], "NAME"),
        (vec!["component", "x"], "--lang"),
        (vec!["app"], "NAME"),
        (vec!["fragment"], "NAME"),
        (vec!["test"], "NAME"),
        (vec!["patch"], "COMPONENT"),
    ] {
        refused(&project, &[&["new"][..], &arguments].concat(), &[&format!("{missing} is missing")]);
    }
    project.dbco(&["new", "image", "second"]).ends(0);
    refused(&project, &["new", "test", "x"], &["--recipe is missing", "recipes/box.yaml, recipes/second.yaml"]);
    let keys = [
        ("name of the component [hello]:", "tool\r"),
        ("recipes/second.yaml [recipes/box.yaml]:", "\r"),
        ("or shell [c]:", "shell\r"),
    ];
    at_terminal(&project, (100, 30), "$DBCO new component", &keys).success();
    assert!(
        project.path("recipes/sources/tool/tool.sh").exists() && project.read("recipes/box.yaml").contains("[tool]")
    );
    let before = files(&project);
    let shown = at_terminal(
        &project,
        (100, 30),
        "$DBCO new component",
        &[("[hello]:", "a\r"), ("[recipes/box.yaml]:", "\x03")],
    );
    assert!(!shown.succeeded && shown.untyped == 0, "{}", shown.text);
    assert_eq!(files(&project), before);
    let bare = Project::bare();
    refused(&bare, &["new", "image", "x"], &["no folder `recipes`", "dbco new DIR"]);
    at_terminal(&bare, (100, 30), "$DBCO new", &[("folder of the project [my-image]:", "\r")]).success();
    assert!(bare.path("my-image/recipes/my-image.yaml").exists());
}
