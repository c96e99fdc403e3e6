//! From a file's path to a complete [`Recipe`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::checks;
use super::component::{self, Component};
use super::decode::At;
use super::error::LoadError;
use super::image::{self, Image, Kernel};
use super::libraries;
use super::loader::{Extended, LoadOptions, Loader, MergedFile};
use super::merge::{self, FileKind};
use super::name::Name;
use super::node::YamlNode;
use super::params::Parameter;
use super::project;
use super::settings::Settings;
use super::text::{BadRecipe, FileId, RecipeFiles, Span};
use super::texts;
use super::toolchain::{self, Toolchain};
use crate::library::Library;
use crate::platform::Platform;
use crate::source::{CargoLock, LibraryContent, Request};

/// A recipe with everything it refers to.
#[derive(Debug)]
pub struct Recipe {
    /// Its file.
    pub path: PathBuf,
    /// The folder of its project, which contains the lock: [`project::folder`].
    pub project: PathBuf,
    /// The library that its project builds on.
    pub library: Option<Library>,
    /// The folder of the store that it was loaded with: [`LoadOptions::store`].
    pub store: Option<PathBuf>,
    /// Its parameters, by name.
    pub params: BTreeMap<String, Parameter>,
    /// The names of its profiles.
    pub profiles: BTreeSet<String>,
    /// The values of parameters that were set, and the profiles that were applied.
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

/// Reads a recipe and everything it refers to, with the default options. All errors are reported at once.
pub fn load(path: &Path, settings: &Settings) -> Result<Recipe, LoadError> {
    load_with(path, settings, &LoadOptions::default())
}

/// Reads a recipe and everything it refers to. All errors are reported at once. `library:PATH` is a recipe of the
/// library: that of the project which the working folder belongs to, or the program's own.
pub fn load_with(path: &Path, settings: &Settings, options: &LoadOptions) -> Result<Recipe, LoadError> {
    let (mut loader, file) = Loader::open(path, options)?;
    let merged = loader.image_file(file, settings)?;
    let parts = merged.as_ref().and_then(|merged| loader.decode(&merged.node));
    let findings = loader.sink.take();
    match parts.zip(merged) {
        Some((parts, merged)) if findings.is_empty() => {
            let Parts { image, components, own, toolchains: [build, packer, boot] } = parts;
            let path = loader.files.path(file).to_owned();
            let Loader { files, project, library, options, .. } = loader;
            Ok(Recipe {
                path,
                project,
                library,
                store: options.store,
                params: merged.params.declared,
                profiles: merged.profiles,
                settings: settings.clone(),
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

struct Parts {
    image: Image,
    components: BTreeMap<String, Component>,
    /// The components' own toolchains.
    own: BTreeMap<String, Toolchain>,
    /// The image recipe's: build, image, boot.
    toolchains: [Toolchain; 3],
}

impl Loader {
    /// The kind of a file that does not say that it is a recipe.
    pub fn other_kind(&self, node: &YamlNode) -> Option<FileKind> {
        let kinds = [FileKind::Component, FileKind::Toolchain].into_iter();
        kinds.filter(|_| node.get("recipe").is_none()).find(|kind| node.get(kind.word()).is_some())
    }

    /// An image recipe, merged and with the values of its parameters.
    fn image_file(&mut self, file: FileId, settings: &Settings) -> Result<Option<MergedFile>, LoadError> {
        let Some(node) = self.parse(file) else { return Ok(None) };
        if let Some(kind) = self.other_kind(&node).filter(|_| node.get("extends").is_none()) {
            let message = format!("this file describes a {}, not an image", kind.word());
            self.sink
                .borrow_mut()
                .add("no-recipe", node.span, message)
                .help("an image recipe refers to it; pass that recipe to `dbco build`");
            return Ok(None);
        }
        self.merged(file, node, FileKind::Recipe, settings)
    }

    /// Decodes an image recipe, and reads and checks everything that it refers to.
    fn decode(&mut self, node: &YamlNode) -> Option<Parts> {
        let parts = self.decode_parts(node);
        merge::relate(node, &self.sink);
        parts
    }

    fn decode_parts(&mut self, node: &YamlNode) -> Option<Parts> {
        let place = self.place(image::platform(node));
        let (image, names) = image::decode(node, &place, &self.sink);
        let mut components = self.components(names);
        if let (Some(name), Some(Kernel::Component { component, .. })) =
            (&self.options.kernel_toolchain, image.as_ref().map(|image| &image.kernel))
            && let Some(kernel) = components.get_mut(&component.value)
        {
            kernel.toolchain = Some(At { value: name.clone(), span: component.span });
        }
        let own: Vec<_> = components.values().filter_map(|component| component.toolchain.as_ref()).collect();
        let own = own.into_iter().filter_map(|name| Some((name.value.clone(), self.toolchain(name)?))).collect();
        texts::check(image.as_ref(), &components, &mut self.files, &self.sink);
        let Some(image) = image else {
            self.toolchains_of(node);
            return None;
        };
        let names = [&image.toolchains.build, &image.toolchains.image, &image.toolchains.boot];
        let toolchains = names.map(|name| self.toolchain(name));
        checks::run(&image, &components, &self.files, &self.sink);
        let [Some(build), Some(packer), Some(boot)] = toolchains else { return None };
        Some(Parts { image, components, own, toolchains: [build, packer, boot] })
    }

    /// Decodes a merged file of any kind for its findings and the keys that it may have.
    pub fn inspect(&mut self, node: &YamlNode, kind: FileKind) {
        match kind {
            FileKind::Recipe => _ = self.decode_parts(node),
            FileKind::Component => _ = component::decode(node, &self.place(Platform::BUILD), &self.sink),
            FileKind::Toolchain => _ = toolchain::decode(node, &self.place(Platform::BUILD), &self.sink),
        }
        merge::relate(node, &self.sink);
    }

    /// Reads the toolchains of an invalid recipe for their errors, so that all findings are reported at once.
    fn toolchains_of(&mut self, recipe: &YamlNode) {
        for key in ["build", "image", "boot"] {
            let node = recipe.get("toolchains").and_then(|node| node.get(key));
            if let Some((text, span)) = node.and_then(|node| Some((node.text()?, node.span))) {
                self.toolchain(&At { value: text.to_owned(), span });
            }
        }
    }

    /// The file of a component or a toolchain, merged over those that it extends.
    fn open_named(&mut self, folder: &str, name: &At<String>, kind: FileKind) -> Option<(FileId, YamlNode)> {
        let what = kind.word();
        if let Some(why) = Name::fault(&name.value) {
            let message = format!("{:?} can't be the name of a {what}: {why}", name.value);
            self.sink.borrow_mut().add("name", name.span, message);
            return None;
        }
        let place = self.place(Platform::BUILD);
        let path = place.find_file(folder, (&name.value, ".yaml"), name.span, what, &self.sink)?;
        let file = self.read(&path, name.span, what)?;
        let node = self.parse(file)?;
        Some((file, self.extended(file, node, kind, &mut Extended::default())?))
    }

    /// Reports that a component or a toolchain has another name than its file. `stated` is the name in it.
    fn check_name(&self, file: FileId, stated: (&str, Span), name: &str, kind: FileKind) {
        let (stated, span) = stated;
        if stated == name {
            return;
        }
        let message = format!("this file names {} `{stated}`, not `{name}`", kind.word());
        let mut findings = self.sink.borrow_mut();
        if span.file == file {
            findings.add("wrong-name", span, message);
        } else {
            let start = Span { file, start: 0, end: 0 };
            let help = format!("state its own name: `{}: {name}`", kind.word());
            findings.add("wrong-name", start, message).relate(span, "the extended file's name").help(help);
        }
    }

    /// Loads the image's components and their dependencies, each once.
    fn components(&mut self, mut wanted: Vec<At<String>>) -> BTreeMap<String, Component> {
        let mut seen = BTreeMap::new();
        while let Some(name) = wanted.pop() {
            if seen.contains_key(&name.value) {
                continue;
            }
            let node = self.open_named("components", &name, FileKind::Component);
            let place = self.place(Platform::BUILD);
            let component = node.as_ref().and_then(|(_, node)| component::decode(node, &place, &self.sink));
            if let (Some((file, _)), Some(component)) = (&node, &component) {
                self.check_name(*file, (&component.name, component.span), &name.value, FileKind::Component);
                wanted.extend(component.needs.iter().cloned());
            }
            node.iter().for_each(|(_, node)| merge::relate(node, &self.sink));
            seen.insert(name.value, component);
        }
        seen.into_iter().filter_map(|(name, component)| Some((name, component?))).collect()
    }

    /// A toolchain. It is read once, so that its errors are reported once.
    fn toolchain(&mut self, name: &At<String>) -> Option<Toolchain> {
        if let Some(known) = self.toolchains.get(&name.value) {
            return known.clone();
        }
        let node = self.open_named("toolchains", name, FileKind::Toolchain);
        let place = self.place(Platform::BUILD);
        let toolchain = node.as_ref().and_then(|(_, node)| toolchain::decode(node, &place, &self.sink));
        if let (Some((file, _)), Some(toolchain)) = (&node, &toolchain) {
            self.check_name(*file, (&toolchain.name, toolchain.span), &name.value, FileKind::Toolchain);
        }
        node.iter().for_each(|(_, node)| merge::relate(node, &self.sink));
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
        let library = self.library.as_ref().and_then(Library::digest);
        let library = library.map(|sha256| Request::Library(LibraryContent { sha256 }));
        let mut requests: Vec<Request> =
            toolchains.chain(components).chain(kernel).chain(packages).chain(library).collect();
        requests.sort();
        requests.dedup();
        requests
    }

    /// A path in the library as recipes write it: `library:PATH`.
    pub fn path_in_library(&self, path: &Path) -> Option<String> {
        libraries::as_text(path, self.library.as_ref())
    }

    /// Reads another recipe, with the library in the same store.
    pub fn load_another(&self, path: &Path, settings: &Settings) -> Result<Recipe, LoadError> {
        load_with(path, settings, &LoadOptions { store: self.store.clone(), ..LoadOptions::default() })
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
