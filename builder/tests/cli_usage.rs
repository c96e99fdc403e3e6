//! Wrong usage, full disks, foreign stores: the exit status, and what to do.

mod project;

use dbco::process::command;
use project::Project;

#[test]
fn a_misspelt_subcommand_or_flag_is_wrong_usage_with_a_suggestion() {
    let project = Project::new();
    project.dbco(&["biuld"]).ends(2).says(&["unrecognized subcommand 'biuld'", "'build'"]);
    project.dbco(&["build", "--ofline"]).ends(2).says(&["unexpected argument '--ofline'", "'--offline'"]);
    project.dbco(&["build", "--jobs", "many"]).ends(2).says(&["invalid value 'many'"]);
    project
        .dbco(&["build", "--only", "cd"])
        .ends(2)
        .says(&["expected one of: bzimage, initrd, grub-cfg, iso, template, rootfs, squashfs"]);
    project.dbco(&[]).ends(2).says(&["Usage: dbco"]);
}

#[test]
fn help_and_version_end_well() {
    let project = Project::new();
    let help = project.dbco(&["--help"]).ends(0).out;
    assert!(help.contains("dbco build recipes/quick.yaml"), "{help}");
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("2 wrong usage or recipe, 3 to 10 see `dbco help verify`, 128 + N ended by signal N."),
        "{help}"
    );
    for command in ["build", "lock", "run", "test"] {
        let help = project.dbco(&[command, "--help"]).ends(0).out;
        assert!(help.contains(&format!("dbco {command}")), "{help}");
    }
    assert!(project.dbco(&["--version"]).ends(0).out.starts_with("dbco "));
}

#[test]
fn an_output_that_the_recipe_does_not_have_is_wrong_usage() {
    let ran = Project::new().dbco(&["build", "--offline", "--only", "iso", "small.yaml"]).ends(2);
    ran.says(&["--only iso: it is not in the recipe's `outputs`"]);
}

#[test]
fn only_gives_that_output_and_leaves_nothing_else() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    project.dbco(&["build", "--offline", "--only", "grub-cfg", "small.yaml"]).ends(0);
    let mut names: Vec<_> = std::fs::read_dir(project.path("out/small"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".dbco-outputs", "SHA256SUMS", "grub.cfg"]);
    assert!(project.read("out/small/grub.cfg").contains("host=box"));
}

#[test]
fn a_folder_that_holds_what_dbco_did_not_put_there_is_left_alone() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    project.write("out/small/notes", "mine");
    project.write("overlay/system/more", "more");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["out/small", "`notes`", "--output"]);
    assert_eq!(project.read("out/small/notes"), "mine");
    std::fs::remove_file(project.path("out/small/notes")).unwrap();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
}

#[test]
fn edited_outputs_are_named_before_the_work_and_kept_with_overwrite() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let written = project.read("out/small/grub.cfg");
    project.write("out/small/grub.cfg", "my own menu");
    project.write("overlay/system/more", "more");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["out/small", "`grub.cfg` changed", "--overwrite"]).never_says("rootfs");
    assert_eq!(project.read("out/small/grub.cfg"), "my own menu");
    let ran = project.dbco(&["build", "--offline", "--overwrite", "small.yaml"]).ends(0);
    ran.says(&["kept in out/small.edited"]);
    assert_eq!(project.read("out/small/grub.cfg"), written);
    assert_eq!(project.read("out/small.edited/grub.cfg"), "my own menu");
}

#[test]
fn outputs_go_nowhere_near_files_of_others() {
    let project = Project::new();
    let iso = "not ours";
    project.write("dl/small/debian-12.iso", iso);
    project.write("dl/small/SHA256SUMS", format!("{}  debian-12.iso\n", dbco::digest::Digest::of(iso)));
    project.write("dl/.dbco-notes/diary", "dear");
    let ran = project.dbco(&["build", "--offline", "-o", "dl", "small.yaml"]).ends(1);
    ran.says(&["can't replace dl/small", "`debian-12.iso`", "no valid `.dbco-outputs`"]);
    std::fs::rename(project.path("dl/small"), project.path("dl/other")).unwrap();
    project.dbco(&["build", "--offline", "-o", "dl", "small.yaml"]).ends(0);
    assert_eq!(project.read("dl/other/debian-12.iso"), iso);
    assert_eq!(project.read("dl/.dbco-notes/diary"), "dear");
}

