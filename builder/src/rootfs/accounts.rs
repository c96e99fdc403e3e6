//! The account files: passwd(5), shadow(5), group(5).

use std::fmt::Write as _;

/// An account of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
// The `Debug` text is part of the keys of steps: a renamed type or field changes them.
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
    /// Home directory.
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

/// The text of shadow(5). The day of the last change is left empty: no password ageing, and no dependence on the clock.
pub fn shadow(accounts: &[Account]) -> String {
    let mut text = String::new();
    for Account { name, password, .. } in accounts {
        let _ = writeln!(text, "{name}:{password}::0:99999:7:::");
    }
    text
}

/// The text of group(5): the stated groups, and one for each account whose primary group has no other name.
pub fn group(accounts: &[Account], groups: &[(String, u32)]) -> String {
    let mut names: Vec<(u32, &String)> = groups.iter().map(|(name, gid)| (*gid, name)).collect();
    for account in accounts {
        if !names.iter().any(|(gid, _)| *gid == account.gid) {
            names.push((account.gid, &account.name));
        }
    }
    // The sort is stable: several names with one number stay in the stated order.
    names.sort_by_key(|(gid, _)| *gid);
    let mut text = String::new();
    for (gid, name) in names {
        let members = accounts.iter().filter(|account| account.groups.contains(name));
        let members: Vec<&str> = members.map(|account| account.name.as_str()).collect();
        let _ = writeln!(text, "{name}:x:{gid}:{}", members.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, uid: u32, gid: u32, groups: &[&str]) -> Account {
        Account {
            name: name.into(),
            uid,
            gid,
            groups: groups.iter().map(ToString::to_string).collect(),
            gecos: String::new(),
            home: format!("/usr/home/{name}"),
            shell: "/system/bin/sh".into(),
            password: "!".into(),
        }
    }

    #[test]
    fn each_file_has_a_line_in_its_own_format() {
        let root = Account { gecos: "The owner".into(), password: String::new(), ..account("root", 0, 0, &[]) };
        let accounts = [root, account("tc", 1001, 1001, &["disk"])];
        assert_eq!(
            passwd(&accounts),
            "root:x:0:0:The owner:/usr/home/root:/system/bin/sh\ntc:x:1001:1001::/usr/home/tc:/system/bin/sh\n"
        );
        assert_eq!(shadow(&accounts), "root:::0:99999:7:::\ntc:!::0:99999:7:::\n");
    }

    #[test]
    fn groups_are_those_stated_and_one_for_each_gid_without_a_name() {
        let accounts =
            [account("root", 0, 0, &[]), account("tc", 1001, 1001, &["disk"]), account("ann", 1002, 6, &["disk"])];
        let groups = [("disk".to_owned(), 6), ("wheel".to_owned(), 0)];
        assert_eq!(group(&accounts, &groups), "wheel:x:0:\ndisk:x:6:tc,ann\ntc:x:1001:\n");
    }

    #[test]
    fn two_groups_of_one_number_both_keep_their_members() {
        let accounts = [account("ann", 1001, 1001, &["wheel"]), account("bob", 1002, 10, &["admin"])];
        let groups = [("wheel".to_owned(), 10), ("admin".to_owned(), 10)];
        assert_eq!(group(&accounts, &groups), "wheel:x:10:ann\nadmin:x:10:bob\nann:x:1001:\n");
    }
}
