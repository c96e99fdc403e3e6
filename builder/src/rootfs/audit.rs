//! References that lead out of a root filesystem's layout: interpreters, run paths and absolute paths in folders that
//! the layout does not have.

use std::fmt;
use std::io::{self, Read};

use object::elf;
use object::read::elf::{Dyn, ElfFile32, ElfFile64, FileHeader, ProgramHeader};

use crate::image::Contents;
use crate::recipe::rootfs::Layout;
use crate::tree::{Node, Tree, TreePath};

/// A path outside the layout, and the file that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The file.
    pub file: TreePath,
    /// The form of the reference: `shebang`, `interpreter`, `run path`, `link`, `text`.
    pub kind: &'static str,
    /// The path.
    pub text: String,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.file, self.text, self.kind)
    }
}

/// A leak that the recipe allows: `<file>: <text>`, with `*` in either.
#[derive(Clone, Debug)]
pub struct Allow {
    line: String,
    file: glob::Pattern,
    text: glob::Pattern,
}

impl Allow {
    /// Parses a line of `audit.allow`.
    pub fn parse(line: &str) -> Result<Self, String> {
        let (file, text) = line.split_once(": ").ok_or_else(|| format!("`{line}`: expected `<file>: <text>`"))?;
        let pattern = |text: &str| glob::Pattern::new(text).map_err(|error| format!("`{line}`: {}", error.msg));
        Ok(Self { line: line.to_owned(), file: pattern(file.trim())?, text: pattern(text.trim())? })
    }

    fn covers(&self, leak: &Leak) -> bool {
        self.file.matches(&leak.file.to_string()) && self.text.matches(&leak.text)
    }
}

/// The result of an audit.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Leaks that no line allows.
    pub leaks: Vec<Leak>,
    /// How many leaks were allowed.
    pub allowed: usize,
    /// Lines that matched no leak.
    pub unused: Vec<String>,
    /// How many files and links were checked.
    pub files: usize,
}

/// Top folders that a Unix program may refer to. A text that starts with none of them is not a path, but a coincidence.
const FOLDERS: &[&str] = &[
    "bin", "boot", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "root", "run", "sbin",
    "srv", "tmp", "var", "init", "linuxrc",
];

