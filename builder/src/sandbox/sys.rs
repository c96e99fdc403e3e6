//! System calls that no safe wrapper exists for. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::io;

use nix::libc;

/// `SECBIT_NOROOT` and its lock (`linux/securebits.h`): uid 0 gets no capabilities by starting a program.
const NO_ROOT: libc::c_ulong = 1 | 1 << 1;

/// Makes every descriptor but standard input, output and error close on exec: a build started by make(1), or a shell
/// with open descriptors, must not hand them to the tools. Kernels before 5.9 don't have the call; there it does nothing.
pub fn keep_standard_streams_only() {
    // SAFETY: the arguments are plain numbers; no descriptor is closed before an exec, so none that this process owns
    // is pulled away from under it.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// From here on, programs that this process starts have no capabilities, whatever their uid or file.
pub fn give_up_capabilities() -> io::Result<()> {
    // SAFETY: both calls take plain numbers and touch no memory.
    let result = unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    nix::sys::prctl::set_no_new_privs().map_err(Into::into)
}

/// Sets the NIS domain, which a new UTS namespace otherwise takes over from the host.
pub fn set_domain_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length describe `name`, which outlives the call.
    match unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
