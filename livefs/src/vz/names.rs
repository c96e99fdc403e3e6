//! What a container is called: its number, or its name by way of a symlink in `/etc/vz/names`.

use super::conf::ConfFile;
use super::exit::{Error, Result};
use super::paths::Paths;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The largest number.
pub const MAX_ID: u32 = 2_147_483_644;

/// The largest of the reserved numbers.
pub const RESERVED: u32 = 100;

/// The number of a container that is given by number or name.
///
/// # Errors
/// [`Error::Value`]: neither.
pub fn resolve(paths: &Paths, given: &str) -> Result<u32> {
    let bad = || Error::Value(format!("Bad CT ID {given}"));
    if !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit()) {
        return given.parse().ok().filter(|id| *id <= MAX_ID).ok_or_else(bad);
    }
    by_name(paths, given).ok_or_else(bad)
}

/// Whose a name is: the link points to its configuration, and that has the same name.
pub fn by_name(paths: &Paths, name: &str) -> Option<u32> {
    if !valid(name) {
        return None;
    }
    let target = fs::read_link(paths.names().join(name)).ok()?;
    let id: u32 = target.file_name()?.to_str()?.strip_suffix(".conf")?.parse().ok()?;
    let file = ConfFile::read(&paths.container_conf(id)).ok()?;
    (file.get("NAME") == Some(name)).then_some(id)
}

/// Whether this can be a name: letters, digits, `-_. `, up to 63 bytes, and not a number.
pub fn valid(name: &str) -> bool {
    let bytes = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_. ".contains(&b) || b >= 0x80);
    (1..=63).contains(&name.len())
        && bytes
        && name.bytes().any(|b| !b.is_ascii_digit())
        && !name.starts_with('.')
        && !name.starts_with('-')
}

/// Gives a container a name, or with an empty one takes it; the link of the old one goes.
///
/// # Errors
/// [`Error::Name`]: no name, or another's.
pub fn set(paths: &Paths, id: u32, name: &str, old: Option<&str>) -> Result<()> {
    let failed = |error: io::Error| Error::Name(format!("Unable to set name {name}: {error}"));
    let link = paths.names().join(name);
    if !name.is_empty() {
        if !valid(name) {
            return Err(Error::Name(format!("Error: Invalid name {name}")));
        }
        if let Some(other) = by_name(paths, name).filter(|other| *other != id) {
            return Err(Error::Name(format!("Conflict: name {name} already used by container {other}")));
        }
        fs::create_dir_all(paths.names()).map_err(failed)?;
        // The link is made beside and renamed, so that a name is never without its container.
        let beside = paths.names().join(format!(".{id}.new"));
        let _ = fs::remove_file(&beside);
        let target = PathBuf::from(format!("../conf/{id}.conf"));
        std::os::unix::fs::symlink(target, &beside).and_then(|()| fs::rename(&beside, &link)).map_err(failed)?;
    }
    match old {
        Some(old) if old != name && valid(old) => remove(paths, id, old),
        _ => Ok(()),
    }
}

/// Removes a container's name, unless the link is another's.
///
/// # Errors
/// [`Error::Name`]: the link can't be removed.
pub fn remove(paths: &Paths, id: u32, name: &str) -> Result<()> {
    let link = paths.names().join(name);
    let ours = fs::read_link(&link).is_ok_and(|target| target.ends_with(format!("{id}.conf")));
    match if ours { fs::remove_file(&link) } else { Ok(()) } {
        Err(error) => Err(Error::Name(format!("Unable to unlink {}: {error}", link.display()))),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        fs::create_dir_all(paths.conf()).unwrap();
        assert_eq!(resolve(&paths, "101").unwrap(), 101);
        assert_eq!(resolve(&paths, "2147483644").unwrap(), MAX_ID);
        for bad in ["2147483645", "-1", "web", "", "../x", "99999999999"] {
            let error = resolve(&paths, bad).unwrap_err();
            assert_eq!((error.code(), error.to_string()), (21, format!("Bad CT ID {bad}")));
        }
        for (id, name) in [(101, "web"), (102, "mail")] {
            fs::write(paths.container_conf(id), format!("NAME=\"{name}\"\n")).unwrap();
            set(&paths, id, name, None).unwrap();
        }
        assert_eq!(resolve(&paths, "web").unwrap(), 101);
        assert_eq!(set(&paths, 102, "web", Some("mail")).unwrap_err().code(), 131);
        assert_eq!(set(&paths, 102, "1234", None).unwrap_err().code(), 131);
        // Renamed in its configuration by hand: the old link no longer counts.
        fs::write(paths.container_conf(101), "NAME=\"www\"\n").unwrap();
        assert_eq!(resolve(&paths, "web").unwrap_err().code(), 21);
        set(&paths, 101, "www", Some("web")).unwrap();
        assert_eq!(resolve(&paths, "www").unwrap(), 101);
        assert!(fs::read_link(paths.names().join("web")).is_err());
    }
}
