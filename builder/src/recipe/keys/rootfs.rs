//! The keys of a root filesystem.

use super::scalars::{COMPRESSION, FHS, OCTAL_FORM, SPLIT};
use super::system::SYSTEM;
use crate::source::keys::{DEBIAN, PACKAGE_FORM};
use crate::yaml::keys::{Form, Key, Keys, Rule, Word};

/// An account.
pub static USER: Keys = Keys {
    id: "user",
    what: "an account",
    about: "An account, for `passwd`, `shadow` and `group`.",
    example: "{name: ann, uid: 1000, shell: /system/bin/sh}",
    keys: &[&[
        Key::required("name", Form::TEXT, "Login name.", "ann"),
        Key::required("uid", Form::NUMBER, "User id.", "1000"),
        Key::optional("gid", Form::NUMBER, "Primary group's id.", "1000").depends("the user id"),
        Key::optional("groups", Form::TEXTS, "Supplementary groups.", "[disk]"),
        Key::optional("home", Form::TEXT, "Home folder.", "/usr/home/ann").depends("`/usr/home/` and the name"),
        Key::required("shell", Form::TEXT, "Login shell, which has to be in the root.", "/system/bin/sh"),
        Key::optional(
            "password",
            Form::TEXT,
            "A crypt(5) hash (`openssl passwd -6` makes one); `!` locks the account, an empty text asks for none.",
            "\"\"",
        )
        .default("\"!\""),
        Key::optional("gecos", Form::TEXT, "Full name.", "Ann Example"),
        Key::optional(
            "ssh-keys",
            Form::TEXTS,
            "Public keys that may log in by SSH, as lines of `.ssh/authorized_keys` in its home folder.",
            "[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann]",
        ),
    ]],
    rules: &[],
};

/// A group.
pub static GROUP: Keys = Keys {
    id: "group",
    what: "a group",
    about: "A group in addition to those of the accounts.",
    example: "{name: disk, gid: 6}",
    keys: &[&[
        Key::required("name", Form::TEXT, "Its name.", "disk"),
        Key::required("gid", Form::NUMBER, "Its id.", "6"),
    ]],
    rules: &[],
};

/// A path with its attributes.
pub static ATTRIBUTES: Keys = Keys {
    id: "attributes",
    what: "a path with its attributes",
    about: "Mode, owner and extended attributes of a path; what is not given is left unchanged.",
    example: "{path: /system/etc/motd}",
    keys: &[&[
        Key::required("path", Form::TEXT, "The path; under `attributes` it may be a pattern.", "/system/etc/motd"),
        Key::optional("mode", OCTAL_FORM, "Permission bits, in octal; quoted.", "\"0644\""),
        Key::optional("uid", Form::NUMBER, "Owner's number.", "0"),
        Key::optional("gid", Form::NUMBER, "Group's number.", "0"),
        Key::optional("owner", Form::TEXT, "Owner, an account of the recipe.", "root"),
        Key::optional("group", Form::TEXT, "Group, of the recipe.", "root"),
        Key::optional("capabilities", Form::TEXT, "Capabilities of a program, as in setcap(8).", "cap_net_raw+ep"),
        Key::optional(
            "xattrs",
            Form::Map(&Form::TEXT),
            "Extended attributes: text, or `0x` and hexadecimal digits.",
            "{user.origin: overlay}",
        ),
    ]],
    rules: &[Rule::Not("uid", "owner"), Rule::Not("gid", "group")],
};

/// A device node.
pub static NODE: Keys = Keys {
    id: "device-node",
    what: "a device node",
    about: "A device node.",
    example: "{path: /dev/null, major: 1, minor: 3}",
    keys: &[&[
        Key::required("path", Form::TEXT, "Its path.", "/dev/null"),
        Key::optional(
            "type",
            Form::Words(&[Word::new("char", "a character device"), Word::new("block", "a block device")]),
            "Its type.",
            "block",
        )
        .default("char"),
        Key::required("major", Form::NUMBER, "Major number.", "1"),
        Key::required("minor", Form::NUMBER, "Minor number.", "3"),
        Key::optional("mode", OCTAL_FORM, "Permission bits, in octal; quoted.", "\"0666\"").default("\"0600\""),
    ]],
    rules: &[],
};

