//! Whether a tree contains a program that can be started after a `chroot` into it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows (MAXSYMLINKS).
const MOST_LINKS: u32 = 40;

/// The resolved path inside `root`: absolute links and `..` stay inside. None if a component is missing.
pub fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut left: VecDeque<OsString> = parts(path);
    let mut inside: Vec<OsString> = Vec::new();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        if part == ".." {
            inside.pop();
            continue;
        }
        let place: PathBuf = root.components().chain(inside.iter().map(|part| Component::Normal(part))).collect();
        let place = place.join(&part);
        if !fs::symlink_metadata(&place).ok()?.file_type().is_symlink() {
            inside.push(part);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return None;
        }
        let target = fs::read_link(&place).ok()?;
        if target.is_absolute() {
            inside.clear();
        }
        let mut behind = parts(&target);
        behind.append(&mut left);
        left = behind;
    }
    Some(inside.iter().fold(root.to_owned(), |path, part| path.join(part)))
}

/// The names in a path; `..` as itself.
fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |part: Component| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(named).collect()
}

/// Whether `program` in the tree `root` is a file that root may execute. `Err` says what is there instead.
///
/// # Errors
/// The end of a sentence, to follow the program's name.
pub fn check(root: &Path, program: &Path) -> Result<(), &'static str> {
    let place = resolve(root, program).ok_or("is missing")?;
    let data = fs::metadata(&place).map_err(|_| "cannot be read")?;
    if !data.is_file() {
        return Err("is not a file");
    }
    if data.permissions().mode() & 0o111 == 0 {
        return Err("is not executable");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside_of_the_tree() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("system/bin")).expect("folders");
        fs::write(root.join("system/bin/busybox"), "").expect("a file");
        symlink("bin/busybox", root.join("system/init")).expect("a link");
        symlink("/system/bin/busybox", root.join("absolute")).expect("a link");
        symlink("../../../../system/bin", root.join("system/climbs")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        let real = root.join("system/bin/busybox");
        for path in ["/system/init", "/absolute", "/system/climbs/busybox", "/../system/./init"] {
            assert_eq!(resolve(root, Path::new(path)).as_ref(), Some(&real), "{path}");
        }
        assert_eq!(resolve(root, Path::new("/loop")), None);
        assert_eq!(check(root, Path::new("/system/none")), Err("is missing"));
        assert_eq!(check(root, Path::new("/system/bin")), Err("is not a file"));
        assert_eq!(check(root, Path::new("/system/init")), Err("is not executable"));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).expect("a mode");
        assert_eq!(check(root, Path::new("/system/init")), Ok(()));
    }
}
