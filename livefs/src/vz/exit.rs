//! Errors, with the exit code and the message that the classic tools have for them (vzctl(8), "EXIT STATUS").

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A result of the classic tools.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command failed. [`Error::code`] gives the classic exit code, `Display` the message.
#[derive(Debug)]
pub enum Error {
    /// 3: a system call failed.
    System(String),
    /// 5: the kernel lacks something that containers need.
    Kernel(String),
    /// 6: not enough resources, or a limit could not be set.
    Resource(String),
    /// The command inside ended with this code; nothing more is printed.
    Child(u8),
    /// Everything was printed already.
    Told(u8),
    /// 9: another process works on the container.
    Locked {
        /// The lock's container.
        pid: i32,
        /// The other process's command line.
        command: String,
    },
    /// 9: it is not known whether the container is at the destination of its interrupted migration.
    Moving {
        /// The container.
        id: u32,
        /// The destination.
        host: String,
    },
    /// 10: `vz.conf` can't be read.
    NoGlobalConfig(PathBuf, io::Error),
    /// 12: not root.
    NotRoot,
    /// 13: a capability could not be set.
    Capability(String),
    /// 11: the script does not exist.
    NoScript(String),
    /// 14: the container has no configuration.
    NoConfig,
    /// 16: it could not be suspended.
    Suspend(String),
    /// 17: it could not be resumed.
    Resume(String),
    /// 20: the command line is invalid.
    Syntax(String),
    /// 21: a value is invalid.
    Value(String),
    /// 22 (`VE_ROOT`), 23 (`VE_PRIVATE`), 24 (`TEMPLATE`), 77 (`LOCKDIR`): a path is not set.
    NotSet(&'static str),
    /// 29: no template given, and `DEF_OSTEMPLATE` is not set.
    NoTemplate,
    /// 31: it is not running.
    NotRunning(String),
    /// 32: it is running.
    Running(String),
    /// 33: it did not stop.
    Stop(String),
    /// 34: an address could not be added.
    AddIp(String),
    /// 40: it is not mounted.
    NotMounted(String),
    /// 41: it is mounted.
    Mounted(String),
    /// 43: the private area is missing.
    NoPrivate(PathBuf),
    /// 44: the private area exists.
    PrivateExists(PathBuf),
    /// 46: the disk is full.
    DiskFull(String),
    /// 47: the tree has no init, or is not a root tree at all.
    BadTemplate(String),
    /// 48: the private area could not be created.
    Create(String),
    /// 50: it could not be mounted.
    Mount(String),
    /// 51: it could not be unmounted.
    Umount(String),
    /// 52: the private area could not be removed.
    Delete(String),
    /// 60: disk quota is not available.
    Quota(String),
    /// 82: a sample does not exist, or there is a configuration already.
    Sample(String),
    /// 63 (`DISKSPACE`), 64 (`DISKINODES`): a limit of the disk is not set.
    DiskLimitNotSet(&'static str),
    /// 63: the size of an image is not set.
    SizeNotSet(&'static str),
    /// 71: no address.
    BadAddress(String),
    /// 74: a password could not be set.
    Password(String),
    /// 78: an address is in use.
    AddressInUse(String),
    /// 79: an action script failed.
    Script(String),
    /// 85: a configuration file has an invalid value.
    InvalidConfig(String),
    /// 86: a device could not be added.
    Device(String),
    /// 91: the template does not exist.
    TemplateMissing(String),
    /// 104: a device of the host could not be moved.
    NetworkDevice(String),
    /// 105: starting is disabled.
    Disabled,
    /// 106: the packet filter's mode could not be set.
    Netfilter(String),
    /// 109: a sample could not be applied.
    ApplyConfig(PathBuf),
    /// 130: an Ethernet interface could not be set.
    Interface(String),
    /// 131: a name could not be set.
    Name(String),
    /// 133: waiting for the container's start failed.
    Wait(String),
    /// 139: the configuration could not be written.
    Save(PathBuf, io::Error),
    /// 148: a limit of input and output could not be set.
    Io(String),
    /// 155: not converted.
    Convert(String),
    /// 151 create, 152 mount, 153 umount, 154 resize: an image.
    Image(u8, String),
    /// The container is suspended, and what was asked for would change what its saved processes rely on.
    Suspended {
        /// The code of a failure of that operation.
        code: u8,
        /// What is not possible, as a verb.
        what: &'static str,
        /// The container.
        id: u32,
    },
    /// 156 create, 158 delete, 159 switch, 160 mount, 161 umount, 167 list: a snapshot.
    Snapshot(u8, String),
}

impl Error {
    /// The classic exit code.
    pub fn code(&self) -> u8 {
        match self {
            Error::System(_) => 3,
            Error::Kernel(_) => 5,
            Error::Resource(_) => 6,
            Error::Child(code) | Error::Told(code) => *code,
            Error::Locked { .. } | Error::Moving { .. } => 9,
            Error::NoGlobalConfig(..) => 10,
            Error::NotRoot => 12,
            Error::Capability(_) => 13,
            Error::NoScript(_) => 11,
            Error::NoConfig => 14,
            Error::Suspend(_) => 16,
            Error::Resume(_) => 17,
            Error::Syntax(_) => 20,
            Error::Value(_) => 21,
            Error::NotSet("VE_ROOT") => 22,
            Error::NotSet("VE_PRIVATE") => 23,
            Error::NotSet("TEMPLATE") => 24,
            Error::NotSet(_) => 77,
            Error::NoTemplate => 29,
            Error::NotRunning(_) => 31,
            Error::Running(_) => 32,
            Error::Stop(_) => 33,
            Error::AddIp(_) => 34,
            Error::NotMounted(_) => 40,
            Error::Mounted(_) => 41,
            Error::NoPrivate(_) => 43,
            Error::PrivateExists(_) => 44,
            Error::DiskFull(_) => 46,
            Error::BadTemplate(_) => 47,
            Error::Create(_) => 48,
            Error::Mount(_) => 50,
            Error::Umount(_) => 51,
            Error::Delete(_) => 52,
            Error::Quota(_) => 60,
            Error::DiskLimitNotSet("DISKSPACE") | Error::SizeNotSet(_) => 63,
            Error::DiskLimitNotSet(_) => 64,
            Error::BadAddress(_) => 71,
            Error::Password(_) => 74,
            Error::AddressInUse(_) => 78,
            Error::Script(_) => 79,
            Error::Sample(_) => 82,
            Error::InvalidConfig(_) => 85,
            Error::Device(_) => 86,
            Error::TemplateMissing(_) => 91,
            Error::NetworkDevice(_) => 104,
            Error::Disabled => 105,
            Error::Netfilter(_) => 106,
            Error::ApplyConfig(_) => 109,
            Error::Interface(_) => 130,
            Error::Name(_) => 131,
            Error::Wait(_) => 133,
            Error::Save(..) => 139,
            Error::Io(_) => 148,
            Error::Convert(_) => 155,
            Error::Image(code, _) | Error::Snapshot(code, _) | Error::Suspended { code, .. } => *code,
        }
    }

    /// A failed system call: the action, and the kernel's error. A full disk is a separate error.
    pub fn system(what: impl fmt::Display, error: io::Error) -> Error {
        let text = format!("{what}: {}", why(&error));
        match error.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => Error::DiskFull(text),
            _ => Error::System(text),
        }
    }

    /// As [`Error::system`], for a file.
    pub fn file(path: &Path, error: io::Error) -> Error {
        Error::system(path.display(), error)
    }

    /// `Container is not running`, the usual message.
    pub fn not_running() -> Error {
        Error::NotRunning("Container is not running".into())
    }

    /// `Container is already running`, the usual message.
    pub fn running() -> Error {
        Error::Running("Container is already running".into())
    }
}

/// A failed call's reason in the C library's words, without the error number.
pub fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::Error::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

impl From<nix::Error> for Error {
    fn from(error: nix::Error) -> Error {
        Error::System(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::System(text)
            | Error::Kernel(text)
            | Error::Resource(text)
            | Error::Capability(text)
            | Error::Suspend(text)
            | Error::Resume(text)
            | Error::Syntax(text)
            | Error::Value(text)
            | Error::NotRunning(text)
            | Error::Running(text)
            | Error::Stop(text)
            | Error::AddIp(text)
            | Error::NotMounted(text)
            | Error::Mounted(text)
            | Error::DiskFull(text)
            | Error::BadTemplate(text)
            | Error::Create(text)
            | Error::Mount(text)
            | Error::Umount(text)
            | Error::Delete(text)
            | Error::Quota(text)
            | Error::BadAddress(text)
            | Error::Password(text)
            | Error::NoScript(text)
            | Error::Sample(text)
            | Error::Script(text)
            | Error::AddressInUse(text)
            | Error::InvalidConfig(text)
            | Error::Device(text)
            | Error::TemplateMissing(text)
            | Error::NetworkDevice(text)
            | Error::Netfilter(text)
            | Error::Interface(text)
            | Error::Name(text)
            | Error::Wait(text)
            | Error::Io(text)
            | Error::Convert(text)
            | Error::Image(_, text)
            | Error::Snapshot(_, text) => out.write_str(text),
            Error::Suspended { what, id, .. } => write!(
                out,
                "Unable to {what}: container is suspended\nvzctl resume {id} continues it, vzctl chkpnt {id} --kill gives its saved processes up"
            ),
            Error::Child(_) | Error::Told(_) => Ok(()),
            Error::Locked { pid, command } => {
                write!(out, "Locked by: pid {pid}, cmdline {command}\nContainer already locked")
            }
            Error::Moving { id, host } => write!(
                out,
                "Its migration to {host} was interrupted\nvzmigrate --recover={id} asks there whether it has arrived, vzctl destroy {id} removes it here"
            ),
            Error::NoGlobalConfig(path, error) => write!(out, "Unable to open {}: {}", path.display(), why(error)),
            Error::NotRoot => out.write_str("This program can only be run under root."),
            Error::NoConfig => out.write_str("Container config file does not exist"),
            Error::NotSet(key) => write!(out, "{key} is not set"),
            Error::NoTemplate => out.write_str("OS template is not specified"),
            Error::NoPrivate(path) => write!(out, "Container private area {} does not exist", path.display()),
            Error::PrivateExists(path) => write!(out, "Private area already exists in {}", path.display()),
            Error::DiskLimitNotSet(key) => {
                write!(out, "Error: Not enough parameters, {} quota not set", key.to_lowercase())
            }
            Error::SizeNotSet(why) => write!(out, "Error: diskspace not set{why}"),
            Error::Disabled => out.write_str("Container start disabled"),
            Error::ApplyConfig(path) => write!(out, "Sample config file not found: {}", path.display()),
            Error::Save(path, error) => write!(out, "Unable to save {}: {}", path.display(), why(error)),
        }
    }
}

impl std::error::Error for Error {}
