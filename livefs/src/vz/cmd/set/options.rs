//! The options of `set` as parsed, before anything is changed, and their effect on a container's lists.

use crate::vz::conf::Config;
use crate::vz::conf::lists::{self, canonical_address, find_address};
use crate::vz::conf::netif::{self, Netif};
use crate::vz::conf::params::{self, Kind, ParamSource};
use crate::vz::context::Vz;
use crate::vz::exit::{Error, Result};
use crate::vz::options::{Given, Known};

/// Options that add to a list or remove from it; `forward_add` and `forward_del` are additions.
pub(super) const LISTS: &[Known] = &[
    ("ipadd", None, true),
    ("ip", None, true),
    ("ipdel", None, true),
    ("netdev_add", None, true),
    ("netdev_del", None, true),
    ("netif_add", None, true),
    ("netif_del", None, true),
    ("ifname", None, true),
    ("mac", None, true),
    ("host_mac", None, true),
    ("host_ifname", None, true),
    ("bridge", None, true),
    ("mac_filter", None, true),
    ("capability", None, true),
    ("features", None, true),
    ("iptables", None, true),
    ("devices", None, true),
    ("devnodes", None, true),
    ("pci_add", None, true),
    ("pci_del", None, true),
    ("forward_add", None, true),
    ("forward_del", None, true),
];

/// Lists that options add to (true) or remove from.
const MERGED: &[(&str, &str, bool)] = &[
    ("netdev_add", "NETDEV", true),
    ("netdev_del", "NETDEV", false),
    ("pci_add", "PCI", true),
    ("pci_del", "PCI", false),
    ("forward_add", "FORWARD", true),
    ("forward_del", "FORWARD", false),
];

const PROPERTIES: &[&str] = &["ifname", "mac", "host_mac", "host_ifname", "bridge", "mac_filter"];

