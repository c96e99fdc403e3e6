//! Parts of a project.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::super::args::is_yaml;
use super::super::session::CliSession;
use super::super::{CommandError, CommandResult, usage};
use super::apply::{list, place, report};
use super::ask::Questions;
use super::{Lang, Part, PartArgs};
use crate::input;
use crate::recipe::node::YamlValue;
use crate::recipe::{Recipe, Settings};
use crate::scaffold::{
    App, BootTest, Changes, Component, Fragment, Image, Language, Origin, Patch, PatchTarget, ScaffoldError,
    TargetRecipe, checked,
};

/// Makes a part.
pub fn run(session: &CliSession<'_>, part: &Part) -> CommandResult {
    let questions = Questions::new(session.printer);
    let name = |name: &Option<String>, what: &str, default: &str| -> Result<String, CommandError> {
        let name = questions.answer(name.clone(), "NAME", &format!("The name of the {what}"), default)?;
        checked(&name).map_err(usage)?;
        Ok(name)
    };
    match part {
        Part::Image { name: given, extends, how } => {
            let image = Image { name: name(given, "image", "my-image")?, extends: extends.clone(), folder: recipes()? };
            let changes = image.changes().map_err(wrong)?;
            let path = image.path();
            let next = format!("dbco check {0} && dbco build {0}", path.display());
            finish(session, &changes, how.dry_run, &path, &next)
        }
        Part::App { name: given, port, extends, how } => {
            let name = name(given, "application", "my-app")?;
            let app = App { name, extends: extends.clone(), port: *port, folder: recipes()? };
            let changes = app.changes().map_err(wrong)?;
            let path = app.path();
            let next = format!("dbco check {0} && dbco build {0}", path.display());
            finish(session, &changes, how.dry_run, &path, &next)
        }
        Part::Component { name: given, lang, source, license, part } => {
            let name = name(given, "component", "hello")?;
            let target = Target::open(session, part, &questions)?;
            target.is_unknown_component(&name)?;
            let lang = match lang {
                Some(lang) => *lang,
                None => {
                    let answer =
                        questions.answer(None, "--lang", "How it is built: c, make, autotools, rust or shell", "c")?;
                    <Lang as clap::ValueEnum>::from_str(&answer, false)
                        .map_err(|_| usage(anyhow!("`{answer}` is none of c, make, autotools, rust and shell")))?
                }
            };
            let license = match (license, source) {
                (Some(license), _) => license.clone(),
                (None, None) => "MIT".into(),
                (None, Some(_)) => questions.answer(None, "--license", "Its licence, an SPDX expression", "MIT")?,
            };
            let language = match lang {
                Lang::C => Language::C,
                Lang::Make => Language::Make,
                Lang::Autotools => Language::Autotools,
                Lang::Rust => Language::Rust,
                Lang::Shell => Language::Shell,
            };
            let origin = match source {
                None => Origin::Sample,
                Some(source) if source.contains("://") => Origin::Url(source.clone()),
                Some(source) => Origin::Path(relative(Path::new(source), &target.folder.join("components"))?),
            };
            let component = Component { name, language, origin, license, folder: target.folder.clone() };
            let changes = component.changes(&target.recipe).map_err(wrong)?;
            target.finish(session, &changes, part.how.dry_run, "build")
        }
        Part::Fragment { name: given, set_symbol, part } => {
            let name = name(given, "fragment", "mine")?;
            let target = Target::open(session, part, &questions)?;
            let folder = target.fragments();
            if let Some(library) = &target.loaded.library
                && library
                    .path_of(&Path::new("../kernel-config").join(format!("{name}.config")))
                    .is_some_and(|path| path.is_file())
            {
                return Err(usage(anyhow!(
                    "the library has a fragment `{name}`: choose another name, or add it to `kernel.config`"
                )));
            }
            let fragment = Fragment { name, settings: set_symbol.clone(), folder };
            let changes = fragment.changes(&target.recipe).map_err(wrong)?;
            target.finish(session, &changes, part.how.dry_run, "check")
        }
        Part::Test { name: given, command, expect, part } => {
            let name = name(given, "test", "works")?;
            let target = Target::open(session, part, &questions)?;
            let test = BootTest { name, command: command.clone(), expect: expect.clone().unwrap_or_default() };
            let changes = test.changes(&target.recipe).map_err(wrong)?;
            target.finish(session, &changes, part.how.dry_run, "test")
        }
        Part::Patch { component, file, name, part } => {
            let component = questions.answer(component.clone(), "COMPONENT", "The component to patch", "busybox")?;
            checked(&component).map_err(usage)?;
            let file = match file {
                Some(file) => file.clone(),
                None if !io::stdin().is_terminal() => "-".into(),
                None => questions.answer(None, "FILE", "The file of the patch", &format!("{component}.patch"))?.into(),
            };
            let (text, own) = read_patch(&file)?;
            let name = name
                .clone()
                .or(own)
                .ok_or_else(|| usage(anyhow!("--name is missing: the name of the patch that standard input has")))?;
            let target = Target::open(session, part, &questions)?;
            let place = target.patched(session, &component)?;
            let patch = Patch { component, file: name, text, folder: target.folder.clone() };
            let changes = patch.changes(&place).map_err(wrong)?;
            target.finish(session, &changes, part.how.dry_run, "build")
        }
    }
}

