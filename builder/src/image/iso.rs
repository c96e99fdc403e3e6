//! The hybrid ISO: it boots as a CD and, when written to a USB stick, as a disk, with BIOS and with UEFI.
//!
//! The layout is that of `grub-mkrescue`: El Torito entries for BIOS and EFI, GRUB's MBR, and a protective partition
//! table with a GPT whose EFI system partition is the same FAT image as that of the El Torito entry.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::grub::HYBRID_MBR;
use super::{ImageError, rooted};
use crate::digest::Digest;
use crate::execution::{BUILD, Execution, ExecutionInput, IN, Invocation, OutputPath};
use crate::process::argv;
use crate::store::Blob;
use crate::tree::{Entry, Node, Tree, TreePath};

/// An ISO to make.
#[derive(Clone, Copy, Debug)]
pub struct Iso<'a> {
    /// Volume name: up to 32 of `A-Z 0-9 _`; see [`volume_id`].
    pub volume: &'a str,
    /// All of its times: seconds since 1970.
    pub epoch: u64,
    /// The file that the GRUB of [`grub::Images`](super::grub::Images) searches for, as a path in the ISO.
    pub marker: &'a str,
}

const FORMAT: &str = "ISO 9660";

/// The path that xorriso writes it to.
pub const FILE: &str = "image.iso";

/// The folder with its content.
const TOP: &str = "iso";

/// The order of its files.
const WEIGHTS: &str = "iso.weights";

/// Path of the El Torito image in the ISO.
const BOOT_IMAGE: &str = "boot/grub/eltorito.img";

/// Path of the EFI system partition's image in the ISO.
const BOOT_ESP: &str = "boot/grub/efi.img";

/// The boot images of GRUB, as [`grub::Images`](super::grub::Images) makes them.
#[derive(Clone, Copy, Debug)]
pub struct BootImages {
    /// The BIOS boot image, [`ELTORITO`](super::grub::ELTORITO).
    pub eltorito: Blob,
    /// The code of the master boot record, [`HYBRID_MBR`].
    pub mbr: Blob,
    /// The EFI system partition, [`ESP`](super::grub::ESP).
    pub esp: Blob,
}

impl Iso<'_> {
    /// The execution that makes the ISO [`FILE`] from the files and folders of `tree` and the boot images, with the xorriso of a
    /// root.
    pub fn execution(&self, root: Digest, tree: &Tree, images: BootImages) -> Result<Execution, ImageError> {
        let file = |Blob { digest, size }| Entry::file(digest, size, 0o644);
        let at = |path: &str| TreePath::new(path).expect("a plain path");
        let mut tree = tree.clone();
        tree.insert(at(BOOT_IMAGE), file(images.eltorito));
        tree.insert(at(BOOT_ESP), file(images.esp));
        tree.complete();
        let mut files = one_file_a_content(&mut tree)?;
        files.push(self.marker.to_owned());
        files.sort();

        // libisofs orders the content by inode numbers, which are arbitrary; weights impose the order of the names.
        let mut weights = String::new();
        for (index, name) in files.iter().enumerate() {
            let _ = writeln!(weights, "{} /{name}", files.len() - index);
        }
        let mut mbr = Tree::new();
        mbr.insert(at(HYBRID_MBR), file(images.mbr));
        Ok(Execution {
            inputs: vec![
                ExecutionInput::files(format!("{BUILD}/{TOP}"), tree),
                ExecutionInput::bytes(format!("{BUILD}/{TOP}/{}", self.marker), ""),
                ExecutionInput::files(IN, mbr),
                ExecutionInput::bytes(format!("{IN}/{WEIGHTS}"), weights),
            ],
            // xorriso uses it for every time and identifier that has no option of its own.
            env: [("SOURCE_DATE_EPOCH".to_owned(), self.epoch.to_string())].into(),
            commands: vec![Invocation::new("ISO", self.argv()?)],
            outputs: vec![OutputPath::file(FILE)],
            ..Execution::new(root)
        })
    }

    fn argv(&self) -> Result<Vec<String>, ImageError> {
        let epoch = self.epoch;
        let date = i64::try_from(epoch)
            .ok()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .map(|time| time.strftime("%Y%m%d%H%M%S00").to_string())
            .ok_or(ImageError::Epoch { format: FORMAT, epoch })?;
        let mut argv = argv!["xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-o", FILE, "-V", self.volume];
        argv.extend(argv![format!("--modification-date={date}"), "--set_all_file_dates", date]);
        argv.extend(argv!["-r", "-J", "-joliet-long", "--sort-weight-list", format!("{IN}/{WEIGHTS}")]);
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
        argv.extend(argv!["--grub2-boot-info", "--grub2-mbr", format!("{IN}/{HYBRID_MBR}")]);
        argv.extend(argv!["--efi-boot", BOOT_ESP, "-efi-boot-part", "--efi-boot-image"]);
        // Some BIOSes only start a disk that has a partition marked active.
        argv.extend(argv!["--protective-msdos-label", "--mbr-force-bootable", TOP]);
        Ok(argv)
    }
}

/// A volume name derived from any text: upper-case letters, digits and `_`, at most 32.
pub fn volume_id(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().map(plain).take(32).collect()
}

/// Makes hard links of files with the same content, as libisofs stores such a file once, and rejects everything that is
/// neither file nor folder; returns the paths of the files.
fn one_file_a_content(tree: &mut Tree) -> Result<Vec<String>, ImageError> {
    for item in rooted(tree) {
        let (path, entry) = item?;
        if !matches!(entry.node, Node::Dir | Node::File { .. }) {
            let what = "an ISO made by dbco can contain only files and folders".to_owned();
            return Err(ImageError::CantHold { format: FORMAT, path, what });
        }
    }
    let mut files = Vec::new();
    let mut numbers: HashMap<Digest, u32> = HashMap::new();
    for (path, entry) in &mut tree.entries {
        if let Node::File { blob, .. } = entry.node {
            let next = numbers.len() as u32 + 1;
            entry.inode = Some(*numbers.entry(blob).or_insert(next));
            files.push(path.as_str().to_owned());
        }
    }
    Ok(files)
}
