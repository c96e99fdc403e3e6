//! Builds recipes twice, in surroundings that differ in everything that must not affect its outputs, and names the cause
//! of each difference.
//!
//! Each build is a process of its own (`dbco build`) with an empty store, to which the sources are copied beforehand. Both
//! plans have the same steps with the same keys. The first step whose outputs differ although those of its inputs do not
//! is the cause: its outputs are compared file by file, and files by their content, down to those inside of images.
//! The builds of several recipes share the two stores, so that a step of several recipes runs twice and no more.
//!
//! What can't be varied is part of the report. The wall clock is: Linux has no namespace for it, and the ways to fake it
//! for a process break tools that compare it with the times of files. So a time in an output is found because the second
//! build runs later, and a date only if the builds are on two days.

mod compare;
mod content;
mod hints;
mod html;
mod name;
mod project;
mod report;
mod scratch;
mod settle;
mod side;
mod stage;
mod text;
mod vary;

use std::path::PathBuf;

use crate::build::needed_blobs;
use crate::lock::Lock;
use crate::path_error::FromPathError as _;
use crate::plan::{Plan, PlanTargets, plan};
use crate::recipe::{LoadError, LoadOptions, OutputKind, Recipe, Settings, load_with};
use crate::session::{Error, Options, Session};
use crate::store::Store;

pub use html::html;
pub use report::{Cause, Difference, KeyDifference, NotVaried, OutputPair, Report, Varied};
pub use stage::{MARK, SETUP_FAILED, entry};
pub use text::text;
pub use vary::{Variation, Variations};

use scratch::Scratch;
use settle::{Settled, Settling};
use side::{Ran, Side};

/// The programs that `repro` starts.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Makes the surroundings: a program whose `main` calls [`entry`] first.
    pub helper: PathBuf,
    /// Builds: takes the arguments of `dbco build`.
    pub builder: PathBuf,
}

impl Default for Programs {
    /// This program, for both.
    fn default() -> Self {
        let own = PathBuf::from("/proc/self/exe");
        Self { helper: own.clone(), builder: own }
    }
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct ReproOptions {
    /// The recipes, of one project.
    pub recipes: Vec<PathBuf>,
    /// Their parameters.
    pub settings: Settings,
    /// The outputs; empty for all outputs of each recipe.
    pub only: Vec<OutputKind>,
    /// How the lock is used, and the number of parallel processes of the first build.
    pub options: Options,
    /// What to vary.
    pub vary: Variations,
    /// Whether to keep the folders of the builds.
    pub keep: bool,
}

/// Receives the progress.
pub trait ReproObserver: Sync {
    /// A build, the first or the second, sent an event of `dbco build --json`.
    fn event(&self, build: usize, event: &serde_json::Value);

