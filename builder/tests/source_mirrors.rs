//! Where mirrors come from, and which of them are used.

mod servers;

use std::fs;
use std::path::Path;

use dbco::source::{DebianPackages, Mirrors, NoProgress, Request, Resolver};
use servers::{Key, Server, TestArchive, archive, network, store};

/// The server that an archive was resolved from.
fn used(servers: &[Server; 3], flags: &[String], config: Option<&Path>, root: &Path) -> Vec<usize> {
    let key = Key::generate();
    for server in servers {
        TestArchive::default().package("a", "1", "").publish(server, &key);
    }
    let (folder, store) = store();
    fs::write(folder.path().join("keys.asc"), key.public()).unwrap();
    let mirrors = Mirrors::discover(flags, config, root).unwrap();
    let network = network();
    let request =
        Request::Debian(DebianPackages { suites: archive().into(), packages: vec!["a".to_owned()], closure: true });
    Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress).resolve(&request).unwrap();
    (0..3).filter(|&index| !servers[index].asked().is_empty()).collect()
}

#[test]
fn the_flag_before_the_configuration_before_apt() {
    let servers = || [Server::start(), Server::start(), Server::start()];
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let write = |servers: &[Server; 3]| {
        fs::write(&config, format!("mirrors:\n  debian:\n    - {}/\n", servers[1].url)).unwrap();
        fs::create_dir_all(folder.path().join("etc/apt/sources.list.d")).unwrap();
        let sources = format!("Types: deb\nURIs: {}\nSuites: test\nComponents: main\n", servers[2].url);
        fs::write(folder.path().join("etc/apt/sources.list.d/x.sources"), sources).unwrap();
    };
    let all = servers();
    write(&all);
    assert_eq!(used(&all, &[format!("debian={}", all[0].url)], Some(&config), folder.path()), [0]);
    let all = servers();
    write(&all);
    assert_eq!(used(&all, &[], Some(&config), folder.path()), [1]);
    let all = servers();
    write(&all);
    assert_eq!(used(&all, &[], None, folder.path()), [2]);
    let all = servers();
    write(&all);
    let other = [format!("debian-security={}", all[0].url)];
    assert_eq!(used(&all, &other, Some(Path::new("/nonexistent")), folder.path()), [2], "it is another archive's");
}

#[test]
fn apt_sources_of_the_suite_first_then_of_the_family() {
    let servers = [Server::start(), Server::start(), Server::start()];
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/apt")).unwrap();
    // The first has another path and suite, the second looks like a Debian mirror, the third has the suite but is down.
    let list = format!(
        "deb {}/other elsewhere main\ndeb {}/debian sid main\ndeb {} test main\n",
        servers[0].url,
        servers[1].url,
        servers::dead_url()
    );
    fs::write(root.path().join("etc/apt/sources.list"), list).unwrap();
    let key = Key::generate();
    let (folder, store) = store();
    fs::write(folder.path().join("keys.asc"), key.public()).unwrap();
    let made = TestArchive::default().package("a", "1", "");
    servers[1].file("debian/dists/test/InRelease", key.sign_clear(&made.release()));
    made.publish_unsigned(&servers[2]);
    let mirrors = Mirrors::discover(&[], None, root.path()).unwrap();
    let network = network();
    let request =
        Request::Debian(DebianPackages { suites: archive().into(), packages: vec!["a".to_owned()], closure: true });
    let error = Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress).resolve(&request).unwrap_err();
    assert!(error.to_string().contains("/debian/dists/test/main/binary-amd64/Packages.xz: not found"), "{error}");
    assert!(servers[0].asked().is_empty(), "another archive is not asked");
}

#[test]
fn bad_flags_and_bad_configuration_are_named() {
    let fails =
        |flag: &str| Mirrors::discover(&[flag.to_owned()], None, Path::new("/nonexistent")).unwrap_err().to_string();
    assert!(fails("debain=http://mirror.example/debian").contains("did you mean `debian`?"));
    assert!(fails("mirror.example/debian").contains("expected http://, https:// or file:///"));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let fails = |text: &str| {
        fs::write(&config, text).unwrap();
        Mirrors::discover(&[], Some(&config), Path::new("/nonexistent")).unwrap_err().to_string()
    };
    let place = |line: u32| format!("{}:{line}: ", config.display());
    let text = fails("# mine\nmirors:\n  debian: []\n");
    assert!(text.starts_with(&place(2)) && text.contains("mirors") && text.contains("mirrors"), "{text}");
    let text = fails("mirrors:\n  debian-secrity: [http://mirror.example/debian-security]\n");
    assert!(text.starts_with(&place(2)) && text.contains("did you mean `debian-security`?"), "{text}");
    let text = fails("mirrors:\n  debian:\n    - http://mirror.example/debian\n    - mirror.example\n");
    assert!(text.contains("`mirror.example` is not the URL of a mirror"), "{text}");
    fs::write(&config, "# nothing yet\n").unwrap();
    assert!(Mirrors::discover(&[], Some(&config), Path::new("/nonexistent")).is_ok());
}
