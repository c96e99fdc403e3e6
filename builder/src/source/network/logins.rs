//! The user's credentials: netrc and apt's authentication files (apt_auth.conf(5)).
//!
//! Both are lists of words: `machine HOST login USER password PASSWORD`. apt's hosts may include a scheme, a port and a
//! path, and apply only to https unless they state another scheme; netrc's apply to any scheme. A netrc's `default`
//! entry is not used: it would send the same password to every server.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::input::{LIMIT, read};
use reqwest::Url;

/// A user name and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// The URLs that credentials apply to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CredentialScope {
    /// Any, if not stated.
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
    /// The prefix of the URL's path.
    path: String,
}

/// All of the user's credentials, in order of precedence.
#[derive(Debug, Default)]
pub(super) struct Logins(Vec<(CredentialScope, Credentials)>);

impl Logins {
    /// apt's files first, as most downloads come from mirrors that apt knows. Unreadable files are ignored: apt's files
    /// are often only readable by root.
    pub(super) fn of_user(apt_root: &Path) -> Self {
        let apt = apt_root.join("etc/apt");
        let mut files = vec![apt.join("auth.conf")];
        let parts = fs::read_dir(apt.join("auth.conf.d")).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut parts: Vec<PathBuf> = parts.filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
        parts.sort();
        files.extend(parts);
        // Invalid UTF-8, in a comment or a password, does not affect the other entries.
        let read = |path: &Path| String::from_utf8_lossy(&read(path, LIMIT).unwrap_or_default()).into_owned();
        let mut all: Vec<_> = files.iter().flat_map(|path| parse(&read(path), Some("https"))).collect();
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        if let Some(netrc) = variable("NETRC").or_else(|| variable("HOME").map(|home| home.join(".netrc"))) {
            all.extend(parse(&read(&netrc), None));
        }
        Self(all)
    }

    /// The credentials for a URL, unless the URL contains its own.
    pub(super) fn of(&self, url: &Url) -> Option<&Credentials> {
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        self.0.iter().find(|(machine, _)| machine.fits(url)).map(|(_, login)| login)
    }
}

impl CredentialScope {
    fn parse(text: &str, scheme: Option<&str>) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((stated, rest)) => (Some(stated), rest),
            None => (scheme, text),
        };
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match host.rsplit_once(':') {
            Some((name, port)) if !name.ends_with(':') && !port.contains(']') => (name, Some(port.parse().ok()?)),
            _ => (host, None),
        };
        let scheme = scheme.map(str::to_ascii_lowercase);
        Some(Self { scheme, host: host.to_ascii_lowercase(), port, path: path.trim_end_matches('/').to_owned() })
    }

    fn fits(&self, url: &Url) -> bool {
        let below = match url.path().strip_prefix(&self.path) {
            Some(rest) => self.path.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        };
        self.scheme.as_deref().is_none_or(|scheme| scheme == url.scheme())
            && url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&self.host))
            && (self.port.is_none() || self.port == url.port_or_known_default())
            && below
    }
}

/// The entries of a file; `scheme` applies if an entry states none.
fn parse(text: &str, scheme: Option<&str>) -> Vec<(CredentialScope, Credentials)> {
    let mut words = words(text).into_iter();
    let mut entries = Vec::new();
    let mut machine = None;
    let (mut user, mut password) = (None, None);
    let mut finish =
        |machine: &mut Option<CredentialScope>, user: &mut Option<String>, password: &mut Option<String>| {
            if let (Some(machine), Some(user)) = (machine.take(), user.take()) {
                entries.push((machine, Credentials { user, password: password.take().unwrap_or_default() }));
            }
            *password = None;
        };
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" => {
                finish(&mut machine, &mut user, &mut password);
                machine = words.next().and_then(|text| CredentialScope::parse(&text, scheme));
            }
            "default" => finish(&mut machine, &mut user, &mut password),
            "login" => user = words.next(),
            "password" => password = words.next(),
            "account" => drop(words.next()),
            _ => {}
        }
    }
    finish(&mut machine, &mut user, &mut password);
    entries
}

/// Words separated by blanks, or in double quotes; a line that begins with `#` is a comment, and macros (`macdef`) end
/// at an empty line.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut rest = line.trim_start();
        if rest.starts_with('#') {
            continue;
        }
        while !rest.is_empty() {
            let (word, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            if word == "macdef" {
                lines.by_ref().find(|line| line.trim().is_empty());
                break;
            }
            words.push(word.to_owned());
            rest = after.trim_start();
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(entries: &[(CredentialScope, Credentials)], url: &str) -> Option<String> {
        let logins = Logins(entries.to_vec());
        logins.of(&Url::parse(url).unwrap()).map(|login| format!("{}:{}", login.user, login.password))
    }

    #[test]
    fn netrc_counts_for_its_hosts_in_any_scheme() {
        let text = "# mine\nmachine one.example login ann password \"a b\"\nmacdef x\nmachine evil.example\n\n\
            machine two.example:8080\n  login bob\n  account z\n  password #c\ndefault login all password all\n";
        let entries = parse(text, None);
        for (url, login) in [
            ("http://one.example/x", Some("ann:a b")),
            ("https://ONE.example:444/x", Some("ann:a b")),
            ("https://own:pw@one.example/", None),
            ("http://two.example:8080/", Some("bob:#c")),
            ("http://two.example/", None),
            ("http://sub.one.example/", None),
            ("http://evil.example/", None),
            ("http://other.example/", None),
        ] {
            assert_eq!(user(&entries, url).as_deref(), login, "{url}");
        }
    }

    #[test]
    fn apt_counts_for_https_and_below_the_path() {
        let text = "machine m.example/deb login a password 1\nmachine http://plain.example login b password 2\n\
            machine m.example login c password 3\n";
        let entries = parse(text, Some("https"));
        for (url, login) in [
            ("https://m.example/deb/dists/x", Some("a:1")),
            ("https://m.example/deb", Some("a:1")),
            ("https://m.example/debian/x", Some("c:3")),
            ("http://m.example/deb/x", None),
            ("http://plain.example/x", Some("b:2")),
            ("https://plain.example/x", None),
        ] {
            assert_eq!(user(&entries, url).as_deref(), login, "{url}");
        }
    }
}
