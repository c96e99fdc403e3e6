//! A comparison as one HTML page that refers to nothing outside.

use std::fmt::Write as _;

use super::{Comparison, Topic};
use crate::html::{escape, page};

const STYLE: &str = "\
body{max-width:90rem}
nav{display:flex;flex-wrap:wrap;gap:.5rem;margin:1rem 0}nav a{padding:.15rem .6rem;border:1px solid var(--line);border-radius:1rem;color:inherit;text-decoration:none}
table{border-collapse:collapse;width:100%;table-layout:fixed}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
th{background:var(--head);font-weight:600}th:nth-child(2){width:9rem}
.place{color:var(--dim)}.old{color:var(--del)}.new{color:var(--ins)}.none{color:var(--dim)}
li{margin:.2rem 0;overflow-wrap:anywhere}
@media(max-width:45rem){thead{display:none}table,tbody,tr,td{display:block;width:100%}
tr{border-bottom:1px solid var(--line);padding:.5rem 0}td{border:0;padding:.1rem 0}td[data-label]:before{content:attr(data-label) \": \";color:var(--dim)}}";

/// The page. `before` and `after` are the names of the two sides.
pub fn html(comparison: &Comparison, before: &str, after: &str) -> String {
    let mut out = String::new();
    let (old, new) = (escape(before), escape(after));
    let count = comparison.differences.len();
    let _ = write!(
        out,
        "<h1>{}</h1>\n<p><span class=\"old\">−</span> <code>{old}</code></p>\n<p><span class=\"new\">+</span> <code>{new}</code></p>\n",
        match count {
            0 => "No differences".to_owned(),
            1 => "1 difference".to_owned(),
            count => format!("{count} differences"),
        }
    );
    let topics: Vec<(Topic, usize)> = Topic::ALL
        .into_iter()
        .map(|topic| (topic, comparison.differences.iter().filter(|difference| difference.topic == topic).count()))
        .filter(|(_, count)| *count > 0)
        .collect();
    if topics.len() > 1 {
        out.push_str("<nav>");
        for (topic, count) in &topics {
            let _ = write!(out, "<a href=\"#{topic:?}\">{} ({count})</a>", topic.title());
        }
        out.push_str("</nav>\n");
    }
    for (topic, _) in topics {
        let _ = write!(
            out,
            "<h2 id=\"{topic:?}\">{}</h2>\n<table><thead><tr><th>What</th><th>Property</th><th>Before</th><th>After</th></tr></thead><tbody>\n",
            topic.title()
        );
        for difference in comparison.differences.iter().filter(|difference| difference.topic == topic) {
            let place = match difference.place.as_str() {
                "" => String::new(),
                place => format!("<span class=\"place\">{}//</span>", escape(place)),
            };
            let property = match (difference.property, &difference.before, &difference.after) {
                ("", None, _) => "added",
                ("", _, None) => "removed",
                ("", ..) => "changed",
                (property, ..) => property,
            };
            let value = |value: &Option<String>, class: &str| match value {
                Some(value) => format!("<code class=\"{class}\">{}</code>", escape(value)),
                None => "<span class=\"none\">—</span>".to_owned(),
            };
            let _ = writeln!(
                out,
                "<tr><td>{place}<code>{}</code></td><td>{property}</td><td data-label=\"before\">{}</td><td data-label=\"after\">{}</td></tr>",
                escape(&difference.subject),
                value(&difference.before, "old"),
                value(&difference.after, "new")
            );
        }
        out.push_str("</tbody></table>\n");
    }
    if !comparison.notes.is_empty() {
        out.push_str("<h2>Without meaning</h2>\n<ul>\n");
        for note in &comparison.notes {
            let _ = writeln!(out, "<li>{}</li>", escape(note));
        }
        out.push_str("</ul>\n");
    }
    page("dbco diff", STYLE, &out)
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    #[test]
    fn foreign_text_stays_escape() {
        let difference = Difference {
            topic: Topic::File,
            place: "a.iso".into(),
            subject: "<script>alert(1)</script>".into(),
            property: "content",
            before: Some("\"a\" & b\u{202e}".into()),
            after: None,
        };
        let page = html(&Comparison { differences: vec![difference], notes: vec!["<b>".into()] }, "<A>", "B");
        assert!(
            !page.contains("<script") && !page.contains("<b>") && !page.contains("<A>") && !page.contains('\u{202e}')
        );
        assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("&quot;a&quot; &amp; b"));
        assert!(!page.contains("http") && !page.contains("src="));
    }
}
