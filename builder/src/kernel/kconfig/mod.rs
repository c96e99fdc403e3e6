//! The Kconfig language, parsed in enough detail to explain why a symbol has its value.
//!
//! The grammar is that of the kernel's `Documentation/kbuild/kconfig-language.rst` and `kconfig-macro-language.rst`,
//! with the additions of older kernels (`---help---`, `option env=`, `$SRCARCH`), busybox (unquoted paths) and
//! kconfiglib's users (`rsource`, globs). `conf` itself has accepted the files before they are read here, so a line
//! that can't be parsed is only recorded as an [`Oddity`].

#[cfg(test)]
mod cases;
pub mod explain;
mod expr;
pub mod facts;
mod files;
mod given;
mod members;
mod model;
mod needs;
mod parse;
pub mod predict;
pub(super) mod remedy;
mod resolve;
#[cfg(test)]
mod resolve_tests;
#[cfg(test)]
mod tests;
mod token;
mod values;
mod way;
mod words;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

pub use expr::{Atom, Expr, Tristate};
pub use facts::ToolchainFacts;
pub use files::SourceFiles;
pub use token::Op;

#[cfg(test)]
use super::versions::Version;
use crate::platform::{KernelNames, Platform};
use token::Variables;

/// A line of a Kconfig file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KconfigPlace {
    /// Relative to the root of the source.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for KconfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The type of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolType {
    /// n or y
    Bool,
    /// n, m or y
    Tristate,
    /// A text in quotes.
    Text,
    /// A decimal number.
    Int,
    /// A hexadecimal number.
    Hex,
}

impl fmt::Display for SymbolType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Tristate => "tristate",
            Self::Text => "string",
            Self::Int => "int",
            Self::Hex => "hex",
        })
    }
}

/// A condition and its place.
#[derive(Clone, Debug)]
pub struct Guard {
    /// What must be true.
    pub condition: Expr,
    /// Its place.
    pub place: KconfigPlace,
}

/// The text by which the user is prompted.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// Its condition; `None` for always.
    pub condition: Option<Expr>,
    /// Its place.
    pub place: KconfigPlace,
}

/// `default VALUE if CONDITION`, `def_bool` …
#[derive(Clone, Debug)]
pub struct DefaultValue {
    /// The value.
    pub value: Expr,
    /// Its condition.
    pub condition: Option<Expr>,
    /// Its place.
    pub place: KconfigPlace,
}

/// `select SYMBOL if CONDITION`, or `imply`.
#[derive(Clone, Debug)]
pub struct Select {
    /// The symbol that is turned on.
    pub symbol: String,
    /// Its condition.
    pub condition: Option<Expr>,
    /// Whether it is an `imply`, which the user may override.
    pub weak: bool,
    /// Its place.
    pub place: KconfigPlace,
}

/// `range LOW HIGH if CONDITION`
#[derive(Clone, Debug)]
pub struct Range {
    /// Least value.
    pub low: Atom,
    /// Greatest value.
    pub high: Atom,
    /// Its condition.
    pub condition: Option<Expr>,
    /// Its place.
    pub place: KconfigPlace,
}

/// One `config` block. A symbol may have several.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its first line.
    pub place: KconfigPlace,
    /// The enclosing scope.
    pub scope: ScopeId,
    /// Its prompts; a symbol without any is computed.
    pub prompt: Option<Prompt>,
    /// Its own `depends on` lines.
    pub depends: Vec<Guard>,
    /// Its defaults; the first whose condition is true counts.
    pub defaults: Vec<DefaultValue>,
    /// The symbols that it turns on.
    pub selects: Vec<Select>,
    /// Its ranges.
    pub ranges: Vec<Range>,
    /// `transitional`: an old name that only passes on the value of an older configuration (Linux 6.18 and later).
    pub transitional: bool,
}

/// A symbol.
#[derive(Clone, Debug, Default)]
pub struct Symbol {
    /// Its type, if a definition states one.
    pub kind: Option<SymbolType>,
    /// Every `config` block of it.
    pub definitions: Vec<Definition>,
}

/// Index of a [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(usize);

