//! Every row of every key: changed alone it changes the key, and the difference carries the row's name.

mod component;

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
use component::Project;

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
    type Of =
        (&'static str, &'static str, &'static [&'static str], &'static str, Option<u64>, u64, Option<&'static str>);
    let key = |&(toolchain, root, folders, label, size, epoch, template): &Of| {
        added_to(&[toolchain, root], |plan, steps| {
            let template = template.map(|path| (TreePath::new(path).unwrap(), Ref::new(steps[1], "template")));
            let folders = folders.iter().map(|folder| TreePath::new(folder).unwrap()).collect();
            let (toolchain, root, label) = (steps[0], steps[1], label.to_owned());
            image::disk(plan, DiskAction { toolchain, root, folders, template, label, size, epoch })
        })
    };
    let changes = vec![
        change("toolchain", |of: &mut Of| of.0 = "other"),
        change("root", |of: &mut Of| of.1 = "other"),
        change("folders", |of: &mut Of| of.2 = &["system0", "system1"]),
        change("label", |of: &mut Of| of.3 = "other"),
        change("size", |of: &mut Of| of.4 = Some(1 << 30)),
        change("epoch", |of: &mut Of| of.5 = 2),
        change("template", |of: &mut Of| of.6 = Some("vz/template/cache/small.tar.gz")),
    ];
    let folders: &[&str] = &["system0"];
    every_row(&("t", "r", folders, "l", None, 1, None), key, changes);
}

#[test]
fn a_template_is_packed_again_for_each_of_its_inputs() {
    type Of = (&'static str, Compression, u64);
    let key = |&(root, compression, epoch): &Of| {
        added(root, |plan, root| image::template(plan, TemplateAction { root, compression, epoch }))
    };
    let changes = vec![
        change("root", |of: &mut Of| of.0 = "other"),
        change("compression", |of: &mut Of| of.1 = Compression::Xz),
        change("epoch", |of: &mut Of| of.2 = 2),
    ];
    every_row(&("root", Compression::Gzip, 1), key, changes);
}

/// The plan of the same project in another folder has the same keys.
#[test]
fn where_the_project_lies_is_in_no_key() {
    let (here, there) = (Project::new(), Project::new());
    assert_ne!(here.path(""), there.path(""));
    assert_eq!(here.key().digest(), there.key().digest());
}
