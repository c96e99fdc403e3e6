//! `dbco sizes`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::args::{OptionArgs, SettingArgs, is_yaml};
use super::session::CliSession;
use super::{CommandError, CommandResult, default_recipe, usage};
use crate::attribution::{KnownContent, roots};
use crate::path_error::FromPathError as _;
use crate::plan::PlanTargets;
use crate::reader::Limits;
use crate::recipe::OutputKind;
use crate::sizes::{Group, Grouping, Part, groups, html, measure};
use crate::store::StoreError;

pub const EXAMPLES: &str = "\
Of a recipe each output is measured, by the components, packages, overlays and lines of the recipe that its files come from; what is \
not built yet is built. Of any other image, of any origin, files are counted by their folders. Files inside of images inside of images are \
found, and what a file takes of a compressed archive is measured by unpacking it.

Examples:
  dbco sizes
  dbco sizes recipes/quick.yaml --only iso --html sizes.html
  dbco sizes recipes/quick.yaml --by file --top 20
  dbco sizes debian-netinst.iso --by folder";

/// The groupings by their words.
fn grouping() -> impl TypedValueParser<Value = Grouping> {
    PossibleValuesParser::new(["origin", "folder", "file"]).map(|word| match word.as_str() {
        "origin" => Grouping::Origin,
        "folder" => Grouping::Folder,
        _ => Grouping::File,
    })
}

#[derive(Debug, Args)]
pub struct SizesArgs {
    /// The recipe, or an image [default: as for `dbco build`]
    #[arg(value_name = "RECIPE|IMAGE", default_value_os_t = default_recipe(), hide_default_value = true)]
    subject: PathBuf,
    /// Measure only this output of the recipe; may be repeated
    #[arg(long, value_name = "OUTPUT", value_parser = OutputKind::parse)]
    only: Vec<OutputKind>,
    /// What is counted together [default: origin for a recipe, folder for an image]
    #[arg(long, value_name = "GROUP", value_parser = grouping())]
    by: Option<Grouping>,
    /// Print only the largest
    #[arg(long, value_name = "N", default_value_t = 25)]
    top: usize,
    /// Also write a page with a treemap: of the only output, or of the first
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    given: SettingArgs,
    #[command(flatten)]
    how: OptionArgs,
}

pub fn run(session: &CliSession<'_>, args: &SizesArgs) -> CommandResult {
    let is_recipe = is_yaml(&args.subject);
    let measured = match is_recipe {
        true => recipe(session, args)?,
        false => vec![image(args)?],
    };
    let by = args.by.unwrap_or(if is_recipe { Grouping::Origin } else { Grouping::Folder });
    for (name, part) in &measured {
        print(session, name, part, by, args.top);
    }
    if let (Some(path), Some((name, part))) = (&args.html, measured.first()) {
        std::fs::write(path, html(part, name, by)).map_err(StoreError::io("write", path))?;
        session.printer.note(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn image(args: &SizesArgs) -> Result<(String, Part), CommandError> {
    if !args.only.is_empty() {
        return Err(usage(anyhow::anyhow!(
            "--only is for the outputs of a recipe; {} is not one",
            args.subject.display()
        )));
    }
    let name = args.subject.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, measure(&args.subject, &(), &Limits::USUAL)?))
}

fn recipe(session: &CliSession<'_>, args: &SizesArgs) -> Result<Vec<(String, Part)>, CommandError> {
    let settings = args.given.settings().map_err(usage)?;
    let recipe = session.load(&args.subject, &settings).map_err(usage)?;
    let options = args.how.options(args.given.lock.as_deref());
    let wanted = PlanTargets { only: args.only.clone(), every_step: true, ..PlanTargets::default() };
    let done = session.build(recipe, session.store()?, &options, &wanted)?;
    let roots = roots(&done.plan, &done.built, &done.store)?;
    let known = KnownContent::new(&done.plan, &done.built, &roots);
    let mut measured = Vec::new();
    for product in &done.plan.products {
        let Some(blob) = done.built.blob(&product.from) else { continue };
        let part = measure(Path::new(&done.store.blob_path(&blob.digest)), &known, &Limits::USUAL)?;
        measured.push((product.name.clone(), Part { path: product.name.clone().into_bytes(), ..part }));
    }
    // The largest first: it mostly contains the others.
    measured.sort_by_key(|(_, part)| std::cmp::Reverse(part.bytes));
    Ok(measured)
}

fn print(session: &CliSession<'_>, name: &str, part: &Part, by: Grouping, top: usize) {
    let groups = groups(part, by);
    let value = |group: &Group| json!({"name": group.name, "place": group.place, "bytes": group.bytes, "content": group.size, "files": group.files});
    let all: Vec<_> = groups.iter().map(value).collect();
    if session.printer.value(&json!({"event": "sizes", "output": name, "bytes": part.bytes, "groups": all})) {
        return;
    }
    session.printer.line(&format!("{name}: {} bytes", part.bytes));
    for group in groups.iter().take(top) {
        let share = 100.0 * group.bytes as f64 / part.bytes.max(1) as f64;
        let place = group.place.as_ref().map_or(String::new(), |place| format!("  {place}"));
        session.printer.line(&format!("{:>12} {share:>5.1} %  {}{place}", group.bytes, group.name));
    }
    if let Some(rest) = groups.get(top..).filter(|rest| !rest.is_empty()) {
        let bytes: u64 = rest.iter().map(|group| group.bytes).sum();
        let share = 100.0 * bytes as f64 / part.bytes.max(1) as f64;
        session.printer.line(&format!("{bytes:>12} {share:>5.1} %  {} more (--top)", rest.len()));
    }
}
