//! Tests every row of every key: changing one input changes the key, and the difference has the row's name. The rows of
//! a component's key are tested by edits of a recipe, in `plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::image::Compression;
use crate::image::squashfs::Packing;
use crate::recipe::decode::At;
use crate::recipe::rootfs::{Attributes, DeviceNode, Layout};
use crate::rootfs::{Account, Assembly, LayerOrigin, Pattern, Program, StatedFile};
use crate::source::Crate;
use crate::store::Store;
use crate::tree::capabilities::Capabilities;
use crate::tree::{Entry, TreePath};

/// One changed input: its row, and the change.
type Change<A> = (&'static str, Box<dyn Fn(&mut A)>);

fn change<A>(row: &'static str, change: impl Fn(&mut A) + 'static) -> Change<A> {
    (row, Box::new(change))
}

/// Steps that stand for any input of others.
fn inputs() -> Graph {
    let mut graph = Graph::default();
    for number in 0..5 {
        graph.add(GrubMenuStep { text: number.to_string() });
    }
    graph
}

/// One of [`inputs`], as a step of any kind.
fn input<A>(number: usize) -> Id<A> {
    Id::new(StepId(number))
}

/// An output of one of [`inputs`].
fn output<T>(number: usize, name: &'static str) -> Ref<T> {
    Ref::new(StepId(number), name)
}

fn key(step: &impl Action) -> Key {
    step.key(&inputs())
}

/// Each change has to change the row of its name and no other; every row of the key must have a change.
#[track_caller]
fn every_row<A: Action + Clone>(base: &A, changes: Vec<Change<A>>) {
    let before = key(base);
    let mut tested = BTreeSet::from(["kind".to_owned()]);
    for (number, (row, change)) in changes.into_iter().enumerate() {
        let mut other = base.clone();
        change(&mut other);
        let after = key(&other);
        assert_ne!(before.digest(), after.digest(), "change {number}, of `{row}`, does not change the key");
        assert_eq!(before.differences(&after), [row], "the row that differs by change {number}");
        tested.insert(row.to_owned());
    }
    let rows: BTreeSet<_> = before.differences(&Key::new("no such kind", 0)).into_iter().collect();
    assert_eq!(rows.difference(&tested).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a test");
}

struct Silent;

impl Listener for Silent {
    fn line(&self, _: &Step, _: &str) {}
    fn warning(&self, _: &Step, _: &str) {}
}

#[test]
fn an_output_that_a_step_did_not_give_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let graph = inputs();
    let context = Context::new(&graph, &store, Resources { jobs: 1, sandbox: None }, &Silent);
    let work = Work { context: &context, step: graph.step(StepId(1)), log: folder.path().join("log") };
    let blob = Blob { digest: store.add_bytes(b"menu").unwrap(), size: 4 };
    let tree = store.add_tree(&tree("a", "1")).unwrap();
    context.done(StepId(0), BTreeMap::from([GrubMenuStep::MENU.of(blob), AssembleStep::TREE.of(tree)]));
    assert_eq!(work.get::<Blob>(&output(0, "grub.cfg")).unwrap(), blob);
    assert!(work.get::<Tree>(&output(0, "tree")).unwrap().get(&path("a")).is_some());
    let lacking = |error: StepError| {
        let said = error.to_string();
        assert!(said.starts_with("grub menu has no output `"), "{said}");
    };
    lacking(work.get::<Blob>(&output(0, "other")).unwrap_err());
    lacking(work.get::<Blob>(&output(2, "grub.cfg")).unwrap_err());
    // Of another type than the requested one.
    lacking(work.get::<Tree>(&output(0, "grub.cfg")).unwrap_err());
    lacking(work.get::<Blob>(&output(0, "tree")).unwrap_err());
}

fn package(name: &str, content: &str) -> PackageFile {
    PackageFile { name: name.into(), blob: Digest::of(content), format: &crate::archive::Deb }
}

fn tree(path: &str, content: &str) -> Tree {
    let mut tree = Tree::new();
    tree.insert(TreePath::new(path).unwrap(), Entry::file(Digest::of(content), content.len() as u64, 0o644));
    tree.complete();
    tree
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn at(text: &str) -> At<String> {
    let file = crate::recipe::RecipeFiles::default().add(Path::new("r.yaml"), String::new());
    At { value: text.to_owned(), span: crate::recipe::text::Span { file, start: 0, end: 0 } }
}

#[test]
fn a_toolchain_is_laid_out_again_for_each_of_its_inputs() {
    let one = |name: &str| BTreeMap::from([(name.to_owned(), "x".to_owned())]);
    let base = ToolchainStep {
        name: "t".into(),
        packages: vec![package("a 1", "A"), package("b 1", "B")],
        links: one("/bin/awk"),
        files: one("/etc/passwd"),
    };
    let changes = vec![
        change("package 0", |of: &mut ToolchainStep| of.packages[0].blob = Digest::of("other")),
        change("package 1", |of: &mut ToolchainStep| drop(of.packages.pop())),
        change("link /bin/awk", |of: &mut ToolchainStep| *of.links.get_mut("/bin/awk").unwrap() = "gawk".into()),
        change("file /etc/passwd", |of: &mut ToolchainStep| of.files.clear()),
    ];
    every_row(&base, changes);
    let mut renamed = base.clone();
    (renamed.name, renamed.packages[0].name) = ("u".into(), "a 2".into());
    assert_eq!(key(&base), key(&renamed), "names are for messages");
}

#[test]
fn packages_are_unpacked_again_for_each_of_their_inputs() {
    let diversion = Diversion { from: path("a"), to: path("b"), by: Some("c".into()), place: "r.yaml:1".into() };
    let base = PackagesStep {
        packages: vec![package("a 1", "A"), package("b 1", "B")],
        exclude: vec![Pattern::new("/one").unwrap()],
        diversions: vec![diversion],
    };
    let changes = vec![
        change("package 0", |of: &mut PackagesStep| of.packages[0].blob = Digest::of("other")),
        change("package 1", |of: &mut PackagesStep| of.packages[1].blob = Digest::of("other")),
        change("exclude 0", |of: &mut PackagesStep| of.exclude[0] = Pattern::new("/two").unwrap()),
        change("exclude 1", |of: &mut PackagesStep| of.exclude.push(Pattern::new("/two").unwrap())),
        change("diversion 0", |of: &mut PackagesStep| of.diversions[0].from = path("x")),
        change("diversion 0", |of: &mut PackagesStep| of.diversions[0].to = path("x")),
        change("diversion 0", |of: &mut PackagesStep| of.diversions[0].by = None),
        change("diversion 0", |of: &mut PackagesStep| of.diversions.clear()),
    ];
    every_row(&base, changes);
    let mut moved = base.clone();
    moved.diversions[0].place = "r.yaml:2".into();
    assert_eq!(key(&base), key(&moved), "where it stands is for messages");
}

#[test]
fn a_kernel_package_is_taken_again_for_each_of_its_inputs() {
    let base = KernelPackageStep {
        packages: vec![package("a 1", "A"), package("b 1", "B")],
        modules: vec!["one".into()],
        folder: "lib/modules".into(),
    };
    let changes = vec![
        change("package 0", |of: &mut KernelPackageStep| of.packages[0].blob = Digest::of("other")),
        change("package 1", |of: &mut KernelPackageStep| drop(of.packages.pop())),
        change("module 0", |of: &mut KernelPackageStep| of.modules[0] = "two".into()),
        change("module 1", |of: &mut KernelPackageStep| of.modules.push("two".into())),
        change("folder", |of: &mut KernelPackageStep| of.folder.push('x')),
    ];
    every_row(&base, changes);
}

#[test]
fn facts_are_read_again_for_each_package_and_crate() {
    let pinned = |name: &str| Crate { name: name.into(), version: "1".into(), sha256: Digest::of(name) };
    let base = FactsStep { packages: vec![package("a 1", "A")], crates: vec![pinned("b"), pinned("c")] };
    let changes = vec![
        change("package 0", |of: &mut FactsStep| of.packages[0].blob = Digest::of("other")),
        change("crate 0", |of: &mut FactsStep| of.crates[0].version = "2".into()),
        change("crate 1", |of: &mut FactsStep| drop(of.crates.pop())),
    ];
    every_row(&base, changes);
}

fn assembled() -> AssembleStep {
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
    let attributes = || Attributes {
        path: at("/m"),
        mode: Some(0o755),
        uid: None,
        gid: None,
        capabilities: None,
        xattrs: Default::default(),
    };
    let on = |stated: Attributes| (Pattern::new(&stated.path).unwrap(), stated);
    let assembly = Assembly {
        layout: Some(Layout::Split),
        accounts: vec![account],
        groups: vec![("g".into(), 5)],
        dirs: vec![attributes()],
        nodes: vec![DeviceNode { path: at("/n"), block: false, major: 1, minor: 2, mode: 0o600 }],
        links: vec![("/l".into(), "t".into())],
        files: vec![StatedFile { path: "/s".into(), content: "x".into(), mode: 0o755, owner: (0, 0) }],
        settings: Vec::new(),
        attributes: vec![on(attributes())],
        replace: vec![Pattern::new("/r").unwrap()],
        programs: Vec::new(),
        needed: Vec::new(),
    };
    let origin = || LayerOrigin::from("o");
    let layers = vec![
        LayerFrom::Folder { origin: origin(), tree: Arc::new(tree("a", "1")), keep_modes: false },
        LayerFrom::Tree { origin: origin(), from: output(0, "tree") },
        LayerFrom::File { origin: origin(), from: output(1, "f"), path: path("livefs") },
    ];
    AssembleStep { label: "rootfs".into(), assembly, layers, firmware: None }
}

#[test]
fn a_root_is_assembled_again_for_each_of_its_inputs() {
    let layer = |number: usize, layer: fn() -> LayerFrom| move |of: &mut AssembleStep| of.layers[number] = layer();
    let folder = |content: &str, keep_modes| LayerFrom::Folder {
        origin: "".into(),
        tree: Arc::new(tree("a", content)),
        keep_modes,
    };
    let changes = vec![
        change("layer 0", move |of: &mut AssembleStep| of.layers[0] = folder("2", false)),
        change("layer 0", move |of: &mut AssembleStep| of.layers[0] = folder("1", true)),
        change("layer 1", layer(1, || LayerFrom::Tree { origin: "".into(), from: output(0, "install") })),
        change("layer 1", layer(1, || LayerFrom::Tree { origin: "".into(), from: output(2, "tree") })),
        change("layer 2", layer(2, || LayerFrom::File { origin: "".into(), from: output(1, "f"), path: path("x") })),
        change(
            "layer 2",
            layer(2, || LayerFrom::File { origin: "".into(), from: output(2, "f"), path: path("livefs") }),
        ),
        change("stated", |of: &mut AssembleStep| of.assembly.layout = None),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].name.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].uid = 2),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].gid = 2),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].groups.clear()),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].gecos.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].home.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].shell.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.accounts[0].password.clear()),
        change("stated", |of: &mut AssembleStep| of.assembly.groups[0].1 = 6),
        change("stated", |of: &mut AssembleStep| of.assembly.files[0].path.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.files[0].content.push(b'x')),
        change("stated", |of: &mut AssembleStep| of.assembly.files[0].mode = 0o644),
        change("stated", |of: &mut AssembleStep| of.assembly.files[0].owner = (0, 1)),
        change("stated", |of: &mut AssembleStep| of.assembly.settings[0].path.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.settings[0].content.push(b'x')),
        change("stated", |of: &mut AssembleStep| {
            let settings = std::mem::take(&mut of.assembly.settings);
            of.assembly.files.extend(settings);
        }),
        change("stated", |of: &mut AssembleStep| of.assembly.dirs[0].path = at("/other")),
        change("stated", |of: &mut AssembleStep| of.assembly.dirs[0].mode = None),
        change("stated", |of: &mut AssembleStep| of.assembly.dirs[0].uid = Some(0)),
        change("stated", |of: &mut AssembleStep| of.assembly.dirs[0].gid = Some(0)),
        change("stated", |of: &mut AssembleStep| of.assembly.nodes[0].path = at("/other")),
        change("stated", |of: &mut AssembleStep| of.assembly.nodes[0].block = true),
        change("stated", |of: &mut AssembleStep| of.assembly.nodes[0].major = 9),
        change("stated", |of: &mut AssembleStep| of.assembly.nodes[0].minor = 9),
        change("stated", |of: &mut AssembleStep| of.assembly.nodes[0].mode = 0o666),
        change("stated", |of: &mut AssembleStep| of.assembly.links[0].0.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.links[0].1.push('x')),
        change("stated", |of: &mut AssembleStep| of.assembly.attributes[0].1.path = at("/other")),
        change("stated", |of: &mut AssembleStep| of.assembly.attributes[0].1.mode = Some(0o4755)),
        change("stated", |of: &mut AssembleStep| {
            of.assembly.attributes[0].1.capabilities = Capabilities::parse("cap_kill+p").ok();
        }),
        change("stated", |of: &mut AssembleStep| {
            of.assembly.attributes[0].1.xattrs.insert("user.a".into(), b"b".to_vec());
        }),
        change("stated", |of: &mut AssembleStep| of.assembly.replace = vec![Pattern::new("/r*").unwrap()]),
        // Moved from the folders to make to the paths to set: the same text in another list.
        change("stated", |of: &mut AssembleStep| {
            of.assembly.dirs.extend(of.assembly.attributes.pop().map(|(_, stated)| stated))
        }),
    ];
    let mut base = assembled();
    base.assembly.settings.push(StatedFile { path: "/t".into(), content: "x".into(), mode: 0o644, owner: (0, 0) });
    every_row(&base, changes);
}

