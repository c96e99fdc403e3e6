//! Which settings of fragments take effect in a configuration, and why others do not: one made by make, or a predicted one.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;

use super::config::Config;
use super::fragment::{Fragment, SettingPlace, SymbolValue, requests};
use super::kconfig::explain::{explain, is_unknown};
use super::kconfig::predict::{Base, Predictor, Unpredictable};
use super::kconfig::remedy::remedy as find_remedy;
use super::kconfig::{Kconfig, SourceFiles, ToolchainFacts};
use super::source::source_version;
use crate::platform::Platform;

/// A setting that did not take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The fragment's name.
    pub fragment: String,
    /// Line of the fragment, from 1.
    pub line: usize,
    /// Without `CONFIG_`.
    pub symbol: String,
    /// The value that the fragment requests.
    pub wanted: SymbolValue,
    /// The value in the final configuration; `None` if it doesn't mention the symbol.
    pub got: Option<SymbolValue>,
    /// Earlier settings of other fragments that this one overrode.
    pub overridden: Vec<SettingPlace>,
    /// Why, in prose, with the place in the Kconfig files.
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.fragment, self.line, self.message())
    }
}

impl Mismatch {
    /// What is wrong, without the place.
    pub fn message(&self) -> String {
        let Self { fragment: _, line: _, symbol, wanted, got, overridden, reason } = self;
        let mut message = match (wanted, got) {
            // It is not set, as requested; the reason says why that is an error nevertheless.
            (SymbolValue::No, None) => return format!("CONFIG_{symbol} can't be unset: {reason}"),
            (SymbolValue::No, _) => format!("CONFIG_{symbol} is not wanted, but it is "),
            (wanted, _) => format!("CONFIG_{symbol}={wanted} is wanted, but it is "),
        };
        match got {
            None | Some(SymbolValue::No) => message += "not set",
            Some(SymbolValue::Text(text)) if text.is_empty() => message += "empty",
            Some(got) => message += &got.to_string(),
        }
        if !reason.is_empty() {
            message = format!("{message}: {reason}");
        }
        for SettingPlace { fragment, line, value } in overridden {
            message += &format!(" (it overrides {fragment}:{line}, which sets {value})");
        }
        message
    }
}

/// Compares the settings that the fragments request with the configuration that `make olddefconfig` (or busybox's
/// `oldconfig`) produced, and explains each difference from the Kconfig files of `source`, for an architecture. In the
/// order of fragments and lines.
///
/// A symbol that no Kconfig file of the source defines is a difference even if it is requested to be off: its name is
/// misspelt or belongs to another version, and what it is meant to turn off may be on under its present name.
pub fn check(fragments: &[Fragment], final_config: &str, source: &SourceFiles, platform: Platform) -> Vec<Mismatch> {
    let config = Config::parse(final_config);
    // Reading the Kconfig files takes a while, and most configurations are right.
    let kconfig = OnceCell::new();
    let load = || kconfig.get_or_init(|| Kconfig::load(source, platform)).as_ref();
    let is_unknown = |symbol: &str| load().is_ok_and(|kconfig| is_unknown(kconfig, symbol));
    let mut mismatches = mismatches(fragments, &config, &is_unknown);
    if mismatches.is_empty() {
        return mismatches;
    }
    let version = source_version(source);
    for mismatch in &mut mismatches {
        mismatch.reason = match load() {
            Ok(kconfig) => explain(kconfig, &config, &mismatch.symbol, &mismatch.wanted).at_version(version),
            Err(error) => error.to_string(),
        };
    }
    mismatches
}

