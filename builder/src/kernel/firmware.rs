//! Firmware that modules ask for: `MODULE_FIRMWARE` (include/linux/module.h).

use std::io;

use super::{compressed, modules};

/// The names of firmware that a module may ask for, relative to `/lib/firmware`; the module is plain or compressed.
pub fn asked_for(module: Vec<u8>) -> io::Result<Vec<String>> {
    let module = compressed::unpack(module)?;
    let pairs = modules::modinfo(&module).map_err(io::Error::other)?;
    Ok(pairs.into_iter().filter(|(key, _)| key == "firmware").map(|(_, name)| name).collect())
}
