//! A [`Spec`] in the form of the OCI runtime specification 1.0.2 (`config.json`).

use std::path::Path;

use serde_json::{Value, json};

use super::spec::Device;
use super::{Spec, seccomp};

/// Bytes of `/dev/shm` where nothing else is asked for.
const SHARED: u64 = 64 << 20;

/// Files of /proc and /sys that tell of the host or act on it: seen as empty inside.
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

/// Read-only inside. Of /proc/sys, `net` is the container's own and stays writable.
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

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({"destination": target, "type": kind, "source": source, "options": options})
}

/// The configuration that the runtime reads. Limits are not in it: they are set on the cgroup before.
pub fn config(spec: &Spec) -> Value {
    let mut pts =
        vec!["nosuid".to_owned(), "noexec".into(), "newinstance".into(), "ptmxmode=0666".into(), "mode=0620".into()];
    pts.extend(spec.ptys.map(|max| format!("max={max}")));
    let pts: Vec<&str> = pts.iter().map(String::as_str).collect();
    let shared = format!("size={}", spec.shared.unwrap_or(SHARED));
    let quiet = ["nosuid", "noexec", "nodev"];
    let shown = ["nosuid", "noexec", "nodev", "ro"];
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &quiet),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "noexec", "strictatime", "mode=755", "size=64k"]),
        mount("/dev/pts", "devpts", "devpts", &pts),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shared]),
        mount("/dev/mqueue", "mqueue", "mqueue", &quiet),
    ];
    if spec.sysfs {
        mounts.push(mount("/sys", "sysfs", "sysfs", &shown));
        mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &shown));
    }
    for folder in &spec.memory {
        mounts.push(mount(&text(folder), "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=755"]));
    }
    for bind in &spec.binds {
        let access = if bind.readonly { "ro" } else { "rw" };
        let options = ["rbind", "nosuid", "nodev", access];
        mounts.push(mount(&text(&bind.target), "bind", &text(&bind.source), &options));
    }
    let mut namespaces: Vec<Value> =
        ["pid", "mount", "uts", "ipc", "cgroup"].iter().map(|kind| json!({"type": kind})).collect();
    namespaces.push(match &spec.network {
        Some(path) => json!({"type": "network", "path": text(path)}),
        None => json!({"type": "network"}),
    });
    let kind = |block| if block { "b" } else { "c" };
    let mut rules = vec![json!({"allow": false, "access": "rwm"})];
    rules.extend(spec.devices.iter().map(|device| {
        let mut rule =
            json!({"allow": true, "type": kind(device.block), "major": device.major, "access": device.access});
        if let Some(minor) = device.minor {
            rule["minor"] = minor.into();
        }
        rule
    }));
    let node = |device: &Device| {
        let (path, minor) = (device.path.as_ref()?, device.minor?);
        let kind = kind(device.block);
        Some(
            json!({"path": text(path), "type": kind, "major": device.major, "minor": minor, "fileMode": 0o600, "uid": 0, "gid": 0}),
        )
    };
    let devices: Vec<Value> = spec.devices.iter().filter_map(node).collect();
    let mut linux = json!({
        "cgroupsPath": format!("/vz/{}", spec.id),
        "devices": devices,
        "resources": {"devices": rules},
        "maskedPaths": MASKED,
        "readonlyPaths": READONLY,
    });
    if let Some(ids) = spec.ids {
        namespaces.push(json!({"type": "user"}));
        linux["uidMappings"] = json!([{"containerID": 0, "hostID": ids.uid, "size": ids.count}]);
        linux["gidMappings"] = json!([{"containerID": 0, "hostID": ids.gid, "size": ids.count}]);
    }
    linux["namespaces"] = namespaces.into();
    if spec.seccomp {
        linux["seccomp"] = seccomp::profile(&spec.capabilities, &spec.denied);
    }
    let environment: Vec<String> = spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let rlimits: Vec<Value> =
        spec.rlimits.iter().map(|limit| json!({"type": limit.name, "soft": limit.soft, "hard": limit.hard})).collect();
    let capabilities = &spec.capabilities;
    json!({
        "ociVersion": "1.0.2",
        "hostname": spec.hostname,
        "root": {"path": text(&spec.root), "readonly": false},
        "process": {
            "terminal": spec.terminal,
            "user": {"uid": 0, "gid": 0},
            "args": spec.init,
            "env": environment,
            "cwd": "/",
            "noNewPrivileges": false,
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": rlimits,
        },
        "mounts": mounts,
        "linux": linux,
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_all_its_namespaces_and_no_terminal_of_the_hosts() {
        let mut spec = Spec::new(101, "/vz/root/101");
        spec.ptys = Some(16);
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
