//! `dbco repro`: leaks that are planted in a component are found and named, and nothing else is.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dbco::recipe::Settings;
use dbco::repro::{Programs, Report, ReproObserver, ReproOptions, Variation, repro};
use dbco::session::{Options, Session, SessionConfig, SilentReporter};
use project::{Project, host};
use serde_json::Value;

/// Programs that the leaks below run.
const TOOLS: [&str; 9] = ["chmod", "cut", "date", "dd", "gzip", "head", "ls", "mkfs.fat", "uname"];

/// A project with a component `tool` whose script is run by the host's programs.
fn project(script: &str) -> Project {
    let project = Project::new();
    let script: String = script.lines().map(|line| format!("  {line}\n")).collect();
    host::add_tool(&project, &format!("source: {{path: ../sources/tool}}\nbuild: |\n{script}"));
    project.write("sources/tool/program", fs::read("/bin/true").unwrap());
    project.write("dbco.lock", project::LOCK);
    host::provide_with(&project, &TOOLS);
    project
}

/// What `dbco repro --json` with these flags reports.
fn report(project: &Project, flags: &[&str], code: i32) -> Value {
    let words = ["repro", "--offline", "--json", "--jobs", "2", "small.yaml"];
    let ran = project.dbco(&[&words[..], flags].concat()).ends(code);
    let line = ran.out.lines().rfind(|line| line.contains(r#""event":"repro","#));
    let line = line.unwrap_or_else(|| panic!("no report: {ran:#?}"));
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["identical"], code == 0);
    event["report"].clone()
}

/// The only cause of a report.
#[track_caller]
fn cause(report: &Value) -> &Value {
    let causes = report["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 1, "{report:#}");
    assert_eq!(causes[0]["step"], "component tool");
    assert_eq!(causes[0]["reaches"], serde_json::json!(["initrd.img"]), "{report:#}");
    &causes[0]
}

/// Names of what a report says was varied.
fn varied(report: &Value) -> Vec<&str> {
    report["varied"].as_array().unwrap().iter().map(|one| one["variation"].as_str().unwrap()).collect()
}

#[test]
fn a_build_whose_tools_leak_nothing_is_identical_in_all_surroundings() {
    // All of these are fixed inside the sandbox.
    let project = project(
        "mkdir -p $OUT/usr\n\
         { umask; env; uname -a | cut -d' ' -f1,2; ls /build/src; } > $OUT/usr/fixed\n\
         { date -d 2020-01-01; head -c 5 program; ls -l program; } > $OUT/usr/more",
    );
    project.edit("components/tool.yaml", "{ umask; env;", "{ umask; env -u JOBS;");
    let found = report(&project, &["--html", "report.html", "--vary=-sandbox"], 0);
    for name in ["folder", "umask", "time", "time-zone", "locale", "host-name", "environment", "jobs", "user"] {
        assert!(varied(&found).contains(&name), "{name}: {found:#}");
    }
    // What can't be varied anywhere is said.
    assert!(found["not-varied"].to_string().contains("wall clock"), "{found:#}");
    assert_eq!(found["causes"], serde_json::json!([]));
    let page = project.read("report.html");
    assert!(page.contains("2 outputs identical") && page.contains("wall clock"), "{page}");
    // Nothing is left, and the user's store has no results of these builds.
    assert_eq!(fs::read_dir(project.path("store/tmp")).unwrap().count(), 0);
    assert!(!project.path("store/steps/").read_dir().is_ok_and(|mut steps| steps.next().is_some()));
    assert!(!project.path("out").exists());
}

#[test]
fn each_leak_is_named_with_its_file_and_what_it_is() {
    let program = fs::read("/bin/true").unwrap();
    // A note of type 3 (elf(5)): lengths of name and content, type, name.
    let note = [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0];
    let id = program.windows(note.len()).position(|bytes| bytes == note).expect("a build id") + note.len();
    let project = project(&format!(
        "top=$OUT/usr/leaks; mkdir -p $top/order.d; cd $top\n\
         begin=$(date +%s); until [ $(date +%s) != $begin ]; do :; done\n\
         date +%s > time\n\
         date +%F > date\n\
         echo content > packed; gzip packed\n\
         head -c 32 /dev/urandom > key\n\
         cat /proc/self/mountinfo > mounts\n\
         echo \"built with $JOBS jobs\" > jobs\n\
         for n in 1 2 3 4 5 6 7 8 9; do echo > order.d/file-$n; done; ls -U order.d > order\n\
         cp /build/src/program program; dd if=/dev/urandom of=program bs=1 seek={id} count=8 conv=notrunc\n\
         unset SOURCE_DATE_EPOCH; mkfs.fat -C fat.img 64\n\
         echo same > mode; [ $JOBS = 2 ] || chmod 600 mode\n\
         cat /proc/uptime > uptime\n"
    ));
    project.write(
        "sources/tool/jobs.mk",
        "all: a b c\n\
         a b:\n\tif [ $(JOBS) -ge 3 ]; then until [ -e c.done ]; do :; done; fi; echo $@ >> log\n\
         c:\n\techo c >> log; echo > c.done\n",
    );
    project.edit(
        "components/tool.yaml",
        "cat /proc/uptime > uptime\n",
        "cat /proc/uptime > uptime\n  make -C /build/src -f jobs.mk -j$JOBS; cp /build/src/log log\n",
    );
    let found = report(&project, &["--vary=-sandbox"], 1);
    let differences = cause(&found)["differences"].as_array().unwrap().clone();
    let leak = |name: &str| {
        let path = format!("/usr/leaks/{name}");
        let found = differences.iter().find(|one| one["path"][0] == *path);
        found.unwrap_or_else(|| panic!("no {path} in {found:#?} of {differences:#?}")).clone()
    };
    let is = |name: &str, key: &str, text: &str| {
        let one = leak(name);
        assert!(one[key].as_str().unwrap_or_default().contains(text), "{name}: {one:#}");
    };
    is("time", "hint", "the time of the build, in seconds since 1970");
    is("packed.gz", "place", "time in the gzip header");
    is("key", "place", "byte 0");
    is("mounts", "hint", "the path of the store");
    is("jobs", "hint", "the number of jobs");
    is("log", "place", "line 1");
    is("program", "place", "build id (section .note.gnu.build-id)");
    is("fat.img", "place", "serial number of the FAT");
    is("uptime", "what", "content");
    is("mode", "what", "mode");
    if varied(&found).contains(&"listing-order") {
        is("order", "hint", "the same lines in another order");
    } else {
        assert!(found["not-varied"].to_string().contains("listing-order"), "{found:#}");
    }
    // A date differs only if the day does, which is said.
    assert!(found["not-varied"].to_string().contains("wall clock"));
    assert!(found["affected"].to_string().contains("initrd"), "{found:#}");
}

/// A chroot has the host's name, and only root has a chroot.
#[test]
fn a_host_name_that_a_chroot_lets_through_is_named() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("the mode `chroot` is not tested: only root has it");
        return;
    }
    let project = project("mkdir -p $OUT/usr; uname -n > $OUT/usr/name");
    let found = report(&project, &["--vary", "sandbox,host-name"], 1);
    assert_eq!(varied(&found), ["host-name", "sandbox"]);
    let one = &cause(&found)["differences"][0];
    assert_eq!(one["path"][0], "/usr/name");
    assert_eq!(one["values"][1], "somewhere-else");
    assert_eq!(one["hint"], "the host name");
}

/// The steps of several recipes run once in each build, and their differences are those of each recipe.
#[test]
fn recipes_share_the_stores_of_their_builds() {
    let project = project("mkdir -p $OUT/usr; echo \"$JOBS jobs\" > $OUT/usr/jobs");
    project.write("other.yaml", "recipe: other\nextends: small.yaml\nboot: {timeout: 9}\n");
    let words = ["repro", "--offline", "--json", "--jobs", "2", "--html", "report.html", "small.yaml", "other.yaml"];
    let reports = |code: i32| -> Vec<Value> {
        let ran = project.dbco(&[&words[..], &["--vary=-sandbox"]].concat()).ends(code);
        let lines = ran.out.lines().filter(|line| line.contains(r#""event":"repro","#));
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["report"].clone()).collect()
    };
    let found = reports(1);
    assert_eq!(found.iter().map(|report| report["recipe"].as_str().unwrap()).collect::<Vec<_>>(), ["small", "other"]);
    found.iter().for_each(|report| assert_eq!(cause(report)["differences"][0]["path"][0], "/usr/jobs"));
    project.edit("components/tool.yaml", "$JOBS jobs", "some jobs");
    let found = reports(0);
    let steps = |report: &Value| report["steps"][0].as_u64().unwrap();
    assert_eq!(steps(&found[1]), 1, "the menu: {found:#?}");
    assert!(steps(&found[0]) > 1 && found[0]["steps"][0] == found[0]["steps"][1], "{found:#?}");
    let page = project.read("report.html");
    assert!(page.contains("Two builds of small, other") && page.matches("outputs identical").count() == 2, "{page}");
}

struct Silent;

impl ReproObserver for Silent {
    fn event(&self, _: usize, _: &Value) {}

    fn note(&self, _: &str) {}
}

/// Runs `repro` with a builder that passes a value of its surroundings to the recipe as a parameter.
fn with_builder(project: &Project, value: &str, vary: &str) -> Report {
    let dbco = env!("CARGO_BIN_EXE_dbco");
    let builder = project.path("builder");
    let script = format!(
        "#!/bin/sh\nvalue=$({value})\nshift\nexec {dbco} build --set \"host=$(printf %s \"$value\" | tr -c 'A-Za-z0-9' _)\" \"$@\"\n"
    );
    fs::write(&builder, script).unwrap();
    fs::set_permissions(&builder, fs::Permissions::from_mode(0o755)).unwrap();
    let store = Some(project.path("store"));
    let session = Session::new(SessionConfig { store, ..SessionConfig::default() }, &SilentReporter);
    let wanted = ReproOptions {
        recipes: vec![project.path("small.yaml")],
        settings: Settings::new(),
        only: Vec::new(),
        options: Options { offline: true, jobs: 2, ..Options::default() },
        vary: vary.parse().unwrap(),
        keep: false,
    };
    repro(&session, &wanted, &Programs { helper: dbco.into(), builder }, &Silent).unwrap().remove(0)
}

/// A builder that lets its surroundings into the recipe has other inputs, and that is named, too.
#[test]
fn surroundings_reach_the_builder_and_different_inputs_are_named() {
    let project = Project::with("{default: box, choices: [box, crate]}", "box");
    for (variation, value) in [
        (Variation::Umask, "umask"),
        (Variation::TimeZone, "echo x$TZ"),
        (Variation::Locale, "echo x$LC_ALL"),
        (Variation::Environment, "echo x$CFLAGS"),
        (Variation::HostName, "uname -n"),
        (Variation::User, "id -u"),
        (Variation::Personality, "uname -m"),
        (Variation::Folder, "pwd | tr -d /tmp"),
        (Variation::Time, "cut -d. -f1 /proc/uptime | cut -c1-4"),
    ] {
        let report = with_builder(&project, value, variation.name());
        assert!(report.varied.iter().any(|one| one.variation == variation), "{report:#?}");
        assert!(!report.is_identical() && report.causes.is_empty(), "{report:#?}");
        let rows: Vec<_> = report.inputs.iter().map(|one| (one.step.as_str(), one.rows.clone())).collect();
        assert_eq!(rows, [("grub menu", vec!["text".to_owned()])], "{}: {report:#?}", variation.name());
        let differing: Vec<_> = report.outputs.iter().filter(|pair| !pair.is_same()).map(|pair| &*pair.name).collect();
        assert_eq!(differing, ["grub.cfg"]);
    }
    // Without that variation it is the same.
    let report = with_builder(&project, "umask", "-umask");
    assert!(report.is_identical(), "{report:#?}");
}

#[test]
fn a_build_that_fails_only_there_is_told_with_its_surroundings() {
    let project = project("[ \"$JOBS\" = 2 ] || { echo too many; exit 1; }; mkdir -p $OUT/usr");
    let ran = project.dbco(&["repro", "--offline", "--jobs", "2", "--vary", "jobs", "small.yaml"]).ends(1);
    ran.says(&["the second build of small failed", "jobs: 3", "component tool", "too many"]);
    let ran = project.dbco(&["repro", "--vary", "hostname", "small.yaml"]).ends(2);
    ran.says(&["did you mean `host-name`?"]);
}
