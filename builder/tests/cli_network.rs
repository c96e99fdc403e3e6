//! Messages of the command line when the network fails.

mod project;
mod servers;

use project::Project;
use servers::{Fault, Server, dead_url};

/// A project whose components' sources are at these URLs; nothing is locked.
fn with_sources(urls: &[String]) -> Project {
    let names: Vec<String> = (0..urls.len()).map(|number| format!("part{number}")).collect();
    let project = Project::with("layout: split", &format!("layout: split\n  components: [{}]", names.join(", ")));
    for (name, url) in names.iter().zip(urls) {
        let text =
            format!("component: {name}\nversion: '1'\nlicense: MIT\nsource: {{url: \"{url}\"}}\nfiles: {{a: a}}\n");
        project.write(&format!("components/{name}.yaml"), text);
    }
    project
}

#[test]
fn a_network_that_is_down_is_told_once_for_all_sources() {
    let server = dead_url();
    let urls: Vec<_> = ["one.tar", "two.tar"].map(|name| format!("{server}/{name}")).into();
    let project = with_sources(&urls);
    let ran = project.dbco(&["lock", "small.yaml"]).ends(1);
    let ran = ran.says(&["can't get one.tar", &urls[0], "the same for 1 other: two.tar (", "components/part1.yaml:4:"]);
    let ran = ran.says(&["2 sources could not be locked"]);
    let (_, errors) = ran.err.split_once("error: ").unwrap();
    assert_eq!(errors.matches("Connection refused").count(), 1, "{}", ran.err);
}

#[test]
fn files_that_one_cause_keeps_away_are_counted_each() {
    let server = Server::start();
    let names = ["one.tar", "two.tar", "three.tar"];
    let project = with_sources(&names.map(|name| server.file(name, name)));
    project.dbco(&["lock", "small.yaml"]).ends(0);
    std::fs::remove_dir_all(project.path("store")).unwrap();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&["3 files could not be fetched"]);
    let (address, dead) = (server.url.clone(), dead_url());
    for name in ["dbco.lock", "components/part0.yaml", "components/part1.yaml", "components/part2.yaml"] {
        project.write(name, project.read(name).replace(&address, &dead));
    }
    let ran = project.dbco(&["fetch", "small.yaml"]).ends(1).says(&["3 files could not be fetched"]);
    assert_eq!(ran.err.matches("can't get ").count(), 1, "{}", ran.err);
}

#[test]
fn a_proxy_on_the_way_is_named_without_its_login() {
    for (fault, said) in [(Fault::Status(407), "answers 407"), (Fault::Status(403), "answers 403 Forbidden")] {
        let proxy = Server::bad(fault);
        let address = proxy.url.strip_prefix("http://").unwrap();
        let project = with_sources(&["http://a.example/one.tar".to_owned()]);
        for scheme in ["http_proxy", "all_proxy"] {
            let environment = [(scheme, format!("http://ann:secret@{address}"))];
            let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
            let ran = project.dbco_with(&environment, &["lock", "small.yaml"]).ends(1);
            let named = format!("(through the proxy http://{address})");
            ran.says(&["http://a.example/one.tar: ", said, &named]).never_says("secret");
        }
        // A host that is contacted directly has no proxy to blame, nor has a file that does not exist.
        let environment = [("http_proxy", proxy.url.as_str()), ("no_proxy", "127.0.0.1")];
        let missing = with_sources(&[format!("{}/one.tar", Server::bad(Fault::Status(403)).url)]);
        let ran = missing.dbco_with(&environment, &["lock", "small.yaml"]).ends(1);
        ran.says(&["answers 403"]).never_says("through the proxy");
    }
    let proxy = Server::start();
    let project = with_sources(&["http://a.example/one.tar".to_owned()]);
    let ran = project.dbco_with(&[("http_proxy", &proxy.url)], &["lock", "small.yaml"]).ends(1);
    ran.says(&["not found (404)"]).never_says("through the proxy");
    assert_eq!(proxy.asked()[0].path, "http://a.example/one.tar", "it was asked through the proxy");
}
