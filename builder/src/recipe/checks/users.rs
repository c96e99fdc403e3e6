use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;
use crate::recipe::rootfs::{Rootfs, User};
use crate::tree::TreePath;
use ssh_key::authorized_keys::Entry;

pub const CHECK: Check = Check {
    id: "users",
    rule: "Accounts and groups have unique names and numbers, fields that fit passwd(5), and passwords that are crypt(5) hashes.",
    run,
};

/// The maximum length in bytes of an account's or group's name (useradd(8)).
const NAME: usize = 32;

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        check_groups(rootfs, sink);
        for (index, user) in rootfs.users.iter().enumerate() {
            let before = &rootfs.users[..index];
            let relate = |message: String, other: &User| {
                sink.borrow_mut().add(CHECK.id, user.name.span, message).relate(other.name.span, "the other one");
            };
            if let Some(other) = before.iter().find(|other| other.name.value == user.name.value) {
                relate(format!("duplicate account `{}`", user.name.value), other);
            } else if let Some(other) = before.iter().find(|other| other.uid == user.uid) {
                relate(format!("uid {} is already used by another account", user.uid), other);
            }
            let mut add = |message: String| {
                sink.borrow_mut().add(CHECK.id, user.name.span, message);
            };
            if let Some(why) = bad_name(&user.name) {
                add(format!("`{}` can't be an account's name: {why}", user.name.value));
            }
            check_fields(user, &mut add);
            check_keys(user, sink);
            let same = |other: &&User| !other.ssh_keys.is_empty() && other.home == user.home;
            if let (Some(key), Some(other)) = (user.ssh_keys.first(), before.iter().find(same)) {
                let message = format!(
                    "accounts `{}` and `{}` both have `ssh-keys`, and the same home folder, {}: sshd would accept the file of one of them",
                    other.name.value, user.name.value, user.home
                );
                sink.borrow_mut().add(CHECK.id, key.span, message);
            }
            check_memberships(rootfs, user, sink);
        }
    }
}

fn bad_name(name: &str) -> Option<String> {
    let first = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if !first || !name.chars().all(|c| c.is_alphanumeric() || "_-.$".contains(c)) {
        return Some("a name is letters, digits, `_`, `-` and `.`, and begins with a letter or `_`".into());
    }
    (name.len() > NAME).then(|| format!("it has {} bytes, the limit is {NAME}", name.len()))
}

fn check_groups(rootfs: &Rootfs, sink: &FindingSink) {
    let mut findings = sink.borrow_mut();
    for (index, (name, gid)) in rootfs.groups.iter().enumerate() {
        if let Some(why) = bad_name(name) {
            findings.add(CHECK.id, name.span, format!("`{}` can't be a group's name: {why}", name.value));
        }
        for (other, number) in &rootfs.groups[..index] {
            if other.value == name.value {
                findings.add(CHECK.id, name.span, format!("duplicate group `{}`", name.value));
            } else if number == gid {
                let message = format!(
                    "gid {gid} is already used by group `{}`: programs would show one name for both",
                    other.value
                );
                findings.add(CHECK.id, name.span, message);
            }
        }
        // An account whose primary group has no other name gets a group with its own name.
        let own = rootfs.users.iter().find(|user| user.name.value == name.value && user.gid != *gid);
        if let Some(user) = own.filter(|user| !rootfs.groups.iter().any(|(_, gid)| *gid == user.gid)) {
            let message = format!(
                "group `{}` has gid {gid}, the primary group of the account of that name is {}",
                name.value, user.gid
            );
            findings
                .add(CHECK.id, name.span, message)
                .help(format!("give gid {} a name of its own under `groups`", user.gid));
        }
    }
}

fn check_fields(user: &User, add: &mut dyn FnMut(String)) {
    let name = &user.name.value;
    let fields = [("home", &user.home), ("shell", &user.shell), ("password", &user.password), ("gecos", &user.gecos)];
    for (key, field) in fields {
        if field.contains(|c: char| c == ':' || c.is_control()) {
            add(format!(
                "`{key}` of account `{name}` contains `:`, a line break or a control character, which passwd(5) does not allow"
            ));
        }
    }
    for (key, path) in [("home", &user.home), ("shell", &user.shell)] {
        if !path.starts_with('/') || TreePath::new(path).is_err() {
            add(format!("`{key}` of account `{name}` is `{path}`; expected an absolute path without `..`"));
        }
    }
    if !is_hash(&user.password) {
        let message = "is not a crypt(5) hash; `openssl passwd -6` or `mkpasswd` creates one. `\"\"` allows a login without password, `\"!\"` locks the account";
        add(format!("`password` of account `{name}` {message}"));
    }
}

