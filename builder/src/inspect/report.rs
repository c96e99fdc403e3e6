//! An image as a report: its format, how it boots, its tree in numbers, the images inside it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{GrubEntry, grub_entries, packages, small};
use crate::printable::printable;
use crate::reader::{Entry, Fault, Filesystem, Format, Image, Kind, Limits, Region};

/// What is known of an image.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The path inside the image that contains it; empty for the outermost.
    pub path: String,
    /// A word for the format: `iso`, `initrd` …
    pub format: &'static str,
    /// The format in words.
    pub description: String,
    /// The compression around it.
    pub compression: Option<String>,
    /// Bytes of the file.
    pub size: u64,
    /// What only this format has.
    pub details: Value,
    /// How it boots: the entries of GRUB configurations, by file.
    pub grub: BTreeMap<String, Vec<GrubEntry>>,
    /// The command line of a unified kernel image.
    pub command_line: Option<String>,
    /// Its entries in numbers.
    pub totals: Option<Totals>,
    /// Installed packages.
    pub packages: usize,
    /// The kernels, initrds and file systems in it.
    pub images: Vec<Report>,
    /// Files in it that look like images, and can't be read.
    pub faults: Vec<String>,
}

/// Entries by type, and their size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Regular files, each name of a file with several counted.
    pub files: usize,
    /// Folders.
    pub folders: usize,
    /// Symbolic links.
    pub links: usize,
    /// Character and block devices.
    pub devices: usize,
    /// Pipes and sockets.
    pub others: usize,
    /// Bytes of the files, those with several names counted once.
    pub bytes: u64,
    /// Bytes by folder at the top.
    pub by_folder: BTreeMap<String, u64>,
}

/// Images inside each other that are reported.
const DEPTH: usize = 4;
/// A smaller file is no image.
const SMALLEST: u64 = 32;
/// Images in one container that are reported.
const MOST: usize = 100;
/// The most bytes of a GRUB configuration.
const GRUB: u64 = 1 << 20;

/// Examines an image and what it contains.
pub fn examine(image: &Image, limits: &Limits) -> Result<Report, Fault> {
    within(image, String::new(), limits, 0)
}

fn within(image: &Image, path: String, limits: &Limits, depth: usize) -> Result<Report, Fault> {
    let mut report = Report {
        path,
        format: image.format.word(),
        description: image.format.describe(),
        compression: image.codec.map(|codec| codec.to_string()),
        size: image.size,
        details: details(&image.format),
        grub: BTreeMap::new(),
        command_line: None,
        totals: None,
        packages: 0,
        images: Vec::new(),
        faults: Vec::new(),
    };
    let Some(filesystem) = image.filesystem() else { return Ok(report) };
    let listing = filesystem.listing();
    let is_tree = !matches!(image.format, Format::Kernel(_) | Format::Uki(_) | Format::EfiProgram(_) | Format::Disk(_));
    if is_tree {
        report.totals = Some(totals(listing.tree()));
        report.packages = packages::installed(filesystem)?.len();
    }
    let mut seen: Vec<Region> = Vec::new();
    for entry in listing.entries() {
        let shown = printable(&entry.path).to_string();
        if is_tree && entry.is_file() && entry.name() == b"grub.cfg" && entry.size <= GRUB {
            let script = small(filesystem, entry, GRUB)?;
            report.grub.insert(shown.clone(), grub_entries(&String::from_utf8_lossy(&script)));
        }
        if entry.path == b".cmdline" && matches!(image.format, Format::Uki(_)) {
            let text = small(filesystem, entry, GRUB)?;
            let text = String::from_utf8_lossy(&text);
            report.command_line = Some(text.trim_end_matches(['\0', '\n']).to_owned());
        }
        let inside = depth + 1 < DEPTH && entry.is_file() && entry.size >= SMALLEST && report.images.len() < MOST;
        if inside && !matches!(image.format, Format::Kernel(_)) && may_be_image(entry, &image.format) {
            match open(filesystem, entry, &mut seen, limits).and_then(|inner| match inner {
                Some(inner) => within(&inner, shown.clone(), limits, depth + 1).map(Some),
                None => Ok(None),
            }) {
                Ok(inner) => report.images.extend(inner),
                Err(error @ Fault::Io(_)) => return Err(error),
                Err(fault) => report.faults.push(format!("{shown}: {fault}")),
            }
        }
    }
    Ok(report)
}

