//! The smallest part of a condition that is not met, and what in turn stands in its way.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::expr::{Atom, Expr, Tristate};
use super::values::Values;
use super::{Definition, Guard, Kind, Place};

/// How many steps from an unmet symbol to what it needs itself are told.
const DEEPEST: usize = 3;

/// How many names a list shows before "and N more".
const LONGEST: usize = 4;

/// A condition, cut down to what is not met.
#[derive(Clone, Debug)]
pub(super) struct Need {
    expr: Expr,
    place: Place,
}

impl<'a> Values<'a> {
    /// The level that a symbol's conditions must reach for `wanted`: a bool can be y where its conditions are only m, and
    /// without modules there is no m.
    pub(super) fn level(&self, kind: Option<Kind>, wanted: Tristate) -> Tristate {
        match kind {
            Some(Kind::Tristate) if self.modules() => wanted,
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
                // What another architecture's files define can't be met here; it is only in the way of reading.
                let possible: Vec<_> = open.iter().filter(|expr| self.possible(expr)).cloned().collect();
                if !possible.is_empty() {
                    open = possible;
                }
                joined(open, Expr::Or)
            }
            other => other.clone(),
        })
    }

    /// Whether every symbol that the expression needs is one that this source and architecture define.
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

    /// The unmet among `guards`, each once.
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

    /// What keeps users from being asked about a block.
    pub(super) fn blockers(&self, definition: &'a Definition, level: Tristate) -> Vec<Need> {
        let visibility = self.visibility(definition);
        self.needs(self.dependencies(definition).into_iter().chain(&visibility), level)
    }

    /// The block with a prompt that is nearest to being asked about, and what is in its way.
    pub(super) fn nearest(&self, symbol: &str, level: Tristate) -> Option<(&'a Definition, Vec<Need>)> {
        let prompted = self.kconfig.symbols.get(symbol)?.definitions.iter().filter(|block| block.prompt.is_some());
        let blocked = prompted.map(|definition| (definition, self.blockers(definition, level)));
        blocked.min_by_key(|(_, needs)| (needs.iter().filter(|need| !self.possible(&need.expr)).count(), needs.len()))
    }

    /// `it depends on FOO, which is n (drivers/Kconfig:3), and on BAR || BAZ (BAR=n, BAZ=n; net/Kconfig:5)`, and then
    /// what stands in the way of FOO.
    pub(super) fn tell_needs(&self, subject: &str, needs: &[Need], level: Tristate) -> String {
        let mut told = BTreeSet::new();
        self.tell(subject, needs, level, 0, &mut told)
    }

    fn tell(
        &self,
        subject: &str,
        needs: &[Need],
        level: Tristate,
        depth: usize,
        told: &mut BTreeSet<String>,
    ) -> String {
        let mut text = format!("{subject} depends on ");
        for (index, need) in needs.iter().enumerate() {
            if index > 0 {
                text.push_str(", and on ");
            }
            self.tell_need(need, level, &mut text);
        }
        let mut singles: Vec<&str> = Vec::new();
        for need in needs {
            match &need.expr {
                Expr::And(all) => singles.extend(all.iter().filter_map(Expr::symbol)),
                Expr::Or(all) if self.only_defined(all).is_some() => singles.extend(self.only_defined(all)),
                expr => singles.extend(expr.symbol()),
            }
        }
        for symbol in singles {
            if told.insert(symbol.to_owned())
                && let Some(more) = self.follow(symbol, level, depth + 1, told)
            {
                write!(text, "; {more}").ok();
            }
        }
        text
    }

    /// The one alternative of an `||` that this architecture has.
    fn only_defined<'e>(&self, all: &'e [Expr]) -> Option<&'e str> {
        let mut defined = all.iter().filter(|expr| self.possible(expr));
        defined.next().filter(|_| defined.next().is_none())?.symbol()
    }

    fn tell_need(&self, need: &Need, level: Tristate, text: &mut String) {
        let Need { expr, place } = need;
        let value = |symbol: &str| self.shown(symbol);
        match expr {
            Expr::Atom(Atom::Symbol(name)) if &**name == "m" => {
                write!(text, "m: it can only be a module, and MODULES is n ({place})")
            }
            Expr::Atom(Atom::Symbol(name)) if !self.kconfig.symbols.contains_key(&**name) => {
                write!(text, "{name}, which does not exist for this architecture ({place})")
            }
            Expr::Atom(Atom::Symbol(name)) => write!(text, "{name}, which is {} ({place})", value(name)),
            Expr::Atom(Atom::Unknown(_)) => write!(text, "{expr}, which the toolchain does not pass ({place})"),
            _ => {
                let mut symbols = Vec::new();
                let mut unknown = false;
                expr.atoms(&mut |atom| match atom {
                    Atom::Symbol(name) if symbols.iter().all(|(seen, _)| seen != &**name) && self.is_symbol(name) => {
                        symbols.push((name.to_string(), value(name)));
                    }
                    Atom::Unknown(_) => unknown = true,
                    _ => {}
                });
                let equal = |level: Tristate| symbols.iter().all(|(_, value)| *value == level.to_string());
                let values = match &symbols[..] {
                    [(_, _), (_, _), ..] if equal(Tristate::No) && level == Tristate::Module => "all n".to_owned(),
                    _ => {
                        let each: Vec<_> = symbols.iter().map(|(name, value)| format!("{name}={value}")).collect();
                        listed(&each)
                    }
                };
                let values = if unknown { format!("{values}; the rest is the toolchain's answer") } else { values };
                write!(text, "{} ({}{place})", shown_expr(expr), if values.is_empty() { values } else { values + "; " })
            }
        }
        .ok();
    }

    /// Whether a word of an expression is a symbol, not a number or constant.
    fn is_symbol(&self, name: &str) -> bool {
        self.kconfig.symbols.contains_key(name)
            || (!matches!(name, "y" | "m" | "n") && name.contains(|c: char| c.is_ascii_uppercase()))
    }

    fn shown(&self, symbol: &str) -> String {
        match self.kconfig.symbols.get(symbol).and_then(|known| known.kind) {
            Some(Kind::Text) => format!("\"{}\"", self.text_of(symbol)),
            Some(Kind::Int | Kind::Hex) => self.text_of(symbol),
            _ => self.tristate_of(symbol).to_string(),
        }
    }

    /// Why `symbol` is below `level` itself; `None` where the user has only to ask for it.
    fn follow(&self, symbol: &str, level: Tristate, depth: usize, told: &mut BTreeSet<String>) -> Option<String> {
        let known = self.kconfig.symbols.get(symbol)?;
        let level = self.level(known.kind, level);
        let Some((definition, needs)) = self.nearest(symbol, level) else {
            return Some(self.tell_promptless(symbol, level));
        };
        if !needs.is_empty() {
            return (depth <= DEEPEST).then(|| self.tell(&format!("{symbol} in turn"), &needs, level, depth, told));
        }
        let (title, place, members) = self.choice(definition)?;
        let chosen = members.iter().find(|member| self.tristate_of(member) == Tristate::Yes)?;
        Some(format!("of the choice \"{title}\" ({place}) {chosen} is taken, not {symbol}"))
    }

    /// Who could turn on a symbol without a prompt.
    pub(super) fn tell_promptless(&self, symbol: &str, level: Tristate) -> String {
        let definitions = self.kconfig.symbols.get(symbol).map_or(&[][..], |known| &known.definitions[..]);
        let place = definitions.first().map(|block| format!(" ({})", block.place)).unwrap_or_default();
        let mut selectors: Vec<(usize, String)> = Vec::new();
        for (name, definition, select) in self.kconfig.selectors(symbol) {
            // Those that the user can ask for now come first.
            let distance = self.nearest(name, Tristate::Module).map_or(usize::MAX, |(_, needs)| needs.len());
            let distance = distance.saturating_add(usize::from(self.dependencies_hold(definition) == Tristate::No));
            let condition = match &select.condition {
                Some(condition) => format!(" if {}", shown_expr(condition)),
                None => String::new(),
            };
            selectors.push((distance, format!("{name}{condition}")));
        }
        selectors.sort();
        selectors.dedup_by(|a, b| a.1 == b.1);
        if !selectors.is_empty() {
            let names: Vec<_> = selectors.into_iter().map(|(_, name)| name).collect();
            return format!(
                "{symbol} can't be asked for{place}: it has no prompt, and is turned on by {}",
                listed(&names)
            );
        }
        let guards: Vec<Guard> = definitions.iter().flat_map(|block| self.default_guards(block)).collect();
        let needs = self.needs(&guards, level);
        if needs.is_empty() {
            return format!("{symbol} can't be asked for{place}: it has no prompt, and its value is computed");
        }
        let mut text = format!("{symbol} can't be asked for{place}: it has no prompt, and its default needs ");
        for (index, need) in needs.iter().take(2).enumerate() {
            text.push_str(if index > 0 { ", or " } else { "" });
            self.tell_need(need, level, &mut text);
        }
        text
    }

    /// The conditions of a block's defaults, its own dependencies first.
    fn default_guards(&self, definition: &'a Definition) -> Vec<Guard> {
        let depends = self.dependencies(definition).into_iter().cloned();
        let defaults = definition.defaults.iter().map(|default| {
            let value = Some(default.value.clone()).filter(|value| value.symbol() != Some("y"));
            let all: Vec<_> = value.into_iter().chain(default.condition.clone()).collect();
            Guard { condition: joined(all, Expr::And), place: default.place.clone() }
        });
        depends.chain(defaults).collect()
    }
}

/// One expression as itself, several joined; none is always true.
fn joined(mut all: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match all.len() {
        0 => Expr::Atom(Atom::Symbol("y".into())),
        1 => all.remove(0),
        _ => join(all),
    }
}

/// An expression as text; a long `||` is cut.
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
