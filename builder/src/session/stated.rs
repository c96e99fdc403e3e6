//! The location of a failed step in the recipe, and what to do.

use std::fmt;

use crate::build::BuildError;
use crate::kernel::modules::ModuleError;
use crate::process::ProcessError;
use crate::recipe::image::Kernel;
use crate::recipe::{Component, Recipe};
use crate::sandbox::SandboxError;
use crate::step::StepError;

/// The location in the recipe of the step of a [`BuildError`]; `Display` shows it.
#[derive(Debug)]
pub struct RecipeLocation {
    place: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for RecipeLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// The location of the failed step in the recipe, if it has one.
pub(super) fn stated(recipe: &Recipe, error: &BuildError) -> Option<RecipeLocation> {
    let component = error.label.strip_prefix("component ").and_then(|name| recipe.components.get(name));
    let at = |span| Some(RecipeLocation { place: recipe.files.locate(span), hint: None });
    match (&*error.source, component) {
        (StepError::Script { script, source }, Some(component)) => Some(of_script(recipe, component, script, source)),
        (StepError::NoOutput { .. } | StepError::Links(_), Some(component)) => at(component.span),
        (StepError::Archive(_), Some(component)) => at(component.source.span),
        (StepError::Module(ModuleError::Unknown { name, .. }), _) => of_module(recipe, name),
        (StepError::NoKernel { .. }, _) => match &recipe.image.kernel {
            Kernel::Package { request, .. } => at(request.span),
            Kernel::Component { .. } => None,
        },
        _ => None,
    }
}

fn of_module(recipe: &Recipe, name: &str) -> Option<RecipeLocation> {
    let Kernel::Package { modules, .. } = &recipe.image.kernel else { return None };
    let module = modules.iter().find(|module| module.value == name)?;
    Some(RecipeLocation { place: recipe.files.locate(module.span), hint: None })
}

fn of_script(recipe: &Recipe, component: &Component, script: &str, error: &SandboxError) -> RecipeLocation {
    let tail: &[String] = match error {
        SandboxError::Tool(ProcessError::Failed { tail, .. }) => tail,
        _ => &[],
    };
    let span = component.scripts.get(script).copied().unwrap_or(component.span);
    let (line, column) = recipe.files.position(span);
    let path = recipe.files.path(span.file).display();
    let place = match tail.iter().rev().find_map(|line| line_of_script(line)) {
        // The lines of a literal block are lines of the file, starting with its first one.
        Some(number) if is_literal(&recipe.files.text(span.file)[..span.start]) => {
            format!("{path}:{}", line + number - 1)
        }
        _ => format!("{path}:{line}:{column}"),
    };
    let own = component.toolchain.as_ref().and_then(|name| recipe.toolchains.get(&name.value));
    let toolchain = own.unwrap_or(&recipe.build);
    let hint = tail.iter().rev().find_map(|line| missing_tool(line)).map(|tool| {
        format!(
            "`{tool}` is not in toolchain {}: add the package that contains it to `packages` in {}",
            toolchain.name,
            recipe.files.path(toolchain.span.file).display()
        )
    });
    let network = || {
        let tried_network = tail.iter().any(|line| NO_NETWORK.iter().any(|text| line.contains(text)));
        tried_network.then(|| "steps have no network: declare what it fetches as a component's `source`".to_owned())
    };
    RecipeLocation { place, hint: hint.or_else(network) }
}

/// Whether the text before a scalar ends with `|`, possibly with its indicators (YAML 1.2.2, section 8.1.1).
fn is_literal(before: &str) -> bool {
    before.trim_end().trim_end_matches(['-', '+', '1', '2', '3', '4', '5', '6', '7', '8', '9']).ends_with('|')
}

/// The line number in messages of dash and bash about a script: `/bin/sh: 3: cmake: not found`, `/bin/sh: line 3: …`.
fn line_of_script(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("/bin/sh: ")?;
    let rest = rest.strip_prefix("-c: ").unwrap_or(rest);
    let rest = rest.strip_prefix("line ").unwrap_or(rest);
    let (number, _) = rest.split_once(": ")?;
    number.parse().ok().filter(|number| (1..10_000).contains(number))
}

/// The program that a shell, make or env did not find.
fn missing_tool(line: &str) -> Option<&str> {
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', ' ', '`', '\'']);
    let words: Vec<&str> = line.split(": ").collect();
    let tool = match words.as_slice() {
        [.., tool, "not found" | "command not found"] => *tool,
        [make, tool, "No such file or directory"] if make.starts_with("make") || *make == "env" => *tool,
        _ => return None,
    };
    let tool = tool.trim_matches(['\'', '‘', '’']);
    plain(tool).then_some(tool)
}

/// Messages of programs that try to use a network.
const NO_NETWORK: [&str; 6] = [
    "Could not resolve host",
    "Couldn't resolve host",
    "Temporary failure in name resolution",
    "Name or service not known",
    "unable to resolve host address",
    "Network is unreachable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shells_and_make_say_names_the_line_and_the_tool() {
        for (message, line, tool) in [
            ("/bin/sh: 3: cmake: not found", Some(3), Some("cmake")),
            ("/bin/sh: -c: line 3: syntax error near unexpected token `fi'", Some(3), None),
            ("/bin/sh: line 12: meson: command not found", Some(12), Some("meson")),
            ("/bin/sh: 2: Syntax error: \"fi\" unexpected", Some(2), None),
            ("make: bison: No such file or directory", None, Some("bison")),
            ("make[2]: flex: No such file or directory", None, Some("flex")),
            ("env: 'python3': No such file or directory", None, Some("python3")),
            ("cc: error: x.c: No such file or directory", None, None),
            ("/bin/sh: 1: ./configure: not found", Some(1), None),
            ("configure: error: library not found", None, None),
        ] {
            assert_eq!((line_of_script(message), missing_tool(message)), (line, tool), "{message}");
        }
    }
}
