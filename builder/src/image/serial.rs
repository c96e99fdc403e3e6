//! The serial console that a kernel's command line states: `console=ttyS1,9600n8`
//! (Documentation/admin-guide/serial-console.rst), for other programs that use the same line.

use crate::platform::Platform;

/// A serial console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial {
    /// The port: 0 for `ttyS0`, COM1.
    pub port: u8,
    /// Bits per second.
    pub speed: u32,
    /// Parity.
    pub parity: Parity,
    /// Bits per character, 5 to 8.
    pub bits: u8,
    /// Whether RTS and CTS are used (hardware flow control).
    pub flow: bool,
}

/// The last serial port that a PC has at a fixed address, `ttyS3`.
pub const LAST_PORT: u8 = 3;

/// The parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// `n`.
    None,
    /// `o`.
    Odd,
    /// `e`.
    Even,
}

impl Serial {
    /// The kernel's default: 9600n8.
    fn plain(port: u8) -> Self {
        Self { port, speed: 9600, parity: Parity::None, bits: 8, flow: false }
    }

    /// The last serial console of a command line, which becomes `/dev/console` unless a terminal of another kind
    /// follows. `None` if it has none; `Err` says what is wrong with one.
    pub fn of(cmdline: &str, platform: Platform) -> Result<Option<Self>, String> {
        let device = platform.names().serial;
        let words = cmdline.split_ascii_whitespace();
        let lines = words.filter_map(|word| word.strip_prefix("console=")).filter_map(|line| line.strip_prefix(device));
        lines.map(|line| Self::parse(line, device)).try_fold(None, |_, line| line.map(Some))
    }

    /// Parses what follows the device name without its number.
    fn parse(text: &str, device: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`console={device}{text}` is not a serial console: expected a number, optionally with speed, parity (n, o, e), bits and `r` for flow \
                 control: `console={device}1,115200n8`"
            )
        };
        let (port, options) = text.split_once(',').map_or((text, None), |(port, options)| (port, Some(options)));
        let mut line = Self::plain(port.parse().map_err(|_| wrong())?);
        let Some(options) = options else { return Ok(line) };
        let digits = options.find(|c: char| !c.is_ascii_digit()).unwrap_or(options.len());
        line.speed = options[..digits].parse().ok().filter(|speed| *speed > 0).ok_or_else(wrong)?;
        let mut rest = options[digits..].chars();
        match rest.next() {
            None => return Ok(line),
            Some('n') => line.parity = Parity::None,
            Some('o') => line.parity = Parity::Odd,
            Some('e') => line.parity = Parity::Even,
            Some(_) => return Err(wrong()),
        }
        match rest.next().map(|bits| bits.to_digit(10)) {
            None => return Ok(line),
            Some(Some(bits @ 5..=8)) => line.bits = bits as u8,
            Some(_) => return Err(wrong()),
        }
        line.flow = match rest.as_str() {
            "" => false,
            "r" => true,
            _ => return Err(wrong()),
        };
        Ok(line)
    }

    /// GRUB's command for the line (GRUB manual, "serial").
    pub fn grub(&self) -> String {
        let Self { port, speed, parity, bits, flow } = self;
        let mut command = format!("serial --unit={port} --speed={speed}");
        match parity {
            Parity::None => {}
            Parity::Odd => command.push_str(" --parity=odd"),
            Parity::Even => command.push_str(" --parity=even"),
        }
        if *bits != 8 {
            command.push_str(&format!(" --word={bits}"));
        }
        if *flow {
            command.push_str(" --rtscts=on");
        }
        command
    }
}

impl Default for Serial {
    /// The default where a command line names none: the first port, at the highest speed that all of them have.
    fn default() -> Self {
        Self { speed: 115_200, ..Self::plain(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_serial_console_counts_and_grub_gets_what_the_kernel_takes() {
        for (cmdline, expected) in [
            ("console=ttyS0", "serial --unit=0 --speed=9600"),
            ("console=tty0 console=ttyS1 quiet", "serial --unit=1 --speed=9600"),
            ("console=ttyS0,9600n8", "serial --unit=0 --speed=9600"),
            ("console=ttyS0,115200 console=ttyS2,57600", "serial --unit=2 --speed=57600"),
            (
                "console=ttyS3,115200o7r console=tty0",
                "serial --unit=3 --speed=115200 --parity=odd --word=7 --rtscts=on",
            ),
            ("console=ttyS1,38400e8", "serial --unit=1 --speed=38400 --parity=even"),
        ] {
            assert_eq!(Serial::of(cmdline, Platform::X86_64).unwrap().unwrap().grub(), expected, "{cmdline}");
        }
    }

    #[test]
    fn others_are_none_and_nonsense_is_refused() {
        for cmdline in ["", "quiet", "console=tty0", "console=hvc0", "console=ttyUSB0,9600", "xconsole=ttyS1"] {
            assert_eq!(Serial::of(cmdline, Platform::X86_64), Ok(None), "{cmdline}");
        }
        for console in [
            "ttyS",
            "ttySx",
            "ttyS1,",
            "ttyS1,fast",
            "ttyS1,0",
            "ttyS1,9600x8",
            "ttyS1,9600n9",
            "ttyS1,9600n8x",
            "ttyS999",
        ] {
            let error = Serial::of(&format!("console=tty0 console={console}"), Platform::X86_64).unwrap_err();
            assert!(error.contains(&format!("`console={console}`")), "{error}");
        }
    }
}
