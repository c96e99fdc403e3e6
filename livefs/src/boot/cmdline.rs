//! The part of the kernel's command line that the early init handles. All other words are ignored here: the boot codes
//! for user space are read by `/system/etc/init.d/code`.
//!
//! | word | meaning |
//! |---|---|
//! | `mode=live`, `chroot`, `switch` | what to start; `live` if absent |
//! | `system=/systemN` | the system's folder on the systems' disk; `/system0` if absent |
//! | `hd=LABEL=…`, `UUID=…`, `/dev/…` | the systems' disk; if absent, the first ext filesystem labelled `dbcolinux` |
//! | `waitusb=N[:LABEL=…]` | wait at most N seconds for the disks |
//! | `init=PATH` | the program to start: in the live system, or with `chroot` and `switch` in the system |

use std::fmt;
use std::time::Duration;

/// How long to wait for a requested disk if `waitusb=` does not say: USB and some SCSI disks appear after the kernel
/// has started the early init.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
/// A larger number is more likely a mistake than intended.
const LONGEST_WAIT: u64 = 3600;

/// What is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The live system, from the initramfs.
    Live,
    /// The live system, in which a system on the disk is started and gets the console.
    Chroot,
    /// Only a system on the disk.
    Switch,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Mode::Live => "live",
            Mode::Chroot => "chroot",
            Mode::Switch => "switch",
        })
    }
}

/// How a disk is identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// By its filesystem's label.
    Label(String),
    /// By its filesystem's UUID, in lower case.
    Uuid(String),
    /// By the device's name below `/dev`.
    Device(String),
}

impl Selector {
    /// `LABEL=…`, `UUID=…`, `/dev/NAME` or `NAME`.
    ///
    /// # Errors
    /// The end of a sentence that says what is wrong with the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(label) = text.strip_prefix("LABEL=").filter(|label| !label.is_empty()) {
            return Ok(Self::Label(label.to_owned()));
        }
        if let Some(uuid) = text.strip_prefix("UUID=") {
            if !uuid.is_empty() && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
                return Ok(Self::Uuid(uuid.to_ascii_lowercase()));
            }
            return Err(format!("\"{text}\" is not a UUID (hexadecimal digits and dashes)"));
        }
        let name = text.strip_prefix("/dev/").unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.!".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) || name.starts_with(['/', '.']) || name.contains("..") {
            return Err(format!("\"{text}\" is not a valid disk name: expected LABEL=…, UUID=… or /dev/…"));
        }
        Ok(Self::Device(name.to_owned()))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::Device(name) => write!(f, "/dev/{name}"),
        }
    }
}

/// The systems' disk as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hd {
    /// Not given: the one with the default label, if there is one.
    Default,
    /// Given.
    Named(Selector),
    /// Given in a form that is not understood; reported in `Cmdline::problems`. No other disk is used instead.
    Bad,
}

/// What the command line asks the early init to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cmdline {
    /// What to start.
    pub mode: Mode,
    /// The system's folder: absolute, without `..` and without characters that are special to a shell.
    pub system: String,
    /// The systems' disk.
    pub hd: Hd,
    /// The limit of `waitusb=`; none if it was not given.
    pub wait: Option<Duration>,
    /// Another disk that `waitusb=` waits for.
    pub await_too: Option<Selector>,
    /// `init=`: absolute, with the same characters as `system`.
    pub init: Option<String>,
    /// What could not be understood, as complete sentences. The mode is then `Live` if the mode or the system is
    /// unclear.
    pub problems: Vec<String>,
}

