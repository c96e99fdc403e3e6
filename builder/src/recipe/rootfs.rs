//! The root filesystem of a recipe.

mod attributes;
mod domain;
mod network;
mod overlay;
mod service;
mod system;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::decode::{At, Decode, FindingSink, Table, required, word, wrong_type};
use super::keys;
use super::node::{MappingKey, YamlNode, YamlValue};
use super::place::FileFinder;
use crate::image::compress::Compression;
use crate::source::{PackageText, Request, decode_suites, packages_of};
use crate::tree::capabilities::Capabilities;

pub use network::{Address, Interface, StaticInterface};
pub use overlay::decode_overlays;
pub use service::{Log, Restart, Service};
pub use system::{Hostname, Keymap, Locale, SystemKeys, TimeZone};

use attributes::{AccountNames, StatedAttributes};

/// What is permitted at the top of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The `Debug` text is part of the keys of steps: a renamed variant changes them.
pub enum Layout {
    /// `/system` and `/usr`, in addition to the kernel's mount points `/dev`, `/proc` and `/sys`.
    Split,
    /// The Filesystem Hierarchy Standard.
    Fhs,
    /// Only an application's own content: `/usr`.
    App,
}

impl Layout {
    /// Its word in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Fhs => "fhs",
            Self::App => "app",
        }
    }

    /// The folder of system-wide configuration, without the leading slash.
    pub fn etc(self) -> &'static str {
        match self {
            Self::Split => "system/etc",
            Self::Fhs => "etc",
            Self::App => "usr/etc",
        }
    }

    /// The names at the top of the root that programs may refer to: an application also sees the system that it shares.
    pub fn reachable(self) -> Option<&'static [&'static str]> {
        match self {
            Self::App => Self::Split.top(),
            other => other.top(),
        }
    }

    /// The permitted names at the top of the root; `None` for any.
    pub fn top(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Split => Some(&["dev", "proc", "sys", "system", "usr"]),
            Self::Fhs => None,
            Self::App => Some(&["usr"]),
        }
    }
}

impl Decode for Layout {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        word(node, &[Self::App, Self::Split, Self::Fhs].map(|layout| (layout.name(), layout)), sink)
    }
}

/// The live system's root filesystem.
#[derive(Clone, Debug)]
pub struct Rootfs {
    /// What is permitted at its top.
    pub layout: Layout,
    /// Components whose install trees it contains.
    pub components: Vec<At<String>>,
    /// Debian packages and their transitive dependencies.
    pub packages: Option<At<Request>>,
    /// Patterns of paths in packages that are left out of the image.
    pub exclude: Vec<At<String>>,
    /// Diversions that packages' maintainer scripts would have made.
    pub diversions: Vec<StatedDiversion>,
    /// Folders that are copied into it.
    pub overlays: Vec<Overlay>,
    /// Accounts.
    pub users: Vec<User>,
    /// Groups in addition to those of the accounts.
    pub groups: Vec<(At<String>, u32)>,
    /// Folders that must exist. Their attributes take precedence over those of other origins.
    pub dirs: Vec<Attributes>,
    /// Device nodes.
    pub nodes: Vec<DeviceNode>,
    /// Symbolic links: path to target.
    pub links: Vec<(At<String>, String)>,
    /// Modes, owners and extended attributes that differ from those of the origins; applied in order, after everything
    /// else.
    pub attributes: Vec<Attributes>,
    /// Programs that it runs from its start.
    pub services: Vec<Service>,
    /// Host name, time zone, locale, keyboard and network cards.
    pub system: SystemKeys,
    /// Paths for which a later origin may replace an earlier one; a trailing `/**` covers everything below.
    pub replace: Vec<At<String>>,
    /// What the audit ignores: `<path>: <string>`, either with `*`.
    pub audit_allow: Vec<At<String>>,
}

