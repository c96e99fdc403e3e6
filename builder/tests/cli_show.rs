//! `dbco show`: the effective recipe as YAML and as JSON, parts of it, origins, errors.

mod project;

use std::fs;

use dbco::recipe::{Recipe, Settings, load};
use project::{Project, RECIPE, repository};

fn extended() -> Project {
    let project = Project::new();
    project.write(
        "mine.yaml",
        "recipe: mine\nextends: small.yaml\nboot: {timeout: 9}\nrootfs:\n  users: {add: [{name: ann, uid: 7, shell: /system/bin/sh}]}\n",
    );
    project
}

#[track_caller]
fn shows(project: &Project, arguments: &[&str], expected: &str) {
    let ran = project.dbco(&[&["show"], arguments].concat()).ends(0);
    assert_eq!(ran.out, expected, "{arguments:?}");
    assert_eq!(ran.err, "");
}

#[test]
fn a_recipe_is_shown_whole_with_defaults_and_without_extends() {
    let project = extended();
    shows(
        &project,
        &["mine.yaml", "--set", "host=crate"],
        "\
recipe: mine
epoch: 2021-01-01
toolchains: {build: none, image: none, boot: none}
params:
  host:
    default: crate
    choices: [box, crate]
    type: string
kernel:
  component: kernel
  patches: [first.patch]
  config: [tiny]
rootfs:
  layout: split
  overlays: [overlay]
  users:
    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root, gid: 0, password: \"!\"}
    - {name: ann, uid: 7, shell: /system/bin/sh, gid: 7, home: /usr/home/ann, password: \"!\"}
  compression: zstd
initrd:
  compression: none
  livefs: none
  overlays: [early]
boot:
  cmdline: host=crate
  entries:
    - {id: live, title: Live, mode: live}
  timeout: 9
outputs: [initrd, grub-cfg]
tests:
  - name: first
    entry: live
    medium: kernel
    expect: \"login:\"
    cpus: 1
    end: cut
    firmware: none
    memory: 256
    timeout: 90
arch: x86_64
iso: {label: MINE}
squashfs: {block: 256K, compression: zstd}
template: {compression: gzip}
",
    );
}

#[test]
fn a_part_is_shown_by_its_key() {
    let project = extended();
    for (key, expected) in [
        ("boot.timeout", "9\n"),
        ("boot.cmdline", "host=box\n"),
        ("kernel.config", "[tiny]\n"),
        (
            "rootfs.users.ann",
            "name: ann\nuid: 7\nshell: /system/bin/sh\ngid: 7\nhome: /usr/home/ann\npassword: \"!\"\n",
        ),
        ("rootfs.users.1.uid", "7\n"),
        ("tests.first.memory", "256\n"),
        ("boot.entries.live.title", "Live\n"),
        ("initrd.compression", "none\n"),
        ("rootfs.exclude", "null\n"),
        ("limits", "null\n"),
    ] {
        shows(&project, &["mine.yaml", key], expected);
    }
    // A key may contain dots.
    project.edit("mine.yaml", "rootfs:\n", "rootfs:\n  links: {/usr/lib/a.so: a.so.1, /usr/lib/a: b}\n");
    shows(&project, &["mine.yaml", "rootfs.links./usr/lib/a.so"], "a.so.1\n");
}

#[test]
fn origins_name_the_file_and_line_of_each_value_and_of_what_it_replaced() {
    let project = extended();
    project.write(
        "top.yaml",
        "recipe: top\nextends: mine.yaml\nboot:\n  timeout: 1\n  cmdline: a=${host}\nkernel: {patches: }\n",
    );
    let shown = |key: &str| {
        let ran = project.dbco(&["show", "top.yaml", key, "--origin", "--set", "host=crate"]).ends(0);
        ran.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(shown("boot.timeout"), ["1 # top.yaml:4, over mine.yaml:3"]);
    assert_eq!(shown("boot.cmdline"), ["a=crate # top.yaml:5, ${host} of --set, over small.yaml:20"]);
    assert_eq!(shown("params.host.default"), ["crate # --set, over small.yaml:5"]);
    assert_eq!(shown("initrd.compression"), ["none # small.yaml:16"]);
    assert_eq!(shown("squashfs.block"), ["256K # default"]);
    assert!(
        shown("kernel").contains(&"# patches: removed by top.yaml:6, was small.yaml:8".to_owned()),
        "{:?}",
        shown("kernel")
    );
}

#[test]
fn origins_are_data_for_machines() {
    let project = extended();
    let ran = project.dbco(&["show", "mine.yaml", "boot", "--origin", "--json", "--set", "host=crate"]).ends(0);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&value["event"], &value["kind"], &value["key"]), (&"recipe".into(), &"recipe".into(), &"boot".into()));
    assert_eq!(value["extends"], serde_json::json!(["small.yaml"]));
    let expected = serde_json::json!({"cmdline": "host=crate", "entries": [{"id": "live", "title": "Live", "mode": "live"}], "timeout": 9});
    assert_eq!(value["value"], expected);
    let origin = |key: &str| {
        value["origins"]
            .as_array()
            .unwrap()
            .iter()
            .find(|origin| origin["key"] == key)
            .unwrap_or_else(|| panic!("{key}: {value}"))
    };
    assert_eq!(origin("boot.timeout")["set"], serde_json::json!({"file": "mine.yaml", "line": 3, "column": 17}));
    assert_eq!(origin("boot.cmdline")["params"], serde_json::json!([{"name": "host", "set": "--set"}]));
    assert_eq!(origin("boot.entries.0.id")["set"]["line"], 22);
    let ran = project.dbco(&["show", "mine.yaml", "--json"]).ends(0);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&value["value"]["rootfs"]["users"][1]["uid"], &value["origins"]),
        (&7.into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_misspelt_key_suggests_the_nearest() {
    let project = extended();
    for (key, parts) in [
        ("rootfs.usres", ["there is no `rootfs.usres`", "did you mean `rootfs.users`?"]),
        ("rotfs", ["there is no `rotfs`", "did you mean `rootfs`?"]),
        ("rootfs.users.an", ["there is no `rootfs.users.an`", "did you mean `rootfs.users.ann`?"]),
        ("rootfs.users.9", ["there is no `rootfs.users.9`", "`rootfs.users` has: root, ann"]),
        // Also a key that is not set, and one without those before it.
        ("rootfs.exlude", ["there is no `rootfs.exlude`", "did you mean `rootfs.exclude`?"]),
        ("users", ["there is no `users`", "did you mean `rootfs.users`?"]),
        ("usres", ["there is no `usres`", "did you mean `rootfs.users`?"]),
        ("boot.timeout.x", ["there is no `boot.timeout.x`", "`boot.timeout` is a single value"]),
        ("wallpaper", ["there is no `wallpaper`", "it has: recipe, "]),
    ] {
        let ran = project.dbco(&["show", "mine.yaml", key]).ends(2).says(&parts);
        assert_eq!(ran.out, "", "{key}");
    }
}

#[test]
fn a_single_argument_that_is_no_file_is_a_key_of_the_shipped_recipe() {
    let project = Project::new();
    project.write("recipes/dbcolinux.yaml", RECIPE);
    project.unshared("for name in components toolchains kernel-config patches overlay early; do mv $name recipes/; done; mv sources recipes/").ends(0);
    shows(&project, &["boot.entries.live.mode"], "live\n");
    project.dbco(&["show"]).ends(0);
    project.dbco(&["show", "botto"]).ends(2).says(&["recipes/dbcolinux.yaml: there is no `botto`"]);
    project.dbco(&["show", "recipes/gone.yaml"]).ends(2).says(&["can't read the recipe recipes/gone.yaml"]);
}

#[test]
fn components_and_toolchains_are_shown_too() {
    let project = Project::new();
    project.write("toolchains/more.yaml", "toolchain: more\nextends: none.yaml\npackages: [gcc]\n");
    shows(&project, &["toolchains/more.yaml"], "toolchain: more\ndebian: bookworm\npackages: [gcc]\n");
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\nbuild: |\n  make \"${X}\"\n  make all\n");
    shows(&project, &["components/kernel.yaml", "build"], "|\n  make \"${X}\"\n  make all\n");
    shows(&project, &["components/kernel.yaml", "kconfig"], "base: tinyconfig\nresolve: olddefconfig\n");
    let ran = project.dbco(&["show", "toolchains/more.yaml", "--set", "a=b"]).ends(2);
    ran.says(&["has no parameter `a`", "it is a toolchain"]);
}

