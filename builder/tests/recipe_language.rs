//! The language of recipes: parameters, `extends`, YAML's own shorthands.

mod project;

use dbco::recipe::Settings;
use dbco::recipe::image::Kernel;
use dbco::recipe::{Recipe, load};
use dbco::source::{DebianPackages, Request};
use project::Project;

#[track_caller]
fn read(project: &Project, name: &str, settings: &[(&str, &str)]) -> Recipe {
    let settings: Settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    load(&project.path(name), &settings).unwrap_or_else(|error| panic!("{error}"))
}

fn cmdline(text: &str, settings: &[(&str, &str)]) -> String {
    read(&Project::with("host=${host}", text), "small.yaml", settings).image.boot.cmdline
}

#[test]
fn parameters_have_defaults_and_are_set_from_outside() {
    assert_eq!(cmdline("host=${host}", &[]), "host=box");
    assert_eq!(cmdline("a=${host} b=${host}", &[("host", "crate")]), "a=crate b=crate");
    let project = Project::with("{default: box, choices: [box, crate]}", "9");
    project.edit("small.yaml", "uid: 0,", "uid: \"${host}\",");
    let message = load(&project.path("small.yaml"), &Settings::new()).unwrap_err().to_string();
    assert!(message.contains("expected a whole number"), "quoted text is no number: {message}");
    project.edit("small.yaml", "\"${host}\"", "0");
    project.edit("small.yaml", "boot:\n", "boot:\n  timeout: ${host}\n");
    assert_eq!(read(&project, "small.yaml", &[("host", "12")]).image.boot.timeout, 12);
}

#[test]
fn a_doubled_dollar_stands_for_itself_before_a_brace_only() {
    assert_eq!(cmdline("$${host}", &[]), "${host}");
    assert_eq!(cmdline("$$ $host $${host}=${host} $", &[]), "$$ $host ${host}=box $");
    assert_eq!(cmdline("'$$${host}'", &[]), "$${host}");
}

#[test]
fn a_value_is_not_looked_at_for_further_parameters() {
    let project = Project::with("{default: box, choices: [box, crate]}", "box");
    assert_eq!(read(&project, "small.yaml", &[("host", "${host}")]).image.boot.cmdline, "host=${host}");
}

#[test]
fn a_file_that_extends_another_lays_its_mappings_over_and_replaces_the_rest() {
    let project = Project::new();
    project.write(
        "more/large.yaml",
        "extends: ../small.yaml\nrecipe: large\nparams:\n  disk: vda\n\
         boot:\n  timeout: 9\noutputs: [grub-cfg]\ninitrd: {overlays: [own]}\n",
    );
    project.write("more/own/x", "");
    let recipe = read(&project, "more/large.yaml", &[("host", "crate"), ("disk", "vdb")]);
    let image = &recipe.image;
    assert_eq!((&**image.name, image.boot.timeout, image.boot.cmdline.as_str()), ("large", 9, "host=crate"));
    assert_eq!(image.outputs.len(), 1, "a list is replaced, not appended to");
    assert_eq!(image.boot.entries.len(), 1, "what is not said is as below");
    // Each path is relative to the file that contains it.
    assert!(image.rootfs.overlays[0].path.value.ends_with("more/../overlay"), "{:?}", image.rootfs.overlays);
    assert!(image.initrd.overlays[0].path.value.ends_with("more/own"), "{:?}", image.initrd.overlays);
    assert_eq!(recipe.lock_path(), project.path("dbco.lock"), "the lock of the project");
}

#[test]
fn a_key_without_a_value_takes_away_what_lies_below() {
    let project = Project::new();
    project
        .write("bare.yaml", "extends: small.yaml\nrecipe: bare\nrootfs: {users: }\nkernel: {patches: }\ntests: []\n");
    let recipe = read(&project, "bare.yaml", &[]);
    assert!(recipe.image.rootfs.users.is_empty() && recipe.image.tests.is_empty());
    let Kernel::Component { patches, config, .. } = &recipe.image.kernel else { panic!() };
    assert!(patches.is_empty() && config.len() == 1);
}

#[test]
fn anchors_stand_for_what_they_name() {
    let project = Project::with("image: none,", "image: *t,");
    project.edit("small.yaml", "build: none", "build: &t none");
    project.edit("small.yaml", "  overlays: [overlay]", "  overlays: &o [overlay]");
    project.edit("small.yaml", "  overlays: [early]", "  overlays: *o");
    project.edit("small.yaml", "  cmdline: host=${host}", "  cmdline: rdinit=/system/bin/sh host=${host}");
    let image = read(&project, "small.yaml", &[]).image;
    assert_eq!(image.toolchains.image.value, "none");
    assert_eq!(image.initrd.overlays[0].path.value, image.rootfs.overlays[0].path.value);
}

#[test]
fn texts_that_look_like_numbers_stay_as_they_were_written() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "version: '1'", "version: 1.10\nenv: {LEVEL: 007, YES: yes, NONE: 'null'}");
    let recipe = read(&project, "small.yaml", &[]);
    let kernel = &recipe.components["kernel"];
    assert_eq!(kernel.version, "1.10");
    assert_eq!(
        (kernel.env["LEVEL"].as_str(), kernel.env["YES"].as_str(), kernel.env["NONE"].as_str()),
        ("007", "yes", "null")
    );
}

