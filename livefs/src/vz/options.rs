//! Command lines as getopt_long(3) parses them: `--name value`, `--name=value`, unambiguous abbreviations, options
//! after other arguments, `--`. Its messages, too.

use super::exit::Error;

/// An option: its name, its short letter if it has one, and whether it takes a value.
pub type Known = (&'static str, Option<char>, bool);

/// The parsed arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Options by name, in order.
    pub options: Vec<(&'static str, String)>,
    /// All other arguments.
    pub rest: Vec<String>,
}

impl Given {
    /// Whether an option was given.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| *given == name)
    }

    /// An option's last value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// An option's first value.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// All values of an option.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// Fails if there is anything but options.
    ///
    /// # Errors
    /// [`Error::Syntax`]
    pub fn no_rest(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::Syntax(format!("Invalid extra arguments: {} ", self.rest.join(" "))))
    }
}

/// Parses a command line. `program` is the prefix of messages.
///
/// # Errors
/// The message of getopt_long(3): an unknown or ambiguous option, a missing value, or a value for an option that takes
/// none.
pub fn parse(program: &str, arguments: &[String], known: &[Known]) -> Result<Given, String> {
    let mut given = Given::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            given.rest.extend(arguments.cloned());
            break;
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            let option = find(program, name, known)?;
            let value = match (option.2, value) {
                (true, Some(value)) => value,
                (true, None) => arguments
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("{program}: option '--{}' requires an argument", option.0))?,
                (false, Some(_)) => {
                    return Err(format!("{program}: option '--{}' doesn't allow an argument", option.0));
                }
                (false, None) => String::new(),
            };
            given.options.push((option.0, value));
        } else if argument.len() > 1 && argument.starts_with('-') {
            let mut letters = argument[1..].chars();
            while let Some(letter) = letters.next() {
                let option = known.iter().find(|option| option.1 == Some(letter));
                let option = option.ok_or_else(|| format!("{program}: invalid option -- '{letter}'"))?;
                if !option.2 {
                    given.options.push((option.0, String::new()));
                    continue;
                }
                let attached = letters.as_str().to_owned();
                let value = if attached.is_empty() { arguments.next().cloned() } else { Some(attached) };
                let value = value.ok_or_else(|| format!("{program}: option requires an argument -- '{letter}'"))?;
                given.options.push((option.0, value));
                break;
            }
        } else {
            given.rest.push(argument.clone());
        }
    }
    Ok(given)
}

fn find(program: &str, name: &str, known: &[Known]) -> Result<Known, String> {
    if let Some(option) = known.iter().find(|option| option.0 == name) {
        return Ok(*option);
    }
    let begun: Vec<&Known> = known.iter().filter(|option| !name.is_empty() && option.0.starts_with(name)).collect();
    match begun[..] {
        [] => Err(format!("{program}: unrecognized option '--{name}'")),
        [option] => Ok(*option),
        _ => {
            let all: String = begun.iter().map(|option| format!(" '--{}'", option.0)).collect();
            Err(format!("{program}: option '--{name}' is ambiguous; possibilities:{all}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Known] =
        &[("save", None, false), ("swap", None, true), ("name", Some('N'), true), ("all", Some('a'), false)];

    fn read(line: &str) -> Result<Given, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse("vzctl", &words, KNOWN)
    }

    #[test]
    fn as_getopt_does() {
        let given = read("--sw 1G x --save --name=a=b -aN web -- --all").unwrap();
        assert_eq!(given.value("swap"), Some("1G"));
        assert_eq!(given.values("name").collect::<Vec<_>>(), ["a=b", "web"]);
        assert!(given.has("save") && given.has("all"));
        assert_eq!(given.rest, ["x", "--all"]);
        assert_eq!(given.no_rest().unwrap_err().code(), 20);
        for (line, message) in [
            ("--foo", "vzctl: unrecognized option '--foo'"),
            ("--s", "vzctl: option '--s' is ambiguous; possibilities: '--save' '--swap'"),
            ("--swap", "vzctl: option '--swap' requires an argument"),
            ("--save=1", "vzctl: option '--save' doesn't allow an argument"),
            ("-x", "vzctl: invalid option -- 'x'"),
            ("-N", "vzctl: option requires an argument -- 'N'"),
        ] {
            assert_eq!(read(line).unwrap_err(), message);
        }
    }
}
