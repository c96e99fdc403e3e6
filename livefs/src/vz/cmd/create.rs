//! `create`, `destroy`.

use super::{Call, make_folder};
use crate::system::owners;
use crate::system::tree::copy_tree;
use crate::vz::conf::{ConfFile, Config, params, sync_folder};
use crate::vz::exit::{Error, Result};
use crate::vz::layout::{self, Layout};
use crate::vz::options::{Given, Known};
use crate::vz::snapshots::Snapshots;
use crate::vz::spec::{Spec, address};
use crate::vz::template::{LIVE, Template};
use crate::vz::{Vz, mark, names};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const KNOWN: &[Known] = &[
    ("ostemplate", None, true),
    ("config", None, true),
    ("private", None, true),
    ("root", None, true),
    ("ipadd", None, true),
    ("hostname", None, true),
    ("name", None, true),
    ("description", None, true),
    ("layout", None, true),
    ("ve_layout", None, true),
    ("velayout", None, true),
    ("diskspace", None, true),
    ("diskinodes", None, true),
    ("local_uid", None, true),
    ("local_gid", None, true),
];

pub(super) fn create(vz: &Vz, call: &Call) -> Result<u8> {
    let given = call.options(KNOWN, Error::Value)?;
    let id = call.id;
    if id <= names::RESERVED {
        vz.log.error(format_args!("Warning: CT IDs up to {} are reserved", names::RESERVED));
    }
    let mut file = sample(vz, id, given.value("config"))?;
    put_options(&mut file, &given)?;
    let wanted = ["layout", "ve_layout", "velayout"].iter().find_map(|name| given.value(name));
    let config = Config::layered([&vz.global, &file], id);
    let layout = Layout::parse(wanted.or_else(|| config.get("VE_LAYOUT")).unwrap_or("simfs"))?;
    let name = config.get("OSTEMPLATE").or_else(|| config.get("DEF_OSTEMPLATE")).ok_or(Error::NoTemplate)?.to_owned();
    let templates = vz.paths.at(config.path("TEMPLATE")?);
    let private = vz.paths.at(config.path("VE_PRIVATE")?);
    let root = vz.paths.at(config.path("VE_ROOT")?);
    if private.symlink_metadata().is_ok() {
        return Err(Error::PrivateExists(private));
    }
    let ids = Spec::ids(&config).map_err(|error| Error::Value(error.to_string()))?;
    let template = Template::find(&name, &vz.paths.at(LIVE), &templates)?;
    file.set("OSTEMPLATE", &name);
    file.set("VE_LAYOUT", layout.name());

    vz.log.info(format_args!("Creating container private area ({name})"));
    let made = layout::beside(&private, "creating");
    if made.exists() {
        vz.log.error(format_args!("Warning: Temp dir {} already exists, deleting", made.display()));
        fs::remove_dir_all(&made).map_err(|error| Error::file(&made, error))?;
    }
    make_folder(private.parent().unwrap_or(Path::new("/")))?;
    let filled = fill(layout, &template, &name, &templates, &made);
    let owned = filled.and_then(|()| ids.map_or(Ok(()), |ids| own(vz, layout, &made, &root, ids)));
    let done = owned.and_then(|()| settle(vz, id, &file, &made, &private));
    if let Err(error) = done {
        let _ = fs::remove_dir_all(&made);
        vz.log.error("Creation of container private area failed");
        return Err(error);
    }
    make_folder(&root)?;
    vz.log.info("Container private area was created");
    Ok(0)
}

/// The configuration to begin with: one that exists, else the sample.
fn sample(vz: &Vz, id: u32, wanted: Option<&str>) -> Result<ConfFile> {
    let own = vz.paths.container_conf(id);
    if own.exists() {
        if wanted.is_some() {
            let text =
                format!("Error: container config file {} already exists, can not use --config option", own.display());
            return Err(Error::InvalidConfig(text));
        }
        vz.log.info("Warning: CT config file already exists, not applying a default config sample.");
        vz.log.info("It might lead to incomplete CT configuration, you can use --applyconfig to fix.");
        return ConfFile::read(&own).map_err(|error| Error::file(&own, error));
    }
    let default = Config::layered([&vz.global], id).get("CONFIGFILE").map(str::to_owned);
    let Some(name) = wanted.map(str::to_owned).or(default) else { return Ok(ConfFile::default()) };
    let path = vz.paths.sample(&name);
    let found = if name.contains('/') { Err(io::ErrorKind::InvalidInput.into()) } else { ConfFile::read(&path) };
    let mut file =
        found.map_err(|error| Error::System(format!("Sample config {} not found: {error}", path.display())))?;
    file.set("ORIGIN_SAMPLE", &name);
    Ok(file)
}

