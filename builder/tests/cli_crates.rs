//! Crates of a `Cargo.lock`: fetched by the real cargo from a registry on this machine, and by a cargo that misbehaves.

mod project;
mod servers;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dbco::digest::Digest;
use dbco::process::Run;
use dbco::store::Store;
use project::{Project, Ran};
use servers::{Server, dead_url};

/// A project with a component `tool`, whose `Cargo.lock` names the crates `leaf` and `stem` of a registry.
struct Crates {
    project: Project,
    registry: Server,
    /// The digests of both archives.
    leaf: Digest,
    stem: Digest,
}

const LEAF: &str = "dl/leaf/1.0.0.crate";

/// What the component has to find in the sandbox, though nothing runs there: each is a named output.
const COMPONENT: &str = "\
component: tool
version: '1'
license: MIT
source: {path: ../sources/tool, exclude: [/target]}
cargo: {lock: ../sources/tool/Cargo.lock}
files:
  config: ../.cargo/config.toml
  leaf: ../crates/leaf-1.0.0/src/lib.rs
  leaf-sum: ../crates/leaf-1.0.0/.cargo-checksum.json
  stem: ../crates/stem-1.0.0+b.1/Cargo.toml
";

impl Crates {
    fn new() -> Self {
        let (project, registry) =
            (Project::with("layout: split", "layout: split\n  components: [tool]"), Server::start());
        registry.file("index/config.json", format!("{{\"dl\": \"{}/dl/{{crate}}/{{version}}.crate\"}}", registry.url));
        let leaf = publish(&registry, "leaf", "1.0.0", "");
        let stem = publish(&registry, "stem", "1.0.0+b.1", "leaf");
        project.write("components/tool.yaml", COMPONENT);
        let tool =
            "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nstem = \"1\"\n";
        project.write("sources/tool/Cargo.toml", tool);
        project.write("sources/tool/src/main.rs", "fn main() {}\n");
        let crates = Self { project, registry, leaf, stem };
        crates.use_registry(&crates.registry.url);
        Run::new(real_cargo())
            .args(["generate-lockfile", "--manifest-path"])
            .args([crates.project.path("sources/tool/Cargo.toml")])
            .env("PATH", real_path())
            .env("CARGO_HOME", crates.project.path("home/.cargo"))
            .cwd(&crates.project.path(""))
            .run()
            .unwrap_or_else(|error| panic!("{error:?}"));
        crates
    }

    /// The user's configuration replaces cargo's own registry by this one.
    fn use_registry(&self, url: &str) {
        let config = format!(
            "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nregistry = \"sparse+{url}/index/\"\n[net]\nretry = 0\n"
        );
        self.project.write("home/.cargo/config.toml", config);
    }

    fn fetch(&self) -> Ran {
        self.project.dbco_with(&[("PATH", &real_path())], &["fetch", "small.yaml"])
    }

    /// Fetches with a shell script in place of cargo; it finds its home in `$CARGO_HOME`.
    fn fetch_by(&self, script: &str) -> Ran {
        self.project.write("bin/cargo", format!("#!/bin/sh\n{script}\n"));
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.project.path("bin/cargo"), executable).unwrap();
        let path = format!("{}:/usr/bin:/bin", self.project.path("bin").display());
        self.project.dbco_with(&[("PATH", &path)], &["fetch", "small.yaml"])
    }

    fn has(&self, digest: &Digest) -> bool {
        Store::open(&self.project.path("store")).unwrap().has_blob(digest)
    }
}

/// The cargo that runs these tests, not rustup's, which would look for its own home.
fn real_cargo() -> String {
    std::env::var("CARGO").expect("cargo runs these tests")
}

fn real_path() -> String {
    format!("{}:/usr/bin:/bin", Path::new(&real_cargo()).parent().unwrap().display())
}

