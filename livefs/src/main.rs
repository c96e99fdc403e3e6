//! One program with several names: the name by which it is called selects the applet, as with busybox.

#![no_main]

use std::ffi::OsString;
use std::path::Path;

/// An applet's name and its function, which gets the arguments after the name and gives the exit code.
type Applet = (&'static str, fn(Vec<OsString>) -> u8);

/// All names, one per line.
const APPLETS: &[Applet] = &[
    ("bootplan", livefs::boot::bootplan),
    ("chroot-system", livefs::boot::chroot_system),
    ("filetool", livefs::system::filetool),
    ("hdinstall", livefs::system::hdinstall),
    ("system", livefs::system::system),
    ("vz", livefs::vz::vz),
    ("vzctl", livefs::vz::vzctl),
    ("vzlist", livefs::vz::vzlist),
    ("vzmigrate", livefs::vz::vzmigrate),
];

/// The C library's `main`, instead of the standard library's: the latter's setup took a fifth of the instructions of a
/// short command. Arguments and environment are available without it.
// SAFETY: no other function of this name is linked.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    // What the standard library sets up and is needed: writing to a closed pipe or socket gives an error. SAFETY: there
    // are no threads and no handlers yet.
    unsafe { nix::libc::signal(nix::libc::SIGPIPE, nix::libc::SIG_IGN) };
    let code = run(std::env::args_os());
    // Flushes the output.
    std::process::exit(code.into())
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or(&called).to_owned();
    let mut rest: Vec<OsString> = arguments.collect();
    // As with busybox: the image has a link for each.
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
