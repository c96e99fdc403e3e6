//! What a user chooses of a recipe: profiles, and parameters with types, set by options and files.

mod project;

use std::collections::BTreeSet;

use dbco::recipe::{Settings, load};
use project::Project;

/// A project with a base and a recipe that extends it, each with profiles.
fn with_profiles() -> Project {
    let project = Project::new();
    project.edit(
        "small.yaml",
        "outputs:",
        "profiles:\n  debug:\n    boot: {timeout: 9, cmdline: \"host=${host} debug\"}\n    rootfs:\n      users: {add: [{name: dev, uid: 7, shell: /system/bin/sh}]}\n  tiny: {outputs: [initrd]}\noutputs:",
    );
    project.write(
        "mine.yaml",
        "recipe: mine\nextends: small.yaml\nprofiles:\n  debug:\n    recipe: mine-debug\n    boot: {timeout: 12}\n    rootfs:\n      users: {add: [{name: ann, uid: 8, shell: /system/bin/sh}]}\n  release:\n    boot: {timeout: 0}\n",
    );
    project
}

fn users(project: &Project, profiles: &[&str]) -> (String, u32, Vec<String>) {
    let mut settings = Settings::new();
    settings.profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
    let recipe = load(&project.path("mine.yaml"), &settings).unwrap_or_else(|error| panic!("{error}"));
    let users = recipe.image.rootfs.users.iter().map(|user| user.name.to_string()).collect();
    assert_eq!(recipe.profiles, ["debug", "release", "tiny"].map(str::to_owned).into_iter().collect::<BTreeSet<_>>());
    (recipe.image.name.value.to_string(), recipe.image.boot.timeout, users)
}

#[test]
fn a_profile_is_merged_over_the_whole_recipe_that_of_the_extended_file_first() {
    let project = with_profiles();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(users(&project, &[]).0, "mine");
    assert_eq!(users(&project, &[]).2, names(&["root"]));
    // Both add to the list.
    assert_eq!(users(&project, &["debug"]), ("mine-debug".to_owned(), 12, names(&["root", "dev", "ann"])));
    // In the order of the options.
    assert_eq!(users(&project, &["debug", "release"]).1, 0);
    assert_eq!(users(&project, &["release", "debug"]).1, 12);
}

#[test]
fn what_a_profile_sets_has_its_place() {
    let project = with_profiles();
    let ran = project.dbco(&["show", "mine.yaml", "boot", "--profile", "debug", "--origin"]).ends(0);
    for expected in ["timeout: 12", "mine.yaml:6, over small.yaml", "cmdline: host=box debug"] {
        assert!(ran.out.contains(expected), "{expected}:\n{}", ran.out);
    }
    let ran = project.dbco(&["show", "mine.yaml"]).ends(0);
    assert!(!ran.out.contains("profiles") && !ran.out.contains("debug"), "{}", ran.out);
}

#[test]
fn outputs_of_a_profile_are_built_and_the_lock_knows_all_profiles() {
    let project = with_profiles();
    project.dbco(&["build", "mine.yaml", "--profile", "debug", "--only", "grub-cfg"]).ends(0);
    assert!(project.read("out/mine-debug/grub.cfg").contains("set timeout=12"));
    let menu = project.read("out/mine-debug/grub.cfg");
    assert!(menu.contains("host=box 'debug'"), "{menu}");
    project.dbco(&["build", "mine.yaml", "--profile", "release", "--set", "host=crate", "--only", "grub-cfg"]).ends(0);
    assert!(project.read("out/mine/grub.cfg").contains("host=crate"));
    // A toolchain that only a profile names is locked with it, and stays when others are removed.
    project.write("toolchains/other.yaml", "toolchain: other\ndebian: trixie\npackages: []\n");
    project.edit("mine.yaml", "  release:\n", "  release:\n    toolchains: {image: other}\n");
    project.dbco(&["lock", "mine.yaml", "--profile", "release"]).ends(0);
    assert!(project.read("dbco.lock").contains("suite: trixie"));
    project.dbco(&["lock", "mine.yaml", "--prune"]).ends(0);
    assert!(project.read("dbco.lock").contains("suite: trixie"));
    project.edit("mine.yaml", "    toolchains: {image: other}\n", "");
    project.dbco(&["lock", "mine.yaml", "--prune"]).ends(0);
    assert!(!project.read("dbco.lock").contains("suite: trixie"));
}

