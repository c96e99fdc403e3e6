//! The layout of the image: a layered drawing with one row for each step, as in `git log --graph`.
//!
//! Rows are ordered by layers: a step is below everything that it needs. From the row of each step that others need, a
//! vertical line in a *lane* leads down to the last of them; what a step needs is where its row has dots. So no line
//! crosses text, and the image is as narrow as its longest name whatever the plan is.

use super::PlanGraph;

/// The places of all steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The steps, from top to bottom.
    pub rows: Vec<usize>,
    /// Lines by the place of the step that they start at; `None` for steps that no other needs.
    pub lanes: Vec<Option<Lane>>,
    /// The number of lanes.
    pub width: usize,
}

/// A vertical line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its lane, from 0, counted from the rows' text.
    pub lane: usize,
    /// The row that it starts at.
    pub first: usize,
    /// The rows of the steps that need it, in order.
    pub rows: Vec<usize>,
}

/// Lays a graph out.
pub fn layout(graph: &PlanGraph) -> Layout {
    let count = graph.nodes.len();
    let rows = rows(graph);
    let mut row_of = vec![0; count];
    rows.iter().enumerate().for_each(|(row, place)| row_of[*place] = row);
    let mut lanes: Vec<Option<Lane>> = vec![None; count];
    for place in 0..count {
        let mut users: Vec<usize> = graph.users(place).map(|user| row_of[user]).collect();
        users.sort_unstable();
        if !users.is_empty() {
            lanes[place] = Some(Lane { lane: 0, first: row_of[place], rows: users });
        }
    }
    // Short lines are nearest to the text. Two lines may share a lane if one ends in a row before the other starts.
    let mut order: Vec<usize> = (0..count).filter(|place| lanes[*place].is_some()).collect();
    let span = |lanes: &[Option<Lane>], place: usize| {
        let lane = lanes[place].as_ref().expect("only steps with a line are ordered");
        (lane.first, *lane.rows.last().unwrap_or(&lane.first))
    };
    order.sort_by_key(|place| {
        let (first, last) = span(&lanes, *place);
        (last - first, first)
    });
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    for place in order {
        let (first, last) = span(&lanes, place);
        let free = |spans: &Vec<(usize, usize)>| spans.iter().all(|(start, end)| *end < first || last < *start);
        let lane = taken.iter().position(free).unwrap_or_else(|| {
            taken.push(Vec::new());
            taken.len() - 1
        });
        taken[lane].push((first, last));
        if let Some(line) = &mut lanes[place] {
            line.lane = lane;
        }
    }
    Layout { rows, lanes, width: taken.len() }
}

/// The steps by layers. Within the order that the inputs force, a step is directly above the first that needs it where
/// possible, so that lines are short.
fn rows(graph: &PlanGraph) -> Vec<usize> {
    let count = graph.nodes.len();
    let mut layer = vec![0_usize; count];
    for place in 0..count {
        layer[place] = graph.nodes[place].inputs.iter().map(|input| layer[*input] + 1).max().unwrap_or(0);
    }
    // A step moves down to the layer above the first that needs it.
    for place in (0..count).rev() {
        if let Some(first) = graph.users(place).map(|user| layer[user]).min() {
            layer[place] = layer[place].max(first.saturating_sub(1));
        }
    }
    let mut rows: Vec<usize> = (0..count).collect();
    rows.sort_by_key(|place| (layer[*place], *place));
    rows
}
