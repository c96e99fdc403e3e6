//! `set`: parameters of a container, saved, applied, or both.

use super::{Call, exec, mount_root, run, umount_root};
use crate::vz::conf::params::{self, BEANCOUNTERS, Kind, PARAMS, When};
use crate::vz::conf::{ConfFile, Config, replace};
use crate::vz::exit::{Error, Result};
use crate::vz::node::Command;
use crate::vz::options::{Given, Known};
use crate::vz::spec::Spec;
use crate::vz::{Ct, Vz, names};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

mod lists;

/// Options that are not one parameter with one value.
const OTHERS: &[Known] = &[
    ("save", None, false),
    ("force", None, false),
    ("reset_ub", None, false),
    ("setmode", None, true),
    ("applyconfig", None, true),
    ("applyconfig_map", None, true),
    ("userpasswd", None, true),
    ("skip_arpdetect", None, false),
    ("offline-resize", None, false),
    ("offline", None, false),
    ("pci_add", None, true),
    ("pci_del", None, true),
    ("meminfo", None, true),
    ("cpuweight", None, true),
];

/// What an applied sample leaves alone.
const OWN: &[&str] = &["HOSTNAME", "IP_ADDRESS", "OSTEMPLATE", "VE_ROOT", "VE_PRIVATE", "VE_LAYOUT", "NAME"];

/// Options that make no sense unless saved.
const SAVED: &[&str] = &["name", "ostemplate", "stop-timeout"];

/// All options of `set`.
pub(super) fn options() -> Vec<Known> {
    let single = PARAMS.iter().map(|param| (param.option, None, true));
    single.chain(OTHERS.iter().copied()).chain(lists::KNOWN.iter().copied()).collect()
}

pub(super) fn command(vz: &Vz, call: &Call) -> Result<u8> {
    let known = options();
    let given = call.options(&known, Error::Value)?;
    let ct = vz.container(call.id)?;
    let save = given.has("save");
    let done = check(&given).and_then(|()| set(vz, &ct, &given));
    if save && done.is_err() {
        vz.log.error("Error: failed to apply some parameters, not saving configuration file!");
    }
    let (new, keys) = match done? {
        Done::Nothing => return Ok(0),
        Done::Changed { new, keys } => (new, keys),
    };
    let running = vz.node.is_running(ct.id)?;
    if !save {
        if given.options.iter().any(|(name, _)| *name != "userpasswd") {
            let lost = if running { "and will be lost after CT restart " } else { "" };
            vz.log.info(format_args!("WARNING: Settings were not saved to config {lost}(use --save flag)"));
        }
        return Ok(0);
    }
    let path = vz.paths.container_conf(ct.id);
    if ct.file.is_none() {
        vz.log.error(format_args!("WARNING: {} not found: No such file or directory", path.display()));
    }
    let mut file = ct.file.clone().unwrap_or_default();
    store(&mut file, &new, &keys);
    file.write(&path).map_err(|error| Error::Save(path.clone(), error))?;
    vz.log.info(format_args!("CT configuration saved to {}", path.display()));
    if let When::Restart(_) = strongest(&keys) {
        if running && given.value("setmode") == Some("restart") {
            return run::restart(vz, &vz.container(ct.id)?, &Given::default());
        }
    }
    Ok(0)
}

/// What `set` came to.
enum Done {
    /// All is done, nothing is to be saved.
    Nothing,
    /// These keys have new values.
    Changed { new: Config, keys: Vec<String> },
}

fn store(file: &mut ConfFile, new: &Config, keys: &[String]) {
    for key in keys {
        match new.get(key) {
            Some(value) => file.set(key, value),
            // Emptied lists stay as such; what was never there is not made.
            None if file.get(key).is_some() => file.set(key, ""),
            None => {}
        }
    }
}

/// Combinations of options that make no sense.
fn check(given: &Given) -> Result<()> {
    let save = given.has("save");
    let value = |text: &str| Err(Error::Value(text.to_owned()));
    if given.has("reset_ub") && given.options.len() > 1 {
        return Err(Error::Syntax("Error: option --reset_ub is exclusive".into()));
    }
    for name in ["pci_add", "pci_del", "meminfo", "cpuweight"] {
        if given.has(name) {
            return Err(Error::Value(format!(
                "Option --{name} is not supported: today's kernels have nothing like it"
            )));
        }
    }
    let offline = given.has("offline-resize") || given.has("offline");
    if offline && !given.has("diskspace") {
        return value("Error: option --offline-resize can only be used with --diskspace");
    }
    if given.has("nodemask") && !given.has("cpumask") {
        return value("Error: option --nodemask requires --cpumask");
    }
    if given.value("cpumask") == Some("auto") && !given.has("nodemask") {
        return value("Error: --cpumask auto requires --nodemask");
    }
    if let Some(name) = SAVED.iter().find(|name| given.has(name) && !save) {
        return Err(Error::Value(format!("Error: unable to use --{name} option without --save")));
    }
    if given.has("force") && !save {
        return value("Error: --force is useless without --save");
    }
    match given.value("setmode") {
        None | Some("ignore") => {}
        Some("restart") if save => {}
        Some("restart") => return value("Error: --setmode restart doesn't make sense without --save flag"),
        Some(other) => return Err(Error::Value(format!("Bad parameter for --setmode: {other}"))),
    }
    match given.value("applyconfig_map") {
        None | Some("name") => Ok(()),
        Some(other) => Err(Error::Value(format!("Bad parameter for --applyconfig_map: {other}"))),
    }
}

