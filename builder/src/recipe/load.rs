//! From a file's path to a complete [`Recipe`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::checks;
use super::component::{self, Component};
use super::decode::{At, Decode, FindingSink};
use super::error::LoadError;
use super::image::{self, Image};
use super::name::Name;
use super::node::{self, YamlNode, YamlValue};
use super::params::{Parameter, Settings, substitute};
use super::place::FileFinder;
use super::project;
use super::text::{BadRecipe, FileId, RecipeFiles, Span};
use super::texts;
use super::toolchain::{self, Toolchain};
use crate::input::{LIMIT, read_text};
use crate::platform::Platform;
use crate::similar;
use crate::source::{CargoLock, Request, SourceContext};

/// A recipe with everything it refers to.
#[derive(Debug)]
pub struct Recipe {
    /// Its file.
    pub path: PathBuf,
    /// The folder of its project, which contains the lock: [`project::folder`].
    pub project: PathBuf,
    /// Its parameters, by name.
    pub params: BTreeMap<String, Parameter>,
    /// The values of parameters that were set.
    pub settings: Settings,
    /// The recipe itself.
    pub image: Image,
    /// Every component that it needs, by name, including indirect dependencies.
    pub components: BTreeMap<String, Component>,
    /// Compilers, for components without a toolchain of their own.
    pub build: Toolchain,
    /// The toolchains of components, by name.
    pub toolchains: BTreeMap<String, Toolchain>,
    /// Tools that make images.
    pub packer: Toolchain,
    /// QEMU and firmware.
    pub boot: Toolchain,
    /// The files that it was read from, for messages of later stages.
    pub files: RecipeFiles,
}

/// Reads a recipe and everything it refers to. All errors are reported at once.
pub fn load(path: &Path, settings: &Settings) -> Result<Recipe, LoadError> {
    let text = read_text(path, LIMIT).map_err(|source| LoadError::Read {
        path: path.to_owned(),
        hint: suggest_path(path),
        source,
    })?;
    let mut files = RecipeFiles::default();
    let file = files.add(path, text);
    let root = files.folder(file).to_owned();
    let project = project::folder(&root);
    let mut loader = Loader { files, sink: RefCell::default(), root, project, toolchains: BTreeMap::new() };
    let recipe = loader.load(file, settings)?;
    let findings = loader.sink.take();
    match recipe {
        Some(parts) if findings.is_empty() => {
            let Parts { image, params, components, own, toolchains: [build, packer, boot] } = parts;
            let Loader { files, project, .. } = loader;
            let (path, settings) = (path.to_owned(), settings.clone());
            Ok(Recipe {
                path,
                project,
                params,
                settings,
                image,
                components,
                build,
                toolchains: own,
                packer,
                boot,
                files,
            })
        }
        _ => Err(Box::new(BadRecipe { files: loader.files, findings: findings.sorted() }).into()),
    }
}

/// Merges a node over the one that it extends.
type Merge<'a> = &'a dyn Fn(&mut YamlNode, YamlNode, &FindingSink);

fn overlay(base: &mut YamlNode, over: YamlNode, _: &FindingSink) {
    base.overlay(over);
}

/// The maximum length of a chain of `extends`.
const CHAIN: usize = 16;

/// The maximum number of recipes listed in a message.
const SHOWN: usize = 8;

/// The recipe that was probably meant by a wrong path, as the end of a sentence.
fn suggest_path(path: &Path) -> String {
    match nearest(path) {
        (Some(near), _) => format!(" (did you mean {near}?)"),
        (None, known) if known.is_empty() || path.is_file() => String::new(),
        (None, known) => {
            let more = if known.len() > SHOWN { ", …" } else { "" };
            format!(" (there are: {}{more})", known[..known.len().min(SHOWN)].join(", "))
        }
    }
}

/// The recipe with the name nearest to a wrong path, and all existing ones.
fn nearest(path: &Path) -> (Option<String>, Vec<String>) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let own = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let folders = BTreeSet::from([own.to_owned(), PathBuf::new(), "recipes".into()]);
    let mut known: Vec<String> = Vec::new();
    for folder in &folders {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(here).into_iter().flatten().flatten().take(1000) {
            let path = folder.join(entry.file_name());
            if path.extension().is_some_and(|end| end == "yaml") && path.is_file() {
                known.push(path.display().to_string());
            }
        }
    }
    known.sort();
    let stem = |path: &str| Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = known.iter().map(|path| stem(path)).collect();
    let near = similar::nearest(&name, stems.iter().map(String::as_str));
    let near = near.and_then(|near| known.iter().find(|path| stem(path) == near)).cloned();
    (near.filter(|near| path.is_dir() || Path::new(near) != path), known)
}

