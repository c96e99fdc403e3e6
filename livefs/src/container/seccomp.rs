//! The default filter of system calls, on top of the capabilities.
//!
//! It lists what is denied: image and kernel are built together, so the set of system calls is fixed and known. A
//! program may have any ABI in [`platform::SECCOMP`]; others are denied by libseccomp.

use serde::Serialize;

use super::spec::Denial;
use crate::platform;

/// Denied with EPERM: access to the kernel itself, the clock, keys of others, or namespaces and mounts.
const REFUSED: &[&str] = &[
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "kcmp",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_madvise",
    "quotactl",
    "quotactl_fd",
    "request_key",
    "setns",
    "settimeofday",
    "stime",
    "swapoff",
    "swapon",
    "syslog",
    "umount",
    "umount2",
    "unshare",
    "userfaultfd",
    "vm86",
    "vm86old",
];

/// Those of [`REFUSED`] that a container with CAP_SYS_ADMIN (FEATURES sysadmin) may use.
const MOUNTING: &[&str] = &[
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setns",
    "umount",
    "umount2",
    "unshare",
];

/// `CLONE_NEW*` flags of clone(2): cgroup, uts, ipc, user, pid, net and mount.
const CLONE_NEW: u64 = 0x7e02_0000;

/// The ioctl(2) that simulates input on a terminal.
const TIOCSTI: u64 = 0x5412;

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

/// A filter in the OCI runtime's form (config-linux.md, "Seccomp").
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile<'a> {
    default_action: &'static str,
    architectures: &'static [&'static str],
    syscalls: Vec<Rule<'a>>,
}

/// System calls that fail if all of these arguments match.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    names: Vec<&'a str>,
    action: &'static str,
    errno_ret: i32,
    args: Vec<Argument>,
}

/// The condition for an argument.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    value_two: u64,
    op: &'static str,
}

impl Argument {
    /// It is `value` where `mask` has bits.
    fn masked(index: u32, mask: u64, value: u64) -> Self {
        Self { index, value: mask, value_two: value, op: "SCMP_CMP_MASKED_EQ" }
    }

    fn equal(&(index, value): &(u32, u64)) -> Self {
        Self { index, value, value_two: 0, op: "SCMP_CMP_EQ" }
    }
}

/// The filter of a container with these capabilities, and with its additional denials.
pub(super) fn profile<'a>(capabilities: &[String], denied: &'a [Denial]) -> Profile<'a> {
    let admin = capabilities.iter().any(|name| name == "CAP_SYS_ADMIN");
    let names: Vec<&str> = REFUSED.iter().copied().filter(|name| !admin || !MOUNTING.contains(name)).collect();
    let refuse = |names, errno_ret, args| Rule { names, action: "SCMP_ACT_ERRNO", errno_ret, args };
    let mut syscalls = vec![
        refuse(names, EPERM, Vec::new()),
        // Its flags are in memory, where a filter can't see them; the C libraries then use clone.
        refuse(vec!["clone3"], ENOSYS, Vec::new()),
        refuse(vec!["ioctl"], EPERM, vec![Argument::masked(1, 0xffff_ffff, TIOCSTI)]),
    ];
    if !admin {
        // "Masked equal" requires all bits of a mask: a rule for each bit.
        let flags = (0..64).map(|bit| 1u64 << bit).filter(|flag| CLONE_NEW & flag != 0);
        syscalls.extend(flags.map(|flag| refuse(vec!["clone"], EPERM, vec![Argument::masked(0, flag, flag)])));
    }
    syscalls.extend(denied.iter().map(|denial| {
        refuse(vec![&denial.syscall], denial.errno, denial.arguments.iter().map(Argument::equal).collect())
    }));
    Profile { default_action: "SCMP_ACT_ALLOW", architectures: platform::SECCOMP, syscalls }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_container_that_may_administer_mounts() {
        let refused = |capabilities: &[String]| profile(capabilities, &[]).syscalls.remove(0).names;
        assert!(refused(&[]).contains(&"mount") && refused(&[]).contains(&"kexec_load"));
        let admin = refused(&["CAP_SYS_ADMIN".into()]);
        assert!(!admin.contains(&"mount") && admin.contains(&"kexec_load"));
        assert!(MOUNTING.iter().all(|name| REFUSED.contains(name)));
    }
    #[test]
    fn the_form_is_the_specifications() {
        let denied = [Denial { syscall: "socket".into(), arguments: vec![(0, 16)], errno: 13 }];
        let text = serde_json::to_value(profile(&[], &denied)).unwrap();
        assert_eq!(text["defaultAction"], "SCMP_ACT_ALLOW");
        let ioctl = serde_json::json!({"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
            "args": [{"index": 1, "value": 0xffff_ffff_u32, "valueTwo": TIOCSTI, "op": "SCMP_CMP_MASKED_EQ"}]});
        assert_eq!(text["syscalls"][2], ioctl);
        let last = text["syscalls"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["names"][0], &last["errnoRet"], &last["args"][0]["op"]),
            (&"socket".into(), &13.into(), &"SCMP_CMP_EQ".into())
        );
    }
}
