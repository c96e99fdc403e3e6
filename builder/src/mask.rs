//! Credentials in URLs, removed before anything is shown, logged or written.
//!
//! User names and passwords before an `@` in a URL's authority (RFC 3986 §3.2.1) never reach a terminal, a log or a
//! lock, and the values of query parameters whose names say that they are secret (`token`, `X-Amz-Signature` …) never
//! reach a terminal or a log: every text that may contain a URL goes through [`text`].

use std::borrow::Cow;
use std::ops::Range;

use url::Url;

/// The text without the user information of the URLs in it, and with `***` in place of secret parameters.
/// `ssh://git@host` keeps its user name, which is not secret.
pub fn text(text: &str) -> Cow<'_, str> {
    replaced(text, |secret| match secret {
        Secret::User(_) => String::new(),
        Secret::Parameter(_) => "***".to_owned(),
    })
}

/// The same, with a `*` in place of each character, so that positions in the text stay the same.
pub fn in_place(text: &str) -> Cow<'_, str> {
    // The length in bytes stays the same: spans of findings count bytes. The `@` is kept.
    replaced(text, |secret| match secret {
        Secret::User(span) => "*".repeat(span.len() - 1) + "@",
        Secret::Parameter(span) => "*".repeat(span.len()),
    })
}

fn replaced<'t>(text: &'t str, by: impl Fn(&Secret) -> String) -> Cow<'t, str> {
    let mut masked = String::new();
    let mut done = 0;
    for secret in secrets(text) {
        let span = secret.span();
        masked += &text[done..span.start];
        masked += &by(&secret);
        done = span.end;
    }
    if done == 0 { Cow::Borrowed(text) } else { Cow::Owned(masked + &text[done..]) }
}

/// A word that should be a URL but may not be one: whatever precedes an `@` may be a password, however it is written.
pub fn word(word: &str) -> Cow<'_, str> {
    let masked = text(word);
    let is_url =
        masked.contains("://") && Url::parse(&masked).is_ok_and(|url| url.has_host() || url.scheme() == "file");
    match masked.rfind('@') {
        Some(at) if !is_url => Cow::Owned(format!("***{}", &masked[at..])),
        _ => masked,
    }
}

/// Whether a URL contains a user name or password that would have to be hidden: as a URL parser reads it, which accepts
/// more forms of URLs than [`text`] does.
pub fn has_credentials(url: &str) -> bool {
    let parsed = Url::parse(url).is_ok_and(|url| match url.scheme() {
        scheme if scheme.ends_with("ssh") => url.password().is_some(),
        _ => !url.username().is_empty() || url.password().is_some(),
    });
    parsed || secrets(url).iter().any(|secret| matches!(secret, Secret::User(_)))
}

/// A range of a text that must be hidden; never at its start.
enum Secret {
    /// User information, including its `@`.
    User(Range<usize>),
    /// The value of a parameter.
    Parameter(Range<usize>),
}

impl Secret {
    fn span(&self) -> &Range<usize> {
        let (Self::User(span) | Self::Parameter(span)) = self;
        span
    }

    fn span_mut(&mut self) -> &mut Range<usize> {
        let (Self::User(span) | Self::Parameter(span)) = self;
        span
    }
}