/// An account.
#[derive(Clone, Debug)]
pub struct User {
    /// Login name.
    pub name: At<String>,
    /// User id.
    pub uid: u32,
    /// Primary group's id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// crypt(3) hash; `!` locks the password, empty asks for none.
    pub password: String,
    /// Full name.
    pub gecos: String,
    /// Lines of `.ssh/authorized_keys`.
    pub ssh_keys: Vec<At<String>>,
}

/// A folder of the project that is copied into the root.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Its path.
    pub path: At<PathBuf>,
    /// Whether its files and folders keep their permission bits; otherwise they get 755 or 644 depending on the owner's
    /// executable bit.
    pub keep_modes: bool,
}

/// A diverted path of packages, as by dpkg-divert(1).
#[derive(Clone, Debug)]
pub struct StatedDiversion {
    /// The path.
    pub from: At<String>,
    /// The new path.
    pub to: String,
    /// The package whose own file stays at `from`; `None` if all are diverted (`dpkg-divert --local`).
    pub by: Option<String>,
}

/// Mode, owner and extended attributes to set on a path. An absent field is left unchanged.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// The path; under `attributes` it may be a pattern.
    pub path: At<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Capabilities of a program; stored as the attribute `security.capability`.
    pub capabilities: Option<Capabilities>,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Attributes {
    /// The extended attributes to set, including those of `capabilities`.
    pub fn all_xattrs(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = self.xattrs.clone();
        if let Some(capabilities) = self.capabilities {
            all.insert(crate::tree::capabilities::XATTR.to_owned(), capabilities.encode());
        }
        all
    }
}

/// A device node.
#[derive(Clone, Debug)]
pub struct DeviceNode {
    /// The path.
    pub path: At<String>,
    /// Whether it is a block device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Permission bits, written as octal text: `"0755"`.
struct Octal(u32);

impl std::fmt::Display for Octal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Decode for Octal {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
            let digits = text.strip_prefix("0o").unwrap_or(text);
            match u32::from_str_radix(digits, 8) {
                Ok(mode) if mode <= 0o7777 => return Some(Self(mode)),
                _ => {}
            }
        }
        wrong_type(node, "permission bits in octal (\"0755\")", sink);
        None
    }
}

