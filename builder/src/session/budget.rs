//! Budgets of outputs, which a recipe states.

use super::{BuiltRecipe, Error};
use crate::output::OutputFolder;

/// A file of the outputs that is larger than its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// The file's name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// The budget in bytes.
    pub budget: u64,
    /// Where the recipe states it: `file:line:column`.
    pub place: String,
    /// The bytes of the last build's file, if the output folder has it.
    pub before: Option<u64>,
}

impl std::fmt::Display for OverBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, bytes, budget, place, before } = self;
        write!(f, "{name} has {bytes} bytes, {} more than its budget of {budget} ({place})", bytes - budget)?;
        match before {
            Some(before) if before < bytes => write!(f, "; it has grown by {} since the last build", bytes - before),
            Some(before) if before > bytes => write!(f, "; the last build's had {} more", before - bytes),
            Some(_) => f.write_str("; the last build's had as many"),
            None => Ok(()),
        }
    }
}

/// Compares the files of a build with the recipe's budgets.
///
/// # Errors
/// [`Error::Budget`] if any is larger.
pub(super) fn check(done: &BuiltRecipe, target: &mut OutputFolder) -> Result<(), Error> {
    let mut over = Vec::new();
    for product in &done.plan.products {
        // Beside a kernel, its configuration and symbols are files of the same output.
        if product.optional {
            continue;
        }
        let budget = done.recipe.image.budgets.iter().find(|(kind, _)| *kind == product.kind);
        let (Some((_, budget)), Some(blob)) = (budget, done.built.blob(&product.from)) else { continue };
        if blob.size > budget.value {
            over.push(OverBudget {
                name: product.name.clone(),
                bytes: blob.size,
                budget: budget.value,
                place: done.recipe.files.locate(budget.span),
                before: None,
            });
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    let present = target.present(&done.store)?;
    for one in &mut over {
        one.before = present.get(&one.name).map(|(_, size)| *size);
    }
    Err(Error::Budget { recipe: done.recipe.path.clone(), over })
}
