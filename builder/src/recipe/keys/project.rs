//! The keys of a project's file.

use crate::yaml::keys::{Form, Key, Keys, Word};

/// A project's file.
pub static PROJECT: Keys = Keys {
    id: "project",
    what: "a project's file",
    about: "The top folder of a project, and what its recipes build on: `dbco.yaml`, which every command finds from a recipe's \
            folder upwards.",
    example: "{library: embedded}",
    keys: &[&[Key::optional(
        "library",
        Form::Any(&[
            Form::Words(&[Word::new(
                "embedded",
                "the recipes, components, toolchains, patches, fragments and overlays that come with dbco; the lock pins \
                 their digest",
            )]),
            Form::Mapping(&LIBRARY_FOLDER),
        ]),
        "Recipes and what they consist of, for recipes of this project to use: `library:PATH` is a file in it, and \
         components, toolchains, patches and fragments that the project does not have are taken from it by name.",
        "embedded",
    )]],
    rules: &[],
};

/// A library in a folder.
pub static LIBRARY_FOLDER: Keys = Keys {
    id: "library-folder",
    what: "a library in a folder",
    about: "A library in a folder: a submodule, or a clone that is developed beside the project. The lock does not pin it; a folder in \
            the project's repository is pinned by its commits.",
    example: "{path: dbcolinux}",
    keys: &[&[Key::required(
        "path",
        Form::TEXT,
        "A folder with `recipes` in it, as dbco's repository; relative to this file.",
        "dbcolinux",
    )]],
    rules: &[],
};
