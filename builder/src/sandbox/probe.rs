//! Determines by trying which way of isolating tools this host allows, and what to change if there is none.

use std::path::Path;

use nix::unistd::Uid;

use super::{Job, MARK, Mode, SandboxError, Stage, Way};
use crate::process::{ProcessError, Run};

/// The first way that works; limited to `mode`, if given.
pub fn detect(helper: &Path, mode: Option<Mode>) -> Result<Way, SandboxError> {
    let root = Uid::effective().is_root();
    let try_way = |way, own: Mode, allowed: bool| match (mode.is_none_or(|mode| mode == own), allowed) {
        (false, _) => Err("not selected".to_owned()),
        (true, false) => Err("requires root".to_owned()),
        (true, true) => attempt(helper, way).map(|()| way),
    };
    let namespaces = match try_way(Way::User, Mode::Namespaces, true) {
        Ok(way) => return Ok(way),
        Err(why) => why,
    };
    let chroot = try_way(Way::Root, Mode::Namespaces, root).or_else(|_| try_way(Way::Chroot, Mode::Chroot, root));
    chroot.map_err(|chroot| SandboxError::Unavailable { namespaces, chroot, advice: advice(&Host::read()) })
}

fn attempt(helper: &Path, way: Way) -> Result<(), String> {
    let run = Run::new(helper).args(Job::new(way, None).arguments(Stage::Outer)).run();
    run.map_err(|error| match error {
        ProcessError::Failed { tail, status, .. } => match tail.last() {
            Some(line) => line.strip_prefix(MARK).unwrap_or(line).to_owned(),
            None => status.to_string(),
        },
        ProcessError::Start { source, .. } | ProcessError::Io { source, .. } => source.to_string(),
        ProcessError::Idle { .. } => error.to_string(),
    })
}

/// The properties of the host that determine which advice helps.
#[derive(Debug, Default)]
struct Host {
    /// `kernel.unprivileged_userns_clone`: the switch of Debian and Arch.
    unprivileged_clone: Option<String>,
    /// `user.max_user_namespaces`.
    most_namespaces: Option<String>,
    /// `kernel.apparmor_restrict_unprivileged_userns`: Ubuntu's switch, since 23.10.
    apparmor: Option<String>,
    /// A seccomp filter is active, as inside a container.
    seccomp: bool,
    root: bool,
}

impl Host {
    fn read() -> Self {
        let sysctl = |name: &str| {
            let text = std::fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
            Some(text.trim().to_owned())
        };
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            unprivileged_clone: sysctl("kernel/unprivileged_userns_clone"),
            most_namespaces: sysctl("user/max_user_namespaces"),
            apparmor: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|value| value.trim() == "2")),
            root: Uid::effective().is_root(),
        }
    }
}

fn advice(host: &Host) -> String {
    let is = |value: &Option<String>, bad: &str| value.as_deref() == Some(bad);
    let mut lines = Vec::new();
    if is(&host.unprivileged_clone, "0") {
        lines.push("allow user namespaces: `sudo sysctl kernel.unprivileged_userns_clone=1` (currently 0)");
    }
    if is(&host.most_namespaces, "0") {
        lines.push("allow user namespaces: `sudo sysctl user.max_user_namespaces=10000` (currently 0)");
    }
    if is(&host.apparmor, "1") {
        lines.push(
            "allow user namespaces: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` (currently 1), or \
             give dbco an AppArmor profile with `userns,`",
        );
    }
    if host.seccomp {
        lines.push(
            "this process runs under a seccomp filter, as in a container: start the container with \
             `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`",
        );
    }
    if !host.root {
        lines.push("or run dbco as root");
    } else {
        lines.push("or give root the capabilities SYS_CHROOT, MKNOD, SETFCAP and SETPCAP (Docker: `--cap-add`)");
    }
    lines.iter().map(|line| format!("  help: {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_switch_that_is_off() {
        let set = |value: &str| Some(value.to_owned());
        let host = Host { unprivileged_clone: set("0"), most_namespaces: set("100"), ..Host::default() };
        let text = advice(&host);
        assert!(text.contains("unprivileged_userns_clone=1") && text.contains("as root"), "{text}");
        assert!(!text.contains("max_user") && !text.contains("seccomp"), "{text}");
        let host = Host { most_namespaces: set("0"), apparmor: set("1"), seccomp: true, root: true, ..Host::default() };
        let text = advice(&host);
        for word in ["max_user_namespaces=", "apparmor_restrict", "--security-opt seccomp", "SYS_CHROOT"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
