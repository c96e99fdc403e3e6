//! The entries of a GRUB configuration (GRUB manual, "Shell-like scripting"). The script is not run: entries whose
//! commands depend on variables are shown as they are written.

use serde::Serialize;

/// One `menuentry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GrubEntry {
    /// The text in the menu; of an entry in a submenu with the submenu's before it.
    pub title: String,
    /// The identifier (`--id`); empty if there is none.
    pub id: String,
    /// The kernel's path.
    pub kernel: String,
    /// The kernel's command line.
    pub command_line: String,
    /// The initrds' paths.
    pub initrd: Vec<String>,
}

/// Entries that are read from one configuration.
const MOST: usize = 1000;

/// The entries of a configuration, in order.
pub fn entries(script: &str) -> Vec<GrubEntry> {
    let mut found: Vec<GrubEntry> = Vec::new();
    // What each open brace belongs to.
    let mut open: Vec<Block> = Vec::new();
    for command in commands(script) {
        let Some(name) = command.first() else { continue };
        match name.as_str() {
            "}" => drop(open.pop()),
            "menuentry" | "submenu" if found.len() < MOST => {
                let (title, id) = title_and_id(&command[1..]);
                let parent = open.iter().rev().find_map(|block| match block {
                    Block::Submenu(title) => Some(title.as_str()),
                    _ => None,
                });
                let title = parent.map(|parent| format!("{parent} > {title}")).unwrap_or(title);
                if name == "submenu" {
                    open.push(Block::Submenu(title));
                } else {
                    found.push(GrubEntry { title, id, ..GrubEntry::default() });
                    open.push(Block::Entry);
                }
            }
            "linux" | "linux16" | "linuxefi" if open.contains(&Block::Entry) => {
                if let (Some(entry), Some(kernel)) = (found.last_mut(), command.get(1)) {
                    entry.kernel.clone_from(kernel);
                    entry.command_line = command[2..].join(" ");
                }
            }
            "initrd" | "initrd16" | "initrdefi" if open.contains(&Block::Entry) => {
                if let Some(entry) = found.last_mut() {
                    entry.initrd.extend(command[1..].iter().cloned());
                }
            }
            _ if command.last().is_some_and(|word| word == "{") => open.push(Block::Other),
            _ => {}
        }
    }
    found
}

#[derive(PartialEq)]
enum Block {
    Submenu(String),
    Entry,
    Other,
}

fn title_and_id(words: &[String]) -> (String, String) {
    let (mut title, mut id) = (None, String::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--id" | "$menuentry_id_option" | "${menuentry_id_option}" => {
                id = words.next().cloned().unwrap_or_default()
            }
            "--class" | "--users" | "--hotkey" | "--source" => drop(words.next()),
            "{" => break,
            option if option.starts_with("--") => {
                if let Some(value) = option.strip_prefix("--id=") {
                    id = value.to_owned();
                }
            }
            text => drop(title.get_or_insert(text.to_owned())),
        }
    }
    (title.unwrap_or_default(), id)
}

/// A script as commands of words. Quotes are removed, variables stay as they are.
fn commands(script: &str) -> Vec<Vec<String>> {
    let (mut all, mut command) = (Vec::new(), Vec::new());
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                word.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => word.extend(chars.next()),
                        c => word.push(c),
                    }
                }
            }
            '\\' => match chars.next() {
                // A line goes on.
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\n' | ';' => {
                command.extend(word.take());
                if !command.is_empty() {
                    all.push(std::mem::take(&mut command));
                }
            }
            '{' if word.is_none() => {
                command.push(c.to_string());
                all.push(std::mem::take(&mut command));
            }
            // A closing brace also ends a command before it.
            '}' if word.is_none() => all.extend([std::mem::take(&mut command), vec![c.to_string()]]),
            c if c.is_whitespace() => command.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    command.extend(word);
    all.push(command);
    all.retain(|command| !command.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_several_makers_are_read() {
        let script = r#"
set timeout=5
if [ "$x" = y ]; then # not { a block
  terminal_output console
fi
function load_video {
  insmod all_video
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {
	linux	/vmlinuz root=UUID=1 ro "a b" \
	   quiet
	initrd	/intel-ucode.img /initrd.img
}
submenu "Advanced \"options\"" {
  menuentry "recovery" --id=rec { linux /vmlinuz single }
  submenu more { menuentry deep { true } }
}
menuentry plain {
  chainloader /efi/x.efi
}
"#;
        let found = entries(script);
        let titles: Vec<&str> = found.iter().map(|entry| entry.title.as_str()).collect();
        assert_eq!(
            titles,
            ["Debian GNU/Linux", "Advanced \"options\" > recovery", "Advanced \"options\" > more > deep", "plain"]
        );
        assert_eq!(found[0].id, "gnulinux-simple");
        assert_eq!(
            (found[0].kernel.as_str(), found[0].command_line.as_str()),
            ("/vmlinuz", "root=UUID=1 ro a b quiet")
        );
        assert_eq!(found[0].initrd, ["/intel-ucode.img", "/initrd.img"]);
        assert_eq!((found[1].id.as_str(), found[1].command_line.as_str()), ("rec", "single"));
        assert_eq!(found[3].kernel, "");
    }
}