/// Bytes that no compression makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(size / 8)
    .flatten()
    .collect()
}

#[test]
fn a_full_disk_under_the_store_is_said_and_leaves_the_outputs_as_they_were() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let before = project.read("out/small/SHA256SUMS");
    project.write("overlay/system/big", noise(2 << 20));
    let script = "mkdir full; mount -t tmpfs -o size=1m none full; \
                  \"$DBCO\" build --offline --store full small.yaml; code=$?; \
                  ls full/tmp full/partial; exit $code";
    let script = script.replace("small.yaml; code=$?", "small.yaml && code=0 || code=$?");
    let ran = project.unshared(&script).ends(1);
    assert_eq!(ran.out.trim(), "full/partial:\n\nfull/tmp:", "work in hand is left behind");
    ran.says(&[
        "No space left on device",
        "the disk is full: free some space, or choose another location with --store",
    ]);
    assert_eq!(project.read("out/small/SHA256SUMS"), before);
}

#[test]
fn a_full_disk_under_the_outputs_is_said_and_leaves_them_as_they_were() {
    let project = Project::new();
    let script = "mkdir -p out; mount -t tmpfs -o size=1m none out; \
                  \"$DBCO\" build --offline small.yaml; cp out/small/SHA256SUMS .; \
                  head -c 2097152 /dev/urandom > overlay/system/big; \
                  \"$DBCO\" build --offline small.yaml && code=0 || code=$?; \
                  cmp out/small/SHA256SUMS SHA256SUMS; echo left: $(ls -A out); exit $code";
    let ran = project.unshared(script).ends(1);
    assert!(ran.out.ends_with("left: small\n"), "{}", ran.out);
    ran.says(&["No space left on device", "the disk is full: free some space"]);
}

#[test]
fn a_store_of_another_version_is_refused() {
    let project = Project::new();
    project.write("store/format", "99\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&[
        "has store format 99, this version of dbco reads 1",
        "choose another folder with --store, or remove it",
    ]);
}

/// Nothing in the store blocks, or is read without end.
#[test]
fn what_stands_in_the_stores_files_is_read_within_bounds() {
    let project = Project::new();
    project.dbco(&["build", "small.yaml"]).ends(0);
    for file in ["format", "revision"] {
        let path = project.path("store").join(file);
        let was = std::fs::read(&path).unwrap();
        for make in ["mkfifo $1", "ln -s /dev/zero $1", "truncate -s 20G $1"] {
            std::fs::remove_file(&path).unwrap();
            let made = dbco::process::command("sh").args(["-c", make, "sh"]).arg(&path).status().unwrap();
            assert!(made.success());
            let ran = project.dbco(&["build", "--offline", "small.yaml"]);
            // The information in `revision` can be determined again.
            match file {
                "format" => drop(ran.ends(1).says(&["store/format"])),
                _ => drop(ran.ends(0)),
            }
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, was).unwrap();
        project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    }
}

#[test]
fn a_store_that_cannot_be_made_is_named() {
    let project = Project::new();
    project.write("store", "a file");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&["store", "Not a directory"]);
}

#[test]
fn without_a_home_there_has_to_be_a_store() {
    let project = Project::new();
    let ran = project.unshared("env -u HOME -u DBCO_STORE \"$DBCO\" build --offline small.yaml");
    ran.ends(2).says(&["neither XDG_CACHE_HOME nor HOME is set: pass --store DIR"]);
}

#[test]
fn origins_that_disagree_are_both_named() {
    let project = Project::new();
    project.write("overlay/system/etc/passwd", "another\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&[
        "rootfs failed",
        "/system/etc/passwd comes from overlay ",
        "overlay and from the recipe",
        "the contents differ",
    ]);
    project.edit("small.yaml", "overlays: [overlay]", "overlays: [overlay]\n  replace: [/system/etc/*]");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
}

#[test]
fn what_lies_outside_of_the_layout_is_named() {
    let project = Project::new();
    project.write("overlay/var/log/x", "");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(2);
    ran.says(&["`/var` of this overlay is outside of layout `split`", "/dev, /proc, /sys, /system, /usr"]);
}

