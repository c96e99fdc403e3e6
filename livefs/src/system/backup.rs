//! `filetool`: a backup of listed files, as Tiny Core's (`filetool.sh`): the paths in `filetool.lst` except for those
//! in `xfiletool.lst`, as `mydata.tgz`, restored at the next start.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::attributes::without_attributes;
use super::systems::{Result, write_whole};
use super::tree::{pack, unpack};

const USAGE: &str = "\
usage: filetool -b [-s] | -r | -d  [FOLDER]

  -b  backs up what /system/etc/filetool.lst names, less what /system/etc/xfiletool.lst names
  -s  keeps the backup that was there before as mydatabk.tgz
  -r  restores the backup
  -d  tells what differs from the backup

FOLDER holds mydata.tgz (mydata=NAME on the kernel's command line: NAME.tgz). Without it the one of restore=, else the systems' disk.";

/// A backup: its tree and its location.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The tree, `/`.
    pub root: PathBuf,
    /// The folder of the lists.
    pub lists: PathBuf,
    /// The archive.
    pub archive: PathBuf,
}

/// Runs `filetool`. Gives the exit code: 0, 1 if it failed, 2 for wrong usage.
pub fn filetool(arguments: Vec<OsString>) -> u8 {
    let (mut letters, mut folder) = (String::new(), None);
    for word in &arguments {
        let text = word.to_string_lossy();
        match text.strip_prefix('-') {
            Some(more) => letters += more,
            None if folder.is_none() => folder = Some(PathBuf::from(word)),
            None => letters.push('?'),
        }
    }
    letters.retain(|letter| letter != 's');
    let safe =
        arguments.iter().any(|word| word.to_string_lossy().starts_with('-') && word.to_string_lossy().contains('s'));
    let done = match letters.as_str() {
        "b" => Backup::find(folder).and_then(|backup| backup.make(safe)),
        "r" => Backup::find(folder).and_then(|backup| backup.restore()),
        "d" => Backup::find(folder).and_then(|backup| backup.differences()).map(|all| {
            all.iter().for_each(|line| println!("{line}"));
        }),
        _ => {
            eprintln!("{USAGE}");
            return 2;
        }
    };
    match done {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("filetool: {why}");
            1
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> String + use<> {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}.")
}

impl Backup {
    /// The machine's backup: in `folder`, otherwise where one was found at the start, otherwise on the systems' disk.
    fn find(folder: Option<PathBuf>) -> Result<Backup> {
        let noted = fs::read_to_string("/system/run/backup").ok().map(|text| PathBuf::from(text.trim_end()));
        let disk = PathBuf::from("/hd");
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let disk = mounts.lines().any(|line| line.split(' ').nth(1) == Some("/hd")).then_some(disk);
        let folder = folder.or(noted).or(disk);
        let folder = folder.ok_or("There is no systems' disk at /hd: give a folder, or boot with restore=DEVICE.")?;
        if !folder.is_dir() {
            return Err(format!("{} is not a folder.", folder.display()));
        }
        let cmdline = fs::read_to_string("/proc/cmdline").unwrap_or_default();
        let name = cmdline.split_whitespace().rev().find_map(|word| word.strip_prefix("mydata="));
        let name = name.filter(|name| !name.is_empty() && !name.contains('/')).unwrap_or("mydata");
        Ok(Backup { root: "/".into(), lists: "/system/etc".into(), archive: folder.join(format!("{name}.tgz")) })
    }

    /// The paths of a list, relative to the root: one per line, `#` starts a comment. None if the list does not exist.
    fn list(&self, name: &str) -> Result<Option<Vec<PathBuf>>> {
        let path = self.lists.join(name);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(failed(&path))?,
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut all: Vec<PathBuf> = lines.map(|line| PathBuf::from(line.trim_start_matches('/'))).collect();
        if let Some(bad) = all.iter().find(|path| path.components().any(|part| part.as_os_str() == "..")) {
            return Err(format!("{}: `{}` must not contain `..`.", path.display(), bad.display()));
        }
        all.sort();
        all.dedup();
        Ok(Some(all))
    }

    /// The existing paths to back up; the excluded paths.
    fn lists(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let wanted = self.list("filetool.lst")?;
        let wanted = wanted.ok_or_else(|| format!("There is no {}.", self.lists.join("filetool.lst").display()))?;
        // A path below another one of the list is included with it; a missing one is not an error, as in Tiny Core.
        let there = |path: &&PathBuf| fs::symlink_metadata(self.root.join(path)).is_ok();
        let whole = |path: &&PathBuf| !wanted.iter().any(|other| *path != other && path.starts_with(other));
        let chosen = wanted.iter().filter(there).filter(whole).cloned().collect();
        Ok((chosen, self.list("xfiletool.lst")?.unwrap_or_default()))
    }

    /// Writes the backup; with `safe` the previous one is kept beside it.
    ///
    /// # Errors
    /// A list is invalid, or the disk is full; the backup is then unchanged.
    pub fn make(&self, safe: bool) -> Result<()> {
        let (names, left_out) = self.lists()?;
        let skip = |name: &Path| left_out.iter().any(|other| name.starts_with(other));
        if safe && self.archive.exists() {
            let stem = self.archive.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let before = self.archive.with_file_name(format!("{stem}bk.tgz"));
            let mut old = File::open(&self.archive).map_err(failed(&self.archive))?;
            write_whole(&before, |out| io::copy(&mut old, out).map(drop))?;
        }
        write_whole(&self.archive, |out| {
            pack(&self.root, &names, &skip, GzEncoder::new(out, Compression::default()))?.finish().map(drop)
        })
    }

    fn open(&self) -> Result<MultiGzDecoder<BufReader<File>>> {
        let file = File::open(&self.archive).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("There is no backup {}: create one with filetool -b.", self.archive.display())
            }
            _ => failed(&self.archive)(error),
        })?;
        Ok(MultiGzDecoder::new(BufReader::new(file)))
    }

    /// Restores everything. The archive is first read to its end: a damaged one changes nothing.
    ///
    /// # Errors
    /// It does not exist, or is damaged.
    pub fn restore(&self) -> Result<()> {
        let damaged = |error: io::Error| format!("{} is damaged: {error}.", self.archive.display());
        io::copy(&mut self.open()?, &mut io::sink()).map_err(damaged)?;
        unpack(self.open()?, &self.root).map_err(failed(&self.archive))
    }

    /// Reports files whose content in the backup differs from the tree, and the reverse.
    ///
    /// # Errors
    /// As [`Self::restore`].
    pub fn differences(&self) -> Result<Vec<String>> {
        let (names, left_out) = self.lists()?;
        let skip = |name: &Path| left_out.iter().any(|other| name.starts_with(other));
        let now = pack(&self.root, &names, &skip, Vec::new()).map_err(failed(&self.root))?;
        let (now, then) = (files(&now[..])?, files(self.open()?)?);
        let mut all = Vec::new();
        for (name, content) in &now {
            match then.iter().find(|(other, _)| other == name) {
                None => all.push(format!("new: /{}", name.display())),
                Some((_, before)) if before != content => all.push(format!("changed: /{}", name.display())),
                Some(_) => {}
            }
        }
        let gone = then.iter().filter(|(name, _)| !now.iter().any(|(other, _)| other == name));
        all.extend(gone.map(|(name, _)| format!("gone: /{}", name.display())));
        Ok(all)
    }
}

