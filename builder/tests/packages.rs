//! Packages installed together, as dpkg unpacks them: `Replaces`, diversions, conflicts.

mod project;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use project::{Project, host};
use support::{judge, text};

/// A package: name, version, further fields of its control file, installed files.
type Package = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

fn deb((name, version, fields, files): &Package) -> Vec<u8> {
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x <x@example.org>\n{fields}Description: x\n"
    );
    // dpkg requires the folders, too.
    let mut all: BTreeMap<String, &[u8]> = BTreeMap::new();
    for (path, content) in *files {
        let above = Path::new(path).ancestors().skip(1).filter(|above| above.components().next().is_some());
        all.extend(above.map(|above| (format!("./{}/", above.display()), b"".as_slice())));
        all.insert(format!("./{path}"), content.as_bytes());
    }
    let all: Vec<(&str, &[u8])> = all.iter().map(|(path, content)| (path.as_str(), *content)).collect();
    host::deb(&control, &all)
}

/// The small project with a root of these packages, locked in this order; `more` is added below `rootfs`.
fn project(packages: &[Package], more: &str) -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[template]");
    let names: Vec<&str> = packages.iter().map(|package| package.0).collect();
    let root = format!("layout: fhs\n  debian: {{suite: bookworm}}\n  packages: [{}]\n{more}", names.join(", "));
    project.edit("small.yaml", "layout: split\n  overlays: [overlay]\n", &root);
    let (start, end) = {
        let text = project.read("small.yaml");
        (text.find("  users:\n").unwrap(), text.find("initrd:\n").unwrap())
    };
    let recipe = project.read("small.yaml");
    project.write("small.yaml", format!("{}{}", &recipe[..start], &recipe[end..]));
    let debs: Vec<_> = packages.iter().map(|package| (package.0, package.1, deb(package))).collect();
    host::provide_packages(&project, &debs);
    project
}

/// Files and links below a folder with their contents, except for dpkg's own.
fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap();
            if name == "var" || name == "archive" {
                continue;
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                all.insert(name, format!("-> {}", fs::read_link(path).unwrap().display()));
            } else {
                all.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

fn by_dbco(project: &Project) -> BTreeMap<String, String> {
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let out = tempfile::tempdir().unwrap();
    judge(
        "tar",
        &["-C", text(out.path()), "--exclude=./dev", "-xzf", text(&project.path("out/small/small.tar.gz"))],
        None,
    );
    contents(out.path())
}

/// What dpkg unpacks, in this order, after these diversions (from, to, by).
fn by_dpkg(packages: &[Package], diversions: &[(&str, &str, &str)]) -> BTreeMap<String, String> {
    let root = tempfile::tempdir().unwrap();
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.path().join("var/lib/dpkg").join(folder)).unwrap();
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    let at = text(root.path());
    let mut script = String::from("set -e\n");
    for (from, to, by) in diversions {
        script += &format!("dpkg-divert --root={at} --quiet --package {by} --divert {to} --no-rename --add {from}\n");
    }
    script += &format!(
        "dpkg --root={at} --force-not-root --force-script-chrootless --force-depends --log=/dev/null --unpack"
    );
    for (number, package) in packages.iter().enumerate() {
        let file = root.path().join(format!("var/{number}.deb"));
        fs::write(&file, deb(package)).unwrap();
        script += &format!(" {}", text(&file));
    }
    match nix::unistd::Uid::effective().is_root() {
        true => judge("sh", &["-c", &script], None),
        false => judge("unshare", &["-r", "sh", "-c", &script], None),
    };
    contents(root.path())
}

const OLD: Package =
    ("old", "1", "", &[("usr/bin/tool", "old"), ("usr/bin/other", "old's"), ("usr/bin/link", "-> old")]);
const NEW: Package = ("new", "3", "Replaces: old (<< 2)\n", &[("usr/bin/tool", "new"), ("usr/bin/link", "-> new")]);

#[test]
fn a_package_that_replaces_another_wins_in_either_order() {
    for packages in [[OLD, NEW], [NEW, OLD]] {
        let ours = by_dbco(&project(&packages, ""));
        assert_eq!(ours, by_dpkg(&packages, &[]));
        assert_eq!(
            (&*ours["usr/bin/tool"], &*ours["usr/bin/other"], &*ours["usr/bin/link"]),
            ("new", "old's", "-> new")
        );
    }
}

#[test]
fn a_third_package_that_replaces_both_wins_too() {
    const THIRD: Package = ("third", "1", "Replaces: new, old\n", &[("usr/bin/tool", "third")]);
    for packages in [[OLD, NEW, THIRD], [THIRD, NEW, OLD], [NEW, THIRD, OLD]] {
        let ours = by_dbco(&project(&packages, ""));
        assert_eq!(ours, by_dpkg(&packages, &[]));
        assert_eq!(ours["usr/bin/tool"], "third");
    }
}

/// dpkg accepts no path from two packages, not even if both have the same content; that does not matter here.
#[test]
fn a_third_package_that_replaces_two_alike_wins_too() {
    const TWIN: Package = ("twin", "1", "", OLD.3);
    const THIRD: Package = ("third", "1", "Replaces: twin, old\n", &[("usr/bin/tool", "third")]);
    for packages in [[OLD, TWIN, THIRD], [THIRD, TWIN, OLD], [TWIN, THIRD, OLD]] {
        assert_eq!(by_dbco(&project(&packages, ""))["usr/bin/tool"], "third");
    }
    const HALF: Package = ("half", "1", "Replaces: old\n", THIRD.3);
    for packages in [[OLD, TWIN, HALF], [HALF, TWIN, OLD]] {
        let ran = project(&packages, "").dbco(&["build", "--offline", "small.yaml"]).ends(1);
        ran.says(&["/usr/bin/tool comes from", "package twin 1", "package half 1"]);
    }
    // All replace each other: none gives way.
    const ROUND: [Package; 3] = [
        ("one", "1", "Replaces: two\n", &[("usr/bin/tool", "one")]),
        ("two", "1", "Replaces: three\n", &[("usr/bin/tool", "two")]),
        ("three", "1", "Replaces: one\n", &[("usr/bin/tool", "three")]),
    ];
    project(&ROUND, "").dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&["/usr/bin/tool comes from"]);
}

