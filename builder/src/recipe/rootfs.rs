//! The root filesystem as a recipe states it.

use std::path::PathBuf;

use super::decode::{At, Decode, Sink, Table, word, wrong_type};
use super::image::{existing, required};
use super::load::Place;
use super::node::{Key, Node, Value};
use super::origin::decode_archive;
use crate::image::compress::Compression;
use crate::source::{Archive, Request};

/// What may stand at the top of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `/system` and `/usr`, beside the kernel's mount points `/dev`, `/proc` and `/sys`.
    Split,
    /// As the Filesystem Hierarchy Standard has it.
    Fhs,
    /// An application's own content: `/usr` alone.
    App,
}

impl Layout {
    /// The word of the recipe.
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

    /// The names at the top of the root that programs may reach for: an application finds the system that it shares.
    pub fn reachable(self) -> Option<&'static [&'static str]> {
        match self {
            Self::App => Self::Split.top(),
            other => other.top(),
        }
    }

    /// The names that may stand at the top of the root; `None` for any.
    pub fn top(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Split => Some(&["dev", "proc", "sys", "system", "usr"]),
            Self::Fhs => None,
            Self::App => Some(&["usr"]),
        }
    }
}

/// The live system's root filesystem.
#[derive(Clone, Debug)]
pub struct Rootfs {
    /// What may stand at its top.
    pub layout: Layout,
    /// Components whose install trees it holds.
    pub components: Vec<At<String>>,
    /// Debian packages and their dependency closure.
    pub packages: Option<Request>,
    /// Patterns of paths that packages bring and the image does not want.
    pub exclude: Vec<At<String>>,
    /// Folders copied in.
    pub overlays: Vec<At<PathBuf>>,
    /// Accounts.
    pub users: Vec<User>,
    /// Groups beside those of the accounts.
    pub groups: Vec<(String, u32)>,
    /// Empty folders.
    pub dirs: Vec<Mode>,
    /// Device nodes.
    pub nodes: Vec<DeviceNode>,
    /// Symbolic links: path to target.
    pub links: Vec<(At<String>, String)>,
    /// Owners and modes that differ from what the origins say.
    pub modes: Vec<Mode>,
    /// Paths where a later origin may win over an earlier one; a trailing `/**` covers what lies below.
    pub replace: Vec<At<String>>,
    /// What the audit may pass over: `<path>: <string>`, either with `*`.
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
    /// Further groups.
    pub groups: Vec<String>,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// crypt(3) hash; `!` locks the password, empty asks for none.
    pub password: String,
    /// Full name.
    pub gecos: String,
}

