//! Images of every format that `reader` knows, with all their files read. The input is a list of pieces, so that formats with
//! their structures far apart fit into a small one: offset (4 bytes, little-endian), length (2 bytes), bytes.
#![no_main]

use std::io::{Read, copy, sink};

use dbco::inspect::examine;
use dbco::reader::{Fault, Image, Limits, Region};
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

/// The largest image.
const MOST: usize = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let image = image(data);
    within_memory(96, || {
        if let Err(fault) = read_all(image) {
            drop(told(&fault));
        }
    });
});

fn image(mut data: &[u8]) -> Vec<u8> {
    let mut image = Vec::new();
    while let &[a, b, c, d, low, high, ref rest @ ..] = data {
        let (offset, length) =
            (u32::from_le_bytes([a, b, c, d]) as usize % MOST, usize::from(u16::from_le_bytes([low, high])));
        let (piece, left) = rest.split_at(length.min(rest.len()));
        let end = (offset + piece.len()).min(MOST);
        if image.len() < end {
            image.resize(end.next_multiple_of(4096), 0);
        }
        image[offset..end].copy_from_slice(&piece[..end - offset]);
        data = left;
    }
    image
}

fn read_all(bytes: Vec<u8>) -> Result<(), Fault> {
    let limits = Limits { unpacked: 32 << 20, entries: 2000, names: 1 << 20, memory: 32 << 20, depth: 64, nested: 4 };
    let file = Region::of_bytes(bytes);
    let image = Image::open(&file, &limits)?;
    let Some(filesystem) = image.filesystem() else { return Ok(()) };
    for entry in filesystem.listing().entries().iter().filter(|entry| entry.is_file()).take(50) {
        let mut reader = filesystem.open(entry)?.reader();
        let length = copy(&mut reader.by_ref().take(1 << 20), &mut sink())?;
        // Whoever reads to the end gets as many bytes as stated.
        assert!(length == entry.size.min(1 << 20), "{length} of {entry:?}");
    }
    // Each byte of the file belongs to at most one entry.
    let shares = image.shares(&file, &limits)?;
    assert_eq!(shares.len(), filesystem.listing().entries().len());
    assert!(shares.iter().map(|&bytes| u128::from(bytes)).sum::<u128>() <= u128::from(file.len()), "{shares:?}");
    drop(examine(&image, &limits));
    Ok(())
}
