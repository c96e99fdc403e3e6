//! The keys of a component, and of what others have as well: sources and limits.

use super::scalars::{APP, FHS, SHA256_FORM, SPLIT};
use crate::source::keys::{DEB, DEBIAN_SOURCE, GIT};
use crate::yaml::keys::{Form, Key, Keys, Rule, Word};

/// Budgets.
pub static LIMITS: Keys = Keys {
    id: "limits",
    what: "`limits`",
    about: "Budgets for archives and patches, for which the default ones are too small.",
    example: "{unpacked: 128G}",
    keys: &[&[
        Key::optional("unpacked", Form::SIZE, "Unpacked size of an archive.", "128G").default("64G"),
        Key::optional(
            "ratio",
            Form::POSITIVE,
            "Ratio of unpacked to packed size, for archives that unpack to more than 1 GiB.",
            "1000",
        )
        .default("250"),
        Key::optional("entries", Form::POSITIVE, "Entries of an archive.", "5000000").default("2000000"),
        Key::optional("depth", Form::POSITIVE, "Components of an entry's name.", "500").default("256"),
        Key::optional("headers", Form::SIZE, "Size of all extended headers: long names and attributes.", "128M")
            .default("64M"),
        Key::optional("memory", Form::SIZE, "Memory for decompressing.", "1G").default("256M"),
        Key::optional("streams", Form::POSITIVE, "Compressed streams in a file.", "2000000").default("1048576"),
        Key::optional("links", Form::POSITIVE, "Components of link targets that are followed.", "5000000")
            .default("1000000"),
        Key::optional("patch-size", Form::SIZE, "Size of a patch, decompressed.", "1G").default("256M"),
        Key::optional("patch-lines", Form::POSITIVE, "Lines of a patch.", "50000000").default("10000000"),
        Key::optional("patch-hunks", Form::POSITIVE, "Hunks of a patch.", "5000000").default("1000000"),
    ]],
    rules: &[],
};

/// A source.
pub static SOURCE: Keys = Keys {
    id: "source",
    what: "a source",
    about: "Content from outside, which the lock pins, or from the project. It has exactly one of the keys `url`, \
            `debian-source`, `deb`, `git` and `path`.",
    example: "{path: ../sources/kernel}",
    keys: &[&[
        Key::optional(
            "url",
            Form::Any(&[Form::TEXT, Form::TEXTS]),
            "One file: an address (`http:`, `https:`, `file:`), or several that are tried in this order.",
            "https://example.org/tool-1.2.tar.gz",
        ),
        Key::optional(
            "sha256",
            SHA256_FORM,
            "The digest of the file of `url`.",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )
        .depends("the one in the lock"),
        Key::optional(
            "debian-source",
            Form::Mapping(&DEBIAN_SOURCE),
            "A file of a Debian source package.",
            "{suite: bookworm, package: hello, version: 2.10-3, file: hello_2.10.orig.tar.gz}",
        ),
        Key::optional(
            "deb",
            Form::Mapping(&DEB),
            "An archive in a Debian package; only as the source of a component.",
            "{package: linux-source-6.1, debian: bookworm}",
        ),
        Key::optional(
            "git",
            Form::Mapping(&GIT),
            "The tree of a git commit.",
            "{url: \"https://example.org/tool.git\", commit: 0123456789abcdef0123456789abcdef01234567}",
        ),
        Key::optional(
            "path",
            Form::TEXT,
            "A file or folder of the project, relative to the file that names it.",
            "../sources/kernel",
        ),
        Key::optional(
            "exclude",
            Form::TEXTS,
            "Patterns of paths in the folder of `path` to leave out; `/` is the folder itself.",
            "[/target, /tests]",
        ),
        Key::optional(
            "strip",
            Form::NUMBER,
            "How many enclosing folders are removed from the paths of an archive; only in the source of a component.",
            "2",
        )
        .depends("1 if it contains everything, 0 for a git commit"),
    ]],
    rules: &[
        Rule::One(&["url", "debian-source", "deb", "git", "path"]),
        Rule::Needs(&["sha256"], "url"),
        Rule::Needs(&["exclude"], "path"),
    ],
};

/// A list of patches.
pub const PATCHES: Form = Form::List(&Form::Any(&[Form::TEXT, Form::Mapping(&SOURCE)]));

