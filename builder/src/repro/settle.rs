//! Decides what differs between the builds: what was selected, as far as this host allows it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::project::{self, CopyStyle};
use super::report::{NotVaried, Varied};
use super::scratch::{Scratch, file_system, listing_order, size_of};
use super::side::Side;
use super::stage::Surroundings;
use super::vary::Variation;
use super::{Programs, ReproError, ReproOptions};
use crate::path_error::FromPathError as _;
use crate::recipe::{LoadOptions, Recipe};
use crate::sandbox::Mode;

/// The user of the second build: the id of no account.
const OTHER_USER: u32 = 54_321;

/// Its host name.
const OTHER_HOST: &str = "somewhere-else";

/// By how much its clocks are ahead: ten years.
const AHEAD: u64 = 10 * 365 * 86_400;

/// Its time zone, in the format of POSIX, for which no file is needed.
const OTHER_ZONE: &str = "XYZ+11:30";

/// Its locale.
const OTHER_LOCALE: &str = "tr_TR.UTF-8";

/// Its other variables: what compilers, make and archivers react to.
const OTHER_VARIABLES: [(&str, &str); 10] = [
    ("CFLAGS", "-O0 -g"),
    ("LDFLAGS", "-Wl,-z,now"),
    ("CC", "false"),
    ("MAKEFLAGS", "-k"),
    ("GZIP_OPT", "-1"),
    ("SOURCE_DATE_EPOCH", "1234567890"),
    ("TMPDIR", "/nonexistent"),
    ("USER", "somebody"),
    ("LOGNAME", "somebody"),
    ("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"),
];

/// How many times as much memory as the first store's size has to be free for a build in memory: a build's work folders
/// are larger than what it leaves.
const ROOM: u64 = 4;

/// The second build, and how it differs from the first.
pub struct Settled {
    pub side: Side,
    pub varied: Vec<Varied>,
    pub not_varied: Vec<NotVaried>,
}

/// Chooses the surroundings.
pub struct Settling<'a> {
    wanted: &'a ReproOptions,
    programs: &'a Programs,
    recipes: &'a [Recipe],
    /// The user's store.
    store: PathBuf,
    varied: Vec<Varied>,
    not_varied: Vec<NotVaried>,
}

impl<'a> Settling<'a> {
    pub fn new(wanted: &'a ReproOptions, programs: &'a Programs, recipes: &'a [Recipe], store: PathBuf) -> Self {
        Self { wanted, programs, recipes, store, varied: Vec::new(), not_varied: Vec::new() }
    }

    fn selects(&self, variation: Variation) -> bool {
        self.wanted.vary.contains(variation)
    }

    fn vary(&mut self, variation: Variation, first: impl Into<String>, second: impl Into<String>) {
        self.varied.push(Varied { variation, values: [first.into(), second.into()] });
    }

    fn not(&mut self, variation: Variation, reason: impl Into<String>) {
        self.not_varied.push(NotVaried { name: variation.name().to_owned(), reason: reason.into() });
    }

    /// The first build: in the surroundings of this process.
    pub fn first(&self, folder: &Path) -> Result<Side, ReproError> {
        let environment = std::env::vars_os().filter(|(name, _)| !is_own(name)).collect();
        let umask = self.selects(Variation::Umask).then_some(0o022);
        let mut side = Side {
            folder: folder.to_owned(),
            cwd: std::env::current_dir().map_err(ReproError::io("find", Path::new(".")))?,
            copied: None,
            environment,
            surroundings: Surroundings { umask, ..Surroundings::default() },
            jobs: self.wanted.options.resources().jobs,
            sandbox: self.wanted.options.sandbox,
        };
        // Only root can have a chroot, and the second build is another user's.
        if self.selects(Variation::Sandbox) && self.selects(Variation::User) && Uid::effective().is_root() {
            let chroot = Side { sandbox: Some(Mode::Chroot), ..side.clone() };
            let surroundings = Surroundings { uid: Some(OTHER_USER), ..Surroundings::default() };
            let (sandbox, folder) = (Some(Mode::Namespaces), std::env::temp_dir());
            let other = Side { sandbox, surroundings, folder, ..side.clone() };
            if chroot.probe(self.programs).is_ok() && other.probe(self.programs).is_ok() {
                side = chroot;
            }
        }
        Ok(side)
    }

