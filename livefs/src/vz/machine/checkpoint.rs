//! Saving a running container's processes, and starting a container from them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{LOGS, Machine};
use crate::container::checkpoint::{self, DumpNotes, Restore};
use crate::net;
use crate::vz::convert;
use crate::vz::exit::{Error, Result};
use crate::vz::spec::Spec;

impl Machine {
    /// Saves the processes of a frozen container. Its packets are held from then on, as long as it is frozen.
    pub(super) fn save(&self, id: u32, folder: &Path, earlier: Option<&Path>) -> Result<()> {
        let pid = self.init(id)?;
        let netns = net::Netns::of_pid(pid).map_err(convert::network_error)?;
        net::hold(&netns).map_err(convert::network_error)?;
        let saved = checkpoint::dump(id, pid, folder, earlier, &log(id, "dump")?).map_err(convert::engine_error);
        if saved.is_err() {
            // The failure is more useful to report.
            let _ = net::release(&netns);
        }
        saved
    }

    /// Saves the memory of a running container.
    pub(super) fn save_memory(&self, id: u32, folder: &Path, earlier: Option<&Path>) -> Result<()> {
        let pid = self.init(id)?;
        checkpoint::pre_dump(id, pid, folder, earlier, &log(id, "dump")?).map_err(convert::engine_error)
    }

    /// Starts a container whose root is mounted from saved processes.
    pub(super) fn start_saved(&self, spec: &Spec, folder: &Path, commit: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let notes = DumpNotes::read(folder).map_err(convert::engine_error)?;
        let (folder, root, log) = (folder.to_owned(), spec.root.clone(), log(spec.id, "restore")?);
        self.start_engine(spec, Some((Restore { folder, root, log, notes }, commit)))
    }
}

/// Where CRIU's messages about a container go; the file stays if CRIU fails.
fn log(id: u32, action: &str) -> Result<PathBuf> {
    fs::create_dir_all(LOGS).map_err(|error| Error::file(Path::new(LOGS), error))?;
    Ok(Path::new(LOGS).join(format!("{id}.{action}")))
}
