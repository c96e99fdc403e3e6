//! Changing the kernel's configuration with its own programs, and saving the difference as a fragment.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::shell::NamedStep;
use super::{Error, Options, Session};
use crate::beneath::{BeneathError, Dir, Links};
use crate::input::{LIMIT, read_text};
use crate::kernel::config::{self, Config};
use crate::kernel::{self, Fragment, Setting, SymbolValue, edit, source_version};
use crate::recipe::Recipe;
use crate::recipe::component::KconfigOptions;
use crate::recipe::decode::At;
use crate::recipe::image::Kernel;
use crate::sandbox::{SandboxError, Spec};
use crate::step::{DUMB, Enter, Entrance};
use crate::store::{Store, write_atomically};

/// The configuration in a workspace, and what `make savedefconfig` writes.
const CONFIG: &str = "src/.config";
const MINIMAL: &str = "src/defconfig";

/// A distribution's kernel has 300 KB of configuration.
const MOST: u64 = 16 << 20;

/// How the configuration is changed.
#[derive(Clone, Debug)]
pub enum KconfigChange {
    /// By a program of the kernel at this process's terminal.
    Terminal {
        /// Its make target: `menuconfig`.
        target: String,
        /// The type of the terminal (`TERM`).
        terminal: String,
    },
    /// By these values, each as a line of a fragment.
    Symbols(Vec<String>),
}

/// A symbol with another value than before.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigDifference {
    /// Without `CONFIG_`.
    pub symbol: String,
    /// Before and after; [`SymbolValue::No`] for one that is not mentioned.
    pub values: [SymbolValue; 2],
    /// Whether it is in the fragment. Others follow from those that are.
    pub saved: bool,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct KconfigReport {
    /// The differences, ordered by symbol.
    pub differences: Vec<ConfigDifference>,
    /// The fragment.
    pub fragment: PathBuf,
    /// Whether the recipe uses it.
    pub is_listed: bool,
    /// How a recipe names the fragment in a list of fragments.
    pub entry: String,
    /// Settings of later fragments that override saved ones: `FILE:LINE: CONFIG_X=n`.
    pub overridden: Vec<String>,
    /// Other settings that no longer hold, with which the build fails, and what to write there instead:
    /// `FILE:LINE: CONFIG_X=y: write ...`.
    pub lost: Vec<String>,
}

/// Before and after.
struct Changed {
    configs: [Config; 2],
    /// The symbols that have to be saved.
    requested: BTreeSet<String>,
    version: Option<kernel::versions::Version>,
}

