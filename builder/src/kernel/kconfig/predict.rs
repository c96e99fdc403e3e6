//! The configuration that make would produce from a base and fragments, without running make, and how certain that is.
//!
//! What only the compiler can answer is assumed in several ways, and a setting counts as lost only if it is lost in each.

use super::super::config::{self, Config};
use super::super::fragment::Fragment;
use super::super::versions::Version;
use super::files::SourceFiles;
use super::model::{Choices, Model};
use super::resolve::{Mode, TooDeep, resolve};
use super::way::Way;
use super::{Kconfig, SymbolType};
use crate::platform::Platform;

/// How many ways of answering for the compiler are tried: all tests pass, none does, and mixed ones.
const WAYS: usize = 24;

/// No file of settings has more bytes.
const MOST_CONFIG: u64 = 16 << 20;

/// The start of a configuration.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// A target of make: `tinyconfig`, `allnoconfig`, `defconfig`, `x86_64_defconfig`.
    Target(&'a str),
    /// A whole `.config`.
    Text(&'a str),
}

/// Why nothing can be predicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpredictable {
    /// What the make target does is not known.
    #[error("what `make {0}` does can't be known without running it")]
    Target(String),
    /// A file that the target needs is missing.
    #[error("the source has no {0}")]
    NoFile(String),
    /// A line was not understood.
    #[error("{place}: {what}")]
    Line {
        /// `file:line`.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// Symbols depend on each other in chains that are too long.
    #[error("symbols depend on each other in chains that are too long")]
    TooDeep,
}

impl From<TooDeep> for Unpredictable {
    fn from(_: TooDeep) -> Self {
        Self::TooDeep
    }
}

/// Predicts configurations for one source.
pub struct Predictor<'k> {
    kconfig: &'k Kconfig,
    model: Model,
    platform: Platform,
}

/// The rules for choices changed with Linux 6.11.
const PRIORITIES_SINCE: [u32; 2] = [6, 11];

impl<'k> Predictor<'k> {
    /// For a source of a version.
    pub fn new(kconfig: &'k Kconfig, version: Option<Version>, platform: Platform) -> Result<Self, Unpredictable> {
        if let Some(oddity) = kconfig.oddities.first() {
            return Err(Unpredictable::Line { place: oddity.place.to_string(), what: oddity.what.clone() });
        }
        let [major, minor] = PRIORITIES_SINCE;
        let is_new = version.is_some_and(|version| version >= Version::new(major, minor));
        let rules = if is_new { Choices::Priorities } else { Choices::Symbols };
        let model = Model::new(kconfig, rules);
        Ok(Self { kconfig, model, platform })
    }

    /// The macros that only the compiler can answer.
    pub fn unknown(&self) -> &[String] {
        &self.model.unknown
    }

    /// The configurations that `make olddefconfig` could make of a base and fragments: one for each way in which the
    /// compiler may answer, of which the first is a compiler that passes each test. As text, computed one by one.
    pub fn predict(
        &self,
        base: Base<'_>,
        fragments: &[Fragment],
    ) -> impl Iterator<Item = Result<String, Unpredictable>> {
        (0..WAYS).map(Way).map(move |way| self.complete(&self.base(base, way)?, fragments, way))
    }

    /// The first of these, from the base that is the first.
    pub(super) fn usual(&self, base: &str, fragments: &[Fragment]) -> Result<Config, Unpredictable> {
        Ok(Config::parse(&self.complete(base, fragments, Way::USUAL)?))
    }

    /// The base for a compiler that passes each test.
    pub(in super::super) fn usual_base(&self, base: Base<'_>) -> Result<String, Unpredictable> {
        self.base(base, Way::USUAL)
    }

    fn complete(&self, base: &str, fragments: &[Fragment], way: Way) -> Result<String, Unpredictable> {
        let merged = config::merge(base, fragments);
        Ok(resolve(&self.model, &config::settings(&merged), Mode::Defaults, way)?)
    }

    fn base(&self, base: Base<'_>, way: Way) -> Result<String, Unpredictable> {
        let target = match base {
            Base::Text(text) => return Ok(text.to_owned()),
            Base::Target(target) => target,
        };
        let arch = self.platform.names().kernel.source;
        match target {
            "allnoconfig" => Ok(resolve(&self.model, &[], Mode::AllNo, way)?),
            // scripts/kconfig/Makefile: allnoconfig with some settings, over which fragments are laid.
            "tinyconfig" => {
                let seed = self.read("kernel/configs/tiny-base.config").unwrap_or_default();
                let mut text = resolve(&self.model, &config::settings(&seed), Mode::AllNo, way)?;
                let mut any = false;
                for path in ["kernel/configs/tiny.config".to_owned(), format!("arch/{arch}/configs/tiny.config")] {
                    if let Some(fragment) = self.read(&path) {
                        any = true;
                        text = config::merge_text(&text, &fragment);
                    }
                }
                if !any {
                    return Err(Unpredictable::NoFile("kernel/configs/tiny.config".to_owned()));
                }
                Ok(resolve(&self.model, &config::settings(&text), Mode::Defaults, way)?)
            }
            _ if target.ends_with("defconfig") && !target.starts_with("old") && !target.starts_with("save") => {
                let name = if target == "defconfig" { self.platform.names().kernel.defconfig } else { target };
                let path = format!("arch/{arch}/configs/{name}");
                let text = self.read(&path).ok_or(Unpredictable::NoFile(path))?;
                Ok(resolve(&self.model, &config::settings(&text), Mode::Defaults, way)?)
            }
            _ => Err(Unpredictable::Target(target.to_owned())),
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        let bytes = self.kconfig.root.read(path, MOST_CONFIG).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn kconfig(&self) -> &'k Kconfig {
        self.kconfig
    }

    /// The type of a symbol, also if only its choice states it.
    pub(super) fn kind(&self, symbol: &str) -> Option<SymbolType> {
        self.model.by_name.get(symbol).and_then(|at| self.model.units[*at].kind)
    }
}

/// Whether a path in a source is one of those that reading its Kconfig files and their bases needs.
pub fn is_needed(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    name.starts_with("Kconfig")
        || name.starts_with("Config.")
        || path == "Makefile"
        || folder == "kernel/configs"
        || (folder.starts_with("arch/") && folder.ends_with("/configs"))
}

/// The files of a source for which [`is_needed`] holds, as one text, and back.
pub fn pack(files: &std::collections::BTreeMap<String, String>) -> Vec<u8> {
    serde_json::to_vec(files).expect("a map of texts")
}

/// Reads what [`pack`] wrote.
pub fn unpack(bytes: &[u8]) -> Option<SourceFiles> {
    Some(SourceFiles::Texts(std::sync::Arc::new(serde_json::from_slice(bytes).ok()?)))
}
