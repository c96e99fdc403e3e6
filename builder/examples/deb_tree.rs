//! What dbco reads from Debian packages: for each file given as an argument a line of JSON, `{"file": …, "entries":
//! [[path, entry] …]}`, or `{"file": …, "error": …}`. `ci/packages.py` compares it with what dpkg-deb and Python read.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use dbco::archive::{Budget, deb, tar};
use dbco::store::Store;
use dbco::tree::Tree;

fn main() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for file in std::env::args().skip(1) {
        let line = match read(Path::new(&file)) {
            Ok(tree) => serde_json::json!({"file": file, "entries": tree.entries.iter().collect::<Vec<_>>()}),
            Err(error) => serde_json::json!({"file": file, "error": format!("{error:#}")}),
        };
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// As a step reads it; the files' content is discarded.
fn read(file: &Path) -> anyhow::Result<Tree> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let budget = Budget::default();
    let name = file.display().to_string();
    let data = deb::data(File::open(file).with_context(|| name.clone())?, &name, 1, &budget)?;
    let mut batch = store.batch()?;
    Ok(tar::read_tree(data, &name, &budget, &mut batch)?)
}
