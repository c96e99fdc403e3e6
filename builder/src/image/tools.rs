//! How this module runs foreign tools: by a trait, so that it knows nothing of sandboxes.

use crate::beneath::Dir;
use crate::process::Feed;

/// What a tool's runner says when it fails.
pub type ToolError = Box<dyn std::error::Error + Send + Sync>;

/// Runs foreign tools in a work folder.
///
/// The folder is the tools' current one, and every path in their arguments is relative to it or lies in the tools' own
/// root (`/usr/lib/grub`). So arguments say nothing of where the folder is on this machine. Tools see themselves as user 0.
pub trait Tools {
    /// The work folder as this process sees it: tools have filled it.
    fn folder(&self) -> &Dir;

    /// Runs a command to its end, `feed` on its standard input; any other end than exit status 0 is an error.
    fn run(&self, argv: &[String], feed: Option<Feed<'_>>) -> Result<(), ToolError>;
}

/// A list of arguments from anything that prints.
macro_rules! argv {
    ($($word:expr),* $(,)?) => { vec![$($word.to_string()),*] };
}
pub(crate) use argv;
