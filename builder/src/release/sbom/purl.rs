//! Package URLs (<https://github.com/package-url/purl-spec>).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the characters that stay as they are in each part of a package URL: letters, digits, `.`, `-`, `_`, `~`, and
/// `:` where it has no meaning.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A Debian package.
pub fn deb(name: &str, version: &str, arch: &str, distro: &str) -> String {
    let mut purl = format!("pkg:deb/debian/{}@{}", escaped(&name.to_ascii_lowercase()), escaped(version));
    let qualifiers: Vec<String> = [("arch", arch), ("distro", distro)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}={}", escaped(value)))
        .collect();
    if !qualifiers.is_empty() {
        purl += &format!("?{}", qualifiers.join("&"));
    }
    purl
}

/// A crate.
pub fn cargo(name: &str, version: &str) -> String {
    format!("pkg:cargo/{}@{}", escaped(name), escaped(version))
}

/// A component that has no package type of its own: the file that it is built from (type `generic`).
pub fn generic(name: &str, version: &str, url: Option<&str>, sha256: Option<&str>) -> String {
    let mut purl = format!("pkg:generic/{}@{}", escaped(name), escaped(version));
    let checksum = sha256.map(|digest| format!("checksum=sha256:{digest}"));
    let key = |url: &str| if url.starts_with("git+") { "vcs_url" } else { "download_url" };
    let url = url.map(|url| format!("{}={}", key(url), escaped(url)));
    let qualifiers: Vec<String> = checksum.into_iter().chain(url).collect();
    if !qualifiers.is_empty() {
        purl += &format!("?{}", qualifiers.join("&"));
    }
    purl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_package_url_is_escaped() {
        assert_eq!(
            deb("libstdc++6", "1:12.2.0-14+deb12u1", "amd64", "debian-12"),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
        assert_eq!(cargo("libc", "0.2.1+a"), "pkg:cargo/libc@0.2.1%2Ba");
        assert_eq!(
            generic("musl", "1.2", Some("https://a.b/c?d"), None),
            "pkg:generic/musl@1.2?download_url=https:%2F%2Fa.b%2Fc%3Fd"
        );
    }
}
