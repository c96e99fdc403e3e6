//! `hdinstall`: a disk that boots by itself, with BIOS and with UEFI, with the live system, a first system and room for
//! more.
//!
//! | partition | content |
//! |---|---|
//! | 1 | GRUB's core for BIOS |
//! | 2 | EFI system partition: GRUB as [`UEFI_PROGRAM`] in `EFI/BOOT` |
//! | 3 | ext4 `dbcolinux`: `boot/` with kernel, initrd and menu; `system0`; later also containers and users' files |

mod gpt;
mod grub;
mod menu;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::systems::Systems;
use crate::boot::disks::Places;
use crate::boot::probe::ContentKind;
use crate::platform::{CONSOLES, KERNEL, UEFI_PROGRAM};
use crate::process::command;
use menu::Menu;

fn usage() -> String {
    format!(
        "\
usage: hdinstall [--yes] [--from FOLDER] [--cmdline TEXT] DISK

Makes DISK (/dev/vda, /dev/sda, ...) bootable in BIOS and in UEFI mode. ALL DATA ON IT IS LOST. The disk gets the live system, a first
system (/system0), and room for more systems. hdinstall asks for confirmation; --yes skips the question. Kernel and initrd are copied from the
medium that the machine was started from, or from FOLDER ({KERNEL}, initrd.img). TEXT is the kernel's command line in all menu entries
[{CONSOLES}]; GRUB's menu is also shown on its last serial console."
    )
}

/// Where GRUB's images are in the live system.
const IMAGES: &str = "/system/lib/grub";
/// Where file systems are mounted meanwhile.
const WORK: &str = "/system/run/hdinstall";

/// The label of the systems' disk, and its label during the installation.
const LABEL: &str = "dbcolinux";
const UNFINISHED: &str = "dbco-unfinished";

type Result<T> = std::result::Result<T, String>;

/// Runs `hdinstall`. Gives the exit code: 0, 1 if it failed or was declined, 2 for wrong usage.
pub fn hdinstall(arguments: Vec<OsString>) -> u8 {
    // A replacement character in the command line or in a path would change its meaning.
    let words: std::result::Result<Vec<String>, OsString> = arguments.into_iter().map(OsString::into_string).collect();
    let words = match words {
        Ok(words) => words,
        Err(word) => {
            eprintln!("hdinstall: the argument {} is not valid UTF-8.", word.to_string_lossy());
            return 2;
        }
    };
    if words == ["--help"] {
        println!("{}", usage());
        return 0;
    }
    let Some(wanted) = Wanted::read(&words) else {
        eprintln!("{}", usage());
        return 2;
    };
    match wanted.install() {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("hdinstall: {why}");
            1
        }
    }
}

/// The arguments.
struct Wanted {
    disk: PathBuf,
    yes: bool,
    from: Option<PathBuf>,
    cmdline: Option<String>,
}

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> String {
    let what = what.into();
    move |error| format!("{what}: {error}.")
}

