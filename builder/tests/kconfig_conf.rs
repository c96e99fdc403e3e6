//! Predicted configurations in comparison with those that a kernel's own makefiles make, for whole sources: `ci/test.sh kconfig`.

#[path = "../src/kernel/kconfig/cases.rs"]
mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use dbco::beneath::{Dir, Links};
use dbco::kernel::kconfig::predict::{Base, Predictor};
use dbco::kernel::kconfig::{Kconfig, SourceFiles, SymbolType, ToolchainFacts};
use dbco::kernel::versions::Version;
use dbco::kernel::{Fragment, for_source, merge, source_version};
use dbco::platform::Platform;
use dbco::process::command;
use rand::rngs::StdRng;
use rand::seq::{IteratorRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// The fragments of the shipped recipes' kernels.
const SETS: [&[&str]; 5] = [
    &["tiny", "hardware", "virt", "containers", "ovz"],
    &["tiny", "hardware", "virt", "containers"],
    &["tiny", "containers", "ovz", "debug"],
    &["tiny", "hardware", "virt"],
    &["tiny"],
];

const BASES: [&str; 3] = ["tinyconfig", "allnoconfig", "defconfig"];

/// Without the user's own programs, such as a Rust compiler.
const PATH: &str = "/usr/bin:/bin";

fn make(source: &Path, target: &str) -> String {
    let mut make = command("make");
    make.args(["-s", "ARCH=x86_64", target]).current_dir(source).env("PATH", PATH).stdin(Stdio::null());
    let done = make.output().unwrap();
    assert!(done.status.success(), "make {target}: {}", String::from_utf8_lossy(&done.stderr));
    std::fs::read_to_string(source.join(".config")).unwrap()
}

/// The first version in what a program prints, as the kernel's scripts write it.
fn version(program: &str, argument: &str) -> Option<u32> {
    let printed = command(program).arg(argument).env("PATH", PATH).output().ok()?.stdout;
    let printed = String::from_utf8_lossy(&printed).lines().next()?.to_owned();
    let last = printed.split_whitespace().last()?.to_owned();
    let mut numbers = last.split(['.', '-']).map_while(|text| text.parse::<u32>().ok());
    let mut next = || numbers.next().unwrap_or_default();
    Some(next() * 10_000 + next() * 100 + next())
}

fn settings(config: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let off = line.strip_prefix("# CONFIG_").and_then(|rest| rest.strip_suffix(" is not set"));
        let on = || line.strip_prefix("CONFIG_").and_then(|rest| rest.split_once('='));
        off.map(|name| (name.to_owned(), "n".to_owned())).or_else(|| on().map(|(n, v)| (n.to_owned(), v.to_owned())))
    };
    config.lines().filter_map(line).collect()
}

/// Compares a configuration of make with the predicted ones, and gives the number of symbols that only the compiler decides.
fn compare(what: &str, made: &str, predicted: &[String]) -> usize {
    let made = settings(made);
    let ways: Vec<_> = predicted.iter().map(|text| settings(text)).collect();
    let names: BTreeSet<&String> = made.keys().chain(ways.iter().flat_map(BTreeMap::keys)).collect();
    let (mut different, mut decided) = (Vec::new(), 0);
    for name in names {
        if ways.iter().any(|way| way.get(name) != ways[0].get(name)) {
            decided += 1;
        } else if made.get(name) != ways[0].get(name) {
            different.push((name, made.get(name), ways[0].get(name)));
        }
    }
    assert!(different.is_empty(), "{what}: (symbol, made, predicted): {different:?}");
    assert!(decided < 150, "{what}: {decided} symbols are left to the compiler");
    decided
}

/// Compares what a kernel's conf makes of the small cases with what is written of it.
fn conf(source: &Path, version: Version) {
    let program = source.join("scripts/kconfig/conf").canonicalize().unwrap();
    for case in cases::cases(cases::TEXT) {
        let Some(expected) = cases::made_by(&case.made, version) else { continue };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Kconfig"), &case.kconfig).unwrap();
        std::fs::write(folder.path().join(".config"), &case.config).unwrap();
        let mut conf = command(&program);
        conf.arg(format!("--{}", case.mode)).arg("Kconfig").current_dir(folder.path());
        assert!(conf.env("srctree", ".").stdin(Stdio::null()).output().unwrap().status.success(), "{}", case.name);
        let made = std::fs::read_to_string(folder.path().join(".config")).unwrap();
        let is_setting = |line: &&str| line.starts_with("CONFIG_") || line.ends_with(" is not set");
        let made: String = made.lines().filter(is_setting).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(cases::sorted(&made), cases::sorted(expected), "{}: {} of {:?}", case.name, case.mode, case.config);
    }
}

