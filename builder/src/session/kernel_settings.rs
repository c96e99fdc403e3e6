//! Which settings of a recipe's kernel will take effect, before anything is built: from the Kconfig files of the locked source.
//!
//! They are taken from the source's archive once, with the recipe's patches applied, and kept in the store as the result of
//! a step is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::time::Instant;

use super::{Error, Session};
use crate::archive::{Budget, Entries, MemberKind, decompress};
use crate::beneath::{Dir, Links};
use crate::digest::Digest;
use crate::input::{LIMIT, LONG, read_text, read_within};
use crate::kernel::kconfig::facts::OPTIONAL_PROGRAMS;
use crate::kernel::kconfig::predict::{Base, is_needed, pack, unpack};
use crate::kernel::kconfig::{SourceFiles, ToolchainFacts};
use crate::kernel::patch;
use crate::kernel::verdict::{Prospect, Verdict, foresee};
use crate::kernel::{Fragment, for_source};
use crate::lock::Lock;
use crate::recipe::component::BaseConfig;
use crate::recipe::image::Kernel;
use crate::recipe::{Component, Origin, Recipe};
use crate::source::SourceContent;
use crate::store::{Blob, Key, Output, StepResult, Store};

/// No file that is needed has more bytes; Linux's largest has 130 KB.
const MOST_FILE: u64 = 4 << 20;

/// All of them together.
const MOST_FILES: u64 = 64 << 20;

/// What is known of a kernel's settings without building it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelSettings {
    /// Which take effect.
    Judged(Verdict),
    /// Nothing; why, and what to do.
    Unknown(String),
}

impl Session<'_> {
    /// Judges the settings of a recipe's kernel. Nothing is fetched. `None` if the kernel is not configured by Kconfig, or its
    /// source has no Kconfig files.
    pub fn kernel_settings(&self, recipe: &Recipe, lock: Option<&Lock>) -> Result<Option<KernelSettings>, Error> {
        let Some(subject) = Subject::of(recipe) else { return Ok(None) };
        let judged = self.source_files(recipe, lock, &subject).and_then(|found| match found {
            Some(source) => subject.judge(recipe, lock, &source, self).map(Some),
            None => Ok(None),
        });
        match judged {
            Ok(verdict) => Ok(verdict.map(KernelSettings::Judged)),
            Err(Obstacle::Known(why)) => Ok(Some(KernelSettings::Unknown(why))),
            // A store that can't be used is no error of the recipe.
            Err(Obstacle::Failed(Error::Store(error))) => Ok(Some(KernelSettings::Unknown(error.to_string()))),
            Err(Obstacle::Failed(error)) => Err(error),
        }
    }

    /// The Kconfig files of the kernel's source; `None` if it has none.
    fn source_files(
        &self,
        recipe: &Recipe,
        lock: Option<&Lock>,
        subject: &Subject<'_>,
    ) -> Result<Option<SourceFiles>, Obstacle> {
        let component = subject.component;
        let fetch = || format!("run `dbco fetch {}`", recipe.path.display());
        let archive = match &component.source.value {
            Origin::Path { path, .. } if path.is_dir() => {
                let folder = Dir::open(path, Links::Never).map_err(|error| Obstacle::Known(error.to_string()))?;
                let files = SourceFiles::from(&folder);
                let kinds = ["Kconfig", "Makefile"];
                if !kinds.iter().all(|name| files.has_file(name)) {
                    return Ok(None);
                }
                // The store is neither made nor needed for patches of the project.
                let remote = subject.has_remote_patches() && self.store_path()?.is_dir();
                let store = if remote { Some(self.store()?) } else { None };
                for (name, text) in subject.patches(lock, store.as_ref(), &fetch)? {
                    if changes_needed_files(&name, &text)? {
                        let why = format!("its source is a folder whose Kconfig files {name} changes");
                        return Err(Obstacle::Known(why));
                    }
                }
                return Ok(Some(files));
            }
            Origin::Path { .. } => {
                return Err(Obstacle::Known("its source is an archive of the project".to_owned()));
            }
            Origin::Remote(request) => {
                let strip = component.unpacking.strip.as_ref().map(|strip| strip.value);
                let strip = match request.kind().content() {
                    SourceContent::Packages(_) => {
                        return Err(Obstacle::Known("its source is inside Debian packages".to_owned()));
                    }
                    SourceContent::File => strip,
                    // A commit's tree has no folder around it.
                    SourceContent::Tree => strip.or(Some(0)),
                };
                let entry = lock.and_then(|lock| lock.find(request)).and_then(|entry| entry.files.first());
                let Some(file) = entry else {
                    return Err(Obstacle::Known(format!(
                        "its source is not locked: run `dbco lock {}`",
                        recipe.path.display()
                    )));
                };
                (file, strip)
            }
        };
        let (file, strip) = archive;
        let path = self.store_path()?;
        if !path.is_dir() {
            return Err(Obstacle::Known(format!("its source is not in the store: {}", fetch())));
        }
        let store = self.store()?;
        let patches = subject.patches(lock, Some(&store), &fetch)?;
        let digests = patches.iter().map(|(_, text)| Digest::of(text));
        let digests = digests.enumerate().map(|(number, digest)| (format!("patch {number}"), digest));
        let stripped = strip.map_or("only".to_owned(), |strip| strip.to_string());
        let key = Key::new("kconfig-files", 1).row("source", file.sha256).row("strip", stripped).rows(digests);
        if let Some(files) = kept(&store, &key)? {
            self.report_damages(&store);
            return Ok(has_top(&files));
        }
        self.report_damages(&store);
        if !store.has_blob(&file.sha256) {
            return Err(Obstacle::Known(format!("its source is not in the store: {}", fetch())));
        }
        let started = Instant::now();
        let mut files = read(&store, &file.sha256, &file.name, strip)?;
        for (name, text) in &patches {
            patch::apply(name, text, &mut files, &is_needed, &Budget::USUAL)
                .map_err(|error| Obstacle::Known(error.to_string()))?;
        }
        let bytes = pack(&files);
        let digest = store.add_bytes(&bytes)?;
        let blob = Blob { digest, size: bytes.len() as u64 };
        let outputs = BTreeMap::from([("files".to_owned(), Output::Blob { digest: blob.digest, size: blob.size })]);
        let label = format!("Kconfig files of {}", component.name);
        store.record(&StepResult { label, key, outputs, seconds: started.elapsed().as_secs_f64() })?;
        Ok(unpack(&bytes).and_then(|files| has_top(&files)))
    }
}