impl Session<'_> {
    /// Changes the configuration of a recipe's kernel, which is built from source, and saves the difference to `fragment`, by
    /// default a file with the recipe's name beside its other fragments. `leave` is called before a program uses the
    /// terminal.
    ///
    /// # Errors
    /// Among others, a value that does not take effect, with the reason. Nothing is saved then.
    pub fn kconfig(
        &self,
        recipe: &Recipe,
        store: &Store,
        options: &Options,
        change: &KconfigChange,
        fragment: Option<&Path>,
        leave: &(dyn Fn() + Sync),
    ) -> Result<KconfigReport, Error> {
        let Kernel::Component { component, config, .. } = &recipe.image.kernel else {
            return Err(request("the recipe's kernel is a package, which has no configuration to change"));
        };
        let kconfig = recipe.components.get(&component.value).and_then(|component| component.kconfig.as_ref());
        let kconfig = kconfig.ok_or_else(|| request(format!("component {} has no `kconfig`", component.value)))?;
        let used: Vec<&At<PathBuf>> = kconfig.fragments.iter().chain(config).collect();
        let path = fragment.map_or_else(|| default_fragment(recipe, config, kconfig), Path::to_owned);
        if let Some(name) = recipe.path_in_library(&path) {
            return Err(request(format!(
                "{name} is in the library, which is not changed: pass `--fragment kernel-config/NAME.config`"
            )));
        }
        let old = read_fragment(&path)?;
        if let KconfigChange::Symbols(wanted) = change {
            parse(wanted)?;
        }
        let result = Mutex::new(None);
        let visit = |entrance: &Entrance<'_>| {
            let done = match &entrance.failure {
                Some(failure) => Err(request(failure)),
                None => make(entrance, recipe, kconfig, change, leave),
            };
            *result.lock().unwrap_or_else(|e| e.into_inner()) = Some(done);
            Ok(())
        };
        self.enter(recipe, store, options, NamedStep::Kernel, Enter::new(None, &visit))?;
        let changed = result.into_inner().unwrap_or_else(|e| e.into_inner());
        let changed = changed.ok_or_else(|| request("the kernel's step was not entered"))??;
        let differences = changed.differences();
        let values: Vec<(String, SymbolValue)> = differences
            .iter()
            .filter(|difference| difference.saved)
            .map(|difference| (difference.symbol.clone(), difference.values[1].clone()))
            .collect();
        let same = |other: &At<PathBuf>| match (other.value.canonicalize(), path.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => other.value == path,
        };
        let place = used.iter().position(|fragment| same(fragment));
        let entry = entry(recipe, &path);
        let (is_listed, overridden, lost) = (place.is_some(), Vec::new(), Vec::new());
        let mut report = KconfigReport { differences, fragment: path.clone(), is_listed, entry, overridden, lost };
        if values.is_empty() {
            return Ok(report);
        }
        let new = edit::set(&path.display().to_string(), &old, changed.version, &values);
        let new = new.map_err(|errors| unsaved(&lines(&errors), &values))?;
        if new != old {
            write_atomically(&path, new.as_bytes())
                .map_err(|error| unsaved(&format!("{:#}", anyhow::Error::from(error)), &values))?;
        }
        let fragment = |used: &&At<PathBuf>| {
            let text = read_text(&used.value, LIMIT).unwrap_or_default();
            let fragment = Fragment::parse(&used.value.display().to_string(), &text).ok();
            fragment.map_or_else(
                || Fragment { name: String::new(), settings: Vec::new() },
                |fragment| match changed.version {
                    Some(version) => fragment.at(version),
                    None => fragment,
                },
            )
        };
        let fragments: Vec<Fragment> = used.iter().map(fragment).collect();
        for later in place.iter().flat_map(|place| &fragments[place + 1..]) {
            for setting in &later.settings {
                if values.iter().any(|(symbol, value)| *symbol == setting.symbol && !value.same(&setting.value)) {
                    let line = setting.value.line(&setting.symbol);
                    report.overridden.push(format!("{}:{}: {line}", later.name, setting.line));
                }
            }
        }
        report.lost = changed.lost(&fragments, &values);
        Ok(report)
    }
}

impl Changed {
    fn differences(&self) -> Vec<ConfigDifference> {
        let [before, after] = &self.configs;
        let symbols: BTreeSet<&str> = before.symbols().chain(after.symbols()).collect();
        let value = |config: &Config, symbol: &str| config.get(symbol).cloned().unwrap_or(SymbolValue::No);
        let difference = |symbol: &str| {
            let values = [value(before, symbol), value(after, symbol)];
            let saved = self.requested.contains(symbol);
            (!values[0].same(&values[1])).then(|| ConfigDifference { symbol: symbol.to_owned(), values, saved })
        };
        symbols.into_iter().filter_map(difference).collect()
    }

    /// The settings of a recipe's fragments that held before and don't now, except those of saved symbols.
    fn lost(&self, fragments: &[Fragment], saved: &[(String, SymbolValue)]) -> Vec<String> {
        let [before, after] = &self.configs;
        let mut lost = Vec::new();
        for (name, setting) in fragments.iter().flat_map(|one| one.settings.iter().map(|setting| (&one.name, setting)))
        {
            let Setting { symbol, value, line, .. } = setting;
            let is_saved = saved.iter().any(|(saved, _)| saved == symbol);
            if !is_saved && before.holds(symbol, value) && !after.holds(symbol, value) {
                let now = after.get(symbol).unwrap_or(&SymbolValue::No).line(symbol);
                lost.push(format!("{name}:{line}: {}: write `{now}` instead", value.line(symbol)));
            }
        }
        lost
    }
}

