//! Planning root filesystems: the recipe's statements about a tree, and its layers.

use std::sync::Arc;

use super::component::Additions;
use super::packages::patterns;
use super::planner::{PlanError, Planner};
use crate::recipe::decode::At;
use crate::recipe::programs;
use crate::recipe::rootfs::{Attributes, Keymap, Overlay, Rootfs, User};
use crate::recipe::text::Span;
use crate::rootfs::{
    Account, Assembly, LayerOrigin, Modes, NeededFile, Pattern, Program, StatedFile, scan, services, system,
};
use crate::step::{AssembleStep, ComponentStep, Id, LayerFrom, PackagesStep};
use crate::tree::TreePath;

impl Planner<'_> {
    /// A tree described in the recipe.
    pub fn tree(&mut self, label: &str, rootfs: &Rootfs) -> Result<Id<AssembleStep>, PlanError> {
        let mut layers = Vec::new();
        if let Some(request) = &rootfs.packages {
            let from = self.packages(request, rootfs)?.output(PackagesStep::TREE);
            layers.push(LayerFrom::Tree { origin: "the packages".into(), from });
        }
        layers.extend(self.component_layers(&rootfs.components)?);
        layers.extend(self.folder_layers(&rootfs.overlays)?);
        let shell = |user: &User| {
            let (role, place) = (format!("the shell of account `{}`", user.name.value), user.name.span);
            self.program(&user.shell, role, place, programs::SHELL)
        };
        let mut programs = rootfs.shells().map(shell).collect::<Result<Vec<_>, _>>()?;
        programs.extend(self.services(rootfs)?);
        let needed = self.keymap(rootfs)?.into_iter().collect();
        let assembly = Assembly { programs, needed, ..assembly(rootfs)? };
        Ok(self.plan.graph.add(AssembleStep { label: label.to_owned(), assembly, layers, firmware: None }))
    }

    /// What services need: their programs, and the supervisor.
    fn services(&self, rootfs: &Rootfs) -> Result<Vec<Program>, PlanError> {
        let mut programs = Vec::new();
        if let Some(first) = rootfs.services.first() {
            let role = "the supervisor of `services`".to_owned();
            programs.push(self.program(services::SUPERVISOR, role, first.name.span, programs::SUPERVISOR)?);
        }
        for service in &rootfs.services {
            let role = format!("the program of service `{}`", &*service.name.value);
            let program = service.command.value.first().map_or("", String::as_str);
            programs.push(self.program(program, role, service.command.span, programs::SERVICE)?);
        }
        Ok(programs)
    }

    /// The keyboard map that the root has to contain.
    fn keymap(&self, rootfs: &Rootfs) -> Result<Option<NeededFile>, PlanError> {
        let Some(map) = &rootfs.system.keymap else { return Ok(None) };
        let path = |folder: &str| TreePath::new(&format!("{folder}/{}.kmap", map.value.0)).map_err(PlanError::Path);
        Ok(Some(NeededFile {
            paths: Keymap::FOLDERS.into_iter().map(path).collect::<Result<_, _>>()?,
            role: format!("the map of `keymap: {}`", map.value.0),
            place: self.recipe.files.locate(map.span),
            remedy: programs::KEYMAP.to_owned(),
        }))
    }

    /// What components install, as layers.
    pub fn component_layers(&mut self, names: &[At<String>]) -> Result<Vec<LayerFrom>, PlanError> {
        let mut layers = Vec::new();
        for name in names {
            let from = self.component(&name.value, &Additions::default())?.output(ComponentStep::INSTALL);
            layers.push(LayerFrom::Tree { origin: self.origin(format!("component {}", name.value), name.span), from });
        }
        Ok(layers)
    }

    /// Folders of the project, as layers.
    pub fn folder_layers(&mut self, overlays: &[Overlay]) -> Result<Vec<LayerFrom>, PlanError> {
        overlays.iter().map(|overlay| self.folder_layer(overlay)).collect()
    }

    fn folder_layer(&mut self, overlay: &Overlay) -> Result<LayerFrom, PlanError> {
        let path = &overlay.path.value;
        let modes = if overlay.keep_modes { Modes::Keep } else { Modes::Plain };
        let folder = scan(path, &[], modes).map_err(PlanError::Folder)?;
        self.plan.graph.files.extend(folder.files);
        // As a user would write it.
        let shown = path.strip_prefix(".").unwrap_or(path).display();
        let origin = self.origin(format!("overlay {shown}"), overlay.path.span);
        Ok(LayerFrom::Folder { origin, tree: Arc::new(folder.tree), keep_modes: overlay.keep_modes })
    }

    fn origin(&self, name: String, place: Span) -> LayerOrigin {
        LayerOrigin { name, place: Some(self.recipe.files.locate(place)) }
    }

    /// A program that the tree must contain.
    pub fn program(&self, path: &str, role: String, place: Span, remedy: &str) -> Result<Program, PlanError> {
        let (path, place) = (TreePath::new(path).map_err(PlanError::Path)?, self.recipe.files.locate(place));
        Ok(Program { path, role, place, remedy: remedy.to_owned() })
    }
}

fn patterned(attributes: &[Attributes]) -> Result<Vec<(Pattern, Attributes)>, PlanError> {
    let one = |stated: &Attributes| Ok((Pattern::new(&stated.path).map_err(PlanError::Pattern)?, stated.clone()));
    attributes.iter().map(one).collect()
}

/// What a recipe states about its root filesystem, except for the layers.
pub(super) fn assembly(rootfs: &Rootfs) -> Result<Assembly, PlanError> {
    let account = |user: &User| Account {
        name: user.name.value.clone(),
        uid: user.uid,
        gid: user.gid,
        groups: user.groups.clone(),
        gecos: user.gecos.clone(),
        home: user.home.clone(),
        shell: user.shell.clone(),
        password: user.password.clone(),
    };
    // Below a home folder, which the account owns.
    let with_keys = || rootfs.users.iter().filter(|user| !user.ssh_keys.is_empty());
    let folder = |user: &User| format!("{}/.ssh", user.home.trim_end_matches('/'));
    let keys = with_keys().map(|user| StatedFile {
        path: format!("{}/authorized_keys", folder(user)),
        content: user.ssh_keys.iter().map(|key| format!("{}\n", key.value)).collect::<String>().into_bytes(),
        mode: 0o600,
        owner: (user.uid, user.gid),
    });
    let folders = with_keys().map(|user| Attributes {
        path: At { value: folder(user), span: user.name.span },
        mode: Some(0o700),
        uid: Some(user.uid),
        gid: Some(user.gid),
        capabilities: None,
        xattrs: std::collections::BTreeMap::new(),
    });
    let links = rootfs.links.iter().map(|(path, target)| (path.value.clone(), target.clone()));
    Ok(Assembly {
        layout: Some(rootfs.layout),
        accounts: rootfs.users.iter().map(account).collect(),
        groups: rootfs.groups.iter().map(|(name, gid)| (name.value.clone(), *gid)).collect(),
        nodes: rootfs.nodes.clone(),
        links: links.chain(services::links(&rootfs.services)).collect(),
        files: services::files(&rootfs.services).into_iter().chain(keys).collect(),
        settings: system::files(&rootfs.system, rootfs.layout),
        dirs: rootfs.dirs.iter().cloned().chain(folders).collect(),
        attributes: patterned(&rootfs.attributes)?,
        replace: patterns(&rootfs.replace)?,
        programs: Vec::new(),
        needed: Vec::new(),
    })
}
