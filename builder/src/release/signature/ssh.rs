//! Keys and signatures of OpenSSH (`PROTOCOL.sshsig`).

use std::io;
use std::path::Path;

use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use super::{KeyError, SignatureFault};

/// The namespace of the signatures, so that one that was made for another purpose is not accepted: `ssh-keygen -Y sign
/// -n release@dbcolinux`.
pub const NAMESPACE: &str = "release@dbcolinux";

/// Whether a line is a public key: its first word is a type of key.
pub fn is_public(line: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|start| line.starts_with(start))
}

/// Whether a file's text is that of a private key.
pub fn is_private(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----")
}

/// A public key, by the line of its file.
pub fn public(line: &str) -> Result<PublicKey, String> {
    PublicKey::from_openssh(line).map_err(|error| error.to_string())
}

/// Reads a private key.
pub fn private(
    path: &Path,
    text: &str,
    passphrase: &mut dyn FnMut() -> io::Result<String>,
) -> Result<PrivateKey, KeyError> {
    let key = PrivateKey::from_openssh(text).map_err(|error| KeyError::Invalid {
        path: path.to_owned(),
        expected: "a private key of SSH (OpenSSH's format)",
        why: error.to_string(),
    })?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let passphrase = passphrase().map_err(|source| KeyError::Passphrase { path: path.to_owned(), source })?;
    key.decrypt(passphrase).map_err(|error| KeyError::Decrypt { path: path.to_owned(), why: error.to_string() })
}

/// Signs. The library can't make signatures of RSA: it takes a key's first prime for both (ssh-key 0.6.7).
pub fn sign(key: &PrivateKey, content: &[u8]) -> Result<String, String> {
    if matches!(key.algorithm(), Algorithm::Rsa { .. }) {
        return Err(format!(
            "dbco can't sign with a key of RSA: use one of ed25519, or `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE` for \
             SHA256SUMS and the statement"
        ));
    }
    let signature = key.sign(NAMESPACE, HashAlg::Sha512, content).map_err(|error| error.to_string())?;
    let pem = signature.to_pem(LineEnding::LF).map_err(|error| error.to_string())?;
    Ok(if pem.ends_with('\n') { pem } else { pem + "\n" })
}

/// Verifies a signature by any of the keys; gives the key's fingerprint.
pub fn verify<'k>(
    mut keys: impl Iterator<Item = &'k PublicKey>,
    signature: &str,
    content: &[u8],
) -> Result<String, SignatureFault> {
    let invalid = |error: ssh_key::Error| SignatureFault::Invalid(error.to_string());
    let signature = SshSig::from_pem(signature).map_err(invalid)?;
    let own = format!("SSH key {}", signature.public_key().fingerprint(HashAlg::Sha256));
    let Some(key) = keys.find(|key| key.key_data() == signature.public_key()) else {
        return Err(SignatureFault::UnknownKey(own));
    };
    if signature.namespace() != NAMESPACE {
        let namespace = signature.namespace().escape_debug();
        return Err(SignatureFault::Invalid(format!("its namespace is `{namespace}`, expected `{NAMESPACE}`")));
    }
    key.verify(NAMESPACE, content, &signature).map(|()| own).map_err(invalid)
}
