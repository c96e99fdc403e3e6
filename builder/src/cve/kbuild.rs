//! Which files of a kernel's source are compiled with a configuration, as far as its makefiles say so without being run.
//!
//! A file counts as absent only if each line that can bring its object, or a folder above it, depends on an option that is not set
//! (Documentation/kbuild/makefiles.rst): `obj-$(CONFIG_X) += x.o`, `x-$(CONFIG_Y) += part.o`, `obj-$(CONFIG_Z) += folder/`. Everything
//! else, such as headers, files that others include, and names that a makefile computes, counts as compiled.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Config, SymbolValue};

/// The makefiles of a source tree, by path: `net/Makefile`, `net/ipv4/Kbuild`.
#[derive(Clone, Debug)]
pub struct Makefiles {
    /// The architecture's folder below `arch`.
    arch: &'static str,
    files: BTreeMap<String, String>,
}

/// A line `NAME-CONDITION += WORDS`.
struct Assignment {
    /// `obj`, or the name of a composite object.
    list: String,
    /// The option in `$(CONFIG_…)`; `None` for `y`, `m`, `objs` and anything else.
    option: Option<String>,
    words: Vec<String>,
}

impl Makefiles {
    /// Those of a kernel for an architecture, by its folder below `arch`; none yet.
    pub fn new(arch: &'static str) -> Self {
        Self { arch, files: BTreeMap::new() }
    }

    /// Whether a path in a kernel's source is one of a makefile that matters.
    pub fn is_one(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        matches!(name, "Makefile" | "Kbuild") && !path.starts_with("tools/") && !path.starts_with("Documentation/")
    }

    /// Adds a makefile.
    pub fn add(&mut self, path: &str, text: &str) {
        // A line that ends with a backslash goes on.
        self.files.insert(path.to_owned(), text.replace("\\\n", " "));
    }

    /// Why a file is not compiled with a configuration, as a sentence; `None` if it is, or may be.
    pub fn why_absent(&self, file: &str, config: &Config) -> Option<String> {
        let (folder, name) = file.rsplit_once('/')?;
        if let Some(other) =
            file.strip_prefix("arch/").and_then(|rest| rest.split('/').next()).filter(|arch| *arch != self.arch)
        {
            // An architecture may use files of another one.
            let used = format!("/{other}/");
            let own = format!("arch/{other}/");
            let shared = self.files.iter().any(|(path, text)| !path.starts_with(&own) && text.contains(&used));
            return (!shared).then(|| format!("{file} is not compiled: the kernel is built from arch/{}", self.arch));
        }
        let object = name.strip_suffix(".c").or_else(|| name.strip_suffix(".S"))?;
        if let Some(why) = self.why_folder_absent(folder, config) {
            return Some(format!("{file} is not compiled: {why}"));
        }
        let why = self.why_object_absent(folder, &format!("{object}.o"), config, &mut BTreeSet::new())?;
        Some(format!("{file} is not compiled: {why}"))
    }

    /// Why kbuild does not descend into a folder, or into one above it.
    fn why_folder_absent(&self, folder: &str, config: &Config) -> Option<String> {
        let (parent, name) = folder.rsplit_once('/')?;
        if let Some(why) = self.why_folder_absent(parent, config) {
            return Some(why);
        }
        let mentions = self.mentions(parent, &|word| word.trim_end_matches('/') == name && word.ends_with('/'));
        // Another makefile may name the folder by a longer path.
        let inside = format!("/{name}/");
        let brings = |line: &str| {
            line.contains(&inside) && line.contains("-y") | line.contains("obj") && !line.contains("flags")
        };
        let elsewhere = self
            .files
            .iter()
            .any(|(path, text)| path.rsplit_once('/').is_none_or(|(of, _)| of != parent) && text.lines().any(brings));
        if elsewhere { None } else { unset(&mentions, config, parent) }
    }

    fn why_object_absent(
        &self,
        folder: &str,
        object: &str,
        config: &Config,
        seen: &mut BTreeSet<String>,
    ) -> Option<String> {
        if !seen.insert(object.to_owned()) {
            return None;
        }
        let mentions = self.mentions(folder, &|word| word == object);
        if mentions.is_empty() {
            return None;
        }
        // Each line that names it must be ineffective: its option is not set, or the object that it is part of is absent.
        let mut reason = None;
        for mention in &mentions {
            let own = unset(std::slice::from_ref(mention), config, folder);
            let of_whole = || match mention.list.as_str() {
                "obj" | "lib" => None,
                whole => self.why_object_absent(folder, &format!("{whole}.o"), config, seen),
            };
            let why = own.or_else(of_whole)?;
            reason.get_or_insert(why);
        }
        reason
    }

