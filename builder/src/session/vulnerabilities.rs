//! What an image contains, for the audit of vulnerabilities, and what its kernel compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};

use super::build::{BuiltRecipe, Options};
use super::{Error, Session};
use crate::archive::{Budget, Deb, Entries, MemberKind, PackageFormat as _, decompress};
use crate::cve::kbuild::Makefiles;
use crate::cve::{Exceptions, Place, Subject, SubjectKind};
use crate::input::LONG;
use crate::kernel::Config;
use crate::lock::{Lock, LockEntry};
use crate::plan::PlanTargets;
use crate::recipe::image::Kernel;
use crate::recipe::text::Span;
use crate::recipe::{Component, Origin, OutputKind, Recipe};
use crate::source::{Request, SourceContent};
use crate::store::Store;

/// What the data calls the kernel.
const KERNEL_NAMES: [&str; 3] = ["linux", "kernel", "linux_kernel"];

/// The most bytes of a makefile.
const MAX_MAKEFILE: u64 = 1 << 20;

/// A kernel's configuration, and its source's makefiles.
pub struct KernelBuild {
    /// The configuration that it was built with.
    pub config: Config,
    /// The makefiles of its source.
    pub makefiles: Makefiles,
}

impl Session<'_> {
    /// What an image contains: Debian packages of its root filesystems and of its kernel, components with their patches, and
    /// crates. Packages and patches that the store lacks are fetched.
    pub fn subjects(
        &self,
        recipe: &Recipe,
        lock: &Lock,
        exceptions: &Exceptions,
        store: &Store,
        offline: bool,
    ) -> Result<Vec<Subject>, Error> {
        let mut subjects = self.debian_subjects(recipe, lock, store, offline)?;
        let kernel = match &recipe.image.kernel {
            Kernel::Component { component, patches, .. } => Some((component.value.as_str(), patches)),
            Kernel::Package { .. } => None,
        };
        for component in recipe.components.values() {
            let is_kernel = kernel.filter(|(name, _)| *name == component.name);
            let more = is_kernel.map(|(_, patches)| patches.as_slice()).unwrap_or_default();
            let patches = component.patches.iter().chain(more).map(|patch| &patch.value);
            let mut aliases = source_names(&component.source);
            if is_kernel.is_some() {
                aliases.extend(KERNEL_NAMES.map(str::to_owned));
            }
            let stated = exceptions.aliases.get(&component.name).into_iter().flatten();
            aliases.extend(stated.map(|alias| alias.to_ascii_lowercase()));
            subjects.push(Subject {
                kind: if is_kernel.is_some() { SubjectKind::Kernel } else { SubjectKind::Component },
                name: component.name.clone(),
                version: component.version.clone(),
                aliases,
                fixes: self.fixes(recipe, patches, lock, store, offline)?,
                place: place(recipe, component.span),
            });
        }
        for lock in recipe.cargo_locks() {
            for one in &lock.crates {
                let name = format!("name = \"{}\"", one.name);
                let line = lock.text.lines().position(|line| line.trim() == name).unwrap_or_default() + 1;
                subjects.push(Subject {
                    kind: SubjectKind::Crate,
                    name: one.name.clone(),
                    version: one.version.clone(),
                    aliases: BTreeSet::new(),
                    fixes: BTreeMap::new(),
                    place: Place { file: lock.path.clone(), line },
                });
            }
        }
        subjects.sort_by(|a, b| (&a.kind, &a.name, &a.version).cmp(&(&b.kind, &b.name, &b.version)));
        subjects.dedup_by(|a, b| (&a.kind, &a.name, &a.version) == (&b.kind, &b.name, &b.version));
        Ok(subjects)
    }

    fn debian_subjects(
        &self,
        recipe: &Recipe,
        lock: &Lock,
        store: &Store,
        offline: bool,
    ) -> Result<Vec<Subject>, Error> {
        let mut requests: Vec<(&Request, Span)> =
            recipe.image.contents().filter_map(|root| root.packages.as_ref()).map(|at| (&at.value, at.span)).collect();
        if let Kernel::Package { request, .. } = &recipe.image.kernel {
            requests.push((&request.value, request.span));
        }
        let mut subjects: BTreeMap<(String, String, String), Subject> = BTreeMap::new();
        for (request, span) in requests {
            let Some(entry) = lock.find(request) else { continue };
            self.fetch_entries([entry], store, offline, crate::source::CONNECTIONS)?;
            for file in &entry.files {
                let Some(archive) = request.kind().archive_of(file) else { continue };
                let content = io::BufReader::new(store.open_blob(&file.sha256)?);
                let metadata = Deb.metadata(Box::new(content), &file.name, &Budget::USUAL);
                let control =
                    metadata.map_err(|error| Error::Source(error.into()))?.remove("control").unwrap_or_default();
                let version = file.version.clone().unwrap_or_default();
                let (source, version) = source_package(&String::from_utf8_lossy(&control), &file.name, &version);
                let release = release(&archive.suite);
                let key = (source.clone(), version.clone(), release.clone());
                let subject = subjects.entry(key).or_insert_with(|| Subject {
                    kind: SubjectKind::Debian { release, binaries: BTreeSet::new() },
                    name: source,
                    version,
                    aliases: BTreeSet::new(),
                    fixes: BTreeMap::new(),
                    place: place(recipe, span),
                });
                if let SubjectKind::Debian { binaries, .. } = &mut subject.kind {
                    binaries.insert(file.name.clone());
                }
            }
        }
        Ok(subjects.into_values().collect())
    }

    /// The vulnerabilities that patches state to fix.
    fn fixes<'o>(
        &self,
        recipe: &Recipe,
        patches: impl Iterator<Item = &'o Origin>,
        lock: &Lock,
        store: &Store,
        offline: bool,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut fixes = BTreeMap::new();
        for patch in patches {
            let (name, text) = match patch {
                Origin::Path { path, .. } => {
                    let text = crate::input::read(path, LONG);
                    let name = path.strip_prefix(&recipe.project).unwrap_or(path).display().to_string();
                    (name, text.map_err(|error| Error::Request(format!("{}: {error}", path.display())))?)
                }
                Origin::Remote(request) => {
                    let Some(entry) = lock.find(request) else { continue };
                    self.fetch_entries([entry], store, offline, 1)?;
                    let Some(file) = entry.files.first() else { continue };
                    let mut text = Vec::new();
                    let content = decompress(store.open_blob(&file.sha256)?, &file.name, &Budget::USUAL);
                    let read = content.map_err(|error| Error::Source(error.into()))?.take(LONG).read_to_end(&mut text);
                    read.map_err(|error| Error::Source(error.into()))?;
                    (file.name.clone(), text)
                }
            };
            for id in stated_fixes(&String::from_utf8_lossy(&text)) {
                fixes.entry(id).or_insert_with(|| name.clone());
            }
        }
        Ok(fixes)
    }

    /// Builds a recipe's kernel, unless the store has it, and reads its configuration and its source's makefiles. `None` if
    /// it is not built from an archive, or not an output of the recipe.
    pub fn kernel_build(&self, recipe: Recipe, store: Store, options: &Options) -> Result<Option<KernelBuild>, Error> {
        let Kernel::Component { component, .. } = &recipe.image.kernel else { return Ok(None) };
        let Some(component) = recipe.components.get(&component.value).cloned() else { return Ok(None) };
        if !recipe.image.gives(OutputKind::BzImage) {
            return Ok(None);
        }
        let lock = self.lock(&recipe, options, &store)?;
        let Some(entry) = component.source.request().and_then(|request| lock.find(request)) else { return Ok(None) };
        self.fetch_entries([entry], &store, options.offline, 1)?;
        let Some(makefiles) = makefiles(&component, entry, recipe.image.platform.names().kernel.source, &store)? else {
            return Ok(None);
        };
        let wanted = PlanTargets { only: vec![OutputKind::BzImage], ..PlanTargets::default() };
        let BuiltRecipe { store, plan, built, .. } = self.build(recipe, store, options, &wanted)?;
        let config = plan.products.iter().find(|product| product.name == "config");
        let Some(blob) = config.and_then(|product| built.blob(&product.from)) else { return Ok(None) };
        let mut text = String::new();
        let read = store.open_blob(&blob.digest)?.take(LONG).read_to_string(&mut text);
        read.map_err(|error| Error::Source(error.into()))?;
        Ok(Some(KernelBuild { config: Config::parse(&text), makefiles }))
    }
}

