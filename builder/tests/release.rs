//! Releases: documents beside the outputs, from a commit; signatures that minisign and ssh-keygen accept and make; what
//! `dbco verify` reports for each thing that was altered.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dbco::digest::Digest;
use dbco::process::command;
use project::{Project, Ran, host};

const BUILD: [&str; 4] = ["build", "--release", "--offline", "small.yaml"];

/// The files of a release of the small project.
const FILES: [&str; 5] = ["grub.cfg", "initrd.img", "provenance.intoto.json", "sbom.cdx.json", "sbom.spdx.json"];

/// Runs a program in a project's folder. One that is missing fails the test.
#[track_caller]
fn run(project: &Project, script: &str) -> String {
    let output = project.prepare(&mut command("sh")).args(["-euc", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    text
}

/// Whether a script succeeds.
fn succeeds(project: &Project, script: &str) -> bool {
    project.prepare(&mut command("sh")).args(["-euc", script]).output().unwrap().status.success()
}

const COMMIT: &str = "\
git init -q
git config user.name x; git config user.email x@example.org
printf '/store\\n/home\\n/out\\n/release.*\\n/ssh*\\n' > .gitignore
git add -A
git commit -qm x
";

/// The small project with a component that has a patch, and two packages, in a repository.
fn committed() -> Project {
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

fn released() -> Project {
    let project = committed();
    project.dbco(&BUILD).ends(0);
    project
}

fn json(project: &Project, name: &str) -> serde_json::Value {
    serde_json::from_str(&project.read(&format!("out/small/{name}"))).unwrap()
}

#[test]
fn a_release_has_its_documents_beside_the_outputs() {
    let project = released();
    let sums = project.read("out/small/SHA256SUMS");
    let names: Vec<&str> = sums.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(names, FILES);
    run(&project, "cd out/small; sha256sum --check --quiet SHA256SUMS");
    let commit = run(&project, "git rev-parse HEAD").trim().to_owned();

    let spdx = json(&project, "sbom.spdx.json");
    let packages = spdx["packages"].as_array().unwrap();
    let tool = packages.iter().find(|package| package["name"] == "tool").unwrap();
    assert_eq!(tool["licenseDeclared"], "MIT");
    let deb = packages.iter().find(|package| package["name"] == "tools").unwrap();
    assert_eq!(deb["externalRefs"][0]["referenceLocator"], "pkg:deb/debian/tools@1?distro=bookworm");
    assert_eq!(deb["licenseDeclared"], "NOASSERTION");
    let two = packages.iter().find(|package| package["name"] == "two").unwrap();
    assert_eq!(two["externalRefs"][0]["referenceLocator"], "pkg:deb/debian/two@1:2%2Bb1?arch=amd64&distro=bookworm");
    let license = two["licenseDeclared"].as_str().unwrap();
    assert!(
        license.starts_with("GPL-2.0-or-later OR LicenseRef-odd-"),
        "that of the package whose folder it links to: {license}"
    );
    assert_eq!(spdx["hasExtractedLicensingInfos"][0]["extractedText"], "Do as you like.");
    let relations = spdx["relationships"].as_array().unwrap();
    let related = |kind: &str, from: &str, to: &str| {
        relations.iter().any(|relation| {
            relation["relationshipType"] == kind
                && relation["spdxElementId"].as_str().unwrap().contains(from)
                && relation["relatedSpdxElement"].as_str().unwrap().contains(to)
        })
    };
    assert!(related("BUILD_TOOL_OF", "deb-tools", "image"));
    assert!(related("PATCH_APPLIED", "patch-patches-tool.patch", "component-tool"));
    assert!(related("CONTAINS", "image", "component-tool"));
    assert!(related("DEPENDS_ON", "deb-two", "deb-libone"));
    assert!(!related("CONTAINS", "image", "deb-tools"), "a tool is not in the image");

    let cyclonedx = json(&project, "sbom.cdx.json");
    assert_eq!(cyclonedx["metadata"]["timestamp"], "2021-01-01T00:00:00Z");
    assert_eq!(cyclonedx["metadata"]["component"]["version"], *commit);
    let parts = cyclonedx["components"].as_array().unwrap();
    let tool = parts.iter().find(|part| part["name"] == "tool").unwrap();
    assert_eq!(tool["pedigree"]["patches"][0]["diff"]["url"], "patches/tool.patch");
    let deb = parts.iter().find(|part| part["name"] == "tools").unwrap();
    assert_eq!(deb["scope"], "excluded");

    let statement = json(&project, "provenance.intoto.json");
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["recipe"], "small.yaml");
    assert_eq!(definition["externalParameters"]["lock"], "dbco.lock");
    assert_eq!(definition["resolvedDependencies"][0]["digest"]["gitCommit"], *commit);
    let lock = Digest::of(project.read("dbco.lock")).to_string();
    assert_eq!(definition["resolvedDependencies"][1]["digest"]["sha256"], *lock);
    let steps = statement["predicate"]["runDetails"]["byproducts"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "component tool").unwrap();
    assert_eq!(step["annotations"]["outputs"]["install"].as_str().unwrap().len(), 64);

    assert!(project.dbco(&BUILD).ends(0).out.contains("nothing to do"));
}

#[test]
fn a_clone_elsewhere_gives_the_same_bytes() {
    let project = released();
    let script =
        "mkdir -p home/far/away; git clone -q . home/far/away/clone; cd home/far/away/clone; git remote remove origin
        env TZ=Asia/Tokyo LC_ALL=C \"$DBCO\" build --release --offline -o /tmp/$$ ./small.yaml
        cmp /tmp/$$/small/SHA256SUMS \"$OLDPWD/out/small/SHA256SUMS\"; rm -r /tmp/$$";
    run(&project, script);
}

#[test]
fn a_release_is_built_from_a_commit_alone() {
    let project = Project::new();
    project.dbco(&BUILD).ends(2).says(&["is not in a git repository", "a release is built from a commit"]);
    run(&project, "git init -q");
    project.dbco(&BUILD).ends(2).says(&["has no commit"]);
    let project = committed();
    project.write("overlay/system/etc/motd", "edited\n");
    project.write("new file", "");
    project.dbco(&BUILD).ends(2).says(&["not committed: overlay/system/etc/motd, new file\n", "git stash"]);
    run(&project, "git checkout -q overlay; rm 'new file'");
    // What git ignores or can't keep would be in the image, but not in a build of the commit.
    project.write(".git/info/exclude", "ignored\n");
    project.write("overlay/system/etc/ignored", "");
    let differs = ["gives another image than the work tree: rootfs differs in", "an ignored file or an empty folder"];
    project.dbco(&BUILD).ends(2).says(&differs);
    fs::remove_file(project.path("overlay/system/etc/ignored")).unwrap();
    fs::create_dir(project.path("overlay/system/empty")).unwrap();
    project.dbco(&BUILD).ends(2).says(&differs);
    fs::remove_dir(project.path("overlay/system/empty")).unwrap();
    fs::copy(project.path("small.yaml"), project.path("home/other.yaml")).unwrap();
    project.dbco(&["build", "--release", "--offline", "--lock", "home/other.lock", "small.yaml"]).ends(2);
    fs::copy(project.path("dbco.lock"), project.path("home/other.lock")).unwrap();
    let lock = project.dbco(&["build", "--release", "--offline", "--lock", "home/other.lock", "small.yaml"]);
    lock.ends(2).says(&["home/other.lock is used by the build, but is not in commit"]);
    assert!(!project.path("out").exists());
    project.dbco(&BUILD).ends(0);
}

#[test]
fn a_release_has_all_outputs_and_never_changes_the_lock() {
    let project = committed();
    project.dbco(&["build", "--release", "--only", "initrd", "small.yaml"]).ends(2).says(&["cannot be used with"]);
    project.edit("small.yaml", "[initrd, grub-cfg]", "[initrd, grub-cfg, rootfs]");
    project.edit("toolchains/none.yaml", "packages: []", "packages: [gcc]");
    run(&project, "git commit -qam y");
    project.dbco(&["build", "--release", "small.yaml"]).ends(2).says(&["does not match the recipe"]);
    run(&project, "test -z \"$(git status --porcelain)\"");
}

/// Keys of both programs, made by them.
fn keys(project: &Project) {
    run(project, "minisign -G -W -f -p release.pub -s release.key; ssh-keygen -q -t ed25519 -N '' -C x -f ssh");
}

fn verify(project: &Project, arguments: &[&str]) -> Ran {
    project.dbco(&[&["verify", "out/small"], arguments].concat())
}

#[test]
fn minisign_accepts_our_signatures_and_we_accept_its() {
    let project = released();
    keys(&project);
    let signed = project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    assert_eq!(signed.out, "out/small/SHA256SUMS.minisig\nout/small/provenance.intoto.json.minisig\n");
    let check = "for file in SHA256SUMS provenance.intoto.json; do minisign -V -p release.pub -m out/small/$file; done";
    assert!(run(&project, check).contains("Trusted comment: file:SHA256SUMS\thashed"));
    let verified = verify(&project, &["--key", "release.pub"]).ends(0);
    assert!(verified.out.contains("5 files verified, signed by minisign key "), "{}", verified.out);
    // Signatures of unchanged files stay, and those of files that are replaced are removed with them.
    assert!(project.dbco(&BUILD).ends(0).out.contains("nothing to do"));
    verify(&project, &["--key", "release.pub"]).ends(0);
    project.edit("overlay/system/etc/motd", "hello", "hallo");
    run(&project, "git commit -qam y");
    project.dbco(&BUILD).ends(0);
    verify(&project, &["--key", "release.pub"]).ends(3).says(&["SHA256SUMS has no signature"]);
    run(&project, "cd out/small; minisign -S -s ../../release.key -m SHA256SUMS provenance.intoto.json");
    verify(&project, &["--key", "release.pub"]).ends(0);
    project.dbco(&BUILD).ends(1).says(&["`SHA256SUMS.minisig`", "which dbco did not write"]);
}

#[test]
fn ssh_keygen_accepts_our_signatures_and_we_accept_its() {
    let project = released();
    keys(&project);
    run(&project, "ssh-keygen -q -t ecdsa -N secret -C x -f ssh2; ssh-keygen -q -t rsa -b 2048 -N '' -C x -f ssh3");
    let check = "cd out/small; for file in SHA256SUMS provenance.intoto.json; do
        echo \"me $(cat ../../$KEY.pub)\" > ../../home/allowed
        ssh-keygen -Y verify -f ../../home/allowed -I me -n release@dbcolinux -s $file.sig < $file; done";
    for (key, passphrase) in [("ssh", ""), ("ssh2", "secret"), ("ssh3", "")] {
        let public = format!("{key}.pub");
        let sign = ["sign", "out/small", "--key", key];
        let signed = project.dbco_with(&[("DBCO_SIGN_PASSPHRASE", passphrase)], &sign);
        if key == "ssh3" {
            signed.ends(2).says(&["can't sign with a key of RSA", "`ssh-keygen -Y sign -n release@dbcolinux"]);
        } else {
            signed.ends(0);
            run(&project, &format!("KEY={key}\n{check}"));
            verify(&project, &["--key", &public]).ends(0);
            run(&project, "rm out/small/*.sig");
        }
        let theirs = format!(
            "ssh-keygen -Y sign -q -f {key} -n NAMESPACE out/small/SHA256SUMS out/small/provenance.intoto.json"
        );
        if passphrase.is_empty() {
            run(&project, &theirs.replace("NAMESPACE", "release@dbcolinux"));
            verify(&project, &["--key", &public]).ends(0);
            run(&project, "rm out/small/*.sig");
            run(&project, &theirs.replace("NAMESPACE", "file"));
            verify(&project, &["--key", &public])
                .ends(5)
                .says(&["its namespace is `file`, expected `release@dbcolinux`"]);
            run(&project, "rm out/small/*.sig");
        }
    }
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let project = released();
    run(&project, "ssh-keygen -q -t ed25519 -N secret -C x -f ssh");
    run(&project, "printf 'secret\\nsecret\\n' | timeout 60 minisign -G -f -p release.pub -s release.key");
    project.write("home/passphrase", "secret\n");
    project.write("home/wrong", "Secret\n");
    for key in ["release.key", "ssh"] {
        let with = |file| project.dbco(&["sign", "out/small", "--key", key, "--passphrase-file", file]);
        // Once is enough of minisign's derivation, which takes seconds and a gigabyte.
        if key == "ssh" {
            with("home/wrong").ends(2).says(&["the passphrase of ssh is wrong"]);
        }
        with("home/none").ends(2).says(&["is encrypted, and its passphrase can't be read"]);
        assert!(!succeeds(&project, "ls out/small/*sig"));
        with("home/passphrase").ends(0);
        run(&project, "rm out/small/*sig");
    }
    assert!(!project.dbco(&["help", "sign"]).out.contains("--passphrase "), "never on the command line");
}

#[test]
fn nothing_is_verified_without_a_trusted_key() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    verify(&project, &[]).ends(2).says(&["no trusted key is known: pass --key FILE"]);
    // A key that comes with the release is not trusted, wherever it is verified from.
    run(&project, "cp -r out/small home/got; mkdir home/got/keys; cp release.pub home/got/keys/");
    let there = project
        .prepare(&mut command(env!("CARGO_BIN_EXE_dbco")))
        .current_dir(project.path("home/got"))
        .args(["verify", "."])
        .output();
    assert_eq!(there.unwrap().status.code(), Some(2));
    let file = project
        .prepare(&mut command(env!("CARGO_BIN_EXE_dbco")))
        .current_dir(project.path("home/got"))
        .args(["verify", "initrd.img"])
        .output();
    assert_eq!(file.unwrap().status.code(), Some(2));
    run(&project, "mkdir keys; cp release.pub keys/");
    verify(&project, &[]).ends(0);
    project.write("home/empty", "");
    verify(&project, &["--key", "home/empty"])
        .ends(2)
        .says(&["home/empty is not a public key of minisign or SSH: it is empty"]);
    verify(&project, &["--key", "release.key"]).ends(2).says(&["it is a secret key"]);
    project.dbco(&["sign", "out/small", "--key", "release.pub"]).ends(2).says(&["release.pub is not a secret key"]);
}

/// Changes one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A change to a release, the expected exit status, and what is reported.
type Alteration = (&'static str, u8, &'static str);

/// Each is a script in the release's folder; `flip FILE` changes one bit.
const ALTERATIONS: [Alteration; 17] = [
    ("flip initrd.img", 6, "initrd.img was altered: its sha256 is "),
    ("flip grub.cfg", 6, "grub.cfg was altered: its sha256 is "),
    ("flip sbom.spdx.json", 6, "sbom.spdx.json was altered"),
    ("flip sbom.cdx.json", 6, "sbom.cdx.json was altered"),
    ("flip provenance.intoto.json", 6, "provenance.intoto.json was altered"),
    ("flip SHA256SUMS", 5, "SHA256SUMS.minisig is not a valid signature of SHA256SUMS"),
    ("flip SHA256SUMS.minisig", 5, "SHA256SUMS.minisig is not a valid signature"),
    ("flip provenance.intoto.json.minisig", 5, "provenance.intoto.json.minisig is not a valid signature"),
    ("rm SHA256SUMS.minisig", 3, "SHA256SUMS has no signature"),
    ("rm provenance.intoto.json.minisig", 3, "provenance.intoto.json has no signature"),
    ("rm grub.cfg", 7, "grub.cfg is missing: SHA256SUMS lists it"),
    ("rm SHA256SUMS", 7, "SHA256SUMS is missing"),
    ("touch extra", 8, "extra is not part of the release"),
    ("mkdir folder", 8, "folder is not part of the release"),
    ("rm grub.cfg; ln -s ../../small.yaml grub.cfg", 1, "grub.cfg"),
    ("echo more >> .dbco-outputs", 8, ".dbco-outputs is not part of the release"),
    ("minisign -S -s ../../release.key2 -m SHA256SUMS", 4, "SHA256SUMS is signed by an unknown key: minisign key "),
];

#[test]
fn each_alteration_is_reported_and_has_its_exit_status() {
    let project = released();
    keys(&project);
    run(&project, "minisign -G -W -f -p release.pub2 -s release.key2");
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    run(&project, "cp -a out/small home/pristine");
    for (script, status, says) in ALTERATIONS {
        run(&project, "rm -r out/small; cp -a home/pristine out/small");
        match script.strip_prefix("flip ") {
            Some(file) => flip(&project.path(&format!("out/small/{file}"))),
            None => drop(run(&project, &format!("cd out/small; {script}"))),
        }
        let ran = verify(&project, &["--key", "release.pub"]);
        assert!(ran.err.contains(says), "{script}: {}", ran.err);
        ran.ends(status.into());
    }
}

/// Every byte of the small files counts.
#[test]
fn a_bit_at_any_place_of_a_signature_or_a_list_is_noticed() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    let mut keys = dbco::release::signature::TrustedKeys::default();
    keys.add(&project.path("release.pub")).unwrap();
    let folder = project.path("out/small");
    dbco::release::verify::verify(&folder, &keys).unwrap();
    for name in ["SHA256SUMS", "SHA256SUMS.minisig"] {
        let path = folder.join(name);
        let sound = fs::read(&path).unwrap();
        // The first line of a signature is a comment that nothing signs.
        let from = if name.ends_with("sig") { sound.iter().position(|byte| *byte == b'\n').unwrap() } else { 0 };
        for place in (from..sound.len() - 1).step_by(if name.ends_with("sig") { 1 } else { 7 }) {
            let mut bytes = sound.clone();
            bytes[place] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let refused = dbco::release::verify::verify(&folder, &keys);
            assert!(refused.is_err(), "{name}: byte {place}");
        }
        for length in (0..sound.len()).step_by(11) {
            fs::write(&path, &sound[..length]).unwrap();
            assert!(dbco::release::verify::verify(&folder, &keys).is_err(), "{name}: {length} bytes");
        }
        fs::write(&path, &sound).unwrap();
    }
    dbco::release::verify::verify(&folder, &keys).unwrap();
}

