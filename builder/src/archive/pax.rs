//! Extended headers of tar archives: `LENGTH KEY=VALUE\n` records (pax(1), "pax Extended Header").

use std::collections::BTreeMap;

/// Records by keyword. Values may hold any byte, newlines and NULs included: lengths alone delimit them.
pub type Records = BTreeMap<String, Vec<u8>>;

/// Adds the records of one extended header; later ones replace earlier ones of the same keyword.
pub fn parse(mut bytes: &[u8], into: &mut Records) -> Result<(), &'static str> {
    while !bytes.is_empty() {
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

/// A record's value as a number; fractions (of times) are cut off towards the past.
pub fn number(records: &Records, key: &str) -> Option<Result<i64, &'static str>> {
    let text = std::str::from_utf8(records.get(key)?).unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit());
    let below_zero = whole.starts_with('-') && fraction.bytes().any(|b| b != b'0');
    let value = whole.parse::<i64>().ok().filter(|_| digits).and_then(|n| n.checked_sub(below_zero.into()));
    Some(value.ok_or("extended header with a bad number"))
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
        assert_eq!(number(&records, "mtime"), Some(Ok(1)));
        for bad in [&b"9 path=a"[..], b"99 path=a\n", b"x path=a\n", b"7 path\n", b"0 path=a\n"] {
            assert!(parse(bad, &mut records).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_before_1970_are_rounded_down() {
        let mut records = Records::new();
        parse(b"14 mtime=-1.5\n", &mut records).unwrap();
        assert_eq!(number(&records, "mtime"), Some(Ok(-2)));
    }
}
