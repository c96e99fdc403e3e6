//! What `set` and `start` change in a container's own files: passwords, name servers, search domains.

use super::exec;
use super::mount::{mount_root, umount_root};
use crate::durable::replace;
use crate::vz::context::{Ct, Vz};
use crate::vz::exit::{Error, Result};
use crate::vz::node::InnerCommand;
use crate::vz::spec::Spec;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

/// Sets a user's password inside, with the container's own programs; the user is created if it does not exist. Never
/// saved.
pub(super) fn password(vz: &Vz, ct: &Ct, running: bool, pair: &str) -> Result<()> {
    let bad = || Error::Value("Bad parameter for --userpasswd: expected USER:PASSWORD".into());
    let (user, secret) = pair.split_once(':').ok_or_else(bad)?;
    let name = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if user.is_empty()
        || !user.bytes().all(name)
        || user.starts_with('-')
        || secret.is_empty()
        || secret.contains(['\n', '\0'])
    {
        return Err(bad());
    }
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    let mount = !running && !vz.node.is_mounted(&root)?;
    if mount {
        mount_root(vz, ct, true)?;
    }
    let script = format!(
        "id {user} >/dev/null 2>&1 || useradd -m {user} 2>/dev/null || adduser -D {user} || exit 1\nexec chpasswd\n"
    );
    let ran = ct.spec(vz).and_then(|spec| {
        let command = exec::shell(&spec, &["-c".into(), script])?;
        let input = Some(format!("{user}:{secret}\n").into_bytes());
        let stopped_root = (!running).then_some(root);
        vz.node.exec(ct.id, &InnerCommand { input, stopped_root, ids: spec.ids, ..command })
    });
    if mount {
        umount_root(vz, ct)?;
    }
    match ran? {
        0 => Ok(()),
        code => Err(Error::Password(format!(
            "Unable to set the password of {user}: the container's programs ended with {code}"
        ))),
    }
}

/// Writes settings to a container's own files: its name servers and search domains. The root must be mounted.
///
/// # Errors
/// The disk is full. A root without a folder `etc` is left alone.
pub(super) fn write_inside(vz: &Vz, ct: &Ct, spec: &Spec) -> Result<()> {
    let inherited = |key: &str, word: &str| -> Vec<String> {
        let own: Vec<&str> = ct.config.list(key);
        if own != ["inherit"] {
            return own.into_iter().map(str::to_owned).collect();
        }
        let host = ["/system/etc/resolv.conf", "/etc/resolv.conf"].map(|path| fs::read_to_string(vz.paths.at(path)));
        let text = host.into_iter().flatten().next().unwrap_or_default();
        let lines =
            text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix([' ', '\t']).map(str::to_owned));
        lines.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let (servers, domains) = (inherited("NAMESERVER", "nameserver"), inherited("SEARCHDOMAIN", "search"));
    if servers.is_empty() && domains.is_empty() {
        return Ok(());
    }
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    if !domains.is_empty() {
        text = format!("search {}\n{text}", domains.join(" "));
    }
    for folder in ["system/etc", "etc"] {
        if put(&spec.root, folder, "resolv.conf", text.as_bytes())? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether a plain file has exactly this content.
fn holds(file: fs::File, text: &[u8]) -> bool {
    use std::io::Read;
    let mut read = Vec::new();
    let about = file.metadata();
    about.is_ok_and(|about| about.is_file() && about.len() == text.len() as u64)
        && file.take(text.len() as u64).read_to_end(&mut read).is_ok()
        && read == text
}

/// Writes a file into a container's root. Symlinks are resolved within that root. False: there is no such folder.
fn put(root: &Path, folder: &str, name: &str, text: &[u8]) -> Result<bool> {
    use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
    let top = fs::File::open(root).map_err(|error| Error::file(root, error))?;
    let how = OpenHow::new()
        .flags(OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let Ok(inner) = openat2(&top, folder, how) else { return Ok(false) };
    // It is written at each start, usually with unchanged content.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let same = openat2(&inner, name, how).map(fs::File::from).is_ok_and(|file| holds(file, text));
    if same {
        return Ok(true);
    }
    // The rename replaces whatever exists, including a symlink; nothing on the way is followed.
    let path = Path::new("/proc/self/fd").join(inner.as_raw_fd().to_string()).join(name);
    // The file gets the folder's owner: in a container with a user namespace our own root is nobody.
    let inner = fs::File::from(inner);
    let written = inner.metadata().and_then(|about| {
        replace(&path, text, 0o644)?;
        lchown(&path, Some(about.uid()), Some(about.gid()))
    });
    written.map_err(|error| Error::file(&root.join(folder).join(name), error))?;
    Ok(true)
}
