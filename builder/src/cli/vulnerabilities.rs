//! `dbco audit --cve`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::printer::{Annotation, AnnotationLevel};
use super::prose::count;
use super::session::CliSession;
use super::{BuildArgs, CommandError, CommandResult, usage};
use crate::cve::{
    Database, Exceptions, FILE, Judged, Match, Severity, Status, Subject, SubjectKind, VexHeader, fails, judge,
    openvex, sarif,
};
use crate::session::KernelBuild;
use crate::store::write_atomically;

#[derive(Debug, Args)]
pub struct CveArgs {
    /// Report known vulnerabilities instead, by data that you have fetched: Debian's security tracker, OSV records or CVE records; a
    /// JSON file, a folder or a .zip. May be repeated
    #[arg(long, value_name = "DATA")]
    pub cve: Vec<PathBuf>,
    /// The severity at which a vulnerability fails the audit: low, medium, high or critical. One of unknown severity always
    /// does [default: low]
    #[arg(long, value_name = "SEVERITY", requires = "cve")]
    fail_on: Option<Severity>,
    /// The project's exceptions [default: vulnerabilities.yaml in the project's folder, if it exists]
    #[arg(long, value_name = "FILE", requires = "cve")]
    exceptions: Option<PathBuf>,
    /// Also write the result as SARIF 2.1.0
    #[arg(long, value_name = "FILE", requires = "cve")]
    sarif: Option<PathBuf>,
    /// Also write the result as OpenVEX 0.2.0: what patches fix, what is not compiled, and what the exceptions state
    #[arg(long, value_name = "FILE", requires = "cve")]
    vex: Option<PathBuf>,
}

pub fn run(session: &CliSession<'_>, args: &BuildArgs, cve: &CveArgs) -> CommandResult {
    let (recipe, store) = (session.recipe(&args.recipe)?, session.store()?);
    let project = recipe.project.clone();
    let default = project.join(FILE);
    let path = cve.exceptions.as_deref().unwrap_or(&default);
    let exceptions = Exceptions::load(path, cve.exceptions.is_some()).map_err(usage)?;
    let options = args.options();
    let lock = session.lock(&recipe, &options, &store)?;
    let subjects = session.subjects(&recipe, &lock, &exceptions, &store, options.offline)?;
    known_components(&exceptions, &subjects)?;
    let mut matches: Vec<(&Subject, Match)> = Vec::new();
    let databases =
        cve.cve.iter().map(|path| Database::of(path, &subjects)).collect::<Result<Vec<_>, _>>().map_err(usage)?;
    for subject in &subjects {
        let mut found: Vec<Match> = Vec::new();
        for one in databases.iter().flat_map(|database| database.matches(subject)) {
            Match::join(&mut found, one);
        }
        matches.extend(found.into_iter().map(|found| (subject, found)));
    }
    let of_files =
        matches.iter().any(|(subject, found)| subject.kind == SubjectKind::Kernel && !found.files.is_empty());
    let name = recipe.image.name.value.to_string();
    // A kernel is only built if its configuration can change the result.
    let kernel = if of_files { session.kernel_build(recipe, store, &options)? } else { None };
    if of_files && kernel.is_none() {
        let text = "the kernel is not built from an archive, or `bzimage` is not an output: its configuration is not considered";
        session.printer.note(text);
    }
    let today = jiff::Zoned::now().date();
    let (judged, findings) = judge(matches, &exceptions, today, &|subject, found| {
        absent(kernel.as_ref().filter(|_| subject.kind == SubjectKind::Kernel)?, found)
    });
    if let Some(path) = &cve.sarif {
        write(path, &sarif(&judged, &findings, &project))?;
    }
    if let Some(path) = &cve.vex {
        let header =
            VexHeader { author: "dbco".to_owned(), timestamp: timestamp()?, image: format!("pkg:generic/{name}") };
        write(path, &openvex(&judged, &header))?;
    }
    let limit = cve.fail_on.unwrap_or(Severity::Low);
    for one in &judged {
        print(session, one, limit);
    }
    for finding in &findings {
        let place = format!("{}:{}", finding.place().file.display(), finding.place().line);
        let value = json!({"event": "finding", "code": finding.rule(), "message": finding.text(),
            "file": finding.place().file, "line": finding.place().line});
        if !session.printer.value(&value) {
            session.printer.error(&format!("{place}: {}", finding.text()));
        }
    }
    let documents = databases.iter().map(Database::documents).sum();
    summary(session, &judged, subjects.len(), documents);
    if fails(&judged, limit) || !findings.is_empty() { Err(CommandError::Reported) } else { Ok(()) }
}

