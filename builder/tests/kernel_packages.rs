//! Distribution kernels in the layouts that Debian has used: one package with `/boot`, and several without.

mod project;
mod servers;

use project::{Project, Ran};
use servers::{Key, Server, TestArchive};

const KERNEL: &str = "kernel:\n  component: kernel\n  patches: [first.patch]\n  config: [tiny]\n";

/// Builds the kernel's outputs from a package of an archive.
fn build(made: TestArchive, package: &str) -> (Project, Ran) {
    let (key, server) = (Key::generate(), Server::start());
    made.publish(&server, &key);
    let kernel = format!(
        "kernel:\n  package: {package}\n  debian: {{suite: test, keyring: keys.asc}}\n  modules: [loop, virtio-net]\n"
    );
    let project = Project::with(KERNEL, &kernel);
    project.edit("small.yaml", "outputs: [", "outputs: [bzimage, ");
    project.write("keys.asc", key.public());
    let ran = project.dbco(&["build", "small.yaml", "--only", "bzimage", "--mirror", &server.url]);
    (project, ran)
}

const BUILT_IN: &str = "kernel/drivers/block/loop.ko\nkernel/drivers/net/virtio_net.ko\n";
const PLACEHOLDER: &str = "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n";

/// Up to trixie: everything in one package.
fn one_package(modules: &str) -> TestArchive {
    let list = format!("./{modules}/6.1.0-1-amd64/modules.builtin");
    TestArchive::default().package("kmod", "30", "").deb(
        "linux-image-6.1.0-1-amd64",
        "6.1.5-1",
        "Depends: kmod",
        &[
            ("./boot/vmlinuz-6.1.0-1-amd64", "the kernel"),
            ("./boot/config-6.1.0-1-amd64", "CONFIG_X=y\n"),
            ("./boot/System.map-6.1.0-1-amd64", PLACEHOLDER),
            (&list, BUILT_IN),
        ],
    )
}

/// Since 2026, with the metapackage.
fn split() -> TestArchive {
    let file = |name: &str| format!("./usr/lib/modules/7.2.1+deb14-amd64/{name}");
    TestArchive::default()
        .package("kmod", "34", "")
        .package("dracut", "1", "")
        .deb(
            "linux-base-7.2.1+deb14-amd64",
            "7.2.1-1",
            "",
            &[
                (&file("config"), "CONFIG_X=y\n"),
                (&file("System.map"), PLACEHOLDER),
                (&file("modules.builtin"), BUILT_IN),
            ],
        )
        .deb(
            "linux-binary-7.2.1+deb14-amd64",
            "7.2.1-1",
            "Depends: linux-base-7.2.1+deb14-amd64 (= 7.2.1-1)",
            &[(&file("vmlinuz"), "the kernel")],
        )
        .deb(
            "linux-modules-7.2.1+deb14-amd64",
            "7.2.1-1",
            "Depends: kmod, linux-base-7.2.1+deb14-amd64 (= 7.2.1-1)",
            &[(&file("kernel/fs/x.ko"), "no module")],
        )
        .deb(
            "linux-image-7.2.1+deb14-amd64",
            "7.2.1-1",
            "Pre-Depends: kmod\nDepends: dracut | initramfs-tools, linux-base-7.2.1+deb14-amd64 (= 7.2.1-1), \
             linux-binary-7.2.1+deb14-amd64 (= 7.2.1-1), linux-modules-7.2.1+deb14-amd64 (= 7.2.1-1)",
            &[],
        )
        .deb("linux-image-amd64", "7.2.1-1", "Depends: linux-image-7.2.1+deb14-amd64 (= 7.2.1-1)", &[])
}

#[test]
fn each_layout_gives_the_kernel_its_configuration_and_its_modules() {
    for (made, package, files) in [
        (one_package("lib/modules"), "linux-image-6.1.0-1-amd64", 1),
        (one_package("usr/lib/modules"), "linux-image-6.1.0-1-amd64", 1),
        (split(), "linux-image-7.2.1+deb14-amd64", 4),
        (split(), "linux-image-amd64", 5),
        (split(), "{name: linux-image-amd64, version: 7.2.*}", 5),
    ] {
        let (project, ran) = build(made, package);
        let ran = ran.ends(0);
        let fetched = if files == 1 { "fetched 1 file,".to_owned() } else { format!("fetched {files} files,") };
        assert!(ran.err.contains(&fetched), "{package}: what it is split into, and no dependency more\n{}", ran.err);
        assert_eq!(project.read("out/small/bzImage"), "the kernel", "{package}");
        assert_eq!(project.read("out/small/config"), "CONFIG_X=y\n", "{package}");
        assert!(!project.path("out/small/System.map").exists(), "{package}: a placeholder is none");
    }
}

#[test]
fn a_package_without_a_kernel_names_what_it_depends_on() {
    let made = TestArchive::default().deb(
        "linux-image-generic",
        "5",
        "Depends: linux-image-5.1 (>= 5) | kmod, dash",
        &[("./usr/share/doc/x", "")],
    );
    let (_, ran) = build(made, "linux-image-generic");
    ran.ends(1).says(&[
        "no kernel (boot/vmlinuz-*",
        "`linux-image-generic 5`",
        "the package depends on `linux-image-5.1`",
    ]);
    let (_, ran) = build(TestArchive::default().deb("tool", "1", "Depends: libc6", &[("./usr/bin/tool", "")]), "tool");
    ran.ends(1).says(&["`tool 1`"]).never_says("depends on");
}

/// The module's own line in the recipe, and what was meant.
#[test]
fn a_misspelt_module_and_a_metapackage_have_the_line_that_names_them() {
    let (project, ran) = build(one_package("usr/lib/modules"), "linux-image-6.1.0-1-amd64");
    ran.ends(0);
    project.edit("small.yaml", "[loop, virtio-net]", "[loop, virtio-nat]");
    let ran = project.dbco(&["build", "--offline", "small.yaml", "--only", "bzimage"]).ends(1);
    let line = project.read("small.yaml").lines().position(|line| line.contains("virtio-nat")).unwrap() + 1;
    ran.says(&[&format!("small.yaml:{line}:"), "has no module virtio"]);
}
