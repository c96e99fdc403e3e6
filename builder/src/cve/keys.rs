//! The keys of the project's exceptions.

use crate::yaml::keys::{Form, Key, Keys, Word};

const JUSTIFICATION: Form = Form::Words(&[
    Word::new("component_not_present", "the component is not in the image"),
    Word::new("vulnerable_code_not_present", "the code is not in the image"),
    Word::new("vulnerable_code_not_in_execute_path", "the code is never run"),
    Word::new("vulnerable_code_cannot_be_controlled_by_adversary", "an attacker can't reach the code"),
    Word::new("inline_mitigations_already_exist", "something else prevents the attack"),
]);

static EXCEPTION: Keys = Keys {
    id: "exception",
    what: "an exception",
    about: "A vulnerability that does not affect the project's images, or that is accepted for some time.",
    example: "{id: CVE-2024-1234, package: busybox, reason: the applet is not built, until: \"2027-01-31\"}",
    keys: &[&[
        Key::required("id", Form::TEXT, "The vulnerability.", "CVE-2024-1234"),
        Key::required("package", Form::TEXT, "A source package, component or crate.", "busybox"),
        Key::required("reason", Form::TEXT, "Why it is ignored.", "the applet is not built"),
        Key::optional(
            "justification",
            JUSTIFICATION,
            "Why it does not affect the image, in OpenVEX's words.",
            "vulnerable_code_not_present",
        )
        .depends("none: it affects the image, and is accepted until a day"),
        Key::optional(
            "until",
            Form::TEXT,
            "The last day on which it applies; required without `justification`.",
            "\"2027-01-31\"",
        ),
    ]],
    rules: &[],
};

/// The project's exceptions.
pub static EXCEPTIONS: Keys = Keys {
    id: "vulnerabilities",
    what: "the exceptions",
    about: "What `dbco audit --cve` ignores: `vulnerabilities.yaml` in the project's folder.",
    example: "{aliases: {dropbear: [dropbear_ssh]}}",
    keys: &[&[
        Key::optional(
            "ignore",
            Form::List(&Form::Mapping(&EXCEPTION)),
            "Vulnerabilities that are ignored.",
            "[{id: CVE-2024-1234, package: busybox, reason: the applet is not built, until: \"2027-01-31\"}]",
        ),
        Key::optional(
            "aliases",
            Form::Map(&Form::TEXTS),
            "Names that data uses for components.",
            "{dropbear: [dropbear_ssh]}",
        ),
    ]],
    rules: &[],
};
