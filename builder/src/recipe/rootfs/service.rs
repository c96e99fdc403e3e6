//! Services: programs that a system runs from its start.

use super::super::decode::{At, Decode, FindingSink, Table, wrong_type};
use super::super::keys;
use super::super::name::Name;
use super::super::node::{MappingKey, YamlNode, YamlValue};

/// A program that the system runs from its start to its end.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name, which is that of its folder and of its log.
    pub name: At<Name>,
    /// The program and its arguments.
    pub command: At<Vec<String>>,
    /// The account that it runs as.
    pub user: Option<At<String>>,
    /// What happens when it ends.
    pub restart: Restart,
    /// Services that have to run before.
    pub after: Vec<At<String>>,
    /// Whether it waits for a route to other networks.
    pub network: bool,
    /// What becomes of its output.
    pub log: Log,
    /// Its environment, in addition to `PATH`.
    pub env: Vec<(At<String>, String)>,
    /// The folder that it runs in.
    pub directory: Option<At<String>>,
}

/// What happens when a service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It is started again.
    Always,
    /// It is started again if its status is not 0.
    OnFailure,
    /// It stays ended.
    Never,
}

/// What becomes of a service's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// It is written to files, of which the oldest are removed.
    File,
    /// It is written to the console.
    Console,
    /// It is dropped.
    None,
}

/// The program and its arguments: a list of words, or a text that spaces separate.
struct Command(Vec<String>);

/// Characters that a shell would interpret.
const SHELL: &str = "'\"\\$`&|;<>*?()[]{}~#";

impl Decode for Command {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let words = match &node.value {
            YamlValue::Text { text, .. } => {
                if let Some(found) = text.chars().find(|c| SHELL.contains(*c)) {
                    sink.borrow_mut()
                        .add(
                            "command",
                            node.span,
                            format!("no shell runs this command, so that `{found}` has no meaning in it"),
                        )
                        .help("write a list: its words are taken as they are; or [/system/bin/sh, -c, \"…\"]");
                    return None;
                }
                text.split_whitespace().map(str::to_owned).collect()
            }
            YamlValue::List(_) => Vec::<String>::decode(node, sink)?,
            _ => {
                wrong_type(node, "a command: text, or a list of words", sink);
                return None;
            }
        };
        if words.is_empty() {
            wrong_type(node, "a command: text, or a list of words", sink);
            return None;
        }
        Some(Self(words))
    }
}

impl Decode for Service {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::SERVICE, sink)?;
        let name = table.required("name");
        let command: Option<At<Command>> = table.required("command");
        let user = table.optional("user");
        let restarts = [("always", Restart::Always), ("on-failure", Restart::OnFailure), ("never", Restart::Never)];
        let restart = table.word_or("restart", &restarts, Restart::Always);
        let after = table.or_default("after");
        let network = table.or("network", false);
        let log =
            table.word_or("log", &[("file", Log::File), ("console", Log::Console), ("none", Log::None)], Log::File);
        let env: Vec<(MappingKey, String)> = table.or_default("env");
        let directory = table.optional("directory");
        table.close();
        let command = command?;
        Some(Self {
            name: name?,
            command: At { value: command.value.0, span: command.span },
            user,
            restart: restart?,
            after,
            network,
            log: log?,
            env: env.into_iter().map(|(key, value)| (At { value: key.name, span: key.span }, value)).collect(),
            directory,
        })
    }
}
