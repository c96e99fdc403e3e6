//! Every row of every key: changed alone it changes the key, and the difference carries the row's name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::image::Compression;
use crate::image::squashfs::Packing;
use crate::lock::{Entry as Locked, Location, Lock, LockedFile};
use crate::recipe::decode::At;
use crate::recipe::image::Settings;
use crate::recipe::rootfs::{DeviceNode, Layout, Mode};
use crate::recipe::{Base, Origin, Recipe, Resolve, load};
use crate::rootfs::{Account, Assembly, Pattern};
use crate::source::{Archive, Request};
use crate::store::Store;
use crate::tree::{Entry, TreePath};

/// One input changed.
type Change<'a, T> = (&'a str, Box<dyn Fn(&mut T)>);

fn change<T>(row: &'static str, change: impl Fn(&mut T) + 'static) -> Change<'static, T> {
    (row, Box::new(change))
}

/// Each change has to change the row of its name and no other; no row of the key may be without a change.
#[track_caller]
fn every_row<T: Clone>(base: &T, key: impl Fn(&T) -> Key, changes: Vec<Change<'_, T>>) {
    let before = key(base);
    let rows = |key: &Key| key.differences(&Key::new("no such kind", 0)).into_iter().collect::<BTreeSet<_>>();
    let mut tested = BTreeSet::from(["kind".to_owned()]);
    for (row, change) in changes {
        let mut other = base.clone();
        change(&mut other);
        let after = key(&other);
        assert_ne!(before.digest(), after.digest(), "`{row}` does not change the key");
        assert_eq!(before.differences(&after), [row], "the row that differs");
        tested.insert(row.to_owned());
    }
    assert_eq!(rows(&before).difference(&tested).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a test");
}

/// A plan with one step, which stands for any input of others.
fn input(name: &str) -> (Plan, StepId) {
    let mut plan = Plan::default();
    let action = Action::GrubMenu(GrubMenuAction { text: String::new() });
    let step = plan.add("an input".into(), Key::new(name, 1), action);
    (plan, step)
}

/// The key of what `add` adds to a plan whose only other step is `input`.
fn added(name: &str, add: impl FnOnce(&mut Plan, StepId) -> StepId) -> Key {
    let (mut plan, step) = input(name);
    let step = add(&mut plan, step);
    plan.step(step).key.clone()
}

/// As [`added`], for actions with several inputs: step 0, step 1 …
fn added_to(names: &[&str], add: impl FnOnce(&mut Plan, &[StepId]) -> StepId) -> Key {
    let mut plan = Plan::default();
    let action = || Action::GrubMenu(GrubMenuAction { text: String::new() });
    let inputs: Vec<StepId> = names
        .iter()
        .enumerate()
        .map(|(n, name)| plan.add(format!("input {n}"), Key::new("input", 1).row(n.to_string(), name), action()))
        .collect();
    let step = add(&mut plan, &inputs);
    plan.step(step).key.clone()
}

fn locked(request: Request, files: &[(&str, &str)]) -> Locked {
    let file = |(name, content): &(&str, &str)| LockedFile {
        name: name.to_string(),
        version: Some("1".into()),
        at: Location::Pool("pool/x".into()),
        sha256: Digest::of(content),
        size: 1,
    };
    Locked { request, archive_date: None, files: files.iter().map(file).collect() }
}

fn debian(packages: &[&str]) -> Request {
    let archive = Archive { suite: "s".into(), components: vec!["main".into()], arch: "amd64".into(), keyring: None };
    Request::Debian { archive, packages: packages.iter().map(ToString::to_string).collect(), closure: true }
}

fn tree(path: &str, content: &str) -> Tree {
    let mut tree = Tree::new();
    tree.insert(TreePath::new(path).unwrap(), Entry::file(Digest::of(content), content.len() as u64, 0o644));
    tree.complete();
    tree
}

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
         kconfig: {base: tinyconfig, fragments: [one], make: [A=1]}\nenv: {X: '1'}\nbuild: make\ninstall: cp\n\
         files: {bzImage: b}\n",
    ),
    ("components/d.yaml", "component: d\nversion: '1'\nlicense: MIT\nsource: {path: ../d}\n"),
    ("toolchains/t.yaml", "toolchain: t\ndebian: s\npackages: [gcc]\n"),
    ("kernel-config/one.config", "CONFIG_A=y\n"),
    ("kernel-config/two.config", "CONFIG_B=y\n"),
    ("patches/a.patch", "a"),
    ("patches/b.patch", "b"),
    ("c.tar", "archive"),
    ("d/file", "source"),
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

    /// The key of the component's step, after one change of what was loaded.
    fn key_with(&self, gcc: &str, change: impl Fn(&mut Recipe)) -> Key {
        let mut recipe = load(&self.path("r.yaml"), &Settings::new()).unwrap_or_else(|error| panic!("{error}"));
        change(&mut recipe);
        let lock = Lock::new([locked(recipe.build.packages.clone(), &[("gcc", gcc)])]);
        let store = Store::open(&self.path("store")).unwrap();
        let plan = plan(&recipe, &lock, &Wanted::default(), &store).unwrap();
        plan.steps.iter().find(|step| step.label == "component c").unwrap().key.clone()
    }

    fn key(&self) -> Key {
        self.key_with("gcc 12", |_| {})
    }
}

