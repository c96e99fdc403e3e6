//! Assembles one root filesystem from its parts.

use std::io;

use super::{Account, Conflict, Layer, Merged, NeededFile, Pattern, Program, accounts, merge, programs};
use crate::digest::Digest;
use crate::recipe::rootfs::{Attributes, DeviceNode, Layout};
use crate::store::{Store, StoreError};
use crate::tree::{Entry, Node, Tree, TreePath};

/// A file that follows from what the recipe states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedFile {
    /// Its path.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner and group.
    pub owner: (u32, u32),
}

/// The parts of a root filesystem, except the layers.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// What its top folder may contain; `None` if there is no rule (an initramfs).
    pub layout: Option<Layout>,
    /// Accounts; without any, no account files are written.
    pub accounts: Vec<Account>,
    /// Groups in addition to those of the accounts.
    pub groups: Vec<(String, u32)>,
    /// Folders that have to exist, and their stated attributes.
    pub dirs: Vec<Attributes>,
    /// Device nodes.
    pub nodes: Vec<DeviceNode>,
    /// Symbolic links: path to target.
    pub links: Vec<(String, String)>,
    /// Files, whose paths no layer may have with another content.
    pub files: Vec<StatedFile>,
    /// Files that replace those of layers: what the recipe states about the system as a whole.
    pub settings: Vec<StatedFile>,
    /// Modes, owners and extended attributes to set at the end, in order.
    pub attributes: Vec<(Pattern, Attributes)>,
    /// Paths at which a later layer may replace an earlier one.
    pub replace: Vec<Pattern>,
    /// Programs that something starts by path.
    pub programs: Vec<Program>,
    /// Files that something reads.
    pub needed: Vec<NeededFile>,
}

impl Assembly {
    /// Layers only: an initramfs.
    pub fn empty(replace: Vec<Pattern>) -> Self {
        Self {
            layout: None,
            accounts: Vec::new(),
            groups: Vec::new(),
            dirs: Vec::new(),
            nodes: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
            settings: Vec::new(),
            attributes: Vec::new(),
            replace,
            programs: Vec::new(),
            needed: Vec::new(),
        }
    }
}

/// Why the parts can't be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// Origins that conflict.
    #[error("{}\nto let the later one win, list the path under `replace`", list(.0))]
    Conflicts(Vec<Conflict>),
    /// Paths outside the layout.
    #[error("outside of layout `{layout}` ({allowed}): {}", list(.paths))]
    Layout {
        /// The layout's name.
        layout: &'static str,
        /// What its top folder may contain.
        allowed: String,
        /// The paths outside it.
        paths: Vec<String>,
    },
    /// Two statements of the recipe give a path different contents.
    #[error("the recipe itself states {0} twice, with different content")]
    StatedTwice(TreePath),
    /// `attributes` names paths that no part provides.
    #[error("`attributes` names {0}, which no component, package or overlay provides")]
    NoSuchPath(String),
    /// `attributes` states something that an entry of that type can't have.
    #[error("`attributes` sets {what} on {path}, which is {kind}; give the path of a file")]
    NotAFile {
        /// The path.
        path: TreePath,
        /// A mode, capabilities …
        what: &'static str,
        /// The type of the entry.
        kind: String,
    },
    /// Programs that something starts but that do not exist.
    #[error("required programs are missing:{}", list(.0))]
    Programs(Vec<String>),
    /// Files that something reads but that do not exist.
    #[error("required files are missing:{}", list(.0))]
    Files(Vec<String>),
    /// A path that is not allowed in a tree.
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
pub fn assemble(assembly: &Assembly, mut layers: Vec<Layer>, store: &Store) -> Result<Merged, AssemblyError> {
    layers.push(Layer::new("the recipe", stated(assembly, store)?));
    let own = assembly.settings.iter().filter_map(|file| Pattern::new(&file.path).ok());
    let replace: Vec<Pattern> = assembly.replace.iter().cloned().chain(own).collect();
    let Merged { mut tree, mut unused, mut origins } = merge(layers, &replace).map_err(AssemblyError::Conflicts)?;
    unused.retain(|pattern| assembly.replace.contains(pattern));
    add_homes(&assembly.accounts, &mut tree)?;
    for account in &assembly.accounts {
        origins.complete(TreePath::new(&account.home)?, &tree);
    }
    tree.complete();
    for dir in &assembly.dirs {
        let path = TreePath::new(&dir.path)?;
        if let Some(entry) = tree.entries.get_mut(&path) {
            apply(dir, entry);
        }
    }
    for (pattern, stated) in &assembly.attributes {
        attribute(pattern, stated, &mut tree)?;
    }
    tree.settle_links();
    check_layout(assembly, &tree)?;
    let missing = programs::missing(&assembly.programs, &tree);
    if !missing.is_empty() {
        return Err(AssemblyError::Programs(missing));
    }
    let missing = programs::missing_files(&assembly.needed, &tree);
    if !missing.is_empty() {
        return Err(AssemblyError::Files(missing));
    }
    Ok(Merged { tree, unused, origins })
}

