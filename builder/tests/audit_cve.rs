//! `dbco audit --cve`: small data in the real formats, with invented vulnerabilities, against a small project.

mod project;
mod servers;

use std::io::Write;
use std::path::Path;

use dbco::digest::Digest;
use dbco::process::Run;
use dbco::store::Store;
use project::{Project, Ran, host, repository};
use serde_json::{Value, json};
use servers::Server;

/// A kernel that is an archive with a configuration and makefiles; nothing compiles it.
const KERNEL: &str = "\
component: kernel
version: 6.1.81
license: GPL-2.0-only
source: {url: 'URL', sha256: SUM}
files: {bzImage: image, config: config}
";

const TOOL: &str = "\
component: tool
version: 1.36.0
license: MIT
source: {path: ../sources/tool}
cargo: {lock: ../Cargo.lock}
patches: [tool.patch]
files: {tool: tool.txt}
";

struct Image {
    project: Project,
    _server: Server,
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

impl Image {
    fn new() -> Self {
        let root = "layout: split\n  components: [tool]\n  debian: {suite: bookworm}\n  packages: [libx1]";
        let project = Project::with("layout: split", root);
        project.edit(
            "small.yaml",
            "  component: kernel\n  patches: [first.patch]\n  config: [tiny]\n",
            "  component: kernel\n",
        );
        project.edit("small.yaml", "outputs: [initrd, grub-cfg]", "outputs: [bzimage, initrd, grub-cfg]");
        let deb = host::deb("Package: libx1\nSource: xlib (1.2-3)\nVersion: 1.2-3+b1\n", &[("./usr/share/x", b"x")]);
        host::provide_packages(&project, &[("libx1", "1.2-3+b1", deb)]);
        let server = Server::start();
        let kernel = tar(&[
            ("linux-6.1.81/image", "bzImage"),
            ("linux-6.1.81/config", "CONFIG_NET=y\n# CONFIG_USB is not set\n"),
            ("linux-6.1.81/drivers/Makefile", "obj-$(CONFIG_USB) += usb/\n"),
            ("linux-6.1.81/drivers/usb/Makefile", "obj-$(CONFIG_USB) += usbcore.o\n"),
            ("linux-6.1.81/net/Makefile", "obj-$(CONFIG_NET) += socket.o\n"),
        ]);
        let url = server.file("linux-6.1.81.tar", kernel.clone());
        project.write(
            "components/kernel.yaml",
            KERNEL.replace("URL", &url).replace("SUM", &Digest::of(&kernel).to_string()),
        );
        project.write("components/tool.yaml", TOOL);
        project.write("sources/tool/tool.txt", "tool\n");
        project.write(
            "patches/tool.patch",
            "Subject: mend it\nCVE: CVE-2099-0002\n---\n--- a/tool.txt\n+++ b/tool.txt\n@@ -1 +1 @@\n-tool\n+mended\n",
        );
        let leaf = tar(&[("leaf-1.0.0/Cargo.toml", "[package]\nname = \"leaf\"\nversion = \"1.0.0\"\n")]);
        Store::open(&project.path("store")).unwrap().add_bytes(&leaf).unwrap();
        project.write(
            "Cargo.lock",
            format!(
                "version = 4\n[[package]]\nname = \"leaf\"\nversion = \"1.0.0\"\nsource = \"registry+r\"\nchecksum = \"{}\"\n",
                Digest::of(&leaf)
            ),
        );
        project.dbco(&["lock", "small.yaml"]).ends(0);
        let image = Self { project, _server: server };
        image.write("tracker.json", &tracker());
        image.write("osv/crate.json", &osv("RUSTSEC-2099-0001", &["CVE-2099-0010"], "crates.io", "leaf", "1.0.1"));
        image.write("osv/debian.json", &osv("DEBIAN-CVE-2099-0001", &[], "Debian:12", "xlib", "1.2-4"));
        image.write("osv/tool.json", &osv("OSV-2099-1", &["CVE-2099-0002"], "OSS-Fuzz", "tool", "1.36.1"));
        image.write("osv/other.json", &osv("GHSA-xxxx", &["CVE-2099-0003"], "npm", "tool", "9.0.0"));
        image.write("cves/usb.json", &kernel_record("CVE-2099-0020", "drivers/usb/core.c"));
        image.write("cves/net.json", &kernel_record("CVE-2099-0021", "net/socket.c"));
        image
    }

