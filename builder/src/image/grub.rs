//! GRUB: its configuration, and its boot images for BIOS and UEFI.

use std::fmt::Write as _;

use super::ImageError;
use super::serial::Serial;
use crate::digest::Digest;
use crate::execution::{Execution, ExecutionInput, IN, Invocation, OutputPath};
use crate::platform::{BiosNames, Platform};
use crate::process::argv;

/// Path of the kernel on every medium, as GRUB sees it.
pub fn kernel(platform: Platform) -> String {
    format!("/boot/{}", platform.names().kernel.image)
}

/// Path of the initrd on every medium.
pub const INITRD: &str = "/boot/initrd.img";

/// GRUB's menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// The architecture of the kernel.
    pub platform: Platform,
    /// Seconds until the first entry starts automatically; 0 starts it at once.
    pub timeout: u32,
    /// The serial line on which the menu is also shown.
    pub serial: Serial,
    /// The entries; the first is the default.
    pub entries: Vec<MenuEntry>,
}

/// One entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuEntry {
    /// The text in the menu.
    pub title: String,
    /// The identifier by which tools select it.
    pub id: String,
    /// The kernel's command line, with all parameters.
    pub cmdline: String,
    /// Whether it loads the initrd.
    pub initrd: bool,
}

/// Keys that start an entry at once. `c`, `e`, `v` and `^` have a meaning of their own in GRUB's menu.
const HOTKEYS: &str = "123456789abdfghijklmnopqrstuwxyz";

impl Menu {
    /// The key that starts entry `index` at once, if there are enough keys.
    ///
    /// A single byte: escape sequences of arrow keys may be split where firmware and GRUB read the same serial port.
    pub fn hotkey(index: usize) -> Option<char> {
        HOTKEYS.chars().nth(index)
    }

    /// The text of `grub.cfg`.
    pub fn config(&self) -> Result<String, ImageError> {
        let mut text = String::from("# Written by dbco from the recipe's `boot:`; change it there.\n");
        // UTF-8, so that titles are shown correctly; a machine without the port still has its screen.
        let _ = writeln!(
            text,
            "if {}; then\n  terminal_input console serial\n  terminal_output console serial\n  terminfo -u serial vt100\nfi",
            self.serial.grub()
        );
        // With a timeout of 0 no menu is shown; holding a key (Esc, Shift, F4) still opens it.
        let style = if self.timeout == 0 { "hidden" } else { "menu" };
        let _ = writeln!(text, "set timeout_style={style}\nset timeout={}\nset default=0", self.timeout);
        for (index, entry) in self.entries.iter().enumerate() {
            let hotkey = Self::hotkey(index).map(|key| format!(" --hotkey={key}")).unwrap_or_default();
            let title = quote("the title", &entry.title)?;
            let id = quote("the id", &entry.id)?;
            let _ = writeln!(text, "\nmenuentry {title} --id {id}{hotkey} {{");
            let _ = write!(text, "  linux {}", kernel(self.platform));
            for word in words(&entry.cmdline)? {
                let _ = write!(text, " {}", quote("the command line", &word)?);
            }
            text.push('\n');
            if entry.initrd {
                let _ = writeln!(text, "  initrd {INITRD}");
            }
            text.push_str("}\n");
        }
        Ok(text)
    }
}

