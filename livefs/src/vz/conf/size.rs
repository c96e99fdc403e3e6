//! Sizes, limits and pairs of them, as configuration files and options write them.

use crate::platform::PAGE;
use std::fmt;

/// No limit, as the classic tools write it: `LONG_MAX`.
pub const UNLIMITED: u64 = i64::MAX as u64;

/// The unit of a number without a suffix, and of the stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A count: no suffix is permitted.
    Items,
    /// Bytes.
    Bytes,
    /// Pages of [`PAGE`] bytes.
    Pages,
    /// Blocks of 1024 bytes (`DISKSPACE`).
    Kilobytes,
}

impl Unit {
    /// Bytes in one; 1 for a count.
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
    /// What may only be exceeded temporarily.
    pub barrier: u64,
    /// What can't be exceeded.
    pub limit: u64,
}

/// The error in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It does not have the form of its parameter.
    Form,
    /// It is larger than what can be stored. This is the maximum, which is used for a file's line but not for an
    /// option.
    Large(String),
}

impl Pair {
    /// Parses `BARRIER[:LIMIT]`; a single value is used for both.
    ///
    /// # Errors
    /// [`Wrong::Form`]: it is neither a number nor `unlimited`, or has a suffix that is not permitted for its unit.
    /// [`Wrong::Large`].
    pub fn parse(text: &str, unit: Unit) -> Result<Pair, Wrong> {
        let (barrier, limit) = text.split_once(':').unwrap_or((text, text));
        let (barrier, limit) = (parse(barrier, unit).ok_or(Wrong::Form)?, parse(limit, unit).ok_or(Wrong::Form)?);
        let pair = Pair { barrier: barrier.units, limit: limit.units };
        if barrier.cut || limit.cut { Err(Wrong::Large(pair.to_string())) } else { Ok(pair) }
    }

    /// Both numbers, whether or not they are equal, as disk limits are stored.
    pub fn both(self) -> String {
        format!("{}:{}", self.barrier, self.limit)
    }
}

/// As a beancounter is stored: one number if both are equal.
impl fmt::Display for Pair {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if self.barrier == self.limit {
            return write!(out, "{}", Amount(self.barrier));
        }
        write!(out, "{}:{}", Amount(self.barrier), Amount(self.limit))
    }
}

/// A number, written as `unlimited` from [`UNLIMITED`] on.
struct Amount(u64);

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self.0 {
            UNLIMITED.. => out.write_str("unlimited"),
            less => write!(out, "{less}"),
        }
    }
}

/// A parsed number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// In its unit.
    pub units: u64,
    /// Whether it was larger than [`UNLIMITED`], to which it was reduced.
    pub cut: bool,
}

/// Parses a number with an optional suffix (T G M K, P for pages, B for bytes, either case) or `unlimited`. Without a
/// suffix it is in units; with one, in bytes, rounded down to whole units. Fractions such as `2.2G` are permitted, an
/// empty text is 0. None: it is none of these, has a suffix although it is a count, or has more digits than fit in 64
/// bits.
pub fn parse(text: &str, unit: Unit) -> Option<Number> {
    if text == "unlimited" {
        return Some(Number { units: UNLIMITED, cut: false });
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let multiplier: u64 = match suffix {
        "" => unit.bytes(),
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
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    // Nine decimal places are enough to distinguish single bytes of a gigabyte.
    let fraction = if suffix.is_empty() { 0 } else { format!("{:0<9.9}", fraction).parse::<u128>().ok()? };
    let bytes = u128::from(whole) * u128::from(multiplier) + fraction * u128::from(multiplier) / 1_000_000_000;
    let units = bytes / u128::from(unit.bytes());
    let most = u128::from(UNLIMITED);
    Some(Number { units: u64::try_from(units.min(most)).unwrap_or(UNLIMITED), cut: units > most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_suffixes() {
        let units = |text, unit| parse(text, unit).map(|number| (number.units, number.cut));
        for (text, unit, expected) in [
            ("512M", Unit::Pages, 131_072),
            ("512m", Unit::Pages, 131_072),
            ("100", Unit::Pages, 100),
            ("8192", Unit::Bytes, 8192),
            ("1T", Unit::Kilobytes, 1 << 30),
            ("2.2G", Unit::Kilobytes, 2_306_867),
            ("3P", Unit::Bytes, 12_288),
            ("5B", Unit::Bytes, 5),
            ("5000", Unit::Kilobytes, 5000),
            ("9223372036854775807", Unit::Pages, UNLIMITED),
            ("", Unit::Items, 0),
            ("1.5", Unit::Items, 1),
            (".5G", Unit::Bytes, 1 << 29),
            ("1.G", Unit::Bytes, 1 << 30),
        ] {
            assert_eq!(units(text, unit), Some((expected, false)), "{text}");
        }
        for large in ["9223372036854775808", "18446744073709551615", "99999999T"] {
            assert_eq!(units(large, Unit::Bytes), Some((UNLIMITED, true)), "{large}");
        }
        for bad in ["x", "1X", "-1", "1 G", "1GB", "unlimite", "1.2.3G", "99999999999999999999"] {
            assert_eq!(units(bad, Unit::Bytes), None, "{bad}");
        }
        assert_eq!(units("10K", Unit::Items), None, "things have no suffix");
    }

    #[test]
    fn pairs() {
        let both = Pair { barrier: 7, limit: 7 };
        assert_eq!(Pair::parse("7", Unit::Items), Ok(both));
        assert_eq!((both.to_string().as_str(), both.both().as_str()), ("7", "7:7"));
        let memory = Pair::parse("0:256M", Unit::Pages).unwrap();
        assert_eq!(memory.to_string(), "0:65536");
        assert_eq!(Pair::parse("33792:unlimited", Unit::Pages).unwrap().to_string(), "33792:unlimited");
        assert_eq!(Pair::parse("10:", Unit::Items), Ok(Pair { barrier: 10, limit: 0 }));
        assert_eq!(Pair::parse("1:2:3", Unit::Pages), Err(Wrong::Form));
        assert_eq!(Pair::parse("5:9223372036854775808", Unit::Bytes), Err(Wrong::Large("5:unlimited".into())));
    }
}
