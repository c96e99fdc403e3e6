//! The graph in the language of Graphviz (<https://graphviz.org/doc/info/lang.html>).

use super::PlanGraph;
use crate::build::StepState;
use crate::printable::printable;

/// The graph as a directed graph, with an edge from each step to those that need it, and to the files that it makes.
pub fn dot(graph: &PlanGraph) -> String {
    let mut text = String::from(
        "digraph plan {\n  rankdir=LR;\n  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"];\n",
    );
    for (place, node) in graph.nodes.iter().enumerate() {
        let colours = match node.state {
            StepState::Cached => "fillcolor=\"#d7f0dd\"",
            StepState::Runs => "fillcolor=\"#ffe3c2\"",
            StepState::Unneeded => "style=\"filled,dashed\"",
        };
        let label = [node.title(), node.key.short(), node.state_text().to_owned()].map(|line| escape(&line));
        text += &format!("  s{place} [label=\"{}\", {colours}];\n", label.join("\\n"));
        for input in &node.inputs {
            text += &format!("  s{input} -> s{place};\n");
        }
        for (number, file) in node.files.iter().enumerate() {
            text += &format!("  f{place}_{number} [label=\"{}\", shape=note];\n", escape(file));
            text += &format!("  s{place} -> f{place}_{number};\n");
        }
    }
    text + "}\n"
}

/// Text inside a quoted string, where a backslash begins an escape sequence.
fn escape(text: &str) -> String {
    printable(text).to_string().replace('\\', "\\\\").replace('"', "\\\"")
}