fn apply(stated: &Attributes, entry: &mut Entry) {
    entry.mode = stated.mode.unwrap_or(entry.mode);
    entry.uid = stated.uid.unwrap_or(entry.uid);
    entry.gid = stated.gid.unwrap_or(entry.gid);
    entry.xattrs.extend(stated.all_xattrs());
}

/// Sets the stated attributes of a path, or of all paths that match a pattern.
///
/// A path is taken literally. A pattern applies where that makes sense: links keep their mode, which has no meaning;
/// capabilities are for files; and a mode that allows reading a file allows entering a folder, as with `X` in chmod(1).
fn attribute(pattern: &Pattern, stated: &Attributes, tree: &mut Tree) -> Result<(), AssemblyError> {
    if !pattern.is_glob() {
        let path = TreePath::new(pattern.as_str())?;
        let entry = tree.entries.get_mut(&path).ok_or_else(|| AssemblyError::NoSuchPath(path.to_string()))?;
        let what = match &entry.node {
            Node::Symlink { .. } if stated.mode.is_some() => Some("a mode"),
            Node::File { .. } => None,
            _ if stated.capabilities.is_some() => Some("capabilities"),
            _ => None,
        };
        if let Some(what) = what {
            return Err(AssemblyError::NotAFile { path, what, kind: entry.node.kind() });
        }
        apply(stated, entry);
        return Ok(());
    }
    let mut found = false;
    for (_, entry) in tree.entries.iter_mut().filter(|(path, _)| pattern.matches(path)) {
        found = true;
        let mut fitting = stated.clone();
        match entry.node {
            Node::File { .. } => {}
            Node::Dir => fitting.mode = stated.mode.map(|mode| mode | (mode & 0o444) >> 2),
            Node::Symlink { .. } => fitting.mode = None,
            Node::Char { .. } | Node::Block { .. } | Node::Fifo => {}
        }
        if !matches!(entry.node, Node::File { .. }) {
            fitting.capabilities = None;
        }
        apply(&fitting, entry);
    }
    if found { Ok(()) } else { Err(AssemblyError::NoSuchPath(pattern.as_str().to_owned())) }
}

/// Adds what the recipe states of a path, once.
fn state(tree: &mut Tree, path: &str, entry: Entry) -> Result<(), AssemblyError> {
    let path = TreePath::new(path)?;
    match tree.get(&path) {
        Some(known) if !known.same(&entry) => Err(AssemblyError::StatedTwice(path)),
        _ => {
            tree.insert(path, entry);
            Ok(())
        }
    }
}

