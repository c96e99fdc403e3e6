use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Lint;
use crate::recipe::decode::FindingSink;
use crate::recipe::load::Recipe;
use crate::recipe::rootfs::{Layout, Overlay, Rootfs};
use crate::recipe::text::Span;
use crate::tree::{Pattern, TreePath};

pub const LINT: Lint = Lint {
    id: "unstarted-scripts",
    rule: "A script of an overlay that is where the system's scripts are is started: it is executable, has a name that its runner accepts, \
           and something names it if nothing runs its whole folder.",
    run,
};

/// The folder of scripts that others start by name.
const SCRIPTS: &str = "system/etc/init.d";
/// The folder with a folder for each service (runsvdir(8)).
const SERVICES: &str = "system/etc/sv";
/// The folder with the folders whose scripts ifup runs (run-parts(8)).
const NETWORK: &str = "system/etc/network";
/// The supervisor of services.
const SUPERVISOR: &str = "system/bin/runsvdir";
/// The largest file that is searched for names of scripts, in bytes.
const MOST: u64 = 1 << 20;

fn run(recipe: &Recipe, sink: &FindingSink) {
    for rootfs in recipe.image.contents().filter(|rootfs| rootfs.layout == Layout::Split) {
        let mut found = OverlayFiles::default();
        rootfs.overlays.iter().for_each(|overlay| found.folder(overlay, &overlay.path.value, ""));
        let mentions = Mentions::of(recipe, rootfs, &found);
        let stated = executable(rootfs);
        for (path, file) in &found.files {
            let is_executable = file.is_executable || stated.iter().any(|pattern| pattern.matches(&file.path));
            let problem = problem(path, is_executable, &mentions);
            if let Some((why, help)) = problem {
                sink.borrow_mut().add(LINT.id, file.span, format!("{}: {why}", file.path)).help(help);
            }
        }
        services(rootfs, &found, sink);
    }
}

/// What keeps a script from being started, and what to do.
fn problem(path: &str, is_executable: bool, mentions: &Mentions) -> Option<(String, String)> {
    let mode = || "chmod +x, which git keeps".to_owned();
    if let Some(name) = path.strip_prefix(SCRIPTS).and_then(|rest| rest.strip_prefix('/')) {
        // What git needs to keep a folder.
        if name.contains('/') || name.starts_with('.') {
            return None;
        }
        if mentions.has_inittab
            && !mentions.names.contains(name)
            && !mentions.prefixes.iter().any(|of| name.starts_with(of))
        {
            let why = "nothing starts this script: no file of the root's overlays and components names it".to_owned();
            let help = format!(
                "add a line such as `::once:/{path}` to /system/etc/inittab, or state what it starts as one of the `services`"
            );
            return Some((why, help));
        }
        return (mentions.by_init.contains(name) && !is_executable)
            .then(|| ("init can't start this script, as it is not executable".to_owned(), mode()));
    }
    if let Some((folder, name)) = path.strip_prefix(SERVICES).and_then(|rest| rest.strip_prefix('/')?.split_once('/')) {
        let is_script = ["run", "log/run", "finish", "check"].contains(&name);
        return (is_script && !folder.starts_with('.') && !is_executable).then(|| {
            (format!("the supervisor can't start {name} of service `{folder}`, as it is not executable"), mode())
        });
    }
    let (folder, name) = path.strip_prefix(NETWORK)?.strip_prefix("/if-")?.split_once(".d/")?;
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    // run-parts(8) of busybox.
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        let why = format!("ifup does not run this script of if-{folder}.d, because of its name");
        return Some((why, "letters, digits, `-` and `_`, without an ending".to_owned()));
    }
    (!is_executable)
        .then(|| (format!("ifup does not run this script of if-{folder}.d, as it is not executable"), mode()))
}

/// Folders of services, which need a supervisor, and a script to run.
fn services(rootfs: &Rootfs, found: &OverlayFiles, sink: &FindingSink) {
    let mut folders: BTreeMap<&str, Span> = BTreeMap::new();
    for (path, file) in &found.files {
        let inside = path.strip_prefix(SERVICES).and_then(|rest| rest.strip_prefix('/')?.split_once('/'));
        if let Some((name, _)) = inside.filter(|(name, _)| !name.starts_with('.')) {
            folders.entry(name).or_insert(file.span);
        }
    }
    let stated: Vec<&str> = rootfs.services.iter().map(|service| &*service.name.value).collect();
    for (name, span) in &folders {
        let runs = ["run"].iter().any(|file| found.files.contains_key(&format!("{SERVICES}/{name}/{file}")));
        if !runs && !stated.contains(name) && rootfs.components.is_empty() && rootfs.packages.is_none() {
            let message = format!("/{SERVICES}/{name} has no script `run`, so that the supervisor starts nothing");
            sink.borrow_mut().add(LINT.id, *span, message);
        }
    }
    let supervised = rootfs.components.iter().any(|component| component.value == "runit")
        || found.files.contains_key(SUPERVISOR)
        || rootfs.packages.is_some();
    if let Some((name, span)) = folders.first_key_value().filter(|_| !supervised) {
        let message = format!("nothing starts service `{name}`: the root has no supervisor, /{SUPERVISOR}");
        sink.borrow_mut().add(LINT.id, *span, message).help("add the component `runit`");
    }
}

