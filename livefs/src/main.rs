//! One program under several names: what it does is told by the name that it is called by, as busybox's is.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// A program's name and what runs it. It gets the arguments after the name and gives the exit code.
type Applet = (&'static str, fn(Vec<OsString>) -> u8);

/// All names, one a line.
const APPLETS: &[Applet] = &[
    ("bootplan", livefs::boot::bootplan),
    ("chroot-system", livefs::boot::chroot_system),
    ("filetool", livefs::system::filetool),
    ("hdinstall", livefs::system::hdinstall),
    ("system", livefs::system::system),
    ("vz", livefs::vz::vz),
    ("vzctl", livefs::vz::vzctl),
    ("vzlist", livefs::vz::vzlist),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or(&called).to_owned();
    let mut rest: Vec<OsString> = arguments.collect();
    // As busybox does: the image makes a link for each.
    if name == "livefs" && rest == ["--list"] {
        APPLETS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let mut run = find(&name);
    // `livefs NAME …` does the same without a link.
    if run.is_none() && !rest.is_empty() {
        run = find(&rest[0]);
        rest.remove(0);
    }
    match run {
        Some(run) => ExitCode::from(run(rest)),
        None => {
            let names: Vec<&str> = APPLETS.iter().map(|(name, _)| *name).collect();
            eprintln!("livefs: call it by one of its names: {}", names.join(" "));
            ExitCode::from(2)
        }
    }
}

fn find(name: &std::ffi::OsStr) -> Option<fn(Vec<OsString>) -> u8> {
    APPLETS.iter().find(|(applet, _)| name == *applet).map(|(_, run)| *run)
}
