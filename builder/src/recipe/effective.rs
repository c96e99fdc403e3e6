//! The effective recipe: a file merged over those that it extends, with the values of its parameters. `dbco show` prints
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::LoadError;
use super::libraries::{as_text, in_library};
use super::loader::{LoadOptions, Loader};
use super::merge::FileKind;
use super::node::{YamlNode, YamlValue};
use super::params::Parameter;
use super::settings::Settings;
use super::text::{BadRecipe, FileId, Finding, KnownKeys, RecipeFiles, Span};
use crate::library::Library;

/// A recipe, component or toolchain, merged over the files that it extends.
#[derive(Debug)]
pub struct Effective {
    /// Its kind.
    pub kind: FileKind,
    /// Its file and those that it extends, from itself to the last.
    pub chain: Vec<FileId>,
    /// Its content, with the history of each value. Relative paths are relative to its file.
    pub node: YamlNode,
    /// The values of parameters that were set.
    pub settings: Settings,
    /// Its parameters, by name.
    pub params: BTreeMap<String, Parameter>,
    /// The names of the parameters in each text that contained any.
    pub uses: BTreeMap<Span, BTreeSet<String>>,
    /// The keys that each mapping may have, with their defaults.
    pub tables: BTreeMap<Span, KnownKeys>,
    /// The files that were read.
    pub files: RecipeFiles,
    /// What is wrong with it. The content is as far as it could be merged.
    pub findings: Vec<Finding>,
}

/// Reads a recipe, component or toolchain and the files that it extends.
///
/// # Errors
/// If there is no content: a file can't be read or is not YAML, or a file extends itself. All other errors are findings.
pub fn effective(path: &Path, settings: &Settings) -> Result<Effective, LoadError> {
    effective_with(path, settings, &LoadOptions::default())
}

/// As [`effective`], with other options.
pub fn effective_with(path: &Path, settings: &Settings, options: &LoadOptions) -> Result<Effective, LoadError> {
    let (mut loader, file) = Loader::open(path, options)?;
    let node = loader.parse(file);
    let kind = node.as_ref().and_then(|node| loader.other_kind(node)).unwrap_or(FileKind::Recipe);
    if kind != FileKind::Recipe {
        let hint = format!(": it is a {}", kind.word());
        if let Some(name) = settings.names().next() {
            return Err(LoadError::Parameter { stated: format!("`--set {name}=…`"), name: name.clone(), hint });
        }
        if let Some(name) = settings.profiles.first() {
            return Err(LoadError::Profile { name: name.clone(), hint });
        }
    }
    let merged = match node {
        Some(node) => loader.merged(file, node, kind, settings)?,
        None => None,
    };
    if let Some(merged) = &merged {
        loader.inspect(&merged.node, kind);
    }
    let mut found = loader.sink.take();
    let notes = std::mem::take(&mut found.notes);
    let findings = found.sorted();
    let Loader { files, library, .. } = loader;
    let Some(mut merged) = merged else { return Err(Box::new(BadRecipe { files, findings }).into()) };
    let places = Places { file, paths: &notes.paths, files: &files, library: library.as_ref() };
    places.rewrite(&mut merged.node);
    Ok(Effective {
        kind,
        chain: merged.chain.iter().map(|extended| extended.file).collect(),
        node: merged.node,
        settings: settings.clone(),
        params: merged.params.declared,
        uses: merged.params.uses,
        tables: notes.tables,
        files,
        findings,
    })
}

/// What the paths of an effective recipe are relative to.
struct Places<'a> {
    /// The file that is shown.
    file: FileId,
    /// The locations of paths.
    paths: &'a BTreeSet<Span>,
    files: &'a RecipeFiles,
    library: Option<&'a Library>,
}

impl Places<'_> {
    /// Makes the paths below a node relative to the folder of the file that is shown, or paths in the library.
    fn rewrite(&self, node: &mut YamlNode) {
        let folder = self.files.folder(self.file);
        match &mut node.value {
            YamlValue::Text { text, .. } if self.paths.contains(&node.span) && in_library(text).is_none() => {
                let own = self.files.folder(node.span.file);
                if own != folder {
                    let path = own.join(&*text);
                    let library = self.library.filter(|library| library.name_of(folder).is_none());
                    let inside = as_text(&path, library);
                    *text = inside.unwrap_or_else(|| path.strip_prefix(folder).unwrap_or(&path).display().to_string());
                }
            }
            YamlValue::Null | YamlValue::Text { .. } => {}
            YamlValue::List(nodes) => nodes.iter_mut().for_each(|node| self.rewrite(node)),
            YamlValue::Map(pairs) => pairs.iter_mut().for_each(|(_, node)| self.rewrite(node)),
        }
    }
}
