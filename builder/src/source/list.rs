//! Formatting names in a sentence.

/// `a`, `a and b`, `a, b and 7 more`.
pub(crate) fn list(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 8;
    let name = |n: &str| format!("`{n}`");
    match names {
        [] => "nothing".to_owned(),
        [one] => name(one.as_ref()),
        [most @ .., last] if names.len() <= SHOWN => {
            format!(
                "{} and {}",
                most.iter().map(|n| name(n.as_ref())).collect::<Vec<_>>().join(", "),
                name(last.as_ref())
            )
        }
        _ => {
            let shown: Vec<_> = names[..SHOWN].iter().map(|n| name(n.as_ref())).collect();
            format!("{} and {} more", shown.join(", "), names.len() - SHOWN)
        }
    }
}
