//! The values of expressions under a final configuration.

use super::super::config::Config;
use super::super::fragment::{SymbolValue, number};
use super::expr::{Atom, Expr, Tristate};
use super::token::Op;
use super::{Definition, Guard, Kconfig, ScopeKind, SymbolType};

/// The symbols of a source with the values of one `.config`.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) kconfig: &'a Kconfig,
    pub(super) config: &'a Config,
    /// The assumed value of macros that only the build's compiler can determine.
    pub(super) unknown: Tristate,
}

impl<'a> Values<'a> {
    /// Whether modules are enabled.
    pub(super) fn modules(&self) -> bool {
        self.config.get("MODULES") == Some(&SymbolValue::Yes)
    }

    /// A symbol's value; text and numbers count as n, as in `conf`.
    pub(super) fn tristate_of(&self, symbol: &str) -> Tristate {
        match (symbol, self.config.get(symbol)) {
            ("y", _) | (_, Some(SymbolValue::Yes)) => Tristate::Yes,
            // `m` in an expression stands for `m && MODULES`.
            ("m", _) if self.modules() => Tristate::Module,
            (_, Some(SymbolValue::Module)) => Tristate::Module,
            _ => Tristate::No,
        }
    }

    /// A symbol's value as text. An undefined symbol stands for its own name, so that numbers need no quotes.
    pub(super) fn text_of(&self, symbol: &str) -> String {
        if let Some(value) = self.kconfig.environment.get(symbol) {
            return value.clone();
        }
        let Some(known) = self.kconfig.symbols.get(symbol) else { return symbol.to_owned() };
        match (self.config.get(symbol), known.kind) {
            (Some(SymbolValue::Text(text) | SymbolValue::Number(text)), _) => text.clone(),
            (Some(value), _) => value.to_string(),
            (None, Some(SymbolType::Bool | SymbolType::Tristate)) => "n".to_owned(),
            (None, _) => String::new(),
        }
    }

    pub(super) fn eval(&self, expr: &Expr) -> Tristate {
        match expr {
            Expr::Atom(Atom::Symbol(name)) => self.tristate_of(name),
            Expr::Atom(Atom::Text(text)) => match &**text {
                "y" => Tristate::Yes,
                "m" => Tristate::Module,
                _ => Tristate::No,
            },
            Expr::Atom(Atom::Unknown(_)) => self.unknown,
            Expr::Compare(left, op, right) => self.compare(left, *op, right),
            Expr::Not(inner) => match self.eval(inner) {
                Tristate::No => Tristate::Yes,
                Tristate::Module => Tristate::Module,
                Tristate::Yes => Tristate::No,
            },
            Expr::And(all) => all.iter().map(|expr| self.eval(expr)).min().unwrap_or(Tristate::Yes),
            Expr::Or(all) => all.iter().map(|expr| self.eval(expr)).max().unwrap_or(Tristate::No),
        }
    }

    pub(super) fn holds(&self, condition: &Option<Expr>) -> Tristate {
        condition.as_ref().map_or(Tristate::Yes, |expr| self.eval(expr))
    }

    /// Numbers are compared by value, everything else as text.
    fn compare(&self, left: &Atom, op: Op, right: &Atom) -> Tristate {
        let text = |atom: &Atom| match atom {
            Atom::Symbol(name) => Some(self.text_of(name)),
            Atom::Text(text) => Some(text.to_string()),
            Atom::Unknown(_) => None,
        };
        let (Some(left), Some(right)) = (text(left), text(right)) else { return self.unknown };
        let ordering = match (number(&left), number(&right)) {
            (Some((_, left)), Some((_, right))) => left.cmp(&right),
            _ => left.cmp(&right),
        };
        if op.holds(ordering) { Tristate::Yes } else { Tristate::No }
    }

    /// All conditions under which a block counts: its own `depends on` and those of the enclosing scopes.
    pub(super) fn dependencies(&self, definition: &'a Definition) -> Vec<&'a Guard> {
        let outer = self.kconfig.enclosing(definition.scope).flat_map(|scope| &scope.depends);
        definition.depends.iter().chain(outer).collect()
    }

    /// The additional conditions under which the user is prompted.
    pub(super) fn visibility(&self, definition: &'a Definition) -> Vec<Guard> {
        let own = definition.prompt.iter().filter_map(|prompt| {
            let condition = prompt.condition.clone()?;
            Some(Guard { condition, place: prompt.place.clone() })
        });
        let outer = self.kconfig.enclosing(definition.scope).flat_map(|scope| scope.visible.iter().cloned());
        own.chain(outer).collect()
    }

    /// The value of a block's dependencies.
    pub(super) fn dependencies_hold(&self, definition: &'a Definition) -> Tristate {
        let all = self.dependencies(definition).into_iter().map(|guard| self.eval(&guard.condition));
        all.min().unwrap_or(Tristate::Yes)
    }

    /// The value that a `select` imposes on its target; `None` if it imposes none.
    pub(super) fn imposed(&self, by: &str, condition: &Option<Expr>) -> Option<Tristate> {
        Some(self.tristate_of(by).min(self.holds(condition))).filter(|value| *value > Tristate::No)
    }

    /// The choice that a block is a member of: its title, place and members.
    pub(super) fn choice(
        &self,
        definition: &'a Definition,
    ) -> Option<(&'a str, &'a super::KconfigPlace, &'a [String])> {
        self.kconfig.enclosing(definition.scope).find_map(|scope| match &scope.kind {
            ScopeKind::Choice(choice) => Some((scope.title.as_str(), &scope.place, choice.members.as_slice())),
            _ => None,
        })
    }
}
