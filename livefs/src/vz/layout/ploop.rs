//! Layout `ploop`: the private area holds one disk image, a plain ext4, which is accessed through a loop device.
//!
//! The names are those of OpenVZ's ploop: `root.hdd/root.hdd`, `root.hdd/DiskDescriptor.xml`. The format is not: OpenVZ's images
//! contain a block table, and its snapshots are differences; here images and snapshots are complete, sparse files. The snapshots are
//! described by `Snapshots.json`; the descriptor is only written for other programs.

use super::area::{Area, Keeper, New, Place, interrupted, shift};
use crate::durable::{replace, sync_folder, unfinished};
use crate::system::sparse;
use crate::vz::conf::{Config, Pair, Unit};
use crate::vz::disk::{clear, make_folder, sync};
use crate::vz::exit::{Error, Result};
use crate::vz::node::{Mount, MountSource, Node};
use crate::vz::snapshots::{Snapshots, Switching};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// See the module's documentation.
pub struct Ploop;

/// The description of the images for other programs. OpenVZ's tools and scripts recognise the layout by it.
pub const DESCRIPTOR: &str = "root.hdd/DiskDescriptor.xml";

/// The image.
const IMAGE: &str = "root.hdd";

/// Exit codes (vzctl(8)): an image was not made, not mounted, not resized.
const CREATE: u8 = 151;
const MOUNT: u8 = 152;
const RESIZE: u8 = 154;

/// The folder of the images.
fn images(private: &Path) -> PathBuf {
    private.join("root.hdd")
}

fn image(private: &Path) -> PathBuf {
    images(private).join(IMAGE)
}

/// A snapshot's image.
fn kept(private: &Path, id: &str) -> PathBuf {
    images(private).join(format!("{IMAGE}.{id}"))
}

fn size(image: &Path) -> Result<u64> {
    fs::metadata(image).map(|about| about.len()).map_err(|error| Error::file(image, error))
}

/// The configured size of the image in bytes, and the configured number of files.
fn configured(config: &Config) -> Result<(u64, Option<u64>)> {
    let pair = |key: &str, unit| config.get(key).and_then(|text| Pair::parse(text, unit).ok()).map(|pair| pair.limit);
    match pair("DISKSPACE", Unit::Kilobytes) {
        Some(kilobytes) if kilobytes > 0 => {
            // Each inode takes space even without a file: so there are no more than blocks.
            let inodes = pair("DISKINODES", Unit::Items).filter(|inodes| *inodes > 0);
            Ok((kilobytes.saturating_mul(1024), inodes.map(|inodes| inodes.min(kilobytes / 4).max(1))))
        }
        _ => Err(Error::SizeNotSet(" (required for ploop)")),
    }
}

impl Area for Ploop {
    fn ready(&self, config: &Config) -> Result<()> {
        configured(config).map(drop)
    }

