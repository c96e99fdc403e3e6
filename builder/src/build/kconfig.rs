//! Making a configuration of its start and the fragments, and checking that every setting took effect.

use std::fs;
use std::io;
use std::path::Path;

use super::toolbox::Toolbox;
use super::{StepError, Work};
use crate::kernel::{self, config};
use crate::plan::{ConfigBase, KconfigAction};
use crate::process::Feed;
use crate::store::StoreError;

impl Work<'_> {
    pub(super) fn configure(&self, action: &KconfigAction, src: &Path, tools: &Toolbox<'_>) -> Result<(), StepError> {
        let make = |target: &str, feed: Option<Feed<'_>>| {
            let fixed = ["make", target].map(str::to_owned);
            let argv: Vec<String> = fixed.into_iter().chain(action.make.iter().cloned()).collect();
            tools.call(&argv, feed, None)
        };
        let file = src.join(".config");
        match &action.base {
            ConfigBase::Target(target) => make(target, None)?,
            ConfigBase::Blob(blob) => {
                fs::copy(self.store().blob_path(blob), &file).map_err(StoreError::io("write", &file))?;
            }
        }
        let base = fs::read_to_string(&file).map_err(StoreError::io("read", &file))?;
        let merged = config::merge(&base, &action.fragments);
        // What was copied from the store is read-only.
        fs::remove_file(&file).and_then(|()| fs::write(&file, merged)).map_err(StoreError::io("write", &file))?;
        let feed: Feed<'_> = Box::new(empty_answers);
        make(action.resolve.target(), Some(feed))?;
        let result = fs::read_to_string(&file).map_err(StoreError::io("read", &file))?;
        let mismatches = kernel::check(&action.fragments, &result, src, "x86_64");
        if mismatches.is_empty() { Ok(()) } else { Err(StepError::Config(mismatches)) }
    }
}

/// The default for every question, for as long as somebody asks.
fn empty_answers(out: &mut dyn io::Write) -> io::Result<()> {
    let lines = [b'\n'; 1024];
    loop {
        match out.write_all(&lines) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