    fn write(&self, name: &str, value: &Value) {
        self.project.write(&format!("data/{name}"), value.to_string());
    }

    fn audit(&self, more: &[&str]) -> Ran {
        self.project.dbco(&[&["audit", "small.yaml", "--offline"], more].concat())
    }

    /// The events `vulnerability`, by identifier and subject.
    fn found(&self, more: &[&str]) -> Vec<Value> {
        let ran = self.audit(&[&["--json"], more].concat());
        assert!(ran.code == Some(0) || ran.code == Some(1), "{}{}", ran.out, ran.err);
        let events = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == "vulnerability").collect()
    }

    fn states(&self, more: &[&str]) -> Vec<(String, String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let of = |event: &Value| {
            (text(&event["id"]), text(&event["subject"]), text(&event["status"]), text(&event["severity"]))
        };
        let mut all: Vec<_> = self.found(more).iter().map(of).collect();
        all.sort();
        all
    }
}

fn tracker() -> Value {
    let state = |status: &str, fixed: Option<&str>, urgency: &str| {
        let mut state = json!({"status": status, "urgency": urgency, "repositories": {"bookworm": "1.2-3"}});
        if let Some(fixed) = fixed {
            state["fixed_version"] = fixed.into();
        }
        json!({"description": "an overflow\nwith details", "debianbug": 1, "scope": "local", "releases": {"bookworm": state}})
    };
    json!({
        "xlib": {
            "CVE-2099-0001": state("resolved", Some("1.2-4"), "medium**"),
            "CVE-2099-0004": state("resolved", Some("1.2-3"), "high"),
            "CVE-2099-0005": state("resolved", Some("0"), "high"),
            "CVE-2099-0006": state("open", None, "not yet assigned"),
            "TEMP-0000000-ABCDEF": {"description": "", "releases": {"trixie": {"status": "open", "urgency": "low"}}},
        },
        "other": {"CVE-2099-0007": state("open", None, "high")},
    })
}

fn osv(id: &str, aliases: &[&str], ecosystem: &str, name: &str, fixed: &str) -> Value {
    json!({
        "schema_version": "1.7.0", "id": id, "modified": "2099-01-01T00:00:00Z", "aliases": aliases, "summary": format!("{name} is broken"),
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{
            "package": {"ecosystem": ecosystem, "name": name},
            "ranges": [{"type": if ecosystem == "crates.io" { "SEMVER" } else { "ECOSYSTEM" }, "events": [{"introduced": "0"}, {"fixed": fixed}]}],
        }],
    })
}

fn kernel_record(id: &str, file: &str) -> Value {
    json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.0", "cveMetadata": {"cveId": id, "state": "PUBLISHED"},
        "containers": {"cna": {
            "title": "mend it", "descriptions": [{"lang": "en", "value": "In the Linux kernel, …"}],
            "affected": [
                {"product": "Linux", "vendor": "Linux", "defaultStatus": "unaffected", "programFiles": [file],
                 "versions": [{"version": "1da177e4c3f4", "lessThan": "0123456789ab", "status": "affected", "versionType": "git"}]},
                {"product": "Linux", "vendor": "Linux", "defaultStatus": "affected", "programFiles": [file], "versions": [
                    {"version": "2.6.12", "status": "affected"},
                    {"version": "0", "lessThan": "2.6.12", "status": "unaffected", "versionType": "semver"},
                    {"version": "6.1.82", "lessThanOrEqual": "6.1.*", "status": "unaffected", "versionType": "semver"},
                    {"version": "6.9", "lessThanOrEqual": "*", "status": "unaffected", "versionType": "original_commit_for_fix"}]},
            ],
            "metrics": [{"cvssV3_1": {"baseSeverity": "HIGH"}}],
        }},
    })
}

