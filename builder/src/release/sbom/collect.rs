//! The inventory of a release, from its plan, its lock and what was built.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use sha1::{Digest as _, Sha1};

use super::copyright;
use super::license::LicenseCollector;
use super::model::{
    Inventory, License, OutputFile, Part, PartId, PartKind, PartRole, PatchFile, Relation, RelationKind, SourceFile,
    SourceLocation, Supplier,
};
use super::purl;
use crate::digest::Digest;
use crate::lock::{Location, LockEntry, LockedFile};
use crate::recipe::image::Kernel;
use crate::recipe::{Component, Origin};
use crate::release::input::{ReleaseError, ReleaseInput};
use crate::source::Request;
use crate::step::{
    ComponentStep, CopyrightFile, CrateFacts, Facts, Materials, PackageFacts, PackageFile, PatchContent, Source, Step,
    StepId,
};
use crate::store::Store;

/// How many links from one package's documentation to another's are followed.
const LINKS: usize = 5;

/// A kernel's configuration has some 300 KB.
const MOST_CONFIG: u64 = 16 << 20;

/// Lists everything that a release is made from.
pub fn inventory(input: &ReleaseInput<'_>) -> Result<Inventory, ReleaseError> {
    let image = &input.recipe.image;
    let created = Timestamp::from_second(image.epoch).map(|time| time.to_string()).unwrap_or_default();
    let mut collector = Collector::new(input)?;
    for (id, step) in input.plan.target_steps() {
        collector.step(id, step)?;
    }
    collector.kernel()?;
    let Collector { parts, relations, licenses, .. } = collector;
    Ok(Inventory {
        name: image.name.value.to_string(),
        summary: image.summary.clone(),
        version: input.project.commit.clone(),
        created,
        outputs: outputs(input)?,
        parts,
        relations,
        license_texts: licenses.texts,
    })
}

