//! `dbco why`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};

use super::args::{OptionArgs, SettingArgs, is_yaml};
use super::prose::count;
use super::session::CliSession;
use super::{CommandError, CommandResult, default_recipe, usage};
use crate::attribution::{Explainer, Explanation, PackageReasons, Rebuilt, rebuilt, roots};
use crate::plan::PlanTargets;
use crate::recipe::{Recipe, recipes_below};
use crate::session::Options;
use crate::store::Sharing;
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
    /// The recipe, or an image that it built [default: as for `dbco build`]
    #[arg(value_name = "RECIPE|IMAGE")]
    recipe: Option<PathBuf>,
    /// The path in the image
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Instead of a path: a step, and which of its inputs changed since its result before (labels as in `dbco graph`)
    #[arg(long, value_name = "STEP", conflicts_with = "path")]
    rebuilt: Option<String>,
    #[command(flatten)]
    given: SettingArgs,
    #[command(flatten)]
    how: OptionArgs,
}

impl WhyArgs {
    fn options(&self) -> Options {
        self.how.options(self.given.lock.as_deref())
    }
}

/// What a command is about: a recipe, perhaps by an image that it built.
struct Subject {
    recipe: Recipe,
    /// The image and its name in the output folder.
    image: Option<(PathBuf, String)>,
}

pub fn run(session: &CliSession<'_>, args: &WhyArgs) -> CommandResult {
    let default = default_recipe();
    let default = default.as_path();
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
    let Subject { recipe, image } = subject(session, recipe, args)?;
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

/// The names of the packages that the recipe states.
fn requested(recipe: &Recipe) -> Vec<String> {
    let content = [Some(&recipe.image.rootfs), recipe.image.template.content.as_ref()];
    let requests = content.into_iter().flatten().filter_map(|rootfs| rootfs.packages.as_ref());
    requests.flat_map(|request| request.packages()).map(|name| name.to_string()).collect()
}

/// The recipe, or that of an image: its folder has the recipe's name, and the recipe is in the project.
fn subject(session: &CliSession<'_>, path: &Path, args: &WhyArgs) -> Result<Subject, CommandError> {
    let settings = args.given.settings().map_err(usage)?;
    let is_image = path.is_file() && !is_yaml(path);
    if !is_image {
        return Ok(Subject { recipe: session.load(path, &settings).map_err(usage)?, image: None });
    }
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for candidate in recipes_below(Path::new("."))? {
        let candidate = candidate.strip_prefix(".").unwrap_or(&candidate);
        // Of other recipes it does not matter whether they are right.
        if let Ok(recipe) = session.load(candidate, &settings)
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
    let settings = args.given.settings().map_err(usage)?;
    let recipe = session.load(path, &settings).map_err(usage)?;
    let store = session.store_as(Sharing::Reading)?;
    let wanted = PlanTargets { boot: true, ..PlanTargets::default() };
    let plan = session.plan_only(&recipe, &store, &args.options(), &wanted)?.plan;
    let step = plan.find_step(name).map_err(usage)?;
    let found = rebuilt(&plan.graph, step, &store)?;
    session.report_damages(&store);
    let Some(found) = found else {
        let label = &plan.graph.step(step).label;
        if !session.printer.value(&json!({"event": "rebuilt", "step": label, "before": null})) {
            session.printer.line(&format!("the store has no other result of {label}"));
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
