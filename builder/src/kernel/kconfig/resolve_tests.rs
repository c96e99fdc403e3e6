//! Predicted configurations in comparison with what the kernel's own `conf` made of the same files (`cases.txt`), and with
//! what it makes of whole sources.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::verdict::{Prospect, foresee};
use super::super::versions::Version;
use super::cases::{Case, TEXT, cases, made_by, sorted};
use super::predict::{Base, Predictor};
use super::*;
use crate::kernel::Fragment;

fn texts(files: &[(&str, &str)]) -> SourceFiles {
    let text = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    SourceFiles::Texts(Arc::new(files.iter().map(text).collect::<BTreeMap<_, _>>()))
}

#[test]
fn predictions_are_what_conf_makes() {
    let all = cases(TEXT);
    assert!(all.len() > 70, "{}", all.len());
    for Case { name, kconfig, mode, config, made } in all {
        let source = texts(&[("Kconfig", &kconfig)]);
        let loaded = Kconfig::load(&source, Platform::X86_64).unwrap();
        for version in [Version::new(6, 1), Version::new(6, 12), Version::new(7, 2)] {
            let Some(expected) = made_by(&made, version) else { continue };
            let predictor = Predictor::new(&loaded, Some(version), Platform::X86_64).unwrap();
            let base = if mode == "allnoconfig" { Base::Target(mode) } else { Base::Text(&config) };
            let got = match mode {
                "allnoconfig" => predictor.usual_base(base).unwrap(),
                _ => predictor.predict(base, &[]).next().unwrap().unwrap(),
            };
            assert_eq!(sorted(&got), sorted(expected), "{name}: {mode} of {config:?} with the rules of {version}");
        }
    }
}

fn foreseen(kconfig: &str, facts: &ToolchainFacts, fragment: &str) -> (Vec<String>, Vec<String>) {
    let source = texts(&[("Kconfig", kconfig), ("Makefile", "VERSION = 6\nPATCHLEVEL = 1\n")]);
    let fragment = Fragment::parse("f", fragment).unwrap();
    let (platform, base) = (Platform::X86_64, Base::Target("allnoconfig"));
    let prospect = Prospect { source: &source, platform, facts, base, make: &[] };
    let verdict = foresee(&[fragment], &prospect).unwrap();
    let shown = verdict.lost.iter().map(|lost| {
        let add: Vec<_> = lost.remedy.iter().map(|(symbol, value)| value.line(symbol)).collect();
        format!("{} + {}", lost.mismatch, add.join(" "))
    });
    (shown.collect(), verdict.uncertain)
}

#[test]
fn what_is_lost_has_a_reason_and_a_remedy_that_works() {
    let kconfig = "config PCI\n\tbool \"pci\"\nconfig USB\n\tbool \"usb\"\n\tdepends on PCI && !OFF\nconfig OFF\n\tbool \"off\"\n\
                   config DISK\n\tbool \"disk\"\n\tdepends on USB && (LIB || NEVER)\nconfig LIB\n\tbool\nconfig BY\n\tbool \"by\"\n\tselect LIB\n\
                   config NEVER\n\tbool\nchoice\n\tprompt \"one\"\nconfig C1\n\tbool \"c1\"\nconfig C2\n\tbool \"c2\"\nendchoice\n";
    let lost = |fragment: &str| foreseen(kconfig, &ToolchainFacts::default(), fragment).0;
    assert_eq!(
        lost("CONFIG_DISK=y\n"),
        [
            "f:1: CONFIG_DISK=y is wanted, but it is not set: it depends on USB, which is n (Kconfig:10), and on LIB || NEVER (both \
             n; Kconfig:10); USB in turn depends on PCI, which is n (Kconfig:5) + CONFIG_PCI=y CONFIG_USB=y CONFIG_BY=y"
        ]
    );
    assert!(lost("CONFIG_DISK=y\nCONFIG_PCI=y\nCONFIG_USB=y\nCONFIG_BY=y\n").is_empty());
    let held = lost("CONFIG_USB=y\nCONFIG_PCI=y\nCONFIG_OFF=y\n");
    assert!(
        held.len() == 1 && held[0].ends_with(" + "),
        "what the fragment turns on is not turned off again: {held:?}"
    );
    let chosen = lost("CONFIG_C1=y\nCONFIG_C2=y\n");
    assert!(chosen.len() == 1 && chosen[0].contains("the choice \"one\" allows one of its members, and C2 is set"));
    assert!(lost("CONFIG_DIKS=y\n")[0].contains("did you mean DISK?"));
}

