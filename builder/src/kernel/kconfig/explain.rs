//! Why a symbol did not get the requested value.

use std::collections::HashMap;
use std::fmt;

use super::super::config::Config;
use super::super::fragment::{SymbolValue, number};
use super::super::versions::Version;
use super::expr::{Atom, Tristate};
use super::files::FileItem;
use super::needs::listed;
use super::values::Values;
use super::{DefaultValue, Definition, Kconfig, KconfigPlace, Symbol, SymbolType};

/// The reason; `Display` formats it as a clause or two of prose that state the line of the Kconfig file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No Kconfig file that this architecture reads defines it.
    NoSuchSymbol {
        /// Similar names that may have been meant, nearest first.
        similar: Vec<String>,
        /// Where it is defined for other architectures.
        elsewhere: Vec<KconfigPlace>,
    },
    /// It only passes on the value of an older configuration, and is never set itself.
    Transitional {
        /// Its definition.
        place: KconfigPlace,
        /// The symbols that take over its value.
        heirs: Vec<String>,
    },
    /// It can't hold a value of this type.
    WrongType {
        /// Its type.
        kind: SymbolType,
        /// What to write.
        expected: String,
        /// Its definition.
        place: KconfigPlace,
    },
    /// It has no prompt and is selected by other symbols; in prose.
    NoPrompt(String),
    /// A condition is not met; in prose.
    Unmet(String),
    /// Other symbols turn it on.
    Selected {
        /// Each with the value that it imposes and the line.
        by: Vec<(String, Tristate, KconfigPlace)>,
    },
    /// Another member of its choice is set.
    Choice {
        /// The choice's title.
        title: String,
        /// The choice's line.
        place: KconfigPlace,
        /// The member that is set.
        chosen: String,
        /// All members.
        members: Vec<String>,
    },
    /// `m` was requested, but this configuration has no modules.
    NoModules,
    /// It is out of range.
    Range {
        /// Least value.
        low: String,
        /// Greatest value.
        high: String,
        /// The range's line.
        place: KconfigPlace,
    },
    /// Nothing in the Kconfig files explains it; its definition.
    Unexplained(KconfigPlace),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSymbol { similar, elsewhere } => {
                f.write_str("this source has no such symbol")?;
                let mut arches: Vec<_> = elsewhere.iter().filter_map(|place| arch_of(&place.file)).collect();
                arches.sort();
                arches.dedup();
                if let Some(place) = elsewhere.first() {
                    if arches.is_empty() {
                        write!(f, " for this architecture; {place} defines it, but is not read")?;
                    } else {
                        write!(f, " for this architecture, only for {} ({place})", listed(&arches))?;
                    }
                }
                match &similar[..] {
                    [] => Ok(()),
                    [first @ .., last] if !first.is_empty() => {
                        write!(f, "; did you mean {} or {last}?", first.join(", "))
                    }
                    [one, ..] => write!(f, "; did you mean {one}?"),
                }
            }
            Self::Transitional { place, heirs } => {
                write!(f, "the symbol was renamed ({place})")?;
                if heirs.is_empty() { Ok(()) } else { write!(f, "; write {}", listed(heirs)) }
            }
            Self::WrongType { kind, expected, place } => write!(f, "its type is {kind} ({place}): write {expected}"),
            Self::NoPrompt(text) | Self::Unmet(text) => f.write_str(text),
            Self::Selected { by } => {
                let each: Vec<_> = by.iter().map(|(name, value, place)| format!("{name}={value} ({place})")).collect();
                write!(f, "it is selected by {}", listed(&each))
            }
            Self::Choice { title, place, chosen, members } => {
                let others: Vec<_> = members.iter().filter(|member| *member != chosen).cloned().collect();
                write!(f, "the choice \"{title}\" allows one of its members, and {chosen} is set ({place})")?;
                if others.is_empty() { Ok(()) } else { write!(f, "; the others are {}", listed(&others)) }
            }
            Self::NoModules => f.write_str("MODULES is n, so it can be y or n only"),
            Self::Range { low, high, place } => write!(f, "its range is {low} to {high} ({place})"),
            Self::Unexplained(place) => write!(
                f,
                "no dependency prevents it ({place}); did something change the configuration after the fragments?"
            ),
        }
    }
}

impl Reason {
    /// The prose, with advice about a name that this version of the source does not have.
    pub fn at_version(&self, version: Option<Version>) -> String {
        match (self, version) {
            (Self::NoSuchSymbol { .. }, Some(version)) => {
                format!("{self} (the source's version is {version}; `#if version …` limits settings to versions)")
            }
            _ => self.to_string(),
        }
    }
}

/// Whether no Kconfig file of the source defines the symbol, for any architecture.
pub fn is_unknown(kconfig: &Kconfig, symbol: &str) -> bool {
    !kconfig.symbols.contains_key(symbol) && elsewhere(kconfig, symbol).is_empty()
}

