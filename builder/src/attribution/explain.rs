//! The explanation of one path.

use std::collections::BTreeMap;

use super::{AttributedRoot, PackageReasons};
use crate::recipe::Recipe;
use crate::recipe::image::Livefs;
use crate::recipe::rootfs::Rootfs;
use crate::rootfs::LayerOrigin;
use crate::similar;
use crate::tree::{Entry, Pattern, TreePath};

/// Why a root filesystem contains a path.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The root filesystem: `rootfs`, `initramfs`.
    pub root: &'a str,
    /// The path.
    pub path: TreePath,
    /// What is there.
    pub entry: &'a Entry,
    /// What brought it; `None` for a folder that only exists for what is below it.
    pub origin: Option<&'a LayerOrigin>,
    /// The origins whose entries it replaced, the earliest first.
    pub replaced: Vec<&'a LayerOrigin>,
    /// Where the recipe states something about this path (`file:line:column`), with the key.
    pub stated: Vec<(&'static str, String)>,
    /// For a component.
    pub component: Option<ComponentOrigin>,
    /// For a package: the packages from one that the recipe requests to this one.
    pub packages: Vec<String>,
    /// For a folder: the number of files and links below it, by their origins.
    pub below: BTreeMap<&'a LayerOrigin, usize>,
}

/// What a component is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentOrigin {
    /// Its file, `file:line:column`.
    pub place: String,
    /// Its source.
    pub source: String,
}

/// A path that no root filesystem has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} is not in {roots}{hint}")]
pub struct NoSuchPath {
    /// The path or pattern.
    pub path: String,
    /// The roots that were searched.
    pub roots: String,
    /// The nearest paths, as the end of the sentence.
    pub hint: String,
}

/// Explains paths of a recipe's root filesystems.
pub struct Explainer<'a> {
    recipe: &'a Recipe,
    roots: &'a [AttributedRoot],
    packages: &'a PackageReasons,
}

impl<'a> Explainer<'a> {
    /// For the roots of a build of a recipe.
    pub fn new(recipe: &'a Recipe, roots: &'a [AttributedRoot], packages: &'a PackageReasons) -> Self {
        Self { recipe, roots, packages }
    }