#[test]
fn what_only_the_compiler_can_tell_is_no_error() {
    let kconfig = "cc-option = $(success,$(CC) -Werror $(1) -c -x c /dev/null)\nsuccess = $(if-success,$(1),y,n)\n\
                   if-success = $(shell,{ $(1); } >/dev/null 2>&1 && echo \"$(2)\" || echo \"$(3)\")\n\
                   cc-info := $(shell,$(srctree)/scripts/cc-version.sh $(CC))\ncc-version := $(shell,set -- $(cc-info) && echo $2)\n\
                   config HAS\n\tdef_bool $(cc-option,-mflag)\nconfig LACKS\n\tdef_bool !HAS\nconfig OTHER\n\tdef_bool $(cc-option,-mother)\n\
                   config GCC_VERSION\n\tint\n\tdefault $(cc-version)\nconfig USES\n\tbool \"uses\"\n\tdepends on HAS\n\
                   config MIXED\n\tbool \"mixed\"\n\tdepends on LACKS && OTHER\nconfig NEW\n\tbool \"new\"\n\tdepends on GCC_VERSION >= 120000\n\
                   config NEWER\n\tbool \"newer\"\n\tdepends on GCC_VERSION >= 140000\nconfig PLAIN\n\tbool \"plain\"\n\tdepends on HAS && GONE\n";
    let all = "CONFIG_USES=y\nCONFIG_MIXED=y\nCONFIG_NEW=y\nCONFIG_NEWER=y\nCONFIG_PLAIN=y\n";
    let facts = ToolchainFacts { gcc: Some(120_200), binutils: Some(24_000), missing: Vec::new() };
    let (lost, uncertain) = foreseen(kconfig, &facts, all);
    assert_eq!(uncertain, ["MIXED"], "USES is there with a compiler that passes each test");
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost[0].contains("it depends on GCC_VERSION >= 140000 (GCC_VERSION=120200; Kconfig:26)"), "{lost:?}");
    assert!(lost[1].contains("GONE, which does not exist for this architecture"), "{lost:?}");
    let (lost, uncertain) = foreseen(kconfig, &ToolchainFacts::default(), all);
    assert_eq!(uncertain, ["MIXED"], "no version is known: {lost:?}");
    assert_eq!(lost.len(), 1, "{lost:?}");
}

#[test]
fn chains_that_are_too_long_are_no_verdict() {
    let chain = |length: usize| -> String {
        let link = |number: usize| {
            format!("config S{number}\n\tbool \"s\"\n\tdepends on S{} || X\n\tselect Y if !X\n", number + 1)
        };
        (0..length).map(link).collect::<String>() + "config X\n\tbool \"x\"\nconfig Y\n\tbool\n"
    };
    let judged = |length: usize| {
        let source = texts(&[("Kconfig", &chain(length))]);
        let (facts, base) = (ToolchainFacts::default(), Base::Target("allnoconfig"));
        let prospect = Prospect { source: &source, platform: Platform::X86_64, facts: &facts, base, make: &[] };
        foresee(&[Fragment::parse("f", "CONFIG_X=y\n").unwrap()], &prospect).map_err(|error| error.to_string())
    };
    assert_eq!(judged(300).map(|verdict| verdict.lost), Ok(Vec::new()));
    assert_eq!(judged(5_000), Err("symbols depend on each other in chains that are too long".to_owned()));
}
