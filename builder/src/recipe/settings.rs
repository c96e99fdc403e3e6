//! What a user chooses of a recipe: values of its parameters, and profiles.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::decode::{Decode, FindingSink};
use super::error::LoadError;
use super::node::{self, MappingKey};
use super::text::{BadRecipe, Findings, RecipeFiles};
use crate::input::{LIMIT, read_text};

/// What a user chooses of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
    /// Names of profiles, in the order in which they are applied.
    pub profiles: Vec<String>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    value: String,
    /// Where a file states it, `file:line:column`; none for `--set`.
    place: Option<String>,
}

impl Settings {
    /// Nothing: every parameter has its default, and no profile is applied.
    pub fn new() -> Self {
        Self::default()
    }

    /// A profile alone.
    pub fn of_profile(name: &str) -> Self {
        Self { profiles: vec![name.to_owned()], ..Self::default() }
    }

    /// Reads values from a file: a mapping of parameters to values.
    ///
    /// # Errors
    /// If the file can't be read, or is anything else; all of it is reported at once.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let text = read_text(path, LIMIT).map_err(|source| LoadError::Settings { path: path.to_owned(), source })?;
        let mut files = RecipeFiles::default();
        let file = files.add(path, text);
        let sink: FindingSink = RefCell::new(Findings::default());
        let node = match node::is_blank(files.text(file)) {
            true => None,
            false => node::parse(&files, file, &mut sink.borrow_mut()),
        };
        let pairs = node.and_then(|node| Vec::<(MappingKey, String)>::decode(&node, &sink)).unwrap_or_default();
        let findings = sink.take();
        if !findings.is_empty() {
            return Err(Box::new(BadRecipe { files, findings: findings.sorted() }).into());
        }
        let setting = |(key, value): (MappingKey, String)| {
            let place = Some(files.locate(key.span));
            (key.name, Setting { value, place })
        };
        Ok(Self { values: pairs.into_iter().map(setting).collect(), profiles: Vec::new() })
    }

    /// Sets a parameter, as `--set` does.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), Setting { value: value.to_owned(), place: None });
    }

    /// Takes over all values of others, which replace those here, and appends their profiles.
    pub fn extend(&mut self, others: Self) {
        self.values.extend(others.values);
        self.profiles.extend(others.profiles);
    }

    /// The value of a parameter, if it is set.
    pub fn get(&self, name: &str) -> Option<&String> {
        self.values.get(name).map(|setting| &setting.value)
    }

    /// Where a file states the value of a parameter: `file:line:column`.
    pub fn place(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.place.as_deref()
    }

    /// The names of the parameters that are set, in order.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.values.keys()
    }

    /// All values by the names of their parameters.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.values.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect()
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut settings = Self::new();
        pairs.into_iter().for_each(|(name, value)| settings.set(&name, &value));
        settings
    }
}
