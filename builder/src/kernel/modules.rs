//! Modules of a distribution's kernel package: which files an initrd needs, in the order in which to load them.
//!
//! A package has no `modules.dep`; depmod(8) writes that on the target machine. The information that depmod reads is in
//! the modules themselves: the ELF section `.modinfo`, with NUL-terminated `key=value` strings
//! (`include/linux/module.h`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use object::{Object, ObjectSection};

use super::compressed;
use crate::digest::Digest;
use crate::similar::{or_did_you_mean, similar};
use crate::tree::{Node, Tree, TreePath};

/// Reads a blob by its digest.
pub type Read<'a> = &'a dyn Fn(&Digest) -> io::Result<Vec<u8>>;

/// The modules to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOrder {
    /// Files in the tree, each after the modules that it depends on.
    pub files: Vec<TreePath>,
    /// Requested modules that are built into the kernel.
    pub built_in: Vec<String>,
}

/// Why the modules could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// A name that the package doesn't have.
    #[error("the kernel package has no module {name}{}", or_did_you_mean(similar))]
    Unknown {
        /// As requested.
        name: String,
        /// Similar names.
        similar: Vec<String>,
    },
    /// The package lacks a module that one of its modules depends on.
    #[error("{path} depends on the module {name}, which is not in the kernel package")]
    Missing {
        /// The module with the dependency.
        path: TreePath,
        /// The missing module.
        name: String,
    },
    /// There is no `lib/modules/<release>`, or there are several.
    #[error("the kernel package contains modules of {}; expected exactly one release", if releases.is_empty() { "no release".to_owned() } else { releases.join(" and ") })]
    Release {
        /// What was found.
        releases: Vec<String>,
    },
    /// A file that can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: TreePath,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file that is not an ELF object.
    #[error("{path} is not a kernel module")]
    NotElf {
        /// The file.
        path: TreePath,
        /// The cause.
        #[source]
        source: object::Error,
    },
}

/// Finds the requested modules in a tree that holds `lib/modules/<release>/` (or the same below `usr/`), and all that
/// they depend on. `-` and `_` in names are equivalent, as for modprobe(8).
pub fn load_order(names: &[String], modules: &Tree, read: Read<'_>) -> Result<LoadOrder, ModuleError> {
    let mut search =
        Search { package: Package::of(modules, read)?, order: LoadOrder::default(), seen: BTreeSet::new() };
    for name in names {
        let key = normal(name);
        if search.package.files.contains_key(&key) {
            search.load(&key)?;
        } else if search.package.built_in.contains(&key) {
            search.order.built_in.push(name.clone());
        } else {
            let known = search.package.files.keys().chain(&search.package.built_in);
            return Err(ModuleError::Unknown {
                name: name.clone(),
                similar: similar(&key, known.map(String::as_str)).into_iter().map(str::to_owned).collect(),
            });
        }
    }
    Ok(search.order)
}

/// A module name in the kernel's form: the file name may have `-` for `_`.
pub fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The module name for a file name; `None` for other files.
pub fn module_name(file: &str) -> Option<String> {
    let endings = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];
    endings.iter().find_map(|ending| file.strip_suffix(ending)).map(normal)
}

/// The content of a package.
struct Package<'a> {
    read: Read<'a>,
    /// Modules by name.
    files: BTreeMap<String, (&'a TreePath, &'a Digest)>,
    /// Names of the modules listed in `modules.builtin`.
    built_in: BTreeSet<String>,
    /// Their aliases, from `modules.builtin.modinfo`.
    built_in_aliases: BTreeSet<String>,
}

impl<'a> Package<'a> {
    fn of(tree: &'a Tree, read: Read<'a>) -> Result<Self, ModuleError> {
        let mut package =
            Self { read, files: BTreeMap::new(), built_in: BTreeSet::new(), built_in_aliases: BTreeSet::new() };
        let mut releases = BTreeSet::new();
        for (path, entry) in &tree.entries {
            let inside = path.as_str().strip_prefix("usr/").unwrap_or(path.as_str());
            let Some((release, inside)) = inside.strip_prefix("lib/modules/").and_then(|rest| rest.split_once('/'))
            else {
                continue;
            };
            let Node::File { blob, .. } = &entry.node else { continue };
            releases.insert(release.to_owned());
            match inside {
                "modules.builtin" => {
                    let list = package.bytes(path, blob)?;
                    let list = String::from_utf8_lossy(&list);
                    package.built_in.extend(list.lines().filter_map(|line| module_name(line.rsplit('/').next()?)));
                }
                "modules.builtin.modinfo" => {
                    let list = package.bytes(path, blob)?;
                    // Here each key is prefixed with its module's name and a dot.
                    let aliases = pairs(&list).into_iter().filter(|(key, _)| key.ends_with(".alias"));
                    package.built_in_aliases.extend(aliases.map(|(_, alias)| normal(&alias)));
                }
                _ => {
                    if let Some(name) = module_name(path.name()) {
                        package.files.insert(name, (path, blob));
                    }
                }
            }
        }
        if releases.len() == 1 {
            Ok(package)
        } else {
            Err(ModuleError::Release { releases: releases.into_iter().collect() })
        }
    }

