//! Keys and signatures of minisign.

use std::io::{self, Cursor};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use minisign::{PublicKey, PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};

use super::{KeyError, SignatureFault};

/// The line before the encoded part of each file.
const COMMENT: &str = "untrusted comment:";

/// A secret key has 158 bytes, a public key 42: in base64 212 and 56 characters.
const LONGEST_PUBLIC: usize = 100;

/// The characters of 64 bytes in base64, two of which are padding.
const SIGNATURE_CHARS: usize = 88;

/// The algorithm by which a key is encrypted, after two bytes for that of its signatures.
const NOT_ENCRYPTED: [u8; 2] = [0, 0];

/// Whether a file's text is that of a secret key.
pub fn is_secret(text: &str) -> bool {
    let encoded = text.lines().nth(1).unwrap_or_default();
    text.starts_with(COMMENT) && encoded.len() > LONGEST_PUBLIC
}

/// A public key, by the lines of its file; a file may also have the encoded key alone.
pub fn public(lines: &[&str]) -> Result<PublicKey, String> {
    let key = match lines {
        [encoded] => PublicKey::from_base64(encoded),
        [comment, _] if comment.starts_with(COMMENT) => {
            PublicKeyBox::from_string(&lines.join("\n")).and_then(PublicKeyBox::into_public_key)
        }
        _ => return Err(format!("a file of minisign has a line `{COMMENT} …` and a line with the key")),
    };
    key.map_err(|error| error.to_string())
}

fn id(keynum: &[u8]) -> String {
    // minisign shows the bytes in the order of a little-endian number.
    let hex: String = keynum.iter().rev().map(|byte| format!("{byte:02X}")).collect();
    format!("minisign key {hex}")
}

/// Reads a secret key.
pub fn secret(
    path: &Path,
    text: &str,
    passphrase: &mut dyn FnMut() -> io::Result<String>,
) -> Result<SecretKey, KeyError> {
    let invalid = |why: String| KeyError::Invalid {
        path: path.to_owned(),
        expected: "a secret key of minisign or SSH (OpenSSH's format)",
        why,
    };
    if !is_secret(text) {
        return Err(invalid(format!(
            "expected a line `{COMMENT} …` and a line with the key, or `BEGIN OPENSSH PRIVATE KEY`"
        )));
    }
    // `minisign -G -W` writes no checksum, without which the library refuses a key file (0.11 and 0.10.0).
    let encoded = text.lines().nth(1).unwrap_or_default().trim();
    let bytes = STANDARD.decode(encoded).map_err(|error| invalid(error.to_string()))?;
    let key = SecretKey::from_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
    if bytes[2..4] == NOT_ENCRYPTED {
        return Ok(key);
    }
    let passphrase = passphrase().map_err(|source| KeyError::Passphrase { path: path.to_owned(), source })?;
    SecretKeyBox::from_string(text)
        .and_then(|read| read.into_secret_key(Some(passphrase)))
        .map_err(|error| KeyError::Decrypt { path: path.to_owned(), why: error.to_string() })
}

/// Signs; the trusted comment names the file, and no time.
pub fn sign(key: &SecretKey, name: &str, content: &[u8]) -> Result<String, String> {
    let comment = format!("file:{name}\thashed");
    let public = PublicKey::from_secret_key(key).map_err(|error| error.to_string())?;
    let untrusted = format!("signature by dbco with the {}", id(key.keynum()));
    let signed = minisign::sign(Some(&public), key, Cursor::new(content), Some(&comment), Some(&untrusted));
    signed.map(SignatureBox::into_string).map_err(|error| error.to_string())
}

/// Verifies a signature by any of the keys; gives the key's identifier.
pub fn verify<'k>(
    keys: impl Iterator<Item = &'k PublicKey>,
    signature: &str,
    content: &[u8],
) -> Result<String, SignatureFault> {
    let invalid = |why: &dyn ToString| SignatureFault::Invalid(why.to_string());
    // The library expects the second signature to be complete.
    let second = signature.lines().nth(3).unwrap_or_default().trim();
    if second.len() != SIGNATURE_CHARS || !second.ends_with("==") {
        return Err(invalid(&"the signature of its trusted comment is incomplete"));
    }
    let signature = SignatureBox::from_string(signature).map_err(|error| invalid(&error))?;
    let own = id(signature.keynum());
    let mut known = keys.filter(|key| key.keynum() == signature.keynum()).peekable();
    if known.peek().is_none() {
        return Err(SignatureFault::UnknownKey(own));
    }
    // Two keys may have the same number, which is random.
    let mut fault = String::new();
    for key in known {
        match minisign::verify(key, &signature, Cursor::new(content), true, false, false) {
            Ok(()) => return Ok(own),
            Err(error) => fault = error.to_string(),
        }
    }
    Err(invalid(&fault))
}