/// Gives a private area to the users of a user namespace. An overlay's is mounted for it: of what the template holds, owners alone
/// come to lie above it.
fn own(vz: &Vz, layout: Layout, made: &Path, root: &Path, ids: (u32, u32)) -> Result<()> {
    // Of an application's container /system is the machine's, except for what is its own in it.
    let theirs = |path: &Path| {
        let mut parts = path.iter().map(|part| part.to_string_lossy());
        let system = layout == Layout::App && parts.next().is_some_and(|part| part == "system");
        system && parts.next().is_some_and(|part| !layout::OWN.contains(&part.as_ref()))
    };
    let shifted = |tree: &Path| {
        owners::shift(tree, ids.0, ids.1, &theirs).map_err(|error| match error.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(format!("{}: {error}", tree.display())),
            _ => Error::Create(format!("Creation of container private area failed: {error}")),
        })
    };
    if layout == Layout::Simfs {
        return shifted(made);
    }
    let state = Snapshots { ids: Some(ids), ..Snapshots::read(made)? };
    state.write(made)?;
    make_folder(root)?;
    vz.node.umount(root)?;
    vz.node.mount(&layout::mounts(Layout::Overlay, made, root)?)?;
    let done = shifted(root);
    vz.node.umount(root)?;
    done
}

/// Writes the options' values into the new configuration.
fn put_options(file: &mut ConfFile, given: &Given) -> Result<()> {
    let bad = |name: &str, value: &str| Error::Value(format!("Bad parameter for --{name}: {value}"));
    let mut addresses = Vec::new();
    for (name, value) in &given.options {
        match *name {
            "config" | "layout" | "ve_layout" | "velayout" => {}
            "ipadd" => {
                address(value).ok_or_else(|| bad(name, value))?;
                addresses.push(value.as_str());
            }
            "local_uid" | "local_gid" => {
                let id: u32 = value.parse().map_err(|_| bad(name, value))?;
                file.set(&name.to_uppercase(), &id.to_string());
            }
            _ => {
                let param = params::by_option(name).ok_or_else(|| bad(name, value))?;
                file.set(param.key, &param.kind.canonical(value).ok_or_else(|| bad(name, value))?);
            }
        }
    }
    if !addresses.is_empty() {
        file.set("IP_ADDRESS", &addresses.join(" "));
    }
    Ok(())
}

/// Makes a private area.
fn fill(layout: Layout, template: &Template, name: &str, templates: &Path, made: &Path) -> Result<()> {
    if layout == Layout::Simfs {
        return template.lay_out(made);
    }
    let below = match template {
        Template::Tree(tree) if layout == Layout::App => {
            area(made, tree.clone())?;
            return own_system(tree, &made.join("upper"));
        }
        Template::Tree(tree) => tree.clone(),
        Template::Archive(..) if layout == Layout::App => {
            return app(template, Path::new(LIVE), made);
        }
        Template::Archive(..) => shared(template, name, templates)?,
    };
    area(made, below)
}

/// An app's template holds its own content only: it is what was changed over the live system.
fn app(template: &Template, live: &Path, made: &Path) -> Result<()> {
    area(made, live.to_owned())?;
    let upper = made.join("upper");
    fs::remove_dir(&upper).map_err(|error| Error::file(&upper, error))?;
    template.lay_out(&upper)?;
    if !template_is_bare(&upper) {
        return Ok(());
    }
    own_system(live, &upper)?;
    let inittab = upper.join("system/etc/inittab");
    fs::write(&inittab, APP_INITTAB).map_err(|error| Error::file(&inittab, error))
}

/// Whether a template brings nothing of a system of its own.
fn template_is_bare(upper: &Path) -> bool {
    fs::symlink_metadata(upper.join("system")).is_err()
}

/// What init does in an application's container: start it, and again when it ends.
const APP_INITTAB: &str = "\
# What init starts in this container: the application alone.
::sysinit:/system/etc/init.d/rcS
::respawn:/usr/app/run >>/system/var/log/app.log 2>&1
::shutdown:/system/etc/init.d/rcK
";

/// The part of `/system` that is an application's own: configuration and what changes. The programs are the live system's.
fn own_system(live: &Path, upper: &Path) -> Result<()> {
    let (from, system) = (live.join("system/etc"), upper.join("system"));
    for folder in ["var/log", "var/lib", "var/tmp", "tmp", "run"] {
        make_folder(&system.join(folder))?;
    }
    let etc = system.join("etc");
    copy_tree(&from, &etc).map_err(|error| Error::file(&from, error))?;
    // How the live system starts its own containers is none of theirs.
    match fs::remove_dir_all(etc.join("vz")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&etc, error)),
        _ => {}
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
    for folder in ["tmp", "var/tmp"] {
        let path = system.join(folder);
        fs::set_permissions(&path, fs::Permissions::clone(&open)).map_err(|error| Error::file(&path, error))?;
    }
    Ok(())
}

