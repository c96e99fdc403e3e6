//! Crates for cargo, which has no network in the sandbox.

use super::source::unpack_at;
use crate::archive;
use crate::beneath::Dir;
use crate::source::Crate;
use crate::step::{StepError, Work};

/// Cargo's home is `/build/.cargo`, as HOME is `/build`. A folder of crates ("directory source",
/// <https://doc.rust-lang.org/cargo/reference/source-replacement.html>) replaces the registry.
const CONFIG: &str = "\
[source.crates-io]
replace-with = \"locked\"

[source.locked]
directory = \"/build/crates\"

[net]
offline = true
";

/// Lays crates out beside the source folder: each in its own folder, with the checksum that cargo compares with
/// `Cargo.lock`. Checksums of their files are not listed: the archives were verified as a whole.
pub(super) fn vendor(work: &Work<'_>, crates: &[Crate], build: &Dir) -> Result<(), StepError> {
    let folder = build.make_dir("crates")?;
    for pinned in crates {
        let (name, to) = (pinned.file_name(), pinned.stem());
        work.line(&format!("unpacking {name}"));
        let input = archive::decompress(work.store().open_blob(&pinned.sha256)?, &name, work.budget())?;
        unpack_at(input, &name, work.budget(), &folder, &to, None)?;
        let checksum = serde_json::json!({"files": {}, "package": pinned.sha256.to_string()});
        folder.write(format!("{to}/.cargo-checksum.json"), checksum.to_string().as_bytes())?;
    }
    Ok(build.write(".cargo/config.toml", CONFIG.as_bytes())?)
}
