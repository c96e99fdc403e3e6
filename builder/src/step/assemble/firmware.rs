//! Firmware that an initramfs's modules request but that is missing.

use std::io::Read;

use super::{AssembleStep, FirmwareSources, StepError, Work};
use crate::kernel::{firmware, modules::module_name};
use crate::path_error::FromPathError as _;
use crate::store::{Output, StoreError};
use crate::tree::{Node, Tree, TreePath};

/// The suffixes with which the kernel may find compressed firmware (`CONFIG_FW_LOADER_COMPRESS`).
const ENDINGS: [&str; 3] = ["", ".xz", ".zst"];

/// The number of names that a warning shows per module.
const MOST: usize = 5;

impl FirmwareSources {
    /// Reports which modules of an initramfs request firmware that neither it nor the root contains.
    pub(super) fn look(&self, work: &Work<'_>, initramfs: &Tree) -> Result<(), StepError> {
        let root = self.root_beside(work)?;
        let trees = [Some(initramfs), root.as_ref()];
        let mut used = vec![false; self.absent.len()];
        for (path, entry) in &initramfs.entries {
            let (Some(module), Node::File { blob, .. }) = (module_name(path.name()), &entry.node) else { continue };
            let mut bytes = Vec::new();
            let mut file = work.read(blob)?;
            let names = file.read_to_end(&mut bytes).and_then(|_| firmware::asked_for(bytes));
            let names = names.map_err(StoreError::io("read", path.as_str().as_ref()))?;
            let mut missing = Vec::new();
            for name in names.iter().filter(|name| !trees.iter().flatten().any(|tree| has(tree, &self.folders, name))) {
                let mut stated = false;
                for ((pattern, _), used) in self.absent.iter().zip(&mut used) {
                    if pattern.matches(name) {
                        (stated, *used) = (true, true);
                    }
                }
                if !stated {
                    missing.push(name.as_str());
                }
            }
            if !missing.is_empty() {
                work.warn(&self.text(&module, &missing));
            }
        }
        for ((pattern, place), _) in self.absent.iter().zip(&used).filter(|(_, used)| !**used) {
            work.warn(&format!("{place}: `absent-firmware` has {pattern}, which matches no missing firmware"));
        }
        Ok(())
    }

    /// The tree of the root that the initramfs switches to, if that is made already.
    fn root_beside(&self, work: &Work<'_>) -> Result<Option<Tree>, StepError> {
        let key = work.context.graph.step(self.root.step()).digest;
        let result = work.store().result(&key)?;
        match result.as_ref().and_then(|result| result.outputs.get(AssembleStep::TREE.name())) {
            Some(Output::Tree { digest }) => Ok(Some(work.store().tree(digest)?)),
            _ => Ok(None),
        }
    }

    fn text(&self, module: &str, missing: &[&str]) -> String {
        let place = self.places.iter().find(|(name, _)| name == module).or(self.places.first());
        let place = place.map_or_else(String::new, |(_, place)| format!("{place}: "));
        let more = missing.len().saturating_sub(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = missing.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
        let all =
            missing[0].rsplit_once('/').map_or_else(|| missing[0].to_owned(), |(folder, _)| format!("{folder}/*"));
        format!(
            "{place}module {module} may ask for firmware that is not in the image: {shown}{more}\n\
             put it into an overlay of `initrd`, below lib/firmware (Debian has it in packages `firmware-*`), or declare that the \
             machines work without it: `absent-firmware: [\"{all}\"]` in `kernel`"
        )
    }
}

fn has(tree: &Tree, folders: &[TreePath], name: &str) -> bool {
    let places = folders.iter().flat_map(|folder| ENDINGS.map(|ending| format!("{}/{name}{ending}", folder.as_str())));
    places.into_iter().any(|place| TreePath::new(&place).is_ok_and(|path| tree.find(&path).is_some()))
}
