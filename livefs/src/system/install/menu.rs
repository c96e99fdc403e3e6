//! GRUB's menu on an installed disk: an entry for each mode, in the order of the image's own menu.

use crate::platform::{COMMAND_LINE, CONSOLES, KERNEL, SERIAL};

/// The words of the kernel's command line in all entries, as the kernel reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// Words for the kernel.
    kernel: Vec<String>,
    /// Words from `--` on, which the kernel passes to init.
    init: Vec<String>,
}

impl Menu {
    /// Checks a kernel command line for all entries; None stands for [`CONSOLES`].
    ///
    /// # Errors
    /// A sentence that says why GRUB or the kernel could not pass it on unchanged.
    pub fn new(cmdline: Option<&str>) -> Result<Menu, String> {
        let cmdline = cmdline.unwrap_or(CONSOLES);
        let mut kernel = words(cmdline).map_err(|why| format!("--cmdline \"{cmdline}\" {why}."))?;
        let init = kernel.iter().position(|word| word == "--").map_or(Vec::new(), |at| kernel.split_off(at));
        let menu = Menu { kernel, init };
        // A partition's GUID has 36 characters as text.
        let root = format!("PARTUUID={}", "0".repeat(36));
        for entry in ENTRIES {
            let length = line(&menu.words(entry, &root)).len();
            if length >= COMMAND_LINE {
                return Err(format!(
                    "--cmdline is too long: the command line of the entry \"{}\" has {length} bytes, and the kernel reads {}.",
                    entry.title,
                    COMMAND_LINE - 1
                ));
            }
        }
        Ok(menu)
    }

    /// The text of `grub.cfg` for a disk whose systems are on the partition `root`, in the form for the kernel's
    /// `root=`.
    pub fn text(&self, root: &str) -> String {
        let mut text = serial(&self.kernel)
            + "\nterminal_input console serial\nterminal_output console serial\nset timeout=3\nset default=0\n";
        for (key, entry) in ENTRIES.iter().enumerate() {
            text += &format!("menuentry {} --id {} --hotkey={} {{\n", quote(entry.title), entry.id, key + 1);
            text += &format!("  linux /boot/{KERNEL}");
            for word in self.words(entry, root) {
                text.push(' ');
                text += &quote(&word);
            }
            text += if entry.initrd { "\n  initrd /boot/initrd.img\n}\n" } else { "\n}\n" };
        }
        text
    }

    /// All words of an entry. Those of its mode come after the user's, as the last of a kind counts, and before those
    /// for init.
    fn words(&self, entry: &Entry, root: &str) -> Vec<String> {
        let mut all = self.kernel.clone();
        if !entry.initrd {
            all.push(format!("root={root}"));
        }
        all.extend(entry.words.iter().map(|word| (*word).to_owned()));
        all.extend(self.init.iter().cloned());
        all
    }
}

/// An entry of the menu.
struct Entry {
    id: &'static str,
    title: &'static str,
    words: &'static [&'static str],
    /// Whether it loads the initrd; otherwise the kernel mounts the systems' disk as its root.
    initrd: bool,
}

const ENTRIES: &[Entry] = &[
    Entry { id: "live", title: "Live system", words: &["mode=live"], initrd: true },
    Entry {
        id: "chroot",
        title: "System on this disk (/system0) inside the live system",
        words: &["mode=chroot", "system=/system0"],
        initrd: true,
    },
    Entry {
        id: "switch",
        title: "System on this disk (/system0) alone",
        words: &["mode=switch", "system=/system0"],
        initrd: true,
    },
    Entry {
        id: "disk",
        title: "System on this disk (/system0), without initrd",
        words: &["rootwait", "ro", "system=/system0"],
        initrd: false,
    },
];

/// The command line that GRUB's `linux` builds from words: with double quotes around each that contains a space
/// (`grub-core/lib/cmdline.c`).
fn line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| if word.contains(' ') { format!("\"{word}\"") } else { word.clone() });
    quoted.fold(format!("BOOT_IMAGE=/boot/{KERNEL}"), |line, word| line + " " + &word)
}