/// The patterns that make files executable, whatever they are in their overlay.
fn executable(rootfs: &Rootfs) -> Vec<Pattern> {
    let stated = rootfs.attributes.iter().filter(|of| of.mode.is_some_and(|mode| mode & 0o111 != 0));
    stated.filter_map(|of| Pattern::new(&of.path).ok()).collect()
}

/// A file of an overlay.
struct OverlayFile {
    path: TreePath,
    host: PathBuf,
    is_executable: bool,
    /// The overlay in the recipe.
    span: Span,
}

/// The files of all overlays, of a path the last one's.
#[derive(Default)]
struct OverlayFiles {
    files: BTreeMap<String, OverlayFile>,
}

impl OverlayFiles {
    /// Adds a folder of an overlay, `at` in the root. One that can't be read is reported when it is packed.
    fn folder(&mut self, overlay: &Overlay, host: &Path, at: &str) {
        for entry in fs::read_dir(host).into_iter().flatten().flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let path = if at.is_empty() { name } else { format!("{at}/{name}") };
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                self.folder(overlay, &entry.path(), &path);
            } else if let Ok(tree_path) = TreePath::new(&path) {
                // A link is what it leads to, which may be elsewhere.
                let is_executable = metadata.is_symlink() || metadata.permissions().mode() & 0o100 != 0;
                let span = overlay.path.span;
                self.files.insert(path, OverlayFile { path: tree_path, host: entry.path(), is_executable, span });
            }
        }
    }
}

/// Scripts that something names.
#[derive(Default)]
struct Mentions {
    names: BTreeSet<String>,
    /// The beginnings of names, as of `init.d/S*`; an empty one if something runs the whole folder.
    prefixes: BTreeSet<String>,
    /// Those that init starts itself.
    by_init: BTreeSet<String>,
    /// Whether an overlay has init's table: what another init starts is not known.
    has_inittab: bool,
}

impl Mentions {
    fn of(recipe: &Recipe, rootfs: &Rootfs, found: &OverlayFiles) -> Self {
        let mut mentions = Self::default();
        for (path, file) in &found.files {
            let small = file.host.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MOST);
            // A link names what it leads to.
            let target = fs::read_link(&file.host).ok().map(|target| target.to_string_lossy().into_owned());
            let text = target.or_else(|| {
                small
                    .then(|| fs::read(&file.host).ok())
                    .flatten()
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            });
            let own = path.strip_prefix(SCRIPTS).map(|name| name.trim_start_matches('/'));
            let text = text.unwrap_or_default();
            let named = mentions.read(&text);
            if path == "system/etc/inittab" {
                mentions.has_inittab = true;
                mentions.by_init.extend(named.iter().cloned());
            }
            // A script's usage names itself.
            mentions.names.extend(named.into_iter().filter(|name| Some(name.as_str()) != own));
        }
        let components = rootfs.components.iter().filter_map(|name| recipe.components.get(&name.value));
        let texts = components.map(|component| component.install.as_str());
        let texts = texts.chain(rootfs.services.iter().flat_map(|service| &service.command.value).map(String::as_str));
        for text in texts.chain(rootfs.links.iter().map(|(_, target)| target.as_str())) {
            let named = mentions.read(text);
            mentions.names.extend(named);
        }
        mentions
    }

    /// The names behind `init.d/` in a text; notes beginnings of names.
    fn read(&mut self, text: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for rest in text.split("init.d/").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.+".contains(c)).unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches('.');
            // What a shell completes may be anything.
            if rest[end..].trim_start_matches('"').starts_with(['*', '?', '[', '$', '{']) {
                self.prefixes.insert(name.to_owned());
            }
            names.extend((!name.is_empty()).then(|| name.to_owned()));
        }
        if text.lines().any(|line| line.contains("run-parts") && line.contains("init.d")) {
            self.prefixes.insert(String::new());
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_scripts_are_found_in_texts() {
        let mut mentions = Mentions::default();
        let text = "::sysinit:/system/etc/init.d/rcS\n. /system/etc/init.d/boot-codes\n# See init.d/network. $d/init.d/a_b init.d/";
        assert_eq!(mentions.read(text).into_iter().collect::<Vec<_>>(), ["a_b", "boot-codes", "network", "rcS"]);
        assert!(mentions.prefixes.is_empty(), "{:?}", mentions.prefixes);
        for (text, prefix) in [
            ("for s in /system/etc/init.d/S*; do", "S"),
            ("sh /system/etc/init.d/S[0-9]x", "S"),
            ("/system/etc/init.d/$name start", ""),
            ("run-parts /system/etc/init.d", ""),
        ] {
            let mut mentions = Mentions::default();
            mentions.read(text);
            assert_eq!(mentions.prefixes.into_iter().collect::<Vec<_>>(), [prefix], "{text}");
        }
    }
}
