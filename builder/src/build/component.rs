//! Building a component: unpack, patch, configure, build, install, collect.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::toolbox::Toolbox;
use super::{Outputs, StepError, Work};
use crate::archive::{self, tar};
use crate::image::Contents;
use crate::kernel::patch::{self, PatchError};
use crate::plan::{ComponentAction, PatchContent, PatchText, Ref, Source};
use crate::rootfs::{lay_out, read_built};
use crate::sandbox::SandboxError;
use crate::store::{Output, StoreError};

/// Where sources stand inside.
const SRC: &str = "/build/src";

impl Work<'_> {
    pub(super) fn component(&self, action: &ComponentAction) -> Result<Outputs, StepError> {
        let work = self.store().work_dir()?;
        let (build, deps) = (work.path().join("build"), work.path().join("deps"));
        let (src, out) = (build.join("src"), build.join("out"));
        for folder in [&src, &out, &deps] {
            fs::create_dir_all(folder).map_err(StoreError::io("make", folder))?;
        }
        self.unpack(action, &src)?;
        for (name, step) in &action.needs {
            let tree = self.context.tree(&Ref::new(*step, "install"))?;
            lay_out(&tree, &self.context.contents(), &deps.join(name), time(action.epoch))?;
        }
        if let Some(crates) = &action.crates {
            self.vendor(crates, &build)?;
        }
        let (jobs, epoch) = (self.context.jobs.to_string(), action.epoch.to_string());
        let tools = Toolbox::new(self, action.toolchain, &build)?
            .bind(&deps, "/deps")
            .cwd(SRC)
            .env([
                ("JOBS", jobs.as_str()),
                ("OUT", "/build/out"),
                ("SOURCE_DATE_EPOCH", epoch.as_str()),
                ("DEPS", "/deps"),
            ])
            .env(action.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.patch(action, &build, &tools)?;
        if let Some(kconfig) = &action.kconfig {
            self.configure(kconfig, &src, &tools)?;
        }
        script(&tools, "build", &action.build)?;
        script(&tools, "install", &action.install)?;
        self.collect(action, &src, &out)
    }

    fn unpack(&self, action: &ComponentAction, src: &Path) -> Result<(), StepError> {
        match &action.source {
            Source::Folder(tree) => Ok(lay_out(tree, &self.context.contents(), src, time(action.epoch))?),
            Source::Archive { name, blob } => {
                self.line(&format!("unpacking {name}"));
                let input = self.read(blob)?;
                let input = archive::decompress(input, name)?;
                let input = archive::ahead(input);
                Ok(tar::unpack_to_dir(input, name, src, tar::Options { strip: 1 })?)
            }
        }
    }

    /// A content of the project or the store.
    fn read(&self, blob: &crate::digest::Digest) -> Result<File, StepError> {
        match self.context.plan.files.get(blob) {
            Some(path) => Ok(File::open(path).map_err(StoreError::io("open", path))?),
            None => Ok(self.store().open_blob(blob)?),
        }
    }

    /// Applies the series with GNU patch, each hunk to exactly the lines that it was written against, wherever they moved.
    fn patch(&self, action: &ComponentAction, build: &Path, tools: &Toolbox<'_>) -> Result<(), StepError> {
        let file = build.join("next.patch");
        for PatchText { name, content } in &action.patches {
            let failed = |errors: Vec<PatchError>| StepError::Patch(errors);
            let mut bytes = Vec::new();
            match content {
                PatchContent::Bytes(text) => bytes.extend_from_slice(text),
                PatchContent::Blob(blob) => {
                    let mut from = self.context.contents().open(blob).map_err(StoreError::io("read", build))?;
                    from.read_to_end(&mut bytes).map_err(StoreError::io("read", build))?;
                }
            }
            let text = patch::plain(name, bytes).map_err(|error| failed(vec![error]))?;
            let parts = patch::inspect(name, &text).map_err(|error| failed(vec![error]))?;
            fs::write(&file, &text).map_err(StoreError::io("write", &file))?;
            self.line(&format!("applying {name}"));
            let said = Mutex::new(String::new());
            let listen = |line: &str| {
                let mut said = said.lock().unwrap_or_else(|e| e.into_inner());
                said.push_str(line);
                said.push('\n');
            };
            let argv = [
                "patch",
                "-p1",
                "--batch",
                "--forward",
                "--fuzz=0",
                "--no-backup-if-mismatch",
                "--reject-file=-",
                "-i",
                "/build/next.patch",
            ];
            match tools.call(&argv, None, Some(&listen)) {
                Ok(()) => {}
                Err(SandboxError::Tool(crate::process::ProcessError::Failed { .. })) => {
                    let said = said.into_inner().unwrap_or_else(|e| e.into_inner());
                    return Err(failed(patch::failures(name, &parts, &said)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if file.exists() {
            fs::remove_file(&file).map_err(StoreError::io("remove", &file))?;
        }
        Ok(())
    }

    fn collect(&self, action: &ComponentAction, src: &Path, out: &Path) -> Result<Outputs, StepError> {
        let mut outputs = BTreeMap::new();
        for (name, path) in &action.files {
            let file = src.join(path);
            if !file.is_file() {
                return Err(StepError::NoOutput { name: name.clone(), path: path.clone() });
            }
            outputs.insert(name.clone(), self.blob(&file)?);
        }
        let mut batch = self.store().batch()?;
        let tree = read_built(out, &mut batch)?;
        batch.commit()?;
        outputs.insert("install".into(), Output::Tree { digest: self.store().add_tree(&tree)? });
        Ok(outputs)
    }
}

fn script(tools: &Toolbox<'_>, script: &'static str, text: &str) -> Result<(), StepError> {
    if text.trim().is_empty() {
        return Ok(());
    }
    tools.call(&["/bin/sh", "-euc", text], None, None).map_err(|source| StepError::Script { script, source })
}

fn time(epoch: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(epoch.try_into().unwrap_or_default())
}
