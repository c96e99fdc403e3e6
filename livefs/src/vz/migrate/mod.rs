//! `vzmigrate`: a container moves to another machine, over SSH. The other machine runs this program as well
//! ([`serve`]); what they say to each other is in [`wire`].
//!
//! Until the container is the destination's a failure leaves it running here. With `--live` its memory is copied while it
//! runs, then it is frozen, what has changed since is copied, and it is restored there before it is killed here. Whose it
//! is in which moment, also if a machine loses its power, is in [`super::handover`].

mod asked;
mod destination;
mod moving;
mod own;
mod recover;
mod serve;
mod sync;
mod wire;

use super::cmd::create::SCRIPTS;
use super::context::Vz;
use super::handover::{Handover, Token};
use super::log::Log;
use super::names;
use super::node::Node;
use super::options::{self, Known};
use super::paths::Paths;
use super::suspended::Operation;
use asked::{CONNECT, Failure, KERNEL, LOCKED, MISSING, NO_CRIU, Options, Result, STOP, STOPPED, USAGE, copy, with};
use destination::Destination;
use moving::Moving;
pub use serve::undo_left;
use std::ffi::OsString;
use std::fs;
use std::io;
use wire::{Reply, Request, VERSION};

const KNOWN: &[Known] = &[
    ("remove-area", Some('r'), true),
    ("live", None, false),
    ("online", None, false),
    ("keep-dst", None, false),
    ("ssh", None, true),
    ("ssh-mux", None, false),
    ("rsync", None, true),
    ("compact", Some('c'), false),
    ("snapshot", Some('s'), false),
    ("check-only", None, false),
    ("dry-run", None, false),
    ("nodeps", Some('f'), false),
    ("verbose", Some('v'), false),
    ("times", Some('t'), false),
    ("help", Some('h'), false),
    ("usage", None, false),
    ("recover", None, true),
    ("serve", None, false),
];

const HELP: &str = "\
This program is used for container migration to another node.
Usage:
  vzmigrate [option ...] destination_address <CTID>
  vzmigrate [-v] --recover=<CTID>
Options:
-r, --remove-area yes|no   whether the container is removed here afterwards (yes)
--live, --online           checkpoint and restore instead of stop and start
--keep-dst                 keep the copied private area there after an error
--ssh=<ssh options>        options for ssh, separated by spaces
--check-only, --dry-run    only check whether it is possible
-f, --nodeps               go on with another kernel at the destination
-t, --times                print how long it was not running
-v                         tell more
--recover=<CTID>           after an interruption: ask the destination whether the
                           container has arrived; remove or continue it here";

/// Runs `vzmigrate`. Gives the exit code.
pub fn main(paths: &Paths, node: Box<dyn Node>, arguments: Vec<OsString>, mut log: Log) -> (u8, Log) {
    let words: Vec<String> = arguments.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let global = match Vz::global(paths) {
        Ok(global) => global,
        Err(error) => {
            log.error(format_args!("Error: {error}"));
            return (MISSING, log);
        }
    };
    if words == ["--serve"] {
        // Only messages of the two go over its output.
        log.quiet = true;
        let vz = Vz { paths: paths.clone(), node, log, global };
        return (serve::serve(&vz, io::stdin().lock(), io::stdout()), vz.log);
    }
    if words.is_empty() || words.iter().any(|word| ["-h", "--help", "--usage"].contains(&word.as_str())) {
        log.print(HELP);
        return (0, log);
    }
    log.verbose = i32::from(words.iter().any(|word| word == "-v"));
    let options = match read(&words) {
        Ok(options) => options,
        Err(Failure(code, text)) => {
            log.error(format_args!("Invalid usage: {text}"));
            return (code, log);
        }
    };
    let vz = Vz { paths: paths.clone(), node, log, global };
    match migrate(&vz, &options) {
        Ok(()) => (0, vz.log),
        Err(Failure(code, text)) => {
            vz.log.error(format_args!("Error: {text}"));
            (code, vz.log)
        }
    }
}

