//! The keys of boot tests.

use super::scalars::NAME_FORM;
use crate::yaml::keys::{Form, Key, Keys, MEBIBYTES, PORT, Rule, Word};

/// A disk of a test.
pub static DISK: Keys = Keys {
    id: "test-disk",
    what: "a disk of a test",
    about: "A disk that is created for a test and deleted after it. With neither label nor systems nor template it is blank.",
    example: "{size: 512M}",
    keys: &[&[
        Key::optional(
            "bus",
            Form::Words(&[
                Word::new("virtio", "`/dev/vda`"),
                Word::new("usb", "a USB stick"),
                Word::new("scsi", "SCSI"),
                Word::new("nvme", "NVMe"),
                Word::new("sata", "SATA"),
                Word::new("sd", "an SD card"),
            ]),
            "Its bus.",
            "usb",
        )
        .default("virtio"),
        Key::optional("size", Form::SIZE, "Its size; a blank disk needs one.", "512M")
            .depends("as large as its content"),
        Key::optional("label", Form::TEXT, "The label of its ext4 file system.", "dbcolinux"),
        Key::optional("systems", Form::TEXTS, "Folders that hold the recipe's root filesystem.", "[/system0]"),
        Key::optional(
            "template",
            Form::BOOL,
            "Whether it holds the recipe's template where vzctl looks for it: `/vz/template/cache`.",
            "true",
        )
        .default("false"),
    ]],
    rules: &[],
};

/// A login.
pub static LOGIN: Keys = Keys {
    id: "login",
    what: "a login",
    about: "The login for a test's commands.",
    example: "{user: root}",
    keys: &[&[
        Key::required("user", Form::TEXT, "The account.", "root"),
        Key::optional("password", Form::TEXT, "Its password.", "secret").depends("none is asked for"),
    ]],
    rules: &[],
};

/// Power cuts.
pub static CUT: Keys = Keys {
    id: "power-cuts",
    what: "the power cuts of a boot",
    about: "Power cuts while a command runs, each followed by a start that checks the result.",
    example: "{during: hdinstall --yes /dev/vda, times: 20, outcome: check-install, words: [none, done]}",
    keys: &[&[
        Key::required(
            "during",
            Form::TEXT,
            "The command; without a cut it has to end with status 0.",
            "cp -r /usr /hd/copy && sync",
        ),
        Key::required("times", Form::NUMBER, "How many cuts.", "20"),
        Key::required(
            "outcome",
            Form::TEXT,
            "The command that runs first after a cut; the last word that it prints is the outcome.",
            "ls /hd",
        ),
        Key::required(
            "words",
            Form::TEXTS,
            "The permitted outcomes; the last one is that of a command that had finished before the cut.",
            "[none, done]",
        ),
    ]],
    rules: &[],
};

/// A step after the login.
pub static STEP: Keys = Keys {
    id: "test-step",
    what: "a step of a test",
    about: "A step after the login: a command, keys that are typed, or a connection.",
    example: "{command: id}",
    keys: &[&[
        Key::optional("command", Form::TEXT, "A command of the machine's shell.", "uname -r"),
        Key::optional("type", Form::TEXT, "Keys that are typed at the console, line breaks included.", "\"reboot\\n\""),
        Key::optional(
            "tcp",
            Form::Scalar(&PORT),
            "A port of the machine, listed under `forward`, to connect to.",
            "22",
        ),
        Key::optional("send", Form::TEXT, "The text to send over the connection.", "\"GET / HTTP/1.0\\r\\n\\r\\n\""),
        Key::optional(
            "expect",
            Form::TEXT,
            "The text that the output, the console or the answer has to contain.",
            "\"uid=0\"",
        ),
        Key::optional("status", Form::NUMBER, "The exit status of the command.", "1").default("0"),
    ]],
    rules: &[
        Rule::One(&["command", "type", "tcp"]),
        Rule::Needs(&["send"], "tcp"),
        Rule::Needs(&["status"], "command"),
        Rule::Needs(&["tcp"], "expect"),
    ],
};

const MEDIUM: Key = Key::required(
    "medium",
    Form::Words(&[
        Word::new("cd", "the ISO as a CD"),
        Word::new("usb", "the ISO as a USB disk"),
        Word::new("hd", "the first of the test's disks, after an installation"),
        Word::new("kernel", "kernel and initrd, loaded by QEMU"),
        Word::new("disk", "the kernel alone, with the system on an ext4 disk"),
    ]),
    "What the machine boots from.",
    "kernel",
);