impl Wanted {
    fn read(words: &[String]) -> Option<Wanted> {
        let (mut disk, mut yes, mut from, mut cmdline) = (None, false, None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--yes" => yes = true,
                "--from" => from = Some(PathBuf::from(words.next()?)),
                "--cmdline" => cmdline = Some(words.next()?.clone()),
                _ if word.starts_with('-') || disk.is_some() => return None,
                _ => disk = Some(PathBuf::from(word)),
            }
        }
        Some(Wanted { disk: disk?, yes, from, cmdline })
    }

    fn install(&self) -> Result<()> {
        let menu = Menu::new(self.cmdline.as_deref())?;
        let disk = fs::canonicalize(&self.disk).map_err(failed(self.disk.display().to_string()))?;
        let name = disk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        check_disk(&disk, &name)?;
        let sectors = sectors(&name)?;
        let layout = gpt::PartitionLayout::of(sectors)
            .ok_or_else(|| format!("{} is too small: at least 128 MiB are required.", disk.display()))?;
        let image = |file: &str| {
            let path = Path::new(IMAGES).join(file);
            fs::read(&path).map_err(failed(path.display().to_string()))
        };
        let (boot, core, efi) = (image("boot.img")?, image("core.img")?, image(UEFI_PROGRAM)?);
        let (boot, core) = grub::place(&boot, &core, layout.bios.first, layout.bios.sectors())
            .map_err(|why| format!("GRUB images in {IMAGES}: {why}."))?;
        let work = Work::new()?;
        let source = self.source(&work, &disk)?;
        if !self.yes && !confirmed(&disk, sectors)? {
            return Err(format!("Cancelled: {} is left as it was.", disk.display()));
        }
        println!("Partitioning {}", disk.display());
        let mut file = OpenOptions::new().write(true).open(&disk).map_err(failed(disk.display().to_string()))?;
        let what = || failed(format!("Cannot write to {}", disk.display()));
        let mut random = [0; 16];
        File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).map_err(failed("/dev/urandom"))?;
        // If the power fails meanwhile, the disk does not boot and no incomplete system is found on it: the old
        // contents are erased first, and the systems' disk gets its final label last.
        layout.erase(&mut file).map_err(what())?;
        file.seek(SeekFrom::Start(layout.bios.first * gpt::SECTOR))
            .and_then(|_| file.write_all(&core))
            .map_err(what())?;
        layout.write(&mut file, &boot, random).and_then(|()| file.sync_all()).map_err(what())?;
        drop(file);
        run("partprobe", &[disk.as_os_str()])?;
        let part = |number: u32| partition(&disk, &name, number);
        println!("Making filesystems");
        run("mkfs.vfat", &["-n".as_ref(), "EFI".as_ref(), part(2).as_os_str()])?;
        let options = ["-q", "-F", "-t", "ext4", "-T", "container", "-L", UNFINISHED];
        let mut options: Vec<&std::ffi::OsStr> = options.iter().map(std::convert::AsRef::as_ref).collect();
        let systems = part(3);
        options.push(systems.as_os_str());
        run("mke2fs", &options)?;
        println!("Copying the boot files");
        let esp = work.mount(&part(2), "esp", "vfat", false)?;
        write(&esp.join("EFI/BOOT").join(UEFI_PROGRAM), &mut &efi[..])?;
        work.umount("esp")?;
        let hd = work.mount(&systems, "hd", "ext4", false)?;
        for file in [KERNEL, "initrd.img"] {
            let path = source.join(file);
            let mut from = File::open(&path).map_err(failed(path.display().to_string()))?;
            write(&hd.join("boot").join(file), &mut from)?;
        }
        let root = format!("PARTUUID={}", gpt::guid_text(random, 3));
        write(&hd.join("boot/grub/grub.cfg"), &mut menu.text(&root).as_bytes())?;
        println!("Making /system0");
        Systems { hd, ..Systems::default() }.create("system0", "live")?;
        work.umount("hd")?;
        run("tune2fs", &["-L".as_ref(), LABEL.as_ref(), systems.as_os_str()])?;
        // Flushes the disk's own cache, for all partitions.
        File::open(&disk).and_then(|file| file.sync_all()).map_err(what())?;
        println!("{} boots by itself now: remove the medium and restart the machine.", disk.display());
        Ok(())
    }

    /// The folder with kernel and initrd.
    fn source(&self, work: &Work, disk: &Path) -> Result<PathBuf> {
        let holds = |folder: &Path| folder.join(KERNEL).is_file() && folder.join("initrd.img").is_file();
        if let Some(folder) = &self.from {
            return match holds(folder) {
                true => Ok(folder.clone()),
                false => Err(format!("{} does not contain {KERNEL} and initrd.img.", folder.display())),
            };
        }
        let disks = Places::default().disks().map_err(failed("Cannot list the disks"))?;
        for medium in
            disks.iter().filter(|one| one.content.kind == ContentKind::Iso9660 && !one.device.starts_with(disk))
        {
            let folder = work.mount(&medium.device, "medium", "iso9660", true)?;
            if holds(&folder.join("boot")) {
                return Ok(folder.join("boot"));
            }
            work.umount("medium")?;
        }
        Err(format!(
            "The medium that this machine was started from was not found: give a folder with {KERNEL} and initrd.img (--from)."
        ))
    }
}