/// The architecture whose folder contains a file.
fn arch_of(file: &str) -> Option<String> {
    file.strip_prefix("arch/")?.split_once('/').map(|(arch, _)| arch.to_owned())
}

fn tristate(value: &SymbolValue) -> Option<Tristate> {
    match value {
        SymbolValue::No => Some(Tristate::No),
        SymbolValue::Module => Some(Tristate::Module),
        SymbolValue::Yes => Some(Tristate::Yes),
        SymbolValue::Text(_) | SymbolValue::Number(_) => None,
    }
}

/// Explains why `symbol` (without `CONFIG_`) does not have the value `wanted` in `config`.
pub fn explain(kconfig: &Kconfig, config: &Config, symbol: &str, wanted: &SymbolValue) -> Reason {
    let Some((known, first)) = kconfig.symbols.get(symbol).and_then(|known| Some((known, known.definitions.first()?)))
    else {
        return no_such_symbol(kconfig, symbol);
    };
    if known.definitions.iter().all(|block| block.transitional) {
        return Reason::Transitional { place: first.place.clone(), heirs: heirs(kconfig, symbol) };
    }
    // First as if the toolchain had passed every test: a plain dependency is the better explanation.
    let values = Values { kconfig, config, unknown: Tristate::Yes };
    if let Some((kind, expected)) = known.kind.and_then(|kind| Some((kind, wrong_type(kind, wanted)?))) {
        return Reason::WrongType { kind, expected, place: first.place.clone() };
    }
    let reason = match tristate(wanted) {
        Some(wanted) => explain_tristate(values, symbol, known, wanted),
        None => explain_value(values, symbol, known, wanted),
    };
    let toolchain = Values { unknown: Tristate::No, ..values };
    let level = values.level(known.kind, tristate(wanted).unwrap_or(Tristate::Module));
    reason
        .or_else(|| match toolchain.nearest(symbol, level) {
            Some((_, needs)) if !needs.is_empty() && *wanted != SymbolValue::No => {
                Some(Reason::Unmet(toolchain.tell_needs("it", &needs, level)))
            }
            _ => None,
        })
        .unwrap_or_else(|| Reason::Unexplained(first.place.clone()))
}

/// The symbols whose default is the value of `symbol`, by name.
fn heirs(kconfig: &Kconfig, symbol: &str) -> Vec<String> {
    let inherits = |known: &Symbol| {
        known.definitions.iter().flat_map(|block| &block.defaults).any(|default| default.value.symbol() == Some(symbol))
    };
    let mut heirs: Vec<_> =
        kconfig.symbols.iter().filter(|(_, known)| inherits(known)).map(|(name, _)| name.clone()).collect();
    heirs.sort();
    heirs
}

/// What to write instead, if a symbol of this type can't hold `wanted`.
fn wrong_type(kind: SymbolType, wanted: &SymbolValue) -> Option<String> {
    let hex = |number: &str| number.starts_with("0x") || number.starts_with("0X");
    let expected = match (kind, wanted) {
        (SymbolType::Bool, SymbolValue::Module) => "y or n, it can't be a module",
        (SymbolType::Bool, SymbolValue::Text(_) | SymbolValue::Number(_)) => "y or n",
        (SymbolType::Tristate, SymbolValue::Text(_) | SymbolValue::Number(_)) => "y, m or n",
        (SymbolType::Text, SymbolValue::Number(number)) => return Some(format!("\"{number}\"")),
        (SymbolType::Text, SymbolValue::Yes | SymbolValue::Module | SymbolValue::No) => "a string in double quotes",
        (SymbolType::Int, SymbolValue::Number(number)) if !hex(number) => return None,
        (SymbolType::Int, _) => "a decimal number",
        // `conf` reads 1000 as 0x1000.
        (SymbolType::Hex, SymbolValue::Number(number)) if !hex(number) => {
            return Some(format!("0x{number}, if that is meant"));
        }
        (SymbolType::Hex, SymbolValue::Text(_) | SymbolValue::Yes | SymbolValue::Module | SymbolValue::No) => {
            "a hexadecimal number, 0x…"
        }
        _ => return None,
    };
    Some(expected.to_owned())
}

