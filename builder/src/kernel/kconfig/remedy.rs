//! What to add to fragments so that a setting takes effect. Each proposal is tried.

use super::super::config::Config;
use super::super::fragment::{Fragment, Setting, SymbolValue};
use super::super::versions::Versions;
use super::SymbolType;
use super::expr::{Atom, Expr, Tristate};
use super::predict::{Predictor, Unpredictable};
use super::token::Op;
use super::values::Values;

/// How many settings are added at most.
const MOST: usize = 8;

/// How deep dependencies of dependencies are followed for one setting.
const DEEPEST: usize = 8;

/// The settings to add to `fragments` so that `symbol` gets the value `wanted`, in the order of their dependencies; none
/// if nothing was found. `base` is that of a compiler that passes each test.
pub(in super::super) fn remedy(
    predictor: &Predictor<'_>,
    base: &str,
    fragments: &[Fragment],
    symbol: &str,
    wanted: &SymbolValue,
) -> Result<Vec<(String, SymbolValue)>, Unpredictable> {
    let level = match wanted {
        SymbolValue::Yes => Tristate::Yes,
        SymbolValue::Module | SymbolValue::Text(_) | SymbolValue::Number(_) => Tristate::Module,
        SymbolValue::No => return Ok(Vec::new()),
    };
    let mut added: Vec<(String, SymbolValue)> = Vec::new();
    loop {
        let mut all = fragments.to_vec();
        all.push(fragment(&added));
        let config = predictor.usual(base, &all)?;
        if config.holds(symbol, wanted) {
            return Ok(added);
        }
        let requested = |name: &str| {
            let settings = fragments.iter().flat_map(|fragment| &fragment.settings);
            settings.filter(|setting| setting.symbol == name).count() > 0
        };
        let tried = |name: &str| name == symbol || added.iter().any(|(seen, _)| seen == name) || requested(name);
        let search = Search { predictor, config: &config, tried: &tried };
        match search.raise(symbol, level, 0) {
            Some(next) if added.len() < MOST => added.push(next),
            _ => return Ok(Vec::new()),
        }
    }
}

fn fragment(added: &[(String, SymbolValue)]) -> Fragment {
    let setting = |(line, (symbol, value)): (usize, &(String, SymbolValue))| Setting {
        symbol: symbol.clone(),
        value: value.clone(),
        line: line + 1,
        versions: Versions::default(),
    };
    Fragment { name: String::new(), settings: added.iter().enumerate().map(setting).collect() }
}

struct Search<'s> {
    predictor: &'s Predictor<'s>,
    config: &'s Config,
    /// Whether a symbol has been set already.
    tried: &'s dyn Fn(&str) -> bool,
}

impl Search<'_> {
    fn values(&self) -> Values<'_> {
        Values { kconfig: self.predictor.kconfig(), config: self.config, unknown: Tristate::Yes }
    }

    /// The next setting on the way to a symbol's having at least a level.
    fn raise(&self, symbol: &str, level: Tristate, depth: usize) -> Option<(String, SymbolValue)> {
        if depth > DEEPEST {
            return None;
        }
        let values = self.values();
        let known = values.kconfig.symbols.get(symbol)?;
        let level = values.level(known.kind, level);
        match values.nearest(symbol, level) {
            Some((_, needs)) if !needs.is_empty() => {
                needs.iter().find_map(|need| self.meet(&need.expr, level, depth + 1))
            }
            Some(_) if (self.tried)(symbol) => None,
            Some(_) => match self.predictor.kind(symbol)? {
                SymbolType::Bool => Some((symbol.to_owned(), SymbolValue::Yes)),
                SymbolType::Tristate if level == Tristate::Yes || !values.modules() => {
                    Some((symbol.to_owned(), SymbolValue::Yes))
                }
                SymbolType::Tristate => Some((symbol.to_owned(), SymbolValue::Module)),
                SymbolType::Text | SymbolType::Int | SymbolType::Hex => None,
            },
            // It has no prompt: what selects it, nearest first.
            None => {
                let mut selectors: Vec<(usize, &str)> = values
                    .kconfig
                    .selectors(symbol)
                    .filter(|(name, _, _)| !(self.tried)(name))
                    .filter_map(|(name, _, _)| Some((values.nearest(name, level)?.1.len(), name)))
                    .collect();
                selectors.sort();
                let selected = selectors.iter().find_map(|(_, name)| self.raise(name, level, depth + 1));
                // Or its default, whose conditions are not met.
                selected.or_else(|| {
                    let blocks = known.definitions.iter();
                    blocks.flat_map(|block| values.default_guards(block)).find_map(|guard| {
                        (values.eval(&guard.condition) < level)
                            .then(|| self.meet(&guard.condition, level, depth + 1))
                            .flatten()
                    })
                })
            }
        }
    }

    /// The next setting on the way to a condition's being met.
    fn meet(&self, expr: &Expr, level: Tristate, depth: usize) -> Option<(String, SymbolValue)> {
        if depth > DEEPEST || self.values().eval(expr) >= level {
            return None;
        }
        match expr {
            Expr::Atom(Atom::Symbol(name)) => self.raise(name, level, depth),
            Expr::Not(inner) => self.lower(inner),
            Expr::And(all) | Expr::Or(all) => all.iter().find_map(|expr| self.meet(expr, level, depth + 1)),
            Expr::Compare(Atom::Symbol(name), Op::Equal, Atom::Symbol(value) | Atom::Text(value)) => match &**value {
                "y" => self.raise(name, Tristate::Yes, depth),
                "n" => self.lower(&Expr::Atom(Atom::Symbol(name.clone()))),
                _ => None,
            },
            Expr::Compare(Atom::Symbol(name), Op::Unequal, Atom::Symbol(value) | Atom::Text(value)) => match &**value {
                "n" => self.raise(name, Tristate::Module, depth),
                "y" => self.lower(&Expr::Atom(Atom::Symbol(name.clone()))),
                _ => None,
            },
            _ => None,
        }
    }

    /// The next setting on the way to a condition's not being met.
    fn lower(&self, expr: &Expr) -> Option<(String, SymbolValue)> {
        let off = |name: &str| {
            let known = self.values().kconfig.symbols.get(name)?;
            let prompted = known.definitions.iter().any(|block| block.prompt.is_some());
            (prompted && !(self.tried)(name)).then(|| (name.to_owned(), SymbolValue::No))
        };
        match expr {
            Expr::Atom(Atom::Symbol(name)) => off(name),
            Expr::Or(all) | Expr::And(all) => {
                all.iter().filter(|expr| self.values().eval(expr) > Tristate::No).find_map(|expr| self.lower(expr))
            }
            _ => None,
        }
    }
}