fn wrong(error: ScaffoldError) -> CommandError {
    usage(error)
}

/// The folder of recipes below the working folder.
fn recipes() -> Result<PathBuf, CommandError> {
    let folder = PathBuf::from("recipes");
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(usage(anyhow!(
        "there is no folder `recipes` here: run this at the top of a project (`dbco new DIR` makes one)"
    )))
}

/// The patch, and the name of its file.
fn read_patch(file: &Path) -> Result<(String, Option<String>), CommandError> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().take(input::LONG + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > input::LONG {
            return Err(usage(anyhow!("standard input has more than {} bytes", input::LONG)));
        }
        bytes
    } else {
        input::read(file, input::LONG).with_context(|| format!("can't read {}", file.display())).map_err(usage)?
    };
    let text = String::from_utf8(bytes).map_err(|_| usage(anyhow!("{} is not UTF-8", file.display())))?;
    Ok((text, (file != Path::new("-")).then(|| file.file_name().unwrap_or_default().to_string_lossy().into_owned())))
}

/// A path as it is seen from a folder of the project.
fn relative(path: &Path, from: &Path) -> Result<String, CommandError> {
    let absolute = path.canonicalize().with_context(|| format!("can't find {}", path.display())).map_err(usage)?;
    // The folder may not exist yet.
    let above = from.parent().unwrap_or(Path::new("."));
    let from = above.canonicalize()?.join(from.file_name().unwrap_or_default());
    let common = absolute.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Path::new(".."), from.components().count() - common);
    let relative: PathBuf =
        up.map(Path::as_os_str).chain(absolute.components().skip(common).map(|part| part.as_os_str())).collect();
    let text = relative.to_str().ok_or_else(|| usage(anyhow!("{} is not UTF-8", path.display())))?;
    Ok(text.to_owned())
}

/// The recipe that a part becomes part of.
struct Target {
    recipe: TargetRecipe,
    /// Its folder.
    folder: PathBuf,
    loaded: Recipe,
}

impl Target {
    fn open(session: &CliSession<'_>, args: &PartArgs, questions: &Questions<'_>) -> Result<Self, CommandError> {
        let path = match &args.recipe {
            Some(path) if path.to_str().is_some_and(|text| text.starts_with("library:")) => {
                return Err(usage(anyhow!("{} is the library's: pass a recipe of the project", path.display())));
            }
            Some(path) => path.clone(),
            None => only_recipe(questions)?,
        };
        let loaded = session.load(&path, &Settings::default()).map_err(usage)?;
        Ok(Self { folder: folder_of(&path), recipe: target(session, &path)?, loaded })
    }

