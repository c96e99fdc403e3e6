//! The engine of containers: what one is made of, as data, and how it is run by the OCI runtime crun.
//!
//! It knows nothing of OpenVZ's configuration. A caller mounts a tree (`layout`), describes the container ([`Spec`]),
//! creates it (`runtime::create`), attaches the network to the namespace of the process that `runtime::state` names,
//! and starts it (`runtime::start`).

pub mod error;
pub mod limits;
pub mod spec;

pub use error::Error;
pub use limits::Limits;
pub use spec::Spec;

/// What the engine's functions give.
pub type Result<T> = std::result::Result<T, Error>;
