//! Two images of any format.

use std::collections::BTreeMap;

use super::content::settings;
use super::{At, CompareOptions, Comparison, Topic, tree};
use crate::inspect::small;
use crate::reader::{Fault, Filesystem, Format, Image, KernelInfo, PartitionTable};

/// The most bytes of an embedded configuration or command line.
const TEXT: u64 = 16 << 20;

/// Compares two images; `place` is empty for the outermost ones.
pub fn images(out: &mut Comparison, place: &str, a: &Image, b: &Image, options: &CompareOptions) -> Result<(), Fault> {
    let before = out.differences.len();
    let shown = if place.is_empty() { "the image" } else { place };
    if a.format.word() != b.format.word() {
        let at = At { topic: Topic::Format, place, subject: shown };
        out.value(&at, "format", &a.format.describe(), &b.format.describe());
        return Ok(());
    }
    let codec = |image: &Image| image.codec.map_or("none".to_owned(), |codec| codec.to_string());
    if codec(a) != codec(b) {
        out.notes.push(format!("{shown}: compression {}, {}", codec(a), codec(b)));
    }
    if a.size != b.size {
        out.notes.push(format!("{shown}: {} bytes, {} bytes ({:+})", a.size, b.size, b.size as i128 - a.size as i128));
    }
    formats(out, place, a, b)?;
    match (a.filesystem(), b.filesystem()) {
        (Some(old), Some(new)) => match (&a.format, &b.format) {
            (Format::Kernel(info), Format::Kernel(other)) => kernels(out, place, (info, old), (other, new))?,
            _ => tree::compare(out, place, old, new, options)?,
        },
        _ => bytes(out, place, a, b)?,
    }
    if out.differences.len() == before
        && a.size == b.size
        && super::content::first_difference(&mut a.data.cursor(), &mut b.data.cursor())?.is_some()
    {
        out.notes.push(format!("{shown}: the same content, stored in other bytes"));
    }
    Ok(())
}

/// What only a format has.
fn formats(out: &mut Comparison, place: &str, a: &Image, b: &Image) -> Result<(), Fault> {
    let boot = |subject| At { topic: Topic::Boot, place, subject };
    match (&a.format, &b.format) {
        (Format::Initrd { segments: old, .. }, Format::Initrd { segments: new, .. }) => {
            let codecs = |segments: &[crate::reader::InitrdSegment]| {
                let codec = |segment: &crate::reader::InitrdSegment| {
                    segment.codec.map_or("none".to_owned(), |codec| codec.to_string())
                };
                segments.iter().map(codec).collect::<Vec<_>>().join(", ")
            };
            // Whether a kernel can unpack it.
            out.value(&boot("segments"), "compression", &codecs(old), &codecs(new));
        }
        (Format::Squashfs(old), Format::Squashfs(new)) => {
            let codec =
                |codec: Option<crate::reader::Codec>| codec.map_or("unknown".to_owned(), |codec| codec.to_string());
            out.value(&boot("squashfs"), "compression", &codec(old.codec), &codec(new.codec));
            if old.block != new.block {
                out.notes.push(format!("{place}: squashfs blocks of {}, {} bytes", old.block, new.block));
            }
        }
        (Format::Ext { label: old }, Format::Ext { label: new }) => out.value(&boot("file system"), "label", old, new),
        (Format::Fat { variant, label, serial }, Format::Fat { variant: other, label: new, serial: number }) => {
            out.value(&boot("FAT"), "variant", variant, other);
            out.value(&boot("FAT"), "label", label, new);
            out.value(&boot("FAT"), "serial number", &format!("{serial:08x}"), &format!("{number:08x}"));
        }
        (Format::Iso(old), Format::Iso(new)) => {
            out.value(&boot("ISO"), "label", &old.label, &new.label);
            let text = |images: &[crate::reader::BootImage]| -> BTreeMap<String, String> {
                let text = |(index, image): (usize, &crate::reader::BootImage)| {
                    let bootable = if image.bootable { "" } else { ", not bootable" };
                    let value =
                        format!("{}, {}{bootable}, {} sectors loaded", image.platform, image.emulation, image.load);
                    (format!("El Torito {}", index + 1), value)
                };
                images.iter().enumerate().map(text).collect()
            };
            out.maps(Topic::Boot, place, &text(&old.boot), &text(&new.boot));
            out.maps(Topic::Boot, place, &partitions(old.table.as_ref()), &partitions(new.table.as_ref()));
            // The code that a BIOS starts from a USB stick; partitions are compared above.
            let code = |image: &Image| image.data.bytes(0, image.data.len().min(440) as usize);
            if code(a)? != code(b)? {
                let (before, after) = (Some("440 bytes".to_owned()), Some("other bytes".to_owned()));
                out.change(&boot("boot code of the MBR"), "content", before, after);
            }
        }
        (Format::Disk(old), Format::Disk(new)) => {
            out.maps(Topic::Boot, place, &partitions(Some(old)), &partitions(Some(new)));
        }
        _ => {}
    }
    Ok(())
}

