//! The keys of an image recipe.

use super::boot::BOOT;
use super::component::{LIMITS, PATCHES};
use super::rootfs::{CONTENT, OVERLAYS, ROOTFS};
use super::scalars::{APP, COMPRESSION, DATE_FORM, FHS, GZIP, LZ4, NAME_FORM, SPLIT, XZ, ZSTD};
use super::system::SYSTEM;
use super::test::TEST;
use crate::platform::Platform;
use crate::source::keys::{DEBIAN, PACKAGE_FORM};
use crate::yaml::keys::{Form, Key, Keys, Rule, Word};

/// A parameter.
pub static PARAMETER: Keys = Keys {
    id: "parameter",
    what: "a parameter",
    about: "A parameter, which `--set NAME=VALUE` sets. `${name}` stands for its value in any text, `$${` for `${`.",
    example: "{default: box}",
    keys: &[&[
        Key::optional(
            "type",
            Form::Words(&[
                Word::new("string", "any text"),
                Word::new("integer", "a whole number"),
                Word::new("boolean", "`true` or `false`"),
                Word::new("size", "a number of bytes with K, M, G or T: `512M`; or `0`"),
            ]),
            "What its value is. It is inserted as text.",
            "integer",
        )
        .default("string"),
        Key::optional("default", Form::TEXT, "Its value if it is not set.", "box").depends("none: it has to be set"),
        Key::optional("choices", Form::TEXTS, "The permitted values.", "[box, crate]").depends("any"),
        Key::optional("minimum", Form::TEXT, "The least value of an integer or a size.", "1").depends("any"),
        Key::optional("maximum", Form::TEXT, "The greatest value of an integer or a size.", "64").depends("any"),
        Key::optional("help", Form::TEXT, "What it is for.", "The host name"),
    ]],
    rules: &[],
};

/// The toolchains.
pub static TOOLCHAINS: Keys = Keys {
    id: "toolchains",
    what: "`toolchains`",
    about: "The toolchains, by purpose: `bookworm` is `toolchains/bookworm.yaml`.",
    example: "{build: none, image: none, boot: none}",
    keys: &[&[
        Key::required("build", Form::TEXT, "Compilers, for components.", "none"),
        Key::required("image", Form::TEXT, "mksquashfs, GRUB, xorriso, mke2fs.", "none"),
        Key::required("boot", Form::TEXT, "QEMU and firmware, for `dbco run` and `dbco test`.", "none"),
    ]],
    rules: &[],
};

/// The kernel.
pub static KERNEL: Keys = Keys {
    id: "kernel",
    what: "`kernel`",
    about: "Where the kernel comes from: a component that is built from source, or a distribution's package.",
    example: "{component: kernel, config: [tiny]}",
    keys: &[&[
        Key::optional("component", Form::TEXT, "The component that builds it.", "kernel"),
        Key::optional("patches", PATCHES, "Patches after the component's own.", "[first.patch]"),
        Key::optional(
            "config",
            Form::TEXTS,
            "Kconfig fragments after the component's own: `tiny` is `kernel-config/tiny.config`.",
            "[tiny]",
        ),
        Key::optional(
            "package",
            PACKAGE_FORM,
            "A distribution's package, without its dependencies.",
            "linux-image-generic",
        ),
        Key::optional("debian", DEBIAN, "The suites that `package` is taken from.", "bookworm"),
        Key::optional(
            "modules",
            Form::TEXTS,
            "Modules of the package that the image contains, by name; those that they need are included.",
            "[virtio_blk, ext4]",
        ),
        Key::optional(
            "absent-firmware",
            Form::TEXTS,
            "Patterns of firmware that these modules may request and the image omits.",
            "[\"rtl_nic/*\"]",
        ),
    ]],
    rules: &[
        Rule::One(&["component", "package"]),
        Rule::Needs(&["patches", "config"], "component"),
        Rule::Needs(&["debian", "modules", "absent-firmware"], "package"),
        Rule::Needs(&["package"], "debian"),
    ],
};

/// How a squashfs is packed.
pub static SQUASHFS: Keys = Keys {
    id: "squashfs",
    what: "`squashfs`",
    about: "How the squashfs of the root filesystem is packed.",
    example: "{block: 128K}",
    keys: &[&[
        Key::optional("compression", Form::Words(&[ZSTD, XZ, GZIP, LZ4]), "Compression of its blocks.", "xz")
            .default("zstd"),
        Key::optional("block", Form::SIZE, "Size of its blocks, a power of two from 4K to 1M.", "128K").default("256K"),
    ]],
    rules: &[],
};