/// An empty overlay over a tree.
fn area(made: &Path, template: PathBuf) -> Result<()> {
    for folder in ["upper", "work", "layers"] {
        make_folder(&made.join(folder))?;
    }
    // The root of a tree is anybody's to enter, whatever our umask is.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let upper = made.join("upper");
    fs::set_permissions(&upper, mode).map_err(|error| Error::file(&upper, error))?;
    Snapshots { template, ..Snapshots::default() }.write(made)
}

/// A template's tree that overlays share; unpacked at its first use.
fn shared(template: &Template, name: &str, templates: &Path) -> Result<PathBuf> {
    let tree = templates.join("root").join(name);
    if !tree.is_dir() {
        let made = layout::beside(&tree, "creating");
        make_folder(&templates.join("root"))?;
        if made.exists() {
            fs::remove_dir_all(&made).map_err(|error| Error::file(&made, error))?;
        }
        template.lay_out(&made)?;
        sync(&made)?;
        fs::rename(&made, &tree).map_err(|error| Error::file(&tree, error))?;
    }
    Ok(tree)
}

/// Brings all to the disk, then gives it its names: a power cut before leaves what is told from a whole container.
///
/// A container is its private area and its configuration. The configuration waits under a name that says so until the private area
/// has its own: with both, [`crate::vz::recovery`] finishes the creation, else it takes it back. One that was there before stays until
/// then.
fn settle(vz: &Vz, id: u32, file: &ConfFile, made: &Path, private: &Path) -> Result<()> {
    sync(made)?;
    if let Some(name) = file.get("NAME") {
        names::set(&vz.paths, id, name, None)?;
    }
    let (folder, conf) = (vz.paths.conf(), vz.paths.container_conf(id));
    make_folder(&folder)?;
    let waiting = folder.join(format!(".{id}.conf.creating"));
    let failed = |error| Error::Save(conf.clone(), error);
    let written = File::create(&waiting).and_then(|mut out| {
        out.write_all(file.text().as_bytes())?;
        out.sync_all()?;
        sync_folder(&folder)
    });
    let done = written.map_err(failed).and_then(|()| {
        fs::rename(made, private).map_err(|error| {
            Error::Create(format!("Can't rename {} to {}: {error}", made.display(), private.display()))
        })
    });
    if done.is_err() {
        let _ = fs::remove_file(&waiting);
        return done;
    }
    sync(private.parent().unwrap_or(private))?;
    fs::rename(&waiting, &conf).and_then(|()| sync_folder(&folder)).map_err(failed)
}

/// Brings the file system that a folder is on to the disk.
pub(super) fn sync(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(|error| Error::file(folder, error))?;
    nix::unistd::syncfs(opened).map_err(|error| Error::file(folder, error.into()))
}

pub(super) fn destroy(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    let ct = vz.container(call.id)?;
    let private = vz.paths.at(ct.config.path("VE_PRIVATE")?);
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    if vz.node.is_running(call.id)? {
        return Err(Error::Running("Container is currently running. Stop it first.".into()));
    }
    if vz.node.is_mounted(&root)? {
        return Err(Error::Mounted("Container is currently mounted (umount first)".into()));
    }
    // Its configuration goes before the last of its private area does: until then a power cut leaves what tells of it.
    if private.is_dir() {
        vz.log.info(format_args!("Destroying container private area: {}", private.display()));
        layout::remove(&private, || retire(vz, call.id))?;
    } else {
        retire(vz, call.id)?;
    }
    // The mount point may hold something of others.
    if let Err(error) = fs::remove_dir(&root) {
        if error.kind() != io::ErrorKind::NotFound {
            vz.log.error(format_args!("Warning: failed to remove {}: {error}", root.display()));
        }
    }
    vz.log.info("Container private area was destroyed");
    Ok(0)
}

/// Takes a container's configuration (to `CTID.conf.destroyed`), name, mark and action scripts out of use.
pub(crate) fn retire(vz: &Vz, id: u32) -> Result<()> {
    let conf = vz.paths.container_conf(id);
    if let Some(name) = vz.container(id)?.file.as_ref().and_then(|file| file.get("NAME")) {
        names::remove(&vz.paths, id, name)?;
    }
    let mark = vz.paths.running(id);
    mark::remove(&mark).map_err(|error| Error::file(&mark, error))?;
    for script in ["conf", "premount", "mount", "umount", "postumount", "start", "stop"] {
        let path = conf.with_extension(script);
        match fs::rename(&path, path.with_extension(format!("{script}.destroyed"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&path, error)),
            _ => {}
        }
    }
    sync_folder(&vz.paths.conf()).map_err(|error| Error::file(&conf, error))
}
