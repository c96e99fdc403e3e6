//! Sizes, limits and pairs of them, as configuration files and options write them.

use std::fmt;

/// Bytes in a page. The classic tools count in pages of the machine; here there is x86_64 alone.
pub const PAGE: u64 = 4096;

/// A limit without end, as the classic tools write it: `LONG_MAX`.
pub const UNLIMITED: u64 = i64::MAX as u64;

/// What a number without a suffix counts, and what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things: no suffix is taken.
    Items,
    /// Bytes.
    Bytes,
    /// Pages of [`PAGE`] bytes.
    Pages,
    /// Blocks of 1024 bytes (`DISKSPACE`).
    Kilobytes,
}

impl Unit {
    /// Bytes in one; 1 for things.
    pub fn bytes(self) -> u64 {
        match self {
            Unit::Items | Unit::Bytes => 1,
            Unit::Pages => PAGE,
            Unit::Kilobytes => 1024,
        }
    }
}

/// A barrier (or soft limit) and a limit (or hard limit), in units of their parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// What should not be passed for long.
    pub barrier: u64,
    /// What can't be passed.
    pub limit: u64,
}

impl Pair {
    /// Reads `BARRIER[:LIMIT]`; one value stands for both. None: it is neither a number nor `unlimited`, or has a suffix
    /// that its unit has not.
    pub fn parse(text: &str, unit: Unit) -> Option<Pair> {
        let (barrier, limit) = text.split_once(':').unwrap_or((text, text));
        Some(Pair { barrier: parse(barrier, unit, unit)?, limit: parse(limit, unit, unit)? })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}:{}", Amount(self.barrier), Amount(self.limit))
    }
}

/// A number that is written `unlimited` from [`UNLIMITED`] on.
struct Amount(u64);

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            UNLIMITED.. => out.write_str("unlimited"),
            less => write!(out, "{less}"),
        }
    }
}

/// Reads a number with an optional suffix (T G M K, P for pages, B for bytes, either case) or `unlimited`. `bare` is what it counts without a
/// suffix, the result is in `unit`, rounded down to whole ones; fractions as in `2.2G` are taken. What is too large is [`UNLIMITED`].
pub fn parse(text: &str, bare: Unit, unit: Unit) -> Option<u64> {
    if text == "unlimited" {
        return Some(UNLIMITED);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let multiplier: u64 = match suffix {
        "" => bare.bytes(),
        _ if unit == Unit::Items => return None,
        "T" | "t" => 1 << 40,
        "G" | "g" => 1 << 30,
        "M" | "m" => 1 << 20,
        "K" | "k" => 1 << 10,
        "P" | "p" => PAGE,
        "B" | "b" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction_ok = fraction.bytes().all(|b| b.is_ascii_digit()) && (!number.contains('.') || !fraction.is_empty());
    if whole.is_empty() || !fraction_ok || (number.contains('.') && suffix.is_empty()) {
        return None;
    }
    let Ok(whole) = whole.parse::<u64>() else { return Some(UNLIMITED) };
    // Nine digits behind the point are enough to tell bytes of a gigabyte apart.
    let fraction = format!("{:0<9.9}", fraction).parse::<u128>().ok()?;
    let bytes = u128::from(whole) * u128::from(multiplier) + fraction * u128::from(multiplier) / 1_000_000_000;
    let units = bytes / u128::from(unit.bytes());
    Some(u64::try_from(units).unwrap_or(UNLIMITED).min(UNLIMITED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_suffixes() {
        assert_eq!(parse("512M", Unit::Bytes, Unit::Pages), Some(131_072));
        assert_eq!(parse("512m", Unit::Pages, Unit::Pages), Some(131_072));
        assert_eq!(parse("100", Unit::Pages, Unit::Pages), Some(100));
        assert_eq!(parse("8192", Unit::Bytes, Unit::Pages), Some(2));
        assert_eq!(parse("1T", Unit::Kilobytes, Unit::Kilobytes), Some(1 << 30));
        assert_eq!(parse("2.2G", Unit::Kilobytes, Unit::Kilobytes), Some(2_306_867));
        assert_eq!(parse("3P", Unit::Bytes, Unit::Bytes), Some(12_288));
        assert_eq!(parse("5B", Unit::Bytes, Unit::Bytes), Some(5));
        assert_eq!(parse("99999999999999999999", Unit::Items, Unit::Items), Some(UNLIMITED));
        assert_eq!(parse("9223372036854775807", Unit::Pages, Unit::Pages), Some(UNLIMITED));
        for bad in ["", "x", "1X", "-1", "1.5", "1.G", ".5G", "1 G", "1GB", "unlimite", "1.2.3G"] {
            assert_eq!(parse(bad, Unit::Bytes, Unit::Bytes), None, "{bad}");
        }
        assert_eq!(parse("10K", Unit::Items, Unit::Items), None, "things have no suffix");
    }

    #[test]
    fn pairs() {
        let both = Pair { barrier: 7, limit: 7 };
        assert_eq!(Pair::parse("7", Unit::Items), Some(both));
        assert_eq!(both.to_string(), "7:7");
        let memory = Pair::parse("0:256M", Unit::Pages).unwrap();
        assert_eq!(memory.to_string(), "0:65536");
        assert_eq!(Pair::parse("33792:unlimited", Unit::Pages).unwrap().to_string(), "33792:unlimited");
        assert_eq!(Pair::parse("1:", Unit::Pages), None);
        assert_eq!(Pair::parse("1:2:3", Unit::Pages), None);
    }
}
