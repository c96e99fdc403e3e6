//! Questions to the user.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::anyhow;

use super::super::printer::Printer;
use super::super::{CommandError, usage};

/// Asks for what is missing, if somebody can answer.
pub struct Questions<'a> {
    printer: &'a Printer,
    can_ask: bool,
}

impl<'a> Questions<'a> {
    pub fn new(printer: &'a Printer) -> Self {
        Self { printer, can_ask: io::stdin().is_terminal() }
    }

    /// The given answer, or the one to a question; an empty line is the default.
    ///
    /// # Errors
    /// Nothing was given and standard input is no terminal, or ended: the error names `argument`.
    pub fn answer(
        &self,
        given: Option<String>,
        argument: &str,
        question: &str,
        default: &str,
    ) -> Result<String, CommandError> {
        if let Some(given) = given {
            return Ok(given);
        }
        let missing = || usage(anyhow!("{argument} is missing: {}", lower(question)));
        if !self.can_ask {
            return Err(missing());
        }
        self.printer.note(&format!("{question} [{default}]:"));
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(missing());
        }
        let line = line.trim();
        Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}
