//! Changing settings in the text of a fragment, of which all else stays as it is.

use super::fragment::{Fragment, FragmentError, SymbolValue};
use super::versions::{Blocks, Version, Versions};

/// The text of a fragment in which symbols have these values for a version of the source (all of it, if the version is
/// unknown). A line that sets such a symbol for that version is replaced; what no line sets is appended. Comments, order and
/// other settings stay.
///
/// # Errors
/// The text is no fragment; `name` is its name in the errors.
pub fn set(
    name: &str,
    text: &str,
    version: Option<Version>,
    values: &[(String, SymbolValue)],
) -> Result<String, Vec<FragmentError>> {
    let fragment = Fragment::parse(name, text)?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut blocks = Blocks::default();
    let versions_of = |(number, line): (usize, &String)| {
        // The fragment has been parsed: no directive is wrong.
        let _ = blocks.take(number + 1, line.trim_end());
        blocks.versions()
    };
    let versions: Vec<Versions> = lines.iter().enumerate().map(versions_of).collect();
    for (symbol, value) in values {
        let applies = |versions: &Versions| match version {
            Some(version) => versions.contains(version),
            None => versions.is_all(),
        };
        let mut settings = fragment.settings.iter().filter(|setting| setting.symbol == *symbol);
        match settings.find(|setting| applies(&setting.versions)) {
            // The line may be repeated, with the same value. For versions that this one does not apply to, it stays.
            Some(setting) => {
                let old = Fragment::parse(name, &lines[setting.line - 1]).ok();
                let same = old.is_some_and(|old| old.settings.iter().any(|old| old.value.same(value)));
                if !same {
                    for (line, versions) in lines.iter_mut().zip(&versions) {
                        let sets = |line: &str| {
                            let one = Fragment::parse(name, line).ok();
                            one.is_some_and(|one| {
                                one.settings.iter().any(|one| one.symbol == *symbol && one.value.same(&setting.value))
                            })
                        };
                        if !versions.intersection(&setting.versions).is_empty() && sets(line) {
                            *line = value.line(symbol);
                        }
                    }
                }
            }
            None => lines.push(value.line(symbol)),
        }
    }
    let edited: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Fragment::parse(name, &edited)?;
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Disks.\nCONFIG_BLOCK=y   \n\n# Names.\nCONFIG_NAME=\"a\"\n#if version < 6.10\n# CONFIG_OLD is not set\n#endif\n";

    fn at(text: &str) -> Option<Version> {
        Version::parse(text)
    }

    fn values(pairs: &[(&str, &str)]) -> Vec<(String, SymbolValue)> {
        pairs.iter().map(|(symbol, value)| (symbol.to_string(), SymbolValue::parse(value).unwrap())).collect()
    }

    #[test]
    fn only_lines_of_changed_symbols_change() {
        let edited = set("f", TEXT, at("6.1"), &values(&[("NAME", "\"b\""), ("OLD", "m"), ("NEW", "n")])).unwrap();
        let expected = TEXT.replace("\"a\"", "\"b\"").replace("# CONFIG_OLD is not set", "CONFIG_OLD=m");
        assert_eq!(edited, expected + "# CONFIG_NEW is not set\n");
        assert_eq!(set("f", TEXT, at("6.1"), &values(&[("BLOCK", "y")])).unwrap(), TEXT, "nothing to change");
        assert_eq!(set("f", "", None, &values(&[("A", "y")])).unwrap(), "CONFIG_A=y\n");
        let twice = "CONFIG_A=y\nCONFIG_A=y\n";
        assert_eq!(set("f", twice, None, &values(&[("A", "m")])).unwrap(), "CONFIG_A=m\nCONFIG_A=m\n");
    }

    #[test]
    fn a_setting_for_other_versions_stays() {
        let blocks = "#if version < 6.10\nCONFIG_A=y\nCONFIG_A=y\n#else\nCONFIG_A=y\n#endif\n";
        let old = blocks.replacen("CONFIG_A=y", "CONFIG_A=m", 2);
        assert_eq!(set("f", blocks, at("6.1"), &values(&[("A", "m")])).unwrap(), old);
        let new = blocks.replace("#else\nCONFIG_A=y", "#else\nCONFIG_A=m");
        assert_eq!(set("f", blocks, at("6.12"), &values(&[("A", "m")])).unwrap(), new);
        // For a version that both lines apply to, both have to change.
        let both = "CONFIG_A=y\n#if version < 6.10\nCONFIG_A=y\n#endif\n";
        assert_eq!(set("f", both, at("6.12"), &values(&[("A", "m")])).unwrap(), both.replace("=y", "=m"));
        // One that would contradict it for them is an error, as in every fragment.
        let errors = set("f", TEXT, at("6.12"), &values(&[("OLD", "y")])).unwrap_err();
        assert!(errors[0].to_string().starts_with("f:9: CONFIG_OLD is y here but n in line 7"), "{errors:?}");
        assert!(set("f", "nonsense\n", None, &[]).is_err());
    }
}
