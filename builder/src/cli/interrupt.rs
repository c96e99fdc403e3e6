//! ^C and SIGTERM.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::process;
use crate::source::Cancel;

/// Ends downloads and running tools on ^C and SIGTERM; a second one ends this process at once.
pub fn listen() -> io::Result<Cancel> {
    let cancel = Cancel::default();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let switch = cancel.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if switch.is_cancelled() {
                std::process::exit(130);
            }
            switch.cancel();
            process::kill_all();
        }
    });
    Ok(cancel)
}
