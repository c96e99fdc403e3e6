//! The tables of keys: the parser accepts what they state and no more, their examples and defaults are right, and the
//! schemas and the reference that are checked in are made of them. The schemas are judged by `boon`.

mod documents;
mod project;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dbco::archive::Budget;
use dbco::cve::Exceptions;
use dbco::recipe::keys::LIST_CHANGES;
use dbco::recipe::{Finding, Recipe};
use dbco::schema::{KINDS, reference, schema};
use dbco::source::UserConfig;
use dbco::yaml::keys::{Form, Key, Need, Rule};
use dbco::yaml::node::YamlNode;
use documents::judge::Judge;
use documents::parser::{messages, project, read};
use documents::{Place, file, places, set, with, words, wrong, yaml};
use project::{Project, RECIPE, repository};

/// A key and a word that there are not.
const NONE: &str = "qqqqqqqqqqqqqqqq";

/// Kinds that the recipe's parser reads.
fn parsed() -> impl Iterator<Item = Place> {
    KINDS.iter().filter(|kind| ["recipe", "component", "toolchain", "project"].contains(&kind.name)).flat_map(places)
}

fn list(findings: &[Finding]) -> String {
    let each = findings.iter().map(|found| format!("{}: {}", found.id, found.message));
    each.collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} errors:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn each_documented_key_is_accepted_with_its_example_by_parser_and_schema() {
    let (project, judge, mut errors) = (project(), Judge::new(), Vec::new());
    for place in parsed() {
        for key in place.keys.all() {
            let document = place.document(place.example_with(key.name, key.example));
            if let Err(findings) = read(&project, place.kind, &document) {
                errors.push(format!("{}: {}: {}\n{}", place.name(), key.name, list(&findings), file(&document)));
            }
            if let Err(error) = judge.judge(place.kind, &file(&document)) {
                errors.push(format!("{}: {}: schema: {error}\n{}", place.name(), key.name, file(&document)));
            }
        }
    }
    none(&errors);
}

