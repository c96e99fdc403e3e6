//! The cases of `cases.txt`, for the tests here and for those with a whole kernel (`tests/kconfig_conf.rs`).

use super::Version;

/// The file.
pub const TEXT: &str = include_str!("cases.txt");

/// A configuration of `cases.txt`.
#[derive(Default)]
pub struct Case<'t> {
    /// What it is about.
    pub name: &'t str,
    /// Its Kconfig file.
    pub kconfig: String,
    /// `olddefconfig` or `allnoconfig`.
    pub mode: &'t str,
    /// The `.config` before.
    pub config: String,
    /// What conf of a version, and of later ones, made of it.
    pub made: Vec<(&'t str, String)>,
}

/// All cases.
pub fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let (mut name, mut kconfig, mut is_head) = ("", String::new(), false);
    for line in text.lines().skip_while(|line| line.starts_with("# ")) {
        if let Some(title) = line.strip_prefix("== ") {
            (name, kconfig, is_head) = (title, String::new(), true);
        } else if let Some(mode) = line.strip_prefix("-- ") {
            is_head = false;
            cases.push(Case { name, kconfig: kconfig.clone(), mode, ..Case::default() });
        } else if let Some(version) = line.strip_prefix("=> ") {
            cases.last_mut().unwrap().made.push((version, String::new()));
        } else {
            let into = match cases.last_mut() {
                Some(case) if !is_head => case.made.last_mut().map_or(&mut case.config, |(_, text)| text),
                _ => &mut kconfig,
            };
            into.push_str(line);
            into.push('\n');
        }
    }
    cases
}

/// The settings of a configuration in the order of their names: conf writes them in the order of its menus.
pub fn sorted(config: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = config.lines().collect();
    lines.sort_unstable();
    lines
}

/// What conf of a version makes of a case; `None` if it rejects the case.
pub fn made_by<'c>(made: &'c [(&str, String)], version: Version) -> Option<&'c str> {
    let since = |since: &str| Version::parse(since.trim_end_matches(" none")).unwrap();
    let (since, text) = made.iter().rfind(|(from, _)| since(from) <= version).unwrap();
    (!since.ends_with(" none")).then_some(text)
}
