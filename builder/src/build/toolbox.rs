//! Foreign tools at work: a toolchain's root, a folder seen as `/build`, a fixed environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{StepError, Work};
use crate::image::{ToolError, Tools};
use crate::plan::StepId;
use crate::process::Feed;
use crate::sandbox::{Bind, Sandbox, SandboxError, Spec};

/// Runs tools of one toolchain on one folder.
pub(super) struct Toolbox<'a> {
    work: &'a Work<'a>,
    sandbox: &'a Sandbox,
    spec: Spec,
    folder: PathBuf,
}

/// The environment of every tool: nothing of the host's.
///
/// `SOURCE_DATE_EPOCH` (<https://reproducible-builds.org/specs/source-date-epoch/>) is not part of it: mksquashfs refuses
/// it beside options that say the same. Whoever wants it sets it.
fn environment() -> BTreeMap<String, String> {
    let pairs = [
        ("HOME", "/build"),
        ("LC_ALL", "C.UTF-8"),
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SHELL", "/bin/sh"),
        ("TZ", "UTC"),
        ("USER", "root"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl<'a> Toolbox<'a> {
    /// Tools of `toolchain` that see `folder` as `/build`.
    pub fn new(work: &'a Work<'a>, toolchain: StepId, folder: &Path) -> Result<Self, StepError> {
        let bind = Bind { host: folder.to_owned(), inside: "/build".into(), writable: true };
        let spec = Spec {
            root: work.context.root(toolchain),
            binds: vec![bind],
            cwd: "/build".into(),
            env: environment(),
            ..Spec::default()
        };
        Ok(Self { work, sandbox: work.context.sandbox()?, spec, folder: folder.to_owned() })
    }

    /// Shows another folder inside, read-only.
    pub fn bind(mut self, host: &Path, inside: &str) -> Self {
        self.spec.binds.push(Bind { host: host.to_owned(), inside: inside.into(), writable: false });
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
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn run(&self, argv: &[String], feed: Option<Feed<'_>>) -> Result<(), ToolError> {
        Ok(self.call(argv, feed, None)?)
    }
}