fn read(words: &[String]) -> Result<Options> {
    let bad = |text: String| Failure(USAGE, text);
    let given = options::parse("vzmigrate", words, KNOWN).map_err(bad)?;
    if let Some(container) = given.value("recover") {
        return match given.rest.is_empty() {
            true => Ok(Options { recover: true, container: container.to_owned(), ..Options::default() }),
            false => Err(bad("too many parameters".into())),
        };
    }
    let [host, container] = &given.rest[..] else {
        return Err(bad(if given.rest.len() < 2 { "not enough parameters" } else { "too many parameters" }.into()));
    };
    let remove = match given.value("remove-area") {
        None | Some("yes") => true,
        Some("no") => false,
        Some(other) => return Err(bad(format!("bad argument for --remove-area: {other}"))),
    };
    if host.starts_with('-') {
        return Err(bad(format!("bad destination address: {host}")));
    }
    Ok(Options {
        live: given.has("live") || given.has("online"),
        remove,
        keep: given.has("keep-dst"),
        check: given.has("check-only") || given.has("dry-run"),
        any_kernel: given.has("nodeps"),
        times: given.has("times") || given.has("verbose"),
        ssh: given.values("ssh").flat_map(str::split_whitespace).map(str::to_owned).collect(),
        host: host.clone(),
        container: container.clone(),
        recover: false,
    })
}

fn migrate(vz: &Vz, options: &Options) -> Result<()> {
    let id = names::resolve(&vz.paths, &options.container).map_err(with(MISSING))?;
    if options.recover {
        return recover::recover(vz, id);
    }
    let _lock = vz.lock(id, "").map_err(with(LOCKED))?;
    if let Some(Handover { host, .. }) = Handover::of(vz, id).map_err(with(MISSING))? {
        let text = format!("its migration to {host} was interrupted: vzmigrate --recover={id} asks there");
        return Err(Failure(LOCKED, text));
    }
    let ct = vz.container(id).map_err(with(MISSING))?;
    let private = vz.paths.at(ct.config.path("VE_PRIVATE").map_err(with(MISSING))?);
    let file = ct.file.as_ref().filter(|_| private.is_dir());
    let file = file.ok_or_else(|| Failure(MISSING, format!("CT #{id} doesn't exist")))?;
    let running = vz.node.is_running(id).map_err(with(MISSING))?;
    if options.live && !running {
        return Err(Failure(STOPPED, "Can't perform live migration of a stopped container".into()));
    }
    if running && vz.node.is_frozen(id).map_err(with(MISSING))? {
        return Err(Failure(STOP, "the container is frozen: vzctl chkpnt --resume or --kill first".into()));
    }
    let begun = if options.check { "Checking" } else { "Starting" };
    let kind = if options.live { "live migration" } else { "migration" };
    vz.log.info(format_args!("{begun} {kind} of CT {id} to {}", options.host));
    let spec = ct.spec(vz).map_err(with(MISSING))?;
    let mut destination = Destination::connect(options)?;
    let Reply::Hello { version, kernel, criu } = destination.ask(&Request::Hello { version: VERSION })? else {
        return Err(Failure(CONNECT, "the destination has answered something else".into()));
    };
    if version != VERSION {
        return Err(Failure(KERNEL, format!("the destination has version {version} of vzmigrate, not {VERSION}")));
    }
    vz.ask(id, Operation::Migrate).map_err(with(STOP))?;
    let suspended = !running && vz.is_suspended(id);
    if options.live || suspended {
        if !(vz.node.can_checkpoint() && criu) {
            return Err(Failure(NO_CRIU, "a machine has no CRIU: add the component criu to its recipe".into()));
        }
        let own = nix::sys::utsname::uname().map_err(|error| Failure(KERNEL, error.to_string()))?;
        let own = own.release().to_string_lossy().into_owned();
        if own != kernel && !options.any_kernel {
            return Err(Failure(KERNEL, format!("the destination's kernel is {kernel}, not {own}")));
        }
    }
    let name = file.get("NAME").map(str::to_owned);
    let addresses = spec.addresses.iter().map(|one| one.ip).collect();
    destination.ask(&Request::Check { id, name, addresses })?;
    if options.check {
        return Ok(());
    }
    vz.log.info("Preparing remote node");
    let scripts = scripts(vz, id).map_err(copy)?;
    let token = Token::new().map_err(copy)?;
    let begin = Request::Begin { conf: file.text(), scripts, keep: options.keep, token: token.clone() };
    destination.ask(&begin)?;
    vz.log.info("Syncing private");
    // What changes meanwhile is sent again afterwards.
    let first = destination.sync(&private);
    if !running {
        first?;
    }
    let moving = Moving { vz, ct: &ct, private: &private, options, token: &token };
    if options.live {
        moving.live(&mut destination)?;
    } else if running {
        moving.restarted(&mut destination)?;
    } else {
        moving.stopped(&mut destination, suspended)?;
    }
    vz.log.info("Cleaning up");
    own::leave(vz, &ct, options.remove)?;
    destination.forget(id, &token);
    Ok(())
}

