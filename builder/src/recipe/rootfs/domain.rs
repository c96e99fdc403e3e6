//! Names of hosts and domains.

/// Why a text is not a name of RFC 1123; `None` if it is. Its length is limited by what it is used for.
pub fn domain_fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("it is empty".into());
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Some("it begins or ends with a dot, or has two in a row".into());
        }
        if label.len() > 63 {
            return Some(format!("`{label}` has {} bytes, the limit between dots is 63", label.len()));
        }
        if let Some(wrong) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            return Some(format!(
                "it contains {wrong:?}; letters of ASCII, digits and `-` are allowed, dots in between"
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Some(format!("`{label}` begins or ends with `-`"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_made_of_labels() {
        let label = "a".repeat(63);
        for name in ["box", "Box-2", "a.b.c", "9", "127", "xn--bcher-kva.example", &label] {
            assert_eq!(domain_fault(name), None, "{name}");
        }
        let long = "a".repeat(64);
        for name in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a_b", "a b", "bücher", "a/b", "a\n", &long] {
            assert!(domain_fault(name).is_some(), "{name:?}");
        }
    }
}
