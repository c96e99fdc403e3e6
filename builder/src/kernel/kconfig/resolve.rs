//! The configuration that `conf --olddefconfig` and `conf --allnoconfig` make of a `.config`, computed without running them:
//! `sym_calc_value()` of `scripts/kconfig/symbol.c` and `conf_read()` of `confdata.c`.
//!
//! A value is computed when it is first needed, in the same order as there: symbols may depend on each other in circles, and
//! then the first value that is seen counts.

use super::super::fragment::number;
use super::SymbolType;
use super::expr::Tristate;
use super::model::{Choices, Model, Node, Operand};
use super::token::Op;

/// How many symbols may depend on each other in a chain; Linux has some hundred.
const DEEPEST: usize = 4_000;

/// What the user requests for a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Tristate(Tristate),
    Text(String),
}

/// The state of a symbol.
#[derive(Clone, Debug)]
struct State {
    tristate: Tristate,
    text: String,
    visible: Tristate,
    depends: Tristate,
    selected: Tristate,
    implied: Tristate,
    is_valid: bool,
    /// Whether it is written to the file.
    is_written: bool,
    wanted: Option<Wanted>,
    /// Of a choice: the chosen member.
    chosen: Option<usize>,
    /// Of a choice: the member that the user chooses.
    wanted_member: Option<usize>,
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

/// Completes a `.config`, whose settings are given in their order, with `None` as the text of "is not set". `passes` gives
/// the compiler's answer to each of the model's unknown macros.
pub(super) fn resolve(
    model: &Model,
    settings: &[(&str, Option<&str>)],
    mode: Mode,
    passes: &[bool],
) -> Result<String, TooDeep> {
    let fresh = State {
        tristate: Tristate::No,
        text: String::new(),
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
    let mut resolver =
        Resolver { model, passes, states, priorities, modules: Tristate::No, depth: 0, is_too_deep: false };
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

struct Resolver<'m> {
    model: &'m Model,
    passes: &'m [bool],
    states: Vec<State>,
    /// The members of each choice, those that the file mentions last first.
    priorities: Vec<Vec<usize>>,
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
            choice.wanted = (wanted != Tristate::Module || so_far != Tristate::Yes)
                .then_some(Wanted::Tristate(so_far.max(wanted)));
        }
    }

