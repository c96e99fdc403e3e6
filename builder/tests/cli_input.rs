//! Files that dbco reads: a pipe or a device in place of a file is rejected without blocking, and archives are limited
//! as recipes state.

mod project;

use std::fs;
use std::os::unix::fs::symlink;

use project::Project;

/// Replaces a file by something that can't be read to an end.
fn spoil(project: &Project, file: &str, how: &str) {
    let path = project.path(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&path);
    match how {
        "a pipe" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        device => symlink(device, &path).unwrap(),
    }
}

#[test]
fn a_pipe_or_a_device_in_the_place_of_a_file_is_an_error_that_names_it() {
    let check: &[&str] = &["check", "small.yaml"];
    let build: &[&str] = &["build", "--offline", "small.yaml"];
    let lock: &[&str] = &["lock", "small.yaml", "--update"];
    let cases: &[(&str, &[&[&str]])] = &[
        ("small.yaml", &[check, build, lock]),
        ("dbco.lock", &[build, lock]),
        ("components/kernel.yaml", &[check, build]),
        ("toolchains/none.yaml", &[check, build]),
        ("kernel-config/tiny.config", &[check, build]),
        ("patches/first.patch", &[check, build]),
        ("overlay/system/etc/motd", &[check, build]),
        ("home/.config/dbco/config.yaml", &[lock]),
    ];
    for (file, commands) in cases {
        for how in ["a pipe", "/dev/zero"] {
            let project = Project::new();
            // The patch and the fragment only count if the kernel is requested.
            project.edit("small.yaml", "outputs: [initrd, grub-cfg]", "outputs: [bzimage, initrd, grub-cfg]");
            spoil(&project, file, how);
            for arguments in *commands {
                // A link in an overlay is a link in the image; its target is not checked.
                if file.starts_with("overlay/") && how != "a pipe" {
                    continue;
                }
                let ran = project.dbco(arguments);
                let name = file.rsplit('/').next().unwrap().split('.').next().unwrap();
                assert!(matches!(ran.code, Some(1 | 2)), "{file} as {how}, {arguments:?}: {ran:?}");
                assert!(ran.err.contains(name) && !ran.err.contains("panicked"), "{file} as {how}: {}", ran.err);
            }
        }
    }
}

/// Unreadable credentials are ignored, without blocking.
#[test]
fn a_pipe_in_the_place_of_netrc_is_passed_over() {
    let project = Project::new();
    spoil(&project, "home/.netrc", "a pipe");
    project.dbco(&["lock", "small.yaml", "--update"]).ends(0);
}

/// A component whose source is an archive of empty files `0`, `1` …, of which it outputs the first. No tool runs for
/// it.
fn with_archive(files: usize) -> Project {
    let project = Project::with("layout: split", "layout: split\n  components: [many]");
    let mut archive = tar::Builder::new(Vec::new());
    for number in 0..files {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        archive.append_data(&mut header, number.to_string(), &b""[..]).unwrap();
    }
    project.write("sources/many.tar", archive.into_inner().unwrap());
    let component =
        "component: many\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/many.tar}\nfiles: {a: '0'}\n";
    project.write("components/many.yaml", component);
    project
}

#[test]
fn a_recipe_or_a_component_raises_and_lowers_what_an_archive_may_come_to() {
    let project = with_archive(20);
    let build = || project.dbco(&["build", "--offline", "--only", "initrd", "small.yaml"]);
    let (recipe, component) = (project.read("small.yaml"), project.read("components/many.yaml"));
    let state = |of_recipe: &str, of_component: &str| {
        project.write("small.yaml", format!("{recipe}{of_recipe}"));
        project.write("components/many.yaml", format!("{component}{of_component}"));
    };
    let many = "many.tar is rejected: it contains more than";
    for (of_recipe, of_component, expected) in [
        ("limits: {entries: 19}\n", "", "more than 19 entries"),
        ("", "limits: {entries: 10}\n", "more than 10 entries"),
        ("limits: {entries: 100}\n", "limits: {entries: 5}\n", "more than 5 entries"),
        ("", "limits: {unpacked: 1K}\n", "unpacks to more than 1024 bytes"),
    ] {
        state(of_recipe, of_component);
        let ran = build().ends(1).says(&[expected, "beside the source or in the recipe"]);
        if expected.ends_with("entries") {
            ran.says(&[many, "`limits: {entries: …}`"]);
        }
    }
    // A component may raise the recipe's own limits, and its digest does not depend on either.
    state("limits: {entries: 5}\n", "limits: {entries: 20}\n");
    build().ends(0);
    state("", "");
    assert!(build().ends(0).out.contains("nothing to do"), "limits are in no key");
}

#[test]
fn limits_are_sizes_with_units_and_numbers_from_1_up() {
    for (wrong, parts) in [
        ("limits: {unpacked: 5}\n", &["a size: a number with K, M, G or T", "small.yaml:26:20"][..]),
        ("limits: {ratio: 0}\n", &["a positive whole number"]),
        ("limits: {entries: many}\n", &["a positive whole number"]),
        ("limits: {depht: 5}\n", &["unknown key `depht` in `limits`", "did you mean `depth`?"]),
        ("limits: 5\n", &["`limits` (a mapping)"]),
    ] {
        let project = Project::new();
        project.write("small.yaml", project.read("small.yaml") + wrong);
        project.dbco(&["check", "small.yaml"]).ends(2).says(parts);
    }
}
