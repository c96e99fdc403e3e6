//! What differs between the two builds.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::Serialize;

use crate::similar;

/// A property of a build's surroundings that must not affect its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variation {
    /// The path of the project and of the store, and its length.
    Folder,
    /// The user that runs dbco.
    User,
    /// The umask.
    Umask,
    /// The clocks.
    Time,
    /// The time zone.
    TimeZone,
    /// The locale.
    Locale,
    /// The host name.
    HostName,
    /// All other environment variables.
    Environment,
    /// The number of parallel processes.
    Jobs,
    /// The order in which folders are listed.
    ListingOrder,
    /// The modification times of the project's files.
    FileTimes,
    /// What uname(2) says about the kernel, by personality(2).
    Personality,
    /// How tools are isolated.
    Sandbox,
    /// The file system of the store.
    FileSystem,
}

impl Variation {
    /// All of them, in the order of reports, with their names.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Folder, "folder"),
        (Self::User, "user"),
        (Self::Umask, "umask"),
        (Self::Time, "time"),
        (Self::TimeZone, "time-zone"),
        (Self::Locale, "locale"),
        (Self::HostName, "host-name"),
        (Self::Environment, "environment"),
        (Self::Jobs, "jobs"),
        (Self::ListingOrder, "listing-order"),
        (Self::FileTimes, "file-times"),
        (Self::Personality, "personality"),
        (Self::Sandbox, "sandbox"),
        (Self::FileSystem, "file-system"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(one, _)| *one == self).map_or("", |(_, name)| name)
    }
}

/// A selection of variations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variations(BTreeSet<Variation>);

impl Variations {
    /// Whether a variation is selected.
    pub fn contains(&self, variation: Variation) -> bool {
        self.0.contains(&variation)
    }

    /// Removes one.
    pub fn remove(&mut self, variation: Variation) {
        self.0.remove(&variation);
    }
}

impl Default for Variations {
    fn default() -> Self {
        Self(Variation::ALL.iter().map(|(variation, _)| *variation).collect())
    }
}

impl FromStr for Variations {
    type Err = String;

    /// Names, separated by commas. `+name` adds one and `-name` removes one; `all` stands for every name. The start is
    /// nothing if the first has no sign, otherwise everything: `jobs,time` is these two, `-user` all but one.
    fn from_str(text: &str) -> Result<Self, String> {
        let signed = |word: &str| word.starts_with(['+', '-']);
        let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let mut chosen = match words().next() {
            None => return Err("expected names, separated by commas".to_owned()),
            Some(first) if signed(first) => Self::default().0,
            Some(_) => BTreeSet::new(),
        };
        for word in words() {
            let name = word.trim_start_matches(['+', '-']);
            let named: Vec<Variation> = match Variation::ALL.iter().find(|(_, known)| *known == name) {
                Some((variation, _)) => vec![*variation],
                None if name == "all" => Self::default().0.into_iter().collect(),
                None => {
                    let names = || Variation::ALL.iter().map(|(_, name)| *name);
                    let near = similar::nearest(name, names()).map(|near| format!("; did you mean `{near}`?"));
                    let all = names().collect::<Vec<_>>().join(", ");
                    return Err(format!("`{name}` can't be varied{}\nknown: {all}", near.unwrap_or_default()));
                }
            };
            match word.starts_with('-') {
                true => chosen.retain(|one| !named.contains(one)),
                false => chosen.extend(named),
            }
        }
        Ok(Self(chosen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_select_and_signs_change() {
        let chosen = |text: &str| text.parse::<Variations>().unwrap().0;
        assert_eq!(chosen("jobs, time"), BTreeSet::from([Variation::Jobs, Variation::Time]));
        assert_eq!(chosen("-user").len(), Variation::ALL.len() - 1);
        assert_eq!(chosen("-all,+umask"), BTreeSet::from([Variation::Umask]));
        assert_eq!(chosen("all,-umask").len(), Variation::ALL.len() - 1);
        assert!(chosen("-all").is_empty());
        let error = "hostname".parse::<Variations>().unwrap_err();
        assert!(error.contains("did you mean `host-name`?"), "{error}");
        assert!(",".parse::<Variations>().is_err());
    }

    #[test]
    fn every_variation_has_a_name_and_the_same_one_in_json() {
        for (variation, name) in Variation::ALL {
            assert_eq!(serde_json::to_value(variation).unwrap(), name);
            assert_eq!(variation.name(), name);
        }
    }
}
