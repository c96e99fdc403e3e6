//! Which member of a choice is chosen.

use super::expr::Tristate;
use super::given::Wanted;
use super::resolve::Resolver;

impl Resolver<'_> {
    /// The chosen member of a choice that is y, by the rules of [`Choices::Symbols`]: `sym_calc_choice()`.
    pub(super) fn choose(&mut self, choice: usize) -> Option<usize> {
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
    pub(super) fn prefer(&mut self, choice: usize) {
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
}
