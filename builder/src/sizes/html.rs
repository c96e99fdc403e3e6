//! A measured image as one HTML page with a treemap.

use std::fmt::Write as _;

use super::treemap::{Rectangle, layout};
use super::{Group, Grouping, Part, PartKind, groups};
use crate::html::{escape, page};

/// The most files that the map shows of a group; the rest of it is one rectangle.
const FILES: usize = 150;

/// The most files that the table shows of a group.
const LISTED: usize = 40;

const STYLE: &str = "\
body{max-width:90rem}
.map{position:relative;width:100%;margin:1rem 0;border:1px solid var(--line)}
.wide{aspect-ratio:16/9}.tall{aspect-ratio:3/4;display:none}
.map div{position:absolute;overflow:hidden;border:1px solid var(--back)}
.map .group{background:hsl(var(--h) 55% 78%);color:#15181c}.map .group>div{border-width:0 1px 1px 0;border-color:hsl(var(--h) 40% 62%);padding:1px 3px}
.map b{display:block;font-size:.75rem;line-height:1.1rem;height:1.1rem;padding:0 3px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.map span{display:block;font-size:.7rem;line-height:1rem;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
th{background:var(--head);font-weight:600}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.place{color:var(--dim)}summary{cursor:pointer;overflow-wrap:anywhere}details table{margin:.3rem 0;font-size:.9em}
.swatch{display:inline-block;width:.8rem;height:.8rem;margin-right:.4rem;background:hsl(var(--h) 55% 78%);border:1px solid hsl(var(--h) 40% 50%)}
@media(prefers-color-scheme:dark){.map .group,.swatch{background:hsl(var(--h) 35% 30%);color:#f3f5f7}.map .group>div{border-color:hsl(var(--h) 30% 45%)}}
@media(max-width:45rem){.wide{display:none}.tall{display:block}th.o,td.o{display:none}}";

/// Degrees of the colour circle between two groups: neighbours differ, and colours repeat late.
const HUE: usize = 137;

/// The maps: their class, and about the pixels that they have on a screen. Each is shown on one kind of screen.
const WIDTHS: [(&str, f64, f64); 2] = [("wide", 1400.0, 787.5), ("tall", 390.0, 520.0)];

/// The page of an image; `total` is the name of the image.
pub fn html(image: &Part, total: &str, by: Grouping) -> String {
    let groups = groups(image, by);
    let mut out = String::new();
    let what = match &image.kind {
        PartKind::Container(words) => words.as_str(),
        _ => "a file",
    };
    let _ = write!(
        out,
        "<h1>{}</h1>\n<p>This is {}: {} bytes, {} files. Each rectangle is a file: its area is the bytes of the image that it takes.</p>\n",
        escape(total),
        escape(what),
        grouped(image.bytes),
        groups.iter().map(|group| group.files).sum::<usize>(),
    );
    for (class, width, height) in WIDTHS {
        map(&mut out, &groups, class, Rectangle { x: 0.0, y: 0.0, width, height });
    }
    table(&mut out, &groups, image.bytes);
    page(&format!("Sizes of {total}"), STYLE, &out)
}

/// The map, for screens of one shape. The second one holds the same, so that it is hidden from screen readers.
fn map(out: &mut String, groups: &[Group], class: &str, area: Rectangle) {
    let hidden = if class == "tall" { " aria-hidden=\"true\"" } else { "" };
    let _ = writeln!(
        out,
        "<div class=\"map {class}\" role=\"img\" aria-label=\"Treemap; the table below has its content\"{hidden}>"
    );
    let values: Vec<u64> = groups.iter().map(|group| group.bytes).collect();
    for (index, (group, place)) in groups.iter().zip(layout(&values, area)).enumerate() {
        if place.width * place.height <= 0.0 {
            continue;
        }
        let _ = write!(
            out,
            "<div class=\"group\" style=\"--h:{};{}\" title=\"{}: {} bytes\">",
            index * HUE % 360,
            percent(place, area),
            escape(&group.name),
            grouped(group.bytes)
        );
        // A line with the name, where there is room for it.
        let named = place.width > 60.0 && place.height > 40.0;
        let header = if named { 18.0 } else { 0.0 };
        if named {
            let _ = write!(out, "<b>{}</b>", escape(&group.name));
        }
        files(out, group, place, header);
        out.push_str("</div>\n");
    }
    out.push_str("</div>\n");
}

fn files(out: &mut String, group: &Group, place: Rectangle, header: f64) {
    let (shown, rest) = group.members.split_at(group.members.len().min(FILES));
    let mut values: Vec<u64> = shown.iter().map(|(_, bytes)| *bytes).collect();
    let mut names: Vec<String> = shown.iter().map(|(name, _)| name.clone()).collect();
    let left: u64 = rest.iter().map(|(_, bytes)| bytes).sum();
    // The sum of the rest may be larger than the smallest of those before it: the layout takes any order.
    if left > 0 {
        values.push(left);
        names.push(format!("{} more files", rest.len()));
    }
    let inner = Rectangle { x: 0.0, y: header, width: place.width, height: place.height - header };
    let around = Rectangle { x: 0.0, y: 0.0, ..place };
    for ((name, bytes), at) in names.iter().zip(&values).zip(layout(&values, inner)) {
        // Less than a pixel of a small screen.
        if at.width < 2.0 || at.height < 2.0 {
            continue;
        }
        let short = name.rsplit('/').next().unwrap_or(name);
        let label = match at.width > 60.0 && at.height > 24.0 {
            true => format!("<span>{}</span>", escape(short)),
            false => String::new(),
        };
        let title = format!("{}: {} bytes", escape(name), grouped(*bytes));
        let _ = write!(out, "<div style=\"{}\" title=\"{title}\">{label}</div>", percent(at, around));
    }
}

/// A rectangle as parts of the one around it.
fn percent(of: Rectangle, around: Rectangle) -> String {
    let part = |value: f64, whole: f64| 100.0 * value / whole.max(f64::MIN_POSITIVE);
    format!(
        "left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%",
        part(of.x - around.x, around.width),
        part(of.y - around.y, around.height),
        part(of.width, around.width),
        part(of.height, around.height)
    )
}

fn table(out: &mut String, groups: &[Group], total: u64) {
    out.push_str(
        "<table><thead><tr><th>What</th><th class=\"n\">Bytes</th><th class=\"n\">Share</th><th class=\"n o\">Content</th>\
         <th class=\"n o\">Files</th></tr></thead><tbody>\n",
    );
    for (index, group) in groups.iter().enumerate() {
        let place = match &group.place {
            Some(place) => format!(" <span class=\"place\">{}</span>", escape(place)),
            None => String::new(),
        };
        let swatch = format!("<span class=\"swatch\" style=\"--h:{}\"></span>", index * HUE % 360);
        let name = format!("{swatch}{}{place}", escape(&group.name));
        let what = match group.members.len() {
            0 | 1 => name,
            _ => format!("<details><summary>{name}</summary>{}</details>", members(group)),
        };
        let _ = writeln!(
            out,
            "<tr><td>{what}</td><td class=\"n\">{}</td><td class=\"n\">{:.1} %</td><td class=\"n o\">{}</td><td class=\"n o\">{}</td></tr>",
            grouped(group.bytes),
            100.0 * group.bytes as f64 / total.max(1) as f64,
            grouped(group.size),
            group.files
        );
    }
    out.push_str("</tbody></table>\n");
}

fn members(group: &Group) -> String {
    let row = |(name, bytes): &(String, u64)| {
        format!("<tr><td><code>{}</code></td><td class=\"n\">{}</td></tr>", escape(name), grouped(*bytes))
    };
    let mut rows: String = group.members.iter().take(LISTED).map(row).collect();
    if group.members.len() > LISTED {
        let _ = write!(rows, "<tr><td colspan=\"2\">and {} more</td></tr>", group.members.len() - LISTED);
    }
    format!("<table>{rows}</table>")
}

/// Digits in groups of three, separated by narrow spaces that don't break.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for at in (first..digits.len()).step_by(3) {
        if !text.is_empty() {
            text.push('\u{202f}');
        }
        text.push_str(&digits[at..at + 3]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_each_group_and_refers_to_nothing() {
        let file = |path: &str, bytes: u64, origin: &str| Part {
            path: path.into(),
            kind: PartKind::File,
            bytes,
            size: bytes,
            origin: Some(origin.into()),
            place: None,
            parts: Vec::new(),
        };
        let parts =
            vec![file("a<b>", 70_000, "component a"), file("c", 1_234_567, "component c"), file("d", 1, "component a")];
        let image = Part {
            kind: PartKind::Container("a squashfs".into()),
            bytes: 1_304_568,
            parts,
            ..file("x.squashfs", 0, "")
        };
        let page = html(&image, "x.squashfs", Grouping::Origin);
        for expected in
            ["component a", "component c", "1\u{202f}234\u{202f}567", "a&lt;b&gt;", "94.6 %", "Sizes of x.squashfs"]
        {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains("http") && !page.contains("<script") && !page.contains("a<b>"), "{page}");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1\u{202f}000");
    }
}
