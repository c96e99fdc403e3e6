//! Packs the shipped recipes, fragments and sources of the live system into the program (`src/library`), if the program
//! will leave this checkout: if it is built into a folder outside, as `cargo install --git` does, or with the feature
//! `embedded-library`.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

#[path = "src/library/pack.rs"]
mod pack;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rustc-check-cfg=cfg(embedded_library)");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/library/pack.rs");
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or(format!("{name} is not set"));
    let out = variable("OUT_DIR")?;
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let checkout = manifest.parent().ok_or("the crate is not in a checkout")?;
    let stays = out.canonicalize()?.starts_with(checkout.canonicalize()?);
    if stays && std::env::var_os("CARGO_FEATURE_EMBEDDED_LIBRARY").is_none() {
        return Ok(());
    }
    println!("cargo:rustc-cfg=embedded_library");
    for folder in pack::FOLDERS {
        println!("cargo:rerun-if-changed={}", checkout.join(folder).display());
    }
    let content = write(checkout, &out.join("library.tar.gz"))?;
    println!("cargo:rustc-env=DBCO_LIBRARY_CONTENT={content}");
    let mut pinned = Hashed { to: std::io::sink(), hash: Sha256::new() };
    pack::pack(checkout, pack::Part::Pinned, &mut pinned)?;
    println!("cargo:rustc-env=DBCO_LIBRARY={}", pinned.digest());
    Ok(())
}

/// Writes the archive; gives the sha256 of its uncompressed bytes.
fn write(checkout: &Path, to: &Path) -> Result<String, Box<dyn Error>> {
    let mut hashed =
        Hashed { to: GzEncoder::new(BufWriter::new(File::create(to)?), Compression::best()), hash: Sha256::new() };
    pack::pack(checkout, pack::Part::All, &mut hashed)?;
    let digest = hashed.digest();
    hashed.to.finish()?.flush()?;
    Ok(digest)
}

struct Hashed<W> {
    to: W,
    hash: Sha256,
}

impl<W> Hashed<W> {
    fn digest(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}