/// The entries of a tar other than folders, with a checksum of their content.
fn files(reader: impl Read) -> Result<Vec<(PathBuf, u64)>> {
    let wrong = |error: io::Error| format!("The archive is damaged: {error}.");
    let mut all: Vec<(PathBuf, u64)> = Vec::new();
    for entry in tar::Archive::new(without_attributes(reader).0).entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        // A further name of a file has its content.
        if entry.header().entry_type().is_hard_link() {
            let first = entry.link_name().map_err(wrong)?.unwrap_or_default().into_owned();
            let sum = all.iter().find(|(name, _)| *name == first).map_or(0, |(_, sum)| *sum);
            all.push((entry.path().map_err(wrong)?.into_owned(), sum));
            continue;
        }
        // FNV-1a: tells changes, not forgeries.
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            sum = bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        };
        add(&entry.link_name_bytes().map(|name| name.into_owned()).unwrap_or_default());
        let mut buffer = [0; 8192];
        loop {
            match entry.read(&mut buffer).map_err(wrong)? {
                0 => break,
                count => add(&buffer[..count]),
            }
        }
        all.push((entry.path().map_err(wrong)?.into_owned(), sum));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_files_come_back_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("root/usr/home/tc/cache")).unwrap();
        fs::create_dir_all(at("lists")).unwrap();
        fs::write(at("root/usr/home/tc/notes"), "one").unwrap();
        fs::hard_link(at("root/usr/home/tc/notes"), at("root/usr/home/tc/same")).unwrap();
        fs::write(at("root/usr/home/tc/cache/big"), "x").unwrap();
        fs::write(at("lists/filetool.lst"), "# mine\nusr/home\n/usr/home/tc\nusr/none\n").unwrap();
        fs::write(at("lists/xfiletool.lst"), "usr/home/tc/cache\n").unwrap();
        let backup = Backup { root: at("root"), lists: at("lists"), archive: at("mydata.tgz") };
        assert!(backup.restore().unwrap_err().contains("There is no backup"));
        backup.make(true).unwrap();
        assert_eq!(backup.differences().unwrap(), Vec::<String>::new());
        fs::write(at("root/usr/home/tc/notes"), "two").unwrap();
        fs::write(at("root/usr/home/tc/more"), "").unwrap();
        assert_eq!(
            backup.differences().unwrap(),
            ["new: /usr/home/tc/more", "changed: /usr/home/tc/notes", "changed: /usr/home/tc/same"]
        );
        backup.make(true).unwrap();
        assert!(at("mydatabk.tgz").exists());
        fs::remove_file(at("root/usr/home/tc/same")).unwrap();
        fs::write(at("root/usr/home/tc/same"), "apart").unwrap();
        backup.restore().unwrap();
        let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(at(name)).unwrap());
        assert_eq!(inode("root/usr/home/tc/same"), inode("root/usr/home/tc/notes"));
        fs::remove_dir_all(at("root/usr/home")).unwrap();
        backup.restore().unwrap();
        assert_eq!(fs::read_to_string(at("root/usr/home/tc/notes")).unwrap(), "two");
        assert!(!at("root/usr/home/tc/cache").exists());
        // A damaged one changes nothing.
        let bytes = fs::read(at("mydata.tgz")).unwrap();
        fs::write(at("mydata.tgz"), &bytes[..bytes.len() / 2]).unwrap();
        fs::write(at("root/usr/home/tc/notes"), "three").unwrap();
        assert!(backup.restore().unwrap_err().contains("is damaged"));
        assert_eq!(fs::read_to_string(at("root/usr/home/tc/notes")).unwrap(), "three");
    }
}
