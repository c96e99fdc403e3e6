//! Third-party validators of a release's documents; run by `ci/test.sh validators`, which needs them installed.

mod project;

use dbco::process::command;
use project::releases::released;

/// Run by `ci/test.sh validators`, which provides the validators.
#[test]
#[ignore = "needs the validators of ci/requirements-release.txt"]
fn validators_accept_the_documents() {
    let project = released();
    let validators = std::env::var("DBCO_VALIDATORS").expect("DBCO_VALIDATORS names the folder of the validators");
    let script = project::repository().join("ci/validate-release.py");
    let python = std::path::Path::new(&validators).join("release/bin/python");
    let output = command(python.to_str().unwrap()).arg(script).arg(project.path("out/small")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches(": accepted\n").count(), 4, "{text}");
}
