//! Which hosts serve a Debian archive. The lock does not say; the command line, the user's configuration or the host's
//! apt does.
//!
//! The first of these that knows a mirror for an archive is the only one used, so that a configured mirror is never
//! passed over in favour of another:
//! 1. `--mirror URL` or `--mirror FAMILY=URL`; a URL without family that ends in `/debian` also serves the security
//!    archive, from its sibling `/debian-security`, as on Debian's own mirrors;
//! 2. `mirrors:` in the user's configuration file;
//! 3. the host's apt configuration (sources.list(5), both formats).

mod apt;

use std::path::{Path, PathBuf};

use super::{Archive, SourceError, UserConfig};
use crate::mask;
use crate::similar;
use apt::AptSource;

/// The archives that have their own mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    /// The main archive, with its `-updates` and `-backports`.
    Debian,
    /// The security archive, which is a separate tree on other hosts.
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

    /// The archive that contains a suite.
    fn of(suite: &str) -> Self {
        if suite.ends_with("-security") || suite.ends_with("/updates") {
            Family::DebianSecurity
        } else {
            Family::Debian
        }
    }

    fn named(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| {
            let near = similar::nearest(name, Self::ALL.map(Family::name));
            let near = near.map(|near| format!("; {}", similar::did_you_mean(near))).unwrap_or_default();
            format!("`{name}` is not an archive with mirrors{near} ({} are known)", Self::names())
        })
    }

    fn names() -> String {
        Self::ALL.map(|family| format!("`{}`", family.name())).join(" and ")
    }
}

/// The name of the archive that has a suite: `debian`, `debian-security`. Each has its own pool.
pub fn archive_name(suite: &str) -> &'static str {
    Family::of(suite).name()
}

/// All mirrors known to this run.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    flags: Vec<(Family, String)>,
    config: Vec<(Family, String)>,
    apt: Vec<AptSource>,
    user_config: Option<PathBuf>,
}

impl Mirrors {
    /// Collects them. `flags` are the values of `--mirror`; `user_config` need not exist; `apt_root` is `/`.
    pub fn discover(flags: &[String], user_config: Option<&Path>, apt_root: &Path) -> Result<Self, SourceError> {
        let flags = flags.iter().map(|flag| parse_flag(flag)).collect::<Result<_, _>>()?;
        let config = match user_config {
            Some(path) => configured(&UserConfig::load(path)?)?,
            None => Vec::new(),
        };
        Ok(Self { flags, config, apt: apt::read(apt_root)?, user_config: user_config.map(Path::to_owned) })
    }

    /// The base URLs for an archive, in order of preference; at least one.
    pub(super) fn of(&self, archive: &Archive) -> Result<Vec<String>, SourceError> {
        let family = Family::of(&archive.suite);
        let of_family = |stated: &[(Family, String)]| -> Vec<String> {
            let own: Vec<_> = stated.iter().filter(|(of, _)| *of == family).map(|(_, url)| url.clone()).collect();
            if own.is_empty() && family != Family::Debian { siblings(stated, family) } else { own }
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

    /// Whether a mirror is known for each archive: the first without one is the error.
    pub fn check<'r>(&self, archives: impl IntoIterator<Item = &'r Archive>) -> Result<(), SourceError> {
        archives.into_iter().try_for_each(|archive| self.of(archive).map(drop))
    }

    /// apt's sources that name the suite, then those that appear to be mirrors of the same family.
    fn apt_urls(&self, archive: &Archive, family: Family) -> Vec<String> {
        let last = |component: &String| component.rsplit('/').next().map(str::to_owned);
        let has = |source: &AptSource, wanted: &String| source.components.iter().any(|own| last(own) == last(wanted));
        let suits = |source: &&AptSource| archive.components.iter().all(|wanted| has(source, wanted));
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

/// The path at which mirrors of the main archive have another one, by the convention of Debian's own: `…/debian`,
/// `…/debian-security`.
fn siblings(stated: &[(Family, String)], family: Family) -> Vec<String> {
    let main = stated.iter().filter(|(of, _)| *of == Family::Debian);
    let bases = main.filter_map(|(_, url)| url.strip_suffix(Family::Debian.name()).filter(|base| base.ends_with('/')));
    bases.map(|base| format!("{base}{}", family.name())).collect()
}

fn parse_flag(flag: &str) -> Result<(Family, String), SourceError> {
    let fail = |message| SourceError::Mirror { place: format!("--mirror {}", mask::word(flag)), message };
    let (family, url) = match flag.split_once('=') {
        // A URL may contain `=` too, but never before its scheme.
        Some((name, url)) if !name.contains(':') => (Family::named(name).map_err(fail)?, url),
        _ => (Family::Debian, flag),
    };
    Ok((family, check_url(url).map_err(fail)?))
}

/// A valid base URL, without the trailing slash.
fn check_url(url: &str) -> Result<String, String> {
    let known = ["http://", "https://", "file:///"];
    if let Some(mark) = url.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(format!(
            "`{}`: file paths are appended to a mirror's URL, which therefore can't contain `{mark}`; write a login as \
             USER:PASSWORD@HOST or in ~/.netrc",
            mask::word(url)
        ));
    }
    if let Some(odd) = url.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("the URL of a mirror can't contain {odd:?}: percent-encode it"));
    }
    if known.iter().any(|start| url.len() > start.len() && url.starts_with(start)) {
        if let Err(error) = url::Url::parse(url) {
            return Err(format!("`{}` is not a URL: {error}", mask::word(url)));
        }
        Ok(url.trim_end_matches('/').to_owned())
    } else {
        Err(format!("`{}` is not the URL of a mirror; expected http://, https:// or file:///", mask::word(url)))
    }
}

fn configured(config: &UserConfig) -> Result<Vec<(Family, String)>, SourceError> {
    let mut mirrors = Vec::new();
    for (name, urls) in &config.mirrors {
        let family = Family::named(name).map_err(|message| config.at(name, message))?;
        for url in urls {
            mirrors.push((family, check_url(url).map_err(|message| config.at(url, message))?));
        }
    }
    Ok(mirrors)
}
