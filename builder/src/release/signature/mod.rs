//! Signatures of a release's files: minisign's and SSH's, which these programs accept and make as well.

mod minisign;
mod ssh;

use std::io;
use std::path::{Path, PathBuf};

use crate::input::{LIMIT, read_text};

pub use ssh::NAMESPACE;

/// A format of signatures and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureFormat {
    /// minisign (<https://jedisct1.github.io/minisign/>), prehashed.
    Minisign,
    /// OpenSSH (`PROTOCOL.sshsig`), in the namespace [`NAMESPACE`].
    Ssh,
}

impl SignatureFormat {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Minisign, Self::Ssh];

    /// What follows the name of the signed file in the name of the signature.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Minisign => ".minisig",
            Self::Ssh => ".sig",
        }
    }
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read.
    #[error("can't read the key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file has no key of that kind.
    #[error("{} is not {expected}: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The passphrase could not be read.
    #[error("the key {} is encrypted, and its passphrase can't be read", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The passphrase does not decrypt the key.
    #[error("the passphrase of {} is wrong: {why}", path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// What was reported.
        why: String,
    },
    /// A key that can't sign.
    #[error("{} can't sign: {why}", path.display())]
    Sign {
        /// The file.
        path: PathBuf,
        /// What was reported.
        why: String,
    },
}

/// A key whose signatures are accepted.
#[derive(Clone, Debug)]
enum TrustedKey {
    Minisign(::minisign::PublicKey),
    Ssh(Box<ssh_key::PublicKey>),
}

/// The keys whose signatures are accepted.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<TrustedKey>);

/// Who signed: the format and the key's identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The format of the signature.
    pub format: SignatureFormat,
    /// `minisign key 0123456789ABCDEF`, `SSH key SHA256:…`.
    pub key: String,
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// Its key is none of the trusted ones.
    UnknownKey(String),
    /// It is not a valid signature of the content.
    Invalid(String),
}

const PUBLIC: &str = "a public key of minisign or SSH";

impl TrustedKeys {
    /// Adds the keys of a file: one of minisign, or any number of SSH's in the format of `.pub` files.
    pub fn add(&mut self, path: &Path) -> Result<(), KeyError> {
        let text = read_text(path, LIMIT).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let invalid = |why: String| KeyError::Invalid { path: path.to_owned(), expected: PUBLIC, why };
        if ssh::is_private(&text) || minisign::is_secret(&text) {
            return Err(invalid("it is a secret key".into()));
        }
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        if lines.is_empty() {
            return Err(invalid("it is empty".into()));
        }
        if lines.iter().all(|line| ssh::is_public(line)) {
            for line in lines {
                self.0.push(TrustedKey::Ssh(Box::new(ssh::public(line).map_err(invalid)?)));
            }
        } else {
            self.0.push(TrustedKey::Minisign(minisign::public(&lines).map_err(invalid)?));
        }
        Ok(())
    }

    /// Whether there is no key, so that nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies a signature of `content`.
    pub fn verify(&self, format: SignatureFormat, signature: &str, content: &[u8]) -> Result<Signer, SignatureFault> {
        match format {
            SignatureFormat::Minisign => {
                let keys = self.0.iter().filter_map(|key| match key {
                    TrustedKey::Minisign(key) => Some(key),
                    TrustedKey::Ssh(_) => None,
                });
                minisign::verify(keys, signature, content)
            }
            SignatureFormat::Ssh => {
                let keys = self.0.iter().filter_map(|key| match key {
                    TrustedKey::Ssh(key) => Some(&**key),
                    TrustedKey::Minisign(_) => None,
                });
                ssh::verify(keys, signature, content)
            }
        }
        .map(|key| Signer { format, key })
    }
}

/// A key that signs. It is never shown.
pub struct SecretKey {
    path: PathBuf,
    key: Key,
}

enum Key {
    Minisign(Box<::minisign::SecretKey>),
    Ssh(Box<ssh_key::PrivateKey>),
}

impl SecretKey {
    /// Reads a secret key of minisign or SSH. `passphrase` is called if the key is encrypted.
    pub fn load(path: &Path, passphrase: &mut dyn FnMut() -> io::Result<String>) -> Result<Self, KeyError> {
        let text = read_text(path, LIMIT).map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
        let key = if ssh::is_private(&text) {
            Key::Ssh(Box::new(ssh::private(path, &text, passphrase)?))
        } else {
            Key::Minisign(Box::new(minisign::secret(path, &text, passphrase)?))
        };
        Ok(Self { path: path.to_owned(), key })
    }

    /// The format of its signatures.
    pub fn format(&self) -> SignatureFormat {
        match self.key {
            Key::Minisign(_) => SignatureFormat::Minisign,
            Key::Ssh(_) => SignatureFormat::Ssh,
        }
    }

    /// Signs the content of a file; `name` is its name, which a signature of minisign includes. Gives the text of the
    /// signature's file.
    pub fn sign(&self, name: &str, content: &[u8]) -> Result<String, KeyError> {
        let signed = match &self.key {
            Key::Minisign(key) => minisign::sign(key, name, content),
            Key::Ssh(key) => ssh::sign(key, content),
        };
        signed.map_err(|why| KeyError::Sign { path: self.path.clone(), why })
    }
}
