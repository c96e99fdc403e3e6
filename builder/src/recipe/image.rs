//! The image recipe: what goes into one image, and how it proves itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::boot::{Boot, Entry};
use super::component::{decode_fragments, decode_patches};
use super::decode::{At, Decode, Sink, Table, required, word, wrong_type};
use super::limits::Limits;
use super::load::Place;
use super::name::Name;
use super::node::{Key, Node, Value};
use super::origin::Origin;
use super::output::OutputKind;
use super::rootfs::{Overlay, Rootfs, Template, decode_overlays, decode_rootfs, decode_template};
use super::test::Test;
use super::text::Span;
use crate::image::compress::Compression;
use crate::image::iso::volume_id;
use crate::source::{PackageText, Request, decode_suites, packages_of};

/// An image recipe as its YAML files state it, with every local file found. Components and toolchains are still names.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name: that of its outputs' folder and of its ISO.
    pub name: At<Name>,
    /// One line for people.
    pub summary: String,
    /// Clamps every timestamp: seconds since 1970-01-01 UTC.
    pub epoch: i64,
    /// Names of the toolchains.
    pub toolchains: Toolchains,
    /// Where the kernel comes from.
    pub kernel: Kernel,
    /// The live system's root filesystem.
    pub rootfs: Rootfs,
    /// Compression of the root filesystem as an archive of its own.
    pub archive: Compression,
    /// How it is packed.
    pub initrd: Initrd,
    /// The archive that containers and systems are made from.
    pub template: Template,
    /// The boot menu.
    pub boot: Boot,
    /// What is asked for.
    pub outputs: Vec<At<OutputKind>>,
    /// Boot tests.
    pub tests: Vec<Test>,
    /// What archives may come to.
    pub limits: Limits,
    /// The ISO's volume name, where it is not made of the recipe's.
    pub iso_label: Option<At<String>>,
    /// Where the recipe names itself.
    pub span: Span,
}

/// The toolchains of a recipe, by what they are for.
#[derive(Clone, Debug)]
pub struct Toolchains {
    /// Compilers, for components.
    pub build: At<String>,
    /// mksquashfs, GRUB, xorriso, mke2fs.
    pub image: At<String>,
    /// QEMU and firmware, for `run` and `test`.
    pub boot: At<String>,
}

/// Where the kernel comes from.
#[derive(Clone, Debug)]
pub enum Kernel {
    /// Built from source.
    Component {
        /// The component's name.
        component: At<String>,
        /// Patches after the component's own.
        patches: Vec<At<Origin>>,
        /// Fragments after the component's own.
        config: Vec<At<PathBuf>>,
    },
    /// A distribution's package.
    Package {
        /// The package, alone: its dependencies are of no use in an image.
        request: At<Request>,
        /// Modules by name; what they depend on comes with them.
        modules: Vec<At<String>>,
        /// Patterns of firmware that these modules may ask for and the image does without: `rtl_nic/*`.
        absent_firmware: Vec<At<String>>,
    },
}

/// How the initrd is made.
#[derive(Clone, Debug)]
pub struct Initrd {
    /// The compression of its main segment.
    pub compression: Compression,
    /// Whether the root filesystem is a squashfs inside, or the cpio itself.
    pub squashfs: bool,
    /// Components that the initramfs itself holds, beside the livefs.
    pub components: Vec<At<String>>,
    /// Folders copied into the initramfs itself.
    pub overlays: Vec<Overlay>,
    /// Files of the first, uncompressed segment (microcode): path in the segment to file.
    pub early: Vec<(String, At<PathBuf>)>,
}

/// Reads an image recipe whose `extends` and parameters are settled. The names of its components come even of a recipe that
/// is wrong elsewhere, so that what is wrong with these is found in the same run.
pub fn decode(node: &Node, place: &Place<'_>, sink: &Sink) -> (Option<Image>, Vec<At<String>>) {
    let mut names = Vec::new();
    let image = decode_image(node, place, sink, &mut names);
    (image, names)
}

fn decode_image(node: &Node, place: &Place<'_>, sink: &Sink, names: &mut Vec<At<String>>) -> Option<Image> {
    let table = Table::open(node, "an image recipe", sink)?;
    // Settled before; named here so that they are known keys.
    let _ = (table.node("extends"), table.node("params"));
    let name = table.required("recipe");
    let summary = table.or_default("summary");
    if let Some(node) = table.node("arch") {
        word(node, &[("x86_64", ())], sink);
    }
    let epoch: Option<Epoch> = table.required("epoch");
    let toolchains = table.required("toolchains");
    let kernel = required(&table, "kernel", |node| decode_kernel(node, place, sink));
    let rootfs = required(&table, "rootfs", |node| decode_rootfs(node, place, sink));
    let (rootfs, archive) = rootfs.unzip();
    let initrd = required(&table, "initrd", |node| decode_initrd(node, place, sink));
    let template = match table.node("template") {
        Some(node) => decode_template(node, place, sink),
        None => Some(Template::default()),
    };
    let boot = table.required("boot");
    let outputs = table.required("outputs");
    let tests = table.or_default("tests");
    let limits = table.or_default("limits");
    let iso_label = table.node("iso").and_then(|node| decode_iso(node, sink));
    let span = table.key("recipe").unwrap_or(table.span);
    table.close();
    if let Some(Kernel::Component { component, .. }) = &kernel {
        names.push(component.clone());
    }
    names.extend(rootfs.iter().flat_map(|rootfs: &Rootfs| &rootfs.components).cloned());
    let content = template.iter().filter_map(|template| template.content.as_ref());
    names.extend(content.flat_map(|rootfs| &rootfs.components).cloned());
    names.extend(initrd.iter().flat_map(|initrd: &Initrd| &initrd.components).cloned());
    Some(Image {
        name: name?,
        summary,
        epoch: epoch?.0,
        toolchains: toolchains?,
        kernel: kernel?,
        rootfs: rootfs?,
        archive: archive?,
        initrd: initrd?,
        template: template?,
        boot: boot?,
        outputs: outputs?,
        tests,
        limits,
        iso_label,
        span,
    })
}