/// Reports installations that a power cut interrupted: disks with dbcolinux's partition table, but without a finished
/// systems' disk.
///
/// # Errors
/// The block devices can't be listed.
pub fn unfinished(places: &Places) -> Result<Vec<String>> {
    let entries = fs::read_dir(&places.list).map_err(failed(places.list.display().to_string()))?;
    let mut messages: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let about = fs::read_to_string(entry.path().join("uevent")).ok()?;
            about.lines().find(|line| line.strip_prefix("PARTNAME=") == Some(gpt::NAME))?;
            let content = places.disk(&entry.file_name().to_string_lossy()).map(|disk| disk.content);
            let label = content.as_ref().map(|content| content.label.as_deref());
            if !matches!(label, None | Some(Some(UNFINISHED))) {
                return None;
            }
            // A partition's folder is in that of its disk.
            let folder = fs::canonicalize(entry.path()).ok()?;
            let disk = places.nodes.join(folder.parent()?.file_name()?);
            Some(format!(
                "{}: its installation was interrupted: run `hdinstall {}` again",
                disk.display(),
                disk.display()
            ))
        })
        .collect();
    messages.sort();
    Ok(messages)
}

/// Rejects anything but a whole disk, and a disk that is in use.
fn check_disk(disk: &Path, name: &str) -> Result<()> {
    let kind = fs::metadata(disk).map_err(failed(disk.display().to_string()))?.file_type();
    if !kind.is_block_device() || !Path::new("/sys/block").join(name).exists() {
        return Err(format!("{} is not a whole disk.", disk.display()));
    }
    let mut own: Vec<String> = vec![name.to_owned()];
    let entries = fs::read_dir(Path::new("/sys/block").join(name)).into_iter().flatten().flatten();
    own.extend(
        entries
            .filter(|entry| entry.path().join("partition").exists())
            .filter_map(|e| e.file_name().into_string().ok()),
    );
    let devices: Vec<String> = own.iter().map(|name| format!("/dev/{name}")).collect();
    let used = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let words = used("/proc/mounts") + &used("/proc/swaps");
    let first = words.lines().filter_map(|line| line.split_whitespace().next());
    let mut busy = first.filter(|word| devices.iter().any(|device| device == word));
    if let Some(device) = busy.next() {
        return Err(format!("{device} is in use (mounted or swap): {} was not changed.", disk.display()));
    }
    for name in &own {
        let holders = Path::new("/sys/class/block").join(name).join("holders");
        if fs::read_dir(holders).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(format!("/dev/{name} is in use by another block device: {} was not changed.", disk.display()));
        }
    }
    Ok(())
}

fn sectors(name: &str) -> Result<u64> {
    let folder = Path::new("/sys/block").join(name);
    let number = |file: &str| -> Result<u64> {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).map_err(failed(path.display().to_string()))?;
        text.trim().parse().map_err(|_| format!("{} does not contain a number.", path.display()))
    };
    match number("queue/logical_block_size")? {
        gpt::SECTOR => number("size"),
        other => Err(format!("/dev/{name} has sectors of {other} bytes; only 512 are supported.")),
    }
}

/// `/dev/vda1`, `/dev/nvme0n1p1`
fn partition(disk: &Path, name: &str, number: u32) -> PathBuf {
    let between = if name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    disk.with_file_name(format!("{name}{between}{number}"))
}

fn confirmed(disk: &Path, sectors: u64) -> Result<bool> {
    let shown = disk.display();
    println!(
        "ALL DATA ON {shown} ({} MiB) WILL BE LOST. Type the name of the disk to continue:",
        (sectors * gpt::SECTOR) >> 20
    );
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(failed("standard input"))?;
    Ok(Path::new(line.trim()) == disk)
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let output = command(program).args(arguments).stdin(Stdio::null()).output().map_err(failed(program))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", stderr.lines().last().unwrap_or("failed without an error message")))
}

fn write(path: &Path, from: &mut dyn Read) -> Result<()> {
    let what = || failed(format!("Cannot write {}", path.display()));
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(what())?;
    let mut file = File::create(path).map_err(what())?;
    io::copy(from, &mut file).and_then(|_| file.sync_all()).map_err(what())
}

