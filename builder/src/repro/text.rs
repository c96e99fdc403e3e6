//! The report as text.

use std::fmt::Write as _;

use super::report::{Cause, Difference, OutputPair, Report};
use crate::session::{bytes, count};

/// The report in lines of text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let width = report.varied.iter().map(|one| one.variation.name().len());
    let width = width.chain(report.not_varied.iter().map(|one| one.name.len())).max().unwrap_or(0);
    writeln!(out, "varied:")?;
    for one in &report.varied {
        let [first, second] = &one.values;
        writeln!(out, "  {:<width$}  {first} -> {second}", one.variation.name())?;
    }
    if !report.not_varied.is_empty() {
        writeln!(out, "not varied:")?;
        for one in &report.not_varied {
            writeln!(out, "  {:<width$}  {}", one.name, one.reason)?;
        }
    }
    writeln!(out, "outputs:")?;
    let width = report.outputs.iter().map(|pair| pair.name.len()).max().unwrap_or(0);
    for pair in &report.outputs {
        writeln!(out, "  {:<width$}  {}", pair.name, compared(pair))?;
    }
    for one in &report.inputs {
        writeln!(out, "the inputs of `{}` differ: {}", one.step, one.rows.join(", "))?;
    }
    for cause in &report.causes {
        write_cause(out, cause)?;
    }
    if !report.affected.is_empty() {
        writeln!(out, "differ as a consequence: {}", report.affected.join(", "))?;
    }
    writeln!(out, "{}", verdict(report))
}

fn write_cause(out: &mut String, cause: &Cause) -> std::fmt::Result {
    writeln!(out, "step `{}` gave different results for the same inputs:", cause.step)?;
    for one in &cause.differences {
        let hint = one.hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
        writeln!(out, "  {}{hint}", subject(one))?;
        let [first, second] = &one.values;
        writeln!(out, "    first:  {first}\n    second: {second}")?;
    }
    if cause.more > 0 {
        writeln!(out, "  and {} more", cause.more)?;
    }
    if !cause.reaches.is_empty() {
        writeln!(out, "  it reaches: {}", cause.reaches.join(", "))?;
    }
    Ok(())
}

/// Whether a pair is the same, with its size.
pub fn compared(pair: &OutputPair) -> String {
    match (pair.sha256, pair.size) {
        ([Some(one), Some(two)], [Some(size), _]) if one == two => {
            format!("the same, {}, sha256 {}", bytes(size), one.short())
        }
        ([Some(one), Some(two)], _) => format!("DIFFERENT, sha256 {} and {}", one.short(), two.short()),
        ([None, None], _) => "not made".to_owned(),
        ([one, _], _) => format!("DIFFERENT, only in the {} build", if one.is_some() { "first" } else { "second" }),
    }
}

/// What differs, in a line: the path, what of it, and the place.
pub fn subject(difference: &Difference) -> String {
    let Difference { output, path, what, place, values: _, hint: _ } = difference;
    let path = std::iter::once(output).chain(path).cloned().collect::<Vec<_>>().join(" > ");
    let place = place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
    format!("{path}: {what}{place}")
}

/// The result in a sentence.
pub fn verdict(report: &Report) -> String {
    let differing = report.outputs.iter().filter(|pair| !pair.is_same()).count();
    let [first, second] = report.seconds.map(|seconds| format!("{seconds:.1} s"));
    let took = format!("({} in {first} and {second})", count(report.steps[0], "step"));
    if report.is_identical() {
        format!("{}: {} identical {took}", report.recipe, count(report.outputs.len(), "output"))
    } else if differing == 0 {
        format!("{}: the outputs are identical, but results on the way to them differ {took}", report.recipe)
    } else {
        format!("{}: {differing} of {} differ {took}", report.recipe, count(report.outputs.len(), "output"))
    }
}
