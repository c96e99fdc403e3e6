//! The tree of a git commit as a source.

mod servers;

use std::fs;
use std::path::Path;

use dbco::lock::Lock;
use dbco::process::Run;
use dbco::source::{Access, Mirrors, NoProgress, Request, Resolver, fetch};
use servers::{network, store};

fn git(folder: &Path, arguments: &[&str]) {
    Run::new("git")
        .args(["-C", folder.to_str().unwrap(), "-c", "user.name=T", "-c", "user.email=t@mirror.example"])
        .args(["-c", "init.defaultBranch=main", "-c", "core.autocrlf=false"])
        .args(arguments)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .run()
        .unwrap();
}

/// A repository whose attributes would change what comes out; gives the names of its two commits.
fn repository(folder: &Path) -> [String; 2] {
    git(folder, &["init", "--quiet"]);
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write(".gitattributes", "subst export-subst\nhidden export-ignore\n*.txt eol=crlf\n");
    write("subst", "$Format:%H$\n");
    write("hidden", "still here\n");
    write("a.txt", "line\n");
    write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(folder.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("run.sh", folder.join("link")).unwrap();
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    fs::create_dir(folder.join("d".repeat(90))).unwrap();
    write(&long, "deep\n");
    let head = || {
        let file = fs::read_to_string(folder.join(".git/refs/heads/main")).unwrap();
        file.trim().to_owned()
    };
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message=one"]);
    let first = head();
    write("later", "more\n");
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message=two"]);
    [first, head()]
}

fn request(folder: &Path, commit: &str) -> Request {
    Request::Git { url: format!("file://{}", folder.display()), commit: commit.to_owned() }
}

#[test]
fn a_commit_is_the_same_bytes_wherever_it_comes_from() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [first, _] = repository(one.path());
    git(two.path(), &["clone", "--quiet", "--bare", one.path().to_str().unwrap(), "copy.git"]);
    let (_folder, store) = store();
    let (network, mirrors) = (network(), Mirrors::default());
    let resolver = Resolver::new(&network, &mirrors, &store, one.path(), &NoProgress);
    // Not a tip: the commit's parent is asked for.
    let entry = resolver.resolve(&request(one.path(), &first)).unwrap();
    let other = resolver.resolve(&request(&two.path().join("copy.git"), &first)).unwrap();
    assert_eq!(entry.files[0].sha256, other.files[0].sha256);
    assert_eq!(other.files[0].name, format!("copy-{}.tar", &first[..12]));

    let mut archive = tar::Archive::new(store.open_blob(&entry.files[0].sha256).unwrap());
    let mut listing = Vec::new();
    for member in archive.entries().unwrap() {
        let mut member = member.unwrap();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut member, &mut content).unwrap();
        let header = member.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        let mode = header.mode().unwrap();
        let target = member.link_name().unwrap().map(|path| path.display().to_string()).unwrap_or_default();
        listing.push(format!("{mode:o} {} {target}{content}", member.path().unwrap().display()));
    }
    let (folder, file) = ("d".repeat(90), "f".repeat(90));
    let expected = [
        "644 .gitattributes subst export-subst\nhidden export-ignore\n*.txt eol=crlf\n".to_owned(),
        "644 a.txt line\n".to_owned(),
        format!("755 {folder}/ "),
        format!("644 {folder}/{file} deep\n"),
        "644 hidden still here\n".to_owned(),
        "777 link run.sh".to_owned(),
        "755 run.sh #!/bin/sh\n".to_owned(),
        "644 subst $Format:%H$\n".to_owned(),
    ];
    assert_eq!(listing, expected);
}

#[test]
fn a_locked_commit_is_brought_again_with_the_same_digest() {
    let repository_folder = tempfile::tempdir().unwrap();
    let [_, tip] = repository(repository_folder.path());
    let (network, mirrors) = (network(), Mirrors::default());
    let (_one, first_store) = store();
    let resolver = Resolver::new(&network, &mirrors, &first_store, repository_folder.path(), &NoProgress);
    let mut lock = Lock::new([resolver.resolve(&request(repository_folder.path(), &tip)).unwrap()]);
    let (_two, second) = store();
    let access = Access::Online { network: &network, mirrors: &mirrors };
    assert_eq!(fetch(&lock.entries, &second, access, 1, &NoProgress).unwrap().fetched, 1);
    assert!(second.has_blob(&lock.entries[0].files[0].sha256));
    lock.entries[0].files[0].sha256 = dbco::digest::Digest::of("another tree");
    let text = fetch(&lock.entries, &second, access, 1, &NoProgress).unwrap_err()[0].to_string();
    assert!(text.contains("its archive has sha256") && text.contains("run `dbco lock`"), "{text}");
}

#[test]
fn what_is_no_commit_or_no_repository_is_named() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let (_store_folder, store) = store();
    let (network, mirrors) = (network(), Mirrors::default());
    let resolver = Resolver::new(&network, &mirrors, &store, folder.path(), &NoProgress);
    let fails = |request: Request| resolver.resolve(&request).unwrap_err().to_string();
    assert!(fails(request(folder.path(), "main")).contains("40 lower-case hexadecimal digits"));
    assert!(fails(request(folder.path(), &"a".repeat(40))).contains("the repository has no such commit"));
    assert!(fails(request(Path::new("/nonexistent"), &"a".repeat(40))).contains("git says: "));
    for url in ["--upload-pack=touch x", "ext::sh -c touch% x"] {
        let request = Request::Git { url: url.to_owned(), commit: "a".repeat(40) };
        assert!(fails(request).contains("the repository is not a URL"));
    }
}