/// A release is never built from a lock with a changed byte, or from a source or a patch of the project with one.
#[test]
fn one_altered_byte_of_the_project_is_noticed() {
    let project = committed();
    for name in ["dbco.lock", "sources/tool/tool", "patches/tool.patch", "small.yaml", "components/tool.yaml"] {
        flip(&project.path(name));
        project.dbco(&BUILD).ends(2);
        run(&project, "git checkout -q .");
    }
    // The index of a repository that was told not to look at a file: the commit is what counts.
    run(&project, "git update-index --assume-unchanged sources/tool/tool; printf 'the tool\\n\\n' > sources/tool/tool");
    project.dbco(&BUILD).ends(2).says(&["gives another image than the work tree: component tool differs in source"]);
    assert!(!project.path("out").exists());
}

/// Writes a file of a release, with its digest in the list, and signs both.
fn sign_again(project: &Project, name: &str, content: &str) {
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

#[test]
fn a_signed_statement_has_to_be_about_the_files() {
    let project = released();
    keys(&project);
    let statement = project.read("out/small/provenance.intoto.json");
    for (from, to, says) in [
        ("\"name\": \"grub.cfg\"", "\"name\": \"grub.conf\"", "is not about the files that SHA256SUMS lists: grub.c"),
        ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v2", "its type of predicate is"),
        ("\"subject\"", "\"subjects\"", "can't be read: missing field `subject`"),
    ] {
        sign_again(&project, "provenance.intoto.json", &statement.replacen(from, to, 1));
        verify(&project, &["--key", "release.pub"])
            .ends(9)
            .says(&["the statement out/small/provenance.intoto.json", says]);
    }
    sign_again(&project, "provenance.intoto.json", &statement);
    verify(&project, &["--key", "release.pub"]).ends(0);
}

#[test]
fn one_file_is_verified_with_the_list_beside_it() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    run(&project, "mkdir home/got; cd out/small; cp grub.cfg SHA256SUMS SHA256SUMS.minisig ../../home/got/");
    let file = |name: &str| project.dbco(&["verify", name, "--key", "release.pub"]);
    assert!(file("home/got/grub.cfg").ends(0).out.contains("1 file verified"));
    project.write("home/got/other", "");
    file("home/got/other").ends(8).says(&["is not part of the release"]);
    file("home/got/none").ends(1);
    flip(&project.path("home/got/grub.cfg"));
    file("home/got/grub.cfg").ends(6);
    let again = project.dbco(&["verify", "home/got/grub.cfg", "--key", "release.pub", "--rebuild"]);
    again.ends(6);
}

