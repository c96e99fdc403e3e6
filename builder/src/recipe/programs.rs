//! Programs that are started by path: the early init, the shells of accounts.

use super::boot::BootEntry;
use super::image::Image;
use super::rootfs::{Layout, Rootfs, User};
use crate::tree::TreePath;

/// What to do if the early init is missing.
pub const EARLY_INIT: &str =
    "add a component or an overlay that provides it to `initrd`, or set another program with `rdinit=`";
/// What to do if the supervisor of services is missing.
pub const SUPERVISOR: &str = "add the component `runit`";
/// What to do if the program of a service is missing.
pub const SERVICE: &str = "add a package, component or overlay that provides it";
/// What to do if a keyboard map is missing.
pub const KEYMAP: &str = "add the component `keymaps`, or an overlay that provides it";
/// What to do if a shell is missing.
pub const SHELL: &str = "add a package, component or overlay that provides it, or set another `shell`";

impl Image {
    /// The program that the kernel starts in the initramfs, for each entry with an initrd: `/init`, or the value of
    /// `rdinit=`. Without it the kernel would mount `root=` (init/do_mounts.c): an entry that has that parameter is
    /// skipped.
    pub fn early_inits(&self) -> Vec<(String, &BootEntry)> {
        let mut found: Vec<(String, &BootEntry)> = Vec::new();
        for entry in self.boot.entries.iter().filter(|entry| entry.mode.initrd()) {
            let parameters = self.boot.parameters(entry);
            let value =
                |key: &str| parameters.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)).next_back();
            let path = value("rdinit=").unwrap_or("/init").to_owned();
            if value("root=").is_none() && !found.iter().any(|(known, _)| *known == path) {
                found.push((path, entry));
            }
        }
        found
    }
}

impl Rootfs {
    /// The accounts whose shells have to be in this root. A shell that only refuses logins may be missing, and an
    /// application uses the shells of the system that it shares.
    pub fn shells(&self) -> impl Iterator<Item = &User> {
        let needed = |user: &&User| {
            let path = TreePath::new(&user.shell);
            let refuses = path.as_ref().is_ok_and(|path| ["nologin", "false"].contains(&path.name()));
            let own = self.layout != Layout::App || path.is_ok_and(|path| path.top() == "usr");
            !refuses && own
        };
        self.users.iter().filter(needed)
    }
}
