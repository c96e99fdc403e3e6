//! The graph as a tree of lines.

use std::collections::BTreeSet;

use super::{GraphNode, PlanGraph};
use crate::build::StepState;

/// A line before its columns are aligned.
struct Line {
    /// The branches and the name.
    name: String,
    /// The place of its step; `None` for files.
    node: Option<usize>,
    /// Whether what is below it was shown before.
    repeated: bool,
}

/// The graph as lines: below each output its step, and below each step what it needs. What is below a step is shown once;
/// where it is left out, the line ends with `(above)`.
///
/// With `start`, the place of a step, only what that step needs; with `reverse` what needs it, and the files that are made
/// of it.
pub fn text(graph: &PlanGraph, start: Option<usize>, reverse: bool) -> String {
    let mut tree = TreeText { graph, reverse, shown: BTreeSet::new(), lines: Vec::new() };
    match start {
        Some(start) => tree.step("", "", start),
        None => {
            for (place, node) in graph.nodes.iter().enumerate().filter(|(_, node)| !node.files.is_empty()) {
                tree.lines.push(Line { name: node.files.join(", "), node: None, repeated: false });
                tree.step("└─ ", "   ", place);
            }
        }
    }
    let width = tree.lines.iter().filter(|line| line.node.is_some()).map(|line| line.name.chars().count()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for Line { name, node, repeated } in &tree.lines {
        match node.map(|place| &graph.nodes[place]) {
            None => text += &format!("{name}\n"),
            Some(node @ GraphNode { key, .. }) => {
                let above = if *repeated { " (above)" } else { "" };
                text += &format!("{name:<width$}  {}  {}{above}\n", key.short(), node.state_text());
            }
        }
    }
    text + &summary(graph)
}

fn summary(graph: &PlanGraph) -> String {
    let steps = match graph.nodes.len() {
        1 => "1 step".to_owned(),
        count => format!("{count} steps"),
    };
    let mut text = format!("{steps}: {} cached, ", graph.count(StepState::Cached));
    text += &match graph.count(StepState::Runs) {
        0 => "none will run".to_owned(),
        count => format!("{count} will run"),
    };
    match graph.count(StepState::Unneeded) {
        0 => text + "\n",
        count => text + &format!(", {count} not needed, as all that is made from them is cached\n"),
    }
}

struct TreeText<'a> {
    graph: &'a PlanGraph,
    reverse: bool,
    /// Steps whose branches have been shown.
    shown: BTreeSet<usize>,
    lines: Vec<Line>,
}

impl TreeText<'_> {
    /// Adds a step and its branches: `first` is before its own line, `rest` before the lines below it.
    fn step(&mut self, first: &str, rest: &str, place: usize) {
        let node = &self.graph.nodes[place];
        let below: Vec<usize> = match self.reverse {
            true => self.graph.users(place).collect(),
            false => node.inputs.clone(),
        };
        let files: &[String] = if self.reverse { &node.files } else { &[] };
        let is_leaf = below.is_empty() && files.is_empty();
        let repeated = !is_leaf && !self.shown.insert(place);
        self.lines.push(Line { name: format!("{first}{}", node.title()), node: Some(place), repeated });
        if repeated {
            return;
        }
        for (index, other) in below.iter().enumerate() {
            let is_last = index + 1 == below.len() && files.is_empty();
            let (branch, through) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.step(&format!("{rest}{branch}"), &format!("{rest}{through}"), *other);
        }
        if !files.is_empty() {
            self.lines.push(Line { name: format!("{rest}└─ {}", files.join(", ")), node: None, repeated: false });
        }
    }
}