/// Splits a command line as the kernel's `next_arg` does (`lib/cmdline.c`): at spaces outside double quotes.
///
/// GRUB puts double quotes around each word with a space, so that in the end the quotes are around the whole word; the
/// kernel reads `"a=b c"` as it reads `a="b c"`. GRUB also puts a backslash before `\`, `'` and `"`, which the kernel
/// would keep: words with these can't be passed on. The builder does the same for the image's own menu
/// (`builder/src/image/grub.rs`).
fn words(cmdline: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in cmdline.chars() {
        match c {
            '"' => quoted = !quoted,
            '\\' | '\'' => return Err("contains `\\` or `'`, before which GRUB would put a backslash"),
            ' ' | '\t' | '\n' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c if c.is_control() => return Err("contains a control character"),
            c => word.push(c),
        }
    }
    if quoted {
        return Err("contains a double quote that is not closed");
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

/// A word in GRUB's script syntax (GRUB manual, "Quoting"): plain, or in single quotes.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+,-./:=@_%".contains(c);
    // A keyword of the script language would end the entry.
    if word.chars().all(plain) && word.contains(|c: char| !c.is_ascii_alphabetic()) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// GRUB's command for the last serial console of the kernel's command line
/// (Documentation/admin-guide/serial-console.rst), with the kernel's default of 9600 bits per second.
fn serial(words: &[String]) -> String {
    let consoles = words.iter().rev().filter_map(|word| word.strip_prefix("console=")?.strip_prefix(SERIAL));
    let Some(console) = consoles.into_iter().next() else {
        return "serial --unit=0 --speed=115200".into();
    };
    let (port, options) = console.split_once(',').unwrap_or((console, ""));
    let digits = options.find(|c: char| !c.is_ascii_digit()).unwrap_or(options.len());
    let (speed, rest) = options.split_at(digits);
    let (port, speed): (u8, u32) = (port.parse().unwrap_or(0), speed.parse().unwrap_or(9600));
    let parity = match rest.chars().next() {
        Some('o') => " --parity=odd",
        Some('e') => " --parity=even",
        _ => "",
    };
    let bits = match rest.chars().nth(1) {
        Some(bits @ '5'..='7') => format!(" --word={bits}"),
        _ => String::new(),
    };
    let flow = if rest.ends_with('r') { " --rtscts=on" } else { "" };
    format!("serial --unit={port} --speed={speed}{parity}{bits}{flow}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command;

    fn menu(cmdline: &str) -> String {
        Menu::new(Some(cmdline)).unwrap().text("PARTUUID=1-2")
    }

    #[test]
    fn the_menus_serial_port_is_the_kernels_last_serial_console() {
        for (cmdline, expected) in [
            ("console=tty0 console=ttyS0,115200", "serial --unit=0 --speed=115200"),
            ("console=ttyS1", "serial --unit=1 --speed=9600"),
            (
                "console=ttyS0 console=ttyS2,57600e7r quiet",
                "serial --unit=2 --speed=57600 --parity=even --word=7 --rtscts=on",
            ),
            ("console=tty0", "serial --unit=0 --speed=115200"),
            ("\"console=ttyS3,9600\" -- console=ttyS1", "serial --unit=3 --speed=9600"),
        ] {
            assert!(menu(cmdline).starts_with(&format!("{expected}\n")), "{cmdline}");
        }
        assert_eq!(Menu::new(None).unwrap().text("x"), Menu::new(Some(CONSOLES)).unwrap().text("x"));
    }

    #[test]
    fn words_are_quoted_as_the_kernel_reads_them() {
        let kernel = |cmdline: &str| {
            let text = menu(cmdline);
            let line = text.lines().find_map(|line| line.strip_prefix("  linux /boot/bzImage ")).unwrap();
            line.strip_suffix("mode=live").map(|words| words.trim_end().to_owned()).unwrap_or_else(|| line.to_owned())
        };
        for (cmdline, expected) in [
            ("quiet loglevel=3", "'quiet' loglevel=3"),
            ("  a=1 \t b=2\n", "a=1 b=2"),
            ("a=\"b c\" d=1", "'a=b c' d=1"),
            ("\"a=b c\"", "'a=b c'"),
            ("a=$(reboot);b", "'a=$(reboot);b'"),
            ("fi } done", "'fi' '}' 'done'"),
            ("a=1 -- single -x", "a=1 mode=live -- 'single' -x"),
            ("", ""),
        ] {
            assert_eq!(kernel(cmdline), expected, "{cmdline}");
        }
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused() {
        for (cmdline, expected) in [
            ("it's", "a backslash"),
            (r"path=C:\x", "a backslash"),
            ("a=\"b c", "not closed"),
            ("a=\"b\nc\"", "a control character"),
            ("a=\u{7}", "a control character"),
            (&"a=1 ".repeat(600), "too long"),
        ] {
            let why = Menu::new(Some(cmdline)).unwrap_err();
            assert!(why.contains("--cmdline") && why.contains(expected), "{cmdline}: {why}");
        }
        // The longest entry counts: the kernel reads 2047 bytes.
        let most = |length: usize| Menu::new(Some(&"a".repeat(length)));
        let longest = (1..COMMAND_LINE).rev().find(|length| most(*length).is_ok()).unwrap();
        let entry = format!("BOOT_IMAGE=/boot/bzImage  root=PARTUUID={} rootwait ro system=/system0", "0".repeat(36));
        assert_eq!(longest, 2047 - entry.len());
    }

    /// Checked by GRUB's own parser.
    #[test]
    fn grub_script_check_accepts_the_menu() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grub.cfg");
        for cmdline in [
            "console=ttyS1,9600o7r",
            "quiet if then fi } { done",
            "a=\"b c\" d=$(reboot) e=${x} f=$g",
            "a;b a&b a|b <a >a #a !a ~a *a ?a [a]",
            "\"}\" -- \"single user\"",
            "name=grün",
            "",
        ] {
            std::fs::write(&path, menu(cmdline)).unwrap();
            let output = command("grub-script-check").arg(&path).output();
            let output = output.expect("grub-script-check is missing: install grub-common");
            assert!(output.status.success(), "{cmdline}: {}", String::from_utf8_lossy(&output.stderr));
            let entries = menu(cmdline).lines().filter(|line| line.starts_with("menuentry ")).count();
            assert_eq!(entries, 4, "{cmdline}");
        }
    }
}
