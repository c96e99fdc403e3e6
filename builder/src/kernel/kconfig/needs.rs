//! The smallest part of a condition that is not met, and what in turn keeps it from being met.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::expr::{Atom, Expr, Tristate};
use super::values::Values;
use super::{Definition, Guard, KconfigPlace, SymbolType};

/// How many levels of unmet dependencies are explained.
const DEEPEST: usize = 3;

/// How many names a list shows before "and N more".
const LONGEST: usize = 4;

/// A condition, reduced to the parts that are not met.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) expr: Expr,
    place: KconfigPlace,
}

impl<'a> Values<'a> {
    /// The level that a symbol's conditions must reach for `wanted`: a bool can be y if its conditions are only m, and
    /// without modules there is no m.
    pub(super) fn level(&self, kind: Option<SymbolType>, wanted: Tristate) -> Tristate {
        match kind {
            Some(SymbolType::Tristate) if self.modules() => wanted,
            _ => Tristate::Module,
        }
    }

    /// The part of `expr` that keeps it below `level`.
    fn unmet(&self, expr: &Expr, level: Tristate) -> Option<Expr> {
        if self.eval(expr) >= level {
            return None;
        }
        Some(match expr {
            Expr::And(all) => joined(all.iter().filter_map(|expr| self.unmet(expr, level)).collect(), Expr::And),
            Expr::Or(all) => {
                let mut open: Vec<_> = all.iter().filter_map(|expr| self.unmet(expr, level)).collect();
                // A symbol that another architecture's files define can't be met here, so it would only distract.
                let possible: Vec<_> = open.iter().filter(|expr| self.possible(expr)).cloned().collect();
                if !possible.is_empty() {
                    open = possible;
                }
                joined(open, Expr::Or)
            }
            other => other.clone(),
        })
    }

