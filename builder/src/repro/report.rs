//! The result of comparing two builds, as data.

use serde::Serialize;

use super::vary::Variation;
use crate::digest::Digest;

/// The result of comparing two builds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The recipe's name.
    pub recipe: String,
    /// The version of dbco.
    pub builder: String,
    /// The seconds that each build took.
    pub seconds: [f64; 2],
    /// The number of steps that each build ran.
    pub steps: [usize; 2],
    /// What differed between the surroundings of the builds.
    pub varied: Vec<Varied>,
    /// What did not, although it was selected.
    pub not_varied: Vec<NotVaried>,
    /// The files of the outputs.
    pub outputs: Vec<OutputPair>,
    /// Steps whose keys differ: the builds had different inputs.
    pub inputs: Vec<KeyDifference>,
    /// Steps whose outputs differ although their keys and inputs are equal, in the order of the plan.
    pub causes: Vec<Cause>,
    /// The labels of steps whose outputs differ because those of other steps do.
    pub affected: Vec<String>,
}

impl Report {
    /// Whether all outputs, and all results of steps that they are made of, are the same.
    pub fn is_identical(&self) -> bool {
        self.outputs.iter().all(OutputPair::is_same) && self.inputs.is_empty() && self.causes.is_empty()
    }
}

/// A property of the surroundings with its two values.
#[derive(Clone, Debug, Serialize)]
pub struct Varied {
    /// The property.
    pub variation: Variation,
    /// Its values in the first and in the second build.
    pub values: [String; 2],
}

/// A property that was not varied.
#[derive(Clone, Debug, Serialize)]
pub struct NotVaried {
    /// The property, or the part of it.
    pub name: String,
    /// Why not.
    pub reason: String,
}

/// A file of the outputs, as each build made it; `None` if it did not.
#[derive(Clone, Debug, Serialize)]
pub struct OutputPair {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: [Option<Digest>; 2],
    /// Its length in bytes.
    pub size: [Option<u64>; 2],
}

impl OutputPair {
    /// Whether both are the same.
    pub fn is_same(&self) -> bool {
        self.sha256[0] == self.sha256[1]
    }
}

/// A step that the two plans have with different keys.
#[derive(Clone, Debug, Serialize)]
pub struct KeyDifference {
    /// Its label.
    pub step: String,
    /// The rows that differ.
    pub rows: Vec<String>,
}

/// A step that gave different results for the same inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Cause {
    /// Its label.
    pub step: String,
    /// The digest of its key.
    pub key: Digest,
    /// The output files that differ because of it.
    pub reaches: Vec<String>,
    /// Files, and other entries, that differ; the first ones.
    pub differences: Vec<Difference>,
    /// How many more differ.
    pub more: usize,
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The output of the step.
    pub output: String,
    /// The path in that output, and in the images and archives below it, from the outermost.
    pub path: Vec<String>,
    /// What differs: `mode`, `content` …
    pub what: String,
    /// The place in the content, by its meaning or as an offset.
    pub place: Option<String>,
    /// Both values, or the surroundings of the first difference of contents.
    pub values: [String; 2],
    /// What the values are, if they are recognised.
    pub hint: Option<String>,
}
