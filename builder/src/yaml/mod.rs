//! YAML that a person wrote, with every mistake located: as nodes with their places ([`node`]), read as typed values
//! ([`decode`]), and what was found wrong in which line ([`text`]).

pub mod decode;
pub mod node;
pub mod text;
