//! `dbco audit`.

use anyhow::Context as _;

use super::prose::count;
use super::session::CliSession;
use super::{BuildArgs, CommandError, CommandResult, usage};
use crate::image::LocalFiles;
use crate::plan::PlanTargets;
use crate::rootfs::audit::{Allow, audit};

pub fn run(session: &CliSession<'_>, args: &BuildArgs) -> CommandResult {
    // Independent of the recipe's outputs: only the tree is built.
    let wanted = PlanTargets { rootfs: true, ..PlanTargets::default() };
    let (recipe, store) = (session.recipe(&args.recipe)?, session.store()?);
    let done = session.build(recipe, store, &args.options(), &wanted)?;
    let digest = done.plan.rootfs.as_ref().and_then(|from| done.built.tree(from));
    let tree = done.store.tree(&digest.context("the build gave no root filesystem")?)?;
    let rootfs = done.recipe.image.subject();
    let allow = rootfs.audit_allow.iter().map(|line| Allow::parse(line)).collect::<Result<Vec<_>, _>>();
    let allow = allow.map_err(|error| usage(anyhow::anyhow!(error)))?;
    let contents = LocalFiles::new(done.plan.graph.files.clone(), done.store.clone());
    let report = audit(&tree, &contents, rootfs.layout, &allow)?;
    for unused in &report.unused {
        session.printer.note(&format!("`audit.allow` has `{unused}`, which matches nothing"));
    }
    if report.leaks.is_empty() {
        let text = format!(
            "{} checked, {} allowed by the recipe, no others",
            count(report.files, "file"),
            count(report.allowed, "leak")
        );
        session.printer.note(&text);
        return Ok(());
    }
    for leak in &report.leaks {
        session.printer.error(&leak.to_string());
    }
    session.printer.error(&format!("{} out of layout `{}`", count(report.leaks.len(), "leak"), rootfs.layout.name()));
    Err(CommandError::Reported)
}
