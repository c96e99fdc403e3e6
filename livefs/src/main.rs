//! One program under several names: the name that it is called by selects what it does, as with busybox.

#![no_main]

use std::ffi::OsString;
use std::path::Path;

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

/// The C library's `main`, instead of the standard library's: what that does before took a fifth of a short command's instructions.
/// Arguments and environment are there without it.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    // What the standard library's does and is needed: who writes to a closed pipe or socket gets an error.
    // SAFETY: there are no threads and no handlers yet.
    unsafe { nix::libc::signal(nix::libc::SIGPIPE, nix::libc::SIG_IGN) };
    let code = run(std::env::args_os());
    // Writes what is still to be written.
    std::process::exit(code.into())
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or(&called).to_owned();
    let mut rest: Vec<OsString> = arguments.collect();
    // As busybox does: the image makes a link for each.
    if name == "livefs" && rest == ["--list"] {
        APPLETS.iter().for_each(|(name, _)| println!("{name}"));
        return 0;
    }
    let mut run = find(&name);
    // `livefs NAME …` does the same without a link.
    if run.is_none() && !rest.is_empty() {
        run = find(&rest[0]);
        rest.remove(0);
    }
    match run {
        Some(run) => run(rest),
        None => {
            let names: Vec<&str> = APPLETS.iter().map(|(name, _)| *name).collect();
            eprintln!("livefs: unknown applet; expected one of: {}", names.join(" "));
            2
        }
    }
}

fn find(name: &std::ffi::OsStr) -> Option<fn(Vec<OsString>) -> u8> {
    APPLETS.iter().find(|(applet, _)| name == *applet).map(|(_, run)| *run)
}
