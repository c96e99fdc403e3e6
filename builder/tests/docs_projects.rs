//! The examples of `docs/projects.md` do what the page says.

mod project;

use std::fs;

use project::{Project, repository};

#[test]
fn the_commands_print_what_the_page_shows() {
    let text = fs::read_to_string(repository().join("docs/projects.md")).unwrap();
    let project = Project::bare();
    let mut folder = String::new();
    let (mut commands, mut shown) = (0, 0);
    for block in text.split("\n```").skip(1).step_by(2) {
        let (language, block) = block.split_once('\n').unwrap();
        if language == "yaml" {
            // Part of a file that the first line names.
            let (first, rest) = block.split_once('\n').unwrap();
            let file = project.read(&format!("{folder}{}", first.strip_prefix("# ").unwrap()));
            assert!(file.contains(rest), "{first}:\n{rest}\nis not in:\n{file}");
            shown += 1;
            continue;
        }
        assert_eq!(language, "console");
        for run in format!("\n{block}").split("\n$ ").skip(1) {
            let (command, expected) = run.split_once('\n').unwrap_or((run, ""));
            if let Some(name) = command.strip_prefix("cd ") {
                folder = format!("{name}/");
                continue;
            }
            let script = command.replace("dbco ", "\"$DBCO\" ");
            let ran = project.unshared(&format!("umask 022; cd ./{folder} && {script}"));
            // A path of the machine, in the message about the lock.
            let folder = project.path("").canonicalize().unwrap();
            let printed = format!("{}{}", ran.out, ran.err).replace(folder.to_str().unwrap(), "/home/ann");
            assert_eq!(printed.trim_end(), expected.trim_end(), "{command}");
            commands += 1;
        }
    }
    assert!(commands >= 8 && shown >= 3, "{commands} {shown}");
}
