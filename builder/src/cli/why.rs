//! `dbco why`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};

use super::prose::count;
use super::session::CliSession;
use super::{CommandError, CommandResult, DEFAULT_RECIPE, setting, usage};
use crate::attribution::{Explainer, Explanation, PackageReasons, Rebuilt, rebuilt, roots};
use crate::plan::{PlanTargets, plan};
use crate::recipe::{OutputKind, Recipe, load, recipes_below};
use crate::session::Options;
use crate::similar;
use crate::tree::Node;

pub const EXAMPLES: &str = "\
PATH is a path in the root filesystems that the recipe's images contain, or a pattern (`/usr/lib/*`, `/usr/share/**`). What is not \
built yet is built. In place of RECIPE an image in an output folder can be given; it has to be what its recipe builds now.

Examples:
  dbco why /system/bin/sh
  dbco why recipes/debian.yaml /usr/bin/perl
  dbco why out/quick/quick.iso '/system/etc/*'
  dbco why --rebuilt 'component busybox'
  dbco why recipes/quick.yaml --rebuilt initrd";

#[derive(Debug, Args)]
pub struct WhyArgs {
    /// The recipe, or an image that it built [default: recipes/dbcolinux.yaml]
    #[arg(value_name = "RECIPE|IMAGE")]
    recipe: Option<PathBuf>,
    /// The path in the image
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Instead of a path: a step, and which of its inputs changed since its result before (labels as in `dbco graph`)
    #[arg(long, value_name = "STEP", conflicts_with = "path")]
    rebuilt: Option<String>,
    /// Sets a parameter of the recipe; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// The lock file [default: the nearest dbco.lock in the recipe's folder or above it]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Use no network: everything has to be fetched already
    #[arg(long)]
    offline: bool,
}

impl WhyArgs {
    fn options(&self) -> Options {
        Options { lock: self.lock.clone(), offline: self.offline, ..Options::default() }
    }
}

/// What a command is about: a recipe, perhaps by an image that it built.
struct Subject {
    recipe: Recipe,
    /// The image and its name in the output folder.
    image: Option<(PathBuf, String)>,
}