fn explain_tristate(values: Values<'_>, symbol: &str, known: &Symbol, wanted: Tristate) -> Option<Reason> {
    let got = values.tristate_of(symbol);
    if got > wanted {
        let by: Vec<_> = values
            .kconfig
            .selectors(symbol)
            .filter(|(_, _, select)| !select.weak)
            .filter_map(|(name, _, select)| {
                let value = values.imposed(name, &select.condition)?;
                (value > wanted || !values.modules()).then(|| (name.to_owned(), value, select.place.clone()))
            })
            .collect();
        if !by.is_empty() {
            return Some(Reason::Selected { by });
        }
        if wanted == Tristate::Module && !values.modules() {
            return Some(Reason::NoModules);
        }
    }
    let level = values.level(known.kind, wanted.max(Tristate::Module));
    let Some((definition, needs)) = values.nearest(symbol, level) else {
        if got > wanted {
            return Some(Reason::NoPrompt(computed(values, symbol, known)?));
        }
        return Some(Reason::NoPrompt(format!("{}", It(symbol, values.tell_promptless(symbol, level)))));
    };
    if !needs.is_empty() {
        let told = if got > wanted {
            // Its default takes effect because it is not prompted for.
            let default = default_place(values, known)
                .map(|place| format!("it is {got} by default ({place}), and "))
                .unwrap_or_default();
            default + &values.tell_needs("setting another value", &needs, level)
        } else {
            let told = values.tell_needs("it", &needs, level);
            // Only the prompt is hidden: the symbols that select it are an equally good explanation.
            match values.tell_selectors(symbol).filter(|_| values.dependencies_hold(definition) >= level) {
                Some(selectors) => format!("{told}; it is otherwise turned on by {selectors}"),
                None => told,
            }
        };
        return Some(Reason::Unmet(told));
    }
    if wanted == Tristate::Module && !values.modules() {
        return Some(Reason::NoModules);
    }
    let (title, place, members) = values.choice(definition)?;
    let chosen = members.iter().find(|member| values.tristate_of(member) == Tristate::Yes)?;
    Some(Reason::Choice {
        title: title.to_owned(),
        place: place.clone(),
        chosen: chosen.clone(),
        members: members.to_vec(),
    })
}

/// Says "it" for the symbol that the message starts with.
struct It<'a>(&'a str, String);

impl fmt::Display for It<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1.strip_prefix(self.0) {
            Some(rest) => write!(f, "it{rest}"),
            None => f.write_str(&self.1),
        }
    }
}

/// The default that gives a symbol its value, and the block that states it.
fn active_default<'a>(values: Values<'a>, known: &'a Symbol) -> Option<(&'a Definition, &'a DefaultValue)> {
    let active = known.definitions.iter().filter(|block| values.dependencies_hold(block) > Tristate::No);
    let mut defaults = active.flat_map(|block| block.defaults.iter().map(move |default| (block, default)));
    defaults.find(|(_, default)| values.holds(&default.condition) > Tristate::No)
}

/// The line of that default.
fn default_place<'a>(values: Values<'a>, known: &'a Symbol) -> Option<&'a KconfigPlace> {
    active_default(values, known).map(|(_, default)| &default.place)
}

/// How a symbol without a prompt got its value.
fn computed(values: Values<'_>, symbol: &str, known: &Symbol) -> Option<String> {
    let implied =
        values.kconfig.selectors(symbol).find(|(name, _, select)| values.imposed(name, &select.condition).is_some());
    let cause = match (implied, active_default(values, known)) {
        (Some((name, _, select)), _) => format!("{name} implies it ({})", select.place),
        (None, Some((block, default))) => {
            let depends = block.depends.iter().map(|guard| &guard.condition);
            let all: Vec<_> = Some(&default.value).into_iter().chain(&default.condition).chain(depends).collect();
            let shown: Vec<_> =
                all.iter().filter(|expr| expr.symbol() != Some("y")).map(|expr| expr.to_string()).collect();
            let while_ = if shown.is_empty() { String::new() } else { format!(", while {}", listed(&shown)) };
            format!("its default turns it on{while_} ({})", default.place)
        }
        (None, None) => return None,
    };
    Some(format!("it has no prompt, so it can't be set; {cause}"))
}

fn explain_value(values: Values<'_>, symbol: &str, known: &Symbol, wanted: &SymbolValue) -> Option<Reason> {
    let Some((definition, needs)) = values.nearest(symbol, Tristate::Module) else {
        let place = default_place(values, known).or(known.definitions.first().map(|block| &block.place))?;
        let text = format!("it has no prompt, so it can't be set; its value is computed ({place})");
        return Some(Reason::NoPrompt(text));
    };
    if !needs.is_empty() {
        return Some(Reason::Unmet(values.tell_needs("it", &needs, Tristate::Module)));
    }
    let SymbolValue::Number(wanted) = wanted else { return None };
    let (_, wanted) = number(wanted)?;
    let bound = |atom: &Atom| match atom {
        Atom::Symbol(name) => values.text_of(name),
        Atom::Text(text) => text.to_string(),
        Atom::Unknown(text) => text.to_string(),
    };
    let range = definition.ranges.iter().find(|range| values.holds(&range.condition) > Tristate::No)?;
    let (low, high) = (bound(&range.low), bound(&range.high));
    let outside =
        number(&low).is_some_and(|(_, low)| wanted < low) || number(&high).is_some_and(|(_, high)| wanted > high);
    outside.then(|| Reason::Range { low, high, place: range.place.clone() })
}

