//! What leaks out of a root filesystem's layout: interpreters, run paths and absolute paths that point to folders which
//! the layout does not have.

use std::fmt;
use std::io::{self, Read};

use object::elf;
use object::read::elf::{Dyn, ElfFile32, ElfFile64, FileHeader, ProgramHeader};

use crate::image::Contents;
use crate::recipe::rootfs::Layout;
use crate::tree::{Node, Tree, TreePath};

/// A path that lies outside of the layout, and the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The file.
    pub file: TreePath,
    /// How it stands there: `shebang`, `interpreter`, `run path`, `link`, `text`.
    pub kind: &'static str,
    /// The path.
    pub text: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.file, self.text, self.kind)
    }
}

/// A leak that the recipe knows of: `<file>: <text>`, with `*` in either.
#[derive(Clone, Debug)]
pub struct Allow {
    line: String,
    file: glob::Pattern,
    text: glob::Pattern,
}

impl Allow {
    /// Reads a line of `audit.allow`.
    pub fn parse(line: &str) -> Result<Self, String> {
        let (file, text) = line.split_once(": ").ok_or_else(|| format!("`{line}`: expected `<file>: <text>`"))?;
        let pattern = |text: &str| glob::Pattern::new(text).map_err(|error| format!("`{line}`: {}", error.msg));
        Ok(Self { line: line.to_owned(), file: pattern(file.trim())?, text: pattern(text.trim())? })
    }

    fn covers(&self, leak: &Leak) -> bool {
        self.file.matches(&leak.file.to_string()) && self.text.matches(&leak.text)
    }
}

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Leaks that no line allows.
    pub leaks: Vec<Leak>,
    /// How many leaks were allowed.
    pub allowed: usize,
    /// Lines that allowed nothing.
    pub unused: Vec<String>,
    /// How many files and links were looked at.
    pub files: usize,
}

/// Folders that a Unix program may name. A text that begins with none of them is no path but a coincidence.
const FOLDERS: &[&str] = &[
    "bin", "boot", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "root", "run", "sbin",
    "srv", "tmp", "var", "init", "linuxrc",
];

/// Looks at every file and link of a tree. A layout that allows everything has no leaks.
pub fn audit(tree: &Tree, contents: &dyn Contents, layout: Layout, allow: &[Allow]) -> io::Result<Report> {
    let mut report = Report::default();
    let Some(top) = layout.top() else { return Ok(report) };
    let mut used = vec![false; allow.len()];
    let mut found = Vec::new();
    for (path, entry) in &tree.entries {
        match &entry.node {
            Node::Symlink { target } => {
                report.files += 1;
                note(path, "link", target, top, &mut found);
            }
            Node::File { blob, .. } => {
                report.files += 1;
                scan(path, contents.open(blob)?, top, &mut found)?;
            }
            _ => {}
        }
        for leak in found.drain(..) {
            match allow.iter().position(|allow| allow.covers(&leak)) {
                Some(index) => {
                    used[index] = true;
                    report.allowed += 1;
                }
                None => report.leaks.push(leak),
            }
        }
    }
    report.leaks.dedup();
    report.unused = allow.iter().zip(used).filter(|(_, used)| !used).map(|(allow, _)| allow.line.clone()).collect();
    Ok(report)
}

fn note(file: &TreePath, kind: &'static str, text: &str, top: &[&str], found: &mut Vec<Leak>) {
    let Some(first) = text.strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or_default()) else { return };
    let outside = FOLDERS.contains(&first) && !top.contains(&first);
    if outside {
        let leak = Leak { file: file.clone(), kind, text: text.to_owned() };
        if !found.contains(&leak) {
            found.push(leak);
        }
    }
}

/// How much of a file's start is kept for its headers: ELF's program headers and the dynamic section's texts may lie
/// anywhere, so such files are read whole up to this many bytes.
const MOST_ELF: u64 = 64 << 20;

fn scan(path: &TreePath, mut input: Box<dyn Read>, top: &[&str], found: &mut Vec<Leak>) -> io::Result<()> {
    let mut start = Vec::new();
    (&mut input).take(4096).read_to_end(&mut start)?;
    if start.starts_with(b"#!") {
        let line = start[2..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let interpreter = line.split_whitespace().next().unwrap_or_default();
        note(path, "shebang", interpreter, top, found);
    }
    if start.starts_with(b"\x7fELF") {
        (&mut input).take(MOST_ELF).read_to_end(&mut start)?;
        for (kind, text) in elf_paths(&start) {
            note(path, kind, &text, top, found);
        }
    }
    let mut strings = Strings::default();
    strings.feed(&start, &mut |text| note(path, "text", text, top, found));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        strings.feed(&buffer[..count], &mut |text| note(path, "text", text, top, found));
    }
    strings.end(&mut |text| note(path, "text", text, top, found));
    Ok(())
}

/// Finds absolute paths in bytes, as strings(1) would: a `/` at the start of a word, then what paths are made of.
#[derive(Default)]
struct Strings {
    word: String,
    before: u8,
}

impl Strings {
    const LONGEST: usize = 1024;

    fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(&str)) {
        for &byte in bytes {
            let part = byte.is_ascii_alphanumeric() || b"/._-+%@".contains(&byte);
            if !self.word.is_empty() && part && self.word.len() < Self::LONGEST {
                self.word.push(byte.into());
            } else {
                self.end(take);
                // Inside a word a slash is part of a relative path or a URL.
                let inside = self.before.is_ascii_alphanumeric() || b"/._-+%@}~*)".contains(&self.before);
                if byte == b'/' && !inside {
                    self.word.push('/');
                }
            }
            self.before = byte;
        }
    }

    fn end(&mut self, take: &mut dyn FnMut(&str)) {
        if self.word.len() > 1 {
            take(&self.word);
        }
        self.word.clear();
    }
}

/// The interpreter and the run paths of an ELF file; nothing of one that is broken.
fn elf_paths(bytes: &[u8]) -> Vec<(&'static str, String)> {
    if let Ok(file) = ElfFile64::<object::Endianness>::parse(bytes) {
        return paths_of(file.elf_header(), file.endian(), bytes).unwrap_or_default();
    }
    if let Ok(file) = ElfFile32::<object::Endianness>::parse(bytes) {
        return paths_of(file.elf_header(), file.endian(), bytes).unwrap_or_default();
    }
    Vec::new()
}

fn paths_of<H: FileHeader>(header: &H, endian: H::Endian, bytes: &[u8]) -> object::Result<Vec<(&'static str, String)>> {
    let mut paths = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    for segment in header.program_headers(endian, bytes)? {
        if let Some(interpreter) = segment.interpreter(endian, bytes)? {
            paths.push(("interpreter", text(interpreter)));
        }
    }
    let sections = header.sections(endian, bytes)?;
    if let Some((dynamic, index)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, index)?;
        for entry in dynamic {
            let tag = entry.tag(endian);
            if (tag == elf::DT_RPATH || tag == elf::DT_RUNPATH)
                && let Ok(path) = entry.string(endian, strings)
            {
                paths.extend(text(path).split(':').map(|path| ("run path", path.to_owned())));
            }
        }
    }
    Ok(paths)
}
