//! Debian copyright files in the machine-readable format (DEP-5,
//! <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>).

use std::collections::BTreeMap;

use deb822_fast::Deb822;

use super::license::{LicenseCollector, all_of, normal};
use super::model::License;

/// The licences of a package by its copyright file: all that its paragraphs state. A file in no machine-readable format
/// is one text.
pub fn license(package: &str, text: &str, collector: &mut LicenseCollector) -> License {
    match machine_readable(text, collector) {
        Some(license) => license,
        None => collector.text(package, text),
    }
}

/// The field that identifies the format; its value is a URL with several spellings.
const FORMAT: &str = "Format";

fn machine_readable(text: &str, collector: &mut LicenseCollector) -> Option<License> {
    let first = text.trim_start().lines().next()?;
    let (name, url) = first.split_once(':')?;
    if !name.eq_ignore_ascii_case(FORMAT) && !name.eq_ignore_ascii_case("Format-Specification")
        || !(url.contains("copyright-format") || url.contains("dep5") || url.contains("DEP-5"))
    {
        return None;
    }
    let paragraphs = Deb822::from_reader(text.trim_start().as_bytes()).ok()?;
    let mut stated = Vec::new();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for paragraph in paragraphs.iter() {
        let Some(license) = paragraph.get("License") else { continue };
        let (names, body) = license.split_once('\n').unwrap_or((license, ""));
        let names = names.trim().to_owned();
        if !body.trim().is_empty() {
            texts.entry(names.to_ascii_lowercase()).or_insert_with(|| unfolded(body));
        }
        // A paragraph without `Files` only has the text of a licence that others name.
        if paragraph.get("Files").is_some() && !names.is_empty() {
            stated.push(names);
        }
    }
    if stated.is_empty() {
        return None;
    }
    stated.sort();
    stated.dedup();
    let each: Vec<String> = stated.iter().map(|names| expression(names, &texts, collector)).collect();
    Some(all_of(each))
}

