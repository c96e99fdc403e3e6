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

/// From here on, programs that this process starts have one capability, whatever their uid or file: to give files
/// capabilities (`CAP_SETFCAP`), for what is installed. No program gets any from its file, as new privileges are off.
pub fn give_up_capabilities() -> io::Result<()> {
    // SAFETY: the call takes plain numbers and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let kept = caps::CapsHashSet::from([caps::Capability::CAP_SETFCAP]);
    // In this order: what is ambient has to be inheritable, and that permitted (capabilities(7)).
    for set in [caps::CapSet::Inheritable, caps::CapSet::Ambient] {
        caps::set(None, set, &kept).map_err(io::Error::other)?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(Into::into)
}

/// Gives every signal its default again: one that is ignored stays so in the programs that are started, and what dbco
/// was started to ignore is nothing that tools may see. For a process of one thread, as the C library has signals of
/// its own.
pub fn forget_ignored_signals() {
    // `struct kernel_sigaction` (Linux, include/linux/signal_types.h) holds up to four words; all zero it is `SIG_DFL`.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads from `default`, which is as long as what it reads, and writes nothing. `SIG_DFL`
        // installs no handler. What can't be set, SIGKILL and SIGSTOP, the kernel refuses.
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

/// Sets the NIS domain, which a new UTS namespace otherwise takes over from the host.
pub fn set_domain_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length describe `name`, which outlives the call.
    match unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