struct Loader {
    files: RecipeFiles,
    sink: FindingSink,
    root: PathBuf,
    project: PathBuf,
    /// Components that were read, by name; `None` for an invalid one.
    toolchains: BTreeMap<String, Option<Toolchain>>,
}

struct Parts {
    image: Image,
    params: BTreeMap<String, Parameter>,
    components: BTreeMap<String, Component>,
    /// The components' own toolchains.
    own: BTreeMap<String, Toolchain>,
    /// The image recipe's: build, image, boot.
    toolchains: [Toolchain; 3],
}

impl Loader {
    fn load(&mut self, file: FileId, settings: &Settings) -> Result<Option<Parts>, LoadError> {
        if let Some(node) =
            self.parse(file).filter(|node| node.get("recipe").is_none() && node.get("extends").is_none())
            && let Some(kind) = ["component", "toolchain"].into_iter().find(|kind| node.get(kind).is_some())
        {
            let message = format!("this file describes a {kind}, not an image");
            self.sink
                .borrow_mut()
                .add("no-recipe", node.span, message)
                .help("an image recipe refers to it; pass that recipe to `dbco build`");
            return Ok(None);
        }
        let Some(mut node) = self.extended(file, "recipe", &overlay, &mut Vec::new()) else { return Ok(None) };
        let params = substitute(&mut node, settings, &self.sink)?;
        let place = self.place(image::platform(&node));
        let (image, names) = image::decode(&node, &place, &self.sink);
        let components = self.components(names);
        let own: Vec<_> = components.values().filter_map(|component| component.toolchain.as_ref()).collect();
        let own = own.into_iter().filter_map(|name| Some((name.value.clone(), self.toolchain(name)?))).collect();
        texts::check(image.as_ref(), &components, &mut self.files, &self.sink);
        let Some(image) = image else {
            self.toolchains_of(&node);
            return Ok(None);
        };
        let names = [&image.toolchains.build, &image.toolchains.image, &image.toolchains.boot];
        let toolchains = names.map(|name| self.toolchain(name));
        checks::run(&image, &components, &self.files, &self.sink);
        let [Some(build), Some(packer), Some(boot)] = toolchains else { return Ok(None) };
        Ok(Some(Parts { image, params, components, own, toolchains: [build, packer, boot] }))
    }

    /// Reads the toolchains of an invalid recipe for their errors, so that all findings are reported at once.
    fn toolchains_of(&mut self, recipe: &YamlNode) {
        for key in ["build", "image", "boot"] {
            let node = recipe.get("toolchains").and_then(|node| node.get(key));
            if let Some(YamlNode { value: YamlValue::Text { text, .. }, span }) = node {
                self.toolchain(&At { value: text.clone(), span: *span });
            }
        }
    }

    /// Parses a file and merges it, with `merge`, over the one that it extends. `what` describes both in findings.
    fn extended(&mut self, file: FileId, what: &str, merge: Merge<'_>, chain: &mut Vec<PathBuf>) -> Option<YamlNode> {
        let node = self.parse(file)?;
        chain.push(self.files.path(file).canonicalize().unwrap_or_default());
        let Some(extends) = node.get("extends") else { return Some(node) };
        let name = At::<String>::decode(extends, &self.sink)?;
        let path = self.files.folder(file).join(&name.value);
        if let Some(first) = chain.iter().position(|known| *known == path.canonicalize().unwrap_or_default()) {
            let short = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let circle: Vec<String> = chain[first..].iter().chain([&chain[first]]).map(short).collect();
            let message = format!("a {what} extends itself: {}", circle.join(" → "));
            self.sink.borrow_mut().add("extends-itself", name.span, message);
            return None;
        }
        if chain.len() == CHAIN {
            let message = format!("more than {CHAIN} files extend each other");
            self.sink.borrow_mut().add("extends", name.span, message);
            return None;
        }
        let base = self.read(&path, name.span, what)?;
        let mut base = self.extended(base, what, merge, chain)?;
        merge(&mut base, node, &self.sink);
        Some(base)
    }

