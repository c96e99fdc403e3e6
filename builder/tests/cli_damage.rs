//! A store whose content does not match its names: the next build gives the right bytes, and reports it.

mod project;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dbco::digest::Digest;
use dbco::process::command;
use project::{Project, Ran, host};

const BUILD: [&str; 3] = ["build", "--offline", "small.yaml"];

/// What can happen to a file, by name. `other` is an intact object of the same kind.
type Damage = (&'static str, fn(path: &Path, other: &Path));

const DAMAGES: [Damage; 8] = [
    ("flipped", |path, _| {
        // As inconspicuously as a user can do it: length, mode and time stay.
        let metadata = fs::metadata(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
        fs::set_permissions(path, metadata.permissions()).unwrap();
    }),
    ("cut", |path, _| {
        let bytes = fs::read(path).unwrap();
        replace(path, |path| fs::write(path, &bytes[..bytes.len() - 1]).unwrap());
    }),
    ("emptied", |path, _| replace(path, |path| fs::write(path, "").unwrap())),
    ("longer", |path, _| {
        let mut bytes = fs::read(path).unwrap();
        bytes.push(0);
        replace(path, |path| fs::write(path, &bytes).unwrap());
    }),
    ("another's", |path, other| {
        replace(path, |path| {
            fs::copy(other, path).unwrap();
        });
    }),
    ("removed", |path, _| fs::remove_file(path).unwrap()),
    ("a folder", |path, _| replace(path, |path| fs::create_dir(path).unwrap())),
    ("a link", |path, _| {
        let elsewhere = path.with_extension("elsewhere");
        fs::rename(path, &elsewhere).unwrap();
        symlink(elsewhere, path).unwrap();
    }),
];

fn replace(path: &Path, with: impl Fn(&Path)) {
    fs::remove_file(path).unwrap();
    with(path);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

/// A project whose initrd has files of a component, which is built by a toolchain of this host's programs.
fn project() -> Project {
    let project = Project::new();
    project.edit("small.yaml", "{build: none,", "{build: host,");
    host::provide(&project);
    project.edit("small.yaml", "  overlays: [overlay]", "  overlays: [overlay]\n  components: [tool]");
    project.write(
        "components/tool.yaml",
        "component: tool\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/tool}\n\
         install: mkdir -p \"$OUT/system/bin\"; cp tool \"$OUT/system/bin/\"; cp more \"$OUT/system/bin/\"\n",
    );
    project.write("sources/tool/tool", "#!/system/bin/sh\necho the tool\n");
    project.write("sources/tool/more", "more of the tool\n".repeat(100));
    project
}

/// A project that was built, and its expected outputs after one more file is in its overlay.
struct Built {
    project: Project,
    want: String,
}

impl Built {
    fn new() -> Self {
        let project = project();
        project.dbco(&BUILD).ends(0);
        command("cp").args(["-a", "store", "pristine"]).current_dir(project.path("")).status().unwrap();
        project.write("overlay/system/etc/more", "more");
        project.dbco(&BUILD).ends(0);
        let want = project.read("out/small/SHA256SUMS");
        Self { project, want }
    }

    /// The store as it was after the first build.
    fn restore(&self) {
        let script = "chmod -R u+w store; rm -rf store; cp -a pristine store; rm -rf out";
        assert!(command("sh").args(["-c", script]).current_dir(self.project.path("")).status().unwrap().success());
    }

    /// The objects of the store that are made here: all but the package, which would have to be fetched.
    fn objects(&self) -> Vec<PathBuf> {
        let lock = self.project.read("dbco.lock");
        let made = |path: &PathBuf| !lock.contains(path.file_name().unwrap().to_str().unwrap());
        ["blobs", "steps", "roots", "seals"]
            .iter()
            .flat_map(|folder| files(&self.project.path(&format!("store/{folder}"))))
            .filter(|path| made(path))
            .collect()
    }

    #[track_caller]
    fn gives_the_right_bytes(&self, what: &str) -> Ran {
        let ran = self.project.dbco(&BUILD).ends(0);
        assert_eq!(self.project.read("out/small/SHA256SUMS"), self.want, "{what}: {}", ran.err);
        let mut check = command("sha256sum");
        check.args(["--check", "--quiet", "SHA256SUMS"]).current_dir(self.project.path("out/small"));
        assert!(check.status().unwrap().success(), "{what}");
        ran
    }
}

#[test]
fn each_damaged_object_is_made_again_where_it_is_needed() {
    let built = Built::new();
    built.restore();
    let count = built.objects().len();
    assert!(count > 15, "{count}");
    for index in 0..count {
        built.restore();
        let objects = built.objects();
        let object = &objects[index];
        let other = &objects[if index == 0 { 1 } else { index - 1 }];
        let (name, damage) = DAMAGES[index % DAMAGES.len()];
        damage(object, other);
        let what = format!("{} {name}", object.display());
        built.gives_the_right_bytes(&what);
        let again = built.project.dbco(&BUILD).ends(0);
        assert!(again.out.contains("nothing to do"), "{what}: {}", again.out);
        again.never_says("damaged");
    }
}

#[test]
fn a_store_that_is_all_damaged_is_made_again() {
    let built = Built::new();
    for (name, damage) in DAMAGES {
        built.restore();
        let objects = built.objects();
        let other = built.project.path("other");
        fs::write(&other, "something else").unwrap();
        objects.iter().for_each(|object| damage(object, &other));
        let ran = built.gives_the_right_bytes(name);
        if name != "removed" {
            ran.says(&["is damaged (", "/store/damaged/", "rebuilt or fetched again"]);
        }
        built.project.dbco(&BUILD).ends(0).never_says("damaged");
    }
}

#[test]
fn a_build_that_does_nothing_still_sees_that_its_outputs_blobs_are_damaged() {
    let built = Built::new();
    let initrd = Digest::of_file(&built.project.path("out/small/initrd.img")).unwrap().0.to_string();
    let blob = built.project.path(&format!("store/blobs/{}/{initrd}", &initrd[..2]));
    let other = built.project.path("out/small/grub.cfg");
    for (name, damage) in DAMAGES {
        damage(&blob, &other);
        built.gives_the_right_bytes(name).says(&["is damaged ("]);
        assert_eq!(Digest::of_file(&blob).unwrap().0.to_string(), initrd, "{name}");
        assert!(fs::symlink_metadata(&blob).unwrap().is_file());
    }
}

#[test]
fn a_damaged_package_is_fetched_again_and_named_where_that_is_not_possible() {
    let built = Built::new();
    built.restore();
    let lock = built.project.read("dbco.lock");
    let digest = lock.split("sha256: ").last().unwrap().lines().next().unwrap().to_owned();
    let blob = built.project.path(&format!("store/blobs/{}/{digest}", &digest[..2]));
    let package = fs::read(&blob).unwrap();
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, &package[1..]).unwrap();
    // Nothing needs it.
    built.gives_the_right_bytes("a package").never_says("damaged");
    // Now it is needed, and there is no network.
    fs::remove_dir_all(built.project.path("store/steps")).unwrap();
    fs::remove_dir_all(built.project.path("store/roots")).unwrap();
    let ran = built.project.dbco(&BUILD).ends(1);
    ran.says(&[&format!("the store's blob {} is damaged", &digest[..12]), "store/damaged/blob-", "tools"]);
    assert_eq!(fs::read(built.project.path(&format!("store/damaged/blob-{digest}"))).unwrap(), &package[1..]);
    fs::write(&blob, &package).unwrap();
    built.gives_the_right_bytes("the package is there again").never_says("damaged");
}

#[test]
fn verify_finds_each_damaged_object_and_the_next_build_mends_it() {
    let built = Built::new();
    built.restore();
    let ran = built.project.dbco(&["cache", "verify"]).ends(0);
    assert!(ran.out.contains(": 0 damaged"), "{}", ran.out);
    let count = built.objects().len();
    for (index, (name, damage)) in (0..count).step_by(4).zip(DAMAGES.iter().cycle()) {
        built.restore();
        let objects = built.objects();
        let (object, other) = (&objects[index], &objects[(index + 1) % count]);
        damage(object, other);
        let what = format!("{} {name}", object.display());
        let ran = built.project.dbco(&["--json", "cache", "verify"]);
        // Only what something else refers to, or is found by its path, can be missed.
        if *name != "removed" {
            assert_eq!(ran.code, Some(1), "{what}: {} {}", ran.out, ran.err);
            assert!(ran.out.contains("\"event\":\"verified\"") && ran.out.contains("/damaged/"), "{what}: {}", ran.out);
        }
        built.project.dbco(&["cache", "verify"]).ends(0);
        built.gives_the_right_bytes(&what);
    }
}

#[test]
fn fetch_finds_a_damaged_source_and_fetches_it_again() {
    let project = Project::new();
    let content = "not much of an archive".repeat(100);
    project.write("mirror/kernel.tar", &content);
    let url = format!("file://{}", project.path("mirror/kernel.tar").display());
    project.edit("components/kernel.yaml", "{path: ../sources/kernel}", &format!("{{url: '{url}'}}"));
    project.edit("small.yaml", "[initrd, grub-cfg]", "[bzimage]");
    project.dbco(&["lock", "small.yaml"]).ends(0);
    let digest = Digest::of(&content).to_string();
    let blob = project.path(&format!("store/blobs/{}/{digest}", &digest[..2]));
    let fetch = || project.dbco(&["fetch", "small.yaml"]).ends(0);
    fetch().says(&["fetched 0 files (0 B), 1 already present"]).never_says("damaged");
    for (name, damage) in DAMAGES {
        damage(&blob, &project.path("small.yaml"));
        let ran = fetch().says(&["fetched 1 file"]);
        assert_eq!(name != "removed", ran.err.contains("is damaged ("), "{name}: {}", ran.err);
        assert_eq!(fs::read_to_string(&blob).unwrap(), content, "{name}");
    }
    fetch().says(&["0 files"]).never_says("damaged");
    // Creating a new lock reads what its `url` pins, too.
    project.edit("components/kernel.yaml", &format!("'{url}'"), &format!("'{url}', sha256: {digest}"));
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "damaged").unwrap();
    project.dbco(&["lock", "small.yaml"]).ends(0);
    assert_eq!(fs::read_to_string(&blob).unwrap(), content);
}
