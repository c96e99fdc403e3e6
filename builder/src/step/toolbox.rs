//! Foreign tools at work: a toolchain's root, a folder seen as `/build`, a fixed environment.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Blob, Id, StepError, ToolchainStep, Work};
use crate::beneath::{Dir, Links};
use crate::image::{ToolError, Tools};
use crate::process::Feed;
use crate::sandbox::{Bind, Sandbox, SandboxError, Spec};
use crate::store::WorkDir;

/// Runs tools of one toolchain on one folder.
pub(super) struct Toolbox<'a> {
    work: &'a Work<'a>,
    sandbox: &'a Sandbox,
    spec: Spec,
    folder: Dir,
    /// What removes the folder, where it was made for these tools.
    _made: Option<WorkDir>,
}

/// What glibc looks for to set the locale `C.UTF-8`.
const LOCALE: &str = "usr/lib/locale/C.utf8";

/// The environment of every tool: nothing of the host's.
///
/// `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>) is not part of it: mksquashfs refuses
/// it beside options that say the same. Whoever wants it sets it.
///
/// The locale is `C.UTF-8` where the toolchain has it (Debian keeps it in `libc-bin`, which no package depends on) and `C`
/// elsewhere: with a locale that is not there programs fall back to `C`, and some complain at each start.
fn environment(root: &Path) -> BTreeMap<String, String> {
    let utf8 = Dir::open(root, Links::InRoot).is_ok_and(|dir| dir.exists(LOCALE).unwrap_or(false));
    let pairs = [
        ("HOME", "/build"),
        ("LC_ALL", if utf8 { "C.UTF-8" } else { "C" }),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SHELL", "/bin/sh"),
        ("TZ", "UTC"),
        ("USER", "root"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl<'a> Toolbox<'a> {
    /// Tools of `toolchain` that see a new folder as `/build`, which goes with them.
    pub fn alone(work: &'a Work<'a>, toolchain: Id<ToolchainStep>) -> Result<Self, StepError> {
        let made = work.store().work_dir()?;
        let folder = work.dir(&made)?;
        Ok(Self { _made: Some(made), ..Self::new(work, toolchain, &folder)? })
    }

    /// Tools of `toolchain` that see `folder` as `/build`.
    pub fn new(work: &'a Work<'a>, toolchain: Id<ToolchainStep>, folder: &Dir) -> Result<Self, StepError> {
        let bind = Bind { host: folder.host_path().to_owned(), inside: "/build".into(), writable: true };
        let root = work.root(toolchain)?;
        let spec = Spec { env: environment(&root), root, binds: vec![bind], cwd: "/build".into(), ..Spec::default() };
        Ok(Self { work, sandbox: work.sandbox()?, spec, folder: folder.clone(), _made: None })
    }

    /// Keeps a file that a tool has made in that folder.
    pub fn keep(&self, path: &str) -> Result<Blob, StepError> {
        self.work.keep(&self.folder, path)
    }

    /// Shows another folder inside, read-only.
    pub fn bind(mut self, folder: &Dir, inside: &str) -> Self {
        self.spec.binds.push(Bind { host: folder.host_path().to_owned(), inside: inside.into(), writable: false });
        self
    }

    /// Sets the working folder of the commands.
    pub fn cwd(mut self, inside: &str) -> Self {
        self.spec.cwd = inside.into();
        self
    }

    /// Adds to the environment.
    pub fn env<'e>(mut self, pairs: impl IntoIterator<Item = (&'e str, &'e str)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.spec.env.extend(pairs);
        self
    }

    /// Runs a command; its output goes to the step's log, each line to `watch` and to whoever watches the build.
    pub fn call<S: AsRef<str>>(
        &self,
        argv: &[S],
        feed: Option<Feed<'_>>,
        watch: Option<&(dyn Fn(&str) + Sync)>,
    ) -> Result<(), SandboxError> {
        let argv = argv.iter().map(|word| word.as_ref().to_owned()).collect();
        let spec = Spec { argv, ..self.spec.clone() };
        let both = |line: &str| {
            self.work.line(line);
            if let Some(watch) = watch {
                watch(line);
            }
        };
        self.sandbox.run(&spec, Some(&self.work.log), Some(&both), feed)
    }
}

impl Tools for Toolbox<'_> {
    fn folder(&self) -> &Dir {
        &self.folder
    }

    fn run(&self, argv: &[String], feed: Option<Feed<'_>>) -> Result<(), ToolError> {
        Ok(self.call(argv, feed, None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_one_that_the_toolchain_has() {
        let root = tempfile::tempdir().unwrap();
        let locale = || environment(root.path())["LC_ALL"].clone();
        assert_eq!(locale(), "C");
        // What stands on the host does not count.
        std::fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("usr/lib/locale")).unwrap();
        assert_eq!(locale(), "C");
        std::fs::create_dir_all(root.path().join("nowhere/C.utf8")).unwrap();
        assert_eq!(locale(), "C.UTF-8", "a link of the root leads to a place in the root");
    }
}
