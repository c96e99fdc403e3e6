//! The classic OpenVZ tools: `vzctl`, `vzlist` and `vz` with the commands, files, messages and exit codes of vzctl 4.x.
//!
//! `livefs/COMPATIBILITY.md` lists for each command what is the same and what differs.
//!
//! | module | content |
//! |---|---|
//! | `exit` | errors, with the classic exit codes |
//! | `conf` | configuration files and the permitted values of parameters |
//! | `spec` | a configuration as plain data for the engine |
//! | `context` | what every command works with: paths, machine, log, `vz.conf`; a container's configuration |
//! | `convert` | that data in the words of the engine and the network |
//! | `layout`, `snapshots`, `template` | private areas: what is in them, how they are made |
//! | `disk` | folders that are made, and what is brought to the disk |
//! | `below` | files of a container's root, from outside |
//! | `node` | what is needed of the machine, behind one trait |
//! | `machine` | the machine that this runs on: engine, network, mounts, quota |
//! | `dump` | the dump of a suspended container: its name says what it is worth |
//! | `suspended` | what may be done to a suspended container |
//! | `handover` | which of two machines a migrating container belongs to |
//! | `mark` | which containers are running, for the next boot |
//! | `options` | command lines, parsed as by getopt_long(3) |
//! | `cmd` | the commands, a file per family |
//! | `migrate` | `vzmigrate`: to another machine |
//! | `list` | `vzlist` |
//! | `recovery` | repairs what a power cut left, at the next start |
//! | `service` | `vz`: all containers at boot and at shutdown |

mod below;
pub mod cmd;
pub mod conf;
pub mod context;
pub mod convert;
pub mod disk;
pub mod dump;
pub mod exit;
pub mod handover;
pub mod layout;
pub mod list;
pub mod lock;
pub mod log;
pub mod machine;
pub mod mark;
mod migrate;
pub mod names;
pub mod node;
pub mod options;
pub mod paths;
mod process;
pub mod recovery;
pub mod service;
pub mod snapshots;
pub mod spec;
pub mod suspended;
pub mod template;

use log::Log;
use paths::Paths;
use std::ffi::OsString;

/// The applet `vzctl`.
pub fn vzctl(arguments: Vec<OsString>) -> u8 {
    cmd::main(&Paths::system(), Box::new(machine::Machine::default()), arguments, Log::console(false, 0)).0
}

/// The applet `vzlist`.
pub fn vzmigrate(arguments: Vec<OsString>) -> u8 {
    migrate::main(&Paths::system(), Box::new(machine::Machine::default()), arguments, Log::console(false, 0)).0
}
/// The applet `vzlist`.
pub fn vzlist(arguments: Vec<OsString>) -> u8 {
    list::main(&Paths::system(), Box::new(machine::Machine::default()), arguments, Log::console(false, 0)).0
}

/// The applet `vz`.
pub fn vz(arguments: Vec<OsString>) -> u8 {
    service::main(&Paths::system(), Box::new(machine::Machine::default()), arguments, Log::console(false, 0))
}

#[cfg(test)]
mod tests {
    use super::conf::{ConfFile, Config};
    use super::context::{INITS, SHELLS};
    use super::spec::Spec;
    use super::*;
    use std::path::Path;

    #[test]
    fn the_shipped_files_are_valid() {
        let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/overlays/base/system/etc/vz");
        let global = ConfFile::read(&etc.join("vz.conf")).unwrap();
        for sample in ["basic", "vswap-256m", "app"] {
            let file = ConfFile::read(&etc.join(format!("conf/ve-{sample}.conf-sample"))).unwrap();
            assert_eq!(file.values(101).findings, [], "{sample}");
            Spec::of(101, &Config::layered([&global, &file], 101), &Paths::system()).unwrap();
        }
        assert_eq!(global.values(101).findings, []);
        let config = Config::layered([&global], 101);
        assert_eq!(config.get("CONFIGFILE"), Some("vswap-256m"));
        assert_eq!((config.get("INIT"), config.get("SHELL")), (Some(INITS), Some(SHELLS)));
        layout::Layout::parse(config.get("VE_LAYOUT").unwrap()).unwrap();
    }
}