    /// A remark.
    fn note(&self, text: &str);
}

/// Why two builds could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReproError {
    /// The recipe can't be read.
    #[error(transparent)]
    Recipe(#[from] LoadError),
    /// Locking or fetching failed.
    #[error(transparent)]
    Session(#[from] Error),
    /// A step of the comparison failed on a path.
    #[error(transparent)]
    Io(#[from] crate::path_error::PathError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The plan failed.
    #[error(transparent)]
    Plan(#[from] crate::plan::PlanError),
    /// A path can't be passed to another process.
    #[error("the path {0:?} is not UTF-8")]
    Path(PathBuf),
    /// A build failed.
    #[error("the {which} build of {recipe} failed, in these surroundings:{surroundings}\n{lines}")]
    Failed {
        /// Which one.
        which: &'static str,
        /// The recipe's name.
        recipe: String,
        /// How they differ from the first one's.
        surroundings: String,
        /// What it printed.
        lines: String,
    },
    /// The same, before it is known which.
    #[error("the build failed\n{lines}")]
    Build {
        /// What it printed.
        lines: String,
    },
    /// A process could not be run.
    #[error(transparent)]
    Process(#[from] crate::process::ProcessError),
}

/// The names of the builds.
pub const BUILDS: [&str; 2] = ["first", "second"];

/// Builds each recipe twice and compares; gives a report for each, in their order.
///
/// # Errors
/// A recipe, the lock or a source can't be read; or a build failed, after which no further one begins.
pub fn repro(
    session: &Session<'_>,
    wanted: &ReproOptions,
    programs: &Programs,
    observer: &dyn ReproObserver,
) -> Result<Vec<Report>, ReproError> {
    let recipes =
        wanted.recipes.iter().map(|path| session.load(path, &wanted.settings)).collect::<Result<Vec<_>, _>>()?;
    let store = session.store()?;
    let locks = recipes.iter().map(|recipe| session.lock(recipe, &wanted.options, &store));
    let locks = locks.collect::<Result<Vec<_>, _>>()?;
    let targets = PlanTargets { only: wanted.only.clone(), ..PlanTargets::default() };
    let mut scratch = Scratch::new(&store, wanted.keep)?;
    let settling = Settling::new(wanted, programs, &recipes, store.path().to_owned());

    let first = settling.first(&scratch.first)?;
    let provide = |side: &Side| {
        recipes.iter().zip(&locks).try_for_each(|(recipe, lock)| {
            let sources = Sources { session, recipe, lock, store: &store, offline: wanted.options.offline };
            sources.provide(side, &targets)
        })
    };
    provide(&first)?;
    let arguments = arguments(wanted)?;
    let build_all = |which: usize, side: &Side, surroundings: &str| {
        let build = |recipe: &Recipe| {
            let ran = side.build(programs, &recipe.path, &arguments, &|event| observer.event(which, event));
            ran.map_err(|error| match error {
                ReproError::Build { lines } => ReproError::Failed {
                    which: BUILDS[which],
                    recipe: recipe.image.name.value.to_string(),
                    surroundings: surroundings.to_owned(),
                    lines,
                },
                other => other,
            })
        };
        recipes.iter().map(build).collect::<Result<Vec<Ran>, _>>()
    };
    let own = match first.sandbox {
        Some(mode) => format!(" as they are here, with the tools in the sandbox `{}` (see --vary)", mode.name()),
        None => " as they are here".to_owned(),
    };
    let ran_first = build_all(0, &first, &own)?;

    let second = settling.second(&first, &mut scratch, &provide)?;
    let Settled { side: second, varied, not_varied } = second;
    let surroundings: String =
        varied.iter().map(|one| format!("\n  {}: {}", one.variation.name(), one.values[1])).collect();
    let ran_second = build_all(1, &second, &surroundings)?;

    if wanted.keep {
        observer.note(&format!("kept: {} and {}", first.folder.display(), second.folder.display()));
    }
    let mut reports = Vec::new();
    for (index, (recipe, lock)) in recipes.iter().zip(&locks).enumerate() {
        let name = recipe.image.name.value.to_string();
        let ran = [&ran_first[index], &ran_second[index]];
        let built = |side, ran| {
            let side: &Side = side;
            let options = LoadOptions { store: Some(side.store()), ..LoadOptions::default() };
            let recipe = load_with(&side.recipe(&recipe.path), &wanted.settings, &options)?;
            let store = Store::open(&side.store())?;
            let plan = plan(&recipe, lock, &targets)?;
            Ok::<_, ReproError>(BuiltSide { side, ran, outputs: side.outputs().join(&name), store, plan })
        };
        let sides = [built(&first, ran[0])?, built(&second, ran[1])?];
        let found = compare::compare(&sides)?;
        let mut not_varied = not_varied.clone();
        let apart = ran[1].began.duration_since(ran[0].began).unwrap_or_default().as_secs();
        if wanted.vary.contains(Variation::Time) {
            not_varied.push(NotVaried {
                name: "wall clock".to_owned(),
                reason: format!("Linux has no namespace for it; the second build began {apart} s after the first"),
            });
        }
        reports.push(Report {
            recipe: name,
            builder: env!("CARGO_PKG_VERSION").to_owned(),
            seconds: ran.map(|ran| ran.took.as_secs_f64()),
            steps: ran.map(|ran| ran.steps.len()),
            varied: varied.clone(),
            not_varied,
            ..found
        });
    }
    Ok(reports)
}

/// A build that has ended.
struct BuiltSide<'a> {
    side: &'a Side,
    ran: &'a Ran,
    /// The folder of its outputs.
    outputs: PathBuf,
    store: Store,
    plan: Plan,
}

/// The arguments of a build that are the same for both.
fn arguments(wanted: &ReproOptions) -> Result<Vec<String>, ReproError> {
    let mut words = Vec::new();
    for profile in &wanted.settings.profiles {
        words.extend(["--profile".to_owned(), profile.clone()]);
    }
    for (name, value) in wanted.settings.values() {
        words.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    for kind in &wanted.only {
        words.extend(["--only".to_owned(), kind.word().to_owned()]);
    }
    if let Some(lock) = &wanted.options.lock {
        let absolute = std::path::absolute(lock).map_err(ReproError::io("find", lock))?;
        let text = absolute.to_str().ok_or_else(|| ReproError::Path(absolute.clone()))?;
        words.extend(["--lock".to_owned(), text.to_owned()]);
    }
    Ok(words)
}

/// What the builds start from.
struct Sources<'a> {
    session: &'a Session<'a>,
    recipe: &'a Recipe,
    lock: &'a Lock,
    /// The user's store.
    store: &'a Store,
    offline: bool,
}

impl Sources<'_> {
    /// Makes a build's store with all contents that its steps need, fetched into the user's store before if that lacks
    /// them.
    fn provide(&self, side: &Side, targets: &PlanTargets) -> Result<(), ReproError> {
        let store = Store::open(&side.store())?;
        let plan = plan(self.recipe, self.lock, targets)?;
        let needed = needed_blobs(&plan.graph, &plan.targets(), &store)?;
        let missing = needed.iter().filter(|digest| !store.has_blob(digest)).copied().collect();
        self.session.fetch_blobs((self.recipe, self.lock), &missing, self.store, self.offline)?;
        for digest in &missing {
            let path = self.store.verified_blob(digest)?;
            store.add_file(&path)?;
        }
        Ok(())
    }
}
