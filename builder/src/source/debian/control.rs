//! The control file of a binary package (deb-control(5)).

use deb822_fast::Deb822;

use super::relation;

/// The fields of a package's control file that are used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// `Package`.
    pub package: String,
    /// `Version`.
    pub version: String,
    /// `Architecture`; empty if the package states none.
    pub architecture: String,
    /// `Maintainer`.
    pub maintainer: Option<String>,
    /// `Homepage`.
    pub homepage: Option<String>,
    /// `Replaces`, unparsed.
    replaces: String,
    /// `Provides`, unparsed.
    provides: String,
    /// `Pre-Depends` and `Depends`, unparsed.
    depends: [String; 2],
}

impl Control {
    /// Reads a control file; the error says what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let paragraphs = Deb822::from_reader(text).map_err(|error| error.to_string())?;
        let paragraph = paragraphs.iter().next().ok_or("it is empty")?;
        let field = |name: &str| paragraph.get(name).map(|value| value.trim().to_owned());
        let needed =
            |name: &str| field(name).filter(|value| !value.is_empty()).ok_or(format!("the field `{name}` is missing"));
        let (package, version) = (needed("Package")?, needed("Version")?);
        let replaces = field("Replaces").unwrap_or_default();
        relation::parse(&replaces)
            .map_err(|part| format!("`Replaces` contains `{part}`, which is not a valid relation"))?;
        let depends = ["Pre-Depends", "Depends"].map(|name| field(name).unwrap_or_default());
        let provides = field("Provides").unwrap_or_default();
        let architecture = field("Architecture").unwrap_or_default();
        let (maintainer, homepage) = (field("Maintainer"), field("Homepage"));
        Ok(Self { package, version, architecture, maintainer, homepage, replaces, provides, depends })
    }

    /// The names of its dependencies, with all alternatives.
    pub fn depends(&self) -> Vec<String> {
        let groups = self.depends.iter().flat_map(|field| relation::parse(field).unwrap_or_default());
        groups.flatten().map(|relation| relation.name.to_owned()).collect()
    }

    /// The names of the virtual packages that it provides.
    pub fn provides(&self) -> Vec<String> {
        let groups = relation::parse(&self.provides).unwrap_or_default();
        groups.into_iter().flatten().map(|relation| relation.name.to_owned()).collect()
    }

    /// Whether this package's files replace the other's (policy §7.6.1). Only real names count, as for dpkg.
    pub fn replaces(&self, other: &Self) -> bool {
        let groups = relation::parse(&self.replaces).unwrap_or_default();
        let named =
            |relation: &relation::Relation<'_>| relation.name == other.package && relation.admits(&other.version);
        self.package != other.package && groups.iter().flatten().any(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(package: &str, version: &str, replaces: &str) -> Control {
        let text = format!("Package: {package}\nVersion: {version}\nReplaces: {replaces}\nDescription: x\n y\n");
        Control::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_package_replaces_those_that_it_names_in_the_versions_that_it_names() {
        let new = control("new", "2", "old (<< 2), other,\n older:any (= 1:0-1)");
        for (name, version, expected) in [
            ("old", "1.9", true),
            ("old", "2", false),
            ("other", "9", true),
            ("older", "1:0-1", true),
            ("new", "1", false),
            ("x", "1", false),
        ] {
            assert_eq!(new.replaces(&control(name, version, "")), expected, "{name} {version}");
        }
        assert!(!control("self", "1", "self").replaces(&control("self", "0", "")));
    }

    #[test]
    fn what_is_no_control_file_is_refused() {
        for text in ["", "Package: a\n", "Version: 1\n", "Package: a\nVersion: 1\nReplaces: b (1\n"] {
            assert!(Control::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
