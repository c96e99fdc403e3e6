//! What keeps a build from being repeated: sources without an entry in the lock, local inputs that nothing pins, and
//! settings of a kernel with which two builds differ.

mod project;

use std::fs;

use project::{Project, host};

/// Every kind of source, as the kernel's, with a word of the message.
const SOURCES: [(&str, &str); 5] = [
    ("{url: 'http://127.0.0.1:9/a.tar.gz'}", "a.tar.gz"),
    ("{git: {url: 'http://127.0.0.1:9/a.git', commit: 0123456789abcdef0123456789abcdef01234567}}", "a.git"),
    ("{debian-source: {suite: bookworm, package: linux, version: 6.1.1-1, file: linux_6.1.1.orig.tar.xz}}", "linux"),
    ("{debian-source: {suite: bookworm, package: hello, version: 2.10-3, file: hello_2.10.orig.tar.gz}}", "hello"),
    ("{deb: {package: linux-source-6.1, debian: bookworm}}", "linux-source-6.1"),
];

#[test]
fn no_source_is_used_without_an_entry_in_the_lock() {
    let refused = |project: &Project, name: &str| {
        for words in
            [&["check", "--locked"][..], &["build", "--locked"], &["build", "--offline"], &["repro", "--locked"]]
        {
            let ran = project.dbco(&[words, &["small.yaml"]].concat()).ends(2);
            ran.says(&["dbco.lock does not match the recipe", name, "run `dbco lock`"]);
        }
        assert!(!project.path("out").exists());
        assert_eq!(project.read("dbco.lock"), project::LOCK, "the lock was changed");
    };
    for (source, name) in SOURCES {
        let project = Project::new();
        project.edit("components/kernel.yaml", "{path: ../sources/kernel}", source);
        refused(&project, name);
    }
    // A patch, packages of a toolchain, of the root filesystem, and the kernel's.
    let project = Project::with("[first.patch]", "[{url: 'http://127.0.0.1:9/b.patch'}]");
    refused(&project, "b.patch");
    let project = Project::new();
    project.edit("toolchains/none.yaml", "packages: []", "packages: [gcc]");
    refused(&project, "gcc");
    let project = Project::with("  layout: split\n", "  layout: split\n  packages: [hello]\n  debian: bookworm\n");
    refused(&project, "hello");
    let package = "  package: linux-image-1\n  debian: {suite: bookworm}\n";
    refused(
        &Project::with("  component: kernel\n  patches: [first.patch]\n  config: [tiny]\n", package),
        "linux-image-1",
    );
    // And none without a lock at all.
    let project = Project::new();
    fs::remove_file(project.path("dbco.lock")).unwrap();
    for words in [&["check", "--locked"][..], &["build", "--locked"]] {
        project.dbco(&[words, &["small.yaml"]].concat()).ends(2).says(&["dbco lock"]);
    }
}

#[test]
fn local_inputs_outside_of_the_repository_are_findings() {
    let project = Project::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("Makefile"), "").unwrap();
    let path = outside.path().display().to_string();
    project.edit("components/kernel.yaml", "../sources/kernel", &path);
    // Without a repository nothing is pinned by one.
    project.dbco(&["check", "small.yaml"]).ends(0);
    fs::create_dir(project.path(".git")).unwrap();
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["components/kernel.yaml:4:", "is outside of the repository", "so nothing pins it", "1 finding"]);
    project.edit("components/kernel.yaml", &path, "../sources/kernel");
    project.dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn kernel_settings_with_which_builds_differ_are_findings_before_anything_is_built() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "version: '1'", "version: '6.1'");
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_MODULE_SIG=y\nCONFIG_GCOV_KERNEL=y\n");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    let ran = ran.says(&[
        "kernel-config/tiny.config:2: CONFIG_MODULE_SIG=y",
        "random key",
        "help: set CONFIG_MODULE_SIG_KEY=\"\"",
    ]);
    ran.says(&["kernel-config/tiny.config:3: CONFIG_GCOV_KERNEL=y", "-frandom-seed", "2 findings"]);
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY=\"\"\n");
    project.dbco(&["check", "small.yaml"]).ends(0);
    // One that compiles, and says nothing about the time.
    let component = project.read("components/kernel.yaml");
    project.write("components/kernel.yaml", format!("{component}build: make bzImage\n"));
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["KBUILD_BUILD_TIMESTAMP is not set", "KBUILD_BUILD_HOST"]);
    project.write(
        "components/kernel.yaml",
        format!("{component}env: {{KBUILD_BUILD_HOST: x}}\nbuild: 'KBUILD_BUILD_TIMESTAMP=@$SOURCE_DATE_EPOCH make bzImage'\n"),
    );
    project.dbco(&["check", "small.yaml"]).ends(0);
}

/// The configuration turns out to have such a setting, which no fragment requests.
#[test]
fn a_setting_that_comes_by_default_is_a_warning_of_the_build() {
    let project = Project::with("[initrd, grub-cfg]", "[bzimage]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "  patches: [first.patch]\n", "");
    let component = project.read("components/kernel.yaml") + "build: cp .config bzImage\n";
    project.write("components/kernel.yaml", component);
    project.write(
        "sources/kernel/Makefile",
        "VERSION = 6\nPATCHLEVEL = 1\ntinyconfig:\n\techo CONFIG_RANDSTRUCT_FULL=y > .config\nolddefconfig:\n",
    );
    project.write("sources/kernel/Kconfig", "config 64BIT\n\tbool \"64-bit kernel\"\n");
    host::provide(&project);
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    ran.says(&["warning: component kernel: CONFIG_RANDSTRUCT_FULL=y: builds differ", "gen-randstruct-seed.sh"]);
}