    /// The lines of a folder's makefiles that have a word.
    fn mentions(&self, folder: &str, is: &dyn Fn(&str) -> bool) -> Vec<Assignment> {
        let files = ["Makefile", "Kbuild"].map(|name| format!("{folder}/{name}"));
        let texts = files.iter().filter_map(|path| self.files.get(path));
        let mut found = Vec::new();
        for line in texts.flat_map(|text| text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            if !words.iter().any(|word| is(word)) {
                continue;
            }
            found.push(assignment(&words).unwrap_or(Assignment { list: "obj".into(), option: None, words }));
        }
        found.retain(|one| one.words.iter().any(|word| is(word)));
        found
    }
}

/// Reads `obj-$(CONFIG_X) += a.o b.o`.
fn assignment(words: &[String]) -> Option<Assignment> {
    let [target, operator, rest @ ..] = words else { return None };
    if !matches!(operator.as_str(), "+=" | ":=" | "=") {
        return None;
    }
    let (list, condition) =
        target.rsplit_once('-').filter(|(_, condition)| !condition.contains(')') || condition.starts_with("$("))?;
    let option = condition.strip_prefix("$(CONFIG_").and_then(|rest| rest.strip_suffix(')')).map(str::to_owned);
    Some(Assignment { list: list.to_owned(), option, words: rest.to_vec() })
}

/// Why none of these lines has an effect: each depends on an option that is not set. `None` if there are none.
fn unset(lines: &[Assignment], config: &Config, folder: &str) -> Option<String> {
    let mut options = BTreeSet::new();
    for line in lines {
        let option = line.option.as_ref()?;
        if !config.holds(option, &SymbolValue::No) {
            return None;
        }
        options.insert(format!("CONFIG_{option}"));
    }
    if options.is_empty() {
        return None;
    }
    let options: Vec<String> = options.into_iter().collect();
    let verb = if options.len() == 1 { "is" } else { "are" };
    Some(format!("{} {verb} not set ({folder}/Makefile)", options.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_absent_only_if_every_line_that_brings_it_is_off() {
        let mut makefiles = Makefiles::new("one");
        for (path, text) in [
            ("Makefile", "core-y += kernel/\n"),
            ("arch/one/Makefile", "obj-y += ../../three/lib/\n"),
            (
                "drivers/Makefile",
                "obj-y += base/\nobj-$(CONFIG_USB) += usb/\nobj-$(CONFIG_A) += both/\nobj-y += both/\n",
            ),
            ("drivers/usb/Makefile", "obj-y += core.o\n"),
            (
                "drivers/base/Makefile",
                "obj-y := core.o \\\n  bus.o\nobj-$(CONFIG_OFF)\t+= off.o shared.o\nobj-$(CONFIG_ON) += shared.o\n",
            ),
            ("fs/Makefile", "obj-$(CONFIG_EXT4_FS) += ext4/\nobj-$(CONFIG_ON) += on/\n"),
            ("fs/ext4/Makefile", "obj-$(CONFIG_EXT4_FS) += ext4.o\n"),
            (
                "fs/on/Makefile",
                "obj-$(CONFIG_ON) += on.o\non-y := main.o\non-$(CONFIG_OFF) += part.o # on.o\nobj-$(CONFIG_OFF) += whole.o\nwhole-objs := piece.o\n",
            ),
            ("drivers/both/Makefile", "obj-y += x.o\nCFLAGS_y.o += -O\n"),
        ] {
            makefiles.add(path, text);
        }
        let config = Config::parse("CONFIG_ON=y\n# CONFIG_OFF is not set\n");
        for (file, absent) in [
            ("drivers/usb/core.c", Some("CONFIG_USB is not set (drivers/Makefile)")),
            ("drivers/base/core.c", None),
            ("drivers/base/bus.c", None),
            ("drivers/base/off.c", Some("CONFIG_OFF is not set (drivers/base/Makefile)")),
            ("drivers/base/shared.c", None),
            ("drivers/base/unknown.c", None),
            ("drivers/both/x.c", None),
            ("fs/ext4/inode.c", Some("CONFIG_EXT4_FS is not set (fs/Makefile)")),
            ("fs/on/main.c", None),
            ("fs/on/part.c", Some("CONFIG_OFF is not set (fs/on/Makefile)")),
            ("fs/on/piece.c", Some("CONFIG_OFF is not set (fs/on/Makefile)")),
            ("arch/one/kernel/head.S", None),
            ("arch/two/kernel/head.S", Some("the kernel is built from arch/one")),
            ("arch/three/kernel/head.S", None),
            ("include/linux/usb.h", None),
            ("kernel/fork.c", None),
            ("Makefile", None),
        ] {
            let why = makefiles.why_absent(file, &config);
            let expected = absent.map(|absent| format!("{file} is not compiled: {absent}"));
            assert_eq!(why, expected, "{file}");
        }
    }
}
