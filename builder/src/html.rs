//! Reports as HTML pages: one file each, without scripts and without references to anything outside of it, in light and dark.

use crate::printable::printable;

/// Colours, fonts and code, for every page. `--del` and `--ins` are for what is bad or removed, and good or added.
const STYLE: &str = "\
:root{color-scheme:light dark;--text:#1d2126;--dim:#5b6470;--back:#fff;--line:#d9dee4;--head:#f3f5f7;--del:#b3261e;--ins:#146c2e}
@media(prefers-color-scheme:dark){:root{--text:#e4e7eb;--dim:#9aa5b1;--back:#15181c;--line:#333a42;--head:#1f242a;--del:#ff8a80;--ins:#7ddc93}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back)}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .3rem}
p{margin:.3rem 0}code,td{overflow-wrap:anywhere}code,pre{font:.9em ui-monospace,monospace}
@media(max-width:45rem){body{padding:1rem}}
";

/// A page with the given title, additional style, and body; `body` is HTML.
pub fn page(title: &str, style: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}</body></html>\n",
        escape(title)
    )
}

/// Text for HTML: control characters are shown as escapes, and what has a meaning in HTML is escaped.
pub fn escape(text: &str) -> String {
    let text = printable(text).to_string();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_no_markup() {
        let made = page("<b>", "", &escape("<script>\u{1b}[1m\u{202e}\"&amp;\""));
        assert!(made.contains("<title>&lt;b&gt;</title>"), "{made}");
        assert!(made.contains("&lt;script&gt;") && made.contains("&quot;&amp;amp;&quot;"), "{made}");
        assert!(!made.contains('\u{1b}') && !made.contains('\u{202e}') && !made.contains("http"), "{made}");
    }
}
