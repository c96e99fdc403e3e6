//! The examples of `docs/recipes.md` do what the page says.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use project::{Project, repository};

/// What the examples' base recipe refers to.
fn example_project() -> Project {
    let project = Project::new();
    for name in ["image", "qemu"] {
        project
            .write(&format!("toolchains/{name}.yaml"), format!("toolchain: {name}\ndebian: bookworm\npackages: []\n"));
    }
    project.write("toolchains/bookworm.yaml", "toolchain: bookworm\ndebian: bookworm\npackages: [gcc, make, bison]\n");
    for name in ["hardware", "virt", "containers"] {
        project.write(&format!("kernel-config/{name}.config"), "CONFIG_64BIT=y\n");
    }
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\npatches: [first.patch]");
    project.write("patches/debug.patch", "");
    project.write("shells/usr/bin/bash", "program\n");
    fs::set_permissions(project.path("shells/usr/bin/bash"), fs::Permissions::from_mode(0o755)).unwrap();
    project
}

#[test]
fn the_examples_of_the_rules_are_right() {
    let page = repository().join("docs/recipes.md");
    if !page.exists() {
        return;
    }
    let text = fs::read_to_string(page).unwrap();
    let project = example_project();
    let (mut shown, mut refused) = (0, 0);
    for block in text.split("\n```").skip(1).step_by(2) {
        let (language, block) = block.split_once('\n').unwrap();
        let (first, rest) = block.split_once('\n').unwrap();
        let first = first.strip_prefix("# ").expect("the first line of a block names its file or its command");
        let Some(command) = first.strip_prefix("dbco ") else {
            // Lines are counted as in the block.
            project.write(first, format!("{block}\n"));
            continue;
        };
        let ran = project.dbco(&command.split(' ').collect::<Vec<_>>());
        if language == "text" {
            let lines: Vec<&str> = rest.lines().map(str::trim).collect();
            ran.ends(2).says(&lines);
            refused += 1;
        } else {
            let ran = ran.ends(0);
            assert_eq!(ran.out.trim_end(), rest.trim_end(), "{command}");
            shown += 1;
        }
    }
    assert!(shown >= 8 && refused >= 1, "{shown} {refused}");
}

/// Each file is also complete: nothing of it is an error.
#[test]
fn the_base_of_the_examples_is_a_valid_recipe() {
    let text = fs::read_to_string(repository().join("docs/recipes.md")).unwrap();
    let base = text.split("```yaml\n").find(|block| block.starts_with("# base.yaml\n")).unwrap();
    let project = example_project();
    project.write("base.yaml", base.split("```").next().unwrap());
    project.dbco(&["check", "base.yaml"]).ends(0);
}
