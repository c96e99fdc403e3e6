//! GRUB's core for BIOS on a disk, as `grub-bios-setup` installs it: the boot sector loads the core's first sector,
//! which loads the rest by a list of blocks (GRUB's `include/grub/i386/pc/boot.h` and `include/grub/offsets.h`).

use super::gpt::SECTOR;

/// GRUB_BOOT_MACHINE_KERNEL_SECTOR: where the boot sector stores the core's first sector.
const KERNEL_SECTOR: usize = 0x5c;
/// GRUB_BOOT_MACHINE_DRIVE_CHECK: two bytes that are no-ops if the BIOS may pass the wrong drive.
const DRIVE_CHECK: usize = 0x66;
/// The first entry of the list in the core's first sector: sector, count, segment.
const BLOCK_LIST: usize = 0x1f4;
/// GRUB_BOOT_MACHINE_KERNEL_SEG, plus one sector: where the rest is loaded to.
const SEGMENT: u16 = 0x800 + (SECTOR as u16 >> 4);

/// The boot sector and the core for a core that starts at the sector `first`, in a partition of `sectors`.
///
/// # Errors
/// The images are not GRUB's, or the core does not fit.
pub fn place(boot: &[u8], core: &[u8], first: u64, sectors: u64) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    if boot.len() != SECTOR as usize || boot[510..] != [0x55, 0xaa] || core.len() < 2 * SECTOR as usize {
        return Err("boot.img or core.img is not an image of GRUB");
    }
    let length = (core.len() as u64).div_ceil(SECTOR);
    if length > sectors {
        return Err("core.img does not fit into its partition");
    }
    let mut boot = boot.to_vec();
    boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&first.to_le_bytes());
    boot[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    let mut core = core.to_vec();
    core.resize((length * SECTOR) as usize, 0);
    let rest = u16::try_from(length - 1).map_err(|_| "core.img is larger than 32 MiB")?;
    core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(first + 1).to_le_bytes());
    core[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&rest.to_le_bytes());
    core[BLOCK_LIST + 10..BLOCK_LIST + 12].copy_from_slice(&SEGMENT.to_le_bytes());
    Ok((boot, core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sectors_are_noted_where_grub_looks() {
        let mut image = vec![0; 512];
        image[510..].copy_from_slice(&[0x55, 0xaa]);
        let (boot, core) = place(&image, &[1; 1300], 2048, 2048).unwrap();
        assert_eq!(boot[0x5c..0x64], 2048_u64.to_le_bytes());
        assert_eq!(core.len(), 1536);
        assert_eq!(core[0x1f4..0x1fc], 2049_u64.to_le_bytes());
        assert_eq!(core[0x1fc..0x200], [2, 0, 0x20, 0x08]);
        assert!(place(&image, &[1; 1300], 2048, 2).is_err());
        assert!(place(&image[..511], &[1; 1300], 2048, 2048).is_err());
    }
}
