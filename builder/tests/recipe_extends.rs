//! Merging of files that extend others: each kind of key, and each error with both of its places.

mod project;

use dbco::recipe::{Settings, effective, load};
use project::Project;

/// A project whose `mine.yaml` extends `small.yaml` and has this text.
fn mine(text: &str) -> Project {
    let project = Project::with("    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root}\n", USERS);
    project.write("mine.yaml", format!("recipe: mine\nextends: small.yaml\n{text}"));
    project
}

const USERS: &str = "    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root}
    - {name: ann, uid: 1, shell: /system/bin/sh}
    - {name: bob, uid: 2, shell: /system/bin/sh}
";

#[track_caller]
fn users(text: &str) -> String {
    let project = mine(&format!("rootfs:\n  users: {text}\n"));
    let recipe = load(&project.path("mine.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}"));
    let users = recipe.image.rootfs.users;
    users.iter().map(|user| format!("{}={}", user.name.value, user.uid)).collect::<Vec<_>>().join(" ")
}

/// `mine.yaml` with this text is refused with these words.
#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    mine(text).dbco(&["check", "mine.yaml"]).ends(2).says(parts);
}

#[test]
fn a_list_is_replaced_or_changed_by_operations() {
    for (text, expected) in [
        ("[{name: cy, uid: 3, shell: /system/bin/sh}]", "cy=3"),
        ("{add: [{name: cy, uid: 3, shell: /system/bin/sh}]}", "root=0 ann=1 bob=2 cy=3"),
        ("{remove: [ann]}", "root=0 bob=2"),
        ("{remove: [ann, root, bob]}", ""),
        ("{change: [{name: ann, uid: 9}]}", "root=0 ann=9 bob=2"),
        ("{before: {ann: [{name: cy, uid: 3, shell: /system/bin/sh}]}}", "root=0 cy=3 ann=1 bob=2"),
        ("{after: {ann: [{name: cy, uid: 3, shell: /system/bin/sh}]}}", "root=0 ann=1 cy=3 bob=2"),
        ("{after: {bob: [{name: cy, uid: 3, shell: /system/bin/sh}]}, order: [cy]}", "cy=3 root=0 ann=1 bob=2"),
        ("{order: [bob, ann]}", "bob=2 ann=1 root=0"),
        ("{order: [bob], remove: [ann], change: [{name: root, gid: 7}]}", "bob=2 root=0"),
        // An element may be replaced by another of its name.
        ("{add: [{name: ann, uid: 5, shell: /system/bin/sh}], remove: [ann]}", "root=0 bob=2 ann=5"),
        ("{add: , remove: , order: , before: , change: }", "root=0 ann=1 bob=2"),
        ("{remove: []}", "root=0 ann=1 bob=2"),
    ] {
        assert_eq!(users(text), expected, "{text}");
    }
}

#[test]
fn operations_work_through_several_files_and_on_what_is_not_there() {
    let project = mine("rootfs:\n  users: {remove: [ann]}\n  groups: {add: [{name: disk, gid: 6}]}\n");
    project.write(
        "more.yaml",
        "recipe: more\nextends: mine.yaml\nrootfs:\n  users: {add: [{name: ann, uid: 4, shell: /system/bin/sh}], order: [ann]}\n  \
         groups: {after: {disk: [{name: tape, gid: 7}]}}\n",
    );
    // Also in a mapping that the extended recipe does not have at all.
    project.write("new.yaml", "recipe: new\nextends: more.yaml\ntemplate: {layout: fhs, overlays: {add: [overlay]}}\n");
    let template =
        load(&project.path("new.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}")).image.template;
    assert_eq!(template.content.unwrap().overlays.len(), 1);
    let rootfs = load(&project.path("more.yaml"), &Settings::new()).unwrap().image.rootfs;
    assert_eq!(rootfs.users.iter().map(|user| user.uid).collect::<Vec<_>>(), [4, 0, 2]);
    assert_eq!(rootfs.groups.iter().map(|(name, _)| name.value.as_str()).collect::<Vec<_>>(), ["disk", "tape"]);
}