#[test]
fn a_recipe_with_errors_is_shown_before_they_are() {
    let project = extended();
    project.edit("mine.yaml", "timeout: 9", "timeout: soon, colour: red");
    let ran = project.dbco(&["show", "mine.yaml", "boot"]).ends(2);
    assert!(ran.out.starts_with("cmdline: host=box\n") && ran.out.contains("timeout: soon\n"), "{}", ran.out);
    ran.says(&["error[wrong-type]", "mine.yaml:3:17", "unknown key `colour`", "error: 2 findings"]);
    project.write("mine.yaml", "recipe: mine\nextends: gone.yaml\n");
    let ran = project.dbco(&["show", "mine.yaml"]).ends(2).says(&["can't read the recipe", "mine.yaml:2:10"]);
    assert_eq!(ran.out, "");
}

/// Without the locations, which differ between equal recipes in different files.
fn without_spans(recipe: &Recipe) -> String {
    let mut image = recipe.image.clone();
    // Defaults that the shown recipe states.
    image.iso_label = None;
    image.arch = None;
    let text = format!("{image:?}\n{:?}\n{:?}", recipe.components, recipe.requests());
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Span { file: ") {
        out += &rest[..at];
        rest = rest[at..].split_once('}').unwrap().1;
    }
    out + rest
}

