//! The host's apt sources, in both formats of sources.list(5).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::input::{LIMIT, read_text};
use crate::source::SourceError;

/// One base URL and what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AptSource {
    pub(super) uri: String,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
}

/// Reads `etc/apt` under `root`: sources.list first, then sources.list.d in the order of names. Entries that apt itself
/// would not accept are skipped: reporting them is apt's task.
pub(super) fn read(root: &Path) -> Result<Vec<AptSource>, SourceError> {
    let folder = root.join("etc/apt");
    let mut files = vec![folder.join("sources.list")];
    let mut parts: Vec<PathBuf> = match fs::read_dir(folder.join("sources.list.d")) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => Vec::new(),
    };
    parts.sort();
    files.extend(parts);
    let mut sources = Vec::new();
    for path in files {
        let parse = match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => one_line,
            Some("sources") => deb822,
            _ => continue,
        };
        match read_text(&path, LIMIT) {
            Ok(text) => sources.extend(parse(&text)),
            // No apt on this host, or an unreadable file.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            Err(error) => {
                let (place, message) = (path.display().to_string(), error.to_string());
                return Err(SourceError::Mirror { place, message });
            }
        }
    }
    Ok(sources)
}

/// Only schemes that dbco supports: no `cdrom:`, `mirror+file:`, `tor+http:` …
fn usable(uri: &str) -> bool {
    ["http://", "https://", "file:/"].iter().any(|start| uri.starts_with(start))
}

/// apt also accepts `file:/path`.
fn base(uri: &str) -> String {
    let uri = uri.trim_end_matches('/');
    match uri.strip_prefix("file:/") {
        Some(path) => format!("file:///{}", path.trim_start_matches('/')),
        None => uri.to_owned(),
    }
}

/// `deb [option=value …] URI suite component …`
fn one_line(text: &str) -> Vec<AptSource> {
    let line = |line: &str| -> Option<AptSource> {
        let line = line.split('#').next()?.trim();
        let (kind, rest) = line.split_once(char::is_whitespace)?;
        if kind != "deb" && kind != "deb-src" {
            return None;
        }
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        // A suite that ends in `/` is a flat archive: no dists/, no components.
        (usable(uri) && !suite.ends_with('/')).then(|| AptSource {
            uri: base(uri),
            suites: vec![suite.to_owned()],
            components: words.map(str::to_owned).collect(),
        })
    };
    text.lines().filter_map(line).collect()
}

/// Paragraphs with `Types`, `URIs`, `Suites`, `Components` and perhaps `Enabled: no`.
fn deb822(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    let paragraphs = deb822_fast::Deb822::iter_paragraphs_from_reader(text.as_bytes());
    for paragraph in paragraphs.map_while(Result::ok) {
        let words = |name: &str| -> Vec<String> {
            let field = paragraph.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            field.map_or(Vec::new(), |(_, value)| value.split_whitespace().map(str::to_owned).collect())
        };
        let off = words("Enabled").first().is_some_and(|word| {
            ["no", "false", "without", "off", "disable", "0"].iter().any(|no| word.eq_ignore_ascii_case(no))
        });
        if off || !words("Types").iter().any(|kind| kind == "deb" || kind == "deb-src") {
            continue;
        }
        let suites: Vec<_> = words("Suites").into_iter().filter(|suite| !suite.ends_with('/')).collect();
        if suites.is_empty() {
            continue;
        }
        for uri in words("URIs").iter().filter(|uri| usable(uri)) {
            sources.push(AptSource { uri: base(uri), suites: suites.clone(), components: words("Components") });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suites: &[&str], components: &[&str]) -> AptSource {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        AptSource { uri: uri.to_owned(), suites: own(suites), components: own(components) }
    }

    #[test]
    fn one_line_format_with_options_and_comments() {
        let text = "# deb http://mirror.example/no trixie main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib # local\n\
            deb cdrom:[Debian 12]/ bookworm main\n\
            deb mirror+file:/etc/apt/mirrors.txt bookworm main\n\
            deb http://mirror.example/flat ./\n\
            deb-src\thttp://mirror.example/debian bookworm main\n\
            deb file:/srv/debian bookworm main\n\
            rpm http://mirror.example/rpm bookworm main\n";
        let expected = [
            source("http://mirror.example/debian", &["bookworm"], &["main", "contrib"]),
            source("http://mirror.example/debian", &["bookworm"], &["main"]),
            source("file:///srv/debian", &["bookworm"], &["main"]),
        ];
        assert_eq!(one_line(text), expected);
    }

    #[test]
    fn deb822_format_with_several_values_and_disabled_paragraphs() {
        let text = "# a comment\nTypes: deb deb-src\nURIs: http://a.example/debian https://b.example/debian\n\
            Suites: bookworm\n bookworm-updates\ncomponents: main\nSigned-By: /k.gpg\n\n\
            Enabled: No\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n\n\n\
            Types: deb\nURIs: cdrom://x http://c.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
        let suites = ["bookworm", "bookworm-updates"];
        let expected = [
            source("http://a.example/debian", &suites, &["main"]),
            source("https://b.example/debian", &suites, &["main"]),
            source("http://c.example/debian-security", &["bookworm-security"], &["main"]),
        ];
        assert_eq!(deb822(text), expected);
    }
}