#[test]
fn a_component_is_built_again_for_each_of_its_inputs() {
    // Edits of the project: file, from, to.
    type Edit = (&'static str, &'static str, &'static str, &'static str);
    let component = "components/c.yaml";
    let edits: &[Edit] = &[
        ("source", "c.tar", "archive", "another"),
        ("source", component, "../c.tar", "../d"),
        ("patch 0", "patches/a.patch", "a", "A"),
        ("patch 1", "patches/b.patch", "b", "B"),
        ("need d", "d/file", "source", "another"),
        ("need d", "components/d.yaml", "license: MIT", "license: MIT\nbuild: make"),
        ("config base", component, "base: tinyconfig", "base: allnoconfig"),
        ("config base", component, "base: tinyconfig", "config: {path: ../c.tar}"),
        ("config resolve", component, "base: tinyconfig", "base: tinyconfig, resolve: oldconfig"),
        ("config make", component, "A=1", "A=2"),
        ("config 0", "kernel-config/one.config", "A=y", "A=m"),
        ("config 1", "kernel-config/two.config", "B=y", "B=m"),
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
        assert_eq!(before.differences(&after), [*row], "{to}");
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
fn a_component_is_built_in_the_toolchain_that_it_names() {
    let project = Project::new();
    project.write("toolchains/u.yaml", "toolchain: u\ndebian: s\npackages: [cc]\n");
    project.edit("components/d.yaml", "license: MIT", "license: MIT\ntoolchain: u");
    let recipe = load(&project.path("r.yaml"), &Settings::new()).unwrap();
    let (build, own) = (recipe.build.packages.clone(), recipe.toolchains["u"].packages.clone());
    assert!(recipe.requests().contains(&own) && recipe.requests().contains(&build), "{:?}", recipe.requests());
    let lock = Lock::new([locked(build, &[("gcc", "12")]), locked(own, &[("cc", "1")])]);
    let plan = plan(&recipe, &lock, &Wanted::default(), &Store::open(&project.path("store")).unwrap()).unwrap();
    let toolchain = |label: &str| {
        let step = plan.steps.iter().find(|step| step.label == label).unwrap();
        let Action::Component(action) = &step.action else { panic!("{label}") };
        plan.step(action.toolchain).label.as_str()
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
        let url = Request::Url { urls: vec!["http://a/c.tar".into()], sha256: None };
        let project = Project::new();
        let mut recipe = load(&project.path("r.yaml"), &Settings::new()).unwrap();
        let component = recipe.components.get_mut("c").unwrap();
        component.source.value = Origin::Remote(url.clone());
        component.patches[0].value = Origin::Remote(url.clone());
        let kconfig = component.kconfig.as_mut().unwrap();
        kconfig.base = Base::File(At { value: Origin::Remote(url.clone()), span: component.span });
        kconfig.resolve = Resolve::OldConfig;
        let gcc = locked(recipe.build.packages.clone(), &[("gcc", "12")]);
        let lock = Lock::new([gcc, locked(url, &[("c.tar", content)])]);
        let store = Store::open(&project.path("store")).unwrap();
        let plan = plan(&recipe, &lock, &Wanted::default(), &store).unwrap();
        plan.steps.iter().find(|step| step.label == "component c").unwrap().key.clone()
    };
    assert_eq!(key("one").differences(&key("two")), ["config base", "patch 0", "source"]);
    assert_eq!(key("one").digest(), key("one").digest());
}

type Packaged = (Locked, BTreeMap<String, String>, BTreeMap<String, String>, Vec<String>, String);

fn packaged() -> Packaged {
    let entry = locked(debian(&["a", "b"]), &[("a", "A"), ("b", "B")]);
    let one = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
    (entry, one("/bin/awk"), one("/etc/passwd"), vec!["one".into()], "lib/modules".into())
}

#[test]
fn a_toolchain_is_laid_out_again_for_each_of_its_inputs() {
    let project = Project::new();
    let key = |(entry, links, files, _, _): &Packaged| {
        let mut toolchain = load(&project.path("r.yaml"), &Settings::new()).unwrap().build;
        (toolchain.links, toolchain.files) = (links.clone(), files.clone());
        added("none", |plan, _| packages::toolchain(plan, &toolchain, entry))
    };
    let changes = vec![
        change("package 0", |(entry, ..): &mut Packaged| entry.files[0].sha256 = Digest::of("other")),
        change("package 1", |(entry, ..): &mut Packaged| drop(entry.files.pop())),
        change("link /bin/awk", |(_, links, ..): &mut Packaged| *links.get_mut("/bin/awk").unwrap() = "gawk".into()),
        change("file /etc/passwd", |(_, _, files, ..): &mut Packaged| files.clear()),
    ];
    every_row(&packaged(), key, changes);
    let (mut renamed, ..) = packaged();
    renamed.files[0].version = Some("2".into());
    assert_eq!(key(&packaged()).digest(), key(&(renamed, packaged().1, packaged().2, vec![], String::new())).digest());
}

#[test]
fn packages_are_unpacked_again_for_each_of_their_inputs() {
    let key = |(entry, _, _, exclude, _): &Packaged| added("none", |plan, _| packages::unpacked(plan, entry, exclude));
    let changes = vec![
        change("package 0", |(entry, ..): &mut Packaged| entry.files[0].sha256 = Digest::of("other")),
        change("package 1", |(entry, ..): &mut Packaged| entry.files[1].sha256 = Digest::of("other")),
        change("exclude 0", |(_, _, _, exclude, _): &mut Packaged| exclude[0] = "two".into()),
        change("exclude 1", |(_, _, _, exclude, _): &mut Packaged| exclude.push("two".into())),
    ];
    every_row(&packaged(), key, changes);
}

#[test]
fn a_kernel_package_is_taken_again_for_each_of_its_inputs() {
    let key = |(entry, _, _, modules, folder): &Packaged| {
        added("none", |plan, _| packages::kernel(plan, entry, modules, folder).unwrap())
    };
    let changes = vec![
        change("package", |(entry, ..): &mut Packaged| entry.files[0].sha256 = Digest::of("other")),
        change("module 0", |(_, _, _, modules, _): &mut Packaged| modules[0] = "two".into()),
        change("module 1", |(_, _, _, modules, _): &mut Packaged| modules.push("two".into())),
        change("folder", |(.., folder): &mut Packaged| folder.push('x')),
    ];
    every_row(&packaged(), key, changes);
}

fn at(text: &str) -> At<String> {
    let file = crate::recipe::Files::default().add(Path::new("r.yaml"), String::new());
    At { value: text.to_owned(), span: crate::recipe::text::Span { file, start: 0, end: 0 } }
}

#[derive(Clone)]
struct Assembled {
    assembly: Assembly,
    folder: Tree,
    input: &'static str,
    output: &'static str,
    path: &'static str,
}

fn assembled() -> Assembled {
    let account = Account {
        name: "a".into(),
        uid: 1,
        gid: 1,
        groups: vec!["g".into()],
        gecos: "A".into(),
        home: "/a".into(),
        shell: "/sh".into(),
        password: "!".into(),
    };
    let mode = || Mode { path: at("/m"), mode: Some(0o755), uid: None, gid: None };
    let assembly = Assembly {
        layout: Some(Layout::Split),
        accounts: vec![account],
        groups: vec![("g".into(), 5)],
        dirs: vec![mode()],
        nodes: vec![DeviceNode { path: at("/n"), block: false, major: 1, minor: 2, mode: 0o600 }],
        links: vec![("/l".into(), "t".into())],
        modes: vec![mode()],
        replace: vec![Pattern::new("/r").unwrap()],
    };
    Assembled { assembly, folder: tree("a", "1"), input: "one", output: "tree", path: "livefs" }
}

fn assembly_key(of: &Assembled) -> Key {
    added(of.input, |plan, step| {
        let layers = vec![
            LayerFrom::Folder { origin: "o".into(), tree: Arc::new(of.folder.clone()) },
            LayerFrom::Tree { origin: "o".into(), from: Ref::new(step, of.output) },
            LayerFrom::File { origin: "o".into(), from: Ref::new(step, "f"), path: TreePath::new(of.path).unwrap() },
        ];
        image::assemble(plan, "rootfs", AssembleAction { assembly: of.assembly.clone(), layers })
    })
}

#[test]
fn a_root_is_assembled_again_for_each_of_its_layers() {
    let changes = vec![
        change("stated", |of: &mut Assembled| of.assembly.layout = Some(Layout::Fhs)),
        change("layer 0", |of: &mut Assembled| of.folder = tree("a", "2")),
        change("layer 1", |of: &mut Assembled| of.output = "install"),
        change("layer 2", |of: &mut Assembled| of.path = "other"),
    ];
    every_row(&assembled(), assembly_key, changes);
    let other = Assembled { input: "two", ..assembled() };
    assert_eq!(assembly_key(&assembled()).differences(&assembly_key(&other)), ["layer 1", "layer 2"]);
}

#[test]
fn everything_that_a_recipe_states_of_its_root_counts() {
    let changes: Vec<Change<'_, Assembled>> = vec![
        change("stated", |of: &mut Assembled| of.assembly.layout = None),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].name.push('x')),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].uid = 2),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].gid = 2),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].groups.clear()),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].gecos.push('x')),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].home.push('x')),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].shell.push('x')),
        change("stated", |of: &mut Assembled| of.assembly.accounts[0].password.clear()),
        change("stated", |of: &mut Assembled| of.assembly.groups[0].1 = 6),
        change("stated", |of: &mut Assembled| of.assembly.dirs[0].path = at("/other")),
        change("stated", |of: &mut Assembled| of.assembly.dirs[0].mode = None),
        change("stated", |of: &mut Assembled| of.assembly.dirs[0].uid = Some(0)),
        change("stated", |of: &mut Assembled| of.assembly.dirs[0].gid = Some(0)),
        change("stated", |of: &mut Assembled| of.assembly.nodes[0].path = at("/other")),
        change("stated", |of: &mut Assembled| of.assembly.nodes[0].block = true),
        change("stated", |of: &mut Assembled| of.assembly.nodes[0].major = 9),
        change("stated", |of: &mut Assembled| of.assembly.nodes[0].minor = 9),
        change("stated", |of: &mut Assembled| of.assembly.nodes[0].mode = 0o666),
        change("stated", |of: &mut Assembled| of.assembly.links[0].0.push('x')),
        change("stated", |of: &mut Assembled| of.assembly.links[0].1.push('x')),
        change("stated", |of: &mut Assembled| of.assembly.modes[0].path = at("/other")),
        change("stated", |of: &mut Assembled| of.assembly.modes[0].mode = Some(0o4755)),
        change("stated", |of: &mut Assembled| of.assembly.replace = vec![Pattern::new("/r*").unwrap()]),
        // From a folder to make, to a path to set: the same text in another list.
        change("stated", |of: &mut Assembled| of.assembly.dirs.extend(of.assembly.modes.pop())),
    ];
    let before = assembly_key(&assembled());
    for (number, (row, change)) in changes.into_iter().enumerate() {
        let mut other = assembled();
        change(&mut other);
        assert_eq!(before.differences(&assembly_key(&other)), [row], "change {number}");
    }
}