/// Checks every file and link of a tree. A layout that allows everything has no leaks.
pub fn audit(tree: &Tree, contents: &dyn Contents, layout: Layout, allow: &[Allow]) -> io::Result<Report> {
    let mut report = Report::default();
    let Some(top) = layout.reachable() else { return Ok(report) };
    let mut used = vec![false; allow.len()];
    let mut found = Vec::new();
    for (path, entry) in &tree.entries {
        match &entry.node {
            Node::Symlink { target } => {
                report.files += 1;
                if climbs(path, target, top) {
                    found.push(Leak { file: path.clone(), kind: "link", text: target.clone() });
                } else {
                    note(path, "link", target, top, &mut found);
                }
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

/// Whether a relative link leads upwards out of its folder to a place outside the layout.
fn climbs(link: &TreePath, target: &str, top: &[&str]) -> bool {
    if target.starts_with('/') {
        return false;
    }
    let mut at: Vec<&str> = link.as_str().split('/').collect();
    at.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(at.pop()),
            part => at.push(part),
        }
    }
    at.first().is_some_and(|first| !top.contains(first))
}

fn note(file: &TreePath, kind: &'static str, text: &str, top: &[&str], found: &mut Vec<Leak>) {
    if !text.starts_with('/') {
        return;
    }
    // In a text, `//` mostly belongs to a URL. Anything that the kernel or the dynamic linker follows is a path,
    // whatever its form.
    let followed = kind != "text";
    let mut parts = text.split('/').skip(1).filter(|part| !followed || !["", "."].contains(part));
    let first = parts.next().unwrap_or_default();
    let outside = !top.contains(&first) && if followed { !first.is_empty() } else { FOLDERS.contains(&first) };
    if outside {
        let leak = Leak { file: file.clone(), kind, text: text.to_owned() };
        if !found.contains(&leak) {
            found.push(leak);
        }
    }
}

/// How much of a file's start is kept for its headers. ELF program headers and the strings of the dynamic section may
/// be anywhere in the file, so such files are read whole, up to this many bytes.
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

/// Finds absolute paths in bytes, as strings(1) would: a `/` at the start of a word, then the characters that paths
/// consist of.
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
                // A slash inside a word is part of a relative path or a URL.
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

/// The interpreter and the run paths of an ELF file; none if the file is damaged.
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::digest::Digest;
    use crate::process::Run;
    use crate::tree::Entry;

    /// A tree and the contents of its files.
    #[derive(Default)]
    struct Sample(Tree, HashMap<Digest, Vec<u8>>);

    impl Contents for Sample {
        fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
            Ok(Box::new(io::Cursor::new(self.1[blob].clone())))
        }
    }

    impl Sample {
        fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
            let digest = Digest::of(&content);
            let entry = Entry::file(digest, content.as_ref().len() as u64, 0o755);
            self.0.insert(TreePath::new(path).unwrap(), entry);
            self.1.insert(digest, content.as_ref().to_vec());
            self
        }

        fn link(mut self, path: &str, target: &str) -> Self {
            self.0.insert(TreePath::new(path).unwrap(), Entry::symlink(target));
            self
        }

        fn audit(&self, allow: &[&str]) -> Report {
            let allow: Vec<Allow> = allow.iter().map(|line| Allow::parse(line).unwrap()).collect();
            audit(&self.0, self, Layout::Split, &allow).unwrap()
        }

        fn leaks(&self) -> Vec<String> {
            self.audit(&[]).leaks.iter().map(Leak::to_string).collect()
        }
    }

    #[test]
    fn a_shebang_outside_of_the_layout_leaks() {
        let sample = Sample::default().file("system/a", "#! /bin/sh -e\n").file("system/b", "#!/system/bin/sh\n");
        assert_eq!(sample.leaks(), ["/system/a: /bin/sh (shebang)", "/system/a: /bin/sh (text)"]);
        // Not a folder of Unix, but the kernel would look there nevertheless.
        let sample = Sample::default().file("system/a", "#!/toolchain/bin/perl\n").file("system/b", "#!//bin/sh\n");
        assert_eq!(sample.leaks(), ["/system/a: /toolchain/bin/perl (shebang)", "/system/b: //bin/sh (shebang)"]);
    }

    #[test]
    fn a_link_outside_of_the_layout_leaks_upwards_too() {
        let sample = Sample::default()
            .link("system/bin/a", "/bin/busybox")
            .link("system/bin/b", "../../lib/b")
            .link("system/bin/c", "../lib/c")
            .link("system/bin/d", "/proc/self/fd")
            .link("system/bin/e", "../../../usr/e")
            .link("system/bin/f", "/");
        assert_eq!(sample.leaks(), ["/system/bin/a: /bin/busybox (link)", "/system/bin/b: ../../lib/b (link)"]);
    }

    #[test]
    fn absolute_paths_in_texts_leak_and_parts_of_others_do_not() {
        let text =
            b"PATH=/bin:/usr/bin\0a/bin/b http://etc.example/etc \"/etc/passwd\" ${HOME}/lib /system/etc /x/etc\0";
        assert_eq!(
            Sample::default().file("usr/a", text).leaks(),
            ["/usr/a: /bin (text)", "/usr/a: /etc/passwd (text)"]
        );
    }

    #[test]
    fn a_path_is_found_whole_wherever_the_blocks_of_a_file_end() {
        for before in [4090, 4096, 4096 + 64 * 1024 - 3] {
            let mut content = vec![b' '; before];
            content.extend_from_slice(b"/etc/passwd");
            assert_eq!(Sample::default().file("usr/a", content).leaks(), ["/usr/a: /etc/passwd (text)"], "{before}");
        }
    }

    #[test]
    fn an_elf_file_leaks_by_its_interpreter_and_its_run_paths() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a.c");
        std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        // The linker for every Rust program is a C compiler, so one exists wherever the tests run.
        let flags = [
            "-nostdlib",
            "-pie",
            "-fPIE",
            "-Wl,-e,main",
            "-Wl,-I,/build/ld.so",
            "-Wl,-rpath,/deps/a:/system/lib:$ORIGIN",
        ];
        let program = folder.path().join("a");
        let path = std::env::var("PATH").unwrap();
        Run::new("cc").env("PATH", path).args(flags).args([&source]).args(["-o"]).args([&program]).run().unwrap();
        let leaks = Sample::default().file("usr/a", std::fs::read(program).unwrap()).leaks();
        assert_eq!(leaks, ["/usr/a: /build/ld.so (interpreter)", "/usr/a: /deps/a (run path)"]);
    }

    #[test]
    fn a_broken_elf_file_is_still_read_as_text() {
        let mut content = b"\x7fELF\x02\x01\x01".to_vec();
        content.extend_from_slice(&[0xff; 100]);
        content.extend_from_slice(b"\0/lib64/ld-linux.so\0");
        assert_eq!(Sample::default().file("usr/a", content).leaks(), ["/usr/a: /lib64/ld-linux.so (text)"]);
    }

    #[test]
    fn allowed_leaks_are_counted_and_unused_lines_are_named() {
        let sample = Sample::default().file("system/a", "/etc/a /etc/b /var/c").file("system/b", "/etc/a");
        let report = sample.audit(&["/system/a: /etc/*", "/system/*: /var/c", "/system/c: *"]);
        assert_eq!(report.leaks.iter().map(Leak::to_string).collect::<Vec<_>>(), ["/system/b: /etc/a (text)"]);
        assert_eq!((report.allowed, report.files), (3, 2));
        assert_eq!(report.unused, ["/system/c: *"]);
        assert_eq!(Allow::parse("/system/a").unwrap_err(), "`/system/a`: expected `<file>: <text>`");
    }

    #[test]
    fn a_layout_that_allows_everything_has_no_leaks() {
        let sample = Sample::default().file("etc/a", "#!/bin/sh\n");
        assert_eq!(audit(&sample.0, &sample, Layout::Fhs, &[]).unwrap().leaks, []);
    }
}
