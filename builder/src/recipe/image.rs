//! The image recipe: the content of one image, and its tests.

use std::path::PathBuf;

use super::boot::{BootEntry, BootMenu};
use super::component::{decode_fragments, decode_patches};
use super::decode::{At, Decode, FindingSink, Size, Table, required, wrong_type};
use super::keys;
use super::limits::Limits;
use super::name::Name;
use super::node::{MappingKey, YamlNode, YamlValue};
use super::origin::Origin;
use super::output::OutputKind;
use super::place::FileFinder;
use super::rootfs::{Overlay, Rootfs, Template, decode_overlays, decode_rootfs, decode_template};
use super::test::{Test, TestBoot, TestDisk, TestMachine, TestMedium};
use super::text::Span;
use crate::boot::Bus;
use crate::image::compress::Compression;
use crate::image::iso::volume_id;
use crate::image::squashfs::{Packing, Squashfs};
use crate::platform::Platform;
use crate::source::{PackageText, Request, decode_suites, packages_of};

/// An image recipe as described in its YAML files, with every local file found. Components and toolchains are only
/// names at this stage.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name: that of its output folder and of its ISO.
    pub name: At<Name>,
    /// Its architecture.
    pub platform: Platform,
    /// The location of the architecture.
    pub arch: Option<Span>,
    /// A one-line description.
    pub summary: String,
    /// The upper limit of every timestamp: seconds since 1970-01-01 UTC.
    pub epoch: i64,
    /// Names of the toolchains.
    pub toolchains: Toolchains,
    /// Where the kernel comes from.
    pub kernel: Kernel,
    /// The live system's root filesystem.
    pub rootfs: Rootfs,
    /// The compression of the output `rootfs`.
    pub archive: Compression,
    /// How the squashfs of the root filesystem is packed.
    pub squashfs: SquashfsOptions,
    /// How the initrd is made.
    pub initrd: Initrd,
    /// The template of containers and systems.
    pub template: Template,
    /// The boot menu.
    pub boot: BootMenu,
    /// The requested outputs.
    pub outputs: Vec<At<OutputKind>>,
    /// The most bytes that outputs may have.
    pub budgets: Vec<(OutputKind, At<u64>)>,
    /// Boot tests.
    pub tests: Vec<Test>,
    /// Limits for archives.
    pub limits: Limits,
    /// The ISO's volume name, if not derived from the recipe's name.
    pub iso_label: Option<At<String>>,
    /// The location of its name.
    pub span: Span,
}

/// The toolchains of a recipe, by purpose.
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
        /// The package, without its dependencies, which are not needed in an image.
        request: At<Request>,
        /// Modules by name; their dependencies are included.
        modules: Vec<At<String>>,
        /// Patterns of firmware that these modules may request and that the image omits: `rtl_nic/*`.
        absent_firmware: Vec<At<String>>,
    },
}

/// How a squashfs is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SquashfsOptions {
    /// Compression of its blocks.
    pub packing: Packing,
    /// Block size in bytes: larger blocks compress better, smaller ones are read faster.
    pub block: u32,
}

impl Default for SquashfsOptions {
    fn default() -> Self {
        Self { packing: Packing::Zstd, block: 256 << 10 }
    }
}

/// The form of the root filesystem in the initrd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Livefs {
    /// A file, which the early init mounts: `livefs.squashfs`.
    Squashfs,
    /// The same: `livefs.erofs`.
    Erofs,
    /// The initramfs itself.
    None,
}

/// How the initrd is made.
#[derive(Clone, Debug)]
pub struct Initrd {
    /// The compression of its main segment.
    pub compression: Compression,
    /// The form of the root filesystem in it.
    pub livefs: Livefs,
    /// Components in the initramfs itself, in addition to the livefs.
    pub components: Vec<At<String>>,
    /// Folders copied into the initramfs itself.
    pub overlays: Vec<Overlay>,
    /// Files of the first, uncompressed segment (microcode): path in the segment to file.
    pub early: Vec<(String, At<PathBuf>)>,
}

