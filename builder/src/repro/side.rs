//! One of the two builds: where it takes place, and how it is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::stage::{Job, MARK, SETUP_FAILED, Surroundings, Task};
use super::{Programs, ReproError};
use crate::digest::Digest;
use crate::process::{ProcessError, Run, argv};
use crate::sandbox::Mode;

/// One of the two builds.
#[derive(Clone, Debug)]
pub struct Side {
    /// The folder that has its store and its outputs.
    pub folder: PathBuf,
    /// The folder that it is started in.
    pub cwd: PathBuf,
    /// The project's folder, and the copy that the recipes of this build are in, if they are in a copy.
    pub copied: Option<(PathBuf, PathBuf)>,
    /// Its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Other properties of its process.
    pub surroundings: Surroundings,
    /// The number of parallel processes.
    pub jobs: usize,
    /// How tools are isolated, if that is not left to it.
    pub sandbox: Option<Mode>,
}

/// When a build ran.
#[derive(Clone, Debug)]
pub struct Ran {
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The steps that it ran, in the order of their ends.
    pub steps: Vec<StepRun>,
}

/// A step that a build ran.
#[derive(Clone, Debug)]
pub struct StepRun {
    /// Its label.
    pub label: String,
    /// The digest of its key.
    pub key: Digest,
}

impl Side {
    /// Its store.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Where a recipe of the project is for this build.
    pub fn recipe(&self, path: &Path) -> PathBuf {
        let inside = self.copied.as_ref().and_then(|(top, copy)| {
            let path = path.canonicalize().ok()?;
            Some(copy.join(path.strip_prefix(top).ok()?))
        });
        inside.unwrap_or_else(|| path.to_owned())
    }

    /// The folder of the recipes' folders of outputs.
    pub fn outputs(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// Builds a recipe of the project. `arguments` are further ones; each event of the build is passed to `watch`.
    pub fn build(
        &self,
        programs: &Programs,
        recipe: &Path,
        arguments: &[String],
        watch: &(dyn Fn(&Value) + Sync),
    ) -> Result<Ran, ReproError> {
        let mut words = argv!["build", "--offline", "--json", "--jobs", self.jobs];
        for (flag, path) in [("--store", &self.store()), ("--output", &self.outputs())] {
            words.extend([flag.to_owned(), utf8(path)?]);
        }
        if let Some(mode) = self.sandbox {
            words.extend(argv!["--sandbox", mode.name()]);
        }
        words.extend(arguments.iter().cloned());
        words.extend(argv!["--", utf8(&self.recipe(recipe))?]);
        let (program, cwd) = (programs.builder.clone(), self.cwd.clone());
        let task = Task::Run { program, arguments: words, cwd };
        let (errors, steps) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let each = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(event) if event.is_object() => {
                match event["event"].as_str() {
                    Some("error") => locked(&errors).push(event["text"].as_str().unwrap_or_default().to_owned()),
                    Some("finished") => {
                        let text = |key: &str| event[key].as_str().unwrap_or_default();
                        if let Ok(key) = text("key").parse() {
                            locked(&steps).push(StepRun { label: text("step").to_owned(), key });
                        }
                    }
                    _ => {}
                }
                watch(&event);
            }
            _ => locked(&errors).push(line.to_owned()),
        };
        let (began, begin) = (SystemTime::now(), Instant::now());
        let run = self.start(&programs.helper, task).watch(&each).run();
        let lines = errors.into_inner().unwrap_or_else(|e| e.into_inner());
        match run {
            Ok(()) => {
                let steps = steps.into_inner().unwrap_or_else(|e| e.into_inner());
                Ok(Ran { began, took: begin.elapsed(), steps })
            }
            Err(ProcessError::Failed { .. }) => Err(ReproError::Build { lines: lines.join("\n") }),
            Err(other) => Err(other.into()),
        }
    }

    /// Whether its surroundings can be made, and tools run in them; otherwise why not.
    pub fn probe(&self, programs: &Programs) -> Result<(), String> {
        let task = Task::Probe { sandbox: self.sandbox, folder: self.folder.clone() };
        self.start(&programs.helper, task).run().map_err(|error| match error {
            ProcessError::Failed { tail, status, .. } => {
                let first = tail.iter().find_map(|line| line.strip_prefix(MARK));
                // The first line: what follows is advice on how to make builds possible.
                let line = first.map(str::to_owned).or_else(|| tail.first().cloned());
                debug_assert!(status.code().is_none_or(|code| code == SETUP_FAILED), "{tail:?}");
                line.unwrap_or_else(|| status.to_string())
            }
            other => other.to_string(),
        })
    }

    fn start(&self, helper: &Path, task: Task) -> Run<'_> {
        let job = Job { surroundings: self.surroundings.clone(), parent: std::process::id(), task };
        let run = Run::new(helper).args(job.arguments()).group();
        self.environment.iter().fold(run, |run, (name, value)| run.env(name, value))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn utf8(path: &Path) -> Result<String, ReproError> {
    path.to_str().map(str::to_owned).ok_or_else(|| ReproError::Path(path.to_owned()))
}