#[test]
fn check_looks_at_every_profile() {
    let project = with_profiles();
    let ran = project.dbco(&["check", "mine.yaml"]).ends(0);
    for name in ["debug", "release", "tiny"] {
        assert!(ran.err.contains(&format!("profile {name}:")), "{}", ran.err);
    }
    project.edit("mine.yaml", "boot: {timeout: 0}", "boot: {timeuot: 0}");
    project.dbco(&["check", "mine.yaml"]).ends(2).says(&["unknown key `timeuot`", "mine.yaml:10:"]);
    // A build without it is not concerned, and one of them alone is checked if it is chosen.
    project.dbco(&["build", "mine.yaml", "--only", "grub-cfg"]).ends(0);
    project.dbco(&["check", "mine.yaml", "--profile", "debug"]).ends(0);
}

#[test]
fn mistakes_with_profiles_have_their_place() {
    let project = with_profiles();
    for (arguments, expected) in [
        (["check", "mine.yaml", "--profile", "debgu"], ["`--profile debgu`", "did you mean `debug`?"]),
        (["check", "mine.yaml", "--profile", "x"], ["`--profile x`", "there are: debug, release, tiny"]),
        (["show", "toolchains/none.yaml", "--profile", "x"], ["`--profile x`", "it is a toolchain"]),
    ] {
        project.dbco(&arguments).ends(2).says(&expected);
    }
    for (from, to, expected) in [
        ("profiles:\n", "profiles: [debug]\nboot:\n", "expected a mapping of names"),
        ("  release:\n    boot: {timeout: 0}\n", "  release: [boot]\n", "expected a part of a recipe"),
        ("  release:\n", "  ../release:\n", "can't be the name of a profile"),
        ("  release:\n", "  release:\n    extends: small.yaml\n", "a profile can't have `extends`"),
        ("  release:\n", "  release:\n    profiles: {}\n", "a profile can't have `profiles`"),
    ] {
        let project = with_profiles();
        project.edit("mine.yaml", from, to);
        project.dbco(&["build", "mine.yaml"]).ends(2).says(&[expected, "mine.yaml:"]);
    }
}

/// A recipe with a parameter that is used as a number.
fn with_parameter(declared: &str) -> Project {
    let project = Project::with("host=${host}", "host=${host} n=${n}");
    project.edit("small.yaml", "params:\n", &format!("params:\n  n: {declared}\n"));
    project
}

#[test]
fn values_have_the_type_that_is_declared() {
    for (declared, right, wrong) in [
        ("{type: string, default: a}", &["", "x y", "1"][..], &[][..]),
        (
            "{type: integer, default: 1}",
            &["0", "-7", "+3", "9223372036854775807"],
            &["", "x", "1.5", "0x10", "1 ", "9223372036854775808"],
        ),
        ("{type: integer, default: 5, minimum: 1, maximum: 64}", &["1", "64"], &["0", "65", "-1", "x"]),
        ("{type: boolean, default: true}", &["true", "false"], &["yes", "True", "1", ""]),
        ("{type: size, default: 1M}", &["1K", "2T", "0"], &["1", "1m", "1MB", "", "-1K"]),
        ("{type: size, default: 1M, minimum: 64K, maximum: 1G}", &["64K", "1G", "1024M"], &["63K", "1025M", "0"]),
        ("{type: integer, default: 2, choices: [2, 4]}", &["4"], &["3", "x"]),
    ] {
        let project = with_parameter(declared);
        for value in right {
            project.dbco(&["check", "small.yaml", "--set", &format!("n={value}")]).ends(0);
        }
        for value in wrong {
            let ran = project.dbco(&["check", "small.yaml", "--set", &format!("n={value}")]).ends(2);
            let expected = format!("`{value}` is not a valid value of parameter `n`");
            assert!(
                ran.err.contains(&expected) && ran.err.contains("small.yaml:5:3"),
                "{declared} {value}: {}",
                ran.err
            );
        }
    }
}

