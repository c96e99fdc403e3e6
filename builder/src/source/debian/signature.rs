//! Whether an archive's Release file is signed by an accepted key.
//!
//! The keyring's primary keys are trusted because they are in it; subkeys need a binding signature in both directions
//! (RFC 9580 §5.2.1). A key must have been valid when it signed, not today: an archived suite keeps its signatures, and
//! its keys expire. For the same reason `Valid-Until` and signatures' own expiry are ignored.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, PublicKey, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

use super::error::SignatureError;
use crate::source::SourceError;

/// Debian's archive keys of bookworm and trixie, from its package debian-archive-keyring.
const DEBIAN: &[u8] = include_bytes!("../../../keys/debian-archive.asc");

/// The keys that may sign.
pub(super) struct Keyring {
    name: String,
    keys: Vec<SigningKey>,
}

/// A primary key or a signing subkey.
struct SigningKey {
    public: Box<dyn DynVerify>,
    fingerprint: String,
    /// The beginning and, if limited, the end of the time in which it may sign.
    valid: (SystemTime, Option<SystemTime>),
    /// Why it must not sign at all.
    refused: Option<&'static str>,
}

/// [`VerifyingKey`] for both keys and subkeys.
trait DynVerify: Send + Sync {
    fn issued(&self, signature: &Signature) -> bool;
    fn verify(&self, signature: &Signature, data: &[u8]) -> bool;
}

impl<K: VerifyingKey + KeyDetails + Send + Sync> DynVerify for K {
    fn issued(&self, signature: &Signature) -> bool {
        let (ids, fingerprints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
        fingerprints.contains(&&self.fingerprint()) || fingerprints.is_empty() && ids.contains(&&self.legacy_key_id())
    }

    fn verify(&self, signature: &Signature, data: &[u8]) -> bool {
        signature.verify(self, data).is_ok()
    }
}

impl fmt::Display for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Keyring {
    /// Debian's own keys.
    pub(super) fn built_in() -> Result<Self, SourceError> {
        Self::parse("a built-in Debian archive key", DEBIAN, Path::new("the built-in keyring"))
    }

    /// Reads a file, armoured or binary.
    pub(super) fn load(path: &Path) -> Result<Self, SourceError> {
        let fail = |reason: String| SourceError::Keyring { path: path.to_owned(), reason };
        let bytes = crate::input::read(path, crate::input::LONG).map_err(|error| fail(error.to_string()))?;
        Self::parse(&format!("a key of {}", path.display()), &bytes, path)
    }

    fn parse(name: &str, bytes: &[u8], path: &Path) -> Result<Self, SourceError> {
        let fail = |reason: String| SourceError::Keyring { path: path.to_owned(), reason };
        let (parsed, _) = SignedPublicKey::from_reader_many(bytes).map_err(|error| fail(error.to_string()))?;
        let mut keys = Vec::new();
        for key in parsed {
            collect(&key.map_err(|error| fail(error.to_string()))?, &mut keys);
        }
        if keys.is_empty() {
            return Err(fail("it contains no public key".to_owned()));
        }
        Ok(Self { name: name.to_owned(), keys })
    }

    /// Checks a text signed in place (RFC 9580 §7) and gives exactly what was signed, with lines ending in `\n`.
    pub(super) fn open_clear(&self, bytes: &[u8]) -> Result<String, SignatureError> {
        let ClearText { text, signature } = ClearText::read(bytes)?;
        self.check(&signatures(signature)?, text.as_bytes())?;
        Ok(text.replace("\r\n", "\n"))
    }

    /// Checks a detached signature.
    pub(super) fn check_detached(&self, data: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.check(&signatures(signature)?, data)
    }

    /// One valid signature suffices: an archive signs with both its old and its new key while it replaces them. An
    /// invalid signature by a known key means that the file was changed.
    fn check(&self, signatures: &[Signature], data: &[u8]) -> Result<(), SignatureError> {
        let mut unknown = Vec::new();
        let mut refused = None;
        let mut good = false;
        for signature in signatures {
            let Some(key) = self.keys.iter().find(|key| key.public.issued(signature)) else {
                unknown.push(issuer(signature));
                continue;
            };
            if let Some(reason) = key.refuses(signature) {
                refused = Some(SignatureError::Refused { key: key.fingerprint.clone(), reason });
            } else if key.public.verify(signature, data) {
                good = true;
            } else {
                return Err(SignatureError::Bad(key.fingerprint.clone()));
            }
        }
        match refused {
            _ if good => Ok(()),
            Some(error) => Err(error),
            None if unknown.is_empty() => Err(SignatureError::Unsigned),
            None => Err(SignatureError::UnknownKey(unknown)),
        }
    }
}

/// A block of signatures has a few kilobytes, whatever it signs.
pub(super) const SIGNATURE_LIMIT: usize = 64 << 10;

/// Reads signatures, armoured or binary.
fn signatures(block: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    let malformed = |error: pgp::errors::Error| SignatureError::Malformed(error.to_string());
    if block.len() > SIGNATURE_LIMIT {
        return Err(SignatureError::Malformed(format!("it is longer than {SIGNATURE_LIMIT} bytes")));
    }
    let (parsed, _) = DetachedSignature::from_reader_many(block).map_err(malformed)?;
    parsed.map(|one| one.map(|detached| detached.signature)).collect::<Result<_, _>>().map_err(malformed)
}

/// The parts of a text signed in place (RFC 9580 §7).
///
/// Parsed here, as the time that pgp 0.21 takes grows with the square of the number of lines, and the text may be a
/// hostile mirror's.
struct ClearText<'a> {
    /// The signed text: with dashes unescaped, without trailing blanks, and lines ending in CR LF.
    text: String,
    /// The armoured signatures.
    signature: &'a [u8],
}

