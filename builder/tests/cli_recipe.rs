//! Wrong recipes, as the command line shows them: status 2, and each mistake with its place, its line and what to do.

mod project;

use project::{Project, RECIPE, refused};

#[test]
fn the_recipe_of_these_tests_passes() {
    let ran = Project::new().dbco(&["check", "--locked", "small.yaml"]).ends(0);
    assert_eq!(ran.err, "small: 1 component, 1 boot entry, 1 test\n");
    assert_eq!(ran.out, "");
}

#[test]
fn a_misspelt_key_is_shown_with_its_place_its_line_and_what_was_meant() {
    let ran = Project::with("  layout: split", "  layuot: split").dbco(&["check", "small.yaml"]).ends(2);
    let ran = ran.says(&[
        "error[unknown-key]: unknown key `layuot` in `rootfs`",
        "small.yaml:11:3",
        "11 |   layuot: split",
        "did you mean `layout`?",
        "error: 1 finding; nothing was built",
    ]);
    assert_eq!(ran.out, "");
}

#[test]
fn a_key_like_no_other_gets_the_list_of_those_there_are() {
    refused("  layout: split", "  layout: split\n  wallpaper: x", &["unknown key `wallpaper`", "known keys: layout, "]);
}

#[test]
fn a_file_of_a_component_can_not_take_the_name_of_its_install_tree() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "{bzImage: bzImage}", "{install: a}");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["error[reserved-name]", "components/kernel.yaml:6:9", "give the file another name"]);
}

#[test]
fn a_components_own_toolchain_has_to_be_there_and_right() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\ntoolchain: nome");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["there is no toolchain `nome`", "components/kernel.yaml:4:12", "did you mean `none`?"]);
    // A file that is referenced several times is read once, and its errors are reported once.
    project.edit("components/kernel.yaml", "nome", "none");
    project.edit("toolchains/none.yaml", "debian:", "debain:");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["unknown key `debain` in a toolchain", "error: 1 finding; nothing was built"]);
}

#[test]
fn a_components_own_toolchain_has_to_be_in_the_lock() {
    let project = Project::new();
    project.write("toolchains/own.yaml", "toolchain: own\ndebian: bookworm\npackages: [cc]\n");
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\ntoolchain: own");
    let ran = project.dbco(&["check", "--locked", "small.yaml"]).ends(2);
    ran.says(&["dbco.lock does not match the recipe:", "cc of Debian bookworm main (amd64): not in the lock"]);
}

#[test]
fn a_build_refuses_what_a_check_refuses() {
    let project = Project::with("compression: none", "compresion: none");
    project
        .dbco(&["build", "--offline", "small.yaml"])
        .ends(2)
        .says(&["small.yaml:16:3", "did you mean `compression`?"]);
    assert!(!project.path("out").exists());
}

#[test]
fn a_value_of_the_wrong_type_is_told_from_the_type_that_belongs_there() {
    refused(
        "uid: 0,",
        "uid: nobody,",
        &[
            "error[wrong-type]: expected a whole number from 0 to 4294967295, found text",
            "small.yaml:14:25",
            "uid: nobody",
        ],
    );
    refused("  overlays: [overlay]", "  overlays: overlay", &["expected a list, found text", "small.yaml:12:13"]);
    refused("  patches: [first.patch]", "  patches: first.patch", &["expected a list of patches", "small.yaml:8:12"]);
    refused("toolchains: {build: none, image: none, boot: none}", "toolchains: [none]", &["(a mapping), found a list"]);
    refused("epoch: 2021-01-01", "epoch: yesterday", &["expected a date (2026-11-01) or seconds since 1970"]);
}

#[test]
fn everything_that_is_wrong_is_shown_at_once_in_the_order_of_its_places() {
    let project = Project::with("epoch: 2021-01-01", "epoch: soon");
    project.edit("small.yaml", "compression: none", "compression: zip");
    project.edit("small.yaml", "[first.patch]", "[fist.patch]");
    project.edit("small.yaml", "mode: live", "mode: lief");
    project.edit("components/kernel.yaml", "license: MIT", "licence: MIT");
    project.edit("toolchains/none.yaml", "packages: []", "packages: dash");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    let places =
        ["small.yaml:2:8", "small.yaml:8:13", "small.yaml:16:16", "small.yaml:22:37", "components/kernel.yaml:3:1"];
    let at: Vec<_> =
        places.iter().map(|place| ran.err.find(place).unwrap_or_else(|| panic!("{place}:\n{}", ran.err))).collect();
    assert!(at.is_sorted(), "{}", ran.err);
    ran.says(&["did you mean `license`?", "toolchains/none.yaml:3:11"]);
}

