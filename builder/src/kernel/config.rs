//! A complete `.config`: reading one, and applying fragments to one.

use std::collections::{HashMap, HashSet};

use super::fragment::{Fragment, SymbolValue, requests};

/// The values of a `.config`.
#[derive(Clone, Debug, Default)]
pub struct Config {
    values: HashMap<String, SymbolValue>,
}

/// The symbol that a line of a `.config` sets, and the text of its value; `None` as text for "is not set".
fn entry(line: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = line.strip_prefix("# CONFIG_") {
        let (symbol, rest) = rest.split_once(' ')?;
        return rest.starts_with("is not set").then_some((symbol, None));
    }
    let (symbol, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    Some((symbol, Some(value.trim_end())))
}

impl Config {
    /// Reads a `.config` as `conf` does: lines that are not settings are skipped, and the last setting of a symbol
    /// counts.
    pub fn parse(text: &str) -> Self {
        let parsed = text.lines().filter_map(entry).map(|(symbol, value)| {
            let value = match value {
                None => SymbolValue::No,
                Some(text) => SymbolValue::parse(text).unwrap_or_else(|| SymbolValue::Text(text.to_owned())),
            };
            (symbol.to_owned(), value)
        });
        Self { values: parsed.collect() }
    }

    /// The value of a symbol (named without `CONFIG_`); `None` if the file doesn't mention it.
    pub fn get(&self, symbol: &str) -> Option<&SymbolValue> {
        self.values.get(symbol)
    }

    /// All symbols that it mentions (without `CONFIG_`), in no order.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether the symbol has this value; a symbol that is not mentioned is not set.
    pub fn holds(&self, symbol: &str, wanted: &SymbolValue) -> bool {
        self.get(symbol).unwrap_or(&SymbolValue::No).same(wanted)
    }
}

/// The settings of a `.config` in their order: symbol and text, `None` as the text of "is not set".
pub(super) fn settings(text: &str) -> Vec<(&str, Option<&str>)> {
    text.lines().filter_map(entry).collect()
}

/// Applies a file of settings to a `.config`, as the kernel's makefiles do for `tinyconfig`: its settings replace those of
/// the same symbols.
pub(super) fn merge_text(base: &str, over: &str) -> String {
    let replaced: HashSet<&str> = over.lines().filter_map(entry).map(|(symbol, _)| symbol).collect();
    let kept = base.lines().filter(|line| entry(line).is_none_or(|(symbol, _)| !replaced.contains(symbol)));
    kept.chain(over.lines()).flat_map(|line| [line, "\n"]).collect()
}

/// Applies fragments to a `.config`, as `scripts/kconfig/merge_config.sh -m` does: a symbol's old line is removed, the
/// new settings are appended, and the last fragment's setting wins. The result still needs `make olddefconfig`.
pub fn merge(base: &str, fragments: &[Fragment]) -> String {
    let requests = requests(fragments);
    let mut merged = String::with_capacity(base.len() + 64 * requests.len());
    let kept = base.lines().filter(|line| entry(line).is_none_or(|(symbol, _)| !requests.contains_key(symbol)));
    for line in kept {
        merged.push_str(line);
        merged.push('\n');
    }
    let mut written = HashSet::new();
    for setting in fragments.iter().flat_map(|fragment| &fragment.settings) {
        if written.insert(&setting.symbol) {
            merged.push_str(&requests[&setting.symbol].origin.value.line(&setting.symbol));
            merged.push('\n');
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_read_as_conf_reads_it() {
        let config = Config::parse(
            "#\n# Automatically generated\n#\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x y\"\n\nCONFIG_A=m\n",
        );
        assert!(config.holds("A", &SymbolValue::Module));
        assert!(config.holds("B", &SymbolValue::No) && config.get("B").is_some());
        assert!(config.holds("C", &SymbolValue::Text("x y".into())));
        assert!(config.holds("D", &SymbolValue::No) && config.get("D").is_none());
    }

    #[test]
    fn fragments_replace_and_extend_and_the_last_wins() {
        let base = "# head\nCONFIG_A=y\n# CONFIG_AB is not set\nCONFIG_KEEP=y";
        let one = Fragment::parse("one", "CONFIG_A=m\nCONFIG_NEW=\"a\\\"\"\n").unwrap();
        let two = Fragment::parse("two", "CONFIG_AB=y\nCONFIG_A=n\n").unwrap();
        let merged = merge(base, &[one, two]);
        assert_eq!(
            merged, "# head\nCONFIG_KEEP=y\n# CONFIG_A is not set\nCONFIG_NEW=\"a\\\"\"\nCONFIG_AB=y\n",
            "A is not AB"
        );
    }
}
