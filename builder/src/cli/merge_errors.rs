//! Errors of several sources: equal errors are shown once, and so is a cause that they have in common.

use super::prose;
use crate::session::SourceFailure;
use crate::source::{SourceError, without_counts};

/// How many other sources with the same cause are named.
const NAMED: usize = 8;

/// An error to be shown, and the others that it represents.
struct ReportedError {
    /// The text without what differs between errors of one kind.
    key: String,
    text: String,
    /// The locations in the recipe that request the source.
    places: Vec<String>,
    cause: Option<Vec<String>>,
    /// Other sources that failed for the same cause, each with its location.
    others: Vec<String>,
}

/// The texts of errors, each with the location in the recipe that requests its source.
///
/// Several servers that can't be reached for the same reason have one cause, such as a network that is down: the first
/// file is reported in full, the others only by name.
pub fn merge_errors(errors: Vec<SourceFailure>) -> Vec<String> {
    let mut merged: Vec<ReportedError> = Vec::new();
    for SourceFailure { place, error, .. } in errors {
        let hint = prose::hint(&error).map(|hint| format!("\n{hint}")).unwrap_or_default();
        let text = prose::chain(&error) + &hint;
        let key = without_counts(&text);
        if let Some(known) = merged.iter_mut().find(|known| known.key == key) {
            known.places.extend(place);
            continue;
        }
        let (name, cause) = match unreachable(&error) {
            Some((name, cause)) => (name, Some(cause)),
            None => (String::new(), None),
        };
        match merged.iter_mut().find(|known| cause.is_some() && known.cause == cause) {
            Some(known) => known.others.push(place.map_or(name.clone(), |place| format!("{name} ({place})"))),
            None => {
                merged.push(ReportedError {
                    key,
                    text,
                    places: place.into_iter().collect(),
                    cause,
                    others: Vec::new(),
                });
            }
        }
    }
    merged.into_iter().map(ReportedError::text).collect()
}

impl ReportedError {
    fn text(self) -> String {
        let mut text = match self.places.first() {
            Some(first) => format!("{first}: {}", self.text),
            None => self.text,
        };
        if self.places.len() > 1 {
            text += &format!("\n  also requested at {}", self.places[1..].join(", "));
        }
        if !self.others.is_empty() {
            let named = self.others[..self.others.len().min(NAMED)].join(", ");
            let more = match self.others.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            text += &format!("\n  the same for {}: {named}{more}", prose::count(self.others.len(), "other"));
        }
        text
    }
}

/// The file of an unreachable server's error, and the reasons of all attempts.
fn unreachable(error: &anyhow::Error) -> Option<(String, Vec<String>)> {
    match error.downcast_ref()? {
        SourceError::Unreachable { name, attempts, hint: None }
            if !attempts.is_empty() && attempts.iter().all(|attempt| attempt.server.is_some()) =>
        {
            let mut reasons: Vec<_> = attempts.iter().map(|attempt| attempt.reason.clone()).collect();
            reasons.sort();
            reasons.dedup();
            Some((name.clone(), reasons))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Attempt;

    fn failed(name: &str, reasons: &[(&str, bool)]) -> anyhow::Error {
        let attempt = |(number, (reason, server)): (usize, &(&str, bool))| Attempt {
            url: format!("http://{number}.example/{name}"),
            reason: (*reason).to_owned(),
            times: 4,
            missing: false,
            server: server.then(|| format!("http://{number}.example")),
        };
        let attempts = reasons.iter().enumerate().map(attempt).collect();
        SourceError::Unreachable { name: name.to_owned(), attempts, hint: None }.into()
    }

    fn merge(errors: Vec<anyhow::Error>) -> Vec<String> {
        let place = |(number, error)| SourceFailure { place: Some(format!("a.yaml:{number}")), error, sources: 1 };
        merge_errors(errors.into_iter().enumerate().map(place).collect())
    }

    #[test]
    fn a_cause_is_told_once_with_the_others_that_it_kept_away() {
        let down = ("Network is unreachable (os error 101)", true);
        let texts = merge(vec![failed("x", &[down]), failed("y", &[down, down]), failed("z", &[down])]);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].starts_with("a.yaml:0: can't get x\n"), "{}", texts[0]);
        assert!(texts[0].ends_with("\n  the same for 2 others: y (a.yaml:1), z (a.yaml:2)"), "{}", texts[0]);
        let many: Vec<_> = (0..30).map(|number| failed(&format!("f{number}"), &[down])).collect();
        let texts = merge(many);
        assert!(texts[0].contains("the same for 29 others: f1 (a.yaml:1), ") && texts[0].ends_with(" and 21 more"));
        assert_eq!((texts.len(), texts[0].matches("unreachable").count()), (1, 1));
    }

    #[test]
    fn what_differs_is_told_apart() {
        let (down, refused, lacks) = (("no route", true), ("Connection refused", true), ("not found (404)", false));
        for (one, other, texts) in [
            (vec![down], vec![refused], 2),
            (vec![down, refused], vec![down], 2),
            (vec![down, refused], vec![refused, down], 1),
            (vec![lacks], vec![lacks], 2),
            (vec![down, lacks], vec![down, lacks], 2),
        ] {
            assert_eq!(merge(vec![failed("x", &one), failed("y", &other)]).len(), texts, "{one:?} {other:?}");
        }
        // The same file, requested at two locations.
        let texts = merge(vec![failed("x", &[down]), failed("x", &[down])]);
        assert!(texts.len() == 1 && texts[0].ends_with("also requested at a.yaml:1"), "{texts:?}");
    }
}