#[test]
fn what_no_replaces_covers_is_an_error_that_names_both_and_what_to_do() {
    let newer = ("old", "2", OLD.2, OLD.3);
    let silent = (NEW.0, NEW.1, "", NEW.3);
    for packages in [[newer, NEW], [OLD, silent]] {
        let ran = project(&packages, "").dbco(&["build", "--offline", "small.yaml"]).ends(1);
        let old = format!("package old {}", packages[0].1);
        ran.says(&[
            "/usr/bin/tool comes from",
            &old,
            "package new 3",
            "the contents differ",
            "`diversions: [{from: /usr/bin/",
        ]);
    }
}

#[test]
fn a_diversion_moves_the_path_of_all_packages_but_one() {
    const GZIP: Package = ("gzip", "1", "", &[("bin/zcat", "gzip's"), ("bin/gzip", "gzip")]);
    const ZUTILS: Package = ("zutils", "1", "", &[("bin/zcat", "zutils'")]);
    let stated = "  diversions:\n    - {from: /bin/zcat, to: /bin/zcat.gzip, by: zutils}\n";
    for packages in [[GZIP, ZUTILS], [ZUTILS, GZIP]] {
        let ours = by_dbco(&project(&packages, stated));
        assert_eq!(ours, by_dpkg(&packages, &[("/bin/zcat", "/bin/zcat.gzip", "zutils")]));
        assert_eq!((&*ours["bin/zcat"], &*ours["bin/zcat.gzip"]), ("zutils'", "gzip's"));
    }
    // In a merged root the paths are those of /usr, however they are written.
    const BASE: Package = ("base", "1", "", &[("bin", "-> usr/bin"), ("usr/bin/env", "env")]);
    const MOVED: Package = ("zutils", "1", "", &[("usr/bin/zcat", "zutils'")]);
    for from in ["/bin/zcat", "/usr/bin/zcat"] {
        let stated = format!("  diversions:\n    - {{from: {from}, to: {from}.gzip, by: zutils}}\n");
        let ours = by_dbco(&project(&[BASE, GZIP, MOVED], &stated));
        assert_eq!((&*ours["usr/bin/zcat"], &*ours["usr/bin/zcat.gzip"]), ("zutils'", "gzip's"), "{from}");
        assert_eq!(ours["bin"], "-> usr/bin");
    }
    // Without `by` all are diverted, and something else may be at the path.
    let local = "  diversions:\n    - {from: /bin/zcat, to: /bin/zcat.real}\n  links: {/bin/zcat: zcat.real}\n";
    let ours = by_dbco(&project(&[GZIP], local));
    assert_eq!((&*ours["bin/zcat"], &*ours["bin/zcat.real"]), ("-> zcat.real", "gzip's"));
}

#[test]
fn a_diversion_that_moves_nothing_is_said_and_one_that_makes_no_sense_refused() {
    let stated = "  diversions:\n    - {from: /usr/bin/tol, to: /usr/bin/x, by: new}\n";
    let ran = project(&[OLD, NEW], stated).dbco(&["build", "--offline", "small.yaml"]).ends(0);
    ran.says(&["warning: packages: small.yaml:", "the diversion of /usr/bin/tol has no effect: no package but `new`"]);
    for (stated, why) in [
        ("{from: usr/bin/a, to: /b, by: new}", "`usr/bin/a` can't be diverted"),
        ("{from: /usr/../a, to: /b, by: new}", "`/usr/../a` can't be diverted"),
        ("{from: /, to: /b, by: new}", "`/` can't be diverted"),
        ("{from: /a, to: b, by: new}", "`b` can't be diverted"),
        ("{from: /a, to: //a/, by: new}", "`/a` is diverted to itself"),
        ("{from: /a, by: new}", "`to`"),
        ("{from: /a, to: /b}\n    - {from: /a, to: /c}", "`/a` is diverted twice"),
    ] {
        let project = project(&[OLD, NEW], &format!("  diversions:\n    - {stated}\n"));
        project.dbco(&["check", "small.yaml"]).ends(2).says(&["small.yaml:", why]);
    }
    let without = Project::with("layout: split\n", "layout: split\n  diversions: [{from: /usr/a, to: /usr/b}]\n");
    without.dbco(&["check", "small.yaml"]).ends(2).says(&["error[diversions]", "there are no `packages`"]);
}

#[test]
fn the_package_whose_script_diverts_is_named() {
    let project = project(&[OLD, (NEW.0, NEW.1, "", NEW.3)], "");
    let script = "#!/bin/sh\ndpkg-divert --package new --divert /usr/bin/tool.old --rename /usr/bin/tool\n";
    let control = b"Package: new\nVersion: 3\n".as_slice();
    let new = host::deb_with(
        &[("./control", control), ("./preinst", script.as_bytes())],
        &[("./usr/bin/tool", b"new"), ("./usr/share/x", b"x")],
    );
    project.write("dbco.lock", project::LOCK);
    host::provide_packages(&project, &[("old", "1", deb(&OLD)), ("new", "3", new)]);
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&[
        "new's maintainer script, which is not run here, diverts paths",
        "{from: /usr/bin/tool, to: /usr/bin/tool.other, by: new}",
    ]);
}
