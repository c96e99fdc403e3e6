//! What dbco reads, for editors and for people: a JSON Schema of each kind of file, and the reference of all keys. Both
//! are made of the tables that the parser uses ([`Keys`]).

mod example;
mod json;
mod reference;

use crate::cve::EXCEPTIONS;
use crate::recipe::keys::{COMPONENT, PROJECT, RECIPE, TOOLCHAIN};
use crate::source::keys::CONFIG;
use crate::yaml::keys::Keys;

pub use json::schema;
pub use reference::reference;

/// A kind of YAML file that people write.
#[derive(Debug)]
pub struct DocumentKind {
    /// Its name as an argument of `dbco schema`.
    pub name: &'static str,
    /// Where such files are.
    pub files: &'static str,
    /// Its content.
    pub keys: &'static Keys,
    /// Whether `${name}` stands for a parameter in its values.
    pub parameters: bool,
    /// Whether it can extend another file, and then state only what differs.
    pub extends: bool,
}

/// All kinds. The lock is not among them: only dbco writes it.
pub static KINDS: [DocumentKind; 6] = [
    DocumentKind { name: "recipe", files: "recipes/*.yaml", keys: &RECIPE, parameters: true, extends: true },
    DocumentKind { name: "component", files: "components/*.yaml", keys: &COMPONENT, parameters: false, extends: true },
    DocumentKind { name: "toolchain", files: "toolchains/*.yaml", keys: &TOOLCHAIN, parameters: false, extends: true },
    DocumentKind { name: "project", files: "dbco.yaml", keys: &PROJECT, parameters: false, extends: false },
    DocumentKind {
        name: "config",
        files: "~/.config/dbco/config.yaml",
        keys: &CONFIG,
        parameters: false,
        extends: false,
    },
    DocumentKind {
        name: "vulnerabilities",
        files: "vulnerabilities.yaml",
        keys: &EXCEPTIONS,
        parameters: false,
        extends: false,
    },
];
