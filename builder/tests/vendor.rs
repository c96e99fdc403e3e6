//! Vendored sources: a project with each kind of source is vendored, and built from the copy without a network.

mod project;
mod servers;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dbco::digest::Digest;
use dbco::process::Run;
use project::{Project, Ran, host};
use servers::Server;

/// The paths of the tool's parts in the sandbox of its build, each a named output: from git, a submodule and a crate.
const COMPONENT: &str = "\
component: tool
version: '1'
license: MIT
source: {git: {url: 'GIT', commit: COMMIT, submodules: true}}
cargo: {lock: ../Cargo.lock}
files:
  main: main.c
  sub: libs/sub/sub.c
  leaf: ../crates/leaf-1.0.0/src/lib.rs
  patch: data.txt
patches: [{url: 'URL', sha256: SUM}]
";

const PATCH: &str = "--- /dev/null\n+++ b/data.txt\n@@ -0,0 +1 @@\n+patched\n";

struct Sources {
    project: Project,
    /// The digests of the package, the crate and the patch.
    deb: Digest,
    leaf: Digest,
    patch: Digest,
    _server: Server,
}

fn git(folder: &Path, arguments: &[&str]) {
    Run::new("git")
        .args(["-C", folder.to_str().unwrap(), "-c", "user.name=T", "-c", "user.email=t@mirror.example"])
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .run()
        .unwrap();
}

impl Sources {
    fn new() -> Self {
        let layout = "layout: split\n  components: [tool]\n  debian: {suite: bookworm}\n  packages: [hello]";
        let project = Project::with("layout: split", layout);
        let deb = host::deb(
            "Package: hello\nVersion: 1-1\nArchitecture: amd64\nMaintainer: T <t@mirror.example>\nDescription: says hello\n",
            &[("./usr/share/hello", b"hello\n")],
        );
        host::provide_packages(&project, &[("hello", "1-1", deb.clone())]);
        // For patch(1).
        project.edit("small.yaml", "{build: none,", "{build: host,");
        host::provide(&project);
        let (sub, main) = (project.path("git/sub"), project.path("git/main"));
        let head = |folder: &Path| fs::read_to_string(folder.join(".git/refs/heads/main")).unwrap().trim().to_owned();
        for (folder, file) in [(&sub, "sub.c"), (&main, "main.c")] {
            fs::create_dir_all(folder).unwrap();
            git(folder, &["init", "--quiet"]);
            fs::write(folder.join(file), format!("/* {file} */\n")).unwrap();
        }
        git(&sub, &["add", "--all"]);
        git(&sub, &["commit", "--quiet", "--message=one"]);
        git(&main, &["submodule", "--quiet", "add", &format!("file://{}", sub.display()), "libs/sub"]);
        git(&main, &["add", "--all"]);
        git(&main, &["commit", "--quiet", "--message=one"]);
        let server = Server::start();
        let url = server.file("data.patch", PATCH);
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, text) in
            [("Cargo.toml", "[package]\nname = \"leaf\"\nversion = \"1.0.0\"\n"), ("src/lib.rs", "// leaf\n")]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("leaf-1.0.0/{name}"), text.as_bytes()).unwrap();
        }
        let leaf = archive.into_inner().unwrap().finish().unwrap();
        // How cargo fetches it is tested in cli_crates.rs.
        let store = dbco::store::Store::open(&project.path("store")).unwrap();
        store.add_bytes(&leaf).unwrap();
        let (deb, leaf, patch) = (Digest::of(&deb), Digest::of(&leaf), Digest::of(PATCH));
        project.write(
            "Cargo.lock",
            format!("version = 4\n[[package]]\nname = \"leaf\"\nversion = \"1.0.0\"\nsource = \"registry+r\"\nchecksum = \"{leaf}\"\n"),
        );
        let component = COMPONENT
            .replace("GIT", &format!("file://{}", main.display()))
            .replace("COMMIT", &head(&main))
            .replace("URL", &url)
            .replace("SUM", &patch.to_string());
        project.write("components/tool.yaml", component);
        project.dbco(&["lock", "small.yaml"]).ends(0);
        Self { project, deb, leaf, patch, _server: server }
    }

    fn vendor(&self, more: &[&str]) -> Ran {
        self.project.dbco(&[&["vendor", "small.yaml"], more].concat())
    }

    fn content(&self, digest: &Digest) -> PathBuf {
        self.project.path(&format!("vendor/{}", dbco::source::content_path(digest)))
    }

    /// Builds in a copy of the project's own files, with an empty home, an empty store and no network but its own.
    fn build_elsewhere(&self, place: &str, then: &str) -> Ran {
        let vendored = self.project.path(place);
        fs::remove_dir_all(self.project.path("elsewhere")).ok();
        // The repositories are out of reach, too.
        self.project.unshared(&format!(
            "mkdir elsewhere elsewhere/home; cp -r *.yaml dbco.lock Cargo.lock components toolchains kernel-config patches sources \
             overlay early elsewhere; cd elsewhere; mount -t tmpfs none ../git\n\
             HOME=$PWD/home; export HOME; unset DBCO_STORE\n\
             unshare --net $DBCO build small.yaml --only initrd --vendor {} {then}",
            vendored.display()
        ))
    }
}

