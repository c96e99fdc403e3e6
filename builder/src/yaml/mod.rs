//! YAML written by people, with the location of every error: as nodes with locations ([`node`]), decoded to typed
//! values ([`decode`]), and the findings by line ([`text`]).

pub mod decode;
pub mod node;
pub mod text;
