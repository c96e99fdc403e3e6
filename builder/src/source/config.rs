//! The user's configuration file: mirrors, and limits for downloads.
//!
//! ```yaml
//! mirrors:
//!   debian: ["http://mirror.example/debian"]
//!   debian-security: ["http://mirror.example/debian-security"]
//! network:
//!   connect: 10          # seconds to connect
//!   answer: 15           # seconds until a server answers
//!   stall: 10            # the seconds over which the rate is measured
//!   min-rate: 1024       # bytes a second; a slower place has failed
//!   hedge: 3             # seconds without data until the next place is tried as well
//!   max-size: 4294967296 # bytes, of files whose length is not known beforehand
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{NetworkLimits, SourceError};
use crate::input::{LIMIT, read_text};

/// The content of the file; empty if it does not exist.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    #[serde(default)]
    pub(super) mirrors: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    network: NetworkConfig,
    #[serde(skip)]
    path: PathBuf,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NetworkConfig {
    connect: Option<u64>,
    answer: Option<u64>,
    stall: Option<u64>,
    min_rate: Option<u64>,
    hedge: Option<u64>,
    max_size: Option<u64>,
}

impl NetworkConfig {
    /// The first key that is 0: no download could finish.
    fn zero(&self) -> Option<&'static str> {
        let all = [
            ("connect", self.connect),
            ("answer", self.answer),
            ("stall", self.stall),
            ("min-rate", self.min_rate),
            ("hedge", self.hedge),
            ("max-size", self.max_size),
        ];
        all.into_iter().find(|(_, value)| *value == Some(0)).map(|(name, _)| name)
    }
}

impl UserConfig {
    /// Its path according to the XDG Base Directory Specification: `$XDG_CONFIG_HOME/dbco/config.yaml`, by default in
    /// `~/.config`.
    pub fn default_path() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")))?;
        Some(base.join("dbco/config.yaml"))
    }

    /// Reads it; it need not exist.
    pub fn load(path: &Path) -> Result<Self, SourceError> {
        let text = match read_text(path, LIMIT) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(SourceError::Mirror { place: path.display().to_string(), message: error.to_string() });
            }
        };
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let config: Self = serde_yaml::from_str(&text).map_err(|error| {
            let line = error.location().map_or(0, |at| at.line());
            let message = error.without_snippet().to_string();
            SourceError::Mirror { place: format!("{}:{line}", path.display()), message }
        })?;
        let config = Self { path: path.to_owned(), text, ..config };
        match config.network.zero() {
            Some(name) => Err(config.at(name, format!("`{name}` must be a positive number"))),
            None => Ok(config),
        }
    }

    /// An error about a word of the file, with the word's line. A key or a URL is on one line, between YAML
    /// punctuation; the decoded map has no line numbers.
    pub(super) fn at(&self, word: &str, message: String) -> SourceError {
        let holds = |line: &str| {
            // Without a comment; a `#` within a URL does not start one.
            let line = line.find(" #").map_or(line, |comment| &line[..comment]);
            !line.starts_with('#')
                && line
                    .split([' ', '\t', '"', '\'', ',', '[', ']', '{', '}'])
                    .any(|part| part == word || part.strip_suffix(':') == Some(word))
        };
        let line = self.text.lines().position(holds).map_or(0, |index| index + 1);
        SourceError::Mirror { place: format!("{}:{line}", self.path.display()), message }
    }

    /// The limits for downloads.
    pub fn limits(&self) -> NetworkLimits {
        let (config, default) = (&self.network, NetworkLimits::default());
        let seconds = |stated: Option<u64>, default| stated.map_or(default, Duration::from_secs);
        NetworkLimits {
            connect: seconds(config.connect, default.connect),
            answer: seconds(config.answer, default.answer),
            stall: seconds(config.stall, default.stall),
            min_rate: config.min_rate.unwrap_or(default.min_rate),
            hedge: seconds(config.hedge, default.hedge),
            max_size: config.max_size.unwrap_or(default.max_size),
            ..default
        }
    }
}
