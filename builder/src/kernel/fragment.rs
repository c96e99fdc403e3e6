//! Kconfig fragments: the settings that a recipe requests for a kernel (or for busybox), in the `.config` syntax.
//!
//! A fragment is stricter than a `.config`: `conf` ignores a line that it can't parse, and the setting is silently
//! lost. Here each such line is an error that says what was expected.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::versions::{Blocks, Version, Versions};

/// The value of a symbol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SymbolValue {
    /// `# CONFIG_X is not set` (or, in a fragment, `CONFIG_X=n`).
    No,
    /// `CONFIG_X=m`
    Module,
    /// `CONFIG_X=y`
    Yes,
    /// `CONFIG_X="text"`, stored without quotes and escapes.
    Text(String),
    /// `CONFIG_X=-5` or `CONFIG_X=0x1f`, as written.
    Number(String),
}

impl SymbolValue {
    /// Parses the text to the right of `CONFIG_X=`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "y" => Some(Self::Yes),
            "m" => Some(Self::Module),
            "n" => Some(Self::No),
            _ if text.starts_with('"') => unquote(text).map(Self::Text),
            _ => number(text).map(|_| Self::Number(text.to_owned())),
        }
    }

    /// Whether both are the same value: `0x10` and `0X0010` are.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => number(a) == number(b),
            _ => self == other,
        }
    }

    /// The line that sets `symbol` (without `CONFIG_`) to this value in a `.config`.
    pub fn line(&self, symbol: &str) -> String {
        match self {
            Self::No => format!("# CONFIG_{symbol} is not set"),
            value => format!("CONFIG_{symbol}={value}"),
        }
    }
}

impl fmt::Display for SymbolValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("n"),
            Self::Module => f.write_str("m"),
            Self::Yes => f.write_str("y"),
            Self::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Number(number) => f.write_str(number),
        }
    }
}

/// The radix and value of a decimal or hexadecimal number.
pub(super) fn number(text: &str) -> Option<(u32, i128)> {
    let (radix, digits) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None => (10, text),
    };
    let unsigned = if radix == 10 { digits.strip_prefix('-').unwrap_or(digits) } else { digits };
    if unsigned.is_empty() || !unsigned.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().map(|value| (radix, value))
}

/// The text between quotes, with `\x` replaced by `x`; `None` unless the closing quote is the last character.
fn unquote(quoted: &str) -> Option<String> {
    let mut chars = quoted.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

/// One line of a fragment that requests a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// The requested value.
    pub value: SymbolValue,
    /// Line of the fragment, from 1.
    pub line: usize,
    /// The versions of the source that it applies to.
    pub versions: Versions,
}

/// A parsed fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Its file name for messages.
    pub name: String,
    /// In the order of the file; each symbol appears once per version.
    pub settings: Vec<Setting>,
}

