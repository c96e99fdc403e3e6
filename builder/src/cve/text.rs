//! Texts of advisories.

/// The first line of a text, at most 200 characters of it.
pub fn one_line(text: &str) -> String {
    const MOST: usize = 200;
    let line = text.trim().lines().next().unwrap_or_default().trim();
    if line.chars().count() <= MOST {
        return line.to_owned();
    }
    line.chars().take(MOST - 1).collect::<String>() + "…"
}
