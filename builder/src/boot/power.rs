//! A machine's power supply, which may be cut at a chosen point, and its disks, whose caches are lost by a cut.
//!
//! A disk reports a write as done once it is in its cache; only after the next flush is it certain to be on the medium.
//! QEMU on a file can't show the difference: what it has passed to the host's kernel survives QEMU. So dbco serves
//! these disks itself, with `nbd`: writes stay in memory until the machine flushes, and a cut loses all or
//! some of them, as [`Loss`] says.
//!
//! Modelled: the guest's page cache is lost; the disk's cache is lost or reaches the medium in any order, with blocks
//! of 4 KiB written completely or not at all. Not modelled: torn blocks, a failing medium.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard};

/// Which unflushed writes are lost when the power is cut. The number determines which blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing is lost.
    All,
    /// About half of the blocks are lost.
    Half(u64),
    /// All of them are lost.
    Nothing,
}

impl Loss {
    /// The loss of the `index`th cut: the kinds alternate, each for two cuts, with halves twice as often, and no two
    /// halves are the same.
    pub fn of(index: u32) -> Self {
        match index / 2 % 4 {
            0 => Self::All,
            2 => Self::Nothing,
            _ => Self::Half(index.into()),
        }
    }

    fn keeps(self, block: u64) -> bool {
        match self {
            Self::All => false,
            Self::Nothing => true,
            Self::Half(seed) => {
                // The finalizer of splitmix64: neighbouring blocks and cuts get unrelated bits.
                let mut bits = (block ^ seed.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (bits ^ (bits >> 31)) & 1 == 1
            }
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "all unflushed data is lost",
            Self::Half(_) => "half of the unflushed data is lost",
            Self::Nothing => "nothing is lost",
        })
    }
}

/// A machine's power supply. Counts the changes of the machine's disks: writes, and flushes that have something to
/// flush.
#[derive(Default)]
pub struct Power(Mutex<PowerState>);

#[derive(Default)]
struct PowerState {
    changes: u64,
    /// The first change that is not carried out, and what is called then.
    cut: Option<(u64, Box<dyn FnOnce() + Send>)>,
    off: bool,
}

impl Power {
    fn lock(&self) -> MutexGuard<'_, PowerState> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Restarts the count.
    pub fn count(&self) {
        self.lock().changes = 0;
    }

    /// Restarts the count, and cuts the power before the change with the given number (the first is 0) is carried out;
    /// `then` is called at that moment.
    pub fn cut_before(&self, change: u64, then: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        state.changes = 0;
        state.cut = Some((change, Box::new(then)));
    }

    /// Changes since the count was restarted.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Whether it has been cut.
    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Turns the power off, so that nothing more reaches a disk.
    pub fn turn_off(&self) {
        self.lock().off = true;
    }

    /// Whether the next change is still carried out.
    fn change(&self) -> bool {
        let then = {
            let mut state = self.lock();
            if state.off {
                return false;
            }
            match state.cut.take() {
                Some((at, then)) if at == state.changes => {
                    state.off = true;
                    then
                }
                other => {
                    state.cut = other;
                    state.changes += 1;
                    return true;
                }
            }
        };
        then();
        false
    }
}

/// The number of bytes that reach the medium as a unit.
const BLOCK: u64 = 4096;

/// The size of the cache in bytes, as in a typical disk; when more is written, all of it is written to the medium.
const ROOM: usize = 64 << 20;

/// A disk with a cache.
pub struct CachedDisk {
    medium: File,
    size: u64,
    cache: Mutex<BTreeMap<u64, Vec<u8>>>,
    power: Arc<Power>,
}

