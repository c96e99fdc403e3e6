//! What commands share: the printer, and the library's session configured from the arguments.

use super::interrupt::Interrupt;
use super::printer::Printer;
use super::{CommandError, Global, RecipeArgs, usage};
use crate::build::{BuildEvent, Observer};
use crate::recipe::Recipe;
use crate::session::{self, Notice, OutputsState, Reporter, SessionConfig};
use crate::source::{Meter, Progress, VendoredPlace};

/// The command line as a reporter: text and events go to the printer, and the state of the outputs to the message for
/// signals.
pub struct CliReporter<'a> {
    printer: &'a Printer,
    interrupt: &'a Interrupt,
}

impl Progress for CliReporter<'_> {
    fn expect(&self, files: usize, bytes: u64) {
        self.printer.expect(files, bytes);
    }

    fn warn(&self, text: &str) {
        self.printer.warn(text);
    }

    fn start(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_> {
        self.printer.start(name, total)
    }
}

impl Observer for CliReporter<'_> {
    fn event(&self, event: &BuildEvent<'_>) {
        self.printer.event(event);
    }
}

impl Reporter for CliReporter<'_> {
    fn notice(&self, notice: &Notice<'_>) {
        self.printer.note(&notice.to_string());
    }

    fn outputs(&self, state: OutputsState) {
        self.interrupt.outputs(state);
    }
}

/// What commands share.
pub struct CliSession<'a> {
    pub printer: &'a Printer,
    /// Receives the library's events.
    pub reporter: &'a CliReporter<'a>,
    library: session::Session<'a>,
}

impl<'a> CliReporter<'a> {
    pub fn new(printer: &'a Printer, interrupt: &'a Interrupt) -> Self {
        Self { printer, interrupt }
    }
}

impl<'a> CliSession<'a> {
    pub fn new(global: Global, reporter: &'a CliReporter<'a>) -> Self {
        // An empty variable counts as unset: pipelines also set variables without a value.
        let from_variable = std::env::var_os("DBCO_MIRROR").is_some();
        let mirrors = global.mirror.into_iter().filter(|url| !(url.is_empty() && from_variable)).collect();
        let unset = |place: &VendoredPlace| *place == VendoredPlace::Path("".into());
        let empty_variable = std::env::var_os("DBCO_VENDOR").is_some_and(|text| text.is_empty());
        let vendored = global.vendor.filter(|place| !(unset(place) && empty_variable));
        let library = session::Session::new(SessionConfig { store: global.store, mirrors, vendored }, reporter)
            .with_cancel(reporter.interrupt.cancel.clone());
        Self { printer: reporter.printer, reporter, library }
    }

    pub fn recipe(&self, args: &RecipeArgs) -> Result<Recipe, CommandError> {
        let settings = args.settings().map_err(usage)?;
        self.load(&args.recipe, &settings).map_err(usage)
    }

    /// Maps a library error to a command's error by its kind. For errors of several sources each error is printed here,
    /// and each cause once.
    pub fn failure(&self, failure: CommandError) -> CommandError {
        let error = match failure {
            CommandError::Failed(error) => match error.downcast::<session::Error>() {
                Ok(error) => error,
                Err(other) => return CommandError::Failed(other),
            },
            other => return other,
        };
        let is_usage = error.is_usage();
        let error = match error {
            session::Error::Interrupted => return CommandError::Reported,
            error @ session::Error::Sources { .. } => {
                let summary = error.to_string();
                if let session::Error::Sources { failures, .. } = error {
                    let texts = super::merge_errors::merge_errors(failures);
                    texts.iter().for_each(|text| self.printer.error(text));
                }
                anyhow::anyhow!(summary)
            }
            session::Error::Store(error) => error.into(),
            session::Error::Recipe(error) => error.into(),
            session::Error::Config(error) | session::Error::Source(error) => error,
            session::Error::Lock(error) => error.into(),
            session::Error::Plan(error) => error.into(),
            session::Error::Sandbox(error) => error.into(),
            session::Error::Output(error) => error.into(),
            session::Error::Verify(error) => return CommandError::Status(error.status(), error.into()),
            session::Error::Release(error) => error.into(),
            session::Error::Key(error) => error.into(),
            session::Error::Sign(error) => error.into(),
            session::Error::Build { stated: Some(stated), error } => anyhow::Error::from(error).context(stated),
            session::Error::Build { stated: None, error } => error.into(),
            other => other.into(),
        };
        if is_usage { CommandError::Usage(error) } else { CommandError::Failed(error) }
    }
}

impl<'a> std::ops::Deref for CliSession<'a> {
    type Target = session::Session<'a>;

    fn deref(&self) -> &Self::Target {
        &self.library
    }
}
