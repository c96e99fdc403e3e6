//! Reading a file and those that it extends.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::decode::{At, Decode};
use super::error::LoadError;
use super::find::nearest;
use super::libraries::{self, in_library};
use super::load::Loader;
use super::merge::{self, FileKind};
use super::node::{self, YamlNode};
use super::params::{Parameters, substitute};
use super::profiles::Profiles;
use super::settings::Settings;
use super::text::{FileId, Span};
use crate::input::{LIMIT, read_text};

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

impl Loader {
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
}