/// Owner and mode of a path. An absent field leaves what is there.
#[derive(Clone, Debug)]
pub struct Mode {
    /// The path.
    pub path: At<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
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

impl Decode for Octal {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        if let Value::Text { text, .. } = &node.value {
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
pub fn decode_rootfs(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Rootfs> {
    let table = Table::open(node, "`rootfs`", sink)?;
    let rootfs = rootfs_keys(&table, &[("split", Layout::Split), ("fhs", Layout::Fhs)], place, sink);
    table.close();
    Some(rootfs)
}

/// What stands in a template of systems or applications, where that is not the root filesystem itself.
#[derive(Clone, Debug)]
pub struct Template {
    /// Compression of the archive.
    pub compression: Compression,
    /// Its content; None for the recipe's root filesystem.
    pub content: Option<Rootfs>,
}

impl Default for Template {
    /// The root filesystem, in the form that every vzctl takes.
    fn default() -> Self {
        Self { compression: Compression::Gzip, content: None }
    }
}

impl Template {
    /// How the archive's name ends.
    pub fn suffix(&self) -> &'static str {
        match self.compression {
            Compression::Zstd => "tar.zst",
            Compression::Xz => "tar.xz",
            Compression::Gzip => "tar.gz",
            Compression::Lz4 => "tar.lz4",
            Compression::None => "tar",
        }
    }
}

/// Reads `template`.
pub fn decode_template(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Template> {
    let table = Table::open(node, "`template`", sink)?;
    let words = [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("xz", Compression::Xz)];
    let compression = table.node("compression").and_then(|node| word(node, &words, sink));
    let layouts = [("app", Layout::App), ("split", Layout::Split), ("fhs", Layout::Fhs)];
    let content = table.node("layout").map(|_| rootfs_keys(&table, &layouts, place, sink));
    table.close();
    Some(Template { compression: compression.unwrap_or(Compression::Gzip), content })
}

fn rootfs_keys(table: &Table<'_>, layouts: &[(&'static str, Layout)], place: &Place<'_>, sink: &Sink) -> Rootfs {
    let layout = required(table, "layout", |node| word(node, layouts, sink));
    let mut packages: Vec<String> = table.or_default("packages");
    packages.sort();
    let archive: Option<Archive> = match table.node("debian") {
        Some(node) => decode_archive(node, place, sink),
        None if packages.is_empty() => None,
        None => {
            table.required::<String>("debian");
            None
        }
    };
    let packages =
        archive.filter(|_| !packages.is_empty()).map(|archive| Request::Debian { archive, packages, closure: true });
    let overlays = existing(table.or_default("overlays"), place, sink);
    let links: Vec<(Key, String)> = table.or_default("links");
    let links = links.into_iter().map(|(key, target)| (At { value: key.name, span: key.span }, target)).collect();
    let groups: Vec<Group> = table.or_default("groups");
    let audit_allow = table.node("audit").and_then(|node| {
        let table = Table::open(node, "`audit`", sink)?;
        let allow = table.or_default("allow");
        table.close();
        Some(allow)
    });
    Rootfs {
        // A wrong word is a finding already; the rest is worth looking at.
        layout: layout.unwrap_or(Layout::Split),
        components: table.or_default("components"),
        packages,
        exclude: table.or_default("exclude"),
        overlays,
        users: table.or_default("users"),
        groups: groups.into_iter().map(|group| (group.name, group.gid)).collect(),
        dirs: table.or_default("dirs"),
        nodes: table.or_default("nodes"),
        links,
        modes: table.or_default("modes"),
        replace: table.or_default("replace"),
        audit_allow: audit_allow.unwrap_or_default(),
    }
}

struct Group {
    name: String,
    gid: u32,
}

impl Decode for Group {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "a group", sink)?;
        let (name, gid) = (table.required("name"), table.required("gid"));
        table.close();
        Some(Self { name: name?, gid: gid? })
    }
}

impl Decode for User {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "an account", sink)?;
        let (name, uid): (Option<At<String>>, Option<u32>) = (table.required("name"), table.required("uid"));
        let gid = table.optional("gid");
        let groups = table.or_default("groups");
        let home = table.optional("home");
        let shell = table.required("shell");
        let password = table.optional("password").unwrap_or_else(|| "!".to_owned());
        let gecos = table.or_default("gecos");
        table.close();
        let (name, uid) = (name?, uid?);
        let home = home.unwrap_or_else(|| format!("/usr/home/{}", name.value));
        Some(Self { name, uid, gid: gid.unwrap_or(uid), groups, home, shell: shell?, password, gecos })
    }
}

impl Decode for Mode {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        if let Value::Text { text, .. } = &node.value {
            let path = At { value: text.clone(), span: node.span };
            return Some(Self { path, mode: None, uid: None, gid: None });
        }
        let table = Table::open(node, "a path with its mode", sink)?;
        let path = table.required("path");
        let mode: Option<Octal> = table.optional("mode");
        let (uid, gid) = (table.optional("uid"), table.optional("gid"));
        table.close();
        Some(Self { path: path?, mode: mode.map(|octal| octal.0), uid, gid })
    }
}

impl Decode for DeviceNode {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "a device node", sink)?;
        let path = table.required("path");
        let block = table.node("type").map(|node| word(node, &[("char", false), ("block", true)], sink));
        let (major, minor) = (table.required("major"), table.required("minor"));
        let mode: Option<Octal> = table.optional("mode");
        table.close();
        Some(Self {
            path: path?,
            block: block.unwrap_or(Some(false))?,
            major: major?,
            minor: minor?,
            mode: mode.map_or(0o600, |octal| octal.0),
        })
    }
}
