//! Services of a recipe: their rules, and the files that runit reads.

mod project;

use std::collections::BTreeMap;

use dbco::process::command;
use project::Project;

/// The small project with services, a supervisor that only exists, and their programs.
fn project(services: &str) -> Project {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [rootfs]");
    project.edit("small.yaml", "  users:\n", &format!("  services:\n{services}  users:\n"));
    project.edit("small.yaml", "livefs: none", "livefs: squashfs");
    for program in ["system/bin/runsvdir", "usr/bin/web", "usr/bin/db"] {
        project.write(&format!("overlay/{program}"), "#!/system/bin/sh\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(project.path(&format!("overlay/{program}")), mode).unwrap();
    }
    project
}

/// The files of services in the archive of the root, by path below their folder; of a link its target.
fn files(project: &Project) -> BTreeMap<String, String> {
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let script = "mkdir root && zstd -dc out/small/small.rootfs.tar.zst | tar -xf - -C root ./system/etc/sv && cd root/system/etc/sv && \
                  find . ! -type d | LC_ALL=C sort | while read -r path; do printf '%s\\n' \"$path\"; \
                  if [ -h \"$path\" ]; then readlink \"$path\"; else cat \"$path\"; fi; printf '\\0'; done";
    let output = command("sh").args(["-ec", script]).current_dir(project.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let parts = text.split('\0').filter_map(|part| part.split_once('\n'));
    parts.map(|(path, content)| (path.trim_start_matches("./").to_owned(), content.to_owned())).collect()
}

#[test]
fn each_service_has_the_scripts_that_its_keys_ask_for() {
    let project = project(
        "    - {name: db, command: [/usr/bin/db, \"a b\", \"it's\"], restart: on-failure, log: none}\n    \
         - {name: web, command: /usr/bin/web -p 80, user: root, restart: never, after: [db], network: true, env: {A: \"$x\"}, directory: /usr}\n",
    );
    let files = files(&project);
    let expected = [
        "db/control/t",
        "db/finish",
        "db/run",
        "db/supervise",
        "web/control/t",
        "web/finish",
        "web/log/run",
        "web/log/supervise",
        "web/run",
        "web/supervise",
    ];
    assert_eq!(files.keys().collect::<Vec<_>>(), expected);
    assert!(files["db/run"].ends_with("exec /usr/bin/db 'a b' 'it'\\''s'\n"), "{}", files["db/run"]);
    assert!(files["db/run"].contains("exec >/dev/null 2>&1\n"), "{}", files["db/run"]);
    for line in [
        "until [ -e /system/run/sv/db@started ]; do sleep 1; done\n",
        ": >/system/run/sv/web@started\nexec chpst",
        "ip route show default",
        "export A='$x'\n",
        "cd /usr || exit\n",
        "exec chpst -u root /usr/bin/web -p 80\n",
    ] {
        assert!(files["web/run"].contains(line), "{line}: {}", files["web/run"]);
    }
    let finish = "#!/system/bin/sh\nrm -f /system/run/sv/web@started\n\
                  if [ -e /system/run/sv/web@stopped ]; then exec rm /system/run/sv/web@stopped; fi\nexec sv down .\n";
    assert_eq!(files["web/finish"], finish);
    assert!(files["db/finish"].contains("[ \"$1\" != 0 ] || exec sv down ."), "{}", files["db/finish"]);
    assert_eq!(files["web/log/supervise"], "/system/run/sv/web@log\n");
    // A shell accepts each.
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with("run") || path.ends_with("finish")) {
        project.write("script", text);
        let status = command("sh").args(["-n", "script"]).current_dir(project.path("")).status().unwrap();
        assert!(status.success(), "{path}: {text}");
    }
    // The line that states it.
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/system/etc/sv/web/run"]).ends(0);
    assert!(ran.out.contains("small.yaml:15:14: `services`"), "{}", ran.out);
}

#[test]
fn a_missing_program_or_supervisor_is_an_error_with_its_line() {
    let project = project("    - {name: web, command: /usr/bin/wep}\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["small.yaml:14:28: the program of service `web`, /usr/bin/wep, does not exist"]);
    project.edit("small.yaml", "/usr/bin/wep", "/usr/bin/web");
    std::fs::remove_file(project.path("overlay/system/bin/runsvdir")).unwrap();
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["the supervisor of `services`, /system/bin/runsvdir, does not exist: add the component `runit`"]);
}

#[test]
fn wrong_services_are_findings() {
    for (service, parts) in [
        ("{name: \"a b\", command: /usr/bin/web}", &["`a b` can't be a service's name"][..]),
        ("{name: web, command: web}", &["the program of a service has an absolute path, and `web` has not"]),
        (
            "{name: web, command: \"/usr/bin/web > /dev/null\"}",
            &["no shell runs this command, so that `>` has no meaning in it", "write a list"],
        ),
        ("{name: web, command: []}", &["a command: text, or a list of words"]),
        (
            "{name: web, command: /usr/bin/web, user: rot}",
            &["`rot`, which is no account of the recipe", "did you mean `root`?"],
        ),
        (
            "{name: web, command: /usr/bin/web, after: [wep]}",
            &["there is no service `wep` to start after", "did you mean `web`?"],
        ),
        ("{name: web, command: /usr/bin/web, after: [web]}", &["service `web` would wait for itself"]),
        ("{name: web, command: /usr/bin/web, restart: sometimes}", &["always", "on-failure", "never"]),
        ("{name: web, command: /usr/bin/web, env: {a-b: c}}", &["`a-b` can't be the name of a variable"]),
        ("{name: web, command: /usr/bin/web, directory: www}", &["`www` is not an absolute path"]),
        ("{name: web, command: /usr/bin/web, comand: x}", &["comand"]),
    ] {
        let project = project(&format!("    - {service}\n"));
        project.dbco(&["check", "small.yaml"]).ends(2).says(&[parts, &["small.yaml:14:"]].concat());
    }
    let twice = "    - {name: web, command: /usr/bin/web}\n".repeat(2);
    project(&twice).dbco(&["check", "small.yaml"]).ends(2).says(&["duplicate service `web`"]);
    let circle =
        "    - {name: a, command: /usr/bin/web, after: [b]}\n    - {name: b, command: /usr/bin/db, after: [a]}\n";
    project(circle).dbco(&["check", "small.yaml"]).ends(2).says(&["service `a` would wait for itself"]);
    let fhs = project("    - {name: web, command: /usr/bin/web}\n");
    fhs.edit("small.yaml", "layout: split", "layout: fhs");
    fhs.dbco(&["check", "small.yaml"])
        .ends(2)
        .says(&["services are for layout `split`, and this one is `fhs`", "own init"]);
}

#[test]
fn the_keys_of_an_account_are_its_own_file_in_its_home() {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [rootfs]");
    let keys: Vec<String> = ["ed25519", "rsa", "ecdsa"]
        .into_iter()
        .map(|kind| {
            let line = format!("ssh-keygen -q -t {kind} -N '' -C ann -f key-{kind} && cat key-{kind}.pub");
            let output = command("sh").args(["-ec", &line]).current_dir(project.path("")).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        })
        .collect();
    let root = "home: /system/root}";
    let ann = format!(
        "{root}\n    - {{name: ann, uid: 7, shell: /system/bin/sh, ssh-keys: ['{}', 'restrict,command=\"id\" {}', '{}']}}",
        keys[0], keys[1], keys[2]
    );
    project.edit("small.yaml", root, &ann);
    project.edit("small.yaml", "livefs: none", "livefs: squashfs");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let archive = "zstd -dc out/small/small.rootfs.tar.zst";
    let list = format!("{archive} | tar --numeric-owner -tvf - | grep home/ann | awk '{{print $1, $2, $6}}'");
    let run = |line: &str| {
        let output = command("sh").args(["-ec", line]).current_dir(project.path("")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = "drwx------ 7/7 ./usr/home/ann/\ndrwx------ 7/7 ./usr/home/ann/.ssh/\n-rw------- 7/7 ./usr/home/ann/.ssh/authorized_keys\n";
    assert_eq!(run(&list), expected);
    let text = run(&format!("{archive} | tar -xOf - ./usr/home/ann/.ssh/authorized_keys"));
    assert_eq!(text, format!("{}\nrestrict,command=\"id\" {}\n{}\n", keys[0], keys[1], keys[2]));
    // The program that others use reads them.
    project.write("authorized_keys", text);
    assert_eq!(run("ssh-keygen -l -f authorized_keys | wc -l").trim(), "3");

    for (key, part) in [
        ("ssh-ed25519 AAAA ann", "this is not a public key of SSH"),
        ("ann", "this is not a public key of SSH"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key does not belong in an image"),
        (keys[0].as_str(), "account `ann` has this key twice"),
    ] {
        let recipe = project.read("small.yaml");
        project.edit("small.yaml", "'restrict", &format!("'{key}', 'restrict"));
        project.dbco(&["check", "small.yaml"]).ends(2).says(&[part, "small.yaml:"]);
        project.write("small.yaml", recipe);
    }
    let other = format!(
        "\n    - {{name: bob, uid: 8, home: /usr/home/ann, shell: /system/bin/sh, ssh-keys: ['{}']}}\n",
        keys[1]
    );
    project.edit("small.yaml", "\ninitrd:", &format!("{other}initrd:"));
    project
        .dbco(&["check", "small.yaml"])
        .ends(2)
        .says(&["accounts `ann` and `bob` both have `ssh-keys`, and the same home folder"]);
}

#[test]
fn a_path_that_the_recipe_states_twice_is_an_error() {
    let project = project("    - {name: web, command: /usr/bin/web}\n");
    project.edit("small.yaml", "  users:\n", "  links: {/system/etc/sv/web/run: /usr/bin/web}\n  users:\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["the recipe itself states /system/etc/sv/web/run twice, with different content"]);
}
