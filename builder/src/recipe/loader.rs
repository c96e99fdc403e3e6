//! Reading the files of a recipe: the project's, the first one, those that a file extends.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::decode::{At, Decode, FindingSink};
use super::error::LoadError;
use super::find::{nearest, suggest_path};
use super::libraries::{self, LibraryChoice, in_library};
use super::merge::{self, FileKind};
use super::node::{self, YamlNode, is_blank};
use super::params::{Parameters, substitute};
use super::place::FileFinder;
use super::profiles::Profiles;
use super::project;
use super::settings::Settings;
use super::text::{FileId, RecipeFiles, Span};
use super::toolchain::Toolchain;
use crate::input::{LIMIT, read_text};
use crate::library::{Library, RECIPES};
use crate::platform::Platform;
use crate::source::SourceContext;

/// What loading depends on, beside the files and parameters of a recipe.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The folder of the store, which the program's library is unpacked into; by default the user's.
    pub store: Option<PathBuf>,
    /// The toolchain of the kernel's component, instead of the recipe's: for tools that only a user needs.
    pub kernel_toolchain: Option<String>,
}

/// The maximum length of a chain of `extends`.
const CHAIN: usize = 16;

/// A file, merged over those that it extends.
pub(super) struct MergedFile {
    /// The result, without `extends`.
    pub node: YamlNode,
    /// The file and those that it extends, from itself to the last.
    pub chain: Vec<ExtendedFile>,
    /// The names of its profiles; only image recipes have any.
    pub profiles: BTreeSet<String>,
    /// Its parameters; only image recipes have any.
    pub params: Parameters,
}

/// A file in a chain of `extends`.
pub(super) struct ExtendedFile {
    /// The file.
    pub file: FileId,
    /// Its absolute path without links, to notice that it is extended twice.
    canonical: PathBuf,
    /// The location of the path that it extends.
    extends: Option<Span>,
}

/// What files that extend each other have beside the content that is merged.
#[derive(Default)]
pub(super) struct Extended {
    /// The files, from the first to the last.
    chain: Vec<ExtendedFile>,
    /// Their profiles.
    profiles: Profiles,
}

/// Reads files and everything that they refer to.
pub(super) struct Loader {
    /// The files read so far.
    pub files: RecipeFiles,
    /// The findings so far.
    pub sink: FindingSink,
    /// The folder of the first file; if that is in the library, the folder for recipes of the project.
    root: PathBuf,
    /// The folder of the project.
    pub project: PathBuf,
    /// The library that the project builds on.
    pub library: Option<Library>,
    /// Toolchains that were read, by name; `None` for an invalid one.
    pub toolchains: BTreeMap<String, Option<Toolchain>>,
    /// What loading depends on, beside files.
    pub options: LoadOptions,
}