/// A diversion.
pub static DIVERSION: Keys = Keys {
    id: "diversion",
    what: "a diversion",
    about: "A path of packages that a maintainer script, which is not run, would divert (dpkg-divert(1)).",
    example: "{from: /bin/zcat, to: /bin/zcat.gzip}",
    keys: &[&[
        Key::required("from", Form::TEXT, "The path.", "/bin/zcat"),
        Key::required("to", Form::TEXT, "The new path.", "/bin/zcat.gzip"),
        Key::optional("by", Form::TEXT, "The package whose own file stays.", "zutils")
            .depends("none: all are diverted"),
    ]],
    rules: &[],
};

/// An overlay with its modes.
pub static OVERLAY: Keys = Keys {
    id: "overlay",
    what: "an overlay",
    about: "A folder of the project that is copied into a root.",
    example: "{path: overlay}",
    keys: &[&[
        Key::required("path", Form::TEXT, "The folder, relative to the file that names it.", "overlay"),
        Key::optional(
            "modes",
            Form::Words(&[
                Word::new("plain", "755 for folders and executable files, otherwise 644"),
                Word::new("keep", "those of the files"),
            ]),
            "Permission bits of its files.",
            "keep",
        )
        .default("plain"),
    ]],
    rules: &[],
};

/// A list of overlays.
pub const OVERLAYS: Form = Form::List(&Form::Any(&[Form::TEXT, Form::Mapping(&OVERLAY)]));

const ATTRIBUTES_FORM: Form = Form::List(&Form::Any(&[Form::TEXT, Form::Mapping(&ATTRIBUTES)]));

/// A service.
pub static SERVICE: Keys = Keys {
    id: "service",
    what: "a service",
    about: "A program that the system runs from its start, under the supervision of runit (component `runit`): `docs/services.md`.",
    example: "{name: web, command: /system/bin/httpd -f}",
    keys: &[&[
        Key::required("name", Form::TEXT, "Its name: `sv status NAME`, and its log.", "web"),
        Key::required(
            "command",
            Form::Any(&[Form::TEXT, Form::TEXTS]),
            "The program and its arguments: words separated by spaces, or a list. No shell interprets them.",
            "[/system/bin/httpd, -f]",
        ),
        Key::optional("user", Form::TEXT, "The account that it runs as.", "www").depends("root"),
        Key::optional(
            "restart",
            Form::Words(&[
                Word::new("always", "it is started again, a second later"),
                Word::new("on-failure", "the same, unless its status is 0"),
                Word::new("never", "it stays ended"),
            ]),
            "What happens when it ends.",
            "on-failure",
        )
        .default("always"),
        Key::optional("after", Form::TEXTS, "Services that have to run before.", "[database]"),
        Key::optional("network", Form::BOOL, "Whether it waits for a default route.", "true").default("false"),
        Key::optional(
            "log",
            Form::Words(&[
                Word::new("file", "`/system/var/log/NAME/current`, with times; old files are removed"),
                Word::new("console", "the console"),
                Word::new("none", "nothing is kept"),
            ]),
            "Where its output goes.",
            "console",
        )
        .default("file"),
        Key::optional("env", Form::Map(&Form::TEXT), "Its environment, in addition to `PATH`.", "{PORT: \"80\"}"),
        Key::optional("directory", Form::TEXT, "The folder that it runs in.", "/usr/www")
            .depends("its own in `/system/etc/sv`"),
    ]],
    rules: &[],
};

