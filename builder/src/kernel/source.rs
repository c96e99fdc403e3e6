//! The version of a source, and the settings that are for it.

use super::fragment::Fragment;
use super::kconfig::SourceFiles;
use super::versions::{Version, Versions};

/// That of Linux has 70 KB.
const MOST_MAKEFILE: u64 = 4 << 20;

/// The version that the top `Makefile` of a source states.
pub fn source_version(source: &SourceFiles) -> Option<Version> {
    let makefile = source.read("Makefile", MOST_MAKEFILE).ok()?;
    Version::of_makefile(&String::from_utf8_lossy(&makefile))
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
    pub versions: Versions,
}

/// The fragments, reduced to the settings for the version of the source `source`.
pub fn for_source(fragments: &[Fragment], source: &SourceFiles) -> Result<Vec<Fragment>, NoVersion> {
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
