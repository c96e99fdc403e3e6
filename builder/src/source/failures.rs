//! Files that could not be fetched, by cause.

use super::list::list;
use super::{Attempt, SourceError};

/// Why files could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FetchFailure {
    /// The cause.
    pub error: SourceError,
    /// How many files could not be fetched for it.
    pub files: usize,
}

/// Each cause once: what stopped everything; servers that failed for every file in the same way; the rest in a stable
/// order.
///
/// `lacking` files were not fetched in total.
pub(super) fn tidy(mut errors: Vec<FetchFailure>, lacking: usize) -> Vec<FetchFailure> {
    if let Some(index) = errors.iter().position(|failure| failure.error.stops_all()) {
        return vec![FetchFailure { files: lacking, ..errors.swap_remove(index) }];
    }
    errors.sort_by_cached_key(ToString::to_string);
    errors.dedup_by(|later, first| {
        let same = later.to_string() == first.to_string();
        first.files += if same { later.files } else { 0 };
        same
    });
    let mut grouped: Vec<(Vec<Attempt>, Vec<String>, usize)> = Vec::new();
    let mut rest = Vec::new();
    for FetchFailure { error, files } in errors {
        match error {
            SourceError::Unreachable { name, attempts, hint: None }
                if !attempts.is_empty() && attempts.iter().all(|attempt| attempt.server.is_some()) =>
            {
                let same = |(known, ..): &&mut (Vec<Attempt>, _, _)| {
                    let servers = |attempts: &[Attempt]| {
                        attempts.iter().map(|attempt| attempt.server.clone()).collect::<Vec<_>>()
                    };
                    servers(known) == servers(&attempts)
                };
                match grouped.iter_mut().find(same) {
                    Some((_, names, known)) => {
                        names.push(name);
                        *known += files;
                    }
                    None => grouped.push((attempts, vec![name], files)),
                }
            }
            error => rest.push(FetchFailure { error, files }),
        }
    }
    let one = |(mut attempts, mut names, files): (Vec<Attempt>, Vec<String>, usize)| {
        if names.len() > 1 {
            for attempt in &mut attempts {
                attempt.url = attempt.server.clone().unwrap_or_default();
            }
        }
        let name = if names.len() == 1 { names.remove(0) } else { list(&names) };
        FetchFailure { error: SourceError::Unreachable { name, attempts, hint: None }, files }
    };
    grouped.into_iter().map(one).chain(rest).collect()
}
