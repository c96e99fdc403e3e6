//! Entering a step's sandbox.

use super::build::{BuildTargets, Options, can_run_tools, plan_for};
use super::stated::stated;
use super::{Error, Session};
use crate::build::{BuildError, BuildEvent};
use crate::plan::{Plan, PlanTargets, plan};
use crate::recipe::{OutputKind, Recipe};
use crate::step::{Context, Enter, Listener, Step, StepError, StepId, Work};
use crate::store::Store;

/// A step, by what a user calls it or by what it is.
#[derive(Clone, Copy, Debug)]
pub enum NamedStep<'a> {
    /// A label, a name or the first digits of a key: see [`Plan::find_step`].
    Called(&'a str),
    /// The component that builds the kernel.
    Kernel,
}

impl NamedStep<'_> {
    fn find(self, plan: &Plan) -> Result<StepId, Error> {
        match self {
            Self::Called(name) => plan.find_step(name).map_err(|error| Error::Request(error.to_string())),
            Self::Kernel => {
                let step = plan.kernel_config.as_ref().map(|config| config.step);
                let component = step.filter(|step| plan.graph.step(*step).key.kind() == "component");
                component.ok_or_else(|| Error::Request("the recipe's kernel is not built from source".into()))
            }
        }
    }
}

impl Session<'_> {
    /// Builds everything that a step of a recipe's outputs needs, and enters the step instead of running it. Nothing that
    /// happens there becomes a result. The lock is updated as for a build.
    ///
    /// # Errors
    /// Among others, the step runs no tools, or fails before it is entered.
    pub fn enter(
        &self,
        recipe: &Recipe,
        store: &Store,
        options: &Options,
        named: NamedStep<'_>,
        enter: Enter<'_>,
    ) -> Result<(), Error> {
        let lock = self.lock(recipe, options, store)?;
        can_run_tools(options.sandbox)?;
        let planned = || {
            let plan = match named {
                NamedStep::Called(_) => plan_for(recipe, &lock, &PlanTargets::default())?,
                // Whether or not the kernel's image is an output.
                NamedStep::Kernel => {
                    plan(recipe, &lock, &PlanTargets { only: vec![OutputKind::BzImage], ..PlanTargets::default() })?
                }
            };
            let step = plan.graph.step(runs_tools(&plan, named.find(&plan)?)?);
            let local = |blob: &_| plan.graph.files.contains_key(blob);
            let blobs = step.action.blobs().into_iter().filter(|blob| !local(blob)).collect();
            Ok(BuildTargets { steps: step.action.inputs(), blobs, plan })
        };
        let (plan, built) = self.build_targets((recipe, &lock), &planned, store, options)?;
        let step = plan.graph.step(named.find(&plan)?);
        let relay = ShellListener(self);
        let mut context = Context::new(&plan.graph, store, options.resources(), &relay);
        for input in step.action.inputs() {
            if let Some(outputs) = built.outputs(input) {
                context.done(input, outputs.clone());
            }
        }
        context.enter = Some(enter);
        // The log of the failed build stays as it is.
        let work = store.work_dir()?;
        let log = work.path().join("log");
        let ran = step.action.run(&Work { context: &context, step, log });
        let entered = context.enter.as_ref().is_some_and(Enter::has_entered);
        match ran {
            Err(StepError::Interrupted) => Err(Error::Interrupted),
            // An error after that is the one that the user has seen there.
            Ok(_) | Err(_) if entered => Ok(()),
            Ok(_) => Err(Error::Request(format!("{} has run without any tool", step.label))),
            Err(source) => {
                let error = BuildError { label: step.label.clone(), log: None, source: Box::new(source) };
                Err(Error::Build { stated: stated(recipe, &error), error })
            }
        }
    }
}

/// The step, if there is anything in it to enter.
fn runs_tools(plan: &Plan, step: StepId) -> Result<StepId, Error> {
    if plan.graph.step(step).action.runs_tools() {
        return Ok(step);
    }
    let steps = plan.needed_for(plan.targets());
    let steps = steps.into_iter().map(|id| plan.graph.step(id)).filter(|step| step.action.runs_tools());
    let mut labels: Vec<&str> = steps.map(|step| step.label.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    let label = &plan.graph.step(step).label;
    Err(Error::Request(match labels.is_empty() {
        true => format!("{label} runs no tools, and neither does any other step"),
        false => format!("{label} runs no tools; these steps do: {}", labels.join(", ")),
    }))
}

/// Passes on what the step prints before it is entered.
struct ShellListener<'a, 'b>(&'a Session<'b>);

impl Listener for ShellListener<'_, '_> {
    fn line(&self, step: &Step, line: &str) {
        self.0.reporter.event(&BuildEvent::Line { step, line });
    }

    fn warning(&self, step: &Step, text: &str) {
        self.0.reporter.event(&BuildEvent::Warning { step, text });
    }
}
