//! What is said: to the console, as `--quiet` and `--verbose` ask, and to the log file.

use std::cell::RefCell;
use std::fmt::Display;
use std::fs::File;
use std::io::Write;

/// Where a command's words go. Level -1 is for errors and goes to the standard error stream, 0 is usual, more is `--verbose`.
pub struct Log {
    /// Whether the console gets nothing.
    pub quiet: bool,
    /// The highest level that the console gets.
    pub verbose: i32,
    file: Option<(File, i32, String)>,
    captured: Option<RefCell<String>>,
}

impl Log {
    /// To the console only.
    pub fn console(quiet: bool, verbose: i32) -> Log {
        Log { quiet, verbose, file: None, captured: None }
    }

    /// Keeps all words, for tests; [`Log::taken`] gives them. Those for the standard error stream begin with `! `.
    pub fn captured() -> Log {
        Log { quiet: false, verbose: 0, file: None, captured: Some(RefCell::new(String::new())) }
    }

    /// What was captured since the last call.
    pub fn taken(&self) -> String {
        self.captured.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Lets lines up to `level` go to a file as well. `who` says whose they are, as in `CT 101`.
    pub fn set_file(&mut self, file: File, level: i32, who: String) {
        self.file = Some((file, level, who));
    }

    /// Says a line. The console's and the log's failures are nobody's business: the work goes on.
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
                // In one piece: others append to the same file.
                let line = format!("{} vzctl : {who} : {text}\n", now());
                let _ = (&*file).write_all(line.as_bytes());
            }
        }
    }

    /// Says a line that is the command's result: it goes out whatever the level.
    pub fn print(&self, text: impl Display) {
        match &self.captured {
            Some(all) => all.borrow_mut().push_str(&format!("{text}\n")),
            None => drop(writeln!(std::io::stdout(), "{text}")),
        }
    }

    /// The usual line.
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

/// Seconds since 1970 in UTC as `2026-11-24T04:30:00Z`, by the calendar that repeats every 400 years (146097 days).
pub fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Years that begin in March have the leap day last.
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
