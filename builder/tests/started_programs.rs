//! Programs that are started by path must be in the image: shells, the early init. And roots whose layout their
//! components can't use.

mod project;

use std::fs;

use project::{Project, host};

fn check(project: &Project) -> project::Ran {
    project.dbco(&["check", "small.yaml"])
}

#[test]
fn a_shell_that_nothing_brings_is_a_finding() {
    for shell in ["/system/bin/bash", "/bin/sh", "/system/bin/sh/x"] {
        let project = Project::with("shell: /system/bin/sh", &format!("shell: {shell}"));
        let what = format!("the shell of account `root` is {shell}, which nothing provides");
        check(&project).ends(2).says(&["error[programs]", "small.yaml:14:14", &what, "set another `shell`"]);
    }
    // Through a link of the recipe or of an overlay; and a shell that refuses logins need not exist for that.
    let project = Project::with("shell: /system/bin/sh", "shell: /system/bin/bash");
    project.edit("small.yaml", "layout: split\n", "layout: split\n  links: {/system/bin/bash: sh}\n");
    check(&project).ends(0);
    for shell in ["/system/bin/false", "/usr/sbin/nologin"] {
        check(&Project::with("shell: /system/bin/sh", &format!("shell: {shell}"))).ends(0);
    }
}

/// The small project with a component, so that only the build knows the root's content.
fn with_component(install: &str) -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[template]");
    fs::remove_file(project.path("overlay/system/bin/sh")).unwrap();
    project.write("sources/tool/x", "");
    host::add_tool(&project, &format!("source: {{path: ../sources/tool}}\ninstall: '{install}'\n"));
    project
}

#[test]
fn a_shell_that_a_component_does_not_bring_is_an_error_of_the_build_with_its_place() {
    for (install, why) in [
        ("mkdir -p $OUT/system/bin", "does not exist"),
        ("mkdir -p $OUT/system/bin/sh", "is a folder"),
        ("mkdir -p $OUT/system/bin && echo x >$OUT/system/bin/sh", "is a file of mode 644, which is not executable"),
        ("mkdir -p $OUT/system/bin && ln -s bash $OUT/system/bin/sh", "does not exist"),
    ] {
        let project = with_component(install);
        check(&project).ends(0);
        let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
        let what = format!(
            "small.yaml:15:14: the shell of account `root`, /system/bin/sh, {why}: add a package, component or overlay that provides it"
        );
        ran.says(&["rootfs failed", "required programs are missing", &what]);
    }
    let install = "mkdir -p $OUT/system/bin $OUT/usr && cp /usr/bin/cat $OUT/system/bin/real && ln -s ../bin/real $OUT/system/bin/sh";
    with_component(install).dbco(&["build", "--offline", "small.yaml"]).ends(0);
}

#[test]
fn an_initrd_without_its_init_is_a_finding() {
    let without = |cmdline: &str| {
        let project = Project::with("  overlays: [early]\n", "");
        project.edit("small.yaml", "cmdline: host=${host}", &format!("cmdline: host=${{host}} {cmdline}"));
        project
    };
    let what = "entry `live` starts /init in the initramfs, which nothing provides";
    check(&without("")).ends(2).says(&["error[programs]", "small.yaml:21:12", what, "`rdinit=`"]);
    check(&without("rdinit=/system/bin/init")).ends(2).says(&["starts /system/bin/init in the initramfs"]);
    // Another program; a root that the kernel mounts itself; outputs without an initrd.
    check(&without("rdinit=/system/bin/sh")).ends(0);
    check(&without("root=/dev/vda")).ends(0);
    let project = without("");
    project.edit("small.yaml", "[initrd, grub-cfg]", "[grub-cfg]");
    check(&project).ends(0);
}

#[test]
fn components_stand_in_the_layouts_that_they_are_built_for() {
    for (layouts, layout, fits) in [
        ("[split]", "split", true),
        ("[split]", "fhs", false),
        ("[app, split]", "fhs", false),
        ("[fhs, split]", "fhs", true),
        ("[]", "fhs", true),
    ] {
        let project = with_component("true");
        project.edit("small.yaml", "layout: split", &format!("layout: {layout}"));
        project.edit("components/tool.yaml", "license: MIT\n", &format!("license: MIT\nlayouts: {layouts}\n"));
        let ran = check(&project);
        if fits {
            ran.ends(0);
        } else {
            let ran = ran.ends(2);
            ran.says(&[
                "error[layouts]",
                "small.yaml:12:16",
                "component `tool` is built for layout",
                "this root has `fhs`",
            ]);
        }
    }
    let project = with_component("true");
    project.edit("components/tool.yaml", "license: MIT\n", "license: MIT\nlayouts: [splt]\n");
    check(&project).ends(2).says(&["did you mean `split`?"]);
}

#[test]
fn a_shipped_base_with_another_layout_is_a_finding() {
    let recipes = project::repository().join("recipes");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fhs.yaml");
    let base = recipes.join("quick.yaml");
    let text = format!("recipe: fhs\nextends: {}\nrootfs: {{layout: fhs}}\ntests: []\n", base.display());
    fs::write(&path, text).unwrap();
    let message = dbco::recipe::load(&path, &Default::default()).unwrap_err().to_string();
    assert!(message.contains("component `busybox` is built for layout `split`, this root has `fhs`"), "{message}");
}