#[test]
fn packages_components_crates_and_the_kernel_are_compared_with_all_formats_of_data() {
    let image = Image::new();
    let own = |list: &[[&str; 4]]| {
        list.iter().map(|[a, b, c, d]| (a.to_string(), b.to_string(), c.to_string(), d.to_string())).collect::<Vec<_>>()
    };
    let expected = own(&[
        ["CVE-2099-0001", "xlib", "affected", "critical"],
        ["CVE-2099-0002", "tool", "fixed", "critical"],
        ["CVE-2099-0006", "xlib", "affected", "unknown"],
        ["CVE-2099-0010", "leaf", "affected", "critical"],
        ["CVE-2099-0020", "kernel", "not affected", "high"],
        ["CVE-2099-0021", "kernel", "affected", "high"],
    ]);
    assert_eq!(image.states(&["--cve", "data"]), expected);
    let parts = ["--cve", "data/tracker.json", "--cve", "data/osv", "--cve", "data/cves"];
    assert_eq!(image.states(&parts), expected);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in ["tracker.json", "osv/crate.json", "osv/debian.json", "osv/tool.json", "cves/usb.json", "cves/net.json"]
    {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(image.project.read(&format!("data/{name}")).as_bytes()).unwrap();
    }
    image.project.write("all.zip", zip.finish().unwrap().into_inner());
    assert_eq!(image.states(&["--cve", "all.zip"]), expected);
    let usb = image.found(&["--cve", "data/cves/usb.json"]);
    assert_eq!(usb[0]["why"], "drivers/usb/core.c is not compiled: CONFIG_USB is not set (drivers/Makefile)");
    let xlib = image.found(&["--cve", "data/tracker.json"]).remove(0);
    assert_eq!((&xlib["fixed"], &xlib["packages"]), (&json!("1.2-4"), &json!(["libx1"])));
    let crates = image.found(&["--cve", "data/osv/crate.json"]).remove(0);
    assert_eq!((&crates["line"], &crates["purl"]), (&json!(3), &json!("pkg:cargo/leaf@1.0.0")));
}

#[test]
fn the_exit_status_is_by_severity_and_an_unknown_one_may_be_anything() {
    let image = Image::new();
    image.audit(&["--cve", "data/cves/net.json"]).ends(1);
    image.audit(&["--cve", "data/cves/net.json", "--fail-on", "high"]).ends(1);
    image.audit(&["--cve", "data/cves/net.json", "--fail-on", "critical"]).ends(0);
    image.audit(&["--cve", "data/cves/usb.json"]).ends(0).says(&["0 affecting, 0 fixed by patches, 1 not compiled"]);
    image.audit(&["--cve", "data/tracker.json", "--fail-on", "critical"]).ends(1);
    image.audit(&["--cve", "data", "--fail-on", "severe"]).ends(2).says(&["expected low, medium, high or critical"]);
}

#[test]
fn exceptions_have_reasons_and_days_and_must_match_something() {
    let image = Image::new();
    let with = |text: &str| {
        image.project.write("vulnerabilities.yaml", text);
        image.audit(&["--cve", "data/tracker.json"])
    };
    let both = "ignore:\n  - {id: CVE-2099-0001, package: xlib, reason: the function is not called, justification: vulnerable_code_not_in_execute_path}\n  \
                - {id: CVE-2099-0006, package: xlib, reason: mended soon, until: 2098-12-31}\n";
    let ran = with(both).ends(0);
    assert!(ran.out.contains("ignored") && ran.out.contains("mended soon until 2098-12-31"), "{}", ran.out);
    with(&both.replace("2098-12-31", "2020-01-31"))
        .ends(1)
        .says(&["vulnerabilities.yaml:3: ", "expired on 2020-01-31"]);
    with(&format!("{both}  - {{id: CVE-2099-0099, package: xlib, reason: gone, until: 2098-01-01}}\n"))
        .ends(1)
        .says(&["vulnerabilities.yaml:4: ", "CVE-2099-0099 in xlib matches nothing"]);
    with(&both.replace(", until: 2098-12-31", "")).ends(2).says(&["vulnerabilities.yaml:3: ", "needs `until`"]);
    with(&both.replace("in_execute_path", "in_execute_pth"))
        .ends(2)
        .says(&["did you mean `vulnerable_code_not_in_execute_path`?"]);
    with(&both.replace("reason", "because")).ends(2).says(&["vulnerabilities.yaml:2:"]);
    with(&both.replace("2098-12-31", "soon")).ends(2).says(&["`until: soon` is not a date"]);
    image.project.write("vulnerabilities.yaml", "aliases: {tol: [x]}\n");
    image.audit(&["--cve", "data/tracker.json"]).ends(2).says(&["did you mean `tool`?"]);
    image.project.write("vulnerabilities.yaml", "aliases: {tool: [Busy_Tool]}\n");
    image.write("alias.json", &osv("OSV-2099-2", &["CVE-2099-0030"], "OSS-Fuzz", "busy_tool", "1.37.0"));
    assert_eq!(image.states(&["--cve", "data/alias.json"]).len(), 1);
}

