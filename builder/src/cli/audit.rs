//! `dbco audit`.

use super::build::prepare;
use super::session::Session;
use super::{BuildArgs, Failure, Outcome, usage};
use crate::image::LocalFiles;
use crate::plan::Wanted;
use crate::rootfs::audit::{Allow, audit};
use crate::store::Output;

pub fn run(session: &Session<'_>, args: &BuildArgs) -> Outcome {
    // Whatever the recipe gives: nothing of it is built here but the tree.
    let wanted = Wanted { rootfs: true, ..Wanted::default() };
    let done = prepare(session, args, &wanted)?;
    let Some(Output::Tree { digest }) = done.plan.rootfs.as_ref().and_then(|from| done.built.output(from)) else {
        return Ok(());
    };
    let tree = done.store.tree(&digest)?;
    let rootfs = done.recipe.image.subject();
    let allow = rootfs.audit_allow.iter().map(|line| Allow::parse(line)).collect::<Result<Vec<_>, _>>();
    let allow = allow.map_err(|error| usage(anyhow::anyhow!(error)))?;
    let contents = LocalFiles::new(done.plan.files.clone(), done.store.clone());
    let report = audit(&tree, &contents, rootfs.layout, &allow)?;
    for unused in &report.unused {
        session.face.note(&format!("`audit.allow` has `{unused}`, which nothing needs"));
    }
    if report.leaks.is_empty() {
        let text =
            format!("{} files looked at, {} leaks allowed by the recipe, no other", report.files, report.allowed);
        session.face.note(&text);
        return Ok(());
    }
    for leak in &report.leaks {
        session.face.error(&leak.to_string());
    }
    session.face.error(&format!("{} leaks out of layout `{}`", report.leaks.len(), rootfs.layout.name()));
    Err(Failure::Said)
}