    /// The second build, given the first one, which has ended. `provide` fills its store.
    pub fn second(
        mut self,
        first: &Side,
        scratch: &mut Scratch,
        provide: &dyn Fn(&Side) -> Result<(), ReproError>,
    ) -> Result<Settled, ReproError> {
        let mut side = Side { folder: scratch.beside(), ..first.clone() };
        self.process(first, &mut side);
        self.environment(first, &mut side);
        self.folder(&mut side, scratch, first)?;
        self.project(first, &mut side)?;
        provide(&side)?;
        if let (Some(uid), true) = (side.surroundings.uid, Uid::effective().is_root()) {
            give(&side.folder, uid)?;
        }
        self.listing(first, &side);
        self.varied.sort_by_key(|one| one.variation);
        Ok(Settled { side, varied: self.varied, not_varied: self.not_varied })
    }

    /// What belongs to a process; each is tried.
    fn process(&mut self, first: &Side, side: &mut Side) {
        let try_out = |changed: Surroundings| {
            // Where nothing but the surroundings can be the obstacle.
            let (sandbox, folder) = (None, std::env::temp_dir());
            let probe = Side { surroundings: changed.clone(), sandbox, folder, ..first.clone() };
            probe.probe(self.programs).map(|()| changed)
        };
        let root = Uid::effective().is_root();
        let base = first.surroundings.clone();
        let user = || if root { "" } else { " in a user namespace" };
        let kernel = nix::sys::utsname::uname().ok();
        let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let host = kernel.as_ref().map(|name| text(name.nodename())).unwrap_or_default();
        let version = kernel.as_ref().map(|name| format!("{} {}", text(name.release()), text(name.machine())));
        let own = Uid::effective();
        let wanted: [(Variation, Surroundings, String, String); 5] = [
            (
                Variation::User,
                Surroundings { uid: Some(OTHER_USER), ..base.clone() },
                format!("uid {own}"),
                format!("uid {OTHER_USER}{}", user()),
            ),
            (Variation::Umask, Surroundings { umask: Some(0o077), ..base.clone() }, "022".to_owned(), "077".to_owned()),
            (
                Variation::Time,
                Surroundings { clock_ahead: Some(AHEAD), ..base.clone() },
                "the machine's clocks".to_owned(),
                "those since its start 10 years ahead".to_owned(),
            ),
            (
                Variation::HostName,
                Surroundings { host_name: Some(OTHER_HOST.to_owned()), ..base.clone() },
                host,
                OTHER_HOST.to_owned(),
            ),
            (
                Variation::Personality,
                Surroundings { old_kernel: true, ..base.clone() },
                version.unwrap_or_default(),
                "2.6 i686 (linux32, uname26)".to_owned(),
            ),
        ];
        let tried: Vec<_> = wanted
            .into_iter()
            .filter(|(variation, ..)| self.selects(*variation))
            .map(|(variation, changed, one, two)| (variation, try_out(changed), one, two))
            .collect();
        for (variation, tried, one, two) in tried {
            match tried {
                Err(reason) => self.not(variation, reason),
                Ok(changed) => {
                    let all = &mut side.surroundings;
                    let Surroundings { uid, umask, host_name, clock_ahead, old_kernel } = changed;
                    all.uid = uid.or(all.uid);
                    all.umask = if variation == Variation::Umask { umask } else { all.umask };
                    all.host_name = host_name.or(all.host_name.take());
                    all.clock_ahead = clock_ahead.or(all.clock_ahead);
                    all.old_kernel |= old_kernel;
                    self.vary(variation, one, two);
                }
            }
        }
        self.sandbox(first, side);
    }