#[test]
fn a_default_of_the_wrong_type_shows_both_places() {
    let project = with_parameter("{type: integer, default: 1}");
    project.write("mine.yaml", "recipe: mine\nextends: small.yaml\nparams:\n  n: {default: one}\n");
    let ran = project.dbco(&["check", "mine.yaml"]).ends(2);
    for expected in
        ["`one` is not a valid value of parameter `n`", "expected a whole number", "mine.yaml:4", "small.yaml:5"]
    {
        assert!(ran.err.contains(expected), "{expected}: {}", ran.err);
    }
    for (declared, expected) in [
        ("{type: int}", "unknown value `int`"),
        ("{default: a, minimum: 1}", "`minimum` is only valid for a parameter of type `integer` or `size`"),
        ("{type: boolean, default: true, maximum: 1}", "`maximum` is only valid for"),
        ("{type: integer, default: 1, minimum: one}", "`minimum` is not a whole number"),
        ("{type: size, default: 1K, maximum: 7}", "`maximum` is not a size"),
    ] {
        with_parameter(declared).dbco(&["check", "small.yaml"]).ends(2).says(&[expected, "small.yaml:5:"]);
    }
}

#[test]
fn files_set_parameters_and_options_come_last() {
    let project = with_parameter("{type: integer, default: 1}");
    project.write("a.yaml", "n: 2\nhost: crate\n");
    project.write("b.yaml", "# one more\nn: '3'\n");
    project.write("empty.yaml", "# nothing\n");
    let cmdline = |arguments: &[&str]| {
        let ran = project.dbco(&[&["show", "small.yaml", "boot.cmdline"], arguments].concat()).ends(0);
        ran.out.trim_end().to_owned()
    };
    assert_eq!(cmdline(&[]), "host=box n=1");
    assert_eq!(cmdline(&["--settings", "a.yaml"]), "host=crate n=2");
    assert_eq!(cmdline(&["--settings", "a.yaml", "--settings", "b.yaml"]), "host=crate n=3");
    assert_eq!(
        cmdline(&["--settings", "b.yaml", "--settings", "a.yaml", "--settings", "empty.yaml"]),
        "host=crate n=2"
    );
    assert_eq!(cmdline(&["--set", "n=4", "--settings", "a.yaml"]), "host=crate n=4");
}

#[test]
fn mistakes_in_a_file_of_settings_have_their_place() {
    let project = with_parameter("{type: integer, default: 1}");
    for (text, expected) in [
        ("n: 1\nhots: box\n", ["s.yaml:2:1: `hots`", "did you mean `host`?"]),
        ("host: box\nn: x\n", ["s.yaml:2:1", "`x` is not a valid value of parameter `n`"]),
        ("- n\n", ["s.yaml:1:1", "expected a mapping"]),
        ("n: [1]\n", ["s.yaml:1:4", "expected text"]),
        ("n: 1\nn: 2\n", ["s.yaml:2:1", "n"]),
        ("n: 'x\n", ["s.yaml:", "quote"]),
    ] {
        project.write("s.yaml", text);
        project.dbco(&["check", "small.yaml", "--settings", "s.yaml"]).ends(2).says(&expected);
    }
    project
        .dbco(&["check", "small.yaml", "--settings", "none.yaml"])
        .ends(2)
        .says(&["can't read the settings none.yaml"]);
}

#[test]
fn a_parameter_that_only_a_profile_uses_is_used() {
    let project = Project::with("host=${host}", "quiet");
    let unused = "nothing uses the parameter `host`";
    assert!(project.dbco(&["check", "small.yaml"]).ends(0).err.contains(unused));
    project.edit("small.yaml", "outputs:", "profiles:\n  named: {boot: {cmdline: \"host=${host}\"}}\noutputs:");
    assert!(!project.dbco(&["check", "small.yaml"]).ends(0).err.contains(unused));
}
