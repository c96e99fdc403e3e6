//! The serial console, stated once: GRUB's line, the kernel's parameters and the machine's port follow from it.

mod project;

use project::Project;

/// The small project with a parameter for the console.
fn project() -> Project {
    let project = Project::with("host=${host}\n", "\"console=tty0 console=${console} host=${host}\"\n");
    project.edit("small.yaml", "params:\n", "params:\n  console: {default: ttyS0}\n");
    project
}

#[test]
fn grubs_line_follows_the_kernels_console() {
    for (console, line) in [
        ("ttyS0", "serial --unit=0 --speed=9600;"),
        ("ttyS1", "serial --unit=1 --speed=9600;"),
        ("ttyS0,9600n8", "serial --unit=0 --speed=9600;"),
        ("ttyS2,115200e7r", "serial --unit=2 --speed=115200 --parity=even --word=7 --rtscts=on;"),
        ("hvc0", "serial --unit=0 --speed=115200;"),
    ] {
        let project = project();
        let set = format!("console={console}");
        project.dbco(&["build", "--offline", "--only", "grub-cfg", "--set", &set, "small.yaml"]).ends(0);
        let config = project.read("out/small/grub.cfg");
        assert!(config.contains(&format!("\nif {line} then\n")), "{console}: {config}");
        assert!(config.contains(&format!(" console={console} ")), "{console}: {config}");
    }
}

#[test]
fn a_console_that_makes_no_sense_or_no_machine_has_is_a_finding() {
    for (console, why) in [
        ("ttyS1,fast", "entry `live`: `console=ttyS1,fast` is not a serial console"),
        ("ttyS0,9600n9", "`console=ttyS0,9600n9` is not a serial console"),
        ("ttyS4", "its console is ttyS4, and the machine of a test has ttyS0 to ttyS3"),
    ] {
        let set = format!("console={console}");
        project().dbco(&["check", "--set", &set, "small.yaml"]).ends(2).says(&["small.yaml:", why]);
    }
    let project = project();
    project.edit("small.yaml", "tests:\n  - {name: first, entry: live, medium: kernel, expect: \"login:\"}\n", "");
    project.dbco(&["check", "--set", "console=ttyS4", "small.yaml"]).ends(0);
}
