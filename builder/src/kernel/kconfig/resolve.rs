//! The configuration that `conf --olddefconfig` and `conf --allnoconfig` make of a `.config`, computed without running them:
//! `sym_calc_value()` of `scripts/kconfig/symbol.c` and `conf_read()` of `confdata.c`.
//!
//! A value is computed when it is first needed, in the same order as there: symbols may depend on each other in circles, and
//! then the first value that is seen counts.

use super::SymbolType;
use super::expr::Tristate;
use super::given::{Wanted, parse, to_number, wanted};
use super::model::{Choices, Model, Node, Operand};
use super::token::Op;
use super::way::Way;

/// How deep the computation may nest, counting symbols and the parts of expressions: each takes a few stack frames. Linux has
/// some hundred levels.
const DEEPEST: usize = 1_500;

/// The state of a symbol.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) tristate: Tristate,
    text: String,
    /// The macro that its text is from, if only the compiler can tell it.
    doubt: Option<usize>,
    pub(super) visible: Tristate,
    depends: Tristate,
    selected: Tristate,
    implied: Tristate,
    pub(super) is_valid: bool,
    /// Whether it is written to the file.
    pub(super) is_written: bool,
    pub(super) wanted: Option<Wanted>,
    /// Of a choice: the chosen member.
    chosen: Option<usize>,
    /// Of a choice: the member that the user chooses.
    pub(super) wanted_member: Option<usize>,
}

/// How symbols without a value in the file are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `olddefconfig`: they take their defaults.
    Defaults,
    /// `allnoconfig`: n.
    AllNo,
}

/// Symbols depend on each other in chains that are too long to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooDeep;

/// Completes a `.config`, whose settings are given in their order, with `None` as the text of "is not set".
pub(super) fn resolve(
    model: &Model,
    settings: &[(&str, Option<&str>)],
    mode: Mode,
    way: Way,
) -> Result<String, TooDeep> {
    let fresh = State {
        tristate: Tristate::No,
        text: String::new(),
        doubt: None,
        visible: Tristate::No,
        depends: Tristate::No,
        selected: Tristate::No,
        implied: Tristate::No,
        is_valid: false,
        is_written: false,
        wanted: None,
        chosen: None,
        wanted_member: None,
    };
    let priorities = model.choices.iter().map(|group| group.members.clone()).collect();
    let states = vec![fresh; model.units.len()];
    let mut resolver = Resolver { model, way, states, priorities, modules: Tristate::No, depth: 0, is_too_deep: false };
    resolver.read(settings);
    if mode == Mode::AllNo {
        resolver.all_no();
    }
    if let Some(modules) = model.modules {
        resolver.value(modules);
    }
    (0..model.units.len()).for_each(|unit| resolver.value(unit));
    if model.rules == Choices::Symbols && mode == Mode::Defaults {
        resolver.drop_out_of_range();
    }
    if resolver.is_too_deep { Err(TooDeep) } else { Ok(resolver.written()) }
}

pub(super) struct Resolver<'m> {
    pub(super) model: &'m Model,
    way: Way,
    pub(super) states: Vec<State>,
    /// The members of each choice, those that the file mentions last first.
    pub(super) priorities: Vec<Vec<usize>>,
    /// The value of MODULES, once it is known.
    modules: Tristate,
    depth: usize,
    is_too_deep: bool,
}

