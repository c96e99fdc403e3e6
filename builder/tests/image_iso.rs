//! GRUB's menu and boot images, and the ISO, validated by grub-script-check, mtools, fdisk and xorriso.

mod support;

use dbco::digest::Digest;
use dbco::image::grub::{ESP, Images, Menu, MenuEntry};
use dbco::image::iso::{Iso, volume_id};
use dbco::image::serial::Serial;
use dbco::image::{Contents, ImageError, Tools};
use dbco::platform::Platform;
use dbco::tree::{Entry, Node, Tree};
use support::{EPOCH, HostTools, Memory, judge, path, text};

const MARKER: &str = "boot/grub/dbco-sample";

fn menu(title: &str, cmdline: &str) -> Menu {
    let entry = |id: &str, initrd| MenuEntry { title: title.into(), id: id.into(), cmdline: cmdline.into(), initrd };
    Menu {
        platform: Platform::BUILD,
        timeout: 3,
        serial: Default::default(),
        entries: vec![entry("live", true), entry("disk", false)],
    }
}

#[test]
fn a_menu_reads_as_it_is_meant() {
    let config = menu("Live system", "console=ttyS0 quiet").config().unwrap();
    let body = config.split_once("\nmenuentry").unwrap().1;
    assert_eq!(
        body.split_once("\nmenuentry").unwrap().0,
        " 'Live system' --id 'live' --hotkey=1 {\n  linux /boot/bzImage console=ttyS0 'quiet'\n  initrd /boot/initrd.img\n}\n"
    );
}

#[test]
fn grub_takes_every_serial_line() {
    for console in ["ttyS0", "ttyS1,115200", "ttyS3,57600o7r", "ttyS2,9600e8"] {
        let serial = Serial::of(&format!("console={console}"), Platform::X86_64).unwrap().unwrap();
        let config = Menu { serial, ..menu("x", "y") }.config().unwrap();
        assert!(config.contains(&format!("if {}; then", serial.grub())), "{config}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &config).unwrap();
        judge("grub-script-check", &[text(file.path())], None);
    }
}

#[test]
fn grub_takes_every_title_and_command_line() {
    for (title, cmdline) in [
        ("Live system", ""),
        ("实时系统（常驻）", "system=/系统0"),
        ("it's \"quoted\" $HOME ${x} `x` \\ ; } { # & | < > *", "a={b} c=$d;e #f &g |h <i> j=*?[k]"),
        ("}", "fi } done if then"),
        ("-x", "-- --id"),
        ("menuentry", "dyndbg=\"file ec.c +p; file x.c +p\"  spaced\tout\n next"),
        ("", "="),
    ] {
        let config = menu(title, cmdline).config().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &config).unwrap();
        judge("grub-script-check", &[text(file.path())], None);
    }
    let config = menu("x", "dyndbg=\"file ec.c +p; file x.c +p\" a='").config();
    assert!(matches!(config, Err(ImageError::Grub { .. })));
    let config = menu("x", "dyndbg=\"file ec.c +p; file x.c +p\" a").config().unwrap();
    assert!(config.contains(" 'dyndbg=file ec.c +p; file x.c +p' 'a'\n"), "{config}");
}

#[test]
fn what_grub_would_change_is_refused() {
    for (title, cmdline) in [("a\nb", ""), ("a", "b=\\c"), ("a", "b='c d'"), ("a", "b=\"c"), ("a\u{1b}[0m", "")] {
        assert!(matches!(menu(title, cmdline).config(), Err(ImageError::Grub { .. })), "{title:?} {cmdline:?}");
    }
}

#[test]
fn hotkeys_are_no_commands_of_the_menu() {
    let keys: Vec<char> = (0..).map_while(Menu::hotkey).collect();
    assert_eq!(keys[0], '1');
    assert!(keys.iter().all(|key| !"cev^".contains(*key)), "{keys:?}");
}

/// Contents, some of which are in files that can be linked, as in the store.
struct Linked {
    folder: tempfile::TempDir,
    memory: Memory,
}

impl Contents for Linked {
    fn open_unchecked(&self, blob: &Digest) -> std::io::Result<Box<dyn std::io::Read>> {
        self.memory.open(blob)
    }

    fn stored(&self, blob: &Digest) -> Option<std::path::PathBuf> {
        Some(self.folder.path().join(blob.to_string())).filter(|path| path.exists())
    }
}

