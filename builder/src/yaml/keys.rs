//! What a mapping may contain, as data. The parser accepts no other keys, and the schema for editors and the reference
//! are made of the same tables: a key without documentation can't exist.

/// A kind of mapping: its keys, and how they depend on each other.
#[derive(Debug)]
pub struct Keys {
    /// Its name in the schema and in the reference: `boot-entry`.
    pub id: &'static str,
    /// Its description in messages: `an entry of the boot menu`.
    pub what: &'static str,
    /// What it is for, in one or two sentences.
    pub about: &'static str,
    /// A valid mapping, as YAML in flow style.
    pub example: &'static str,
    /// Its keys, in groups, as some groups belong to several mappings.
    pub keys: &'static [&'static [Key]],
    /// How they depend on each other.
    pub rules: &'static [Rule],
}

impl Keys {
    /// All keys, in the order of the reference.
    pub fn all(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    /// The key of that name.
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.all().find(|key| key.name == name)
    }
}

/// A key of a mapping.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub form: Form,
    /// What it is for.
    pub about: &'static str,
    /// A value, as YAML.
    pub example: &'static str,
    /// Whether it has to be there.
    pub need: Need,
    /// The version of dbco that introduced it.
    pub since: &'static str,
}

/// Whether a key has to be there, and its value if it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It is an error if it is missing.
    Required,
    /// Without it nothing is set.
    Optional,
    /// Without it, this value, as YAML. The parser's default has to be the same, which a test compares.
    Default(&'static str),
    /// Without it, a value that depends on something else; in words.
    Depends(&'static str),
}

/// How the keys of a mapping depend on each other.
#[derive(Debug)]
pub enum Rule {
    /// Exactly one of these keys is there.
    One(&'static [&'static str]),
    /// These keys are only valid together with the other one.
    Needs(&'static [&'static str], &'static str),
    /// At most one of the two is there.
    Not(&'static str, &'static str),
}

/// What a value may be.
#[derive(Debug)]
pub enum Form {
    /// A single value.
    Scalar(&'static Scalar),
    /// One of several words.
    Words(&'static [Word]),
    /// A list.
    List(&'static Form),
    /// A mapping whose keys are up to the author.
    Map(&'static Form),
    /// A mapping with known keys.
    Mapping(&'static Keys),
    /// Any part of a mapping with known keys, to be merged over one.
    Difference(&'static Keys),
    /// Any of several forms.
    Any(&'static [Form]),
}

/// A word that a key may have as its value.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
}

impl Word {
    /// A word with its meaning.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about }
    }
}

/// A kind of single value.
#[derive(Debug)]
pub struct Scalar {
    /// Its name in the schema: `size`.
    pub id: &'static str,
    /// What it is, for the reference and for messages of editors.
    pub about: &'static str,
    /// The integers that it may be, both included.
    pub integers: Option<(u64, u64)>,
    /// The texts that it may be, as a regular expression (ECMA-262); empty for any text.
    pub texts: Option<&'static str>,
    /// Whether it may be `true` or `false`.
    pub booleans: bool,
}

const MOST: u64 = u32::MAX as u64;

/// Any text. YAML reads some texts as numbers or booleans (`6.1`), which are texts here as well.
pub static TEXT: Scalar = Scalar { id: "text", about: "text", integers: None, texts: Some(""), booleans: true };
/// `true` or `false`.
pub static BOOL: Scalar =
    Scalar { id: "boolean", about: "`true` or `false`", integers: None, texts: None, booleans: true };
/// An integer of 32 bits.
pub static NUMBER: Scalar = Scalar {
    id: "number",
    about: "a whole number from 0 to 4294967295",
    integers: Some((0, MOST)),
    texts: None,
    booleans: false,
};
/// A positive integer.
pub static POSITIVE: Scalar = Scalar {
    id: "positive",
    about: "a positive whole number",
    integers: Some((1, u64::MAX)),
    texts: None,
    booleans: false,
};
/// A TCP port.
pub static PORT: Scalar = Scalar {
    id: "port",
    about: "a port: a number from 1 to 65535",
    integers: Some((1, 65535)),
    texts: None,
    booleans: false,
};
/// Memory of a machine.
pub static MEBIBYTES: Scalar = Scalar {
    id: "mebibytes",
    about: "a number of MiB, without a unit",
    integers: Some((1, MOST)),
    texts: Some("^\\+?0*[1-9][0-9]*$"),
    booleans: false,
};
/// A number of bytes.
pub static SIZE: Scalar = Scalar {
    id: "size",
    about: "a size: a number with K, M, G or T (`512M`)",
    integers: None,
    texts: Some("^0*[1-9][0-9]*[KMGT]$"),
    booleans: false,
};

impl Form {
    /// [`TEXT`].
    pub const TEXT: Self = Self::Scalar(&TEXT);
    /// [`BOOL`].
    pub const BOOL: Self = Self::Scalar(&BOOL);
    /// [`NUMBER`].
    pub const NUMBER: Self = Self::Scalar(&NUMBER);
    /// [`POSITIVE`].
    pub const POSITIVE: Self = Self::Scalar(&POSITIVE);
    /// [`SIZE`].
    pub const SIZE: Self = Self::Scalar(&SIZE);
    /// A list of texts.
    pub const TEXTS: Self = Self::List(&Self::TEXT);
}

/// The first version of dbco.
const FIRST: &str = "0.1";

impl Key {
    /// A key that has to be there.
    pub const fn required(name: &'static str, form: Form, about: &'static str, example: &'static str) -> Self {
        Self { name, form, about, example, need: Need::Required, since: FIRST }
    }

    /// A key without which nothing is set.
    pub const fn optional(name: &'static str, form: Form, about: &'static str, example: &'static str) -> Self {
        Self { name, form, about, example, need: Need::Optional, since: FIRST }
    }

    /// The same with a default, as YAML.
    pub const fn default(self, value: &'static str) -> Self {
        Self { need: Need::Default(value), ..self }
    }

    /// The same with a default that depends on something else, in words.
    pub const fn depends(self, on: &'static str) -> Self {
        Self { need: Need::Depends(on), ..self }
    }

    /// The same key where it need not be there.
    pub const fn not_required(self) -> Self {
        Self { need: Need::Optional, ..self }
    }

    /// The same since a later version of dbco.
    pub const fn since(self, version: &'static str) -> Self {
        Self { since: version, ..self }
    }
}
