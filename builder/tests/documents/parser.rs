//! Documents as dbco's parser reads them.

use std::collections::BTreeSet;
use std::fs;

use dbco::recipe::{Finding, LoadError, Recipe, Settings, load};
use dbco::schema::DocumentKind;
use dbco::yaml::node::YamlNode;

use super::file;
use crate::project::{Project, RECIPE};

/// The findings that the structure of a file gives, in contrast to its content.
const STRUCTURE: [&str; 6] =
    ["unknown-key", "wrong-type", "unknown-word", "missing-key", "source-kind", "repeated-key"];

/// A project with the files that the examples name.
pub fn project() -> Project {
    let project = Project::new();
    project.write("quick.yaml", RECIPE.replace("recipe: small", "recipe: quick"));
    project.write(
        "components/base.yaml",
        "component: base\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/kernel}\n",
    );
    project.write("dbcolinux/recipes/quick.yaml", "");
    project.write("toolchains/bookworm.yaml", "toolchain: bookworm\ndebian: bookworm\npackages: [perl]\n");
    project
}

/// Reads a document as the file of its kind in a small project.
pub fn parse(project: &Project, kind: &DocumentKind, document: &YamlNode) -> Result<Recipe, LoadError> {
    let text = file(document);
    let user = project.read("small.yaml");
    match kind.name {
        "recipe" => project.write("small.yaml", &text),
        // Named by the recipe, as the examples are.
        "component" => {
            project.write("components/tool.yaml", &text);
            project.edit("small.yaml", "  layout: split\n", "  layout: split\n  components: [tool]\n");
        }
        "toolchain" => {
            project.write("toolchains/tools.yaml", &text);
            project.edit("small.yaml", "{build: none,", "{build: tools,");
        }
        "project" => project.write("dbco.yaml", &text),
        other => panic!("{other} is not part of a recipe"),
    }
    let loaded = load(&project.path("small.yaml"), &Settings::new());
    project.write("small.yaml", user);
    let _ = fs::remove_file(project.path("dbco.yaml"));
    loaded
}

/// The parser's result: the recipe, nothing if its content is invalid, or the findings about the structure.
pub fn read(project: &Project, kind: &DocumentKind, document: &YamlNode) -> Result<Option<Box<Recipe>>, Vec<Finding>> {
    match parse(project, kind, document) {
        Ok(recipe) => Ok(Some(Box::new(recipe))),
        Err(LoadError::Bad(bad)) => {
            // Where a kind of source is valid is a rule beyond the structure.
            let structural =
                |found: &Finding| STRUCTURE.contains(&found.id) && !found.message.contains(" is only valid ");
            let structure: Vec<_> = bad.findings.into_iter().filter(structural).collect();
            if structure.is_empty() { Ok(None) } else { Err(structure) }
        }
        Err(error) => panic!("{error}"),
    }
}

/// The messages of all findings, whether about structure or content.
pub fn messages(project: &Project, kind: &DocumentKind, document: &YamlNode) -> BTreeSet<String> {
    match parse(project, kind, document) {
        Ok(_) => BTreeSet::new(),
        Err(LoadError::Bad(bad)) => bad.findings.into_iter().map(|found| found.message).collect(),
        Err(error) => panic!("{error}"),
    }
}
