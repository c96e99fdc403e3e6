//! GRUB's menu.

use std::collections::BTreeMap;

use super::{Action, Blob, Graph, OutputName, Outputs, StepError, StepId, Work};
use crate::store::Key;

/// Writes GRUB's menu.
#[derive(Clone, Debug)]
pub struct GrubMenuStep {
    /// The text.
    pub text: String,
}

impl GrubMenuStep {
    /// The file.
    pub const MENU: OutputName<Self, Blob> = OutputName::new("grub.cfg");
}

impl Action for GrubMenuStep {
    fn label(&self) -> String {
        "grub menu".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `text` | it is the result |
    fn key(&self, _: &Graph) -> Key {
        Key::new("grub-menu", 1).row("text", &self.text)
    }

    fn inputs(&self) -> Vec<StepId> {
        Vec::new()
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let digest = work.store().add_bytes(self.text.as_bytes())?;
        Ok(BTreeMap::from([Self::MENU.of(Blob { digest, size: self.text.len() as u64 })]))
    }
}
