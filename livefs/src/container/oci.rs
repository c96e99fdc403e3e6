//! A [`ContainerSpec`] in the form of the OCI runtime specification 1.0.2 (`config.json`).

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use super::ContainerSpec;
use super::seccomp::{self, Profile};
use super::spec::{DeviceAccess, IdMap, Rlimit};

/// The default size of `/dev/shm`, bytes.
const SHARED: u64 = 64 << 20;

/// Files of /proc and /sys that expose or affect the host: they appear empty inside.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/kernel",
];

/// Read-only inside. In /proc/sys, `net` is the container's own and stays writable.
const READONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys/abi",
    "/proc/sys/crypto",
    "/proc/sys/debug",
    "/proc/sys/dev",
    "/proc/sys/fs",
    "/proc/sys/kernel",
    "/proc/sys/sunrpc",
    "/proc/sys/user",
    "/proc/sys/vm",
];

/// The configuration for the runtime. Types and fields are named as in the specification; a start waits until it is
/// written, so it borrows what it can.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OciConfig<'a> {
    oci_version: &'static str,
    hostname: &'a str,
    root: Root<'a>,
    process: Process<'a>,
    mounts: Vec<OciMount<'a>>,
    linux: Linux<'a>,
}

#[derive(Debug, Serialize)]
struct Root<'a> {
    path: &'a Path,
    readonly: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Process<'a> {
    terminal: bool,
    user: User,
    args: &'a [String],
    env: Vec<String>,
    cwd: &'static str,
    no_new_privileges: bool,
    capabilities: Capabilities<'a>,
    rlimits: Vec<ProcessLimit<'a>>,
}

#[derive(Debug, Serialize)]
struct User {
    uid: u32,
    gid: u32,
}

#[derive(Debug, Serialize)]
struct Capabilities<'a> {
    bounding: &'a [String],
    effective: &'a [String],
    permitted: &'a [String],
}

#[derive(Debug, Serialize)]
struct ProcessLimit<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    soft: u64,
    hard: u64,
}

#[derive(Debug, Serialize)]
struct OciMount<'a> {
    destination: &'a Path,
    #[serde(rename = "type")]
    kind: &'static str,
    source: &'a Path,
    options: Vec<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux<'a> {
    cgroups_path: String,
    devices: Vec<OciNode<'a>>,
    resources: Resources<'a>,
    masked_paths: &'static [&'static str],
    readonly_paths: &'static [&'static str],
    namespaces: Vec<Namespace<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uid_mappings: Vec<Mapping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gid_mappings: Vec<Mapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seccomp: Option<Profile<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OciNode<'a> {
    path: &'a Path,
    #[serde(rename = "type")]
    kind: &'static str,
    major: u32,
    minor: u32,
    file_mode: u32,
    uid: u32,
    gid: u32,
}

#[derive(Debug, Serialize)]
struct Resources<'a> {
    devices: Vec<DeviceRule<'a>>,
}

#[derive(Debug, Serialize)]
struct DeviceRule<'a> {
    allow: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    major: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<u32>,
    access: &'a str,
}

#[derive(Debug, Serialize)]
struct Namespace<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a Path>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mapping {
    #[serde(rename = "containerID")]
    container_id: u32,
    #[serde(rename = "hostID")]
    host_id: u32,
    size: u32,
}

/// The configuration of a container. It does not contain limits: they are set on the cgroup before.
pub fn config(spec: &ContainerSpec) -> OciConfig<'_> {
    let capabilities = &spec.capabilities;
    OciConfig {
        oci_version: "1.0.2",
        hostname: &spec.hostname,
        root: Root { path: &spec.root, readonly: false },
        process: Process {
            terminal: spec.terminal,
            user: User { uid: 0, gid: 0 },
            args: &spec.init,
            env: spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            cwd: "/",
            no_new_privileges: false,
            capabilities: Capabilities { bounding: capabilities, effective: capabilities, permitted: capabilities },
            rlimits: spec.rlimits.iter().map(process_limit).collect(),
        },
        mounts: mounts(spec),
        linux: Linux {
            cgroups_path: format!("/vz/{}", spec.id),
            devices: spec.devices.iter().filter_map(node).collect(),
            resources: Resources { devices: device_rules(&spec.devices) },
            masked_paths: MASKED,
            readonly_paths: READONLY,
            namespaces: namespaces(spec),
            uid_mappings: spec.ids.iter().map(|&IdMap { uid, count, .. }| mapping(uid, count)).collect(),
            gid_mappings: spec.ids.iter().map(|&IdMap { gid, count, .. }| mapping(gid, count)).collect(),
            seccomp: spec.seccomp.then(|| seccomp::profile(capabilities, &spec.denied)),
        },
    }
}

