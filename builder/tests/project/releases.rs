//! Releases of the small project, and keys that sign them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dbco::digest::Digest;
use dbco::process::command;

use super::{Project, Ran, host};

/// A release of the small project.
pub const BUILD: [&str; 4] = ["build", "--release", "--offline", "small.yaml"];

/// Runs a program in a project's folder. One that is missing fails the test.
#[track_caller]
pub fn run(project: &Project, script: &str) -> String {
    let output = project.prepare(&mut command("sh")).args(["-euc", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    text
}

/// Whether a script succeeds.
pub fn succeeds(project: &Project, script: &str) -> bool {
    project.prepare(&mut command("sh")).args(["-euc", script]).output().unwrap().status.success()
}

pub const COMMIT: &str = "\
git init -q
git config user.name x; git config user.email x@example.org
printf '/store\\n/home\\n/out\\n/release.*\\n/ssh*\\n' > .gitignore
git add -A
git commit -qm x
";

/// The small project with a component that has a patch, and two packages, in a repository.
pub fn committed() -> Project {
    let project = Project::new();
    project.write("sources/tool/tool", "the tool\n");
    project.write("patches/tool.patch", "--- a/tool\n+++ b/tool\n@@ -1 +1 @@\n-the tool\n+the patched tool\n");
    host::add_tool(
        &project,
        "source: {path: ../sources/tool}\npatches: [tool.patch]\ninstall: mkdir -p \"$OUT/system/bin\"; cp tool \"$OUT/system/bin/\"\n",
    );
    let root = "layout: split\n  debian: {suite: bookworm}\n  packages: [libone, two]\n";
    project.edit("small.yaml", "layout: split\n", root);
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: x\n\
                     License: GPL-2+ or odd\n\nLicense: odd\n Do as you like.\n";
    let control = |name, more| {
        format!("Package: {name}\nVersion: 1:2+b1\nArchitecture: amd64\nMaintainer: X <x@example.org>\n{more}")
    };
    let one = host::deb(&control("libone", ""), &[("./usr/share/doc/libone/copyright", copyright.as_bytes())]);
    let two = host::deb(&control("two", "Depends: libone | three\n"), &[("./usr/share/doc/two", b"-> libone")]);
    host::provide_packages(&project, &[("libone", "1:2+b1", one), ("two", "1:2+b1", two)]);
    run(&project, COMMIT);
    project
}

pub fn released() -> Project {
    let project = committed();
    project.dbco(&BUILD).ends(0);
    project
}

pub fn json(project: &Project, name: &str) -> serde_json::Value {
    serde_json::from_str(&project.read(&format!("out/small/{name}"))).unwrap()
}

/// Keys of both programs, made by them.
pub fn keys(project: &Project) {
    run(project, "minisign -G -W -f -p release.pub -s release.key; ssh-keygen -q -t ed25519 -N '' -C x -f ssh");
}

pub fn verify(project: &Project, arguments: &[&str]) -> Ran {
    project.dbco(&[&["verify", "out/small"], arguments].concat())
}

/// Changes one bit in the middle of a file.
pub fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Writes a file of a release, with its digest in the list, and signs both.
pub fn sign_again(project: &Project, name: &str, content: &str) {
    let old = Digest::of(project.read(&format!("out/small/{name}"))).to_string();
    let path = project.path(&format!("out/small/{name}"));
    fs::remove_file(&path).unwrap();
    fs::write(&path, content).unwrap();
    project.edit("out/small/SHA256SUMS", &old, &Digest::of(content).to_string());
    run(
        project,
        "cd out/small; rm -f *.minisig .dbco-outputs; minisign -S -s ../../release.key -m SHA256SUMS provenance.intoto.json",
    );
}
