//! Debian in recipes: the suites that packages come from, and the packages.

use super::decode::{At, Decode, Sink, Table, wrong_type};
use super::load::Place;
use super::node::{Node, Value};
use super::project;
use super::text::{Span, suggestion};
use crate::source::{Archive, DebianPackages, PackageRequest, Request, Suites, meant_suite};

/// Reads `debian`: one suite or a list of suites, each a name or a mapping; or a mapping whose `suites` have in common
/// what stands beside them.
pub fn decode_suites(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Suites> {
    let defaults =
        Archive { suite: String::new(), components: vec!["main".to_owned()], arch: "amd64".to_owned(), keyring: None };
    let (nodes, defaults): (&[Node], _) = match &node.value {
        Value::List(nodes) => (nodes, defaults),
        Value::Map(pairs) if pairs.iter().any(|(key, _)| key.name == "suites") => {
            let table = Table::open(node, "Debian's suites", sink)?;
            let list = table.node("suites")?;
            let defaults = with_common_keys(&table, defaults, place, sink);
            if let Some(span) = table.key("suite").filter(|_| table.node("suite").is_some()) {
                let message = "`suite` and `suites` exclude each other";
                let help = "a list, `debian: [bookworm, bookworm-security]`, replaces the suite of an extended recipe";
                sink.borrow_mut().add("suites", span, message).help(help);
            }
            table.close();
            let Value::List(nodes) = &list.value else {
                wrong_type(list, "a list of suites", sink);
                return None;
            };
            (nodes, defaults)
        }
        _ => (std::slice::from_ref(node), defaults),
    };
    let archives: Vec<_> = nodes.iter().map(|node| decode_archive(node, &defaults, place, sink)).collect();
    match Suites::new(archives.into_iter().collect::<Option<_>>()?) {
        Ok(suites) => Some(suites),
        Err(error) => {
            sink.borrow_mut().add("suites", node.span, error.to_string());
            None
        }
    }
}

fn decode_archive(node: &Node, defaults: &Archive, place: &Place<'_>, sink: &Sink) -> Option<Archive> {
    let (suite, archive): (At<String>, _) = match &node.value {
        Value::Text { .. } => (At::decode(node, sink)?, defaults.clone()),
        Value::Map(_) => {
            let table = Table::open(node, "a Debian suite", sink)?;
            let suite = table.required("suite");
            let archive = with_common_keys(&table, defaults.clone(), place, sink);
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

/// The keys that describe an archive beside its suite.
fn with_common_keys(table: &Table<'_>, defaults: Archive, place: &Place<'_>, sink: &Sink) -> Archive {
    Archive {
        suite: defaults.suite,
        components: table.optional("components").unwrap_or(defaults.components),
        arch: table.optional("arch").unwrap_or(defaults.arch),
        keyring: keyring(table, place, sink).or(defaults.keyring),
    }
}

/// A suite's name becomes part of a URL. With the built-in keys it can only be one of Debian's.
pub(super) fn check_suite(suite: &At<String>, keyring: Option<&str>, sink: &Sink) {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-._~".contains(&c));
    if !suite.split('/').all(|name| part(name) && name != "." && name != "..") {
        let message = format!("`{}` is not the name of a suite", suite.value.escape_debug());
        sink.borrow_mut().add("suites", suite.span, message).label("such as `bookworm`");
    } else if let Some(meant) = meant_suite(suite).filter(|_| keyring.is_none()) {
        let message = format!("Debian has no suite `{}`", suite.value);
        let help = "an archive of another name needs its own `keyring`";
        sink.borrow_mut().add("suites", suite.span, message).label(format!("did you mean `{meant}`?")).help(help);
    }
}

/// Reads `keyring`: the file of an archive's keys, relative to the image recipe; gives its path relative to the project.
pub(super) fn keyring(table: &Table<'_>, place: &Place<'_>, sink: &Sink) -> Option<String> {
    let keyring: At<String> = table.optional("keyring")?;
    if !place.root.join(&keyring.value).is_file() {
        let message = format!("there is no keyring `{}` in {}", keyring.value, place.root.display());
        sink.borrow_mut().add("missing-file", keyring.span, message).help("its path is relative to the image recipe");
    }
    Some(project::relative(&keyring.value, place.root, place.project))
}

/// A package of a recipe: `name`, `name/suite`, `name=version`, or a mapping of these; kept in the text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageText(pub String);

impl Decode for PackageText {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let text = match &node.value {
            Value::Map(_) => {
                let table = Table::open(node, "a package", sink)?;
                let name: Option<String> = table.required("name");
                let suite: Option<String> = table.optional("suite");
                let version: Option<String> = table.optional("version");
                table.close();
                PackageRequest { name: &name?, suite: suite.as_deref(), version: version.as_deref() }.to_string()
            }
            Value::Text { text, .. } => text.clone(),
            _ => {
                wrong_type(node, "a package's name or a mapping with `name`", sink);
                return None;
            }
        };
        check_package(&text, node.span, sink);
        Some(Self(text))
    }
}

/// Package names: Debian policy §5.6.1; versions: §5.6.12, with `*` for a pattern.
fn check_package(text: &str, span: Span, sink: &Sink) {
    let PackageRequest { name, suite, version } = PackageRequest::parse(text);
    let of = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    let sound = of(name, b"+-._") && suite.is_none_or(|suite| of(suite, b"+-._~/"));
    if !sound || !version.is_none_or(|version| of(version, b"+-.:~*")) {
        let message = format!("`{}` is not a package", text.escape_debug());
        let help = "a name, `name/suite` or `name=version`";
        sink.borrow_mut().add("package", span, message).label("a package is expected here").help(help);
    }
}

/// The request for packages of suites, once each.
pub fn packages_of(suites: Suites, packages: Vec<At<PackageText>>, closure: bool, sink: &Sink) -> Request {
    for package in &packages {
        let Some(suite) = PackageRequest::parse(&package.value.0).suite else { continue };
        if suites.find(Some(suite)).is_none() {
            let mut findings = sink.borrow_mut();
            let message = format!("the suite `{suite}` of the package is not listed under `debian`");
            let finding = findings.add("suites", package.span, message);
            match suggestion(suite, suites.names()) {
                Some(near) => finding.label(format!("did you mean `{near}`?")),
                None => finding.help(format!("listed: {}", suites.names().collect::<Vec<_>>().join(", "))),
            };
        }
    }
    let mut packages: Vec<String> = packages.into_iter().map(|package| package.value.0).collect();
    packages.sort();
    packages.dedup();
    Request::Debian(DebianPackages { suites, packages, closure })
}