pub fn run(session: &CliSession<'_>, args: &WhyArgs) -> CommandResult {
    let default = Path::new(DEFAULT_RECIPE);
    if let Some(step) = &args.rebuilt {
        return rebuilt_step(session, args, args.recipe.as_deref().unwrap_or(default), step);
    }
    let (recipe, path) = match (args.recipe.as_deref(), args.path.as_deref()) {
        (Some(recipe), Some(path)) => (recipe, path),
        (Some(only), None) => match only.to_str() {
            // A path in the image may exist on this host, too.
            Some(path) if !is_yaml(only) && (!only.is_file() || path.starts_with('/')) => (default, path),
            _ => {
                return Err(usage(anyhow::anyhow!("a path in the image is missing: dbco why {} PATH", only.display())));
            }
        },
        (None, _) => return Err(usage(anyhow::anyhow!("a path in the image, or --rebuilt STEP, is missing"))),
    };
    let path = format!("/{}", path.trim_matches('/'));
    let Subject { recipe, image } = subject(recipe, args)?;
    let wanted = PlanTargets { every_step: true, ..PlanTargets::default() };
    let done = session.build(recipe, session.store()?, &args.options(), &wanted)?;
    if let Some((path, name)) = image {
        let product = done.plan.products.iter().find(|product| product.name == name);
        let built = product.and_then(|product| done.built.blob(&product.from));
        let (digest, _) = crate::digest::Digest::of_file(&path)?;
        if built.is_none_or(|built| built.digest != digest) {
            let (path, recipe) = (path.display(), done.recipe.path.display());
            return Err(anyhow::anyhow!(
                "{path} is not what {recipe} builds now: build it again (dbco build {recipe}), or give the recipe"
            )
            .into());
        }
    }
    let roots = roots(&done.plan, &done.built, &done.store)?;
    let packages = PackageReasons::of(&done.plan, &done.store, &requested(&done.recipe))?;
    let explainer = Explainer::new(&done.recipe, &roots, &packages);
    let found = explainer.explain(&path).map_err(usage)?;
    let brief = found.iter().any(|one| one.path.to_string() != path);
    for one in &found {
        if session.printer.value(&json_of(one)) {
            continue;
        }
        match brief {
            true => session.printer.line(&line(one)),
            false => text(one).iter().for_each(|line| session.printer.line(line)),
        }
    }
    Ok(())
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// The names of the packages that the recipe states.
fn requested(recipe: &Recipe) -> Vec<String> {
    let content = [Some(&recipe.image.rootfs), recipe.image.template.content.as_ref()];
    let requests = content.into_iter().flatten().filter_map(|rootfs| rootfs.packages.as_ref());
    requests.flat_map(|request| request.packages()).map(|name| name.to_string()).collect()
}

/// The recipe, or that of an image: its folder has the recipe's name, and the recipe is in the project.
fn subject(path: &Path, args: &WhyArgs) -> Result<Subject, CommandError> {
    let settings = args.set.iter().cloned().collect();
    let is_image = path.is_file() && !is_yaml(path);
    if !is_image {
        return Ok(Subject { recipe: load(path, &settings).map_err(usage)?, image: None });
    }
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for candidate in recipes_below(Path::new("."))? {
        let candidate = candidate.strip_prefix(".").unwrap_or(&candidate);
        // Of other recipes it does not matter whether they are right.
        if let Ok(recipe) = load(candidate, &settings)
            && recipe.image.name.value.to_string() == name
        {
            return Ok(Subject { recipe, image: Some((path.to_owned(), file)) });
        }
    }
    Err(usage(anyhow::anyhow!(
        "{}: no recipe below the current folder is named `{name}`, as the folder of this image is; give the recipe",
        path.display()
    )))
}

/// What is there, in words: `file, 1024 bytes, mode 755, owner 0:0`.
fn entry(one: &Explanation<'_>) -> String {
    let entry = one.entry;
    let size = match &entry.node {
        Node::File { size, .. } => format!(", {}", count(*size as usize, "byte")),
        _ => String::new(),
    };
    let attributes = match entry.xattrs.len() {
        0 => String::new(),
        number => format!(", {}", count(number, "extended attribute")),
    };
    format!("{}{size}, mode {:o}, owner {}:{}{attributes}", entry.node.kind(), entry.mode, entry.uid, entry.gid)
}

fn origin(one: &Explanation<'_>) -> String {
    match one.origin {
        Some(origin) => origin.to_string(),
        None => "nothing but what is below it".into(),
    }
}

fn line(one: &Explanation<'_>) -> String {
    format!("{}: {} ({})", one.path, origin(one), one.root)
}

fn text(one: &Explanation<'_>) -> Vec<String> {
    let mut lines = vec![format!("{} in the {}: {}", one.path, one.root, entry(one))];
    let mut add = |text: String| lines.push(format!("  {text}"));
    match one.origin.and_then(|origin| origin.place.as_ref()) {
        Some(place) => add(format!("from {}, listed at {place}", origin(one))),
        None => add(format!("from {}", origin(one))),
    }
    if let Some(component) = &one.component {
        add(format!("built by {} from {}", component.place, component.source));
    }
    if one.packages.len() > 1 {
        add(format!("needed by: {}", one.packages.join(" → ")));
    }
    for replaced in &one.replaced {
        add(format!("in place of that of {replaced} (`replace`)"));
    }
    for (key, place) in &one.stated {
        add(format!("{place}: `{key}`"));
    }
    for (origin, number) in &one.below {
        add(format!("below it: {} from {origin}", count(*number, "file")));
    }
    lines
}

fn json_of(one: &Explanation<'_>) -> Value {
    let below = one.below.iter().map(|(origin, files)| json!({"origin": origin.name, "files": files}));
    let stated = one.stated.iter().map(|(key, place)| json!({"key": key, "place": place}));
    json!({
        "event": "origin",
        "root": one.root,
        "path": one.path.to_string(),
        "type": one.entry.node.kind(),
        "mode": format!("{:o}", one.entry.mode),
        "uid": one.entry.uid,
        "gid": one.entry.gid,
        "origin": one.origin.map(|origin| &origin.name),
        "place": one.origin.and_then(|origin| origin.place.as_ref()),
        "component": one.component.as_ref().map(|one| json!({"place": one.place, "source": one.source})),
        "packages": one.packages,
        "replaced": one.replaced.iter().map(|origin| &origin.name).collect::<Vec<_>>(),
        "stated": stated.collect::<Vec<_>>(),
        "below": below.collect::<Vec<_>>(),
    })
}

/// `--rebuilt`: plans without building anything.
fn rebuilt_step(session: &CliSession<'_>, args: &WhyArgs, path: &Path, name: &str) -> CommandResult {
    if path.is_file() && !is_yaml(path) {
        let text = "--rebuilt compares what a recipe builds now; give the recipe in place of the image";
        return Err(usage(anyhow::anyhow!(text)));
    }
    let recipe = load(path, &args.set.iter().cloned().collect()).map_err(usage)?;
    let store = session.store()?;
    let lock = session.lock(&recipe, &Options { locked: true, ..args.options() }, &store)?;
    let outputs: Vec<OutputKind> = Vec::new();
    let wanted = PlanTargets { only: outputs, boot: true, ..PlanTargets::default() };
    let plan = plan(&recipe, &lock, &wanted).map_err(crate::session::Error::from)?;
    let labels: Vec<&str> = plan.graph.steps.iter().map(|step| step.label.as_str()).collect();
    // The last word is enough where it is clear.
    let short = |label: &str| label == name || label.rsplit(' ').next() == Some(name);
    let index = labels.iter().position(|label| *label == name).or_else(|| labels.iter().position(|label| short(label)));
    let Some(index) = index else {
        let near = similar::similar(name, labels.iter().copied());
        let hint = match near.is_empty() {
            true => format!("; it has: {}", labels.join(", ")),
            false => similar::or_did_you_mean(&near),
        };
        return Err(usage(anyhow::anyhow!("the plan of {} has no step `{name}`{hint}", path.display())));
    };
    let Some(found) = rebuilt(&plan.graph, crate::step::StepId(index), &store)? else {
        let text = format!("the store has no other result of {}", labels[index]);
        if !session.printer.value(&json!({"event": "rebuilt", "step": labels[index], "before": null})) {
            session.printer.line(&text);
        }
        return Ok(());
    };
    if !session.printer.value(&rebuilt_json(&found)) {
        rebuilt_text(&found, 0).iter().for_each(|line| session.printer.line(line));
    }
    Ok(())
}

/// The time in UTC, to seconds.
fn time(of: SystemTime) -> String {
    let seconds = of.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    jiff::Timestamp::from_second(seconds.try_into().unwrap_or_default())
        .map_or_else(|_| String::new(), |time| time.to_string())
}

fn rebuilt_text(one: &Rebuilt, depth: usize) -> Vec<String> {
    let indent = "  ".repeat(depth);
    let (before, made) = &one.before;
    let mut lines =
        vec![format!("{indent}{}: now {}, before {} of {}", one.label, one.now.short(), before.short(), time(*made))];
    for difference in &one.differences {
        let row = &difference.row;
        if let Some(cause) = &difference.cause {
            lines.push(format!("{indent}  {row} is made by another step:"));
            lines.extend(rebuilt_text(cause, depth + 2));
            continue;
        }
        lines.extend(difference.before.iter().map(|text| format!("{indent}  - {row}: {text}")));
        lines.extend(difference.now.iter().map(|text| format!("{indent}  + {row}: {text}")));
    }
    lines
}

fn rebuilt_json(one: &Rebuilt) -> Value {
    let difference = |difference: &crate::attribution::Difference| {
        json!({"input": difference.row, "before": difference.before, "now": difference.now,
            "cause": difference.cause.as_ref().map(rebuilt_json)})
    };
    json!({"event": "rebuilt", "step": one.label, "key": one.now.to_string(),
        "before": {"key": one.before.0.to_string(), "made": time(one.before.1)},
        "differences": one.differences.iter().map(difference).collect::<Vec<_>>()})
}
