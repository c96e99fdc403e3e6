//! What a vulnerability means for an image.

use jiff::civil::Date;

use super::exceptions::{Exception, Exceptions};
use super::{Match, Place, Severity, Subject};

/// What a vulnerability means for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The image has the version that is affected, and nothing says otherwise.
    Affected,
    /// A patch says that it fixes it.
    Fixed {
        /// The patch.
        patch: String,
    },
    /// Its code is not in the kernel.
    NotCompiled {
        /// What this rests on, a sentence for each file.
        because: Vec<String>,
    },
    /// The project has an exception.
    Ignored {
        /// The reason.
        reason: String,
        /// Why it does not affect the image, in OpenVEX's words; `None` if it is accepted.
        justification: Option<String>,
        /// The last day.
        until: Option<Date>,
    },
}

/// A vulnerability of something in the image.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// What has it.
    pub subject: &'a Subject,
    /// The vulnerability.
    pub found: Match,
    /// What it means.
    pub status: Status,
}

/// Something to report that makes the audit fail.
#[derive(Clone, Debug)]
pub enum Finding {
    /// An exception whose last day has passed.
    Expired(Exception),
    /// An exception that matches nothing.
    Unused(Exception),
}

impl Finding {
    /// Where it is.
    pub fn place(&self) -> &Place {
        match self {
            Self::Expired(exception) | Self::Unused(exception) => &exception.place,
        }
    }

    /// Its text.
    pub fn text(&self) -> String {
        match self {
            Self::Expired(Exception { id, package, until, .. }) => {
                let until = until.map(|date| date.to_string()).unwrap_or_default();
                format!("the exception for {id} in {package} expired on {until}: fix it, or set a later day")
            }
            Self::Unused(Exception { id, package, .. }) => {
                format!("the exception for {id} in {package} matches nothing: remove it")
            }
        }
    }

    /// The rule's name in reports.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Expired(_) => "expired-exception",
            Self::Unused(_) => "unused-exception",
        }
    }
}

/// Judges the matches of all subjects. `absent` gives, for a subject and files of it, why none of them is compiled, or `None`.
pub fn judge<'a>(
    matches: Vec<(&'a Subject, Match)>,
    exceptions: &Exceptions,
    today: Date,
    absent: &dyn Fn(&Subject, &Match) -> Option<Vec<String>>,
) -> (Vec<Judged<'a>>, Vec<Finding>) {
    let mut used = vec![false; exceptions.ignore.len()];
    let mut expired = Vec::new();
    let mut judged = Vec::new();
    for (subject, found) in matches {
        let patch = subject.fixes.iter().find(|(id, _)| found.is(id)).map(|(_, patch)| patch.clone());
        let mut status = match patch {
            Some(patch) => Status::Fixed { patch },
            None => match absent(subject, &found) {
                Some(because) => Status::NotCompiled { because },
                None => Status::Affected,
            },
        };
        for (exception, used) in exceptions.ignore.iter().zip(&mut used) {
            if !(found.is(&exception.id) && exception.package.eq_ignore_ascii_case(&subject.name)) {
                continue;
            }
            let Exception { reason, justification, until, .. } = exception.clone();
            let first = !std::mem::replace(used, true);
            if until.is_some_and(|until| until < today) {
                if first {
                    expired.push(Finding::Expired(exception.clone()));
                }
            } else if status == Status::Affected {
                status = Status::Ignored { reason, justification, until };
            }
        }
        judged.push(Judged { subject, found, status });
    }
    let order = |judged: &Judged<'_>| {
        let rank = match judged.status {
            Status::Affected => 0,
            Status::Ignored { .. } => 1,
            Status::Fixed { .. } => 2,
            Status::NotCompiled { .. } => 3,
        };
        (rank, std::cmp::Reverse(judged.found.severity))
    };
    judged.sort_by(|a, b| {
        order(a).cmp(&order(b)).then_with(|| (&a.subject.name, &a.found.id).cmp(&(&b.subject.name, &b.found.id)))
    });
    let unused = exceptions.ignore.iter().zip(used).filter(|(_, used)| !used);
    expired.extend(unused.map(|(exception, _)| Finding::Unused(exception.clone())));
    (judged, expired)
}

/// Whether anything affects the image with at least this severity.
pub fn fails(judged: &[Judged<'_>], limit: Severity) -> bool {
    judged.iter().any(|judged| judged.status == Status::Affected && judged.found.severity.reaches(limit))
}
