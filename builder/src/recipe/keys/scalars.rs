//! Single values that only recipes have.

use crate::yaml::keys::{Form, Scalar, Word};

static NAME: Scalar = Scalar {
    id: "name",
    about: "a name: up to 100 bytes without `/`, not beginning with `.` or `-`",
    integers: None,
    texts: Some("^[^./\\s-]([^/]*[^/\\s])?$"),
    booleans: true,
};

static DATE: Scalar = Scalar {
    id: "date",
    about: "a date (`2026-11-01`) or seconds since 1970",
    integers: Some((0, u32::MAX as u64)),
    texts: Some("^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]+)$"),
    booleans: false,
};

static OCTAL: Scalar = Scalar {
    id: "mode",
    about: "permission bits in octal (`\"0755\"`)",
    integers: Some((0, 7777)),
    texts: Some("^(0o)?[0-7]{1,5}$"),
    booleans: false,
};

static SHA256: Scalar = Scalar {
    id: "sha256",
    about: "a sha256 digest: 64 hexadecimal digits",
    integers: None,
    texts: Some("^[0-9a-fA-F]{64}$"),
    booleans: false,
};

/// The name of a recipe, test or entry.
pub const NAME_FORM: Form = Form::Scalar(&NAME);
/// A day.
pub const DATE_FORM: Form = Form::Scalar(&DATE);
/// Permission bits.
pub const OCTAL_FORM: Form = Form::Scalar(&OCTAL);
/// A digest.
pub const SHA256_FORM: Form = Form::Scalar(&SHA256);

/// What is permitted at the top of a root.
pub const SPLIT: Word = Word::new("split", "`/system` and `/usr` only, in addition to `/dev`, `/proc` and `/sys`");
/// The same.
pub const FHS: Word = Word::new("fhs", "the Filesystem Hierarchy Standard");
/// The same.
pub const APP: Word = Word::new("app", "only an application's own content: `/usr`");

/// Compressions.
pub const ZSTD: Word = Word::new("zstd", "Zstandard, level 19: small, and by far the fastest to unpack");
/// The same.
pub const XZ: Word = Word::new("xz", "XZ: the smallest");
/// The same.
pub const GZIP: Word = Word::new("gzip", "Gzip, level 9: every kernel and every tar has it");
/// The same.
pub const LZ4: Word = Word::new("lz4", "LZ4: fast, and large");
/// The same.
pub const NONE: Word = Word::new("none", "no compression");

/// The compressions of archives and of the initrd.
pub const COMPRESSION: Form = Form::Words(&[ZSTD, XZ, GZIP, LZ4, NONE]);
