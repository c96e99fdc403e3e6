//! The call of a command: the container, and the arguments after it.

use crate::vz::exit::{Error, Result};
use crate::vz::options::{self, Given, Known};

/// One call of a command.
pub(super) struct Call<'a> {
    /// The container.
    pub id: u32,
    /// The command, as it was called.
    pub name: &'a str,
    /// The arguments after the container.
    pub arguments: &'a [String],
}

impl Call<'_> {
    /// Parses options; errors of getopt get this code's variant. The remaining arguments are not checked.
    pub fn options(&self, known: &[Known], bad: fn(String) -> Error) -> Result<Given> {
        options::parse("vzctl", self.arguments, known).map_err(bad)
    }

    /// As [`Call::options`], without remaining arguments.
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