/// Why nothing is known.
enum Obstacle {
    /// What is missing; in prose.
    Known(String),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Obstacle {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The kernel that is judged.
struct Subject<'r> {
    component: &'r Component,
    config: &'r [crate::recipe::decode::At<std::path::PathBuf>],
    patches: &'r [crate::recipe::decode::At<Origin>],
}

impl<'r> Subject<'r> {
    fn of(recipe: &'r Recipe) -> Option<Self> {
        let Kernel::Component { component, config, patches } = &recipe.image.kernel else { return None };
        let component = recipe.components.get(&component.value)?;
        component.kconfig.as_ref()?;
        Some(Self { component, config, patches })
    }

    fn has_remote_patches(&self) -> bool {
        let mut patches = self.component.patches.iter().chain(self.patches);
        patches.any(|patch| matches!(patch.value, Origin::Remote(_)))
    }

    /// The patches in their order, with their plain texts.
    fn patches(
        &self,
        lock: Option<&Lock>,
        store: Option<&Store>,
        fetch: &dyn Fn() -> String,
    ) -> Result<Vec<(String, Vec<u8>)>, Obstacle> {
        let mut texts = Vec::new();
        for patch in self.component.patches.iter().chain(self.patches) {
            let (name, bytes) = match &patch.value {
                Origin::Path { path, .. } => {
                    let name = path.display().to_string();
                    let bytes = read_within(path, LONG).map_err(|error| Obstacle::Known(format!("{name}: {error}")))?;
                    (name, bytes.unwrap_or_default())
                }
                Origin::Remote(request) => {
                    let file = lock.and_then(|lock| lock.find(request)).and_then(|entry| entry.files.first());
                    let stored = file.zip(store).filter(|(file, store)| store.has_blob(&file.sha256));
                    let Some((file, store)) = stored else {
                        return Err(Obstacle::Known(format!("a patch is not in the store: {}", fetch())));
                    };
                    let mut bytes = Vec::new();
                    let read = store.open_blob(&file.sha256)?.take(LONG).read_to_end(&mut bytes);
                    read.map_err(|error| Obstacle::Known(format!("{}: {error}", file.name)))?;
                    (file.name.clone(), bytes)
                }
            };
            // An empty patch changes nothing.
            if bytes.is_empty() {
                continue;
            }
            let text = patch::plain(&name, bytes, &Budget::USUAL);
            texts.push((name, text.map_err(|error| Obstacle::Known(error.to_string()))?));
        }
        Ok(texts)
    }

