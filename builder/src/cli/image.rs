//! `dbco inspect`, `ls`, `cat` and `extract`: images of any origin, read without root.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::extract::extract;
use super::session::CliSession;
use super::{CommandResult, usage};
use crate::printable::printable;
use crate::reader::{Address, Entry, Kind, Limits, Opened, ReaderError, is_below};

/// The syntax of addresses, for the help of each command.
pub const ADDRESSES: &str = "`//` enters an image, and an image inside it: `live.iso//boot/initrd.img//system.sfs//usr/bin/env`.\n\
     Of a disk with partitions `disk.img//1` is the first one; of an ISO `live.iso//@boot/1` is El Torito's first image and\n\
     `live.iso//@partition/2` the second partition; of a unified kernel image `linux.efi//.initrd` is a section; of a kernel\n\
     `bzImage//config` is its embedded configuration.";

#[derive(Debug, Args)]
pub struct LimitArgs {
    /// The most bytes that a compressed image, or a file in one, may unpack to
    #[arg(long, value_name = "SIZE", default_value = "16G", value_parser = super::gc::size)]
    max_unpacked: u64,
}

impl LimitArgs {
    pub fn limits(&self) -> Limits {
        Limits { unpacked: self.max_unpacked, ..Limits::USUAL }
    }
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The image: FILE, or FILE//PATH for one inside another
    #[arg(value_name = "IMAGE")]
    image: OsString,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct LsArgs {
    /// FILE, or FILE//PATH
    #[arg(value_name = "IMAGE[//PATH]")]
    image: OsString,
    /// Types, permissions, owners, sizes, times (UTC) and targets of links
    #[arg(short, long)]
    long: bool,
    /// Show only what is at most this many levels below the path
    #[arg(short, long, value_name = "N")]
    depth: Option<usize>,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct CatArgs {
    /// A file in an image
    #[arg(value_name = "IMAGE//PATH")]
    image: OsString,
    #[command(flatten)]
    limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// An image, or a file or folder in one
    #[arg(value_name = "IMAGE[//PATH]")]
    image: OsString,
    /// The folder to create; if it exists it must be empty
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Opens an address. A file of the host that can't be opened is a wrong argument.
pub fn open(image: &OsString, limits: &Limits) -> Result<Opened, super::CommandError> {
    let address = Address::parse(image);
    if let Err(error) = crate::input::open(&address.file) {
        let path = crate::printable::path(&address.file).to_string();
        return Err(usage(anyhow::Error::from(error).context(format!("can't open {path}"))));
    }
    Ok(address.open(limits)?)
}

pub fn inspect(session: &CliSession<'_>, args: &InspectArgs) -> CommandResult {
    let limits = args.limits.limits();
    let opened = open(&args.image, &limits)?.into_image(&limits)?;
    let place = opened.place();
    let report =
        crate::inspect::examine(&opened.image, &limits).map_err(|fault| ReaderError { place: place.clone(), fault })?;
    let mut value = serde_json::to_value(&report)?;
    value["event"] = json!("image");
    value["path"] = json!(place);
    if !session.printer.value(&value) {
        let mut text = String::new();
        super::report::write(&mut text, &place, &report, 0);
        text.lines().for_each(|line| session.printer.line(line));
    }
    Ok(())
}

pub fn ls(session: &CliSession<'_>, args: &LsArgs) -> CommandResult {
    let opened = open(&args.image, &args.limits.limits())?;
    let base = match opened.path.is_empty() {
        true => Vec::new(),
        false => opened.entry().map(|entry| entry.path.clone()).or_else(|error| implied(&opened).ok_or(error))?,
    };
    let Some(listing) = opened.image.listing() else {
        let what = opened.image.format.describe();
        return Err(
            anyhow::anyhow!("{}: it is {what}, which contains no files that dbco can read", opened.place()).into()
        );
    };
    for entry in listing.entries() {
        let itself = entry.path == base;
        if !itself && !is_below(&entry.path, &base) {
            continue;
        }
        // A folder is named by what it contains, and a file by itself.
        let levels = parts(&entry.path).saturating_sub(parts(&base));
        if args.depth.is_some_and(|most| levels > most) {
            continue;
        }
        if !session.printer.value(&entry_json(entry)) {
            let line = if args.long { long(entry) } else { path(entry) };
            session.printer.line(&line);
        }
    }
    Ok(())
}

/// A folder that only exists as the parent of others, as archives may have.
fn implied(opened: &Opened) -> Option<Vec<u8>> {
    let listing = opened.image.listing()?;
    listing.has_below(&opened.path).then(|| opened.path.clone())
}

fn parts(path: &[u8]) -> usize {
    if path.is_empty() { 0 } else { path.split(|&byte| byte == b'/').count() }
}

/// The root is shown as `.`, as cpio(1) does.
fn path(entry: &Entry) -> String {
    if entry.path.is_empty() { ".".into() } else { printable(&entry.path).to_string() }
}

fn long(entry: &Entry) -> String {
    let size = match &entry.kind {
        Kind::Char(Some((major, minor))) | Kind::Block(Some((major, minor))) => format!("{major},{minor}"),
        Kind::Char(None) | Kind::Block(None) => "?,?".into(),
        _ => entry.size.to_string(),
    };
    let time = entry.mtime.and_then(|time| jiff::Timestamp::from_second(time).ok());
    let time = time.map_or("-".into(), |time| time.strftime("%Y-%m-%d %H:%M").to_string());
    let target = match &entry.kind {
        Kind::Symlink(target) => format!(" -> {}", printable(target)),
        _ => String::new(),
    };
    let owner = format!("{}/{}", entry.uid, entry.gid);
    format!("{} {owner:<11} {size:>10} {time:<16} {}{target}", entry.permissions(), path(entry))
}

/// An entry as an event. Bytes that are not UTF-8 are replaced, and given in hexadecimal as well.
pub fn entry_json(entry: &Entry) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut value = json!({
        "event": "entry", "path": text(&entry.path), "type": entry.kind.letter().to_string(),
        "mode": format!("{:04o}", entry.mode), "uid": entry.uid, "gid": entry.gid, "size": entry.size,
        "mtime": entry.mtime, "segment": entry.segment,
    });
    if std::str::from_utf8(&entry.path).is_err() {
        value["path-bytes"] = json!(hex(&entry.path));
    }
    match &entry.kind {
        Kind::Symlink(target) => value["target"] = json!(text(target)),
        Kind::Char(Some((major, minor))) | Kind::Block(Some((major, minor))) => value["device"] = json!([major, minor]),
        _ => {}
    }
    if let Some(inode) = entry.inode {
        value["inode"] = json!(inode);
    }
    if !entry.xattrs.is_empty() {
        let xattrs = entry.xattrs.iter().map(|(name, bytes)| (text(name), json!(hex(bytes))));
        value["xattrs"] = Value::Object(xattrs.collect());
    }
    value
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn cat(session: &CliSession<'_>, args: &CatArgs) -> CommandResult {
    let opened = open(&args.image, &args.limits.limits())?;
    if opened.path.is_empty() {
        return Err(usage(anyhow::anyhow!("expected IMAGE//PATH, the path of a file inside the image")));
    }
    let entry = opened.entry()?;
    if !entry.is_file() {
        return Err(
            anyhow::anyhow!("{}//{}: it is {}, not a file", opened.place(), path(entry), entry.kind.name()).into()
        );
    }
    let copied = session.printer.raw(&mut *opened.content(entry)?.reader());
    copied.map_err(|error| opened.reading(entry, error))?;
    Ok(())
}

pub fn extract_command(session: &CliSession<'_>, args: &ExtractArgs) -> CommandResult {
    let opened = open(&args.image, &args.limits.limits())?;
    let done = extract(&opened, &args.output, args.limits.limits().unpacked)?;
    for (path, why) in &done.left_out {
        session.printer.note(&format!("not written: {}: {why}", printable(path)));
    }
    let value = json!({
        "event": "extracted", "output": args.output, "files": done.files, "bytes": done.bytes,
        "left-out": done.left_out.len(),
    });
    if !session.printer.value(&value) {
        let what = super::prose::count(done.files, "file");
        let output = crate::printable::path(&args.output).to_string();
        session.printer.line(&format!("{output}: {what}, {}", super::prose::bytes(done.bytes)));
    }
    match done.left_out.is_empty() {
        true => Ok(()),
        false => Err(super::CommandError::Reported),
    }
}