#[test]
fn what_an_initramfs_starts_counts_unless_it_is_init() {
    let with = |paths: &[&str], layout| {
        let text = String::new;
        let program = |name: &&str| Program { path: path(name), role: text(), place: text(), remedy: text() };
        let mut of = assembled();
        of.assembly.layout = layout;
        of.assembly.programs = paths.iter().map(program).collect();
        key(&of)
    };
    let keys = [&["init"][..], &["sbin/init"], &["init", "sbin/init"], &[]].map(|paths| with(paths, None));
    for (index, key) in keys.iter().enumerate() {
        for other in &keys[..index] {
            assert_eq!(key.differences(other), ["stated"]);
        }
    }
    // The shells of a root are part of its accounts.
    assert_eq!(with(&["bin/sh"], Some(Layout::Split)), key(&assembled()));
}

#[test]
fn a_squashfs_is_packed_again_for_each_of_its_inputs() {
    let base = SquashfsStep {
        platform: Platform::BUILD,
        toolchain: input(0),
        root: input(1),
        packing: Packing::Zstd,
        block: 1024,
        epoch: 1,
    };
    let changes = vec![
        change("platform", |of: &mut SquashfsStep| of.platform = Platform::Aarch64),
        change("toolchain", |of: &mut SquashfsStep| of.toolchain = input(2)),
        change("root", |of: &mut SquashfsStep| of.root = input(2)),
        change("packing", |of: &mut SquashfsStep| of.packing = Packing::Xz),
        change("block", |of: &mut SquashfsStep| of.block = 4096),
        change("epoch", |of: &mut SquashfsStep| of.epoch = 2),
    ];
    every_row(&base, changes);
}

