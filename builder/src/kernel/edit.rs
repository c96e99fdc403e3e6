//! Changing settings in the text of a fragment, of which all else stays as it is.

use super::fragment::{Fragment, FragmentError, SymbolValue};
use super::versions::Version;

/// The text of a fragment in which symbols have these values for a version of the source (all of it, if the version is
/// unknown). A line that sets such a symbol is replaced; what no line sets is appended. Comments, order and other settings
/// stay.
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
    for (symbol, value) in values {
        let applies = |versions: &super::versions::Versions| match version {
            Some(version) => versions.contains(version),
            None => versions.is_all(),
        };
        let mut settings = fragment.settings.iter().filter(|setting| setting.symbol == *symbol);
        match settings.find(|setting| applies(&setting.versions)) {
            // The line may be repeated, with the same value.
            Some(setting) => {
                let old = Fragment::parse(name, &lines[setting.line - 1]).ok();
                let same = old.is_some_and(|old| old.settings.iter().any(|old| old.value.same(value)));
                if !same {
                    for line in &mut lines {
                        let sets = |line: &str| {
                            let one = Fragment::parse(name, line).ok();
                            one.is_some_and(|one| {
                                one.settings.iter().any(|one| one.symbol == *symbol && one.value.same(&setting.value))
                            })
                        };
                        if sets(line) {
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
        // One that would contradict it for them is an error, as in every fragment.
        let errors = set("f", TEXT, at("6.12"), &values(&[("OLD", "y")])).unwrap_err();
        assert!(errors[0].to_string().starts_with("f:9: CONFIG_OLD is y here but n in line 7"), "{errors:?}");
        assert!(set("f", "nonsense\n", None, &[]).is_err());
    }
}