/// The requested changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New values of parameters.
    values: Vec<(String, String)>,
    /// Words that are merged with the current value (CAPABILITY, FEATURES, DEVICES, DEVNODES), as given.
    words: Vec<(&'static str, String)>,
    /// Words that are added to a list, and those that are removed from it.
    added: Vec<(&'static str, String)>,
    removed: Vec<(&'static str, String)>,
    addresses: String,
    addresses_gone: String,
    all_addresses: bool,
    interfaces: Vec<Netif>,
    interfaces_gone: Vec<String>,
    all_interfaces: bool,
    /// `--ifname` and its properties.
    edit: Option<Netif>,
}

impl Changes {
    /// Parses all options. If one is repeated the first one counts, for a beancounter the last, and lists accumulate.
    ///
    /// # Errors
    /// [`Error::Value`]: a value is invalid. Nothing was changed.
    pub(super) fn read(vz: &Vz, id: u32, given: &Given) -> Result<Changes> {
        let mut changes = Changes::default();
        for (option, value) in &given.options {
            match params::by_option(option) {
                Some(param) if param.kind == Kind::List => {
                    let old = changes.get(param.key).unwrap_or_default().to_owned();
                    let mut list = old;
                    lists::add(param.key, &mut list, value);
                    changes.put(param.key, list);
                }
                Some(param) => {
                    let first = !param.kind.last_counts(param.key);
                    if first && changes.get(param.key).is_some() {
                        continue;
                    }
                    let stored = param.kind.parse(value, ParamSource::Option).map_err(|_| {
                        if param.key == "NETFILTER" {
                            vz.log.error(format_args!("Incorrect netfilter value: {value}"));
                        }
                        bad(option, value)
                    })?;
                    changes.put(param.key, stored);
                }
                None => changes.list(vz, id, option, value)?,
            }
        }
        Ok(changes)
    }

    fn list(&mut self, vz: &Vz, id: u32, option: &str, value: &str) -> Result<()> {
        // The classic tool splits a list in place, and then reports its first word.
        let first = || bad(option, value.split([' ', '\t', ',']).next().unwrap_or_default());
        let strict = |added: lists::Added, error: Error| {
            added.said.iter().for_each(|(level, text)| vz.log.say(*level, text));
            if added.wrong || added.skipped { Err(error) } else { Ok(()) }
        };
        if let Some((_, key, adds)) = MERGED.iter().find(|(name, ..)| *name == option) {
            let list = if *adds { &mut self.added } else { &mut self.removed };
            return strict(lists::add(key, entry(list, key), value), first());
        }
        match option {
            "ipadd" | "ip" => strict(lists::add("IP_ADDRESS", &mut self.addresses, value), first()),
            "ipdel" => {
                self.all_addresses |= value.split_whitespace().any(|word| word == "all");
                let rest: Vec<&str> = value.split_whitespace().filter(|word| *word != "all").collect();
                strict(lists::add("IP_ADDRESS", &mut self.addresses_gone, &rest.join(" ")), first())
            }
            "iptables" => {
                let mut list = self.get("IPTABLES").unwrap_or_default().to_owned();
                strict(lists::add("IPTABLES", &mut list, value), first())?;
                if !list.is_empty() {
                    self.put("IPTABLES", list);
                }
                Ok(())
            }
            "capability" | "features" | "devices" | "devnodes" => {
                let key = lists::KEYS.iter().find(|key| key.eq_ignore_ascii_case(option)).copied().unwrap_or_default();
                strict(lists::add(key, &mut String::new(), value), first())?;
                self.words.push((key, value.to_owned()));
                Ok(())
            }
            "netif_add" => {
                for word in value.split(' ').filter(|word| !word.is_empty()) {
                    self.interfaces.push(Netif::parse_option(word, id).ok_or_else(|| {
                        wrong_address(word).iter().for_each(|text| vz.log.error(text));
                        bad(option, value)
                    })?);
                }
                Ok(())
            }
            "netif_del" if value == "all" => {
                self.all_interfaces = true;
                Ok(())
            }
            "netif_del" if value.len() > 16 => Err(bad(option, value)),
            "netif_del" => {
                self.interfaces_gone.push(value.to_owned());
                Ok(())
            }
            _ if PROPERTIES.contains(&option) => {
                let edit = self.edit.get_or_insert_default();
                let twice = match option {
                    "ifname" => !edit.ifname.is_empty(),
                    "bridge" => edit.bridge.is_some(),
                    _ => false,
                };
                if twice {
                    vz.log.error(format_args!("Multiple use of --{option} option not allowed"));
                    return Err(bad(option, value));
                }
                edit.set(option, value).ok_or_else(|| bad(option, value))
            }
            "setmode" if !["restart", "ignore"].contains(&value) => Err(bad(option, value)),
            "applyconfig_map" if value != "name" => Err(bad(option, value)),
            _ => Ok(()),
        }
    }

    /// The new value of a parameter.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Sets the new value of a parameter.
    pub(super) fn put(&mut self, key: &str, value: String) {
        match self.values.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.values.push((key.to_owned(), value)),
        }
    }

    /// Whether a list changes.
    pub(super) fn touches(&self, key: &str) -> bool {
        let named = |all: &[(&'static str, String)]| all.iter().any(|(known, _)| *known == key);
        let interfaces =
            key == "NETIF" && (self.all_interfaces || !self.interfaces.is_empty() || !self.interfaces_gone.is_empty());
        named(&self.words) || named(&self.added) || named(&self.removed) || interfaces
    }

    /// Addresses to be removed, and those to be added.
    pub(super) fn addresses(&self) -> (&str, &str) {
        (&self.addresses_gone, &self.addresses)
    }

    /// `--ipdel all`
    pub(super) fn deletes_all_addresses(&self) -> bool {
        self.all_addresses
    }

    /// Finds the interface that `--ifname` refers to, among the new ones or those of the container.
    ///
    /// # Errors
    /// [`Error::Syntax`]: there is none.
    pub(super) fn settle_interfaces(&mut self, own: &Config) -> Result<()> {
        let Some(edit) = self.edit.take() else { return Ok(()) };
        if edit.ifname.is_empty() {
            return Err(Error::Syntax("Invalid usage.  Option --ifname not specified".into()));
        }
        if let Some(new) = self.interfaces.iter_mut().find(|new| new.ifname == edit.ifname) {
            // Values from --netif_add, or generated by it, take precedence.
            let mut merged = edit;
            merged.fill(new);
            *new = merged;
            return Ok(());
        }
        if !interfaces(own).iter().any(|old| old.ifname == edit.ifname) {
            return Err(Error::Syntax(format!(
                "Invalid usage: veth device {} is not configured, use --netif_add option first",
                edit.ifname
            )));
        }
        self.interfaces.push(edit);
        Ok(())
    }

    /// What is to be stored: keys and values, based on the container's own file. `effective` is the configuration
    /// including the machine's file.
    pub(super) fn merged(&self, own: &Config, effective: &Config) -> Vec<(String, String)> {
        // Empty lists are not stored.
        let empty = |key: &str, value: &str| value.is_empty() && ["NAMESERVER", "SEARCHDOMAIN"].contains(&key);
        let mut new: Vec<(String, String)> =
            self.values.iter().filter(|(key, value)| !empty(key, value)).cloned().collect();
        let mut add = |key: &str, value: String| match new.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => new.push((key.to_owned(), value)),
        };
        // Every save records the layout.
        if let Some(layout) = own.get("VE_LAYOUT") {
            add("VE_LAYOUT", layout.to_owned());
        }
        let (gone, added) = (&self.addresses_gone, &self.addresses);
        if self.all_addresses || !gone.is_empty() || !added.is_empty() {
            let old = if self.all_addresses { Vec::new() } else { effective.list("IP_ADDRESS") };
            let kept = old.into_iter().filter(|one| find_address(gone, one).or(find_address(added, one)).is_none());
            let kept = kept.filter_map(canonical_address);
            add("IP_ADDRESS", kept.chain(added.split_whitespace().map(str::to_owned)).collect::<Vec<_>>().join(" "));
        }
        for key in ["NETDEV", "PCI", "FORWARD"] {
            let words = |all: &[(&'static str, String)]| -> Option<Vec<String>> {
                let (_, list) = all.iter().find(|(known, _)| *known == key)?;
                Some(list.split_whitespace().map(str::to_owned).collect())
            };
            let (added, removed) = (words(&self.added), words(&self.removed));
            if added.is_none() && removed.is_none() {
                continue;
            }
            let (added, removed) = (added.unwrap_or_default(), removed.unwrap_or_default());
            let old = own.list(key).into_iter().map(str::to_owned);
            let kept = old.filter(|one| !added.contains(one) && !removed.contains(one));
            add(key, kept.chain(added.clone()).collect::<Vec<_>>().join(" "));
        }
        for key in ["CAPABILITY", "FEATURES", "DEVICES", "DEVNODES"] {
            if !self.words.iter().any(|(known, _)| *known == key) {
                continue;
            }
            let old = own.get(key).unwrap_or_default().to_owned();
            let mut list = old.clone();
            self.words.iter().filter(|(known, _)| *known == key).for_each(|(_, text)| {
                lists::add(key, &mut list, text);
            });
            if !list.is_empty() || !old.is_empty() {
                add(key, list);
            }
        }
        if self.touches("NETIF") {
            add("NETIF", netif::join(&self.merged_interfaces(own)));
        }
        new
    }

    fn merged_interfaces(&self, own: &Config) -> Vec<Netif> {
        let old = if self.all_interfaces { Vec::new() } else { interfaces(own) };
        let mut all: Vec<Netif> = old.into_iter().filter(|old| !self.interfaces_gone.contains(&old.ifname)).collect();
        for new in &self.interfaces {
            match all.iter_mut().find(|old| old.ifname == new.ifname) {
                Some(old) => old.fill(new),
                None => all.push(new.clone()),
            }
        }
        all
    }
}

fn interfaces(config: &Config) -> Vec<Netif> {
    // It was parsed before: it is valid.
    config.get("NETIF").and_then(|text| Netif::read(text, 0)).unwrap_or_default()
}

fn entry<'a>(lists: &'a mut Vec<(&'static str, String)>, key: &'static str) -> &'a mut String {
    let at = lists.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        lists.push((key, String::new()));
        lists.len() - 1
    });
    &mut lists[at].1
}

fn bad(option: &str, value: &str) -> Error {
    Error::Value(format!("Bad parameter for --{option}: {value}"))
}

/// What is wrong with the addresses in `--netif_add`.
fn wrong_address(text: &str) -> Option<&'static str> {
    let parts: Vec<&str> = text.split(',').collect();
    let wrong = |at: usize| parts.get(at).filter(|text| !text.is_empty() && !netif::valid_mac(text));
    match (wrong(1), wrong(3)) {
        (Some(mac), _) if mac.len() != 17 => Some("Invalid container MAC address length"),
        (Some(_), _) => Some("Invalid container MAC address format"),
        (None, Some(_)) => Some("Invalid host MAC address"),
        (None, None) => None,
    }
}
