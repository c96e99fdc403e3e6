//! What is known of a toolchain without running it: the answers to the commands by which Kconfig files examine it
//! (`scripts/Kconfig.include` of the kernel).

/// What is known of a toolchain. The default knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolchainFacts {
    /// The version of GCC, as `scripts/cc-version.sh` prints it: 120200 for 12.2.0.
    pub gcc: Option<u32>,
    /// The version of the GNU assembler and linker, as `scripts/ld-version.sh` prints it: 24000 for 2.40.
    pub binutils: Option<u32>,
    /// The programs that the toolchain is known not to have: `rustc`, `pahole`.
    pub missing: Vec<&'static str>,
}

/// Programs that Kconfig files examine if they exist.
pub const OPTIONAL_PROGRAMS: [&str; 2] = ["rustc", "pahole"];

impl ToolchainFacts {
    /// The variables that the kernel's Makefile exports, as far as the commands need them.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let fixed = [
            ("CC", "gcc"),
            ("LD", "ld"),
            ("RUSTC", "rustc"),
            ("PAHOLE", "pahole"),
            ("CLANG_FLAGS", ""),
            ("comma", ","),
        ];
        fixed.into_iter().filter(|_| *self != Self::default())
    }

    /// What a command prints, without the line's end; `None` if that is not known.
    pub(super) fn shell(&self, command: &str) -> Option<String> {
        let command = command.trim();
        if let Some((tested, yes, no)) = if_success(command) {
            return Some(if self.succeeds(tested)? { yes } else { no }.to_owned());
        }
        if let Some((words, number)) = command.strip_prefix("set -- ").and_then(|rest| rest.split_once(" && echo $")) {
            let number: usize = number.trim().parse().ok()?;
            return Some(words.split_whitespace().nth(number.checked_sub(1)?)?.to_owned());
        }
        let mut words = command.split_whitespace();
        let program = words.next()?;
        let lacks = |name: &str| self.missing.contains(&name);
        match program.strip_prefix("./scripts/")? {
            "cc-version.sh" => Some(format!("GCC {}", self.gcc?)),
            "as-version.sh" => Some(format!("GNU {}", self.binutils?)),
            "ld-version.sh" => Some(format!("BFD {}", self.binutils?)),
            "pahole-version.sh" if lacks("pahole") => Some("0".to_owned()),
            "rustc-version.sh" | "rustc-llvm-version.sh" if lacks("rustc") => Some("0".to_owned()),
            _ => None,
        }
    }

    /// Whether a command's status is 0, if that is known.
    fn succeeds(&self, command: &str) -> Option<bool> {
        let words = words(command)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["true"] => Some(true),
            ["false"] => Some(false),
            ["test", ref rest @ ..] | ["[", ref rest @ .., "]"] => test(rest),
            [program, ..] => {
                let lacks = |name: &str| program == name || (name == "rustc" && program.starts_with("./scripts/rust"));
                self.missing.iter().any(|name| lacks(name)).then_some(false)
            }
            [] => None,
        }
    }
}

/// The parts of `{ COMMAND; } >/dev/null 2>&1 && echo "YES" || echo "NO"`.
fn if_success(command: &str) -> Option<(&str, &str, &str)> {
    let (tested, printed) = command.strip_prefix("{ ")?.rsplit_once("; } >/dev/null 2>&1 && echo \"")?;
    let (yes, no) = printed.strip_suffix('"')?.split_once("\" || echo \"")?;
    Some((tested, yes, no))
}

/// test(1), as far as Kconfig files use it.
fn test(words: &[&str]) -> Option<bool> {
    let number = |word: &str| word.parse::<i64>().ok();
    match *words {
        [left, "=", right] => Some(left == right),
        [left, "!=", right] => Some(left != right),
        ["-n", word] => Some(!word.is_empty()),
        ["-z", word] => Some(word.is_empty()),
        [left, op, right] => {
            let (left, right) = (number(left)?, number(right)?);
            match op {
                "-eq" => Some(left == right),
                "-ne" => Some(left != right),
                "-ge" => Some(left >= right),
                "-gt" => Some(left > right),
                "-le" => Some(left <= right),
                "-lt" => Some(left < right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The words of a simple command; `None` if it is anything else, or if the shell would expand a word.
fn words(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.trim().chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '$' | '`' | '\\') => return None,
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '#' | '\n') => return None,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> ToolchainFacts {
        ToolchainFacts { gcc: Some(120_200), binutils: Some(24_000), missing: OPTIONAL_PROGRAMS.to_vec() }
    }

    #[test]
    fn the_commands_of_kconfig_include_are_answered_by_version() {
        let success = |command: &str| format!("{{ {command}; }} >/dev/null 2>&1 && echo \"y\" || echo \"n\"");
        for (command, expected) in [
            ("./scripts/cc-version.sh gcc".to_owned(), Some("GCC 120200")),
            ("set -- GCC 120200 && echo $2".to_owned(), Some("120200")),
            ("./scripts/ld-version.sh ld".to_owned(), Some("BFD 24000")),
            ("./scripts/pahole-version.sh pahole".to_owned(), Some("0")),
            (success("test \"GCC\" = GCC"), Some("y")),
            (success("[ 120200 -lt 110000 ]"), Some("n")),
            (success("./scripts/rust_is_available.sh rustc"), Some("n")),
            (success("echo 'int x;' | gcc -x c - -c -o /dev/null"), None),
            (success("gcc -Werror -m64 -c -x c /dev/null"), None),
            ("uname -r".to_owned(), None),
        ] {
            assert_eq!(known().shell(&command).as_deref(), expected, "{command}");
            let nothing = ToolchainFacts::default().shell(&command);
            let constant = command.contains("test ") || command.contains("[ ") || command.starts_with("set");
            assert_eq!(nothing.is_some(), constant, "{command}");
        }
    }
}
