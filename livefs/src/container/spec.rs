//! One container as data.

use std::path::PathBuf;

use super::{CgroupLimits, Error, Result};

/// The default capabilities of a container's root: enough for an init, services and an SSH server. Not included: MKNOD,
/// NET_ADMIN, SYS_ADMIN, SYS_MODULE, SYS_PTRACE, SYS_RAWIO, SYS_RESOURCE, SYS_TIME, DAC_READ_SEARCH, SYSLOG, BPF.
/// SYS_BOOT only ends the container's own PID namespace; kexec is denied by seccomp.
pub const CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
];

/// One container: everything that the runtime has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The container's number (CTID); never 0.
    pub id: u32,
    /// The mounted tree, in the host's mount namespace.
    pub root: PathBuf,
    /// Host name in its UTS namespace.
    pub hostname: String,
    /// PID 1 and its arguments, as a path inside the container.
    pub init: Vec<String>,
    /// PID 1's environment, `(name, value)`.
    pub environment: Vec<(String, String)>,
    /// The path of an existing network namespace; none: one is created.
    pub network: Option<PathBuf>,
    /// Whether PID 1 gets a terminal, `/dev/console`, which the creator of the container holds.
    pub terminal: bool,
    /// The bounding set, as `CAP_…` names. [`CAPABILITIES`] is the default.
    pub capabilities: Vec<String>,
    /// Whether the system-call filter is set (module `seccomp`); on by default.
    pub seccomp: bool,
    /// Additional system calls that fail.
    pub denied: Vec<Denial>,
    /// Whether `/sys` is visible.
    pub sysfs: bool,
    /// Folders that are initially empty, in memory, such as `/run`.
    pub memory: Vec<PathBuf>,
    /// Size of `/dev/shm`, bytes.
    pub shared: Option<u64>,
    /// Devices in addition to the usual ones (null zero full random urandom tty console ptmx pts).
    pub devices: Vec<DeviceAccess>,
    /// Folders or files of the host that are mounted inside.
    pub binds: Vec<Bind>,
    /// The mapping of a user namespace; none: the host's IDs.
    pub ids: Option<IdMap>,
    /// Limits of each process.
    pub rlimits: Vec<Rlimit>,
    /// The maximum number of pseudo-terminals in its devpts.
    pub ptys: Option<u32>,
    /// Limits of the whole container, set before PID 1 runs.
    pub limits: CgroupLimits,
}

/// A system call with certain arguments that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Its name.
    pub syscall: String,
    /// Arguments that must all be equal: index (from 0) and value.
    pub arguments: Vec<(u32, u64)>,
    /// The error that it fails with.
    pub errno: i32,
}

/// A device that the container may use; its node is created in its /dev.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAccess {
    /// The node's path inside; none: it may create one itself.
    pub path: Option<PathBuf>,
    /// `true` for a block device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number; none: all of that major number.
    pub minor: Option<u32>,
    /// Any of the letters `r`, `w`, `m`.
    pub access: String,
}

/// A folder or file of the host that is mounted inside; always `nosuid` and `nodev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Its path on the host.
    pub source: PathBuf,
    /// Its path inside.
    pub target: PathBuf,
    /// Mounted read-only.
    pub readonly: bool,
}

/// Users and groups of the container on the host: 0 inside is `uid` and `gid` on the host, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// The host's user ID for user 0 (LOCAL_UID).
    pub uid: u32,
    /// The host's group ID for group 0 (LOCAL_GID).
    pub gid: u32,
    /// How many IDs are mapped.
    pub count: u32,
}

/// One process limit, in the units of setrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rlimit {
    /// `RLIMIT_NOFILE` and so on.
    pub name: String,
    /// The limit in force.
    pub soft: u64,
    /// The maximum value of `soft`.
    pub hard: u64,
}

impl ContainerSpec {
    /// A container with restrictive defaults whose PID 1 is `/system/init`.
    pub fn new(id: u32, root: impl Into<PathBuf>) -> Self {
        Self {
            id,
            root: root.into(),
            hostname: format!("ct{id}"),
            init: vec!["/system/init".into()],
            environment: vec![
                ("PATH".into(), "/system/sbin:/system/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
                ("TERM".into(), "linux".into()),
                ("container".into(), "openvz".into()),
            ],
            network: None,
            terminal: false,
            capabilities: CAPABILITIES.iter().map(|name| (*name).to_owned()).collect(),
            seccomp: true,
            denied: Vec::new(),
            sysfs: true,
            memory: Vec::new(),
            shared: None,
            devices: Vec::new(),
            binds: Vec::new(),
            ids: None,
            rlimits: Vec::new(),
            ptys: None,
            limits: CgroupLimits::default(),
        }
    }

    /// Rejects a spec that can't be run, with what was expected.
    pub fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::Invalid(text));
        if self.id == 0 {
            return wrong("container 0 is the host; a container's number starts at 1".into());
        }
        if !self.root.is_absolute() {
            return wrong(format!("the root {} of container {} is not absolute", self.root.display(), self.id));
        }
        if self.init.first().is_none_or(|program| !program.starts_with('/')) {
            return wrong(format!("container {}: the init must be an absolute path", self.id));
        }
        if let Some(name) = self.capabilities.iter().find(|name| !name.starts_with("CAP_")) {
            return wrong(format!("capability `{name}`: expected a name like CAP_CHOWN"));
        }
        if let Some((name, _)) = self.environment.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
            return wrong(format!("environment variable `{name}`: expected a name without `=`"));
        }
        if self.ids.is_some_and(|ids| ids.uid == 0 || ids.gid == 0 || ids.count == 0) {
            return wrong(format!("container {}: a user namespace needs host ids above 0", self.id));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_its_mistakes_are_named() {
        assert!(ContainerSpec::new(101, "/vz/root/101").check().is_ok());
        assert!(ContainerSpec::new(0, "/vz/root/0").check().unwrap_err().to_string().contains("is the host"));
        assert!(ContainerSpec::new(1, "root").check().unwrap_err().to_string().contains("not absolute"));
        let mut spec = ContainerSpec::new(1, "/r");
        spec.init = vec!["init".into()];
        assert!(spec.check().unwrap_err().to_string().contains("must be an absolute path"));
    }

    #[test]
    fn the_default_gives_nothing_that_reaches_the_host() {
        for name in
            ["SYS_ADMIN", "SYS_MODULE", "MKNOD", "SYS_RAWIO", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_TIME", "BPF"]
        {
            assert!(!CAPABILITIES.contains(&format!("CAP_{name}").as_str()), "{name}");
        }
    }
}
