//! The engine of containers: what one is made of, as data, and how it is run by the OCI runtime crun.
//!
//! It knows nothing of OpenVZ's configuration. A caller mounts a tree (`layout`), describes the container ([`Spec`]), begins to make it
//! ([`Runtime::begin`], [`runtime::Making::create`]), meanwhile makes its network, and starts it ([`runtime::Making::start`]).

mod bundle;
pub mod console;
pub mod error;
pub mod freeze;
pub mod keeper;
pub mod limits;
pub mod oci;
mod program;
pub mod runtime;
mod seccomp;
pub mod spec;
pub mod ve;

pub use error::Error;
pub use limits::Limits;
pub use runtime::Runtime;
pub use spec::Spec;

/// What the engine's functions give.
pub type Result<T> = std::result::Result<T, Error>;