/// The initrd.
pub static INITRD: Keys = Keys {
    id: "initrd",
    what: "`initrd`",
    about: "How the initrd is made, which contains the live system.",
    example: "{compression: none, livefs: none, overlays: [early]}",
    keys: &[&[
        Key::optional("compression", COMPRESSION, "The compression of its main segment.", "xz").default("zstd"),
        Key::optional(
            "livefs",
            Form::Words(&[
                Word::new("squashfs", "a file, which the early init mounts: `livefs.squashfs`"),
                Word::new("erofs", "the same: `livefs.erofs`"),
                Word::new("none", "the initramfs itself"),
            ]),
            "The form of the root filesystem in it.",
            "none",
        )
        .default("squashfs"),
        Key::optional("components", Form::TEXTS, "Components in the initramfs itself, besides the livefs.", "[]"),
        Key::optional("overlays", OVERLAYS, "Folders that are copied into the initramfs itself.", "[early]"),
        Key::optional(
            "early",
            Form::Map(&Form::TEXT),
            "Files of the first, uncompressed segment, such as microcode: path in the segment to file.",
            "{kernel/firmware/acpi/table.aml: early/init}",
        ),
    ]],
    rules: &[],
};

/// A template of containers.
pub static TEMPLATE: Keys = Keys {
    id: "template",
    what: "`template`",
    about: "The output `template`: the root filesystem as an archive for containers and systems, or, with `layout`, content of \
            its own.",
    example: "{layout: app}",
    keys: &[
        &[
            Key::optional("compression", Form::Words(&[GZIP, ZSTD, XZ]), "Compression of the archive.", "zstd")
                .default("gzip"),
            Key::optional(
                "layout",
                Form::Words(&[APP, SPLIT, FHS]),
                "What is permitted at the top of its own content.",
                "app",
            )
            .depends("none: the content is that of `rootfs`"),
        ],
        &CONTENT,
        &SYSTEM,
    ],
    rules: &[Rule::Needs(
        &[
            "components",
            "debian",
            "packages",
            "exclude",
            "diversions",
            "overlays",
            "users",
            "groups",
            "dirs",
            "nodes",
            "links",
            "attributes",
            "services",
            "replace",
            "audit",
            "hostname",
            "timezone",
            "locale",
            "keymap",
            "network",
        ],
        "layout",
    )],
};

/// Settings of the ISO.
pub static ISO: Keys = Keys {
    id: "iso",
    what: "`iso`",
    about: "Settings that only concern the ISO.",
    example: "{label: LIVE}",
    keys: &[&[Key::optional("label", Form::TEXT, "Its volume name.", "LIVE").depends("made of the recipe's name")]],
    rules: &[],
};

/// The architectures.
static ARCHITECTURES: [Word; Platform::ALL.len()] = {
    let mut words = [Word::new("", ""); Platform::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        let about = match Platform::ALL[index] {
            Platform::X86_64 => "the PC's 64-bit architecture",
            Platform::Aarch64 => "64-bit ARM",
        };
        words[index] = Word::new(Platform::ALL[index].names().arch, about);
        index += 1;
    }
    words
};

/// The outputs.
const OUTPUTS: Form = Form::List(&Form::Words(&[
    Word::new("bzimage", "`bzImage`, and `config` and `System.map` if the kernel has them"),
    Word::new("initrd", "`initrd.img`"),
    Word::new("grub-cfg", "`grub.cfg`"),
    Word::new("iso", "`NAME.iso`, which boots from CD and USB, in BIOS and in UEFI"),
    Word::new("template", "`NAME.tar.gz`, a template of containers and systems"),
    Word::new("rootfs", "`NAME.rootfs.tar.zst`, the root filesystem as an archive"),
    Word::new("squashfs", "`NAME.squashfs`, the root filesystem as a file system"),
    Word::new("erofs", "`NAME.erofs`, the same in another format"),
]));

