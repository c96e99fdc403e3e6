//! What may be done to a suspended container. Its saved processes continue on its files, with its settings, and in its
//! layout as they were: whatever would change these underneath them is refused, or ends them. [`rule`] is the only place
//! that decides; commands ask it with [`Vz::ask`].
//!
//! vzctl 4.11.1 has no such rule: only `start`, `destroy`, `status` and `vzmigrate` look for a dump, all others treat the
//! container as a stopped one. The exit codes are those that 4.11.1 has for a failure of the same operation (vzctl(8), "EXIT
//! STATUS").
//!
//! It concerns the container's own dump, `Dump.CTID`. Nothing is known of a dump elsewhere (`--dumpfile`): whoever asked
//! for it has to keep the files with it, as backup programs do.

use super::context::Vz;
use super::dump;
use super::exit::{Error, Result};

/// An operation on a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `create`, or an arrival by `vzmigrate`: a dump is of an earlier container with this number.
    Create,
    /// `destroy`
    Destroy,
    /// `chkpnt --kill`
    Kill,
    /// `resume` from another dump than its own.
    ResumeOther,
    /// `mount`
    Mount,
    /// `runscript`
    RunScript,
    /// `set --userpasswd`
    SetPassword,
    /// `set --private`, `set --root`
    SetPlace,
    /// `set` of what takes effect at a start.
    SetForStart,
    /// `set` of anything else: it takes effect when the container continues, or at its next start.
    SetForResume,
    /// An image gets larger.
    Grow,
    /// An image gets smaller.
    Shrink,
    /// `quotaon`, `quotaoff`, `quotainit`
    Quota,
    /// `compact`
    Compact,
    /// `convert`
    Convert,
    /// `snapshot`
    Snapshot,
    /// `snapshot-switch`
    SnapshotSwitch,
    /// `snapshot-delete`
    SnapshotDelete,
    /// `vzmigrate`
    Migrate,
    /// An interrupted conversion or switch to a snapshot is completed. It began before the container was suspended.
    Finish,
}

/// What an operation means for the saved processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It leaves all that they rely on.
    Goes,
    /// It is refused: the exit code, and what is not possible.
    Refused(u8, &'static str),
    /// It ends them: the dump is removed.
    Ends,
    /// It ends them without anybody having asked for that: the dump is set aside.
    SetsAside,
}

/// Which operations a suspended container allows.
pub fn rule(operation: Operation) -> Answer {
    use Answer::{Ends, Goes, Refused, SetsAside};
    match operation {
        Operation::Create | Operation::Destroy | Operation::Kill => Ends,
        Operation::ResumeOther => Refused(17, "continue from another dump"),
        // Whatever is mounted can be written to.
        Operation::Mount => Refused(50, "mount"),
        Operation::RunScript => Refused(50, "mount for a script"),
        Operation::SetPassword => Refused(74, "set a password"),
        // As for a running container.
        Operation::SetPlace => Refused(32, "change VE_PRIVATE or VE_ROOT"),
        // A running container keeps the old value until it is stopped. This one would get a part of it when it continues.
        Operation::SetForStart => Refused(32, "set what only a start applies"),
        Operation::SetForResume | Operation::Quota => Goes,
        // The same files in a larger file system, as for a running container.
        Operation::Grow => Goes,
        // Inodes may get other numbers.
        Operation::Shrink => Refused(154, "make its image smaller"),
        // Only free blocks are given back.
        Operation::Compact => Goes,
        Operation::Convert => Refused(155, "convert"),
        // Files are copied, and those in use stay.
        Operation::Snapshot | Operation::SnapshotDelete => Goes,
        Operation::SnapshotSwitch => Refused(159, "switch to a snapshot"),
        // The dump moves along.
        Operation::Migrate => Goes,
        Operation::Finish => SetsAside,
    }
}

impl Vz {
    /// Whether a container allows an operation now: if it is suspended, what [`rule`] says. If that ends the saved
    /// processes, their dump is removed, so this has to be called before the first change.
    ///
    /// # Errors
    /// [`Error::Suspended`]: it is refused. The dump can't be removed.
    pub fn ask(&self, id: u32, operation: Operation) -> Result<()> {
        match rule(operation) {
            Answer::Goes => Ok(()),
            Answer::Ends => dump::discard(&self.dump_place(id)).and_then(|()| self.node.unpark(id)),
            Answer::SetsAside if !self.is_suspended(id) => Ok(()),
            Answer::SetsAside => dump::set_aside(&self.dump_place(id)).and_then(|_| self.node.unpark(id)),
            Answer::Refused(..) if self.node.is_running(id)? || !self.is_suspended(id) => Ok(()),
            Answer::Refused(code, what) => Err(Error::Suspended { code, what, id }),
        }
    }
}