#[test]
fn a_squashfs_is_packed_again_for_each_of_its_inputs() {
    type Of = (&'static str, &'static str, Packing, u32, u64);
    let key = |(toolchain, root, packing, block, epoch): &Of| {
        added_to(&[toolchain, root], |plan, steps| {
            let (toolchain, root) = (steps[0], steps[1]);
            let (packing, block, epoch) = (*packing, *block, *epoch);
            image::squashfs(plan, SquashfsAction { toolchain, root, packing, block, epoch })
        })
    };
    let other = [Packing::Zstd, Packing::Xz].into_iter().find(|packing| *packing != Packing::default()).unwrap();
    let changes = vec![
        change("toolchain", |of: &mut Of| of.0 = "other"),
        change("root", |of: &mut Of| of.1 = "other"),
        change("packing", move |of: &mut Of| of.2 = other),
        change("block", |of: &mut Of| of.3 = 4096),
        change("epoch", |of: &mut Of| of.4 = 2),
    ];
    every_row(&("t", "r", Packing::default(), 1024, 1), key, changes);
}

#[test]
fn an_initrd_is_written_again_for_each_of_its_inputs() {
    type Of = (&'static str, Tree, Compression, u64);
    let key = |(root, early, compression, epoch): &Of| {
        added(root, |plan, root| {
            let (early, compression, epoch) = (early.clone(), *compression, *epoch);
            image::initrd(plan, InitrdAction { root, early, compression, epoch })
        })
    };
    let changes = vec![
        change("root", |of: &mut Of| of.0 = "other"),
        change("early", |of: &mut Of| of.1 = tree("kernel/x86/microcode/a.bin", "2")),
        change("compression", |of: &mut Of| of.2 = Compression::Xz),
        change("epoch", |of: &mut Of| of.3 = 2),
    ];
    every_row(&("root", Tree::new(), Compression::Zstd, 1), key, changes);
}

#[test]
fn a_menu_is_written_again_for_its_text() {
    let menu = |title: &str| {
        let entries = vec![crate::image::grub::MenuEntry {
            id: "a".into(),
            title: title.into(),
            cmdline: String::new(),
            initrd: true,
        }];
        crate::image::grub::Menu { timeout: 1, serial: true, entries }
    };
    let key = |title: &String| added("none", |plan, _| image::grub_menu(plan, &menu(title)).unwrap());
    every_row(&"A".to_owned(), key, vec![change("text", |title: &mut String| title.push('B'))]);
}

#[test]
fn an_iso_is_made_again_for_each_of_its_inputs() {
    type Of = ([&'static str; 4], [&'static str; 3], &'static str, u64);
    let key = |(names, outputs, volume, epoch): &Of| {
        added_to(names, |plan, steps| {
            let from = |n: usize| Ref::new(steps[n + 1], outputs[n]);
            let (toolchain, volume, epoch) = (steps[0], (*volume).to_owned(), *epoch);
            image::iso(plan, IsoAction { toolchain, kernel: from(0), initrd: from(1), menu: from(2), volume, epoch })
        })
    };
    let changes = vec![
        change("toolchain", |of: &mut Of| of.0[0] = "other"),
        change("kernel", |of: &mut Of| of.0[1] = "other"),
        change("initrd", |of: &mut Of| of.0[2] = "other"),
        change("menu", |of: &mut Of| of.0[3] = "other"),
        change("kernel", |of: &mut Of| of.1[0] = "other"),
        change("initrd", |of: &mut Of| of.1[1] = "other"),
        change("menu", |of: &mut Of| of.1[2] = "other"),
        change("volume", |of: &mut Of| of.2 = "other"),
        change("epoch", |of: &mut Of| of.3 = 2),
    ];
    every_row(&(["t", "k", "i", "m"], ["bzImage", "initrd", "grub.cfg"], "v", 1), key, changes);
}

#[test]
fn a_disk_is_made_again_for_each_of_its_inputs() {
    type Of = (&'static str, &'static str, &'static str, &'static str, u64);
    let key = |(toolchain, root, folder, label, epoch): &Of| {
        added_to(&[toolchain, root], |plan, steps| {
            let (folder, label) = (TreePath::new(folder).unwrap(), (*label).to_owned());
            image::disk(plan, DiskAction { toolchain: steps[0], root: steps[1], folder, label, epoch: *epoch })
        })
    };
    let changes = vec![
        change("toolchain", |of: &mut Of| of.0 = "other"),
        change("root", |of: &mut Of| of.1 = "other"),
        change("folder", |of: &mut Of| of.2 = "other"),
        change("label", |of: &mut Of| of.3 = "other"),
        change("epoch", |of: &mut Of| of.4 = 2),
    ];
    every_row(&("t", "r", "system0", "l", 1), key, changes);
}

/// The plan of the same project in another folder has the same keys.
#[test]
fn where_the_project_lies_is_in_no_key() {
    let (here, there) = (Project::new(), Project::new());
    assert_ne!(here.path(""), there.path(""));
    assert_eq!(here.key().digest(), there.key().digest());
}