/// What the audit ignores.
pub static AUDIT: Keys = Keys {
    id: "audit",
    what: "`audit`",
    about: "Settings of `dbco audit`.",
    example: "{allow: [\"/system/bin/busybox: /init\"]}",
    keys: &[&[Key::optional(
        "allow",
        Form::TEXTS,
        "References that are accepted: `<file>: <text>`, either with `*`.",
        "[\"/system/bin/busybox: /init\"]",
    )]],
    rules: &[],
};

/// The layout of the live system's root.
const LAYOUT: Key =
    Key::required("layout", Form::Words(&[SPLIT, FHS]), "What is permitted at the top of the root.", "split");

/// The keys of a root's content, other than its layout.
pub static CONTENT: [Key; 15] = [
    Key::optional("components", Form::TEXTS, "Components whose install trees it contains.", "[]"),
    Key::optional("debian", DEBIAN, "The suites that `packages` are taken from.", "bookworm"),
    Key::optional(
        "packages",
        Form::List(&PACKAGE_FORM),
        "Debian packages; their dependencies are included. Maintainer scripts are not run.",
        "[]",
    ),
    Key::optional("exclude", Form::TEXTS, "Patterns of paths in packages that are left out.", "[/usr/share/doc/*]"),
    Key::optional(
        "diversions",
        Form::List(&Form::Mapping(&DIVERSION)),
        "Diversions that packages' maintainer scripts would have made.",
        "[{from: /bin/zcat, to: /bin/zcat.gzip, by: zutils}]",
    ),
    Key::optional(
        "overlays",
        OVERLAYS,
        "Folders of the project that are copied into it, relative to the file that names them.",
        "[overlay]",
    ),
    Key::optional(
        "users",
        Form::List(&Form::Mapping(&USER)),
        "Accounts.",
        "[{name: root, uid: 0, shell: /system/bin/sh, home: /system/root}]",
    ),
    Key::optional(
        "groups",
        Form::List(&Form::Mapping(&GROUP)),
        "Groups besides those of the accounts.",
        "[{name: disk, gid: 6}]",
    ),
    Key::optional(
        "dirs",
        ATTRIBUTES_FORM,
        "Folders that have to exist; their attributes take precedence over those of other origins.",
        "[/system/run, {path: /system/tmp, mode: \"1777\"}]",
    ),
    Key::optional(
        "nodes",
        Form::List(&Form::Mapping(&NODE)),
        "Device nodes.",
        "[{path: /dev/null, type: char, major: 1, minor: 3, mode: \"0666\"}]",
    ),
    Key::optional("links", Form::Map(&Form::TEXT), "Symbolic links: path to target.", "{/system/init: bin/busybox}"),
    Key::optional(
        "attributes",
        ATTRIBUTES_FORM,
        "Modes, owners, capabilities and extended attributes by path or pattern; applied in order, after everything else.",
        "[{path: /system/etc/motd, mode: \"0600\"}]",
    ),
    Key::optional(
        "services",
        Form::List(&Form::Mapping(&SERVICE)),
        "Programs that the system runs from its start, in layout `split`.",
        "[{name: web, command: /system/bin/httpd -f}]",
    ),
    Key::optional(
        "replace",
        Form::TEXTS,
        "Paths for which a later origin may replace an earlier one; a trailing `/**` covers everything below.",
        "[/system/etc/motd]",
    ),
    Key::optional(
        "audit",
        Form::Mapping(&AUDIT),
        "What `dbco audit` ignores.",
        "{allow: [\"/system/bin/busybox: /init\"]}",
    ),
];

/// The root filesystem.
pub static ROOTFS: Keys = Keys {
    id: "rootfs",
    what: "`rootfs`",
    about: "The live system's root filesystem. A file that two origins provide with different contents is an error, unless \
            `replace` lists it.",
    example: "{layout: split, overlays: [overlay]}",
    keys: &[
        &[LAYOUT],
        &CONTENT,
        &SYSTEM,
        &[Key::optional("compression", COMPRESSION, "The compression of the output `rootfs`.", "xz").default("zstd")],
    ],
    rules: &[],
};
