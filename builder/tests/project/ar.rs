//! The container format of Debian packages, for all tests that write some.

/// An archive of ar(5), the format of a Debian package (deb(5)).
pub fn ar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len()).bytes());
        bytes.extend(content);
        bytes.extend((content.len() % 2 == 1).then_some(b'\n'));
    }
    bytes
}
