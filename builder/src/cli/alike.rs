//! Errors of many sources: the same one is said once, and so is a cause that they have in common.

use super::prose;
use crate::session::SourceFailure;
use crate::source::{SourceError, without_counts};

/// So many other sources of the same cause are named.
const NAMED: usize = 8;

/// An error to be said, and what it stands for.
struct Said {
    /// Without what differs between errors of one kind.
    alike: String,
    text: String,
    /// The places of the recipe that ask for the source.
    places: Vec<String>,
    cause: Option<Vec<String>>,
    /// Other sources that the same cause kept away, each with its place.
    others: Vec<String>,
}

/// The texts of errors, each with the place of the recipe that asks for its source.
///
/// Servers that can't be reached for the same reasons are one cause, such as a network that is down: the first file is
/// told in full, the others by their names.
pub fn told_once(errors: Vec<SourceFailure>) -> Vec<String> {
    let mut said: Vec<Said> = Vec::new();
    for SourceFailure { place, error, .. } in errors {
        let hint = prose::hint(&error).map(|hint| format!("\n{hint}")).unwrap_or_default();
        let text = prose::chain(&error) + &hint;
        let alike = without_counts(&text);
        if let Some(known) = said.iter_mut().find(|known| known.alike == alike) {
            known.places.extend(place);
            continue;
        }
        let (name, cause) = match unreachable(&error) {
            Some((name, cause)) => (name, Some(cause)),
            None => (String::new(), None),
        };
        match said.iter_mut().find(|known| cause.is_some() && known.cause == cause) {
            Some(known) => known.others.push(place.map_or(name.clone(), |place| format!("{name} ({place})"))),
            None => {
                said.push(Said { alike, text, places: place.into_iter().collect(), cause, others: Vec::new() });
            }
        }
    }
    said.into_iter().map(Said::text).collect()
}

impl Said {
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

/// The file of an error of servers, and the reasons that they failed for, whichever they are.
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

    fn told(errors: Vec<anyhow::Error>) -> Vec<String> {
        let place = |(number, error)| SourceFailure { place: Some(format!("a.yaml:{number}")), error, sources: 1 };
        told_once(errors.into_iter().enumerate().map(place).collect())
    }

    #[test]
    fn a_cause_is_told_once_with_the_others_that_it_kept_away() {
        let down = ("Network is unreachable (os error 101)", true);
        let texts = told(vec![failed("x", &[down]), failed("y", &[down, down]), failed("z", &[down])]);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].starts_with("a.yaml:0: can't get x\n"), "{}", texts[0]);
        assert!(texts[0].ends_with("\n  the same for 2 others: y (a.yaml:1), z (a.yaml:2)"), "{}", texts[0]);
        let many: Vec<_> = (0..30).map(|number| failed(&format!("f{number}"), &[down])).collect();
        let texts = told(many);
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
            assert_eq!(told(vec![failed("x", &one), failed("y", &other)]).len(), texts, "{one:?} {other:?}");
        }
        // The same file, asked for in two places.
        let texts = told(vec![failed("x", &[down]), failed("x", &[down])]);
        assert!(texts.len() == 1 && texts[0].ends_with("also requested at a.yaml:1"), "{texts:?}");
    }
}
