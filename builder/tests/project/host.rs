//! A toolchain of the host's own programs.

use std::fs;
use std::path::Path;

use dbco::process::command;
use dbco::store::Store;

use super::Project;

/// What a kernel's build runs, and a script that tries to lead dbco outside.
pub const TOOLS: [&str; 12] = ["cat", "cp", "env", "grep", "ln", "make", "mkdir", "mkfifo", "mv", "patch", "rm", "sh"];

/// Gives a project the toolchain `host`, locked and in its store.
pub fn provide(project: &Project) {
    provide_with(project, &[]);
}

/// The same with more programs of this host.
pub fn provide_with(project: &Project, more: &[&str]) {
    project.write("toolchains/host.yaml", "toolchain: host\ndebian: bookworm\npackages: [tools]\n");
    let deb = package(more);
    provide_packages(project, &[("tools", "1", deb)]);
}

/// Adds the component `tool`, which is built by the host's programs, to the root; `rest` is its file without name and
/// licence.
pub fn add_tool(project: &Project, rest: &str) {
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "layout: split\n", "layout: split\n  components: [tool]\n");
    project.write("components/tool.yaml", format!("component: tool\nversion: '1'\nlicense: MIT\n{rest}"));
    provide(project);
}

/// The small project with a kernel from a package with these files; `more` is a line below `kernel`.
pub fn with_kernel_package(more: &str, files: &[(&str, &[u8])]) -> Project {
    let project = Project::with(
        "  component: kernel\n  patches: [first.patch]\n  config: [tiny]\n",
        &format!("  package: linux-image-1\n  debian: {{suite: bookworm}}\n  {more}\n"),
    );
    provide_packages(&project, &[("linux-image-1", "1", deb("", files))]);
    let lock = project.read("dbco.lock");
    let (first, last) = lock.rsplit_once("closure: true").unwrap();
    project.write("dbco.lock", format!("{first}closure: false{last}"));
    project
}

/// Locks packages, each with its name and version, as the result of a request for them in this order, and puts them
/// into the store.
pub fn provide_packages(project: &Project, packages: &[(&str, &str, Vec<u8>)]) {
    let mut names: Vec<&str> = packages.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    let mut entry = format!(
        "- request:\n    debian:\n      archive: {{suite: bookworm, components: [main], arch: amd64}}\n      \
         packages: [{}]\n      closure: true\n  files:\n",
        names.join(", ")
    );
    let store = Store::open(&project.path("store")).unwrap();
    for (name, version, deb) in packages {
        let digest = store.add_bytes(deb).unwrap();
        entry += &format!(
            "  - name: {name}\n    version: '{version}'\n    at: {{pool: pool/{name}.deb}}\n    sha256: {digest}\n    size: {}\n",
            deb.len()
        );
    }
    project.write("dbco.lock", project.read("dbco.lock") + &entry);
}

/// A Debian package of programs of this host, with each library listed by ldd(1).
fn package(more: &[&str]) -> Vec<u8> {
    let output = |program: &str, arguments: &[&str]| {
        let output = command(program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut files = std::collections::BTreeMap::new();
    for tool in TOOLS.iter().chain(more) {
        let program =
            output("sh", &["-c", &format!("PATH=$PATH:/usr/sbin:/sbin; command -v {tool}")]).trim().to_owned();
        let libraries = output("ldd", &[&program]);
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            // The loader's path is fixed; libraries are found in /lib by default.
            let name = Path::new(library).file_name().unwrap().to_str().unwrap().to_owned();
            let folder = if name.starts_with("ld-linux") { "lib64" } else { "lib" };
            files.insert(format!("./usr/{folder}/{name}"), fs::read(library).unwrap());
            // libc opens it when a thread ends: pthread_exit(3).
            let unwinder = Path::new(library).with_file_name("libgcc_s.so.1");
            if let Ok(content) = fs::read(unwinder) {
                files.insert("./usr/lib/libgcc_s.so.1".to_owned(), content);
            }
        }
        files.insert(format!("./usr/bin/{tool}"), fs::read(&program).unwrap_or_else(|e| panic!("{tool}: {e}")));
    }
    let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    deb("", &files)
}

/// A Debian package, deb(5): its control file and installed files. A content that starts with `-> ` is a link's target;
/// a name that ends with `/` is a folder's.
pub fn deb(control: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    deb_with(&[("./control", control.as_bytes())], files)
}

/// The same with maintainer scripts beside the control file.
pub fn deb_with(control: &[(&str, &[u8])], files: &[(&str, &[u8])]) -> Vec<u8> {
    let pack = |files: &[(&str, &[u8])], mode: u32| {
        let mut data = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(mode);
            header.set_mtime(1);
            header.set_size(0);
            let link = content.strip_prefix(b"-> ").and_then(|text| std::str::from_utf8(text).ok());
            if name.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
                data.append_data(&mut header, name, std::io::empty()).unwrap();
            } else if let Some(target) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                data.append_link(&mut header, name, target).unwrap();
            } else {
                header.set_size(content.len() as u64);
                data.append_data(&mut header, name, *content).unwrap();
            }
        }
        data.into_inner().unwrap()
    };
    let control = pack(control, 0o755);
    super::ar::ar(&[("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar", pack(files, 0o755))])
}
