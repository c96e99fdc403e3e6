//! Reading a `Cargo.lock` (<https://doc.rust-lang.org/cargo/guide/cargo-toml-vs-cargo-lock.html>).

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Crate;
use crate::digest::Digest;
use crate::source::list::list;

/// Why a `Cargo.lock` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CargoLockError {
    /// It can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is not TOML, or not a lock.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error.
        message: String,
    },
    /// One of its packages can't be fetched by a checksum.
    #[error("{}: package {package} {why}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Name and version.
        package: String,
        /// The error, and what is expected.
        why: String,
    },
    /// Its packages come from several registries.
    #[error(
        "{}: its crates come from several registries ({}); one is supported, cargo's default or its replacement",
        path.display(),
        list(.registries)
    )]
    Registries {
        /// The file.
        path: PathBuf,
        /// The registries, as it names them.
        registries: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// The crates that a lock's text pins; `path` is for messages.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Crate>, CargoLockError> {
    let parsed: Text = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        CargoLockError::Syntax { path: path.to_owned(), line, message: error.message().trim().to_owned() }
    })?;
    let mut registries = Vec::new();
    let mut crates = Vec::new();
    for package in parsed.package {
        let Some(source) = &package.source else { continue };
        if !registries.contains(source) {
            registries.push(source.clone());
        }
        let read = read(&package, source).map_err(|why| CargoLockError::Package {
            path: path.to_owned(),
            package: format!("{} {}", package.name, package.version),
            why,
        })?;
        crates.push(read);
    }
    if registries.len() > 1 {
        return Err(CargoLockError::Registries { path: path.to_owned(), registries });
    }
    Ok(crates)
}

fn read(package: &LockedPackage, source: &str) -> Result<Crate, String> {
    if source.starts_with("git+") {
        return Err(format!(
            "comes from a git repository ({source}), which has no checksum; \
             only crates of a registry and folders of the project itself are supported"
        ));
    }
    if !["registry+", "sparse+"].iter().any(|kind| source.starts_with(kind)) {
        return Err(format!("comes from `{source}`; expected a registry"));
    }
    let Some(checksum) = &package.checksum else {
        return Err(
            "has no checksum; a lock of cargo 1.53 or later, from a registry that states them, is expected".into()
        );
    };
    let sha256 = checksum.parse::<Digest>().map_err(|error| format!("has a bad checksum: {error}"))?;
    // Both become part of a path.
    let plain = |text: &str, more: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if !plain(&package.name, "-_") || !plain(&package.version, "-.+") {
        return Err("has an invalid name or version".into());
    }
    Ok(Crate { name: package.name.clone(), version: package.version.clone(), sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> Result<Vec<Crate>, String> {
        parse(Path::new("Cargo.lock"), text).map_err(|error| error.to_string())
    }

    fn package(name: &str, source: &str, checksum: &str) -> String {
        let line =
            |key: &str, value: &str| if value.is_empty() { String::new() } else { format!("{key} = \"{value}\"\n") };
        let (source, checksum) = (line("source", source), line("checksum", checksum));
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.2.3+a.4\"\n{source}{checksum}dependencies = [\"x\"]\n\n")
    }

    #[test]
    fn crates_are_those_with_a_source() {
        let text = format!("version = 4\n{}{}", package("mine", "", ""), package("a-b_c", "registry+r", SUM));
        let crates = read(&text).unwrap();
        assert_eq!(crates.len(), 1);
        assert_eq!(crates[0].file_name(), "a-b_c-1.2.3+a.4.crate");
        assert_eq!(crates[0].sha256.to_string(), SUM);
        assert_eq!(read("version = 4\n").unwrap(), []);
    }

    #[test]
    fn what_has_no_checksum_is_refused_by_name() {
        let git = read(&package("g", "git+https://example.org/g#0123", "")).unwrap_err();
        assert!(git.starts_with("Cargo.lock: package g 1.2.3+a.4 comes from a git repository"), "{git}");
        let none = read(&package("n", "registry+r", "")).unwrap_err();
        assert!(none.contains("package n 1.2.3+a.4 has no checksum"), "{none}");
        let bad = read(&package("n", "registry+r", "abc")).unwrap_err();
        assert!(bad.contains("has a bad checksum"), "{bad}");
        let other = read(&package("n", "ftp+r", SUM)).unwrap_err();
        assert!(other.contains("`ftp+r`; expected a registry"), "{other}");
        let two = package("n", "registry+r", SUM) + &package("m", "sparse+s", SUM);
        assert!(read(&two).unwrap_err().contains("several registries (`registry+r` and `sparse+s`)"));
    }

    #[test]
    fn names_that_climb_out_are_refused() {
        for name in ["../x", "a/b", "..", ".", "-a", ""] {
            let error = read(&package(name, "registry+r", SUM)).unwrap_err();
            assert!(error.contains("has an invalid name or version"), "{name}: {error}");
        }
        let text = package("a", "registry+r", SUM).replace("1.2.3+a.4", "1/../../x");
        assert!(read(&text).unwrap_err().contains("an invalid name or version"));
    }

    #[test]
    fn what_is_no_lock_is_shown_with_its_line() {
        assert!(read("version = 4\n\n[[package]\n").unwrap_err().starts_with("Cargo.lock:3: "));
        let error = read("version = 4\n[[package]]\nname = \"a\"\n").unwrap_err();
        assert!(error.contains("missing field `version`"), "{error}");
    }
}
