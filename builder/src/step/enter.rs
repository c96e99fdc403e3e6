//! Entering a step: something else happens in place of the execution that makes its outputs, in the same root, with the same
//! inputs, variables and folders. What fails before it is entered where it failed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::tools::Sandboxed;
use super::{StepError, Work};
use crate::beneath::{Dir, Links};
use crate::execution::{BUILD, Execution, ExecutionInput, Invocation, Stdin};
use crate::executor::{Call, CommandRunner, Executed, ExecutionObserver, Executor as _, Local};
use crate::image::Contents;
use crate::image::tar::write_tar;
use crate::interrupt;
use crate::process::{Feed, quote};
use crate::sandbox::{Sandbox, SandboxError, Spec};

/// The folder inside with what a shell needs.
const FOLDER: &str = "/in/dbco-shell";

/// The type of a terminal of which nothing is known.
pub const DUMB: &str = "dumb";

/// What bash reads first.
const BASHRC: &str = "/in/dbco-shell/bashrc";

/// Called in place of the commands; an error ends the execution.
pub type Visit<'a> = &'a (dyn Fn(&Entrance<'_>) -> Result<(), SandboxError> + Sync);

/// How a step is entered.
pub struct Enter<'a> {
    /// The first command of the last execution that is not run, by its name (`install`); without it none is run.
    pub from: Option<&'a str>,
    /// What happens instead.
    pub visit: Visit<'a>,
    /// Whether it has happened.
    entered: AtomicBool,
}

impl<'a> Enter<'a> {
    /// Enters before the first command, or before the one named `from`.
    pub fn new(from: Option<&'a str>, visit: Visit<'a>) -> Self {
        Self { from, visit, entered: AtomicBool::new(false) }
    }

    /// Whether the step has been entered.
    pub fn has_entered(&self) -> bool {
        self.entered.load(Ordering::Relaxed)
    }
}

/// A command that the step would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnteredCommand {
    /// What it makes: `build`, `install`.
    pub name: String,
    /// The line that runs it in a shell.
    pub line: String,
    /// The text of the script, if it is one.
    pub script: Option<String>,
}

/// A step that is being entered.
pub struct Entrance<'a> {
    /// The sandbox.
    pub sandbox: &'a Sandbox,
    /// What the step sees; without a command.
    pub spec: Spec,
    /// The commands that the step runs there, in order.
    pub commands: &'a [EnteredCommand],
    /// The place of the next command: those before it have been run.
    pub next: usize,
    /// Why that command failed, if it did.
    pub failure: Option<String>,
    shell: ShellProgram,
}

/// A shell of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShellProgram {
    Bash,
    Sh,
}

impl ShellProgram {
    fn of(root: &Path) -> Option<Self> {
        let root = Dir::open(root, Links::InRoot).ok()?;
        let has = |path| root.has_file(path);
        let bash = ["bin/bash", "usr/bin/bash"].into_iter().any(has);
        let sh = ["bin/sh", "usr/bin/sh"].into_iter().any(has);
        if bash { Some(Self::Bash) } else { sh.then_some(Self::Sh) }
    }
}

impl Entrance<'_> {
    /// What runs one command of a shell, with exactly the step's environment.
    pub fn command(&self, text: &str) -> Spec {
        Spec { argv: ["/bin/sh", "-c", text].map(str::to_owned).into(), ..self.spec.clone() }
    }

    /// What runs an interactive shell, for a terminal of this type (`TERM`). Beside the step's environment it has `TERM`.
    pub fn interactive(&self, terminal: &str) -> Spec {
        let mut spec = self.spec.clone();
        let words: &[&str] = match self.shell {
            ShellProgram::Bash => &["bash", "--noprofile", "--rcfile", BASHRC, "-i"],
            ShellProgram::Sh => {
                spec.env.insert("ENV".into(), format!("{FOLDER}/shrc"));
                &["sh", "-i"]
            }
        };
        spec.argv = words.iter().map(|word| word.to_string()).collect();
        self.with_terminal(spec, terminal)
    }

    /// A command for a terminal of this type, or of one that the root knows.
    pub fn with_terminal(&self, mut spec: Spec, terminal: &str) -> Spec {
        let known = |name: &str| {
            let Some(first) = name.chars().next().filter(|_| !name.contains('/')) else { return false };
            let root = Dir::open(&spec.root, Links::InRoot);
            let folders = ["etc/terminfo", "lib/terminfo", "usr/lib/terminfo", "usr/share/terminfo"];
            root.is_ok_and(|root| folders.iter().any(|folder| root.has_file(format!("{folder}/{first}/{name}"))))
        };
        let name = [terminal, "xterm", "linux"].into_iter().find(|name| known(name)).unwrap_or(DUMB);
        spec.env.insert("TERM".into(), name.into());
        spec
    }

    /// Whether the shell has a history, with the step's commands.
    pub fn has_history(&self) -> bool {
        self.shell == ShellProgram::Bash
    }

    /// The folder that commands see as [`BUILD`].
    ///
    /// # Panics
    /// Every execution has it.
    pub fn build(&self) -> Result<Dir, std::io::Error> {
        let bind = self.spec.binds.iter().find(|bind| bind.inside == BUILD).expect("every execution has it");
        Dir::open(&bind.host, Links::Never)
    }
}

