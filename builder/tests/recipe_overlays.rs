//! What overlays may lose silently: nothing.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use project::Project;

fn set(project: &Project, path: &str, mode: u32) {
    fs::set_permissions(project.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

fn with_key(mode: u32) -> Project {
    let project = Project::new();
    project.write("overlay/system/etc/ssl/host.key", "secret");
    set(&project, "small.yaml", 0o644);
    set(&project, "overlay", 0o755);
    set(&project, "overlay/system/etc/ssl/host.key", mode);
    project
}

#[test]
fn a_private_file_of_an_overlay_does_not_become_readable_without_a_word() {
    for (mode, becomes) in [(0o600, "0644"), (0o640, "0644"), (0o700, "0755"), (0o4755, "0755"), (0o2711, "0755")] {
        let ran = with_key(mode).dbco(&["check", "small.yaml"]).ends(2);
        let what = format!("/system/etc/ssl/host.key: mode {mode:04o} would become {becomes}");
        ran.says(&["error[overlay-modes]", "small.yaml:12:14", &what, "modes: keep", "`attributes`"]);
    }
    for mode in [0o644, 0o664, 0o666, 0o755, 0o775] {
        with_key(mode).dbco(&["check", "small.yaml"]).ends(0);
    }
}

#[test]
fn folders_of_an_overlay_that_are_closed_or_sticky_are_named_too() {
    for mode in [0o700, 0o750, 0o1777] {
        let project = with_key(0o644);
        set(&project, "overlay/system/etc/ssl", mode);
        let what = format!("/system/etc/ssl: mode {mode:04o} would become 0755");
        project.dbco(&["check", "small.yaml"]).ends(2).says(&[&what]);
    }
}

#[test]
fn a_recipe_that_says_what_it_wants_passes() {
    let project = with_key(0o600);
    project.edit("small.yaml", "overlays: [overlay]", "overlays: [{path: overlay, modes: keep}]");
    project.dbco(&["check", "small.yaml"]).ends(0);

    for path in ["/system/etc/ssl/host.key", "/system/etc/ssl/*.key", "/system/etc/**"] {
        let project = with_key(0o600);
        let stated = format!("overlays: [overlay]\n  attributes: [{{path: \"{path}\", mode: \"0600\"}}]");
        project.edit("small.yaml", "overlays: [overlay]", &stated);
        project.dbco(&["check", "small.yaml"]).ends(0);
    }
    let project = with_key(0o600);
    let stated = "overlays: [overlay]\n  attributes: [{path: /system/etc/ssl/host.key, uid: 7}]";
    project.edit("small.yaml", "overlays: [overlay]", stated);
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["mode 0600 would become 0644"]);
}

#[test]
fn a_clone_made_with_a_narrow_umask_holds_no_secrets_by_that() {
    let project = with_key(0o600);
    for (path, mode) in [("small.yaml", 0o600), ("overlay", 0o700), ("overlay/system", 0o700)] {
        set(&project, path, mode);
    }
    project.dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn attributes_of_an_overlays_file_are_named_where_the_file_system_has_them() {
    let project = with_key(0o644);
    let key = project.path("overlay/system/etc/ssl/host.key");
    if xattr::set(&key, "user.note", b"x").is_err() {
        return;
    }
    let said = "/system/etc/ssl/host.key: its attribute `user.note` would be lost";
    project.dbco(&["check", "small.yaml"]).ends(2).says(&[said]);
    let stated = "overlays: [overlay]\n  attributes: [{path: /system/etc/ssl/host.key, xattrs: {user.note: y}}]";
    project.edit("small.yaml", "overlays: [overlay]", stated);
    project.dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn mistakes_in_attributes_are_findings() {
    let wrong = |stated: &str, parts: &[&str]| {
        let project = Project::with("overlays: [overlay]", &format!("overlays: [overlay]\n  {stated}"));
        project.dbco(&["check", "small.yaml"]).ends(2).says(parts);
    };
    wrong("attributes: [{path: /usr/a, capabilities: cap_netraw+ep}]", &["unknown capability `cap_netraw`"]);
    wrong("attributes: [{path: /usr/a, xattrs: {note: x}}]", &["`note` is not the name of an extended attribute"]);
    wrong("attributes: [{path: /usr/a, xattrs: {user.a: 0x0}}]", &["pairs of hexadecimal digits"]);
    wrong("attributes: [{path: /usr/a, owner: ann}]", &["has no account `ann`"]);
    wrong("attributes: [{path: /usr/a, group: wheel}]", &["has no group `wheel`"]);
    wrong("attributes: [{path: /usr/a, owner: root, uid: 1}]", &["set the same attribute"]);
    wrong("attributes: [{path: \"/usr/[a\"}]", &["is not a valid pattern"]);
    wrong("attributes: [{path: \"/usr/[a/b]\"}]", &["between two `/`"]);
    wrong("modes: [{path: /usr/a}]", &["`modes` was renamed to `attributes`"]);
    wrong("exclude: [/usr/share/doc]", &["there are no `packages`"]);
}
