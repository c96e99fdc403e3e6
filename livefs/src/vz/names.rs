//! The names of a container: its number, or its name, a symlink in `/etc/vz/names`.

use super::conf::ConfFile;
use super::conf::params::{Kind, ParamSource};
use super::exit::{Error, Result, why};
use super::paths::Paths;
use std::fs;
use std::io;

/// The largest number.
pub const MAX_ID: u32 = 2_147_483_644;

/// The number of a container that is given by number or name.
///
/// # Errors
/// [`Error::Value`]: neither.
pub fn resolve(paths: &Paths, given: &str) -> Result<u32> {
    let bad = || Error::Value(format!("Bad CT ID {given}"));
    if !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit()) {
        return given.parse().ok().filter(|id| *id <= MAX_ID).ok_or_else(bad);
    }
    let id = by_name(paths, given).ok_or_else(bad)?;
    // A configuration without a name has the link's; a copied one has another.
    let file = ConfFile::read(&paths.container_conf(id)).map_err(|_| bad())?;
    match file.get("NAME") {
        Some(name) if name != given => Err(Error::Value(format!("Unable to find container by name {given}"))),
        _ => Ok(id),
    }
}

/// The container with a name: the link points to its configuration, which must exist.
pub fn by_name(paths: &Paths, name: &str) -> Option<u32> {
    if !valid(name) {
        return None;
    }
    // By its number, not by its path: early in the machine's start `/etc/vz` does not exist yet.
    let target = fs::read_link(paths.names().join(name)).ok()?;
    let id: u32 = target.file_name()?.to_str()?.strip_suffix(".conf")?.parse().ok()?;
    paths.container_conf(id).exists().then_some(id)
}

/// Whether this is a valid name: letters, digits, `-+_. `. No link can be created with a folder's own two names.
pub fn valid(name: &str) -> bool {
    Kind::Name.parse(name, ParamSource::Option).is_ok() && !["", ".", ".."].contains(&name)
}

/// Sets a container's name, or with an empty one removes it; the link of the old one is removed. False: it has that
/// name already.
///
/// # Errors
/// [`Error::Name`]: not a valid name, or the name of another container.
pub fn set(paths: &Paths, id: u32, name: &str, old: Option<&str>) -> Result<bool> {
    let failed = |error: io::Error| Error::Name(format!("Unable to create link {name}: {}", why(&error)));
    let link = paths.names().join(name);
    if !name.is_empty() {
        if !valid(name) {
            return Err(Error::Name(format!("Error: invalid name {name}")));
        }
        let owner = by_name(paths, name);
        if let Some(other) = owner.filter(|other| *other != id) {
            return Err(Error::Name(format!("Conflict: name {name} already used by container {other}")));
        }
        if owner.is_some() && old == Some(name) {
            return Ok(false);
        }
        fs::create_dir_all(paths.names()).map_err(failed)?;
        // The link is created beside and renamed, so that a name never lacks its container.
        let beside = paths.names().join(format!(".{id}.new"));
        let _ = fs::remove_file(&beside);
        std::os::unix::fs::symlink(paths.container_conf(id), &beside)
            .and_then(|()| fs::rename(&beside, &link))
            .map_err(failed)?;
    }
    match old {
        Some(old) if old != name && valid(old) => remove(paths, id, old)?,
        _ => {}
    }
    Ok(true)
}

/// Removes all of a container's names.
///
/// # Errors
/// [`Error::Name`]: a link can't be removed.
pub fn remove_all(paths: &Paths, id: u32) -> Result<()> {
    let entries = fs::read_dir(paths.names()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.into_iter().try_for_each(|name| remove(paths, id, &name))
}

/// Removes a container's name, unless the link belongs to another.
///
/// # Errors
/// [`Error::Name`]: the link can't be removed.
pub fn remove(paths: &Paths, id: u32, name: &str) -> Result<()> {
    let link = paths.names().join(name);
    let ours = fs::read_link(&link).is_ok_and(|target| target.file_name() == Some(format!("{id}.conf").as_ref()));
    match if ours { fs::remove_file(&link) } else { Ok(()) } {
        Err(error) => Err(Error::Name(format!("Unable to unlink {}: {}", link.display(), why(&error)))),
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
        for name in ["a/b", "..", "b\u{fc}ro"] {
            assert_eq!(set(&paths, 102, name, None).unwrap_err().code(), 131, "{name}");
        }
        assert_eq!(fs::read_link(paths.names().join("web")).unwrap(), paths.container_conf(101));
        assert!(!set(&paths, 101, "web", Some("web")).unwrap(), "it has that name");
        // Renamed in its configuration by hand: the old link no longer counts.
        fs::write(paths.container_conf(101), "NAME=\"www\"\n").unwrap();
        assert_eq!(resolve(&paths, "web").unwrap_err().to_string(), "Unable to find container by name web");
        assert!(set(&paths, 101, "www", Some("web")).unwrap());
        assert_eq!(resolve(&paths, "www").unwrap(), 101);
        assert!(fs::read_link(paths.names().join("web")).is_err());
        // A link without a name in the configuration counts, too.
        fs::write(paths.container_conf(103), "").unwrap();
        std::os::unix::fs::symlink("../conf/103.conf", paths.names().join("a+b")).unwrap();
        assert_eq!(resolve(&paths, "a+b").unwrap(), 103);
        remove_all(&paths, 103).unwrap();
        assert_eq!(resolve(&paths, "a+b").unwrap_err().code(), 21);
    }
}
