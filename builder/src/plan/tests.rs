//! The parts of a recipe that a component's key depends on.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::digest::Digest;
use crate::lock::{Location, Lock, LockEntry as Locked, LockedFile};
use crate::recipe::Settings;
use crate::recipe::decode::At;
use crate::recipe::{BaseConfig, Origin, Recipe, Resolve, load};
use crate::source::{Request, UrlFile};
use crate::store::Key;

/// A project that uses every input of a component, and a lock for it.
struct Project {
    folder: tempfile::TempDir,
}

const FILES: &[(&str, &str)] = &[
    (
        "r.yaml",
        "recipe: r\nepoch: 1\ntoolchains: {build: t, image: t, boot: t}\n\
         kernel: {component: c, patches: [b.patch], config: [two]}\nrootfs: {layout: split}\ninitrd: {}\n\
         boot: {entries: [{id: a, title: A, mode: live}]}\noutputs: [bzimage]\n",
    ),
    (
        "components/c.yaml",
        "component: c\nversion: '1'\nlicense: MIT\nsource: {path: ../c.tar}\npatches: [a.patch]\nneeds: [d]\n\
         kconfig: {base: tinyconfig, fragments: [one], make: [A=1]}\ncargo: {lock: ../Cargo.lock}\nenv: {X: '1'}\nbuild: make\ninstall: cp\n\
         files: {bzImage: b}\n",
    ),
    (
        "components/d.yaml",
        "component: d\nversion: '1'\nlicense: MIT\nsource: {path: ../d, exclude: [/target, '/*.o']}\n",
    ),
    ("toolchains/t.yaml", "toolchain: t\ndebian: s\npackages: [gcc]\n"),
    ("kernel-config/one.config", "CONFIG_A=y\n"),
    ("kernel-config/two.config", "CONFIG_B=y\n"),
    ("patches/a.patch", "--- one/x\n+++ two/x\n@@ -1 +1 @@\n-1\n+first\n"),
    ("patches/b.patch", "--- one/x\n+++ two/x\n@@ -1 +1 @@\n-1\n+second\n"),
    ("c.tar", "archive"),
    ("d/file", "source"),
    (
        "Cargo.lock",
        "version = 4\n[[package]]\nname = \"e\"\nversion = \"1.0.0\"\nsource = \"registry+r\"\n\
         checksum = \"00000000000000000000000000000000000000000000000000000000000000ab\"\n",
    ),
];

impl Project {
    fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        FILES.iter().for_each(|(name, text)| project.write(name, text));
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from} in {name}");
        self.write(name, &text.replacen(from, to, 1));
    }

    /// The key of the component's step, after a change to the loaded recipe.
    fn key_with(&self, gcc: &str, change: impl Fn(&mut Recipe)) -> Key {
        let mut recipe = load(&self.path("r.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}"));
        change(&mut recipe);
        let lock = Lock::new([locked(recipe.build.packages.value.clone(), &[("gcc", gcc)])]);
        let plan = plan(&recipe, &lock, &PlanTargets::default()).unwrap();
        plan.graph.steps.iter().find(|step| step.label == "component c").unwrap().key.clone()
    }

    fn key(&self) -> Key {
        self.key_with("gcc 12", |_| {})
    }
}

fn locked(request: Request, files: &[(&str, &str)]) -> Locked {
    let file = |(name, content): &(&str, &str)| LockedFile {
        name: name.to_string(),
        version: Some("1".into()),
        suite: None,
        at: Location::Pool("pool/x".into()),
        sha256: Digest::of(content),
        size: 1,
    };
    Locked { request, archive_date: None, files: files.iter().map(file).collect() }
}