    fn bytes(&self, path: &TreePath, blob: &Digest) -> Result<Vec<u8>, ModuleError> {
        let bytes = (self.read)(blob).and_then(compressed::unpack);
        bytes.map_err(|source| ModuleError::Read { path: path.clone(), source })
    }

    /// The `.modinfo` of a module in [`Package::files`].
    fn info(&self, name: &str) -> Result<Info, ModuleError> {
        let (path, blob) = self.files[name];
        let bytes = self.bytes(path, blob)?;
        let pairs = modinfo(&bytes).map_err(|source| ModuleError::NotElf { path: path.clone(), source })?;
        Ok(Info::of(pairs))
    }

    /// The module that has an alias such as `crypto-crc32c`. Only files whose names start like the alias are read:
    /// reading all 4,000 compressed modules would take many seconds.
    fn by_alias(&self, alias: &str) -> Result<Option<&str>, ModuleError> {
        let plain = alias.strip_prefix("crypto_").unwrap_or(alias);
        let mut found = None;
        for name in self.files.keys() {
            let head = name.split('_').next().unwrap_or(name);
            if head.len() < 3 || !plain.starts_with(head) || !self.info(name)?.aliases.contains(alias) {
                continue;
            }
            // A generic implementation works on every processor.
            if name.ends_with("_generic") {
                return Ok(Some(name));
            }
            found.get_or_insert(name.as_str());
        }
        Ok(found)
    }
}

/// The content of a module's section `.modinfo`.
pub(super) fn modinfo(module: &[u8]) -> object::Result<Vec<(String, String)>> {
    let file = object::File::parse(module)?;
    let section = file.section_by_name_bytes(b".modinfo");
    Ok(pairs(section.map(|section| section.data()).transpose()?.unwrap_or_default()))
}

/// The `key=value` strings of a section.
fn pairs(section: &[u8]) -> Vec<(String, String)> {
    let text = section.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    text.filter_map(|text| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
}

/// The properties of a module.
#[derive(Default)]
struct Info {
    depends: Vec<String>,
    /// Modules to load before and after it, if present.
    before: Vec<String>,
    after: Vec<String>,
    aliases: BTreeSet<String>,
}

impl Info {
    fn of(pairs: Vec<(String, String)>) -> Self {
        let mut info = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "depends" => info.depends.extend(value.split(',').filter(|name| !name.is_empty()).map(normal)),
                "alias" => {
                    info.aliases.insert(normal(&value));
                }
                // `pre: a b post: c`, modprobe.d(5)
                "softdep" => {
                    let mut list = None;
                    for word in value.split_whitespace() {
                        match (word, &mut list) {
                            ("pre:", _) => list = Some(&mut info.before),
                            ("post:", _) => list = Some(&mut info.after),
                            (name, Some(list)) => list.push(normal(name)),
                            (_, None) => {}
                        }
                    }
                }
                _ => {}
            }
        }
        info
    }
}

struct Search<'a> {
    package: Package<'a>,
    order: LoadOrder,
    seen: BTreeSet<String>,
}

