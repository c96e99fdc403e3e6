use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;
use crate::recipe::rootfs::{Attributes, Overlay};
use crate::tree::{Pattern, TreePath, capabilities};

pub const CHECK: Check = Check {
    id: "overlay-modes",
    rule: "No file of an overlay is readable by more users in the image than in the overlay's folder, and no special bit or attribute \
           of it is lost, unless the recipe says so.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let image = subject.image;
    let (rootfs, template) = (&image.rootfs, image.template.content.as_ref());
    let roots =
        std::iter::once(rootfs).chain(template).map(|root| (root.overlays.as_slice(), root.attributes.as_slice()));
    for (overlays, attributes) in roots.chain([(image.initrd.overlays.as_slice(), [].as_slice())]) {
        let stated: Vec<_> = attributes.iter().filter_map(|of| Some((Pattern::new(&of.path).ok()?, of))).collect();
        for overlay in overlays {
            check(overlay, &stated, subject.files.path(overlay.path.span.file), sink);
        }
    }
}

/// Metadata of an overlay's file that would be missing in the image.
struct LostMetadata {
    path: TreePath,
    what: String,
}

fn check(overlay: &Overlay, stated: &[(Pattern, &Attributes)], recipe: &Path, sink: &FindingSink) {
    let umask = umask(&[recipe, &overlay.path.value]);
    let mut look = OverlayScan { keep_modes: overlay.keep_modes, stated, umask, lost: Vec::new() };
    // A folder that can't be read is reported when it is packed.
    let _ = look.folder(&overlay.path.value, &TreePath::ROOT);
    look.lost.sort_by(|a, b| a.path.cmp(&b.path));
    let Some(first) = look.lost.first() else { return };
    const MOST: usize = 5;
    let mut lines: Vec<String> =
        look.lost.iter().take(MOST).map(|LostMetadata { path, what }| format!("{path}: {what}")).collect();
    if look.lost.len() > MOST {
        lines.push(format!("and {} more", look.lost.len() - MOST));
    }
    let message =
        format!("files of this overlay would lose modes or attributes in the image:\n  {}", lines.join("\n  "));
    let keep = match overlay.keep_modes {
        false => {
            format!("`- {{path: {}, modes: keep}}` keeps the modes as they are; otherwise set ", overlay_name(overlay))
        }
        true => "set ".to_owned(),
    };
    let help = format!("{keep}them under `attributes`: `{{path: {}, …}}`", first.path);
    sink.borrow_mut().add(CHECK.id, overlay.path.span, message).help(help);
}

fn overlay_name(overlay: &Overlay) -> String {
    overlay.path.value.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The read and search permissions that the umask apparently removed everywhere: those that the recipe and the
/// overlay's own folder lack, too. A clone made with umask 077 does not mean that its files are secret.
fn umask(paths: &[&Path]) -> u32 {
    let denied = |path: &&Path| {
        let own = fs::metadata(path).map_or(0o777, |metadata| metadata.permissions().mode());
        let readers = !own & 0o044;
        readers | readers >> 2
    };
    paths.iter().map(denied).fold(0o055, |all, denied| all & denied)
}

struct OverlayScan<'a> {
    keep_modes: bool,
    stated: &'a [(Pattern, &'a Attributes)],
    umask: u32,
    lost: Vec<LostMetadata>,
}

impl OverlayScan<'_> {
    fn folder(&mut self, host: &Path, at: &TreePath) -> std::io::Result<()> {
        for entry in fs::read_dir(host)? {
            let entry = entry?;
            let Some(path) = entry.file_name().to_str().and_then(|name| TreePath::new(name).ok()) else { continue };
            let path = at.join(&path);
            let metadata = entry.metadata()?;
            let host = entry.path();
            if !metadata.is_symlink() {
                self.modes(&path, &metadata);
                self.xattrs(&host, &path);
            }
            if metadata.is_dir() {
                self.folder(&host, &path)?;
            }
        }
        Ok(())
    }

    fn is_stated(&self, path: &TreePath, what: impl Fn(&Attributes) -> bool) -> bool {
        self.stated.iter().any(|(pattern, stated)| what(stated) && pattern.matches(path))
    }

    fn modes(&mut self, path: &TreePath, metadata: &Metadata) {
        let own = metadata.permissions().mode() & 0o7777;
        let folder = metadata.is_dir();
        if self.keep_modes || self.is_stated(path, |stated| stated.mode.is_some()) {
            return;
        }
        // The setgid bit of a folder is how a file system passes a group on to new entries, and not the user's
        // intention.
        let special = own & if folder { 0o1000 } else { 0o7000 };
        let (result, readers) = match folder {
            true => (0o755, 0o055),
            false if own & 0o100 != 0 => (0o755, 0o044),
            false => (0o644, 0o044),
        };
        let wider = result & readers & !own & !self.umask;
        if special != 0 || wider != 0 {
            self.lost
                .push(LostMetadata { path: path.clone(), what: format!("mode {own:04o} would become {result:04o}") });
        }
    }

    fn xattrs(&mut self, host: &Path, path: &TreePath) {
        // File systems without attributes have none to lose.
        let Ok(names) = xattr::list(host) else { return };
        for name in names {
            let name = name.to_string_lossy().into_owned();
            // Where browsers record a download's origin; labels of the host are not the user's intention either.
            let meant = name == capabilities::XATTR
                || name.starts_with("system.posix_acl_")
                || name.starts_with("user.") && !name.starts_with("user.xdg.");
            let known = |stated: &Attributes| stated.all_xattrs().contains_key(&name);
            if meant && !self.is_stated(path, known) {
                let what = match name.as_str() {
                    capabilities::XATTR => "its capabilities would be lost".to_owned(),
                    _ => format!("its attribute `{name}` would be lost"),
                };
                self.lost.push(LostMetadata { path: path.clone(), what });
            }
        }
    }
}