/// Budgets of the outputs.
pub static BUDGETS: Keys = Keys {
    id: "budgets",
    what: "`budgets`",
    about: "The most bytes that outputs may have: a build whose output is larger fails, and writes nothing.",
    example: "{grub-cfg: 64K}",
    keys: &[&[
        Key::optional("bzimage", Form::SIZE, "The kernel.", "6M"),
        Key::optional("initrd", Form::SIZE, "The initrd.", "2M"),
        Key::optional("grub-cfg", Form::SIZE, "GRUB's configuration.", "64K"),
        Key::optional("iso", Form::SIZE, "The ISO.", "10M"),
        Key::optional("template", Form::SIZE, "The template.", "2M"),
        Key::optional("rootfs", Form::SIZE, "The root filesystem as an archive.", "2M"),
        Key::optional("squashfs", Form::SIZE, "The root filesystem as squashfs.", "2M"),
        Key::optional("erofs", Form::SIZE, "The root filesystem as erofs.", "2M"),
    ]],
    rules: &[],
};

/// An image recipe.
pub static RECIPE: Keys = Keys {
    id: "recipe",
    what: "an image recipe",
    about: "An image: its kernel, root filesystem, boot menu, outputs and tests.",
    example: "{recipe: small, epoch: 2021-01-01, toolchains: {build: none, image: none, boot: none}, \
              kernel: {component: kernel, config: [tiny]}, rootfs: {layout: split, overlays: [overlay]}, \
              initrd: {compression: none, livefs: none, overlays: [early]}, \
              boot: {entries: [{id: live, title: Live, mode: live}]}, outputs: [grub-cfg]}",
    keys: &[&[
        Key::required("recipe", NAME_FORM, "Its name: that of its output folder and of its ISO.", "mine"),
        Key::optional(
            "extends",
            Form::TEXT,
            "The recipe that it extends, by a path relative to this file. Mappings are merged, lists and single values are \
             replaced, a key without a value removes the inherited one, and a mapping of operations changes a list: \
             `docs/recipes.md`.",
            "quick.yaml",
        ),
        Key::optional("summary", Form::TEXT, "A one-line description.", "A rescue system"),
        Key::optional(
            "arch",
            Form::Words(&ARCHITECTURES),
            "The architecture of the image.",
            Platform::X86_64.names().arch,
        )
        .depends("that of the PC"),
        Key::required("epoch", DATE_FORM, "The upper limit of every timestamp in the image.", "2026-11-01"),
        Key::optional(
            "params",
            Form::Map(&Form::Any(&[Form::TEXT, Form::Mapping(&PARAMETER)])),
            "Parameters, by name: a default, or a mapping.",
            "{host: {default: box, choices: [box, crate]}, console: ttyS0}",
        ),
        Key::optional(
            "profiles",
            Form::Map(&Form::Difference(&RECIPE)),
            "Parts of a recipe, by name, that `--profile NAME` merges over it as an extending recipe would be.",
            "{debug: {boot: {timeout: 10}, kernel: {config: {add: [tiny]}}}}",
        ),
        Key::required(
            "toolchains",
            Form::Mapping(&TOOLCHAINS),
            "The toolchains, by purpose.",
            "{build: none, image: none, boot: none}",
        ),
        Key::required("kernel", Form::Mapping(&KERNEL), "The kernel.", "{component: kernel, config: [tiny]}"),
        Key::required("rootfs", Form::Mapping(&ROOTFS), "The root filesystem.", "{layout: split, overlays: [overlay]}"),
        Key::optional(
            "squashfs",
            Form::Mapping(&SQUASHFS),
            "How its squashfs is packed.",
            "{compression: xz, block: 1M}",
        ),
        Key::required("initrd", Form::Mapping(&INITRD), "The initrd.", "{livefs: none, overlays: [early]}"),
        Key::optional("template", Form::Mapping(&TEMPLATE), "The output `template`.", "{layout: app}"),
        Key::required(
            "boot",
            Form::Mapping(&BOOT),
            "The boot menu.",
            "{entries: [{id: live, title: Live system, mode: live}]}",
        ),
        Key::optional("iso", Form::Mapping(&ISO), "Settings of the ISO.", "{label: LIVE}"),
        Key::required("outputs", OUTPUTS, "What a build writes into `out/NAME/`.", "[initrd, grub-cfg]"),
        Key::optional(
            "budgets",
            Form::Mapping(&BUDGETS),
            "The most bytes that each output may have.",
            "{grub-cfg: 64K}",
        ),
        Key::optional(
            "tests",
            Form::List(&Form::Mapping(&TEST)),
            "Boot tests, which `dbco test` runs.",
            "[{name: first, entry: live, medium: kernel, expect: \"login:\"}]",
        ),
        Key::optional("limits", Form::Mapping(&LIMITS), "Limits for all archives and patches.", "{unpacked: 128G}"),
    ]],
    rules: &[],
};
