//! Tar archives and their pax records, member by member; accepted members are compared with what the crate `tar` reads.
#![no_main]

use std::io::{Read, copy, sink};

use dbco::archive::{ArchiveError, Budget, Entries};
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match within_memory(16, || ours(data)) {
        Ok(ours) => {
            let Some(theirs) = theirs(data) else { return };
            assert_eq!(ours, theirs);
        }
        Err(error) => drop(told(&error)),
    }
});

/// Paths, link targets and lengths.
type Listing = Vec<(Vec<u8>, Vec<u8>, u64)>;

fn ours(data: &[u8]) -> Result<Listing, ArchiveError> {
    let mut entries = Entries::new(data, "a.tar", &Budget::default());
    let mut listing = Listing::new();
    let mut buffer = [0; 1024];
    while let Some(member) = entries.next_member()? {
        let mut length = 0;
        // Half of the members are skipped, as their readers may do.
        while listing.len().is_multiple_of(2) {
            match entries.read(&mut buffer).map_err(|error| entries.reading(error))? {
                0 => break,
                count => length += count as u64,
            }
        }
        assert!(listing.len() % 2 == 1 || length == member.size, "{} of {member:?}", length);
        listing.push((text(&member.path), text(&member.link), member.size));
    }
    Ok(listing)
}

fn theirs(data: &[u8]) -> Option<Listing> {
    let mut archive = tar::Archive::new(data);
    let mut listing = Listing::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        if entry.pax_extensions().ok()?.into_iter().flatten().any(|record| record.is_err()) {
            return None;
        }
        // Where the crate differs from GNU tar: prefixes with another version than `00`, content of members other than
        // files, two kinds of extended headers for one member, and newlines in the values of extended headers, which it
        // takes as the ends of records: the line before one is shorter than its record's length.
        let header = entry.header();
        let (kind, block) = (header.entry_type(), header.as_bytes());
        let versioned = block[257..263] != *b"ustar\0" || block[263..265] == *b"00";
        let file = kind.is_file() || kind.is_contiguous();
        if kind.is_pax_global_extensions()
            || !versioned
            || (entry.size() > 0 && (!file || entry.path_bytes().ends_with(b"/")))
        {
            return None;
        }
        if data.windows(13).any(|window| window == b"././@LongLink") && entry.pax_extensions().ok()?.is_some() {
            return None;
        }
        let link = entry.link_name_bytes().map(|link| text(&link)).unwrap_or_default();
        listing.push((text(&entry.path_bytes()), link, entry.size()));
        copy(&mut entry, &mut sink()).ok()?;
    }
    Some(listing)
}

/// A name up to its NUL byte; the crate keeps those in GNU's long names.
fn text(name: &[u8]) -> Vec<u8> {
    name.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
}