/// A line of a fragment that is not a setting, comment or empty line, or that contradicts an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fragment}:{line}: {what}")]
pub struct FragmentError {
    /// The fragment's name.
    pub fragment: String,
    /// Line, from 1.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl Fragment {
    /// Parses a fragment. All invalid lines are returned, not only the first.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<FragmentError>> {
        let mut settings: Vec<Setting> = Vec::new();
        let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut blocks = Blocks::default();
        let mut errors = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let mut error = |what| {
                errors.push(FragmentError { fragment: name.to_owned(), line, text: text.to_owned(), what });
            };
            match blocks.take(line, text.trim_end()) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(what) => {
                    error(what);
                    continue;
                }
            }
            let (symbol, value) = match parse_line(text.trim_end()) {
                Ok(Some(setting)) => setting,
                Ok(None) => continue,
                Err(what) => {
                    error(what);
                    continue;
                }
            };
            let versions = blocks.versions();
            let earlier = seen.entry(symbol.to_owned()).or_default();
            let overlaps = |first: &&Setting| !first.versions.intersection(&versions).is_empty();
            match earlier.iter().map(|&index| &settings[index]).find(overlaps) {
                Some(first) if !first.value.same(&value) => error(format!(
                    "CONFIG_{symbol} is {value} here but {} in line {}; keep one of them",
                    first.value, first.line
                )),
                Some(first) if first.versions == versions => {}
                _ => {
                    earlier.push(settings.len());
                    settings.push(Setting { symbol: symbol.to_owned(), value, line, versions });
                }
            }
        }
        if let Some(line) = blocks.unclosed() {
            let text = text.lines().nth(line - 1).unwrap_or_default().to_owned();
            let what = "`#if` without `#endif`".to_owned();
            errors.push(FragmentError { fragment: name.to_owned(), line, text, what });
        }
        if errors.is_empty() { Ok(Self { name: name.to_owned(), settings }) } else { Err(errors) }
    }

    /// The first setting that applies to some versions only.
    pub fn versioned(&self) -> Option<&Setting> {
        self.settings.iter().find(|setting| !setting.versions.is_all())
    }

    /// The settings for one version of the source.
    pub fn at(&self, version: Version) -> Self {
        let settings = self.settings.iter().filter(|setting| setting.versions.contains(version));
        let unlimited = |setting: &Setting| Setting { versions: Versions::default(), ..setting.clone() };
        Self { name: self.name.clone(), settings: settings.map(unlimited).collect() }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The setting of one line, `None` for comments and empty lines, or what is wrong with it.
fn parse_line(line: &str) -> Result<Option<(&str, SymbolValue)>, String> {
    let start = line.trim_start();
    if start.is_empty() {
        return Ok(None);
    }
    if let Some(comment) = start.strip_prefix('#') {
        return match not_set(comment) {
            // Anything close to the one exact form is meant as a setting, but `conf` would treat it as a comment.
            Some(symbol) if line != format!("# CONFIG_{symbol} is not set") => {
                Err(format!("this reads as a plain comment; write `# CONFIG_{symbol} is not set`"))
            }
            Some(symbol) => Ok(Some((symbol, SymbolValue::No))),
            None => Ok(None),
        };
    }
    let Some((left, right)) = line.split_once('=') else {
        return Err(format!(
            "expected `CONFIG_NAME=value`, `# CONFIG_NAME is not set` or a comment, found `{}`",
            shorten(start)
        ));
    };
    let bare = left.trim();
    let Some(symbol) = bare.strip_prefix("CONFIG_") else {
        let hint =
            if is_name(bare) { format!(": write `CONFIG_{bare}={}`", shorten(right.trim())) } else { String::new() };
        return Err(format!("a symbol's name starts with CONFIG_{hint}"));
    };
    if !is_name(symbol) {
        return Err(format!("`{}` is not a symbol's name: letters, digits and _ are expected", shorten(bare)));
    }
    if left != bare || right != right.trim_start() {
        return Err(format!(
            "spaces are not allowed before CONFIG_ or around `=`: write `{bare}={}`",
            shorten(right.trim())
        ));
    }
    if let Some(value) = SymbolValue::parse(right) {
        return Ok(Some((symbol, value)));
    }
    let trailing = right.match_indices('#').any(|(at, _)| SymbolValue::parse(right[..at].trim_end()).is_some());
    Err(match right {
        _ if trailing => format!("a comment needs a line of its own, before `CONFIG_{symbol}=…`"),
        "" => "a value is missing: y, m, n, a number or \"text\"".to_owned(),
        _ if right.starts_with('"') => "a string needs a closing `\"`; inside it write `\\\"` for `\"`".to_owned(),
        "Y" | "M" | "N" | "yes" | "no" | "true" | "false" => {
            format!("expected y, m, n, a number or \"text\", found `{right}`")
        }
        _ => format!("expected y, m, n, a number or \"text\" in double quotes, found `{}`", shorten(right)),
    })
}

/// The symbol of a comment that is, or almost is, ` CONFIG_X is not set`.
fn not_set(comment: &str) -> Option<&str> {
    let mut words = comment.split_whitespace();
    let symbol = words.next()?.strip_prefix("CONFIG_").filter(|symbol| is_name(symbol))?;
    let rest: Vec<_> = words.map(str::to_ascii_lowercase).collect();
    let rest: Vec<_> = rest.iter().map(|word| word.trim_end_matches('.')).collect();
    matches!(rest[..], ["is", "not", "set"] | ["not", "set"] | ["is", "unset"] | ["is", "notset"]).then_some(symbol)
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The place of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingPlace {
    /// The fragment's name.
    pub fragment: String,
    /// Line, from 1.
    pub line: usize,
    /// The value requested there.
    pub value: SymbolValue,
}

/// What the fragments of a recipe together request for one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolRequest {
    /// The setting that takes effect: the last one.
    pub origin: SettingPlace,
    /// Earlier settings of the same symbol to another value.
    pub overridden: Vec<SettingPlace>,
}

/// The request for every symbol: if several fragments set it, the last one wins, as with `merge_config.sh`.
pub fn requests(fragments: &[Fragment]) -> BTreeMap<String, SymbolRequest> {
    let mut all: BTreeMap<String, SymbolRequest> = BTreeMap::new();
    for fragment in fragments {
        for Setting { symbol, value, line, versions: _ } in &fragment.settings {
            let origin = SettingPlace { fragment: fragment.name.clone(), line: *line, value: value.clone() };
            match all.entry(symbol.clone()) {
                Entry::Vacant(free) => {
                    free.insert(SymbolRequest { origin, overridden: Vec::new() });
                }
                Entry::Occupied(mut taken) => {
                    let request = taken.get_mut();
                    let earlier = std::mem::replace(&mut request.origin, origin);
                    if !earlier.value.same(value) {
                        request.overridden.push(earlier);
                    }
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let errors = Fragment::parse("a.config", text).expect_err(text);
        errors.iter().map(|error| error.to_string()).collect()
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let text = "# why\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\n# CONFIG_D is not set\n\nCONFIG_E=\"a \\\"b\\\" \\\\ # =\"\n\
                    CONFIG_F=-5\nCONFIG_G=0x1F\r\nCONFIG_H=\"\"\n";
        let fragment = Fragment::parse("a.config", text).unwrap();
        let lines: Vec<_> = fragment.settings.iter().map(|s| s.value.line(&s.symbol)).collect();
        assert_eq!(
            lines,
            [
                "CONFIG_A=y",
                "CONFIG_B=m",
                "# CONFIG_C is not set",
                "# CONFIG_D is not set",
                "CONFIG_E=\"a \\\"b\\\" \\\\ # =\"",
                "CONFIG_F=-5",
                "CONFIG_G=0x1F",
                "CONFIG_H=\"\"",
            ]
        );
        assert_eq!(fragment.settings[4].value, SymbolValue::Text("a \"b\" \\ # =".into()));
        assert_eq!(fragment.settings[6].line, 9);
        assert!(SymbolValue::Number("0x1f".into()).same(&fragment.settings[6].value));
        assert!(!SymbolValue::Number("31".into()).same(&fragment.settings[6].value));
    }

    #[test]
    fn a_line_that_conf_would_misread_is_an_error_that_says_what_to_write() {
        for (line, expected) in [
            ("CONFIG_X = y", "spaces are not allowed before CONFIG_ or around `=`: write `CONFIG_X=y`"),
            (" CONFIG_X=y", "write `CONFIG_X=y`"),
            ("FOO=y", "a symbol's name starts with CONFIG_: write `CONFIG_FOO=y`"),
            ("CONFIG_X=", "a value is missing"),
            ("CONFIG_X=Y", "expected y, m, n, a number or \"text\", found `Y`"),
            ("CONFIG_X=hello", "in double quotes, found `hello`"),
            ("CONFIG_X=\"hello", "closing `\"`"),
            ("CONFIG_X=\"a\"b\"", "closing `\"`"),
            ("CONFIG_X=0xZZ", "found `0xZZ`"),
            ("CONFIG_X=+5", "found `+5`"),
            ("CONFIG_X-Y=y", "`CONFIG_X-Y` is not a symbol's name"),
            ("CONFIG_X", "expected `CONFIG_NAME=value`"),
            ("CONFIG_X=y # since it is good", "a comment needs a line of its own"),
            ("#CONFIG_X is not set", "write `# CONFIG_X is not set`"),
            ("#  CONFIG_X is not set", "write `# CONFIG_X is not set`"),
            ("# CONFIG_X not set", "write `# CONFIG_X is not set`"),
            ("# CONFIG_X is not set.", "write `# CONFIG_X is not set`"),
        ] {
            let found = errors(&format!("CONFIG_A=y\n{line}\n"));
            assert_eq!(found.len(), 1, "{line}");
            assert!(found[0].starts_with("a.config:2: ") && found[0].contains(expected), "{line}: {found:?}");
        }
        assert!(Fragment::parse("a", "# CONFIG_X is needed by Y\n#CONFIG_Z=y\n").unwrap().settings.is_empty());
    }

    #[test]
    fn all_errors_of_a_fragment_are_found_contradictions_included() {
        let found = errors("CONFIG_A=y\nB=y\nCONFIG_A=y\n# CONFIG_A is not set\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], "a.config:4: CONFIG_A is n here but y in line 1; keep one of them");
    }

    #[test]
    fn settings_are_for_the_versions_of_their_block() {
        let text = "CONFIG_A=y\n#if version >= 6.9\nCONFIG_NEW=y\n#else\nCONFIG_OLD=y\n# CONFIG_GONE is not set\n#endif\n\
                    #if version < 7\nCONFIG_B=m\n#endif\r\n#if version >= 7\nCONFIG_B=y\n#endif\nCONFIG_C=n\n";
        let fragment = Fragment::parse("a.config", text).unwrap();
        assert_eq!(fragment.versioned().unwrap().line, 3);
        assert_eq!(fragment.at(Version::parse("6.1").unwrap()).versioned(), None);
        let at = |version: &str| {
            let settings = fragment.at(Version::parse(version).unwrap()).settings;
            settings
                .iter()
                .map(|setting| format!("{}:{}={}", setting.line, setting.symbol, setting.value))
                .collect::<Vec<_>>()
        };
        assert_eq!(at("6.1.170"), ["1:A=y", "5:OLD=y", "6:GONE=n", "9:B=m", "14:C=n"]);
        assert_eq!(at("6.12.107"), ["1:A=y", "3:NEW=y", "9:B=m", "14:C=n"]);
        assert_eq!(at("7.2.13"), ["1:A=y", "3:NEW=y", "12:B=y", "14:C=n"]);
    }

    #[test]
    fn a_misspelt_or_open_block_and_a_contradiction_within_a_version_are_errors() {
        for (text, expected) in [
            ("CONFIG_A=y\n#if version >= 6.9\nCONFIG_B=y\n", "a.config:2: `#if` without `#endif`"),
            ("#endif\n", "a.config:1: `#endif` without `#if`"),
            ("#else\n", "a.config:1: `#else` without `#if`"),
            ("#if version < 7\n#if version >= 6\n#endif\n", "a.config:2: `#if` inside the `#if` of line 1"),
            ("#if version < 7\n#else\n#else\n#endif\n", "a.config:3: duplicate `#else`; the first is in line 2"),
            ("# if version < 7\nCONFIG_B=y\n", "a.config:1: `# if version < 7` reads as a plain comment"),
            ("#if version <= 7\n", "a.config:1: `<=` is ambiguous"),
            ("CONFIG_A=y\n#if version < 7\nCONFIG_A=m\n#endif\n", "a.config:3: CONFIG_A is m here but y in line 1"),
            (
                "#if version >= 6\nCONFIG_A=y\n#endif\n#if version < 6.1\nCONFIG_A=n\n#endif\n",
                "a.config:5: CONFIG_A is n here but y in line 2",
            ),
        ] {
            let found = errors(text);
            assert!(found[0].starts_with(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_last_fragment_wins_and_both_origins_are_known() {
        let one = Fragment::parse("one", "CONFIG_A=y\nCONFIG_B=y\n").unwrap();
        let two = Fragment::parse("two", "CONFIG_B=y\nCONFIG_A=m\n").unwrap();
        let all = requests(&[one, two]);
        assert_eq!(all["A"].origin, SettingPlace { fragment: "two".into(), line: 2, value: SymbolValue::Module });
        assert_eq!(all["A"].overridden, [SettingPlace { fragment: "one".into(), line: 1, value: SymbolValue::Yes }]);
        assert_eq!((all["B"].origin.fragment.as_str(), all["B"].overridden.len()), ("two", 0));
    }
}