/// The kind of a scope.
#[derive(Clone, Debug)]
pub enum ScopeKind {
    /// The whole source.
    Root,
    /// `menu`
    Menu,
    /// `if`
    If,
    /// `choice`: the symbols of which one is chosen.
    Choice(Choice),
}

/// A `choice`.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// In the order of the file.
    pub members: Vec<String>,
    /// Its type, if it states one.
    pub kind: Option<SymbolType>,
    /// Its defaults, each of which names a member.
    pub defaults: Vec<DefaultValue>,
    /// `optional`: it may be left without a chosen member.
    pub optional: bool,
    /// Which of the scope's `depends` is the condition of its prompt.
    pub prompt: Option<usize>,
}

/// A block whose conditions apply to everything inside it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The enclosing scope.
    pub parent: Option<ScopeId>,
    /// The number of enclosing scopes.
    pub depth: usize,
    /// Its kind.
    pub kind: ScopeKind,
    /// A menu's or choice's title.
    pub title: String,
    /// Where it starts.
    pub place: KconfigPlace,
    /// `depends on`, or the condition of an `if` or of a choice's prompt.
    pub depends: Vec<Guard>,
    /// `visible if`: applies to prompts only.
    pub visible: Vec<Guard>,
}

/// A line that could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// Its place.
    pub place: KconfigPlace,
    /// What is wrong.
    pub what: String,
}

/// All symbols of a source.
#[derive(Clone, Debug)]
pub struct Kconfig {
    /// By name, without `CONFIG_`.
    pub symbols: HashMap<String, Symbol>,
    /// The names, in the order of their first definitions.
    order: Vec<String>,
    /// Lines that could not be parsed.
    pub oddities: Vec<Oddity>,
    scopes: Vec<Scope>,
    /// The symbols that select or imply a symbol, with where in their definitions: (name, definition, select).
    selectors: HashMap<String, Vec<(String, usize, usize)>>,
    /// Symbols that take their value from the environment (`option env=`).
    environment: HashMap<String, String>,
    root: SourceFiles,
    /// Where files that were not read define symbols; computed on first use.
    elsewhere: OnceLock<HashMap<String, Vec<KconfigPlace>>>,
}

impl Kconfig {
    /// Reads the Kconfig files of a source for an architecture, without knowing the compiler.
    pub fn load(source: &SourceFiles, platform: Platform) -> io::Result<Self> {
        Self::load_for(source, platform, &ToolchainFacts::default(), &[])
    }

    /// The same, with what is known of the toolchain, and with make's arguments, of which `NAME=value` set variables.
    pub fn load_for(
        source: &SourceFiles,
        platform: Platform,
        facts: &ToolchainFacts,
        make: &[String],
    ) -> io::Result<Self> {
        let KernelNames { arch, source: srcarch, .. } = platform.names().kernel;
        let top = ["Kconfig".to_owned(), format!("arch/{srcarch}/Kconfig"), "Config.in".to_owned()];
        let Some(top) = top.iter().find(|name| source.has_file(name)) else {
            let what = format!("no Kconfig, arch/{srcarch}/Kconfig or Config.in in the source");
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        };
        let mut variables = Variables::new(facts.clone());
        for (name, value) in [("ARCH", arch), ("SRCARCH", srcarch), ("srctree", ".")] {
            variables.set(name, value);
        }
        for (name, value) in facts.variables() {
            variables.set(name, value);
        }
        for (name, value) in make.iter().filter_map(|argument| argument.split_once('=')) {
            variables.set(name, value);
        }
        Ok(parse::parse(source.clone(), top, variables))
    }

    /// A scope and all that enclose it, from the innermost outwards.
    pub fn enclosing(&self, scope: ScopeId) -> impl Iterator<Item = &Scope> {
        std::iter::successors(Some(&self.scopes[scope.0]), |scope| scope.parent.map(|parent| &self.scopes[parent.0]))
    }

    /// Every active or inactive `select` and `imply` of a symbol, with the enclosing definition and the name of its
    /// symbol.
    pub fn selectors(&self, symbol: &str) -> impl Iterator<Item = (&str, &Definition, &Select)> {
        self.selectors.get(symbol).into_iter().flatten().map(|(name, definition, select)| {
            let definition = &self.symbols[name].definitions[*definition];
            (name.as_str(), definition, &definition.selects[*select])
        })
    }
}
