//! The tree of a git commit as a source.

mod servers;

use std::fs;
use std::path::Path;

use dbco::lock::Lock;
use dbco::process::Run;
use dbco::source::{Access, GitCommit, Meter, Mirrors, NoProgress, Progress, Request, Resolver, fetch};
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

/// Link targets that a path would normalize; git keeps them unchanged.
const ODD_LINKS: [&str; 5] = ["a/.", "d//x", "//x", "./a/../b/", "/"];

/// A repository whose attributes would change the checked out files; gives the names of its two commits.
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
    for (number, target) in ODD_LINKS.iter().enumerate() {
        std::os::unix::fs::symlink(target, folder.join(format!("odd{number}"))).unwrap();
    }
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
    Request::Git(GitCommit {
        url: format!("file://{}", folder.display()),
        commit: commit.to_owned(),
        submodules: false,
    })
}

#[test]
fn a_commit_is_the_same_bytes_wherever_it_comes_from() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [first, _] = repository(one.path());
    git(two.path(), &["clone", "--quiet", "--bare", one.path().to_str().unwrap(), "copy.git"]);
    let (_folder, store) = store();
    let (network, mirrors) = (network(), Mirrors::default());
    let resolver = Resolver::new(&network, &mirrors, &store, one.path(), &NoProgress);
    // Not a tip: the commit's parent is requested.
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
        "777 odd0 a/.".to_owned(),
        "777 odd1 d//x".to_owned(),
        "777 odd2 //x".to_owned(),
        "777 odd3 ./a/../b/".to_owned(),
        "777 odd4 /".to_owned(),
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
    let mut entry = resolver.resolve(&request(repository_folder.path(), &tip)).unwrap();
    let (_two, second) = store();
    let access = Access::Online { network: &network, mirrors: &mirrors };
    assert_eq!(fetch([&entry], &second, access, 1, &NoProgress).unwrap().fetched, 1);
    assert!(second.has_blob(&entry.files[0].sha256));
    entry.files[0].sha256 = dbco::digest::Digest::of("another tree");
    let text = fetch([&entry], &second, access, 1, &NoProgress).unwrap_err()[0].to_string();
    assert!(text.contains("its archive has sha256") && text.contains("run `dbco lock`"), "{text}");
}

/// Records remarks.
#[derive(Default)]
struct Remarks(std::sync::Mutex<Vec<String>>);

impl Progress for Remarks {
    fn start(&self, _name: &str, _total: Option<u64>) -> Box<dyn Meter + '_> {
        Box::new(Remark(self))
    }
}

struct Remark<'a>(&'a Remarks);

impl Meter for Remark<'_> {
    fn at(&self, _bytes: u64) {}

    fn remark(&self, text: &str) {
        self.0.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn what_a_commit_leaves_elsewhere_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let [_, tip] = repository(folder.path());
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    fs::write(folder.path().join("big.bin"), pointer).unwrap();
    let link = format!("160000,{tip},libs/sub");
    git(folder.path(), &["add", "--all"]);
    git(folder.path(), &["update-index", "--add", "--cacheinfo", &link]);
    git(folder.path(), &["commit", "--quiet", "--message=three"]);
    let head = fs::read_to_string(folder.path().join(".git/refs/heads/main")).unwrap();
    let (_store_folder, store) = store();
    let (network, mirrors, remarks) = (network(), Mirrors::default(), Remarks::default());
    let resolver = Resolver::new(&network, &mirrors, &store, folder.path(), &remarks);
    resolver.resolve(&request(folder.path(), head.trim())).unwrap();
    let said = remarks.0.into_inner().unwrap();
    for expected in ["submodules are left as empty folders: libs/sub", "`big.bin` is a Git LFS pointer"] {
        assert!(said.iter().any(|text| text.contains(expected)), "{said:?}");
    }
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
    assert!(fails(request(Path::new("/nonexistent"), &"a".repeat(40))).contains("git reported: "));
    for url in ["--upload-pack=touch x", "ext::sh -c touch% x"] {
        let request = Request::Git(GitCommit { url: url.to_owned(), commit: "a".repeat(40), submodules: false });
        assert!(fails(request).contains("the repository is not a URL"));
    }
}

fn head(folder: &Path) -> String {
    fs::read_to_string(folder.join(".git/refs/heads/main")).unwrap().trim().to_owned()
}

/// A repository with a file, and submodules by path, URL and commit.
fn with_submodules(folder: &Path, modules: &[(&str, &str, &str)]) -> String {
    fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "--quiet"]);
    let name = folder.file_name().unwrap().to_str().unwrap();
    fs::write(folder.join("name"), name).unwrap();
    let stated: String = modules
        .iter()
        .map(|(path, url, _)| format!("[submodule \"{path}.x\"]\n\tpath = {path}\n\turl = {url}\n"))
        .collect();
    fs::write(folder.join(".gitmodules"), stated).unwrap();
    git(folder, &["add", "--all"]);
    for (path, _, commit) in modules {
        git(folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},{path}")]);
    }
    git(folder, &["commit", "--quiet", "--message=one"]);
    head(folder)
}

