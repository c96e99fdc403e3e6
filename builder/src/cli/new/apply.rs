//! Writing what is made, all of it or nothing, and listing it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::super::printer::Printer;
use super::super::{CommandError, usage};
use crate::interrupt::{self, Temporary};
use crate::recipe::LoadError;
use crate::scaffold::{Changes, Edit, Manual, NewFile};

/// Lists what would be made and changed.
pub fn list(printer: &Printer, changes: &Changes) {
    for NewFile { path, text } in &changes.files {
        printer.line(&format!("would make {}", path.display()));
        text.lines().for_each(|line| printer.line(&format!("  + {line}")));
    }
    for edit in &changes.edits {
        printer.line(&format!("would change {}", edit.path.display()));
        difference(edit).iter().for_each(|line| printer.line(line));
    }
    changes.manual.iter().for_each(|manual| printer.note(&by_hand(manual)));
}

/// Reports what was made and changed.
pub fn report(printer: &Printer, changes: &Changes) {
    changes.files.iter().for_each(|file| printer.line(&format!("made {}", file.path.display())));
    for edit in &changes.edits {
        printer.line(&format!("changed {}", edit.path.display()));
        difference(edit).iter().for_each(|line| printer.line(line));
    }
    changes.manual.iter().for_each(|manual| printer.note(&by_hand(manual)));
}

/// The changed lines of a file.
fn difference(edit: &Edit) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (edit.before.lines().collect(), edit.after.lines().collect());
    let start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let most = before.len().min(after.len()) - start;
    let end = before.iter().rev().zip(after.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let removed = before[start..before.len() - end].iter().map(|line| format!("  - {line}"));
    let added = after[start..after.len() - end].iter().map(|line| format!("  + {line}"));
    std::iter::once(format!("  @@ line {}", start + 1)).chain(removed).chain(added).collect()
}

fn by_hand(manual: &Manual) -> String {
    let lines: String = manual.lines.lines().map(|line| format!("\n  {line}")).collect();
    format!("{} was left as it is: {}; add to it:{lines}", manual.path.display(), manual.why)
}

/// What was placed, and is removed again unless it is kept.
pub struct Placed {
    files: Vec<(PathBuf, Option<Temporary>)>,
    folders: Vec<PathBuf>,
    edits: Vec<Edit>,
    is_kept: bool,
}

impl Placed {
    /// It stays.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        for edit in &self.edits {
            let _ = replace(&edit.path, &edit.after, &edit.before);
        }
        for (path, _) in &self.files {
            let _ = fs::remove_file(path);
        }
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Writes new files and changes others. What is returned has to be kept.
///
/// # Errors
/// A file exists, or can't be written: nothing is left then.
pub fn place(changes: &Changes) -> Result<Placed, CommandError> {
    let existing: Vec<String> = changes
        .files
        .iter()
        .filter(|file| file.path.symlink_metadata().is_ok())
        .map(|file| file.path.display().to_string())
        .collect();
    if !existing.is_empty() {
        let exist = if existing.len() == 1 { "exists" } else { "exist" };
        let message = format!("{} {exist} already: nothing was made; choose another name", existing.join(", "));
        return Err(usage(anyhow!(message)));
    }
    let mut placed = Placed { files: Vec::new(), folders: Vec::new(), edits: Vec::new(), is_kept: false };
    for NewFile { path, text } in &changes.files {
        interrupt::check()?;
        if let Some(folder) = path.parent() {
            make_folders(folder, &mut placed.folders).with_context(|| format!("can't make {}", folder.display()))?;
        }
        let write = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
            file.write_all(text.as_bytes())?;
            Ok(file)
        };
        placed.files.push((path.clone(), Some(Temporary::new(path))));
        if let Err(error) = write() {
            if error.kind() == io::ErrorKind::AlreadyExists {
                placed.files.pop();
            }
            return Err(anyhow!(error).context(format!("can't write {}", path.display())).into());
        }
    }
    interrupt::check()?;
    // From here a signal leaves all of it.
    placed.files.iter_mut().for_each(|(_, temporary)| *temporary = None);
    for edit in &changes.edits {
        replace(&edit.path, &edit.before, &edit.after)
            .with_context(|| format!("can't change {}", edit.path.display()))?;
        placed.edits.push(edit.clone());
    }
    Ok(placed)
}

/// Makes a folder and those above it, and notes those that are new.
fn make_folders(folder: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in missing.into_iter().rev() {
        fs::create_dir(path)?;
        made.push(path.to_owned());
    }
    Ok(())
}

/// Replaces a file that has a known text, as a whole. A link stays one.
fn replace(path: &Path, before: &str, after: &str) -> anyhow::Result<()> {
    let path = path.canonicalize()?;
    anyhow::ensure!(fs::read(&path)? == before.as_bytes(), "it was changed in the meantime");
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".dbco-new-").tempfile_in(folder)?;
    let _temporary = Temporary::new(file.path());
    file.write_all(after.as_bytes())?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Makes a project in a folder beside its place, and moves it there after `check` has accepted it.
///
/// # Errors
/// It can't be written or is not accepted: nothing is left then.
pub fn project(
    parent: &Path,
    target: &Path,
    is_new: bool,
    changes: &Changes,
    check: &dyn Fn(&Path) -> Result<(), CommandError>,
) -> Result<Placed, CommandError> {
    let mut above = Placed { files: Vec::new(), folders: Vec::new(), edits: Vec::new(), is_kept: false };
    make_folders(parent, &mut above.folders).with_context(|| format!("can't make {}", parent.display()))?;
    let beside = tempfile::Builder::new()
        .prefix(".dbco-new-")
        .tempdir_in(parent)
        .with_context(|| format!("can't make a folder in {}", parent.display()))?;
    let _temporary = Temporary::new(beside.path());
    // Not private, as a temporary folder is by default.
    let folder = beside.path().join("project");
    let inside: Vec<NewFile> =
        changes.files.iter().map(|file| NewFile { path: folder.join(&file.path), ..file.clone() }).collect();
    place(&Changes { files: inside, ..Changes::default() })?.keep();
    check(&folder)?;
    interrupt::check()?;
    let failed = |error: io::Error| anyhow!(error).context(format!("can't make {}", target.display()));
    if is_new {
        // An empty folder that somebody has made since would be replaced; nothing else can be.
        fs::rename(&folder, target).map_err(failed)?;
        return Ok(above);
    }
    // The folder is somebody's working folder, perhaps: it stays, and gets the content.
    let mut moved: Vec<PathBuf> = Vec::new();
    let entries: Vec<_> = fs::read_dir(&folder)?.collect::<io::Result<_>>()?;
    for entry in entries {
        let place = target.join(entry.file_name());
        if let Err(error) = fs::rename(entry.path(), &place) {
            for place in moved {
                let _ = fs::remove_dir_all(&place).or_else(|_| fs::remove_file(&place));
            }
            return Err(failed(error).into());
        }
        moved.push(place);
    }
    Ok(above)
}

/// An error of loading a project that is not yet at its place, as a message about the place.
pub fn elsewhere(error: LoadError, folder: &Path, target: &Path) -> CommandError {
    let text = error.to_string().replace(&folder.display().to_string(), &target.display().to_string());
    usage(anyhow!("{}\nnothing was made", text.trim_end()))
}
