//! Command lines with the results of vzctl 4.11.1 (`tests/vzctl-cases`), run by this vzctl.
//!
//! A case is a block of lines: `conf` and `global` are the initial lines of 101.conf and of vz.conf, `name` a link in
//! names, `running` means that 101 is running, `run` is the command line; then the expected results: `code`, `out` and
//! `err` line by line, `after` the final lines of 101.conf (none: unchanged), `links` the final names. `<mac>` stands
//! for a generated address, `<50%>` for that share of the machine's processors. `except` names a paragraph of
//! COMPATIBILITY.md: there the result differs, and must differ.

use super::World;
use crate::vz::conf::params;
use crate::vz::log::Log;
use crate::vz::paths::Paths;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const GLOBAL: &str = "LOCKDIR=/vz/lock\nTEMPLATE=/vz/template\nVE_ROOT=/vz/root/$VEID\nVE_PRIVATE=/vz/private/$VEID\nCONFIGFILE=basic\nDEF_OSTEMPLATE=live\nDISK_QUOTA=yes\nVE_LAYOUT=simfs\nIPV6=yes\n";
const SAMPLE: &str = "# sample\nPHYSPAGES=\"0:65536\"\nSWAPPAGES=\"0:131072\"\nLOCKEDPAGES=\"65536\"\nNUMPROC=\"240:240\"\nCPUUNITS=\"1000\"\nVE_LAYOUT=\"simfs\"\n";

/// The lines of a case by their first word.
struct Case(BTreeMap<String, Vec<String>>);

impl Case {
    fn read(block: &str) -> Case {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in block.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            lines.entry(word.to_owned()).or_default().push(rest.to_owned());
        }
        let known = ["conf", "global", "name", "running", "run", "code", "out", "err", "after", "links", "except"];
        assert!(lines.keys().all(|word| known.contains(&word.as_str())), "{block}");
        Case(lines)
    }
    fn text(&self, word: &str) -> String {
        let text = self.0.get(word).into_iter().flatten().fold(String::new(), |text, line| text + line + "\n");
        let share = |percent: u64| (percent * params::processors()).to_string();
        text.replace("<50%>", &share(50)).replace("<100%>", &share(100))
    }
    fn one(&self, word: &str) -> &str {
        self.0.get(word).and_then(|lines| lines.first()).map_or("", String::as_str)
    }

    /// Runs it. None: the same result; otherwise the differences.
    fn differs(&self) -> Option<String> {
        let world = World::new();
        let path = |name: &str| world.at("etc/vz").join(name);
        fs::write(path("vz.conf"), GLOBAL.to_owned() + &self.text("global")).unwrap();
        fs::write(path("conf/ve-basic.conf-sample"), SAMPLE).unwrap();
        fs::write(path("conf/101.conf"), self.text("conf")).unwrap();
        fs::create_dir_all(world.at("vz/private/101/etc")).unwrap();
        fs::create_dir_all(world.at("vz/root/101")).unwrap();
        fs::create_dir_all(path("names")).unwrap();
        for name in self.0.get("name").into_iter().flatten() {
            std::os::unix::fs::symlink("/etc/vz/conf/101.conf", path("names").join(name)).unwrap();
        }
        if self.0.contains_key("running") {
            world.node.0.borrow_mut().running.insert(101);
        }
        let words = words(self.one("run"));
        let (paths, node) = (Paths::under(world.folder.path()), Box::new(world.node.clone()));
        let arguments = words[1..].iter().map(Into::into).collect();
        let (code, log) = match words[0].as_str() {
            "vzlist" => crate::vz::list::main(&paths, node, arguments, Log::captured()),
            _ => super::main(&paths, node, arguments, Log::captured()),
        };
        let said = log.taken().replace(&world.folder.path().display().to_string(), "");
        let (mut out, mut err) = (String::new(), String::new());
        for line in said.lines() {
            match line.strip_prefix("! ") {
                Some(line) => writeln!(err, "{line}").unwrap(),
                None => writeln!(out, "{line}").unwrap(),
            }
        }
        let after = fs::read_to_string(path("conf/101.conf")).unwrap();
        let mut links: Vec<String> = fs::read_dir(path("names"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        links.sort();
        let expected_after = if self.0.contains_key("after") { self.text("after") } else { self.text("conf") };
        let expected_links = match self.0.get("links") {
            Some(links) => links[0].clone(),
            None => self.0.get("name").into_iter().flatten().cloned().collect::<Vec<_>>().join(" "),
        };
        let given = self.one("run").to_owned() + &self.text("conf");
        let mut all = String::new();
        for (what, expected, got) in [
            ("code", self.one("code").to_owned(), code.to_string()),
            ("out", self.text("out"), anonymous(&out, &given)),
            ("err", self.text("err"), anonymous(&err, &given)),
            ("after", expected_after, anonymous(&after, &given)),
            ("links", expected_links, links.join(" ")),
        ] {
            // Each program has its own usage text.
            let usage = got.contains("Usage: vz");
            if expected != got && !usage {
                write!(all, "{what}: expected\n{expected}\ngot\n{got}\n").unwrap();
            }
        }
        (!all.is_empty()).then_some(all)
    }
}

/// Replaces generated addresses.
fn anonymous(text: &str, given: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("00:18:51:") {
        let end = (at + 17).min(rest.len());
        out += &rest[..at];
        out += if given.contains(&rest[at..end]) { &rest[at..end] } else { "<mac>" };
        rest = &rest[end..];
    }
    out + rest
}

/// Splits a command line as a shell does, with both kinds of quotes.
fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => all.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

#[test]
fn the_classic_tools_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vzctl-cases");
    let table = include_str!("../../../../COMPATIBILITY.md");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut count, mut excepted, mut wrong) = (0, 0, String::new());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("\n\n").map(|block| block.trim_end_matches('\n')).filter(|block| !block.is_empty()) {
            let case = Case::read(block);
            count += 1;
            let named = format!("{}: {}", file.file_name().unwrap().display(), block.replace('\n', " | "));
            match (case.one("except"), case.differs()) {
                ("", None) => {}
                ("", Some(text)) => writeln!(wrong, "{named}\n{text}").unwrap(),
                (reason, Some(_)) => {
                    assert!(table.contains(reason), "COMPATIBILITY.md does not tell of `{reason}`");
                    excepted += 1;
                }
                (reason, None) => writeln!(wrong, "{named}\nis equal: `except {reason}` is not needed\n").unwrap(),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ\n{wrong}", wrong.matches(".txt: ").count());
    assert!(count >= 600 && excepted * 100 <= count * 3, "{excepted} exceptions in {count} cases");
}
