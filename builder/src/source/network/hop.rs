//! Where a request is sent, redirect by redirect, and with which credentials.

use reqwest::Url;

use crate::mask;

use super::failure::Failure;
use super::logins::{Credentials, Logins};
use super::proxies::Proxies;

/// About the same number as in browsers and curl.
const MOST_REDIRECTS: usize = 10;

/// One of the URLs that a request is sent to.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    url: Url,
    /// No redirect on the way here led from https to http.
    secure: bool,
    redirects: usize,
}

impl Hop {
    pub(super) fn first(url: Url) -> Self {
        Self { url, secure: true, redirects: 0 }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The user's credentials for this host, which are never sent after a redirect from https to http: whoever can read
    /// the clear-text part could choose where it leads.
    pub(super) fn login<'l>(&self, logins: &'l Logins) -> Option<&'l Credentials> {
        logins.of(&self.url).filter(|_| self.secure)
    }

    /// The target of the header `Location`.
    pub(super) fn next(&self, location: &str) -> Result<Self, Failure> {
        if self.redirects >= MOST_REDIRECTS {
            let reason = format!("redirects more than {MOST_REDIRECTS} times");
            return Err(Failure { server: true, ..Failure::lasting(reason) });
        }
        let to_no_url = |_| Failure::lasting("redirects to an invalid URL");
        let mut url = self.url.join(location).map_err(to_no_url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::lasting(format!("redirects to a `{}:` URL", url.scheme())));
        }
        // A server does not choose the credentials that another one gets; those in the URL stay with its origin.
        let (user, password) = match url.origin() == self.url.origin() {
            true => (self.url.username(), self.url.password()),
            false => ("", None),
        };
        let _ = (url.set_username(user), url.set_password(password));
        let secure = self.secure && (self.url.scheme() != "https" || url.scheme() == "https");
        Ok(Self { url, secure, redirects: self.redirects + 1 })
    }

    /// A failure of this hop; after a redirect it is not the URL shown in the report, so it is named.
    pub(super) fn failure_here(&self, failure: Failure, proxies: &Proxies) -> Failure {
        if self.redirects == 0 {
            return failure;
        }
        let (url, through) = (self.url.as_str(), proxies.named(&self.url));
        let reason = format!("redirects to {}: {}{through}", mask::text(url), failure.reason);
        Failure { reason, ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first hop, for the given URL.
    fn way(urls: &[&str]) -> Hop {
        let first = Hop::first(Url::parse(urls[0]).unwrap());
        urls[1..].iter().fold(first, |hop, location| hop.next(location).unwrap())
    }

    #[test]
    fn a_login_is_never_told_once_https_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let apt = folder.path().join("etc/apt");
        std::fs::create_dir_all(&apt).unwrap();
        let text = "machine http://with.example login u password p\nmachine https://with.example login u password p\n";
        std::fs::write(apt.join("auth.conf"), text).unwrap();
        let logins = Logins::of_user(folder.path());
        for (urls, expected) in [
            (&["http://with.example/x"][..], true),
            (&["http://a.example/", "http://with.example/"], true),
            (&["http://a.example/", "https://with.example/"], true),
            (&["https://a.example/", "https://with.example/"], true),
            (&["https://a.example/", "http://with.example/"], false),
            (&["https://a.example/", "http://b.example/", "http://with.example/"], false),
            (&["https://a.example/", "http://b.example/", "/c", "/d", "http://with.example/"], false),
            (&["https://a.example/", "http://b.example/", "https://with.example/"], false),
            (&["http://a.example/", "https://b.example/", "http://c.example/", "http://with.example/"], false),
            (&["http://with.example/", "http://without.example/"], false),
        ] {
            assert_eq!(way(urls).login(&logins).is_some(), expected, "{urls:?}");
        }
    }

    #[test]
    fn the_login_of_a_url_stays_with_its_origin() {
        for (urls, end) in [
            (&["http://u:p@a.example/x", "/y"][..], "http://u:p@a.example/y"),
            (&["http://u:p@a.example/x", "http://a.example/y"], "http://u:p@a.example/y"),
            (&["http://u:p@a.example/x", "http://a.example:80/y", "z"], "http://u:p@a.example/z"),
            (&["http://u:p@a.example/x", "http://v:q@a.example/y"], "http://u:p@a.example/y"),
            (&["http://u:p@a.example/x", "http://a.example:81/y"], "http://a.example:81/y"),
            (&["http://u:p@a.example/x", "http://v:q@b.example/y"], "http://b.example/y"),
            (&["https://u:p@a.example/x", "http://a.example/y"], "http://a.example/y"),
            (&["http://u:p@a.example/x", "http://b.example/y", "http://a.example/z"], "http://a.example/z"),
            (&["http://a.example/x", "http://u:p@a.example/y"], "http://a.example/y"),
        ] {
            assert_eq!(way(urls).url().as_str(), end, "{urls:?}");
        }
    }

    #[test]
    fn a_redirect_leads_to_http_alone_and_ends() {
        let from = way(&["http://a.example/x"]);
        for (location, reason) in [
            ("file:///etc/passwd", "a `file:` URL"),
            ("ftp://b.example/", "a `ftp:` URL"),
            ("http://[::1", "an invalid URL"),
        ] {
            assert!(from.next(location).unwrap_err().reason.contains(reason), "{location}");
        }
        let last = (0..MOST_REDIRECTS).fold(from, |hop, _| hop.next("/x").unwrap());
        assert!(last.next("/x").unwrap_err().reason.contains("more than 10 times"));
        let expected = last.failure_here(Failure::passing("answers 503"), &Proxies::default());
        assert_eq!(expected.reason, "redirects to http://a.example/x: answers 503");
        assert!(expected.transient);
    }
}
