//! The graph as an SVG image that refers to nothing outside, in light and dark.

use std::fmt::Write as _;

use super::lanes::{Layout, layout};
use super::{GraphNode, PlanGraph};
use crate::build::StepState;
use crate::html::escape;

/// Sizes in pixels. Text has a fixed width, 0.6 of its height in every common font of that kind.
const FONT: f64 = 13.0;
const CHARACTER: f64 = 0.62 * FONT;
/// The height of a line of text.
const LINE: f64 = 17.0;
/// The space between two rows.
const GAP: f64 = 8.0;
const LANE: f64 = 11.0;
const MARGIN: f64 = 12.0;

/// The most characters of a line; a longer one is cut, and its whole text is the tooltip.
const MOST: usize = 34;

/// The number of colours of lines.
const COLOURS: usize = 6;

const STYLE: &str = "\
svg{max-width:100%;height:auto;--text:#1d2126;--dim:#5b6470;--back:#fff;--cached:#146c2e;--runs:#a84300;\
--l0:#3465a4;--l1:#a84300;--l2:#146c2e;--l3:#75507b;--l4:#8f5902;--l5:#0b7285}\
@media(prefers-color-scheme:dark){svg{--text:#e4e7eb;--dim:#9aa5b1;--back:#15181c;--cached:#7ddc93;--runs:#ffb070;\
--l0:#8ab4f8;--l1:#ffb070;--l2:#7ddc93;--l3:#d7aefb;--l4:#f3d06a;--l5:#78d9ec}}\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:var(--text);white-space:pre}\
.dim{fill:var(--dim)}.back{fill:var(--back)}.line{fill:none;stroke-width:1.6}\
.mark{stroke-width:1.6}.cached{fill:var(--cached);stroke:var(--cached)}.runs{fill:var(--back);stroke:var(--runs)}\
.unneeded{fill:var(--back);stroke:var(--dim);stroke-dasharray:2 2}\
.cached-text{fill:var(--cached)}.runs-text{fill:var(--runs);font-weight:bold}.unneeded-text{fill:var(--dim)}\
.l0{stroke:var(--l0)}.l1{stroke:var(--l1)}.l2{stroke:var(--l2)}.l3{stroke:var(--l3)}.l4{stroke:var(--l4)}.l5{stroke:var(--l5)}\
.d0{fill:var(--l0)}.d1{fill:var(--l1)}.d2{fill:var(--l2)}.d3{fill:var(--l3)}.d4{fill:var(--l4)}.d5{fill:var(--l5)}";

/// The class of the marks of a state; for its text `-text` is appended.
fn class(state: StepState) -> &'static str {
    state.word()
}

/// The graph as an image. It has its natural size unless there is less space.
pub fn svg(graph: &PlanGraph, title: &str) -> String {
    let drawing = Drawing::new(graph);
    let (width, height) = (drawing.width(), drawing.height);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} \
         {height}\">\n<title>{}</title>\n<style>{STYLE}</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\"/>",
        escape(title)
    );
    text += &drawing.lines();
    for (row, place) in drawing.layout.rows.iter().enumerate() {
        text += &drawing.step(row, &graph.nodes[*place]);
    }
    text + "</svg>\n"
}

/// A graph with the places of everything.
struct Drawing<'a> {
    graph: &'a PlanGraph,
    layout: Layout,
    /// The middle of the first line of each row.
    middles: Vec<f64>,
    height: f64,
}

impl<'a> Drawing<'a> {
    fn new(graph: &'a PlanGraph) -> Self {
        let layout = layout(graph);
        let (mut middles, mut top) = (Vec::new(), MARGIN);
        for place in &layout.rows {
            middles.push(top + LINE / 2.0);
            top += GAP + LINE * if graph.nodes[*place].files.is_empty() { 2.0 } else { 3.0 };
        }
        Self { graph, layout, middles, height: top + MARGIN }
    }

    /// The horizontal place of the marks: right of all lanes.
    fn mark(&self) -> f64 {
        MARGIN + self.layout.width as f64 * LANE + 6.0
    }

    fn lane(&self, lane: usize) -> f64 {
        self.mark() - 10.0 - lane as f64 * LANE
    }

    /// The left end of the text.
    fn text(&self) -> f64 {
        self.mark() + 12.0
    }

    fn width(&self) -> f64 {
        let lines = self.graph.nodes.iter().flat_map(lines);
        let longest = lines.map(|line| line.chars().count()).max().unwrap_or_default();
        (self.text() + longest as f64 * CHARACTER + MARGIN).ceil()
    }

    /// The lines between steps.
    fn lines(&self) -> String {
        let mut text = String::new();
        for place in 0..self.graph.nodes.len() {
            let Some(lane) = &self.layout.lanes[place] else { continue };
            let (x, colour) = (self.lane(lane.lane), place % COLOURS);
            // A step's line leaves below the middle of its row, and arrives above the middle of others.
            let start = self.middles[lane.first] + 3.0;
            let end = self.middles[*lane.rows.last().unwrap_or(&lane.first)] - 3.0;
            let _ = writeln!(text, "<path class=\"line l{colour}\" d=\"M{} {start}H{x}V{end}\"/>", self.mark());
            for row in &lane.rows {
                let y = self.middles[*row] - 3.0;
                let _ = writeln!(
                    text,
                    "<path class=\"line l{colour}\" d=\"M{x} {y}H{}\"/><circle class=\"d{colour}\" cx=\"{x}\" cy=\"{y}\" r=\"2.6\"/>",
                    self.mark()
                );
            }
        }
        text
    }

    fn step(&self, row: usize, node: &GraphNode) -> String {
        let (x, y, class) = (self.mark(), self.middles[row], class(node.state));
        let mut text = format!(
            "<g><title>{}\nkey {}\n{}</title><circle class=\"mark {class}\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>",
            escape(&node.title()),
            node.key,
            escape(&node.files.join("\n")),
        );
        let [title, state, files] = lines(node).map(|line| escape(&line));
        let (state, key) = state.split_once("  ").unwrap_or((&state, ""));
        let state = format!("<tspan class=\"{class}-text\">{state}</tspan>  <tspan class=\"dim\">{key}</tspan>");
        let files = format!("<tspan class=\"dim\">{files}</tspan>");
        let shown = if node.files.is_empty() { vec![title, state] } else { vec![title, state, files] };
        for (number, line) in shown.iter().enumerate() {
            let (left, base) = (self.text(), y + FONT * 0.35 + number as f64 * LINE);
            let _ = write!(text, "<text x=\"{left}\" y=\"{base:.1}\">{line}</text>");
        }
        text + "</g>\n"
    }
}

/// The lines of text of a step: its title, its state with its key, and the files that it makes; the last may be empty.
fn lines(node: &GraphNode) -> [String; 3] {
    let state = format!("{}  {}", node.state_text(), node.key.short());
    let files = if node.files.is_empty() { String::new() } else { format!("→ {}", node.files.join(", ")) };
    [cut(&node.title()), state, cut(&files)]
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}
