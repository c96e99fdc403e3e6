//! The table of mounts of this process's namespace, proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// The file that the kernel shows it in.
pub const FILE: &str = "/proc/self/mountinfo";

/// All mount points, in the order in which they were mounted.
///
/// # Errors
/// The table can't be read: `/proc` is not mounted.
pub fn points() -> io::Result<Vec<PathBuf>> {
    let table = std::fs::read_to_string(FILE)?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(|point| PathBuf::from(unescape(point))).collect())
}

/// `\040` and the like as written by the kernel (proc_pid_mountinfo(5)).
fn unescape(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let (bytes, mut made, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let code = text.get(at + 1..at + 4).and_then(|code| u8::from_str_radix(code, 8).ok());
        match (bytes[at], code) {
            (b'\\', Some(code)) => {
                made.push(code);
                at += 4;
            }
            (byte, _) => {
                made.push(byte);
                at += 1;
            }
        }
    }
    OsString::from_vec(made)
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_of_mount_points() {
        assert_eq!(super::unescape("/vz/a\\040b\\134c"), "/vz/a b\\c");
        assert_eq!(super::unescape("/plain\\"), "/plain\\");
    }
}
