use std::path::Path;

use super::{Check, CheckInput};
use crate::recipe::OutputKind;
use crate::recipe::decode::{At, FindingSink};
use crate::recipe::image::Livefs;
use crate::recipe::programs::{EARLY_INIT, SHELL};
use crate::recipe::rootfs::{Overlay, Rootfs};
use crate::tree::TreePath;

pub const CHECK: Check = Check {
    id: "programs",
    rule: "Programs that the kernel and a login start exist, as far as overlays alone show: the initramfs's init, the shells of accounts.",
    run,
};

/// A tree that is made only of overlays and links, so that its paths are known.
#[derive(Default)]
struct KnownPaths<'a> {
    overlays: Vec<&'a Overlay>,
    links: Vec<&'a At<String>>,
}

impl<'a> KnownPaths<'a> {
    /// For a root filesystem; `None` if it includes components or packages.
    fn of(rootfs: &'a Rootfs) -> Option<Self> {
        let known = Self {
            overlays: rootfs.overlays.iter().collect(),
            links: rootfs.links.iter().map(|(path, _)| path).collect(),
        };
        (rootfs.components.is_empty() && rootfs.packages.is_none()).then_some(known)
    }

    /// Whether a path certainly does not exist. If there is a link on the way the build decides.
    fn is_missing(&self, path: &str) -> bool {
        let Ok(path) = TreePath::new(path) else { return false };
        let on_the_way = |link: &&&At<String>| TreePath::new(link).is_ok_and(|link| path.is_within(&link));
        if self.links.iter().any(|link| on_the_way(&link)) {
            return false;
        }
        !self.overlays.iter().any(|overlay| may_bring(&overlay.path.value, &path))
    }
}

fn may_bring(overlay: &Path, path: &TreePath) -> bool {
    let mut at = overlay.to_owned();
    for part in path.as_str().split('/') {
        at.push(part);
        match at.symlink_metadata() {
            Err(_) => return false,
            Ok(metadata) if metadata.is_symlink() => return true,
            Ok(_) => {}
        }
    }
    true
}

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    // What an overlay would have brought that is not there, or a list that could not be read, is unknown.
    if sink.borrow().has_any(&["extends", "missing-file", "wrong-file", "wrong-type"]) {
        return;
    }
    let image = subject.image;
    for rootfs in subject.contents() {
        let Some(known) = KnownPaths::of(rootfs) else { continue };
        for user in rootfs.shells().filter(|user| known.is_missing(&user.shell)) {
            let message =
                format!("the shell of account `{}` is {}, which nothing provides", user.name.value, user.shell);
            sink.borrow_mut().add(CHECK.id, user.name.span, message).help(SHELL);
        }
    }
    if !image.gives(OutputKind::Initrd) && !image.gives(OutputKind::Iso) || !image.initrd.components.is_empty() {
        return;
    }
    let root =
        if image.initrd.livefs != Livefs::None { Some(KnownPaths::default()) } else { KnownPaths::of(&image.rootfs) };
    let Some(mut known) = root else { return };
    known.overlays.extend(&image.initrd.overlays);
    for (path, entry) in image.early_inits() {
        if known.is_missing(&path) {
            let message = format!("entry `{}` starts {path} in the initramfs, which nothing provides", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message).help(EARLY_INIT);
        }
    }
}
