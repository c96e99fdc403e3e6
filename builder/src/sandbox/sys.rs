//! System calls that have no safe wrapper. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use nix::libc;
use nix::pty::Winsize;

/// `SECBIT_NOROOT` and its lock (`linux/securebits.h`): uid 0 gets no capabilities by executing a program.
const NO_ROOT: libc::c_ulong = 1 | 1 << 1;

/// Makes every descriptor except standard input, output and error close on exec: descriptors inherited from make(1) or
/// from a shell must not reach the tools. Kernels before 5.9 don't have the call; there it does nothing.
pub fn keep_standard_streams_only() {
    // SAFETY: the arguments are plain numbers; no descriptor is closed before an exec, so none that this process owns
    // is closed under it.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// From now on, programs that this process starts have one capability, whatever their uid or file: setting file
/// capabilities (`CAP_SETFCAP`), for files that are installed. No program gets any from its file, as gaining privileges
/// is disabled.
pub fn give_up_capabilities() -> io::Result<()> {
    // SAFETY: the call takes plain numbers and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let kept = caps::CapsHashSet::from([caps::Capability::CAP_SETFCAP]);
    // In this order: an ambient capability has to be inheritable, and that permitted (capabilities(7)).
    for set in [caps::CapSet::Inheritable, caps::CapSet::Ambient] {
        caps::set(None, set, &kept).map_err(io::Error::other)?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(Into::into)
}

/// Resets every signal to its default: an ignored signal stays ignored in the programs that are started, and tools must
/// not depend on what dbco was started to ignore. For a process with one thread, as the C library has signals of its
/// own.
pub fn forget_ignored_signals() {
    // `struct kernel_sigaction` (Linux, include/linux/signal_types.h) holds up to four words; all zero it is `SIG_DFL`.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads from `default`, which is as long as what it reads, and writes nothing. `SIG_DFL`
        // installs no handler. The kernel rejects the signals that can't be set, SIGKILL and SIGSTOP.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal as libc::c_int,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                8 as libc::size_t,
            )
        };
    }
}

/// Sets the NIS domain, which a new UTS namespace otherwise inherits from the host.
pub fn set_domain_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length describe `name`, which outlives the call.
    match unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes standard input, a terminal, the controlling terminal of this process, which has to lead a session without one.
pub fn take_terminal() -> io::Result<()> {
    // SAFETY: the arguments are plain numbers.
    match unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The size of a terminal (tty_ioctl(4)).
pub fn window_size(terminal: &impl AsFd) -> io::Result<Winsize> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes a `struct winsize` to `size`, which is one and outlives the call.
    match unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } {
        0 => Ok(size),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets the size of a terminal, which sends SIGWINCH to its foreground.
pub fn set_window_size(terminal: &impl AsFd, size: &Winsize) -> io::Result<()> {
    // SAFETY: the kernel reads a `struct winsize` from `size`, which is one and outlives the call.
    match unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const *size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