/// Changes the configuration of the source that was entered.
fn make(
    entrance: &Entrance<'_>,
    recipe: &Recipe,
    kconfig: &KconfigOptions,
    change: &KconfigChange,
    leave: &dyn Fn(),
) -> Result<Changed, Error> {
    let build = entrance.build().map_err(request)?;
    let source = (&build.dir("src").map_err(failed)?).into();
    let version = source_version(&source);
    let before = build.read_text(CONFIG, MOST).map_err(failed)?;
    let target = |target: &str| {
        let argv = ["make", target].map(str::to_owned).into_iter().chain(kconfig.make.iter().cloned()).collect();
        Spec { argv, ..entrance.spec.clone() }
    };
    let run = |name: &str| -> Result<(), SandboxError> {
        let breaks = |out: &mut dyn io::Write| {
            loop {
                match out.write_all(&[b'\n'; 4096]) {
                    // It has read enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    other => other?,
                }
            }
        };
        entrance.sandbox.run(&target(name), None, None, Some(Box::new(breaks)))
    };
    match change {
        KconfigChange::Symbols(wanted) => {
            let wanted = parse(wanted)?;
            let merged = config::merge(&before, std::slice::from_ref(&wanted));
            build.write(CONFIG, merged.as_bytes()).map_err(failed)?;
            run(kconfig.resolve.target())?;
            let after = build.read_text(CONFIG, MOST).map_err(failed)?;
            let mismatches = kernel::check(std::slice::from_ref(&wanted), &after, &source, recipe.image.platform);
            if !mismatches.is_empty() {
                return Err(request(format!(
                    "nothing is saved, as this does not take effect:\n  {}",
                    lines(&mismatches)
                )));
            }
            let requested = wanted.settings.iter().map(|setting| setting.symbol.clone()).collect();
            Ok(Changed { configs: [before, after].map(|text| Config::parse(&text)), requested, version })
        }
        KconfigChange::Terminal { target: name, terminal } => {
            let program = entrance.with_terminal(target(name), terminal);
            needs_curses(&program, name, recipe)?;
            let minimal = || -> Option<Config> {
                run("savedefconfig").ok()?;
                let text = build.read_text(MINIMAL, MOST).ok();
                let _ = build.remove(MINIMAL);
                text.map(|text| Config::parse(&text))
            };
            let minimal_before = minimal();
            leave();
            let status = entrance.sandbox.at_terminal(&program)?;
            if status != 0 {
                return Err(request(format!("`make {name}` exited with status {status}; nothing is saved")));
            }
            let after = build.read_text(CONFIG, MOST).map_err(failed)?;
            let configs = [before, after].map(|text| Config::parse(&text));
            // A value that differs although the minimal configurations agree on it follows from another.
            let requested = match minimal_before.zip(minimal()) {
                Some((one, other)) => {
                    let symbols: BTreeSet<&str> = one.symbols().chain(other.symbols()).collect();
                    let differ = |symbol: &&str| one.get(symbol) != other.get(symbol);
                    symbols.into_iter().filter(differ).map(str::to_owned).collect()
                }
                None => configs.iter().flat_map(Config::symbols).map(str::to_owned).collect(),
            };
            Ok(Changed { configs, requested, version })
        }
    }
}

fn parse(wanted: &[String]) -> Result<Fragment, Error> {
    Fragment::parse("--set-symbol", &wanted.join("\n")).map_err(|errors| request(lines(&errors)))
}

