//! `dbco shell`.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::args::{OptionArgs, StepArgs};
use super::session::CliSession;
use super::{CommandError, CommandResult, usage};
use crate::beneath::{Dir, Links};
use crate::printable;
use crate::sandbox::SandboxError;
use crate::session::NamedStep;
use crate::step::{Enter, Entrance};

pub const EXAMPLES: &str = "\
What the step needs is built first. A component's sources are then unpacked, patched and configured, and the shell starts where its build script \
would: as root of the sandbox, in the same folder, with the same variables, inputs and tools, and without network. The step's commands are in bash's \
history (the up arrow) and in /in/dbco-shell. If patching or configuring fails, the shell starts there. Everything is discarded when \
the shell exits, unless --keep is given; nothing of it becomes a result. STEP is named as in `dbco graph`.

Examples:
  dbco shell busybox
  dbco shell recipes/quick.yaml squashfs
  dbco shell my.yaml tool --from install
  dbco shell my.yaml tool --command 'make V=1' --keep /tmp/tool";

#[derive(Debug, Args)]
pub struct ShellArgs {
    #[command(flatten)]
    target: StepArgs,
    /// Run this command of the shell instead of a terminal; exit status 1 if it fails
    #[arg(short, long, value_name = "CMD")]
    command: Option<String>,
    /// Run the step's commands before this one first: install
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Copy /build into this new folder at the end
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    how: OptionArgs,
}

pub fn run(session: &CliSession<'_>, args: &ShellArgs) -> CommandResult {
    let (path, step) = args.target.target();
    let step = step.ok_or_else(|| {
        usage(anyhow!("expected a STEP: `dbco shell {} STEP`; `dbco graph {0}` lists the steps", path.display()))
    })?;
    if args.command.is_none() && !io::stdin().is_terminal() {
        return Err(usage(anyhow!("standard input is not a terminal: pass --command 'CMD'")));
    }
    let settings = args.target.given.settings().map_err(usage)?;
    let recipe = session.load(&path, &settings).map_err(usage)?;
    let kept = args.keep.as_deref().map(new_folder).transpose()?;
    let store = session.store()?;
    let outcome: Mutex<CommandResult> = Mutex::new(Ok(()));
    let visit = |entrance: &Entrance<'_>| {
        session.printer.finish();
        let mut result = enter(session, entrance, args.command.as_deref())?;
        if let Some((path, to)) = &kept {
            let copied = entrance.build().map_err(anyhow::Error::from).and_then(|build| Ok(build.copy_to(to)?));
            match copied.with_context(|| format!("can't copy /build to {}", path.display())) {
                Ok(left_out) => {
                    for path in left_out {
                        session.printer.note(&format!("not copied, as it is no file: /build/{}", path.display()));
                    }
                    session.printer.note(&format!("/build is kept in {}", path.display()));
                }
                Err(error) => result = Err(error.into()),
            }
        }
        *outcome.lock().unwrap_or_else(|e| e.into_inner()) = result;
        Ok(())
    };
    let enter = Enter::new(args.from.as_deref(), &visit);
    session.enter(
        &recipe,
        &store,
        &args.how.options(args.target.given.lock.as_deref()),
        NamedStep::Called(step),
        enter,
    )?;
    outcome.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// Runs the command or the shell; the inner error is that of the command.
fn enter(
    session: &CliSession<'_>,
    entrance: &Entrance<'_>,
    command: Option<&str>,
) -> Result<CommandResult, SandboxError> {
    if let Some(failure) = &entrance.failure {
        session.printer.note(&format!("{failure}: this is where it failed"));
    }
    if let Some(text) = command {
        return Ok(match entrance.sandbox.attached(&entrance.command(text))? {
            0 => Ok(()),
            status => Err(CommandError::Failed(anyhow!("the command exited with status {status}"))),
        });
    }
    banner(session, entrance);
    let terminal = std::env::var("TERM").unwrap_or_default();
    // Its status is that of the last command typed, which is no error of this one.
    entrance.sandbox.at_terminal(&entrance.interactive(&terminal))?;
    Ok(Ok(()))
}

fn banner(session: &CliSession<'_>, entrance: &Entrance<'_>) {
    let history = if entrance.has_history() { " (in the history: press the up arrow)" } else { "" };
    let mut text = format!("a shell in {}; the step's commands{history}:", entrance.spec.cwd);
    for (place, command) in entrance.commands.iter().enumerate() {
        let state = match place {
            done if done < entrance.next => "  (has run)",
            failed if failed == entrance.next && entrance.failure.is_some() => "  (failed)",
            _ => "",
        };
        text += &format!("\n  {}{state}", printable::printable(&command.line));
    }
    text += "\nwhat you change is discarded at the end; `exit` or ^D ends the shell";
    session.printer.note(&text);
}

/// A new or empty folder.
fn new_folder(path: &Path) -> Result<(PathBuf, Dir), CommandError> {
    let failed = || format!("--keep {}", path.display());
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(usage(anyhow!("--keep {}: the folder is not empty", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path).with_context(failed).map_err(usage)?;
        }
        Err(error) => return Err(usage(anyhow::Error::from(error).context(failed()))),
    }
    Ok((path.to_owned(), Dir::open(path, Links::Never).with_context(failed).map_err(usage)?))
}
