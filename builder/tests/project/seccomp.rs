//! Hosts that deny a system call, by a filter of seccomp(2).

use std::io;

use nix::errno::Errno;
use nix::libc;

/// Makes system calls fail for this thread and everything that it starts. Allocates nothing: it may run between fork
/// and exec.
pub fn refuse(calls: &[(libc::c_long, Errno)]) -> io::Result<()> {
    const MOST: usize = 8;
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let allow = step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW);
    let mut program = [allow; 2 * MOST + 2];
    assert!(calls.len() <= MOST);
    // The call's number is the first word of the filter's input (`struct seccomp_data`).
    program[0] = step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0);
    for (index, (number, errno)) in calls.iter().enumerate() {
        program[2 * index + 1] = step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, *number as u32);
        let failure = libc::SECCOMP_RET_ERRNO | *errno as i32 as u32;
        program[2 * index + 2] = step(libc::BPF_RET | libc::BPF_K, 0, 0, failure);
    }
    let filter = libc::sock_fprog { len: 2 * calls.len() as u16 + 2, filter: program.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs()?;
    // SAFETY: the kernel copies the program, which outlives the call.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
