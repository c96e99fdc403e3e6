//! Copying a folder out, for people.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use nix::sys::stat::SFlag;

use super::{BeneathError, Dir, Result};

impl Dir {
    /// Copies all folders, regular files and links below this folder into `to`, with their modes but without set-user-ID
    /// bits; gives the paths of what can't be copied: devices, pipes and sockets.
    pub fn copy_to(&self, to: &Dir) -> Result<Vec<PathBuf>> {
        let (mut left_out, mut open) = (Vec::new(), vec![PathBuf::new()]);
        while let Some(folder) = open.pop() {
            for item in self.list(&folder)? {
                let path = folder.join(&item.name);
                match item.kind() {
                    SFlag::S_IFDIR => {
                        drop(to.make_dir(&path)?);
                        open.push(path);
                    }
                    SFlag::S_IFREG => {
                        let mut from = item.open().map_err(BeneathError::of("read", &path))?;
                        let mut copy = to.create(&path)?;
                        std::io::copy(&mut from, &mut copy).map_err(BeneathError::of("copy", &path))?;
                        let mode = std::fs::Permissions::from_mode(item.stat.st_mode & 0o777 | 0o600);
                        copy.set_permissions(mode).map_err(BeneathError::of("set the mode of", &path))?;
                    }
                    SFlag::S_IFLNK => {
                        let target = item.read_link().map_err(BeneathError::of("read", &path))?;
                        to.symlink(&target, &path)?;
                    }
                    _ => left_out.push(path),
                }
            }
        }
        left_out.sort();
        Ok(left_out)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::beneath::Links;

    #[test]
    fn a_copy_has_files_modes_and_links_and_names_the_rest() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("folder")).unwrap();
        fs::write(from.path().join("folder/script"), "text").unwrap();
        fs::set_permissions(from.path().join("folder/script"), fs::Permissions::from_mode(0o4755)).unwrap();
        std::os::unix::fs::symlink("/nowhere", from.path().join("link")).unwrap();
        nix::unistd::mkfifo(&from.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let [source, target] = [&from, &to].map(|folder| Dir::open(folder.path(), Links::Never).unwrap());
        assert_eq!(source.copy_to(&target).unwrap(), [Path::new("pipe")]);
        assert_eq!(fs::read_to_string(to.path().join("folder/script")).unwrap(), "text");
        let mode = fs::metadata(to.path().join("folder/script")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        assert_eq!(fs::read_link(to.path().join("link")).unwrap(), Path::new("/nowhere"));
        assert!(!to.path().join("pipe").exists());
    }
}
