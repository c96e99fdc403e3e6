//! The default filter of system calls, on top of the capabilities.
//!
//! It lists what is refused: image and kernel are built together, so the set of system calls is closed and known. A program
//! may be of any of the three ABIs of x86-64; others are refused by libseccomp.

use serde_json::{Value, json};

use super::spec::Denial;

/// Refused with EPERM: what reaches the kernel itself, the clock, keys of others, or namespaces and mounts.
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

/// Those of [`REFUSED`] that a container with CAP_SYS_ADMIN (FEATURES sysadmin) gets back.
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

/// ioctl(2) that types into a terminal as if its user had.
const TIOCSTI: u64 = 0x5412;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The profile in the OCI runtime's form.
pub(super) fn profile(capabilities: &[String], denied: &[Denial]) -> Value {
    let admin = capabilities.iter().any(|name| name == "CAP_SYS_ADMIN");
    let names: Vec<&str> = REFUSED.iter().copied().filter(|name| !admin || !MOUNTING.contains(name)).collect();
    let refuse = |names: Vec<&str>, errno: u32, args: Value| json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": args});
    let masked = |flag: u64| json!([{"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}]);
    let mut rules = vec![
        refuse(names, EPERM, json!([])),
        // Its flags lie in memory, where no filter sees them; the C libraries then take clone.
        refuse(vec!["clone3"], ENOSYS, json!([])),
        refuse(
            vec!["ioctl"],
            EPERM,
            json!([{"index": 1, "value": 0xffff_ffff_u64, "valueTwo": TIOCSTI, "op": "SCMP_CMP_MASKED_EQ"}]),
        ),
    ];
    if !admin {
        // "Masked equal" asks for all bits of a mask: a rule for each.
        let flags = (0..64).map(|bit| 1u64 << bit).filter(|flag| CLONE_NEW & flag != 0);
        rules.extend(flags.map(|flag| refuse(vec!["clone"], EPERM, masked(flag))));
    }
    let equal = |(index, value): &(u32, u64)| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    rules.extend(denied.iter().map(|denial| {
        let arguments: Vec<Value> = denial.arguments.iter().map(equal).collect();
        json!({"names": [denial.syscall], "action": "SCMP_ACT_ERRNO", "errnoRet": denial.errno, "args": arguments})
    }));
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_container_that_may_administer_mounts() {
        let refused = |capabilities: &[String]| profile(capabilities, &[])["syscalls"][0]["names"].to_string();
        assert!(refused(&[]).contains("\"mount\"") && refused(&[]).contains("kexec_load"));
        let admin = refused(&["CAP_SYS_ADMIN".into()]);
        assert!(!admin.contains("\"mount\"") && admin.contains("kexec_load"));
        assert!(MOUNTING.iter().all(|name| REFUSED.contains(name)));
    }
}
