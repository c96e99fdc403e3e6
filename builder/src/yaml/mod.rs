//! YAML written by people, with the location of every error: as nodes with locations ([`node`]), decoded to typed
//! values ([`decode`]), and the findings by line ([`text`]). What mappings may contain is data ([`keys`]); single
//! values are also given as JSON ([`json`]) and as YAML ([`scalar`]). A document's text is changed in place, so that
//! comments, order and style stay ([`edit`]).

pub mod decode;
pub mod edit;
mod explain;
pub mod json;
pub mod keys;
pub mod node;
pub mod scalar;
pub mod text;
