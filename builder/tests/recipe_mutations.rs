//! Shipped recipes with random mistakes: whatever is in a file, `check` ends soon, without a panic, with a bounded
//! number of findings, each with a location in the file that it names.
//!
//! `MUTATIONS=5000 cargo test --test recipe_mutations` tries more of them; `SEED` sets another start.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dbco::recipe::Settings;
use dbco::recipe::{BadRecipe, LoadError, effective, load};
use dbco::show::{Style, shown, write};

/// The number of mutations in a normal run.
const MUTATIONS: u64 = 200;

/// The maximum number of findings for a file: the limit, and those that may come with one of them.
const MOST: usize = 150;

/// Far more than any check takes, so that only an endless one is detected.
const PATIENCE: Duration = Duration::from_secs(20);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// Values that people type, paste or generate.
const ODD: &[&str] = &[
    "",
    "~",
    "null",
    "[]",
    "{}",
    "[a, [b, {c: d}]]",
    "{a: {b: c}}",
    "0",
    "-1",
    "1e9",
    "0x10",
    "99999999999999999999",
    "true",
    "\"\"",
    "'",
    "\"",
    "*a",
    "&a b",
    "&a [*a]",
    "!!binary eA==",
    "${x}",
    "${",
    "$${x}",
    "é",
    "你好",
    "\u{202e}x",
    "\u{7f}",
    "..",
    "../../../..",
    "/",
    "/dev/zero",
    ".",
    "-",
    "--",
    "a b",
    "a\tb",
    "|",
    "|9",
    ">",
    "? a",
    ": b",
    "@x",
    "%x",
    "a: b",
    "# c",
    "<<: *b",
    "2026-13-45",
    "512M",
    "0M",
    "x/y",
    "x\\y",
    "[",
    "]",
    "{",
    "}",
    ",",
    "!",
    "\u{feff}",
];

/// One mistake.
fn mutate(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return random.of(ODD).to_owned();
    }
    let at = random.below(lines.len());
    let key = |line: &str| {
        let start = line.len() - line.trim_start_matches([' ', '-', '{']).len();
        line[start..].find(':').map(|end| (start, start + end))
    };
    match random.below(16) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines[at].insert_str(0, &" ".repeat(1 + random.below(5))),
        3 => lines[at] = lines[at].strip_prefix(' ').unwrap_or(&lines[at]).to_owned(),
        4 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        // Another key of the file in this one's place.
        5 => {
            let other = lines[random.below(lines.len())].clone();
            if let (Some((start, end)), Some((from, to))) = (key(&lines[at]), key(&other)) {
                lines[at].replace_range(start..end, &other[from..to]);
            }
        }
        6 => {
            if let Some((start, end)) = key(&lines[at]) {
                let mut name: Vec<char> = lines[at][start..end].chars().collect();
                let place = random.below(name.len());
                match random.below(3) {
                    _ if name.is_empty() => name.push('x'),
                    0 => drop(name.remove(place)),
                    1 => name.insert(place, name[place]),
                    _ => name.swap(place, 0),
                }
                lines[at].replace_range(start..end, &name.into_iter().collect::<String>());
            }
        }
        // Another value, or none.
        7..=9 => {
            if let Some((_, end)) = key(&lines[at]) {
                lines[at].truncate(end);
                lines[at] += ": ";
                lines[at] += random.of(ODD);
            }
        }
        10 => lines[at] = lines[at].replacen(['[', '{', '"', '\''], random.of(ODD), 1),
        11 => lines[at] = format!("\t{}", lines[at].trim_start()),
        12 => lines[at] = lines[at].replacen(", ", random.of(&["", ",", " ", ": ", ", , "]), 1),
        13 => lines.truncate(at),
        14 => {
            let chars = lines[at].chars().count();
            let (cut, odd) = (random.below(chars + 1), random.of(ODD));
            let (before, after): (String, String) =
                (lines[at].chars().take(cut).collect(), lines[at].chars().skip(cut).collect());
            lines[at] = format!("{before}{odd}{after}");
        }
        _ => {
            let count = 1 + random.below(50);
            lines.insert(at, lines[at].clone().repeat(count));
        }
    }
    lines.join("\n") + random.of(&["\n", "", "\r\n", "\n\n---\n"])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&path, &to);
        } else if entry.file_type().unwrap().is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), to).unwrap();
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

fn yaml(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    files
}

