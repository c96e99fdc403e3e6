use std::fs;

use super::Lint;
use crate::recipe::decode::FindingSink;
use crate::recipe::load::Recipe;
use crate::recipe::rootfs::{Layout, Rootfs, Service, User};
use crate::tree::TreePath;
use ssh_key::authorized_keys::Entry;

pub const LINT: Lint = Lint {
    id: "login-accounts",
    rule: "No account without a password can log in from the network, and each account with `ssh-keys` has a shell that SSH servers accept.",
    run,
};

fn run(recipe: &Recipe, sink: &FindingSink) {
    for rootfs in recipe.image.contents() {
        open_logins(rootfs, sink);
        for user in rootfs.users.iter().filter(|user| !user.ssh_keys.is_empty()) {
            keys_without_logins(recipe, rootfs, user, sink);
        }
    }
}

/// Why a service lets an account without a password in from the network; `None` if it does not, as far as its command shows.
fn lets_in(service: &Service) -> Option<&'static str> {
    let words = &service.command.value;
    let mut words = words.iter().map(String::as_str);
    let mut name = words.next()?.rsplit('/').next()?;
    let mut rest: Vec<&str> = words.collect();
    if name == "busybox" && !rest.is_empty() {
        name = rest.remove(0);
    }
    let given = |option: char| rest.iter().any(|word| is_option(word, option));
    match name {
        // A program of its own in place of login(1) decides by itself.
        "telnetd" if !given('l') => Some("telnetd starts login(1), which asks such an account for nothing"),
        // dropbear(8): -B allows them, -s no passwords at all, -w and -g not root's.
        "dropbear" if given('B') && !given('s') => Some("dropbear's -B lets such accounts in"),
        _ => None,
    }
}

/// Whether a word is this option of one letter, perhaps behind others.
fn is_option(word: &str, option: char) -> bool {
    word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(option))
}

fn open_logins(rootfs: &Rootfs, sink: &FindingSink) {
    let open: Vec<&User> = rootfs.users.iter().filter(|user| user.password.is_empty() && !refuses(user)).collect();
    let Some(first) = open.first() else { return };
    for service in &rootfs.services {
        let Some(why) = lets_in(service) else { continue };
        let names: Vec<String> = open.iter().map(|user| format!("`{}`", user.name.value)).collect();
        let message =
            format!("anybody who reaches service `{}` can log in as {}: {why}", &*service.name.value, names.join(", "));
        let mut findings = sink.borrow_mut();
        findings
            .add(LINT.id, service.command.span, message)
            .relate(first.name.span, "the password is empty")
            .help("give the accounts a `password` (a hash, or `\"!\"`), and `ssh-keys` to whom may log in");
    }
}

fn refuses(user: &User) -> bool {
    TreePath::new(&user.shell).is_ok_and(|path| ["nologin", "false"].contains(&path.name()))
}

/// Whether a key is for nothing but connections through the server, for which no shell is started.
fn is_for_forwarding(key: &str) -> bool {
    let Ok(entry) = key.parse::<Entry>() else { return false };
    entry
        .config_opts()
        .iter()
        .any(|option| ["port-forwarding", "permitopen", "permitlisten"].iter().any(|word| option.starts_with(word)))
}

fn keys_without_logins(recipe: &Recipe, rootfs: &Rootfs, user: &User, sink: &FindingSink) {
    let name = &user.name.value;
    if refuses(user) {
        if user.ssh_keys.iter().all(|key| is_for_forwarding(&key.value)) {
            return;
        }
        let message = format!("account `{name}` has `ssh-keys`, and a shell that ends at once: {}", user.shell);
        sink.borrow_mut().add(LINT.id, user.name.span, message).help(
            "give it another shell; a key that is only for connections through the server begins with `restrict,port-forwarding`",
        );
        return;
    }
    // The shipped server reads shells(5), as dropbear(8) does, and others need not.
    let server = rootfs.layout == Layout::Split && recipe.components.contains_key("dropbear");
    let listed = rootfs.components.iter().any(|component| component.value == "dropbear" && server);
    let path = format!("{}/shells", rootfs.layout.etc());
    let files =
        rootfs.overlays.iter().rev().find_map(|overlay| fs::read_to_string(overlay.path.value.join(&path)).ok());
    let Some(shells) = files.filter(|_| listed) else { return };
    if !shells.lines().any(|line| line.trim() == user.shell) {
        let message = format!("dropbear refuses account `{name}`, as its shell {} is not in /{path}", user.shell);
        sink.borrow_mut().add(LINT.id, user.name.span, message).help(format!(
            "add a line to /{path} in an overlay, with the path under `replace`, or use a shell of that file"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_alone_and_together() {
        for (word, expected) in
            [("-B", true), ("-RB", true), ("-BR", true), ("--B", false), ("B", false), ("-b", false), ("-", false)]
        {
            assert_eq!(is_option(word, 'B'), expected, "{word}");
        }
    }

    #[test]
    fn a_key_may_be_for_forwarding_alone() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann";
        for (options, expected) in [
            ("", false),
            ("restrict,port-forwarding ", true),
            ("permitopen=\"10.0.0.1:80\" ", true),
            ("restrict,command=\"id\" ", false),
            ("no-port-forwarding ", false),
        ] {
            assert_eq!(is_for_forwarding(&format!("{options}{key}")), expected, "{options}");
        }
    }
}