impl Cmdline {
    /// Parses a command line as in `/proc/cmdline`. Never fails: errors are in `problems`. If a word is given more than
    /// once the last one counts.
    pub fn parse(text: &str) -> Self {
        let mut cmdline = Cmdline {
            mode: Mode::Live,
            system: "/system0".to_owned(),
            hd: Hd::Default,
            wait: None,
            await_too: None,
            init: None,
            problems: Vec::new(),
        };
        let words = words(text);
        let last = |name: &str| words.iter().rev().find(|(word, value)| word == name && value.is_some());
        let value = |name: &str| last(name).and_then(|(_, value)| value.as_deref());
        let mut problems = Vec::new();
        let mut clear = true;

        match value("mode") {
            None | Some("live") => {}
            Some("chroot") => cmdline.mode = Mode::Chroot,
            Some("switch") => cmdline.mode = Mode::Switch,
            Some(other) => problems.push(format!("mode={other} is unknown: expected live, chroot or switch.")),
        }
        if let Some(system) = value("system") {
            // Without an initramfs the kernel reads system=, where "/" is the whole disk; it means the same here.
            match check_path(system) {
                Ok(()) => cmdline.system = system.to_owned(),
                Err(why) => {
                    problems.push(format!("system={system} {why}."));
                    clear = false;
                }
            }
        }
        if let Some(init) = value("init") {
            match check_path(init) {
                Ok(()) => cmdline.init = Some(init.to_owned()),
                Err(why) => problems.push(format!("init={init} {why}; it is ignored.")),
            }
        }
        if let Some(hd) = value("hd") {
            cmdline.hd = match Selector::parse(hd) {
                Ok(selector) => Hd::Named(selector),
                Err(why) => {
                    problems.push(format!("hd=: {why}."));
                    clear = false;
                    Hd::Bad
                }
            };
        }
        if let Some(text) = value("waitusb") {
            match parse_wait(text) {
                Ok((limit, disk)) => (cmdline.wait, cmdline.await_too) = (Some(limit), disk),
                Err(why) => problems.push(format!("waitusb={text}: {why}; it is ignored.")),
            }
        }
        if !clear {
            cmdline.mode = Mode::Live;
        }
        cmdline.problems = problems;
        cmdline
    }

    /// How long to wait for the systems' disk: not at all if none was requested.
    pub fn limit(&self) -> Duration {
        match self.wait {
            Some(limit) => limit,
            None if self.mode != Mode::Live || matches!(self.hd, Hd::Named(_)) => DEFAULT_WAIT,
            None => Duration::ZERO,
        }
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("is not an absolute path");
    }
    if path.split('/').any(|part| part == "..") {
        return Err("contains \"..\"");
    }
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+-@:,%=".contains(&byte)) {
        return Err("may only contain letters, digits and /._+-@:,%=");
    }
    Ok(())
}

fn parse_wait(text: &str) -> Result<(Duration, Option<Selector>), String> {
    let (seconds, disk) = match text.split_once(':') {
        Some((seconds, disk)) => (seconds, Some(Selector::parse(disk)?)),
        None => (text, None),
    };
    match seconds.parse() {
        Ok(seconds) if seconds <= LONGEST_WAIT => Ok((Duration::from_secs(seconds), disk)),
        _ => Err(format!("\"{seconds}\" is not a number of seconds from 0 to {LONGEST_WAIT}")),
    }
}