#[test]
fn a_fresh_copy_of_the_project_builds_from_a_folder_or_an_archive_without_network_and_home() {
    let sources = Sources::new();
    sources.vendor(&["-o", "vendor"]).ends(0);
    sources.vendor(&["-o", "vendor.tar"]).ends(0);
    sources.vendor(&["-o", "vendor.tar.zst"]).ends(0);
    sources.project.dbco(&["build", "small.yaml", "--only", "initrd"]).ends(0);
    let expected = fs::read(sources.project.path("out/small/initrd.img")).unwrap();
    for place in ["vendor", "vendor.tar", "vendor.tar.zst"] {
        sources.build_elsewhere(place, "--offline").ends(0).says(&["component tool: done"]);
        assert!(fs::read(sources.project.path("elsewhere/out/small/initrd.img")).unwrap() == expected, "{place}");
    }
    sources.project.dbco(&["vendor", "--verify", "vendor", "small.yaml"]).ends(0);
    sources.project.dbco(&["vendor", "--verify", "vendor.tar.zst", "small.yaml"]).ends(0);
}

#[test]
fn an_http_server_of_the_folder_is_a_mirror() {
    let sources = Sources::new();
    sources.vendor(&["-o", "vendor"]).ends(0);
    let server = Server::start();
    let tools: Digest =
        sources.project.read("dbco.lock").split("name: tools").nth(1).unwrap().split("sha256: ").nth(1).unwrap()[..64]
            .parse()
            .unwrap();
    for digest in [&sources.deb, &sources.leaf, &sources.patch, &tools] {
        server.file(&format!("v/{}", dbco::source::content_path(digest)), fs::read(sources.content(digest)).unwrap());
    }
    let url = format!("{}/v/", server.url);
    let fetch = || sources.project.dbco_with(&[("DBCO_STORE", "empty")], &["fetch", "small.yaml", "--vendor", &url]);
    // The commit's archive is not there yet.
    fetch().ends(1).says(&["main-", "does not have it: add it there with `dbco vendor`"]);
    let lock = sources.project.read("dbco.lock");
    let name = lock.lines().find(|line| line.contains("name: main-")).unwrap();
    let digest: Digest = lock.split(name).nth(1).unwrap().split("sha256: ").nth(1).unwrap()[..64].parse().unwrap();
    server.file(&format!("v/{}", dbco::source::content_path(&digest)), fs::read(sources.content(&digest)).unwrap());
    fetch().ends(0).says(&["fetched 2 files", "3 already present"]);
    let offline = ["build", "small.yaml", "--offline", "--vendor", &url, "--only", "initrd"];
    sources.project.dbco_with(&[("DBCO_STORE", "other")], &offline).ends(2).says(&["--offline: the files of --vendor"]);
}

#[test]
fn a_file_that_is_damaged_or_missing_is_named_with_what_locked_it() {
    let sources = Sources::new();
    sources.vendor(&["-o", "vendor"]).ends(0);
    let [deb, leaf] = [&sources.deb, &sources.leaf].map(|digest| sources.content(digest));
    let mut bytes = fs::read(&deb).unwrap();
    bytes[100] ^= 1;
    fs::write(&deb, &bytes).unwrap();
    fs::remove_file(&leaf).unwrap();
    let names = [
        format!("{} is damaged: its {} bytes have sha256 ", dbco::source::content_path(&sources.deb), bytes.len()),
        "hello 1-1, locked for hello of Debian bookworm".to_owned(),
    ];
    let names = names.each_ref().map(String::as_str);
    sources.build_elsewhere("vendor", "").ends(1).says(&names);
    let crates = format!("{} is missing: leaf-1.0.0.crate, locked for ", dbco::source::content_path(&sources.leaf));
    let fetch = ["fetch", "small.yaml", "--vendor", "vendor"];
    let ran = sources.project.dbco_with(&[("DBCO_STORE", "empty")], &fetch).ends(1).says(&names[..1]);
    drop(ran);
    let ran = sources.project.dbco(&["vendor", "--verify", "vendor", "--all", "small.yaml"]).ends(1);
    ran.says(&names).says(&[&crates]);
    // The next run mends both, from the store.
    sources.vendor(&["-o", "vendor"]).ends(0).says(&["was damaged, and was replaced"]);
    sources.project.dbco(&["vendor", "--verify", "vendor"]).ends(0);
    // An archive that ends early.
    sources.vendor(&["-o", "vendor.tar"]).ends(0);
    let whole = fs::read(sources.project.path("vendor.tar")).unwrap();
    sources.project.write("cut.tar", &whole[..whole.len() / 2]);
    let cut = ["fetch", "small.yaml", "--vendor", "cut.tar"];
    sources.project.dbco_with(&[("DBCO_STORE", "empty")], &cut).ends(1).says(&["--vendor cut.tar: "]);
}