/// A word quoted for GRUB's script (GRUB manual, "Quoting"): plain, or in single quotes.
fn quote(what: &'static str, word: &str) -> Result<String, ImageError> {
    if word.chars().any(char::is_control) {
        return Err(ImageError::Grub { what, text: word.to_owned(), why: "it contains a control character" });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "+,-./:=@_%".contains(c);
    // A keyword of the script language would end the entry.
    if !word.is_empty() && word.chars().all(plain) && word.contains(|c: char| !c.is_ascii_alphabetic()) {
        Ok(word.to_owned())
    } else {
        Ok(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// Splits a command line as the kernel's `next_arg` (`lib/cmdline.c`) does: at spaces outside double quotes.
///
/// GRUB puts double quotes around each word that contains a space, so the quotes end up around the whole word; the
/// kernel reads `"a=b c"` as it reads `a="b c"`. GRUB also puts a backslash before `\`, `'` and `"`
/// (`grub-core/lib/cmdline.c`), which the kernel would keep: those characters can't be passed on.
fn words(cmdline: &str) -> Result<Vec<String>, ImageError> {
    let refuse = |why| Err(ImageError::Grub { what: "the command line", text: cmdline.to_owned(), why });
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in cmdline.chars() {
        match c {
            '"' => quoted = !quoted,
            '\\' | '\'' => return refuse("GRUB would put a backslash before `\\` and `'`"),
            ' ' | '\t' | '\n' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    if quoted {
        return refuse("a double quote is not closed");
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

/// Name of the BIOS boot image as the execution makes it: `cdboot.img` and GRUB's core.
pub const ELTORITO: &str = "eltorito.img";
/// Name of the master boot record's code as the execution makes it.
pub const HYBRID_MBR: &str = "boot_hybrid.img";
/// Name of the EFI system partition's FAT image as the execution makes it.
pub const ESP: &str = "esp.img";

const MODULES: &str = "/usr/lib/grub";

/// Modules in both images. The medium has no folder of modules, so everything that a configuration may use is built in.
const COMMON: [&str; 21] = [
    "normal",
    "linux",
    "iso9660",
    "ext2",
    "fat",
    "part_msdos",
    "part_gpt",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "search_label",
    "serial",
    "terminal",
    "terminfo",
    "configfile",
    "test",
    "echo",
    "ls",
    "reboot",
    "halt",
    "chain",
];

/// GRUB's boot images, for an ISO or for a disk from whose root file system GRUB reads `/boot/grub/grub.cfg`.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The architecture whose firmware starts them.
    pub platform: Platform,
    /// Path of a file that only this medium has. On UEFI, GRUB starts from the EFI system partition and searches for
    /// this file to find the file system that holds the configuration.
    pub marker: &'a str,
    /// All times in the images: seconds since 1970.
    pub epoch: u64,
}

impl Images<'_> {
    /// The execution that makes [`ELTORITO`] and [`HYBRID_MBR`], if the architecture has a BIOS, and [`ESP`], with the GRUB and
    /// the mtools of a root.
    pub fn execution(&self, root: Digest) -> Result<Execution, ImageError> {
        let names = &self.platform.names().grub;
        let mut execution = Execution::new(root);
        if let Some(BiosNames { modules, cd }) = &names.bios {
            // The firmware passes the boot drive to the core image, so no configuration has to be embedded to find it.
            let mut bios = mkimage(cd, modules, ELTORITO);
            bios.extend(COMMON.into_iter().chain(["biosdisk"]).map(str::to_owned));
            execution.commands.push(Invocation::new("BIOS boot image", bios));
            let mbr = argv!["cp", format!("{MODULES}/{modules}/boot_hybrid.img"), HYBRID_MBR];
            execution.commands.push(Invocation::new("MBR", mbr));
            execution.outputs.extend([ELTORITO, HYBRID_MBR].map(OutputPath::file));
        }

        execution.inputs.push(ExecutionInput::bytes(format!("{IN}/{EARLY}"), self.early_config()?));
        let mut efi = mkimage(names.efi, names.efi, names.efi_program);
        efi.extend(argv!["-c", format!("{IN}/{EARLY}")]);
        efi.extend(COMMON.into_iter().chain(["efi_gop", "regexp"]).map(str::to_owned));
        execution.commands.push(Invocation::new("UEFI boot image", efi));

        let esp = argv!["sh", "-euc", WRITE_ESP, "sh", names.efi_program, ESP];
        execution.commands.push(Invocation::new("EFI system partition", esp));
        let epoch = ("SOURCE_DATE_EPOCH".to_owned(), self.epoch.to_string());
        execution.env.extend([epoch, ("MTOOLS_SKIP_CHECK".to_owned(), "1".to_owned())]);
        execution.outputs.push(OutputPath::file(ESP));
        Ok(execution)
    }

    /// Searches the disk that the firmware started from first, so that another stick made from the same recipe is not
    /// chosen.
    fn early_config(&self) -> Result<String, ImageError> {
        let marker = quote("the marker's path", &format!("/{}", self.marker.trim_start_matches('/')))?;
        Ok(format!(
            "regexp --set=1:disk '^.([^,)]+)' $cmdpath\n\
             search --no-floppy --file --set=root --hint=$disk {marker}\n\
             set prefix=($root)/boot/grub\n"
        ))
    }
}

/// The configuration that is embedded in the UEFI image.
const EARLY: &str = "early.cfg";

/// Writes the EFI system partition `$2` with the program `$1`. FAT12: boot sector, two tables, a root folder of 16
/// sectors, two folders, the program; in tracks of 32 sectors.
const WRITE_ESP: &str = r#"
length=$(stat -c %s "$1")
tracks=$(( ((length + 511) / 512 + 64 + 31) / 32 ))
truncate -s $((tracks * 32 * 512)) "$2"
mformat -i "$2" -t $tracks -h 1 -s 32 -c 1 -r 16 -N 0dbc0dbc -v EFI ::
mmd -i "$2" ::/EFI ::/EFI/BOOT
mcopy -i "$2" "$1" "::/EFI/BOOT/$1"
"#;

fn mkimage(format: &str, modules: &str, output: &str) -> Vec<String> {
    argv!["grub-mkimage", "-O", format, "-d", format!("{MODULES}/{modules}"), "-p", "/boot/grub", "-o", output]
}
