//! Releases: documents beside the outputs, from a commit, and building them again.

mod project;

use std::fs;

use dbco::digest::Digest;
use project::Project;
use project::releases::{BUILD, committed, flip, json, keys, released, run, sign_again, verify};

/// The files of a release of the small project.
const FILES: [&str; 5] = ["grub.cfg", "initrd.img", "provenance.intoto.json", "sbom.cdx.json", "sbom.spdx.json"];

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