/// Reads an image recipe after `extends` and parameters are resolved. The names of its components are given even if the
/// recipe is invalid elsewhere, so that their errors are found in the same run.
pub fn decode(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> (Option<Image>, Vec<At<String>>) {
    let mut names = Vec::new();
    let image = decode_image(node, place, sink, &mut names);
    (image, names)
}

/// The architecture of an image recipe that is not decoded yet. An invalid one is reported by [`decode`].
pub fn platform(node: &YamlNode) -> Platform {
    let word = match node.get("arch").map(|node| &node.value) {
        Some(YamlValue::Text { text, .. }) => text,
        _ => return Platform::BUILD,
    };
    Platform::ALL.into_iter().find(|platform| platform.names().arch == word).unwrap_or(Platform::BUILD)
}

fn decode_image(
    node: &YamlNode,
    place: &FileFinder<'_>,
    sink: &FindingSink,
    names: &mut Vec<At<String>>,
) -> Option<Image> {
    let table = Table::open(node, &keys::RECIPE, sink)?;
    // Resolved before; listed here so that they are known keys.
    let _ = (table.node("extends"), table.node("params"), table.node("profiles"));
    let name = table.required("recipe");
    let summary = table.or_default("summary");
    let arch = table.node("arch");
    let platform =
        table.word_or("arch", &Platform::ALL.map(|platform| (platform.names().arch, platform)), Platform::BUILD);
    let arch = arch.map(|node| node.span);
    let epoch: Option<Epoch> = table.required("epoch");
    let toolchains = table.required("toolchains");
    let kernel = required(&table, "kernel", |node| decode_kernel(node, place, sink));
    let rootfs = required(&table, "rootfs", |node| decode_rootfs(node, place, sink));
    let (rootfs, archive) = rootfs.unzip();
    let initrd = required(&table, "initrd", |node| decode_initrd(node, place, sink));
    let squashfs = table.node("squashfs").map_or(Some(SquashfsOptions::default()), |node| decode_squashfs(node, sink));
    let default = SquashfsOptions::default();
    if let Some((word, _)) = PACKINGS.iter().find(|(_, packing)| *packing == default.packing) {
        table.note_default("squashfs.compression", word);
    }
    table.note_default("squashfs.block", &block_text(default.block));
    let template = match table.node("template") {
        Some(node) => decode_template(node, place, sink),
        None => Some(Template::default()),
    };
    table.note_default("template.compression", &Template::default().compression);
    let boot = table.required("boot");
    let outputs = table.required("outputs");
    let budgets = table.node("budgets").map_or_else(Vec::new, |node| decode_budgets(node, sink));
    let tests = table.or_default("tests");
    let limits = table.or_default("limits");
    let iso_label = table.node("iso").and_then(|node| decode_iso(node, sink));
    let span = table.key("recipe").unwrap_or(table.span);
    if let Some(name) = name.as_ref().filter(|name: &&At<Name>| Name::fault(name).is_none()) {
        table.note_default("iso.label", &volume_id(name));
    }
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
        platform: platform?,
        arch,
        summary,
        epoch: epoch?.0,
        toolchains: toolchains?,
        kernel: kernel?,
        rootfs: rootfs?,
        archive: archive?,
        squashfs: squashfs?,
        initrd: initrd?,
        template: template?,
        boot: boot?,
        outputs: outputs?,
        budgets,
        tests,
        limits,
        iso_label,
        span,
    })
}

/// Reads `budgets`: bytes by output.
fn decode_budgets(node: &YamlNode, sink: &FindingSink) -> Vec<(OutputKind, At<u64>)> {
    let Some(table) = Table::open(node, &keys::BUDGETS, sink) else { return Vec::new() };
    let budget = |kind: OutputKind| {
        let size: At<Size> = table.optional(kind.word())?;
        Some((kind, At { value: size.value.0, span: size.span }))
    };
    let budgets = OutputKind::all().filter_map(budget).collect();
    table.close();
    budgets
}

/// Reads `iso`: settings that only concern the ISO.
fn decode_iso(node: &YamlNode, sink: &FindingSink) -> Option<At<String>> {
    let table = Table::open(node, &keys::ISO, sink)?;
    let label = table.optional("label");
    table.close();
    label
}

/// The words for the compressions of a squashfs.
const PACKINGS: [(&str, Packing); 4] =
    [("zstd", Packing::Zstd), ("xz", Packing::Xz), ("gzip", Packing::Gzip), ("lz4", Packing::Lz4)];

/// A block size as it is written in a recipe.
fn block_text(bytes: u32) -> String {
    format!("{}K", bytes >> 10)
}

