//! Making a configuration of its start and the fragments, and checking that every setting took effect.

use std::io::{self, Read};

use crate::beneath::Dir;
use crate::digest::Digest;
use crate::kernel::{self, Fragment, Setting, config};
use crate::platform::Platform;
use crate::process::{Feed, quote};
use crate::recipe::Resolve;
use crate::step::toolbox::Toolbox;
use crate::step::{StepError, Work};
use crate::store::StoreError;

/// Where the configuration is, in the folder that tools see as `/build`. Make's targets may have put anything there.
const CONFIG: &str = "src/.config";

/// A distribution's kernel has 300 KB of configuration.
const MOST_CONFIG: u64 = 16 << 20;

/// A configuration to make and to check.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The architecture whose Kconfig files explain what did not take effect.
    pub platform: Platform,
    /// Its start.
    pub base: ConfigBase,
    /// The make target that completes it.
    pub resolve: Resolve,
    /// What is laid over the start.
    pub fragments: Vec<Fragment>,
    /// Extra arguments of make.
    pub make: Vec<String>,
}

/// The start of a configuration.
#[derive(Clone, Debug)]
pub enum ConfigBase {
    /// A make target.
    Target(String),
    /// A whole `.config`.
    Blob(Digest),
}

impl Configuration {
    /// | row | why |
    /// |---|---|
    /// | `config base`, `config resolve`, `config make` | how the configuration is made |
    /// | `config <n>` | each fragment's settings, with the versions that they are for: comments and blank lines don't count |
    ///
    /// The architecture is not in the key: by it a failure is explained, and a failure is no result.
    pub(super) fn rows(&self) -> Vec<(String, String)> {
        let base = match &self.base {
            ConfigBase::Target(target) => target.clone(),
            ConfigBase::Blob(digest) => digest.to_string(),
        };
        let make = self.make.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        let fixed = [("base", base), ("resolve", self.resolve.target().to_owned()), ("make", make)];
        let fixed = fixed.into_iter().map(|(name, value)| (format!("config {name}"), value));
        let fragments = self.fragments.iter().enumerate();
        fixed.chain(fragments.map(|(n, fragment)| (format!("config {n}"), settings(fragment)))).collect()
    }

    /// The configuration that comes from outside.
    pub(super) fn blob(&self) -> Option<Digest> {
        match self.base {
            ConfigBase::Blob(blob) => Some(blob),
            ConfigBase::Target(_) => None,
        }
    }

    /// Configures the source in `build`, the folder that `tools` see as `/build`.
    pub(super) fn make(&self, work: &Work<'_>, build: &Dir, tools: &Toolbox<'_>) -> Result<(), StepError> {
        let make = |target: &str, feed: Option<Feed<'_>>| {
            let fixed = ["make", target].map(str::to_owned);
            let argv: Vec<String> = fixed.into_iter().chain(self.make.iter().cloned()).collect();
            tools.call(&argv, feed, None)
        };
        let fragments = kernel::for_source(&self.fragments, &build.dir("src")?)?;
        let base = match &self.base {
            ConfigBase::Target(target) => {
                make(target, None)?;
                build.read_text(CONFIG, MOST_CONFIG)?
            }
            ConfigBase::Blob(blob) => {
                let mut text = String::new();
                let path = work.store().blob_path(blob);
                let read = work.store().open_blob(blob)?.take(MOST_CONFIG).read_to_string(&mut text);
                read.map_err(StoreError::io("read", &path))?;
                text
            }
        };
        build.write(CONFIG, config::merge(&base, &fragments).as_bytes())?;
        let feed: Feed<'_> = Box::new(empty_answers);
        make(self.resolve.target(), Some(feed))?;
        let result = build.read_text(CONFIG, MOST_CONFIG)?;
        let mismatches = kernel::check(&fragments, &result, &build.dir("src")?, self.platform);
        if mismatches.is_empty() { Ok(()) } else { Err(StepError::Config(mismatches)) }
    }
}

/// A fragment's settings as one canonical text.
fn settings(fragment: &Fragment) -> String {
    let line = |setting: &Setting| {
        let line = setting.value.line(&setting.symbol);
        if setting.versions.is_all() { line + "\n" } else { format!("{line} if {}\n", setting.versions) }
    };
    fragment.settings.iter().map(line).collect()
}

/// The default for every question, for as long as somebody asks.
fn empty_answers(out: &mut dyn io::Write) -> io::Result<()> {
    let lines = [b'\n'; 1024];
    loop {
        match out.write_all(&lines) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
