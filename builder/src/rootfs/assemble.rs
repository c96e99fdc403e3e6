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
        let points: &[&str] = if layout == Layout::App { &[] } else { &["dev", "proc", "sys"] };
        for path in points {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::decode::At;
    use crate::recipe::text::{Files, Span};

    fn at(path: &str) -> At<String> {
        let file = Files::default().add(std::path::Path::new("a.yaml"), String::new());
        At { value: path.to_owned(), span: Span { file, start: 0, end: 0 } }
    }

    fn mode(path: &str, mode: u32, uid: Option<u32>) -> Mode {
        Mode { path: at(path), mode: Some(mode), uid, gid: None }
    }

    fn split() -> Assembly {
        Assembly { layout: Some(Layout::Split), ..Assembly::empty(Vec::new()) }
    }

    fn layer(paths: &[&str]) -> Layer {
        let mut tree = Tree::new();
        for path in paths {
            tree.insert(TreePath::new(path).unwrap(), Entry::file(Digest::of("x"), 1, 0o644));
        }
        tree.complete();
        Layer { origin: "overlay one".into(), tree }
    }

    fn run(assembly: &Assembly, layers: Vec<Layer>) -> (Result<Tree, AssemblyError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (assemble(assembly, layers, &store), folder)
    }

    fn get(tree: &Tree, path: &str) -> Entry {
        tree.get(&TreePath::new(path).unwrap()).unwrap_or_else(|| panic!("{path} is missing")).clone()
    }

    #[test]
    fn what_the_recipe_states_stands_in_the_tree() {
        let mut assembly = split();
        assembly.dirs = vec![mode("/system/tmp", 0o1777, None)];
        assembly.nodes = vec![DeviceNode { path: at("/dev/null"), block: false, major: 1, minor: 3, mode: 0o666 }];
        assembly.links = vec![("/system/init".into(), "bin/busybox".into())];
        assembly.modes = vec![mode("/system/bin/su", 0o4755, Some(7))];
        let tree = run(&assembly, vec![layer(&["system/bin/su"])]).0.unwrap();
        assert_eq!(get(&tree, "system/tmp"), Entry::dir(0o1777));
        assert_eq!(get(&tree, "dev/null"), Entry::of(Node::Char { major: 1, minor: 3 }, 0o666));
        assert_eq!(get(&tree, "system/init"), Entry::symlink("bin/busybox"));
        assert_eq!((get(&tree, "system/bin/su").mode, get(&tree, "system/bin/su").uid), (0o4755, 7));
        for mount_point in ["proc", "sys", "dev"] {
            assert_eq!(get(&tree, mount_point), Entry::dir(0o755));
        }
    }

    #[test]
    fn accounts_bring_their_files_and_their_homes() {
        let mut assembly = split();
        let account = |name: &str, uid, home: &str| Account {
            name: name.into(),
            uid,
            gid: uid,
            groups: Vec::new(),
            gecos: String::new(),
            home: home.into(),
            shell: "/system/bin/sh".into(),
            password: "!".into(),
        };
        assembly.accounts = vec![account("tc", 1001, "/usr/home/tc"), account("nobody", 65534, "/")];
        let (tree, folder) = run(&assembly, Vec::new());
        let tree = tree.unwrap();
        assert_eq!(get(&tree, "system/etc/shadow").mode, 0o600);
        assert_eq!(get(&tree, "usr/home/tc"), Entry { uid: 1001, gid: 1001, ..Entry::dir(0o700) });
        assert_eq!(get(&tree, ""), Entry::dir(0o755), "the root is nobody's home");
        let Node::File { blob, .. } = get(&tree, "system/etc/group").node else { panic!() };
        let text = std::fs::read_to_string(Store::open(folder.path()).unwrap().blob_path(&blob)).unwrap();
        assert_eq!(text, "tc:x:1001:\nnobody:x:65534:\n");
    }

    #[test]
    fn paths_outside_of_the_layout_are_named_the_first_ten_of_many() {
        let error = run(&split(), vec![layer(&["etc/a", "usr/b"])]).0.unwrap_err();
        assert_eq!(
            error.to_string(),
            "outside of layout `split` (/dev, /proc, /sys, /system, /usr): \n  /etc\n  /etc/a"
        );
        let many: Vec<String> = (0..20).map(|n| format!("var/{n:02}")).collect();
        let many = layer(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let text = run(&split(), vec![many.clone()]).0.unwrap_err().to_string();
        assert!(text.contains("/var/08") && !text.contains("/var/09") && text.ends_with("and 11 more"), "{text}");
        assert!(run(&Assembly { layout: Some(Layout::Fhs), ..split() }, vec![many]).0.is_ok());
    }

    #[test]
    fn a_mode_of_a_path_that_nothing_brings_is_an_error() {
        let assembly = Assembly { modes: vec![mode("/system/bin/su", 0o4755, None)], ..split() };
        let error = run(&assembly, Vec::new()).0.unwrap_err();
        let said = "`modes` names /system/bin/su, which no component, package or overlay brings";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn the_recipe_itself_conflicts_as_any_other_origin() {
        let assembly = Assembly { links: vec![("/system/init".into(), "x".into())], ..split() };
        let error = run(&assembly, vec![layer(&["system/init"])]).0.unwrap_err().to_string();
        assert!(error.contains("/system/init comes from overlay one and from the recipe"), "{error}");
    }
}
