//! The language and the explanations, on small sources.

use std::path::Path;

use super::super::{Fragment, check, for_source};
use super::*;
use crate::beneath::{Dir, Links};

/// A source with these files.
fn source(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

/// A folder as it is opened by code that does not trust its content.
fn dir(root: &Path) -> SourceFiles {
    SourceFiles::from(&Dir::open(root, Links::Never).unwrap())
}

fn load(root: &Path) -> Kconfig {
    let kconfig = Kconfig::load(&dir(root), Platform::X86_64).unwrap();
    assert_eq!(kconfig.oddities, [], "all lines are understood");
    kconfig
}

/// The explanations for the settings of a fragment, in its order, under a final configuration.
fn reasons(files: &[(&str, &str)], config: &str, wanted: &str) -> Vec<String> {
    let root = source(files);
    load(root.path());
    let fragment = Fragment::parse("f", wanted).unwrap();
    check(&[fragment], config, &dir(root.path()), Platform::X86_64)
        .into_iter()
        .map(|mismatch| mismatch.reason)
        .collect()
}

const KERNEL: &str = r#"# comment
mainmenu "Linux/$(ARCH) $(KERNELVERSION)"
cc-option = $(success,$(CC) $(1))
flags := -m64
flags += -O2
$(error-if,$(failure,command -v $(CC)),no compiler)

source "arch/$(SRCARCH)/Kconfig"
config MODULES
	bool "Modules"
	modules
	help
	  Text that looks like

	    config NOT_A_SYMBOL
	  depends on nothing
menu "Drivers"
	depends on BUS
	visible if EXPERT
config DISK
	tristate "Disk" if QUIET || \
		LOUD
	depends on SATA
	select LIB
	select OTHER if SATA = m
	imply NICE
endmenu
choice
	prompt "Speed"
	depends on !QUIET
	default FAST
config FAST
	bool "fast"
config SLOW
	bool "slow"
endchoice
if BUS && EXPERT
config LIB
	tristate
	default y if $(cc-option,$(flags))
comment "note"
	depends on BUS
config SIZE
	int "Size" if EXPERT
	range 1 MAXIMUM if BUS
	range 1 8
	default 4
config BASE
	hex "Base"
	default 0x10
config NAME
	string "Name"
	default "$(ARCH)"
endif
config MAXIMUM
	int
	default 64
"#;

const ARCH: &str = "config BUS\n\tbool \"Bus\"\nconfig SATA\n\ttristate \"Sata\"\nconfig EXPERT\n\tdef_bool n\n\tprompt \"Expert\"\n\
                    config QUIET\n\tbool\nconfig LOUD\n\tbool \"Loud\"\n";

#[test]
fn definitions_carry_what_stands_in_and_around_them() {
    let root = source(&[("Kconfig", KERNEL), ("arch/x86/Kconfig", ARCH)]);
    let kconfig = load(root.path());
    assert!(!kconfig.symbols.contains_key("NOT_A_SYMBOL"), "help text is skipped");
    let disk = &kconfig.symbols["DISK"].definitions[0];
    assert_eq!(disk.place.to_string(), "Kconfig:20");
    assert_eq!(disk.prompt.as_ref().unwrap().condition.as_ref().unwrap().to_string(), "QUIET || LOUD");
    let depends: Vec<_> = disk.depends.iter().map(|guard| format!("{} {}", guard.condition, guard.place)).collect();
    assert_eq!(depends, ["SATA Kconfig:23"]);
    let outer: Vec<_> =
        kconfig.enclosing(disk.scope).flat_map(|scope| &scope.depends).map(|g| g.condition.to_string()).collect();
    assert_eq!(outer, ["BUS"]);
    let selects: Vec<_> = disk.selects.iter().map(|select| (select.symbol.as_str(), select.weak)).collect();
    assert_eq!(selects, [("LIB", false), ("OTHER", false), ("NICE", true)]);
    assert_eq!(kconfig.selectors("LIB").map(|(name, ..)| name).collect::<Vec<_>>(), ["DISK"]);
    assert_eq!(kconfig.symbols["SIZE"].definitions[0].ranges.len(), 2);
    assert_eq!(kconfig.symbols["NAME"].definitions[0].defaults[0].value.to_string(), "\"x86_64\"");
    assert_eq!(kconfig.symbols["EXPERT"].kind, Some(SymbolType::Bool));
}

#[test]
fn each_way_to_be_ignored_has_its_explanation() {
    let files = [
        ("Kconfig", KERNEL),
        ("arch/x86/Kconfig", ARCH),
        ("arch/arm64/Kconfig", "config ARM_ONLY\n\tbool\n"),
        ("drivers/Kconfig.old", "config NEVER_READ\n\tbool\n"),
    ];
    let config = "CONFIG_MODULES=y\nCONFIG_BUS=y\nCONFIG_EXPERT=y\nCONFIG_LOUD=y\nCONFIG_SATA=m\nCONFIG_DISK=m\nCONFIG_LIB=m\n\
                  CONFIG_FAST=y\nCONFIG_SIZE=64\nCONFIG_BASE=0x10\nCONFIG_NAME=\"x86_64\"\nCONFIG_MAXIMUM=64\n";
    for (wanted, expected) in [
        ("CONFIG_DISC=y", "this source has no such symbol; did you mean DISK?"),
        ("CONFIG_OLD_DISK=y", "this source has no such symbol; did you mean DISK?"),
        (
            "CONFIG_ARM_ONLY=y",
            "this source has no such symbol for this architecture, only for arm64 (arch/arm64/Kconfig:1)",
        ),
        (
            "CONFIG_NEVER_READ=y",
            "this source has no such symbol for this architecture; drivers/Kconfig.old:1 defines it, but is not read",
        ),
        ("CONFIG_DISK=y", "it depends on SATA, which is m (Kconfig:23)"),
        ("CONFIG_LIB=y", "it can't be set (Kconfig:38): it has no prompt, and is turned on by DISK (which is m)"),
        ("# CONFIG_LIB is not set", "it is selected by DISK=m (Kconfig:24)"),
        (
            "CONFIG_SLOW=y",
            "the choice \"Speed\" allows one of its members, and FAST is set (Kconfig:28); the others are SLOW",
        ),
        (
            "# CONFIG_FAST is not set",
            "the choice \"Speed\" allows one of its members, and FAST is set (Kconfig:28); the others are SLOW",
        ),
        ("CONFIG_BUS=m", "its type is bool (arch/x86/Kconfig:1): write y or n, it can't be a module"),
        ("CONFIG_SIZE=0", "its range is 1 to 64 (Kconfig:45)"),
        ("CONFIG_SIZE=65", "its range is 1 to 64 (Kconfig:45)"),
        ("CONFIG_SIZE=0x5", "its type is int (Kconfig:43): write a decimal number"),
        ("CONFIG_BASE=11", "its type is hex (Kconfig:48): write 0x11, if that is meant"),
        ("CONFIG_NAME=y", "its type is string (Kconfig:51): write a string in double quotes"),
        ("CONFIG_MAXIMUM=5", "it has no prompt, so it can't be set; its value is computed (Kconfig:57)"),
        (
            "CONFIG_QUIET=y",
            "it can't be set (arch/x86/Kconfig:8): it has no prompt, and nothing turns it on for this architecture",
        ),
        (
            "CONFIG_NAME=\"other\"",
            "no dependency prevents it (Kconfig:51); did something change the configuration after the fragments?",
        ),
    ] {
        assert_eq!(reasons(&files, config, wanted), [expected], "{wanted}");
    }
}

#[test]
fn unmet_dependencies_are_told_once_with_what_they_need_themselves() {
    let files = [("Kconfig", KERNEL), ("arch/x86/Kconfig", ARCH)];
    for (config, wanted, expected) in [
        (
            "CONFIG_LOUD=y\n",
            "CONFIG_DISK=y",
            "it depends on SATA (Kconfig:23), BUS (Kconfig:18) and EXPERT (Kconfig:19), which are n",
        ),
        (
            "CONFIG_SATA=y\nCONFIG_BUS=y\nCONFIG_EXPERT=y\n",
            "CONFIG_DISK=y",
            "it depends on QUIET || LOUD (both n; Kconfig:21)",
        ),
        ("CONFIG_QUIET=y\n", "CONFIG_SLOW=y", "it depends on !QUIET (QUIET=y; Kconfig:30)"),
        ("CONFIG_EXPERT=y\n", "CONFIG_SIZE=5", "it depends on BUS, which is n (Kconfig:37)"),
        (
            "CONFIG_EXPERT=y\nCONFIG_BUS=y\n",
            "CONFIG_LIB=y",
            "it can't be set (Kconfig:38): it has no prompt, and is turned on by DISK",
        ),
    ] {
        assert_eq!(reasons(&files, config, wanted), [expected], "{wanted} under {config}");
    }
    let chain = "config A\n\tbool \"a\"\n\tdepends on B && (C || ELSEWHERE)\nconfig B\n\tbool \"b\"\n\tdepends on D\n\
                 config C\n\tbool\n\tdefault y if D\nconfig D\n\tbool \"d\"\n";
    assert_eq!(
        reasons(&[("Kconfig", chain)], "", "CONFIG_A=y"),
        [
            "it depends on B (Kconfig:3) and C (Kconfig:3), which are n; B in turn depends on D, which is n (Kconfig:6); \
          C can't be set (Kconfig:7): it has no prompt, and its default needs D, which is n (Kconfig:9)"
        ]
    );
}

#[test]
fn what_cannot_be_turned_off_says_what_holds_it() {
    let text = "config EXPERT\n\tbool \"Expert\"\nconfig TTY\n\tbool \"TTY\" if EXPERT\n\tdefault y\nconfig SUM\n\tdef_bool y\n\tdepends on TTY\n\
                config NEAR\n\tdef_bool y\n\timply FAR\nconfig FAR\n\tbool\n";
    let config = "CONFIG_TTY=y\nCONFIG_SUM=y\nCONFIG_NEAR=y\nCONFIG_FAR=y\n";
    assert_eq!(
        reasons(&[("Kconfig", text)], config, "CONFIG_TTY=n\nCONFIG_SUM=n\nCONFIG_FAR=n\n"),
        [
            "it is y by default (Kconfig:5), and setting another value depends on EXPERT, which is n (Kconfig:4)",
            "it has no prompt, so it can't be set; its default turns it on, while TTY (Kconfig:7)",
            "it has no prompt, so it can't be set; NEAR implies it (Kconfig:11)",
        ]
    );
}

#[test]
fn modules_and_the_toolchain_limit_what_can_be_had() {
    let text = "config MODULES\n\tbool \"Modules\"\nconfig ONLY_M\n\ttristate \"Only a module\"\n\tdepends on m\n\
                config T\n\ttristate \"T\"\nconfig FLAG\n\tbool \"Flag\"\n\tdepends on $(cc-option,-mflag)\n\
                config HAS\n\tdef_bool $(success,true)\nconfig USES\n\tbool \"Uses\"\n\tdepends on HAS\n";
    let files = [("Kconfig", text)];
    let all = "CONFIG_ONLY_M=y\nCONFIG_T=m\nCONFIG_FLAG=y\nCONFIG_USES=y\n";
    let without = reasons(&files, "CONFIG_T=y\n", all);
    assert_eq!(
        without,
        [
            "it depends on m: it can only be a module, and MODULES is n (Kconfig:5)",
            "MODULES is n, so it can be y or n only",
            "it depends on $(cc-option,-mflag), which the toolchain does not pass (Kconfig:10)",
            "it depends on HAS, which is n (Kconfig:15); HAS can't be set (Kconfig:11): it has no prompt, and its default \
             needs $(success,true), which the toolchain does not pass (Kconfig:12)",
        ]
    );
    let with = reasons(&files, "CONFIG_MODULES=y\nCONFIG_ONLY_M=m\nCONFIG_T=m\n", "CONFIG_ONLY_M=y");
    assert_eq!(with, ["it depends on m: it can only be a module (Kconfig:5)"]);
}

#[test]
fn older_and_other_dialects_are_read() {
    // Linux 2.6.32 has no top-level file, and names the architecture through symbols.
    let old = source(&[
        (
            "arch/x86/Kconfig",
            "mainmenu \"Linux Kernel\"\nconfig SRCARCH\n\tstring\n\toption env=\"SRCARCH\"\nconfig ARCH\n\tstring\n\toption env=\"ARCH\"\n\
          source \"arch/$SRCARCH/Kconfig.cpu\"\nconfig 64BIT\n\tbool \"64-bit\" if ARCH = \"x86\"\n\tdefault ARCH = \"x86_64\"\n\t---help---\n\t  Text.\n",
        ),
        ("arch/x86/Kconfig.cpu", "config CPU\n\tboolean 'Cpu'\n\tdepends EXTRA\nconfig EXTRA\n\tbool\n"),
    ]);
    let kconfig = load(old.path());
    assert_eq!(kconfig.symbols["CPU"].kind, Some(SymbolType::Bool));
    let fragment = Fragment::parse("f", "CONFIG_64BIT=n\n").unwrap();
    let found = check(&[fragment], "CONFIG_64BIT=y\n", &dir(old.path()), Platform::X86_64);
    assert!(
        found[0].reason.contains("depends on ARCH = \"x86\" (ARCH=\"x86_64\"; arch/x86/Kconfig:10)"),
        "{}",
        found[0]
    );

    // The extensions of busybox and kconfiglib.
    let other = source(&[
        (
            "Config.in",
            "source libbb/Config.in\nosource \"missing/Config.in\"\norsource \"sub/*/Config.in\"\nrsource \"libbb/More.in\"\n",
        ),
        ("libbb/Config.in", "config LIBBB\n\tbool \"b\"\n\thelp\n\tconfig X\n"),
        ("libbb/More.in", "config MORE\n\tbool\n"),
        ("sub/a/Config.in", "config SUB_A\n\tbool\n"),
        ("sub/b/Config.in", "config SUB_B\n\tbool\n"),
    ]);
    let mut names: Vec<_> = load(other.path()).symbols.into_keys().collect();
    names.sort();
    assert_eq!(names, ["LIBBB", "MORE", "SUB_A", "SUB_B"]);
}

#[test]
fn a_line_that_is_not_understood_costs_only_itself() {
    let root = source(&[(
        "Kconfig",
        "config A\n\tbool \"a\"\n\tfrobnicate\n\tdepends on (B\n\tdepends on C\nendif\nsource \"gone\"\nsource \"Kconfig\"\nif A\n",
    )]);
    let kconfig = Kconfig::load(&dir(root.path()), Platform::X86_64).unwrap();
    assert_eq!(kconfig.symbols["A"].definitions[0].depends.len(), 1);
    for expected in [
        "unknown keyword `frobnicate`",
        "a `)` is missing",
        "unmatched `endif`",
        "can't read gone",
        "Kconfig includes itself",
        "not closed",
    ] {
        assert!(kconfig.oddities.iter().any(|oddity| oddity.what.contains(expected)), "{expected}");
    }
}

#[test]
fn a_mismatch_names_fragment_line_and_what_it_overrides() {
    let root = source(&[("Kconfig", "config B\n\tbool \"b\"\nconfig A\n\tbool \"a\"\n\tdepends on B\n")]);
    let one = Fragment::parse("kernel-config/one.config", "CONFIG_B=y\n# CONFIG_A is not set\n").unwrap();
    let two = Fragment::parse("kernel-config/two.config", "# why\nCONFIG_A=y\n").unwrap();
    let shown = |config: &str| -> Vec<String> {
        check(&[one.clone(), two.clone()], config, &dir(root.path()), Platform::X86_64)
            .iter()
            .map(|m| m.to_string())
            .collect()
    };
    assert_eq!(
        shown("# CONFIG_B is not set\n"),
        [
            "kernel-config/one.config:1: CONFIG_B=y is wanted, but it is not set: no dependency prevents it (Kconfig:1); \
             did something change the configuration after the fragments?",
            "kernel-config/two.config:2: CONFIG_A=y is wanted, but it is not set: it depends on B, which is n (Kconfig:5) \
             (it overrides kernel-config/one.config:2, which sets n)",
        ]
    );
    assert!(shown("CONFIG_B=y\nCONFIG_A=y\n").is_empty());
    let empty = source(&[]);
    let lost = check(std::slice::from_ref(&one), "", &dir(empty.path()), Platform::X86_64);
    assert!(lost[0].reason.starts_with("no Kconfig, arch/x86/Kconfig or Config.in in the source"), "{}", lost[0]);
}

/// Names that changed from one series of the kernel to the next: the new name is suggested for the old one.
#[test]
fn a_former_name_leads_to_the_present_one() {
    let present = [
        "MITIGATION_RETPOLINE",
        "MITIGATION_PAGE_TABLE_ISOLATION",
        "MITIGATION_UNRET_ENTRY",
        "MITIGATION_SRSO",
        "BASE_SMALL",
        "ZRAM_BACKEND_LZ4",
        "SQUASHFS_COMPILE_DECOMP_MULTI_PERCPU",
        "NET_SCH_INGRESS",
        "NET",
        "BT_INTEL",
        "AGP_INTEL",
        "SND_INTEL",
    ];
    let kconfig: String = present.iter().map(|name| format!("config {name}\n\tbool \"x\"\n")).collect();
    let root = source(&[
        ("Kconfig", kconfig.as_str()),
        ("Makefile", "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 107\n"),
        ("arch/arm64/Kconfig", "config ARM_ONLY\n\tbool \"x\"\n"),
    ]);
    for (wanted, expected) in [
        ("CONFIG_RETPOLINE=y", "did you mean MITIGATION_RETPOLINE?"),
        ("# CONFIG_RETPOLINE is not set", "did you mean MITIGATION_RETPOLINE?"),
        ("CONFIG_PAGE_TABLE_ISOLATION=y", "did you mean MITIGATION_PAGE_TABLE_ISOLATION?"),
        ("CONFIG_CPU_UNRET_ENTRY=y", "did you mean MITIGATION_UNRET_ENTRY?"),
        ("CONFIG_CPU_SRSO=y", "did you mean MITIGATION_SRSO?"),
        ("CONFIG_ZRAM_LZ4=y", "did you mean ZRAM_BACKEND_LZ4?"),
        ("CONFIG_SQUASHFS_DECOMP_MULTI_PERCPU=y", "did you mean SQUASHFS_COMPILE_DECOMP_MULTI_PERCPU?"),
        ("# CONFIG_SCHED_DEBUG is not set", "no such symbol (the source's version"),
        ("CONFIG_MICROCODE_INTEL=y", "no such symbol (the source's version"),
        ("CONFIG_ARM_ONLY=y", "this source has no such symbol for this architecture, only for arm64"),
    ] {
        let fragment = Fragment::parse("f", wanted).unwrap();
        let found: Vec<_> =
            check(&[fragment], "", &dir(root.path()), Platform::X86_64).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{wanted}");
        assert!(found[0].contains(expected), "{wanted}: {found:?}");
        assert!(found[0].ends_with("(the source's version is 6.12.107; `#if version …` limits settings to versions)"));
    }
    // A name of another architecture is no error if it is requested to be off.
    let off = Fragment::parse("f", "# CONFIG_ARM_ONLY is not set\n# CONFIG_BASE_SMALL is not set\n").unwrap();
    assert_eq!(check(&[off], "", &dir(root.path()), Platform::X86_64), []);
}

#[test]
fn a_transitional_symbol_names_its_heir() {
    let files = [(
        "Kconfig",
        "config OLD\n\tbool\n\ttransitional\nconfig NEW\n\tbool \"new\"\n\tdefault OLD\nconfig OTHER\n\tbool \"other\"\n",
    )];
    assert_eq!(
        reasons(&files, "CONFIG_NEW=y\n# CONFIG_OTHER is not set\n", "CONFIG_OLD=y\n"),
        ["the symbol was renamed (Kconfig:1); write NEW"]
    );
}

#[test]
fn the_fragments_of_a_source_are_for_its_version() {
    let fragment = Fragment::parse("f", "CONFIG_A=y\n#if version >= 6.9\nCONFIG_B=y\n#endif\n").unwrap();
    let plain = Fragment::parse("g", "CONFIG_A=y\n").unwrap();
    let lines = |root: &Path| -> Result<Vec<usize>, String> {
        let fit = for_source(&[fragment.clone(), plain.clone()], &dir(root)).map_err(|error| error.to_string())?;
        Ok(fit[0].settings.iter().map(|setting| setting.line).collect())
    };
    let makefile = |text: &str| source(&[("Makefile", text)]);
    assert_eq!(lines(makefile("VERSION = 6\nPATCHLEVEL = 1\n").path()), Ok(vec![1]));
    assert_eq!(lines(makefile("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\n").path()), Ok(vec![1, 3]));
    for root in [source(&[]), makefile("all:\n")] {
        let error = lines(root.path()).unwrap_err();
        assert!(error.starts_with("f:3: the setting is for version >= 6.9 only, but the top Makefile"), "{error}");
        assert!(for_source(std::slice::from_ref(&plain), &dir(root.path())).is_ok(), "no version is asked for");
    }
}

#[test]
fn files_that_include_each_other_over_and_over_are_read_for_a_while_only() {
    // There are 2^64 paths through them.
    let files: Vec<(String, String)> = (0..64)
        .map(|step| (format!("k{step}"), format!("source \"k{0}\"\nsource \"k{0}\"\n", step + 1)))
        .chain([("Kconfig".to_owned(), "source \"k0\"\nconfig LAST\n\tbool\n".to_owned())])
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let kconfig = Kconfig::load(&dir(source(&files).path()), Platform::X86_64).unwrap();
    assert!(kconfig.symbols.contains_key("LAST"));
    assert!(kconfig.oddities.iter().any(|oddity| oddity.what.contains("more than 20000")), "{:?}", kconfig.oddities[0]);
}

#[test]
fn blocks_nest_only_so_deep() {
    let text = "if A\n".repeat(50_000) + "config B\n\tbool \"b\"\n";
    let kconfig = Kconfig::load(&dir(source(&[("Kconfig", &text)]).path()), Platform::X86_64).unwrap();
    assert!(kconfig.enclosing(kconfig.symbols["B"].definitions[0].scope).count() <= 101);
}

#[test]
fn nothing_outside_of_the_source_is_read() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("k"), "config OUTSIDE\n\tbool\n").unwrap();
    let (absolute, name) = (outside.path().display(), outside.path().file_name().unwrap().to_str().unwrap());
    for named in [format!("{absolute}/k"), format!("../{name}/k"), format!("a/../../{name}/k"), format!("../{name}/*")]
    {
        for keyword in ["source", "osource", "rsource", "orsource"] {
            let root = source(&[("Kconfig", &format!("{keyword} \"{named}\"\n")), ("a/b", "")]);
            let kconfig = Kconfig::load(&dir(root.path()), Platform::X86_64).unwrap();
            assert!(kconfig.symbols.is_empty(), "{keyword} {named}");
            assert!(kconfig.oddities[0].what.ends_with("is not below the source's root"), "{:?}", kconfig.oddities);
        }
    }
}

#[test]
fn a_file_may_name_its_neighbours_by_the_folder_above() {
    let files = [("Kconfig", "source a/b/Kconfig\n"), ("a/b/Kconfig", "rsource \"../../c/Kconfig\"\n")];
    let root = source(&[files[0], files[1], ("c/Kconfig", "config C\n\tbool\n")]);
    assert!(load(root.path()).symbols.contains_key("C"));
}

#[test]
fn a_file_that_includes_itself_is_read_once() {
    for itself in ["a/Kconfig", "./a/Kconfig", "a/../a/Kconfig", "a/K*", "*/Kconfig"] {
        let text = format!("source \"{itself}\"\n").repeat(3) + "config A\n\tbool\n";
        let root = source(&[("Kconfig", "source \"a/Kconfig\"\n"), ("a/Kconfig", &text)]);
        let kconfig = Kconfig::load(&dir(root.path()), Platform::X86_64).unwrap();
        assert_eq!(kconfig.symbols["A"].definitions.len(), 1, "{itself}");
        let told: Vec<String> = kconfig.oddities.iter().map(|oddity| oddity.what.clone()).collect();
        assert_eq!(told, vec!["a/Kconfig includes itself"; 3], "{itself}");
    }
}
