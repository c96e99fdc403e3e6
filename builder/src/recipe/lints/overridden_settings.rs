use super::Lint;
use crate::recipe::decode::FindingSink;
use crate::recipe::load::Recipe;
use crate::recipe::rootfs::{Interface, Layout, SystemKeys};
use crate::recipe::text::Span;

pub const LINT: Lint = Lint {
    id: "overridden-settings",
    rule: "No boot code of the boot menu overrides a key of the root: its value would never be used.",
    run,
};

fn run(recipe: &Recipe, sink: &FindingSink) {
    let (boot, rootfs) = (&recipe.image.boot, &recipe.image.rootfs);
    if rootfs.layout != Layout::Split {
        return;
    }
    let entries = boot.entries.iter().map(|entry| (&entry.cmdline, entry.cmdline_span));
    for (cmdline, place) in std::iter::once((&boot.cmdline, boot.cmdline_span)).chain(entries) {
        let Some(place) = place else { continue };
        for word in cmdline.split_ascii_whitespace() {
            let Some((key, stated)) = overridden(word, &rootfs.system) else { continue };
            let message = format!("the boot code `{word}` overrides the recipe's `{key}`");
            let mut findings = sink.borrow_mut();
            findings.add(LINT.id, place, message).relate(stated, "stated here").help("keep one of the two");
        }
    }
}

/// The key that a boot code overrides, and where it is stated.
fn overridden(word: &str, system: &SystemKeys) -> Option<(&'static str, Span)> {
    let SystemKeys { hostname, timezone, locale, keymap, network } = system;
    // A code without a value is as good as none (`lookup` of the boot codes).
    let (code, value) = word.split_once('=').map_or((word, None), |(code, value)| (code, Some(value)));
    match (code, value) {
        ("nodhcp", None) => {
            let dhcp = network.iter().find(|(_, interface)| matches!(interface, Interface::Dhcp))?;
            Some(("network", dhcp.0.span))
        }
        (_, None | Some("")) => None,
        ("host", _) => Some(("hostname", hostname.as_ref()?.span)),
        ("tz", _) => Some(("timezone", timezone.as_ref()?.span)),
        ("lang", _) => Some(("locale", locale.as_ref()?.span)),
        ("kmap", _) => Some(("keymap", keymap.as_ref()?.span)),
        ("dns", _) => {
            let names =
                |card: &Interface| matches!(card, Interface::Static(of) if !of.dns.is_empty() || !of.search.is_empty());
            Some(("network", network.iter().find(|(_, card)| names(card))?.0.span))
        }
        ("ip", Some(value)) if value.contains(':') => {
            // ADDRESS::GATEWAY:MASK::INTERFACE; without an interface it is the first one, which depends on the machine.
            let card = value.split(':').nth(5).unwrap_or_default();
            let (name, _) = network.iter().find(|(name, _)| name.value == card)?;
            Some(("network", name.span))
        }
        _ => None,
    }
}
