//! Applying new parameters to a running container, and the messages for a stopped one.

use super::options::Changes;
use super::when;
use crate::platform::PAGE;
use crate::vz::cmd::inside::write_inside;
use crate::vz::conf::params::{self, BEANCOUNTERS, Kind, When};
use crate::vz::conf::{Config, UNLIMITED};
use crate::vz::context::{Ct, Vz};
use crate::vz::exit::{Error, Result};

/// Whether a key limits the resources of a container, or of the host itself.
pub(super) fn is_limit(key: &str) -> bool {
    is_counter(key) || key.starts_with("CPU") || ["IOPRIO", "IOLIMIT", "IOPSLIMIT", "NODEMASK"].contains(&key)
}

fn is_counter(key: &str) -> bool {
    params::by_key(key).is_some_and(|param| matches!(param.kind, Kind::Limit(_)))
}

/// Whether beancounters are set: those given, or those derived from the limits of memory and swap where they are not
/// given.
fn sets_counters(config: &Config, changes: &Changes) -> bool {
    let given = |key: &str| changes.get(key).is_some();
    if BEANCOUNTERS.iter().any(|(name, _)| given(&name.to_uppercase())) || given("AVNUMPROC") {
        return true;
    }
    let memory = config.limit("PHYSPAGES").ok().flatten().filter(|limit| *limit < UNLIMITED / PAGE);
    let followers = ["LOCKEDPAGES", "OOMGUARPAGES", "VMGUARPAGES", "PRIVVMPAGES"];
    memory.is_some() && followers.iter().any(|key| config.get(key).is_none())
}

const CPU: &[&str] = &["CPULIMIT", "CPUUNITS", "CPUUWEIGHT", "CPUS", "CPUMASK", "NODEMASK"];

/// Fails if there is something that only applies to a running container.
pub(super) fn refused(vz: &Vz, ct: &Ct, changes: &Changes) -> Result<()> {
    let given = |keys: &[&str]| keys.iter().any(|key| changes.get(key).is_some());
    let (gone, added) = changes.addresses();
    let text = if sets_counters(&ct.config, changes) {
        "Unable to apply UBC parameters: container is not running"
    } else if !gone.is_empty() || !added.is_empty() || changes.deletes_all_addresses() {
        "Unable to apply network parameters: container is not running"
    } else if changes.touches("NETDEV") {
        "Unable to setup network devices: container is not running"
    } else if given(CPU) {
        "Unable to apply CPU parameters: container is not running"
    } else if changes.touches("DEVICES") || changes.touches("DEVNODES") {
        "Unable to apply devperm: container is not running"
    } else if changes.touches("PCI") {
        "Unable to configure PCI devices: container is not running"
    } else if given(&["IOLIMIT", "IOPSLIMIT"]) {
        tell_rates(vz, changes);
        "Container is not running"
    } else if changes.touches("NETIF") {
        "Unable to create veth: container is not running"
    } else {
        return Ok(());
    };
    Err(Error::NotRunning(text.into()))
}

fn tell_rates(vz: &Vz, changes: &Changes) {
    for (key, name, unit) in [("IOLIMIT", "iolimit", "bytes/sec"), ("IOPSLIMIT", "iopslimit", "iops")] {
        if let Some(value) = changes.get(key) {
            let unit = if value == "0" { "(unlimited)" } else { unit };
            vz.log.info(format_args!("Setting {name}: {value} {unit}"));
        }
    }
}

/// Applies to a running container what can change immediately.
pub(super) fn apply(vz: &Vz, before: &Ct, after: &Ct, changes: &Changes, new: &[(String, String)]) -> Result<()> {
    let now: Vec<String> =
        new.iter().map(|(key, _)| key).filter(|key| when(key) == When::Now && *key != "VE_LAYOUT").cloned().collect();
    let counters = sets_counters(&before.config, changes);
    if !now.is_empty() {
        if now.iter().any(|key| key == "NAMESERVER" || key == "SEARCHDOMAIN") {
            write_inside(vz, after, &after.spec(vz)?)?;
        }
        vz.node.apply(&before.spec(vz)?, &after.spec(vz)?, &now)?;
    }
    if counters {
        vz.log.info("UB limits were set successfully");
    }
    let (gone, added) = changes.addresses();
    if changes.deletes_all_addresses() {
        let all = before.config.get("IP_ADDRESS").unwrap_or_default();
        vz.log.info(format_args!("Deleting all IP address(es): {all}"));
    } else if !gone.is_empty() {
        vz.log.info(format_args!("Deleting IP address(es): {gone}"));
    }
    if !added.is_empty() {
        vz.log.info(format_args!("Adding IP address(es): {added}"));
    }
    for (key, what) in [
        ("CPULIMIT", "CPU limit"),
        ("CPUUNITS", "CPU units"),
        ("CPUS", "CPUs"),
        ("CPUMASK", "CPU mask"),
        ("NODEMASK", "NUMA node mask"),
    ] {
        if let Some(value) = changes.get(key).filter(|value| *value != "auto") {
            vz.log.info(format_args!("Setting {what}: {value}"));
        }
    }
    if changes.touches("DEVICES") || changes.touches("DEVNODES") {
        vz.log.info("Setting devices");
    }
    tell_rates(vz, changes);
    for (key, what) in [("PCI", "passing PCI devices"), ("MEMINFO", "meminfo"), ("CPUUWEIGHT", "cpuweight")] {
        if changes.touches(key) || changes.get(key).is_some() {
            vz.log.error(format_args!("Warning: {what} is not supported by the kernel; it is kept, without effect"));
        }
    }
    Ok(())
}
