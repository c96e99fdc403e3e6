//! `Packages` indexes, their relations and the closure of a request: the first line has the wanted packages, a line of
//! three dashes starts the index of a second suite, with a lower priority.
#![no_main]

use dbco::lock::Location;
use dbco::source::debian::offline::packages;
use dbco::source::{Archive, PackageRequest, Suites};
use dbco_fuzz::{stays_inside, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (wanted, index) = text.split_once('\n').unwrap_or(("", text));
    let (wanted, closure) = match wanted.strip_prefix('!') {
        Some(wanted) => (wanted, false),
        None => (wanted, true),
    };
    let wanted: Vec<String> = wanted.split_whitespace().take(8).map(str::to_owned).collect();
    let archive = |suite: &str| {
        let (suite, arch) = (suite.to_owned(), "amd64".to_owned());
        Archive { suite, components: vec!["main".to_owned()], arch, keyring: None }
    };
    let (first, second) = index.split_once("\n---\n").unwrap_or((index, ""));
    let suites = Suites::new(vec![archive("stable"), archive("backports")]).expect("two suites of one architecture");
    let indexes = [(first.as_bytes(), 500), (second.as_bytes(), 100)];
    match within_memory(64, || packages(indexes, &suites, &wanted, closure)) {
        Ok(files) => {
            for file in &files {
                let Location::Pool(path) = &file.at else { panic!("{file:?} is not of an archive") };
                stays_inside(path);
            }
            assert!(files.is_sorted_by(|one, other| one.name < other.name), "{files:?}");
            for wanted in wanted.iter().map(|wanted| PackageRequest::parse(wanted)) {
                let fits = |suite: &Option<String>| wanted.suite.is_none() || suite.as_deref() == wanted.suite;
                let found = files.iter().any(|file| file.name == wanted.name && fits(&file.suite));
                assert!(found, "{wanted} is missing");
            }
        }
        Err(message) => assert!(!message.is_empty()),
    }
});
