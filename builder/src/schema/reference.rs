//! The reference of all keys, as Markdown.

use std::fmt::Write as _;

use super::{DocumentKind, KINDS};
use crate::yaml::keys::{Form, Key, Keys, Need, Rule};

const INTRODUCTION: &str = "\
# Reference

Every key of the files that dbco reads. Written by `dbco schema --reference`, from the tables that the parser uses; the same as JSON
Schema, for editors, is in `docs/schema/` (`dbco schema KIND`). Keys without a version exist since dbco 0.1.

A value in the column *default* is what applies without the key; a text in it says where the value comes from. *required* keys
may be missing in a file that `extends` another (`docs/recipes.md`). In recipes, `${name}` stands for the value of a parameter in any text.
";

/// The reference.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut seen: Vec<&'static str> = Vec::new();
    for kind in &KINDS {
        section(kind, &mut seen, &mut text);
    }
    text
}

fn section(kind: &DocumentKind, seen: &mut Vec<&'static str>, text: &mut String) {
    // Writing to a string can't fail.
    let _ = write!(text, "\n## `{}`: `{}`\n\n{}\n", kind.name, kind.files, kind.keys.about);
    let mut found = vec![(String::new(), kind.keys)];
    seen.push(kind.keys.id);
    let mut next = 0;
    while let Some((path, keys)) = found.get(next).cloned() {
        next += 1;
        for key in keys.all() {
            let inside = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            below(&key.form, &inside, seen, &mut found);
        }
        if !path.is_empty() {
            let _ = write!(text, "\n### {}\n\n`{path}`: {}\n", keys.id, keys.about);
        }
        table(keys, text);
    }
}

/// Adds the mappings of a form that are not described yet, each with its path.
fn below(form: &Form, path: &str, seen: &mut Vec<&'static str>, found: &mut Vec<(String, &'static Keys)>) {
    match form {
        Form::Scalar(_) | Form::Words(_) | Form::Difference(_) => {}
        Form::List(of) => below(of, &format!("{path}[]"), seen, found),
        Form::Map(of) => below(of, &format!("{path}.*"), seen, found),
        Form::Any(forms) => forms.iter().for_each(|form| below(form, path, seen, found)),
        Form::Mapping(keys) if seen.contains(&keys.id) => {}
        Form::Mapping(keys) => {
            seen.push(keys.id);
            found.push((path.to_owned(), keys));
        }
    }
}

fn table(keys: &Keys, text: &mut String) {
    text.push_str("\n| key | type | default | | example |\n|---|---|---|---|---|\n");
    for key in keys.all() {
        let about = format!("{}{}{}", key.about, words(&key.form), since(key));
        let row = [&format!("`{}`", key.name), &form(&key.form), &default(key), &about, &format!("`{}`", key.example)];
        let row: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    let rules: Vec<String> = keys.rules.iter().map(rule).collect();
    if !rules.is_empty() {
        let _ = write!(text, "\n{}\n", rules.join(" "));
    }
}

fn since(key: &Key) -> String {
    if key.since == "0.1" { String::new() } else { format!(" Since dbco {}.", key.since) }
}

fn default(key: &Key) -> String {
    match key.need {
        Need::Required => "*required*".into(),
        Need::Optional => String::new(),
        Need::Default(value) => format!("`{value}`"),
        Need::Depends(on) => on.to_owned(),
    }
}

fn form(of: &Form) -> String {
    match of {
        Form::Scalar(kind) => kind.about.to_owned(),
        Form::Words(words) => {
            let names: Vec<String> = words.iter().map(|word| format!("`{}`", word.name)).collect();
            match &names[..] {
                [one] => one.clone(),
                names => format!("one of {}", names.join(", ")),
            }
        }
        Form::List(of) => format!("list: {}", form(of)),
        Form::Map(of) => format!("mapping of names to: {}", form(of)),
        Form::Mapping(keys) => format!("mapping [{0}](#{0})", keys.id),
        Form::Difference(keys) => format!("any part of {}", keys.what),
        Form::Any(forms) => forms.iter().map(form).collect::<Vec<_>>().join("; or "),
    }
}

/// The meaning of words.
fn words(form: &Form) -> String {
    match form {
        Form::Words(words) => {
            let each: Vec<String> = words.iter().map(|word| format!("`{}`: {}", word.name, word.about)).collect();
            format!(" {}.", each.join("; "))
        }
        Form::List(of) => words(of),
        _ => String::new(),
    }
}

fn rule(rule: &Rule) -> String {
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match rule {
        Rule::One(names) => format!("Exactly one of {}.", list(names)),
        Rule::Needs(names, other) => format!("{} only with `{other}`.", list(names)),
        Rule::Not(one, other) => format!("Not both `{one}` and `{other}`."),
    }
}
