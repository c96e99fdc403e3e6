//! `dbco kconfig`: the configuration of a small stand-in for a kernel is changed, and saved as a fragment.

mod project;

use project::terminal::{Shown, at_terminal};
use project::{Project, host};
use serde_json::Value;

/// Columns and rows of the terminals.
const SIZE: (usize, usize) = (160, 40);

/// As the kernel's: what is not visible is dropped, and `CLOCK` turns on `TIMER`. Its `config` asks one question.
const MAKEFILE: &str = "\
VERSION = 6
PATCHLEVEL = 1
tinyconfig:
\techo '# CONFIG_64BIT is not set' > .config
olddefconfig:
\tgrep -v -e CONFIG_WATCHDOG -e CONFIG_TIMER -e CONFIG_NO_SUCH .config > new
\tif grep -q CONFIG_CLOCK=y new; then echo CONFIG_TIMER=y >> new; fi
\tmv new .config
savedefconfig:
\tgrep -v CONFIG_TIMER .config > defconfig
config:
\t@test \"$(ARCH)\" = x86_64
\t@echo 'A clock (CLOCK) [N/y/?]'; read answer; echo CONFIG_CLOCK=$$answer >> .config
\t@$(MAKE) -s olddefconfig
all:
\tcat .config > bzImage
";

const KCONFIG: &str = "\
config 64BIT
\tbool \"64-bit kernel\"
config CLOCK
\tbool \"A clock\"
\tselect TIMER
config TIMER
\tbool
config NAME
\tstring \"A name\"
config WATCHDOG
\tbool \"A watchdog\"
\tdepends on NAME = \"dog\"
";

fn project() -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[bzimage]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    let component = project.read("components/kernel.yaml").replace("tinyconfig}", "tinyconfig, make: [ARCH=x86_64]}");
    project.write("components/kernel.yaml", component + "build: make all\n");
    project.write("sources/kernel/Makefile", MAKEFILE);
    project.write("sources/kernel/Kconfig", KCONFIG);
    project.edit("small.yaml", "  patches: [first.patch]\n", "");
    host::provide(&project);
    project
}

/// Sets symbols; gives the event.
fn set(project: &Project, symbols: &[&str], more: &[&str]) -> Value {
    let mut words = vec!["kconfig", "--offline", "--json", "small.yaml"];
    symbols.iter().for_each(|symbol| words.extend(["--set-symbol", symbol]));
    words.extend(more);
    let ran = project.dbco(&words).ends(0);
    let events = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.into_iter().find(|event| event["event"] == "kconfig").unwrap()
}

#[test]
fn symbols_are_saved_and_what_follows_is_only_shown() {
    let project = project();
    let event = set(&project, &["CLOCK=y", "CONFIG_NAME=\"x y\""], &[]);
    let changes = serde_json::json!([
        {"symbol": "CLOCK", "before": "n", "after": "y", "saved": true},
        {"symbol": "NAME", "before": "n", "after": "\"x y\"", "saved": true},
        {"symbol": "TIMER", "before": "n", "after": "y", "saved": false},
    ]);
    assert_eq!((&event["changes"], &event["listed"]), (&changes, &Value::Bool(false)));
    assert!(event["fragment"].as_str().unwrap().ends_with("kernel-config/small.config"), "{event}");
    let fragment = project.read("kernel-config/small.config");
    assert_eq!(fragment, "# Set by `dbco kconfig`.\nCONFIG_CLOCK=y\nCONFIG_NAME=\"x y\"\n");
    // With the fragment the build has exactly that, and there is nothing more to save.
    project.edit("small.yaml", "config: [tiny]", "config: [tiny, small]");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert_eq!(
        project.read("out/small/bzImage"),
        "CONFIG_64BIT=y\nCONFIG_CLOCK=y\nCONFIG_NAME=\"x y\"\nCONFIG_TIMER=y\n"
    );
    let event = set(&project, &["CLOCK=y"], &[]);
    assert_eq!((&event["changes"], &event["listed"]), (&serde_json::json!([]), &Value::Bool(true)));
    assert_eq!(project.read("kernel-config/small.config"), fragment);
    let ran = project.dbco(&["kconfig", "--offline", "small.yaml", "--set-symbol", "CLOCK=y"]).ends(0);
    assert_eq!(ran.out, "nothing has changed\n");
}