/// Every shipped recipe is the same after it was shown and read back, and so is what is shown of that.
#[test]
fn what_is_shown_of_shipped_recipes_can_be_read_back() {
    let project = Project::new();
    let copy = "cp -R '{0}/recipes' '{0}/kernel-config' . && ln -s '{0}/livefs' livefs";
    project.unshared(&copy.replace("{0}", repository().to_str().unwrap())).ends(0);
    let mut checked = 0;
    for entry in fs::read_dir(repository().join("recipes")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".yaml") else { continue };
        for (style, arguments) in [("values", vec![]), ("origins", vec!["--origin"])] {
            let path = format!("recipes/{name}");
            let first = project.dbco(&[vec!["show", path.as_str()], arguments].concat()).ends(0);
            let again = format!("recipes/{stem}-{style}.yaml");
            project.write(&again, &first.out);
            let read =
                |name: &str| load(&project.path(name), &Settings::new()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(without_spans(&read(&path)), without_spans(&read(&again)), "{name} {style}");
            if style == "values" {
                shows(&project, &[&again], &first.out);
            }
            fs::remove_file(project.path(&again)).unwrap();
        }
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn what_is_shown_of_a_recipe_in_another_folder_has_its_paths() {
    let project = Project::new();
    project.write(
        "more/large.yaml",
        "extends: ../small.yaml\nrecipe: large\ninitrd: {overlays: {add: [own]}}\nboot: {cmdline: \"$${x} ${host}\"}\n",
    );
    project.write("more/own/x", "");
    let first = project.dbco(&["show", "more/large.yaml", "--set", "host=crate"]).ends(0);
    assert!(
        first.out.contains("overlays: [../early, own]") && first.out.contains("cmdline: $${x} crate"),
        "{}",
        first.out
    );
    project.write("more/again.yaml", &first.out);
    shows(&project, &["more/again.yaml"], &first.out);
    project.dbco(&["check", "more/again.yaml"]).ends(0);
}

/// What is a comment stays one, whatever the names in it are: of parameters, of files.
#[test]
fn names_with_line_breaks_do_not_end_comments() {
    let project = Project::new();
    let name = "more\nboot: {timeout: 9}/large.yaml";
    project.write(
        name,
        "extends: ../small.yaml\nrecipe: large\nboot: {cmdline: \"${a\\n- b}${host}\"}\nrootfs: {users: {remove: [\"x\\ny\"]}}\n",
    );
    // One parameter and one user are unknown: what there is of the recipe is shown beside the errors.
    for style in [&["show", name, "--origin"][..], &["show", name]] {
        let ran = project.dbco(style);
        for line in ran.out.lines() {
            assert!(!line.starts_with("- b") && !line.starts_with("boot: {timeout"), "{}", ran.out);
        }
    }
    let name = "line\nbreak.yaml";
    project.write(name, "extends: small.yaml\nrecipe: large\nboot: {timeout: 9}\n");
    let ran = project.dbco(&["show", name, "--origin"]).ends(0);
    assert!(ran.out.contains("timeout: 9") && ran.out.contains("# line\\nbreak.yaml:3"), "{}", ran.out);
    project.write("again.yaml", &ran.out);
    project.dbco(&["check", "again.yaml"]).ends(0);
}