fn no_such_symbol(kconfig: &Kconfig, symbol: &str) -> Reason {
    Reason::NoSuchSymbol { similar: similar(kconfig, symbol), elsewhere: elsewhere(kconfig, symbol) }
}

/// How a defined name may differ from the requested one, nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// A typing error: this many letters differ.
    Letters(usize),
    /// Words were added in front: `RETPOLINE` became `MITIGATION_RETPOLINE`.
    Prefix,
    /// Words were added at the end.
    Suffix,
    /// One word more or less, or at another position.
    Word,
    /// Another first word: `CPU_SRSO` became `MITIGATION_SRSO`.
    FirstWord,
}

fn likeness(wanted: &str, name: &str) -> Option<Likeness> {
    if let Some(distance) = crate::similar::distance(wanted, name) {
        return Some(Likeness::Letters(distance));
    }
    if name.strip_suffix(wanted).is_some_and(|rest| rest.ends_with('_')) {
        return Some(Likeness::Prefix);
    }
    if name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('_')) {
        return Some(Likeness::Suffix);
    }
    let words = |name: &str| name.split('_').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    if wanted.contains('_') && words(wanted).symmetric_difference(&words(name)).count() == 1 {
        return Some(Likeness::Word);
    }
    // A rest of at most three characters says too little.
    let rest = |name: &str| name.split_once('_').map(|(_, rest)| rest.to_owned()).filter(|rest| rest.len() > 3);
    (rest(wanted).is_some() && rest(wanted) == rest(name)).then_some(Likeness::FirstWord)
}

/// If more names than these differ only in their first word, the rest is too common.
const MOST_FIRST_WORDS: usize = 2;

/// Defined symbols with names similar to `symbol`: typing errors, or names that changed from version to version.
fn similar(kconfig: &Kconfig, symbol: &str) -> Vec<String> {
    let upper = symbol.to_ascii_uppercase();
    let alike = |name: &'_ String| likeness(&upper, name).map(|likeness| (likeness, name.len(), name.clone()));
    let mut near: Vec<_> = kconfig.symbols.keys().filter_map(alike).collect();
    // `_INTEL` or `_DEBUG` ends dozens of names, so it is no hint.
    let first_words = near.iter().filter(|(likeness, ..)| *likeness == Likeness::FirstWord).count();
    near.retain(|(likeness, ..)| *likeness != Likeness::FirstWord || first_words <= MOST_FIRST_WORDS);
    near.sort();
    near.into_iter().take(3).map(|(_, _, name)| name).collect()
}

/// Where files that this architecture doesn't read define a symbol; other architectures' folders first.
fn elsewhere(kconfig: &Kconfig, symbol: &str) -> Vec<KconfigPlace> {
    let all = kconfig.elsewhere.get_or_init(|| unread(kconfig));
    let mut found = all.get(symbol).cloned().unwrap_or_default();
    found.sort_by_key(|place| (arch_of(&place.file).is_none(), place.clone()));
    found
}

/// Every symbol that some Kconfig file below the root defines but that was not read. Walking a kernel's 5,000 folders
/// takes longer than parsing, so it is done for unknown symbols only, and once.
fn unread(kconfig: &Kconfig) -> HashMap<String, Vec<KconfigPlace>> {
    let mut found: HashMap<String, Vec<KconfigPlace>> = HashMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for FileItem { name, is_folder } in kconfig.root.list(&folder) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if is_folder {
                // Examples of the language itself.
                if path != "Documentation" && path != "scripts" {
                    folders.push(path);
                }
            } else if name.starts_with("Kconfig") || name.starts_with("Config.") {
                for (symbol, line) in defined_in(&kconfig.root.read(&path, MOST_BYTES).unwrap_or_default()) {
                    if !kconfig.symbols.contains_key(&symbol) {
                        found.entry(symbol).or_default().push(KconfigPlace { file: path.as_str().into(), line });
                    }
                }
            }
        }
    }
    found
}

/// No Kconfig file has more lines.
const MOST_BYTES: u64 = 16 << 20;

/// The symbols that a file's content defines with `config` lines, with the numbers of those lines.
fn defined_in(content: &[u8]) -> Vec<(String, usize)> {
    let defined = |line: &str| {
        let mut words = line.split_whitespace();
        let defines = matches!(words.next(), Some("config" | "menuconfig"));
        words.next().filter(|_| defines && words.next().is_none()).map(str::to_owned)
    };
    let text = String::from_utf8_lossy(content);
    text.lines().zip(1..).filter_map(|(text, line)| Some((defined(text)?, line))).collect()
}
