//! `dbco schema`, `completions` and `man`: what editors, shells and people read about dbco.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::session::CliSession;
use super::{Cli, CommandResult};
use crate::schema::{KINDS, reference, schema};

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(default_value = KINDS[0].name, value_parser = PossibleValuesParser::new(KINDS.iter().map(|kind| kind.name)))]
    kind: String,
    /// Write the reference of all keys of all kinds instead, in Markdown
    #[arg(long)]
    reference: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where the pages go; it is created if needed
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn print_schema(session: &CliSession<'_>, args: &SchemaArgs) -> CommandResult {
    let text = match KINDS.iter().find(|kind| kind.name == args.kind) {
        Some(kind) if !args.reference => format!("{:#}\n", schema(kind)),
        _ => reference(),
    };
    Ok(session.printer.raw(&mut text.as_bytes())?)
}

pub fn completions(session: &CliSession<'_>, args: &CompletionsArgs) -> CommandResult {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dbco", &mut text);
    Ok(session.printer.raw(&mut &text[..])?)
}

pub fn man(session: &CliSession<'_>, args: &ManArgs) -> CommandResult {
    let folder = args.folder.display();
    fs::create_dir_all(&args.folder).with_context(|| format!("can't create {folder}"))?;
    clap_mangen::generate_to(Cli::command(), &args.folder).with_context(|| format!("can't write pages to {folder}"))?;
    session.printer.note(&format!("wrote manual pages to {folder}"));
    Ok(())
}
