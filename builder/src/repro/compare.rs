//! Compares the results of two builds step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use super::content::{difference, read_content};
use super::hints::Hints;
use super::report::{Cause, Difference, KeyDifference, OutputPair, Report};
use super::side::StepRun;
use super::{BuiltSide, ReproError};
use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::plan::Product;
use crate::step::{Step, StepId};
use crate::store::{Key, Output, StepResult};
use crate::tree::{Entry, Node, Tree, TreePath};

/// How many differences of a step are reported.
const MOST: usize = 20;

/// Compares two builds. The surroundings and times of the report are not filled in.
pub fn compare(sides: &[BuiltSide<'_>; 2]) -> Result<Report, ReproError> {
    let first = &sides[0];
    let inputs = key_differences(sides)?;
    let mut comparison = Comparison { sides, hints: hints(sides), differing: BTreeSet::new() };
    let mut causes = Vec::new();
    let mut affected = Vec::new();
    for (index, step) in first.plan.graph.steps.iter().enumerate() {
        let (one, two) = (first.store.result(&step.digest)?, sides[1].store.result(&step.digest)?);
        // A build has no result if no output needs the step, and if its key is another one there: see `inputs`.
        let (Some(one), Some(two)) = (one, two) else { continue };
        let mut differences = comparison.outputs(step, &one, &two)?;
        if differences.is_empty() {
            continue;
        }
        comparison.differing.insert(StepId(index));
        if step.action.inputs().iter().any(|input| comparison.differing.contains(input)) {
            affected.push(step.label.clone());
            continue;
        }
        let more = differences.len().saturating_sub(MOST);
        differences.truncate(MOST);
        let (step_label, key) = (step.label.clone(), step.digest);
        let reaches = comparison.reached(StepId(index))?;
        causes.push(Cause { step: step_label, key, reaches, differences, more });
    }
    Ok(Report {
        recipe: String::new(),
        builder: String::new(),
        seconds: [0.0; 2],
        steps: [0; 2],
        varied: Vec::new(),
        not_varied: Vec::new(),
        outputs: outputs(sides)?,
        inputs,
        causes,
        affected,
    })
}

fn hints(sides: &[BuiltSide<'_>; 2]) -> Hints {
    let times = [0, 1].map(|n: usize| {
        let seconds = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
        };
        let ran = &sides[n].ran;
        (seconds(ran.began), seconds(ran.began + ran.took))
    });
    Hints::new([sides[0].side, sides[1].side], times)
}

/// Steps that one build ran and the other did not: where the difference enters. Those that differ only because their
/// inputs do are left out.
fn key_differences(sides: &[BuiltSide<'_>; 2]) -> Result<Vec<KeyDifference>, ReproError> {
    let own = |n: usize| {
        let others: BTreeSet<Digest> = sides[1 - n].ran.steps.iter().map(|step| step.key).collect();
        sides[n].ran.steps.iter().filter(move |step| !others.contains(&step.key))
    };
    let (first, second): (Vec<_>, Vec<_>) = (own(0).collect(), own(1).collect());
    let mut found = Vec::new();
    let mut rest = second.clone();
    for step in &first {
        let Some(at) = rest.iter().position(|other| other.label == step.label) else {
            found.push(KeyDifference { step: step.label.clone(), rows: vec!["only in the first build".to_owned()] });
            continue;
        };
        let other = rest.remove(at);
        let results = (sides[0].store.result(&step.key)?, sides[1].store.result(&other.key)?);
        let (Some(one), Some(two)) = results else { continue };
        let derived = |row: &String| {
            let names = |key: &Key, steps: &[&StepRun]| {
                let value = key.get(row).unwrap_or_default();
                steps.iter().any(|step| value.contains(&step.key.to_string()))
            };
            names(&one.key, &first) && names(&two.key, &second)
        };
        let mut rows = one.key.differences(&two.key);
        rows.retain(|row| !derived(row));
        if !rows.is_empty() {
            found.push(KeyDifference { step: step.label.clone(), rows });
        }
    }
    for step in rest {
        found.push(KeyDifference { step: step.label.clone(), rows: vec!["only in the second build".to_owned()] });
    }
    Ok(found)
}

/// The files of the outputs.
fn outputs(sides: &[BuiltSide<'_>; 2]) -> Result<Vec<OutputPair>, ReproError> {
    let mut names: Vec<String> = Vec::new();
    for side in sides {
        let further = side.plan.products.iter().map(|product| product.name.clone());
        names.extend(further.filter(|name| !names.contains(name)).collect::<Vec<_>>());
    }
    let pair = |name: String| {
        let mut pair = OutputPair { name, sha256: [None; 2], size: [None; 2] };
        for (n, side) in sides.iter().enumerate() {
            if let Some((digest, size)) = written(side, &pair.name)? {
                (pair.sha256[n], pair.size[n]) = (Some(digest), Some(size));
            }
        }
        Ok(pair)
    };
    names.into_iter().map(pair).collect()
}

/// The digest and the length of an output file, as it was written.
fn written(side: &BuiltSide<'_>, name: &str) -> Result<Option<(Digest, u64)>, ReproError> {
    let path = side.outputs.join(name);
    match Digest::of_file(&path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReproError::io("read", &path)(error)),
    }
}

struct Comparison<'a> {
    sides: &'a [BuiltSide<'a>; 2],
    hints: Hints,
    /// Steps whose outputs differ.
    differing: BTreeSet<StepId>,
}

