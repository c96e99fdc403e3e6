//! `dbco cache gc`: the rest is complete and what is used stays, whatever happens meanwhile.

mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use dbco::digest::Digest;
use dbco::process::command;
use dbco::store::{Batch, KeptObjects, Key, ObjectKind, Output, Policy, Sharing, StepResult, Store};
use dbco::tree::{Entry, Tree, TreePath};
use project::{Project, host};

const HOUR: u64 = 3600;

/// Numbers that differ from round to round, and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// A result, and what the test records about it.
#[derive(Clone)]
struct Made {
    key: Digest,
    /// Hours since its last use.
    age: u64,
    /// The results that it was made from, by index.
    inputs: Vec<usize>,
    /// Blobs of its outputs, those of trees included, and of its sources.
    blobs: BTreeSet<Digest>,
    root: bool,
}

struct Sample {
    folder: tempfile::TempDir,
    results: Vec<Made>,
    /// Blobs with the hours since they were created. Those of results were created with the first of them.
    blobs: BTreeMap<Digest, u64>,
}

fn sharded(folder: &Path, kind: &str, name: &str) -> PathBuf {
    folder.join(kind).join(&name[..2]).join(name)
}

fn set_age(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(hours * HOUR);
    File::open(path).unwrap().set_modified(time).unwrap();
}

impl Sample {
    /// A store of `count` results, each made from earlier ones and from sources.
    fn new(random: &mut Random, count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut sample = Self { folder, results: Vec::new(), blobs: BTreeMap::new() };
        let mut batch = store.batch().unwrap();
        let content = |batch: &mut Batch, random: &mut Random| {
            // Few enough that several results share some.
            let text = format!("{}", random.below(count * 3)).repeat(1 + random.below(50));
            batch.add(text.as_bytes()).unwrap()
        };
        let mut records = Vec::new();
        for place in 0..count {
            let mut key = Key::new("test", 1).row("place", place);
            let mut made = Made {
                key: Digest::of(""),
                age: 1 + random.below(2000) as u64,
                inputs: Vec::new(),
                blobs: BTreeSet::new(),
                root: random.below(8) == 0,
            };
            for number in 0..random.below(4).min(place) {
                let input = random.below(place);
                let row = [format!("{}", sample.results[input].key), format!("{} tree", sample.results[input].key)];
                key = key.row(format!("input {number}"), &row[random.below(2)]);
                made.inputs.push(input);
            }
            for number in 0..random.below(3) {
                let (digest, _) = content(&mut batch, random);
                key = key.row(format!("source {number}"), format!("whole {digest}"));
                made.blobs.insert(digest);
            }
            // A file of the project, which no store holds.
            key = key.row("overlay", format!("folder {}", Digest::of(format!("local {place}"))));
            let mut outputs = BTreeMap::new();
            for number in 0..1 + random.below(3) {
                let (digest, size) = content(&mut batch, random);
                outputs.insert(format!("file {number}"), Output::Blob { digest, size });
                made.blobs.insert(digest);
            }
            let mut tree = Tree::new();
            for number in 0..random.below(4) {
                let (digest, size) = content(&mut batch, random);
                tree.insert(TreePath::new(&format!("file {number}")).unwrap(), Entry::file(digest, size, 0o644));
                made.blobs.insert(digest);
            }
            if !tree.entries.is_empty() {
                tree.insert(TreePath::new("local").unwrap(), Entry::file(Digest::of("in the project"), 1, 0o644));
                let mut bytes = Vec::new();
                tree.encode(&mut bytes).unwrap();
                let (digest, _) = batch.add(bytes.as_slice()).unwrap();
                outputs.insert("tree".to_owned(), Output::Tree { digest });
                made.blobs.insert(digest);
            }
            made.key = key.digest();
            if made.root {
                outputs.insert("root".to_owned(), Output::Root);
                let top = store.root_path(&made.key);
                fs::create_dir_all(top.join("usr/bin")).unwrap();
                fs::write(top.join("usr/bin/tool"), format!("{place}")).unwrap();
                store.seal_root(&top, &made.key).unwrap();
            }
            fs::write(store.log_path(&made.key), format!("log {place}")).unwrap();
            records.push(StepResult { label: format!("label {}", place % 5), key, outputs, seconds: 0.0 });
            sample.results.push(made);
        }
        // Fetched, and not used by anything yet.
        for _ in 0..count / 4 {
            let (digest, _) = content(&mut batch, random);
            sample.blobs.insert(digest, random.below(2000) as u64);
        }
        batch.commit().unwrap();
        records.iter().for_each(|record| store.record(record).unwrap());
        sample.set_ages();
        sample
    }