    fn sandbox(&mut self, first: &Side, side: &mut Side) {
        if !self.selects(Variation::Sandbox) {
            return;
        }
        let other = match (first.sandbox, side.surroundings.uid) {
            (Some(Mode::Chroot), _) => Mode::Namespaces,
            (_, Some(_)) => return self.not(Variation::Sandbox, "a chroot requires root, and the user is varied"),
            (_, None) => Mode::Chroot,
        };
        let probe = Side { sandbox: Some(other), folder: std::env::temp_dir(), ..first.clone() };
        match probe.probe(self.programs) {
            Ok(()) => {
                side.sandbox = Some(other);
                let one = if other == Mode::Chroot { Mode::Namespaces } else { Mode::Chroot };
                self.vary(Variation::Sandbox, one.name(), other.name());
            }
            Err(_) if !Uid::effective().is_root() => self.not(Variation::Sandbox, "a chroot requires root"),
            Err(reason) => self.not(Variation::Sandbox, reason),
        }
    }

    /// What belongs to the environment, and the number of jobs.
    fn environment(&mut self, first: &Side, side: &mut Side) {
        let value = |name: &str| {
            let found = first.environment.iter().find(|(known, _)| known == name);
            found.map_or_else(|| "not set".to_owned(), |(_, value)| value.to_string_lossy().into_owned())
        };
        let set = |side: &mut Side, name: &str, value: &str| {
            side.environment.retain(|(known, _)| known != name);
            side.environment.push((name.into(), value.into()));
        };
        if self.selects(Variation::Environment) {
            let kept = ["TZ", "LANG", "LC_ALL"].map(OsString::from);
            side.environment.retain(|(name, _)| kept.contains(name));
            for (name, value) in OTHER_VARIABLES {
                set(side, name, value);
            }
            let count = format!("{} variables of dbco's own", first.environment.len());
            let names = OTHER_VARIABLES.map(|(name, _)| name).join(", ");
            self.vary(Variation::Environment, count, format!("other values of {names}, and no others"));
        }
        if self.selects(Variation::TimeZone) {
            set(side, "TZ", OTHER_ZONE);
            self.vary(Variation::TimeZone, value("TZ"), OTHER_ZONE);
        }
        if self.selects(Variation::Locale) {
            set(side, "LC_ALL", OTHER_LOCALE);
            set(side, "LANG", OTHER_LOCALE);
            self.vary(Variation::Locale, value("LC_ALL"), OTHER_LOCALE);
        }
        if self.selects(Variation::Jobs) {
            side.jobs = first.jobs + 1;
            self.vary(Variation::Jobs, first.jobs.to_string(), side.jobs.to_string());
        }
    }

    /// Where it takes place: on another file system, if there is one with enough room.
    fn folder(&mut self, side: &mut Side, scratch: &mut Scratch, first: &Side) -> Result<(), ReproError> {
        let mut places: Vec<PathBuf> = Vec::new();
        if self.selects(Variation::FileSystem) {
            let size = size_of(&first.folder).map_err(ReproError::io("read", &first.folder))?;
            match scratch.memory(size.saturating_mul(ROOM)) {
                Ok(folder) => places.push(folder),
                Err(reason) => self.not(Variation::FileSystem, reason),
            }
        }
        places.push(scratch.beside());
        let mut found = None;
        for place in places {
            side.folder = place;
            match self.usable(side) {
                Ok(()) => {
                    found = Some(());
                    break;
                }
                Err(reason) if self.selects(Variation::FileSystem) && side.folder != scratch.beside() => {
                    self.not(Variation::FileSystem, reason);
                }
                Err(_) => {}
            }
        }
        if found.is_none() {
            side.folder = scratch.temporary()?;
            // Otherwise the build itself tells what is wrong.
            let _ = self.usable(side);
        }
        scratch.only_last();
        let kinds = [&first.folder, &side.folder].map(|folder| file_system(folder));
        let told = self.not_varied.iter().any(|one| one.name == Variation::FileSystem.name());
        if self.selects(Variation::FileSystem) && !told {
            let [one, two] = kinds;
            if one == two {
                self.not(Variation::FileSystem, format!("all folders are on {one}"));
            } else {
                self.vary(Variation::FileSystem, one, two);
            }
        }
        Ok(())
    }

    /// Whether the second build can work in its folder, in all its surroundings together.
    fn usable(&self, side: &Side) -> Result<(), String> {
        if let (Some(uid), true) = (side.surroundings.uid, Uid::effective().is_root()) {
            give(&side.folder, uid).map_err(|error| error.to_string())?;
        }
        side.probe(self.programs)
    }