#[test]
fn a_release_is_built_again_from_its_statement_alone() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    // The statement names no repository: the project has no remote.
    let rebuild = |arguments: &[&str]| {
        verify(&project, &[&["--key", "release.pub", "--rebuild", "--offline"], arguments].concat())
    };
    rebuild(&[]).ends(2).says(&["the statement names no repository: pass --source DIR"]);
    // The work tree is not used.
    project.write("overlay/system/etc/motd", "edited\n");
    let identical = rebuild(&["--source", "."]).ends(0);
    assert!(identical.out.ends_with("identical: 5 files\n"), "{}", identical.out);
    assert!(identical.err.contains("component tool"), "it was built: {}", identical.err);
    // A lock of that commit that is not the stated one.
    let lock = Digest::of(project.read("dbco.lock")).to_string();
    let altered = project.read("out/small/provenance.intoto.json").replace(&lock, &Digest::of("x").to_string());
    run(&project, "cp -r out/small home/pristine");
    sign_again(&project, "provenance.intoto.json", &altered);
    rebuild(&["--source", "."]).ends(2).says(&["is not the lock that the statement names"]);
    run(&project, "rm -r out/small; cp -r home/pristine out/small");
    assert!(rebuild(&["--source", ".", "--reuse"]).ends(0).out.ends_with("identical: 5 files\n"));
    run(&project, "git init -q home/empty");
    rebuild(&["--source", "home/empty"]).ends(2).says(&["could not be checked out from "]);

    // One that was built from something else, and is signed.
    let statement = project.read("out/small/provenance.intoto.json");
    let menu = project.read("out/small/grub.cfg");
    let other = menu.replace("menuentry 'Live'", "menuentry 'Dead'");
    assert_ne!(menu, other);
    let altered = statement.replace(&Digest::of(&menu).to_string(), &Digest::of(&other).to_string());
    sign_again(&project, "grub.cfg", &other);
    sign_again(&project, "provenance.intoto.json", &altered);
    let different = rebuild(&["--source", "."]).ends(10);
    different
        .says(&["differs in grub.cfg, provenance.intoto.json: grub menu has the stated inputs, but another result: "]);
}

