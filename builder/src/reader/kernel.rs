//! Linux kernels: x86's bzImage (Documentation/arch/x86/boot.rst), the compressed EFI images of other architectures
//! (drivers/firmware/efi/libstub/zboot-header.S), and ELF files.

use super::codec::{Codec, unpack};
use super::filesystem::Stored;
use super::region::{Region, le16, le32};
use super::{Entry, Fault, Kind, Limits, Listing};

/// What a kernel's file tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct KernelInfo {
    /// `bzImage`, `EFI zboot`, `Image` or `vmlinux`.
    pub format: &'static str,
    /// Release, builder and time: `6.1.0-9-… (build@host) #1 SMP …`.
    pub version: Option<String>,
    /// How its payload is compressed.
    pub codec: Option<Codec>,
    /// Bytes of the payload, unpacked.
    pub unpacked: Option<u64>,
    /// Whether firmware can start it directly (a PE header).
    pub efi_stub: bool,
    /// The version of the boot protocol: `2.15`.
    pub protocol: Option<String>,
    /// The longest command line, in bytes.
    pub command_line: Option<u32>,
    /// Whether its configuration is embedded (CONFIG_IKCONFIG).
    pub has_config: bool,
    /// What could not be read.
    pub faults: Vec<String>,
}

/// Whether the start of a file is that of a kernel.
pub(crate) fn is_kernel(start: &[u8]) -> bool {
    is_bzimage(start)
        || start.get(4..8) == Some(b"zimg") && start.starts_with(b"MZ")
        || start.get(56..60) == Some(b"ARM\x64")
        || is_vmlinux(start)
}

fn is_bzimage(start: &[u8]) -> bool {
    start.get(0x202..0x206) == Some(b"HdrS") && start.get(0x1fe..0x200) == Some(&[0x55, 0xaa])
}

/// An ELF executable; whether it is a kernel, its content tells.
fn is_vmlinux(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF") && matches!(le16(start, 16), 2 | 3)
}

/// The most bytes of a kernel that are searched: distributions' have 60 MB, with debug information 1 GB.
const SEARCHED: u64 = 256 << 20;

/// Reads a kernel. Its payload and its configuration are the files `payload` and `config`. `None` for an ELF file that is
/// not a kernel.
pub(crate) fn open(image: &Region, limits: &Limits) -> Result<Option<(KernelInfo, Stored)>, Fault> {
    let mut start = vec![0; 4096];
    let count = image.read_at(0, &mut start)?;
    start.truncate(count);
    let mut info = KernelInfo { efi_stub: start.starts_with(b"MZ"), ..KernelInfo::default() };
    let payload = if is_bzimage(&start) {
        bzimage(image, &start, limits, &mut info)
    } else if start.get(4..8) == Some(b"zimg") {
        info.format = "EFI zboot";
        image
            .slice(le32(&start, 8).into(), le32(&start, 12).into())
            .and_then(|packed| payload(&packed, limits, &mut info))
    } else {
        info.format = if is_vmlinux(&start) { "vmlinux" } else { "Image" };
        Ok(Some(image.clone()))
    };
    let payload = match payload {
        Ok(payload) => payload,
        // The header is useful without it.
        Err(fault @ (Fault::Io(_) | Fault::Limit(_))) => return Err(fault),
        Err(fault) => {
            info.faults.push(format!("its payload: {fault}"));
            None
        }
    };
    let (mut entries, mut regions) = (Vec::new(), Vec::new());
    let mut add = |name: &str, region: Region| {
        let mut entry = Entry::new(name.as_bytes().to_vec(), Kind::File, 0o444);
        (entry.size, entry.content) = (region.len(), regions.len() as u64);
        regions.push(region);
        entries.push(entry);
    };
    if let Some(payload) = payload {
        let bytes = payload.bytes(0, payload.len().min(SEARCHED) as usize)?;
        let banner = banner(&bytes);
        if banner.is_none() && info.format == "vmlinux" {
            return Ok(None);
        }
        info.version = info.version.or(banner);
        match config(&bytes, limits) {
            Ok(Some(config)) => {
                info.has_config = true;
                add("config", config);
            }
            Ok(None) => {}
            Err(fault) => info.faults.push(format!("its embedded configuration: {fault}")),
        }
        info.unpacked = Some(payload.len());
        add("payload", payload);
    }
    Ok(Some((info, Stored { listing: Listing::new(entries), regions })))
}

fn bzimage(image: &Region, start: &[u8], limits: &Limits, info: &mut KernelInfo) -> Result<Option<Region>, Fault> {
    info.format = "bzImage";
    let protocol = le16(start, 0x206);
    info.protocol = Some(format!("{}.{:02}", protocol >> 8, protocol & 0xff));
    let version = le16(start, 0x20e);
    if version != 0 {
        let mut text = [0; 512];
        let count = image.read_at(0x200 + u64::from(version), &mut text)?;
        let text = text[..count].split(|&byte| byte == 0).next().unwrap_or_default();
        info.version = Some(String::from_utf8_lossy(text).into_owned());
    }
    if protocol >= 0x206 {
        info.command_line = Some(le32(start, 0x238));
    }
    // Since 2.08 the header tells where the payload is.
    if protocol < 0x208 {
        return Ok(None);
    }
    // 0 means 4, for old boot loaders.
    let setup = match start[0x1f1] {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let at = (setup + 1) * 512 + u64::from(le32(start, 0x248));
    payload(&image.slice(at, le32(start, 0x24c).into())?, limits, info)
}

fn payload(packed: &Region, limits: &Limits, info: &mut KernelInfo) -> Result<Option<Region>, Fault> {
    info.codec = Codec::at(packed, 0)?;
    match info.codec {
        Some(codec) => Ok(Some(unpack(codec, packed, limits)?.0)),
        None => Ok(Some(packed.clone())),
    }
}

/// The text that the kernel prints first.
fn banner(payload: &[u8]) -> Option<String> {
    const START: &[u8] = b"Linux version ";
    let mut rest = payload;
    while let Some(at) = find(rest, START) {
        rest = &rest[at + START.len()..];
        let text = rest.split(|&byte| matches!(byte, 0 | b'\n')).next().unwrap_or_default();
        // The format string and others have `%s` there.
        if text.first().is_some_and(u8::is_ascii_digit) && text.len() < 512 {
            return Some(String::from_utf8_lossy(text).into_owned());
        }
    }
    None
}

/// The configuration between its marks (kernel/configs.c), which is compressed with gzip.
fn config(payload: &[u8], limits: &Limits) -> Result<Option<Region>, Fault> {
    const START: &[u8] = b"IKCFG_ST";
    let mut rest = payload;
    while let Some(at) = find(rest, START) {
        rest = &rest[at + START.len()..];
        if Codec::detect(rest) == Some(Codec::Gzip) {
            let packed = rest[..rest.len().min(4 << 20)].to_vec();
            let most = Limits { unpacked: 16 << 20, ..*limits };
            return unpack(Codec::Gzip, &Region::of_bytes(packed), &most).map(|(config, _)| Some(config));
        }
    }
    Ok(None)
}

/// The position of `needle`, whose first byte is rare.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|&byte| byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
