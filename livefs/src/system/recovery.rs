//! Leftovers of a power cut among systems and installations: found at the next start, removed and reported.

use std::fs;
use std::path::{Path, PathBuf};

use super::systems::{Result, Systems, beside, check_name, clear, failed, sync};

/// What is unfinished or being removed, by its name suffix, and the description for messages.
const UNFINISHED: &[(&str, &str)] =
    &[("creating", "creation"), ("copying", "copy"), ("restoring", "restoration"), ("removing", "removal")];

impl Systems {
    /// Removes what a power cut left, and reports it.
    ///
    /// # Errors
    /// A leftover can't be removed.
    pub fn recover(&self) -> Result<Vec<String>> {
        let mut messages = Vec::new();
        let mut paths = self.entries();
        // The original path of an archive: its unfinished file may be here, too.
        paths.sort_by_key(|(_, _, ending)| ending != "packing");
        for (path, name, ending) in paths {
            let system = check_name(&name).is_ok();
            let known = UNFINISHED.iter().find(|(known, _)| *known == ending);
            match (known, ending.as_str()) {
                (Some((_, what)), _) if system => {
                    // In this order: removals are finished, everything else is undone.
                    let now = match (ending.as_str(), self.hd.join(&name).exists()) {
                        ("removing", _) => "the removal is now complete",
                        ("restoring", true) => "the system is complete: either the old one or the restored one",
                        _ => "the incomplete copy was removed: run the command again",
                    };
                    clear(&path)?;
                    messages.push(format!("{name}: its {what} was interrupted; {now}."));
                }
                (None, "packing") if system => {
                    let Ok(file) = fs::read_link(&path) else { continue };
                    clear_file(&beside(&file, "partial"))?;
                    let now = match file.exists() {
                        true => "is complete: either the old one or the new one",
                        false => "was not created: run the command again",
                    };
                    clear_file(&path)?;
                    messages.push(format!("{name}: its packing was interrupted; {} {now}.", file.display()));
                }
                // Those of a backup, and of other files that are written atomically.
                (None, "partial") if path.is_file() => {
                    clear_file(&path)?;
                    messages.push(format!("{name}: its writing was interrupted; the incomplete file was removed."));
                }
                _ => {}
            }
        }
        if !messages.is_empty() {
            sync(&self.hd)?;
        }
        Ok(messages)
    }

    /// The entries of the disk, in order: the path, and its name before and after the last dot.
    fn entries(&self) -> Vec<(PathBuf, String, String)> {
        let entries = fs::read_dir(&self.hd).into_iter().flatten().flatten();
        let mut all: Vec<_> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (name, ending) = name.rsplit_once('.')?;
                Some((entry.path(), name.to_owned(), ending.to_owned()))
            })
            .collect();
        all.sort();
        all
    }
}

fn clear_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path.display().to_string())(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::systems::tests::{content, disk};
    use super::*;

    #[test]
    fn what_a_cut_left_is_told_and_removed() {
        let (_folder, systems) = disk();
        systems.create("system0", "live").unwrap();
        for name in ["system1.creating", "system0.restoring", "system3.removing", "notes.creating"] {
            fs::create_dir_all(systems.hd.join(name).join("x")).unwrap();
        }
        let messages = systems.recover().unwrap().join("\n");
        assert!(messages.contains("system0: its restoration was interrupted; the system is complete"), "{messages}");
        assert!(
            messages.contains("system1: its creation was interrupted; the incomplete copy was removed"),
            "{messages}"
        );
        assert!(messages.contains("system3: its removal was interrupted; the removal is now complete"), "{messages}");
        assert_eq!(content(&systems, "system0"), "one");
        assert!(systems.hd.join("notes.creating").exists(), "no system's");
        assert_eq!(systems.recover().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_archive_in_the_making_is_found_wherever_it_lies() {
        let (folder, systems) = disk();
        systems.create("system0", "live").unwrap();
        let (there, absent) = (folder.path().join("there.tar"), systems.hd.join("absent.tar"));
        fs::write(&there, "old").unwrap();
        for (system, file) in [("system0", &there), ("system1", &absent)] {
            fs::write(beside(file, "partial"), "half").unwrap();
            std::os::unix::fs::symlink(file, systems.hd.join(format!("{system}.packing"))).unwrap();
        }
        fs::write(systems.hd.join("mydata.tgz.partial"), "half").unwrap();
        let messages = systems.recover().unwrap();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(
            messages[0].starts_with("system0: its packing was interrupted; ") && messages[0].contains("is complete")
        );
        assert!(
            messages[1].starts_with("system1: its packing was interrupted; ")
                && messages[1].contains("was not created: run the command again")
        );
        assert!(messages[2].starts_with("mydata.tgz: its writing was interrupted"), "{messages:?}");
        assert_eq!(fs::read_to_string(&there).unwrap(), "old");
        assert_eq!(fs::read_dir(&systems.hd).unwrap().count(), 1, "nothing else is left");
        assert!(!beside(&there, "partial").exists());
        // A finished one needs no report.
        systems.pack("system0", &there).unwrap();
        systems.pack("system0", Path::new("/nonexistent/x.tar")).unwrap_err();
        assert_eq!(systems.recover().unwrap(), Vec::<String>::new());
    }
}