/// The layer with what the recipe itself states.
fn stated(assembly: &Assembly, store: &Store) -> Result<Tree, AssemblyError> {
    let mut tree = Tree::new();
    for dir in &assembly.dirs {
        tree.insert(TreePath::new(&dir.path)?, Entry::dir(0o755));
    }
    for node in &assembly.nodes {
        let DeviceNode { path, block, major, minor, mode } = node;
        let (major, minor) = (*major, *minor);
        let kind = if *block { Node::Block { major, minor } } else { Node::Char { major, minor } };
        state(&mut tree, path, Entry::of(kind, *mode))?;
    }
    for (path, target) in &assembly.links {
        state(&mut tree, path, Entry::symlink(target))?;
    }
    for StatedFile { path, content, mode, owner: (uid, gid) } in assembly.files.iter().chain(&assembly.settings) {
        let blob: Digest = store.add_bytes(content)?;
        let entry = Entry::file(blob, content.len() as u64, *mode);
        state(&mut tree, path, Entry { uid: *uid, gid: *gid, ..entry })?;
    }
    if let Some(layout) = assembly.layout {
        // The kernel and the init mount file systems here; on a read-only root the folders have to exist.
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
    Ok(())
}

/// Each account owns its home directory. If another origin states the mode or owner of that folder, those are kept.
fn add_homes(accounts: &[Account], tree: &mut Tree) -> Result<(), AssemblyError> {
    for account in accounts {
        let home = TreePath::new(&account.home)?;
        let own = Entry { uid: account.uid, gid: account.gid, ..Entry::dir(0o700) };
        // `/nonexistent` is the home of accounts without one (Debian policy 9.2.3): it is not created.
        let real = !home.is_root() && account.home != "/nonexistent";
        if real && tree.get(&home).is_none_or(|entry| *entry == Entry::dir(0o755)) {
            tree.insert(home, own);
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
    use crate::recipe::text::{RecipeFiles, Span};
    use crate::tree::capabilities::Capabilities;

    fn at(path: &str) -> At<String> {
        let file = RecipeFiles::default().add(std::path::Path::new("a.yaml"), String::new());
        At { value: path.to_owned(), span: Span { file, start: 0, end: 0 } }
    }

    fn mode(path: &str, mode: u32, uid: Option<u32>) -> Attributes {
        let (capabilities, xattrs) = (None, Default::default());
        Attributes { path: at(path), mode: Some(mode), uid, gid: None, capabilities, xattrs }
    }

    fn on(stated: Attributes) -> (Pattern, Attributes) {
        (Pattern::new(&stated.path).unwrap(), stated)
    }

    fn account(name: &str, uid: u32, home: &str) -> Account {
        Account {
            name: name.into(),
            uid,
            gid: uid,
            groups: Vec::new(),
            gecos: String::new(),
            home: home.into(),
            shell: "/system/bin/sh".into(),
            password: "!".into(),
        }
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
        Layer::new("overlay one", tree)
    }

    fn run(assembly: &Assembly, layers: Vec<Layer>) -> (Result<Tree, AssemblyError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (assemble(assembly, layers, &store).map(|merged| merged.tree), folder)
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
        assembly.attributes = vec![on(mode("/system/bin/su", 0o4755, Some(7)))];
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
        let assembly = Assembly { attributes: vec![on(mode("/system/bin/su", 0o4755, None))], ..split() };
        let error = run(&assembly, Vec::new()).0.unwrap_err();
        let said = "`attributes` names /system/bin/su, which no component, package or overlay provides";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn what_the_recipe_states_of_a_folder_wins_over_every_origin() {
        let packages = |mode| {
            let mut tree = Tree::new();
            tree.insert(TreePath::new("usr/private").unwrap(), Entry::dir(mode));
            tree.insert(TreePath::new("usr/home/tc").unwrap(), Entry::dir(mode));
            vec![Layer::new("the packages", tree)]
        };
        let mut assembly = split();
        assembly.accounts = vec![account("tc", 1001, "/usr/home/tc")];
        assembly.dirs = vec![mode("/usr/private", 0o755, None), mode("/usr/home/tc", 0o711, None)];
        for brought in [0o700, 0o755, 0o1777] {
            let tree = run(&assembly, packages(brought)).0.unwrap();
            assert_eq!(get(&tree, "usr/private"), Entry::dir(0o755), "over {brought:o}");
            assert_eq!(get(&tree, "usr/home/tc").mode, 0o711, "over {brought:o}");
        }
        let tree = run(&assembly, packages(0o755)).0.unwrap();
        assert_eq!(get(&tree, "usr/home/tc"), Entry { uid: 1001, gid: 1001, ..Entry::dir(0o711) });
        assembly.dirs.clear();
        assert_eq!(get(&run(&assembly, packages(0o755)).0.unwrap(), "usr/home/tc").mode, 0o700);
        assert_eq!(get(&run(&assembly, packages(0o750)).0.unwrap(), "usr/home/tc").mode, 0o750, "stated by its origin");
    }

    #[test]
    fn attributes_are_set_in_order_on_what_a_pattern_fits() {
        let files = || {
            let mut layer = layer(&["usr/etc/ssl/a.key", "usr/etc/ssl/more/b.key", "usr/bin/ping"]);
            layer.tree.insert(TreePath::new("usr/etc/ssl/link").unwrap(), Entry::symlink("a.key"));
            vec![layer]
        };
        let mut ping = mode("/usr/bin/ping", 0o755, None);
        ping.capabilities = Capabilities::parse("cap_net_raw+ep").ok();
        ping.xattrs.insert("user.note".into(), b"x".to_vec());
        let all = mode("/usr/etc/ssl/**", 0o640, None);
        let one = mode("/usr/etc/ssl/a.key", 0o400, Some(7));
        let assembly = Assembly { attributes: vec![on(all), on(one), on(ping.clone())], ..split() };
        let tree = run(&assembly, files()).0.unwrap();
        assert_eq!((get(&tree, "usr/etc/ssl/a.key").mode, get(&tree, "usr/etc/ssl/a.key").uid), (0o400, 7));
        assert_eq!(get(&tree, "usr/etc/ssl/more/b.key").mode, 0o640);
        assert_eq!(get(&tree, "usr/etc/ssl/more").mode, 0o750, "a folder is entered by those who read");
        assert_eq!(get(&tree, "usr/etc/ssl/link"), Entry::symlink("a.key"));
        let names: Vec<_> = get(&tree, "usr/bin/ping").xattrs.into_keys().collect();
        assert_eq!(names, ["security.capability", "user.note"]);

        let error = |stated: Attributes| {
            let assembly = Assembly { attributes: vec![on(stated)], ..split() };
            run(&assembly, files()).0.unwrap_err().to_string()
        };
        let at = |path: &str, mode: Option<u32>| Attributes { path: at(path), mode, ..ping.clone() };
        assert!(error(mode("/usr/etc/ssl/link", 0o600, None)).contains("is a link to a.key"));
        assert!(error(at("/usr/bin", None)).contains("capabilities on /usr/bin, which is a folder"));
        assert!(error(at("/usr/sbin/*", None)).contains("`attributes` names /usr/sbin/*"));
    }

    #[test]
    fn a_layer_that_keeps_its_modes_states_those_of_its_folders() {
        let private = |mode, keep_modes| {
            let mut tree = Tree::new();
            tree.insert(TreePath::new("usr/private").unwrap(), Entry::dir(mode));
            Layer { keep_modes, ..Layer::new(format!("{mode:o}"), tree) }
        };
        let result = |layers| get(&run(&split(), layers).0.unwrap(), "usr/private").mode;
        assert_eq!(result(vec![private(0o700, false), private(0o755, true)]), 0o755);
        assert_eq!(result(vec![private(0o700, false), private(0o755, false)]), 0o700);
        assert_eq!(result(vec![private(0o755, false), private(0o1777, true)]), 0o1777);
    }

    #[test]
    fn the_recipe_itself_conflicts_as_any_other_origin() {
        let assembly = Assembly { links: vec![("/system/init".into(), "x".into())], ..split() };
        let error = run(&assembly, vec![layer(&["system/init"])]).0.unwrap_err().to_string();
        assert!(error.contains("/system/init comes from overlay one and from the recipe"), "{error}");
    }
}