impl Resolver<'_> {
    /// Takes the settings of the file: `conf_read_simple()`.
    fn read(&mut self, settings: &[(&str, Option<&str>)]) {
        let model = self.model;
        if model.rules == Choices::Symbols {
            for group in &model.choices {
                self.states[group.unit].wanted = Some(Wanted::Tristate(Tristate::No));
            }
        }
        for (name, text) in settings {
            let Some(at) = model.by_name.get(*name).copied() else { continue };
            let Some(wanted) = wanted(model.units[at].kind, *text) else { continue };
            self.states[at].wanted = Some(wanted.clone());
            let (Some(choice), Wanted::Tristate(wanted)) = (model.units[at].member_of, wanted) else { continue };
            if model.rules == Choices::Priorities {
                let order = &mut self.priorities[choice];
                order.retain(|member| *member != at);
                order.insert(0, at);
                continue;
            }
            let choice = &mut self.states[model.choices[choice].unit];
            let so_far = match choice.wanted {
                Some(Wanted::Tristate(so_far)) => so_far,
                _ => Tristate::No,
            };
            if wanted == Tristate::Yes {
                choice.wanted_member = Some(at);
            }
            choice.wanted =
                (wanted != Tristate::Module || so_far != Tristate::Yes).then_some(Wanted::Tristate(so_far.max(wanted)));
        }
    }

    /// n for every symbol without a value: `conf_set_all_new_symbols()`.
    fn all_no(&mut self) {
        let model = self.model;
        for (unit, state) in model.units.iter().zip(&mut self.states) {
            let is_tristate = matches!(unit.kind, Some(SymbolType::Bool | SymbolType::Tristate));
            let applies = match model.rules {
                Choices::Symbols => true,
                Choices::Priorities => !unit.prompts.is_empty() && unit.member_of.is_none() && unit.choice.is_none(),
            };
            if is_tristate && applies {
                state.wanted.get_or_insert(Wanted::Tristate(Tristate::No));
            }
        }
    }

    /// Numbers that are out of their range count as not set: `conf_read()`. Since Linux 6.11 they are limited instead.
    fn drop_out_of_range(&mut self) {
        for at in 0..self.model.units.len() {
            let Some(Wanted::Text(text)) = &self.states[at].wanted else { continue };
            let text = text.clone();
            if !self.is_within_range(at, &text) {
                self.states[at].wanted = None;
                self.states[at].is_valid = false;
                self.value(at);
            }
        }
    }

    fn is_within_range(&mut self, at: usize, text: &str) -> bool {
        let kind = self.model.units[at].kind;
        match self.range(at) {
            Some((low, high)) => {
                let value = to_number(kind, text);
                value >= to_number(kind, &low) && value <= to_number(kind, &high)
            }
            None => true,
        }
    }

    /// The bounds of a number, if it has any.
    fn range(&mut self, at: usize) -> Option<(String, String)> {
        let model = self.model;
        if !matches!(model.units[at].kind, Some(SymbolType::Int | SymbolType::Hex)) {
            return None;
        }
        let found = model.units[at].ranges.iter().find(|(_, _, condition)| self.eval(condition) > Tristate::No);
        found.map(|(low, high, _)| (self.text_of(low), self.text_of(high)))
    }

    /// Computes a symbol's value: `sym_calc_value()`.
    fn value(&mut self, at: usize) {
        if self.states[at].is_valid || self.is_too_deep {
            return;
        }
        if self.depth > DEEPEST {
            self.is_too_deep = true;
            return;
        }
        self.depth += 1;
        self.compute(at);
        self.depth -= 1;
    }

    fn compute(&mut self, at: usize) {
        let unit = &self.model.units[at];
        self.states[at].is_valid = true;
        if let Some(fixed) = &unit.fixed {
            self.states[at].text.clone_from(fixed);
            return;
        }
        let Some(kind) = unit.kind else {
            self.states[at].text.clone_from(&unit.name);
            return;
        };
        self.states[at].is_written = false;
        self.visibility(at);
        let is_visible = self.states[at].visible != Tristate::No;
        self.states[at].is_written = is_visible;
        // What is seen by a symbol that this one needs.
        let empty = match (kind, self.model.rules) {
            (SymbolType::Int, Choices::Priorities) => "0",
            (SymbolType::Hex, Choices::Priorities) => "0x0",
            _ => "",
        };
        self.states[at].tristate = Tristate::No;
        self.states[at].text = empty.to_owned();
        self.states[at].doubt = None;
        match kind {
            SymbolType::Bool | SymbolType::Tristate => {
                let value = self.tristate(at);
                let value = if value == Tristate::Module && self.is_bool(at) { Tristate::Yes } else { value };
                self.states[at].tristate = value;
                if let Some(choice) = unit.choice
                    && self.model.rules == Choices::Symbols
                {
                    if value == Tristate::Yes {
                        self.states[at].chosen = self.choose(choice);
                    }
                    for member in &self.model.choices[choice].members {
                        if self.states[at].is_written && self.states[*member].visible != Tristate::No {
                            self.states[*member].is_written = true;
                        }
                    }
                }
            }
            SymbolType::Text | SymbolType::Int | SymbolType::Hex => {
                self.states[at].text = self.text(at, is_visible, empty);
                if let Some((low, high)) = self.range(at) {
                    let value = to_number(Some(kind), &self.states[at].text);
                    if value < to_number(Some(kind), &low) {
                        self.states[at].text = low;
                    } else if value > to_number(Some(kind), &high) {
                        self.states[at].text = high;
                    }
                }
            }
        }
        if self.model.modules == Some(at) {
            self.modules = self.states[at].tristate;
        }
        if unit.choice.is_some() || unit.is_transitional {
            self.states[at].is_written = false;
        }
    }

    fn tristate(&mut self, at: usize) -> Tristate {
        let model = self.model;
        let unit = &model.units[at];
        match (unit.member_of, model.rules) {
            (Some(choice), Choices::Priorities) => {
                self.prefer(choice);
                return self.states[at].tristate;
            }
            (Some(choice), Choices::Symbols) if self.states[at].visible == Tristate::Yes => {
                let chosen = self.states[model.choices[choice].unit].chosen == Some(at);
                return if chosen { Tristate::Yes } else { Tristate::No };
            }
            _ => {}
        }
        let (visible, selected) = (self.states[at].visible, self.states[at].selected);
        let wanted = match self.states[at].wanted {
            Some(Wanted::Tristate(wanted)) if visible != Tristate::No => Some(wanted),
            _ => None,
        };
        if let Some(wanted) = wanted {
            return wanted.min(visible).max(selected);
        }
        if selected != Tristate::No {
            self.states[at].is_written = true;
        }
        let mut value = Tristate::No;
        if unit.choice.is_none() {
            for default in &unit.defaults {
                let condition = self.eval(&default.condition);
                if condition > Tristate::No {
                    value = self.eval(&default.value).min(condition);
                    self.states[at].is_written |= value != Tristate::No;
                    break;
                }
            }
            let implied = self.states[at].implied;
            if implied != Tristate::No {
                self.states[at].is_written = true;
                value = value.max(implied).min(self.states[at].depends);
            }
        }
        value.max(selected)
    }

    fn text(&mut self, at: usize, is_visible: bool, empty: &str) -> String {
        if let Some(Wanted::Text(wanted)) = &self.states[at].wanted
            && is_visible
        {
            return wanted.clone();
        }
        let model = self.model;
        let default = model.units[at].defaults.iter().find(|default| self.eval(&default.condition) > Tristate::No);
        match default.and_then(|default| default.operand.as_ref()) {
            Some(operand) => {
                self.states[at].is_written = true;
                let text = self.text_of(operand);
                self.states[at].doubt = self.doubt(operand);
                text
            }
            None => empty.to_owned(),
        }
    }

    /// Whether a symbol has no m: `sym_get_type()`.
    fn is_bool(&self, at: usize) -> bool {
        let unit = &self.model.units[at];
        let is_chosen = unit.member_of.is_some() && self.states[at].visible == Tristate::Yes;
        unit.kind != Some(SymbolType::Tristate) || is_chosen || self.modules == Tristate::No
    }

    /// `sym_calc_visibility()`
    pub(super) fn visibility(&mut self, at: usize) {
        let model = self.model;
        let unit = &model.units[at];
        let choice = unit.member_of.map(|choice| model.choices[choice].unit);
        let is_tristate = unit.kind == Some(SymbolType::Tristate);
        if unit.is_transitional {
            self.states[at].visible = Tristate::Yes;
            return;
        }
        let mut visible = Tristate::No;
        for prompt in &unit.prompts {
            let mut one = self.eval(prompt);
            // A member that could be m does not appear while one member is y.
            if model.rules == Choices::Symbols
                && is_tristate
                && one == Tristate::Module
                && choice.is_some_and(|choice| self.states[choice].tristate == Tristate::Yes)
            {
                one = Tristate::No;
            }
            visible = visible.max(one);
        }
        if visible == Tristate::Module && (!is_tristate || self.modules == Tristate::No) {
            visible = Tristate::Yes;
        }
        self.states[at].visible = visible;
        if choice.is_some() {
            return;
        }
        let of = |resolver: &mut Self, nodes: &[Node]| {
            let value = nodes.iter().map(|node| resolver.eval(node)).max().unwrap_or(Tristate::No);
            if value == Tristate::Module && resolver.is_bool(at) { Tristate::Yes } else { value }
        };
        let depends = if unit.depends.is_empty() { Tristate::Yes } else { of(self, &unit.depends) };
        self.states[at].depends = depends;
        self.states[at].selected = of(self, &unit.selected);
        self.states[at].implied = of(self, &unit.implied);
    }

    /// `expr_calc_value()`, which evaluates both sides always.
    pub(super) fn eval(&mut self, node: &Node) -> Tristate {
        if self.depth > DEEPEST {
            self.is_too_deep = true;
            return Tristate::No;
        }
        self.depth += 1;
        let value = self.part(node);
        self.depth -= 1;
        value
    }

    fn part(&mut self, node: &Node) -> Tristate {
        match node {
            Node::Constant(value) => *value,
            Node::Symbol(at) => {
                self.value(*at);
                self.states[*at].tristate
            }
            Node::Unknown(number) => self.answer(*number),
            Node::Compare(left, op, right) => self.compare(left, *op, right),
            Node::Shared(number) => {
                let model = self.model;
                self.eval(&model.shared[*number])
            }
            Node::Not(inner) => match self.eval(inner) {
                Tristate::No => Tristate::Yes,
                Tristate::Module => Tristate::Module,
                Tristate::Yes => Tristate::No,
            },
            Node::And(all) => all.iter().fold(Tristate::Yes, |value, node| self.eval(node).min(value)),
            Node::Or(all) => all.iter().fold(Tristate::No, |value, node| self.eval(node).max(value)),
        }
    }

    fn answer(&self, number: usize) -> Tristate {
        if self.way.passes(number, "") { Tristate::Yes } else { Tristate::No }
    }

    /// The macro that an operand's text is from, if only the compiler can tell it; after the text has been computed.
    fn doubt(&self, operand: &Operand) -> Option<usize> {
        match operand {
            Operand::Unknown(number) => Some(*number),
            Operand::Symbol(at) => self.states[*at].doubt,
            Operand::Text(_) => None,
        }
    }

    fn compare(&mut self, left: &Operand, op: Op, right: &Operand) -> Tristate {
        let (a, b) = (self.text_of(left), self.text_of(right));
        if let Some(number) = self.doubt(left).or(self.doubt(right)) {
            let passes = self.way.passes(number, &format!("{a}{op}{b}"));
            return if passes { Tristate::Yes } else { Tristate::No };
        }
        let (kind_a, kind_b) = (self.kind_of(left), self.kind_of(right));
        let both_text = (kind_a, kind_b) == (Some(SymbolType::Text), Some(SymbolType::Text));
        let numbers = parse(kind_a, &a).zip(parse(kind_b, &b)).filter(|_| !both_text);
        let ordering = numbers.map_or_else(|| a.cmp(&b), |(a, b)| a.cmp(&b));
        if op.holds(ordering) { Tristate::Yes } else { Tristate::No }
    }

    fn kind_of(&self, operand: &Operand) -> Option<SymbolType> {
        match operand {
            Operand::Symbol(at) => self.model.units[*at].kind,
            Operand::Text(text) if matches!(text.as_str(), "y" | "m" | "n") => Some(SymbolType::Tristate),
            Operand::Text(_) | Operand::Unknown(_) => None,
        }
    }

    fn text_of(&mut self, operand: &Operand) -> String {
        match operand {
            Operand::Text(text) => text.clone(),
            Operand::Unknown(number) => if self.way.passes(*number, "") { "1" } else { "0" }.to_owned(),
            Operand::Symbol(at) => {
                self.value(*at);
                match self.model.units[*at].kind {
                    Some(SymbolType::Bool | SymbolType::Tristate) => self.states[*at].tristate.to_string(),
                    _ => self.states[*at].text.clone(),
                }
            }
        }
    }

    /// The `.config`, without comments.
    fn written(&self) -> String {
        let mut text = String::new();
        for (unit, state) in self.model.units.iter().zip(&self.states) {
            if !state.is_written || unit.fixed.is_some() {
                continue;
            }
            let name = &unit.name;
            text += &match (unit.kind, state.tristate) {
                (Some(SymbolType::Bool | SymbolType::Tristate), Tristate::No) => {
                    format!("# CONFIG_{name} is not set\n")
                }
                (Some(SymbolType::Bool | SymbolType::Tristate), value) => format!("CONFIG_{name}={value}\n"),
                (Some(SymbolType::Text), _) => {
                    let escaped = state.text.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("CONFIG_{name}=\"{escaped}\"\n")
                }
                _ => format!("CONFIG_{name}={}\n", state.text),
            };
        }
        text
    }
}