fn set(vz: &Vz, ct: &Ct, given: &Given) -> Result<Done> {
    let running = vz.node.is_running(ct.id)?;
    if given.has("reset_ub") {
        if !running {
            return Err(Error::not_running());
        }
        let keys: Vec<String> = BEANCOUNTERS.iter().map(|(name, _)| name.to_uppercase()).collect();
        let spec = ct.spec(vz)?;
        vz.node.apply(&spec, &spec, &keys)?;
        return Ok(Done::Nothing);
    }
    if given.has("offline-resize") || given.has("offline") {
        vz.log.info("Warning: option --offline-resize only makes sense for a ploop CT");
    }
    let mut new = ct.config.clone();
    let mut keys = Vec::new();
    if let Some(name) = given.value("applyconfig") {
        let path = vz.paths.sample(name);
        let sample =
            if name.contains('/') { Err(std::io::ErrorKind::InvalidInput.into()) } else { ConfFile::read(&path) };
        let sample = sample.map_err(|_| Error::ApplyConfig(path))?;
        for (key, value) in sample.pairs().filter(|(key, _)| !OWN.contains(key)) {
            change(&mut new, &mut keys, key, value.to_owned());
        }
    }
    let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
    for (option, value) in &given.options {
        let Some(param) = params::by_option(option) else { continue };
        let bad = || Error::Value(format!("Bad parameter for --{option}: {value}"));
        let stored = param.kind.canonical(value).ok_or_else(bad)?;
        if param.kind != Kind::List {
            change(&mut new, &mut keys, param.key, stored);
            continue;
        }
        if param.key == "NAMESERVER"
            && value.split_whitespace().any(|one| one != "inherit" && one.parse::<std::net::IpAddr>().is_err())
        {
            return Err(bad());
        }
        match lists.iter_mut().find(|(key, _)| *key == param.key) {
            Some((_, all)) => all.push(value),
            None => lists.push((param.key, vec![value])),
        }
    }
    for (key, values) in lists {
        change(&mut new, &mut keys, key, values.join(" "));
    }
    lists::edit(given, &mut new, &mut keys)?;
    // All values are read once as they will be: nothing that can't be started is saved.
    let before = ct.spec(vz)?;
    let after = Ct { id: ct.id, file: None, config: new.clone() }.spec(vz)?;
    if running {
        for key in ["VE_PRIVATE", "VE_ROOT"] {
            if keys.iter().any(|changed| changed == key) {
                return Err(Error::Running(format!("Unable to change {key} on a running container")));
            }
        }
    }
    let restored = given.has("applyconfig_map").then(|| ct.config.get("NAME")).flatten();
    if let Some(name) = given.value("name").or(restored) {
        names::set(&vz.paths, ct.id, name, ct.config.get("NAME"))?;
    }
    for pair in given.values("userpasswd") {
        password(vz, ct, running, pair)?;
    }
    let mode = given.value("setmode");
    let refused = refusals(&keys);
    if running {
        if !refused.is_empty() && mode != Some("restart") {
            if mode.is_none() {
                refused.iter().for_each(|text| vz.log.error(text));
                let text = "WARNING: Some of the parameters could not be applied to a running container.\n\tPlease consider using --setmode option";
                return Err(Error::Running(text.into()));
            }
            keys.iter()
                .for_each(|key| vz.log.say(1, format_args!("{key} takes effect when the container starts again")));
        }
        if mode != Some("restart") || refused.is_empty() {
            apply(vz, ct, &before, &after, &new, &keys)?;
        }
    } else if !given.has("save") && !keys.is_empty() {
        return Err(Error::NotRunning("Container is not running: use --save to change its configuration".into()));
    }
    Ok(Done::Changed { new, keys })
}

/// Lets what can change at once take effect in a running container.
fn apply(vz: &Vz, ct: &Ct, before: &Spec, after: &Spec, new: &Config, keys: &[String]) -> Result<()> {
    let now: Vec<String> = keys.iter().filter(|key| when(key) == When::Now).cloned().collect();
    if now.is_empty() {
        return Ok(());
    }
    if now.iter().any(|key| key == "NAMESERVER" || key == "SEARCHDOMAIN") {
        write_inside(vz, &Ct { id: ct.id, file: None, config: new.clone() }, after)?;
    }
    vz.node.apply(before, after, &now)
}

fn change(config: &mut Config, keys: &mut Vec<String>, key: &str, value: String) {
    if !keys.iter().any(|known| known == key) {
        keys.push(key.to_owned());
    }
    config.put(key, Some(value));
}

