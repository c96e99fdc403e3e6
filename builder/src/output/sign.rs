//! Adding signatures to a folder of outputs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::read_text;
use super::mark::{self, MARK};
use crate::digest::Digest;
use crate::path_error::{FromPathError as _, PathError};
use crate::store::{StoreError, open_regular, write_atomically};

/// Why signatures could not be added.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A file with that name that dbco did not write.
    #[error("{} exists, and dbco did not write it: remove it or move it away", .0.display())]
    Exists(PathBuf),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes signatures, by file name, into a folder. If it has a mark, they are added to it, so that dbco replaces and removes them
/// with what they sign. An older signature is replaced if the mark lists it, or if it is in a folder without a mark and the same.
pub fn add_signatures(folder: &Path, signatures: &[(String, String)]) -> Result<(), SignError> {
    let mark_path = folder.join(MARK);
    let mut marked = read_text(&mark_path).and_then(|text| mark::parse(&text));
    for (name, text) in signatures {
        let path = folder.join(name);
        match open_regular(&path).and_then(Digest::of_reader) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(SignError::io("read", &path)(error)),
            Ok(there) => {
                let own = marked.as_ref().is_some_and(|marked| marked.get(name) == Some(&there));
                if !own && there.0 != Digest::of(text) {
                    return Err(SignError::Exists(path));
                }
            }
        }
    }
    for (name, text) in signatures {
        write_atomically(&folder.join(name), text.as_bytes())?;
        if let Some(marked) = &mut marked {
            marked.insert(name.clone(), (Digest::of(text), text.len() as u64));
        }
    }
    if let Some(marked) = marked {
        // A mark that is edited meanwhile only makes the next build report the signatures as foreign.
        write_atomically(&mark_path, mark::format(&marked).as_bytes())?;
        fs::metadata(&mark_path).map_err(SignError::io("read", &mark_path))?;
    }
    Ok(())
}