fn decode_squashfs(node: &YamlNode, sink: &FindingSink) -> Option<SquashfsOptions> {
    let table = Table::open(node, &keys::SQUASHFS, sink)?;
    let default = SquashfsOptions::default();
    let packing = table.word_or("compression", &PACKINGS, default.packing);
    let block: Option<At<Size>> = table.optional("block");
    table.note_default("block", &block_text(default.block));
    table.close();
    let block = match block.map(|block| (block.value.0, block.span)) {
        None => default.block,
        Some((size, span)) => match u32::try_from(size).ok().filter(|size| Squashfs::can_have_block(*size)) {
            Some(block) => block,
            None => {
                let message = "the block size of a squashfs must be a power of two from 4K to 1M";
                sink.borrow_mut().add("squashfs", span, message).help("block: 256K");
                return None;
            }
        },
    };
    Some(SquashfsOptions { packing: packing?, block })
}

struct Epoch(i64);

impl Decode for Epoch {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
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
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::TOOLCHAINS, sink)?;
        let (build, image, boot) = (table.required("build"), table.required("image"), table.required("boot"));
        table.close();
        Some(Self { build: build?, image: image?, boot: boot? })
    }
}

fn decode_kernel(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<Kernel> {
    let table = Table::open(node, &keys::KERNEL, sink)?;
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
            let suites = required(&table, "debian", |node| decode_suites(node, place.scope, sink));
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

fn decode_initrd(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<Initrd> {
    let table = Table::open(node, &keys::INITRD, sink)?;
    let compression = table.or("compression", Compression::Zstd);
    let words = [("squashfs", Livefs::Squashfs), ("erofs", Livefs::Erofs), ("none", Livefs::None)];
    let livefs = table.word_or("livefs", &words, Livefs::Squashfs);
    let components = table.or_default("components");
    let overlays = decode_overlays(&table, place, sink);
    let early: Vec<(MappingKey, At<String>)> = table.or_default("early");
    let early = early
        .into_iter()
        .filter_map(|(key, file)| {
            let path = place.existing(&file, file.span, "file", sink)?;
            Some((key.name, At { value: path, span: file.span }))
        })
        .collect();
    table.close();
    // An invalid word has been reported already; the rest is still checked.
    let livefs = livefs.unwrap_or(Livefs::Squashfs);
    Some(Initrd { compression, livefs, components, overlays, early })
}

impl Image {
    /// The disks of a test's machine: those given or, if it boots from a disk and has none, one with the entry's system.
    pub fn disks_of(&self, machine: &TestMachine, boots: &[TestBoot]) -> Vec<TestDisk> {
        let started = boots.iter().find(|boot| boot.medium.unwrap_or(machine.medium) == TestMedium::Disk);
        match started {
            Some(boot) if machine.disks.is_empty() => {
                let system = self.entry(&boot.entry).and_then(|entry| entry.system.clone()).unwrap_or_default();
                let system = At { value: system, span: boot.entry.span };
                vec![TestDisk {
                    bus: Bus::Virtio,
                    size: None,
                    label: Some("dbco".into()),
                    systems: vec![system],
                    template: false,
                    span: boot.entry.span,
                }]
            }
            _ => machine.disks.clone(),
        }
    }

    /// The volume name of the ISO.
    pub fn volume(&self) -> String {
        self.iso_label.as_ref().map_or_else(|| volume_id(&self.name), |label| label.value.clone())
    }

    /// The trees in the recipe: the root filesystem, and the template's own content.
    pub fn contents(&self) -> impl Iterator<Item = &Rootfs> {
        [Some(&self.rootfs), self.template.content.as_ref()].into_iter().flatten()
    }

    /// Whether the recipe has an output of that kind.
    pub fn gives(&self, kind: OutputKind) -> bool {
        self.outputs.iter().any(|output| output.value == kind)
    }

    /// The tree that the recipe is about: the template's own content if that is its only output, otherwise the live
    /// system's.
    pub fn subject(&self) -> &Rootfs {
        let other = self.outputs.iter().any(|output| output.value != OutputKind::Template);
        self.template.content.as_ref().filter(|_| !other).unwrap_or(&self.rootfs)
    }

    /// The boot menu's entry of that id.
    pub fn entry(&self, id: &str) -> Option<&BootEntry> {
        self.boot.entries.iter().find(|entry| *entry.id.value == *id)
    }
}