/// Whether the root can compile a program that uses ncurses, and has a description of a terminal for it.
fn needs_curses(spec: &Spec, target: &str, recipe: &Recipe) -> Result<(), Error> {
    let has = |path| Dir::open(&spec.root, Links::InRoot).is_ok_and(|root| root.has_file(path));
    let described = spec.env.get("TERM").is_some_and(|name| name != DUMB);
    let compiles = has("usr/include/ncurses.h") || has("usr/include/curses.h");
    if !["menuconfig", "nconfig"].contains(&target) || (compiles && described) {
        return Ok(());
    }
    let toolchain = match &recipe.image.kernel {
        Kernel::Component { component, .. } => {
            recipe.components.get(&component.value).and_then(|it| it.toolchain.as_ref())
        }
        Kernel::Package { .. } => None,
    };
    let toolchain = toolchain.map_or(recipe.build.name.as_str(), |name| &name.value);
    let (needs, packages) = match compiles {
        true => ("needs a description of the terminal", "ncurses-base"),
        false => ("needs ncurses", "libncurses-dev, ncurses-base"),
    };
    Err(request(format!(
        "make {target} compiles a program that {needs}, which toolchain {toolchain} lacks. Use `--tool config`, or make a \
         toolchain for this only, toolchains/menuconfig.yaml:\n  toolchain: menuconfig\n  extends: {toolchain}.yaml\n  packages: \
         [{packages}]\nand pass `--toolchain menuconfig`: the kernel is still built with {toolchain}"
    )))
}

/// The fragment with the recipe's name, in the folder of its others, or the project's if those are in the library.
fn default_fragment(recipe: &Recipe, config: &[At<PathBuf>], kconfig: &KconfigOptions) -> PathBuf {
    let other = config.last().or(kconfig.fragments.last()).and_then(|path| path.value.parent());
    let other = other.filter(|folder| recipe.path_in_library(folder).is_none());
    let folder = other.map_or_else(|| recipe.project.join("kernel-config"), Path::to_owned);
    folder.join(format!("{}.config", recipe.image.name.value))
}

/// How a recipe names a fragment: by its name if it is where names are looked for, otherwise by its path.
fn entry(recipe: &Recipe, path: &Path) -> String {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or(path.to_owned());
    let folder =
        |path: &Path| whole(path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    let (home, recipes) = (folder(path), folder(&recipe.path));
    let file = path.file_name().unwrap_or_default();
    if path.extension().is_some_and(|extension| extension == "config")
        && recipes.ancestors().any(|above| above.join("kernel-config") == home)
    {
        return path.file_stem().unwrap_or_default().display().to_string();
    }
    match home.strip_prefix(&recipes) {
        Ok(below) => Path::new(".").join(below).join(file).display().to_string(),
        Err(_) => home.join(file).display().to_string(),
    }
}

/// The text of the fragment, or the start of a new one. What would prevent it from being saved is an error now, before anybody
/// works at it.
fn read_fragment(path: &Path) -> Result<String, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let usable = access(folder, AccessFlags::W_OK | AccessFlags::X_OK);
    usable.map_err(|errno| {
        let why = io::Error::from(errno);
        let help = match errno {
            Errno::ENOENT => "make this folder, or pass --fragment with a file in another one",
            _ => "pass --fragment with a file in a folder that you can write",
        };
        request(format!("can't save {}: can't write into {}: {why}; {help}", path.display(), folder.display()))
    })?;
    match read_text(path, LIMIT) {
        Ok(text) => {
            let parsed = Fragment::parse(&path.display().to_string(), &text);
            parsed.map(|_| text).map_err(|errors| request(lines(&errors)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("# Set by `dbco kconfig`.\n".to_owned()),
        Err(error) => Err(request(format!("can't read {}: {error}", path.display()))),
    }
}

/// The error if settings could not be saved, with these as lines of a fragment.
fn unsaved(why: &str, values: &[(String, SymbolValue)]) -> Error {
    let settings: Vec<String> = values.iter().map(|(symbol, value)| value.line(symbol)).collect();
    request(format!("{why}\nthe fragment is not changed; these are the settings to save:\n  {}", lines(&settings)))
}

fn request(text: impl ToString) -> Error {
    Error::Request(text.to_string())
}

fn failed(error: BeneathError) -> Error {
    request(format!("{error}: {}", error.refusal))
}

fn lines(errors: &[impl ToString]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}