/// Reads `iso`: what is to be said of the ISO alone.
fn decode_iso(node: &Node, sink: &Sink) -> Option<At<String>> {
    let table = Table::open(node, "`iso`", sink)?;
    let label = table.optional("label");
    table.close();
    label
}

struct Epoch(i64);

impl Decode for Epoch {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        if let Value::Text { text, .. } = &node.value {
            if let Ok(seconds) = text.parse::<u32>() {
                return Some(Self(seconds.into()));
            }
            let date = text.parse::<jiff::civil::Date>().ok();
            let midnight = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
            let seconds = midnight.map(|midnight| midnight.timestamp().as_second());
            if let Some(seconds) = seconds.filter(|seconds| (0..=u32::MAX.into()).contains(seconds)) {
                return Some(Self(seconds));
            }
        }
        wrong_type(node, "a date (2026-11-01) or seconds since 1970", sink);
        None
    }
}

impl Decode for Toolchains {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "`toolchains`", sink)?;
        let (build, image, boot) = (table.required("build"), table.required("image"), table.required("boot"));
        table.close();
        Some(Self { build: build?, image: image?, boot: boot? })
    }
}

fn decode_kernel(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Kernel> {
    let table = Table::open(node, "`kernel`", sink)?;
    let component = table.optional("component");
    let package: Option<At<PackageText>> = table.optional("package");
    let span = table.span;
    let kernel = match (component, package) {
        (Some(component), None) => {
            let patches = decode_patches(table.node("patches"), place, sink);
            let config = decode_fragments(table.or_default("config"), place, sink);
            Some(Kernel::Component { component, patches, config })
        }
        (None, Some(package)) => {
            let suites = required(&table, "debian", |node| decode_suites(node, place.folders, sink));
            let modules = table.or_default("modules");
            let absent_firmware = table.or_default("absent-firmware");
            suites.map(|suites| {
                let span = package.span;
                let request = At { value: packages_of(suites, vec![package], false, sink), span };
                Kernel::Package { request, modules, absent_firmware }
            })
        }
        _ => {
            let message = "`kernel` needs either `component` (built from source) or `package` (a distribution's)";
            sink.borrow_mut().add("missing-key", span, message);
            return None;
        }
    };
    table.close();
    kernel
}

fn decode_initrd(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Initrd> {
    let table = Table::open(node, "`initrd`", sink)?;
    let compression = table.node("compression").and_then(|node| Compression::decode(node, sink));
    let squashfs = match table.node("livefs") {
        Some(node) => word(node, &[("squashfs", true), ("none", false)], sink),
        None => Some(true),
    };
    let components = table.or_default("components");
    let overlays = decode_overlays(&table, place, sink);
    let early: Vec<(Key, At<String>)> = table.or_default("early");
    let early = early
        .into_iter()
        .filter_map(|(key, file)| {
            let path = place.existing(&file, file.span, "file", sink)?;
            Some((key.name, At { value: path, span: file.span }))
        })
        .collect();
    table.close();
    // A wrong word is a finding already; the rest is worth looking at.
    let (compression, squashfs) = (compression.unwrap_or(Compression::Zstd), squashfs.unwrap_or(true));
    Some(Initrd { compression, squashfs, components, overlays, early })
}

impl Image {
    /// The volume name that the ISO gets.
    pub fn volume(&self) -> String {
        self.iso_label.as_ref().map_or_else(|| volume_id(&self.name), |label| label.value.clone())
    }

    /// The trees that it states: the root filesystem, and the template's own content.
    pub fn contents(&self) -> impl Iterator<Item = &Rootfs> {
        [Some(&self.rootfs), self.template.content.as_ref()].into_iter().flatten()
    }

    /// Whether a build gives that kind of output.
    pub fn gives(&self, kind: OutputKind) -> bool {
        self.outputs.iter().any(|output| output.value == kind)
    }

    /// The tree that the recipe is about: the template's own content where that is all that it gives, else the live system's.
    pub fn subject(&self) -> &Rootfs {
        let other = self.outputs.iter().any(|output| output.value != OutputKind::Template);
        self.template.content.as_ref().filter(|_| !other).unwrap_or(&self.rootfs)
    }

    /// The boot menu's entry of that id.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.boot.entries.iter().find(|entry| *entry.id.value == *id)
    }
}

/// Settings of parameters: `--set name=value`.
pub type Settings = BTreeMap<String, String>;