/// Puts a crate into a registry (<https://doc.rust-lang.org/cargo/reference/registry-index.html>).
fn publish(registry: &Server, name: &str, version: &str, needs: &str) -> Digest {
    let dependencies = if needs.is_empty() { String::new() } else { format!("[dependencies]\n{needs} = \"1\"\n") };
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n{dependencies}");
    let archive = archive(&format!("{name}-{version}"), &manifest);
    let digest = Digest::of(&archive);
    registry.file(&format!("dl/{name}/{version}.crate"), archive);
    let needs: Vec<_> = [needs].into_iter().filter(|needs| !needs.is_empty()).collect();
    let needs: Vec<_> = needs
        .iter()
        .map(|name| {
            serde_json::json!({
                "name": name, "req": "^1", "features": [], "optional": false, "default_features": true,
                "target": null, "kind": "normal",
            })
        })
        .collect();
    let line = serde_json::json!({
        "name": name, "vers": version, "deps": needs, "cksum": digest.to_string(), "features": {}, "yanked": false,
    });
    registry.file(&format!("index/{}/{}/{name}", &name[..2], &name[2..4]), line.to_string());
    digest
}

/// A crate's archive, with the owner's fields empty, as cargo leaves them.
fn archive(stem: &str, manifest: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [("Cargo.toml", manifest), ("src/lib.rs", "")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1);
        archive.append_data(&mut header, format!("{stem}/{name}"), text.as_bytes()).unwrap();
    }
    let mut gzip = archive.into_inner().unwrap();
    gzip.flush().unwrap();
    gzip.finish().unwrap()
}

#[test]
fn crates_are_brought_by_cargo_as_the_user_has_set_it_up_and_a_build_finds_them() {
    let crates = Crates::new();
    let offline = crates.project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    offline.says(&["offline, and not in the store: `leaf-1.0.0.crate` and `stem-1.0.0+b.1.crate`; run `dbco fetch`"]);
    crates.fetch().ends(0).says(&["fetched 2 files ("]);
    assert!(crates.has(&crates.leaf) && crates.has(&crates.stem));
    assert_eq!(std::fs::read_dir(crates.project.path("store/tmp")).unwrap().count(), 0, "cargo's home is gone");
    assert!(!crates.project.path("home/.cargo/registry/cache").exists(), "the user's home is only read");
    // Everything is there: cargo is not run, and not needed.
    crates.use_registry(&dead_url());
    crates
        .project
        .dbco_with(&[("PATH", "/nonexistent")], &["fetch", "small.yaml"])
        .ends(0)
        .says(&["2 already present"]);
    crates.project.dbco(&["build", "--offline", "small.yaml"]).ends(0).says(&["component tool: done"]);
    // What a build leaves in the source folder changes nothing.
    crates.project.write("sources/tool/target/debug/tool", "rubbish");
    let again = crates.project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(again.out.contains("nothing to do"), "{}", again.out);
}