/// Sorted by position; none overlap. Of a text with many URLs each part is read about once.
fn secrets(text: &str) -> Vec<Secret> {
    let (mut users, mut nested, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
    let ends_url = |c: char| matches!(c, '\'' | '"' | '`' | '<' | '>') || c.is_whitespace();
    // Where the word and the line end that contain the last URL.
    let (mut word, mut line) = (0, 0);
    for (at, _) in text.match_indices(':') {
        let Some(start) = authority(text, at) else { continue };
        // A leniently detected URL may lie within another one, whose parameters have already been examined to its end.
        let inside = start < word;
        if start > word {
            word = end(text, start, ends_url);
        }
        let url = &text[start..word];
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        let user = match authority.rfind('@') {
            Some(info) => {
                let secret = !text[..at].ends_with("ssh") || authority[..info].contains(':');
                Some(info).filter(|_| secret && info > 0)
            }
            // No host has such a port: it is the beginning of a password with characters that a URL can't have there.
            None if !has_port(authority) => {
                if start > line {
                    line = end(text, start, |c| c == '\n');
                }
                text[start..line].rfind('@')
            }
            None => None,
        };
        let found = if inside && authority.contains('@') { &mut nested } else { &mut users };
        found.extend(user.map(|info| start..start + info + 1));
        if inside {
            continue;
        }
        let after = user.map_or(0, |info| (info + 1).min(url.len()));
        let query = url[after..].find(['?', '#']).map(|mark| mark + after).map_or(url.len(), |mark| mark + 1);
        parameters.extend(pieces(url, query).filter_map(|piece| {
            let (name, value) = url[piece.clone()].split_once('=')?;
            let from = start + piece.start + name.len() + 1;
            (is_secret(name) && !value.is_empty()).then_some(from..start + piece.end)
        }));
    }
    let holds = |at: usize| {
        let next = parameters.partition_point(|parameter: &Range<usize>| parameter.start <= at);
        next > 0 && at < parameters[next - 1].end
    };
    // Between two parameters of the same URL there are only names.
    nested.retain(|user| !(holds(user.start) && holds(user.end - 1)));
    let users = users.into_iter().chain(nested).map(Secret::User);
    apart(users.chain(parameters.into_iter().map(Secret::Parameter)).collect())
}

/// Sorted by position, with overlapping ranges merged.
fn apart(mut all: Vec<Secret>) -> Vec<Secret> {
    all.sort_by_key(|secret| secret.span().start);
    let mut apart: Vec<Secret> = Vec::new();
    for secret in all {
        match apart.last_mut().map(Secret::span_mut).filter(|last| secret.span().start < last.end) {
            Some(last) => last.end = last.end.max(secret.span().end),
            None => apart.push(secret),
        }
    }
    apart
}

/// The position, from `start` on, of the first character accepted by `ends`, or of another URL's `://`, which is
/// examined separately.
fn end(text: &str, start: usize, ends: impl Fn(char) -> bool) -> usize {
    let rest = &text[start..];
    let end = rest.char_indices().find(|(at, c)| ends(*c) || (*c == ':' && rest[*at..].starts_with("://")));
    end.map_or(text.len(), |(at, _)| start + at)
}

/// The start of the authority of a URL whose scheme ends at `colon`: after `//`, or for http after what lenient parsers
/// accept instead.
fn authority(text: &str, colon: usize) -> Option<usize> {
    let after = &text[colon + 1..];
    let slashes = after.bytes().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
    let before = &text.as_bytes()[..colon];
    let is = |scheme: &[u8]| {
        before.len().checked_sub(scheme.len()).is_some_and(|at| before[at..].eq_ignore_ascii_case(scheme))
    };
    let http = is(b"http") || is(b"https");
    match slashes {
        1.. if http && !(slashes == 2 && after.starts_with("//")) => Some(colon + 1 + slashes),
        _ => after.starts_with("//").then_some(colon + 3),
    }
}

/// Whether the text after a host's colon, if there is one, can be a port.
fn has_port(authority: &str) -> bool {
    let host_end = authority.rfind(']').map_or(0, |end| end + 1);
    authority[host_end..].split_once(':').is_none_or(|(_, port)| {
        // The colon may be punctuation of the sentence.
        port.trim_end_matches([':', ',', ';', '.', ')']).bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The parameters of a URL from `start` on, as ranges within it.
fn pieces(url: &str, start: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = start;
    url[start..].split(['&', ';', '#', '?']).map(move |piece| {
        let range = at..at + piece.len();
        at = range.end + 1;
        range
    })
}

/// Whether a parameter of that name is a secret.
fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let parts =
        ["token", "signature", "secret", "password", "passwd", "credential", "apikey", "accesskey", "authorization"];
    parts.iter().any(|part| name.contains(part)) || ["sig", "key", "auth", "pwd", "jwt"].contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a text with many URLs or colons each part is read once: otherwise these would take hours.
    #[test]
    fn long_texts_take_no_longer_for_each_of_their_urls() {
        for part in ["key: 1\n", "a://", "a://b:c", "http:/", "http:/a:b@", "a://b?token=c&", "a://b@"] {
            let long = part.repeat((1 << 18) / part.len());
            assert!(!text(&long).contains("b@") && !in_place(&long).contains("b@"), "{part}");
            assert_eq!(in_place(&long).len(), long.len());
        }
    }

    #[test]
    fn user_information_is_taken_out_of_every_url() {
        for (given, masked) in [
            ("http://user:secret@host/x", "http://host/x"),
            ("see https://token@host:8080/a?b and http://u:p@h", "see https://host:8080/a?b and http://h"),
            (
                "fatal: unable to access 'https://u:p%40q@host/x.git/': refused",
                "fatal: unable to access 'https://host/x.git/': refused",
            ),
            ("https://u:p@ss@host/", "https://host/"),
            ("ssh://git@host/x", "ssh://git@host/x"),
            ("git+ssh://u:p@host/x", "git+ssh://host/x"),
            ("http://user:sec/ret@host/x", "http://host/x"),
            ("url: \"http:/user:secret@host/x\"", "url: \"http:/host/x\""),
            ("HTTPS:\\\\user:secret@host/x", "HTTPS:\\\\host/x"),
            ("http:///user:secret@host/x", "http:///host/x"),
            ("d:/a@b", "d:/a@b"),
            ("url: http://user:sec ret@host/x # y", "url: http://host/x # y"),
            ("http://user:sec#r?t@host/x", "http://host/x"),
            ("'http://user:it's@host/x' http://a/b", "'http://host/x' http://a/b"),
            ("http://u:se/cret@host/ and http://host:80/a@b", "http://host/ and http://host:80/a@b"),
            ("http://host:80/a@b", "http://host:80/a@b"),
            ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
            ("http://host/a@b", "http://host/a@b"),
            ("mail a@b.c", "mail a@b.c"),
            ("file:///a@b", "file:///a@b"),
        ] {
            assert_eq!(text(given), masked, "{given}");
            assert_eq!(has_credentials(given), given != masked, "{given}");
            assert_eq!(in_place(given).len(), given.len(), "{given}");
            assert!(!in_place(given).contains("secret"), "{given}");
        }
        let sentence = "http://host:80: not found: a@b";
        assert_eq!(text(sentence), sentence);
        assert_eq!(in_place("x http://u:pé@h/"), "x http://*****@h/");
    }

    #[test]
    fn credentials_are_found_as_a_url_parser_finds_them() {
        for url in [
            "http:/user:secret@host/x",
            "http:user:secret@host/x",
            "http:\\\\user:secret@host/x",
            "HTTP://user:secret@host/x",
            " http://user:secret@host/x",
            "http://us er@host/x",
            "http://user:1 2@host/x",
            "http://user:\"secret\"@host/x",
            "http://user:sec\tret@host/x",
            "https://user@host/x",
            "ssh://u:p@host/x",
        ] {
            assert!(has_credentials(url), "{url}");
        }
        for url in [
            "http://host/x",
            "http://host:80/a@b",
            "ssh://git@host/x",
            "git+ssh://git@host/x",
            "git@host:x/y",
            "file:///a@b",
            "a b",
        ] {
            assert!(!has_credentials(url), "{url}");
        }
    }

    #[test]
    fn a_word_that_is_no_url_shows_nothing_before_its_at() {
        for (given, masked) in [
            ("user:secret@host/debian", "***@host/debian"),
            ("http:/user:secret@host/debian", "http:/host/debian"),
            ("debian=user:sec/ret@host", "***@host"),
            ("http://user:secret@host/debian", "http://host/debian"),
            ("http://host/a@b", "http://host/a@b"),
            ("file:///a@b", "file:///a@b"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(word(given), masked, "{given}");
        }
    }

    #[test]
    fn secret_parameters_are_not_shown() {
        for (given, masked) in [
            ("https://h/f.tar?token=abc", "https://h/f.tar?token=***"),
            ("https://h/f?a=1&X-Amz-Signature=ab%2Fc&b=2", "https://h/f?a=1&X-Amz-Signature=***&b=2"),
            (
                "get 'https://u:p@h/f?X-Amz-Credential=k/x&X-Amz-Security-Token=t': 403",
                "get 'https://h/f?X-Amz-Credential=***&X-Amz-Security-Token=***': 403",
            ),
            (
                "https://h/?private_token=x;api_key=y#access_token=z",
                "https://h/?private_token=***;api_key=***#access_token=***",
            ),
            ("https://h/a?sig=1 and https://h/b?KEY=2", "https://h/a?sig=*** and https://h/b?KEY=***"),
            ("https://h/f?to=https://u:p@i/g?auth=x", "https://h/f?to=https://i/g?auth=***"),
            ("https://h/f?version=1&keyboard=us&design=2&token=", "https://h/f?version=1&keyboard=us&design=2&token="),
            ("https://h/token=abc/f", "https://h/token=abc/f"),
            ("token=abc", "token=abc"),
            ("https://h/?token=http:/u:p@i", "https://h/?token=***"),
            ("https://h/?to=http:/u:p@i&token=x", "https://h/?to=http:/i&token=***"),
            ("http:/h/?token=http:/u:p@i&sig=http:\\\\u:p@i b@c", "http:/h/?token=***&sig=*** b@c"),
        ] {
            assert_eq!(text(given), masked, "{given}");
            assert_eq!(in_place(given).len(), given.len(), "{given}");
            assert_eq!(text(&text(given)), masked, "{given}");
        }
        assert!(!has_credentials("https://h/f?token=abc"));
        assert_eq!(in_place("x https://h/?sig=aé y"), "x https://h/?sig=*** y");
    }
}