impl CachedDisk {
    /// A disk on a file of whole blocks.
    ///
    /// # Errors
    /// Errors of getting the file's size.
    pub fn new(medium: File, power: Arc<Power>) -> io::Result<Self> {
        let size = medium.metadata()?.len();
        if size % BLOCK != 0 {
            let why = format!("a disk of {size} bytes, but expected a multiple of {BLOCK}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Self { medium, size, cache: Mutex::default(), power })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<u8>>> {
        self.cache.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn inside(&self, offset: u64, length: usize) -> io::Result<()> {
        let end = offset.checked_add(length as u64);
        if end.is_some_and(|end| end <= self.size) { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Reads, from the cache first.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.inside(offset, bytes.len())?;
        let cache = self.lock();
        self.medium.read_exact_at(bytes, offset)?;
        let end = offset + bytes.len() as u64;
        for (number, block) in cache.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let start = number * BLOCK;
            let (from, to) = (start.max(offset), (start + BLOCK).min(end));
            bytes[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    /// Writes into the cache. False: the power is off.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        self.inside(offset, bytes.len())?;
        let mut cache = self.lock();
        if !self.power.change() {
            return Ok(false);
        }
        let mut at = 0;
        while at < bytes.len() {
            let place = offset + at as u64;
            let (number, within) = (place / BLOCK, (place % BLOCK) as usize);
            let length = (BLOCK as usize - within).min(bytes.len() - at);
            let block = match cache.entry(number) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let mut block = vec![0; BLOCK as usize];
                    if length < block.len() {
                        self.medium.read_exact_at(&mut block, number * BLOCK)?;
                    }
                    entry.insert(block)
                }
            };
            block[within..within + length].copy_from_slice(&bytes[at..at + length]);
            at += length;
        }
        if cache.len() * BLOCK as usize > ROOM {
            self.store(&mut cache, Loss::Nothing)?;
        }
        Ok(true)
    }

    /// Writes the cache to the medium. False: the power is off.
    pub fn flush(&self) -> io::Result<bool> {
        let mut cache = self.lock();
        if cache.is_empty() {
            return Ok(!self.power.is_off());
        }
        if !self.power.change() {
            return Ok(false);
        }
        self.store(&mut cache, Loss::Nothing)?;
        Ok(true)
    }

    /// Writes what the given loss leaves.
    ///
    /// # Errors
    /// The medium's file can't be written.
    pub fn lose(&self, loss: Loss) -> io::Result<()> {
        self.store(&mut self.lock(), loss)
    }

    fn store(&self, cache: &mut BTreeMap<u64, Vec<u8>>, loss: Loss) -> io::Result<()> {
        for (number, block) in std::mem::take(cache) {
            if loss.keeps(number) {
                self.medium.write_all_at(&block, number * BLOCK)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(power: &Arc<Power>) -> CachedDisk {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 * BLOCK).unwrap();
        CachedDisk::new(file, Arc::clone(power)).unwrap()
    }

    fn read(disk: &CachedDisk, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; length];
        disk.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_lost_unless_it_was_flushed() {
        let disk = disk(&Arc::default());
        assert!(disk.write(BLOCK - 2, b"abcd").unwrap());
        assert!(disk.flush().unwrap());
        assert!(disk.write(BLOCK, b"xy").unwrap());
        assert_eq!(read(&disk, BLOCK - 3, 6), b"\0abxy\0");
        disk.lose(Loss::All).unwrap();
        assert_eq!(read(&disk, BLOCK - 3, 6), b"\0abcd\0");
        assert!(disk.write(64 * BLOCK - 1, b"xy").is_err());
        assert!(CachedDisk::new(tempfile::tempfile().unwrap(), Arc::default()).is_ok(), "an empty one");
    }

    #[test]
    fn a_cut_is_at_its_change_and_nothing_comes_after_it() {
        let power: Arc<Power> = Arc::default();
        let disk = disk(&power);
        assert!(disk.write(0, b"before").unwrap());
        let (sender, called) = std::sync::mpsc::channel();
        power.cut_before(2, move || sender.send(()).unwrap());
        assert!(disk.flush().unwrap());
        assert!(disk.flush().unwrap(), "nothing to flush is no change");
        assert!(disk.write(0, b"during").unwrap());
        assert_eq!((power.changes(), power.is_off(), called.try_recv().is_err()), (2, false, true));
        assert!(!disk.flush().unwrap());
        assert!(power.is_off());
        called.try_recv().unwrap();
        assert!(!disk.write(0, b"after!").unwrap());
        disk.lose(Loss::All).unwrap();
        assert_eq!(read(&disk, 0, 6), b"before");
    }

    #[test]
    fn half_is_about_half_and_differs_from_cut_to_cut() {
        let kept = |index| -> Vec<u64> {
            let disk = disk(&Arc::default());
            for block in 0..64 {
                disk.write(block * BLOCK, b"x").unwrap();
            }
            disk.lose(Loss::of(index)).unwrap();
            (0..64).filter(|block| read(&disk, block * BLOCK, 1) == b"x").collect()
        };
        assert_eq!((kept(0).len(), kept(1).len(), kept(4).len(), kept(5).len()), (0, 0, 64, 64));
        for index in [2, 3, 6, 7] {
            assert!((16..48).contains(&kept(index).len()), "{:?}", kept(index));
            assert_eq!(kept(index), kept(index), "the same each time");
        }
        assert_ne!(kept(2), kept(3));
    }

    #[test]
    fn a_full_cache_goes_to_the_medium() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(ROOM as u64 + BLOCK).unwrap();
        let disk = CachedDisk::new(file, Arc::default()).unwrap();
        for at in (0..=ROOM as u64).step_by(1 << 20) {
            disk.write(at, &vec![7; (ROOM as u64 + BLOCK - at).min(1 << 20) as usize]).unwrap();
        }
        disk.lose(Loss::All).unwrap();
        assert_eq!(read(&disk, ROOM as u64, 1), [7]);
    }
}
