//! `set`: parameters of a container, saved, applied, or both.

use super::call::Call;
use super::{inside, run};
use crate::vz::conf::params::{self, BEANCOUNTERS, PARAMS, When};
use crate::vz::conf::{ConfFile, Config, Pair, Unit};
use crate::vz::context::{Ct, Vz};
use crate::vz::exit::{Error, Result};
use crate::vz::layout::Place;
use crate::vz::names;
use crate::vz::options::{Given, Known};
use crate::vz::suspended::Operation;
use options::Changes;
use std::path::Path;

mod apply;
mod options;

/// Options other than single parameters with one value.
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
];

/// The keys that applying a sample leaves unchanged.
const OWN: &[&str] =
    &["HOSTNAME", "DESCRIPTION", "IP_ADDRESS", "OSTEMPLATE", "VE_ROOT", "VE_PRIVATE", "VE_LAYOUT", "NAME"];

/// All options of `set`.
pub(super) fn known() -> Vec<Known> {
    let single = PARAMS.iter().map(|param| (param.option, None, true));
    single.chain(OTHERS.iter().copied()).chain(options::LISTS.iter().copied()).collect()
}

pub(super) fn command(vz: &Vz, call: &Call) -> Result<u8> {
    let known = known();
    let given = call.options(&known, Error::Value)?;
    let mut changes = Changes::read(vz, call.id, &given)?;
    given.no_rest()?;
    let ct = vz.container(call.id)?;
    let save = given.has("save");
    let done = if call.id == 0 { host(vz, &given, &changes) } else { set(vz, &ct, &given, &mut changes) };
    if save && done.is_err() {
        if let Some(text) = done.as_ref().err().map(Error::to_string).filter(|text| !text.is_empty()) {
            vz.log.error(text);
        }
        vz.log.error("Error: failed to apply some parameters, not saving configuration file!");
        return done.map_err(|error| Error::Told(error.code())).map(|_| 0);
    }
    let Done { new, warns } = done?;
    if save {
        return store(vz, &ct, &new);
    }
    if warns {
        let lost = if call.id > 0 && vz.node.is_running(ct.id)? { "and will be lost after CT restart " } else { "" };
        vz.log.info(format_args!("WARNING: Settings were not saved to config {lost}(use --save flag)"));
    }
    Ok(0)
}

/// The result of `set`.
struct Done {
    /// What is to be stored.
    new: Vec<(String, String)>,
    /// Whether to report that nothing was saved.
    warns: bool,
}

/// Writes new values into a container's file.
fn store(vz: &Vz, ct: &Ct, new: &[(String, String)]) -> Result<u8> {
    let path = vz.paths.container_conf(ct.id);
    if ct.file.is_none() {
        vz.log.error(format_args!("WARNING: {} not found: No such file or directory", path.display()));
    }
    if new.is_empty() {
        vz.log.info("No changes in CT configuration, not saving");
        return Ok(0);
    }
    let mut file = ct.file.clone().unwrap_or_default();
    save(&mut file, new);
    file.write(&path).map_err(|error| Error::Save(path.clone(), error))?;
    vz.log.info(format_args!("CT configuration saved to {}", path.display()));
    Ok(0)
}

/// Sets values in a file; new keys are added in the classic tool's order.
pub(super) fn save(file: &mut ConfFile, new: &[(String, String)]) {
    let mut sorted: Vec<&(String, String)> = new.iter().collect();
    sorted.sort_by_key(|(key, _)| params::place(key));
    sorted.into_iter().for_each(|(key, value)| file.set(key, value));
}

/// `set 0`: the limits of the host itself. They are stored, because scripts for OpenVZ machines set them.
fn host(vz: &Vz, given: &Given, changes: &Changes) -> Result<Done> {
    let ct = vz.container(0)?;
    let new = changes.merged(&own(&ct), &ct.config);
    if new.iter().any(|(key, _)| apply::is_limit(key)) || given.has("reset_ub") {
        vz.log.error("Warning: limits of the host itself are the kernel's own here; these are kept, without effect");
    }
    Ok(Done { new, warns: !given.has("reset_ub") })
}

/// The container's own file.
fn own(ct: &Ct) -> Config {
    Config::layered(ct.file.iter(), ct.id)
}

