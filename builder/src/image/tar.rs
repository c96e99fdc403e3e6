//! A tree as a tar stream: POSIX ustar, with pax records (POSIX.1-2017, `pax`) for values that ustar has no room for.

use std::io::Write;

use super::content::copy_checked;
use super::{Contents, ImageError, rooted};
use crate::tree::{Entry, Node, Tree, TreePath};

const FORMAT: &str = "tar";

/// A size or owner that does not fit into ustar's octal digits is stored in a pax record.
const MAX_SIZE: u64 = 0o77777777777;
const MAX_ID: u32 = 0o7777777;

/// Writes the whole tree, the root (`./`) first, with `epoch` as every time. Memory use does not depend on the size of
/// the tree.
pub fn write_tar(tree: &Tree, contents: &dyn Contents, epoch: u64, out: impl Write) -> Result<(), ImageError> {
    if epoch > MAX_SIZE {
        return Err(ImageError::Epoch { format: FORMAT, epoch });
    }
    let mut archive = tar::Builder::new(out);
    let links = tree.hard_links();
    for item in rooted(tree) {
        let (path, entry) = item?;
        match links.earlier(&path, &entry) {
            Some(first) => write_link(&path, &entry, first, epoch, &mut archive)?,
            None => write_entry(&path, &entry, contents, epoch, &mut archive)?,
        }
    }
    archive.into_inner().and_then(|mut out| out.flush()).map_err(ImageError::Write)
}

fn write_entry<W: Write>(
    path: &TreePath,
    entry: &Entry,
    contents: &dyn Contents,
    epoch: u64,
    archive: &mut tar::Builder<W>,
) -> Result<(), ImageError> {
    if let Node::Char { major, minor } | Node::Block { major, minor } = entry.node
        && major.max(minor) > MAX_ID
    {
        let what = format!("device {major}:{minor} does not fit into its header");
        return Err(ImageError::CantHold { format: FORMAT, path: path.clone(), what });
    }
    let mut records: Vec<(String, Vec<u8>)> = Vec::new();
    let header = header(path, entry, None, epoch, &mut records);
    records.extend(entry.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.clone())));
    write_header(&header, &records, archive)?;
    let out = archive.get_mut();
    if let Node::File { blob, size } = &entry.node {
        copy_checked(contents, path, blob, *size, out)?;
        let padding = (512 - size % 512) % 512;
        out.write_all(&[0; 512][..padding as usize]).map_err(ImageError::Write)?;
    }
    Ok(())
}

/// Another name of an earlier file; it has the same attributes.
fn write_link<W: Write>(
    path: &TreePath,
    entry: &Entry,
    first: &TreePath,
    epoch: u64,
    archive: &mut tar::Builder<W>,
) -> Result<(), ImageError> {
    let mut records = Vec::new();
    let header = header(path, entry, Some(first), epoch, &mut records);
    write_header(&header, &records, archive)
}

fn write_header<W: Write>(
    header: &tar::Header,
    records: &[(String, Vec<u8>)],
    archive: &mut tar::Builder<W>,
) -> Result<(), ImageError> {
    if !records.is_empty() {
        let records = records.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        archive.append_pax_extensions(records).map_err(ImageError::Write)?;
    }
    archive.get_mut().write_all(header.as_bytes()).map_err(ImageError::Write)
}

fn header(
    path: &TreePath,
    entry: &Entry,
    first: Option<&TreePath>,
    epoch: u64,
    records: &mut Vec<(String, Vec<u8>)>,
) -> tar::Header {
    use tar::EntryType;
    let mut header = tar::Header::new_ustar();
    let slash = if entry.is_dir() && !path.is_root() { "/" } else { "" };
    let name = format!("./{}{slash}", path.as_str());
    // A value that does not fit is truncated in the header: readers use the record instead. Names with non-ASCII
    // characters are also stored in a record, whose encoding is UTF-8 by definition.
    let split = if name.is_ascii() { split(&name) } else { None };
    if split.is_none() {
        records.push(("path".into(), name.clone().into_bytes()));
    }
    let (prefix, rest) = split.unwrap_or(("", &name));
    let (kind, size) = match &entry.node {
        _ if first.is_some() => (EntryType::Link, 0),
        Node::Dir => (EntryType::Directory, 0),
        Node::File { size, .. } => (EntryType::Regular, *size),
        Node::Symlink { .. } => (EntryType::Symlink, 0),
        Node::Char { .. } => (EntryType::Char, 0),
        Node::Block { .. } => (EntryType::Block, 0),
        Node::Fifo => (EntryType::Fifo, 0),
    };
    header.set_entry_type(kind);
    let ustar = header.as_ustar_mut().expect("made as ustar");
    fill(&mut ustar.prefix, prefix);
    fill(&mut ustar.name, rest);
    let link = match &entry.node {
        Node::Symlink { target } => Some(target.clone()),
        _ => first.map(|first| format!("./{}", first.as_str())),
    };
    if let Some(text) = link {
        // The literal text: the crate's `set_link_name` would normalise it.
        if !text.is_ascii() || text.len() > ustar.linkname.len() {
            records.push(("linkpath".into(), text.clone().into_bytes()));
        }
        fill(&mut ustar.linkname, &text);
    }
    match &entry.node {
        Node::Char { major, minor } | Node::Block { major, minor } => {
            ustar.set_device_major(*major);
            ustar.set_device_minor(*minor);
        }
        _ => {}
    }
    let mut number = |name: &str, value: u64, max: u64| {
        if value > max {
            records.push((name.into(), value.to_string().into_bytes()));
        }
        value.min(max)
    };
    header.set_size(number("size", size, MAX_SIZE));
    header.set_uid(number("uid", entry.uid.into(), MAX_ID.into()));
    header.set_gid(number("gid", entry.gid.into(), MAX_ID.into()));
    header.set_mode(entry.mode);
    header.set_mtime(epoch);
    header.set_cksum();
    header
}

/// Splits a path into ustar's prefix and name: at a slash, at most 155 and 100 bytes.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= 100 {
        return Some(("", name));
    }
    let from = name.len() - 101;
    let at = from + name[from..name.len() - 1].find('/')?;
    (at <= 155).then(|| (&name[..at], &name[at + 1..]))
}

/// Copies as much as fits; the rest of the field is already NUL.
fn fill(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}
