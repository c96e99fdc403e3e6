//! The project's exceptions: vulnerabilities that do not affect its images, or that are accepted for some time, each with the reason.
//!
//! ```yaml
//! ignore:
//!   - id: CVE-2024-1234
//!     package: busybox            # a source package, component or crate
//!     reason: the applet is not built
//!     justification: vulnerable_code_not_present   # if it does not affect the image: one of OpenVEX's
//!     until: 2027-01-31           # otherwise required: the last day
//! aliases:                        # names that data uses for components
//!   dropbear: [dropbear_ssh]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::Deserialize;
use serde_yaml::Spanned;

use super::Place;
use crate::input::{LIMIT, read_text};

/// Its name in the project's folder.
pub const FILE: &str = "vulnerabilities.yaml";

/// Why exceptions can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ExceptionsError {
    /// File and line.
    pub place: String,
    /// The error, and what is expected.
    pub message: String,
}

/// One exception.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The vulnerability.
    pub id: String,
    /// The source package, component or crate.
    pub package: String,
    /// Why it is ignored.
    pub reason: String,
    /// Why it does not affect the image, in OpenVEX's words; `None` if it does, and is accepted.
    pub justification: Option<String>,
    /// The last day on which it applies.
    pub until: Option<Date>,
    /// Where it is stated.
    pub place: Place,
}

/// The content of the file; empty if there is none.
#[derive(Clone, Debug, Default)]
pub struct Exceptions {
    /// In the file's order.
    pub ignore: Vec<Exception>,
    /// Other names of components, by component.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// The file.
    pub path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    ignore: Vec<Entry>,
    #[serde(default)]
    aliases: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    package: String,
    reason: String,
    justification: Option<String>,
    until: Option<String>,
}

/// The justifications of OpenVEX 0.2.0, "Status Justifications".
pub const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

impl Exceptions {
    /// Reads the file; with `required` it has to exist.
    pub fn load(path: &Path, required: bool) -> Result<Self, ExceptionsError> {
        let shown = path.display().to_string();
        let text = match read_text(path, LIMIT) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
                return Ok(Self { path: path.to_owned(), ..Self::default() });
            }
            Err(error) => return Err(ExceptionsError { place: shown, message: error.to_string() }),
            Ok(text) => text,
        };
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self { path: path.to_owned(), ..Self::default() });
        }
        let parsed: Text = serde_yaml::from_str(&text).map_err(|error| {
            let place = error.location().map_or(shown.clone(), |at| format!("{shown}:{}:{}", at.line(), at.column()));
            ExceptionsError { place, message: error.without_snippet().to_string() }
        })?;
        let read = |entry: Entry| entry.read(path);
        let ignore = parsed.ignore.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { ignore, aliases: parsed.aliases, path: path.to_owned() })
    }
}

impl Entry {
    fn read(self, path: &Path) -> Result<Exception, ExceptionsError> {
        let line = usize::try_from(self.id.referenced.line()).unwrap_or_default();
        let fail = |message: String| ExceptionsError { place: format!("{}:{line}", path.display()), message };
        let Self { id, package, reason, justification, until } = self;
        let id = id.value;
        if reason.trim().is_empty() {
            return Err(fail(format!("the exception for {id} needs a reason")));
        }
        let expected = || format!("one of {}", JUSTIFICATIONS.join(", "));
        if let Some(stated) = justification.as_ref().filter(|stated| !JUSTIFICATIONS.contains(&stated.as_str())) {
            let near = crate::similar::nearest(stated, JUSTIFICATIONS).map(crate::similar::did_you_mean);
            return Err(fail(format!("`{stated}` is not a justification; {}", near.unwrap_or_else(expected))));
        }
        let until = until.map(|until| {
            until.parse::<Date>().map_err(|_| fail(format!("`until: {until}` is not a date; expected YEAR-MONTH-DAY")))
        });
        let until = until.transpose()?;
        if justification.is_none() && until.is_none() {
            let message = format!(
                "the exception for {id} needs `until`, the last day on which it is accepted; or `justification`, {}, if it does \
                 not affect the image",
                expected()
            );
            return Err(fail(message));
        }
        Ok(Exception { id, package, reason, justification, until, place: Place { file: path.to_owned(), line } })
    }
}
