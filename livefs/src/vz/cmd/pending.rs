//! What an interrupted command had already decided: a conversion, or a switch to a snapshot, of which all data is on the
//! disk. It is completed before the next command works on the container, as well as at the next start of the machine: a
//! container that ran on the old files meanwhile would lose what it has written.

use super::convert;
use crate::vz::context::Vz;
use crate::vz::exit::Result;
use crate::vz::layout::{Layout, Place};
use crate::vz::suspended::Operation;

/// Completes it for a container that the caller has locked, and reports it. One that is mounted is left alone.
///
/// # Errors
/// The disk is full, or fails.
pub(crate) fn finish(vz: &Vz, id: u32) -> Result<Vec<String>> {
    let ct = vz.container(id)?;
    let (private, root) = (ct.config.get("VE_PRIVATE"), ct.config.get("VE_ROOT"));
    let (Some(private), Some(root)) = (private, root) else { return Ok(Vec::new()) };
    let (private, root) = (vz.paths.at(private), vz.paths.at(root));
    let converts = convert::waiting(vz, id).exists();
    let area = ct.layout(&private).ok().map(Layout::area);
    let switches = area.is_some_and(|area| area.is_switching(&private));
    if !converts && !switches || vz.node.is_mounted(&root)? {
        return Ok(Vec::new());
    }
    let suspended = vz.is_suspended(id);
    vz.ask(id, Operation::Finish)?;
    let mut said = Vec::new();
    if let Some(area) = area.filter(|_| switches) {
        let conf = vz.paths.container_conf(id);
        area.finish(Place { private: &private, root: &root, mounted: false, suspended: false, conf: &conf })?;
        said.push("switch of a snapshot was interrupted and is now complete".to_owned());
    }
    if converts {
        convert::finish(vz, id, &private)?;
        said.push("conversion was interrupted and is now complete".to_owned());
    }
    if suspended {
        said.push("it can't continue as it was suspended; its dump is set aside".to_owned());
    }
    Ok(said)
}
