//! `system`: the command line of [`Systems`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::install;
use super::systems::{Result, Systems};
use crate::boot::disks::Places;

const USAGE: &str = "\
usage: system list
       system create NAME [--template TEMPLATE]
       system pack NAME FILE.tar.gz
       system restore NAME FILE.tar.gz | TEMPLATE
       system copy NAME NEW
       system remove NAME
       system recover

Systems are folders of the systems' disk: /hd/system0, /hd/system1 and so on. TEMPLATE is live (the live system, the default), a name
in /vz/template/cache, or an archive's path. recover removes what an interrupted command left; it runs at each boot.";

/// Runs `system`. Gives the exit code: 0, 1 if it failed, 2 for wrong usage.
pub fn system(arguments: Vec<OsString>) -> u8 {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words == ["--help"] {
        println!("{USAGE}");
        return 0;
    }
    match run(&Systems::default(), &words) {
        Some(Ok(())) => 0,
        Some(Err(why)) => {
            eprintln!("system: {why}");
            1
        }
        None => {
            eprintln!("{USAGE}");
            2
        }
    }
}

fn run(systems: &Systems, words: &[&str]) -> Option<Result<()>> {
    Some(match words {
        ["list"] => systems.list().map(|names| {
            for name in names {
                println!("{name}{}", if systems.in_use(&name) { " (in use)" } else { "" });
            }
        }),
        ["create", name] => systems.create(name, "live"),
        ["create", name, "--template", template] => systems.create(name, template),
        ["pack", name, file] => absolute(file).and_then(|file| systems.pack(name, &file)),
        ["restore", name, archive] => systems.restore(name, archive),
        ["copy", name, new] => systems.copy(name, new),
        ["remove", name] => systems.remove(name),
        ["recover"] => systems.recover().and_then(|mut messages| {
            messages.extend(install::unfinished(&Places::default())?);
            messages.iter().for_each(|line| eprintln!("system: {line}"));
            Ok(())
        }),
        _ => return None,
    })
}

fn absolute(file: &str) -> Result<PathBuf> {
    std::path::absolute(Path::new(file)).map_err(|error| format!("{file}: {error}."))
}
