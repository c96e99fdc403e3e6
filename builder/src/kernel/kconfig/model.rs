//! The symbols of a source as a graph in which references are numbers: what `conf` has after `menu_finalize()`
//! (`scripts/kconfig/menu.c`), where the conditions of enclosing blocks have been added to everything inside them.

use std::collections::HashMap;

use super::expr::{Atom, Expr, Tristate};
use super::token::Op;
use super::{Choice, Definition, Guard, Kconfig, Scope, ScopeId, ScopeKind, SymbolType};

/// The rules for choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choices {
    /// A choice is a symbol without a name, n, m or y (Linux up to 6.10, busybox).
    Symbols,
    /// A choice is a list of members by priority, bool only (Linux 6.11 and later).
    Priorities,
}

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Tristate),
    Symbol(usize),
    /// What only the compiler can answer, by its number in [`Model::unknown`].
    Unknown(usize),
    Compare(Operand, Op, Operand),
    /// An expression that others share, by its number in [`Model::shared`].
    Shared(usize),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// A side of a comparison, a bound, or a default's value.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Symbol(usize),
    Text(String),
    Unknown(usize),
}

/// A default, with the conditions of its block.
#[derive(Clone, Debug)]
pub(super) struct UnitDefault {
    pub(super) value: Node,
    /// The value of a text or number; `None` if it is no single word.
    pub(super) operand: Option<Operand>,
    pub(super) condition: Node,
}

/// A symbol.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Without `CONFIG_`; empty for a choice.
    pub(super) name: String,
    /// `None` if no definition states its type.
    pub(super) kind: Option<SymbolType>,
    /// The conditions of its prompts.
    pub(super) prompts: Vec<Node>,
    pub(super) defaults: Vec<UnitDefault>,
    /// `depends on`, any of its definitions.
    pub(super) depends: Vec<Node>,
    /// What selects it.
    pub(super) selected: Vec<Node>,
    /// What implies it.
    pub(super) implied: Vec<Node>,
    pub(super) ranges: Vec<(Operand, Operand, Node)>,
    /// The choice that it is a member of, by its number in [`Model::choices`].
    pub(super) member_of: Option<usize>,
    /// The choice that it stands for.
    pub(super) choice: Option<usize>,
    /// It only passes on the value of an older configuration.
    pub(super) is_transitional: bool,
    /// Its value, if it is from the environment.
    pub(super) fixed: Option<String>,
}

/// A choice.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The symbol that stands for it.
    pub(super) unit: usize,
    pub(super) members: Vec<usize>,
    /// Members with the conditions under which they are the default.
    pub(super) defaults: Vec<(usize, Node)>,
}

/// All symbols.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Named symbols in the order of their definition, then one for each choice.
    pub(super) units: Vec<Unit>,
    pub(super) choices: Vec<Group>,
    pub(super) by_name: HashMap<String, usize>,
    /// The conditions of blocks, which everything inside shares.
    pub(super) shared: Vec<Node>,
    /// The macros that only the compiler can answer, each once.
    pub(super) unknown: Vec<String>,
    pub(super) modules: Option<usize>,
    pub(super) rules: Choices,
}

impl Model {
    pub(super) fn new(kconfig: &Kconfig, rules: Choices) -> Self {
        let mut by_name = HashMap::new();
        let mut units = Vec::with_capacity(kconfig.order.len());
        for name in &kconfig.order {
            by_name.insert(name.clone(), units.len());
            let (fixed, symbol) = (kconfig.environment.get(name).cloned(), &kconfig.symbols[name]);
            let is_transitional = symbol.definitions.iter().any(|definition| definition.transitional);
            units.push(Unit { fixed, is_transitional, ..unit(name, symbol.kind) });
        }
        let modules = by_name.get("MODULES").copied();
        let (choices, shared, unknown) = (Vec::new(), Vec::new(), Vec::new());
        let model = Self { units, choices, by_name, shared, unknown, modules, rules };
        let (unknown, scopes, bases) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut builder = Builder { kconfig, model, unknown, scopes, bases };
        builder.choices();
        for name in &kconfig.order {
            for definition in &kconfig.symbols[name].definitions {
                builder.definition(name, definition);
            }
        }
        builder.model
    }
}

fn unit(name: &str, kind: Option<SymbolType>) -> Unit {
    Unit {
        name: name.to_owned(),
        kind,
        prompts: Vec::new(),
        defaults: Vec::new(),
        depends: Vec::new(),
        selected: Vec::new(),
        implied: Vec::new(),
        ranges: Vec::new(),
        member_of: None,
        choice: None,
        is_transitional: false,
        fixed: None,
    }
}

struct Builder<'k> {
    kconfig: &'k Kconfig,
    model: Model,
    unknown: HashMap<String, usize>,
    /// The number of each choice's scope.
    scopes: HashMap<ScopeId, usize>,
    /// The condition of everything in a scope, by its number in [`Model::shared`]; `None` if it is always true.
    bases: HashMap<ScopeId, Option<usize>>,
}