impl Work<'_> {
    /// Runs an execution until the step is entered.
    pub(super) fn enter(
        &self,
        enter: &Enter<'_>,
        mut execution: Execution,
        runner: &Sandboxed<'_>,
        observer: ExecutionObserver<'_>,
    ) -> Result<Executed, StepError> {
        let toolchain = || {
            let step = self.context.graph.steps.iter().find(|step| step.digest == execution.root);
            step.map_or_else(String::new, |step| step.label.clone())
        };
        let shell = ShellProgram::of(&runner.root).ok_or_else(|| StepError::NoShell(toolchain()))?;
        let contents = self.contents();
        let mut commands = Vec::new();
        for (number, invocation) in execution.commands.iter_mut().enumerate() {
            commands.push(entered(number, invocation, &contents, &mut execution.inputs)?);
        }
        execution.inputs.extend(shell_files(&self.step.label, &commands));
        let is_last = !execution.outputs.is_empty();
        let start = match enter.from.filter(|_| is_last) {
            None if is_last => 0,
            None => usize::MAX,
            Some(name) => commands.iter().position(|command| command.name == name).ok_or_else(|| {
                let commands = commands.iter().map(|command| command.name.clone()).collect();
                StepError::NoCommand { name: name.to_owned(), commands }
            })?,
        };
        if is_last {
            execution.commands.truncate(start);
            execution.commands.push(Invocation::new("shell", vec!["sh".to_owned()]));
            execution.outputs.clear();
        }
        let entering = Entering { enter, runner, commands: &commands, shell, start, next: AtomicUsize::new(0) };
        let local = Local { store: self.store(), contents: &contents, runner: &entering };
        let done = local.execute(execution, observer);
        if enter.has_entered() && done.is_ok() {
            return Err(StepError::Entered);
        }
        Ok(done?)
    }
}

/// A command as a line for a shell. The content of its standard input becomes a file.
fn entered(
    number: usize,
    invocation: &mut Invocation,
    contents: &dyn Contents,
    inputs: &mut Vec<ExecutionInput>,
) -> Result<EnteredCommand, StepError> {
    let name = invocation.makes.clone();
    if let [sh, "-euc", text] = &invocation.argv.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && sh.ends_with("/sh")
    {
        let path = format!("{FOLDER}/{name}");
        inputs.push(ExecutionInput::bytes(&path, *text));
        return Ok(EnteredCommand { name, line: format!("sh -eu {path}"), script: Some((*text).to_owned()) });
    }
    let words: Vec<String> = invocation.argv.iter().map(|word| quote(word)).collect();
    let line = words.join(" ");
    let line = match &invocation.stdin {
        Stdin::Empty => line,
        Stdin::LineBreaks => format!("yes '' | {line}"),
        Stdin::Tar { tree, epoch } => {
            let path = format!("{FOLDER}/input-{number}.tar");
            let mut bytes = Vec::new();
            write_tar(tree, contents, *epoch, &mut bytes).map_err(crate::executor::ExecutionError::from)?;
            inputs.push(ExecutionInput::bytes(&path, bytes));
            format!("{line} < {path}")
        }
    };
    Ok(EnteredCommand { name, line, script: None })
}

/// The start-up files of the shells, and bash's history, in which the step's commands are.
fn shell_files(label: &str, commands: &[EnteredCommand]) -> Vec<ExecutionInput> {
    let prompt = quote(&format!("[{label}] "));
    // A line with a time before each entry lets entries have several lines.
    let entry = |text: &str| format!("#1\n{}\n", text.trim_end());
    let entries = |command: &EnteredCommand| {
        let script = command.script.as_deref().map(entry).unwrap_or_default();
        script + &entry(&command.line)
    };
    let history: String = commands.iter().map(entries).collect();
    let bashrc =
        format!("PS1={prompt}'\\w\\$ '\nHISTTIMEFORMAT=\nhistory -r {FOLDER}/history\nunset HISTTIMEFORMAT HISTFILE\n");
    let shrc = format!("PS1={prompt}'$PWD# '\nunset ENV\n");
    vec![
        ExecutionInput::bytes(format!("{FOLDER}/history"), history),
        ExecutionInput::bytes(BASHRC, bashrc),
        ExecutionInput::bytes(format!("{FOLDER}/shrc"), shrc),
    ]
}

/// Runs commands until one of them is where the step is entered, or fails.
struct Entering<'a> {
    enter: &'a Enter<'a>,
    runner: &'a Sandboxed<'a>,
    commands: &'a [EnteredCommand],
    shell: ShellProgram,
    start: usize,
    next: AtomicUsize,
}

impl Entering<'_> {
    fn visit(&self, call: Call<'_>, next: usize, failure: Option<String>) -> Result<(), SandboxError> {
        self.enter.entered.store(true, Ordering::Relaxed);
        let spec = Spec { argv: Vec::new(), ..self.runner.spec(call) };
        let (sandbox, commands, shell) = (self.runner.sandbox, self.commands, self.shell);
        (self.enter.visit)(&Entrance { sandbox, spec, commands, next, failure, shell })
    }
}

impl CommandRunner for Entering<'_> {
    fn run(&self, call: Call<'_>, feed: Option<Feed<'_>>, watch: &(dyn Fn(&str) + Sync)) -> Result<(), SandboxError> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if next == self.start {
            return self.visit(call, next, None);
        }
        match self.runner.run(call, feed, watch) {
            // A command that a signal has ended has not failed.
            Err(error @ SandboxError::Tool(_)) if interrupt::raised().is_none() => {
                self.visit(call, next, Some(error.to_string()))?;
                Err(error)
            }
            other => other,
        }
    }
}
