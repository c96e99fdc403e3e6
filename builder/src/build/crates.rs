//! Crates for cargo, which has no network in the sandbox and needs none.

use std::fs;
use std::path::Path;

use super::{StepError, Work};
use crate::archive::{self, tar};
use crate::source::Crate;
use crate::store::StoreError;

/// Cargo's home is `/build/.cargo`, as HOME is `/build`. A folder of crates ("directory source",
/// <https://doc.rust-lang.org/cargo/reference/source-replacement.html>) stands for the registry.
const CONFIG: &str = "\
[source.crates-io]
replace-with = \"locked\"

[source.locked]
directory = \"/build/crates\"

[net]
offline = true
";

impl Work<'_> {
    /// Lays crates out beside the source folder: each in a folder of its own, with the checksum that cargo holds against
    /// the `Cargo.lock`. Checksums of their files are not listed: the archives were checked as a whole.
    pub(super) fn vendor(&self, crates: &[Crate], build: &Path) -> Result<(), StepError> {
        let folder = build.join("crates");
        make(&folder)?;
        for pinned in crates {
            let (name, to) = (pinned.file_name(), folder.join(pinned.stem()));
            self.line(&format!("unpacking {name}"));
            make(&to)?;
            let input = archive::decompress(self.store().open_blob(&pinned.sha256)?, &name)?;
            tar::unpack_to_dir(input, &name, &to, tar::Options { strip: 1 })?;
            let checksum = serde_json::json!({"files": {}, "package": pinned.sha256.to_string()});
            write(&to.join(".cargo-checksum.json"), &checksum.to_string())?;
        }
        make(&build.join(".cargo"))?;
        write(&build.join(".cargo/config.toml"), CONFIG)
    }
}

fn make(folder: &Path) -> Result<(), StepError> {
    Ok(fs::create_dir_all(folder).map_err(StoreError::io("make", folder))?)
}

fn write(path: &Path, text: &str) -> Result<(), StepError> {
    Ok(fs::write(path, text).map_err(StoreError::io("write", path))?)
}
