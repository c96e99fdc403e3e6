//! Upgrading a store of an earlier revision.
//!
//! The format is the same, so programs of both revisions can share a store; what an earlier one adds later counts as
//! damaged. Its results had no digest and its roots no list of files: existing ones are taken over once as they are, as
//! nothing better is known about them. Everything else is named by a digest.

use super::listing::{entries, name, sharded_entries};
use super::results::seal;
use super::{StepResult, Store, StoreError, write_atomically};
use crate::input::{LIMIT, LONG, read_text};

const REVISION: &str = "2\n";

impl Store {
    pub(super) fn upgrade(&self) -> Result<(), StoreError> {
        let path = self.root.join("revision");
        let is_new = || read_text(&path, LIMIT).is_ok_and(|text| text == REVISION);
        if is_new() {
            return Ok(());
        }
        let _lock = self.lock("upgrade")?;
        if is_new() {
            return Ok(());
        }
        for file in sharded_entries(&self.root.join("steps"))? {
            let text = read_text(&file, LONG).ok();
            let (Some(key), Some(text)) = (name(&file), text.filter(|text| !text.contains("\n  \"sum\": "))) else {
                continue;
            };
            let result = serde_json::from_str::<StepResult>(&text).ok().filter(|result| result.key.digest() == key);
            if let Some(Ok(text)) = result.map(|result| seal(&result)) {
                self.put(&file, text.as_bytes())?;
            }
        }
        for root in entries(&self.root.join("roots"))? {
            if let Some(key) = name(&root).filter(|key| !self.root.join("seals").join(format!("{key}.files")).exists())
            {
                self.seal_root(&root, &key)?;
            }
        }
        write_atomically(&path, REVISION.as_bytes())
    }
}