#[test]
fn a_missing_fragment_is_named_with_its_nearest() {
    let parts = ["there is no fragment `tiney`", "small.yaml:9:12", "did you mean `tiny`?"];
    refused("config: [tiny]", "config: [tiney]", &parts);
    refused("config: [tiny]", "config: [sound]", &["there is no fragment", "there are: tiny"]);
    refused("config: [tiny]", "config: [my/own.config]", &["there is no fragment `my/own.config`", "looked for"]);
}

#[test]
fn a_missing_component_toolchain_patch_and_overlay_are_named_where_they_are_wanted() {
    let parts = ["there is no component `kernle`", "small.yaml:7:14", "did you mean `kernel`?"];
    refused("component: kernel", "component: kernle", &parts);
    refused("build: none", "build: nine", &["there is no toolchain `nine`", "small.yaml:3:21", "did you mean `none`?"]);
    refused("[first.patch]", "[frist.patch]", &["there is no patch `frist.patch`", "did you mean `first.patch`?"]);
    refused("[overlay]", "[overlays]", &["there is no overlay `overlays`", "small.yaml:12:14", "looked for"]);
}

#[test]
fn a_component_may_not_need_itself_and_its_file_names_it_rightly() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\nneeds: [other]");
    let other = project.read("components/kernel.yaml").replace("[other]", "[kernel]");
    project.write("components/other.yaml", &other);
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["this file names component `kernel`, not `other`"]);
    project.write("components/other.yaml", other.replace("component: kernel", "component: other"));
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["needs itself", "components/"]);
}

#[test]
fn an_unknown_parameter_is_refused_with_its_nearest() {
    let project = Project::new();
    let check = |set| project.dbco(&["check", "small.yaml", "--set", set]).ends(2);
    check("hots=x").says(&["`--set hots=…`: the recipe has no parameter `hots`; did you mean `host`?"]);
    check("colour=x").says(&["there are: host"]);
    check("host=tent").says(&[
        "`tent` is not a valid value of parameter `host`",
        "one of: box, crate",
        "small.yaml:5:3",
    ]);
    check("host").says(&["expected NAME=VALUE"]);
    project.dbco(&["check", "small.yaml", "--set", "host=crate"]).ends(0);
}

#[test]
fn a_parameter_that_is_not_stated_is_shown_where_it_is_used() {
    refused(
        "host=${host}",
        "host=${hosd}",
        &["there is no parameter `hosd`", "small.yaml:20:12", "did you mean `host`?"],
    );
    refused("{default: box, choices: [box, crate]}", "{help: a name}", &["has no default", "pass --set host=…"]);
}

#[test]
fn a_recipe_that_extends_itself_is_refused_directly_or_through_another() {
    refused(
        "recipe: small",
        "extends: small.yaml\nrecipe: small",
        &["extends itself: small.yaml → small.yaml", "small.yaml:1:10"],
    );
    let project = Project::with("recipe: small", "extends: base.yaml\nrecipe: small");
    project.write("base.yaml", "extends: ./small.yaml\n");
    project
        .dbco(&["check", "small.yaml"])
        .ends(2)
        .says(&["extends itself: small.yaml → base.yaml → small.yaml", "base.yaml:1:10"]);
    refused(
        "recipe: small",
        "extends: bass.yaml\nrecipe: small",
        &["can't read the recipe ./bass.yaml", "small.yaml:1:10"],
    );
}

#[test]
fn a_repeated_key_is_refused() {
    let parts = ["error[repeated-key]: duplicate key `epoch`", "small.yaml:3:1"];
    refused("epoch: 2021-01-01", "epoch: 2021-01-01\nepoch: 2022-01-01", &parts);
}

#[test]
fn what_is_not_yaml_is_shown_where_it_stops_being_so() {
    refused("recipe: small", "recipe: [small", &["error[yaml]: invalid YAML", "small.yaml:2:"]);
    refused("epoch: 2021-01-01", "\tepoch: 2021-01-01", &["error[yaml]: invalid YAML", "found a tab"]);
    let project = Project::new();
    project.write("small.yaml", "");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["the file is empty"]);
    project.write("small.yaml", format!("{RECIPE}---\n{RECIPE}"));
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["a second document begins here"]);
    project.write("small.yaml", b"recipe: \xff\n");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["can't read the recipe small.yaml"]);
}

#[test]
fn an_unknown_word_is_shown_with_those_there_are() {
    let parts =
        ["error[unknown-word]: unknown value `zst`", "one of: zstd, xz, gzip, lz4, none", "did you mean `zstd`?"];
    refused("compression: none", "compression: zst", &parts);
    refused("[initrd, grub-cfg]", "[initrd, grubcfg]", &["unknown value `grubcfg`", "did you mean `grub-cfg`?"]);
    refused("layout: split", "layout: flat", &["one of: split, fhs"]);
}

#[test]
fn a_fragment_that_is_not_one_is_shown_with_its_line() {
    let project = Project::new();
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_SMP y\n");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["kernel-config/tiny.config:2"]);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(2).says(&["kernel-config/tiny.config:2"]);
}