#[test]
fn an_erofs_is_packed_again_for_each_of_its_inputs() {
    let changes = vec![
        change("toolchain", |of: &mut ErofsStep| of.toolchain = input(2)),
        change("root", |of: &mut ErofsStep| of.root = input(2)),
        change("epoch", |of: &mut ErofsStep| of.epoch = 2),
    ];
    every_row(&ErofsStep { toolchain: input(0), root: input(1), epoch: 1 }, changes);
}

#[test]
fn an_initrd_is_written_again_for_each_of_its_inputs() {
    let base = InitrdStep { root: input(0), early: Tree::new(), compression: Compression::Zstd, epoch: 1 };
    let changes = vec![
        change("root", |of: &mut InitrdStep| of.root = input(1)),
        change("early", |of: &mut InitrdStep| of.early = tree("kernel/x86/microcode/a.bin", "2")),
        change("compression", |of: &mut InitrdStep| of.compression = Compression::Xz),
        change("epoch", |of: &mut InitrdStep| of.epoch = 2),
    ];
    every_row(&base, changes);
}

#[test]
fn a_menu_is_written_again_for_its_text() {
    let change = change("text", |of: &mut GrubMenuStep| of.text.push('B'));
    every_row(&GrubMenuStep { text: "A".into() }, vec![change]);
}

