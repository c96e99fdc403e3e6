//! Each format of a graph with all states, several layers and names that need escapes.

use super::lanes::layout;
use super::*;

fn node(label: &str, kind: &str, state: StepState, inputs: &[usize], files: &[&str]) -> GraphNode {
    GraphNode {
        kind: kind.to_owned(),
        name: label.strip_prefix(kind).map_or(label, str::trim_start).to_owned(),
        label: label.to_owned(),
        key: Digest::of(label),
        state,
        inputs: inputs.to_vec(),
        files: files.iter().map(|file| file.to_string()).collect(),
        last: None,
    }
}

fn sample() -> PlanGraph {
    use StepState::{Cached, Runs, Unneeded};
    PlanGraph {
        nodes: vec![
            node("toolchain old", "toolchain", Unneeded, &[], &[]),
            node("toolchain \"<host>\\", "toolchain", Cached, &[], &[]),
            node("component linux", "component", Cached, &[0], &["bzImage", "config"]),
            node("component busybox", "component", Runs, &[1], &[]),
            node("rootfs", "assemble", Runs, &[1, 3], &[]),
            node("initrd", "initrd", Runs, &[3, 4], &["initrd.img"]),
        ],
    }
}

/// The short key of a label.
fn key(label: &str) -> String {
    Digest::of(label).short()
}

#[test]
fn the_tree_has_each_step_below_what_needs_it() {
    let line = |branches: &str, title: &str, label: &str, state: &str| {
        let name = format!("{branches}{title}");
        format!("{name:<28}  {}  {state}\n", key(label))
    };
    let host = "toolchain \"<host>\\";
    let expected = [
        "bzImage, config\n".to_owned(),
        line("└─ ", "component linux", "component linux", "cached"),
        line("   └─ ", "toolchain old", "toolchain old", "not needed"),
        "initrd.img\n".to_owned(),
        line("└─ ", "initrd", "initrd", "will run"),
        line("   ├─ ", "component busybox", "component busybox", "will run"),
        line("   │  └─ ", host, host, "cached"),
        line("   └─ ", "rootfs (assemble)", "rootfs", "will run"),
        line("      ├─ ", host, host, "cached"),
        line("      └─ ", "component busybox", "component busybox", "will run (above)"),
        "6 steps: 2 cached, 3 will run, 1 not needed, as all that is made from them is cached\n".to_owned(),
    ]
    .concat();
    assert_eq!(text(&sample(), None, false), expected);
}

#[test]
fn a_part_is_what_a_step_needs_or_what_needs_it() {
    let all = sample();
    let labels = |graph: &PlanGraph| graph.nodes.iter().map(|node| node.label.clone()).collect::<Vec<_>>();
    let below = all.part(4, false);
    assert_eq!(labels(&below), ["toolchain \"<host>\\", "component busybox", "rootfs"]);
    assert_eq!(below.nodes[2].inputs, [0, 1]);
    let above = all.part(3, true);
    assert_eq!(labels(&above), ["component busybox", "rootfs", "initrd"]);
    let start = above.place(&Digest::of("component busybox"));
    let tree = text(&above, start, true);
    let names: Vec<&str> = tree.lines().map(|line| line.split("  ").next().unwrap().trim()).collect();
    assert!(tree.starts_with("component busybox "), "{tree}");
    assert_eq!(tree.matches("initrd.img").count(), 1, "{tree}");
    assert!(tree.contains("initrd") && names.len() > 4, "{tree}");
}

#[test]
fn no_two_lines_share_a_lane_and_every_step_is_below_its_inputs() {
    // Graphs of all shapes: step n needs those whose bits are set in a number.
    for seed in 0..400_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % limit as u64) as usize
        };
        let count = 1 + random(14);
        let nodes = (0..count).map(|place| {
            let inputs: Vec<usize> = (0..place).filter(|_| random(3) == 0).collect();
            node(&format!("step {place}"), "step", StepState::Runs, &inputs, &[])
        });
        let graph = PlanGraph { nodes: nodes.collect() };
        let layout = layout(&graph);
        let row = |place: usize| layout.rows.iter().position(|other| *other == place).unwrap();
        let mut spans: Vec<(usize, usize, usize)> = Vec::new();
        for (place, node) in graph.nodes.iter().enumerate() {
            assert!(node.inputs.iter().all(|input| row(*input) < row(place)), "{graph:?}");
            let users: BTreeSet<usize> = graph.users(place).map(row).collect();
            let lane = layout.lanes[place].as_ref();
            assert_eq!(lane.map(|lane| lane.rows.clone()).unwrap_or_default(), users.into_iter().collect::<Vec<_>>());
            if let Some(lane) = lane {
                assert!(lane.lane < layout.width && lane.first == row(place));
                spans.push((lane.lane, lane.first, *lane.rows.last().unwrap()));
            }
        }
        for (index, one) in spans.iter().enumerate() {
            let other = spans[..index].iter().find(|other| other.0 == one.0 && other.1 <= one.2 && one.1 <= other.2);
            assert_eq!(other, None, "{one:?} in {graph:?}");
        }
    }
}

#[test]
fn the_image_is_narrow_and_refers_to_nothing_outside() {
    let image = svg(&sample(), "plan of <x>");
    assert!(image.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assert_eq!(image.matches("http").count(), 1, "only the name of its format: {image}");
    assert!(!image.contains("<script") && !image.contains("url(") && image.contains("prefers-color-scheme:dark"));
    assert!(image.contains("plan of &lt;x&gt;") && image.contains("toolchain &quot;&lt;host&gt;\\"));
    let width: f64 = image.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    assert!(width < 400.0, "{width}");
    for text in ["cached", "will run", "not needed", "→ bzImage, config", &key("initrd")] {
        assert!(image.contains(text), "{text}");
    }
}

#[test]
fn names_are_escaped_for_graphviz() {
    let text = dot(&sample());
    assert!(text.contains(r#"label="toolchain \"<host>\\\n"#), "{text}");
    assert!(text.contains("  s3 -> s4;\n") && text.contains("s5 -> f5_0;"), "{text}");
}