impl Comparison<'_> {
    /// What differs between the outputs of a step; contents are only compared for the first ones.
    fn outputs(&self, step: &Step, one: &StepResult, two: &StepResult) -> Result<Vec<Difference>, ReproError> {
        let names: BTreeSet<&String> = one.outputs.keys().chain(two.outputs.keys()).collect();
        let mut all = Vec::new();
        for name in names {
            let difference = |path, what: &str, values| difference_of(name, path, what, values);
            match (one.outputs.get(name), two.outputs.get(name)) {
                (Some(Output::Tree { digest: one }), Some(Output::Tree { digest: two })) if one != two => {
                    let trees = [self.sides[0].store.tree(one)?, self.sides[1].store.tree(two)?];
                    self.trees(name, &trees, &mut all)?;
                }
                (Some(Output::Blob { digest: one, .. }), Some(Output::Blob { digest: two, .. })) if one != two => {
                    let first = difference(Vec::new(), "content", [String::new(), String::new()]);
                    all.push(self.content(first, [*one, *two], all.len())?);
                }
                (Some(Output::Root), Some(Output::Root)) => {
                    let lists = self.sides.each_ref().map(|side| side.store.root_files(&step.digest));
                    let [one, two] = lists;
                    let (one, two) = (one?, two?);
                    if let Some(found) = difference_of_lists(&one, &two) {
                        all.push(difference(Vec::new(), "files", found));
                    }
                }
                (Some(one), Some(two)) if one == two => {}
                (one, two) => {
                    let kind = |output: Option<&Output>| match output {
                        None => "absent".to_owned(),
                        Some(Output::Blob { .. }) => "a file".to_owned(),
                        Some(Output::Tree { .. }) => "a tree".to_owned(),
                        Some(Output::Root) => "a root".to_owned(),
                    };
                    all.push(difference(Vec::new(), "presence", [kind(one), kind(two)]));
                }
            }
        }
        Ok(all)
    }

    fn trees(&self, output: &str, trees: &[Tree; 2], all: &mut Vec<Difference>) -> Result<(), ReproError> {
        let paths: BTreeSet<&TreePath> = trees.iter().flat_map(|tree| tree.entries.keys()).collect();
        for path in paths {
            let difference = |what: &str, values| difference_of(output, vec![path.to_string()], what, values);
            let (one, two) = match [trees[0].get(path), trees[1].get(path)] {
                [Some(one), Some(two)] => (one, two),
                other => {
                    let told = |entry: Option<&Entry>| entry.map_or("absent".to_owned(), |entry| entry.node.kind());
                    all.push(difference("presence", other.map(told)));
                    continue;
                }
            };
            let both = [one, two];
            let attributes: [(&str, [String; 2]); 4] = [
                ("mode", both.map(|entry| format!("{:04o}", entry.mode))),
                ("owner", both.map(|entry| format!("{}:{}", entry.uid, entry.gid))),
                ("extended attributes", both.map(|entry| attributes(&entry.xattrs))),
                ("hard links", both.map(|entry| entry.inode.map_or("none".to_owned(), |n| format!("group {n}")))),
            ];
            for (what, values) in attributes.into_iter().filter(|(_, values)| values[0] != values[1]) {
                all.push(difference(what, values));
            }
            match (&one.node, &two.node) {
                (Node::File { blob: one, .. }, Node::File { blob: two, .. }) if one != two => {
                    let first = difference("content", [String::new(), String::new()]);
                    all.push(self.content(first, [*one, *two], all.len())?);
                }
                (one, two) if one != two && one.kind() != two.kind() => {
                    all.push(difference("type", [one.kind(), two.kind()]));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Fills in how two contents differ. The contents are not read if `known` differences precede it, as it is not
    /// reported.
    fn content(&self, mut difference: Difference, blobs: [Digest; 2], known: usize) -> Result<Difference, ReproError> {
        if known >= MOST {
            return Ok(difference);
        }
        let mut contents = Vec::new();
        for (side, blob) in self.sides.iter().zip(blobs) {
            let file = match side.plan.graph.files.get(&blob) {
                Some(path) => File::open(path).map_err(ReproError::io("open", path))?,
                None => {
                    let path = side.store.verified_blob(&blob)?;
                    File::open(&path).map_err(ReproError::io("open", &path))?
                }
            };
            let read = read_content(file);
            contents.push(read.map_err(ReproError::io("read", &side.store.blob_path(&blob)))?);
        }
        let [(one, _), (two, _)] = &contents[..] else { return Ok(difference) };
        match self::difference(one, two) {
            Some(inner) => {
                difference.hint = self.hints.find(&inner.values, Some([one, two]));
                difference.path.extend(inner.inside);
                difference.what = inner.what;
                difference.place = inner.place;
                difference.values = inner.values;
            }
            None => difference.place = Some("beyond the part that is compared".to_owned()),
        }
        Ok(difference)
    }

    /// The output files that differ and are made from a step's results.
    fn reached(&self, cause: StepId) -> Result<Vec<String>, ReproError> {
        let graph = &self.sides[0].plan.graph;
        let mut reached = BTreeSet::from([cause]);
        // Inputs precede the steps that need them.
        for (index, step) in graph.steps.iter().enumerate() {
            if step.action.inputs().iter().any(|input| reached.contains(input)) {
                reached.insert(StepId(index));
            }
        }
        let made = |product: &&Product| reached.contains(&product.from.step);
        let mut names = Vec::new();
        for product in self.sides[0].plan.products.iter().filter(made) {
            let [one, two] = [written(&self.sides[0], &product.name)?, written(&self.sides[1], &product.name)?];
            if one != two {
                names.push(product.name.clone());
            }
        }
        Ok(names)
    }
}

fn difference_of(output: &str, path: Vec<String>, what: &str, values: [String; 2]) -> Difference {
    let (output, what) = (output.to_owned(), what.to_owned());
    Difference { output, path, what, place: None, values, hint: None }
}

/// The first line that differs.
fn difference_of_lists(one: &str, two: &str) -> Option<[String; 2]> {
    if one == two {
        return None;
    }
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (one, two) = (lines(one), lines(two));
    let first = |mut lines: std::collections::btree_set::Difference<'_, String>| lines.next().cloned();
    let absent = || "absent".to_owned();
    Some([first(one.difference(&two)).unwrap_or_else(absent), first(two.difference(&one)).unwrap_or_else(absent)])
}

fn attributes(attributes: &BTreeMap<String, Vec<u8>>) -> String {
    let each = attributes.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)));
    each.collect::<Vec<_>>().join(", ")
}