impl<'a> ClearText<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, SignatureError> {
        const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
        const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
        const END: &[u8] = b"-----END PGP SIGNATURE-----";
        let malformed = |what: &str| SignatureError::Malformed(what.to_owned());
        let mut at = 0;
        let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
            let start = at;
            at += line.len();
            (start, line.trim_ascii_end())
        });
        if lines.next().is_none_or(|(_, line)| line != BEGIN) {
            return Err(SignatureError::Unsigned);
        }
        for (_, header) in lines.by_ref().take_while(|(_, line)| !line.is_empty()) {
            // Anything else may be text that looks signed but is not (RFC 9580 §7.1).
            if !header.starts_with(b"Hash: ") {
                return Err(malformed("a line other than `Hash:` precedes the signed text"));
            }
        }
        let mut text = Vec::with_capacity(bytes.len());
        let begin = loop {
            match lines.next() {
                None => return Err(malformed("the signed text has no signature at its end")),
                Some((start, SIGNATURE)) => break start,
                Some((_, line)) if line.starts_with(b"-----") => {
                    return Err(malformed("a line of the signed text begins with unescaped dashes"));
                }
                Some((start, _)) => {
                    let line = bytes[start..].split(|&byte| byte == b'\n').next().unwrap_or_default();
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    let line = line.strip_prefix(b"- ").unwrap_or(line);
                    let kept = line.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
                    text.extend_from_slice(&line[..kept]);
                    text.extend_from_slice(b"\r\n");
                }
            }
        };
        let signature = bytes[begin..].trim_ascii_end();
        let end = lines.find(|(_, line)| *line == END).map(|(start, line)| start + line.len());
        if end != Some(begin + signature.len()) {
            return Err(malformed("data follows the signature, or its end is missing"));
        }
        // The line break before the signature is not part of the text.
        text.truncate(text.len().saturating_sub(2));
        let text = String::from_utf8(text).map_err(|_| malformed("the signed text is not UTF-8"))?;
        Ok(Self { text, signature })
    }
}

fn issuer(signature: &Signature) -> String {
    if let Some(fingerprint) = signature.issuer_fingerprint().first() {
        return format!("{fingerprint:X}");
    }
    signature.issuer_key_id().first().map_or("an unknown key".to_owned(), |id| id.to_string().to_uppercase())
}

impl SigningKey {
    fn refuses(&self, signature: &Signature) -> Option<String> {
        if let Some(reason) = self.refused {
            return Some(reason.to_owned());
        }
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Some("it is not a signature of a document".to_owned());
        }
        match signature.hash_alg() {
            Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512) => {}
            Some(HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512) => {}
            other => {
                let name = other.map_or("an unknown algorithm".to_owned(), |hash| hash.to_string());
                return Some(format!("it uses {name}, which is insecure"));
            }
        }
        let Some(made) = signature.created().map(SystemTime::from) else {
            return Some("it has no creation time".to_owned());
        };
        let (from, until) = self.valid;
        if made < from {
            Some("it is older than the key".to_owned())
        } else if until.is_some_and(|until| made > until) {
            Some("it was made after the key expired".to_owned())
        } else {
            None
        }
    }
}

/// The keys of a certificate that may sign documents.
fn collect(certificate: &SignedPublicKey, keys: &mut Vec<SigningKey>) {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let revoked = details.revocation_signatures.iter().any(|signature| signature.verify_key(primary).is_ok());
    let newest = newest_self_signature(certificate, primary);
    let limit = newest.and_then(|signature| expiry(primary, signature));
    let may_sign = newest.is_some_and(|signature| signature.key_flags().sign());
    keys.push(SigningKey {
        fingerprint: format!("{:X}", primary.fingerprint()),
        valid: (primary.created_at().into(), limit),
        refused: match (revoked, newest, may_sign) {
            (true, ..) => Some("the key was revoked"),
            (_, None, _) => Some("the key has no self-signature that states its usage"),
            (_, _, false) => Some("the key is not a signing key"),
            _ => None,
        },
        public: Box::new(primary.clone()),
    });
    for subkey in &certificate.public_subkeys {
        let of_type = |kind: SignatureType| {
            subkey.signatures.iter().filter(move |signature| {
                signature.typ() == Some(kind) && signature.verify_subkey_binding(primary, &subkey.key).is_ok()
            })
        };
        let Some(binding) = of_type(SignatureType::SubkeyBinding).max_by_key(|signature| signature.created()) else {
            continue;
        };
        let bound_back = binding
            .embedded_signature()
            .is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
        if !binding.key_flags().sign() || !bound_back {
            continue;
        }
        let own_limit = expiry(&subkey.key, binding);
        keys.push(SigningKey {
            fingerprint: format!("{:X}", subkey.key.fingerprint()),
            // The earlier end of both: a subkey does not outlive its primary key.
            valid: (subkey.key.created_at().into(), [own_limit, limit].into_iter().flatten().min()),
            refused: if revoked || of_type(SignatureType::SubkeyRevocation).next().is_some() {
                Some("the key was revoked")
            } else {
                None
            },
            public: Box::new(subkey.key.clone()),
        });
    }
}

