//! The files of services, for runit: a folder for each with a script `run`, and one for its log (runsv(8), svlogd(8)).

use std::fmt::Write as _;

use super::StatedFile;
use crate::process::quote;
use crate::recipe::rootfs::{Log, Restart, Service};

/// The folder with a folder for each service.
pub const FOLDER: &str = "/system/etc/sv";

/// The supervisor, which has to be in the root.
pub const SUPERVISOR: &str = "/system/bin/runsvdir";

/// Where the state of services is kept while the system runs: the root may be read-only.
const STATE: &str = "/system/run/sv";

/// What follows the name of a service, in which `@` can't be, in the name of the file that exists while its program runs.
const STARTED: &str = "@started";

/// The same for the file that exists while sv(8) stops it, perhaps to start it again.
const STOPPED: &str = "@stopped";

/// Where logs are.
const LOGS: &str = "/system/var/log";

/// The scripts of services.
pub fn files(services: &[Service]) -> Vec<StatedFile> {
    let mut files = Vec::new();
    for service in services {
        let name: &str = &service.name.value;
        let mut add = |path: &str, text: String| {
            let (path, content) = (format!("{FOLDER}/{name}/{path}"), text.into_bytes());
            files.push(StatedFile { path, content, mode: 0o755, owner: (0, 0) });
        };
        add("run", run(service));
        add("finish", finish(service));
        if service.restart != Restart::Always {
            // runsv(8): the signal is sent if this fails.
            add("control/t", format!("#!/system/bin/sh\n: >{STATE}/{name}{STOPPED}\nexit 1\n"));
        }
        if service.log == Log::File {
            let folder = format!("{LOGS}/{name}");
            add("log/run", format!("#!/system/bin/sh\nmkdir -p {folder}\nexec svlogd -tt {folder}\n"));
        }
    }
    files
}

/// The links of services: path to target.
pub fn links(services: &[Service]) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for service in services {
        let name: &str = &service.name.value;
        links.push((format!("{FOLDER}/{name}/supervise"), format!("{STATE}/{name}")));
        if service.log == Log::File {
            links.push((format!("{FOLDER}/{name}/log/supervise"), format!("{STATE}/{name}@log")));
        }
    }
    links
}

fn run(service: &Service) -> String {
    let Service { name, command, user, restart: _, after, network, log, env, directory } = service;
    let mut script = String::from("#!/system/bin/sh\n# Made from the recipe's `services`.\n");
    script.push_str(match log {
        Log::File => "exec 2>&1\n",
        Log::Console => "exec >/dev/console 2>&1\n",
        Log::None => "exec >/dev/null 2>&1\n",
    });
    script.push_str("exec </dev/null\n");
    for other in after {
        let _ = writeln!(script, "until [ -e {STATE}/{}{STARTED} ]; do sleep 1; done", other.value);
    }
    if *network {
        script.push_str("until [ -n \"$(ip route show default; ip -6 route show default)\" ]; do sleep 1; done\n");
    }
    script.push_str("export PATH=/system/sbin:/system/bin:/usr/sbin:/usr/bin\n");
    for (name, value) in env {
        let _ = writeln!(script, "export {}={}", name.value, quote(value));
    }
    if let Some(folder) = directory {
        let _ = writeln!(script, "cd {} || exit", quote(&folder.value));
    }
    let _ = write!(script, ": >{STATE}/{}{STARTED}\nexec ", &*name.value);
    if let Some(user) = user {
        let _ = write!(script, "chpst -u {} ", quote(&user.value));
    }
    let words: Vec<String> = command.value.iter().map(|word| quote(word)).collect();
    script.push_str(&words.join(" "));
    script.push('\n');
    script
}

/// What runs when the service has ended; its first argument is the status, or -1 for a signal. A service that sv(8) stops or
/// starts again does as that says.
fn finish(service: &Service) -> String {
    let name: &str = &service.name.value;
    let mut script = format!("#!/system/bin/sh\nrm -f {STATE}/{name}{STARTED}\n");
    if service.restart != Restart::Always {
        let _ = writeln!(script, "if [ -e {STATE}/{name}{STOPPED} ]; then exec rm {STATE}/{name}{STOPPED}; fi");
    }
    script.push_str(match service.restart {
        Restart::Always => "",
        Restart::OnFailure => "[ \"$1\" != 0 ] || exec sv down .\n",
        Restart::Never => "exec sv down .\n",
    });
    script
}
