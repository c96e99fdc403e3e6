//! Patterns that match nothing: reported by the build, with their subject.

mod project;

use std::fs;

use project::{Project, host};

/// The small project with a component from a folder with exclusions, in a template.
fn with_component(exclude: &str) -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[template]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "layout: split\n", "layout: split\n  components: [tool]\n");
    let component = format!(
        "component: tool\nversion: '1'\nlicense: MIT\nsource: {{path: ../sources/tool, exclude: [{exclude}]}}\n\
         install: 'mkdir -p $OUT/system && cp -R . $OUT/system/tool'\n"
    );
    project.write("components/tool.yaml", component);
    for file in ["target/debug/tool", "docs/manual.txt", "main.c"] {
        project.write(&format!("sources/tool/{file}"), file);
    }
    host::provide(&project);
    project
}

#[test]
fn a_misspelt_path_that_a_source_excludes_is_named_with_its_neighbour() {
    for (exclude, near) in [("/taget", "/target"), ("/docs/manual.text", "/docs/manual.txt"), ("/dosc/x", "/docs")] {
        let ran = with_component(exclude).dbco(&["build", "--offline", "small.yaml"]).ends(0);
        let text = format!("`exclude` has {exclude}, which does not exist; did you mean {near}?");
        let ran = ran.says(&["warning: ", "components/tool.yaml:4:43: ", &text]);
        assert_eq!(ran.err.matches("warning").count(), 1, "{}", ran.err);
    }
    // Existing files, and those that a fresh clone need not have.
    for exclude in ["/target", "/docs/manual.txt", "/node_modules", "'/*.o'", "/target/release"] {
        with_component(exclude).dbco(&["build", "--offline", "small.yaml"]).ends(0).never_says("warning");
    }
}

#[test]
fn a_pattern_of_replace_that_lets_nothing_win_is_said() {
    let replace = |pattern: &str| {
        let project = Project::with("[initrd, grub-cfg]", "[template]");
        project.edit(
            "small.yaml",
            "overlays: [overlay]",
            &format!("overlays: [overlay, second]\n  replace: [{pattern}]"),
        );
        project.write("second/system/etc/motd", "another\n");
        project.write("second/system/etc/issue", "one\n");
        project
    };
    for pattern in ["/system/etc/motd", "/system/etc/*", "'/**'"] {
        replace(pattern).dbco(&["build", "--offline", "small.yaml"]).ends(0).never_says("warning");
    }
    for more in ["/system/etc/issue", "/system/etc/nothing", "'/usr/**'"] {
        let ran = replace(&format!("/system/etc/motd, {more}")).dbco(&["build", "--offline", "small.yaml"]).ends(0);
        let pattern = more.trim_matches('\'');
        ran.says(&[&format!("warning: rootfs: `replace` has {pattern}, which is unused")]).never_says("motd,");
    }
    // The second build has nothing to do, and the image is right.
    let project = replace("/system/etc/motd");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(fs::metadata(project.path("out/small/small.tar.gz")).is_ok());
}

#[test]
fn a_pattern_that_excludes_nothing_of_the_packages_is_said() {
    let deb = host::deb(
        "Package: a\nVersion: 1\n",
        &[("./usr/share/doc/", b""), ("./usr/share/doc/a", b"x"), ("./usr/bin/a", b"a")],
    );
    let project = Project::with("[initrd, grub-cfg]", "[template]");
    let root =
        "layout: split\n  debian: {suite: bookworm}\n  packages: [a]\n  exclude: [/usr/share/doc, /usr/share/man]\n";
    project.edit("small.yaml", "layout: split\n", root);
    host::provide_packages(&project, &[("a", "1", deb)]);
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    ran.says(&["warning: packages: `exclude` has /usr/share/man, which matches nothing"]).never_says("share/doc");
    let ran = project.dbco(&["build", "--offline", "--json", "small.yaml"]).ends(0);
    assert!(ran.out.lines().all(|line| line.starts_with('{')), "{}", ran.out);
}