    /// Whether every symbol that the expression needs is defined for this source and architecture.
    fn possible(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Atom(Atom::Symbol(name)) => &**name == "m" || self.kconfig.symbols.contains_key(&**name),
            Expr::And(all) => all.iter().all(|expr| self.possible(expr)),
            Expr::Or(all) => all.iter().any(|expr| self.possible(expr)),
            // The other side may be a number or a text, so one known symbol is enough.
            Expr::Compare(left, _, right) => [left, right].iter().any(|atom| match atom {
                Atom::Symbol(name) => self.kconfig.symbols.contains_key(&**name),
                Atom::Text(_) => false,
                Atom::Unknown(_) => true,
            }),
            Expr::Atom(_) | Expr::Not(_) => true,
        }
    }

    /// The unmet conditions among `guards`, each once.
    pub(super) fn needs<'g>(&self, guards: impl IntoIterator<Item = &'g Guard>, level: Tristate) -> Vec<Need> {
        let mut needs: Vec<Need> = Vec::new();
        for guard in guards {
            if let Some(expr) = self.unmet(&guard.condition, level)
                && needs.iter().all(|need| need.expr != expr)
            {
                needs.push(Need { expr, place: guard.place.clone() });
            }
        }
        needs
    }

    /// What keeps a block from being prompted for; the parts of an `&&` separately.
    pub(super) fn blockers(&self, definition: &'a Definition, level: Tristate) -> Vec<Need> {
        let visibility = self.visibility(definition);
        let guards = self.dependencies(definition).into_iter().chain(&visibility);
        let parts = guards.flat_map(|Guard { condition, place }| {
            let parts = match condition {
                Expr::And(all) => all.as_slice(),
                one => std::slice::from_ref(one),
            };
            parts.iter().map(|part| Guard { condition: part.clone(), place: place.clone() })
        });
        self.needs(&parts.collect::<Vec<_>>(), level)
    }

    /// The block with a prompt whose conditions are nearest to being met, and the unmet ones.
    pub(super) fn nearest(&self, symbol: &str, level: Tristate) -> Option<(&'a Definition, Vec<Need>)> {
        let prompted = self.kconfig.symbols.get(symbol)?.definitions.iter().filter(|block| block.prompt.is_some());
        let blocked = prompted.map(|definition| (definition, self.blockers(definition, level)));
        blocked.min_by_key(|(_, needs)| (needs.iter().filter(|need| !self.possible(&need.expr)).count(), needs.len()))
    }

    /// `it depends on FOO, which is n (drivers/Kconfig:3), and on BAR || BAZ (both n; net/Kconfig:5)`, and then what
    /// keeps FOO from being set. Nothing is said twice.
    pub(super) fn tell_needs(&self, subject: &str, needs: &[Need], level: Tristate) -> String {
        self.tell(subject, needs, level, 0, &mut BTreeSet::new())
    }

    fn tell(
        &self,
        subject: &str,
        needs: &[Need],
        level: Tristate,
        depth: usize,
        told: &mut BTreeSet<String>,
    ) -> String {
        let needs: Vec<_> = needs.iter().filter(|need| told.insert(need.expr.to_string())).collect();
        if needs.is_empty() {
            return String::new();
        }
        // Symbols with the same value share a clause.
        let mut plain: Vec<(String, Vec<String>)> = Vec::new();
        let mut clauses = Vec::new();
        for need in &needs {
            match self.plain(&need.expr) {
                Some((name, value)) => {
                    let named = format!("{name} ({})", need.place);
                    match plain.iter_mut().find(|(seen, _)| *seen == value) {
                        Some((_, names)) => names.push(named),
                        None => plain.push((value, vec![named])),
                    }
                }
                None => clauses.push(self.tell_need(need, level)),
            }
        }
        let plain = plain.iter().map(|(value, names)| match &names[..] {
            [one] => one.replacen(" (", &format!(", which is {value} ("), 1),
            names => format!("{}, which are {value}", listed(names)),
        });
        let clauses: Vec<_> = plain.chain(clauses).collect();
        let mut text = format!("{subject} depends on {}", clauses.join(", and on "));
        for symbol in needs.iter().flat_map(|need| self.wanted_symbols(&need.expr)) {
            let more = self.follow(symbol, level, depth + 1, told).unwrap_or_default();
            if !more.is_empty() {
                write!(text, "; {more}").ok();
            }
        }
        text
    }

    /// A defined symbol that is the whole expression, with its value.
    fn plain<'e>(&self, expr: &'e Expr) -> Option<(&'e str, String)> {
        let name = expr.symbol().filter(|name| self.kconfig.symbols.contains_key(*name))?;
        Some((name, self.shown(name)))
    }

    /// The symbols that must be raised for an expression to be met, if there is no alternative.
    fn wanted_symbols<'e>(&self, expr: &'e Expr) -> Vec<&'e str> {
        match expr {
            Expr::And(all) => all.iter().filter_map(Expr::symbol).collect(),
            Expr::Or(all) => self.only_defined(all).into_iter().collect(),
            expr => expr.symbol().into_iter().collect(),
        }
    }

    /// The only alternative of an `||` that this architecture has.
    fn only_defined<'e>(&self, all: &'e [Expr]) -> Option<&'e str> {
        let mut defined = all.iter().filter(|expr| self.possible(expr));
        defined.next().filter(|_| defined.next().is_none())?.symbol()
    }

    /// One condition, the values of its symbols, and its place.
    fn tell_need(&self, need: &Need, level: Tristate) -> String {
        let Need { expr, place } = need;
        match expr {
            Expr::Atom(Atom::Symbol(name)) if &**name == "m" && self.modules() => {
                format!("m: it can only be a module ({place})")
            }
            Expr::Atom(Atom::Symbol(name)) if &**name == "m" => {
                format!("m: it can only be a module, and MODULES is n ({place})")
            }
            // What a macro gives for a toolchain that is known.
            Expr::Atom(Atom::Symbol(name)) if &**name == "n" => format!("n, which is never true ({place})"),
            Expr::Atom(Atom::Symbol(name)) if !self.kconfig.symbols.contains_key(&**name) => {
                format!("{name}, which does not exist for this architecture ({place})")
            }
            Expr::Atom(Atom::Symbol(name)) => format!("{name}, which is {} ({place})", self.shown(name)),
            Expr::Atom(Atom::Unknown(_)) => format!("{expr}, which the toolchain does not pass ({place})"),
            Expr::Atom(Atom::Text(text)) if level > Tristate::No => {
                format!("\"{text}\", which is never true ({place})")
            }
            _ => {
                let mut values: Vec<(String, String)> = Vec::new();
                let mut unknown = false;
                expr.atoms(&mut |atom| match atom {
                    Atom::Symbol(name) if values.iter().all(|(seen, _)| *seen != **name) && self.is_symbol(name) => {
                        values.push((name.to_string(), self.shown(name)));
                    }
                    Atom::Unknown(_) => unknown = true,
                    _ => {}
                });
                let mut notes = match &values[..] {
                    [_, _] if values.iter().all(|(_, value)| value == "n") => vec!["both n".to_owned()],
                    [_, _, _, ..] if values.iter().all(|(_, value)| value == "n") => vec!["all n".to_owned()],
                    [] => Vec::new(),
                    _ => {
                        let each: Vec<_> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                        vec![listed(&each)]
                    }
                };
                if unknown {
                    notes.push("$(…) is computed from the toolchain".to_owned());
                }
                notes.push(place.to_string());
                format!("{} ({})", shown_expr(expr), notes.join("; "))
            }
        }
    }

    /// Whether a word of an expression is a symbol, not a number or constant.
    fn is_symbol(&self, name: &str) -> bool {
        self.kconfig.symbols.contains_key(name)
            || (!matches!(name, "y" | "m" | "n") && name.contains(|c: char| c.is_ascii_uppercase()))
    }

    fn shown(&self, symbol: &str) -> String {
        match self.kconfig.symbols.get(symbol).and_then(|known| known.kind) {
            Some(SymbolType::Text) => format!("\"{}\"", self.text_of(symbol)),
            Some(SymbolType::Int | SymbolType::Hex) => self.text_of(symbol),
            _ => self.tristate_of(symbol).to_string(),
        }
    }

    /// Why `symbol` itself is below `level`; `None` if the user only has to set it.
    fn follow(&self, symbol: &str, level: Tristate, depth: usize, told: &mut BTreeSet<String>) -> Option<String> {
        let known = self.kconfig.symbols.get(symbol)?;
        let level = self.level(known.kind, level);
        let Some((definition, needs)) = self.nearest(symbol, level) else {
            return Some(self.tell_promptless(symbol, level));
        };
        if !needs.is_empty() {
            let subject = format!("{symbol} in turn");
            return (depth <= DEEPEST).then(|| self.tell(&subject, &needs, level, depth, told));
        }
        let (title, place, members) = self.choice(definition)?;
        let chosen = members.iter().find(|member| self.tristate_of(member) == Tristate::Yes)?;
        Some(format!("of the choice \"{title}\" ({place}) {chosen} is set, not {symbol}"))
    }

    /// What could turn on a symbol without a prompt.
    pub(super) fn tell_promptless(&self, symbol: &str, level: Tristate) -> String {
        let definitions = self.kconfig.symbols.get(symbol).map_or(&[][..], |known| &known.definitions[..]);
        let place = definitions.first().map(|block| format!(" ({})", block.place)).unwrap_or_default();
        let cause = match self.tell_selectors(symbol) {
            Some(selectors) => format!("is turned on by {selectors}"),
            None => {
                let guards: Vec<Guard> = definitions.iter().flat_map(|block| self.default_guards(block)).collect();
                let needs = [self.unknown, Tristate::No].into_iter().find_map(|unknown| {
                    Some(Self { unknown, ..*self }.needs(&guards, level)).filter(|needs| !needs.is_empty())
                });
                match needs {
                    Some(needs) => {
                        let each: Vec<_> = needs.iter().take(2).map(|need| self.tell_need(need, level)).collect();
                        format!("its default needs {}", each.join(", or "))
                    }
                    None if definitions.iter().all(|block| block.defaults.is_empty()) => {
                        "nothing turns it on for this architecture".to_owned()
                    }
                    None => "its value is computed".to_owned(),
                }
            }
        };
        format!("{symbol} can't be set{place}: it has no prompt, and {cause}")
    }

    /// The symbols that select or imply one: first those whose names start with its name, then those that need the
    /// fewest other changes.
    pub(super) fn tell_selectors(&self, symbol: &str) -> Option<String> {
        let mut selectors: Vec<(bool, usize, String)> = Vec::new();
        for (name, _, select) in self.kconfig.selectors(symbol) {
            let namesake = name.strip_prefix(symbol).is_some_and(|rest| rest.starts_with('_'));
            let distance = self.nearest(name, Tristate::Module).map_or(usize::MAX, |(_, needs)| needs.len());
            let condition = match &select.condition {
                Some(condition) => format!(" if {}", shown_expr(condition)),
                None => String::new(),
            };
            let value = match self.tristate_of(name) {
                Tristate::No => String::new(),
                value => format!(" (which is {value})"),
            };
            selectors.push((!namesake, distance, format!("{name}{value}{condition}")));
        }
        selectors.sort();
        selectors.dedup_by(|a, b| a.2 == b.2);
        let names: Vec<_> = selectors.into_iter().map(|(_, _, name)| name).collect();
        (!names.is_empty()).then(|| listed(&names))
    }

    /// The conditions of a block's defaults, with its own dependencies first.
    pub(super) fn default_guards(&self, definition: &'a Definition) -> Vec<Guard> {
        let depends = self.dependencies(definition).into_iter().cloned();
        let defaults = definition.defaults.iter().map(|default| {
            let value = Some(default.value.clone()).filter(|value| value.symbol() != Some("y"));
            let all: Vec<_> = value.into_iter().chain(default.condition.clone()).collect();
            Guard { condition: joined(all, Expr::And), place: default.place.clone() }
        });
        depends.chain(defaults).collect()
    }
}

/// One expression as it is, several joined with `&&`; none is always true.
fn joined(mut all: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match all.len() {
        0 => Expr::Atom(Atom::Symbol("y".into())),
        1 => all.remove(0),
        _ => join(all),
    }
}

/// An expression as text; a long `||` is shortened.
fn shown_expr(expr: &Expr) -> String {
    match expr {
        Expr::Or(all) if all.len() > LONGEST + 1 => {
            let shown = Expr::Or(all[..LONGEST].to_vec());
            format!("{shown} || {} more", all.len() - LONGEST)
        }
        _ => expr.to_string(),
    }
}

/// `A, B and C`, or `A, B, C, D and 12 more`.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= LONGEST + 1 => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..LONGEST].join(", "), names.len() - LONGEST),
    }
}