/// Lines of `authorized_keys` (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").
fn check_keys(user: &User, sink: &FindingSink) {
    for (index, key) in user.ssh_keys.iter().enumerate() {
        let mut findings = sink.borrow_mut();
        if key.contains("PRIVATE KEY") {
            let message = format!("a private key does not belong in an image: account `{}`", user.name.value);
            findings.add(CHECK.id, key.span, message).help("give the line of the file that ends in .pub");
        } else if let Err(error) = key.parse::<Entry>() {
            let message = format!("this is not a public key of SSH: {error}");
            findings
                .add(CHECK.id, key.span, message)
                .help("give the line of the file that ends in .pub: `ssh-ed25519 AAAA… name`");
        } else if key.contains('\n') {
            findings.add(CHECK.id, key.span, "a public key is one line");
        } else if user.ssh_keys[..index].iter().any(|other| other.value == key.value) {
            findings.add(CHECK.id, key.span, format!("account `{}` has this key twice", user.name.value));
        }
    }
}

fn check_memberships(rootfs: &Rootfs, user: &User, sink: &FindingSink) {
    for (index, group) in user.groups.iter().enumerate() {
        let stated = |gid: u32| rootfs.groups.iter().find(|(_, number)| *number == gid);
        let known = rootfs.groups.iter().any(|(name, _)| name.value == *group);
        let own = rootfs.users.iter().find(|other| other.name.value == *group);
        let mut findings = sink.borrow_mut();
        match own.map(|own| (own, stated(own.gid))) {
            _ if known => {}
            Some((_, None)) => {}
            Some((own, Some((name, gid)))) => {
                let message = format!(
                    "there is no group `{group}`: the primary group of account `{}` is `{}` ({gid})",
                    own.name.value, name.value
                );
                findings.add(CHECK.id, user.name.span, message).help(format!("groups: [{}]", name.value));
            }
            None => {
                let message = format!("there is no group `{group}`");
                findings.add(CHECK.id, user.name.span, message).help(format!("groups: [{{name: {group}, gid: …}}]"));
            }
        }
        if user.groups[..index].contains(group) {
            findings.add(CHECK.id, user.name.span, format!("account `{}` has group `{group}` twice", user.name.value));
        }
    }
}

/// Whether a text is valid as a password in shadow(5): empty, a lock, a hash of crypt(5), or a locked hash.
fn is_hash(password: &str) -> bool {
    let hash = password.strip_prefix('!').unwrap_or(password);
    if hash.is_empty() || hash == "*" {
        return true;
    }
    let alphabet = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "./".contains(c));
    let fields: Vec<&str> = hash.split('$').collect();
    let salted = |rest: &[&str], length: usize| {
        // The number of rounds may precede the salt.
        let rest = if rest.first().is_some_and(|field| field.starts_with("rounds=")) { &rest[1..] } else { rest };
        matches!(rest, [salt, hash] if alphabet(salt) && (1..=16).contains(&salt.len()) && alphabet(hash) && hash.len() == length)
    };
    match fields.as_slice() {
        ["", "1", rest @ ..] => salted(rest, 22),
        ["", "5", rest @ ..] => salted(rest, 43),
        ["", "6", rest @ ..] => salted(rest, 86),
        ["", "2a" | "2b" | "2y", cost, rest] => {
            cost.len() == 2 && cost.parse::<u8>().is_ok() && rest.len() == 53 && alphabet(rest)
        }
        ["", "y" | "gy" | "7", rest @ ..] => {
            rest.len() >= 2 && rest.iter().all(|field| alphabet(field) && !field.is_empty())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_hash_a_lock_or_nothing() {
        let of = |prefix: &str, length: usize| format!("{prefix}{}", "a".repeat(length));
        let right = [
            String::new(),
            "!".into(),
            "*".into(),
            of("$6$salt$", 86),
            of("!$6$salt$", 86),
            of("$6$rounds=5000$saltsaltsaltsalt$", 86),
            of("$5$x$", 43),
            of("$1$abcdefgh$", 22),
            of("$2b$10$", 53),
            of("$y$j9T$saltsalt$", 43),
        ];
        for password in &right {
            assert!(is_hash(password), "{password}");
        }
        let wrong = [
            "secret",
            "hunter2",
            "password12345",
            "x",
            "$6$salt$short",
            "$6$$",
            "$6$salt",
            "$9$a$b",
            "$6$sa:lt$x",
            "!secret",
        ];
        for password in wrong {
            assert!(!is_hash(password), "{password}");
        }
    }
}