#[test]
fn boot_images_are_made_again_for_each_of_their_inputs() {
    let base = GrubImagesStep { platform: Platform::BUILD, toolchain: input(0), marker: "/m".into(), epoch: 1 };
    let changes = vec![
        change("platform", |of: &mut GrubImagesStep| of.platform = Platform::Aarch64),
        change("toolchain", |of: &mut GrubImagesStep| of.toolchain = input(1)),
        change("marker", |of: &mut GrubImagesStep| of.marker.push('2')),
        change("epoch", |of: &mut GrubImagesStep| of.epoch = 2),
    ];
    every_row(&base, changes);
}

#[test]
fn an_iso_is_made_again_for_each_of_its_inputs() {
    let base = IsoStep {
        platform: Platform::BUILD,
        toolchain: input(0),
        kernel: output(1, "bzImage"),
        initrd: output(2, "initrd"),
        menu: output(3, "grub.cfg"),
        images: input(1),
        volume: "v".into(),
        epoch: 1,
    };
    let changes = vec![
        change("platform", |of: &mut IsoStep| of.platform = Platform::Aarch64),
        change("toolchain", |of: &mut IsoStep| of.toolchain = input(4)),
        change("kernel", |of: &mut IsoStep| of.kernel = output(4, "bzImage")),
        change("kernel", |of: &mut IsoStep| of.kernel = output(1, "other")),
        change("initrd", |of: &mut IsoStep| of.initrd = output(4, "initrd")),
        change("initrd", |of: &mut IsoStep| of.initrd = output(2, "other")),
        change("menu", |of: &mut IsoStep| of.menu = output(4, "grub.cfg")),
        change("menu", |of: &mut IsoStep| of.menu = output(3, "other")),
        change("images", |of: &mut IsoStep| of.images = input(4)),
        change("volume", |of: &mut IsoStep| of.volume = "other".into()),
        change("epoch", |of: &mut IsoStep| of.epoch = 2),
    ];
    every_row(&base, changes);
}

