//! Which hosts serve a Debian archive. The lock never says; the command line, the user or the host's apt does.
//!
//! The first of these that knows a mirror for an archive is the only one asked, so that a stated mirror is never passed
//! over in favour of one that was not:
//! 1. `--mirror URL` or `--mirror FAMILY=URL`;
//! 2. `mirrors:` in the user's configuration file;
//! 3. the host's apt configuration (sources.list(5), both formats).

mod apt;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Archive, SourceError};
use apt::AptSource;

/// The archives that have mirrors of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// The archive itself, with its `-updates` and `-backports`.
    Debian,
    /// The security archive, which is another tree on other hosts.
    DebianSecurity,
}

impl Family {
    const ALL: [Family; 2] = [Family::Debian, Family::DebianSecurity];

    fn name(self) -> &'static str {
        match self {
            Family::Debian => "debian",
            Family::DebianSecurity => "debian-security",
        }
    }

    /// The archive that holds a suite.
    fn of(suite: &str) -> Self {
        if suite.ends_with("-security") || suite.ends_with("/updates") {
            Family::DebianSecurity
        } else {
            Family::Debian
        }
    }

    fn named(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| {
            let near =
                Self::ALL.into_iter().max_by_key(|family| (1000.0 * strsim::jaro_winkler(family.name(), name)) as u32);
            let near = near.map_or("debian", Family::name);
            format!("`{name}` is no archive that has mirrors; did you mean `{near}`? ({} are known)", Self::names())
        })
    }

    fn names() -> String {
        Self::ALL.map(|family| format!("`{}`", family.name())).join(" and ")
    }
}

/// All mirrors that this run knows.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    flags: Vec<(Family, String)>,
    config: Vec<(Family, String)>,
    apt: Vec<AptSource>,
    user_config: Option<PathBuf>,
}

/// The user's configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserConfig {
    #[serde(default)]
    mirrors: BTreeMap<String, Vec<String>>,
}

impl Mirrors {
    /// Collects them. `flags` are the values of `--mirror`; `user_config` need not exist; `apt_root` is `/`.
    pub fn discover(flags: &[String], user_config: Option<&Path>, apt_root: &Path) -> Result<Self, SourceError> {
        let flags = flags.iter().map(|flag| parse_flag(flag)).collect::<Result<_, _>>()?;
        let config = match user_config {
            Some(path) => read_config(path)?,
            None => Vec::new(),
        };
        Ok(Self { flags, config, apt: apt::read(apt_root)?, user_config: user_config.map(Path::to_owned) })
    }

    /// The user's configuration file by the XDG Base Directory Specification: `$XDG_CONFIG_HOME/dbco/config.yaml`, by
    /// default in `~/.config`.
    pub fn user_config_path() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")))?;
        Some(base.join("dbco/config.yaml"))
    }

    /// The base URLs to try for an archive, best first; at least one.
    pub(super) fn of(&self, archive: &Archive) -> Result<Vec<String>, SourceError> {
        let family = Family::of(&archive.suite);
        let of_family = |stated: &[(Family, String)]| -> Vec<String> {
            stated.iter().filter(|(of, _)| *of == family).map(|(_, url)| url.clone()).collect()
        };
        let by_layer = [of_family(&self.flags), of_family(&self.config), self.apt_urls(archive, family)];
        by_layer.into_iter().find(|urls| !urls.is_empty()).ok_or_else(|| SourceError::NoMirror {
            archive: archive.to_string(),
            family: family.name(),
            user_config: match &self.user_config {
                Some(path) => path.display().to_string(),
                None => "~/.config/dbco/config.yaml".to_owned(),
            },
        })
    }

    /// apt's sources that name the suite, then those that look like mirrors of the same family.
    fn apt_urls(&self, archive: &Archive, family: Family) -> Vec<String> {
        let suits = |source: &&AptSource| archive.components.iter().all(|wanted| source.components.contains(wanted));
        let names_suite = |source: &&AptSource| source.suites.contains(&archive.suite);
        let same_family = |source: &&AptSource| {
            let last = source.uri.trim_end_matches('/').rsplit('/').next();
            last == Some(family.name()) && source.suites.iter().all(|suite| Family::of(suite) == family)
        };
        let mut urls: Vec<String> = Vec::new();
        let first = self.apt.iter().filter(suits).filter(names_suite);
        for source in first.chain(self.apt.iter().filter(same_family)) {
            if !urls.contains(&source.uri) {
                urls.push(source.uri.clone());
            }
        }
        urls
    }
}

fn parse_flag(flag: &str) -> Result<(Family, String), SourceError> {
    let fail = |message| SourceError::Mirror { place: format!("--mirror {flag}"), message };
    let (family, url) = match flag.split_once('=') {
        // A URL may hold `=` too, but never before its scheme.
        Some((name, url)) if !name.contains(':') => (Family::named(name).map_err(fail)?, url),
        _ => (Family::Debian, flag),
    };
    Ok((family, check_url(url).map_err(fail)?))
}

/// A usable base URL, without the slash at its end.
fn check_url(url: &str) -> Result<String, String> {
    let known = ["http://", "https://", "file:///"];
    if known.iter().any(|start| url.len() > start.len() && url.starts_with(start)) {
        Ok(url.trim_end_matches('/').to_owned())
    } else {
        Err(format!("`{url}` is not the URL of a mirror; http://, https:// or file:/// is expected"))
    }
}

fn read_config(path: &Path) -> Result<Vec<(Family, String)>, SourceError> {
    let at = |line: u64, message: String| SourceError::Mirror { place: format!("{}:{line}", path.display()), message };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(SourceError::Mirror { place: path.display().to_string(), message: error.to_string() });
        }
    };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let config: UserConfig = serde_yaml::from_str(&text).map_err(|error| {
        let message = error.without_snippet().to_string();
        at(error.location().map_or(0, |at| at.line()), message)
    })?;
    let mut mirrors = Vec::new();
    for (name, urls) in config.mirrors {
        // The decoded map no longer knows lines. A key or a URL stands in one line, between what YAML puts around it.
        let holds = |line: &str, word: &str| {
            line.split([' ', '\t', '"', '\'', ',', '[', ']', '{', '}'])
                .any(|part| part == word || part.strip_suffix(':') == Some(word))
        };
        let line_of = |word: &str| text.lines().position(|line| holds(line, word)).map_or(0, |index| index as u64 + 1);
        let family = Family::named(&name).map_err(|message| at(line_of(&name), message))?;
        for url in urls {
            mirrors.push((family, check_url(&url).map_err(|message| at(line_of(&url), message))?));
        }
    }
    Ok(mirrors)
}
