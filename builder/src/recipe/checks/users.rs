use super::{Check, Subject};
use crate::recipe::decode::Sink;

pub const CHECK: Check = Check {
    id: "users",
    rule: "Accounts have names and numbers of their own, and fields that fit a line of passwd(5).",
    run,
};

fn run(subject: &Subject<'_>, sink: &Sink) {
    let rootfs = &subject.image.rootfs;
    for (index, user) in rootfs.users.iter().enumerate() {
        let mut findings = sink.borrow_mut();
        let before = &rootfs.users[..index];
        if before.iter().any(|other| other.name.value == user.name.value) {
            findings.add(CHECK.id, user.name.span, format!("account `{}` stands here a second time", user.name.value));
        }
        if before.iter().any(|other| other.uid == user.uid) {
            findings.add(CHECK.id, user.name.span, format!("uid {} is already another account's", user.uid));
        }
        let fields = [&user.name.value, &user.home, &user.shell, &user.password, &user.gecos];
        if user.name.is_empty() || fields.iter().any(|field| field.contains([':', '\n'])) {
            findings.add(
                CHECK.id,
                user.name.span,
                "a field of an account holds `:` or a line break, or its name is empty",
            );
        }
        for group in &user.groups {
            let known = rootfs.groups.iter().any(|(name, _)| name == group)
                || rootfs.users.iter().any(|other| other.name.value == *group);
            if !known {
                let message = format!("there is no group `{group}`");
                findings.add(CHECK.id, user.name.span, message).help(format!("groups: [{{name: {group}, gid: …}}]"));
            }
        }
    }
}