impl<'k> Builder<'k> {
    /// Adds a symbol and a group for each choice, and says of its members that they are.
    fn choices(&mut self) {
        let kconfig = self.kconfig;
        for (index, scope) in kconfig.scopes.iter().enumerate() {
            let ScopeKind::Choice(choice) = &scope.kind else { continue };
            let members = self.members(choice);
            let kinds = members.iter().find_map(|member| self.model.units[*member].kind);
            let kind = choice.kind.or(kinds).unwrap_or(SymbolType::Bool);
            let (number, at) = (self.model.choices.len(), self.model.units.len());
            self.scopes.insert(ScopeId(index), number);
            for member in &members {
                let member = &mut self.model.units[*member];
                member.kind.get_or_insert(kind);
                member.member_of.get_or_insert(number);
            }
            self.model.units.push(Unit { choice: Some(number), ..unit("", Some(kind)) });
            self.model.choices.push(Group { unit: at, members, defaults: Vec::new() });
        }
        for (index, scope) in kconfig.scopes.iter().enumerate() {
            let ScopeKind::Choice(choice) = &scope.kind else { continue };
            let number = self.scopes[&ScopeId(index)];
            let base = self.base(&own_depends(scope, choice), scope.parent);
            let mut prompt = vec![base.clone()];
            prompt.extend(choice.prompt.map(|index| self.condition(&scope.depends[index].condition)));
            let outer = scope.parent.into_iter().flat_map(|parent| kconfig.enclosing(parent));
            prompt.extend(outer.flat_map(|scope| &scope.visible).map(|guard| self.condition(&guard.condition)));
            let prompt = Node::And(prompt);
            for default in &choice.defaults {
                let Some(member) = default.value.symbol().and_then(|name| self.model.by_name.get(name)).copied() else {
                    continue;
                };
                let condition = self.with(&base, default.condition.as_ref());
                self.model.choices[number].defaults.push((member, condition));
            }
            let at = self.model.choices[number].unit;
            let unit = &mut self.model.units[at];
            if !choice.optional {
                unit.selected.push(Node::And(vec![prompt.clone(), Node::Constant(Tristate::Module)]));
            }
            unit.prompts.push(prompt);
        }
    }

    /// The members of a choice, each once. One that depends on the member before it is displayed below that, and is
    /// no member for that reason; since Linux 6.11 it is one.
    fn members(&self, choice: &Choice) -> Vec<usize> {
        let mut members: Vec<usize> = Vec::new();
        let depends_on = |name: &str, other: &str| {
            let definitions = &self.kconfig.symbols[name].definitions;
            let guards = definitions.iter().flat_map(|definition| &definition.depends);
            guards.into_iter().any(|guard| match &guard.condition {
                Expr::And(all) => all.iter().any(|expr| expr.symbol() == Some(other)),
                expr => expr.symbol() == Some(other),
            })
        };
        for name in &choice.members {
            let at = self.model.by_name[name];
            let below = members.last().is_some_and(|last| depends_on(name, &self.model.units[*last].name));
            let is_none = below && self.model.rules == Choices::Symbols;
            if !is_none && !members.contains(&at) {
                members.push(at);
            }
        }
        members
    }

    fn definition(&mut self, name: &str, definition: &'k Definition) {
        let at = self.model.by_name[name];
        let own: Vec<&Guard> = definition.depends.iter().collect();
        let mut base = self.base(&own, Some(definition.scope));
        // A bool member of a tristate choice only exists while the choice is y.
        if let Some(choice) = self.model.units[at].member_of.filter(|_| self.model.rules == Choices::Symbols) {
            let choice = self.model.choices[choice].unit;
            let tristate = |unit: usize| self.model.units[unit].kind == Some(SymbolType::Tristate);
            if tristate(choice) && !tristate(at) {
                let chosen = Node::Compare(Operand::Symbol(choice), Op::Equal, Operand::Text("y".to_owned()));
                base = Node::And(vec![chosen, base]);
            }
        }
        if let Some(prompt) = &definition.prompt {
            let mut visible = vec![base.clone()];
            visible.extend(prompt.condition.as_ref().map(|condition| self.condition(condition)));
            let kconfig = self.kconfig;
            let outer = kconfig.enclosing(definition.scope).flat_map(|scope| &scope.visible);
            visible.extend(outer.map(|guard| self.condition(&guard.condition)));
            self.model.units[at].prompts.push(Node::And(visible));
        }
        for default in &definition.defaults {
            let condition = self.with(&base, default.condition.as_ref());
            let value = self.node(&default.value, false);
            let operand = match &default.value {
                Expr::Atom(atom) => Some(self.operand(atom)),
                _ => None,
            };
            self.model.units[at].defaults.push(UnitDefault { value, operand, condition });
        }
        for range in &definition.ranges {
            let condition = self.with(&base, range.condition.as_ref());
            let (low, high) = (self.operand(&range.low), self.operand(&range.high));
            self.model.units[at].ranges.push((low, high, condition));
        }
        for select in &definition.selects {
            let Some(target) = self.model.by_name.get(&select.symbol).copied() else { continue };
            let condition = self.with(&base, select.condition.as_ref());
            let by = Node::And(vec![Node::Symbol(at), condition]);
            let target = &mut self.model.units[target];
            if select.weak { &mut target.implied } else { &mut target.selected }.push(by);
        }
        self.model.units[at].depends.push(base);
    }

