//! One root filesystem of its parts.

use std::io;

use super::{Account, Conflict, Layer, Pattern, accounts, merge};
use crate::digest::Digest;
use crate::recipe::rootfs::{DeviceNode, Layout, Mode};
use crate::store::{Store, StoreError};
use crate::tree::{Entry, Node, Tree, TreePath};

/// What a root filesystem is put together from, layers aside.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// What may stand at its top; `None` where no rule holds (an initramfs).
    pub layout: Option<Layout>,
    /// Accounts; none makes no account files.
    pub accounts: Vec<Account>,
    /// Groups beside those of the accounts.
    pub groups: Vec<(String, u32)>,
    /// Empty folders.
    pub dirs: Vec<Mode>,
    /// Device nodes.
    pub nodes: Vec<DeviceNode>,
    /// Symbolic links: path to target.
    pub links: Vec<(String, String)>,
    /// Owners and modes to set in the end.
    pub modes: Vec<Mode>,
    /// Where a later layer may win.
    pub replace: Vec<Pattern>,
}

impl Assembly {
    /// Nothing but layers: an initramfs.
    pub fn empty(replace: Vec<Pattern>) -> Self {
        Self {
            layout: None,
            accounts: Vec::new(),
            groups: Vec::new(),
            dirs: Vec::new(),
            nodes: Vec::new(),
            links: Vec::new(),
            modes: Vec::new(),
            replace,
        }
    }
}

/// Why the parts make no root filesystem.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// Origins that disagree.
    #[error("{}", list(.0))]
    Conflicts(Vec<Conflict>),
    /// Paths outside of the layout.
    #[error("outside of layout `{layout}` ({allowed}): {}", list(.paths))]
    Layout {
        /// The layout's name.
        layout: &'static str,
        /// What may stand at its top.
        allowed: String,
        /// The paths that don't fit.
        paths: Vec<String>,
    },
    /// `modes` names a path that nothing brings.
    #[error("`modes` names {0}, which no component, package or overlay brings")]
    NoSuchPath(TreePath),
    /// A path that can't stand in a tree.
    #[error(transparent)]
    Path(#[from] crate::tree::BadPath),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn list<T: ToString>(items: &[T]) -> String {
    const MOST: usize = 10;
    let mut lines: Vec<String> = items.iter().take(MOST).map(|item| format!("\n  {}", item.to_string())).collect();
    if items.len() > MOST {
        lines.push(format!("\n  and {} more", items.len() - MOST));
    }
    lines.concat()
}

/// Merges the layers and adds what the recipe itself states.
pub fn assemble(assembly: &Assembly, mut layers: Vec<Layer>, store: &Store) -> Result<Tree, AssemblyError> {
    layers.push(Layer { origin: "the recipe".into(), tree: stated(assembly, store)? });
    let mut tree = merge(layers, &assembly.replace).map_err(AssemblyError::Conflicts)?;
    tree.complete();
    for mode in &assembly.modes {
        let path = TreePath::new(&mode.path)?;
        let entry = tree.entries.get_mut(&path).ok_or_else(|| AssemblyError::NoSuchPath(path.clone()))?;
        apply(mode, entry);
    }
    check_layout(assembly, &tree)?;
    Ok(tree)
}

fn apply(mode: &Mode, entry: &mut Entry) {
    entry.mode = mode.mode.unwrap_or(entry.mode);
    entry.uid = mode.uid.unwrap_or(entry.uid);
    entry.gid = mode.gid.unwrap_or(entry.gid);
}

/// The layer of what the recipe states itself.
fn stated(assembly: &Assembly, store: &Store) -> Result<Tree, AssemblyError> {
    let mut tree = Tree::new();
    for dir in &assembly.dirs {
        let mut entry = Entry::dir(0o755);
        apply(dir, &mut entry);
        tree.insert(TreePath::new(&dir.path)?, entry);
    }
    for node in &assembly.nodes {
        let DeviceNode { path, block, major, minor, mode } = node;
        let (major, minor) = (*major, *minor);
        let kind = if *block { Node::Block { major, minor } } else { Node::Char { major, minor } };
        tree.insert(TreePath::new(path)?, Entry::of(kind, *mode));
    }
    for (path, target) in &assembly.links {
        tree.insert(TreePath::new(path)?, Entry::symlink(target));
    }
    if let Some(layout) = assembly.layout {
        // The kernel and the init mount here; the folders have to be there on a read-only root.
        for path in ["dev", "proc", "sys"] {
            tree.entries.entry(TreePath::new(path)?).or_insert_with(|| Entry::dir(0o755));
        }
        add_accounts(assembly, layout, store, &mut tree)?;
    }
    tree.complete();
    Ok(tree)
}

fn add_accounts(assembly: &Assembly, layout: Layout, store: &Store, tree: &mut Tree) -> Result<(), AssemblyError> {
    let Assembly { accounts, groups, .. } = assembly;
    if accounts.is_empty() {
        return Ok(());
    }
    let files = [
        ("passwd", accounts::passwd(accounts), 0o644),
        ("group", accounts::group(accounts, groups), 0o644),
        ("shadow", accounts::shadow(accounts), 0o600),
    ];
    for (name, text, mode) in files {
        let blob: Digest = store.add_bytes(text.as_bytes())?;
        let path = TreePath::new(&format!("{}/{name}", layout.etc()))?;
        tree.insert(path, Entry::file(blob, text.len() as u64, mode));
    }
    for account in accounts {
        let home = TreePath::new(&account.home)?;
        let entry = Entry { uid: account.uid, gid: account.gid, ..Entry::dir(0o700) };
        if !home.is_root() {
            tree.entries.entry(home).or_insert(entry);
        }
    }
    Ok(())
}

fn check_layout(assembly: &Assembly, tree: &Tree) -> Result<(), AssemblyError> {
    let Some((layout, top)) = assembly.layout.and_then(|layout| Some((layout, layout.top()?))) else { return Ok(()) };
    let outside = |path: &&TreePath| !path.is_root() && !top.contains(&path.top());
    let paths: Vec<String> = tree.entries.keys().filter(outside).map(TreePath::to_string).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let allowed = top.iter().map(|name| format!("/{name}")).collect::<Vec<_>>().join(", ");
    Err(AssemblyError::Layout { layout: layout.name(), allowed, paths })
}