#[test]
fn a_component_is_built_again_for_each_of_its_inputs() {
    // Edits of the project: file, from, to.
    type Edit = (&'static str, &'static str, &'static str, &'static str);
    let component = "components/c.yaml";
    let edits: &[Edit] = &[
        ("source", "c.tar", "archive", "another"),
        ("source", component, "../c.tar", "../d"),
        ("patch 0", "patches/a.patch", "first", "other"),
        ("patch 1", "patches/b.patch", "second", "other"),
        ("need d", "d/file", "source", "another"),
        ("need d", "components/d.yaml", "license: MIT", "license: MIT\nbuild: make"),
        ("cargo", component, "cargo: {lock: ../Cargo.lock}\n", ""),
        ("crate e 1.0.0", "Cargo.lock", "0ab", "0ac"),
        ("config base", component, "base: tinyconfig", "base: allnoconfig"),
        ("config base", component, "base: tinyconfig", "config: {path: ../c.tar}"),
        ("config resolve", component, "base: tinyconfig", "base: tinyconfig, resolve: oldconfig"),
        ("config make", component, "A=1", "A=2"),
        ("config 0", "kernel-config/one.config", "A=y", "A=m"),
        ("config 1", "kernel-config/two.config", "B=y", "B=m"),
        ("config 1", "kernel-config/two.config", "CONFIG_B=y\n", "#if version >= 6\nCONFIG_B=y\n#endif\n"),
        ("env X", component, "X: '1'", "X: '2'"),
        ("env Y", component, "X: '1'", "X: '1', Y: ''"),
        ("build", component, "build: make", "build: make all"),
        ("install", component, "install: cp", "install: mv"),
        ("file bzImage", component, "bzImage: b", "bzImage: c"),
        ("file config", component, "bzImage: b", "bzImage: b, config: c"),
    ];
    let before = Project::new().key();
    let mut tested: BTreeSet<String> = ["kind", "toolchain", "epoch"].map(str::to_owned).into();
    for (row, file, from, to) in edits {
        let project = Project::new();
        project.edit(file, from, to);
        let after = project.key();
        assert_ne!(before.digest(), after.digest(), "{row}: {to}");
        // Without a lock there are no crates either.
        let differences =
            before.differences(&after).into_iter().filter(|other| *row != "cargo" || !other.starts_with("crate "));
        assert_eq!(differences.collect::<Vec<_>>(), [*row], "{to}");
        tested.insert((*row).to_owned());
    }
    let project = Project::new();
    assert_eq!(before.differences(&project.key_with("gcc 13", |_| {})), ["need d", "toolchain"]);
    project.edit("r.yaml", "epoch: 1", "epoch: 2");
    assert_eq!(before.differences(&project.key()), ["epoch", "need d"]);
    let rows: BTreeSet<String> = before.differences(&Key::new("none", 0)).into_iter().collect();
    assert_eq!(rows.difference(&tested).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a test");
}

#[test]
fn a_component_is_not_built_again_for_what_its_result_does_not_depend_on() {
    let before = Project::new().key();
    let edits = [
        ("kernel-config/one.config", "CONFIG_A=y", "# why\n\nCONFIG_A=y"),
        ("components/c.yaml", "version: '1'\nlicense: MIT", "version: '2'\nlicense: Apache-2.0"),
        ("r.yaml", "recipe: r", "recipe: s"),
        ("r.yaml", "title: A", "title: B"),
        (
            "Cargo.lock",
            "version = 4\n",
            "# by hand\nversion = 4\n\n[[package]]\nname = \"mine\"\nversion = \"0.1.0\"\n\n",
        ),
    ];
    for (file, from, to) in edits {
        let project = Project::new();
        project.edit(file, from, to);
        assert_eq!(before.differences(&project.key()), Vec::<String>::new(), "{to}");
    }
    let project = Project::new();
    fs::rename(project.path("patches/a.patch"), project.path("patches/z.patch")).unwrap();
    project.edit("components/c.yaml", "a.patch", "z.patch");
    assert_eq!(before.digest(), project.key().digest(), "a patch's name");
}

#[test]
fn what_a_folder_excludes_is_no_part_of_it() {
    let before = Project::new().key();
    let project = Project::new();
    ["d/target/debug/a", "d/b.o"].iter().for_each(|name| project.write(name, "rubbish"));
    // Not even examined: a socket is not part of a source.
    let _socket = std::os::unix::net::UnixListener::bind(project.path("d/target/socket")).unwrap();
    assert_eq!(before.differences(&project.key()), Vec::<String>::new());
    project.write("d/deep/b.o", "source");
    assert_eq!(before.differences(&project.key()), ["need d"], "`*` stops at a slash");
}

#[test]
fn a_component_is_built_in_the_toolchain_that_it_names() {
    let project = Project::new();
    project.write("toolchains/u.yaml", "toolchain: u\ndebian: s\npackages: [cc]\n");
    project.edit("components/d.yaml", "license: MIT", "license: MIT\ntoolchain: u");
    let recipe = load(&project.path("r.yaml"), &Settings::new()).unwrap();
    let (build, own) = (recipe.build.packages.value.clone(), recipe.toolchains["u"].packages.value.clone());
    assert!(recipe.requests().contains(&own) && recipe.requests().contains(&build), "{:?}", recipe.requests());
    let lock = Lock::new([locked(build, &[("gcc", "12")]), locked(own, &[("cc", "1")])]);
    let plan = plan(&recipe, &lock, &PlanTargets::default()).unwrap();
    let toolchain = |label: &str| {
        let step = plan.graph.steps.iter().find(|step| step.label == label).unwrap();
        plan.graph.step(step.action.inputs()[0]).label.as_str()
    };
    assert_eq!((toolchain("component c"), toolchain("component d")), ("toolchain t", "toolchain u"));
}

#[test]
fn arguments_of_make_are_told_apart_from_one_with_a_space() {
    let set = |make: &[&str]| {
        let make: Vec<String> = make.iter().map(ToString::to_string).collect();
        Project::new().key_with("gcc", move |recipe| {
            let component = recipe.components.get_mut("c").unwrap();
            component.kconfig.as_mut().unwrap().make = make.clone();
        })
    };
    assert_eq!(set(&["A=1 B=2"]).differences(&set(&["A=1", "B=2"])), ["config make"]);
}

#[test]
fn a_locked_source_counts_by_its_content() {
    let key = |content: &str| {
        let url = Request::Url(UrlFile { urls: vec!["http://a/c.tar".into()], sha256: None });
        let project = Project::new();
        let mut recipe = load(&project.path("r.yaml"), &Settings::new()).unwrap();
        let component = recipe.components.get_mut("c").unwrap();
        component.source.value = Origin::Remote(url.clone());
        component.patches[0].value = Origin::Remote(url.clone());
        let kconfig = component.kconfig.as_mut().unwrap();
        kconfig.base = BaseConfig::File(At { value: Origin::Remote(url.clone()), span: component.span });
        kconfig.resolve = Resolve::OldConfig;
        let gcc = locked(recipe.build.packages.value.clone(), &[("gcc", "12")]);
        let lock = Lock::new([gcc, locked(url, &[("c.tar", content)])]);
        let plan = plan(&recipe, &lock, &PlanTargets::default()).unwrap();
        plan.graph.steps.iter().find(|step| step.label == "component c").unwrap().key.clone()
    };
    assert_eq!(key("one").differences(&key("two")), ["config base", "patch 0", "source"]);
    assert_eq!(key("one").digest(), key("one").digest());
}

/// The plan of the same project in another folder has the same keys.
#[test]
fn where_the_project_lies_is_in_no_key() {
    let (here, there) = (Project::new(), Project::new());
    assert_ne!(here.path(""), there.path(""));
    assert_eq!(here.key().digest(), there.key().digest());
}
