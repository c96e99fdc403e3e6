//! Plain text from a terminal's output.

/// Strips control sequences (ECMA-48) from a stream of bytes, whatever its chunks are.
#[derive(Default)]
pub(super) struct Screen {
    state: ParserState,
    /// The start of an incomplete UTF-8 sequence.
    partial: Vec<u8>,
}

#[derive(Default)]
enum ParserState {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte, as in `ESC ( B`.
    Intermediate,
    /// After `ESC [`.
    Control,
    /// After `ESC ]`, to BEL or `ESC \`.
    Command,
}

impl Screen {
    /// Appends the text of `bytes` to `text`.
    pub(super) fn show(&mut self, bytes: &[u8], text: &mut String) {
        for &byte in bytes {
            self.state = match self.state {
                ParserState::Text => {
                    if byte == 0x1b {
                        self.flush(text);
                        ParserState::Escape
                    } else {
                        self.character(byte, text);
                        ParserState::Text
                    }
                }
                ParserState::Escape => match byte {
                    b'[' => ParserState::Control,
                    b']' => ParserState::Command,
                    0x20..=0x2f => ParserState::Intermediate,
                    _ => ParserState::Text,
                },
                ParserState::Intermediate => match byte {
                    0x20..=0x2f => ParserState::Intermediate,
                    _ => ParserState::Text,
                },
                ParserState::Control => match byte {
                    0x40..=0x7e => {
                        // A cursor jump starts a new line of text: GRUB draws its menu that way.
                        if matches!(byte, b'H' | b'f' | b'd') && !text.is_empty() && !text.ends_with('\n') {
                            text.push('\n');
                        }
                        ParserState::Text
                    }
                    0x1b => ParserState::Escape,
                    _ => ParserState::Control,
                },
                ParserState::Command => match byte {
                    0x07 => ParserState::Text,
                    0x1b => ParserState::Escape,
                    _ => ParserState::Command,
                },
            };
        }
        // Complete characters are shown at once.
        if !self.partial.is_empty() && std::str::from_utf8(&self.partial).is_ok() {
            self.flush(text);
        }
    }

    fn character(&mut self, byte: u8, text: &mut String) {
        match byte {
            b'\n' | b'\t' | 0x20..=0x7e => {
                self.flush(text);
                text.push(byte as char);
            }
            0x00..=0x1f | 0x7f => self.flush(text),
            // A continuation byte belongs to the previous ones; any other byte starts a new character.
            0x80..=0xbf => self.partial.push(byte),
            _ => {
                self.flush(text);
                self.partial.push(byte);
            }
        }
    }

    fn flush(&mut self, text: &mut String) {
        text.push_str(&String::from_utf8_lossy(&self.partial));
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_vanish_in_whatever_pieces_they_come() {
        let grub =
            "\u{1b}[2J\u{1b}[1;1H\u{1b}(B\u{1b}[0;30;47m*实时 系统 \u{1b}[5;3H b\r\n\u{1b}]0;title\u{7}\u{1b}7c\u{8}";
        for size in 1..12 {
            let (mut screen, mut text) = (Screen::default(), String::new());
            for piece in grub.as_bytes().chunks(size) {
                screen.show(piece, &mut text);
            }
            assert_eq!(text, "*实时 系统 \n b\nc", "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        let (mut screen, mut text) = (Screen::default(), String::new());
        screen.show(b"a\xff\xfeb\x80\xe5c", &mut text);
        assert_eq!(text, "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}c");
    }
}