/// An ISO with a kernel of 6 MiB and an initrd of 4 MiB; if `linked`, its files are links to files whose inodes are in
/// another order than the names.
fn iso(linked: bool) -> (HostTools, Digest) {
    let mut memory = Memory::default();
    let mut tree = Tree::new();
    let noise = |seed: u32, size: usize| -> Vec<u8> {
        (seed..).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 3).to_le_bytes()).take(size).collect()
    };
    let tools = HostTools::new();
    tree.insert(path("boot/bzImage"), memory.file(noise(1, 6 << 20), 0o644));
    tree.insert(path("boot/initrd.img"), memory.file(noise(9, 4 << 20), 0o600));
    tree.insert(path("boot/copy.img"), memory.file(noise(9, 4 << 20), 0o644));
    tree.insert(path("boot/grub/grub.cfg"), memory.file(menu("Live", "").config().unwrap(), 0o644));
    tree.insert(path("empty"), Entry::dir(0o700));
    tree.complete();
    Images { platform: Platform::BUILD, marker: MARKER, epoch: EPOCH }.write(&tools).unwrap();
    let iso = Iso { volume: &volume_id("dbco sample"), epoch: EPOCH, marker: MARKER };
    let contents = Linked { folder: tempfile::tempdir_in(&tools.folder).unwrap(), memory };
    if linked {
        for blob in ["boot/initrd.img", "boot/grub/grub.cfg", "boot/bzImage"].map(|name| tree.get(&path(name)).unwrap())
        {
            let Node::File { blob, .. } = blob.node else { unreachable!() };
            std::fs::write(contents.folder.path().join(blob.to_string()), &contents.memory.0[&blob]).unwrap();
        }
    }
    iso.write(&tree, &contents, &tools, "x.iso").unwrap();
    let (digest, size) = Digest::of_file(&tools.path("x.iso")).unwrap();
    assert!(size < 12 << 20, "{size} bytes for 10 MiB of content");
    (tools, digest)
}

#[test]
fn an_iso_boots_by_el_torito_and_as_a_disk_in_bios_and_uefi() {
    let (tools, _) = iso(false);
    let image = tools.path("x.iso");
    let report = judge("xorriso", &["-no_rc", "-indev", text(&image), "-report_el_torito", "plain"], None);
    assert!(report.contains("Volume id    : 'DBCO_SAMPLE'"), "{report}");
    let boot: Vec<Vec<&str>> = report
        .lines()
        .filter(|line| line.starts_with("El Torito boot img"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(boot[0][6..9], ["BIOS", "y", "none"], "{report}");
    assert_eq!(boot[1][6..9], ["UEFI", "y", "none"], "{report}");
    assert!(report.contains("El Torito img path :   1  /boot/grub/eltorito.img"), "{report}");
    assert!(report.contains("El Torito img opts :   1  boot-info-table grub2-boot-info"), "{report}");

    let areas = judge("xorriso", &["-no_rc", "-indev", text(&image), "-report_system_area", "plain"], None);
    for wanted in ["grub2-mbr", "protective-msdos-label", "GPT partition path :", "/boot/grub/efi.img"] {
        assert!(areas.contains(wanted), "{wanted} is not in\n{areas}");
    }
    let parts = judge("fdisk", &["-l", text(&image)], None);
    assert!(parts.contains("gpt"), "{parts}");

    let listing = judge("xorriso", &["-no_rc", "-indev", text(&image), "-find", "/", "-exec", "lsdl"], None);
    for line in listing.lines().filter(|line| line.starts_with(['d', '-'])) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields[2..4], ["0", "0"], "{line}");
        assert_eq!(fields[5..8], ["Jan", "1", "2021"], "{line}");
    }
    for file in ["'/boot/bzImage'", "'/boot/initrd.img'", "'/boot/grub/grub.cfg'", "'/boot/grub/dbco-sample'"] {
        assert!(listing.contains(file), "{listing}");
    }
}

#[test]
fn the_efi_system_partition_holds_the_boot_program() {
    let tools = HostTools::new();
    Images { platform: Platform::BUILD, marker: MARKER, epoch: EPOCH }.write(&tools).unwrap();
    let esp = tools.path(ESP);
    let listing = judge("mdir", &["-/", "-b", "-i", text(&esp)], None);
    assert!(listing.contains("::/EFI/BOOT/BOOTX64.EFI"), "{listing}");
    judge("fsck.fat", &["-n", text(&esp)], None);
    let size = esp.metadata().unwrap().len();
    assert!(size < 1 << 20, "{size}");
}

#[test]
fn an_iso_is_reproducible_whatever_the_inodes_and_the_time() {
    let (first, one) = iso(false);
    // Times in FAT and ISO 9660 have a resolution of two seconds at worst: wait until the clock shows others.
    let start = std::time::SystemTime::now();
    first
        .run(
            &["sh".into(), "-c".into(), "end=$(($(date +%s) + 3)); until [ $(date +%s) -ge $end ]; do :; done".into()],
            None,
        )
        .unwrap();
    assert!(start.elapsed().unwrap().as_secs() >= 2);
    let (_second, two) = iso(true);
    assert_eq!(one, two);
}
