//! The container engine: a container as data, and running it with the OCI runtime crun.
//!
//! It is independent of OpenVZ's configuration. A caller mounts a tree (`layout`), describes the container ([`ContainerSpec`]),
//! starts creating it ([`Runtime::begin`], [`runtime::Making::create`]), meanwhile sets up its network, and starts it
//! ([`runtime::Making::start`]).

mod bundle;
pub mod checkpoint;
pub mod console;
mod detached;
pub mod error;
pub mod freeze;
pub mod keeper;
pub mod limits;
pub mod oci;
mod program;
mod restored;
pub mod runtime;
mod seccomp;
pub mod spec;
mod start_space;
pub mod ve;

pub use error::Error;
pub use limits::CgroupLimits;
pub use runtime::Runtime;
pub use spec::ContainerSpec;

/// The result of the engine's functions.
pub type Result<T> = std::result::Result<T, Error>;