/// A component that only the file of exceptions has is a mistake there.
fn known_components(exceptions: &Exceptions, subjects: &[Subject]) -> CommandResult {
    let names = || {
        subjects
            .iter()
            .filter(|one| matches!(one.kind, SubjectKind::Component | SubjectKind::Kernel))
            .map(|one| one.name.as_str())
    };
    match exceptions.aliases.keys().find(|alias| !names().any(|name| name == *alias)) {
        // Another recipe of the project may have it.
        Some(unknown) => {
            let near = crate::similar::nearest(unknown, names());
            match near {
                Some(near) => Err(usage(anyhow!(
                    "{}: `aliases` names `{unknown}`, which is not a component of the recipe; {}",
                    exceptions.path.display(),
                    crate::similar::did_you_mean(near)
                ))),
                None => Ok(()),
            }
        }
        None => Ok(()),
    }
}

/// Why none of a vulnerability's files is compiled.
fn absent(kernel: &KernelBuild, found: &Match) -> Option<Vec<String>> {
    if found.files.is_empty() {
        return None;
    }
    found.files.iter().map(|file| kernel.makefiles.why_absent(file, &kernel.config)).collect()
}

/// Now, or the time that the environment states for reproducible documents (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn timestamp() -> Result<String, CommandError> {
    let stated = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty());
    let time = match stated {
        Some(text) => {
            let seconds = text.parse::<i64>().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            seconds.ok_or_else(|| usage(anyhow!("SOURCE_DATE_EPOCH is `{text}`; expected seconds since 1970")))?
        }
        None => jiff::Timestamp::now().round(jiff::Unit::Second)?,
    };
    Ok(time.to_string())
}

fn write(path: &Path, document: &Value) -> CommandResult {
    let text = serde_json::to_string_pretty(document).context("can't encode the document")? + "\n";
    write_atomically(path, text.as_bytes())?;
    Ok(())
}

fn print(session: &CliSession<'_>, judged: &Judged<'_>, limit: Severity) {
    let Judged { subject, found, status } = judged;
    let (word, why) = match status {
        Status::Affected => ("affected", None),
        Status::Fixed { patch } => ("fixed", Some(format!("by {patch}"))),
        Status::NotCompiled { because } => ("not affected", Some(because.join("; "))),
        Status::Ignored { reason, until, .. } => {
            let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
            ("ignored", Some(format!("{reason}{until}")))
        }
    };
    let binaries: Vec<&String> = match &subject.kind {
        SubjectKind::Debian { binaries, .. } => binaries.iter().collect(),
        _ => Vec::new(),
    };
    if *status == Status::Affected {
        let message = format!("{} ({}) affects {subject}", found.id, found.severity.word());
        let level = if found.severity.reaches(limit) { AnnotationLevel::Error } else { AnnotationLevel::Warning };
        let place = Some((subject.place.file.as_path(), subject.place.line, 0));
        session.printer.annotate(&Annotation { level, code: &found.id, message: &message, place });
    }
    let value = json!({
        "event": "vulnerability", "id": found.id, "aliases": found.aliases, "severity": found.severity.word(), "status": word,
        "why": why, "subject": subject.name, "version": subject.version, "purl": subject.purl(), "packages": binaries,
        "fixed": found.fixed, "summary": found.summary, "file": subject.place.file, "line": subject.place.line, "data": found.source,
    });
    if session.printer.value(&value) {
        return;
    }
    let fixed = found.fixed.as_ref().map(|fixed| format!(", fixed in {fixed}")).unwrap_or_default();
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    session.printer.line(&format!("{word:<12} {:<8} {} in {subject}{fixed}{why}", found.severity.word(), found.id));
}

fn summary(session: &CliSession<'_>, judged: &[Judged<'_>], subjects: usize, documents: usize) {
    let of = |is: fn(&Status) -> bool| judged.iter().filter(|one| is(&one.status)).count();
    let affected = of(|status| *status == Status::Affected);
    let fixed = of(|status| matches!(status, Status::Fixed { .. }));
    let absent = of(|status| matches!(status, Status::NotCompiled { .. }));
    let ignored = of(|status| matches!(status, Status::Ignored { .. }));
    let value = json!({"event": "audited", "subjects": subjects, "documents": documents, "affected": affected, "fixed": fixed,
        "not-compiled": absent, "ignored": ignored});
    if !session.printer.value(&value) {
        session.printer.note(&format!(
            "{} of {subjects} packages, components and crates in {}: {affected} affecting, {fixed} fixed by patches, {absent} not compiled, \
             {ignored} ignored",
            match judged.len() {
                1 => "1 vulnerability".to_owned(),
                many => format!("{many} vulnerabilities"),
            },
            count(documents, "document")
        ));
    }
}
