//! The keys of a toolchain.

use super::component::LIMITS;
use crate::source::keys::{DEBIAN, PACKAGE_FORM};
use crate::yaml::keys::{Form, Key, Keys, Rule};

/// A toolchain's file.
pub static TOOLCHAIN: Keys = Keys {
    id: "toolchain",
    what: "a toolchain",
    about: "A root filesystem of Debian packages that third-party tools run in: `toolchains/NAME.yaml`.",
    example: "{toolchain: tools, debian: bookworm, packages: []}",
    keys: &[&[
        Key::required("toolchain", Form::TEXT, "Its name, which is also that of its file.", "cmake"),
        Key::optional(
            "extends",
            Form::TEXT,
            "The toolchain that it extends, by a path relative to this file: packages are added, everything else is merged \
             as in a recipe.",
            "bookworm.yaml",
        ),
        Key::optional("summary", Form::TEXT, "A one-line description.", "CMake for components"),
        Key::required(
            "debian",
            DEBIAN,
            "The suites that its packages are taken from.",
            "[bookworm, bookworm-security]",
        ),
        Key::required(
            "packages",
            Form::List(&PACKAGE_FORM),
            "Its packages; their dependencies are included.",
            "[cmake, {name: ninja-build, suite: bookworm}]",
        ),
        Key::optional("without", Form::TEXTS, "Packages of the extended toolchain that are left out.", "[perl]"),
        Key::optional(
            "links",
            Form::Map(&Form::TEXT),
            "Symbolic links that maintainer scripts would have created: path to target.",
            "{/usr/bin/awk: mawk}",
        ),
        Key::optional(
            "files",
            Form::Map(&Form::TEXT),
            "Files that maintainer scripts would have created: path to content.",
            "{/etc/ld.so.conf.d/local.conf: /usr/local/lib}",
        ),
        Key::optional("limits", Form::Mapping(&LIMITS), "Limits for its packages.", "{unpacked: 128G}"),
    ]],
    rules: &[Rule::Needs(&["without"], "extends")],
};
