//! A tree packed as erofs (Documentation/filesystems/erofs.rst), by `mkfs.erofs --tar=f` from a tar stream on its
//! standard input, so owners, device nodes and modes never have to exist on this machine's disk.

use std::collections::BTreeMap;

use super::{Action, AssembleStep, Blob, Graph, Id, OutputName, Outputs, StepError, StepId, ToolchainStep, Work};
use crate::execution::{Execution, Invocation, OutputPath, Stdin};
use crate::image::{NAME_MAX, check_lengths};
use crate::process::argv;
use crate::store::Key;

/// The path that mkfs.erofs writes it to.
const FILE: &str = "livefs.erofs";

/// Packs a tree, with LZ4 in clusters of 64 KiB, which every kernel with erofs since 5.13 can read.
#[derive(Clone, Debug)]
pub struct ErofsStep {
    /// The root of mkfs.erofs 1.7 or newer: older versions can't read an archive.
    pub toolchain: Id<ToolchainStep>,
    /// The step whose tree is packed.
    pub root: Id<AssembleStep>,
    /// Time of every file and of the file system itself: seconds since 1970.
    pub epoch: u64,
}

impl ErofsStep {
    /// The image.
    pub const IMAGE: OutputName<Self, Blob> = OutputName::new("erofs");
}

impl Action for ErofsStep {
    fn label(&self) -> String {
        "erofs".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain`, `root`, `epoch` | all there is |
    fn key(&self, graph: &Graph) -> Key {
        Key::new("erofs", 1)
            .row("toolchain", graph.digest(self.toolchain))
            .row("root", graph.digest(self.root))
            .row("epoch", self.epoch)
    }

    fn inputs(&self) -> Vec<StepId> {
        vec![self.toolchain.step(), self.root.step()]
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn packs(&self) -> Option<Id<AssembleStep>> {
        Some(self.root)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let tree = work.get(&self.root.output(AssembleStep::TREE))?;
        for (path, entry) in &tree.entries {
            check_lengths("erofs", path, entry, NAME_MAX)?;
        }
        // The UUID is random if none is stated.
        let argv = argv![
            "mkfs.erofs",
            "--tar=f",
            "--quiet",
            "-zlz4hc,level=12",
            "-C65536",
            "-T",
            self.epoch,
            "--all-time",
            "-U",
            "clear",
            FILE
        ];
        let command = Invocation::new("erofs (mkfs.erofs 1.7 or newer is needed)", argv);
        let execution = Execution {
            commands: vec![command.reading(Stdin::Tar { tree, epoch: self.epoch })],
            outputs: vec![OutputPath::file(FILE)],
            ..Execution::new(work.root_of(self.toolchain))
        };
        Ok(BTreeMap::from([Self::IMAGE.of(work.make(execution)?)]))
    }
}
