//! Verifies a release: the signatures first, then every file, then the statement.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::PROVENANCE;
use super::provenance::Statement;
use super::signature::{SignatureFault, SignatureFormat, Signer, TrustedKeys};
use crate::beneath::{BeneathError, Dir, Links};
use crate::digest::Digest;
use crate::output::{MARK, SUMS, parse_mark, parse_sums};
use crate::path_error::{FromPathError as _, PathError};

/// A longer list of digests, signature or statement can't be that of a release.
const MOST_SUMS: u64 = 1 << 20;
const MOST_SIGNATURE: u64 = 64 << 10;
const MOST_STATEMENT: u64 = 64 << 20;

/// A release whose signature, files and statement are right.
#[derive(Clone, Debug)]
pub struct VerifiedRelease {
    /// Its folder.
    pub folder: PathBuf,
    /// The files that were compared with their digests.
    pub files: Vec<String>,
    /// All digests that the signed list has, by file name.
    pub sums: BTreeMap<String, Digest>,
    /// Who signed the list of digests.
    pub signer: Signer,
    /// The statement, if it is there.
    pub statement: Option<Statement>,
}

/// What is wrong with a release. [`VerifyError::status`] is different for each.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file has no signature.
    #[error("{} has no signature: expected {file}.minisig (minisign) or {file}.sig (SSH) beside it", folder.join(file).display())]
    NoSignature {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: &'static str,
    },
    /// A file is signed by keys that are not trusted.
    #[error("{} is signed by an unknown key: {}; none of the trusted keys signed it", folder.join(file).display(), keys.join(", "))]
    WrongKey {
        /// The folder.
        folder: PathBuf,
        /// The file.
        file: &'static str,
        /// The keys.
        keys: Vec<String>,
    },
    /// A signature by a trusted key that is not one of the file's content.
    #[error("{} is not a valid signature of {file}: {why}; one of the two was altered", path.display())]
    BadSignature {
        /// The signature.
        path: PathBuf,
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The list of digests is not one.
    #[error("{} is not a list of digests as dbco writes it", .0.display())]
    BadSums(PathBuf),
    /// A file has other content than the list says.
    #[error("{} was altered: its sha256 is {got}, {SUMS} has {want}", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// Its digest.
        got: Digest,
        /// The expected digest.
        want: Digest,
    },
    /// A listed file does not exist.
    #[error("{} is missing: {SUMS} lists it", .0.display())]
    Missing(PathBuf),
    /// A file is not listed.
    #[error("{} is not part of the release: {SUMS} does not list it", .0.display())]
    Extra(PathBuf),
    /// The statement is not one, or is not about these files.
    #[error("the statement {} {why}", path.display())]
    Statement {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file can't be opened.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
}

impl VerifyError {
    /// The exit status for it.
    pub fn status(&self) -> u8 {
        match self {
            Self::Io(_) | Self::Beneath(_) => 1,
            Self::NoSignature { .. } => 3,
            Self::WrongKey { .. } => 4,
            Self::BadSignature { .. } => 5,
            Self::BadSums(_) | Self::Differs { .. } => 6,
            Self::Missing(_) => 7,
            Self::Extra(_) => 8,
            Self::Statement { .. } => 9,
        }
    }
}

/// Verifies a folder completely, or one of its files: the signature of the list of digests, then what the list has,
/// then the statement. Nothing is used before its digest or signature was compared.
pub fn verify(target: &Path, keys: &TrustedKeys) -> Result<VerifiedRelease, VerifyError> {
    let is_folder = std::fs::metadata(target).map_err(VerifyError::io("read", target))?.is_dir();
    let (folder, only) = match is_folder {
        true => (target, None),
        false => {
            let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (parent, Some(target.file_name().unwrap_or_default().to_string_lossy().into_owned()))
        }
    };
    let dir = Dir::open(folder, Links::Never).map_err(VerifyError::io("open", folder))?;
    let release = Release { folder, dir };
    let text = release.read(SUMS, MOST_SUMS)?.ok_or_else(|| VerifyError::Missing(folder.join(SUMS)))?;
    let signer = release.signed(keys, SUMS, &text)?;
    let bad = || VerifyError::BadSums(folder.join(SUMS));
    let sums = std::str::from_utf8(&text).ok().and_then(parse_sums).ok_or_else(bad)?;
    let files = match only {
        Some(name) if !sums.contains_key(&name) => return Err(VerifyError::Extra(folder.join(name))),
        Some(name) => vec![name],
        None => {
            release.nothing_else(&sums)?;
            sums.keys().cloned().collect()
        }
    };
    for name in &files {
        release.compare(name, &sums[name])?;
    }
    let statement = release.statement(keys, &sums, is_folder)?;
    Ok(VerifiedRelease { folder: folder.to_owned(), files, sums, signer, statement })
}

/// Compares each file with the list of digests, without signatures: before a release is signed.
pub fn verify_unsigned(folder: &Path) -> Result<BTreeMap<String, Digest>, VerifyError> {
    let dir = Dir::open(folder, Links::Never).map_err(VerifyError::io("open", folder))?;
    let release = Release { folder, dir };
    let text = release.read(SUMS, MOST_SUMS)?.ok_or_else(|| VerifyError::Missing(folder.join(SUMS)))?;
    let sums = std::str::from_utf8(&text).ok().and_then(parse_sums);
    let sums = sums.ok_or_else(|| VerifyError::BadSums(folder.join(SUMS)))?;
    release.nothing_else(&sums)?;
    for (name, digest) in &sums {
        release.compare(name, digest)?;
    }
    let path = folder.join(PROVENANCE);
    let text = release.read(PROVENANCE, MOST_STATEMENT)?.ok_or_else(|| VerifyError::Missing(path.clone()))?;
    about(&path, &text, &sums)?;
    Ok(sums)
}