/// The requested settings that a configuration does not have, without reasons.
fn mismatches(fragments: &[Fragment], config: &Config, is_unknown: &dyn Fn(&str) -> bool) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (symbol, request) in requests(fragments) {
        let SettingPlace { fragment, line, value: wanted } = request.origin;
        let got = config.get(&symbol).cloned();
        let held = config.holds(&symbol, &wanted);
        if held && (got.is_some() || !is_unknown(&symbol)) {
            continue;
        }
        let overridden = request.overridden;
        mismatches.push(Mismatch { fragment, line, symbol, wanted, got, overridden, reason: String::new() });
    }
    let place = |name: &str| fragments.iter().position(|fragment| fragment.name == name);
    mismatches.sort_by_key(|mismatch| (place(&mismatch.fragment), mismatch.line));
    mismatches
}

/// A setting that will not take effect, and what would make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The setting, and why.
    pub mismatch: Mismatch,
    /// Settings that make it take effect if they are added; none if nothing was found.
    pub remedy: Vec<(String, SymbolValue)>,
}

/// What can be known of fragments before they are built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Settings that will not take effect, in the order of fragments and lines.
    pub lost: Vec<Lost>,
    /// How many settings are requested.
    pub settings: usize,
    /// The symbols whose settings are lost with a compiler that passes each test, but take effect with another. What takes
    /// effect with the former is not among them.
    pub uncertain: Vec<String>,
}

/// What a prediction is made from.
#[derive(Clone, Copy, Debug)]
pub struct Prospect<'a> {
    /// The source's Kconfig files, Makefile and bases.
    pub source: &'a SourceFiles,
    /// The architecture.
    pub platform: Platform,
    /// What is known of the toolchain.
    pub facts: &'a ToolchainFacts,
    /// The start of the configuration.
    pub base: Base<'a>,
    /// Arguments of make.
    pub make: &'a [String],
}

/// Why fragments can't be judged before they are built.
#[derive(Debug, thiserror::Error)]
pub enum NoVerdict {
    /// The Kconfig files can't be read.
    #[error("{0}")]
    Source(#[from] std::io::Error),
    /// Nothing can be predicted.
    #[error(transparent)]
    Unpredictable(#[from] Unpredictable),
}

/// How many lost settings get a remedy: finding one completes the configuration several times.
const MOST_REMEDIES: usize = 25;

/// Predicts which settings of fragments, which are those for the source's version, take effect.
pub fn foresee(fragments: &[Fragment], prospect: &Prospect<'_>) -> Result<Verdict, NoVerdict> {
    let Prospect { source, platform, facts, base, make } = *prospect;
    let kconfig = Kconfig::load_for(source, platform, facts, make)?;
    let version = source_version(source);
    let predictor = Predictor::new(&kconfig, version, platform)?;
    let is_unknown = |symbol: &str| is_unknown(&kconfig, symbol);
    let mut configs = predictor.predict(base, fragments);
    let usual = configs.next().transpose()?.map(|text| Config::parse(&text)).unwrap_or_default();
    let found = mismatches(fragments, &usual, &is_unknown);
    let ever: BTreeSet<String> = found.iter().map(|one| one.symbol.clone()).collect();
    let mut always = ever.clone();
    // What does not hold with a compiler that passes each test may hold with another.
    while !always.is_empty()
        && let Some(text) = configs.next()
    {
        let config = Config::parse(&text?);
        let lost: BTreeSet<String> =
            mismatches(fragments, &config, &is_unknown).into_iter().map(|one| one.symbol).collect();
        always.retain(|symbol| lost.contains(symbol));
    }
    let start = if always.is_empty() { String::new() } else { predictor.usual_base(base)? };
    let mut lost = Vec::new();
    for mut mismatch in found {
        if !always.contains(&mismatch.symbol) {
            continue;
        }
        let reason = explain(&kconfig, &usual, &mismatch.symbol, &mismatch.wanted);
        mismatch.reason = reason.at_version(version);
        let remedy = if lost.len() < MOST_REMEDIES {
            find_remedy(&predictor, &start, fragments, &mismatch.symbol, &mismatch.wanted)?
        } else {
            Vec::new()
        };
        lost.push(Lost { mismatch, remedy });
    }
    let settings = requests(fragments).len();
    Ok(Verdict { lost, settings, uncertain: ever.difference(&always).cloned().collect() })
}