#[test]
fn bad_data_is_named() {
    let image = Image::new();
    image.audit(&["--cve", "nowhere"]).ends(2).says(&["--cve nowhere: No such file"]);
    image.project.write("empty/readme.txt", "no data");
    image.audit(&["--cve", "empty"]).ends(2).says(&["it contains no JSON document"]);
    image.project.write("bad/broken.json", "{\"id\": ");
    image.audit(&["--cve", "bad"]).ends(2).says(&["--cve bad: broken.json: EOF while parsing"]);
    image.project.write("number.json", "{\"a\": 1}");
    image.audit(&["--cve", "number.json"]).ends(2).says(&["neither Debian's security tracker, nor an OSV record"]);
    image.project.write("bad.zip", b"PK\x03\x04broken");
    image.audit(&["--cve", "bad.zip"]).ends(2).says(&["--cve bad.zip: "]);
}

/// Third-party libraries read both documents. Run by `ci/test.sh validators`, which provides them.
#[test]
#[ignore = "needs the validators of ci/requirements-pipelines.txt"]
fn validators_accept_the_documents() {
    let image = Image::new();
    image.project.write(
        "vulnerabilities.yaml",
        "ignore:\n  - {id: CVE-2099-0001, package: xlib, reason: not called, justification: vulnerable_code_not_in_execute_path}\n  \
         - {id: CVE-2099-0006, package: xlib, reason: soon, until: 2098-12-31}\n  \
         - {id: CVE-2099-0099, package: xlib, reason: gone, until: 2098-12-31}\n",
    );
    image.audit(&["--cve", "data", "--sarif", "out.sarif", "--vex", "out.vex.json"]).ends(1);
    let validators = std::env::var("DBCO_VALIDATORS").expect("DBCO_VALIDATORS names the folder of the validators");
    let python = Path::new(&validators).join("pipelines/bin/python");
    let script = repository().join("ci/validate-audit.py");
    let arguments = [script, image.project.path("out.sarif"), image.project.path("out.vex.json")];
    Run::new(python.to_str().unwrap()).args(arguments).run().unwrap_or_else(|error| panic!("{error:?}"));
    let sarif: Value = serde_json::from_str(&image.project.read("out.sarif")).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 7);
    let open = results.iter().filter(|result| result["suppressions"].as_array().unwrap().is_empty()).count();
    assert_eq!(open, 3, "a crate, the kernel, and the exception that matches nothing");
    let uris: Vec<_> =
        results.iter().map(|one| &one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]).collect();
    assert!(uris.contains(&&json!("Cargo.lock")) && uris.contains(&&json!("components/kernel.yaml")), "{uris:?}");
    let vex: Value = serde_json::from_str(&image.project.read("out.vex.json")).unwrap();
    let statuses: Vec<_> =
        vex["statements"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == "not_affected").count(), 2);
    assert_eq!(statuses.iter().filter(|status| **status == "fixed").count(), 1);
}