/// When a key takes effect.
fn when(key: &str) -> When {
    match key {
        "CAPABILITY" => When::Restart("Unable to set capability on a running container"),
        "FEATURES" => When::Restart("Unable to set features on a running container"),
        _ => params::by_key(key).map_or(When::Now, |param| param.when),
    }
}

fn refusals(keys: &[String]) -> Vec<&'static str> {
    let mut all: Vec<&str> =
        keys.iter().filter_map(|key| if let When::Restart(text) = when(key) { Some(text) } else { None }).collect();
    all.dedup();
    all
}

fn strongest(keys: &[String]) -> When {
    refusals(keys).first().map_or(When::Now, |text| When::Restart(text))
}

/// Sets a user's password inside, by the container's own programs; the user is made if there is none. Never saved.
fn password(vz: &Vz, ct: &Ct, running: bool, pair: &str) -> Result<()> {
    let bad = || Error::Value("Bad parameter for --userpasswd: expected USER:PASSWORD".into());
    let (user, secret) = pair.split_once(':').ok_or_else(bad)?;
    let name = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if user.is_empty()
        || !user.bytes().all(name)
        || user.starts_with('-')
        || secret.is_empty()
        || secret.contains(['\n', '\0'])
    {
        return Err(bad());
    }
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    let mount = !running && !vz.node.is_mounted(&root)?;
    if mount {
        mount_root(vz, ct)?;
    }
    let script = format!(
        "id {user} >/dev/null 2>&1 || useradd -m {user} 2>/dev/null || adduser -D {user} || exit 1\nexec chpasswd\n"
    );
    let ran = ct.spec(vz).and_then(|spec| {
        let command = exec::shell(&spec, &["-c".into(), script])?;
        let input = Some(format!("{user}:{secret}\n").into_bytes());
        let stopped_root = (!running).then_some(root);
        vz.node.exec(ct.id, &Command { input, stopped_root, ids: spec.ids, ..command })
    });
    if mount {
        umount_root(vz, ct)?;
    }
    match ran? {
        0 => Ok(()),
        code => Err(Error::Password(format!(
            "Unable to set the password of {user}: the container's programs ended with {code}"
        ))),
    }
}

/// Writes what a container's own files say: its name servers and search domains. The root is mounted.
///
/// # Errors
/// The disk is full. A root without a folder `etc` is left alone.
pub(super) fn write_inside(vz: &Vz, ct: &Ct, spec: &Spec) -> Result<()> {
    let inherited = |key: &str, word: &str| -> Vec<String> {
        let own: Vec<&str> = ct.config.list(key);
        if own != ["inherit"] {
            return own.into_iter().map(str::to_owned).collect();
        }
        let host = ["/system/etc/resolv.conf", "/etc/resolv.conf"].map(|path| fs::read_to_string(vz.paths.at(path)));
        let text = host.into_iter().flatten().next().unwrap_or_default();
        let lines =
            text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix([' ', '\t']).map(str::to_owned));
        lines.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let (servers, domains) = (inherited("NAMESERVER", "nameserver"), inherited("SEARCHDOMAIN", "search"));
    if servers.is_empty() && domains.is_empty() {
        return Ok(());
    }
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    if !domains.is_empty() {
        text = format!("search {}\n{text}", domains.join(" "));
    }
    for folder in ["system/etc", "etc"] {
        if put(&spec.root, folder, "resolv.conf", text.as_bytes())? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a plain file holds just this.
fn holds(file: fs::File, text: &[u8]) -> bool {
    use std::io::Read;
    let mut read = Vec::new();
    let about = file.metadata();
    about.is_ok_and(|about| about.is_file() && about.len() == text.len() as u64)
        && file.take(text.len() as u64).read_to_end(&mut read).is_ok()
        && read == text
}

/// Writes a file into a container's root. Its symlinks lead nowhere but into that root. False: there is no such folder.
fn put(root: &Path, folder: &str, name: &str, text: &[u8]) -> Result<bool> {
    use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
    let top = fs::File::open(root).map_err(|error| Error::file(root, error))?;
    let how = OpenHow::new()
        .flags(OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let Ok(inner) = openat2(&top, folder, how) else { return Ok(false) };
    // It is written at each start, mostly with what it holds.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let same = openat2(&inner, name, how).map(fs::File::from).is_ok_and(|file| holds(file, text));
    if same {
        return Ok(true);
    }
    // The rename replaces what is there, be it a symlink; nothing on the way is followed.
    let path = Path::new("/proc/self/fd").join(inner.as_raw_fd().to_string()).join(name);
    // Whose the folder is, his is the file: of a container with a user namespace our own root is nobody.
    let inner = fs::File::from(inner);
    let written = inner.metadata().and_then(|about| {
        replace(&path, text, 0o644)?;
        lchown(&path, Some(about.uid()), Some(about.gid()))
    });
    written.map_err(|error| Error::file(&root.join(folder).join(name), error))?;
    Ok(true)
}
