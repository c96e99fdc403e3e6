//! `exec`, `exec2`, `enter`, `console`, `runscript`.

use super::call::Call;
use super::host::PATH;
use super::mount::{mount_root, umount_root};
use crate::vz::context::Vz;
use crate::vz::exit::{Error, Result};
use crate::vz::node::InnerCommand;
use crate::vz::spec::Spec;
use crate::vz::suspended::Operation;
use std::io::Read;

/// The container's shell with arguments and the environment of `exec`.
pub(super) fn shell(spec: &Spec, arguments: &[String]) -> Result<InnerCommand> {
    let shell = spec.shell.clone().ok_or_else(|| {
        Error::BadTemplate("No shell found in the container: SHELL in vz.conf lists the paths to try".into())
    })?;
    let arguments = std::iter::once(shell.into_os_string()).chain(arguments.iter().map(Into::into)).collect();
    let environment =
        [("HOME", "/"), ("TERM", "linux"), ("PATH", PATH)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(InnerCommand { arguments, environment: environment.into(), ..InnerCommand::default() })
}

/// A running container with its spec.
fn running(vz: &Vz, id: u32) -> Result<Spec> {
    if !vz.node.is_running(id)? {
        return Err(Error::not_running());
    }
    vz.container(id)?.spec(vz)
}

/// `exec`: any failure is 8. `exec2`: the exit code of the command. The words are joined for the shell inside, so
/// quotes of the caller's shell are lost, as in the classic tool; `-` reads commands.
pub(super) fn exec(vz: &Vz, call: &Call) -> Result<u8> {
    if call.arguments.is_empty() {
        return Err(Error::Syntax("No command line given for exec".into()));
    }
    let done = exec_inside(vz, call);
    if call.name != "exec" {
        return done;
    }
    match done {
        Ok(0) => Ok(0),
        Ok(_) => Err(Error::Child(8)),
        Err(error) => {
            vz.log.error(&error);
            Err(Error::Told(8))
        }
    }
}

fn exec_inside(vz: &Vz, call: &Call) -> Result<u8> {
    let spec = running(vz, call.id)?;
    let command = if call.arguments[0] == "-" {
        shell(&spec, &["-s".into()])?
    } else {
        let words: Vec<&str> = call.arguments.iter().map(|word| if word.is_empty() { "''" } else { word }).collect();
        shell(&spec, &["-c".into(), words.join(" ")])?
    };
    vz.log.say(1, format_args!("Executing command: {}", call.arguments.join(" ")));
    vz.node.exec(call.id, &command)
}

/// A root shell on a new terminal.
pub(super) fn enter(vz: &Vz, call: &Call) -> Result<u8> {
    let then = match call.arguments {
        [] => None,
        [flag] if flag == "--exec" => return Err(Error::Syntax("No command line given for --exec".into())),
        [flag, command @ ..] if flag == "--exec" => Some(command),
        [other, ..] => return Err(Error::Syntax(format!("Invalid option '{other}'"))),
    };
    let spec = running(vz, call.id)?;
    vz.log.say(1, "Entering CT");
    let mut command = match then {
        // The command, after which the shell continues, as when the classic tool types it in.
        Some(words) => shell(&spec, &["-c".into(), format!("{}\nexec \"$0\" -i", words.join(" "))])?,
        None => shell(&spec, &["-l".into()])?,
    };
    if then.is_some() {
        let own = command.arguments[0].clone();
        command.arguments.push(own);
    }
    let term = std::env::var("TERM").unwrap_or_else(|_| "linux".into());
    let set = [
        ("HISTFILE", "/dev/null"),
        ("USER", "root"),
        ("HOME", "/root"),
        ("LOGNAME", "root"),
        ("PATH", PATH),
        ("TERM", &term),
    ];
    command.environment = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    command.terminal = true;
    vz.log.print(format_args!("entered into CT {}", call.id));
    let code = vz.node.exec(call.id, &command);
    vz.log.print(format_args!("exited from CT {}", call.id));
    code
}

/// Attaches to a console: 1 is `/dev/console`.
pub(super) fn console(vz: &Vz, call: &Call) -> Result<u8> {
    let tty = match call.arguments {
        [] => 1,
        [number] => number
            .parse()
            .ok()
            .filter(|tty| (1..=12).contains(tty))
            .ok_or_else(|| Error::Value(format!("Invalid tty number: {number}")))?,
        _ => return Err(Error::Syntax("Invalid syntax: too many parameters!".into())),
    };
    running(vz, call.id)?;
    vz.node.console(call.id, tty).map(|()| 0)
}

/// Runs a script of the host inside. A stopped container is mounted for it.
pub(super) fn runscript(vz: &Vz, call: &Call) -> Result<u8> {
    let [script] = call.arguments else { return Err(Error::Syntax("Script not specified".into())) };
    let mut text = Vec::new();
    let read = std::fs::File::open(script).and_then(|mut file| file.read_to_end(&mut text));
    read.map_err(|_| Error::NoScript(format!("Script not found: {script}")))?;
    let ct = vz.container(call.id)?;
    if vz.node.is_running(call.id)? {
        let command = InnerCommand { input: Some(text), ..shell(&ct.spec(vz)?, &["-s".into()])? };
        return vz.node.exec(call.id, &command);
    }
    vz.ask(ct.id, Operation::RunScript)?;
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    let ours = !vz.node.is_mounted(&root)?;
    if ours {
        mount_root(vz, &ct, true)?;
    }
    let ran = ct.spec(vz).and_then(|spec| {
        let command = shell(&spec, &["-s".into()])?;
        vz.node.exec(call.id, &InnerCommand { input: Some(text), stopped_root: Some(root), ids: spec.ids, ..command })
    });
    if ours {
        umount_root(vz, &ct)?;
    }
    ran
}