/// What is wrong with a result, if anything.
fn fault(result: Result<(), LoadError>) -> Option<String> {
    let bad: Box<BadRecipe> = match result {
        Ok(()) | Err(LoadError::Parameter { .. }) => return None,
        Err(LoadError::Bad(bad)) => bad,
        // A byte order mark in the middle, a control character: still text.
        Err(error) => return Some(format!("it can't be read: {error}")),
    };
    if bad.findings.is_empty() || bad.findings.len() > MOST {
        return Some(format!("{} findings", bad.findings.len()));
    }
    for finding in &bad.findings {
        let text = bad.files.text(finding.span.file);
        let (start, end) = (finding.span.start, finding.span.end);
        if start > end || end > text.len() || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            return Some(format!("`{}` is at {start}..{end} of {} bytes", finding.message, text.len()));
        }
        let (line, column) = bad.files.position(finding.span);
        let width = text.split('\n').nth(line - 1).map(|line| line.chars().count());
        if width.is_none_or(|width| column > width + 1) {
            return Some(format!("`{}` is at {line}:{column}, where nothing is", finding.message));
        }
        if finding.message.is_empty() || finding.message.len() > 4000 {
            return Some(format!("a message of {} bytes", finding.message.len()));
        }
    }
    let shown = bad.render(false);
    (shown.len() > 1 << 20).then(|| format!("{} bytes are shown", shown.len()))
}

/// Whether what is shown of a file, with origins as comments, is not the same when it is read and shown again.
fn shown_differently(file: &Path) -> Option<String> {
    let Ok(first) = effective(file, &Settings::new()) else { return None };
    let (values, origins) = (write(&shown(&first), Style::Values), write(&shown(&first), Style::Origins));
    let again = file.with_file_name("again.yaml");
    for text in [&values, &origins] {
        fs::write(&again, text).unwrap();
        let read = effective(&again, &Settings::new());
        fs::remove_file(&again).unwrap();
        match read {
            Err(error) => return Some(format!("what is shown can't be read: {error}\n{text}")),
            // Of a recipe with errors not all defaults are known.
            Ok(second) if first.findings.is_empty() && write(&shown(&second), Style::Values) != values => {
                let second = write(&shown(&second), Style::Values);
                return Some(format!("what is shown is shown differently:\n{values}---\n{second}"));
            }
            Ok(_) => {}
        }
    }
    None
}

#[test]
fn a_check_of_any_mutated_recipe_ends_with_findings_in_their_places() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["recipes", "kernel-config"] {
        copy(&repository.join(name), &folder.path().join(name));
    }
    std::os::unix::fs::symlink(repository.join("livefs"), folder.path().join("livefs")).unwrap();
    let recipes = folder.path().join("recipes");
    let images = yaml(&recipes);
    // Files other than images are mutated below the image that refers to the most of them.
    let parts = [yaml(&recipes.join("components")), yaml(&recipes.join("toolchains"))].concat();
    let own = images.iter().map(|path| (path.clone(), path.clone()));
    let beneath = parts.iter().map(|path| (path.clone(), recipes.join("dbcolinux.yaml")));
    let files: Vec<(PathBuf, PathBuf)> = own.chain(beneath).collect();

    let mut slowest = Duration::ZERO;
    let seed = number("SEED").unwrap_or(0);
    let mut wrong = Vec::new();
    for seed in seed..seed + number("MUTATIONS").unwrap_or(MUTATIONS) {
        let mut random = Random(seed);
        let (file, image) = random.of(&files);
        let text = fs::read_to_string(&file).unwrap();
        let mut changed = text.clone();
        for _ in 0..1 + random.below(3) {
            changed = mutate(&changed, &mut random);
        }
        fs::write(&file, &changed).unwrap();
        let begin = Instant::now();
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            fault(load(&image, &Settings::new()).map(drop)).or_else(|| shown_differently(&file))
        }));
        let took = begin.elapsed();
        slowest = slowest.max(took);
        fs::write(&file, &text).unwrap();
        let fault = match loaded {
            Err(_) => Some("a panic".to_owned()),
            Ok(None) if took > PATIENCE => Some(format!("{took:?}")),
            Ok(fault) => fault,
        };
        if let Some(fault) = fault {
            wrong.push(format!("SEED={seed} {}: {fault}", file.strip_prefix(&recipes).unwrap().display()));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("the slowest took {slowest:?}");
}