fn random(kconfig: &Kconfig, rng: &mut StdRng) -> String {
    let size = *[20, 200, 1_500, 6_000].choose(rng).unwrap();
    let mut names: Vec<&String> = kconfig.symbols.keys().collect();
    names.sort();
    let mut text = if rng.gen_bool(0.6) { "CONFIG_MODULES=y\n".to_owned() } else { String::new() };
    for name in names.into_iter().choose_multiple(rng, size) {
        if name == "MODULES" {
            continue;
        }
        let kinds = [SymbolType::Bool, SymbolType::Tristate, SymbolType::Int, SymbolType::Hex, SymbolType::Text];
        let kind = kconfig.symbols[name].kind.filter(|_| rng.gen_bool(0.95));
        let value = match kind.unwrap_or(*kinds.choose(rng).unwrap()) {
            SymbolType::Bool => ["y", "y", "n"].choose(rng),
            SymbolType::Tristate => ["y", "m", "m", "n"].choose(rng),
            SymbolType::Int => ["0", "1", "-1", "5", "8", "17", "64", "1000", "100000"].choose(rng),
            SymbolType::Hex => ["0x0", "0x10", "0x100000", "0xff000000"].choose(rng),
            SymbolType::Text => ["\"a \\\"b\\\"\"", "\"\""].choose(rng),
        };
        text += &format!("CONFIG_{name}={}\n", value.unwrap());
    }
    text
}

#[test]
#[ignore = "needs the sources of kernels"]
fn predictions_are_what_make_makes() {
    let sources =
        std::env::var("DBCO_KERNELS").expect("DBCO_KERNELS names folders of kernels' sources, with `:` between them");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (count, seed) = (number("FRAGMENTS").unwrap_or(20), number("SEED").unwrap_or(1));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel-config");
    let facts = ToolchainFacts {
        gcc: version("gcc", "-dumpfullversion"),
        binutils: version("ld", "--version"),
        missing: vec!["rustc", "pahole"],
    };
    for source in sources.split(':').map(PathBuf::from) {
        let files = SourceFiles::from(&Dir::open(&source, Links::Never).unwrap());
        let arguments = ["ARCH=x86_64".to_owned()];
        let kconfig = Kconfig::load_for(&files, Platform::X86_64, &facts, &arguments).unwrap();
        assert_eq!(kconfig.oddities, []);
        let predictor = Predictor::new(&kconfig, source_version(&files), Platform::X86_64).unwrap();
        let shown = source.display();
        let mut bases = Vec::new();
        for target in BASES {
            let made = make(&source, target);
            let predicted: Result<Vec<String>, _> = predictor.predict(Base::Target(target), &[]).collect();
            compare(&format!("{shown}: {target}"), &made, &predicted.unwrap());
            bases.push(made);
        }
        conf(&source, source_version(&files).unwrap());
        let compared = |what: &str, base: &str, fragments: &[Fragment]| {
            std::fs::write(source.join(".config"), merge(base, fragments)).unwrap();
            let made = make(&source, "olddefconfig");
            let predicted: Result<Vec<String>, _> = predictor.predict(Base::Text(base), fragments).collect();
            let decided = compare(what, &made, &predicted.unwrap());
            println!("{what}: {} symbols, {decided} left to the compiler", settings(&made).len());
        };
        for set in SETS {
            let read = |name: &&str| {
                let path = folder.join(format!("{name}.config"));
                Fragment::parse(name, &std::fs::read_to_string(path).unwrap()).unwrap()
            };
            let fragments: Vec<Fragment> = set.iter().map(read).collect();
            let fragments = for_source(&fragments, &files).unwrap();
            compared(&format!("{shown}: {}", set.join(" ")), &bases[0], &fragments);
        }
        for seed in seed..seed + count {
            let mut rng = StdRng::seed_from_u64(seed);
            let fragment = Fragment::parse("random", &random(&kconfig, &mut rng)).unwrap();
            let base = rng.gen_range(0..BASES.len());
            compared(&format!("{shown}: SEED={seed} over {}", BASES[base]), &bases[base], &[fragment]);
        }
    }
}