    fn judge(
        &self,
        recipe: &Recipe,
        lock: Option<&Lock>,
        source: &SourceFiles,
        session: &Session<'_>,
    ) -> Result<Verdict, Obstacle> {
        let known = |error: &dyn std::fmt::Display| Obstacle::Known(error.to_string());
        let Some(kconfig) = &self.component.kconfig else { return Ok(Verdict::default()) };
        let mut fragments = Vec::new();
        for path in kconfig.fragments.iter().chain(self.config) {
            let text = read_text(&path.value, LIMIT).map_err(|error| known(&error))?;
            let fragment = Fragment::parse(&path.value.display().to_string(), &text);
            fragments.push(fragment.map_err(|errors| known(&errors[0]))?);
        }
        let fragments = for_source(&fragments, source).map_err(|error| known(&error))?;
        let text;
        let base = match &kconfig.base {
            BaseConfig::Target(target) => Base::Target(target),
            BaseConfig::File(origin) => {
                text = match &origin.value {
                    Origin::Path { path, .. } => read_text(path, LONG).map_err(|error| known(&error))?,
                    Origin::Remote(request) => {
                        let file = lock.and_then(|lock| lock.find(request)).and_then(|entry| entry.files.first());
                        let store = session.store()?;
                        let Some(file) = file.filter(|file| store.has_blob(&file.sha256)) else {
                            let fetch = recipe.path.display();
                            return Err(known(&format!("its `config` is not in the store: run `dbco fetch {fetch}`")));
                        };
                        let mut text = String::new();
                        let read = store.open_blob(&file.sha256)?.take(LONG).read_to_string(&mut text);
                        read.map_err(|error| known(&error))?;
                        text
                    }
                };
                Base::Text(&text)
            }
        };
        let facts = self.facts(recipe, lock);
        let platform = recipe.image.platform;
        let prospect = Prospect { source, platform, facts: &facts, base, make: &kconfig.make };
        foresee(&fragments, &prospect).map_err(|error| known(&error))
    }

