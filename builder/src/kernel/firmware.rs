//! Firmware that modules request: `MODULE_FIRMWARE` (include/linux/module.h).

use std::io;

use super::{compressed, modules};

/// The names of the firmware that a module may request, relative to `/lib/firmware`; the module may be compressed.
pub fn asked_for(module: Vec<u8>) -> io::Result<Vec<String>> {
    let module = compressed::unpack(module)?;
    let pairs = modules::modinfo(&module).map_err(io::Error::other)?;
    Ok(pairs.into_iter().filter(|(key, _)| key == "firmware").map(|(_, name)| name).collect())
}