    fn fill(&self, node: &dyn Node, new: &New) -> Result<()> {
        let (bytes, inodes) = configured(new.config)?;
        let folder = images(new.made);
        make_folder(&folder)?;
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&folder, private).map_err(|error| Error::file(&folder, error))?;
        node.format(&image(new.made), bytes, inodes).map_err(|error| named(error, CREATE, "Failed to create image"))?;
        make_folder(new.root)?;
        node.umount(new.root)?;
        node.mount(&self.mounts(new.made, new.root, None)?)?;
        // The path of the root may be a symlink: its own owner must not change.
        let top = new.root.canonicalize().map_err(|error| Error::file(new.root, error));
        let owned = top.and_then(|top| {
            new.template.lay_out_into(&top)?;
            new.ids.map_or(Ok(()), |ids| shift(&top, ids, &|_| false))
        });
        let unmounted = node.umount(new.root);
        owned.and(unmounted)?;
        let state = Snapshots::default();
        state.write(new.made)?;
        describe(new.made, &state)
    }

    fn mounts(&self, private: &Path, root: &Path, options: Option<&str>) -> Result<Vec<Mount>> {
        let source = MountSource::Image(image(private), options.unwrap_or_default().to_owned());
        Ok(vec![Mount { source, target: root.to_owned(), read_only: false }])
    }

    fn check(&self, node: &dyn Node, private: &Path) -> Result<()> {
        let image = image(private);
        let mut magic = [0; 2];
        let read = File::open(&image).and_then(|file| file.read_exact_at(&mut magic, MAGIC_AT));
        if let Err(error) = read {
            return Err(Error::Image(MOUNT, format!("Failed to mount image: {}: {error}", image.display())));
        }
        if magic != MAGIC {
            return Err(Error::Image(
                MOUNT,
                format!(
                    "Failed to mount image: {} is not an image of ext4 as it is; those of OpenVZ's own format have to be \
                     mounted there and copied",
                    image.display()
                ),
            ));
        }
        node.check(&image).map_err(|error| named(error, MOUNT, "Failed to mount image"))
    }

    fn is_image(&self) -> bool {
        true
    }

    fn shrinks(&self, private: &Path, bytes: u64) -> Result<bool> {
        Ok(bytes < size(&image(private))?)
    }

    fn resize(&self, node: &dyn Node, at: Place, bytes: u64) -> Result<()> {
        let image = image(at.private);
        let failed = |error| named(error, RESIZE, "Failed to resize image");
        if !self.shrinks(at.private, bytes)? {
            // The kernel grows a mounted file system; after a power cut its journal gives the old or the new size. This also
            // runs if the file already has the new size, as a power cut may leave it.
            if !at.mounted {
                self.check(node, at.private)?;
                make_folder(at.root)?;
                node.mount(&self.mounts(at.private, at.root, None)?)?;
            }
            let grown = node.grow(&image, at.root, bytes).map_err(failed);
            if !at.mounted {
                node.umount(at.root)?;
            }
            grown?;
        } else {
            if at.mounted {
                let text = "Failed to resize image: it can't shrink while the container is mounted: stop it first";
                return Err(Error::Image(RESIZE, text.into()));
            }
            // On a copy: a power cut while a file system is shrunk would leave neither the old nor the new one.
            let copy = images(at.private).join(format!("{IMAGE}.resizing"));
            clear(&copy)?;
            let done = sparse::copy(&image, &copy)
                .map_err(|error| Error::file(&copy, error))
                .and_then(|()| node.shrink(&copy, bytes).map_err(failed))
                .and_then(|()| put(&copy, &image));
            if done.is_err() {
                // The cause of the failure matters more.
                let _ = clear(&copy);
                return done;
            }
        }
        describe(at.private, &Snapshots::read(at.private)?)
    }

    fn snapshots(&self) -> Option<&dyn Keeper> {
        Some(self)
    }

    fn is_switching(&self, private: &Path) -> bool {
        Snapshots::read(private).is_ok_and(|state| state.switching.is_some())
    }

    fn finish(&self, at: Place) -> Result<()> {
        self.replace_image(at, &mut Snapshots::read(at.private)?)
    }

    fn repair(&self, at: Place) -> Result<Vec<String>> {
        let folder = images(at.private);
        let mut said = Vec::new();
        for file in [at.private.join(Snapshots::FILE), at.private.join(DESCRIPTOR)] {
            clear(&unfinished(&file))?;
        }
        let Ok(state) = Snapshots::read(at.private) else { return Ok(said) };
        // The image that a switch still needs; see `finish`.
        let needed = state.switching.as_ref().map(|_| folder.join(SWITCHING));
        for (path, what) in interrupted(&folder).into_iter().filter(|(path, _)| Some(path) != needed.as_ref()) {
            clear(&path)?;
            said.push(format!("{what} was interrupted"));
        }
        // Files without a description belong to an interrupted creation or deletion.
        let known = |id: &str| state.all.iter().any(|one| one.id == id);
        let prefix = format!("{IMAGE}.");
        for entry in fs::read_dir(&folder).map_err(|error| Error::file(&folder, error))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.strip_prefix(&prefix).filter(|id| id.starts_with('{'));
            if let Some(id) = id.filter(|id| !known(id)) {
                clear(&entry.path())?;
                clear(&Keeper::conf(self, at.private, id))?;
                said.push(format!("a snapshot was interrupted; {id} was removed"));
            }
        }
        describe(at.private, &state)?;
        Ok(said)
    }
}

/// ext4's magic number, and its offset in an image (Documentation/filesystems/ext4/super.rst).
const MAGIC: [u8; 2] = [0x53, 0xef];
const MAGIC_AT: u64 = 1024 + 0x38;

impl Keeper for Ploop {
    fn conf(&self, private: &Path, id: &str) -> PathBuf {
        private.join("dump").join(format!("{id}.ve.conf"))
    }

    fn take(&self, node: &dyn Node, at: Place, state: &mut Snapshots, id: &str) -> Result<()> {
        let kept = kept(at.private, id);
        let made = images(at.private).join(format!("{IMAGE}.{id}.creating"));
        clear(&made)?;
        let mut copy = || {
            sparse::copy(&image(at.private), &made).map_err(|error| Error::system("Failed to create snapshot", error))
        };
        let copied = if at.mounted { node.hold(at.root, &mut copy) } else { copy() };
        // This includes the snapshot's configuration.
        let settled = copied.and_then(|()| sync(at.private)).and_then(|()| put(&made, &kept));
        if settled.is_err() {
            let _ = clear(&made);
            return settled;
        }
        state.write(at.private)?;
        describe(at.private, state)
    }

    fn switch(&self, at: Place, state: &mut Snapshots, id: &str, conf: bool) -> Result<()> {
        let made = images(at.private).join(SWITCHING);
        clear(&made)?;
        let copied = sparse::copy(&kept(at.private, id), &made).and_then(|()| sync_folder(&images(at.private)));
        if let Err(error) = copied {
            let _ = clear(&made);
            return Err(Error::Snapshot(159, format!("Failed to switch to snapshot {id}: {error}")));
        }
        // After a power cut from here on, the switch is completed at the next start.
        state.switching = Some(Switching { id: id.to_owned(), conf });
        state.write(at.private)?;
        self.replace_image(at, state)
    }

