//! The provenance of a release: an in-toto statement (<https://in-toto.io/Statement/v1>) with a SLSA predicate
//! (<https://slsa.dev/spec/v1.0/provenance>).
//!
//! It holds nothing of the machine or the time of the build: two builds of one commit give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::input::{HOME, ReleaseError, ReleaseInput, TOOL, TOOL_VERSION};
use super::sbom::model::git_uri;
use crate::digest::Digest;
use crate::library::Library;
use crate::lock::{Location, LockEntry, LockedFile};
use crate::step::{Step, StepId};
use crate::store::Output;

/// The type of the statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The type of the predicate.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// How the parameters of a build are to be understood: `docs/release.md`, "The statement".
pub const BUILD_TYPE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/release.md#build-type-v1");

/// The key of a digest of a file.
const SHA256: &str = "sha256";

/// The key of a digest of a commit (in-toto, "DigestSet").
const GIT_COMMIT: &str = "gitCommit";

/// An in-toto statement with SLSA's predicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What was built: every file that `SHA256SUMS` lists, except for the statement itself.
    pub subject: Vec<Resource>,
    /// [`PREDICATE`].
    pub predicate_type: String,
    /// How it was built.
    pub predicate: Predicate,
}

/// SLSA's predicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What was to be built, and from what.
    pub build_definition: BuildDefinition,
    /// What happened in the build.
    pub run_details: RunDetails,
}

/// The inputs of the build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What the user determined.
    pub external_parameters: ExternalParameters,
    /// What the recipe determined.
    pub internal_parameters: InternalParameters,
    /// The project's commit, the lock, and every source.
    pub resolved_dependencies: Vec<Resource>,
}

/// What the user determined. Paths are relative to the top of the repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalParameters {
    /// The recipe's path.
    pub recipe: String,
    /// The lock's path.
    pub lock: String,
    /// The parameters that were set.
    pub parameters: BTreeMap<String, String>,
    /// The profiles that were applied, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// The kinds of output.
    pub outputs: Vec<String>,
}

/// What the recipe determined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalParameters {
    /// The recipe's name.
    pub name: String,
    /// The upper limit of all timestamps, in seconds since 1970.
    pub epoch: i64,
    /// The architecture of the image.
    pub arch: String,
}

/// What happened in the build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDetails {
    /// What built it.
    pub builder: Builder,
    /// Each step: its key, and the digests of its outputs.
    pub byproducts: Vec<Resource>,
}

/// What built it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Builder {
    /// A URI of the kind of builder.
    pub id: String,
    /// Its components with their versions.
    pub version: BTreeMap<String, String>,
}

/// A resource descriptor of in-toto.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests by algorithm.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// The name of the descriptor of the project's commit.
const PROJECT: &str = "project";

/// The name of the descriptor of the lock.
const LOCK: &str = "lock";

/// The name of the descriptor of the library that the project builds on, by the digest in the lock.
const LIBRARY: &str = "library";

impl Resource {
    /// A file by its sha256.
    pub fn file(name: &str, sha256: &Digest) -> Self {
        let digest = BTreeMap::from([(SHA256.to_owned(), sha256.to_string())]);
        Self { name: name.to_owned(), digest, ..Self::default() }
    }

    /// Its sha256, if it has a valid one.
    pub fn sha256(&self) -> Option<Digest> {
        self.digest.get(SHA256)?.parse().ok()
    }
}

impl Statement {
    /// The statement of a release; `files` are its subjects by name.
    pub fn of(input: &ReleaseInput<'_>, files: &BTreeMap<String, Digest>) -> Result<Self, ReleaseError> {
        let image = &input.recipe.image;
        let outputs = image.outputs.iter().map(|output| output.value.word().to_owned()).collect();
        let external_parameters = ExternalParameters {
            recipe: input.project.relative(&input.recipe.path),
            lock: input.project.relative(input.lock_path),
            parameters: input.recipe.settings.values(),
            profiles: input.recipe.settings.profiles.clone(),
            outputs,
        };
        let internal_parameters = InternalParameters {
            name: image.name.value.to_string(),
            epoch: image.epoch,
            arch: image.platform.names().arch.to_owned(),
        };
        Ok(Self {
            kind: STATEMENT.to_owned(),
            subject: files.iter().map(|(name, digest)| Resource::file(name, digest)).collect(),
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.to_owned(),
                    external_parameters,
                    internal_parameters,
                    resolved_dependencies: dependencies(input)?,
                },
                run_details: RunDetails {
                    builder: Builder {
                        id: HOME.to_owned(),
                        version: BTreeMap::from([(TOOL.to_owned(), TOOL_VERSION.to_owned())]),
                    },
                    byproducts: steps(input),
                },
            },
        })
    }

    /// Reads a statement; the error says what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let statement: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let build_type = &statement.predicate.build_definition.build_type;
        for (what, found, known) in [
            ("statement", &statement.kind, STATEMENT),
            ("predicate", &statement.predicate_type, PREDICATE),
            ("build", build_type, BUILD_TYPE),
        ] {
            if found != known {
                return Err(format!("its type of {what} is `{}`, expected `{known}`", found.escape_debug()));
            }
        }
        Ok(statement)
    }

    /// The statement as text, with a line break at its end.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data with string keys") + "\n"
    }

    /// The project's commit, and the URL of its repository if it is known.
    pub fn commit(&self) -> Option<(&str, Option<&str>)> {
        let project = self.dependency(PROJECT)?;
        let commit = project.digest.get(GIT_COMMIT)?;
        let url = project.uri.as_deref().map(|uri| uri.strip_prefix("git+").unwrap_or(uri));
        Some((commit, url.map(|url| url.strip_suffix(&format!("@{commit}")).unwrap_or(url))))
    }

    /// The digest of the lock's file.
    pub fn lock(&self) -> Option<Digest> {
        self.dependency(LOCK)?.sha256()
    }

    fn dependency(&self, name: &str) -> Option<&Resource> {
        self.predicate.build_definition.resolved_dependencies.iter().find(|resource| resource.name == name)
    }
}