#[test]
fn a_recipe_that_is_not_there_is_named() {
    Project::new().dbco(&["check", "smal.yaml"]).ends(2).says(&["can't read the recipe smal.yaml", "No such file"]);
}

/// What would take all memory or all time is stopped by a limit that the message names.
#[test]
fn recipes_have_budgets() {
    let aliases =
        (1..30).map(|level| format!("a{level}: &a{level} [*a{}, *a{}, *a{}]\n", level - 1, level - 1, level - 1));
    let aliases = format!("a0: &a0 [x, x, x, x]\n{}", aliases.collect::<String>());
    let unknown: String = (0..10_000).map(|index| format!("key{index}: 1\n")).collect();
    let nested = "- ".repeat(100_000);
    let flow = format!("a: {}", "[".repeat(100_000));
    let long = format!("# {}\n", "x".repeat(2 << 20));
    let cases = [
        (aliases, "more than 100000 values"),
        (nested, "nested deeper than 64 levels"),
        (flow, "nested deeper than 64 levels"),
        (unknown, "100 findings are shown"),
        (long, "longer than 1048576 bytes"),
        ("a: &a [*a]\n".to_owned(), "an alias is inside the node that it repeats"),
    ];
    let project = Project::new();
    for (text, part) in cases {
        project.write("bad.yaml", text);
        project.dbco(&["check", "bad.yaml"]).ends(2).says(&[part]);
        project.write("more.yaml", "extends: bad.yaml\n");
        project.dbco(&["check", "more.yaml"]).ends(2).says(&[part]);
    }
}

#[test]
fn only_regular_files_of_text_are_read() {
    let project = Project::new();
    let fifo = project.path("fifo.yaml");
    assert!(dbco::process::command("mkfifo").arg(&fifo).status().unwrap().success());
    project.write("latin.yaml", b"recipe: x\nsummary: \xfcber\n");
    std::fs::create_dir(project.path("folder.yaml")).unwrap();
    let cases = [
        ("fifo.yaml", "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
        ("folder.yaml", "it is a folder"),
        ("latin.yaml", "byte 0xfc at 2:10 is not UTF-8"),
    ];
    for (path, part) in cases {
        project.dbco(&["check", path]).ends(2).says(&[part]);
        project.write("more.yaml", format!("extends: {path}\n"));
        project.dbco(&["check", "more.yaml"]).ends(2).says(&["more.yaml:1:10", part]);
    }
    let project = Project::with("overlays: [overlay]", "overlays: [dbco.lock]");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["the overlay `dbco.lock` is not a folder"]);
    let project = Project::new();
    project.write("small.yaml", format!("\u{feff}{RECIPE}"));
    project.dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn a_circle_of_files_is_shown_whole() {
    let project = Project::new();
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
        project.write(&format!("{name}.yaml"), format!("extends: {next}.yaml\n"));
    }
    project.dbco(&["check", "a.yaml"]).ends(2).says(&["extends itself: a.yaml → b.yaml → c.yaml → a.yaml"]);
}

#[test]
fn what_is_wrong_with_yaml_is_said_in_plain_words() {
    let tab = ["tabs can't be used for indentation", "small.yaml:11:", "use spaces"];
    refused("  layout: split", "\tlayout: split", &tab);
    let indent = ["the line is indented by 3, line 11 before it by 2", "small.yaml:12:"];
    refused("  overlays: [overlay]", "   overlays: [overlay]", &indent);
}

#[test]
fn a_misspelt_key_is_not_also_missing() {
    let ran = Project::with("recipe: small", "recepi: small").dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["did you mean `recipe`?", "1 finding;"]).never_says("lacks");
    let project = Project::new();
    project.write("more.yaml", "extend: small.yaml\nrecipe: more\n");
    project.dbco(&["check", "more.yaml"]).ends(2).says(&["did you mean `extends`?", "1 finding;"]).never_says("lacks");
}

#[test]
fn what_is_no_recipe_is_told_from_what_was_meant() {
    let project = Project::new();
    let ran = project.dbco(&["check", "components/kernel.yaml"]).ends(2);
    ran.says(&["this file describes a component, not an image", "1 finding;"]);
    project.write("recipes/quick.yaml", RECIPE);
    project.dbco(&["check", "quick"]).ends(2).says(&["did you mean recipes/quick.yaml?"]);
}

#[test]
fn findings_are_data_for_machines() {
    let ran = Project::with("  layout: split", "  layuot: split").dbco(&["check", "--json", "small.yaml"]).ends(2);
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let finding = &events[0];
    assert_eq!(
        (&finding["code"], &finding["line"], &finding["column"]),
        (&"unknown-key".into(), &11.into(), &3.into())
    );
    assert!(finding["file"].as_str().unwrap().ends_with("small.yaml"), "{finding}");
}
