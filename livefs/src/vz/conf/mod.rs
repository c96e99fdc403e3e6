//! Configuration files: their lines ([`ConfFile`]), how they are read ([`read`]), the values in effect ([`Config`]),
//! the permitted values of each parameter ([`params`], [`lists`]).

mod file;
pub mod lists;
pub mod netif;
pub mod params;
pub mod read;
pub mod size;

pub use file::ConfFile;
pub use read::Values;
pub use size::{Pair, UNLIMITED, Unit};

use super::exit::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The values in effect for a container: those of `vz.conf`, overridden by its own file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    values: BTreeMap<String, String>,
}

impl Config {
    /// Layers files, the first one lowest. `$VEID` becomes `ctid`.
    pub fn layered<'a>(files: impl IntoIterator<Item = &'a ConfFile>, ctid: u32) -> Config {
        Config::of(files.into_iter().flat_map(|file| file.values(ctid).pairs), ctid)
    }

    /// As [`Config::layered`], of keys and their values.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>, ctid: u32) -> Config {
        let id = ctid.to_string();
        // Most values don't refer to the number.
        let expanded = |value: String| match value.contains('$') {
            true => value.replace("${VEID}", &id).replace("$VEID", &id),
            false => value,
        };
        Config { values: pairs.into_iter().map(|(key, value)| (key, expanded(value))).collect() }
    }

    /// A key's value, if it is set and not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a key, or with None unsets it.
    pub fn put(&mut self, key: &str, value: Option<String>) {
        match value {
            Some(value) => drop(self.values.insert(key.to_owned(), value)),
            None => drop(self.values.remove(key)),
        }
    }

    /// A list's words, split at white space and commas.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let words = self.get(key).unwrap_or_default().split([' ', '\t', ',']);
        words.filter(|word| !word.is_empty()).collect()
    }

    /// A switch. None: it is not set.
    ///
    /// # Errors
    /// It is neither `yes` nor `no`.
    pub fn yes(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some("yes") => Ok(Some(true)),
            Some("no") => Ok(Some(false)),
            Some(value) => Err(bad(key, value, "yes or no")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is not a whole number.
    pub fn number(&self, key: &str) -> Result<Option<u64>> {
        self.get(key).map(|value| value.parse().map_err(|_| bad(key, value, "a number"))).transpose()
    }

    /// A limit.
    ///
    /// # Errors
    /// It is not in the parameter's unit.
    pub fn pair(&self, key: &str) -> Result<Option<Pair>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        Pair::parse(value, unit(key)).map_err(|_| bad(key, value, "BARRIER[:LIMIT]")).map(Some)
    }

    /// A limit in bytes (or a count). None: not set, or unlimited.
    ///
    /// # Errors
    /// As [`Config::pair`].
    pub fn limit(&self, key: &str) -> Result<Option<u64>> {
        let limit = self.pair(key)?.map(|pair| pair.limit.saturating_mul(unit(key).bytes()));
        Ok(limit.filter(|limit| *limit < UNLIMITED))
    }

    /// A path that must be set.
    ///
    /// # Errors
    /// [`Error::NotSet`].
    pub fn path(&self, key: &'static str) -> Result<PathBuf> {
        self.get(key).map(PathBuf::from).ok_or(Error::NotSet(key))
    }
}

/// The unit of a limit.
fn unit(key: &str) -> Unit {
    params::unit(key).unwrap_or(Unit::Items)
}

fn bad(key: &str, value: &str, expected: &str) -> Error {
    Error::InvalidConfig(format!("Invalid value for {key}=\"{value}\": expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers() {
        let global = ConfFile::parse("VE_PRIVATE=/vz/private/$VEID\nNAMESERVER=inherit\nDCACHE=1:2\n");
        let own = ConfFile::parse(
            "NAMESERVER=\"10.0.0.1 10.0.0.2\"\nONBOOT=\"yes\"\nDISABLED=no\nPHYSPAGES=\"0:256M\"\nNUMPROC=\"10:unlimited\"",
        );
        let config = Config::layered([&global, &own], 101);
        assert_eq!(config.get("VE_PRIVATE"), Some("/vz/private/101"));
        assert_eq!(config.list("NAMESERVER"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(config.yes("ONBOOT").unwrap(), Some(true));
        assert_eq!(config.yes("DISABLED").unwrap(), Some(false));
        assert_eq!(config.limit("PHYSPAGES").unwrap(), Some(256 << 20));
        assert_eq!(config.limit("NUMPROC").unwrap(), None);
        assert_eq!(config.get("DCACHESIZE"), Some("1:2"));
        assert_eq!(config.path("TEMPLATE").unwrap_err().code(), 24);
    }
}