/// The project, the lock, the library and every source that the plan uses, each once.
fn dependencies(input: &ReleaseInput<'_>) -> Result<Vec<Resource>, ReleaseError> {
    let commit = &input.project.commit;
    let project = Resource {
        name: PROJECT.to_owned(),
        uri: input.project.url.as_ref().map(|url| git_uri(url, commit)),
        digest: BTreeMap::from([(GIT_COMMIT.to_owned(), commit.clone())]),
        ..Resource::default()
    };
    let lock = Digest::of_file(input.lock_path).map_err(|error| ReleaseError::read(input.lock_path, error))?.0;
    let used: BTreeSet<Digest> = input.plan.target_steps().flat_map(|(_, step)| step.action.blobs()).collect();
    let entries = input.lock.entries().flat_map(|entry| entry.files.iter().map(move |file| (entry, file)));
    let mut sources: Vec<Resource> = entries
        .filter(|(_, file)| used.contains(&file.sha256))
        .map(|(entry, file)| source(entry, file))
        .chain(input.recipe.cargo_locks().into_iter().flat_map(|lock| &lock.crates).filter_map(|pinned| {
            let purl = super::sbom::cargo_purl(&pinned.name, &pinned.version);
            used.contains(&pinned.sha256)
                .then(|| Resource { uri: Some(purl), ..Resource::file(&pinned.file_name(), &pinned.sha256) })
        }))
        .collect();
    sources.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
    sources.dedup();
    let library = input.recipe.library.as_ref().and_then(Library::digest);
    let library = library.map(|digest| Resource::file(LIBRARY, &digest));
    Ok([project, Resource::file(LOCK, &lock)].into_iter().chain(library).chain(sources).collect())
}

fn source(entry: &LockEntry, file: &LockedFile) -> Resource {
    let suite = entry.request.kind().archive_of(file).map(|archive| archive.suite.clone());
    let mut resource = Resource::file(&file.name, &file.sha256);
    match &file.at {
        Location::Git { url, commit } => {
            resource.uri = Some(git_uri(&crate::mask::text(url), commit));
            resource.digest.insert(GIT_COMMIT.to_owned(), commit.clone());
        }
        Location::Urls(urls) => resource.uri = urls.first().cloned(),
        Location::Pool(path) => {
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            resource.name = name.into_owned();
            resource.annotations.insert("pool".to_owned(), json!(path));
            resource.annotations.extend(suite.map(|suite| ("suite".to_owned(), json!(suite))));
        }
    }
    resource
}

/// The steps in the order of the plan, in which inputs come first.
fn steps(input: &ReleaseInput<'_>) -> Vec<Resource> {
    let one = |(id, step): (StepId, &Step)| {
        let outputs = input.built.outputs(id);
        let digest = |output: &Output| match output {
            Output::Blob { digest, .. } | Output::Tree { digest } => json!(digest),
            // Identified by the key of its step.
            Output::Root => json!("root"),
        };
        let outputs: BTreeMap<&String, Value> =
            outputs.into_iter().flatten().map(|(name, output)| (name, digest(output))).collect();
        let annotations = BTreeMap::from([("outputs".to_owned(), json!(outputs))]);
        Resource { annotations, ..Resource::file(&step.label, &step.digest) }
    };
    input.plan.target_steps().map(one).collect()
}

/// The first step whose key or outputs differ between two statements, as a sentence.
pub fn first_difference(stated: &Statement, rebuilt: &Statement) -> Option<String> {
    let (stated, rebuilt) = (&stated.predicate.run_details.byproducts, &rebuilt.predicate.run_details.byproducts);
    for (one, other) in stated.iter().zip(rebuilt) {
        if one.name != other.name {
            return Some(format!("the steps differ: {} was stated, {} was run", one.name, other.name));
        }
        if one.digest != other.digest {
            return Some(format!("the inputs of {} differ: its key is not the stated one", one.name));
        }
        if one.annotations != other.annotations {
            let names = |of: &Resource| of.annotations.get("outputs").and_then(Value::as_object).cloned();
            let (one_has, other_has) = (names(one).unwrap_or_default(), names(other).unwrap_or_default());
            let differ: Vec<String> = one_has
                .iter()
                .filter(|(name, value)| other_has.get(*name) != Some(value))
                .map(|(name, _)| name.clone())
                .collect();
            return Some(format!("{} has the stated inputs, but another result: {}", one.name, differ.join(", ")));
        }
    }
    (stated.len() != rebuilt.len()).then(|| format!("{} steps were stated, {} were run", stated.len(), rebuilt.len()))
}
