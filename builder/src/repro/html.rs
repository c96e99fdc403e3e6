//! The report as a page in one file, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use super::report::{Cause, Report};
use super::text::{compared, subject, verdict};
use crate::html::{escape, page};

const STYLE: &str = "\
body{max-width:60rem}
.good{color:var(--ins)}.bad{color:var(--del)}.dim{color:var(--dim)}
.rows{border-top:1px solid var(--line)}
.rows>div{border-bottom:1px solid var(--line);padding:.4rem 0;display:grid;grid-template-columns:10rem 1fr;gap:0 1rem}
.rows>div>*{overflow-wrap:anywhere;min-width:0}
code,pre{background:var(--head);border-radius:3px}
code{padding:.1em .3em}
pre{padding:.5rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0}
@media(max-width:40rem){.rows>div{grid-template-columns:1fr}}";

/// The page, of all reports.
pub fn html(reports: &[Report]) -> String {
    let mut out = String::new();
    let _ = reports.iter().try_for_each(|report| write_body(&mut out, report));
    let names: Vec<&str> = reports.iter().map(|report| report.recipe.as_str()).collect();
    page(&format!("Two builds of {}", names.join(", ")), STYLE, &out)
}

fn write_body(out: &mut String, report: &Report) -> std::fmt::Result {
    let name = escape(&report.recipe);
    let class = if report.is_identical() { "good" } else { "bad" };
    writeln!(
        out,
        "<h1>Two builds of {name}</h1>\n<p class=\"{class}\"><strong>{}</strong></p>",
        escape(&verdict(report))
    )?;
    writeln!(out, "<p class=\"dim\">dbco {}</p>", escape(&report.builder))?;
    if !report.inputs.is_empty() {
        writeln!(out, "<h2>Different inputs</h2>\n<div class=\"rows\">")?;
        for one in &report.inputs {
            row(out, &one.step, &escape(&one.rows.join(", ")))?;
        }
        writeln!(out, "</div>")?;
    }
    if !report.causes.is_empty() {
        writeln!(out, "<h2>Causes</h2>\n<p>Steps that gave different results for the same inputs.</p>")?;
        report.causes.iter().try_for_each(|cause| write_cause(out, cause))?;
    }
    if !report.affected.is_empty() {
        writeln!(out, "<p>Different as a consequence: {}.</p>", escape(&report.affected.join(", ")))?;
    }
    writeln!(out, "<h2>Outputs</h2>\n<div class=\"rows\">")?;
    for pair in &report.outputs {
        let class = if pair.is_same() { "good" } else { "bad" };
        let mut value = format!("<span class=\"{class}\">{}</span>", escape(&compared(pair)));
        for digest in pair.sha256.iter().flatten().take(if pair.is_same() { 1 } else { 2 }) {
            let _ = write!(value, "<br><code>{digest}</code>");
        }
        row(out, &pair.name, &value)?;
    }
    writeln!(out, "</div>\n<h2>Varied</h2>\n<div class=\"rows\">")?;
    for one in &report.varied {
        let [first, second] = one.values.each_ref().map(|value| escape(value));
        row(out, one.variation.name(), &format!("<code>{first}</code> → <code>{second}</code>"))?;
    }
    writeln!(out, "</div>")?;
    if !report.not_varied.is_empty() {
        writeln!(out, "<h2>Not varied</h2>\n<div class=\"rows\">")?;
        for one in &report.not_varied {
            row(out, &one.name, &escape(&one.reason))?;
        }
        writeln!(out, "</div>")?;
    }
    Ok(())
}

/// A name, and a value that is HTML.
fn row(out: &mut String, name: &str, value: &str) -> std::fmt::Result {
    writeln!(out, "<div><strong>{}</strong><span>{value}</span></div>", escape(name))
}

fn write_cause(out: &mut String, cause: &Cause) -> std::fmt::Result {
    writeln!(out, "<h3>{}</h3>", escape(&cause.step))?;
    if !cause.reaches.is_empty() {
        writeln!(out, "<p>It reaches {}.</p>", escape(&cause.reaches.join(", ")))?;
    }
    for one in &cause.differences {
        let hint = one.hint.as_ref().map(|hint| format!(" <em>{}</em>", escape(hint))).unwrap_or_default();
        let [first, second] = one.values.each_ref().map(|value| escape(value));
        writeln!(out, "<p><code>{}</code>{hint}</p>\n<pre>{first}\n{second}</pre>", escape(&subject(one)))?;
    }
    if cause.more > 0 {
        writeln!(out, "<p>And {} more.</p>", cause.more)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::report::{Difference, OutputPair};
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn nothing_foreign_is_markup() {
        let difference = Difference {
            output: "install".into(),
            path: vec!["/a<script>".into()],
            what: "content".into(),
            place: None,
            values: ["<b>\u{1b}[1m".into(), "&amp;".into()],
            hint: None,
        };
        let (key, step) = (Digest::of(""), "component <i>".to_owned());
        let cause = Cause { step, key, reaches: vec!["x".into()], differences: vec![difference], more: 0 };
        let report = Report {
            recipe: "small".into(),
            builder: "1".into(),
            seconds: [1.0; 2],
            steps: [1; 2],
            varied: Vec::new(),
            not_varied: Vec::new(),
            outputs: vec![OutputPair { name: "x".into(), sha256: [Some(key), None], size: [Some(0), None] }],
            inputs: Vec::new(),
            causes: vec![cause],
            affected: Vec::new(),
        };
        let page = html(std::slice::from_ref(&report));
        for markup in ["<script", "<i>", "<b>", "\u{1b}"] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
        assert!(page.contains("/a&lt;script&gt;") && page.contains("&amp;amp;"), "{page}");
    }
}
