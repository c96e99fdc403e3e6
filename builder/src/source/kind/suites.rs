//! Suites of Debian archives in recipes, and differences between two of them.

use std::path::{Component, Path, PathBuf};

use super::changed;
use crate::platform::Platform;
use crate::source::keys;
use crate::source::{Archive, Suites, suggested_suite};
use crate::yaml::decode::{At, Decode, FindingSink, Table, wrong_type};
use crate::yaml::node::{YamlNode, YamlValue};

/// The context in which a recipe's sources are decoded.
#[derive(Clone, Copy, Debug)]
pub struct SourceContext<'a> {
    /// The folder of the image recipe.
    pub recipe: &'a Path,
    /// The folder of its project, which the lock's paths are relative to.
    pub project: &'a Path,
    /// The default architecture of packages.
    pub platform: Platform,
}

/// Reads `debian`: one suite or a list of suites, each a name or a mapping; or a mapping whose `suites` share the other
/// keys.
pub fn decode_suites(node: &YamlNode, scope: SourceContext<'_>, sink: &FindingSink) -> Option<Suites> {
    let components = vec!["main".to_owned()];
    let defaults =
        Archive { suite: String::new(), components, arch: scope.platform.names().debian.to_owned(), keyring: None };
    let (nodes, defaults): (&[YamlNode], _) = match &node.value {
        YamlValue::List(nodes) => (nodes, defaults),
        YamlValue::Map(pairs) if pairs.iter().any(|(key, _)| key.name == "suites") => {
            let table = Table::open(node, &keys::SUITES, sink)?;
            let list = table.node("suites")?;
            let defaults = with_common_keys(&table, defaults, scope, sink);
            if let Some(span) = table.refused("suite") {
                let message = "`suite` and `suites` exclude each other";
                let help = "a list, `debian: [bookworm, bookworm-security]`, replaces the suite of an extended recipe";
                sink.borrow_mut().add("suites", span, message).help(help);
            }
            table.close();
            let YamlValue::List(nodes) = &list.value else {
                wrong_type(list, "a list of suites", sink);
                return None;
            };
            (nodes, defaults)
        }
        _ => (std::slice::from_ref(node), defaults),
    };
    let archives: Vec<_> = nodes.iter().map(|node| decode_archive(node, &defaults, scope, sink)).collect();
    match Suites::new(archives.into_iter().collect::<Option<_>>()?) {
        Ok(suites) => Some(suites),
        Err(error) => {
            sink.borrow_mut().add("suites", node.span, error.to_string());
            None
        }
    }
}

fn decode_archive(
    node: &YamlNode,
    defaults: &Archive,
    scope: SourceContext<'_>,
    sink: &FindingSink,
) -> Option<Archive> {
    let (suite, archive): (At<String>, _) = match &node.value {
        YamlValue::Text { .. } => (At::decode(node, sink)?, defaults.clone()),
        YamlValue::Map(_) => {
            let table = Table::open(node, &keys::SUITE, sink)?;
            let suite = table.required("suite");
            let archive = with_common_keys(&table, defaults.clone(), scope, sink);
            table.close();
            (suite?, archive)
        }
        _ => {
            wrong_type(node, "a suite's name or a mapping with `suite`", sink);
            return None;
        }
    };
    check_suite(&suite, archive.keyring.as_deref(), sink);
    Some(Archive { suite: suite.value, ..archive })
}

/// The keys that describe an archive, other than its suite.
fn with_common_keys(table: &Table<'_>, defaults: Archive, scope: SourceContext<'_>, sink: &FindingSink) -> Archive {
    table.note_default_list("components", &defaults.components);
    table.note_default("arch", &defaults.arch);
    Archive {
        suite: defaults.suite,
        components: table.optional("components").unwrap_or(defaults.components),
        arch: table.optional("arch").unwrap_or(defaults.arch),
        keyring: keyring(table, scope, sink).or(defaults.keyring),
    }
}

/// A suite's name becomes part of a URL. With the built-in keys it can only be one of Debian's.
pub(super) fn check_suite(suite: &At<String>, keyring: Option<&str>, sink: &FindingSink) {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-._~".contains(&c));
    if !suite.split('/').all(|name| part(name) && name != "." && name != "..") {
        let message = format!("`{}` is not the name of a suite", suite.value.escape_debug());
        sink.borrow_mut().add("suites", suite.span, message).label("such as `bookworm`");
    } else if let Some(meant) = suggested_suite(suite).filter(|_| keyring.is_none()) {
        let message = format!("Debian has no suite `{}`", suite.value);
        let help = "an archive of another name needs its own `keyring`";
        sink.borrow_mut().add("suites", suite.span, message).suggest(meant).help(help);
    }
}

/// Reads `keyring`: the file with an archive's keys, relative to the image recipe; gives its path relative to the
/// project.
pub(super) fn keyring(table: &Table<'_>, scope: SourceContext<'_>, sink: &FindingSink) -> Option<String> {
    let keyring: At<String> = table.optional("keyring")?;
    if !scope.recipe.join(&keyring.value).is_file() {
        let message = format!("there is no keyring `{}` in {}", keyring.value, scope.recipe.display());
        sink.borrow_mut().add("missing-file", keyring.span, message).help("its path is relative to the image recipe");
    }
    Some(relative(&keyring.value, scope))
}

/// Converts a path relative to a recipe's folder to one relative to the folder of its project: then recipes in several
/// folders that name the same file have the same request.
fn relative(path: &str, SourceContext { recipe: of, project, .. }: SourceContext<'_>) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (of, project) = (absolute(of), absolute(project));
    let Some(below) = of.strip_prefix(&project).ok().filter(|below| !below.as_os_str().is_empty()) else {
        return path.to_owned();
    };
    let joined = below.join(path);
    let mut plain = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir if plain.file_name().is_some_and(|name| name != "..") => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    // After a link to a folder, `..` leads elsewhere than the text of the path says.
    let file = |path: &Path| project.join(path).canonicalize().ok();
    let found = if file(&plain) == file(&joined) { plain } else { joined };
    found.to_str().map_or_else(|| path.to_owned(), str::to_owned)
}

/// The differences between the archives of a locked and a wanted request.
pub(super) fn archive_differences(words: &mut Vec<String>, old: &Archive, new: &Archive) {
    let Archive { suite, components, arch, keyring } = new;
    changed(words, "suite", &old.suite, suite);
    changed(words, "components", &old.components.join(" "), &components.join(" "));
    changed(words, "architecture", &old.arch, arch);
    let built_in = "the built-in one";
    changed(words, "keyring", old.keyring.as_deref().unwrap_or(built_in), keyring.as_deref().unwrap_or(built_in));
}
