//! The kernel's inputs and outputs as text: Kconfig fragments, `.config` files, patches, modules.
//!
//! Nothing here starts a process or touches the network. The executor runs patch and make in the toolchain, and this
//! module says what to give them and what came of it. busybox uses the same Kconfig language, so it is served too.

mod compressed;
pub mod config;
pub mod fragment;
pub mod kconfig;
pub mod modules;
pub mod patch;

use std::fmt;
use std::path::Path;

pub use config::{Config, merge};
pub use fragment::{Fragment, FragmentError, Value};

use fragment::{Origin, requests};
use kconfig::Kconfig;
use kconfig::explain::explain;

/// A setting that did not take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The fragment's name.
    pub fragment: String,
    /// Line of the fragment, from 1.
    pub line: usize,
    /// Without `CONFIG_`.
    pub symbol: String,
    /// What the fragment asks for.
    pub wanted: Value,
    /// What the final configuration holds; `None` where it doesn't mention the symbol.
    pub got: Option<Value>,
    /// Earlier settings of other fragments that this one overrode.
    pub overridden: Vec<Origin>,
    /// Why, in prose, with the place in the Kconfig files.
    pub reason: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fragment, line, symbol, wanted, got, overridden, reason } = self;
        match wanted {
            Value::No => write!(f, "{fragment}:{line}: CONFIG_{symbol} not wanted, but is ")?,
            wanted => write!(f, "{fragment}:{line}: CONFIG_{symbol}={wanted} wanted, but is ")?,
        }
        match got {
            None | Some(Value::No) => f.write_str("not set")?,
            Some(Value::Text(text)) if text.is_empty() => f.write_str("empty")?,
            Some(got) => write!(f, "{got}")?,
        }
        if !reason.is_empty() {
            write!(f, ": {reason}")?;
        }
        for Origin { fragment, line, value } in overridden {
            write!(f, " (it overrides {fragment}:{line}, which asks for {value})")?;
        }
        Ok(())
    }
}

/// Compares what the fragments ask for with the configuration that `make olddefconfig` (or busybox's `oldconfig`) left,
/// and explains each difference from the Kconfig files below `source_root`, for the architecture `arch` (`x86_64`).
/// In the order of fragments and lines.
pub fn check(fragments: &[Fragment], final_config: &str, source_root: &Path, arch: &str) -> Vec<Mismatch> {
    let config = Config::parse(final_config);
    let mut mismatches = Vec::new();
    for (symbol, request) in requests(fragments) {
        let Origin { fragment, line, value: wanted } = request.origin;
        if config.holds(&symbol, &wanted) {
            continue;
        }
        let got = config.get(&symbol).cloned();
        let overridden = request.overridden;
        mismatches.push(Mismatch { fragment, line, symbol, wanted, got, overridden, reason: String::new() });
    }
    if mismatches.is_empty() {
        return mismatches;
    }
    let kconfig = Kconfig::load(source_root, arch);
    for mismatch in &mut mismatches {
        mismatch.reason = match &kconfig {
            Ok(kconfig) => explain(kconfig, &config, &mismatch.symbol, &mismatch.wanted).to_string(),
            Err(error) => error.to_string(),
        };
    }
    let place = |name: &str| fragments.iter().position(|fragment| fragment.name == name);
    mismatches.sort_by_key(|mismatch| (place(&mismatch.fragment), mismatch.line));
    mismatches
}