/// The latest self-signature with a key's usage and expiry: on a user ID or direct. Direct ones without key flags only
/// name who may revoke the key; Debian's keys have several of them.
fn newest_self_signature<'a>(certificate: &'a SignedPublicKey, primary: &PublicKey) -> Option<&'a Signature> {
    let details = &certificate.details;
    let on_users = details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification() && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    let direct = details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let stating = on_users.chain(direct).filter(|signature| signature.key_flags() != KeyFlags::default());
    stating.max_by_key(|signature| signature.created())
}

fn expiry(key: &impl KeyDetails, signature: &Signature) -> Option<SystemTime> {
    let lifetime = std::time::Duration::from(signature.key_expiration_time()?);
    // Zero seconds means no expiry (RFC 9580 §5.2.3.13).
    (!lifetime.is_zero()).then(|| SystemTime::from(key.created_at()) + lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text whose signature is checked, or the error.
    fn clear(text: &str) -> Result<String, String> {
        ClearText::read(text.as_bytes()).map(|clear| clear.text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_clear_text_is_read_as_the_specification_has_it() {
        let signature = "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n";
        let begin = "-----BEGIN PGP SIGNED MESSAGE-----\n";
        for (text, signed) in [
            ("Hash: SHA256\n\na\n- -b\n- - c \t\n\n", "a\r\n-b\r\n- c\r\n"),
            ("\r\n- From\r\n\tx\r\n", "From\r\n\tx"),
            ("Hash: SHA256\nHash: SHA512\n\n", ""),
        ] {
            assert_eq!(clear(&format!("{begin}{text}{signature}")).as_deref(), Ok(signed), "{text:?}");
        }
        for (text, reason) in [
            ("a\n".to_owned(), "not signed"),
            (format!("x\n{begin}\na\n{signature}"), "not signed"),
            (format!("{begin}\na\n"), "no signature at its end"),
            (format!("{begin}a\n\na\n{signature}"), "precedes the signed text"),
            (format!("{begin}\na\n-----END\n{signature}"), "unescaped dashes"),
            (format!("{begin}\na\n{signature}b\n"), "follows the signature"),
            (format!("{begin}\na\n{signature}{signature}"), "follows the signature"),
            (format!("{begin}\na\n-----BEGIN PGP SIGNATURE-----\n"), "its end is missing"),
        ] {
            let error = clear(&text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn hostile_clear_texts_are_read_in_linear_time() {
        let used = || {
            let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
            usage.user_time().tv_sec()
        };
        let keyring = Keyring::built_in().unwrap();
        let signature = "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n";
        for line in ["\n", "a\n", "- a\n", "- -----\n", "Hash: \n", "\r", "-----BEGIN PGP SIGNATURE----\n"] {
            for end in ["", signature] {
                for blank in ["", "\n"] {
                    let lines = line.repeat((4 << 20) / line.len());
                    let text = format!("-----BEGIN PGP SIGNED MESSAGE-----\n{blank}{lines}{end}");
                    keyring.open_clear(text.as_bytes()).unwrap_err();
                }
            }
        }
        for block in ["\n", "a: b\n", "a", "-----BEGIN PGP SIGNATURE-----\n", "-----BEGIN PGP SIGNATURE-----\n\n="] {
            keyring.check_detached(b"x", block.repeat((4 << 20) / block.len()).as_bytes()).unwrap_err();
            keyring.check_detached(b"x", block.repeat(SIGNATURE_LIMIT / block.len()).as_bytes()).unwrap_err();
        }
        // Of the processor, whatever else the machine does: some 6 s in a debug build. Quadratic time would be hours.
        assert!(used() < 60, "{} s", used());
    }

    #[test]
    fn built_in_keys_may_sign() {
        let keyring = Keyring::built_in().unwrap();
        let usable = keyring.keys.iter().filter(|key| key.refused.is_none()).count();
        // Two of the three certificates of each release have a signing subkey; all six primary keys may sign.
        assert_eq!((usable, keyring.keys.len()), (10, 10));
        let bookworm = "4CB50190207B4758A3F73A796ED0E7B82643E131";
        let key = keyring.keys.iter().find(|key| key.fingerprint == bookworm).expect("bookworm's signing subkey");
        let until = key.valid.1.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(until.as_secs(), 1_926_589_461, "2031-01-19, as `gpg --show-keys` has it");
        assert!(keyring.keys.iter().all(|key| key.valid.1.is_some()), "all of Debian's keys expire");
    }
}