/// The mounts of an installation, which are unmounted when it ends, whether it succeeded or not.
struct Work;

impl Work {
    fn new() -> Result<Work> {
        fs::create_dir_all(WORK).map_err(failed(WORK))?;
        Ok(Work)
    }

    fn mount(&self, device: &Path, name: &str, kind: &str, read_only: bool) -> Result<PathBuf> {
        let folder = Path::new(WORK).join(name);
        fs::create_dir_all(&folder).map_err(failed(folder.display().to_string()))?;
        let flags = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        mount(Some(device), &folder, Some(kind), flags, None::<&str>)
            .map_err(|error| format!("Cannot mount {}: {error}.", device.display()))?;
        Ok(folder)
    }

    fn umount(&self, name: &str) -> Result<()> {
        let folder = Path::new(WORK).join(name);
        umount2(&folder, MntFlags::empty()).map_err(|error| format!("Cannot unmount {}: {error}.", folder.display()))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        for name in ["medium", "esp", "hd"] {
            let folder = Path::new(WORK).join(name);
            let _ = umount2(&folder, MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(&folder);
        }
        let _ = fs::remove_dir(WORK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let wanted = Wanted::read(&words("--yes --from /x /dev/vda")).unwrap();
        assert_eq!(
            (wanted.yes, wanted.disk.as_path(), wanted.from.as_deref()),
            (true, Path::new("/dev/vda"), Some(Path::new("/x")))
        );
        assert_eq!(Wanted::read(&words("--cmdline quiet /dev/vda")).unwrap().cmdline.as_deref(), Some("quiet"));
        for wrong in ["--yes", "/dev/vda /dev/vdb", "--form /x /dev/vda", "/dev/vda --from"] {
            assert!(Wanted::read(&words(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn interrupted_installations_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { list: folder.path().join("list"), nodes: folder.path().join("dev") };
        fs::create_dir_all(&places.list).unwrap();
        fs::create_dir_all(&places.nodes).unwrap();
        let labelled = |label: &str| {
            let mut block = vec![0; 4096];
            block[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
            block[1024 + 0x78..][..label.len()].copy_from_slice(label.as_bytes());
            block
        };
        for (disk, name, content) in [
            ("vda", "dbcolinux", vec![0; 4096]),
            ("vdb", "dbcolinux", labelled(UNFINISHED)),
            ("vdc", "dbcolinux", labelled(LABEL)),
            ("vdd", "dbcolinux", labelled("renamed")),
            ("vde", "other", vec![0; 4096]),
        ] {
            let device = folder.path().join("devices").join(disk).join(format!("{disk}3"));
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("uevent"), format!("DEVTYPE=partition\nPARTNAME={name}\n")).unwrap();
            std::os::unix::fs::symlink(&device, places.list.join(format!("{disk}3"))).unwrap();
            fs::write(places.nodes.join(format!("{disk}3")), content).unwrap();
        }
        let messages = unfinished(&places).unwrap().join("\n");
        assert_eq!(messages.lines().count(), 2, "{messages}");
        assert!(
            messages.contains("/vda: its installation was interrupted") && messages.contains("hdinstall"),
            "{messages}"
        );
        assert!(messages.contains("/vdb: its installation was interrupted"), "{messages}");
    }

    #[test]
    fn a_bad_command_line_is_refused_before_the_disk_is_opened() {
        let wanted = Wanted::read(&["--cmdline".into(), "a='b'".into(), "/nonexistent/disk".into()]).unwrap();
        assert!(wanted.install().unwrap_err().contains("--cmdline"));
    }

    #[test]
    fn partitions_have_the_kernels_names() {
        assert_eq!(partition(Path::new("/dev/vda"), "vda", 3), Path::new("/dev/vda3"));
        assert_eq!(partition(Path::new("/dev/nvme0n1"), "nvme0n1", 1), Path::new("/dev/nvme0n1p1"));
    }

    #[test]
    fn only_a_whole_disk_is_accepted() {
        assert!(check_disk(Path::new("/dev/null"), "null").unwrap_err().contains("not a whole disk"));
    }
}
