//! Roots whose `/bin`, `/lib` … are links into `/usr` (file-hierarchy(7)), as in Debian.

use super::TreePath;

/// Top folders that may be such links.
pub const FOLDERS: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Whether a link with this target is that of a merged root at the top's `name`: `usr/bin` at `bin`.
pub fn is_link(name: &[u8], text: &[u8]) -> bool {
    let mut parts = text.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    FOLDERS.iter().any(|folder| folder.as_bytes() == name)
        && parts.by_ref().take(2).eq([b"usr".as_slice(), name])
        && parts.next().is_none()
}

/// Whether the path lies in one of these top folders, or is one.
pub fn is_within(path: &[u8], folders: &[&str]) -> bool {
    let top = path.split(|&byte| byte == b'/').next().unwrap_or_default();
    folders.iter().any(|folder| folder.as_bytes() == top)
}

/// The actual location of a path in a root with these links.
pub fn resolve(path: &TreePath, folders: &[&str]) -> TreePath {
    match is_within(path.as_str().as_bytes(), folders) {
        true => TreePath(format!("usr/{}", path.as_str())),
        false => path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_merged_root_are_told_from_others() {
        for (name, text, expected) in [
            ("bin", "usr/bin", true),
            ("bin", "/usr/bin", true),
            ("lib64", "usr/lib64/", true),
            ("bin", "usr/sbin", false),
            ("bin", "bin", false),
            ("opt", "usr/opt", false),
            ("usr/bin", "usr/usr/bin", false),
            ("bin", "", false),
            ("bin", "usr/bin/x", false),
        ] {
            assert_eq!(is_link(name.as_bytes(), text.as_bytes()), expected, "{name} -> {text}");
        }
    }

    #[test]
    fn a_path_below_such_a_link_is_in_usr() {
        for (path, expected) in
            [("bin/sh", "usr/bin/sh"), ("bin", "usr/bin"), ("binary/x", "binary/x"), ("lib/x", "lib/x"), ("", "")]
        {
            let resolved = resolve(&TreePath::new(path).unwrap(), &["bin"]);
            assert_eq!(resolved.as_str(), expected);
        }
    }
}