/// The words of a command line up to `--` (the rest is for init), each a name and possibly a value. Quotes as in the
/// kernel's `next_arg` (lib/cmdline.c): a space between double quotes does not end a word; quotes around the whole word
/// or around the value are removed.
fn words(text: &str) -> Vec<(String, Option<String>)> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest.find(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind.trim_start();
        if word == "--" {
            break;
        }
        let whole = word.strip_prefix('"').map(|word| word.strip_suffix('"').unwrap_or(word));
        words.push(match whole.unwrap_or(word).split_once('=') {
            None => (whole.unwrap_or(word).to_owned(), None),
            Some((name, value)) => {
                let inner = value.strip_prefix('"').map(|value| value.strip_suffix('"').unwrap_or(value));
                (name.to_owned(), Some(inner.unwrap_or(value).to_owned()))
            }
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_means_the_live_system() {
        let cmdline = Cmdline::parse("\n");
        assert_eq!((cmdline.mode, cmdline.system.as_str(), &cmdline.hd), (Mode::Live, "/system0", &Hd::Default));
        assert_eq!((cmdline.init.as_deref(), cmdline.limit()), (None, Duration::ZERO));
        assert!(cmdline.problems.is_empty());
    }

    #[test]
    fn each_word_is_read() {
        let cmdline = Cmdline::parse(
            "ro console=ttyS0 mode=switch system=/system12 hd=UUID=ABCD-12ef init=/sbin/init waitusb=7:LABEL=stick quiet",
        );
        assert_eq!((cmdline.mode, cmdline.system.as_str()), (Mode::Switch, "/system12"));
        assert_eq!(cmdline.hd, Hd::Named(Selector::Uuid("abcd-12ef".into())));
        assert_eq!(cmdline.init.as_deref(), Some("/sbin/init"));
        assert_eq!(
            (cmdline.limit(), cmdline.await_too),
            (Duration::from_secs(7), Some(Selector::Label("stick".into())))
        );
        assert!(cmdline.problems.is_empty());
    }

    #[test]
    fn quotes_are_the_kernels() {
        let words = words(r#"a "b c" d="e f" "g=h i" j=k"l m"n o -- mode=switch"#);
        let shown: Vec<(&str, Option<&str>)> =
            words.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let expected = [
            ("a", None),
            ("b c", None),
            ("d", Some("e f")),
            ("g", Some("h i")),
            ("j", Some(r#"k"l m"n"#)),
            ("o", None),
        ];
        assert_eq!(shown, expected);
        let cmdline = Cmdline::parse(r#"hd="LABEL=my disk" mode=chroot"#);
        assert_eq!((cmdline.mode, cmdline.hd), (Mode::Chroot, Hd::Named(Selector::Label("my disk".into()))));
    }

    #[test]
    fn the_last_one_counts() {
        let cmdline = Cmdline::parse("mode=switch system=/system1 mode=chroot system=/system2");
        assert_eq!((cmdline.mode, cmdline.system.as_str()), (Mode::Chroot, "/system2"));
        assert!(Cmdline::parse("mode=bad mode=live").problems.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_said_and_the_live_system_starts() {
        for (text, part) in [
            ("mode=swich", "mode=swich is unknown"),
            ("mode=switch system=system0", "system=system0 is not an absolute path"),
            ("mode=switch system=/a/../b", "system=/a/../b contains \"..\""),
            ("mode=switch system=/a'b", "may only contain letters"),
            ("mode=chroot hd=UUID=xyz", "is not a UUID"),
            ("mode=chroot hd=", "is not a valid disk name"),
            ("mode=chroot hd=/dev/../x", "is not a valid disk name"),
            ("mode=chroot hd=LABEL=", "is not a valid disk name"),
        ] {
            let cmdline = Cmdline::parse(text);
            assert_eq!(cmdline.mode, Mode::Live, "{text}");
            assert_eq!(cmdline.problems.len(), 1, "{text}: {:?}", cmdline.problems);
            assert!(cmdline.problems[0].contains(part), "{text}: {:?}", cmdline.problems);
        }
        // These problems do not affect what to start.
        for text in [
            "mode=switch waitusb=soon",
            "mode=switch waitusb=5:LABEL=",
            "mode=switch init=sh",
            "mode=switch waitusb=99999",
        ] {
            let cmdline = Cmdline::parse(text);
            assert_eq!((cmdline.mode, cmdline.problems.len()), (Mode::Switch, 1), "{text}: {:?}", cmdline.problems);
        }
    }

    #[test]
    fn a_disk_that_is_asked_for_is_waited_for() {
        assert_eq!(Cmdline::parse("mode=switch").limit(), DEFAULT_WAIT);
        assert_eq!(Cmdline::parse("hd=vda1").limit(), DEFAULT_WAIT);
        assert_eq!(Cmdline::parse("hd=vda1").hd, Hd::Named(Selector::Device("vda1".into())));
        assert_eq!(Cmdline::parse("hd=/dev/vda1 waitusb=0").limit(), Duration::ZERO);
    }
}