/// The packages of the toolchain that a recipe builds with, and their suite.
fn toolchain(project: &Project) -> (Vec<String>, String) {
    match read(project, "small.yaml", &[]).build.packages.value {
        Request::Debian(DebianPackages { suites, packages, .. }) => {
            (packages, suites.names().collect::<Vec<_>>().join("+"))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_toolchain_that_extends_another_adds_packages_and_leaves_some_out() {
    let project = Project::with("build: none", "build: more");
    project.write(
        "toolchains/base.yaml",
        "toolchain: base\ndebian: {suite: bookworm, components: [main]}\npackages: [gcc, make, rustc-web]\n\
         links: {/usr/bin/cc: gcc, /usr/bin/sh: dash}\n",
    );
    project.write("toolchains/more.yaml", "toolchain: more\nextends: base.yaml\npackages: [cmake, gcc]\n");
    assert_eq!(
        toolchain(&project),
        (["cmake", "gcc", "make", "rustc-web"].map(String::from).into(), "bookworm".into())
    );
    // Through two levels, with another suite, and everything but packages merged as in recipes.
    project.write(
        "toolchains/other.yaml",
        "toolchain: other\nextends: more.yaml\ndebian: {suite: sid}\nwithout: [rustc-web, cmake]\npackages: [rustc]\n\
         links: {/usr/bin/cc: gcc-16, /usr/bin/sh: }\n",
    );
    project.edit("small.yaml", "build: more", "build: other");
    assert_eq!(toolchain(&project), (["gcc", "make", "rustc"].map(String::from).into(), "sid".into()));
    let links = read(&project, "small.yaml", &[]).build.links;
    assert_eq!(links.into_iter().collect::<Vec<_>>(), [("/usr/bin/cc".to_owned(), "gcc-16".to_owned())]);
    // Nothing has to be added.
    project.write("toolchains/other.yaml", "toolchain: other\nextends: base.yaml\nwithout: [make]\n");
    assert_eq!(toolchain(&project).0, ["gcc", "rustc-web"]);
}

#[test]
fn what_is_wrong_in_a_toolchain_that_extends_another_is_said() {
    for (text, expected) in [
        ("toolchain: more\nextends: base.yaml\nwithout: [mace]\n", "toolchains/more.yaml:3:11"),
        ("toolchain: more\nextends: base.yaml\nwithout: [mace]\n", "did you mean `make`?"),
        ("toolchain: more\nextends: base.yaml\nwithout: make\n", "expected a list"),
        ("toolchain: more\nextends: base.yaml\npackages: cmake\n", "expected a list"),
        ("extends: base.yaml\npackages: [cmake]\n", "this file names toolchain `base`, not `more`"),
        ("toolchain: more\nextends: bse.yaml\n", "can't read the toolchain"),
        ("toolchain: more\nextends: more.yaml\n", "extends itself: more.yaml → more.yaml"),
        ("toolchain: more\nextends: base.yaml\npackage: [cmake]\n", "did you mean `packages`?"),
        (
            "toolchain: more\ndebian: bookworm\npackages: [make]\nwithout: [make]\n",
            "`without` is only valid with `extends`",
        ),
    ] {
        let project = Project::with("build: none", "build: more");
        project.write("toolchains/base.yaml", "toolchain: base\ndebian: bookworm\npackages: [gcc, make]\n");
        project.write("toolchains/more.yaml", text);
        let message = load(&project.path("small.yaml"), &Settings::new()).unwrap_err().to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn an_architecture_that_is_not_complete_says_what_it_lacks() {
    let project = Project::with("epoch: 2021-01-01\n", "epoch: 2021-01-01\narch: aarch64\n");
    let check = project.dbco(&["check", "small.yaml"]);
    check.ends(2).never_says("kernel packages").says(&[
        "small.yaml:3:7",
        "`aarch64` lacks toolchains whose compiler is aarch64-linux-gnu-gcc on x86_64, and the recipe has components: kernel",
        "`aarch64` lacks media that its firmware can boot (GRUB `arm64-efi` as BOOTAA64.EFI), and `outputs` has grub-cfg",
        "`aarch64` lacks machines for boot tests (qemu-system-aarch64 -machine virt), and the recipe has boot tests: first",
    ]);
    // What the recipe does not request is not missing.
    project.edit("small.yaml", "outputs: [initrd, grub-cfg]\n", "outputs: [initrd]\n");
    let check = project.dbco(&["check", "small.yaml"]);
    check.ends(2).says(&["lacks toolchains"]).never_says("firmware");
}

#[test]
fn an_architecture_is_named_as_uname_names_it() {
    for (word, near) in [("x86-64", "did you mean `x86_64`?"), ("arm64", "one of: x86_64, aarch64")] {
        let project = Project::with("epoch: 2021-01-01\n", &format!("epoch: 2021-01-01\narch: {word}\n"));
        project.dbco(&["check", "small.yaml"]).ends(2).says(&[
            "small.yaml:3:7",
            &format!("unknown value `{word}`"),
            near,
        ]);
    }
}

#[test]
fn a_wrong_part_of_a_component_is_not_a_missing_one() {
    for (from, to, said) in [
        ("kconfig: {base: tinyconfig}", "kconfig: {base: [1]}", "base"),
        ("kconfig: {base: tinyconfig}", "kconfig: {base: tinyconfig, resolve: never}", "unknown value `never`"),
        ("kconfig: {base: tinyconfig}", "kconfig: {config: {url: gopher://a/b}}", "is not an address"),
    ] {
        let project = Project::new();
        project.edit("components/kernel.yaml", from, to);
        project
            .dbco(&["check", "small.yaml"])
            .ends(2)
            .says(&["components/kernel.yaml:", said])
            .never_says("has no `kconfig`");
    }
}
