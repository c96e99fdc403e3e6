//! Recognises values of a build's surroundings in what differs.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::side::Side;

/// Contents longer than this are not searched for paths.
const MOST: usize = 64 << 20;

/// The values that are looked for.
pub struct Hints {
    folders: [String; 2],
    jobs: [String; 2],
    hosts: [String; 2],
    /// When each build began and ended, in seconds since 1970.
    times: [(i64, i64); 2],
}

impl Hints {
    /// The values of two builds.
    pub fn new(sides: [&Side; 2], times: [(i64, i64); 2]) -> Self {
        let both = |value: &dyn Fn(&Side) -> String| sides.map(value);
        // Without its beginning, which mountinfo(5) has only for the file system that is the root.
        let folders = both(&|side| end_of(&side.folder));
        let jobs = both(&|side| side.jobs.to_string());
        let hosts = both(&|side| side.surroundings.host_name.clone().unwrap_or_else(host_name));
        Self { folders, jobs, hosts, times }
    }

    /// What two different values are. `contents` are the whole contents that have them.
    pub fn find(&self, values: &[String; 2], contents: Option<[&[u8]; 2]>) -> Option<String> {
        let in_values = |parts: &[String; 2]| (0..2).all(|n| values[n].contains(&parts[n]));
        let in_contents = |parts: &[String; 2]| {
            contents.is_some_and(|contents| {
                (0..2).all(|n| contents[n].len() <= MOST && contains(contents[n], parts[n].as_bytes()))
            })
        };
        if in_values(&self.folders) || in_contents(&self.folders) {
            return Some("the path of the store".to_owned());
        }
        let only = words_that_differ(values);
        let has = |n: usize, both: &[String; 2]| only[n].contains(&both[n].as_str());
        if has(0, &self.jobs) && has(1, &self.jobs) {
            return Some("the number of jobs".to_owned());
        }
        // Namespaces have a name of their own, so only one of them may be that of the host.
        if has(0, &self.hosts) || has(1, &self.hosts) {
            return Some("the host name".to_owned());
        }
        let seconds = |n: usize| {
            let (from, to) = self.times[n];
            let numbers = only[n].iter().filter_map(|word| word.parse::<i64>().ok());
            numbers.into_iter().any(|number| (from - 1..=to + 1).contains(&number))
        };
        if seconds(0) && seconds(1) {
            return Some("the time of the build, in seconds since 1970".to_owned());
        }
        let date = |n: usize| {
            let begin = Timestamp::from_second(self.times[n].0).ok()?.to_zoned(TimeZone::UTC);
            let forms = ["%Y-%m-%d", "%b %e", "%d/%m/%Y", "%m/%d/%y", "%Y%m%d"];
            forms.iter().find(|form| values[n].contains(&begin.strftime(form).to_string())).map(|_| ())
        };
        if date(0).is_some() && date(1).is_some() {
            return Some("the date or time of the build".to_owned());
        }
        let sorted = |bytes: &[u8]| {
            let mut lines: Vec<Vec<u8>> = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let reordered = contents.is_some_and(|[one, two]| {
            one.len() == two.len() && one.len() <= MOST && !one.contains(&0) && sorted(one) == sorted(two)
        });
        reordered.then(|| "the same lines in another order".to_owned())
    }
}

fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The last two names of a path; the first of them is unique.
fn end_of(folder: &Path) -> String {
    let names: Vec<_> = folder.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
    names.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// The words of each value that the other does not have.
fn words_that_differ(values: &[String; 2]) -> [Vec<&str>; 2] {
    let words = |text: &'_ str| -> Vec<String> { split(text).map(str::to_owned).collect() };
    let other = [words(&values[1]), words(&values[0])];
    [0, 1].map(|n| split(&values[n]).filter(|word| !other[n].iter().any(|known| known == word)).collect())
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.').filter(|word| !word.is_empty())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_surroundings_are_recognised() {
        let hints = Hints {
            folders: [end_of(Path::new("/x/a/1")), end_of(Path::new("/b/second"))],
            jobs: ["2".into(), "3".into()],
            hosts: ["here".into(), "there".into()],
            times: [(1_700_000_000, 1_700_000_010), (1_700_000_020, 1_700_000_030)],
        };
        let find = |one: &str, two: &str| hints.find(&[one.into(), two.into()], None);
        assert_eq!(find("in /a/1/store", "in /b/second/store").as_deref(), Some("the path of the store"));
        assert_eq!(find("make -j 2", "make -j 3").as_deref(), Some("the number of jobs"));
        assert_eq!(find("at 1700000004", "at 1700000025").unwrap(), "the time of the build, in seconds since 1970");
        assert_eq!(find("Tue Nov 14 22:13:21", "Tue Nov 14 22:13:41").unwrap(), "the date or time of the build");
        assert_eq!(find("on dbco", "on there").as_deref(), Some("the host name"));
        assert_eq!(find("x 12", "x 13"), None);
        let contents: [&[u8]; 2] = [b"../a/1/store", b"../b/second/store"];
        let lines: [&[u8]; 2] = [b"a\nb\n", b"b\na\n"];
        assert_eq!(hints.find(&["a".into(), "b".into()], Some(lines)).unwrap(), "the same lines in another order");
        assert_eq!(hints.find(&["00".into(), "01".into()], Some(contents)).as_deref(), Some("the path of the store"));
    }
}