/// The statement in `text`, if it is about exactly the listed files.
fn about(path: &Path, text: &[u8], sums: &BTreeMap<String, Digest>) -> Result<Statement, VerifyError> {
    let fault = |why: String| VerifyError::Statement { path: path.to_owned(), why };
    let statement = Statement::parse(text).map_err(|why| fault(format!("can't be read: {why}")))?;
    let subjects: BTreeMap<&str, Option<Digest>> =
        statement.subject.iter().map(|subject| (subject.name.as_str(), subject.sha256())).collect();
    let listed: BTreeMap<&str, Option<Digest>> = sums
        .iter()
        .filter(|(name, _)| *name != PROVENANCE)
        .map(|(name, digest)| (name.as_str(), Some(*digest)))
        .collect();
    if subjects != listed || subjects.len() != statement.subject.len() {
        let all = subjects.keys().chain(listed.keys());
        let differ = all.copied().find(|name| subjects.get(name) != listed.get(name)).unwrap_or("a file twice");
        return Err(fault(format!("is not about the files that {SUMS} lists: {} differs", differ.escape_debug())));
    }
    Ok(statement)
}

struct Release<'a> {
    folder: &'a Path,
    dir: Dir,
}

impl Release<'_> {
    /// The content of a file; `None` if it does not exist.
    fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, VerifyError> {
        match self.dir.read(name, most) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Who signed a file. Every signature by a trusted key has to be valid, and there has to be one.
    fn signed(&self, keys: &TrustedKeys, file: &'static str, content: &[u8]) -> Result<Signer, VerifyError> {
        let (mut signer, mut unknown) = (None, Vec::new());
        for format in SignatureFormat::ALL {
            let name = format!("{file}{}", format.ending());
            let Some(bytes) = self.read(&name, MOST_SIGNATURE)? else { continue };
            let text = String::from_utf8_lossy(&bytes);
            match keys.verify(format, &text, content) {
                Ok(by) => signer = signer.or(Some(by)),
                Err(SignatureFault::UnknownKey(key)) => unknown.push(key),
                Err(SignatureFault::Invalid(why)) => {
                    return Err(VerifyError::BadSignature { path: self.folder.join(name), file, why });
                }
            }
        }
        let folder = || self.folder.to_owned();
        match signer {
            Some(signer) => Ok(signer),
            None if unknown.is_empty() => Err(VerifyError::NoSignature { folder: folder(), file }),
            None => Err(VerifyError::WrongKey { folder: folder(), file, keys: unknown }),
        }
    }

    /// The folder has nothing but what the list names, the list itself, signatures, and dbco's mark of such files.
    fn nothing_else(&self, sums: &BTreeMap<String, Digest>) -> Result<(), VerifyError> {
        let signatures: Vec<String> = [SUMS, PROVENANCE]
            .iter()
            .flat_map(|file| SignatureFormat::ALL.map(|format| format!("{file}{}", format.ending())))
            .collect();
        for entry in self.dir.list("")? {
            let name = entry.name.to_str();
            let known = name.is_some_and(|name| {
                name == SUMS || sums.contains_key(name) || signatures.iter().any(|signature| signature == name)
            });
            if !(known || name == Some(MARK) && self.is_mark(sums, &signatures)?) {
                return Err(VerifyError::Extra(self.folder.join(entry.name)));
            }
        }
        Ok(())
    }

    /// Whether the mark is one of this release, which lists nothing else.
    fn is_mark(&self, sums: &BTreeMap<String, Digest>, signatures: &[String]) -> Result<bool, VerifyError> {
        let Some(bytes) = self.read(MARK, MOST_SUMS)? else { return Ok(false) };
        let Some(marked) = std::str::from_utf8(&bytes).ok().and_then(parse_mark) else { return Ok(false) };
        let known = |name: &String, digest: &Digest| {
            name == SUMS || signatures.contains(name) || sums.get(name) == Some(digest)
        };
        Ok(marked.iter().all(|(name, (digest, _))| known(name, digest)))
    }

    fn compare(&self, name: &str, want: &Digest) -> Result<(), VerifyError> {
        let path = self.folder.join(name);
        let file = match self.dir.open_file(name) {
            Err(error) if error.is_missing() => return Err(VerifyError::Missing(path)),
            file => file?,
        };
        let (got, _) =
            Digest::of_reader(io::BufReader::with_capacity(1 << 17, file)).map_err(VerifyError::io("read", &path))?;
        if got == *want { Ok(()) } else { Err(VerifyError::Differs { path, got, want: *want }) }
    }

    /// The statement, which the list has to name and a trusted key has to have signed. A single file may be without it.
    fn statement(
        &self,
        keys: &TrustedKeys,
        sums: &BTreeMap<String, Digest>,
        is_needed: bool,
    ) -> Result<Option<Statement>, VerifyError> {
        let path = self.folder.join(PROVENANCE);
        let Some(text) = self.read(PROVENANCE, MOST_STATEMENT)? else {
            return if is_needed { Err(VerifyError::Missing(path)) } else { Ok(None) };
        };
        self.signed(keys, PROVENANCE, &text)?;
        match sums.get(PROVENANCE) {
            Some(want) if *want == Digest::of(&text) => about(&path, &text, sums).map(Some),
            Some(want) => Err(VerifyError::Differs { path, got: Digest::of(&text), want: *want }),
            None => Err(VerifyError::Extra(path)),
        }
    }
}