#[test]
fn a_second_run_adds_what_is_new_and_prune_removes_what_no_lock_names() {
    let sources = Sources::new();
    let first = sources.vendor(&["-o", "vendor"]).ends(0);
    assert!(first.out.contains("5 files") && first.out.contains("5 added"), "{}", first.out);
    let times = |digest: &Digest| fs::metadata(sources.content(digest)).unwrap().ctime_nsec();
    let before = times(&sources.patch);
    let again = sources.vendor(&["-o", "vendor"]).ends(0);
    assert!(again.out.contains("0 added"), "{}", again.out);
    assert_eq!(times(&sources.patch), before, "nothing is written again");
    // The recipe does without the tool; its sources stay until they are pruned.
    let recipe = sources.project.read("small.yaml").replace("  components: [tool]\n", "");
    sources.project.write("small.yaml", recipe);
    sources.project.dbco(&["lock", "--prune", "small.yaml"]).ends(0);
    sources.vendor(&["-o", "vendor"]).ends(0);
    assert!(sources.content(&sources.leaf).exists());
    let pruned = sources.vendor(&["-o", "vendor", "--prune"]).ends(0);
    assert!(pruned.out.contains("2 files") && pruned.out.contains("3 removed"), "{}", pruned.out);
    assert!(!sources.content(&sources.leaf).exists() && sources.content(&sources.deb).exists());
    sources.project.dbco(&["vendor", "--verify", "vendor", "small.yaml"]).ends(0);
}

#[test]
fn archives_are_the_same_whenever_and_wherever_they_are_made() {
    let sources = Sources::new();
    sources.vendor(&["-o", "one.tar.zst"]).ends(0);
    sources.vendor(&["-o", "vendor"]).ends(0);
    // From another store, which is filled from the folder: no repository and no registry is needed.
    let other = ["vendor", "small.yaml", "-o", "deep/two.tar.zst", "--vendor", "vendor"];
    sources.project.dbco_with(&[("DBCO_STORE", "other")], &other).ends(0);
    let read = |name: &str| fs::read(sources.project.path(name)).unwrap();
    assert!(read("one.tar.zst") == read("deep/two.tar.zst"));
    // GNU tar unpacks it to a folder that is the same as the other.
    let ran = sources
        .project
        .unshared("mkdir t; tar --zstd -xf one.tar.zst -C t; diff -r t vendor && stat -c %h t/debian/pool/hello.deb");
    assert_eq!(ran.ends(0).out, "2\n");
}

#[test]
fn what_the_user_has_is_not_overwritten() {
    let sources = Sources::new();
    sources.project.write("mine/letter.txt", "dear\n");
    sources.vendor(&["-o", "mine"]).ends(2).says(&["it contains `letter.txt` but no Manifest.json"]);
    sources.project.write("mine.tar", "not an archive");
    sources.vendor(&["-o", "mine.tar"]).ends(2).says(&["did not make is there"]);
    assert_eq!(sources.project.read("mine.tar"), "not an archive");
    sources.vendor(&["-o", "x.tar.gz"]).ends(2).says(&["ends in .tar or .tar.zst"]);
    sources
        .project
        .dbco(&["lock", "small.yaml", "--update", "--vendor", "vendor"])
        .ends(2)
        .says(&["run `dbco lock` without it"]);
    sources.project.dbco(&["fetch", "small.yaml", "--vendor", "nowhere"]).ends(0);
    let nowhere = ["fetch", "small.yaml", "--vendor", "nowhere"];
    sources.project.dbco_with(&[("DBCO_STORE", "empty")], &nowhere).ends(1).says(&["--vendor nowhere: No such file"]);
}

/// apt of this host reads the folder as a repository, and takes a package from it.
#[test]
fn apt_uses_the_folder_as_a_repository() {
    let sources = Sources::new();
    sources.vendor(&["-o", "vendor"]).ends(0);
    let script = "mkdir -p apt/etc/preferences.d apt/lists/partial apt/cache/archives/partial; : > apt/status\n\
        echo \"deb [trusted=yes] file:$PWD/vendor ./\" > apt/etc/sources.list\n\
        o=\"-qq -o APT::Sandbox::User=root -o Dir::Etc=$PWD/apt/etc -o Dir::Etc::sourceparts=- -o Dir::State=$PWD/apt -o Dir::State::lists=$PWD/apt/lists \
        -o Dir::State::status=$PWD/apt/status -o Dir::Cache=$PWD/apt/cache -o APT::Architecture=amd64\"\n\
        apt-get $o update >&2; apt-get $o download hello >&2; sha256sum hello_*.deb";
    let ran = sources.project.unshared(script).ends(0);
    assert!(ran.out.starts_with(&sources.deb.to_string()), "{}{}", ran.out, ran.err);
}
