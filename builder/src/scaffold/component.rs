//! A component: a program that is built from source.

use std::path::PathBuf;

use super::names::checked_crate;
use super::template::{fill, inside, line};
use super::{Changes, ScaffoldError, TargetRecipe, checked};
use crate::yaml::edit::Value;

/// How a program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C, by a makefile that makes the program.
    C,
    /// A makefile with a target `install`.
    Make,
    /// A script `configure`, as autoconf makes it.
    Autotools,
    /// Rust, by cargo.
    Rust,
    /// A script of the image's shell.
    Shell,
}

/// Where its source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A small program that is made with it.
    Sample,
    /// A file or folder of the project, relative to the folder of components.
    Path(String),
    /// An archive at an address.
    Url(String),
}

/// A component.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// How it is built.
    pub language: Language,
    /// Its source.
    pub origin: Origin,
    /// Its licence, an SPDX expression.
    pub license: String,
    /// The folder of recipes.
    pub folder: PathBuf,
}

impl Component {
    /// The component with its source, and its place in a recipe's root filesystem (or template, if the recipe states one).
    ///
    /// # Errors
    /// The name can't be used, the recipe has it already, or the source does not fit.
    pub fn changes(&self, recipe: &TargetRecipe) -> Result<Changes, ScaffoldError> {
        let list = [if recipe.states("template") { "template" } else { "rootfs" }, "components"];
        if recipe.names(&list).contains(&self.name) {
            return Err(ScaffoldError::Recipe(format!(
                "{} has a component `{}` already, in `{}`",
                recipe.path.display(),
                self.name,
                list.join(".")
            )));
        }
        let mut changes = self.files()?;
        changes.edit(recipe.add_to_list(&list, &Value::text(&self.name))?);
        Ok(changes)
    }

    fn files(&self) -> Result<Changes, ScaffoldError> {
        let name = match self.language {
            Language::Rust => checked_crate(&self.name)?,
            _ => checked(&self.name)?,
        };
        let build = match self.language {
            Language::C => include_str!("templates/component/c.yaml"),
            Language::Make => include_str!("templates/component/make.yaml"),
            Language::Autotools => include_str!("templates/component/autotools.yaml"),
            Language::Rust => include_str!("templates/component/rust.yaml"),
            Language::Shell => include_str!("templates/component/shell.yaml"),
        };
        let path = match &self.origin {
            Origin::Url(url) => {
                if self.language == Language::Rust {
                    return Err(ScaffoldError::Answer(
                        "the crates of a program in Rust are those of a Cargo.lock in the project: unpack its source into the \
                         project, and pass `--source FOLDER`"
                            .into(),
                    ));
                }
                if url.ends_with(".git") {
                    return Err(ScaffoldError::Answer(format!(
                        "{url} is a git repository, of which a component names a commit: make it with `--source` of an archive, \
                         and change its source to `{{git: {{url: …, commit: …}}}}`"
                    )));
                }
                None
            }
            Origin::Path(path) => Some(path.clone()),
            Origin::Sample if self.language == Language::Autotools => {
                return Err(ScaffoldError::Answer(
                    "a script `configure` comes with its program: pass --source URL|PATH".into(),
                ));
            }
            Origin::Sample => Some(format!("../sources/{name}")),
        };
        let source = match (&self.origin, &path) {
            (Origin::Url(url), _) => Value::map([("url", Value::text(url))]),
            (_, path) => {
                let mut pairs = vec![("path".to_owned(), Value::text(path.as_deref().unwrap_or_default()))];
                if self.language == Language::Rust {
                    pairs.push(("exclude".into(), Value::List(vec![Value::text("/target")])));
                }
                Value::Map(pairs)
            }
        };
        let version = match &self.origin {
            Origin::Url(url) => version(url).unwrap_or("1"),
            _ => "1",
        };
        let lock = format!("{}/Cargo.lock", path.unwrap_or_default());
        let (quoted_name, quoted_license) = (line(name), line(&self.license));
        let summary = line(&format!("The program {name}"));
        let (source, lock, version) = (source.inline().unwrap_or_default(), inside(&lock), line(version));
        let values = [
            ("NAME", name),
            ("COMPONENT", &quoted_name),
            ("VERSION", &version),
            ("SUMMARY", &summary),
            ("LICENSE", &quoted_license),
            ("SOURCE", &source),
            ("LOCK", &lock),
        ];
        let mut changes = Changes::default();
        let yaml = fill(&format!("{}{build}", include_str!("templates/component/head.yaml")), &values);
        changes.file(self.folder.join("components").join(format!("{name}.yaml")), yaml);
        if self.origin == Origin::Sample {
            let folder = self.folder.join("sources").join(name);
            for (file, text) in sample(self.language) {
                changes.file(folder.join(fill(file, &values)), fill(text, &values));
            }
        }
        Ok(changes)
    }
}

/// The files of a small program: name and text, both with placeholders.
fn sample(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::C => &[
            ("@NAME@.c", include_str!("templates/component/hello.c")),
            ("Makefile", include_str!("templates/component/Makefile.c")),
        ],
        Language::Make => &[
            ("@NAME@.c", include_str!("templates/component/hello.c")),
            ("Makefile", include_str!("templates/component/Makefile.make")),
        ],
        Language::Rust => &[
            ("Cargo.toml", include_str!("templates/component/Cargo.toml.txt")),
            ("Cargo.lock", include_str!("templates/component/Cargo.lock.txt")),
            ("src/main.rs", include_str!("templates/component/hello.rs.txt")),
            (".gitignore", "/target/\n"),
        ],
        Language::Shell => &[("@NAME@.sh", include_str!("templates/component/hello.sh"))],
        Language::Autotools => &[],
    }
}

/// The version in the name of an archive: `1.2` in `https://example.org/tool-1.2.tar.gz`.
fn version(url: &str) -> Option<&str> {
    let name = url.rsplit('/').next()?;
    let stem = name.split(".tar").next()?;
    let stem = [".tgz", ".txz", ".zip"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
    let at = stem.match_indices(['-', '_']).find(|(at, _)| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?.0;
    Some(&stem[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_after_its_version() {
        for (url, expected) in [
            ("https://example.org/tool-1.2.tar.gz", Some("1.2")),
            ("https://example.org/a-b_3.0-rc1.tgz", Some("3.0-rc1")),
            ("https://example.org/tool.tar.xz", None),
            ("https://example.org/", None),
        ] {
            assert_eq!(version(url), expected, "{url}");
        }
    }
}