#[test]
fn only_changed_lines_of_a_fragment_change() {
    let project = project();
    let text = "# What it is for.\nCONFIG_64BIT=y\n\n# Clocks.\n#if version < 6\nCONFIG_CLOCK=y\n#else\n# CONFIG_CLOCK is not set\n#endif\n# The end.\n";
    project.write("kernel-config/tiny.config", text);
    project.write("kernel-config/last.config", "CONFIG_NAME=\"last\"\n");
    project.edit("small.yaml", "config: [tiny]", "config: [tiny, last]");
    let ran = project.dbco(&[
        "kconfig",
        "--offline",
        "small.yaml",
        "--fragment",
        "kernel-config/tiny.config",
        "--set-symbol",
        "CLOCK=y",
        "--set-symbol",
        "NAME=\"first\"",
    ]);
    let ran = ran.ends(0);
    for part in [
        "CONFIG_CLOCK: n -> y\n",
        "CONFIG_TIMER: n -> y  (follows, not saved)\n",
        "2 settings in kernel-config/tiny.config",
    ] {
        assert!(ran.out.contains(part), "no `{part}` in {}", ran.out);
    }
    assert!(ran.out.contains("last.config:1: CONFIG_NAME=\"last\"") && !ran.out.contains("add `"), "{}", ran.out);
    let expected = text.replace("# CONFIG_CLOCK is not set", "CONFIG_CLOCK=y") + "CONFIG_NAME=\"first\"\n";
    assert_eq!(project.read("kernel-config/tiny.config"), expected);
}

#[test]
fn what_does_not_take_effect_is_explained_and_not_saved() {
    let project = project();
    let refused = |symbol: &str, parts: &[&str]| {
        let ran = project.dbco(&["kconfig", "--offline", "small.yaml", "--set-symbol", symbol]).ends(2);
        ran.says(parts);
        assert!(!project.path("kernel-config/small.config").exists());
    };
    refused("WATCHDOG=y", &["nothing is saved", "CONFIG_WATCHDOG=y is wanted", "depends on", "NAME"]);
    refused("NO_SUCH=y", &["nothing is saved", "CONFIG_NO_SUCH"]);
    refused("CLOCK=yes", &["--set-symbol:1: expected y, m, n"]);
    refused("CLOCK", &["--set-symbol:1: expected `CONFIG_NAME=value`"]);
    project.dbco(&["kconfig", "--offline", "small.yaml"]).ends(2).says(&["not a terminal: pass --set-symbol"]);
}

#[test]
fn a_program_of_the_kernel_changes_it_at_a_terminal() {
    let project = project();
    let keys = [("A clock (CLOCK) [N/y/?]", "y\r")];
    let shown = at_terminal(&project, SIZE, "$DBCO kconfig --offline --tool config small.yaml", &keys).success();
    for part in ["CONFIG_CLOCK: n -> y", "CONFIG_TIMER: n -> y  (follows, not saved)", "1 setting in "] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    assert_eq!(project.read("kernel-config/small.config"), "# Set by `dbco kconfig`.\nCONFIG_CLOCK=y\n");
}

#[test]
fn menus_need_a_toolchain_with_ncurses() {
    let project = project();
    let Shown { text, succeeded, .. } = at_terminal(&project, SIZE, "$DBCO kconfig --offline small.yaml", &[]);
    assert!(!succeeded && text.contains("toolchain host lacks") && text.contains("extends: host.yaml"), "{text}");
    // With one that has it, which is only for this.
    let menu = "toolchain: menuconfig\nextends: host.yaml\npackages: [libncurses-dev]\n";
    project.write("toolchains/menuconfig.yaml", menu);
    let makefile = MAKEFILE.replace("config:\n\t@test", "menuconfig:\n\t@test -e /usr/include/ncurses.h; test");
    project.write("sources/kernel/Makefile", makefile);
    let header = host::deb("", &[("./usr/include/ncurses.h", b""), ("./lib/terminfo/x/xterm", b"")]);
    project.write("dbco.lock", project::LOCK);
    host::provide(&project);
    let lock = project.read("dbco.lock");
    host::provide_packages(&project, &[("libncurses-dev", "6", header)]);
    let entry = project.read("dbco.lock").replacen(&lock, "", 1);
    let tools = lock.rsplit_once("  files:\n").unwrap().1.to_owned();
    let both = entry.replace("[libncurses-dev]", "[libncurses-dev, tools]") + &tools;
    project.write("dbco.lock", lock + &both);
    let arguments = "$DBCO kconfig --offline --toolchain menuconfig small.yaml";
    let shown = at_terminal(&project, SIZE, arguments, &[("A clock (CLOCK) [N/y/?]", "y\r")]).success();
    assert!(shown.contains("CONFIG_CLOCK: n -> y"), "{shown}");
    project
        .dbco(&["kconfig", "small.yaml", "--toolchain", "none-such", "--set-symbol", "A=y"])
        .ends(2)
        .says(&["none-such"]);
}