    fn discard(&self, private: &Path, id: &str) -> Result<()> {
        clear(&kept(private, id))?;
        describe(private, &Snapshots::read(private)?)
    }

    fn shown(&self, private: &Path, _: &Snapshots, id: &str) -> MountSource {
        MountSource::Image(kept(private, id), String::new())
    }
}

/// The copy of a snapshot that is to replace the image.
const SWITCHING: &str = "root.hdd.switching";

impl Ploop {
    /// Completes a switch.
    fn replace_image(&self, at: Place, state: &mut Snapshots) -> Result<()> {
        let Some(Switching { id, conf }) = state.switching.take() else { return Ok(()) };
        let made = images(at.private).join(SWITCHING);
        if made.exists() {
            put(&made, &image(at.private))?;
        }
        let kept = Keeper::conf(self, at.private, &id);
        if conf && kept.is_file() {
            let text = fs::read(&kept).map_err(|error| Error::file(&kept, error))?;
            replace(at.conf, &text, 0o644).map_err(|error| Error::file(at.conf, error))?;
        }
        state.current = Some(id);
        state.write(at.private)?;
        describe(at.private, state)
    }
}

/// Renames an image whose data is on the disk, and syncs the folder.
fn put(made: &Path, image: &Path) -> Result<()> {
    let done = fs::rename(made, image).and_then(|()| sync_folder(image.parent().unwrap_or(image)));
    done.map_err(|error| Error::file(image, error))
}

/// An error of the machine with the exit code and the prefix of the classic tool.
fn named(error: Error, code: u8, what: &str) -> Error {
    match error {
        Error::DiskFull(text) => Error::DiskFull(format!("{what}: {text}")),
        Error::Image(code, text) => Error::Image(code, text),
        other => Error::Image(code, format!("{what}: {other}")),
    }
}

/// The identifiers of the image itself and of no image in OpenVZ's descriptors.
const TOP: &str = "{5fbaabe3-6958-40ff-92a7-860e329aab41}";
const NONE: &str = "{00000000-0000-0000-0000-000000000000}";

/// Writes the descriptor, if its content differs from the existing one.
fn describe(private: &Path, state: &Snapshots) -> Result<()> {
    let path = private.join(DESCRIPTOR);
    let text = descriptor(size(&image(private))? / 512, state);
    if fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    replace(&path, text.as_bytes(), 0o600).map_err(|error| Error::file(&path, error))
}

/// The text of `DiskDescriptor.xml`: the size in sectors, the images, and the snapshots that they belong to.
fn descriptor(sectors: u64, state: &Snapshots) -> String {
    let (heads, track) = (16, 63);
    let image = |id: &str, file: &str| {
        format!(
            "\t\t\t<Image>\n\t\t\t\t<GUID>{id}</GUID>\n\t\t\t\t<Type>Plain</Type>\n\t\t\t\t<File>{file}</File>\n\t\t\t</Image>\n"
        )
    };
    let shot = |id: &str, parent: Option<&String>| {
        let parent = parent.map_or(NONE, String::as_str);
        format!("\t\t<Shot>\n\t\t\t<GUID>{id}</GUID>\n\t\t\t<ParentGUID>{parent}</ParentGUID>\n\t\t</Shot>\n")
    };
    let kept = || state.all.iter().filter(|one| !one.hidden);
    let images: String = kept().map(|one| image(&one.id, &format!("{IMAGE}.{}", one.id))).collect();
    let shots: String = kept().map(|one| shot(&one.id, one.parent.as_ref())).collect();
    format!(
        "<?xml version=\"1.0\"?>\n<Parallels_disk_image Version=\"1.0\">\n\t<Disk_Parameters>\n\t\t<Disk_size>{sectors}</Disk_size>\n\
         \t\t<Cylinders>{}</Cylinders>\n\t\t<Heads>{heads}</Heads>\n\t\t<Sectors>{track}</Sectors>\n\t\t<Padding>0</Padding>\n\
         \t</Disk_Parameters>\n\t<StorageData>\n\t\t<Storage>\n\t\t\t<Start>0</Start>\n\t\t\t<End>{sectors}</End>\n\
         \t\t\t<Blocksize>2048</Blocksize>\n\t\t\t<Preallocated>0</Preallocated>\n{}{images}\t\t</Storage>\n\t</StorageData>\n\
         \t<Snapshots>\n\t\t<TopGUID>{TOP}</TopGUID>\n{shots}{}\t</Snapshots>\n</Parallels_disk_image>\n",
        sectors / (heads * track),
        image(TOP, IMAGE),
        shot(TOP, state.current.as_ref()),
    )
}