#[test]
fn an_audit_names_each_leak_and_each_line_that_nothing_needs() {
    let project = Project::new();
    project.write("overlay/system/bin/hello", "#!/bin/sh\necho /etc/motd\n");
    let ran = project.dbco(&["audit", "--offline", "small.yaml"]).ends(1);
    ran.says(&[
        "/system/bin/hello: /bin/sh (shebang)",
        "/system/bin/hello: /etc/motd (text)",
        "leaks out of layout `split`",
    ]);
    let allow = "audit: {allow: ['/system/bin/*: /bin/sh', '/system/bin/hello: /etc/*', '/system/x: *']}";
    project.edit("small.yaml", "  overlays: [overlay]", &format!("  overlays: [overlay]\n  {allow}"));
    let ran = project.dbco(&["audit", "--offline", "small.yaml"]).ends(0);
    ran.says(&["`audit.allow` has `/system/x: *`, which matches nothing", "leaks allowed by the recipe, no others"]);
}

/// The names in a template, as GNU tar lists them with their owners.
fn listed(project: &Project, archive: &str) -> String {
    let output = command("tar").args(["--numeric-owner", "-tvf"]).arg(project.path(archive)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_template_is_the_root_filesystem_as_an_archive_or_an_applications_own_content() {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [template]");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let names = listed(&project, "out/small/small.tar.gz");
    assert!(names.contains(" 0/0 ") && names.contains("./system/etc/motd") && names.contains("./system/etc/passwd"));
    let first = project.read("out/small/SHA256SUMS");
    project.dbco(&["build", "--offline", "--output", "again", "small.yaml"]).ends(0);
    assert_eq!(project.read("again/small/SHA256SUMS"), first);

    let own = "outputs: [template]\ntemplate: {compression: zstd, layout: app, overlays: [app]}";
    project.write("app/usr/app/run", "#!/system/bin/sh\n");
    project.edit("small.yaml", "outputs: [template]", own);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let names = listed(&project, "out/small/small.tar.zst");
    assert!(names.contains("./usr/app/run") && !names.contains("system"), "{names}");
    // An application has nothing outside /usr.
    project.write("app/system/etc/motd", "mine\n");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(2).says(&[
        "layout `app`",
        "`/system` of this overlay",
        "/usr",
    ]);
    project.edit("small.yaml", "layout: app, overlays: [app]", "layout: app, dirs: [/etc]");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["`/etc` is outside of layout `app`"]);
}

#[test]
fn what_can_not_work_is_said_before_the_work() {
    let project = Project::new();
    let cases: [(&[&str], &str); 7] = [
        (&["test", "--filter", "nosuch", "small.yaml"], "no test's name contains it; there are: first"),
        (&["run", "--entry", "liev", "small.yaml"], "did you mean `live`?"),
        (&["run", "--entry", "live", "--medium", "cd", "small.yaml"], "--entry is only valid with `--medium kernel`"),
        (
            &["run", "--medium", "cd", "small.yaml"],
            "`iso`, which this machine boots from, is not in the recipe's `outputs`",
        ),
        (&["run", "small.yaml"], "`bzimage`, which this machine boots from, is not in the recipe's `outputs`"),
        (&["build", "-j", "0", "small.yaml"], "invalid value '0'"),
        (&["build", "-o", "small.yaml/out", "small.yaml"], "--output small.yaml/out can't be used"),
    ];
    for (arguments, part) in cases {
        project.dbco(arguments).ends(2).says(&[part]);
        assert!(!project.path("out").exists());
    }
}

#[test]
fn every_line_of_json_output_is_json() {
    let project = Project::new();
    let runs: [&[&str]; 3] = [
        &["build", "--offline", "--json", "small.yaml"],
        &["cache", "info", "--json"],
        &["check", "--json", "small.yaml"],
    ];
    for arguments in runs {
        let ran = project.dbco(arguments).ends(0);
        let lines: Vec<Result<serde_json::Value, _>> = ran.out.lines().map(serde_json::from_str).collect();
        assert!(!lines.is_empty() && lines.iter().all(Result::is_ok), "{}", ran.out);
    }
}

#[test]
fn a_full_standard_output_is_a_failure() {
    let project = Project::new();
    let ran = project.unshared("\"$DBCO\" build --offline small.yaml > /dev/full").ends(1);
    ran.says(&["standard output could not be written"]);
}