    /// Another store with the same content: creating one waits for the disk again and again.
    fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = command("cp");
        copy.arg("-a").arg(self.folder.path().join(".")).arg(folder.path());
        assert!(copy.status().unwrap().success());
        Self { folder, results: self.results.clone(), blobs: self.blobs.clone() }
    }

    fn set_ages(&mut self) {
        for made in &self.results {
            for blob in &made.blobs {
                let age = self.blobs.entry(*blob).or_insert(made.age);
                *age = made.age.max(*age);
            }
        }
        let folder = self.folder.path();
        for made in &self.results {
            set_age(&sharded(folder, "steps", &format!("{}.json", made.key)), made.age);
            set_age(&folder.join(format!("logs/{}.log", made.key)), made.age);
            if made.root {
                set_age(&folder.join(format!("seals/{}.files", made.key)), made.age);
            }
        }
        for (digest, age) in &self.blobs {
            set_age(&sharded(folder, "blobs", &digest.to_string()), *age);
        }
    }

    /// Leftovers of builds.
    fn litter(&self, random: &mut Random) {
        let folder = self.folder.path();
        fs::create_dir_all(folder.join("damaged/toolchain-root-x/usr")).unwrap();
        for name in ["damaged/toolchain-root-x/usr/file", "damaged/blob-y", "locks/old", ".dbco-half", "tmp/alone"] {
            fs::write(folder.join(name), "litter").unwrap();
        }
        let (name, partial) = (format!("{}", Digest::of("partial")), random.below(2000) as u64);
        fs::write(folder.join("partial").join(&name), "part of it").unwrap();
        set_age(&folder.join("partial").join(&name), partial);
    }

    /// Hours since the last use of a result or of one that was made from it.
    fn last_use(&self, place: usize) -> u64 {
        let users = (place + 1..self.results.len()).filter(|user| self.results[*user].inputs.contains(&place));
        users.map(|user| self.last_use(user)).fold(self.results[place].age, u64::min)
    }

    /// A result with everything that it was made from.
    fn closure(&self, place: usize, found: &mut BTreeSet<usize>) {
        if found.insert(place) {
            self.results[place].inputs.iter().for_each(|input| self.closure(*input, found));
        }
    }

    fn open(&self, sharing: Sharing) -> Store {
        // A child process started by another test has a copy of the lock that was just released, until its exec:
        // flock(2). So this may wait for a moment.
        Store::open_as(self.folder.path(), sharing, &|| {}).unwrap()
    }

    /// The indexes of the existing results. Each of them is complete.
    fn check(&self) -> BTreeSet<usize> {
        let store = self.open(Sharing::Builds);
        let mut there = BTreeSet::new();
        for (place, made) in self.results.iter().enumerate() {
            if !sharded(self.folder.path(), "steps", &format!("{}.json", made.key)).exists() {
                continue;
            }
            there.insert(place);
            assert!(store.result(&made.key).unwrap().is_some(), "a result that stays has all that it names");
            for blob in &made.blobs {
                assert!(store.has_blob(blob), "{blob} is named by a result");
            }
            assert_eq!(store.root_path(&made.key).exists(), made.root);
            assert!(store.log_path(&made.key).exists());
        }
        for place in &there {
            for input in &self.results[*place].inputs {
                assert!(there.contains(input), "what a result was made from stays with it");
            }
        }
        store.verify(&store.contents().unwrap(), &|_| {}).unwrap();
        assert_eq!(store.damages(), Vec::new());
        there
    }

    fn blobs_there(&self) -> BTreeSet<Digest> {
        let store = self.open(Sharing::Builds);
        self.blobs.keys().filter(|blob| store.has_blob(blob)).copied().collect()
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => size(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}

#[test]
fn by_age_exactly_what_was_not_used_goes() {
    let mut random = Random(1);
    let samples = [6, 15, 30].map(|count| Sample::new(&mut random, count));
    for sample in samples.iter().cycle().take(15).map(Sample::copy) {
        let count = sample.results.len();
        sample.litter(&mut random);
        let age = [0, 200, 700, 1500, 5000][random.below(5)];
        let mut policy = Policy { unused_for: Some(Duration::from_secs(age * HOUR)), ..Policy::default() };
        let mut kept = BTreeSet::new();
        for _ in 0..random.below(3) {
            let place = random.below(count);
            policy.kept.steps.insert(sample.results[place].key);
            sample.closure(place, &mut kept);
        }
        // A source that is kept although nothing was made from it.
        let spared = sample.blobs.keys().nth(random.below(sample.blobs.len())).copied().unwrap();
        policy.kept.blobs.extend([spared, Digest::of("elsewhere")]);
        let store = sample.open(Sharing::Alone);
        // Opening it removes what no process uses any more.
        let before = size(sample.folder.path());
        let garbage = store.garbage(&policy).unwrap();
        assert_eq!(size(sample.folder.path()), before, "to look changes nothing");
        store.remove(&garbage, &|_| {}).unwrap();
        drop(store);
        let want: BTreeSet<usize> =
            (0..count).filter(|place| kept.contains(place) || sample.last_use(*place) < age).collect();
        assert_eq!(sample.check(), want);
        let named: BTreeSet<Digest> = want.iter().flat_map(|place| sample.results[*place].blobs.clone()).collect();
        for (blob, came) in &sample.blobs {
            let stays = named.contains(blob) || *blob == spared || *came < age;
            assert_eq!(sample.blobs_there().contains(blob), stays, "{blob}");
        }
        let folder = sample.folder.path();
        for gone in ["damaged", "locks", "tmp"] {
            assert_eq!(fs::read_dir(folder.join(gone)).unwrap().count(), 0, "{gone}");
        }
        assert!(!folder.join(".dbco-half").exists());
        // Apart from what verify and the checks have left in the folder of locks, nothing is found a second time.
        let store = sample.open(Sharing::Alone);
        let again = store.garbage(&policy).unwrap();
        assert_eq!(again.by_kind().keys().filter(|kind| **kind != ObjectKind::Leftover).count(), 0);
    }
}

#[test]
fn by_size_what_was_used_longest_ago_goes_until_it_fits() {
    let mut random = Random(2);
    let samples = [10, 30].map(|count| Sample::new(&mut random, count));
    for sample in samples.iter().cycle().take(16).map(Sample::copy) {
        let count = sample.results.len();
        let all = size(sample.folder.path());
        let most = all * random.below(100) as u64 / 100;
        let mut policy = Policy { max_size: Some(most), ..Policy::default() };
        let mut kept = BTreeSet::new();
        if random.below(2) == 0 {
            let place = random.below(count);
            policy.kept.steps.insert(sample.results[place].key);
            sample.closure(place, &mut kept);
        }
        let store = sample.open(Sharing::Alone);
        let garbage = store.garbage(&policy).unwrap();
        store.remove(&garbage, &|_| {}).unwrap();
        drop(store);
        let there = sample.check();
        assert!(kept.is_subset(&there));
        assert!(garbage.stays().bytes <= most || there == kept, "{} of {most}", garbage.stays().bytes);
        let oldest = there.difference(&kept).map(|place| sample.last_use(*place)).max().unwrap_or(0);
        for gone in (0..count).filter(|place| !there.contains(place)) {
            assert!(sample.last_use(gone) >= oldest, "an older one stayed");
        }
        // No more than that: with the last removed one it would not fit.
        if most > all / 2 {
            assert!(garbage.total().bytes < all, "something stays");
        }
    }
}

/// Starts `dbco cache gc` on a store.
fn gc(store: &Path, arguments: &[&str]) -> Child {
    command(env!("CARGO_BIN_EXE_dbco"))
        .args(["cache", "gc", "--store"])
        .arg(store)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_any_moment_it_leaves_what_is_complete() {
    let mut random = Random(3);
    let mut cut_off = 0;
    let made = Sample::new(&mut random, 20);
    for round in 0..10 {
        let sample = made.copy();
        sample.litter(&mut random);
        let first = sharded(sample.folder.path(), "steps", &format!("{}.json", sample.results[0].key));
        let mut child = gc(sample.folder.path(), &["--older-than", "0d"]);
        if round % 2 == 0 {
            // Until it has started to remove.
            while first.exists() && child.try_wait().unwrap().is_none() {}
        }
        for _ in 0..random.below(4_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        cut_off += usize::from(!first.exists() && size(&sample.folder.path().join("blobs")) > 0);
        sample.check();
        assert!(gc(sample.folder.path(), &["--older-than", "0d"]).wait().unwrap().success());
        assert_eq!(sample.check(), BTreeSet::new());
        assert_eq!(size(&sample.folder.path().join("blobs")), 0);
    }
    assert!(cut_off > 0, "at least one was cut off");
}

#[test]
fn what_is_in_use_is_waited_for() {
    let mut random = Random(4);
    let sample = Sample::new(&mut random, 10);
    let build = sample.open(Sharing::Builds);
    let other = sample.open(Sharing::Builds);
    let mut child = command(env!("CARGO_BIN_EXE_dbco"))
        .args(["cache", "gc", "--older-than", "0d", "--store"])
        .arg(sample.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut err, &mut said).unwrap();
    assert!(said.contains("waiting"), "{said}");
    // A clone shares the opening: it ends with the last one.
    let clone = build.clone();
    drop((build, other));
    assert!(child.try_wait().unwrap().is_none());
    assert_eq!(sample.check().len(), 10);
    drop(clone);
    assert!(child.wait().unwrap().success());
    assert_eq!(sample.check(), BTreeSet::new());
}

/// A project with a component that is built, in the initrd.
fn project() -> Project {
    let project = Project::new();
    let install = "mkdir -p \"$OUT/system/bin\"; cp tool \"$OUT/system/bin/\"";
    host::add_tool(&project, &format!("source: {{path: ../sources/tool}}\ninstall: {install}\n"));
    project.write("sources/tool/tool", "#!/system/bin/sh\necho the tool\n".repeat(1000));
    project
}

const BUILD: [&str; 3] = ["build", "--offline", "small.yaml"];

#[test]
fn edits_that_are_no_longer_used_go_and_what_a_recipe_uses_stays() {
    let project = project();
    let store = || size(&project.path("store"));
    project.write("overlay/usr/share/large", vec![7; 3_000_000]);
    project.dbco(&BUILD).ends(0);
    let first = store();
    for edit in 0..5 {
        project.write("overlay/system/etc/motd", format!("edit {edit}\n"));
        project.dbco(&BUILD).ends(0);
    }
    assert!(store() > first + 4 * 3_000_000);
    let before = store();
    let dry = project.dbco(&["cache", "gc", "--keep", ".", "--dry-run"]).ends(0);
    assert!(dry.out.contains("would be removed") && dry.out.contains("step results"), "{}", dry.out);
    assert_eq!(store(), before);
    let ran = project.dbco(&["--json", "cache", "gc", "--keep", "small.yaml"]).ends(0);
    let value: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(value["event"], "collected");
    // Each edit gave three results: the rootfs, the initramfs and the initrd. A boot needs no other.
    assert_eq!(value["removed"]["step-result"]["count"], 15);
    assert!(store() < first + 100_000, "{} {first}", store());
    project.dbco(&["cache", "verify"]).ends(0);
    let again = project.dbco(&BUILD).ends(0);
    assert!(again.out.contains("nothing to do"), "{}", again.out);
    // And a further edit finds the component and its toolchain.
    project.write("overlay/system/etc/motd", "after\n");
    project.dbco(&BUILD).ends(0).never_says("component tool").never_says("toolchain host");
    // Nothing is older than a month, and everything is unused.
    let ran = project.dbco(&["cache", "gc"]).ends(0);
    assert!(!ran.out.contains("step result"), "{}", ran.out);
    project.dbco(&["cache", "gc", "--older-than", "0d"]).ends(0);
    assert!(store() < 10_000, "{}", store());
    // What can't be determined is an error before anything is removed.
    project.write("broken/broken.yaml", "recipe: broken\n");
    project.dbco(&["cache", "gc", "--keep", "broken"]).ends(2).says(&["broken.yaml"]);
    project.dbco(&["cache", "gc", "--keep", "overlay"]).ends(2).says(&["no image recipe"]);
    project.dbco(&["cache", "gc", "--keep", "gone.yaml"]).ends(2);
}

/// How many files are in the folders of a folder, which may go meanwhile.
fn in_shards(folder: &Path) -> u64 {
    let shards = fs::read_dir(folder).unwrap().map(|shard| fs::read_dir(shard.unwrap().path()));
    shards.flatten().map(|shard| shard.count() as u64).sum()
}

/// Ends the thread that looks at it, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn builds_beside_it_give_the_right_bytes() {
    let project = project();
    project.dbco(&BUILD).ends(0);
    let all = in_shards(&project.path("store/steps"));
    assert!(all > 0);
    let sums = |motd: &str| {
        project.write("overlay/system/etc/motd", motd);
        project.dbco(&BUILD).ends(0).never_says("damaged");
        project.read("out/small/SHA256SUMS")
    };
    let want = [sums("one\n"), sums("two\n")];
    // The package stays, as it could not be fetched again; everything built is removed, again and again.
    let lock = project.read("dbco.lock");
    let package = lock.split("sha256: ").last().unwrap().lines().next().unwrap().parse().unwrap();
    let kept = KeptObjects { blobs: BTreeSet::from([package]), ..KeptObjects::default() };
    let policy = Policy { unused_for: Some(Duration::ZERO), kept, ..Policy::default() };
    let folder = project.path("store");
    let results = || in_shards(&folder.join("steps"));
    let before = results();
    let (stop, (removed, rounds)) = (AtomicBool::new(false), channel());
    std::thread::scope(|scope| {
        let _end = Stop(&stop);
        scope.spawn(|| {
            // As soon as a build has made something; it is waited for, and the next one waits.
            while !stop.load(Ordering::Relaxed) {
                if results() == 0 {
                    std::thread::park_timeout(Duration::from_millis(5));
                    continue;
                }
                let store = Store::open_as(&folder, Sharing::Alone, &|| {}).unwrap();
                let garbage = store.garbage(&policy).unwrap();
                store.remove(&garbage, &|_| {}).unwrap();
                removed.send(garbage.by_kind()[&ObjectKind::Result].count).unwrap();
            }
        });
        let next = || rounds.recv_timeout(Duration::from_secs(120)).unwrap();
        assert_eq!(next(), before);
        for round in 0..6 {
            assert_eq!(sums(["one\n", "two\n"][round % 2]), want[round % 2]);
            assert_eq!(next(), all, "the build began anew, and all that it made has gone");
        }
    });
}
