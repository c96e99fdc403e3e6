//! Converts a spec for the engine and the network, and their errors to the classic ones.

use super::conf::netif::Netif;
use super::exit::{Error, Result};
use super::spec::{Limits, Spec};
use crate::container::limits::Max;
use crate::{container, net};

/// What the engine runs. Devices by name are not included: their numbers are read when the container starts.
///
/// # Errors
/// [`Error::BadTemplate`]: no init was found.
pub fn engine(spec: &Spec) -> Result<container::ContainerSpec> {
    let init = spec
        .init
        .as_ref()
        .ok_or_else(|| Error::BadTemplate("Unable to start init, probably incorrect template".into()))?;
    let mut made = container::ContainerSpec::new(spec.id, &spec.root);
    made.init = vec![init.display().to_string()];
    if let Some(hostname) = &spec.hostname {
        made.hostname.clone_from(hostname);
    }
    let confinement = netfilter(spec)?.confinement(!spec.interfaces.is_empty() || !spec.host_devices.is_empty());
    let feature = |name: &str, on| spec.features.contains(&(name.to_owned(), on));
    // Tunnels and bridges are links of the container's own network.
    let links = ["bridge", "ipgre", "ipip", "sit"].into_iter().any(|name| feature(name, true));
    let admin = (confinement.net_admin || links).then(|| ("net_admin".to_owned(), true));
    made.sysfs = !feature("sysfs", false);
    for (name, on) in admin.iter().chain(&spec.capabilities) {
        // OpenVZ's own two have no meaning today.
        if ["setveid", "ve_admin"].contains(&name.as_str()) {
            continue;
        }
        let name = format!("CAP_{}", name.to_uppercase());
        made.capabilities.retain(|known| *known != name);
        if *on {
            made.capabilities.push(name);
        }
    }
    made.denied = confinement.denied.iter().map(denial).collect();
    if !confinement.denied.is_empty() {
        // The 32-bit call for all socket operations has its arguments in memory, where a filter can't see them. C
        // libraries use the separate calls since Linux 4.3.
        let (syscall, errno) = ("socketcall".into(), nix::libc::ENOSYS);
        made.denied.push(container::spec::Denial { syscall, arguments: Vec::new(), errno });
    }
    made.shared = spec.limits.shared;
    // What the system's own start would mount, and must not.
    for folder in ["system/run", "run"] {
        if std::fs::symlink_metadata(spec.root.join(folder)).is_ok_and(|data| data.is_dir()) {
            made.memory.push(std::path::Path::new("/").join(folder));
        }
    }
    let unlimited = |name: &str, value: Option<u64>| {
        value.map(|limit| container::spec::Rlimit { name: name.into(), soft: limit, hard: limit })
    };
    made.rlimits.extend(unlimited("RLIMIT_NOFILE", spec.limits.files));
    made.rlimits.extend(unlimited("RLIMIT_MEMLOCK", spec.limits.locked));
    made.ptys = spec.limits.terminals.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    made.ids = spec.ids.map(ids);
    made.limits = limits(&spec.limits);
    Ok(made)
}

/// The mapping of a user namespace.
pub fn ids((uid, gid): (u32, u32)) -> container::spec::IdMap {
    container::spec::IdMap { uid, gid, count: crate::system::owners::COUNT }
}

fn denial(denial: &net::DeniedCall) -> container::spec::Denial {
    let net::DeniedCall { syscall, arguments, errno } = denial.clone();
    container::spec::Denial { syscall: syscall.into(), arguments, errno }
}