fn partitions(table: Option<&PartitionTable>) -> BTreeMap<String, String> {
    let Some(table) = table else { return BTreeMap::new() };
    let mut rows = BTreeMap::from([("partition table".to_owned(), format!("{}, {}", table.kind, table.id))]);
    for (partitions, of) in [(&table.partitions, ""), (&table.hybrid, " of the MBR")] {
        for partition in partitions {
            let kind = if partition.kind_name.is_empty() { &partition.kind } else { partition.kind_name };
            let active = if partition.active { ", active" } else { "" };
            let value = format!(
                "{kind}, {} bytes at {}, {} {}{active}",
                partition.size, partition.start, partition.name, partition.id
            );
            rows.insert(format!("partition {}{of}", partition.number), value.trim_end().to_owned());
        }
    }
    rows
}

fn kernels(
    out: &mut Comparison,
    place: &str,
    (old, files): (&KernelInfo, &dyn Filesystem),
    (new, others): (&KernelInfo, &dyn Filesystem),
) -> Result<(), Fault> {
    let before = out.differences.len();
    let at = |subject| At { topic: Topic::Kernel, place, subject };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "not stated".into());
    out.value(&at("kernel"), "version", &text(&old.version), &text(&new.version));
    out.value(&at("kernel"), "boot protocol", &text(&old.protocol), &text(&new.protocol));
    let codec = |info: &KernelInfo| info.codec.map_or("none".to_owned(), |codec| codec.to_string());
    out.value(&at("kernel"), "compression", &codec(old), &codec(new));
    out.value(&at("kernel"), "EFI stub", &old.efi_stub, &new.efi_stub);
    let config = |files: &dyn Filesystem| match files.listing().get(b"config") {
        Some(entry) => small(files, entry, TEXT).map(|text| Some(settings(&String::from_utf8_lossy(&text)))),
        None => Ok(None),
    };
    match (config(files)?, config(others)?) {
        (Some(old), Some(new)) => out.maps(Topic::Config, place, &old, &new),
        (None, None) => {}
        (old, _) => {
            let (yes, no) = (Some("embedded".to_owned()), Some("not embedded".to_owned()));
            let (before, after) = if old.is_some() { (yes, no) } else { (no, yes) };
            out.change(&at("configuration"), "", before, after);
        }
    }
    // The same version and configuration: the code differs, by a patch or the compiler.
    if out.differences.len() == before
        && let (Some(a), Some(b)) = (files.listing().get(b"payload"), others.listing().get(b"payload"))
    {
        let differs = super::content::first_difference(&mut *files.open(a)?.reader(), &mut *others.open(b)?.reader())?;
        if let Some(byte) = differs {
            let (before, after) =
                (format!("{} bytes", a.size), format!("{} bytes, different from byte {byte} on", b.size));
            out.change(&at("code"), "content", Some(before), Some(after));
        }
    }
    Ok(())
}

fn bytes(out: &mut Comparison, place: &str, a: &Image, b: &Image) -> Result<(), Fault> {
    let differs = super::content::first_difference(&mut a.data.cursor(), &mut b.data.cursor())?;
    if let Some(byte) = differs {
        let at = At { topic: Topic::File, place, subject: if place.is_empty() { "the image" } else { place } };
        let (before, after) = (format!("{} bytes", a.size), format!("{} bytes, different from byte {byte} on", b.size));
        out.change(&at, "content", Some(before), Some(after));
    }
    Ok(())
}