/// Reads `rootfs`.
pub fn decode_rootfs(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<(Rootfs, Compression)> {
    let table = Table::open(node, &keys::ROOTFS, sink)?;
    let rootfs = rootfs_keys(&table, &[("split", Layout::Split), ("fhs", Layout::Fhs)], place, sink);
    let compression = table.or("compression", Compression::Zstd);
    table.close();
    Some((rootfs, compression))
}

/// A template of systems or applications, if it is not the root filesystem itself.
#[derive(Clone, Debug)]
pub struct Template {
    /// Compression of the archive.
    pub compression: Compression,
    /// Its content; None for the recipe's root filesystem.
    pub content: Option<Rootfs>,
}

impl Default for Template {
    /// The root filesystem, in the form that every vzctl accepts.
    fn default() -> Self {
        Self { compression: Compression::Gzip, content: None }
    }
}

/// Reads `template`.
pub fn decode_template(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<Template> {
    let table = Table::open(node, &keys::TEMPLATE, sink)?;
    let words = [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("xz", Compression::Xz)];
    let compression = table.word_or("compression", &words, Template::default().compression);
    let layouts = [("app", Layout::App), ("split", Layout::Split), ("fhs", Layout::Fhs)];
    let content = table.node("layout").map(|_| rootfs_keys(&table, &layouts, place, sink));
    table.close();
    Some(Template { compression: compression.unwrap_or(Template::default().compression), content })
}

fn rootfs_keys(
    table: &Table<'_>,
    layouts: &[(&'static str, Layout)],
    place: &FileFinder<'_>,
    sink: &FindingSink,
) -> Rootfs {
    let layout = required(table, "layout", |node| word(node, layouts, sink));
    let packages: Vec<At<PackageText>> = table.or_default("packages");
    let suites = match table.node("debian") {
        Some(node) => decode_suites(node, place.scope, sink).map(|suites| (suites, node.span)),
        None if packages.is_empty() => None,
        None => {
            table.required::<String>("debian");
            None
        }
    };
    let suites = suites.filter(|_| !packages.is_empty());
    let packages = suites.map(|(suites, span)| At { value: packages_of(suites, packages, true, sink), span });
    let overlays = decode_overlays(table, place, sink);
    let links: Vec<(MappingKey, String)> = table.or_default("links");
    let links = links.into_iter().map(|(key, target)| (At { value: key.name, span: key.span }, target)).collect();
    let groups: Vec<StatedGroup> = table.or_default("groups");
    let audit_allow = table.node("audit").and_then(|node| {
        let table = Table::open(node, &keys::AUDIT, sink)?;
        let allow = table.or_default("allow");
        table.close();
        Some(allow)
    });
    if let Some(span) = table.refused("modes") {
        let message =
            "`modes` was renamed to `attributes`, which also takes patterns, capabilities and extended attributes";
        sink.borrow_mut().add("unknown-key", span, message).label("write `attributes:`");
    }
    let users: Vec<User> = table.or_default("users");
    let names = AccountNames { users: &users, groups: &groups };
    let stated =
        |list: Vec<StatedAttributes>| list.into_iter().filter_map(|stated| names.resolve(stated, sink)).collect();
    let dirs = stated(table.or_default("dirs"));
    let attributes = stated(table.or_default("attributes"));
    Rootfs {
        // An invalid word has been reported already; the rest is still checked.
        layout: layout.unwrap_or(Layout::Split),
        components: table.or_default("components"),
        packages,
        exclude: table.or_default("exclude"),
        diversions: table.or_default("diversions"),
        overlays,
        users,
        groups: groups.into_iter().map(|group| (group.name, group.gid)).collect(),
        dirs,
        nodes: table.or_default("nodes"),
        links,
        attributes,
        services: table.or_default("services"),
        system: SystemKeys::decode(table),
        replace: table.or_default("replace"),
        audit_allow: audit_allow.unwrap_or_default(),
    }
}

struct StatedGroup {
    name: At<String>,
    gid: u32,
}

impl Decode for StatedGroup {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::GROUP, sink)?;
        let (name, gid) = (table.required("name"), table.required("gid"));
        table.close();
        Some(Self { name: name?, gid: gid? })
    }
}

impl Decode for User {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::USER, sink)?;
        let (name, uid): (Option<At<String>>, Option<u32>) = (table.required("name"), table.required("uid"));
        let gid = table.optional("gid");
        let groups = table.or_default("groups");
        let home = table.optional("home");
        let shell: Option<String> = table.required("shell");
        let password = table.or("password", "!".to_owned());
        let gecos = table.or_default("gecos");
        let ssh_keys = table.or_default("ssh-keys");
        uid.iter().for_each(|uid| table.note_default("gid", uid));
        name.iter().for_each(|name| table.note_default("home", &home_of(&name.value)));
        table.close();
        let (name, uid) = (name?, uid?);
        // A missing shell has been reported already; the account is still checked, with a shell that no check looks
        // for.
        let shell = shell.unwrap_or_else(|| "/usr/sbin/nologin".to_owned());
        let home = home.unwrap_or_else(|| home_of(&name.value));
        Some(Self { name, uid, gid: gid.unwrap_or(uid), groups, home, shell, password, gecos, ssh_keys })
    }
}

/// The home of an account that states none.
fn home_of(name: &str) -> String {
    format!("/usr/home/{name}")
}

impl Decode for StatedDiversion {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::DIVERSION, sink)?;
        let (from, to, by) = (table.required("from"), table.required("to"), table.optional("by"));
        table.close();
        Some(Self { from: from?, to: to?, by })
    }
}

impl Decode for DeviceNode {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::NODE, sink)?;
        let path = table.required("path");
        let block = table.word_or("type", &[("char", false), ("block", true)], false);
        let (major, minor) = (table.required("major"), table.required("minor"));
        let Octal(mode) = table.or("mode", Octal(0o600));
        table.close();
        Some(Self { path: path?, block: block?, major: major?, minor: minor?, mode })
    }
}