    /// n for every symbol without a value: `conf_set_all_new_symbols()`.
    fn all_no(&mut self) {
        let model = self.model;
        for (unit, state) in model.units.iter().zip(&mut self.states) {
            let is_tristate = matches!(unit.kind, Some(SymbolType::Bool | SymbolType::Tristate));
            let applies = match model.rules {
                Choices::Symbols => true,
                Choices::Priorities => {
                    !unit.prompts.is_empty() && unit.member_of.is_none() && unit.choice.is_none()
                }
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
        if unit.choice.is_some() {
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
                self.text_of(operand)
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
    fn visibility(&mut self, at: usize) {
        let model = self.model;
        let unit = &model.units[at];
        let choice = unit.member_of.map(|choice| model.choices[choice].unit);
        let is_tristate = unit.kind == Some(SymbolType::Tristate);
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

    /// The chosen member of a choice that is y, by the rules of [`Choices::Symbols`]: `sym_calc_choice()`.
    fn choose(&mut self, choice: usize) -> Option<usize> {
        let group = &self.model.choices[choice];
        for member in &group.members {
            self.visibility(*member);
        }
        let wanted = self.states[group.unit].wanted_member;
        let chosen = wanted.filter(|member| self.states[*member].visible != Tristate::No);
        let chosen = chosen.or_else(|| self.default_member(choice));
        if chosen.is_none() {
            self.states[group.unit].tristate = Tristate::No;
        }
        chosen
    }

    /// `sym_choice_default()`
    fn default_member(&mut self, choice: usize) -> Option<usize> {
        let group = &self.model.choices[choice];
        let default = group.defaults.iter().find(|(member, condition)| {
            self.eval(condition) > Tristate::No && self.states[*member].visible != Tristate::No
        });
        let first = || group.members.iter().find(|member| self.states[**member].visible != Tristate::No);
        default.map(|(member, _)| member).or_else(first).copied()
    }

    /// Gives all members of a choice their values, by the rules of [`Choices::Priorities`]: `sym_calc_choice()`.
    fn prefer(&mut self, choice: usize) {
        let model = self.model;
        let order = self.priorities[choice].clone();
        let mut result = None;
        for member in &order {
            self.visibility(*member);
            let wanted = self.states[*member].wanted == Some(Wanted::Tristate(Tristate::Yes));
            if wanted && self.states[*member].visible != Tristate::No {
                result = Some(*member);
                break;
            }
        }
        let no = Some(Wanted::Tristate(Tristate::No));
        if result.is_none() {
            result = self.default_member(choice).filter(|member| self.states[*member].wanted != no);
        }
        let is_visible = |resolver: &Self, member: &usize| resolver.states[*member].visible != Tristate::No;
        if result.is_none() {
            let new = |member: &&usize| is_visible(self, member) && self.states[**member].wanted.is_none();
            result = model.choices[choice].members.iter().find(new).copied();
        }
        if result.is_none() {
            result = order.iter().rev().find(|member| is_visible(self, member)).copied();
        }
        for member in &model.choices[choice].members {
            if is_visible(self, member) {
                let state = &mut self.states[*member];
                state.tristate = if result == Some(*member) { Tristate::Yes } else { Tristate::No };
                state.is_valid = true;
                state.is_written = true;
            }
        }
    }

    /// `expr_calc_value()`, which evaluates both sides always.
    fn eval(&mut self, node: &Node) -> Tristate {
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
        if self.passes[number] { Tristate::Yes } else { Tristate::No }
    }

    fn compare(&mut self, left: &Operand, op: Op, right: &Operand) -> Tristate {
        if let (Operand::Unknown(number), _) | (_, Operand::Unknown(number)) = (left, right) {
            return self.answer(*number);
        }
        let (a, b) = (self.text_of(left), self.text_of(right));
        let (kind_a, kind_b) = (self.kind_of(left), self.kind_of(right));
        let both_text = (kind_a, kind_b) == (Some(SymbolType::Text), Some(SymbolType::Text));
        let numbers = parse(kind_a, &a).zip(parse(kind_b, &b)).filter(|_| !both_text);
        let ordering = numbers.map_or_else(|| a.cmp(&b), |(a, b)| a.cmp(&b));
        let holds = match op {
            Op::Equal => ordering.is_eq(),
            Op::Unequal => ordering.is_ne(),
            Op::Less => ordering.is_lt(),
            Op::LessEqual => ordering.is_le(),
            Op::Greater => ordering.is_gt(),
            Op::GreaterEqual => ordering.is_ge(),
            Op::And | Op::Or | Op::Not | Op::Open | Op::Close => false,
        };
        if holds { Tristate::Yes } else { Tristate::No }
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
            Operand::Unknown(number) => if self.passes[*number] { "1" } else { "0" }.to_owned(),
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
                (Some(SymbolType::Bool | SymbolType::Tristate), Tristate::No) => format!("# CONFIG_{name} is not set\n"),
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

/// The value that a line of the file gives a symbol of a type; `None` if `conf` ignores it: `conf_set_sym_val()`.
fn wanted(kind: Option<SymbolType>, text: Option<&str>) -> Option<Wanted> {
    let text = text.unwrap_or("n");
    match (kind?, text.as_bytes().first()) {
        (SymbolType::Tristate, Some(b'm')) => Some(Wanted::Tristate(Tristate::Module)),
        (SymbolType::Bool | SymbolType::Tristate, Some(b'y')) => Some(Wanted::Tristate(Tristate::Yes)),
        (SymbolType::Bool | SymbolType::Tristate, Some(b'n')) => Some(Wanted::Tristate(Tristate::No)),
        (SymbolType::Bool | SymbolType::Tristate, _) => None,
        (SymbolType::Text, _) => {
            let (mut value, mut rest) = (String::new(), text.strip_prefix('"')?.chars());
            loop {
                match rest.next()? {
                    '"' => return Some(Wanted::Text(value)),
                    '\\' => value.push(rest.next()?),
                    c => value.push(c),
                }
            }
        }
        (SymbolType::Int, _) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let fits = digits.bytes().all(|c| c.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
            (!digits.is_empty() && fits).then(|| Wanted::Text(text.to_owned()))
        }
        (SymbolType::Hex, _) => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            let fits = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
            fits.then(|| Wanted::Text(text.to_owned()))
        }
    }
}

/// A bound or value, as strtoll(3) reads it: what is no number is 0.
fn to_number(kind: Option<SymbolType>, text: &str) -> i128 {
    match kind {
        Some(SymbolType::Hex) => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            i128::from_str_radix(digits, 16).unwrap_or(0)
        }
        _ => text.parse().unwrap_or(0),
    }
}

/// The value by which an operand of a type is compared: `expr_parse_string()`. `None` if it is compared as text.
fn parse(kind: Option<SymbolType>, text: &str) -> Option<i128> {
    match kind {
        Some(SymbolType::Bool | SymbolType::Tristate) => match text {
            "n" => Some(0),
            "m" => Some(1),
            "y" => Some(2),
            _ => None,
        },
        Some(SymbolType::Int) => text.parse().ok(),
        Some(SymbolType::Hex) => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            i128::from_str_radix(digits, 16).ok()
        }
        Some(SymbolType::Text) | None => number(text).map(|(_, value)| value),
    }
}