fn names(store: &dbco::store::Store, entry: &dbco::lock::LockEntry) -> Vec<String> {
    let mut archive = tar::Archive::new(store.open_blob(&entry.files[0].sha256).unwrap());
    let name = |member: std::io::Result<tar::Entry<'_, _>>| {
        let mut member = member.unwrap();
        let path = member.path().unwrap().display().to_string();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut member, &mut content).unwrap();
        if path.ends_with("name") { format!("{path}={content}") } else { path }
    };
    archive.entries().unwrap().map(name).collect()
}

#[test]
fn submodules_come_with_a_commit_that_wants_them() {
    let top = tempfile::tempdir().unwrap();
    let at = |name: &str| top.path().join(name);
    let inner = with_submodules(&at("inner"), &[]);
    let lib = with_submodules(&at("lib"), &[("deep/inner", "../inner", &inner)]);
    let absolute = format!("file://{}", at("inner").display());
    let tool = with_submodules(&at("tool"), &[("libs/lib", "../lib", &lib), ("a b", &absolute, &inner)]);
    let request = |submodules| {
        let url = format!("file://{}", at("tool").display());
        Request::Git(GitCommit { url, commit: tool.clone(), submodules })
    };
    let (_folder, store) = store();
    let (network, mirrors) = (network(), Mirrors::default());
    let resolver = Resolver::new(&network, &mirrors, &store, top.path(), &NoProgress);
    let entry = resolver.resolve(&request(true)).unwrap();
    assert_eq!(
        names(&store, &entry),
        [
            ".gitmodules",
            "a b/",
            "libs/",
            "libs/lib/",
            "name=tool",
            "a b/.gitmodules",
            "a b/name=inner",
            "libs/lib/.gitmodules",
            "libs/lib/deep/",
            "libs/lib/deep/inner/",
            "libs/lib/name=lib",
            "libs/lib/deep/inner/.gitmodules",
            "libs/lib/deep/inner/name=inner",
        ]
    );
    let without = resolver.resolve(&request(false)).unwrap();
    assert_eq!(names(&store, &without), [".gitmodules", "a b/", "libs/", "libs/lib/", "name=tool"]);
    // A lock says which it is, and each is fetched again unchanged.
    let lock = Lock::new([entry.clone()]);
    assert!(lock.to_text().contains("submodules: true") && !Lock::new([without]).to_text().contains("submodules"));
    assert_eq!(Lock::parse(&lock.to_text(), Path::new("r.lock")).unwrap(), lock);
    assert!(
        lock.check(&[request(false)], &Default::default())[0]
            .to_string()
            .ends_with("submodules are no longer included")
    );
    let (_second_folder, second) = servers::store();
    let access = Access::Online { network: &network, mirrors: &mirrors };
    assert_eq!(fetch(lock.entries(), &second, access, 1, &NoProgress).unwrap().fetched, 1);
    assert!(second.has_blob(&entry.files[0].sha256));
}

#[test]
fn submodules_that_cannot_be_had_are_named() {
    let top = tempfile::tempdir().unwrap();
    let inner = with_submodules(&top.path().join("inner"), &[]);
    let (_folder, store) = store();
    let (network, mirrors) = (network(), Mirrors::default());
    let resolver = Resolver::new(&network, &mirrors, &store, top.path(), &NoProgress);
    for (number, (url, said)) in [
        ("../../../../../../../../../../../../x", "of the submodule `sub` is not an allowed location"),
        ("ext::sh -c x", "the repository is not a URL"),
        ("--upload-pack=x", "the repository is not a URL"),
        ("../gone", "git reported: "),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = top.path().join(format!("tool{number}"));
        let commit = with_submodules(&folder, &[("sub", url, &inner)]);
        let request = Request::Git(GitCommit { url: format!("file://{}", folder.display()), commit, submodules: true });
        let text = resolver.resolve(&request).unwrap_err().to_string();
        assert!(text.contains(said), "{url}: {text}");
    }
    // One that `.gitmodules` does not list.
    let folder = top.path().join("unnamed");
    with_submodules(&folder, &[]);
    git(&folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{inner},sub")]);
    git(&folder, &["commit", "--quiet", "--message=two"]);
    let (url, commit) = (format!("file://{}", folder.display()), head(&folder));
    let text = resolver.resolve(&Request::Git(GitCommit { url, commit, submodules: true })).unwrap_err().to_string();
    assert!(text.contains("names no repository for the submodule `sub`"), "{text}");
    // Nor does a commit without that file.
    let folder = top.path().join("none");
    repository(&fs::create_dir(&folder).map(|()| folder.clone()).unwrap());
    git(&folder, &["update-index", "--add", "--cacheinfo", &format!("160000,{inner},sub")]);
    git(&folder, &["commit", "--quiet", "--message=three"]);
    let (url, commit) = (format!("file://{}", folder.display()), head(&folder));
    let text = resolver.resolve(&Request::Git(GitCommit { url, commit, submodules: true })).unwrap_err().to_string();
    assert!(text.contains("names no repository for the submodule `sub`"), "{text}");
}
