//! The pipelines in `ci/` that users copy: their scripts are checked by shellcheck, those that run dbco are run here on a small project,
//! and their own linters accept them.

mod project;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dbco::process::Run;
use project::{Project, Ran, repository};
use serde_json::Value;

fn pipeline(name: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(repository().join("ci").join(name)).unwrap()).unwrap()
}

/// The scripts of a workflow of GitHub, by job and step.
fn github() -> BTreeMap<String, String> {
    let pipeline = pipeline("github-actions.yaml");
    let mut scripts = BTreeMap::new();
    for (job, value) in pipeline["jobs"].as_object().unwrap() {
        for step in value["steps"].as_array().unwrap() {
            if let Some(run) = step["run"].as_str() {
                let name = format!("{job}: {}", step["name"].as_str().expect("a step that runs something has a name"));
                assert_eq!(scripts.insert(name, run.to_owned()), None);
            }
        }
    }
    scripts
}

/// The scripts of a pipeline of GitLab, by job: each is one script, as the runner makes it.
fn gitlab() -> BTreeMap<String, Vec<String>> {
    let pipeline = pipeline("gitlab-ci.yml");
    let lines = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    let jobs = pipeline.as_object().unwrap().iter();
    jobs.filter_map(|(name, job)| {
        let all = [lines(&job["before_script"]), lines(&job["script"])].concat();
        (!all.is_empty()).then(|| (name.clone(), all))
    })
    .collect()
}

/// A project at the paths that the pipelines have: `recipes/small.yaml`, `target/release/dbco`.
fn project() -> Project {
    let project = Project::new();
    symlink(".", project.path("recipes")).unwrap();
    fs::create_dir_all(project.path("target/release")).unwrap();
    symlink(env!("CARGO_BIN_EXE_dbco"), project.path("target/release/dbco")).unwrap();
    // What the pipelines fetch; data without any vulnerability.
    project.write("data/tracker.json", "{}");
    project
}

/// A key that there is not.
fn misspell(project: &Project) {
    project.edit("small.yaml", "  overlays: [overlay]\n", "  overlais: [overlay]\n");
}

/// Runs a script as the runner does.
fn run(project: &Project, script: &str) -> Ran {
    project.unshared(&format!("RECIPE=small; export RECIPE\nbash -eo pipefail -c '{}'", script.replace('\'', "'\\''")))
}

#[test]
fn scripts_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    let gitlab = gitlab().into_iter().map(|(name, lines)| (name, lines.join("\n")));
    let all: Vec<(String, String)> = github().into_iter().chain(gitlab).collect();
    assert!(all.len() > 15, "{}", all.len());
    for (name, script) in &all {
        let path = folder.path().join("script");
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        Run::new("shellcheck")
            .args([path])
            .env("PATH", "/usr/bin:/bin")
            .run()
            .unwrap_or_else(|error| panic!("{name}: {error:?}\n{script}"));
        for word in ["RECIPE", "SIGNING_KEY"] {
            assert!(!script.contains(&format!("${{{{ {word}")), "{name}: an expression in a script can inject code");
        }
    }
}

#[test]
fn a_workflow_checks_builds_audits_and_cleans_up_and_findings_are_annotations() {
    let scripts = github();
    let project = project();
    for step in ["image: Check", "image: Build", "image: Keep the store small", "vulnerabilities: Audit"] {
        run(&project, &scripts[step]).ends(0);
    }
    assert!(project.path("out/small/initrd.img").exists() && project.path("audit.sarif").exists());
    assert!(project.path("audit.vex.json").exists());
    // The lock of the repository is needed for what follows, and nothing else was removed from the store.
    let again = run(&project, &scripts["image: Build"]).ends(0);
    assert!(again.out.contains("nothing to do"), "{}", again.out);
    misspell(&project);
    let ran = run(&project, &scripts["image: Check"]).ends(2);
    let line = ran.out.lines().find(|line| line.starts_with("::error ")).unwrap_or_else(|| panic!("{}", ran.out));
    assert!(line.contains("file=recipes/small.yaml,line=") && line.contains("overlais"), "{line}");
}

#[test]
fn a_pipeline_of_gitlab_does_the_same_and_its_report_names_lines() {
    let jobs = gitlab();
    let project = project();
    let of = |job: &str| -> Vec<String> {
        let own = jobs[job].iter().filter(|line| line.starts_with("target/release/dbco"));
        // A boot needs QEMU and a kernel.
        own.filter(|line| !line.contains("dbco test")).cloned().collect()
    };
    for line in of("build-image").iter().chain(&of("vulnerabilities")) {
        run(&project, line).ends(0);
    }
    assert_eq!(project.read("out/quality.json"), "[]\n");
    assert_eq!(project.read("vulnerabilities.json"), "[]\n");
    misspell(&project);
    run(&project, &of("build-image")[0]).ends(2);
    let report: Value = serde_json::from_str(&project.read("out/quality.json")).unwrap();
    let issue = &report[0];
    assert_eq!(issue["location"]["path"], "recipes/small.yaml");
    assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() > 1, "{issue}");
    assert!(
        issue["fingerprint"].is_string() && issue["severity"] == "major" && issue["check_name"] == "unknown-key",
        "{issue}"
    );
}

