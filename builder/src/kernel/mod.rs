//! The kernel's inputs and outputs as text: Kconfig fragments, `.config` files, patches, modules.
//!
//! Nothing here starts a process or accesses the network. The executor runs patch and make in the toolchain; this
//! module determines their input and interprets their results. busybox uses the same Kconfig language and is supported,
//! too.

mod compressed;
pub mod config;
pub mod edit;
pub mod firmware;
pub mod fragment;
pub mod kconfig;
pub mod modules;
pub mod patch;
pub mod reproducible;
pub mod versions;

use std::cell::OnceCell;
use std::fmt;

pub use config::{Config, merge};
pub use fragment::{Fragment, FragmentError, Setting, SymbolValue};

use crate::beneath::{Dir, Links};
use crate::platform::Platform;
use fragment::{SettingPlace, requests};
use kconfig::Kconfig;
use kconfig::explain::{explain, is_unknown};
use versions::Version;

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
        let Self { fragment, line, symbol, wanted, got, overridden, reason } = self;
        match (wanted, got) {
            // It is not set, as requested; the reason says why that is an error nevertheless.
            (SymbolValue::No, None) => write!(f, "{fragment}:{line}: CONFIG_{symbol} can't be unset: ")?,
            (SymbolValue::No, _) => write!(f, "{fragment}:{line}: CONFIG_{symbol} is not wanted, but it is ")?,
            (wanted, _) => write!(f, "{fragment}:{line}: CONFIG_{symbol}={wanted} is wanted, but it is ")?,
        }
        match got {
            None if *wanted == SymbolValue::No => return f.write_str(reason),
            None | Some(SymbolValue::No) => f.write_str("not set")?,
            Some(SymbolValue::Text(text)) if text.is_empty() => f.write_str("empty")?,
            Some(got) => write!(f, "{got}")?,
        }
        if !reason.is_empty() {
            write!(f, ": {reason}")?;
        }
        for SettingPlace { fragment, line, value } in overridden {
            write!(f, " (it overrides {fragment}:{line}, which sets {value})")?;
        }
        Ok(())
    }
}

/// A fragment has settings for some versions only, and the source's version can't be determined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{fragment}:{line}: the setting is for {versions} only, but the top Makefile of the source does not begin with `VERSION = …` \
     and `PATCHLEVEL = …`"
)]
pub struct NoVersion {
    /// The fragment's name.
    pub fragment: String,
    /// The line of the first such setting.
    pub line: usize,
    /// The versions that it applies to.
    pub versions: versions::Versions,
}

/// The fragments, reduced to the settings for the version of the source `source`.
pub fn for_source(fragments: &[Fragment], source: &Dir) -> Result<Vec<Fragment>, NoVersion> {
    let version = source_version(source);
    let fit = |fragment: &Fragment| match (version, fragment.versioned()) {
        (_, None) => Ok(fragment.clone()),
        (Some(version), Some(_)) => Ok(fragment.at(version)),
        (None, Some(setting)) => {
            let (fragment, line, versions) = (fragment.name.clone(), setting.line, setting.versions.clone());
            Err(NoVersion { fragment, line, versions })
        }
    };
    fragments.iter().map(fit).collect()
}

/// That of Linux has 70 KB.
const MOST_MAKEFILE: u64 = 4 << 20;

/// The version that the top `Makefile` of a source states.
pub fn source_version(source: &Dir) -> Option<Version> {
    let makefile = source.following(Links::Within).read("Makefile", MOST_MAKEFILE).ok()?;
    Version::of_makefile(&String::from_utf8_lossy(&makefile))
}

/// Compares the settings that the fragments request with the configuration that `make olddefconfig` (or busybox's
/// `oldconfig`) produced, and explains each difference from the Kconfig files of `source`, for an architecture. In the
/// order of fragments and lines.
///
/// A symbol that no Kconfig file of the source defines is a difference even if it is requested to be off: its name is
/// misspelt or belongs to another version, and what it is meant to turn off may be on under its present name.
pub fn check(fragments: &[Fragment], final_config: &str, source: &Dir, platform: Platform) -> Vec<Mismatch> {
    let config = Config::parse(final_config);
    let mut mismatches = Vec::new();
    // Reading the Kconfig files takes a while, and most configurations are right.
    let kconfig = OnceCell::new();
    let load = || kconfig.get_or_init(|| Kconfig::load(source, platform)).as_ref();
    for (symbol, request) in requests(fragments) {
        let SettingPlace { fragment, line, value: wanted } = request.origin;
        let got = config.get(&symbol).cloned();
        let held = config.holds(&symbol, &wanted);
        let unknown = held && got.is_none() && load().is_ok_and(|kconfig| is_unknown(kconfig, &symbol));
        if held && !unknown {
            continue;
        }
        let overridden = request.overridden;
        mismatches.push(Mismatch { fragment, line, symbol, wanted, got, overridden, reason: String::new() });
    }
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
    let place = |name: &str| fragments.iter().position(|fragment| fragment.name == name);
    mismatches.sort_by_key(|mismatch| (place(&mismatch.fragment), mismatch.line));
    mismatches
}