    /// Explains a path, in each root that has it; if none has, all paths that match it as a pattern.
    ///
    /// # Errors
    /// If no root has any.
    pub fn explain(&self, path: &str) -> Result<Vec<Explanation<'a>>, NoSuchPath> {
        let mut found = Vec::new();
        if let Ok(exact) = TreePath::new(path) {
            let having = self.roots.iter().filter_map(|root| Some((root, root.tree.get(&exact)?)));
            found.extend(having.map(|(root, entry)| self.one(root, &exact, entry)));
        }
        if let Ok(pattern) = Pattern::new(path)
            && found.is_empty()
        {
            for root in self.roots {
                let matching = root.tree.entries.iter().filter(|(path, _)| pattern.matches(path));
                found.extend(matching.map(|(path, entry)| self.one(root, path, entry)));
            }
        }
        if found.is_empty() { Err(self.missing(path)) } else { Ok(found) }
    }

    fn one(&self, root: &'a AttributedRoot, path: &TreePath, entry: &'a Entry) -> Explanation<'a> {
        let (origin, replaced) = match root.origins.of(path) {
            Some((origin, replaced)) => (Some(origin), replaced),
            None => (None, Vec::new()),
        };
        let name = origin.map(|origin| origin.name.as_str()).unwrap_or_default();
        let component = name.strip_prefix("component ").and_then(|name| {
            let component = self.recipe.components.get(name)?;
            let source = match component.source.value.request() {
                Some(request) => request.to_string(),
                None => "a folder of the project".to_owned(),
            };
            Some(ComponentOrigin { place: self.recipe.files.locate(component.span), source })
        });
        let package = name.strip_prefix("package ").and_then(|name| name.split(' ').next());
        let mut below = BTreeMap::new();
        if entry.is_dir() {
            let entries = root.tree.entries.iter().filter(|(at, entry)| at.is_within(path) && !entry.is_dir());
            for (at, _) in entries {
                if let Some((origin, _)) = root.origins.of(at) {
                    *below.entry(origin).or_default() += 1;
                }
            }
        }
        Explanation {
            root: &root.label,
            path: path.clone(),
            entry,
            origin,
            replaced,
            stated: self.content(root).map(|content| self.stated(content, path)).unwrap_or_default(),
            component,
            packages: package.map(|package| self.packages.chain(package)).unwrap_or_default(),
            below,
        }
    }

    /// The recipe's statements about a root, if it has any.
    fn content(&self, root: &AttributedRoot) -> Option<&'a Rootfs> {
        let image = &self.recipe.image;
        match root.label.as_str() {
            "rootfs" => Some(&image.rootfs),
            "initramfs" => (image.initrd.livefs == Livefs::None).then_some(&image.rootfs),
            _ => image.template.content.as_ref(),
        }
    }

    /// Where the recipe itself states something about a path.
    fn stated(&self, content: &Rootfs, path: &TreePath) -> Vec<(&'static str, String)> {
        let Rootfs { layout, users, groups, dirs, nodes, links, services, system, attributes, .. } = content;
        let is = |text: &str| TreePath::new(text).is_ok_and(|stated| stated == *path);
        let mut spans = Vec::new();
        spans.extend(dirs.iter().filter(|dir| is(&dir.path)).map(|dir| ("dirs", dir.path.span)));
        spans.extend(nodes.iter().filter(|node| is(&node.path)).map(|node| ("nodes", node.path.span)));
        spans.extend(links.iter().filter(|(link, _)| is(link)).map(|(link, _)| ("links", link.span)));
        let accounts = |name: &str| is(&format!("{}/{name}", layout.etc()));
        if ["passwd", "shadow", "group"].into_iter().any(accounts) {
            spans.extend(users.iter().map(|user| ("users", user.name.span)));
        }
        if accounts("group") {
            spans.extend(groups.iter().map(|(group, _)| ("groups", group.span)));
        }
        spans.extend(users.iter().filter(|user| is(&user.home)).map(|user| ("users", user.name.span)));
        for user in users.iter().filter(|user| is(&format!("{}/.ssh/authorized_keys", user.home))) {
            spans.extend(user.ssh_keys.iter().map(|key| ("ssh-keys", key.span)));
        }
        let folder = |name: &str| TreePath::new(&format!("{}/{name}", crate::rootfs::services::FOLDER));
        let own =
            services.iter().filter(|service| folder(&service.name.value).is_ok_and(|folder| path.is_within(&folder)));
        spans.extend(own.map(|service| ("services", service.name.span)));
        for (key, span) in system.stated() {
            let files = crate::rootfs::system::files_of(key, system, *layout);
            spans.extend(files.iter().any(|file| is(&file.path)).then_some((key, span)));
        }
        let matching = |stated: &str| Pattern::new(stated).is_ok_and(|pattern| pattern.matches(path));
        let changed = attributes.iter().filter(|stated| matching(&stated.path));
        spans.extend(changed.map(|stated| ("attributes", stated.path.span)));
        spans.into_iter().map(|(key, span)| (key, self.recipe.files.locate(span))).collect()
    }

    fn missing(&self, path: &str) -> NoSuchPath {
        let roots: Vec<&str> = self.roots.iter().map(|root| root.label.as_str()).collect();
        let wanted = path.trim_matches('/');
        let paths = || self.roots.iter().flat_map(|root| root.tree.entries.keys());
        let name = wanted.rsplit('/').next().unwrap_or(wanted);
        // A file of that name elsewhere, or one with a similar path.
        let mut near: Vec<String> = paths().filter(|path| path.name() == name).map(TreePath::to_string).collect();
        if near.is_empty() {
            let similar = similar::similar(wanted, paths().map(TreePath::as_str));
            near = similar.into_iter().map(|path| format!("/{path}")).collect();
        }
        near.dedup();
        near.truncate(3);
        NoSuchPath {
            path: format!("/{wanted}"),
            roots: if roots.is_empty() { "the recipe's images".into() } else { roots.join(" or ") },
            hint: similar::or_did_you_mean(&near),
        }
    }
}