/// A folded field's text: one space of indentation, and `.` for an empty line (Debian policy, section 5.1).
fn unfolded(body: &str) -> String {
    let line = |line: &str| match line.strip_prefix(' ').unwrap_or(line) {
        "." => String::new(),
        text => text.to_owned(),
    };
    body.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The SPDX expression for names joined by `and`, `or` and commas. In DEP-5 `and` binds stronger than `or`, as in SPDX,
/// and a comma before either of them weakens it: `A or B, and C`.
fn expression(names: &str, texts: &BTreeMap<String, String>, collector: &mut LicenseCollector) -> String {
    let groups: Vec<&str> = names.split(',').map(str::trim).filter(|group| !group.is_empty()).collect();
    let mut whole = String::new();
    for (index, group) in groups.iter().enumerate() {
        let (operator, rest) = match group.split_once(char::is_whitespace) {
            Some((word, rest)) if word.eq_ignore_ascii_case("or") => (" OR ", rest),
            Some((word, rest)) if word.eq_ignore_ascii_case("and") => (" AND ", rest),
            _ => (" AND ", *group),
        };
        let own = joined(rest, names, texts, collector);
        if index == 0 {
            whole = own;
        } else {
            let enclosed = |text: &str| if text.contains(' ') { format!("({text})") } else { text.to_owned() };
            whole = format!("{}{operator}{}", enclosed(&whole), enclosed(&own));
        }
    }
    // Whatever was made of it, only valid expressions are given.
    normal(&whole)
        .unwrap_or_else(|| collector.debian_name(names, texts.get(&names.to_ascii_lowercase()).map_or("", |text| text)))
}

/// Names without commas.
fn joined(group: &str, all: &str, texts: &BTreeMap<String, String>, collector: &mut LicenseCollector) -> String {
    let mut out = String::new();
    let mut name: Vec<&str> = Vec::new();
    let words = group.split_whitespace().map(Some).chain([None]);
    for word in words {
        let operator = match word.map(str::to_ascii_lowercase).as_deref() {
            Some("and") => Some(" AND "),
            Some("or" | "and/or") => Some(" OR "),
            Some("|") => Some(" OR "),
            None => Some(""),
            Some(_) => None,
        };
        match operator {
            Some(operator) => {
                out += &one(&name.join(" "), all, texts, collector);
                out += operator;
                name.clear();
            }
            None => name.extend(word),
        }
    }
    out
}

/// One name, possibly `with` an exception, whose text is that of the whole field if it has none of its own.
fn one(name: &str, all: &str, texts: &BTreeMap<String, String>, collector: &mut LicenseCollector) -> String {
    let text = |name: &str| texts.get(&name.to_ascii_lowercase()).map(String::as_str);
    let own = text(name).or_else(|| text(all)).unwrap_or_default();
    if name.is_empty() {
        return collector.debian_name("unnamed", own);
    }
    let lower = name.to_ascii_lowercase();
    if let Some((base, exception)) = lower.split_once(" with ") {
        let exception = exception.trim_end_matches(" exception");
        let mapped = EXCEPTIONS.iter().find(|(debian, _)| *debian == exception).map(|(_, spdx)| *spdx);
        if let (Some(base), Some(exception)) = (super::license::spdx_of_debian(base), mapped)
            && let Some(both) = normal(&format!("{base} WITH {exception}"))
        {
            return both;
        }
    }
    collector.debian_name(name, own)
}

/// Exceptions by their names in copyright files. DEP-5 names the exceptions of Font and OpenSSL; the others are common.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("autoconf", "Autoconf-exception-2.0"),
    ("bison", "Bison-exception-2.2"),
    ("font", "Font-exception-2.0"),
    ("gcc", "GCC-exception-3.1"),
    ("gcc runtime library", "GCC-exception-3.1"),
    ("libtool", "Libtool-exception"),
    ("linux-syscall-note", "Linux-syscall-note"),
    ("openssl", "cryptsetup-OpenSSL-exception"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (License, LicenseCollector) {
        let mut collector = LicenseCollector::default();
        let head = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n\n";
        let license = license("x", &format!("{head}{body}"), &mut collector);
        (license, collector)
    }

    #[track_caller]
    fn gives(stated: &str, want: &str) {
        let (license, _) = read(&format!("Files: *\nCopyright: x\nLicense: {stated}\n"));
        assert_eq!(license.expression(), Some(want), "{stated}");
    }

    #[test]
    fn stated_names_become_one_expression() {
        gives("GPL-2+", "GPL-2.0-or-later");
        gives("GPL-2+ or Artistic", "GPL-2.0-or-later OR Artistic-1.0-Perl");
        gives("GPL-2+ and LGPL-2.1", "GPL-2.0-or-later AND LGPL-2.1-only");
        gives("GPL-2+ or Artistic, and BSD-3-clause", "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause");
        gives("GPL-3+ with autoconf exception", "GPL-3.0-or-later WITH Autoconf-exception-2.0");
        let (license, _) = read("Files: *\nLicense: GPL-2+\n\nFiles: a\nLicense: Expat\n\nFiles: b\nLicense: GPL-2+\n");
        assert_eq!(license.expression(), Some("GPL-2.0-or-later AND MIT"));
    }

    #[test]
    fn a_name_without_an_identifier_keeps_its_text() {
        let (license, collector) = read(
            "Files: *\nLicense: GPL-2+ and odd\n\nLicense: odd\n First.\n .\n Second.\n\nLicense: GPL-2+\n On Debian …\n",
        );
        let (reference, text) = collector.texts.iter().next().unwrap();
        assert_eq!(license.expression(), Some(format!("GPL-2.0-or-later AND {reference}").as_str()));
        assert!(reference.starts_with("LicenseRef-odd-"), "{reference}");
        assert_eq!(text.text, "First.\n\nSecond.");
        assert_eq!(collector.texts.len(), 1);
    }

    #[test]
    fn a_file_in_another_format_is_one_text() {
        let mut collector = LicenseCollector::default();
        let free = "This package was debianized by Somebody.\n\nLicense: see below\n";
        let license = license("gcc-12", free, &mut collector);
        let reference = license.expression().unwrap();
        assert!(reference.starts_with("LicenseRef-gcc-12-"), "{reference}");
        assert_eq!(collector.texts[reference].text, free);
    }

    #[test]
    fn whatever_is_stated_gives_a_valid_expression() {
        for stated in
            ["", "or", "and and", "GPL-2+ or", ", ,", "(GPL-2+)", "x with y exception", "GPL-2+, or", "ü", "a b c"]
        {
            let (license, _) = read(&format!("Files: *\nLicense: {stated}\n"));
            if let Some(expression) = license.expression() {
                assert!(normal(expression).is_some(), "{stated}: {expression}");
            }
        }
    }
}