/// How a component is configured.
pub static KCONFIG: Keys = Keys {
    id: "kconfig",
    what: "a Kconfig configuration",
    about: "How a component with Kconfig (Linux, busybox) is configured. Each setting of a fragment has to take effect.",
    example: "{base: tinyconfig}",
    keys: &[&[
        Key::optional("base", Form::TEXT, "The make target that makes the initial configuration.", "tinyconfig"),
        Key::optional(
            "config",
            Form::Mapping(&SOURCE),
            "A complete `.config`, in place of `base`.",
            "{path: ../dot-config}",
        ),
        Key::optional(
            "resolve",
            Form::Words(&[
                Word::new("olddefconfig", "`make olddefconfig`"),
                Word::new("oldconfig", "`make oldconfig` with an empty answer to every question"),
            ]),
            "How symbols that no fragment names are set.",
            "oldconfig",
        )
        .default("olddefconfig"),
        Key::optional(
            "fragments",
            Form::TEXTS,
            "Fragments, in order; later ones override earlier ones. `tiny` is `kernel-config/tiny.config`, which is searched \
             for beside this file and in the folders above.",
            "[tiny]",
        ),
        Key::optional("make", Form::TEXTS, "Further arguments of make.", "[V=1]"),
    ]],
    rules: &[Rule::One(&["base", "config"])],
};

/// Crates.
pub static CARGO: Keys = Keys {
    id: "cargo",
    what: "`cargo`",
    about: "The crates that cargo finds during the build, without network.",
    example: "{lock: ../Cargo.lock}",
    keys: &[&[Key::required("lock", Form::TEXT, "The `Cargo.lock`, relative to this file.", "../Cargo.lock")]],
    rules: &[],
};

/// A component's file.
pub static COMPONENT: Keys = Keys {
    id: "component",
    what: "a component",
    about: "A program that is built from source into an install tree: `components/NAME.yaml`.",
    example: "{component: tool, version: \"1\", license: MIT, source: {path: ../sources/kernel}}",
    keys: &[&[
        Key::required("component", Form::TEXT, "Its name, which is also that of its file.", "dropbear"),
        Key::optional(
            "extends",
            Form::TEXT,
            "The component that it extends, by a path relative to this file; merged as a recipe is.",
            "base.yaml",
        ),
        Key::required("version", Form::TEXT, "Upstream's version.", "2022.83"),
        Key::optional("summary", Form::TEXT, "A one-line description.", "A small SSH server"),
        Key::required("license", Form::TEXT, "Its licence, an SPDX expression.", "MIT OR Apache-2.0"),
        Key::required(
            "source",
            Form::Mapping(&SOURCE),
            "What is unpacked into `/build/src`, where the scripts run.",
            "{path: ../sources/kernel}",
        ),
        Key::optional(
            "patches",
            PATCHES,
            "The patch series, in order: names below `patches/`, which is searched for beside this file and in the folders \
             above, or sources.",
            "[first.patch]",
        ),
        Key::optional(
            "needs",
            Form::TEXTS,
            "Components whose install trees are at `/deps/NAME` during the build.",
            "[musl]",
        ),
        Key::optional(
            "kconfig",
            Form::Mapping(&KCONFIG),
            "Its configuration by Kconfig fragments.",
            "{base: tinyconfig, fragments: [tiny]}",
        ),
        Key::optional("toolchain", Form::TEXT, "The toolchain that its scripts run in.", "rust")
            .depends("the recipe's `toolchains.build`"),
        Key::optional("cargo", Form::Mapping(&CARGO), "Crates for a component in Rust.", "{lock: ../Cargo.lock}"),
        Key::optional("env", Form::Map(&Form::TEXT), "Environment of every command.", "{CFLAGS: -Os}"),
        Key::optional(
            "build",
            Form::TEXT,
            "The shell script that builds, with `$JOBS`, `$SOURCE_DATE_EPOCH` and no network.",
            "make -j\"$JOBS\"",
        ),
        Key::optional(
            "install",
            Form::TEXT,
            "The shell script that installs below `$OUT`.",
            "make DESTDIR=\"$OUT\" install",
        ),
        Key::optional(
            "files",
            Form::Map(&Form::TEXT),
            "Named outputs besides the install tree: paths relative to the source folder. A kernel has `bzImage`.",
            "{bzImage: arch/x86/boot/bzImage, config: .config}",
        ),
        Key::optional(
            "layouts",
            Form::List(&Form::Words(&[APP, SPLIT, FHS])),
            "The layouts of root filesystems that its fixed paths are valid for.",
            "[split]",
        )
        .depends("any"),
        Key::optional("limits", Form::Mapping(&LIMITS), "Limits for its archives and patches.", "{unpacked: 128G}"),
    ]],
    rules: &[],
};
