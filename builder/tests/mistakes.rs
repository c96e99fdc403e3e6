//! Typical mistakes, and all that dbco answers to each: the place, what was expected, what to do. The answers are in `tests/mistakes/`;
//! `DBCO_UPDATE=1 cargo test -p dbco --test mistakes` writes them, to be read line by line before they are committed.

mod project;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use project::Project;

/// A mistake: its name, edits of files (the file, what is there, what is written instead; nothing there is a new file), and
/// the command.
struct Mistake {
    name: &'static str,
    edits: &'static [(&'static str, &'static str, &'static str)],
    command: &'static [&'static str],
}

const CHECK: &[&str] = &["check", "small.yaml"];
const BUILD: &[&str] = &["build", "small.yaml"];

/// An edit of the recipe that `dbco check` answers to.
const fn recipe(name: &'static str, edits: &'static [(&'static str, &'static str, &'static str)]) -> Mistake {
    Mistake { name, edits, command: CHECK }
}

const fn mistake(
    name: &'static str,
    edits: &'static [(&'static str, &'static str, &'static str)],
    command: &'static [&'static str],
) -> Mistake {
    Mistake { name, edits, command }
}

static MISTAKES: &[Mistake] = &[
    // YAML.
    recipe("yaml-indentation", &[("small.yaml", "  overlays: [overlay]", "   overlays: [overlay]")]),
    recipe("yaml-tab", &[("small.yaml", "  overlays: [overlay]", "\toverlays: [overlay]")]),
    recipe("yaml-quote", &[("small.yaml", "title: Live,", "title: 'Live,")]),
    recipe("yaml-bracket", &[("small.yaml", "outputs: [initrd, grub-cfg]", "outputs: [initrd, grub-cfg")]),
    recipe("yaml-repeated-key", &[("small.yaml", "outputs:", "epoch: 2022-01-01\noutputs:")]),
    recipe("yaml-no-space", &[("small.yaml", "epoch: 2021-01-01", "epoch:2021-01-01")]),
    recipe("yaml-colon-in-text", &[("small.yaml", "cmdline: host=${host}", "cmdline: note: host=${host}")]),
    // Keys and values.
    recipe("key-misspelt", &[("small.yaml", "outputs:", "output:")]),
    recipe("key-unknown", &[("small.yaml", "outputs:", "maintainer: me\noutputs:")]),
    recipe("key-missing", &[("small.yaml", "epoch: 2021-01-01\n", "")]),
    recipe("key-in-the-wrong-mapping", &[("small.yaml", "initrd:\n", "initrd:\n  cmdline: quiet\n")]),
    recipe("value-list-for-text", &[("small.yaml", "epoch: 2021-01-01", "epoch: [2021-01-01]")]),
    recipe("value-text-for-list", &[("small.yaml", "config: [tiny]", "config: tiny")]),
    recipe("value-date", &[("small.yaml", "epoch: 2021-01-01", "epoch: 01.01.2021")]),
    recipe("value-word", &[("small.yaml", "compression: none", "compression: zst")]),
    recipe("value-number", &[("small.yaml", "uid: 0,", "uid: zero,")]),
    recipe("value-memory", &[("small.yaml", "medium: kernel,", "medium: kernel, memory: 512M,")]),
    recipe("value-port", &[("small.yaml", "medium: kernel,", "medium: kernel, forward: [80800],")]),
    recipe("name-with-a-slash", &[("small.yaml", "recipe: small", "recipe: my/small")]),
    // Files and names.
    recipe("overlay-missing", &[("small.yaml", "overlays: [overlay]", "overlays: [overlays]")]),
    recipe("overlay-is-a-file", &[("small.yaml", "overlays: [overlay]", "overlays: [dbco.lock]")]),
    recipe("component-missing", &[("small.yaml", "component: kernel", "component: kernal")]),
    recipe("toolchain-missing", &[("small.yaml", "build: none", "build: non")]),
    recipe("fragment-missing", &[("small.yaml", "config: [tiny]", "config: [tinny]")]),
    recipe("patch-missing", &[("small.yaml", "patches: [first.patch]", "patches: [frist.patch]")]),
    recipe(
        "recipe-extended-missing",
        &[("small.yaml", "recipe: small", "recipe: small\nextends: bases.yaml"), ("base.yaml", "", "recipe: base\n")],
    ),
    recipe(
        "recipe-extends-itself",
        &[
            ("small.yaml", "recipe: small", "recipe: small\nextends: base.yaml"),
            ("base.yaml", "", "recipe: base\nextends: small.yaml\n"),
        ],
    ),
    mistake("recipe-path-misspelt", &[], &["build", "smal.yaml"]),
    mistake("recipe-without-ending", &[], &["build", "small"]),
    mistake("recipe-is-a-component", &[], &["build", "components/kernel.yaml"]),
    mistake("recipe-is-a-folder", &[], &["build", "components"]),
    // Fragments, patches.
    recipe("fragment-line", &[("kernel-config/tiny.config", "CONFIG_64BIT=y", "CONFIG_64BIT=yes please")]),
    recipe("patch-without-changes", &[("patches/first.patch", "", "not a patch\n")]),
    // Parameters, profiles.
    recipe("parameter-undeclared", &[("small.yaml", "host=${host}", "host=${hots}")]),
    recipe(
        "parameter-type",
        &[("small.yaml", "{default: box, choices: [box, crate]}", "{default: box, type: integer}")],
    ),
    mistake("parameter-value", &[], &["build", "small.yaml", "--set", "host=barrel"]),
    mistake("parameter-unknown", &[], &["build", "small.yaml", "--set", "hots=box"]),
    mistake(
        "profile-unknown",
        &[("small.yaml", "outputs:", "profiles: {debug: {boot: {timeout: 9}}}\noutputs:")],
        &["build", "small.yaml", "--profile", "debgu"],
    ),
    // Lists of an extended recipe.
    mistake(
        "list-remove",
        &[("mine.yaml", "", "recipe: mine\nextends: small.yaml\nrootfs: {users: {remove: [rot]}}\n")],
        &["check", "mine.yaml"],
    ),
    mistake(
        "list-add-twice",
        &[(
            "mine.yaml",
            "",
            "recipe: mine\nextends: small.yaml\nrootfs: {users: {add: [{name: root, uid: 5, shell: /x}]}}\n",
        )],
        &["check", "mine.yaml"],
    ),
    recipe("list-operation-without-extends", &[("small.yaml", "overlays: [overlay]", "overlays: {add: [overlay]}")]),
    // The library.
    recipe(
        "library-without-a-project-file",
        &[("small.yaml", "recipe: small", "recipe: small\nextends: library:quick.yaml")],
    ),
    recipe(
        "library-path",
        &[
            ("small.yaml", "recipe: small", "recipe: small\nextends: library:quik.yaml"),
            ("dbco.yaml", "", "library: embedded\n"),
        ],
    ),
    // What does not fit together.
    recipe("user-password", &[("small.yaml", "uid: 0,", "uid: 0, password: hunter2,")]),
    recipe("user-shell", &[("small.yaml", "shell: /system/bin/sh", "shell: /bin/bash")]),
    recipe(
        "user-group",
        &[
            ("small.yaml", "uid: 0,", "uid: 0, gid: 77,"),
            ("small.yaml", "  users:", "  groups: [{name: root, gid: 0}]\n  users:"),
        ],
    ),
    recipe(
        "users-with-one-name",
        &[("small.yaml", "  users:\n", "  users:\n    - {name: root, uid: 1, shell: /system/bin/sh}\n")],
    ),
    recipe("test-entry", &[("small.yaml", "entry: live", "entry: life")]),
    recipe("test-expects-nothing", &[("small.yaml", "expect: \"login:\"", "expect: \"\"")]),
    recipe(
        "files-of-two-overlays",
        &[("small.yaml", "overlays: [overlay]", "overlays: [overlay, more]"), ("more/system/etc/motd", "", "other\n")],
    ),
    recipe("file-outside-of-the-layout", &[("overlay/opt/x", "", "x\n")]),
    recipe("hostname", &[("small.yaml", "  layout: split\n", "  layout: split\n  hostname: my box\n")]),
    recipe("timezone", &[("small.yaml", "  layout: split\n", "  layout: split\n  timezone: Europe/Berlni\n")]),
    recipe(
        "network-gateway",
        &[(
            "small.yaml",
            "  layout: split\n",
            "  layout: split\n  network: {eth0: {address: 192.168.1.2/24, gateway: 192.168.2.1}}\n",
        )],
    ),
    // Sources.
    recipe(
        "source-two-kinds",
        &[(
            "components/kernel.yaml",
            "source: {path: ../sources/kernel}",
            "source: {path: ../sources/kernel, url: \"https://example.org/a.tar\"}",
        )],
    ),
    recipe(
        "source-sha256",
        &[(
            "components/kernel.yaml",
            "source: {path: ../sources/kernel}",
            "source: {url: \"https://example.org/a.tar\", sha256: abc}",
        )],
    ),
    recipe(
        "source-with-a-password",
        &[(
            "components/kernel.yaml",
            "source: {path: ../sources/kernel}",
            "source: {url: \"https://me:secret@example.org/a.tar\"}",
        )],
    ),
    // Options, outputs, locks.
    mistake("option-jobs", &[], &["build", "small.yaml", "-j", "0"]),
    mistake("option-misspelt", &[], &["build", "small.yaml", "--ofline"]),
    mistake("command-misspelt", &[], &["biuld"]),
    mistake("output-in-the-way", &[("out/small/grub.cfg", "", "mine\n")], BUILD),
    mistake("output-that-the-recipe-does-not-have", &[], &["build", "small.yaml", "--only", "iso"]),
    mistake("lock-is-missing", &[("dbco.lock", "format: 2", "")], &["build", "small.yaml", "--locked"]),
    mistake("lock-conflict", &[("dbco.lock", "entries:", "<<<<<<< ours\nentries:")], BUILD),
    mistake("test-filter", &[], &["test", "small.yaml", "--filter", "frist"]),
    mistake(
        "step-misspelt",
        &[("small.yaml", "outputs: [initrd,", "outputs: [bzimage, initrd,")],
        &["graph", "small.yaml", "component kernal"],
    ),
];

/// Standard output and error, and the exit status, without what differs from run to run.
fn answer(mistake: &Mistake) -> String {
    let project = Project::new();
    for (file, from, to) in mistake.edits {
        match *from {
            "" => project.write(file, to),
            "format: 2" => fs::remove_file(project.path(file)).unwrap(),
            from => project.edit(file, from, to),
        }
    }
    let ran = project.dbco(mistake.command);
    let folder = project.path("").display().to_string();
    let text = |text: &str| text.replace(folder.trim_end_matches('/'), "PROJECT");
    format!(
        "$ dbco {}\n{}{}exit status {}\n",
        mistake.command.join(" "),
        text(&ran.out),
        text(&ran.err),
        ran.code.unwrap()
    )
}

#[test]
fn each_mistake_gets_its_answer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let is_update = std::env::var_os("DBCO_UPDATE").is_some();
    let mut wrong = Vec::new();
    for mistake in MISTAKES {
        let path = folder.join(format!("{}.txt", mistake.name));
        let found = answer(mistake);
        if is_update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{}:\n{found}--- expected:\n{expected}", mistake.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named: BTreeSet<String> = MISTAKES.iter().map(|mistake| format!("{}.txt", mistake.name)).collect();
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), named, "one file for each mistake");
}
