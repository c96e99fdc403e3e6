//! The engine's files of a container, below the folder of a [`super::Runtime`].

use std::path::{Path, PathBuf};

/// The bundle's folder, which also contains the sockets.
pub(super) fn bundle(folder: &Path, id: u32) -> PathBuf {
    folder.join("bundle").join(id.to_string())
}

/// The socket at which a keeper accepts those who attach to the console.
pub(super) fn console_socket(folder: &Path, id: u32) -> PathBuf {
    bundle(folder, id).join("console")
}

/// The file with PID 1's number on the host, until the container's leftovers are removed.
pub(super) fn number(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("{id}.pid"))
}