/// Limits for the engine. Missing ones are set to unlimited, as they may have been set before. Those of input and
/// output need the disk's numbers, which are added when the container is started.
pub fn limits(limits: &Limits) -> container::CgroupLimits {
    let max = |limit: Option<u64>| Some(limit.map_or(Max::Unlimited, Max::Of));
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let set = |all: &Option<Vec<u32>>| {
        let all = all.as_deref().unwrap_or_default();
        Some(all.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
    };
    container::CgroupLimits {
        memory: max(limits.memory),
        memory_high: None,
        memory_low: Some(limits.memory_low.unwrap_or(0)),
        swap: max(limits.swap),
        pids: max(limits.processes),
        cpu_weight: limits.cpu_weight.map(small),
        cpu_percent: Some(limits.cpu_percent.map_or(0, small)),
        cpus: set(&limits.cpus),
        mems: set(&limits.nodes),
        io_weight: limits.io_weight.map(small),
        io: Vec::new(),
    }
}

fn netfilter(spec: &Spec) -> Result<net::Netfilter> {
    spec.netfilter.as_deref().map_or(Ok(net::Netfilter::default()), |mode| mode.parse().map_err(network_error))
}

/// The network of a container. `masquerade` and `neighbours` are settings of the host.
///
/// # Errors
/// [`Error::InvalidConfig`]: a value is invalid.
pub fn network(spec: &Spec, masquerade: bool, neighbours: net::Neighbours) -> Result<net::Network> {
    Ok(net::Network {
        ctid: spec.id,
        addresses: spec.addresses.clone(),
        interfaces: spec.interfaces.iter().map(interface).collect::<Result<_>>()?,
        devices: spec.host_devices.clone(),
        forwards: spec.forwards.clone(),
        masquerade,
        neighbours,
    })
}

fn interface(netif: &Netif) -> Result<net::Interface> {
    let mac = |text: &Option<String>| text.as_ref().map(|text| text.parse().map_err(network_error)).transpose();
    Ok(net::Interface {
        name: netif.ifname.clone(),
        mac: mac(&netif.mac)?,
        host_name: netif.host_ifname.clone(),
        host_mac: mac(&netif.host_mac)?,
        bridge: netif.bridge.clone(),
    })
}

/// The classic error for a network error.
pub fn network_error(error: net::Error) -> Error {
    let text = error.to_string();
    match error {
        net::Error::InUse { .. } | net::Error::PortTaken { .. } => Error::AddressInUse(text),
        net::Error::Invalid { .. } => Error::InvalidConfig(text),
        net::Error::Exists(_) | net::Error::NoInterface(_) | net::Error::NoBridge(_) => Error::Interface(text),
        net::Error::NoAddress => Error::AddIp(text),
        net::Error::File { .. } | net::Error::Kernel { .. } => Error::System(text),
    }
}

/// The classic error for an engine error.
pub fn engine_error(error: container::Error) -> Error {
    let text = error.to_string();
    match error {
        container::Error::State { expected: "running", .. } => Error::not_running(),
        container::Error::State { .. } => Error::running(),
        container::Error::Unsupported(_) => Error::Kernel(text),
        container::Error::Invalid(_) => Error::InvalidConfig(text),
        container::Error::Timeout { .. } => Error::Stop(text),
        container::Error::Runtime { .. } => Error::Resource(text),
        container::Error::Checkpoint { action: "restore", .. } => Error::Resume(text),
        container::Error::Checkpoint { .. } => Error::Suspend(text),
        container::Error::Io { source, .. } => match source.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(text),
            _ => Error::System(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::conf::{ConfFile, Config};
    use super::super::paths::Paths;
    use super::*;

    fn spec(text: &str) -> Spec {
        let file = ConfFile::parse(&format!("VE_ROOT=/vz/root/$VEID\nVE_PRIVATE=/vz/private/$VEID\n{text}"));
        let spec = Spec::of(101, &Config::layered([&file], 101), &Paths::system()).unwrap();
        Spec { init: Some("/sbin/init".into()), ..spec }
    }

    #[test]
    fn the_engines_words() {
        let made = engine(&spec("NUMPROC=10\nCPULIMIT=50\nCPUMASK=0-2\nNUMFILE=100\nCAPABILITY=\"sys_time:on kill:off ve_admin:on\"\nHOSTNAME=web\nLOCAL_UID=100000")).unwrap();
        made.check().unwrap();
        assert_eq!((made.hostname.as_str(), made.init[0].as_str()), ("web", "/sbin/init"));
        assert!(made.capabilities.contains(&"CAP_SYS_TIME".into()) && !made.capabilities.contains(&"CAP_KILL".into()));
        assert!(
            !made.capabilities.contains(&"CAP_VE_ADMIN".into()) && !made.capabilities.contains(&"CAP_NET_ADMIN".into())
        );
        assert_eq!((made.limits.pids, made.limits.memory), (Some(Max::Of(10)), Some(Max::Unlimited)));
        assert_eq!((made.limits.cpu_percent, made.limits.cpus.as_deref()), (Some(50), Some("0,1,2")));
        assert_eq!(made.limits.mems.as_deref(), Some(""), "all there are, also where there were fewer before");
        assert_eq!((made.rlimits[0].hard, made.ids.unwrap().uid), (100, 100_000));
        assert!(engine(&spec("FEATURES=\"bridge:on\"")).unwrap().capabilities.contains(&"CAP_NET_ADMIN".into()));
        assert!(!engine(&spec("FEATURES=\"sysfs:off\"")).unwrap().sysfs && made.sysfs);
        assert!(engine(&spec("NETFILTER=full")).unwrap().capabilities.contains(&"CAP_NET_ADMIN".into()));
        assert_eq!(engine(&Spec { init: None, ..spec("") }).unwrap_err().code(), 47);
    }

    #[test]
    fn the_networks_words() {
        let text = "IP_ADDRESS=\"10.0.0.1/24 fd00::1\"\nNETIF=\"ifname=eth0,bridge=br0,mac=00:18:51:A4:B2:01\"\nFORWARD=\"tcp:8080:80\"";
        let made = network(&spec(text), true, net::Neighbours::Detect).unwrap();
        assert_eq!(made.addresses.iter().map(|one| one.prefix()).collect::<Vec<_>>(), [24, 128]);
        assert_eq!(made.interfaces[0].mac.unwrap().to_string(), "00:18:51:A4:B2:01");
        assert_eq!(made.forwards[0].to_string(), "tcp:8080:80");
        let user = net::AddressOwner::Container(102);
        let error = network_error(net::Error::InUse { address: "10.0.0.1".parse().unwrap(), user });
        assert_eq!(error.code(), 78);
    }
}
