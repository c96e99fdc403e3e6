//! Test results as JUnit XML, which every CI service reads.

use std::io::Write;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::TestOutcome;

/// Writes one test suite. Failed cases include the end of the machine's console; all include their phases and the
/// accelerator.
pub fn write(suite: &str, outcomes: &[TestOutcome], out: impl Write) -> Result<(), quick_junit::SerializeError> {
    let mut report = Report::new("dbco");
    let mut cases = TestSuite::new(suite);
    for outcome in outcomes {
        let status = match &outcome.failure {
            None => TestCaseStatus::success(),
            Some(failure) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(failure.lines().next().unwrap_or_default()).set_description(failure.as_str());
                status
            }
        };
        let mut case = TestCase::new(outcome.name.as_str(), status);
        case.set_classname(suite).set_time(Duration::from_secs_f64(outcome.seconds()));
        case.add_property(Property::new("accelerator", outcome.accel.to_string().as_str()));
        for phase in &outcome.phases {
            case.add_property(Property::new(phase.name, format!("{:.1} s", phase.seconds).as_str()));
        }
        for note in &outcome.notes {
            case.add_property(Property::new("note", note.as_str()));
        }
        if outcome.failure.is_some() {
            let mut lines = outcome.tail.clone();
            if let Some(peer) = &outcome.peer {
                lines.extend([String::new(), "The peer:".to_owned()]);
                lines.extend(peer.tail.iter().cloned());
            }
            case.set_system_out(lines.join("\n"));
        }
        cases.add_test_case(case);
    }
    report.add_test_suite(cases);
    report.serialize(out)
}