/// What a finding lists after `one of:` or `known keys:`.
fn listed(finding: &Finding, before: &str) -> BTreeSet<String> {
    let help = finding.help.as_deref().unwrap_or_default();
    let names = help.split_once(before).map_or("", |(_, names)| names);
    names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The parser lists the keys that it reads when it finds another one.
#[test]
fn the_parser_reads_the_documented_keys_and_no_others() {
    let (project, judge, mut errors) = (project(), Judge::new(), Vec::new());
    for place in parsed() {
        let mut read_keys = BTreeSet::new();
        for key in place.keys.all() {
            // Some keys are only read beside others.
            let mapping = with(place.keys, place.example_with(key.name, key.example), NONE, yaml("1"));
            let document = place.document(mapping);
            match read(&project, place.kind, &document) {
                Ok(_) => errors.push(format!("{}: {}: an unknown key is accepted", place.name(), key.name)),
                Err(findings) => {
                    let unknown = findings.iter().filter(|found| found.id == "unknown-key");
                    unknown.for_each(|found| read_keys.extend(listed(found, "known keys: ")));
                }
            }
            if judge.judge(place.kind, &file(&document)).is_ok() {
                errors.push(format!("{}: {}: the schema accepts an unknown key", place.name(), key.name));
            }
        }
        let documented: BTreeSet<String> = place.keys.all().map(|key| key.name.to_owned()).collect();
        if documented != read_keys {
            errors.push(format!("{}: documented: {documented:?}\n  read: {read_keys:?}", place.name()));
        }
    }
    none(&errors);
}

#[test]
fn the_parser_accepts_the_documented_words_and_no_others() {
    let (project, judge, mut errors) = (project(), Judge::new(), Vec::new());
    for place in parsed() {
        for key in place.keys.all() {
            let Some(documented) = words(&key.form) else { continue };
            let (before, after) = if matches!(key.form, Form::List(_)) { ("[", "]") } else { ("", "") };
            let document = place.document(place.example_with(key.name, &format!("{before}{NONE}{after}")));
            let documented: BTreeSet<String> = documented.into_iter().map(str::to_owned).collect();
            match read(&project, place.kind, &document) {
                Ok(_) => errors.push(format!("{}: {}: an unknown word is accepted", place.name(), key.name)),
                Err(findings) => {
                    let unknown = findings.iter().find(|found| found.id == "unknown-word");
                    let known = unknown.map(|found| listed(found, "one of: ")).unwrap_or_default();
                    if known != documented {
                        errors.push(format!("{}: {}: {known:?}, but {documented:?}", place.name(), key.name));
                    }
                }
            }
            if judge.judge(place.kind, &file(&document)).is_ok() {
                errors.push(format!("{}: {}: the schema accepts an unknown word", place.name(), key.name));
            }
        }
    }
    none(&errors);
}

#[test]
fn parser_and_schema_refuse_values_of_the_wrong_type_and_miss_what_is_required() {
    let (project, judge, mut errors) = (project(), Judge::new(), Vec::new());
    for place in parsed() {
        let mut refused = |what: &str, document: YamlNode| {
            if read(&project, place.kind, &document).is_ok() {
                errors.push(format!("{}: {what}: accepted\n{}", place.name(), file(&document)));
            }
            if judge.judge(place.kind, &file(&document)).is_ok() {
                errors.push(format!("{}: {what}: the schema accepts it\n{}", place.name(), file(&document)));
            }
        };
        // A file that extends another can't be read at all if that is no text.
        for key in place.keys.all().filter(|key| key.name != "without") {
            refused(key.name, place.document(place.example_with(key.name, wrong(&key.form))));
        }
        for key in place.keys.all().filter(|key| key.need == Need::Required) {
            // The first key of a file says what it is.
            if key.name == place.kind.name {
                continue;
            }
            let mut mapping = yaml(place.keys.example);
            mapping.take(key.name).unwrap_or_else(|| panic!("{}: the example lacks {}", place.name(), key.name));
            refused(&format!("without {}", key.name), place.document(mapping));
        }
    }
    none(&errors);
}

/// A violated rule is a finding that the example, or one with the key alone, does not give.
#[test]
fn the_documented_rules_are_those_of_the_parser() {
    let (project, judge, mut errors, mut count) = (project(), Judge::new(), Vec::new(), 0);
    for place in parsed() {
        let example = |key: &str| yaml(place.keys.find(key).unwrap().example);
        for rule in place.keys.rules {
            // A key, and what it makes invalid: another one beside it, or the lack of it.
            let cases: Vec<(&str, &str, bool)> = match rule {
                Rule::One(names) => names.windows(2).map(|pair| (pair[0], pair[1], true)).collect(),
                Rule::Not(one, other) => vec![(one, other, true)],
                Rule::Needs(names, other) => names.iter().map(|name| (*name, *other, false)).collect(),
            };
            for (key, other, added) in cases {
                count += 1;
                let valid = with(place.keys, yaml(place.keys.example), key, example(key));
                let mut invalid = valid.clone();
                if added {
                    set(&mut invalid, other, example(other));
                } else {
                    invalid.take(other).unwrap();
                }
                let (valid, invalid) = (place.document(valid), place.document(invalid));
                let before = messages(&project, place.kind, &valid);
                if messages(&project, place.kind, &invalid).is_subset(&before) {
                    errors.push(format!("{}: {key}, {other}: accepted\n{}", place.name(), file(&invalid)));
                }
                if judge.judge(place.kind, &file(&invalid)).is_ok() {
                    errors.push(format!("{}: {key}, {other}: the schema accepts it", place.name()));
                }
            }
        }
    }
    none(&errors);
    assert!(count > 20, "{count} cases");
}

/// A recipe without locations, which a stated default moves, and the budgets in place of the limits.
fn shown(recipe: &Recipe) -> String {
    let (mut image, mut components) = (recipe.image.clone(), recipe.components.clone());
    let mut chains = [&recipe.build, &recipe.packer, &recipe.boot].map(Clone::clone);
    let own = components.values_mut().map(|component| &mut component.limits);
    let all = own.chain(chains.iter_mut().map(|chain| &mut chain.limits)).chain([&mut image.limits]);
    let budgets: Vec<Budget> = all.map(|limits| std::mem::take(limits).over(Budget::default())).collect();
    let text = format!("{budgets:?} {:?} {image:?} {components:?} {chains:?}", recipe.params);
    let mut parts = text.split("Span {");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[test]
fn the_documented_defaults_are_those_of_the_parser() {
    let (project, mut errors, mut compared) = (project(), Vec::new(), 0);
    for place in parsed() {
        for key in place.keys.all() {
            let Need::Default(default) = key.need else { continue };
            let stated = place.example_with(key.name, default);
            // What the key's dependencies add belongs to both.
            let mut without = stated.clone();
            without.take(key.name);
            let document = place.document(stated.clone());
            let read = |mapping| read(&project, place.kind, &place.document(mapping));
            let said = match (read(without), read(stated)) {
                (Ok(Some(without)), Ok(Some(stated))) if shown(&without) == shown(&stated) => {
                    compared += 1;
                    continue;
                }
                (Ok(Some(_)), Ok(Some(_))) => format!("{default} is not the default"),
                (Err(findings), _) | (_, Err(findings)) => list(&findings),
                _ => format!("not compared, as the recipe is invalid\n{}", file(&document)),
            };
            errors.push(format!("{}: {}: {said}", place.name(), key.name));
        }
    }
    none(&errors);
    assert!(compared > 40, "{compared} defaults were compared");
}

/// The names in a message of serde: `expected one of a, b at line 1`.
fn expected(message: &str) -> BTreeSet<String> {
    let after = message.split_once("expected one of ").map_or("", |(_, after)| after);
    let names = after.split_once(" at line").map_or(after, |(names, _)| names);
    names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

/// These two kinds are read by serde, which lists the keys that it knows.
#[test]
fn settings_and_exceptions_have_the_documented_keys_and_no_others() {
    let (project, judge, mut errors) = (project(), Judge::new(), Vec::new());
    let path = project.path("settings.yaml");
    for kind in KINDS.iter().filter(|kind| ["config", "vulnerabilities"].contains(&kind.name)) {
        let read = |document: &YamlNode| {
            fs::write(&path, file(document)).unwrap();
            match kind.name {
                "config" => {
                    UserConfig::load(&path).map(|config| format!("{:?}", config.limits())).map_err(|e| e.to_string())
                }
                _ => Exceptions::load(&path, true).map(|read| format!("{:?}", read.aliases)).map_err(|e| e.to_string()),
            }
        };
        for place in places(kind) {
            for key in place.keys.all() {
                let document = place.document(place.example_with(key.name, key.example));
                let said = [read(&document).err(), judge.judge(kind, &file(&document)).err()];
                errors.extend(said.into_iter().flatten().map(|said| format!("{}: {}: {said}", place.name(), key.name)));
                if let Need::Default(default) = key.need {
                    let stated = place.document(place.example_with(key.name, default));
                    let mut without = place.example_with(key.name, default);
                    without.take(key.name);
                    assert_eq!(read(&stated), read(&place.document(without)), "{}: {}", place.name(), key.name);
                }
                let document = place.document(place.example_with(key.name, wrong(&key.form)));
                assert!(read(&document).is_err(), "{}: {}: {}", place.name(), key.name, file(&document));
                assert!(judge.judge(kind, &file(&document)).is_err(), "{}: {}", place.name(), key.name);
            }
            let document = place.document(place.example_with(NONE, "1"));
            let known = expected(&read(&document).unwrap_err());
            let documented: BTreeSet<String> = place.keys.all().map(|key| key.name.to_owned()).collect();
            assert_eq!(known, documented, "{}", place.name());
            assert!(judge.judge(kind, &file(&document)).is_err(), "{}", place.name());
        }
    }
    none(&errors);
    let words = dbco::cve::JUSTIFICATIONS.map(str::to_owned);
    let entry = places(&KINDS[5]).into_iter().find_map(|place| words_of(place.keys.find("justification")?));
    assert_eq!(entry.unwrap(), words);
}

fn words_of(key: &Key) -> Option<Vec<&'static str>> {
    words(&key.form)
}

/// The parser lists the operations on lists when it finds another one; only files that extend another have them.
#[test]
fn the_documented_changes_of_lists_are_those_of_the_parser() {
    let (project, judge, kind) = (project(), Judge::new(), &KINDS[0]);
    let changes = [
        "users: {remove: [tc], change: [{name: root, shell: /x}], add: [{name: ann, uid: 5, shell: /x}], order: [root]}",
        "overlays: {before: {overlay: [early]}, after: {overlay: [{path: early, modes: keep}]}}",
    ];
    for change in changes {
        let text = format!("recipe: mine\nextends: quick.yaml\nrootfs:\n  {change}\n");
        assert_eq!(judge.judge(kind, &text), Ok(()), "{text}");
        assert!(judge.judge(kind, &text.replace("add:", "ad:").replace("after:", "behind:")).is_err(), "{text}");
        let complete = RECIPE.replace("  layout: split\n", "  layout: split\n  groups: {add: []}\n");
        assert!(judge.judge(kind, &complete).is_err(), "{complete}");
    }
    let document = yaml(&format!("{{recipe: mine, extends: quick.yaml, outputs: {{add: [iso], {NONE}: [iso]}}}}"));
    let Err(findings) = read(&project, kind, &document) else { panic!("an unknown operation is accepted") };
    let documented: BTreeSet<String> = LIST_CHANGES.iter().map(|word| word.name.to_owned()).collect();
    assert_eq!(listed(&findings[0], "known keys: "), documented, "{}", list(&findings));
}

/// A folder of shipped files with the kind that they are.
fn shipped(folder: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect()
}

#[test]
fn every_shipped_file_is_valid_by_its_schema() {
    let (judge, mut errors, mut count) = (Judge::new(), Vec::new(), 0);
    for (kind, folder) in KINDS.iter().zip(["recipes", "recipes/components", "recipes/toolchains"]) {
        for path in shipped(folder) {
            count += 1;
            let said = judge.judge(kind, &fs::read_to_string(&path).unwrap());
            errors.extend(said.err().map(|said| format!("{}: {said}", path.display())));
        }
    }
    none(&errors);
    assert!(count > 40, "{count} files");
}

#[test]
fn a_shipped_file_with_a_mistake_is_not_valid() {
    let judge = Judge::new();
    for (kind, name, from, to) in [
        (0, "dbcolinux.yaml", "outputs:", "output:"),
        (0, "dbcolinux.yaml", "  timeout: 3", "  timeuot: 3"),
        (0, "quick.yaml", "extends:", "extend:"),
        (0, "dbcolinux.yaml", "timeout: 3", "timeout: soon"),
        (0, "dbcolinux.yaml", "livefs: squashfs", "livefs: squash"),
        (0, "dbcolinux.yaml", "  layout: split", "  layouts: split"),
        (0, "dbcolinux.yaml", "memory: 128", "memory: lots"),
        (1, "components/busybox.yaml", "needs:", "need:"),
        (1, "components/busybox.yaml", "needs: [musl]", "needs: musl"),
        (1, "components/busybox.yaml", "license:", "licence:"),
        (2, "toolchains/trixie.yaml", "extends:", "extend:"),
        (2, "toolchains/bookworm.yaml", "packages:", "package:"),
    ] {
        let text = fs::read_to_string(repository().join("recipes").join(name)).unwrap();
        assert_eq!(judge.judge(&KINDS[kind], &text), Ok(()), "{name}");
        assert!(text.contains(from), "{name} has no `{from}`");
        assert!(judge.judge(&KINDS[kind], &text.replacen(from, to, 1)).is_err(), "{name}: {to}");
    }
}

/// Another validator, in another language.
#[test]
#[ignore = "needs the validators of ci/requirements-pipelines.txt"]
fn check_jsonschema_accepts_the_shipped_files_and_refuses_a_mistake() {
    let tools = std::env::var("DBCO_VALIDATORS").expect("DBCO_VALIDATORS names the folder of the validators");
    let tool = Path::new(&tools).join("pipelines/bin/check-jsonschema");
    let project = Project::new();
    let run = |arguments: &[&str], files: &[std::path::PathBuf]| {
        let mut command = dbco::process::command(&tool);
        let said = project.prepare(command.args(arguments).args(files)).output().unwrap();
        (said.status.success(), String::from_utf8_lossy(&said.stdout).into_owned())
    };
    for (kind, folder) in KINDS.iter().zip(["recipes", "recipes/components", "recipes/toolchains"]) {
        let schema = repository().join("docs/schema").join(format!("{}.json", kind.name));
        let (valid, said) = run(&["--check-metaschema"], std::slice::from_ref(&schema));
        assert!(valid, "{}: {said}", kind.name);
        let schema = schema.to_str().unwrap().to_owned();
        let (valid, said) = run(&["--schemafile", &schema], &shipped(folder));
        assert!(valid, "{folder}: {said}");
        project.write("mistake.yaml", format!("{}: a\n{NONE}: 1\n", kind.name));
        let (valid, said) = run(&["--schemafile", &schema], &[project.path("mistake.yaml")]);
        assert!(!valid && said.contains(NONE), "{}: {said}", kind.name);
    }
}

/// Compares a file of `docs/` with what it should contain; writes it if `DBCO_UPDATE` is set.
fn current(name: &str, text: &str) {
    let path = repository().join("docs").join(name);
    if std::env::var_os("DBCO_UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/{name} is not current: DBCO_UPDATE=1 cargo test -p dbco --test keys docs_are_current");
}

#[test]
fn docs_are_current() {
    for kind in &KINDS {
        current(&format!("schema/{}.json", kind.name), &format!("{:#}\n", schema(kind)));
    }
    current("reference.md", &reference());
    let known: BTreeSet<String> = KINDS.iter().map(|kind| format!("{}.json", kind.name)).collect();
    let files = fs::read_dir(repository().join("docs/schema")).unwrap();
    let files: BTreeSet<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, known);
}

#[test]
fn each_key_has_a_description_in_sentences_and_a_type() {
    for place in KINDS.iter().flat_map(places) {
        let sentence = |text: &str| text.ends_with('.') && text.chars().next().is_some_and(|c| !c.is_lowercase());
        assert!(sentence(place.keys.about), "{}: {}", place.name(), place.keys.about);
        let mut names = BTreeSet::new();
        for key in place.keys.all() {
            assert!(names.insert(key.name), "{}: {} is there twice", place.name(), key.name);
            assert!(
                sentence(key.about) || key.about.starts_with("mksquashfs"),
                "{}: {}: {}",
                place.name(),
                key.name,
                key.about
            );
            assert!(!key.example.is_empty(), "{}: {} has no example", place.name(), key.name);
        }
        for rule in place.keys.rules {
            let named: Vec<&str> = match rule {
                Rule::One(names) => names.to_vec(),
                Rule::Needs(keys, other) => [*keys, &[*other]].concat(),
                Rule::Not(one, other) => vec![one, other],
            };
            named.iter().for_each(|name| assert!(names.contains(name), "{}: a rule names {name}", place.name()));
        }
    }
}

/// The commands that print what is checked in.
#[test]
fn the_commands_print_schemas_reference_completions_and_pages() {
    let project = Project::new();
    for kind in &KINDS {
        let ran = project.dbco(&["schema", kind.name]).ends(0);
        assert!(ran.out == format!("{:#}\n", schema(kind)), "{}", kind.name);
    }
    assert!(project.dbco(&["schema", "--reference"]).ends(0).out == reference());
    project.dbco(&["schema", "recipes"]).ends(2).says(&["recipe, component, toolchain"]);
    for (shell, words) in [("bash", "_dbco()"), ("zsh", "#compdef dbco"), ("fish", "complete -c dbco")] {
        let ran = project.dbco(&["completions", shell]).ends(0);
        assert!(ran.out.contains(words), "{shell}: {}", ran.out);
        project.write(&format!("completions.{shell}"), ran.out);
    }
    let script = "set -e; source completions.bash; COMP_WORDS=(dbco bui) COMP_CWORD=1; _dbco dbco bui dbco; echo ${COMPREPLY[@]}";
    let said = project.prepare(dbco::process::command("bash").args(["-c", script])).output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "build\n", "{}", String::from_utf8_lossy(&said.stderr));
    project.dbco(&["man", "pages"]).ends(0);
    let build = project.read("pages/dbco-build.1");
    assert!(build.contains("\\-\\-offline") && Path::new(&project.path("pages/dbco.1")).exists(), "{build}");
}
