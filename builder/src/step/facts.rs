//! What packages and crates state about themselves, for the bill of materials of a release: description and licence.
//!
//! It is a step, so that packages are only read again when they change.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};

use super::package::{package_blobs, package_rows};
use super::{Action, Blob, Graph, OutputName, Outputs, PackageFile, StepError, StepId, Work};
use crate::archive::{self, Entries, MemberKind};
use crate::digest::Digest;
use crate::source::Crate;
use crate::store::Key;

/// A longer copyright file, licence or manifest is left out, as if it did not exist.
const MOST_TEXT: u64 = 4 << 20;

/// What a package states about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFacts {
    /// The sha256 of its file.
    pub sha256: Digest,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture: `amd64`, `all`.
    pub architecture: String,
    /// `Maintainer`.
    pub maintainer: Option<String>,
    /// `Homepage`.
    pub homepage: Option<String>,
    /// The names of its dependencies, with all alternatives.
    pub depends: Vec<String>,
    /// Its copyright file (Debian policy, section 12.5).
    pub copyright: CopyrightFile,
}

/// The copyright file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyrightFile {
    /// Its text.
    Text(String),
    /// The package's folder of documentation is a link to that of this package.
    Of(String),
    /// The package has none that is valid UTF-8.
    Missing,
}

/// What a crate states about itself in its `Cargo.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrateFacts {
    /// The sha256 of its archive.
    pub sha256: Digest,
    /// `package.license`: an SPDX expression, in old crates with `/` for `OR`.
    pub license: Option<String>,
    /// The content of `package.license-file`.
    pub license_text: Option<String>,
    /// `package.authors`.
    pub authors: Vec<String>,
    /// `package.repository`.
    pub repository: Option<String>,
}

/// The result of a [`FactsStep`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// In the order of the step's packages.
    pub packages: Vec<PackageFacts>,
    /// In the order of the step's crates.
    pub crates: Vec<CrateFacts>,
}

/// Reads what packages and crates state about themselves.
#[derive(Clone, Debug)]
pub struct FactsStep {
    /// Packages.
    pub packages: Vec<PackageFile>,
    /// Crates.
    pub crates: Vec<Crate>,
}

impl FactsStep {
    /// [`Facts`] as JSON.
    pub const FACTS: OutputName<Self, Blob> = OutputName::new("facts");
}