#[test]
fn elements_are_named_by_their_texts_and_keys() {
    let project = mine(
        "kernel:\n  config: {add: [more]}\n  patches: {before: {first.patch: [zero.patch]}}\n\
         boot: {entries: {change: [{id: live, title: Other}]}}\ntests: {change: [{name: first, timeout: 7}]}\n\
         rootfs: {overlays: {change: [{path: overlay, modes: keep}]}}\n",
    );
    project.write("kernel-config/more.config", "CONFIG_64BIT=y\n");
    project.write("patches/zero.patch", "");
    let image = load(&project.path("mine.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}")).image;
    let shown = format!("{:?}", image.kernel);
    assert!(shown.find("zero.patch").unwrap() < shown.find("first.patch").unwrap(), "{shown}");
    assert!(shown.find("tiny.config").unwrap() < shown.find("more.config").unwrap(), "{shown}");
    assert_eq!((image.boot.entries[0].title.as_str(), image.tests[0].timeout), ("Other", 7));
    assert!(image.rootfs.overlays[0].keep_modes);
}

#[test]
fn a_component_extends_another() {
    let project = mine("kernel: {component: debug}\n");
    project.write(
        "components/debug.yaml",
        "component: debug\nextends: kernel.yaml\nversion: '2'\nenv: {DEBUG: '1'}\nkconfig: {fragments: [tiny]}\n",
    );
    let recipe = load(&project.path("mine.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}"));
    let component = &recipe.components["debug"];
    assert_eq!(
        (component.version.as_str(), component.license.as_str(), component.env["DEBUG"].as_str()),
        ("2", "MIT", "1")
    );
    assert_eq!(component.kconfig.as_ref().unwrap().fragments.len(), 1);
    project.write("components/debug.yaml", "component: debug\nextends: debug.yaml\n");
    let ran = project.dbco(&["check", "mine.yaml"]).ends(2);
    ran.says(&["a component extends itself: debug.yaml → debug.yaml", "components/debug.yaml:2:10"]);
    project.write("components/debug.yaml", "extends: kernel.yaml\n");
    project.dbco(&["check", "mine.yaml"]).ends(2).says(&[
        "this file names component `kernel`, not `debug`",
        "components/debug.yaml:1:1",
        "components/kernel.yaml:1:1",
        "state its own name: `component: debug`",
    ]);
    project.write("components/debug.yaml", "component: debug\nextends: kernel.yaml\nneeds: {remove: [x]}\n");
    project.dbco(&["check", "mine.yaml"]).ends(2).says(&["has no `x`", "components/debug.yaml:3:18"]);
}

#[test]
fn a_toolchain_takes_operations_as_well_as_its_two_keys() {
    let packages = |text: &str| {
        let project = Project::with("build: none", "build: more");
        project.write("toolchains/base.yaml", "toolchain: base\ndebian: bookworm\npackages: [gcc, make/sid, bc]\n");
        project.write("toolchains/more.yaml", format!("toolchain: more\nextends: base.yaml\n{text}\n"));
        let recipe = load(&project.path("small.yaml"), &Settings::new()).map_err(|error| error.to_string())?;
        Ok::<_, String>(format!("{:?}", recipe.build.packages.value))
    };
    for (text, expected) in [
        ("packages: {remove: [make], add: [cmake]}", "packages: [\"bc\", \"cmake\", \"gcc\"]"),
        ("packages: [gcc, cmake]\nwithout: [make, bc]", "packages: [\"cmake\", \"gcc\"]"),
        ("packages:\nwithout: [make]", "packages: [\"bc\", \"gcc\"]"),
    ] {
        let shown = packages(text).unwrap();
        assert!(shown.contains(expected), "{text}: {shown}");
    }
    let refused = packages("packages: {add: [gcc]}").unwrap_err();
    assert!(
        refused.contains("toolchains/more.yaml:3:18") && refused.contains("toolchains/base.yaml:3:12"),
        "{refused}"
    );
    let refused = packages("without: [mace]").unwrap_err();
    assert!(
        refused.contains("toolchains/more.yaml:3:11") && refused.contains("toolchains/base.yaml:3:11"),
        "{refused}"
    );
}

