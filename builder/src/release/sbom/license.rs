//! Licences as SPDX expressions, from the several ways in which packages state them.

use std::collections::BTreeMap;

use spdx::{Expression, ParseMode};

use super::model::{License, LicenseText};
use crate::digest::Digest;

/// Collects licences, and the texts of those that have no SPDX identifier.
#[derive(Default)]
pub struct LicenseCollector {
    /// The texts by their `LicenseRef-…`.
    pub texts: BTreeMap<String, LicenseText>,
}

impl LicenseCollector {
    /// A licence that is stated as an SPDX expression, also in the older form of crates (`MIT/Apache-2.0`). One that is
    /// not an expression is kept as a text.
    pub fn expression(&mut self, stated: &str) -> License {
        match normal(stated) {
            Some(expression) => License::Expression(expression),
            None => self.text(stated, stated),
        }
    }

    /// A licence of which only a text is known.
    pub fn text(&mut self, name: &str, text: &str) -> License {
        License::Expression(self.reference(name, text))
    }

    /// The `LicenseRef-…` of a text. Its name has the beginning of the text's digest: packages use one short name for
    /// texts that differ.
    pub fn reference(&mut self, name: &str, text: &str) -> String {
        let plain: String =
            name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let digest = Digest::of(text).to_string();
        let reference = format!("LicenseRef-{}-{}", plain.trim_matches('-'), &digest[..8]);
        let text = LicenseText { name: name.to_owned(), text: text.to_owned() };
        self.texts.entry(reference.clone()).or_insert(text);
        reference
    }

    /// The licence by its short name in a Debian copyright file; `text` is the text in that file, which may be empty.
    pub fn debian_name(&mut self, name: &str, text: &str) -> String {
        match spdx_of_debian(name) {
            Some(id) => id,
            None if text.trim().is_empty() => self.reference(name, &format!("The licence is named `{name}`.")),
            None => self.reference(name, text),
        }
    }
}

/// All of these licences apply.
pub fn all_of(expressions: impl IntoIterator<Item = String>) -> License {
    // Parts that all apply anyway are not repeated.
    let split = |text: String| match text.contains(" OR ") {
        true => vec![text],
        false => text.split(" AND ").map(|part| part.trim_matches(['(', ')']).to_owned()).collect(),
    };
    let mut each: Vec<String> = expressions.into_iter().flat_map(split).collect();
    each.sort();
    each.dedup();
    match each.len() {
        0 => License::Unknown,
        1 => License::Expression(each.remove(0)),
        _ => {
            let part = |text: &String| if text.contains(" OR ") { format!("({text})") } else { text.clone() };
            License::Expression(each.iter().map(part).collect::<Vec<_>>().join(" AND "))
        }
    }
}

/// An expression in its canonical form, with current identifiers; `None` if it is none.
pub fn normal(stated: &str) -> Option<String> {
    let text = stated.trim();
    let canonical = Expression::canonicalize(text).ok()?.unwrap_or_else(|| text.to_owned());
    let mode = ParseMode { allow_deprecated: true, ..ParseMode::STRICT };
    Expression::parse_mode(&canonical, mode).ok().map(|_| canonical)
}