impl Loader {
    /// Reads the first file, and the project's.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<(Self, FileId), LoadError> {
        let inside = path.to_str().and_then(in_library);
        let root = match (inside, path.parent()) {
            (Some(_), _) if Path::new(RECIPES).is_dir() => RECIPES.into(),
            (None, Some(folder)) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut loader = Self {
            files: RecipeFiles::default(),
            sink: RefCell::default(),
            project: project::folder(&root),
            root,
            library: None,
            toolchains: BTreeMap::new(),
            options: options.clone(),
        };
        let mut choice = loader.project_file();
        if inside.is_some() {
            choice = choice.or(Some(LibraryChoice::Embedded));
        }
        loader.library = choice.map(|choice| choice.open(options.store.as_deref())).transpose()?;
        let found = match (inside, &loader.library) {
            (Some(name), Some(library)) => library.path_of(Path::new(name)),
            _ => None,
        };
        let read = found.as_deref().unwrap_or(path);
        let text = read_text(read, LIMIT).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            hint: match (inside, &loader.library) {
                (Some(name), Some(library)) => libraries::suggest(name, library),
                _ => suggest_path(path),
            },
            source,
        })?;
        let file = loader.files.add(read, text);
        Ok((loader, file))
    }

    /// The library that the project's file states. What is wrong with that file is a finding.
    fn project_file(&mut self) -> Option<LibraryChoice> {
        let path = project::file_of(&self.root)?;
        // As a user would write it.
        let path = path.strip_prefix(".").unwrap_or(&path);
        let text = read_text(path, LIMIT);
        let is_read = text.as_ref().err().map(ToString::to_string);
        let file = self.files.add(path, text.unwrap_or_default());
        if let Some(error) = is_read {
            let start = Span { file, start: 0, end: 0 };
            self.sink.borrow_mut().add("missing-file", start, format!("can't read the project's file: {error}"));
            return None;
        }
        if is_blank(self.files.text(file)) {
            return None;
        }
        let node = self.parse(file)?;
        LibraryChoice::decode(&node, &self.files, &self.sink).map(|choice| choice.value)
    }

    /// A parsed file, merged over those that it extends; for a recipe with the
    /// chosen profiles and the values of its parameters.
    pub fn merged(
        &mut self,
        file: FileId,
        node: YamlNode,
        kind: FileKind,
        settings: &Settings,
    ) -> Result<Option<MergedFile>, LoadError> {
        let mut others = Extended::default();
        let Some(mut node) = self.extended(file, node, kind, &mut others) else { return Ok(None) };
        let Extended { chain, profiles } = others;
        if let Some(name) = profiles.unknown(&settings.profiles) {
            return Err(LoadError::Profile { name: name.clone(), hint: profiles.hint(name) });
        }
        profiles.apply(&settings.profiles, &mut node, &self.sink);
        let params = match kind {
            FileKind::Recipe => substitute(&mut node, settings, &profiles.parameters(), &self.files, &self.sink)?,
            _ => Parameters::default(),
        };
        Ok(Some(MergedFile { node, chain, profiles: profiles.names(), params }))
    }

    /// Merges a parsed file over the one that it extends, and that over its own. `others` gets what
    /// is not merged, in this order.
    pub fn extended(
        &mut self,
        file: FileId,
        mut node: YamlNode,
        kind: FileKind,
        others: &mut Extended,
    ) -> Option<YamlNode> {
        let extends = node.take("extends");
        // A repeated key has been reported.
        while node.take("extends").is_some() {}
        if kind == FileKind::Recipe {
            node.take("profiles").into_iter().for_each(|profiles| others.profiles.add(profiles, &self.sink));
            while node.take("profiles").is_some() {}
        }
        let canonical = self.files.path(file).canonicalize().unwrap_or_default();
        let chain = &mut others.chain;
        chain.push(ExtendedFile { file, canonical, extends: extends.as_ref().map(|node| node.span) });
        let Some(extends) = extends else { return Some(node) };
        let name = At::<String>::decode(&extends, &self.sink)?;
        let path = match in_library(&name.value) {
            Some(inside) => libraries::locate(inside, self.library.as_ref(), name.span, &self.sink)?,
            None => self.files.folder(file).join(&name.value),
        };
        let canonical = path.canonicalize().unwrap_or_default();
        if let Some(first) = chain.iter().position(|known| known.canonical == canonical) {
            self.report_circle(&chain[first..], kind);
            return None;
        }
        if chain.len() == CHAIN {
            let message = format!("more than {CHAIN} files extend each other");
            let mut findings = self.sink.borrow_mut();
            let finding = findings.add("extends", name.span, message);
            chain[0].extends.into_iter().for_each(|span| _ = finding.relate(span, "the first"));
            return None;
        }
        let base = self.read(&path, name.span, kind.word())?;
        let parsed = self.parse(base)?;
        let mut base = self.extended(base, parsed, kind, others)?;
        merge::merge(&mut base, node, kind, &self.sink);
        Some(base)
    }

    /// Reports that the last of the files extends the first.
    fn report_circle(&self, files: &[ExtendedFile], kind: FileKind) {
        let name = |file: &ExtendedFile| file.canonical.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let circle: Vec<String> = files.iter().chain(files.first()).map(name).collect();
        let message = format!("a {} extends itself: {}", kind.word(), circle.join(" → "));
        let mut findings = self.sink.borrow_mut();
        if let Some((last, others)) = files.split_last()
            && let Some(span) = last.extends
        {
            let finding = findings.add("extends-itself", span, message);
            others.iter().filter_map(|other| other.extends).for_each(|span| _ = finding.relate(span, "by this"));
        }
    }

    /// Parses a file.
    pub fn parse(&mut self, file: FileId) -> Option<YamlNode> {
        node::parse(&self.files, file, &mut self.sink.borrow_mut())
    }

    pub fn read(&mut self, path: &Path, span: Span, what: &str) -> Option<FileId> {
        match read_text(path, LIMIT) {
            // As a user would write it.
            Ok(text) => Some(self.files.add(path.strip_prefix(".").unwrap_or(path), text)),
            Err(error) => {
                let library = self.library.as_ref();
                let shown = libraries::as_text(path, library).unwrap_or_else(|| path.display().to_string());
                let message = format!("can't read the {what} {shown}: {error}");
                let mut findings = self.sink.borrow_mut();
                let finding = findings.add("missing-file", span, message);
                // As it would be written in the extending file.
                let near = nearest(path).0.map(PathBuf::from).filter(|_| what == "recipe");
                let relative = |near: PathBuf| {
                    let inside = libraries::as_text(&near, library);
                    inside.or_else(|| Some(near.strip_prefix(path.parent()?).ok()?.display().to_string()))
                };
                if let Some(near) = near.and_then(relative) {
                    finding.suggest(near);
                }
                None
            }
        }
    }

    /// The context of a file's references, for packages of an architecture.
    pub fn place(&self, platform: Platform) -> FileFinder<'_> {
        let scope = SourceContext { recipe: &self.root, project: &self.project, platform };
        FileFinder { files: &self.files, scope, library: self.library.as_ref() }
    }
}
