//! Components: programs built from source into an install tree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::decode::{At, Decode, FindingSink, Table, wrong_type};
use super::keys;
use super::limits::Limits;
use super::node::{MappingKey, YamlNode, YamlValue};
use super::origin::{Origin, Unpacking, decode_origin, decode_source};
use super::place::FileFinder;
use super::rootfs::Layout;
use super::text::Span;
use crate::source::CargoLock;

/// A component as described in its YAML file, with every local file found.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name, which is also that of its file.
    pub name: String,
    /// Upstream's version.
    pub version: String,
    /// SPDX licence expression.
    pub license: String,
    /// The archive, tree or folder that is unpacked into `/build/src`.
    pub source: At<Origin>,
    /// How it is unpacked.
    pub unpacking: Unpacking,
    /// The patch series, in order.
    pub patches: Vec<At<Origin>>,
    /// Components whose install trees are at `/deps` during the build.
    pub needs: Vec<At<String>>,
    /// Configuration by Kconfig fragments.
    pub kconfig: Option<KconfigOptions>,
    /// The toolchain for its build; the image recipe's `toolchains.build` if not given.
    pub toolchain: Option<At<String>>,
    /// The `Cargo.lock` with the crates that cargo finds during the build.
    pub cargo: Option<CargoLock>,
    /// Extra environment of every command.
    pub env: BTreeMap<String, String>,
    /// Shell script that builds; empty for none.
    pub build: String,
    /// Shell script that installs under `$OUT`; empty for none.
    pub install: String,
    /// The locations of the scripts, by their keys.
    pub scripts: BTreeMap<&'static str, Span>,
    /// Named outputs: paths relative to the source folder.
    pub files: BTreeMap<String, String>,
    /// The root layouts that its paths are valid for; empty for any.
    pub layouts: Vec<Layout>,
    /// Limits for its archives.
    pub limits: Limits,
    /// The location of its name in its file.
    pub span: Span,
}

/// The output that every component has: its install tree.
pub const INSTALL: &str = "install";

/// How a component is configured.
#[derive(Clone, Debug)]
pub struct KconfigOptions {
    /// The configuration that the fragments are applied to.
    pub base: BaseConfig,
    /// The make target that completes the merged configuration.
    pub resolve: Resolve,
    /// Fragments, in order; later ones override earlier ones.
    pub fragments: Vec<At<PathBuf>>,
    /// Extra arguments of make.
    pub make: Vec<String>,
}

/// The initial configuration.
#[derive(Clone, Debug)]
pub enum BaseConfig {
    /// A make target: `tinyconfig`.
    Target(String),
    /// A complete `.config` file.
    File(At<Origin>),
}

/// How symbols that no fragment names are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// `make olddefconfig`.
    OldDefConfig,
    /// `make oldconfig` with an empty answer to every question (for trees that lack `olddefconfig`).
    OldConfig,
}

impl Resolve {
    /// The make target.
    pub fn target(self) -> &'static str {
        match self {
            Self::OldDefConfig => "olddefconfig",
            Self::OldConfig => "oldconfig",
        }
    }
}