#[test]
fn a_toolchain_without_packages_can_be_extended() {
    let project = Project::with("build: none", "build: more");
    project.write("toolchains/base.yaml", "toolchain: base\ndebian: bookworm\n");
    project.write("toolchains/more.yaml", "toolchain: more\nextends: base.yaml\npackages: [gcc]\n");
    load(&project.path("small.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn an_error_shows_the_line_of_this_file_and_of_the_extended_one() {
    let base = "small.yaml:14:5";
    for (text, parts) in [
        (
            "rootfs: {users: {remove: [an]}}",
            ["the extended `users` has no `an`", "mine.yaml:3:27", base, "did you mean `ann`?"],
        ),
        (
            "rootfs: {users: {remove: [ann, ann]}}",
            ["the extended `users` has no `ann`", "mine.yaml:3:32", "mine.yaml:3:27", "it was removed here already"],
        ),
        ("rootfs: {users: {change: [{name: rot}]}}", ["has no `rot`", "mine.yaml:3:27", base, "did you mean `root`?"]),
        ("rootfs: {users: {change: [{uid: 1}]}}", ["needs the key with its name", "mine.yaml:3:27", base, "`id`"]),
        ("rootfs: {users: {change: {name: a}}}", ["expected a list, found a mapping", "mine.yaml:3:26", "a", "a"]),
        ("rootfs: {users: {before: {x: []}}}", ["has no `x`", "mine.yaml:3:27", base, "x"]),
        ("rootfs: {users: {order: [ann, bib]}}", ["has no `bib`", "mine.yaml:3:31", base, "did you mean `bob`?"]),
        (
            "rootfs: {users: {order: [ann, ann]}}",
            ["`ann` is listed twice", "mine.yaml:3:31", "mine.yaml:3:26", "twice"],
        ),
        (
            "rootfs: {users: {add: [{name: bob, uid: 8, shell: /system/bin/sh}]}}",
            ["the list has `bob` already", "mine.yaml:3:24", "small.yaml:16:7", "`change`"],
        ),
        (
            "rootfs: {users: {remve: [ann]}}",
            ["unknown key `remve` in a change of a list", "mine.yaml:3:18", base, "did you mean `remove`?"],
        ),
        (
            "rootfs: {users: {add: [], foo: []}}",
            ["unknown key `foo` in a change of a list", "mine.yaml:3:27", base, "known keys: remove,"],
        ),
        ("rootfs: {users: root}", ["expected a list, found text", "mine.yaml:3:17", base, "it replaces a list here"]),
        (
            "rootfs: {users: {a: b}}",
            ["expected a list, found a mapping", "mine.yaml:3:17", base, "it replaces a list here"],
        ),
        (
            "rootfs: [a]",
            [
                "expected `rootfs` (a mapping), found a list",
                "mine.yaml:3:9",
                "small.yaml:11:3",
                "it replaces a mapping here",
            ],
        ),
        (
            "rootfs: {layout: {add: [x]}}",
            [
                "`add` changes a list, and the extended file has text here",
                "mine.yaml:3:19",
                "small.yaml:11:11",
                "not a list",
            ],
        ),
        (
            "rootfs: {layout: flat}",
            ["unknown value `flat`", "mine.yaml:3:18", "small.yaml:11:11", "it replaces text here"],
        ),
        (
            "boot: {cmdline: \"${hots}\"}",
            ["there is no parameter `hots`", "mine.yaml:3:17", "small.yaml:5:3", "did you mean `host`?"],
        ),
        (
            "params: {host: }",
            ["there is no parameter `host`", "small.yaml:22:12", "mine.yaml:3:10", "it is removed here"],
        ),
        (
            "params: {host: {default: barn}}",
            ["`barn` is not a valid value of parameter `host`", "mine.yaml:3:26", "small.yaml:5:33", "its default"],
        ),
        (
            "params: {hots: }",
            ["the extended `params` has no `hots`", "mine.yaml:3:10", "small.yaml:5:3", "did you mean `host`?"],
        ),
    ] {
        let project = mine(&format!("{text}\n"));
        let ran = project.dbco(&["check", "mine.yaml"]).ends(2);
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{text}: {parts:?}\n{}", ran.err);
    }
}

#[test]
fn a_circle_is_shown_with_the_line_of_each_file() {
    let project = Project::new();
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
        project.write(&format!("{name}.yaml"), format!("recipe: {name}\nextends: {next}.yaml\n"));
    }
    let ran = project.dbco(&["check", "a.yaml"]).ends(2);
    ran.says(&["extends itself: a.yaml → b.yaml → c.yaml → a.yaml", "c.yaml:2:10", "a.yaml:2:10", "b.yaml:2:10"]);
}

#[test]
fn what_a_file_in_between_removed_is_shown_with_its_line() {
    let project = mine("rootfs: {users: {remove: [ann]}}\n");
    project.write("more.yaml", "recipe: more\nextends: mine.yaml\nrootfs: {users: {remove: [ann]}}\n");
    let ran = project.dbco(&["check", "more.yaml"]).ends(2);
    ran.says(&["has no `ann`", "more.yaml:3:27", "mine.yaml:3:27", "it was removed here already"]);
}

#[test]
fn an_unknown_parameter_on_the_command_line_shows_where_they_are_declared() {
    let project = mine("");
    let ran = project.dbco(&["check", "mine.yaml", "--set", "hots=box"]).ends(2);
    ran.says(&["the recipe has no parameter `hots`; did you mean `host`? (", "small.yaml:5:3)"]);
}

#[test]
fn operations_without_an_extended_list_are_refused_where_there_is_nothing_to_extend() {
    refused("rootfs: {groups: {remove: [x]}}\n", &["has no `x`", "mine.yaml:3:28"]);
    let project = Project::with(
        "  users:\n    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root}\n",
        "  users: {add: []}\n",
    );
    project.dbco(&["check", "small.yaml"]).ends(2).says(&[
        "expected a list, found a mapping",
        "small.yaml:13:10",
        "change a list of the file that this one `extends`",
    ]);
}

/// A list may be long, and so may what changes it.
#[test]
fn long_lists_are_changed_in_little_time() {
    let names: Vec<String> = (0..40_000).map(|number| format!("n{number}")).collect();
    let list = |names: &[String]| format!("[{}]", names.join(","));
    let project = mine(&format!(
        "rootfs:\n  exclude: {{remove: {}, order: {}}}\n",
        list(&names[..20_000]),
        list(&names[20_000..])
    ));
    project.edit("small.yaml", "  layout: split\n", &format!("  layout: split\n  exclude: {}\n", list(&names)));
    let begun = std::time::Instant::now();
    let merged = effective(&project.path("mine.yaml"), &Settings::new()).unwrap();
    let left = merged.node.get("rootfs").and_then(|rootfs| rootfs.get("exclude")).unwrap();
    assert!(format!("{:?}", left.kind()).contains("list") && left.history.removed.len() == 20_000);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Found by fuzzing: the second of two keys without a value removed what the first had removed.
#[test]
fn repeated_keys_are_findings_whatever_they_do() {
    for (mapping, key) in [
        ("boot: {cmdline: , cmdline: }", "cmdline"),
        ("boot:\nboot:\n", "boot"),
        ("params: {host: , host: {default: x}}", "host"),
        ("params: {host: {default: crate}, host: }", "host"),
        ("outputs: \noutputs: {add: [iso]}\noutputs: \n", "outputs"),
        ("rootfs: {users: {remove: [root], remove: [root]}, users: , users: }", "users"),
        ("extends: small.yaml\n", "extends"),
        ("profiles: {a: {boot: , boot: }}\nprofiles: {a: , a: }\n", "profiles"),
    ] {
        let project = Project::new();
        project.write("mine.yaml", format!("recipe: mine\nextends: small.yaml\n{mapping}\n"));
        for arguments in [&["check", "mine.yaml"][..], &["show", "mine.yaml", "--origin"]] {
            project.dbco(arguments).ends(2).says(&["repeated-key", &format!("`{key}`")]);
        }
    }
}
