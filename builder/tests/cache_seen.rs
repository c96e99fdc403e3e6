//! `dbco cache gc --keep-seen`.

mod project;

use std::fs;

use project::Project;

/// Several projects share a store: what their recipes use stays, until they are gone.
#[test]
fn the_recipes_that_were_built_with_a_store_are_kept_without_being_named() {
    let (one, two) = (Project::new(), Project::with("title: Live", "title: Other"));
    let store = one.path("store").display().to_string();
    for project in [&one, &two] {
        project.dbco(&["build", "small.yaml", "--store", &store, "--offline"]).ends(0);
    }
    let done = |project: &Project| project.dbco(&["build", "small.yaml", "--store", &store, "--offline"]).ends(0).out;
    one.dbco(&["cache", "gc", "--keep-seen"]).ends(0);
    assert!(done(&one).contains("nothing to do") && done(&two).contains("nothing to do"));
    // One that has errors is named; one that is gone is forgotten.
    fs::write(two.path("small.yaml"), "recipe: [").unwrap();
    one.dbco(&["cache", "gc", "--keep-seen", "--dry-run"])
        .ends(0)
        .says(&["it has errors", "none of its results are kept"]);
    fs::remove_file(two.path("small.yaml")).unwrap();
    one.dbco(&["cache", "gc", "--keep-seen"]).ends(0);
    assert_eq!(fs::read_dir(one.path("store/recipes")).unwrap().count(), 1);
    assert!(done(&one).contains("nothing to do"));
    fs::remove_file(one.path("small.yaml")).unwrap();
    one.dbco(&["cache", "gc", "--keep-seen"]).ends(0);
    let steps = fs::read_dir(one.path("store/steps")).unwrap();
    assert_eq!(steps.map(|shard| fs::read_dir(shard.unwrap().path()).map_or(0, Iterator::count)).sum::<usize>(), 0);
}