fn process_limit(limit: &Rlimit) -> ProcessLimit<'_> {
    ProcessLimit { kind: &limit.name, soft: limit.soft, hard: limit.hard }
}

fn mapping(host_id: u32, size: u32) -> Mapping {
    Mapping { container_id: 0, host_id, size }
}

fn mounts(spec: &ContainerSpec) -> Vec<OciMount<'_>> {
    fn mount<'a>(target: &'a Path, kind: &'static str, source: &'a Path, options: &[&'a str]) -> OciMount<'a> {
        OciMount {
            destination: target,
            kind,
            source,
            options: options.iter().map(|option| Cow::Borrowed(*option)).collect(),
        }
    }
    let new =
        |target, kind, source, options: &[&'static str]| mount(Path::new(target), kind, Path::new(source), options);
    let quiet = ["nosuid", "noexec", "nodev"];
    let shown = ["nosuid", "noexec", "nodev", "ro"];
    let mut mounts = vec![
        new("/proc", "proc", "proc", &quiet),
        new("/dev", "tmpfs", "tmpfs", &["nosuid", "noexec", "strictatime", "mode=755", "size=64k"]),
        new("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        new("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
        new("/dev/mqueue", "mqueue", "mqueue", &quiet),
    ];
    let (pts, shm) = (2, 3);
    mounts[pts].options.extend(spec.ptys.map(|max| format!("max={max}").into()));
    mounts[shm].options.push(format!("size={}", spec.shared.unwrap_or(SHARED)).into());
    if spec.sysfs {
        mounts.push(new("/sys", "sysfs", "sysfs", &shown));
        mounts.push(new("/sys/fs/cgroup", "cgroup", "cgroup", &shown));
    }
    for folder in &spec.memory {
        mounts.push(mount(folder, "tmpfs", Path::new("tmpfs"), &["nosuid", "nodev", "mode=755"]));
    }
    for bind in &spec.binds {
        let access = if bind.readonly { "ro" } else { "rw" };
        mounts.push(mount(&bind.target, "bind", &bind.source, &["rbind", "nosuid", "nodev", access]));
    }
    mounts
}

fn namespaces(spec: &ContainerSpec) -> Vec<Namespace<'_>> {
    let new = |kind| Namespace { kind, path: None };
    let mut all: Vec<Namespace> = ["pid", "mount", "uts", "ipc", "cgroup"].into_iter().map(new).collect();
    all.push(Namespace { kind: "network", path: spec.network.as_deref() });
    all.extend(spec.ids.map(|_| new("user")));
    all
}

fn kind(device: &DeviceAccess) -> &'static str {
    if device.block { "b" } else { "c" }
}

/// Only these; the runtime adds the usual ones.
fn device_rules(devices: &[DeviceAccess]) -> Vec<DeviceRule<'_>> {
    let none = DeviceRule { allow: false, kind: "a", major: None, minor: None, access: "rwm" };
    let allowed = devices.iter().map(|device| DeviceRule {
        allow: true,
        kind: kind(device),
        major: Some(device.major),
        minor: device.minor,
        access: &device.access,
    });
    std::iter::once(none).chain(allowed).collect()
}

fn node(device: &DeviceAccess) -> Option<OciNode<'_>> {
    let (path, minor) = (device.path.as_deref()?, device.minor?);
    Some(OciNode { path, kind: kind(device), major: device.major, minor, file_mode: 0o600, uid: 0, gid: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_all_its_namespaces_and_no_terminal_of_the_hosts() {
        let mut spec = ContainerSpec::new(101, "/vz/root/101");
        spec.ptys = Some(16);
        let config = |spec: &ContainerSpec| serde_json::to_value(super::config(spec)).unwrap();
        let plain = config(&spec);
        assert_eq!(plain["linux"]["namespaces"].as_array().unwrap().len(), 6);
        assert_eq!(plain["linux"]["cgroupsPath"], "/vz/101");
        assert_eq!(plain["linux"]["resources"]["devices"][0]["allow"], false);
        assert!(plain["mounts"].to_string().contains("sysfs"));
        spec.sysfs = false;
        assert!(!config(&spec)["mounts"].to_string().contains("sysfs"));
        assert!(plain["mounts"][2]["options"].to_string().contains("max=16"));
        spec.ids = Some(super::super::spec::IdMap { uid: 100_000, gid: 100_000, count: 65536 });
        let mapped = config(&spec);
        assert_eq!(mapped["linux"]["namespaces"].as_array().unwrap().len(), 7);
        assert_eq!(mapped["linux"]["uidMappings"][0]["hostID"], 100_000);
    }
}