    /// A new component would take the place of another one.
    fn is_unknown_component(&self, name: &str) -> Result<(), CommandError> {
        let file = Path::new("components").join(format!("{name}.yaml"));
        if self.loaded.library.as_ref().and_then(|library| library.path_of(&file)).is_some_and(|path| path.is_file()) {
            return Err(usage(anyhow!(
                "the library has a component `{name}`: choose another name, or add `{name}` to `rootfs.components`"
            )));
        }
        Ok(())
    }

    /// The folder of fragments: the nearest one, or beside the folder of recipes.
    fn fragments(&self) -> PathBuf {
        let beside = match self.folder.parent() {
            Some(parent) if self.folder.ends_with("recipes") => parent,
            _ => &self.folder,
        };
        let near = [self.folder.as_path(), beside].map(|folder| folder.join("kernel-config"));
        near.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| beside.join("kernel-config"))
    }

    /// Where the patches of a component are listed.
    fn patched(&self, session: &CliSession<'_>, component: &str) -> Result<PatchTarget, CommandError> {
        if self.recipe.at(&["kernel", "component"]).and_then(|node| node.text()) == Some(component) {
            return Ok(PatchTarget::Kernel(self.recipe.clone()));
        }
        let file = Path::new("components").join(format!("{component}.yaml"));
        let own = self.folder.join(&file);
        if own.exists() {
            return Ok(PatchTarget::Component(target(session, &own)?));
        }
        match self.loaded.library.as_ref().and_then(|library| library.path_of(&file)).filter(|path| path.is_file()) {
            Some(path) => {
                let effective = session.effective(&path, &Settings::default()).map_err(usage)?;
                let patches = effective.node.get("patches").map(|node| &node.value);
                Ok(PatchTarget::Library { has_patches: matches!(patches, Some(YamlValue::List(_))) })
            }
            None => Err(usage(anyhow!(
                "there is no component `{component}`: neither {} nor one of the library, and the kernel of {} is another one",
                own.display(),
                self.recipe.path.display()
            ))),
        }
    }

    fn finish(&self, session: &CliSession<'_>, changes: &Changes, dry_run: bool, next: &str) -> CommandResult {
        finish(session, changes, dry_run, &self.recipe.path, &format!("dbco {next} {}", self.recipe.path.display()))
    }
}

/// A recipe's folder.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// A recipe or a component, to edit it.
fn target(session: &CliSession<'_>, path: &Path) -> Result<TargetRecipe, CommandError> {
    let text = input::read_text(path, input::LIMIT).with_context(|| format!("can't read {}", path.display()))?;
    let merged = session.effective(path, &Settings::default()).map_err(usage)?.node;
    Ok(TargetRecipe { path: path.to_owned(), text, merged })
}

/// The only recipe of the project, or the one that the user chooses.
fn only_recipe(questions: &Questions<'_>) -> Result<PathBuf, CommandError> {
    let folder = recipes()?;
    let entries = std::fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut found: Vec<PathBuf> =
        entries.iter().map(|entry| entry.path()).filter(|path| is_yaml(path) && path.is_file()).collect();
    found.sort();
    match found.as_slice() {
        [] => Err(usage(anyhow!("there is no recipe in {}: `dbco new image NAME` makes one", folder.display()))),
        [only] => Ok(only.clone()),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            let question = format!("The recipe that it becomes part of, one of {}", names.join(", "));
            Ok(questions.answer(None, "--recipe", &question, &names[0])?.into())
        }
    }
}

/// Writes the changes, or lists them. The recipe has to be valid with them.
fn finish(session: &CliSession<'_>, changes: &Changes, dry_run: bool, recipe: &Path, next: &str) -> CommandResult {
    if dry_run {
        list(session.printer, changes);
        return Ok(());
    }
    let placed = place(changes)?;
    if let Err(error) = session.load(recipe, &Settings::default()) {
        return Err(usage(anyhow!("{}\nnothing was made", error.to_string().trim_end())));
    }
    placed.keep();
    report(session.printer, changes);
    session.printer.note(&format!("next: {next}"));
    Ok(())
}
