//! The errors of this module.

use super::{AddressOwner, Forward};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why a container's network could not be made or changed.
#[derive(Debug)]
pub enum Error {
    /// The address is in use (classic exit code 78).
    InUse {
        /// The address.
        address: IpAddr,
        /// The user of the address.
        user: AddressOwner,
    },
    /// A value does not have the expected form.
    Invalid {
        /// What it is.
        what: &'static str,
        /// The value.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// An interface of this name exists already.
    Exists(String),
    /// There is no such interface.
    NoInterface(String),
    /// There is no such bridge, or the device is not a bridge.
    NoBridge(String),
    /// Ports can't be forwarded to a container without an address.
    NoAddress,
    /// The host's port is forwarded to another container already.
    PortTaken {
        /// The port.
        forward: Forward,
        /// The other container.
        user: AddressOwner,
    },
    /// A file could not be read or written.
    File {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The kernel refused.
    Kernel {
        /// The action.
        what: String,
        /// The kernel's error.
        source: std::io::Error,
    },
}

impl Error {
    pub(super) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::File { path: path.into(), source }
    }

    pub(super) fn invalid(what: &'static str, value: &str, expected: &'static str) -> Error {
        Error::Invalid { what, value: value.to_owned(), expected }
    }

    pub(super) fn kernel(what: impl Into<String>, source: std::io::Error) -> Error {
        Error::Kernel { what: what.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::InUse { address, user } => write!(out, "IP address {address} is in use by {user}"),
            Error::Invalid { what, value, expected } => write!(out, "invalid {what} \"{value}\": expected {expected}"),
            Error::Exists(name) => write!(out, "interface {name} already exists"),
            Error::NoInterface(name) => write!(out, "there is no interface {name}"),
            Error::NoBridge(name) => {
                write!(out, "there is no bridge {name}: create it first (brctl addbr {name}), or omit the bridge")
            }
            Error::NoAddress => out.write_str("ports can't be forwarded to a container that has no IP address"),
            Error::PortTaken { forward, user } => {
                write!(
                    out,
                    "{} port {} of the host is already forwarded to {user}",
                    forward.protocol, forward.host_port
                )
            }
            Error::File { path, source } => write!(out, "{}: {source}", path.display()),
            Error::Kernel { what, source } => write!(out, "{what}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::File { source, .. } | Error::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}