    /// The context of a file's references, for packages of an architecture.
    fn place(&self, platform: Platform) -> FileFinder<'_> {
        FileFinder { files: &self.files, scope: SourceContext { recipe: &self.root, project: &self.project, platform } }
    }

    fn parse(&mut self, file: FileId) -> Option<YamlNode> {
        node::parse(&self.files, file, &mut self.sink.borrow_mut())
    }

    fn read(&mut self, path: &Path, span: Span, what: &str) -> Option<FileId> {
        match read_text(path, LIMIT) {
            Ok(text) => Some(self.files.add(path, text)),
            Err(error) => {
                let message = format!("can't read the {what} {}: {error}", path.display());
                let mut findings = self.sink.borrow_mut();
                let finding = findings.add("missing-file", span, message);
                // As it would be written in the extending file.
                let near = nearest(path).0.map(PathBuf::from).filter(|_| what == "recipe");
                let near = near.and_then(|near| near.strip_prefix(path.parent()?).ok().map(Path::to_owned));
                if let Some(near) = near {
                    finding.suggest(near.display());
                }
                None
            }
        }
    }

    fn open(&mut self, folder: &str, name: &At<String>, what: &'static str) -> Option<FileId> {
        if let Some(why) = Name::fault(&name.value) {
            let message = format!("{:?} can't be the name of a {what}: {why}", name.value);
            self.sink.borrow_mut().add("name", name.span, message);
            return None;
        }
        let place = self.place(Platform::BUILD);
        let path = place.find_file(folder, (&name.value, ".yaml"), name.span, what, &self.sink)?;
        self.read(&path, name.span, what)
    }

    /// Loads the image's components and their dependencies, each once.
    fn components(&mut self, mut wanted: Vec<At<String>>) -> BTreeMap<String, Component> {
        let mut seen = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            if seen.contains_key(&name.value) {
                continue;
            }
            let node = self.open("components", &name, "component").and_then(|file| self.parse(file));
            let place = self.place(Platform::BUILD);
            let component = node.and_then(|node| component::decode(&node, &place, &self.sink));
            if let Some(component) = &component {
                if component.name != name.value {
                    let message = format!("this file names component `{}`, not `{}`", component.name, name.value);
                    self.sink.borrow_mut().add("wrong-name", component.span, message);
                }
                wanted.extend(component.needs.iter().cloned());
            }
            seen.insert(name.value, component);
        }
        seen.into_iter().filter_map(|(name, component)| Some((name, component?))).collect()
    }

    /// A toolchain. It is read once, so that its errors are reported once.
    fn toolchain(&mut self, name: &At<String>) -> Option<Toolchain> {
        if let Some(known) = self.toolchains.get(&name.value) {
            return known.clone();
        }
        let file = self.open("toolchains", name, "toolchain");
        let node = file.and_then(|file| self.extended(file, "toolchain", &toolchain::extend, &mut Vec::new()));
        let place = self.place(Platform::BUILD);
        let toolchain = node.and_then(|node| toolchain::decode(&node, &place, &self.sink));
        if let Some(toolchain) = toolchain.as_ref().filter(|toolchain| toolchain.name != name.value) {
            let message = format!("this file names toolchain `{}`, not `{}`", toolchain.name, name.value);
            self.sink.borrow_mut().add("wrong-name", toolchain.span, message);
        }
        self.toolchains.insert(name.value.clone(), toolchain.clone());
        toolchain
    }
}

impl Recipe {
    /// Everything that the lock has to pin, each once, in a stable order.
    pub fn requests(&self) -> Vec<Request> {
        let toolchains = [&self.build, &self.packer, &self.boot].into_iter().chain(self.toolchains.values());
        let toolchains = toolchains.map(|toolchain| toolchain.packages.value.clone());
        let components = self.components.values().flat_map(|component| {
            let config = match component.kconfig.as_ref().map(|kconfig| &kconfig.base) {
                Some(component::BaseConfig::File(origin)) => origin.request(),
                _ => None,
            };
            let patches = component.patches.iter().filter_map(|patch| patch.request());
            component.source.request().into_iter().chain(patches).chain(config).cloned()
        });
        let kernel = match &self.image.kernel {
            image::Kernel::Package { request, .. } => vec![request.value.clone()],
            image::Kernel::Component { patches, .. } => patches.iter().filter_map(|p| p.request()).cloned().collect(),
        };
        let content = self.image.template.content.as_ref();
        let packages = [Some(&self.image.rootfs), content].into_iter().flatten();
        let packages = packages.filter_map(|rootfs| Some(rootfs.packages.as_ref()?.value.clone()));
        let mut requests: Vec<Request> = toolchains.chain(components).chain(kernel).chain(packages).collect();
        requests.sort();
        requests.dedup();
        requests
    }

    /// The `Cargo.lock` files of its components, by path. They are locks themselves, and not part of `dbco.lock`.
    pub fn cargo_locks(&self) -> Vec<&CargoLock> {
        let mut locks: Vec<_> = self.components.values().filter_map(|component| component.cargo.as_ref()).collect();
        locks.sort_by(|a, b| a.path.cmp(&b.path));
        locks.dedup_by(|a, b| a.path == b.path);
        locks
    }

    /// The path of the project's lock.
    pub fn lock_path(&self) -> PathBuf {
        // As a user would write it.
        self.project.strip_prefix(".").unwrap_or(&self.project).join(project::LOCK)
    }

    /// The path of the lock for this recipe alone that earlier versions used: beside it, `<name>.lock`.
    pub fn own_lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }
}