    /// The conditions of a block and of everything around it.
    fn base(&mut self, own: &[&Guard], scope: Option<ScopeId>) -> Node {
        let mut all: Vec<Node> = own.iter().map(|guard| self.condition(&guard.condition)).collect();
        all.extend(scope.and_then(|scope| self.inside(scope)).map(Node::Shared));
        match all.len() {
            0 => Node::Constant(Tristate::Yes),
            1 => all.remove(0),
            _ => Node::Shared(self.share(Node::And(all))),
        }
    }

    fn share(&mut self, node: Node) -> usize {
        self.model.shared.push(node);
        self.model.shared.len() - 1
    }

    /// The condition of everything in a scope.
    fn inside(&mut self, id: ScopeId) -> Option<usize> {
        if let Some(known) = self.bases.get(&id) {
            return *known;
        }
        let kconfig = self.kconfig;
        let scope = &kconfig.scopes[id.0];
        let mut all: Vec<Node> = match &scope.kind {
            // The choice's mode limits its members; its own conditions are in it.
            ScopeKind::Choice(_) if self.model.rules == Choices::Symbols => {
                vec![Node::Symbol(self.model.choices[self.scopes[&id]].unit)]
            }
            ScopeKind::Choice(choice) => {
                own_depends(scope, choice).iter().map(|guard| self.condition(&guard.condition)).collect()
            }
            _ => scope.depends.iter().map(|guard| self.condition(&guard.condition)).collect(),
        };
        if !(matches!(scope.kind, ScopeKind::Choice(_)) && self.model.rules == Choices::Symbols) {
            all.extend(scope.parent.and_then(|parent| self.inside(parent)).map(Node::Shared));
        }
        let base = match (all.len(), all.first()) {
            (0, _) => None,
            (1, Some(Node::Shared(number))) => Some(*number),
            _ => Some(self.share(Node::And(all))),
        };
        self.bases.insert(id, base);
        base
    }

    fn with(&mut self, base: &Node, condition: Option<&Expr>) -> Node {
        match condition {
            None => base.clone(),
            Some(condition) => Node::And(vec![base.clone(), self.condition(condition)]),
        }
    }

    /// A condition, in which `m` stands for `m && MODULES`.
    fn condition(&mut self, expr: &Expr) -> Node {
        self.node(expr, true)
    }

    fn node(&mut self, expr: &Expr, is_condition: bool) -> Node {
        match expr {
            Expr::Atom(Atom::Symbol(name)) => match (self.model.by_name.get(&**name), &**name) {
                (Some(at), _) => Node::Symbol(*at),
                (None, "m") if is_condition => {
                    let modules = self.model.modules.map_or(Node::Constant(Tristate::No), Node::Symbol);
                    Node::And(vec![Node::Constant(Tristate::Module), modules])
                }
                (None, text) => Node::Constant(constant(text)),
            },
            Expr::Atom(Atom::Text(text)) => Node::Constant(constant(text)),
            Expr::Atom(Atom::Unknown(text)) => Node::Unknown(self.unknown(text)),
            Expr::Compare(left, op, right) => Node::Compare(self.operand(left), *op, self.operand(right)),
            Expr::Not(inner) => Node::Not(Box::new(self.node(inner, is_condition))),
            Expr::And(all) => Node::And(all.iter().map(|expr| self.node(expr, is_condition)).collect()),
            Expr::Or(all) => Node::Or(all.iter().map(|expr| self.node(expr, is_condition)).collect()),
        }
    }

    fn operand(&mut self, atom: &Atom) -> Operand {
        match atom {
            Atom::Symbol(name) => match self.model.by_name.get(&**name) {
                Some(at) => Operand::Symbol(*at),
                None => Operand::Text(name.to_string()),
            },
            Atom::Text(text) => Operand::Text(text.to_string()),
            Atom::Unknown(text) => Operand::Unknown(self.unknown(text)),
        }
    }

    fn unknown(&mut self, text: &str) -> usize {
        if let Some(number) = self.unknown.get(text) {
            return *number;
        }
        let number = self.model.unknown.len();
        self.model.unknown.push(text.to_owned());
        self.unknown.insert(text.to_owned(), number);
        number
    }
}

/// The conditions of a choice without that of its prompt.
fn own_depends<'k>(scope: &'k Scope, choice: &Choice) -> Vec<&'k Guard> {
    let own = scope.depends.iter().enumerate().filter(|(index, _)| Some(*index) != choice.prompt);
    own.map(|(_, guard)| guard).collect()
}

fn constant(text: &str) -> Tristate {
    match text {
        "y" => Tristate::Yes,
        "m" => Tristate::Module,
        _ => Tristate::No,
    }
}