/// A step that fails has its line: a component whose script fails.
#[test]
fn a_failed_step_is_annotated_on_its_line() {
    let project = Project::new();
    project::host::add_tool(&project, "source: {path: ../sources/kernel}\nbuild: |\n  true\n  false-command\n");
    let ran = project.dbco(&["build", "small.yaml", "--offline", "--annotations", "github"]).ends(1);
    let line =
        ran.out.lines().find(|line| line.starts_with("::error ")).unwrap_or_else(|| panic!("{}{}", ran.out, ran.err));
    assert!(line.starts_with("::error file=components/tool.yaml,line=7,"), "{line}");
}

/// The commands of dbco in all scripts, with the recipe that the pipelines are for.
fn commands() -> Vec<(String, Vec<String>)> {
    let gitlab = gitlab().into_iter().map(|(name, lines)| (name, lines.join("\n")));
    let mut found = Vec::new();
    for (name, script) in github().into_iter().chain(gitlab) {
        for line in script.lines().filter(|line| line.trim().starts_with("target/release/dbco")) {
            let words = line.replace('"', "").replace("$RECIPE", "dbcolinux");
            found.push((name.clone(), words.split_whitespace().skip(1).map(str::to_owned).collect()));
        }
    }
    found
}

#[test]
fn the_subcommands_flags_and_recipes_of_the_pipelines_exist() {
    let project = Project::new();
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for (name, arguments) in commands {
        for recipe in arguments.iter().filter(|word| word.ends_with(".yaml")) {
            assert!(repository().join(recipe).exists(), "{name}: {recipe}");
        }
        let ran = project.unshared(&format!("\"$DBCO\" {} --help", arguments.join(" ")));
        assert_eq!(ran.code, Some(0), "{name}: {arguments:?}\n{}", ran.err);
    }
}

#[test]
fn the_tiers_of_tests_that_the_pipelines_run_exist() {
    let tests = fs::read_to_string(repository().join("ci/test.sh")).unwrap();
    let gitlab = gitlab().into_iter().map(|(name, lines)| (name, lines.join("\n")));
    let mut tiers = 0;
    for (name, script) in github().into_iter().chain(gitlab) {
        for tier in script.lines().filter_map(|line| line.trim().strip_prefix("ci/test.sh ")) {
            tiers += 1;
            let word = tier.split(' ').next().unwrap();
            assert!(tests.contains(&format!("\n  {word})")), "{name}: {tier}");
        }
    }
    assert!(tiers >= 4);
}

/// The parts of the store that the pipelines keep exist in a store.
#[test]
fn the_parts_of_the_store_that_are_cached_exist() {
    let folder = tempfile::tempdir().unwrap();
    let store = dbco::store::Store::open(&folder.path().join(".dbco-store")).unwrap();
    store.add_bytes(b"x").unwrap();
    for name in ["github-actions.yaml", "gitlab-ci.yml"] {
        let text = fs::read_to_string(repository().join("ci").join(name)).unwrap();
        let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
        let paths: Vec<&str> = lines.filter(|line| line.starts_with(".dbco-store/")).collect();
        assert_eq!(paths.len(), 4, "{name}");
        for path in paths {
            assert!(folder.path().join(path).exists(), "{name}: a store has no `{path}`");
        }
    }
}

/// Run by `ci/test.sh validators`, which provides the linters.
#[test]
#[ignore = "needs the validators of ci/requirements-pipelines.txt"]
fn linters_accept_the_pipelines() {
    let tools = std::env::var("DBCO_VALIDATORS").expect("DBCO_VALIDATORS names the folder of the validators");
    let tool = |name: &str| Path::new(&tools).join("pipelines/bin").join(name);
    let (actions, gitlab) = (repository().join("ci/github-actions.yaml"), repository().join("ci/gitlab-ci.yml"));
    let run = |name: &str, arguments: &[&std::ffi::OsStr]| {
        let path = tool(name);
        let done = Run::new(path.to_str().unwrap())
            .args(arguments.iter().map(|one| one.to_owned()))
            .env("PATH", "/usr/bin:/bin")
            .run();
        done.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    };
    run("actionlint", &[actions.as_ref()]);
    run("check-jsonschema", &["--builtin-schema".as_ref(), "vendor.github-workflows".as_ref(), actions.as_ref()]);
    run("check-jsonschema", &["--builtin-schema".as_ref(), "vendor.gitlab-ci".as_ref(), gitlab.as_ref()]);
}