/// Combinations of options that make no sense.
fn check(given: &Given, image: bool) -> Result<()> {
    let wrong = |text: String| Err(Error::Syntax(text));
    if given.has("reset_ub") && given.options.len() > 1 {
        return wrong("Error: option --reset_ub is exclusive".into());
    }
    let offline = given.has("offline-resize") || given.has("offline");
    if offline && !given.has("diskspace") {
        return wrong("Error: option --offline-resize can only be used with --diskspace".into());
    }
    if given.has("nodemask") && !given.has("cpumask") {
        return wrong("Error: option --nodemask requires --cpumask".into());
    }
    if given.first("cpumask") == Some("auto") && !given.has("nodemask") {
        return wrong("Error: --cpumask auto requires --nodemask".into());
    }
    if given.has("save") {
        return Ok(());
    }
    if image && given.has("diskspace") {
        return wrong("Error: can't use --diskspace without --save for a ploop-based container".into());
    }
    if given.has("name") {
        return Err(Error::Name("Error: unable to use --name option without --save".into()));
    }
    for name in ["ostemplate", "stop-timeout"] {
        if given.has(name) {
            return wrong(format!("Error: unable to use --{name} option without --save"));
        }
    }
    if given.has("force") {
        return wrong("Error: --force is useless without --save".into());
    }
    if given.value("setmode") == Some("restart") {
        return wrong("Error: --setmode restart doesn't make sense without --save flag".into());
    }
    Ok(())
}

fn set(vz: &Vz, ct: &Ct, given: &Given, changes: &mut Changes) -> Result<Done> {
    let own = own(ct);
    changes.settle_interfaces(&own)?;
    let (private, root) = (ct.config.get("VE_PRIVATE"), ct.config.get("VE_ROOT"));
    let layout = private.map(|private| ct.layout(&vz.paths.at(private)));
    let image = matches!(layout, Some(Ok(layout)) if layout.area().is_image());
    check(given, image)?;
    let running = vz.node.is_running(ct.id)?;
    suspended(vz, ct, given, &changes.merged(&own, &ct.config))?;
    if let Some(name) = ct.config.get("NAME").filter(|_| given.has("applyconfig_map")) {
        names::set(&vz.paths, ct.id, name, Some(name))?;
    }
    if given.has("reset_ub") {
        if !running {
            return Err(Error::not_running());
        }
        let keys: Vec<String> = BEANCOUNTERS.iter().map(|(name, _)| name.to_uppercase()).collect();
        let spec = ct.spec(vz)?;
        vz.node.apply(&spec, &spec, &keys)?;
        vz.log.info("UB limits were set successfully");
        return Ok(Done { new: Vec::new(), warns: false });
    }
    if !image && (given.has("offline-resize") || given.has("offline")) {
        vz.log.info("Warning: option --offline-resize only makes sense for a ploop CT");
    }
    if let Some(name) = given.first("name") {
        if names::set(&vz.paths, ct.id, name, ct.config.get("NAME"))? {
            vz.log.info(format_args!("Name {name} assigned"));
        }
    }
    for option in ["private", "root"] {
        if running && given.has(option) {
            return Err(Error::Running(format!(
                "Unable to change VE_{} on a running container",
                option.to_uppercase()
            )));
        }
    }
    let passwords: Vec<&str> = given.values("userpasswd").collect();
    for pair in &passwords {
        inside::password(vz, ct, running, pair)?;
    }
    if let Some(name) = given.first("applyconfig") {
        sample(vz, ct.id, name, changes)?;
        suspended(vz, ct, given, &changes.merged(&own, &ct.config))?;
    }
    if let (true, Some(private), Some(root)) = (image, private, root) {
        resize(vz, ct, &vz.paths.at(private), &vz.paths.at(root), given, changes)?;
    }
    let new = changes.merged(&own, &ct.config);
    let mut config = ct.config.clone();
    new.iter().for_each(|(key, value)| config.put(key, Some(value.clone())));
    let after = Ct { id: ct.id, file: ct.file.clone(), config };
    let warns = given.options.iter().any(|(name, _)| *name != "userpasswd") || passwords.is_empty();
    if !running {
        // If there is only a password it is already set inside.
        if !given.has("save") && warns {
            apply::refused(vz, ct, changes)?;
        }
        return Ok(Done { new, warns });
    }
    let later = later(&ct.config, &new);
    match given.value("setmode") {
        _ if later.is_empty() => {}
        Some("restart") => {
            run::restart(vz, &after, &Given::default())?;
            return Ok(Done { new, warns });
        }
        mode => {
            later.iter().for_each(|text| vz.log.error(text));
            if mode == Some("ignore") {
                return Err(Error::Told(32));
            }
            vz.log.error("WARNING: Some of the parameters could not be applied to a running container.\n\tPlease consider using --setmode option");
        }
    }
    apply::apply(vz, ct, &after, changes, &new)?;
    Ok(Done { new, warns })
}