    /// What the lock states about the toolchain; nothing if make is given another compiler.
    fn facts(&self, recipe: &Recipe, lock: Option<&Lock>) -> ToolchainFacts {
        let other = |name: &str| ["CC", "LD", "LLVM", "HOSTCC", "CROSS_COMPILE"].contains(&name);
        let make = self.component.kconfig.iter().flat_map(|kconfig| &kconfig.make);
        let assigned = make.filter_map(|argument| argument.split_once('='));
        let assigned = assigned.map(|(name, _)| name.trim_end_matches([':', '?', '+']));
        let named: BTreeSet<&str> = assigned.chain(self.component.env.keys().map(String::as_str)).collect();
        if named.iter().any(|name| other(name)) {
            return ToolchainFacts::default();
        }
        let own = self.component.toolchain.as_ref().and_then(|name| recipe.toolchains.get(&name.value));
        let toolchain = own.unwrap_or(&recipe.build);
        let Some(entry) = lock.and_then(|lock| lock.find(&toolchain.packages)) else {
            return ToolchainFacts::default();
        };
        let version = |name: &str| {
            let file = entry.files.iter().find(|file| file.name == name)?;
            file.version.as_deref().map(numbers)
        };
        // `gcc` depends on the package of its series.
        let series = version("gcc").map(|[major, ..]| format!("gcc-{major}"));
        let gcc = series.and_then(|name| version(&name));
        let has = |program: &str| entry.files.iter().any(|file| file.name.starts_with(program));
        // Another program may be named, or be where the toolchain's packages do not put it: in a needed component.
        let elsewhere = |program: &str| {
            !self.component.needs.is_empty()
                || named.contains("PATH")
                || named.contains(program.to_ascii_uppercase().as_str())
        };
        let missing = OPTIONAL_PROGRAMS.into_iter().filter(|program| !elsewhere(program));
        let missing = missing.filter(|program| !has(program) && (*program != "pahole" || !has("dwarves")));
        ToolchainFacts {
            gcc: gcc.map(|[major, minor, patch]| major * 10_000 + minor * 100 + patch),
            binutils: version("binutils").map(|[major, minor, patch]| major * 10_000 + minor * 100 + patch),
            missing: missing.collect(),
        }
    }
}

/// The first three numbers of a Debian version: 12.2.0 of `4:12.2.0-3`.
fn numbers(version: &str) -> [u32; 3] {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let upstream = upstream.split(['-', '+', '~']).next().unwrap_or_default();
    let mut numbers = [0; 3];
    for (number, text) in numbers.iter_mut().zip(upstream.split('.')) {
        *number = text.parse().unwrap_or_default();
    }
    numbers
}

/// The files, if they include that which `conf` starts with.
fn has_top(files: &SourceFiles) -> Option<SourceFiles> {
    files.has_file("Kconfig").then(|| files.clone())
}

/// Whether a patch changes files on which the settings depend.
fn changes_needed_files(name: &str, text: &[u8]) -> Result<bool, Obstacle> {
    let parts = patch::inspect(name, text, &Budget::USUAL).map_err(|error| Obstacle::Known(error.to_string()))?;
    Ok(parts.iter().any(|part| part.old.iter().chain(&part.new).any(|file| is_needed(file))))
}

/// The files that an earlier call has stored.
fn kept(store: &Store, key: &Key) -> Result<Option<SourceFiles>, Obstacle> {
    let digest = key.digest();
    let Some(result) = store.result(&digest)? else { return Ok(None) };
    let Some(Output::Blob { digest: blob, .. }) = result.outputs.get("files") else { return Ok(None) };
    let mut bytes = Vec::new();
    match store.open_blob(blob).map(|file| file.take(LONG).read_to_end(&mut bytes)) {
        Ok(Ok(_)) => {}
        // Damage has been recorded, and the files are made again.
        Ok(Err(_)) | Err(_) => return Ok(None),
    }
    store.note_use(&digest);
    Ok(unpack(&bytes))
}

/// What is at the top of an archive.
#[derive(Default)]
enum Top {
    #[default]
    Nothing,
    /// Only a folder of this name.
    Folder(String),
    /// Anything else.
    Other,
}

impl Top {
    /// Takes a member into account.
    fn add(&mut self, path: &str, is_folder: bool) {
        let (name, inside) = path.split_once('/').map_or((path, false), |(name, _)| (name, true));
        match self {
            // The root itself.
            _ if name.is_empty() || name == "." => {}
            Self::Nothing if is_folder || inside => *self = Self::Folder(name.to_owned()),
            Self::Folder(only) if only == name => {}
            _ => *self = Self::Other,
        }
    }
}

/// The needed files of an archive. `strip` enclosing folders are removed; if that is not stated, one, if it is the only entry
/// at the top, as for a build.
fn read(store: &Store, blob: &Digest, name: &str, strip: Option<u32>) -> Result<BTreeMap<String, String>, Obstacle> {
    let failed = |error: crate::archive::ArchiveError| Obstacle::Failed(Error::Source(error.into()));
    let stream = decompress(store.open_blob(blob)?, name, &Budget::USUAL).map_err(failed)?;
    let mut entries = Entries::new(stream, name, &Budget::USUAL);
    let (mut files, mut left) = (BTreeMap::new(), MOST_FILES);
    let mut top = Top::default();
    while let Some(member) = entries.next_member().map_err(failed)? {
        let path = String::from_utf8_lossy(&member.path).into_owned();
        let path = path.trim_start_matches("./");
        top.add(path, member.kind == MemberKind::Dir);
        let needed = match strip {
            Some(strip) => is_needed(without(path, strip)),
            None => is_needed(path) || is_needed(without(path, 1)),
        };
        if member.kind != MemberKind::File || member.size > MOST_FILE || !needed {
            continue;
        }
        left = left
            .checked_sub(member.size)
            .ok_or_else(|| Obstacle::Known(format!("{name}: its Kconfig files have more than {MOST_FILES} bytes")))?;
        let mut text = Vec::new();
        let read: io::Result<usize> = entries.read_to_end(&mut text);
        read.map_err(|error| Obstacle::Failed(Error::Source(error.into())))?;
        files.insert(path.to_owned(), String::from_utf8_lossy(&text).into_owned());
    }
    let strip = strip.unwrap_or(u32::from(matches!(top, Top::Folder(_))));
    let files = files.into_iter().map(|(path, text)| (without(&path, strip).to_owned(), text));
    Ok(files.filter(|(path, _)| is_needed(path)).collect())
}

/// A path below so many enclosing folders; empty if it is not below them.
fn without(path: &str, folders: u32) -> &str {
    path.splitn(folders as usize + 1, '/').nth(folders as usize).unwrap_or_default()
}
