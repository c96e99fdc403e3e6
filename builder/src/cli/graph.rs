//! `dbco graph`.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::StepArgs;
use super::session::CliSession;
use super::{CommandResult, usage};
use crate::graph::{PlanGraph, dot, svg, text};
use crate::plan::PlanTargets;
use crate::recipe::OutputKind;
use crate::session::Options;
use crate::store::Sharing;

pub const EXAMPLES: &str = "\
Each step is shown with its kind, its name, the first digits of its key, and whether the store has its result (`cached`) or a \
build would run it. Nothing is built or fetched, and the lock has to match the recipe. STEP is a label (`component busybox`), a name \
(`busybox`) or the first digits of a key. A single argument that is neither a file nor ends in .yaml is a STEP.

Examples:
  dbco graph recipes/quick.yaml
  dbco graph --only iso initrd
  dbco graph busybox --reverse
  dbco graph --format dot | dot -Tpdf > plan.pdf
  dbco graph --format svg > plan.svg";

#[derive(Debug, Args)]
pub struct GraphArgs {
    #[command(flatten)]
    target: StepArgs,
    /// Only the steps that this output needs; may be repeated
    #[arg(long, value_name = "OUTPUT", value_parser = OutputKind::parse)]
    only: Vec<OutputKind>,
    /// Show what needs STEP, instead of what STEP needs
    #[arg(long, requires = "recipe")]
    reverse: bool,
    /// The format
    #[arg(long, value_enum, default_value = "text")]
    format: GraphFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// A tree
    Text,
    /// The language of Graphviz
    Dot,
    /// An image
    Svg,
}

pub fn run(session: &CliSession<'_>, args: &GraphArgs) -> CommandResult {
    let (path, step) = args.target.target();
    let settings = args.target.given.settings().map_err(usage)?;
    let recipe = session.load(&path, &settings).map_err(usage)?;
    let store = session.store_as(Sharing::Reading)?;
    let wanted = PlanTargets { only: args.only.clone(), ..PlanTargets::default() };
    let options = Options { lock: args.target.given.lock.clone(), ..Options::default() };
    let planned = session.plan_only(&recipe, &store, &options, &wanted)?;
    let all = PlanGraph::of(&planned.plan, &planned.states, &store);
    let (graph, start) = match step {
        None if args.reverse => return Err(usage(anyhow::anyhow!("--reverse needs a STEP"))),
        None => (all, None),
        Some(name) => {
            let step = planned.plan.find_step(name).map_err(usage)?;
            let key = planned.plan.graph.step(step).digest;
            let part = all.place(&key).map(|place| all.part(place, args.reverse)).unwrap_or_default();
            let start = part.place(&key);
            (part, start)
        }
    };
    session.report_damages(&store);
    if session.printer.value(&value(&path, &graph)) {
        return Ok(());
    }
    let text = match args.format {
        GraphFormat::Text => text(&graph, start, args.reverse),
        GraphFormat::Dot => dot(&graph),
        GraphFormat::Svg => svg(&graph, &format!("the plan of {}", path.display())),
    };
    session.printer.line(text.trim_end_matches('\n'));
    Ok(())
}

fn value(path: &Path, graph: &PlanGraph) -> serde_json::Value {
    let step = |node: &crate::graph::GraphNode| {
        let inputs: Vec<_> = node.inputs.iter().map(|input| graph.nodes[*input].key).collect();
        json!({
            "step": node.label, "kind": node.kind, "name": node.name, "key": node.key, "state": node.state.word(),
            "inputs": inputs, "files": node.files, "seconds": node.last.as_ref().map(|last| last.seconds),
        })
    };
    json!({"event": "graph", "recipe": path, "steps": graph.nodes.iter().map(step).collect::<Vec<_>>()})
}