impl Action for FactsStep {
    fn label(&self) -> String {
        "licences".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `package <n>` | the content |
    /// | `crate <n>` | the content; its name and version are the names of files in it |
    fn key(&self, _: &Graph) -> Key {
        let crates = self.crates.iter().enumerate();
        let one = |(index, pinned): (usize, &Crate)| {
            (format!("crate {index}"), format!("{} {}", pinned.stem(), pinned.sha256))
        };
        Key::new("facts", 1).rows(package_rows(&self.packages)).rows(crates.map(one))
    }

    fn inputs(&self) -> Vec<StepId> {
        Vec::new()
    }

    fn blobs(&self) -> Vec<Digest> {
        package_blobs(&self.packages).into_iter().chain(self.crates.iter().map(|pinned| pinned.sha256)).collect()
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let packages = self.packages.iter().map(|package| of_package(work, package)).collect::<Result<_, _>>()?;
        let crates = self.crates.iter().map(|pinned| of_crate(work, pinned)).collect::<Result<_, _>>()?;
        let text = serde_json::to_vec(&Facts { packages, crates }).expect("plain data with string keys");
        let digest = work.store().add_bytes(&text)?;
        Ok(BTreeMap::from([Self::FACTS.of(Blob { digest, size: text.len() as u64 })]))
    }
}

fn of_package(work: &Work<'_>, package: &PackageFile) -> Result<PackageFacts, StepError> {
    let PackageFile { name, blob, format } = package;
    work.line(&format!("reading {name}"));
    let data = format.files(Box::new(work.store().open_blob(blob)?), name, 1, work.budget())?;
    // A toolchain's package may do without a control file: what is known of it then is what the lock has.
    let control = work.control(package).ok().map(|(control, _)| control);
    let stated = name.split_once(' ').unwrap_or((name, ""));
    let (own, version) = control.as_ref().map_or(stated, |control| (&control.package, &control.version));
    let copyright = copyright_file(Entries::new(data, name, work.budget()), own)?;
    let control = control.as_ref();
    Ok(PackageFacts {
        sha256: *blob,
        name: own.to_owned(),
        version: version.to_owned(),
        architecture: control.map(|control| control.architecture.clone()).unwrap_or_default(),
        maintainer: control.and_then(|control| control.maintainer.clone()),
        homepage: control.and_then(|control| control.homepage.clone()),
        depends: control.map(|control| control.depends()).unwrap_or_default(),
        copyright,
    })
}

/// Finds `/usr/share/doc/<package>/copyright`; what follows it in the archive is not read.
fn copyright_file(mut entries: Entries<impl Read>, package: &str) -> Result<CopyrightFile, StepError> {
    let folder = format!("usr/share/doc/{package}");
    let file = format!("{folder}/copyright");
    while let Some(member) = entries.next_member()? {
        let path = String::from_utf8_lossy(&member.path);
        let path = path.trim_start_matches("./").trim_end_matches('/');
        if member.kind == MemberKind::Symlink && (path == folder || path == file) {
            // `gcc-12-base`, `../gcc-12-base/copyright`: another package's, named relative to its own folder.
            let target = String::from_utf8_lossy(&member.link);
            let other = target.trim_end_matches("/copyright").rsplit('/').next().unwrap_or_default().to_owned();
            return Ok(if other.is_empty() { CopyrightFile::Missing } else { CopyrightFile::Of(other) });
        }
        if path == file && member.kind == MemberKind::File {
            return Ok(text(&mut entries, member.size)?.map_or(CopyrightFile::Missing, CopyrightFile::Text));
        }
    }
    Ok(CopyrightFile::Missing)
}

/// The content of the current member, if it is text of a plausible length.
fn text(entries: &mut Entries<impl Read>, size: u64) -> Result<Option<String>, StepError> {
    if size > MOST_TEXT {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    entries.read_to_end(&mut bytes).map_err(|error| entries.reading(error))?;
    Ok(String::from_utf8(bytes).ok())
}

/// The part of a `Cargo.toml` that is read here. Other types of these keys exist (inheritance from a workspace), but not
/// in a published crate.
#[derive(Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    package: ManifestPackage,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ManifestPackage {
    license: Option<String>,
    license_file: Option<String>,
    #[serde(default)]
    authors: Vec<String>,
    repository: Option<String>,
}

fn of_crate(work: &Work<'_>, pinned: &Crate) -> Result<CrateFacts, StepError> {
    let name = pinned.file_name();
    work.line(&format!("reading {name}"));
    let mut texts = BTreeMap::new();
    let input = archive::decompress(work.store().open_blob(&pinned.sha256)?, &name, work.budget())?;
    let mut entries = Entries::new(input, &name, work.budget());
    let top = format!("{}/", pinned.stem());
    while let Some(member) = entries.next_member()? {
        // The manifest, and any file at the top that it may name as the licence.
        let path = String::from_utf8_lossy(&member.path).into_owned();
        let Some(inside) = path.strip_prefix(&top).filter(|inside| !inside.contains('/')) else { continue };
        if member.kind == MemberKind::File
            && let Some(text) = text(&mut entries, member.size)?
        {
            texts.insert(inside.to_owned(), text);
        }
    }
    let manifest = texts.get("Cargo.toml").and_then(|text| toml::from_str::<Manifest>(text).ok()).unwrap_or_default();
    let ManifestPackage { license, license_file, authors, repository } = manifest.package;
    let license_text = license_file.and_then(|file| texts.remove(file.trim_start_matches("./")));
    Ok(CrateFacts { sha256: pinned.sha256, license, license_text, authors, repository })
}
