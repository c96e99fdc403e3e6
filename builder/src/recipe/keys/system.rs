//! The keys of a root filesystem about the system as a whole.

use crate::yaml::keys::{Form, Key, Keys, Word};

const ONE_OR_MORE: Form = Form::Any(&[Form::TEXT, Form::TEXTS]);

/// The configuration of a network card.
pub static INTERFACE: Keys = Keys {
    id: "interface",
    what: "a network card",
    about: "The configuration of a network card that has stated addresses.",
    example: "{address: 192.168.1.2/24}",
    keys: &[&[
        Key::required(
            "address",
            ONE_OR_MORE,
            "Its addresses, each with the length of its network, of IPv4 and IPv6.",
            "[192.168.1.2/24, \"fd00::2/64\"]",
        ),
        Key::optional(
            "gateway",
            ONE_OR_MORE,
            "Where the default route leads: an address of one of these networks, or of the link; at most one of IPv4 and one of IPv6.",
            "192.168.1.1",
        ),
        Key::optional("dns", ONE_OR_MORE, "Name servers, by address; three in the whole recipe.", "[192.168.1.1]"),
        Key::optional(
            "search",
            ONE_OR_MORE,
            "Domains that names without a dot are looked up in.",
            "[example.org, example.net]",
        ),
        Key::optional("mtu", Form::NUMBER, "The largest packet in bytes.", "9000").depends("the driver's"),
    ]],
    rules: &[],
};

/// The keys of the system as a whole.
pub static SYSTEM: [Key; 5] = [
    Key::optional(
        "hostname",
        Form::TEXT,
        "The host name: names of RFC 1123 separated by dots, at most 64 bytes. The boot code `host=` overrides it.",
        "box",
    ),
    Key::optional(
        "timezone",
        Form::TEXT,
        "The time zone, a name of the IANA database. The boot code `tz=` overrides it.",
        "Europe/Berlin",
    ),
    Key::optional(
        "locale",
        Form::TEXT,
        "`LANG` of logins and services. The boot code `lang=` overrides it.",
        "C.UTF-8",
    ),
    Key::optional(
        "keymap",
        Form::TEXT,
        "The keyboard's map on the console, in layout `split`: one of the component `keymaps`, or of `/usr/share/kmap`. \
         The boot code `kmap=` overrides it.",
        "de",
    ),
    Key::optional(
        "network",
        Form::Map(&Form::Any(&[
            Form::Words(&[
                Word::new("dhcp", "asked for by DHCP, as all cards are that no recipe names"),
                Word::new("none", "the card is left alone"),
            ]),
            Form::Mapping(&INTERFACE),
        ])),
        "Network cards by name, in layout `split`: `dhcp`, `none`, or a mapping with addresses. The boot codes `ip=`, `dns=` \
         and `nodhcp` override it.",
        "{eth0: dhcp, eth1: {address: 192.168.1.2/24}}",
    ),
];
