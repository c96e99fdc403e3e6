//! Builds that fail, as the command line tells of them, with real tools: a toolchain of the host's own programs.

mod project;

use std::fs;
use std::path::Path;

use dbco::digest::Digest;
use dbco::process::command;
use dbco::store::Store;
use project::Project;

/// What a kernel's build calls.
const TOOLS: [&str; 7] = ["cat", "env", "grep", "make", "mv", "patch", "sh"];

/// Its configuration drops what no Kconfig file makes visible, as the kernel's does.
const MAKEFILE: &str = "\
tinyconfig:
\techo '# CONFIG_64BIT is not set' > .config
olddefconfig:
\tgrep -v CONFIG_WATCHDOG .config > new
\tmv new .config
all:
\tcat .config init.c > bzImage
";

const KCONFIG: &str = "\
config 64BIT
\tbool \"64-bit kernel\"
config CLOCK
\tbool \"A clock\"
config WATCHDOG
\tbool \"A watchdog\"
\tdepends on CLOCK
";

const PATCH: &str = "\
--- a/init.c
+++ b/init.c
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
";

/// The small project with a kernel to build and a toolchain that can.
fn project() -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[bzimage]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    let component = project.read("components/kernel.yaml") + "build: make all\nfiles: {bzImage: bzImage}\n";
    project.write("components/kernel.yaml", component);
    project.write("sources/kernel/Makefile", MAKEFILE);
    project.write("sources/kernel/Kconfig", KCONFIG);
    project.write("sources/kernel/init.c", "one\ntwo\nthree\n");
    project.write("patches/first.patch", PATCH);
    project.write("toolchains/host.yaml", "toolchain: host\ndebian: bookworm\npackages: [tools]\n");
    let deb = package();
    let digest = Store::open(&project.path("store")).unwrap().add_bytes(&deb).unwrap();
    lock(&project, &digest, deb.len());
    project
}

fn lock(project: &Project, digest: &Digest, size: usize) {
    let entry = format!(
        "- request:\n    debian:\n      archive: {{suite: bookworm, components: [main], arch: amd64}}\n      \
         packages: [tools]\n      closure: true\n  files:\n  - name: tools\n    version: '1'\n    \
         at: {{pool: pool/tools.deb}}\n    sha256: {digest}\n    size: {size}\n"
    );
    project.write("small.lock", project.read("small.lock") + &entry);
}

/// A Debian package of programs of this host, with each library that ldd(1) names.
fn package() -> Vec<u8> {
    let output = |program: &str, arguments: &[&str]| {
        let output = command(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut files = std::collections::BTreeMap::new();
    for tool in TOOLS {
        let program = output("sh", &["-c", &format!("command -v {tool}")]).trim().to_owned();
        let libraries = output("ldd", &[&program]);
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            // The loader's path is a fixed one; libraries are found in /lib by default.
            let name = Path::new(library).file_name().unwrap().to_str().unwrap().to_owned();
            let folder = if name.starts_with("ld-linux") { "lib64" } else { "lib" };
            files.insert(format!("./usr/{folder}/{name}"), fs::read(library).unwrap());
        }
        files.insert(format!("./usr/bin/{tool}"), fs::read(&program).unwrap_or_else(|e| panic!("{tool}: {e}")));
    }
    let mut data = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        header.set_mtime(1);
        data.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    // deb(5), ar(5).
    let mut deb = b"!<arch>\n".to_vec();
    for (name, content) in [("debian-binary", b"2.0\n".to_vec()), ("data.tar", data.into_inner().unwrap())] {
        deb.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len()).bytes());
        let odd = content.len() % 2 == 1;
        deb.extend(content);
        deb.extend(odd.then_some(b'\n'));
    }
    deb
}

#[test]
fn a_kernel_is_patched_configured_and_built() {
    let project = project();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let built = project.read("out/small/bzImage");
    assert_eq!(
        built,
        "# CONFIG_64BIT is not set\none\nzwei\nthree\n".replace("# CONFIG_64BIT is not set", "CONFIG_64BIT=y")
    );
}

#[test]
fn a_patch_that_does_not_apply_is_named_with_its_hunk() {
    let project = project();
    project.write("sources/kernel/init.c", "one\nzwo\nthree\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["error: component kernel failed: the patch series does not apply:", "first.patch", "init.c", "hunk 1"]);
    assert!(!project.path("out").exists());
    // Nor does one apply whose surroundings are others, which patch by itself would let pass.
    project.write("sources/kernel/init.c", "one\ntwo\nfour\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["the patch series does not apply:", "first.patch"]);
}

#[test]
fn a_setting_that_did_not_take_effect_is_named_with_the_reason() {
    let project = project();
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_WATCHDOG=y\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    let ran = ran.says(&["error: component kernel failed: 1 setting did not take effect:", "CONFIG_WATCHDOG"]);
    ran.says(&["tiny.config:2", "CLOCK"]).never_says("CONFIG_64BIT");
    assert!(!project.path("out").exists());
}

#[test]
fn a_script_that_fails_shows_the_end_of_its_output_and_its_log() {
    let project = project();
    project.edit("components/kernel.yaml", "build: make all", "build: 'echo nearly; exit 7'");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    let ran = ran.says(&["component kernel failed: its build script failed", "  | nearly", "the whole log: "]);
    let log = ran.err.rsplit("the whole log: ").next().unwrap().lines().next().unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("nearly"));
}

/// In a chroot nobody may make a user namespace (user_namespaces(7)), and root has lost the right to make a chroot.
#[test]
fn a_host_that_allows_neither_namespaces_nor_chroot_is_told_what_to_change() {
    let project = project();
    let script = "mkdir r; mount --rbind / r; here=$PWD; \
                  exec chroot r setpriv --bounding-set=-all --inh-caps=-all \
                  env -C \"$here\" \"$DBCO\" build --offline small.yaml";
    let ran = project.unshared(script).ends(1);
    ran.says(&[
        "this host lets nobody isolate the tools of the toolchain",
        "namespaces: ",
        "chroot: ",
        "help: or give root the capabilities SYS_CHROOT, MKNOD and SETPCAP",
    ]);
    assert!(!project.path("out").exists());
}
