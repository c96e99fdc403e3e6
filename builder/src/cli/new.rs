//! `dbco new`.

mod apply;
mod ask;
mod part;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};

use super::session::CliSession;
use super::{CommandResult, usage};
use crate::scaffold::{self, Project, ScaffoldError};
use apply::list;
use ask::Questions;

pub const EXAMPLES: &str = "\
In a project, parts are made with working content, and named in the recipe that uses them; its comments, order and style stay. \
Nothing is overwritten. What is missing is asked for in a terminal, and an error elsewhere.

Examples:
  dbco new my-image
  dbco new my-image --extends library:dbcolinux.yaml --name box
  dbco new component hello --lang c
  dbco new component tool --lang autotools --source https://example.org/tool-1.2.tar.gz --license MIT
  dbco new app web --port 8080
  dbco new fragment usb --set-symbol USB_STORAGE=y --recipe recipes/box.yaml
  dbco new test hello --command hello --expect 'hello from'
  dbco new patch busybox fix.patch
  git diff | dbco new patch busybox - --name fix.patch";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct NewArgs {
    #[command(subcommand)]
    part: Option<Part>,
    /// The project's folder, which is made
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The recipe that the project's first one extends [default: library:quick.yaml]
    #[arg(long, value_name = "RECIPE")]
    extends: Option<String>,
    /// The name of the first recipe [default: that of DIR]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Clone, Debug, Args)]
struct HowArgs {
    /// Only list what would be made and changed
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Debug, Args)]
struct PartArgs {
    /// The recipe that it becomes part of [default: the only one in recipes]
    #[arg(long, value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Make a recipe of an image, with an overlay and a boot test
    Image {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// The recipe that it extends
        #[arg(long, value_name = "RECIPE", default_value = scaffold::DEFAULT_EXTENDS)]
        extends: String,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Make a component: a program that is built from source
    Component {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// How it is built
        #[arg(long, value_enum, value_name = "LANG")]
        lang: Option<Lang>,
        /// The archive or folder with its source, in place of a small program that is made
        #[arg(long, value_name = "URL|PATH")]
        source: Option<String>,
        /// Its licence, an SPDX expression; asked for if there is --source [default: MIT]
        #[arg(long, value_name = "SPDX")]
        license: Option<String>,
        #[command(flatten)]
        part: PartArgs,
    },
    /// Make an application container: a recipe whose template is one program, the program, and a test
    App {
        /// The name of the recipe and of the program
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// The TCP port that it listens on
        #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The recipe of the machine that it is tested in
        #[arg(long, value_name = "RECIPE", default_value = scaffold::APP_EXTENDS)]
        extends: String,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Make a fragment of the kernel's configuration
    Fragment {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// A setting of it: y, m, n, a number or "text"; may be repeated
        #[arg(long, value_name = "NAME=VALUE")]
        set_symbol: Vec<String>,
        #[command(flatten)]
        part: PartArgs,
    },
    /// Add a boot test to a recipe
    Test {
        /// Its name
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// The command that it runs in the system
        #[arg(long, value_name = "COMMAND", default_value = "uname -a")]
        command: String,
        /// What the command prints [default: anything, if it succeeds]
        #[arg(long, value_name = "TEXT")]
        expect: Option<String>,
        #[command(flatten)]
        part: PartArgs,
    },
    /// Add a patch to a component, or to the kernel of a recipe
    Patch {
        /// The component
        #[arg(value_name = "COMPONENT")]
        component: Option<String>,
        /// The patch, a unified diff; `-` reads it from standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// The name that the patch gets [default: that of FILE]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        part: PartArgs,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// C, by a makefile that makes the program
    C,
    /// A makefile with a target `install`
    Make,
    /// A script `configure`, as autoconf makes it
    Autotools,
    /// Rust, by cargo
    Rust,
    /// A script of the image's shell
    Shell,
}

pub fn run(session: &CliSession<'_>, args: &NewArgs) -> CommandResult {
    match &args.part {
        Some(part) => part::run(session, part),
        None => project(session, args),
    }
}

/// Makes a project: beside its place first, so that it is there as a whole or not at all.
fn project(session: &CliSession<'_>, args: &NewArgs) -> CommandResult {
    let questions = Questions::new(session.printer);
    let dir = args.dir.as_ref().map(|dir| dir.display().to_string());
    let dir = PathBuf::from(questions.answer(dir, "DIR", "The folder of the project", "my-image")?);
    let is_new = match free(&dir) {
        Ok(is_new) => is_new,
        Err(error) => return Err(usage(error)),
    };
    let absolute = std::path::absolute(&dir)?;
    let own = absolute.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = args.name.clone().or(own).ok_or_else(|| usage(anyhow!("{}: pass --name NAME", dir.display())))?;
    let hint = |error: ScaffoldError| match (&error, &args.name) {
        (ScaffoldError::Name(_), None) => usage(anyhow!("{error}; pass --name NAME")),
        _ => usage(error),
    };
    let changes = Project { name: name.clone(), extends: args.extends.clone() }.changes().map_err(hint)?;
    if args.how.dry_run {
        let under = changes.files.into_iter().map(|file| scaffold::NewFile { path: dir.join(file.path), ..file });
        list(session.printer, &scaffold::Changes { files: under.collect(), ..scaffold::Changes::default() });
        return Ok(());
    }
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    let placed = apply::project(parent, &absolute, is_new, &changes, &|folder| {
        let recipe = folder.join("recipes").join(format!("{name}.yaml"));
        let loaded = session.load(&recipe, &crate::recipe::Settings::default());
        loaded.map(drop).map_err(|error| apply::elsewhere(error, folder, &dir))
    })?;
    changes.files.iter().for_each(|file| session.printer.line(&format!("made {}", dir.join(&file.path).display())));
    placed.keep();
    session.printer.note(&format!(
        "next: cd {} && dbco check\n(it is no git repository yet: `git init` makes it one)",
        crate::process::quote(&dir.display().to_string())
    ));
    Ok(())
}

/// Whether a folder does not exist. One that is empty may be used.
fn free(dir: &Path) -> anyhow::Result<bool> {
    let Ok(metadata) = dir.symlink_metadata() else { return Ok(true) };
    anyhow::ensure!(
        metadata.is_dir() || dir.is_dir(),
        "{} exists, and is no folder: choose another name",
        dir.display()
    );
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| anyhow!("{}: {error}", dir.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
    anyhow::ensure!(
        names.is_empty(),
        "{} is not empty: it has {}{more}; a project is made in a new or empty folder (`dbco new image NAME` adds a recipe to a project)",
        dir.display(),
        names.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
    );
    Ok(false)
}