#[test]
fn a_disk_is_made_again_for_each_of_its_inputs() {
    let base = DiskStep {
        toolchain: input(0),
        root: input(1),
        folders: vec![path("system0")],
        template: None,
        label: "l".into(),
        size: None,
        epoch: 1,
    };
    let template = |of: &mut DiskStep| of.template = Some((path("small.tar.gz"), output(1, "template")));
    let changes = vec![
        change("toolchain", |of: &mut DiskStep| of.toolchain = input(2)),
        change("root", |of: &mut DiskStep| of.root = input(2)),
        change("folders", |of: &mut DiskStep| of.folders.push(path("system1"))),
        change("label", |of: &mut DiskStep| of.label = "other".into()),
        change("size", |of: &mut DiskStep| of.size = Some(1 << 30)),
        change("epoch", |of: &mut DiskStep| of.epoch = 2),
        change("template", template),
    ];
    every_row(&base, changes);
}

#[test]
fn an_archive_is_packed_again_for_each_of_its_inputs() {
    let base = ArchiveStep { root: input(0), compression: Compression::Gzip, epoch: 1 };
    let changes = vec![
        change("root", |of: &mut ArchiveStep| of.root = input(1)),
        change("compression", |of: &mut ArchiveStep| of.compression = Compression::Xz),
        change("epoch", |of: &mut ArchiveStep| of.epoch = 2),
    ];
    every_row(&base, changes);
}

/// Rows that are made with `{:?}` hold the names of types, fields and variants: renaming one of these changes the keys of
/// existing results.
#[test]
fn the_debug_texts_in_keys_are_fixed() {
    let mut of = assembled();
    of.assembly.attributes[0].1.xattrs.insert("user.a".into(), b"b".to_vec());
    let stated = concat!(
        "layout Some(Split)\n",
        "account Account { name: \"a\", uid: 1, gid: 1, groups: [\"g\"], gecos: \"A\", home: \"/a\", ",
        "shell: \"/sh\", password: \"!\" }\n",
        "group (\"g\", 5)\n",
        "dir \"/m\" Some(493) None None {}\n",
        "node \"/n\" false 1:2 600\n",
        "link (\"/l\", \"t\")\n",
        "file \"/s\" 755 (0, 0) 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n",
        "attributes \"/m\" Some(493) None None {\"user.a\": [98]}\n",
        "replace \"/r\"",
    );
    assert_eq!(assemble::stated(&of.assembly), stated);
    of.assembly.layout = None;
    of.assembly.programs =
        vec![Program { path: path("sbin/init"), role: String::new(), place: String::new(), remedy: String::new() }];
    let text = assemble::stated(&of.assembly);
    assert!(text.starts_with("layout None\n") && text.ends_with("\nstarts [\"sbin/init\"]"), "{text}");

    assert_eq!(format!("{:?}", [Layout::Split, Layout::Fhs, Layout::App]), "[Split, Fhs, App]");
    use Compression as C;
    assert_eq!(format!("{:?}", [C::Zstd, C::Xz, C::Gzip, C::Lz4, C::None]), "[Zstd, Xz, Gzip, Lz4, None]");
    use Packing as P;
    assert_eq!(format!("{:?}", [P::Zstd, P::Xz, P::Gzip, P::Lz4]), "[Zstd, Xz, Gzip, Lz4]");
}
