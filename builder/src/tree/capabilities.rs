//! File capabilities: their text form (cap_from_text(3)) and the extended attribute that holds them (capabilities(7)).

/// The extended attribute that holds a file's capabilities.
pub const XATTR: &str = "security.capability";

/// By number (`include/uapi/linux/capability.h`).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// `VFS_CAP_REVISION_2`: two words of 32 bits for each set.
const REVISION_2: u32 = 0x0200_0000;
/// `VFS_CAP_REVISION_3`: the same, and the user ID of the namespace's root for which it is valid.
const REVISION_3: u32 = 0x0300_0000;
const REVISION_MASK: u32 = 0xff00_0000;
const EFFECTIVE: u32 = 1;

/// The capabilities of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// One bit for each capability.
    permitted: u64,
    /// One bit for each capability.
    inheritable: u64,
    /// Whether the permitted capabilities are effective from the start.
    effective: bool,
}

impl Capabilities {
    /// Parses clauses as setcap(8) does: `cap_net_raw,cap_net_admin+ep`; `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut permitted, mut inheritable, mut effective) = (0, 0, 0);
        for clause in text.split_whitespace() {
            let wrong = || format!("`{clause}`: expected capabilities and their flags, `cap_net_raw+ep`");
            let at = clause.find(['+', '=']).ok_or_else(wrong)?;
            let (names, flags) = (&clause[..at], &clause[at + 1..]);
            let mut bits = 0u64;
            for name in names.split(',') {
                bits |= match name.to_ascii_lowercase().as_str() {
                    "all" => (1 << NAMES.len()) - 1,
                    name => {
                        let known = name.strip_prefix("cap_").and_then(|name| NAMES.iter().position(|n| *n == name));
                        1 << known.ok_or_else(|| format!("unknown capability `{name}`"))?
                    }
                };
            }
            if flags.is_empty() {
                return Err(wrong());
            }
            for flag in flags.chars() {
                match flag {
                    'p' => permitted |= bits,
                    'i' => inheritable |= bits,
                    'e' => effective |= bits,
                    other => return Err(format!("`{clause}`: `{other}` is not one of the flags e, i and p")),
                }
            }
        }
        if permitted | inheritable == 0 {
            return Err(format!("`{text}` grants no capability"));
        }
        // The file has a single bit for all (capabilities(7), "File capabilities").
        if effective != 0 && effective != permitted | inheritable {
            return Err(format!("`{text}`: flag e must be set for all capabilities of a file or for none"));
        }
        Ok(Self { permitted, inheritable, effective: effective != 0 })
    }

    /// The attribute's value, revision 2.
    pub fn encode(self) -> Vec<u8> {
        let magic = REVISION_2 | if self.effective { EFFECTIVE } else { 0 };
        let words = [
            magic,
            self.permitted as u32,
            self.inheritable as u32,
            (self.permitted >> 32) as u32,
            (self.inheritable >> 32) as u32,
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// An attribute's value in revision 2, which is valid for the root of the whole system. Values set by a process in a
/// user namespace are stored in revision 3, with the user who is root there. `None` if the value has neither revision.
pub fn without_namespace(value: &[u8]) -> Option<Vec<u8>> {
    let magic = u32::from_le_bytes(value.get(..4)?.try_into().ok()?);
    match (magic & REVISION_MASK, value.len()) {
        (REVISION_2, 20) => Some(value.to_vec()),
        (REVISION_3, 24) => {
            let magic = magic & !REVISION_MASK | REVISION_2;
            Some([&magic.to_le_bytes(), &value[4..20]].concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        Capabilities::parse(text).unwrap().encode().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn values_are_as_setcap_writes_them() {
        assert_eq!(hex("cap_net_raw+ep"), "0100000200200000000000000000000000000000");
        assert_eq!(hex("cap_net_raw=p"), "0000000200200000000000000000000000000000");
        assert_eq!(hex("cap_chown,cap_bpf+eip"), "0100000201000000010000008000000080000000");
        assert_eq!(hex("CAP_KILL+p cap_chown+i"), "0000000220000000010000000000000000000000");
    }

    #[test]
    fn what_setcap_refuses_is_refused() {
        for text in ["", "cap_net_raw", "net_raw+ep", "cap_nonsense+p", "cap_kill+x", "cap_kill+", "cap_kill+e"] {
            assert!(Capabilities::parse(text).is_err(), "{text}");
        }
        assert!(Capabilities::parse("cap_kill+p cap_chown+ep").unwrap_err().contains("for all capabilities"));
    }

    #[test]
    fn a_namespaces_root_is_taken_off() {
        let plain = Capabilities::parse("cap_net_raw+ep").unwrap().encode();
        let mut third = plain.clone();
        third[3] = 3;
        third.extend(1000u32.to_le_bytes());
        assert_eq!(without_namespace(&third), Some(plain.clone()));
        assert_eq!(without_namespace(&plain), Some(plain.clone()));
        assert_eq!(without_namespace(&plain[..12]), None);
    }
}