impl Search<'_> {
    /// Appends a module that is a file after everything that it needs.
    fn load(&mut self, name: &str) -> Result<(), ModuleError> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let (path, _) = self.package.files[name];
        let info = self.package.info(name)?;
        for soft in &info.before {
            self.load_soft(soft)?;
        }
        for needed in &info.depends {
            if self.package.files.contains_key(needed) {
                self.load(needed)?;
            } else if !self.package.built_in.contains(needed) {
                return Err(ModuleError::Missing { path: path.clone(), name: needed.clone() });
            }
        }
        self.order.files.push(path.clone());
        for soft in &info.after {
            self.load_soft(soft)?;
        }
        Ok(())
    }

    /// As [`Search::load`], for a module or alias that may be absent.
    fn load_soft(&mut self, name: &str) -> Result<(), ModuleError> {
        if self.package.files.contains_key(name) {
            return self.load(name);
        }
        if self.package.built_in.contains(name) || self.package.built_in_aliases.contains(name) {
            return Ok(());
        }
        match self.package.by_alias(name)?.map(str::to_owned) {
            Some(found) => self.load(&found),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;
    use std::collections::HashMap;

    /// A relocatable x86-64 object (ELF-64 Object File Format 1.5) that has only the section `.modinfo`.
    fn module(info: &str) -> Vec<u8> {
        let info = info.replace('|', "\0") + "\0";
        let names = b"\0.modinfo\0.shstrtab\0";
        let sections = [(0, 0, 0, 0), (1, 1, 64, info.len()), (10, 3, 64 + info.len(), names.len())];
        let headers = 64 + info.len() + names.len();
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0".to_vec();
        for word in [0, 0, headers as u64] {
            elf.extend(word.to_le_bytes());
        }
        for half in [0u16, 0, 64, 0, 0, 64, 3, 2] {
            elf.extend(half.to_le_bytes());
        }
        elf.extend(info.bytes());
        elf.extend(names);
        for (name, kind, offset, size) in sections {
            elf.extend([name, kind].map(u32::to_le_bytes).concat());
            elf.extend([0, 0, offset as u64, size as u64, 0, 1, 0].map(u64::to_le_bytes).concat());
        }
        // e_flags is between e_shoff and e_ehsize; it is the two zero halves above.
        elf
    }

    struct Store(Tree, HashMap<Digest, Vec<u8>>);

    impl Store {
        fn new(files: &[(&str, Vec<u8>)]) -> Self {
            let mut store = Self(Tree::new(), HashMap::new());
            for (path, bytes) in files {
                let blob = Digest::of(bytes);
                store.0.insert(TreePath::new(path).unwrap(), Entry::file(blob, bytes.len() as u64, 0o644));
                store.1.insert(blob, bytes.clone());
            }
            store
        }

        fn order(&self, names: &[&str]) -> Result<(Vec<&str>, Vec<String>), ModuleError> {
            let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
            let read = |blob: &Digest| self.1.get(blob).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
            let order = load_order(&names, &self.0, &read)?;
            let name = |path: &TreePath| self.0.entries.get_key_value(path).unwrap().0.name();
            Ok((order.files.iter().map(name).collect(), order.built_in))
        }
    }

    fn package() -> Store {
        let xz = |bytes: Vec<u8>| {
            let mut packed = xz2::write::XzEncoder::new(Vec::new(), 1);
            io::Write::write_all(&mut packed, &bytes).unwrap();
            packed.finish().unwrap()
        };
        Store::new(&[
            ("lib/modules/6.1/kernel/fs/xfs.ko", module("name=xfs|depends=libcrc32c,dm-mod")),
            (
                "lib/modules/6.1/kernel/lib/libcrc32c.ko.xz",
                xz(module("softdep=pre: crypto-crc32c post: late gone|depends=")),
            ),
            ("lib/modules/6.1/kernel/a/crc32c-intel.ko", module("alias=crypto-crc32c|depends=")),
            (
                "lib/modules/6.1/kernel/a/crc32c_generic.ko.zst",
                zstd::encode_all(&module("alias=crypto-crc32c")[..], 1).unwrap(),
            ),
            ("lib/modules/6.1/kernel/a/late.ko", module("depends=libcrc32c")),
            ("lib/modules/6.1/kernel/a/odd.ko", module("depends=nowhere,loop")),
            ("lib/modules/6.1/kernel/a/soft.ko", module("softdep=pre: crypto-sha256 loop")),
            ("lib/modules/6.1/kernel/a/text.ko", b"hello".to_vec()),
            (
                "lib/modules/6.1/modules.builtin",
                b"kernel/drivers/md/dm-mod.ko\nkernel/drivers/block/loop.ko\n".to_vec(),
            ),
            ("lib/modules/6.1/modules.builtin.modinfo", b"sha.alias=crypto-sha256\0sha.license=GPL\0".to_vec()),
            ("lib/modules/6.1/modules.order", Vec::new()),
        ])
    }

    #[test]
    fn what_a_module_needs_comes_before_it() {
        let package = package();
        let (files, built_in) = package.order(&["xfs", "late", "loop", "soft"]).unwrap();
        assert_eq!(files, ["crc32c_generic.ko.zst", "libcrc32c.ko.xz", "late.ko", "xfs.ko", "soft.ko"]);
        assert_eq!(built_in, ["loop"]);
        assert_eq!(package.order(&["dm_mod", "crc32c_intel"]).unwrap().0, ["crc32c-intel.ko"], "- is _");
    }

    #[test]
    fn what_cannot_be_loaded_is_named() {
        let error = |names: &[&str]| package().order(names).expect_err("no order").to_string();
        assert_eq!(error(&["xsf"]), "the kernel package has no module xsf; did you mean `xfs`?");
        assert_eq!(error(&["nothing-like-it"]), "the kernel package has no module nothing-like-it");
        assert!(
            error(&["odd"]).ends_with("a/odd.ko depends on the module nowhere, which is not in the kernel package")
        );
        assert!(error(&["text"]).ends_with("a/text.ko is not a kernel module"));
        let two = Store::new(&[("lib/modules/1/a.ko", Vec::new()), ("usr/lib/modules/2/b.ko", Vec::new())]);
        assert!(two.order(&["a"]).expect_err("two").to_string().contains("1 and 2"));
        assert!(Store::new(&[]).order(&["a"]).expect_err("none").to_string().contains("no release"));
    }
}