/// The makefiles in a kernel's source archive.
fn makefiles(
    component: &Component,
    entry: &LockEntry,
    arch: &'static str,
    store: &Store,
) -> Result<Option<Makefiles>, Error> {
    let strip = match entry.request.kind().content() {
        SourceContent::Packages(_) => return Ok(None),
        SourceContent::File => component.unpacking.strip.as_ref().map_or(1, |strip| strip.value),
        SourceContent::Tree => 0,
    };
    let Some(file) = entry.files.first() else { return Ok(None) };
    let failed = |error: crate::archive::ArchiveError| Error::Source(error.into());
    let stream = decompress(store.open_blob(&file.sha256)?, &file.name, &Budget::USUAL).map_err(failed)?;
    let mut entries = Entries::new(stream, &file.name, &Budget::USUAL);
    let mut makefiles = Makefiles::new(arch);
    while let Some(member) = entries.next_member().map_err(failed)? {
        let path = String::from_utf8_lossy(&member.path).into_owned();
        let path =
            path.trim_start_matches("./").splitn(strip as usize + 1, '/').nth(strip as usize).unwrap_or_default();
        if member.kind == MemberKind::File && member.size <= MAX_MAKEFILE && Makefiles::is_one(path) {
            let mut text = Vec::new();
            entries.read_to_end(&mut text).map_err(|error| Error::Source(error.into()))?;
            makefiles.add(path, &String::from_utf8_lossy(&text));
        }
    }
    Ok(Some(makefiles))
}