const FIRMWARE: Key = Key::optional(
    "firmware",
    Form::Words(&[
        Word::new("bios", "SeaBIOS"),
        Word::new("uefi", "UEFI"),
        Word::new("none", "QEMU loads the kernel itself"),
    ]),
    "The machine's firmware.",
    "uefi",
);
const MEMORY: Key = Key::optional("memory", Form::Scalar(&MEBIBYTES), "Memory in MiB.", "128");
const CPUS: Key = Key::optional("cpus", Form::POSITIVE, "Number of processors.", "2");
const PARALLEL: Key = Key::optional(
    "parallel",
    Form::BOOL,
    "Whether the processors run in parallel when they are emulated, for measurements; otherwise they take turns, which is \
     reliable.",
    "true",
);
static DISK_FORM: Form = Form::Mapping(&DISK);
const DISKS: Key = Key::optional(
    "disks",
    Form::List(&DISK_FORM),
    "Disks that are created for the test.",
    "[{size: 512M, label: dbcolinux, systems: [/system0]}]",
);

const ENTRY: Key = Key::required("entry", Form::TEXT, "The boot menu's entry, by its `id`.", "live");
const EXPECT: Key =
    Key::required("expect", Form::TEXT, "The text that has to appear on the serial console.", "\"login:\"");

static START: [Key; 4] = [
    Key::optional("cmdline", Form::TEXT, "Further kernel parameters, for the media `kernel` and `disk`.", "quiet"),
    Key::optional("login", Form::Mapping(&LOGIN), "The login for the steps in `run`.", "{user: root}"),
    Key::optional(
        "run",
        Form::List(&Form::Any(&[Form::TEXT, Form::Mapping(&STEP)])),
        "The steps after the login, in order; a text is a command that has to end with status 0.",
        "[id, {command: uname -r, expect: \"6.1\"}]",
    ),
    Key::optional(
        "end",
        Form::Words(&[
            Word::new("cut", "the power is cut"),
            Word::new("poweroff", "`poweroff` is typed, and the machine has to exit"),
            Word::new("reboot", "`reboot` is typed, and the machine has to exit"),
            Word::new("itself", "the machine has to exit because of the steps"),
        ]),
        "How the start ends, after all its steps.",
        "poweroff",
    )
    .default("cut"),
];

const POWER_CUTS: Key = Key::optional(
    "cut",
    Form::Mapping(&CUT),
    "Power cuts, for which the machine is started again and again.",
    "{during: sync, times: 20, outcome: ls /hd, words: [none, done]}",
);

/// One start of a test's machine.
pub static TEST_BOOT: Keys = Keys {
    id: "test-boot",
    what: "a boot of a test",
    about: "One start of a test's machine.",
    example: "{entry: live, expect: \"login:\"}",
    keys: &[&[MEDIUM.depends("that of the test"), ENTRY, EXPECT], &START, &[POWER_CUTS]],
    rules: &[],
};

/// The second machine of a test.
pub static PEER: Keys = Keys {
    id: "test-peer",
    what: "the second machine of a test",
    about: "A second machine, such as a server. It boots the same outputs, is started once, and runs its steps before the \
            test's own machine starts. A network card of each is on a link that connects nothing else.",
    example: "{entry: live, expect: \"login:\"}",
    keys: &[
        &[
            MEDIUM.depends("that of the test"),
            FIRMWARE.depends("that of the test"),
            MEMORY.depends("that of the test"),
            CPUS.depends("that of the test"),
            PARALLEL.depends("that of the test"),
            DISKS,
            ENTRY,
            EXPECT,
        ],
        &START,
    ],
    rules: &[],
};

/// A boot test.
pub static TEST: Keys = Keys {
    id: "test",
    what: "a boot test",
    about: "A boot test: a machine and its starts. A single start is written in the test itself, several in `boots`.",
    example: "{name: first, entry: live, medium: kernel, expect: \"login:\", login: {user: root}}",
    keys: &[
        &[
            Key::required("name", NAME_FORM, "Its name, in reports and logs.", "first"),
            MEDIUM,
            FIRMWARE.default("none"),
            MEMORY.default("256"),
            CPUS.default("1"),
            PARALLEL.default("false"),
            DISKS,
            Key::optional(
                "timeout",
                Form::NUMBER,
                "Seconds for the whole test when the machine is emulated; with `cut`, for each start.",
                "120",
            )
            .default("90"),
            Key::optional(
                "forward",
                Form::List(&Form::Scalar(&PORT)),
                "TCP ports of the machine that steps connect to.",
                "[22]",
            ),
            Key::optional(
                "boots",
                Form::List(&Form::Mapping(&TEST_BOOT)),
                "Each start of the machine, in order, in place of `entry`.",
                "[{entry: live, expect: \"login:\"}]",
            ),
            ENTRY.not_required(),
            EXPECT.not_required(),
        ],
        &START,
        &[
            POWER_CUTS,
            Key::optional("peer", Form::Mapping(&PEER), "A second machine.", "{entry: live, expect: \"login:\"}"),
        ],
    ],
    rules: &[
        Rule::One(&["boots", "entry"]),
        Rule::Needs(&["entry"], "expect"),
        Rule::Needs(&["expect", "cmdline", "login", "run", "end", "cut"], "entry"),
    ],
};
