//! Text from outside, made safe for a terminal or a log.
//!
//! Names in archives, messages of servers and output of tools come from outside. Control characters in them move the
//! cursor, change a terminal's title or fake a line of dbco's; bidirectional controls change the order in which text is
//! displayed. Here they are replaced by visible escapes; all other text is unchanged, in any script.
//!
//! Every error formats foreign names with [`printable`]. The module that prints passes all text through [`lines`] or
//! [`styled`] once more.

use std::fmt::{self, Display, Formatter, Write};

/// Foreign text to show within a line. [`Display`] escapes control characters, including line ends and tabs, characters
/// that change the direction of text or are invisible, and bytes that are not UTF-8.
#[derive(Clone, Copy)]
pub struct Printable<'a> {
    bytes: &'a [u8],
    keep: Keep,
}

/// Which control characters are kept.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Nothing,
    LineEnds,
    LineEndsAndStyle,
}

/// A name, or a few words.
pub fn printable<T: AsRef<[u8]> + ?Sized>(text: &T) -> Printable<'_> {
    Printable { bytes: text.as_ref(), keep: Keep::Nothing }
}

/// A path of the host.
pub fn path(path: &std::path::Path) -> Printable<'_> {
    printable(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// Text of several lines: line ends and tabs are kept.
pub fn lines(text: &str) -> Printable<'_> {
    Printable { bytes: text.as_bytes(), keep: Keep::LineEnds }
}

/// Text of several lines that already contains colours: as [`lines`], but sequences that only select colours and weight
/// are kept (ECMA-48, SGR).
pub fn styled(text: &str) -> Printable<'_> {
    Printable { bytes: text.as_bytes(), keep: Keep::LineEndsAndStyle }
}

/// A JSON document on one line. Outside strings JSON has no such characters, and inside they may be written as `\u`
/// escapes (RFC 8259, section 7), so a reader gets the same values.
pub fn json(document: &str) -> String {
    let mut out = String::with_capacity(document.len());
    for c in document.chars() {
        if is_harmless(c) {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            let mut text = chunk.valid();
            while let Some(c) = text.chars().next() {
                let length = match self.keep {
                    Keep::LineEndsAndStyle => style(text),
                    _ => 0,
                };
                if length > 0 {
                    f.write_str(&text[..length])?;
                    text = &text[length..];
                    continue;
                }
                match c {
                    '\n' | '\t' if self.keep != Keep::Nothing => f.write_char(c)?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    c if is_harmless(c) => f.write_char(c)?,
                    c if c.is_ascii() => write!(f, "\\x{:02x}", c as u32)?,
                    c => write!(f, "\\u{{{:x}}}", c as u32)?,
                }
                text = &text[c.len_utf8()..];
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whether a character is visible and does not affect the text around it.
pub fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            // UAX #9, "Directional Formatting Characters"; line and paragraph separators; zero-width characters, except
            // for the joiners that some scripts and emoji need; tags.
            '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{ad}' | '\u{180e}')
}

/// The length in bytes of the SGR sequence that `text` starts with; 0 if it starts with something else.
fn style(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\x1b[") else { return 0 };
    let parameters = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    // 8 hides text.
    let conceals = rest[..parameters].split(';').any(|parameter| parameter == "8");
    if rest[parameters..].starts_with('m') && !conceals { 2 + parameters + 1 } else { 0 }
}

/// A text as part of a file's name: `_` for each character other than letters, digits, `-`, `_` and `.`.
pub fn file_name(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_or_turns_text_around_becomes_visible() {
        for (foreign, shown) in [
            (&b"plain name"[..], "plain name"),
            ("grüße 你好 עברית 🏳️\u{200d}🌈".as_bytes(), "grüße 你好 עברית 🏳️\u{200d}🌈"),
            (b"a\nerror: fake", "a\\nerror: fake"),
            (b"a\r\tb", "a\\r\\tb"),
            (b"\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
            (b"\x1b[31mred", "\\x1b[31mred"),
            (b"\x7f\x00\x08", "\\x7f\\x00\\x08"),
            ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
            (b"\x9b2J \xff\xfe", "\\x9b2J \\xff\\xfe"),
            ("exe.\u{202e}gpj\u{2066}\u{200f}".as_bytes(), "exe.\\u{202e}gpj\\u{2066}\\u{200f}"),
            ("line\u{2028}line\u{feff}\u{200b}".as_bytes(), "line\\u{2028}line\\u{feff}\\u{200b}"),
            ("tag\u{e0041}".as_bytes(), "tag\\u{e0041}"),
            (b"cut off \xe4\xbd", "cut off \\xe4\\xbd"),
        ] {
            assert_eq!(printable(foreign).to_string(), shown);
        }
    }

    #[test]
    fn lines_stay_lines_and_only_our_colours_stay_colours() {
        assert_eq!(lines("a\n\tb\r\x1b[1mc").to_string(), "a\n\tb\\r\\x1b[1mc");
        assert_eq!(
            styled("\x1b[1;31merror\x1b[0m: \x1b[2J\x1b[8mx").to_string(),
            "\x1b[1;31merror\x1b[0m: \\x1b[2J\\x1b[8mx"
        );
        assert_eq!(styled("\x1b[38;5;9mred\x1b[m\x1b[").to_string(), "\x1b[38;5;9mred\x1b[m\\x1b[");
        assert_eq!(path(std::path::Path::new("/a\x1bb")).to_string(), "/a\\x1bb");
    }

    #[test]
    fn a_json_document_keeps_its_values() {
        let value = serde_json::json!({"text": "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}ü"});
        let safe = json(&value.to_string());
        assert!(safe.chars().all(is_harmless), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