#[test]
fn a_release_in_a_repository_with_a_remote_names_it() {
    let project = committed();
    run(&project, "git clone -q --bare . home/remote; git remote add origin \"$HOME/remote\"");
    project.dbco(&BUILD).ends(0);
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    let rebuilt = verify(&project, &["--key", "release.pub", "--rebuild", "--offline"]).ends(0);
    assert!(rebuilt.out.ends_with("identical: 5 files\n"));
    let url = ["--source-url", "https://user:secret@example.org/x.git"];
    project.dbco(&[&BUILD[..], &url].concat()).ends(0);
    let statement = json(&project, "provenance.intoto.json");
    let uri = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"].as_str().unwrap();
    assert!(uri.starts_with("git+https://") && uri.contains("example.org/x.git@") && !uri.contains("secret"), "{uri}");
}

/// Run by `ci/test.sh validators`, which provides the validators.
#[test]
#[ignore = "needs the validators of ci/requirements-validators.txt"]
fn validators_accept_the_documents() {
    let project = released();
    let validators = std::env::var("DBCO_VALIDATORS").expect("DBCO_VALIDATORS names the folder of the validators");
    let script = project::repository().join("ci/validate.py");
    let output =
        command("python3").arg(script).arg(project.path("out/small")).env("PYTHONPATH", validators).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches(": accepted\n").count(), 4, "{text}");
}