/// Whether a file is opened to see what it is: by its name, as a tree may have 100,000 files.
fn may_be_image(entry: &Entry, container: &Format) -> bool {
    match container {
        Format::Disk(_) | Format::Uki(_) => return true,
        _ if entry.beside => return true,
        _ => {}
    }
    let name = String::from_utf8_lossy(entry.name()).to_ascii_lowercase();
    let starts =
        ["vmlinuz", "bzimage", "initrd", "initramfs", "linux", "kernel", "uki", "filesystem.", "rootfs", "microcode"];
    let ends =
        [".sfs", ".squashfs", ".erofs", ".img", ".efi", ".iso", ".ext4", ".cpio", ".cpio.gz", ".cpio.xz", ".cpio.zst"];
    let below_modules = entry.path.windows(12).any(|part| part == b"lib/modules/");
    !below_modules && (starts.iter().any(|start| name.starts_with(start)) || ends.iter().any(|end| name.ends_with(end)))
}

/// A file as an image; `None` if it is none, or if it is the one at the same place under another name, as an ISO's boot
/// images are.
fn open(
    filesystem: &dyn Filesystem,
    entry: &Entry,
    seen: &mut Vec<Region>,
    limits: &Limits,
) -> Result<Option<Image>, Fault> {
    let data = filesystem.open(entry)?.region(limits)?;
    if seen.iter().any(|other| other.starts_as(&data)) {
        return Ok(None);
    }
    seen.push(data.clone());
    let image = Image::open(&data, limits)?;
    Ok(Some(image).filter(|image| !matches!(image.format, Format::Unknown | Format::EfiProgram(_))))
}

fn totals<'a>(entries: impl Iterator<Item = &'a Entry>) -> Totals {
    let mut totals = Totals::default();
    let mut seen = std::collections::HashSet::new();
    for entry in entries {
        match entry.kind {
            Kind::File => totals.files += 1,
            Kind::Dir => totals.folders += 1,
            Kind::Symlink(_) => totals.links += 1,
            Kind::Char(_) | Kind::Block(_) => totals.devices += 1,
            Kind::Fifo | Kind::Socket => totals.others += 1,
        }
        let first = entry.inode.is_none_or(|inode| seen.insert((entry.segment, inode)));
        if first && entry.is_file() {
            totals.bytes += entry.size;
            let mut parts = entry.path.splitn(2, |&byte| byte == b'/');
            let top = parts.next().filter(|_| parts.next().is_some()).unwrap_or_default();
            *totals.by_folder.entry(printable(top).to_string()).or_default() += entry.size;
        }
    }
    totals
}

fn details(format: &Format) -> Value {
    match format {
        Format::Kernel(info) => json!(info),
        Format::Uki(sections) | Format::EfiProgram(sections) => json!({"sections": sections}),
        Format::Initrd { segments, rest } => {
            let segment = |segment: &crate::reader::InitrdSegment| {
                json!({
                    "offset": segment.offset, "size": segment.size, "compression": segment.codec,
                    "unpacked": segment.unpacked, "entries": segment.entries,
                })
            };
            let rest = rest.map(|(offset, size)| json!({"offset": offset, "size": size}));
            json!({"segments": segments.iter().map(segment).collect::<Vec<_>>(), "rest": rest})
        }
        Format::Squashfs(info) => json!({
            "compression": info.codec, "block": info.block, "inodes": info.inodes, "time": info.time, "used": info.size,
        }),
        Format::Ext { label } => json!({"label": label}),
        Format::Fat { variant, label, serial } => {
            json!({"variant": variant, "label": label, "serial": format!("{serial:08x}")})
        }
        Format::Iso(info) => json!(info),
        Format::Disk(table) => json!(table),
        Format::Qcow2 { disk } => json!({"disk": disk}),
        Format::Erofs | Format::Tar | Format::Unknown => Value::Null,
    }
}
