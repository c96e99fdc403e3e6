//! `dbco show`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::args::{ChoiceArgs, recipe_and};
use super::session::CliSession;
use super::{CommandError, CommandResult, usage};
use crate::recipe::{BadRecipe, Effective, LoadError};
use crate::show::{self, Style};

pub const EXAMPLES: &str = "\
The text is YAML that is a recipe itself. KEY is `rootfs`, `kernel.config`; an element of a list is named (`rootfs.users.root`, \
`tests.cd-bios.memory`) or numbered from 0 (`boot.entries.0`). With --origin a comment has the file and line that set a value, and \
those of the values that it replaced. RECIPE can also be a component or a toolchain. A single argument that is neither a file nor \
ends in .yaml is a KEY. `docs/recipes.md` has the rules of `extends`.

Examples:
  dbco show recipes/quick.yaml
  dbco show recipes/quick.yaml kernel --origin
  dbco show --set console=ttyS1 boot.cmdline
  dbco show recipes/toolchains/protobuf.yaml packages --origin --json";

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The recipe, component or toolchain [default: recipes/dbcolinux.yaml]
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// Print only what is under this key
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// Also print which file and line set each value, and those of the values that it replaced
    #[arg(long)]
    origin: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
}

impl ShowArgs {
    /// The recipe and the key. A single argument that is neither a file nor named like one is a key.
    fn target(&self) -> (PathBuf, &str) {
        let (recipe, key) = recipe_and(self.recipe.as_deref(), self.key.as_deref());
        (recipe, key.unwrap_or_default())
    }
}

pub fn run(session: &CliSession<'_>, args: &ShowArgs) -> CommandResult {
    let (path, key) = args.target();
    let settings = args.choice.settings().map_err(usage)?;
    let effective = session.effective(&path, &settings).map_err(usage)?;
    let all = show::shown(&effective);
    let part = show::select(&all, key).map_err(|error| usage(anyhow::anyhow!("{}: {error}", path.display())));
    let part = match part {
        Ok(part) => part,
        // What is wrong in the recipe may be why there is no such key.
        Err(error) => return findings(effective).and(Err(error)),
    };
    let mut value = json!({"event": "recipe", "recipe": path, "kind": effective.kind.word(), "key": key,
        "value": show::json(&part), "extends": extends(&effective)});
    if args.origin {
        value["origins"] = show::origins(&part, key).into();
        value["removed"] = show::removed(&part, key).into();
    }
    if !session.printer.value(&value) {
        let style = if args.origin { Style::Origins } else { Style::Values };
        let text = show::write(&part, style);
        session.printer.line(text.trim_end_matches('\n'));
    }
    findings(effective)
}

/// The files that the recipe extends, the nearest first.
fn extends(effective: &Effective) -> Vec<&Path> {
    effective.chain[1..].iter().map(|file| effective.files.path(*file)).collect()
}

/// The errors of a recipe that could be merged.
fn findings(effective: Effective) -> Result<(), CommandError> {
    let Effective { files, findings, .. } = effective;
    match findings.is_empty() {
        true => Ok(()),
        false => Err(usage(LoadError::from(Box::new(BadRecipe { files, findings })))),
    }
}
