//! Submodules of a git commit: their repositories according to `.gitmodules` (gitmodules(5)).

use std::collections::BTreeMap;

/// The repositories in a `.gitmodules` file by path, from the records of `git config --list --null`:
/// `submodule.NAME.KEY`, a newline, the value.
pub(super) fn repositories(listing: &[String]) -> BTreeMap<String, String> {
    let mut modules: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for line in listing {
        let Some((key, value)) = line.strip_prefix("submodule.").and_then(|rest| rest.split_once('\n')) else {
            continue;
        };
        // A module's name may contain dots.
        let Some((name, key)) = key.rsplit_once('.') else { continue };
        let module = modules.entry(name).or_default();
        match key {
            "path" => module.0 = Some(value),
            "url" => module.1 = Some(value),
            _ => {}
        }
    }
    modules
        .into_values()
        .filter_map(|(path, url)| Some((path?.trim_end_matches('/').to_owned(), url?.to_owned())))
        .collect()
}

/// The repository that a submodule's URL names: one that begins with `./` or `../` is relative to its parent's
/// (git-submodule(1), `add`). `None` if that leads out of the parent's host.
pub(super) fn absolute(parent: &str, url: &str) -> Option<String> {
    if !url.starts_with("./") && !url.starts_with("../") {
        return Some(url.to_owned());
    }
    // A path follows the host, or for `host:path` the colon.
    let start = match parent.find("://") {
        Some(at) => parent[at + 3..].find('/').map_or(parent.len(), |slash| at + 3 + slash),
        None => parent.find(':').map_or(0, |colon| colon + 1),
    };
    let (host, path) = parent.split_at(start);
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for part in url.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(format!("{host}{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

/// Whether a URL names a folder of this host. A remote commit must not refer to one.
pub(super) fn is_local(url: &str) -> bool {
    url.starts_with("file:") || !url.split('/').next().is_some_and(|first| first.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_found_by_their_paths() {
        let records = [
            "submodule.a.path\nlibs/a",
            "submodule.a.url\nhttps://git.example/a.git",
            "submodule.v1.2/b.path\nb/",
            "submodule.v1.2/b.url\n../b.git?x=y",
            "submodule.v1.2/b.branch\nmain",
            "submodule.no-url.path\nc",
            "core.bare\ntrue",
        ];
        let found = repositories(&records.map(String::from));
        let found: Vec<_> = found.iter().map(|(path, url)| (path.as_str(), url.as_str())).collect();
        assert_eq!(found, [("b", "../b.git?x=y"), ("libs/a", "https://git.example/a.git")]);
    }

    #[test]
    fn relative_urls_are_of_the_parents_host() {
        for (parent, url, absolute_url) in [
            ("https://git.example/team/tool.git", "../lib.git", Some("https://git.example/team/lib.git")),
            ("https://git.example/team/tool.git/", "../../other/lib", Some("https://git.example/other/lib")),
            ("git@git.example:team/tool.git", "../lib.git", Some("git@git.example:team/lib.git")),
            ("file:///srv/git/tool", "./sub", Some("file:///srv/git/tool/sub")),
            ("/srv/git/tool", "../sub", Some("/srv/git/sub")),
            ("https://git.example/tool.git", "https://other.example/x", Some("https://other.example/x")),
            ("https://git.example/tool.git", "../../../x", None),
        ] {
            assert_eq!(absolute(parent, url).as_deref(), absolute_url, "{parent} {url}");
        }
    }

    #[test]
    fn folders_of_this_host_are_told_from_other_places() {
        for (url, local) in [
            ("/srv/git", true),
            ("file:///srv/git", true),
            ("sub/module", true),
            ("https://git.example/x", false),
            ("git@git.example:x/y", false),
            ("ssh://git.example/x", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }
}