/// Reads a component's file.
pub fn decode(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<Component> {
    let table = Table::open(node, &keys::COMPONENT, sink)?;
    let name = table.required("component");
    let version = table.required("version");
    let _summary: Option<String> = table.optional("summary");
    // Resolved before; listed here so that it is a known key.
    let _ = table.node("extends");
    let license = table.required("license");
    let source = table.node("source").map(|node| (node.span, decode_source(node, place, sink)));
    if source.is_none() {
        table.required::<String>("source");
    }
    let patches = decode_patches(table.node("patches"), place, sink);
    let needs = table.or_default("needs");
    let toolchain = table.optional("toolchain");
    let cargo = table.node("cargo").map(|node| decode_cargo(node, place, sink));
    let kconfig = table.node("kconfig").map(|node| decode_kconfig(node, place, sink));
    let env = pairs(table.or_default("env"));
    let build = table.or_default("build");
    let install = table.or_default("install");
    let scripts = ["build", "install"].into_iter().filter_map(|name| Some((name, table.value(name)?))).collect();
    let files: Vec<(MappingKey, String)> = table.or_default("files");
    if let Some((key, _)) = files.iter().find(|(key, _)| key.name == INSTALL) {
        let message = format!("`{INSTALL}` is the name of the install tree");
        sink.borrow_mut().add("reserved-name", key.span, message).help("give the file another name");
    }
    let files = pairs(files);
    let limits = table.or_default("limits");
    let layouts = table.or_default("layouts");
    let span = table.span;
    table.close();
    let (source_span, source) = source?;
    let (source, unpacking) = source?;
    // An invalid component is not the same as a missing one: otherwise its users would get misleading findings.
    let (cargo, kconfig) = (all_right(cargo)?, all_right(kconfig)?);
    Some(Component {
        name: name?,
        version: version?,
        license: license?,
        source: At { value: source, span: source_span },
        unpacking,
        patches,
        needs,
        kconfig,
        toolchain,
        cargo,
        env,
        build,
        install,
        scripts,
        files,
        limits,
        layouts,
        span,
    })
}

fn pairs(list: Vec<(MappingKey, String)>) -> BTreeMap<String, String> {
    list.into_iter().map(|(key, value)| (key.name, value)).collect()
}

/// Reads a patch series: names under `patches/`, or sources.
pub fn decode_patches(node: Option<&YamlNode>, place: &FileFinder<'_>, sink: &FindingSink) -> Vec<At<Origin>> {
    let nodes = match node.map(|node| &node.value) {
        None | Some(YamlValue::Null) => return Vec::new(),
        Some(YamlValue::List(nodes)) => nodes,
        Some(_) => {
            wrong_type(node.expect("it has a value"), "a list of patches", sink);
            return Vec::new();
        }
    };
    let read = |node: &YamlNode| {
        let value = match &node.value {
            YamlValue::Text { text, .. } => {
                place.find_file("patches", (text, ""), node.span, "patch", sink).map(Origin::path)
            }
            _ => decode_origin(node, place, sink),
        };
        Some(At { value: value?, span: node.span })
    };
    nodes.iter().filter_map(read).collect()
}

/// Reads fragment names: `name` for `kernel-config/name.config`, or a path.
pub fn decode_fragments(names: Vec<At<String>>, place: &FileFinder<'_>, sink: &FindingSink) -> Vec<At<PathBuf>> {
    let find = |name: At<String>| {
        let path = if name.contains('/') {
            place.existing(&name, name.span, "fragment", sink)
        } else {
            place.find_file("kernel-config", (&name.value, ".config"), name.span, "fragment", sink)
        };
        Some(At { value: path?, span: name.span })
    };
    names.into_iter().filter_map(find).collect()
}

/// An optional part: `None` if it is present and invalid.
fn all_right<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(Some(part)) => Some(Some(part)),
        Some(None) => None,
        None => Some(None),
    }
}

fn decode_kconfig(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<KconfigOptions> {
    let table = Table::open(node, &keys::KCONFIG, sink)?;
    let target: Option<String> = table.optional("base");
    let config = table.node("config").map(|node| (node.span, decode_origin(node, place, sink)));
    let words = [("olddefconfig", Resolve::OldDefConfig), ("oldconfig", Resolve::OldConfig)];
    let resolve = table.word_or("resolve", &words, Resolve::OldDefConfig);
    let fragments = decode_fragments(table.or_default("fragments"), place, sink);
    let make = table.or_default("make");
    let span = table.span;
    table.close();
    let base = match (target, config) {
        (Some(target), None) => BaseConfig::Target(target),
        (None, Some((span, origin))) => BaseConfig::File(At { value: origin?, span }),
        _ => {
            let message = "a Kconfig configuration needs either `base` (a make target) or `config` (a whole .config)";
            sink.borrow_mut().add("missing-key", span, message);
            return None;
        }
    };
    Some(KconfigOptions { base, resolve: resolve?, fragments, make })
}

fn decode_cargo(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<CargoLock> {
    let table = Table::open(node, &keys::CARGO, sink)?;
    let lock: Option<At<String>> = table.required("lock");
    table.close();
    let lock = lock?;
    let path = place.existing(&lock, lock.span, "lock", sink)?;
    match CargoLock::load(&path) {
        Ok(read) => Some(read),
        Err(error) => {
            sink.borrow_mut().add("cargo-lock", lock.span, error.to_string());
            None
        }
    }
}

/// A mapping of text to text.
impl Decode for BTreeMap<String, String> {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        Vec::<(MappingKey, String)>::decode(node, sink).map(pairs)
    }
}