/// The action scripts of a container: the part of the name after its number, and the text.
fn scripts(vz: &Vz, id: u32) -> io::Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for ending in SCRIPTS {
        match fs::read_to_string(vz.paths.conf().join(format!("{id}.{ending}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            text => all.push((ending.to_owned(), text?)),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vz::cmd::tests::World;

    #[test]
    fn command_lines_have_the_classic_codes() {
        let world = World::new();
        world.ok("create 101");
        for (line, code, text) in [
            ("host", USAGE, "not enough parameters"),
            ("host 101 x", USAGE, "too many parameters"),
            ("-r maybe host 101", USAGE, "bad argument for --remove-area: maybe"),
            ("--fly host 101", USAGE, "unrecognized option '--fly'"),
            ("-- -oProxyCommand=x 101", USAGE, "bad destination address"),
            ("host 102", MISSING, "CT #102 doesn't exist"),
            ("host nobody", MISSING, "Bad CT ID nobody"),
            ("--live host 101", STOPPED, "Can't perform live migration of a stopped container"),
            ("--help", 0, "Usage:"),
        ] {
            let (got, said) = world.migrate(line);
            assert_eq!(got, code, "vzmigrate {line}: {said}");
            assert!(said.contains(text), "vzmigrate {line}: {said}");
        }
        // A frozen one is somebody's work in hand, and a lock as well.
        world.ok("start 101");
        world.ok("chkpnt 101 --suspend");
        assert_eq!(world.migrate("--online host 101").0, STOP);
        let lock = world.vz().lock(101, "").unwrap();
        assert_eq!(world.migrate("host 101").0, LOCKED);
        drop(lock);
    }

    /// Whatever it is that can't be known, it is not started twice.
    #[test]
    fn one_that_may_be_elsewhere_is_only_ended_here() {
        let world = World::new();
        world.ok("create 101");
        world.ok("start 101");
        world.ok("set 101 --onboot yes --save");
        let vz = world.vz();
        let record = Handover { host: "other".into(), start: true, ..Handover::default() };
        record.write(&vz, 101).unwrap();
        assert!(crate::vz::service::to_start(&vz).is_empty());
        assert_eq!(world.migrate("host 101").0, LOCKED);
        assert_eq!(world.migrate("--recover=102").0, MISSING);
        assert_eq!(world.migrate("--recover=101 host").0, USAGE);
        world.ok("stop 101");
        for line in ["start 101", "mount 101", "set 101 --onboot no --save", "create 101", "snapshot 101"] {
            let (code, said) = world.run(line);
            assert_eq!(code, 9, "vzctl {line}: {said}");
            assert!(said.contains("vzmigrate --recover=101"), "{said}");
        }
        assert!(world.ok("status 101").contains("exist"));
        world.ok("destroy 101");
        assert_eq!(Handover::of(&vz, 101).unwrap(), None);
        world.ok("create 101");
    }

    #[test]
    fn options_are_read() {
        let words = ["--online", "-r", "no", "--ssh=-p 22 -y", "--keep-dst", "-f", "-t", "host", "101"];
        let options = read(&words.map(str::to_owned)).unwrap();
        assert!(options.live && !options.remove && options.keep && options.any_kernel && options.times);
        assert_eq!((options.ssh.join("|").as_str(), options.host.as_str()), ("-p|22|-y", "host"));
    }
}
