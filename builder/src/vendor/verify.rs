//! Checking a vendored folder or archive: every byte against the manifest and against locks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::folder::{Folder, digest_of};
use super::{Manifest, Selection, VendorError, VendoredFile};
use crate::archive::{Budget, Entries, MemberKind, decompress};
use crate::beneath::{Dir, Links};
use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::source::{MANIFEST, VendorFault, content_digest, content_path};

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files whose content is right.
    pub sound: usize,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files that are missing or damaged.
    pub faults: Vec<VendorFault>,
    /// Paths of contents that the manifest does not list, which an interrupted run leaves.
    pub unlisted: Vec<String>,
}

/// Reads all of a vendored folder or archive. `wanted` are files of locks, which must be in it as well.
///
/// `progress` receives the number of bytes read.
pub fn verify(path: &Path, wanted: &Selection, progress: &dyn Fn(u64)) -> Result<Verified, VendorError> {
    let metadata = std::fs::metadata(path).map_err(VendorError::io("read", path))?;
    if metadata.is_dir() { verify_folder(path, wanted, progress) } else { verify_archive(path, wanted, progress) }
}

/// What is expected: everything in the manifest, and what locks name. What a lock says counts.
fn expected(manifest: &Manifest, wanted: &Selection) -> BTreeMap<Digest, VendoredFile> {
    let mut all = manifest.0.clone();
    for file in wanted.files() {
        all.entry(file.sha256).or_insert_with(|| file.clone()).locked_by.extend(file.locked_by.iter().cloned());
    }
    all
}

fn fault(file: &VendoredFile, path: String, problem: impl Into<String>) -> VendorFault {
    let name = match &file.version {
        Some(version) => format!("{} {version}", file.name),
        None => file.name.clone(),
    };
    let locked_by = file.locked_by.iter().cloned().collect::<Vec<_>>().join("; ");
    VendorFault { name, path, problem: problem.into(), locked_by }
}

/// The problem of a file with this content, if there is one.
fn problem(file: &VendoredFile, found: Option<(Digest, u64)>) -> Option<String> {
    match found {
        None => Some("can't be read to its end".to_owned()),
        Some((digest, _)) if digest == file.sha256 => None,
        Some((digest, size)) => Some(format!("is damaged: its {size} bytes have sha256 {digest}")),
    }
}

fn verify_folder(path: &Path, wanted: &Selection, progress: &dyn Fn(u64)) -> Result<Verified, VendorError> {
    let path = &path.canonicalize().map_err(VendorError::io("open", path))?;
    let folder = Folder { path, dir: Dir::open(path, Links::Never).map_err(VendorError::io("open", path))? };
    let manifest = folder.manifest()?.ok_or_else(|| not_vendored(path))?;
    let mut done = Verified { unlisted: folder.unlisted(&manifest)?, ..Verified::default() };
    let mut sound = BTreeSet::new();
    for file in expected(&manifest, wanted).values() {
        let content = content_path(&file.sha256);
        let names = [Some(&content), file.pool.as_ref().filter(|_| manifest.0.contains_key(&file.sha256))];
        let mut checked = None;
        for name in names.into_iter().flatten() {
            let opened = match folder.dir.open_file(name) {
                // Names for apt are absent where there are no hard links.
                Err(error) if error.is_missing() && *name != content => continue,
                Err(error) if error.is_missing() => {
                    done.faults.push(fault(file, name.clone(), "is missing"));
                    continue;
                }
                Err(error) => {
                    done.faults.push(fault(file, name.clone(), format!("can't be read: {}", error.refusal)));
                    continue;
                }
                Ok(opened) => opened,
            };
            let metadata = opened.metadata().map_err(VendorError::io("read", path))?;
            let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
            // The second name of a file that has just been read.
            if checked.replace(inode) == Some(inode) {
                continue;
            }
            match problem(file, digest_of(opened)?) {
                Some(problem) => done.faults.push(fault(file, name.clone(), problem)),
                None if *name == content => {
                    sound.insert(file.sha256);
                    done.bytes += metadata.len();
                    progress(done.bytes);
                }
                None => {}
            }
        }
    }
    done.sound = sound.len();
    Ok(done)
}

fn not_vendored(path: &Path) -> VendorError {
    let what = format!("there is no {MANIFEST} in it: expected a folder or an archive that `dbco vendor` made");
    VendorError::NotOurs { path: path.to_owned(), what }
}

fn verify_archive(path: &Path, wanted: &Selection, progress: &dyn Fn(u64)) -> Result<Verified, VendorError> {
    const MAX_MANIFEST: u64 = 256 << 20;
    let file = crate::input::open(path).map_err(VendorError::io("read", path))?;
    let name = path.display().to_string();
    let budget = Budget { unpacked: u64::MAX, ..Budget::USUAL };
    let mut entries = Entries::new(decompress(file, &name, &budget)?, &name, &budget);
    let (mut manifest, mut found, mut done) = (None, BTreeMap::new(), Verified::default());
    while let Some(member) = entries.next_member()? {
        let path_inside = String::from_utf8_lossy(&member.path).trim_start_matches("./").to_owned();
        if member.kind != MemberKind::File {
            continue;
        }
        if path_inside == MANIFEST && member.size <= MAX_MANIFEST {
            let mut text = String::new();
            io::Read::read_to_string(&mut entries, &mut text).map_err(|error| entries.reading(error))?;
            let parsed = Manifest::parse(&text);
            let failed = |message| VendorError::Manifest { path: path.join(MANIFEST), message };
            manifest = Some(parsed.map_err(failed)?);
        } else if let Some(digest) = content_digest(&path_inside) {
            let content = Digest::of_reader(&mut entries).map_err(|error| entries.reading(error))?;
            done.bytes += content.1;
            progress(done.bytes);
            found.insert(digest, content);
        }
    }
    let manifest = manifest.ok_or_else(|| not_vendored(path))?;
    for file in expected(&manifest, wanted).values() {
        let content = content_path(&file.sha256);
        match found.remove(&file.sha256) {
            None => done.faults.push(fault(file, content, "is missing")),
            Some(read) => match problem(file, Some(read)) {
                Some(problem) => done.faults.push(fault(file, content, problem)),
                None => done.sound += 1,
            },
        }
    }
    done.unlisted = found.keys().map(content_path).collect();
    Ok(done)
}
