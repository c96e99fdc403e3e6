//! Which input of a step changed since its result before.

use std::collections::BTreeSet;
use std::time::SystemTime;

use crate::digest::Digest;
use crate::step::{Graph, Step, StepId};
use crate::store::{EarlierResult, Key, Store, StoreError};

/// A step in comparison with its result before.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The step's label.
    pub label: String,
    /// The digest of its key.
    pub now: Digest,
    /// The digest of the key of the result before, and when that was made.
    pub before: (Digest, SystemTime),
    /// Rows of the key that differ.
    pub differences: Vec<Difference>,
}

/// Inputs of one name that differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The name of the rows, without their number.
    pub row: String,
    /// What only the result before had.
    pub before: Vec<String>,
    /// What only the step has now.
    pub now: Vec<String>,
    /// If it is a step that made the input: how that one differs.
    pub cause: Option<Rebuilt>,
}

/// Compares a step with its result before: the newest result in the store of a step with the same label and another key.
/// `None` if the store has none.
///
/// The differences of inputs that steps make are those of these steps, down to what comes from the recipe, from outside or
/// from dbco itself.
pub fn rebuilt(graph: &Graph, id: StepId, store: &Store) -> Result<Option<Rebuilt>, StoreError> {
    let step = graph.step(id);
    let results = store.results()?;
    let before = results.iter().filter(|one| one.label == step.label && one.key.digest() != step.digest);
    let before = before.max_by_key(|one| one.made);
    Ok(before.map(|before| Comparison { graph, results: &results }.compare(step, before, &mut BTreeSet::new())))
}

struct Comparison<'a> {
    graph: &'a Graph,
    results: &'a [EarlierResult],
}

impl Comparison<'_> {
    /// `seen` has the steps that have been compared: each is compared once.
    fn compare(&self, step: &Step, before: &EarlierResult, seen: &mut BTreeSet<Digest>) -> Rebuilt {
        let mut differences = Vec::new();
        for row in names(&step.key, &before.key) {
            let (was, is) = (values(&before.key, &row), values(&step.key, &row));
            let only = |these: &[(String, String)], others: &[(String, String)]| -> Vec<(String, String)> {
                these.iter().filter(|(_, value)| others.iter().all(|(_, other)| other != value)).cloned().collect()
            };
            let reordered = was != is;
            let (was, is) = (only(&was, &is), only(&is, &was));
            if reordered && was.is_empty() && is.is_empty() {
                let now = vec!["the same inputs, in another order or number".to_owned()];
                differences.push(Difference { row, before: Vec::new(), now, cause: None });
                continue;
            }
            // A step in place of another one with the same label; what is left are inputs of other kinds.
            let (mut left, mut causes) = (was, Vec::new());
            let mut now = Vec::new();
            for (name, value) in is {
                let Some(input) = self.step(&value) else {
                    now.push(self.shown(step, &name, &value));
                    continue;
                };
                let same = |(_, value): &(String, String)| {
                    self.result(value).is_some_and(|result| result.label == input.label)
                };
                match left.iter().position(same) {
                    Some(at) => {
                        let (_, value) = left.remove(at);
                        match self.result(&value).filter(|_| seen.insert(input.digest)) {
                            Some(result) => causes.push(self.compare(input, result, seen)),
                            None => now.push(format!("{}, as above", input.label)),
                        }
                    }
                    None => now.push(input.label.clone()),
                }
            }
            let labelled = |(_, value): (String, String)| match self.result(&value) {
                Some(result) => result.label.clone(),
                None => short(&value),
            };
            let before: Vec<String> = left.into_iter().map(labelled).collect();
            differences.extend(causes.into_iter().map(|cause| Difference {
                row: row.clone(),
                before: Vec::new(),
                now: Vec::new(),
                cause: Some(cause),
            }));
            if !(before.is_empty() && now.is_empty()) {
                let (before, now) = lines(before, now);
                differences.push(Difference { row, before, now, cause: None });
            }
        }
        Rebuilt { label: step.label.clone(), now: step.digest, before: (before.key.digest(), before.made), differences }
    }

    /// The step of this plan whose key a value starts with.
    fn step(&self, value: &str) -> Option<&Step> {
        let digest: Digest = value.split(' ').next()?.parse().ok()?;
        self.graph.steps.iter().find(|step| step.digest == digest)
    }

    /// The earlier result whose key a value starts with.
    fn result(&self, value: &str) -> Option<&EarlierResult> {
        let digest: Digest = value.split(' ').next()?.parse().ok()?;
        self.results.iter().find(|result| result.key.digest() == digest)
    }

    /// An input as a person knows it: the step may have a name for it.
    fn shown(&self, step: &Step, row: &str, value: &str) -> String {
        match step.action.input_name(row) {
            Some(name) => format!("{name} ({})", short(value)),
            None => short(value),
        }
    }
}

/// The names of both keys' rows without their numbers, in order.
fn names(one: &Key, other: &Key) -> Vec<String> {
    let mut names = Vec::new();
    for (name, _) in one.rows_in_order().chain(other.rows_in_order()) {
        let base = base(name);
        if !names.iter().any(|known| known == base) {
            names.push(base.to_owned());
        }
    }
    names
}

/// `package` for `package 12`.
fn base(name: &str) -> &str {
    match name.rsplit_once(' ') {
        Some((base, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => name,
    }
}

/// The rows of a name: each with its full name and value.
fn values(key: &Key, row: &str) -> Vec<(String, String)> {
    let rows = key.rows_in_order().filter(|(name, _)| base(name) == row);
    rows.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Digests in a value, shortened.
fn short(value: &str) -> String {
    let words = value.split(' ').map(|word| match word.parse::<Digest>() {
        Ok(digest) => digest.short().to_string(),
        Err(_) => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Of two texts of several lines only the lines that differ.
fn lines(before: Vec<String>, now: Vec<String>) -> (Vec<String>, Vec<String>) {
    let ([one], [other]) = (&before[..], &now[..]) else { return (before, now) };
    if !(one.contains('\n') || other.contains('\n')) {
        return (before, now);
    }
    let only = |text: &str, other: &str| -> Vec<String> {
        text.lines().filter(|line| other.lines().all(|known| known != *line)).map(str::to_owned).collect()
    };
    let (one_only, other_only) = (only(one, other), only(other, one));
    // The same lines in another order.
    match one_only.is_empty() && other_only.is_empty() {
        true => (vec!["the same lines in another order".into()], Vec::new()),
        false => (one_only, other_only),
    }
}
