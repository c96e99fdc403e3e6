//! Output: to the console, according to `--quiet` and `--verbose`, and to the log file.

use std::cell::RefCell;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;

/// Where a command's messages go. Level -1 is for errors and goes to standard error, 0 is normal, more is `--verbose`.
pub struct Log {
    /// Whether the console gets nothing.
    pub quiet: bool,
    /// The highest level that is printed to the console.
    pub verbose: i32,
    file: Option<(File, i32, String)>,
    captured: Option<RefCell<String>>,
}

impl Log {
    /// To the console only.
    pub fn console(quiet: bool, verbose: i32) -> Log {
        Log { quiet, verbose, file: None, captured: None }
    }

    /// Keeps all messages, for tests; [`Log::taken`] gives them. Those for standard error start with `! `.
    pub fn captured() -> Log {
        Log { quiet: false, verbose: 0, file: None, captured: Some(RefCell::new(String::new())) }
    }

    /// What was captured since the last call.
    pub fn taken(&self) -> String {
        self.captured.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Also writes messages up to `level` to a file. `who` is the prefix, such as `CT 101`.
    pub fn set_file(&mut self, file: File, level: i32, who: String) {
        self.file = Some((file, level, who));
    }

    /// Prints a line. Failures to write to the console or the log are ignored: the work goes on.
    pub fn say(&self, level: i32, text: impl Display) {
        if !self.quiet && level <= self.verbose {
            match (&self.captured, level < 0) {
                (Some(all), error) => {
                    let mark = if error { "! " } else { "" };
                    text.to_string().lines().for_each(|line| all.borrow_mut().push_str(&format!("{mark}{line}\n")));
                }
                (None, true) => drop(writeln!(std::io::stderr(), "{text}")),
                (None, false) => drop(writeln!(std::io::stdout(), "{text}")),
            }
        }
        if let Some((file, most, who)) = &self.file {
            if level <= *most {
                // In a single write: other processes append to the same file.
                let line = format!("{} vzctl : {who} : {text}\n", now());
                let _ = (&*file).write_all(line.as_bytes());
            }
        }
    }

    /// Prints a line of the command's result: independent of the level.
    pub fn print(&self, text: impl Display) {
        match &self.captured {
            Some(all) => all.borrow_mut().push_str(&format!("{text}\n")),
            None => drop(writeln!(std::io::stdout(), "{text}")),
        }
    }

    /// A normal message.
    pub fn info(&self, text: impl Display) {
        self.say(0, text);
    }

    /// An error or a warning.
    pub fn error(&self, text: impl Display) {
        self.say(-1, text);
    }
}

/// The time in UTC as `2026-11-24T04:30:00Z`.
pub fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    date(now)
}

/// Seconds since 1970 in UTC as `2026-11-24T04:30:00Z`, with the calendar's cycle of 400 years (146097 days).
pub fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    // In years that begin in March the leap day is the last one.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        assert_eq!(super::date(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::date(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(super::date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(super::date(1_795_494_600), "2026-11-24T04:30:00Z");
    }
}