/// Short names of Debian copyright files (DEP-5, "License specification", and common usage) that are spelt differently
/// in SPDX. Those that are spelt alike, or differ in the case of letters only, are found in SPDX's own list.
const NAMES: &[(&str, &str)] = &[
    ("expat", "MIT"),
    ("mit/x11", "MIT"),
    ("x11", "X11"),
    ("bsd-2-clauses", "BSD-2-Clause"),
    ("bsd-3-clauses", "BSD-3-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("bsd-4", "BSD-4-Clause"),
    ("bsd2", "BSD-2-Clause"),
    ("bsd3", "BSD-3-Clause"),
    ("2-clause-bsd", "BSD-2-Clause"),
    ("3-clause-bsd", "BSD-3-Clause"),
    ("apache-2", "Apache-2.0"),
    ("apache2", "Apache-2.0"),
    ("artistic", "Artistic-1.0-Perl"),
    ("artistic-2", "Artistic-2.0"),
    ("cc0", "CC0-1.0"),
    ("mpl-2", "MPL-2.0"),
    ("psf-2", "PSF-2.0"),
    ("python", "PSF-2.0"),
    ("openldap-2.8", "OLDAP-2.8"),
    ("perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    ("gfdl-niv-1.1+", "GFDL-1.1-no-invariants-or-later"),
    ("gfdl-niv-1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("gfdl-niv-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("gfdl-niv-1.3", "GFDL-1.3-no-invariants-only"),
];

/// The SPDX expression for a short name of a Debian copyright file. Names whose text differs from package to package
/// (`public-domain`, `permissive`, `BSD`) have none.
pub fn spdx_of_debian(name: &str) -> Option<String> {
    let lower = name.trim().to_ascii_lowercase();
    if let Some((_, spdx)) = NAMES.iter().find(|(debian, _)| *debian == lower) {
        return Some((*spdx).to_owned());
    }
    // The GNU licences: `GPL-2+`, `GPL-2.0+`, `LGPL-2.1`, `GFDL-1.3+`.
    let (base, later) = match lower.strip_suffix('+') {
        Some(base) => (base, "or-later"),
        None => (lower.as_str(), "only"),
    };
    if let Some((family, version)) = base.split_once('-')
        && ["gpl", "lgpl", "agpl", "gfdl"].contains(&family)
        && version.bytes().all(|c| c.is_ascii_digit() || c == b'.')
    {
        let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
        let id = format!("{}-{version}-{later}", family.to_ascii_uppercase());
        return spdx::license_id(&id).map(|id| id.name.to_owned());
    }
    let known = spdx::identifiers::LICENSES.iter().find(|license| license.name.eq_ignore_ascii_case(&lower));
    known.filter(|license| !["ISC-Veillard"].contains(&license.name)).map(|license| license.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_debian_are_those_of_spdx_where_they_mean_the_same() {
        for (debian, spdx) in [
            ("GPL-2+", Some("GPL-2.0-or-later")),
            ("GPL-2.0", Some("GPL-2.0-only")),
            ("LGPL-2.1+", Some("LGPL-2.1-or-later")),
            ("LGPL-2+", Some("LGPL-2.0-or-later")),
            ("GFDL-1.3", Some("GFDL-1.3-only")),
            ("Expat", Some("MIT")),
            ("BSD-3-clause", Some("BSD-3-Clause")),
            ("ISC", Some("ISC")),
            ("zlib", Some("Zlib")),
            ("public-domain", None),
            ("GPL", None),
            ("GPL-9", None),
            ("permissive", None),
        ] {
            assert_eq!(spdx_of_debian(debian).as_deref(), spdx, "{debian}");
        }
    }

    #[test]
    fn expressions_of_crates_and_recipes_are_made_canonical() {
        assert_eq!(normal("MIT/Apache-2.0").as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(
            normal("GPL-2.0-only WITH Linux-syscall-note").as_deref(),
            Some("GPL-2.0-only WITH Linux-syscall-note")
        );
        assert_eq!(normal("my own"), None);
        let mut collector = LicenseCollector::default();
        let License::Expression(own) = collector.expression("my own") else { panic!() };
        assert!(own.starts_with("LicenseRef-my-own-"), "{own}");
        assert_eq!(collector.texts[&own].text, "my own");
        assert!(normal(&own).is_some(), "a reference is a valid expression");
    }

    #[test]
    fn several_licences_all_apply() {
        let of = |list: &[&str]| all_of(list.iter().map(|text| text.to_string()));
        assert_eq!(of(&[]), License::Unknown);
        assert_eq!(of(&["MIT", "MIT"]), License::Expression("MIT".into()));
        assert_eq!(of(&["MIT AND ISC", "MIT"]), License::Expression("ISC AND MIT".into()));
        assert_eq!(of(&["MIT OR ISC", "0BSD"]), License::Expression("0BSD AND (MIT OR ISC)".into()));
    }
}
