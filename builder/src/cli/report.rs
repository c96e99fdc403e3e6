//! The report of `dbco inspect` as text.

use std::fmt::Write as _;

use serde_json::Value;

use super::prose::{bytes, count};
use crate::inspect::Report;

/// Appends a report, indented by its depth.
pub fn write(out: &mut String, path: &str, report: &Report, depth: usize) {
    let indent = "  ".repeat(depth);
    let packed = report.compression.as_ref().map(|codec| format!(", compressed with {codec}")).unwrap_or_default();
    let _ = writeln!(out, "{indent}{path}: {}{packed}, {}", report.description, bytes(report.size));
    let mut line = |text: String| {
        let _ = writeln!(out, "{indent}  {text}");
    };
    details(report, &mut line);
    if let Some(text) = &report.command_line {
        line(format!("command line: {text}"));
    }
    for (file, entries) in &report.grub {
        line(format!("{file}: {}", entries_count(entries.len())));
        for entry in entries {
            line(format!("  \"{}\"", entry.title));
            if !entry.kernel.is_empty() {
                line(format!("    {} {}", entry.kernel, entry.command_line).trim_end().to_owned());
            }
            if !entry.initrd.is_empty() {
                line(format!("    initrd {}", entry.initrd.join(" ")));
            }
        }
    }
    if let Some(totals) = &report.totals {
        let mut parts = vec![count(totals.files, "file"), count(totals.folders, "folder"), count(totals.links, "link")];
        parts.extend((totals.devices > 0).then(|| count(totals.devices, "device")));
        parts.extend((totals.others > 0).then(|| format!("{} other", totals.others)));
        line(format!("{}; {}", parts.join(", "), bytes(totals.bytes)));
        let mut folders: Vec<_> = totals.by_folder.iter().collect();
        folders.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (folder, size) in folders.iter().take(8) {
            let folder = if folder.is_empty() { "." } else { folder };
            line(format!("  {:>11}  {folder}", bytes(**size)));
        }
        if folders.len() > 8 {
            line(format!("  and {} more", folders.len() - 8));
        }
    }
    if report.packages > 0 {
        line(format!("{} installed according to dpkg", count(report.packages, "package")));
    }
    report.faults.iter().for_each(|fault| line(format!("can't be read: {fault}")));
    for image in &report.images {
        write(out, &format!("//{}", image.path), image, depth + 1);
    }
}

fn entries_count(number: usize) -> String {
    if number == 1 { "1 entry".into() } else { format!("{number} entries") }
}

fn details(report: &Report, line: &mut dyn FnMut(String)) {
    let details = &report.details;
    let text = |key: &str| details[key].as_str().unwrap_or_default().to_owned();
    match report.format {
        "kernel" => {
            line(format!("version: {}", details["version"].as_str().unwrap_or("not stated")));
            if let Some(codec) = details["codec"].as_str() {
                line(format!("payload: {codec}, {} unpacked", bytes(details["unpacked"].as_u64().unwrap_or(0))));
            }
            let yes = |value: &Value| if value == &Value::Bool(true) { "yes" } else { "no" };
            line(format!(
                "EFI stub: {}; embedded configuration: {}",
                yes(&details["efi_stub"]),
                yes(&details["has_config"])
            ));
        }
        "initrd" => {
            for segment in details["segments"].as_array().into_iter().flatten() {
                let number = |key: &str| segment[key].as_u64().unwrap_or(0);
                let codec = segment["compression"].as_str().unwrap_or("not compressed");
                line(format!(
                    "segment at {}: {codec}, {} ({} unpacked), {}",
                    number("offset"),
                    bytes(number("size")),
                    bytes(number("unpacked")),
                    entries_count(number("entries") as usize)
                ));
            }
            if let Some(rest) = details["rest"].as_object() {
                line(format!(
                    "{} bytes at {} are not part of it: the kernel stops there",
                    rest["size"], rest["offset"]
                ));
            }
        }
        "squashfs" => line(format!(
            "compression: {}, blocks of {}, {} used",
            details["compression"].as_str().unwrap_or("unknown"),
            bytes(details["block"].as_u64().unwrap_or(0)),
            bytes(details["used"].as_u64().unwrap_or(0))
        )),
        "fat" => line(format!("label: {}, serial number {}", text("label"), text("serial"))),
        "ext" => line(format!("label: {}", text("label"))),
        "iso" => {
            let maker = text("application");
            let maker = if maker.is_empty() { maker } else { format!("; made by: {maker}") };
            line(format!("label: {}{maker}; names: {}", text("label"), text("names")));
            for (index, image) in details["boot"].as_array().into_iter().flatten().enumerate() {
                let platform = image["platform"].as_str().unwrap_or_default();
                let emulation = image["emulation"].as_str().unwrap_or_default();
                let sector = image["sector"].as_u64().unwrap_or(0);
                let not = if image["bootable"] == Value::Bool(true) { "" } else { ", not bootable" };
                line(format!("@boot/{}: El Torito for {platform}, {emulation}, at sector {sector}{not}", index + 1));
            }
            table(&details["table"], line);
        }
        "disk" => table(details, line),
        "uki" | "efi-program" => {
            for section in details["sections"].as_array().into_iter().flatten() {
                line(format!(
                    "section {}: {}",
                    section["name"].as_str().unwrap_or_default(),
                    bytes(section["size"].as_u64().unwrap_or(0))
                ));
            }
        }
        "qcow2" => {
            line(format!("disk of {}; to read it: qemu-img convert", bytes(details["disk"].as_u64().unwrap_or(0))))
        }
        _ => {}
    }
}

fn table(table: &Value, line: &mut dyn FnMut(String)) {
    let Some(kind) = table["kind"].as_str() else { return };
    line(format!("partition table: {kind}, {}", table["id"].as_str().unwrap_or_default()));
    for (list, of) in [("partitions", ""), ("hybrid", " (MBR)")] {
        for partition in table[list].as_array().into_iter().flatten() {
            let text = |key: &str| partition[key].as_str().unwrap_or_default();
            let name = if text("kind_name").is_empty() { text("kind") } else { text("kind_name") };
            let label = if text("name").is_empty() { String::new() } else { format!(", \"{}\"", text("name")) };
            let active = if partition["active"] == Value::Bool(true) { ", active" } else { "" };
            line(format!(
                "  partition {}{of}: {} at {}, {name}{label}{active}",
                partition["number"],
                bytes(partition["size"].as_u64().unwrap_or(0)),
                partition["start"]
            ));
        }
    }
    for fault in table["faults"].as_array().into_iter().flatten() {
        line(format!("  {}", fault.as_str().unwrap_or_default()));
    }
}