    /// The project: a copy in another folder, whose path is longer.
    fn project(&mut self, first: &Side, side: &mut Side) -> Result<(), ReproError> {
        let kinds = [Variation::Folder, Variation::ListingOrder, Variation::FileTimes];
        if !kinds.iter().any(|kind| self.selects(*kind)) {
            return Ok(());
        }
        let style = CopyStyle {
            without: &self.store,
            reversed: self.selects(Variation::ListingOrder),
            times: self.selects(Variation::FileTimes),
        };
        let times = style.times;
        let to = side.folder.join("a/longer/path/than/that/of/the/first").join("project");
        match self.copy(&to, style) {
            Ok(top) => {
                side.cwd = to.clone();
                side.copied = Some((top.clone(), to.clone()));
                if self.selects(Variation::Folder) {
                    let path = |top: &Path, side: &Side| format!("{}, store {}", top.display(), side.folder.display());
                    self.vary(Variation::Folder, path(&top, first), path(&to, side));
                }
                if times {
                    self.vary(Variation::FileTimes, "as they are", "all 1999-12-31");
                }
            }
            Err(reason) => {
                fs::remove_dir_all(&to).or_else(|_| fs::create_dir_all(&to)).map_err(ReproError::io("remove", &to))?;
                for kind in [Variation::Folder, Variation::FileTimes] {
                    if self.selects(kind) {
                        self.not(kind, format!("the project: {reason}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies the project; gives its top.
    fn copy(&self, to: &Path, style: CopyStyle<'_>) -> Result<PathBuf, String> {
        let Some(first) = self.recipes.first() else { return Err("there is no recipe".to_owned()) };
        let top = project::top(first).map_err(|error| error.to_string())?;
        let below = |recipe: &Recipe| {
            let path = recipe.path.canonicalize().map_err(|error| error.to_string())?;
            let below = path.strip_prefix(&top).map(Path::to_owned);
            below.map_err(|_| format!("{} is not in {}", recipe.path.display(), top.display()))
        };
        let below = self.recipes.iter().map(below).collect::<Result<Vec<_>, _>>()?;
        project::copy(&top, to, style).map_err(|error| error.to_string())?;
        let options = LoadOptions { store: Some(self.store.clone()), ..LoadOptions::default() };
        for recipe in below {
            crate::recipe::load_with(&to.join(&recipe), &self.wanted.settings, &options)
                .map_err(|_| format!("{} needs files outside of {}", recipe.display(), top.display()))?;
        }
        Ok(top)
    }

    fn listing(&mut self, first: &Side, side: &Side) {
        if !self.selects(Variation::ListingOrder) {
            return;
        }
        let orders = [first, side].map(|side| listing_order(&side.folder));
        match orders {
            [Ok(one), Ok(two)] if one != two => {
                let list = |names: &[String]| format!("{}, {}, {} …", names[0], names[1], names[2]);
                self.vary(Variation::ListingOrder, list(&one), list(&two));
            }
            [Ok(_), Ok(_)] => self.not(Variation::ListingOrder, "both folders list their files in the same order"),
            [Err(error), _] | [_, Err(error)] => self.not(Variation::ListingOrder, error.to_string()),
        }
    }
}

/// Variables that are arguments of dbco, which the builds get as such.
fn is_own(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("DBCO_")
}

/// Makes a user the owner of a folder and everything in it.
fn give(folder: &Path, uid: u32) -> Result<(), ReproError> {
    let failed = |path: &Path| ReproError::io("change the owner of", path);
    std::os::unix::fs::lchown(folder, Some(uid), Some(uid)).map_err(failed(folder))?;
    for entry in fs::read_dir(folder).map_err(ReproError::io("read", folder))? {
        let path = entry.map_err(ReproError::io("read", folder))?.path();
        match path.symlink_metadata().map_err(ReproError::io("read", &path))?.is_dir() {
            true => give(&path, uid)?,
            false => std::os::unix::fs::lchown(&path, Some(uid), Some(uid)).map_err(failed(&path))?,
        }
    }
    Ok(())
}