/// The files of the outputs, without the documents of the release.
fn outputs(input: &ReleaseInput<'_>) -> Result<Vec<OutputFile>, ReleaseError> {
    let mut files = Vec::new();
    for product in &input.plan.products {
        let Some(blob) = input.built.blob(&product.from) else { continue };
        let sha1 = sha1_of_blob(input.store, &blob.digest)?;
        files.push(OutputFile { name: product.name.clone(), sha256: blob.digest, sha1, size: blob.size });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn sha1_of_blob(store: &Store, digest: &Digest) -> Result<String, ReleaseError> {
    let mut hasher = Sha1::new();
    let mut file = store.open_blob(digest)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        crate::interrupt::check().map_err(|error| ReleaseError::read(&store.blob_path(digest), error))?;
        match file.read(&mut buffer).map_err(|error| ReleaseError::read(&store.blob_path(digest), error))? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What packages and crates state about themselves, by the sha256 of their files.
struct FactsByFile {
    packages: BTreeMap<Digest, PackageFacts>,
    crates: BTreeMap<Digest, CrateFacts>,
}

impl FactsByFile {
    fn read(input: &ReleaseInput<'_>) -> Result<Self, ReleaseError> {
        let mut all = Self { packages: BTreeMap::new(), crates: BTreeMap::new() };
        for from in &input.plan.facts {
            let blob = input.built.blob(from).ok_or_else(|| ReleaseError::Missing("licences of packages".into()))?;
            let mut text = Vec::new();
            let path = input.store.blob_path(&blob.digest);
            let read = input.store.open_blob(&blob.digest)?.read_to_end(&mut text);
            read.map_err(|error| ReleaseError::read(&path, error))?;
            let facts: Facts =
                serde_json::from_slice(&text).map_err(|error| ReleaseError::read(&path, error.into()))?;
            all.packages.extend(facts.packages.into_iter().map(|one| (one.sha256, one)));
            all.crates.extend(facts.crates.into_iter().map(|one| (one.sha256, one)));
        }
        Ok(all)
    }

    /// The text of a package's copyright file, which may be that of another package, and the package that has it.
    fn copyright<'f>(&'f self, mut of: &'f PackageFacts) -> Option<(&'f str, &'f str)> {
        for _ in 0..LINKS {
            match &of.copyright {
                CopyrightFile::Text(text) => return Some((&of.name, text)),
                CopyrightFile::Of(other) => of = self.packages.values().find(|facts| facts.name == *other)?,
                CopyrightFile::Missing => return None,
            }
        }
        None
    }
}

struct Collector<'a> {
    input: &'a ReleaseInput<'a>,
    facts: FactsByFile,
    /// Locked files by their sha256.
    locked: BTreeMap<Digest, (&'a LockEntry, &'a LockedFile)>,
    licenses: LicenseCollector,
    parts: Vec<Part>,
    relations: BTreeSet<Relation>,
    /// Parts by the sha256 of their file.
    by_file: BTreeMap<Digest, PartId>,
    /// Parts by the step that they are: components and toolchains.
    by_step: BTreeMap<StepId, PartId>,
    kernel: Option<PartId>,
}

impl<'a> Collector<'a> {
    fn new(input: &'a ReleaseInput<'a>) -> Result<Self, ReleaseError> {
        let files = input.lock.entries().flat_map(|entry| entry.files.iter().map(move |file| (entry, file)));
        Ok(Self {
            input,
            facts: FactsByFile::read(input)?,
            locked: files.map(|(entry, file)| (file.sha256, (entry, file))).collect(),
            licenses: LicenseCollector::default(),
            parts: Vec::new(),
            relations: BTreeSet::new(),
            by_file: BTreeMap::new(),
            by_step: BTreeMap::new(),
            kernel: None,
        })
    }

    fn add(&mut self, part: Part) -> PartId {
        self.parts.push(part);
        self.parts.len() - 1
    }

    fn relate(&mut self, from: PartId, kind: RelationKind, to: PartId) {
        self.relations.insert(Relation { from, kind, to });
    }

    /// Inputs of a step precede it.
    fn step(&mut self, id: StepId, step: &Step) -> Result<(), ReleaseError> {
        match step.action.materials() {
            Materials::None => {}
            Materials::Packages(packages) => drop(self.packages(packages, PartRole::Image)),
            Materials::Kernel(kernel) => {
                self.kernel = self.packages(&kernel.packages, PartRole::Image).first().copied();
            }
            Materials::Toolchain(toolchain) => {
                let part = Part {
                    name: toolchain.name.clone(),
                    version: step.digest.short(),
                    supplier: Some(self.own()),
                    roles: BTreeSet::from([PartRole::BuildTool]),
                    ..Part::new(PartKind::Toolchain)
                };
                let part = self.add(part);
                self.by_step.insert(id, part);
                for package in self.packages(&toolchain.packages, PartRole::BuildTool) {
                    self.relate(part, RelationKind::Contains, package);
                }
            }
            Materials::BootLoader(toolchain) => {
                let Some(&toolchain) = self.by_step.get(&toolchain.step()) else { return Ok(()) };
                let of = |relation: &&Relation| relation.from == toolchain && relation.kind == RelationKind::Contains;
                let packages: Vec<PartId> = self.relations.iter().filter(of).map(|relation| relation.to).collect();
                // `grub-pc-bin`, `grub-efi-amd64-bin`: the modules that are copied into boot images.
                for package in packages {
                    let name = &self.parts[package].name;
                    if name.starts_with("grub-") && name.ends_with("-bin") {
                        self.parts[package].roles.insert(PartRole::Image);
                    }
                }
            }
            Materials::Component(component) => self.component(id, component)?,
        }
        Ok(())
    }

    /// The packages of one set, with their dependencies on each other.
    fn packages(&mut self, packages: &[PackageFile], role: PartRole) -> Vec<PartId> {
        let ids: Vec<PartId> = packages.iter().map(|package| self.package(package, role)).collect();
        let names: BTreeMap<String, PartId> = ids.iter().map(|id| (self.parts[*id].name.clone(), *id)).collect();
        for (package, id) in packages.iter().zip(&ids) {
            let Some(facts) = self.facts.packages.get(&package.blob) else { continue };
            let needed: Vec<PartId> = facts.depends.iter().filter_map(|name| names.get(name)).copied().collect();
            needed.into_iter().filter(|other| other != id).for_each(|other| {
                self.relations.insert(Relation { from: *id, kind: RelationKind::DependsOn, to: other });
            });
        }
        ids
    }

    fn package(&mut self, package: &PackageFile, role: PartRole) -> PartId {
        if let Some(&known) = self.by_file.get(&package.blob) {
            self.parts[known].roles.insert(role);
            return known;
        }
        let facts = self.facts.packages.get(&package.blob);
        let locked = self.locked.get(&package.blob);
        let (name, version) = match (facts, package.name.split_once(' ')) {
            (Some(facts), _) => (facts.name.clone(), facts.version.clone()),
            (None, Some((name, version))) => (name.to_owned(), version.to_owned()),
            (None, None) => (package.name.clone(), String::new()),
        };
        let suite = locked.and_then(|(entry, file)| entry.request.kind().archive_of(file));
        let suite = suite.map_or("", |archive| &archive.suite);
        let arch = facts.map_or("", |facts| &facts.architecture);
        let license = match facts.and_then(|facts| self.facts.copyright(facts)) {
            Some((owner, text)) => copyright::license(owner, text, &mut self.licenses),
            None => License::Unknown,
        };
        let part = Part {
            purl: Some(purl::deb(&name, &version, arch, suite)),
            homepage: facts.and_then(|facts| facts.homepage.clone()),
            supplier: Some(Supplier::Organization("Debian".into())),
            license,
            sources: vec![self.source_file(&package.blob, &package.name)],
            roles: BTreeSet::from([role]),
            name,
            version,
            ..Part::new(PartKind::Debian)
        };
        let id = self.add(part);
        self.by_file.insert(package.blob, id);
        id
    }

    /// A file of the lock, or else of the project.
    fn source_file(&self, sha256: &Digest, name: &str) -> SourceFile {
        let Some((_, file)) = self.locked.get(sha256) else {
            let name = self.input.name_of(Path::new(name));
            return SourceFile { name, location: SourceLocation::Project, sha256: *sha256 };
        };
        let location = match &file.at {
            Location::Git { url, commit } => {
                SourceLocation::Git { url: crate::mask::text(url).into_owned(), commit: commit.clone() }
            }
            Location::Pool(path) => SourceLocation::Pool(path.clone()),
            Location::Urls(urls) => SourceLocation::Urls(urls.clone()),
        };
        let name = match &file.at {
            Location::Pool(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
            Location::Git { .. } | Location::Urls(_) => file.name.clone(),
        };
        SourceFile { name, location, sha256: *sha256 }
    }

    /// The project as a supplier.
    fn own(&self) -> Supplier {
        Supplier::Organization(self.input.recipe.image.name.value.to_string())
    }

    fn component(&mut self, id: StepId, step: &ComponentStep) -> Result<(), ReleaseError> {
        let described = &self.input.recipe.components[&step.name];
        let is_kernel = matches!(&self.input.recipe.image.kernel,
            Kernel::Component { component, .. } if component.value == step.name);
        let sources = self.sources(step, described);
        let license = self.licenses.expression(&described.license);
        let mut patches = Vec::new();
        for patch in &step.patches {
            let sha1 = match &patch.content {
                PatchContent::Bytes(bytes) => hex(&Sha1::digest(bytes.as_slice())),
                PatchContent::Blob(blob) => sha1_of_blob(self.input.store, blob)?,
            };
            let name = match &patch.content {
                PatchContent::Bytes(_) => self.input.name_of(Path::new(&patch.name)),
                PatchContent::Blob(_) => patch.name.clone(),
            };
            patches.push(PatchFile { name, sha256: patch.content.digest(), sha1 });
        }
        let part = Part {
            name: step.name.clone(),
            version: described.version.clone(),
            supplier: Some(self.supplier(&sources)),
            purl: Some(self.purl_of_component(described, &sources)),
            license,
            sources,
            roles: BTreeSet::from([PartRole::Image]),
            patches,
            ..Part::new(if is_kernel { PartKind::Kernel } else { PartKind::Component })
        };
        let part = self.add(part);
        self.by_step.insert(id, part);
        if is_kernel {
            self.kernel = Some(part);
        }
        if let Some(&toolchain) = self.by_step.get(&step.toolchain.step()) {
            self.relate(toolchain, RelationKind::BuildToolOf, part);
        }
        for (_, need) in &step.needs {
            if let Some(&need) = self.by_step.get(&need.step()) {
                self.relate(part, RelationKind::DependsOn, need);
            }
        }
        for pinned in step.crates.iter().flatten() {
            let of = self.a_crate(pinned);
            self.relate(part, RelationKind::DependsOn, of);
        }
        Ok(())
    }

    fn sources(&self, step: &ComponentStep, described: &Component) -> Vec<SourceFile> {
        match (&step.source, &described.source.value) {
            (Source::Folder(_), Origin::Path { path, .. }) => {
                let sha256 = step.source.tree().unwrap_or_else(|| Digest::of(""));
                let name = self.input.name_of(path);
                vec![SourceFile { name, location: SourceLocation::Project, sha256 }]
            }
            (source, _) => {
                let name = match source {
                    Source::Archive { name, .. } => name.as_str(),
                    Source::Deb { .. } | Source::Folder(_) => "",
                };
                source.blobs().iter().map(|blob| self.source_file(blob, name)).collect()
            }
        }
    }

    /// Who distributes a component: Debian, the server that its source is fetched from, or the project.
    fn supplier(&self, sources: &[SourceFile]) -> Supplier {
        let host = |url: &str| url::Url::parse(url).ok()?.host_str().map(str::to_owned);
        let named = sources.iter().find_map(|source| match &source.location {
            SourceLocation::Urls(urls) => urls.first().and_then(|url| host(url)),
            SourceLocation::Git { url, .. } => host(url),
            SourceLocation::Pool(_) => Some("Debian".to_owned()),
            SourceLocation::Project => None,
        });
        named.map_or_else(|| self.own(), Supplier::Organization)
    }

    fn purl_of_component(&self, described: &Component, sources: &[SourceFile]) -> String {
        if let Some(Request::DebianSource(source)) = described.source.request() {
            return purl::deb(&source.package, &source.version, "source", &source.archive.suite);
        }
        let source = sources.first();
        let url = source.and_then(|source| source.location.uri());
        let is_file = source.filter(|source| matches!(source.location, SourceLocation::Urls(_)));
        let sha256 = is_file.map(|source| source.sha256.to_string());
        purl::generic(&described.name, &described.version, url.as_deref(), sha256.as_deref())
    }

    fn a_crate(&mut self, pinned: &crate::source::Crate) -> PartId {
        if let Some(&known) = self.by_file.get(&pinned.sha256) {
            return known;
        }
        let facts = self.facts.crates.get(&pinned.sha256);
        let license = match facts {
            Some(CrateFacts { license: Some(license), .. }) => self.licenses.expression(license),
            Some(CrateFacts { license_text: Some(text), .. }) => self.licenses.text(&pinned.name, text),
            _ => License::Unknown,
        };
        let author = facts.and_then(|facts| facts.authors.first());
        let maintainers = || format!("maintainers of the crate {}", pinned.name);
        let supplier =
            author.map_or_else(|| Supplier::Organization(maintainers()), |name| Supplier::Person(name.clone()));
        let part = Part {
            name: pinned.name.clone(),
            version: pinned.version.clone(),
            supplier: Some(supplier),
            purl: Some(purl::cargo(&pinned.name, &pinned.version)),
            homepage: facts.and_then(|facts| facts.repository.clone()),
            license,
            sources: vec![SourceFile {
                name: pinned.file_name(),
                location: SourceLocation::Urls(Vec::new()),
                sha256: pinned.sha256,
            }],
            roles: BTreeSet::from([PartRole::Image]),
            ..Part::new(PartKind::Crate)
        };
        let id = self.add(part);
        self.by_file.insert(pinned.sha256, id);
        id
    }

    /// The options of the kernel, from the configuration that it was built with.
    fn kernel(&mut self) -> Result<(), ReleaseError> {
        let (Some(part), Some(config)) = (self.kernel, &self.input.plan.kernel_config) else { return Ok(()) };
        // Packages may contain none.
        let Some(blob) = self.input.built.blob(config) else { return Ok(()) };
        let mut text = String::new();
        let path = self.input.store.blob_path(&blob.digest);
        let read = self.input.store.open_blob(&blob.digest)?.take(MOST_CONFIG).read_to_string(&mut text);
        read.map_err(|error| ReleaseError::read(&path, error))?;
        self.parts[part].options = enabled(&text);
        Ok(())
    }
}

/// The options of a `.config` that are set, with their values.
fn enabled(config: &str) -> Vec<(String, String)> {
    let set = config.lines().filter(|line| line.starts_with("CONFIG_")).filter_map(|line| line.split_once('='));
    set.map(|(symbol, value)| (symbol.to_owned(), value.to_owned())).collect()
}
