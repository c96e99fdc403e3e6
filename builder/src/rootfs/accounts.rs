//! The account files: passwd(5), shadow(5), group(5).

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// An account of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group's id.
    pub gid: u32,
    /// Further groups, by name.
    pub groups: Vec<String>,
    /// Full name.
    pub gecos: String,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// crypt(3) hash, `!` for locked, empty for none.
    pub password: String,
}

/// The text of passwd(5).
pub fn passwd(accounts: &[Account]) -> String {
    let mut text = String::new();
    for Account { name, uid, gid, gecos, home, shell, .. } in accounts {
        let _ = writeln!(text, "{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}");
    }
    text
}

/// The text of shadow(5). The day of the last change is left empty: no ageing, and nothing of the clock.
pub fn shadow(accounts: &[Account]) -> String {
    let mut text = String::new();
    for Account { name, password, .. } in accounts {
        let _ = writeln!(text, "{name}:{password}::0:99999:7:::");
    }
    text
}

/// The text of group(5): stated groups, and one for each account whose primary group has no other name.
pub fn group(accounts: &[Account], groups: &[(String, u32)]) -> String {
    let mut names: BTreeMap<u32, String> = groups.iter().map(|(name, gid)| (*gid, name.clone())).collect();
    for account in accounts {
        names.entry(account.gid).or_insert_with(|| account.name.clone());
    }
    let mut text = String::new();
    for (gid, name) in &names {
        let members = accounts.iter().filter(|account| account.groups.contains(name));
        let members: Vec<&str> = members.map(|account| account.name.as_str()).collect();
        let _ = writeln!(text, "{name}:x:{gid}:{}", members.join(","));
    }
    text
}
