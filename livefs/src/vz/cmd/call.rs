//! A command's call: the container, and the arguments behind it.

use crate::vz::exit::{Error, Result};
use crate::vz::options::{self, Given, Known};

/// One call of a command.
pub(super) struct Call<'a> {
    /// The container.
    pub id: u32,
    /// The command, as it was called.
    pub name: &'a str,
    /// What follows the container.
    pub arguments: &'a [String],
}

impl Call<'_> {
    /// Reads options; what getopt says is an error with this code's variant. What follows them is left to look at.
    pub fn options(&self, known: &[Known], bad: fn(String) -> Error) -> Result<Given> {
        options::parse("vzctl", self.arguments, known).map_err(bad)
    }

    /// As [`Call::options`], with nothing behind them.
    pub fn only_options(&self, known: &[Known], bad: fn(String) -> Error) -> Result<Given> {
        let given = self.options(known, bad)?;
        given.no_rest()?;
        Ok(given)
    }

    /// Fails if there is any argument.
    pub fn no_arguments(&self) -> Result<()> {
        if self.arguments.is_empty() {
            return Ok(());
        }
        Err(Error::Syntax(format!("Invalid options: {} ", self.arguments.join(" "))))
    }
}
