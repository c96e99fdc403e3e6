//! The keys of sources in recipes, and those of the user's configuration file.

use crate::yaml::keys::{Form, Key, Keys};

const COMPONENTS: Key = Key::optional(
    "components",
    Form::TEXTS,
    "The components of the archive that packages are taken from.",
    "[main, non-free-firmware]",
)
.default("[main]");

const KEYRING: Key = Key::optional(
    "keyring",
    Form::TEXT,
    "A file with the OpenPGP keys that may sign the archive, armoured or binary. Its path is relative to the image recipe.",
    "keys/archive.asc",
)
.depends("Debian's keys, which are built in");

const COMMON: &[Key] = &[
    COMPONENTS,
    Key::optional("arch", Form::TEXT, "The architecture of the packages, by Debian's name.", "riscv64")
        .depends("that of the image; in toolchains, that of the machine that builds"),
    KEYRING,
];

/// A suite with keys of its own.
pub static SUITE: Keys = Keys {
    id: "suite",
    what: "a Debian suite",
    about: "A suite of a Debian archive.",
    example: "{suite: bookworm}",
    keys: &[&[Key::required("suite", Form::TEXT, "The suite, by codename or by name.", "bookworm-backports")], COMMON],
    rules: &[],
};

/// Several suites that share keys.
pub static SUITES: Keys = Keys {
    id: "suites",
    what: "Debian's suites",
    about: "Several suites of Debian archives that share keys.",
    example: "{suites: [bookworm, bookworm-security]}",
    keys: &[
        &[Key::required(
            "suites",
            Form::List(&Form::Any(&[Form::TEXT, Form::Mapping(&SUITE)])),
            "The suites. As in apt, the newest version of a package is selected, one from backports only if no other suite has it.",
            "[bookworm, {suite: bookworm-security, components: [main, contrib]}]",
        )],
        COMMON,
    ],
    rules: &[],
};

/// One suite or several.
pub const DEBIAN: Form = Form::Any(&[
    Form::TEXT,
    Form::List(&Form::Any(&[Form::TEXT, Form::Mapping(&SUITE)])),
    Form::Mapping(&SUITE),
    Form::Mapping(&SUITES),
]);

/// A package with a suite or a version.
pub static PACKAGE: Keys = Keys {
    id: "package",
    what: "a package",
    about: "A Debian package from a certain suite or in a certain version; the same as `name/suite` or `name=version`.",
    example: "{name: cmake}",
    keys: &[&[
        Key::required("name", Form::TEXT, "Its name.", "cmake"),
        Key::optional("suite", Form::TEXT, "The suite that it is taken from, which `debian` has to list.", "bookworm")
            .depends("the one that apt would select"),
        Key::optional("version", Form::TEXT, "Its version; `*` stands for any characters.", "3.25.*")
            .depends("the newest of the suite"),
    ]],
    rules: &[],
};

/// A package in a list.
pub const PACKAGE_FORM: Form = Form::Any(&[Form::TEXT, Form::Mapping(&PACKAGE)]);

/// A git commit.
pub static GIT: Keys = Keys {
    id: "git",
    what: "a git source",
    about: "The tree of a git commit, fetched by the host's git.",
    example: "{url: \"https://example.org/tool.git\", commit: 0123456789abcdef0123456789abcdef01234567}",
    keys: &[&[
        Key::required("url", Form::TEXT, "Anything that `git fetch` accepts.", "https://example.org/tool.git"),
        Key::required(
            "commit",
            Form::TEXT,
            "The full name of the commit, 40 hexadecimal digits: a branch or a tag may move.",
            "89abcdef0123456789abcdef0123456789abcdef",
        ),
        Key::optional("submodules", Form::BOOL, "Whether the trees of its submodules are included.", "true")
            .default("false"),
    ]],
    rules: &[],
};

/// A file of a Debian source package.
pub static DEBIAN_SOURCE: Keys = Keys {
    id: "debian-source",
    what: "a Debian source package",
    about: "A file of a Debian source package: upstream's archive, without Debian's own patches.",
    example: "{suite: bookworm, package: hello, version: 2.10-3, file: hello_2.10.orig.tar.gz}",
    keys: &[&[
        Key::required("suite", Form::TEXT, "The suite, by codename or by name.", "bookworm"),
        COMPONENTS,
        KEYRING,
        Key::required("package", Form::TEXT, "The source package.", "linux"),
        Key::required("version", Form::TEXT, "Its version; `newest`, or a pattern with `*`.", "6.1.*"),
        Key::required("file", Form::TEXT, "The file; a pattern with `*` if the version is one.", "linux_*.orig.tar.xz"),
    ]],
    rules: &[],
};

/// An archive in a Debian package.
pub static DEB: Keys = Keys {
    id: "deb",
    what: "a Debian package that holds a source",
    about: "An archive in a Debian package, such as `linux-source-6.1`.",
    example: "{package: linux-source-6.1, debian: bookworm}",
    keys: &[&[
        Key::required("debian", DEBIAN, "The suites that it is taken from.", "bookworm"),
        Key::required("package", PACKAGE_FORM, "The package.", "linux-source-6.1"),
        Key::optional("file", Form::TEXT, "The archive's path in the package.", "usr/src/linux-source-6.1.tar.xz")
            .depends("the only archive in `usr/src`"),
    ]],
    rules: &[],
};

static NETWORK: Keys = Keys {
    id: "network",
    what: "`network`",
    about: "Limits for downloads.",
    example: "{connect: 10}",
    keys: &[&[
        Key::optional("connect", Form::POSITIVE, "Seconds to connect.", "20").default("10"),
        Key::optional("answer", Form::POSITIVE, "Seconds until a server answers.", "30").default("15"),
        Key::optional("stall", Form::POSITIVE, "The seconds over which the rate is measured.", "20").default("10"),
        Key::optional("min-rate", Form::POSITIVE, "Bytes a second; a slower place has failed.", "4096").default("1024"),
        Key::optional("hedge", Form::POSITIVE, "Seconds without data until the next place is tried as well.", "5")
            .default("3"),
        Key::optional(
            "max-size",
            Form::POSITIVE,
            "Bytes, of files whose length is not known beforehand.",
            "1073741824",
        )
        .default("4294967296"),
    ]],
    rules: &[],
};

/// The user's configuration file.
pub static CONFIG: Keys = Keys {
    id: "config",
    what: "the configuration",
    about: "The user's settings: `~/.config/dbco/config.yaml`. Nothing in it changes what is built.",
    example: "{mirrors: {debian: [\"http://mirror.example/debian\"]}}",
    keys: &[&[
        Key::optional(
            "mirrors",
            Form::Map(&Form::TEXTS),
            "Mirrors of archives, by the archive's name, tried in this order.",
            "{debian: [\"http://mirror.example/debian\"], debian-security: [\"http://mirror.example/debian-security\"]}",
        )
        .depends("those of the host's apt"),
        Key::optional("network", Form::Mapping(&NETWORK), "Limits for downloads.", "{connect: 20, min-rate: 4096}"),
    ]],
    rules: &[],
};
