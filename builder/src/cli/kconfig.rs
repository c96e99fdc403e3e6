//! `dbco kconfig`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::{OptionArgs, RecipeArgs};
use super::prose::count;
use super::session::CliSession;
use super::{CommandResult, usage};
use crate::recipe::{LoadOptions, load_with};
use crate::session::{ConfigDifference, KconfigChange, KconfigReport};

pub const EXAMPLES: &str = "\
The kernel's source is unpacked, patched and configured by the recipe's fragments, in the sandbox. What is changed there is saved as a \
fragment: a line that sets a changed symbol is replaced, others are appended, comments stay. Symbols whose values only \
follow from those are not saved. With --set-symbol no terminal is needed, and a value that does not take effect is an error with \
the reason.

menuconfig and nconfig need ncurses (libncurses-dev, ncurses-base) in the toolchain; --toolchain NAME uses another one for this only.

Examples:
  dbco kconfig
  dbco kconfig --tool nconfig --toolchain menuconfig
  dbco kconfig recipes/mine.yaml --set-symbol BTRFS_FS=m --set-symbol LOCALVERSION='\"-mine\"'
  dbco kconfig --fragment kernel-config/virt.config --set-symbol VIRTIO_CONSOLE=y";

#[derive(Debug, Args)]
pub struct KconfigArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// The kernel's program
    #[arg(long, value_enum, default_value = "menuconfig")]
    tool: Tool,
    /// Set this symbol instead, to y, m, n, a number or "text"; may be repeated
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "tool")]
    set_symbol: Vec<String>,
    /// Where the difference is saved [default: RECIPE.config beside the recipe's other fragments]
    #[arg(long, value_name = "FILE")]
    fragment: Option<PathBuf>,
    /// The toolchain in which the program is compiled [default: the kernel's]
    #[arg(long, value_name = "NAME")]
    toolchain: Option<String>,
    #[command(flatten)]
    how: OptionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Menus in colour
    Menuconfig,
    /// Menus with search and help by function keys
    Nconfig,
    /// Questions, one a line
    Config,
}

pub fn run(session: &CliSession<'_>, args: &KconfigArgs) -> CommandResult {
    let change = match args.set_symbol.is_empty() {
        false => KconfigChange::Symbols(args.set_symbol.iter().map(|text| line(text)).collect()),
        true if !io::stdin().is_terminal() => {
            return Err(usage(anyhow!("standard input is not a terminal: pass --set-symbol NAME=VALUE")));
        }
        true => {
            let target = match args.tool {
                Tool::Menuconfig => "menuconfig",
                Tool::Nconfig => "nconfig",
                Tool::Config => "config",
            };
            KconfigChange::Terminal { target: target.into(), terminal: std::env::var("TERM").unwrap_or_default() }
        }
    };
    let loading = LoadOptions { kernel_toolchain: args.toolchain.clone(), ..session.load_options() };
    let settings = args.recipe.settings().map_err(usage)?;
    let recipe = load_with(&args.recipe.recipe, &settings, &loading).map_err(usage)?;
    let store = session.store()?;
    let options = args.how.options(args.recipe.lock());
    let leave = || session.printer.finish();
    let report = session.kconfig(&recipe, &store, &options, &change, args.fragment.as_deref(), &leave)?;
    if !session.printer.value(&value(&report)) {
        session.printer.line(&text(&report));
    }
    Ok(())
}

/// An argument as a line of a fragment; the name may have its prefix.
fn line(text: &str) -> String {
    format!("CONFIG_{}", text.strip_prefix("CONFIG_").unwrap_or(text))
}

fn value(report: &KconfigReport) -> serde_json::Value {
    let change = |ConfigDifference { symbol, values: [before, after], saved }: &ConfigDifference| json!({"symbol": symbol, "before": before.to_string(), "after": after.to_string(), "saved": saved});
    json!({
        "event": "kconfig", "changes": report.differences.iter().map(change).collect::<Vec<_>>(), "fragment": report.fragment,
        "listed": report.is_listed, "entry": report.entry, "overridden": report.overridden, "lost": report.lost,
    })
}

fn text(report: &KconfigReport) -> String {
    let KconfigReport { differences, fragment, is_listed, entry, overridden, lost } = report;
    if differences.is_empty() {
        return "nothing has changed".to_owned();
    }
    let mut text = String::new();
    for ConfigDifference { symbol, values: [before, after], saved } in differences {
        let follows = if *saved { "" } else { "  (follows, not saved)" };
        text += &format!("CONFIG_{symbol}: {before} -> {after}{follows}\n");
    }
    let saved = differences.iter().filter(|difference| difference.saved).count();
    text += &format!("{} in {}", count(saved, "setting"), fragment.display());
    if !is_listed {
        text += &format!("\nthe recipe does not use it yet: add `{entry}` to the list `kernel.config`");
    }
    for setting in overridden {
        text += &format!("\nwarning: a later fragment overrides it: {setting}");
    }
    for setting in lost {
        text += &format!("\nwarning: the build fails with this, as another setting no longer holds: {setting}");
    }
    text
}
