//! Extended headers of tar archives: `LENGTH KEY=VALUE\n` records (pax(1), "pax Extended Header").

use std::collections::BTreeMap;
use std::ops::Bound;

/// Records by keyword. Values may contain any byte, newlines and NULs included: only the lengths delimit them.
pub type Records = BTreeMap<String, Vec<u8>>;

/// Adds the records of one extended header; later ones replace earlier ones of the same keyword.
pub fn parse(mut bytes: &[u8], into: &mut Records) -> Result<(), &'static str> {
    // Some archivers count the padding of the last block as part of the records.
    while bytes.first().is_some_and(|&byte| byte != 0) {
        let space = bytes.iter().position(|&b| b == b' ').ok_or("extended header without a length")?;
        let length = std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let record =
            length.and_then(|length| bytes.get(space + 1..length)).ok_or("extended header with a bad length")?;
        let record = record.strip_suffix(b"\n").ok_or("extended header without a line end")?;
        let equals = record.iter().position(|&b| b == b'=').ok_or("extended header without `=`")?;
        let key = std::str::from_utf8(&record[..equals]).map_err(|_| "extended header's keyword is not UTF-8")?;
        into.insert(key.to_owned(), record[equals + 1..].to_vec());
        bytes = &bytes[space + 1 + record.len() + 1..];
    }
    Ok(())
}

/// A record's value as an unsigned number: sizes and owners.
pub fn whole(value: &[u8]) -> Result<u64, String> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| bad(value))
}

/// A record's value as a time in seconds; fractions are rounded down.
pub fn seconds(value: &[u8]) -> Result<i64, String> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit());
    let below_zero = whole.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    let value_of = whole.parse::<i64>().ok().filter(|_| digits).and_then(|n| n.checked_sub(below_zero.into()));
    value_of.ok_or_else(|| bad(value))
}

fn bad(value: &[u8]) -> String {
    format!("extended header with a bad number `{}`", super::shown(&value[..value.len().min(40)]))
}

/// The records whose keyword starts with `prefix`, keyed by the rest of the keyword.
pub fn below<'a>(records: &'a Records, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Vec<u8>)> {
    let from = records.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
    from.map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_line_ends_and_nul_bytes() {
        let mut records = Records::new();
        parse(b"9 path=a\n16 SCHILY.x=\n\0=\n13 mtime=1.5\n", &mut records).unwrap();
        assert_eq!(records["path"], b"a");
        assert_eq!(records["SCHILY.x"], b"\n\0=");
        assert_eq!(seconds(&records["mtime"]), Ok(1));
        for bad in [&b"9 path=a"[..], b"99 path=a\n", b"x path=a\n", b"7 path\n", b"0 path=a\n"] {
            assert!(parse(bad, &mut records).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_whole_and_times_before_1970_rounded_down() {
        for (text, expected) in [("-1.5", -2), ("-1.0", -1), ("-1", -1), ("99999999999", 99_999_999_999), ("1.", 1)] {
            assert_eq!(seconds(text.as_bytes()), Ok(expected), "{text}");
        }
        for bad in ["", ".5", "1e5", "nan", "1,5", "9223372036854775808"] {
            assert!(seconds(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(whole(b"18446744073709551615"), Ok(u64::MAX));
        for bad in ["", "+5", "-5", " 5", "5.9", "0x5", "18446744073709551616"] {
            assert!(whole(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