#[test]
fn only_what_the_store_lacks_is_asked_for() {
    let crates = Crates::new();
    let leaf = archive("leaf-1.0.0", "[package]\nname = \"leaf\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
    let digest = Store::open(&crates.project.path("store")).unwrap().add_bytes(&leaf).unwrap();
    assert_eq!(digest, crates.leaf);
    crates.fetch().ends(0).says(&["fetched 1 file", "1 already present"]);
    assert!(crates.has(&crates.stem));
}

#[test]
fn a_crate_that_was_changed_on_its_way_is_refused() {
    let crates = Crates::new();
    crates.registry.file(LEAF, archive("leaf-1.0.0", "[package]\nname = \"leaf\"\nversion = \"1.0.0\"\n# changed\n"));
    let ran = crates.fetch().ends(1);
    ran.says(&["can't get the crates of ", "sources/tool/Cargo.lock: cargo reported: error", "checksum", "leaf"]);
    assert!(!crates.has(&crates.leaf) && !crates.has(&crates.stem));
    // A cargo that checks nothing is not trusted.
    let ran = crates.fetch_by(
        "mkdir -p $CARGO_HOME/registry/cache/r; cd $CARGO_HOME/registry/cache/r\n\
         echo changed > leaf-1.0.0.crate; echo changed > stem-1.0.0+b.1.crate",
    );
    let says = format!("the lock has {}", crates.leaf);
    ran.ends(1).says(&["`leaf-1.0.0.crate` has sha256 ", &says, "the crate is not used"]);
    assert!(!crates.has(&Digest::of("changed\n")));
}

#[test]
fn a_lock_whose_checksum_was_changed_is_refused() {
    let crates = Crates::new();
    let other = Digest::of("other").to_string();
    crates.project.edit("sources/tool/Cargo.lock", &crates.leaf.to_string(), &other);
    crates.fetch().ends(1).says(&["can't get the crates of ", "checksum", "leaf v1.0.0"]);
}

#[test]
fn a_host_without_cargo_and_a_cargo_that_fails_are_told() {
    let crates = Crates::new();
    let ran = crates.project.dbco_with(&[("PATH", "/nonexistent")], &["fetch", "small.yaml"]).ends(1);
    ran.says(&[
        "crates are fetched with `cargo`, which is not installed on this host: install it",
        "error: 2 files could not be fetched",
    ]);
    let ran = crates.fetch_by("echo 'error: no such host' >&2; echo '  in its index' >&2; exit 101").ends(1);
    ran.says(&["cargo reported: error: no such host\n  in its index"]);
    crates.fetch_by("exit 0").ends(1).says(&["cargo did not fetch `leaf-1.0.0.crate`", "replaced by a folder"]);
    crates.use_registry(&dead_url());
    crates.fetch().ends(1).says(&["cargo reported: error"]);
}

/// Killed while cargo runs: nothing of it remains, and the next run does everything.
#[test]
fn a_killed_fetch_leaves_nothing_behind() {
    let crates = Crates::new();
    // Cargo's parent is dbco.
    let ran = crates.fetch_by("echo half > $CARGO_HOME/half; kill -KILL $PPID; exit 1");
    assert_eq!(ran.code, None, "{}", ran.err);
    let tmp = || std::fs::read_dir(crates.project.path("store/tmp")).unwrap().count();
    assert!(tmp() > 0, "it was killed with work in hand");
    crates.fetch().ends(0).says(&["fetched 2 files"]);
    assert_eq!(tmp(), 0);
}

#[test]
fn a_cargo_lock_that_can_not_be_fetched_by_checksums_is_a_finding() {
    let crates = Crates::new();
    let lock = |text: &str| {
        crates.project.write("sources/tool/Cargo.lock", text);
        crates.project.dbco(&["check", "small.yaml"]).ends(2)
    };
    let git = "[[package]]\nname = \"g\"\nversion = \"1.0.0\"\nsource = \"git+https://example.org/g#0123\"\n";
    let ran = lock(git).says(&["error[cargo-lock]", "components/tool.yaml:5:15", "package g 1.0.0 comes from a git"]);
    ran.says(&["only crates of a registry and folders of the project itself are supported"]);
    lock("[[package]\n").says(&["sources/tool/Cargo.lock:1: "]);
    std::fs::remove_file(crates.project.path("sources/tool/Cargo.lock")).unwrap();
    let ran = crates.project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["there is no lock `../sources/tool/Cargo.lock`", "components/tool.yaml:5:15"]);
}

#[test]
fn patterns_of_what_a_source_excludes_are_checked() {
    let crates = Crates::new();
    crates.project.edit("components/tool.yaml", "[/target]", "[target]");
    let ran = crates.project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["`target` does not begin with `/`", "did you mean `/target`?", "components/tool.yaml:4:43"]);
    let source = "{path: ../sources/tool, exclude: [target]}";
    crates.project.edit("components/tool.yaml", source, "{path: ../small.yaml, exclude: [/a]}");
    let ran = crates.project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["`exclude` is only valid with the `path` of a folder", "components/tool.yaml:4:"]);
}