#[test]
fn a_kernel_from_a_package_has_nothing_to_change() {
    let project = host::with_kernel_package("modules: []", &[("./boot/vmlinuz-1", b"")]);
    let ran = project.dbco(&["kconfig", "--offline", "small.yaml", "--set-symbol", "A=y"]).ends(2);
    ran.says(&["the recipe's kernel is a package"]);
}

#[test]
fn what_prevents_saving_is_reported_before_the_kernel_is_configured() {
    let project = project();
    let refused = |fragment: &str, parts: &[&str]| {
        let words = ["kconfig", "--offline", "small.yaml", "--set-symbol", "CLOCK=y", "--fragment", fragment];
        project.dbco(&words).ends(2).says(parts);
        assert!(!project.path("store/steps").read_dir().is_ok_and(|mut steps| steps.next().is_some()));
    };
    refused("none/a.config", &["can't save none/a.config: can't write into none: No such file", "make this folder"]);
    project.write("a.config", "CONFIG_CLOCK: y\n");
    refused("a.config", &["a.config:1: expected `CONFIG_NAME=value`"]);
    // This is only known afterwards.
    let text = "#if version < 6\nCONFIG_CLOCK=n\n#endif\n";
    project.write("a.config", text);
    let words = ["kconfig", "--offline", "small.yaml", "--set-symbol", "CLOCK=y", "--fragment", "a.config"];
    project.dbco(&words).ends(2).says(&["a.config:", "these are the settings to save:\n  CONFIG_CLOCK=y"]);
    assert_eq!(project.read("a.config"), text);
}

#[test]
fn settings_of_other_fragments_that_no_longer_hold_are_reported() {
    let project = project();
    // A choice: with one the other is dropped.
    let rule =
        "\tif grep -q CONFIG_FAST=y new; then grep -v CONFIG_SLOW new > one; mv one new; fi\n\tmv new .config\nsave";
    project.write("sources/kernel/Makefile", MAKEFILE.replace("\tmv new .config\nsave", rule));
    let choice = "choice\n\tprompt \"Speed\"\nconfig SLOW\n\tbool \"slow\"\nconfig FAST\n\tbool \"fast\"\nendchoice\n";
    project.write("sources/kernel/Kconfig", format!("{KCONFIG}{choice}"));
    project.write("kernel-config/slow.config", "# Speed.\nCONFIG_SLOW=y\n");
    project.edit("small.yaml", "config: [tiny]", "config: [tiny, slow, kernel-config/fast]");
    project.write("kernel-config/fast", "");
    let words = ["kconfig", "--offline", "small.yaml", "--set-symbol", "FAST=y", "--fragment", "kernel-config/fast"];
    let ran = project.dbco(&words).ends(0);
    let warning = "warning: the build fails with this, as another setting no longer holds: ";
    let (_, lost) = ran.out.split_once(warning).unwrap();
    assert!(lost.ends_with("slow.config:2: CONFIG_SLOW=y: write `# CONFIG_SLOW is not set` instead\n"), "{lost}");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&["CONFIG_SLOW=y is wanted"]);
    project.write("kernel-config/slow.config", "# CONFIG_SLOW is not set\n");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
}

#[test]
fn a_fragment_is_named_as_the_recipe_has_to() {
    let project = project();
    for (fragment, entry) in
        [("kernel-config/a.config", "a"), ("kernel-config/a", "./kernel-config/a"), ("a.config", "./a.config")]
    {
        let words = ["kconfig", "--offline", "small.yaml", "--set-symbol", "CLOCK=y", "--fragment", fragment];
        let ran = project.dbco(&words).ends(0);
        assert!(ran.out.contains(&format!("add `{entry}` to the list `kernel.config`")), "{}", ran.out);
        let list = format!("config: [tiny, {entry}]");
        project.edit("small.yaml", "config: [tiny]", &list);
        project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
        project.edit("small.yaml", &list, "config: [tiny]");
    }
}
