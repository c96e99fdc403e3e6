//! The systems' disk: checked, repaired if possible, mounted at `/hd`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::mount::{MsFlags, mount};

use super::disks::Disk;
use super::probe::ContentKind;
use crate::process::command;

/// Bits of e2fsck's exit code (e2fsck(8)): errors were corrected, and the system should be restarted, which only
/// concerns mounted file systems.
const CORRECTED: i32 = 1 | 2;

/// Checks and mounts. `e2fsck` is the checking program, if there is one. Gives the messages to show.
///
/// # Errors
/// A sentence that says why nothing was mounted, and what to do.
pub fn attach(disk: &Disk, e2fsck: Option<&Path>, folder: &Path) -> Result<Vec<String>, String> {
    let device = disk.device.display();
    let Some(state) = disk.content.ext else {
        return Err(format!("{device} contains {}, but the systems' disk must be ext2, ext3 or ext4.", disk.content));
    };
    let mut messages = Vec::new();
    if !state.clean {
        match e2fsck {
            Some(program) => messages.extend(repair(disk, program)?),
            // Mounting replays the journal.
            None if state.journal && !state.errors => {}
            None => {
                return Err(format!(
                    "{device} was not unmounted cleanly, and e2fsck, which would repair it, is missing."
                ));
            }
        }
    }
    fs::create_dir_all(folder).map_err(|error| format!("Cannot create {}: {error}.", folder.display()))?;
    // Disk limits per container, if the file system was created with support for them (mke2fs -O quota,project).
    let options = state.project_quota.then_some("prjquota");
    // The kernel mounts either of the older two as ext4.
    let attempts = [options, None];
    let kind = ContentKind::Ext4.name();
    let mut result = Ok(());
    for options in &attempts[usize::from(options.is_none())..] {
        result = mount(Some(&disk.device), folder, Some(kind), MsFlags::MS_RELATIME, *options);
        if result.is_ok() {
            break;
        }
    }
    result.map_err(|error| format!("Cannot mount {device} ({}): {error}.", disk.content))?;
    Ok(messages)
}

/// Lets e2fsck repair everything that it can without asking.
fn repair(disk: &Disk, program: &Path) -> Result<Option<String>, String> {
    let device = disk.device.display();
    let output = command(program).arg("-p").arg(&disk.device).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("Cannot run {}: {error}.", program.display()))?;
    match output.status.code() {
        Some(code) if code & !CORRECTED == 0 => {
            Ok((code != 0).then(|| format!("{device} was not unmounted cleanly and has been repaired.")))
        }
        _ => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("e2fsck printed no message");
            Err(format!("{device} cannot be repaired automatically ({last}). Try `e2fsck -f {device}`."))
        }
    }
}

/// The e2fsck of a tree, if it has one.
pub fn e2fsck(tree: &Path) -> Option<PathBuf> {
    let program = Path::new("/system/sbin/e2fsck");
    super::program::check(tree, program).ok()?;
    super::program::resolve(tree, program)
}
