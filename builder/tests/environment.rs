//! What dbco inherits from its user and its folders must not affect a result: set-group-id folders, default access
//! lists, the umask, ignored signals, limits.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use dbco::process::command;
use project::{Project, Ran, host};

/// A project with a component that makes folders and files; its tree is in the initramfs.
fn project() -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[initrd]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "layout: split\n", "layout: split\n  components: [made]\n");
    project.write("sources/made/sub/file", "");
    project.write(
        "components/made.yaml",
        "component: made\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/made}\n\
         install: mkdir -p $OUT/system/share/deep && cp -r sub $OUT/system/share && echo x >$OUT/system/share/deep/x && \
         (umask && ulimit -c && ulimit -S -n && ulimit -H -n && ulimit -s && grep SigIgn /proc/self/status) \
         >$OUT/system/share/seen\n",
    );
    host::provide(&project);
    project
}

/// Runs `$DBCO build` in a script of a shell.
fn build(project: &Project, script: &str) -> Ran {
    let mut shell = command("sh");
    let output = project.prepare(shell.args(["-ec", script])).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const BUILD: &str = "exec $DBCO build --offline small.yaml";

fn sums(project: &Project) -> String {
    project.read("out/small/SHA256SUMS")
}

/// The sums of a build of the same project that inherits nothing unusual.
fn usual() -> &'static str {
    static SUMS: OnceLock<String> = OnceLock::new();
    SUMS.get_or_init(|| {
        let project = project();
        build(&project, BUILD).ends(0);
        sums(&project)
    })
}

/// acl(5), in the form of `system.posix_acl_default`: version 2, then entries of tag, permissions and id.
fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let entry =
        |(tag, bits, id): &(u16, u16, u32)| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
    [2_u32.to_le_bytes().to_vec()].into_iter().chain(entries.iter().map(entry)).flatten().collect()
}

#[test]
fn a_store_that_a_group_shares_gives_the_same_bytes() {
    for folder in ["store", "store/tmp"] {
        let project = project();
        fs::set_permissions(project.path(folder), fs::Permissions::from_mode(0o2775)).unwrap();
        build(&project, BUILD).ends(0);
        assert_eq!(sums(&project), usual(), "{folder}");
    }
}

#[test]
fn default_access_lists_of_the_store_do_not_reach_the_image() {
    const NONE: u32 = u32::MAX;
    let lists: [&[_]; 3] = [
        &[(1, 7, NONE), (2, 7, 1000), (4, 5, NONE), (16, 7, NONE), (32, 5, NONE)],
        &[(1, 7, NONE), (4, 5, NONE), (32, 0, NONE)],
        &[(1, 7, NONE), (4, 7, NONE), (32, 7, NONE)],
    ];
    for entries in lists {
        let project = project();
        if xattr::set(project.path("store/tmp"), "system.posix_acl_default", &list(entries)).is_err() {
            eprintln!("access lists are not tested: the file system of temporary folders has none");
            return;
        }
        build(&project, BUILD).ends(0);
        assert_eq!(sums(&project), usual(), "{entries:?}");
    }
}

#[test]
fn no_umask_reaches_the_store_and_outputs_follow_it() {
    for (umask, mode) in [("0177", 0o600), ("0111", 0o666), ("077", 0o600), ("0", 0o666), ("777", 0o600)] {
        let project = project();
        build(&project, &format!("umask {umask}; {BUILD}")).ends(0);
        assert_eq!(sums(&project), usual(), "{umask}");
        let image = fs::metadata(project.path("out/small/initrd.img")).unwrap();
        assert_eq!(image.permissions().mode() & 0o777, mode, "{umask}");
        // It does not affect the toolchain that the store keeps for others either.
        project.edit("components/made.yaml", "echo x >", "echo  x >");
        build(&project, BUILD).ends(0);
        assert_eq!(sums(&project), usual(), "{umask}");
    }
}

#[test]
fn ignored_signals_and_limits_are_not_seen_by_tools() {
    for before in
        ["trap '' USR1 QUIT ALRM", "trap '' CHLD", "trap '' INT TERM HUP", "ulimit -c unlimited", "ulimit -S -s 4096"]
    {
        let project = project();
        build(&project, &format!("{before}; {BUILD}")).ends(0);
        assert_eq!(sums(&project), usual(), "{before}");
    }
}

#[test]
fn the_limit_of_a_files_size_is_an_error_that_names_it() {
    let project = project();
    build(&project, &format!("ulimit -f 1; {BUILD}")).ends(1).says(&["ulimit -f"]);
    let left: Vec<_> = fs::read_dir(project.path("store/tmp")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_the_host_does_not_allow_is_named() {
    let noexec = "cp -r store other; mount -t tmpfs -o noexec x store; cp -r other/. store/";
    let apart = "cp -r store/blobs blobs; mount -t tmpfs x store/blobs; cp -r blobs/. store/blobs/";
    for (before, words) in [(noexec, "mounted `noexec`"), (apart, "must be on one file system")] {
        let ran = project().unshared(&format!("{before}; {BUILD}"));
        ran.ends(1).says(&[words]).never_says("is damaged");
    }
    let project = project();
    let arguments = ["--user", "--map-root-user", "--pid", "--fork", "sh", "-ec", BUILD];
    let output = project.prepare(command("unshare").args(arguments)).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("another PID namespace"), "{said}");
    assert!(!said.contains("capabilities"), "{said}");
}
