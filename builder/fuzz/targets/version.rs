//! Versions of Debian packages: a total order, and the same one as in another implementation of Debian policy §5.6.12.
#![no_main]

use std::cmp::Ordering;

use dbco::source::debian::offline::compare_versions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let versions: Vec<&str> = text.lines().take(3).collect();
    for one in &versions {
        for other in &versions {
            let order = compare_versions(one, other);
            assert_eq!(order, by_policy(one, other), "{one:?} and {other:?}");
            assert_eq!(order.reverse(), compare_versions(other, one), "{one:?} and {other:?}");
        }
    }
    if let [a, b, c] = versions[..]
        && compare_versions(a, b) == Ordering::Less
        && compare_versions(b, c) != Ordering::Greater
    {
        assert_eq!(compare_versions(a, c), Ordering::Less, "{a:?}, {b:?}, {c:?}");
    }
});

/// A run of other characters, each by its rank, with the end as rank 0; then the number of digits and the digits.
type Run = (Vec<i32>, usize, String);

/// The runs of epoch, upstream version and revision, in sequence. A shorter part has empty runs.
fn by_policy(one: &str, other: &str) -> Ordering {
    let end: Run = (vec![0], 0, String::new());
    for (one, other) in runs(one).iter().zip(&runs(other)) {
        for at in 0..one.len().max(other.len()) {
            let order = one.get(at).unwrap_or(&end).cmp(other.get(at).unwrap_or(&end));
            if order.is_ne() {
                return order;
            }
        }
    }
    Ordering::Equal
}

fn runs(version: &str) -> [Vec<Run>; 3] {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    [epoch, upstream, revision].map(|part| {
        let mut runs = Vec::new();
        let mut bytes = part.bytes().peekable();
        while bytes.peek().is_some() {
            let mut marks = Vec::new();
            while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_digit()) {
                marks.push(match byte {
                    b'~' => -1,
                    b'A'..=b'Z' | b'a'..=b'z' => i32::from(byte),
                    _ => i32::from(byte) + 256,
                });
            }
            marks.push(0);
            let mut number = String::new();
            while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
                if digit != b'0' || !number.is_empty() {
                    number.push(digit.into());
                }
            }
            runs.push((marks, number.len(), number));
        }
        runs
    })
}
