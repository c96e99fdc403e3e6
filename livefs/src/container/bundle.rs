//! Where a container's files of the engine are, below the folder of a [`super::Runtime`].

use std::path::{Path, PathBuf};

/// The bundle's folder, which holds the sockets, too.
pub(super) fn bundle(folder: &Path, id: u32) -> PathBuf {
    folder.join("bundle").join(id.to_string())
}

/// The socket at which a keeper waits for those who attach to the console.
pub(super) fn console_socket(folder: &Path, id: u32) -> PathBuf {
    bundle(folder, id).join("console")
}

/// The file that holds PID 1's number on the host, until what the container left is put away.
pub(super) fn number(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("{id}.pid"))
}
