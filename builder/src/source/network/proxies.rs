//! The proxy that a request goes through, for errors: the proxy may be at fault.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use crate::mask;

/// The proxies of the environment: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`. The client reads them with the
/// same code.
#[derive(Default)]
pub(super) struct Proxies(Option<Matcher>);

impl Proxies {
    pub(super) fn of_environment() -> Self {
        Self(Some(Matcher::from_system()))
    }

    /// ` (through the proxy …)` for a URL that is requested through one; otherwise empty. Credentials are left out.
    pub(super) fn named(&self, url: &Url) -> String {
        let uri = url.as_str().parse().ok();
        let Some(proxy) = self.0.as_ref().zip(uri).and_then(|(matcher, uri)| matcher.intercept(&uri)) else {
            return String::new();
        };
        let proxy = proxy.uri().to_string();
        format!(" (through the proxy {})", mask::text(proxy.trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_without_its_login() {
        let matcher = Matcher::builder()
            .http("http://ann:secret@proxy.example:3128")
            .https("http://other.example:8080/")
            .no("inside.example,10.0.0.0/8");
        let proxies = Proxies(Some(matcher.build()));
        for (url, expected) in [
            ("http://a.example/x", " (through the proxy http://proxy.example:3128)"),
            ("http://u:p@a.example:81/x?y", " (through the proxy http://proxy.example:3128)"),
            ("https://a.example/x", " (through the proxy http://other.example:8080)"),
            ("https://b.inside.example/x", ""),
            ("http://10.1.2.3/x", ""),
            ("file:///x", ""),
        ] {
            assert_eq!(proxies.named(&Url::parse(url).unwrap()), expected, "{url}");
        }
        assert_eq!(Proxies::default().named(&Url::parse("http://a.example/").unwrap()), "");
    }
}