/// What a suspended container allows of the options, and of the values that are to be stored.
fn suspended(vz: &Vz, ct: &Ct, given: &Given, new: &[(String, String)]) -> Result<()> {
    // `--local_uid` is not an option of `set`, but a sample may have it.
    let users =
        |(key, value): &(String, String)| key.starts_with("LOCAL_") && ct.config.get(key) != Some(value.as_str());
    let kept = later(&ct.config, new);
    let asked = [
        (given.has("private") || given.has("root"), Operation::SetPlace),
        (given.has("userpasswd"), Operation::SetPassword),
        (!kept.is_empty() || new.iter().any(users), Operation::SetForStart),
        (true, Operation::SetForResume),
    ];
    for (_, operation) in asked.into_iter().filter(|(is, _)| *is) {
        vz.ask(ct.id, operation).inspect_err(|_| {
            kept.iter().for_each(|text| vz.log.error(text.replace("running", "suspended")));
        })?;
    }
    Ok(())
}

/// Gives an image the size that `--diskspace` says.
fn resize(vz: &Vz, ct: &Ct, private: &Path, root: &Path, given: &Given, changes: &Changes) -> Result<()> {
    if let Some(text) = changes.get("DISKSPACE") {
        let (running, mounted) = (vz.node.is_running(ct.id)?, vz.node.is_mounted(root)?);
        if mounted && (given.has("offline-resize") || given.has("offline")) {
            let state = if running { "running" } else { "mounted" };
            vz.log.error(format_args!("Option --offline-resize can't be used on a {state} container"));
            return Err(Error::Told(21));
        }
        let bad = |_| Error::InvalidConfig(format!("Invalid value for DISKSPACE: {text}"));
        let bytes = Pair::parse(text, Unit::Kilobytes).map_err(bad)?.limit.saturating_mul(1024);
        let conf = vz.paths.container_conf(ct.id);
        let area = ct.layout(private)?.area();
        vz.ask(ct.id, if area.shrinks(private, bytes)? { Operation::Shrink } else { Operation::Grow })?;
        let at = Place { private, root, mounted, suspended: vz.is_suspended(ct.id), conf: &conf };
        area.resize(&*vz.node, at, bytes)?;
    }
    if changes.get("DISKINODES").is_some() {
        vz.log.info("Warning: --diskinodes is ignored for ploop-based container");
    }
    Ok(())
}

/// Puts the values of a sample over those of the options.
fn sample(vz: &Vz, id: u32, name: &str, changes: &mut Changes) -> Result<()> {
    let path = vz.paths.sample(name);
    let found = if name.contains('/') { Err(std::io::ErrorKind::InvalidInput.into()) } else { ConfFile::read(&path) };
    let file = found.map_err(|_| Error::ApplyConfig(path.clone()))?;
    vz.tell(&file, &path, id);
    let mut pairs = file.values(id).pairs;
    pairs.retain(|(key, _)| !OWN.contains(&key.as_str()));
    if !pairs.iter().any(|(key, _)| key == "ORIGIN_SAMPLE") {
        pairs.push(("ORIGIN_SAMPLE".into(), name.to_owned()));
    }
    pairs.into_iter().for_each(|(key, value)| changes.put(&key, value));
    Ok(())
}

/// The changes that can't be applied while a container is running.
fn later(old: &Config, new: &[(String, String)]) -> Vec<&'static str> {
    let mut all = Vec::new();
    for (key, value) in new {
        let differs = old.get(key).unwrap_or_default() != value;
        let switched = |value: &str| !value.is_empty() && value != "0";
        match when(key) {
            // Its count may change, but not whether there is one.
            When::Restart(_) if key == "QUOTAUGIDLIMIT" => {
                match (switched(old.get(key).unwrap_or_default()), switched(value)) {
                    (false, true) => all.push("Unable to turn on second-level disk quota on a running container"),
                    (true, false) => all.push("Unable to turn off second-level disk quota on a running container"),
                    _ => {}
                }
            }
            When::Restart(text) if differs => all.push(text),
            _ => {}
        }
    }
    all.sort_by_key(|text| ORDER.iter().position(|known| text.contains(known)));
    all.dedup();
    all
}

/// The order in which they are named.
const ORDER: &[&str] = &["capability", "iptables", "features", "second-level", "DISK_QUOTA", "mount options"];

/// When a key takes effect.
fn when(key: &str) -> When {
    match key {
        "CAPABILITY" => When::Restart("Unable to set capability on a running container"),
        "FEATURES" => When::Restart("Unable to set features on a running container"),
        "IPTABLES" => When::Restart("Unable to set iptables/netfilter on a running container"),
        _ => params::by_key(key).map_or(When::Now, |param| param.when),
    }
}
