//! The hybrid ISO: boots as a CD and, written to a USB stick, as a disk, in BIOS and in UEFI.
//!
//! As `grub-mkrescue` lays it out: El Torito entries for BIOS and EFI, GRUB's MBR, a protective partition table with a GPT
//! whose EFI system partition is the very FAT image of the El Torito entry.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use super::content::place;
use super::grub::{ELTORITO, ESP, HYBRID_MBR};
use super::tools::argv;
use super::{Contents, ImageError, Tools, rooted};
use crate::beneath::Dir;
use crate::digest::{Digest, copy};
use crate::tree::{Node, Tree, TreePath};

/// An ISO to make.
#[derive(Clone, Copy, Debug)]
pub struct Iso<'a> {
    /// Volume name: up to 32 of `A-Z 0-9 _`; see [`volume_id`].
    pub volume: &'a str,
    /// Every time in it: seconds since 1970.
    pub epoch: u64,
    /// The file that [`grub::Images`](super::grub::Images) look for, as a path in the ISO.
    pub marker: &'a str,
}

const FORMAT: &str = "ISO 9660";

/// Where the El Torito image stands in the ISO.
const BOOT_IMAGE: &str = "boot/grub/eltorito.img";

/// Where the EFI system partition's image stands in the ISO.
const BOOT_ESP: &str = "boot/grub/efi.img";

impl Iso<'_> {
    /// Writes the ISO `output` into the tools' folder: the files and folders of `tree`, and what GRUB needs.
    ///
    /// [`grub::Images::write`](super::grub::Images::write) must have filled the same folder.
    pub fn write(
        &self,
        tree: &Tree,
        contents: &dyn Contents,
        tools: &dyn Tools,
        output: &str,
    ) -> Result<(), ImageError> {
        let top = tools.folder().make_dir("iso")?;
        let mut files = lay_out(tree, contents, &top)?;
        for (name, from) in [(BOOT_IMAGE, ELTORITO), (BOOT_ESP, ESP)] {
            let mut to = top.create(name)?;
            copy(&mut tools.folder().open_file(from)?, &mut to).map_err(ImageError::io("copy", Path::new(from)))?;
            files.push(name.to_owned());
        }
        top.write(self.marker, b"")?;
        files.push(self.marker.to_owned());
        files.sort();

        // libisofs orders the content by the inodes that the files happen to have; weights make the order the names'.
        let mut weights = String::new();
        for (index, name) in files.iter().enumerate() {
            let _ = writeln!(weights, "{} /{name}", files.len() - index);
        }
        tools.folder().write("iso.weights", weights.as_bytes())?;
        tools.run(&self.argv(output)?, None).map_err(ImageError::tool("ISO"))
    }

    fn argv(&self, output: &str) -> Result<Vec<String>, ImageError> {
        let epoch = self.epoch;
        let date = i64::try_from(epoch)
            .ok()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .map(|time| time.strftime("%Y%m%d%H%M%S00").to_string())
            .ok_or(ImageError::Epoch { format: FORMAT, epoch })?;
        // xorriso takes every time and identifier that has no option of its own from SOURCE_DATE_EPOCH; libisofs writes
        // local times, hence TZ.
        let mut argv =
            argv!["env", "TZ=UTC", format!("SOURCE_DATE_EPOCH={epoch}"), "xorriso", "-no_rc", "-as", "mkisofs"];
        argv.extend(argv!["-quiet", "-o", output, "-V", self.volume]);
        argv.extend(argv![format!("--modification-date={date}"), "--set_all_file_dates", date]);
        argv.extend(argv!["-r", "-J", "-joliet-long", "--sort-weight-list", "iso.weights"]);
        argv.extend(argv![
            "-c",
            "boot/grub/boot.cat",
            "-b",
            BOOT_IMAGE,
            "-no-emul-boot",
            "-boot-load-size",
            4,
            "-boot-info-table"
        ]);
        argv.extend(argv!["--grub2-boot-info", "--grub2-mbr", HYBRID_MBR]);
        argv.extend(argv!["--efi-boot", BOOT_ESP, "-efi-boot-part", "--efi-boot-image"]);
        // Some BIOSes start a disk only if a partition is marked active.
        argv.extend(argv!["--protective-msdos-label", "--mbr-force-bootable", "iso"]);
        Ok(argv)
    }
}

/// A volume name made of any text: upper-case letters, digits and `_`, at most 32.
pub fn volume_id(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().map(plain).take(32).collect()
}

/// Lays the tree out as plain files and folders; gives the paths of its files.
///
/// Files of one content become one file with several names, whether the store can link it or not: libisofs stores such
/// a file once, and the ISO must not depend on what the file system can do.
fn lay_out(tree: &Tree, contents: &dyn Contents, to: &Dir) -> Result<Vec<String>, ImageError> {
    let mut files = Vec::new();
    let mut placed: HashMap<Digest, TreePath> = HashMap::new();
    for item in rooted(tree) {
        let (path, entry) = item?;
        match &entry.node {
            Node::Dir => drop(to.make_dir(path.as_str())?),
            Node::File { blob, size } => {
                match placed.get(blob) {
                    Some(first) => to.hard_link(first.as_str(), path.as_str())?,
                    None => {
                        place(contents, &path, blob, *size, (to, path.as_str()))?;
                        placed.insert(*blob, path.clone());
                    }
                }
                files.push(path.as_str().to_owned());
            }
            _ => {
                let what = "an ISO made by dbco can contain only files and folders".to_owned();
                return Err(ImageError::CantHold { format: FORMAT, path, what });
            }
        }
    }
    Ok(files)
}
