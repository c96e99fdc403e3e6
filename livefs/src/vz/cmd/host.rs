//! Action scripts of the host.

use crate::vz::context::Vz;
use crate::vz::exit::{self, Error, Result};
use crate::vz::process;

/// The PATH of action scripts and of programs inside.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/system/sbin:/system/bin";

/// Runs an action script of the host, if it exists. Its environment is new: HOME, TERM, PATH, VEID, VE_CONFFILE.
///
/// # Errors
/// [`Error::Script`]: it failed.
pub(super) fn host_script(vz: &Vz, id: u32, name: &str) -> Result<()> {
    let path = vz.paths.conf().join(name);
    if !path.is_file() {
        return Ok(());
    }
    vz.log.say(1, format_args!("Running action script: {}", path.display()));
    let mut script = process::command(&path);
    script.env_clear().envs([("HOME", "/"), ("TERM", "linux"), ("PATH", PATH)]);
    script.env("VEID", id.to_string()).env("VE_CONFFILE", vz.paths.container_conf(id));
    let kind = name.rsplit_once('.').map_or("action", |(_, kind)| kind);
    match script.status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(_) => {}
        Err(error) => vz.log.error(format_args!("Error exec {}: {}", path.display(), exit::why(&error))),
    }
    Err(Error::Script(format!("Error executing {kind} script {}", path.display())))
}

/// The text of an action script for inside the container, if it exists.
pub(super) fn inner_script(vz: &Vz, name: &str) -> Result<Option<Vec<u8>>> {
    let path = vz.paths.conf().join(name);
    match std::fs::read(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path, error)),
    }
}