fn place(recipe: &Recipe, span: Span) -> Place {
    Place { file: recipe.files.path(span.file).to_owned(), line: recipe.files.position(span).0 }
}

/// The source package and its version, by a control file's `Source` (Debian policy §5.6.1). A signed kernel is built from
/// that of `linux`, whose version has a hyphen where the signed one's has a plus.
fn source_package(control: &str, name: &str, version: &str) -> (String, String) {
    let stated = control.lines().find_map(|line| line.strip_prefix("Source:")).map(str::trim);
    let (source, version) = match stated.map(|stated| stated.split_once(' ')) {
        Some(Some((source, version))) => (source, version.trim_matches(['(', ')', ' '])),
        Some(None) => (stated.unwrap_or(name), version),
        None => (name, version),
    };
    if source.starts_with("linux-signed-") {
        return ("linux".to_owned(), version.replacen('+', "-", 1));
    }
    (source.to_owned(), version.to_owned())
}

/// The release's code name for a suite: `bookworm-security` and `bookworm/updates` are part of `bookworm`.
fn release(suite: &str) -> String {
    let parts = ["-security", "-updates", "-backports", "-proposed-updates", "-backports-sloppy", "/updates"];
    parts.iter().find_map(|part| suite.strip_suffix(part)).unwrap_or(suite).to_owned()
}

/// What data may call a component, by its source: the beginning of an archive's name, a source package, a repository.
fn source_names(source: &Origin) -> BTreeSet<String> {
    let names = source.request().map(|request| request.kind().names()).unwrap_or_default();
    let mut found = BTreeSet::new();
    for name in names {
        let last = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".git").to_ascii_lowercase();
        // `busybox-1.35.0.tar.bz2`, `linux_6.1.170.orig.tar.xz`
        let version =
            last.match_indices(['-', '_']).find(|(at, _)| last[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
        let stem = version.map_or(last.as_str(), |(at, _)| &last[..at]);
        if !stem.is_empty() && !stem.contains(".tar") {
            found.insert(stem.to_owned());
        }
    }
    found
}

/// The identifiers in lines `CVE: CVE-2024-1234` of a patch's header, which ends where its first file begins.
fn stated_fixes(patch: &str) -> Vec<String> {
    let header = patch
        .lines()
        .take_while(|line| *line != "---" && !["diff ", "--- ", "Index: "].iter().any(|start| line.starts_with(start)));
    let lines = header.filter_map(|line| line.strip_prefix("CVE:"));
    let words = lines.flat_map(|line| line.split([' ', ',', '\t'])).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_packages_and_their_versions_are_those_of_the_control_file() {
        for (control, expected) in [
            ("Package: a\n", ("a", "1-1+b2")),
            ("Source: b\nPackage: a\n", ("b", "1-1+b2")),
            ("Package: a\nSource: b (1-1)\n", ("b", "1-1")),
            ("Source: linux-signed-amd64 (6.1.176+1)\n", ("linux", "6.1.176-1")),
        ] {
            let (source, version) = source_package(control, "a", "1-1+b2");
            assert_eq!((source.as_str(), version.as_str()), expected, "{control}");
        }
        assert_eq!(release("bookworm-security"), "bookworm");
        assert_eq!(release("trixie"), "trixie");
    }

    #[test]
    fn only_a_patchs_header_states_what_it_fixes() {
        let patch = "Subject: x\nCVE: CVE-2024-1, CVE-2024-2\nfor CVE-2024-3\n---\nCVE: CVE-2024-4\n";
        assert_eq!(stated_fixes(patch), ["CVE-2024-1", "CVE-2024-2"]);
        assert_eq!(stated_fixes("--- a/x\n+++ b/x\n@@ -1 +1 @@\n CVE: CVE-2024-5\n"), [""; 0]);
    }
}
