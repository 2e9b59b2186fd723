//! The host, which makes plans and carries out steps, and the person who gives commands.

use std::time::Duration;

use super::{World, keep, module};
use crate::command::{Command, CommandOutcome, Order};
use crate::event::Event;
use crate::id::{AttemptId, RequestId};
use crate::plan::{Occasion, Plan, Step, StepError};
use crate::state::StateName;

impl World {
    pub(in crate::module::tests) fn plan(&mut self, steps: Vec<Step>) {
        let (attempt, _) = self.asked.take().expect("a plan was asked for");
        let plan = Ok(Plan { summary: "a plan".to_owned(), steps });
        self.tell(Event::PlanMade { module: module(), attempt, plan });
    }

    pub(in crate::module::tests) fn no_plan(&mut self, reason: &str) {
        let (attempt, _) = self.asked.take().expect("a plan was asked for");
        self.tell(Event::PlanMade { module: module(), attempt, plan: Err(reason.to_owned().into()) });
    }

    pub(in crate::module::tests) fn step_ok(&mut self) {
        self.end_step(Ok("done".to_owned()));
    }

    pub(in crate::module::tests) fn step_failed(&mut self, reason: &str) {
        self.end_step(Err(reason.to_owned().into()));
    }

    fn end_step(&mut self, result: Result<String, StepError>) {
        let (attempt, step) = match self.kill.take() {
            Some(attempt) => (attempt, 0),
            None => match self.step.take() {
                Some((attempt, step, _)) => (attempt, step),
                None => panic!("no step is at work in {}", self.state()),
            },
        };
        self.step_ended_as(attempt, step, result);
    }

    pub(in crate::module::tests) fn step_ended_as(
        &mut self,
        attempt: AttemptId,
        step: usize,
        result: Result<String, StepError>,
    ) {
        self.tell(Event::StepEnded { module: module(), attempt, step, result });
    }

    pub(in crate::module::tests) fn command(&mut self, command: Command) -> CommandOutcome {
        self.command_for(command, None)
    }

    pub(in crate::module::tests) fn command_for(
        &mut self,
        command: Command,
        lasts: Option<Duration>,
    ) -> CommandOutcome {
        self.command_as(Order { command, lasts, reason: None })
    }

    pub(in crate::module::tests) fn command_as(&mut self, order: Order) -> CommandOutcome {
        self.answers.clear();
        let (Order { command, lasts, reason }, by) = (order, "somebody".to_owned());
        self.tell(Event::Commanded { request: RequestId(1), module: module(), command, lasts, by, reason });
        assert_eq!(self.answers.len(), 1, "every command gets one answer");
        self.answers[0].clone()
    }

    /// Every plan is carried out, every checker passes, until `done`.
    pub(in crate::module::tests) fn serve_plans_until(&mut self, done: impl Fn(&Self) -> bool) {
        for _ in 0..200 {
            if done(self) {
                return;
            }
            if self.asked.is_some() {
                let stop = matches!(self.occasion(), Some(Occasion::Stop | Occasion::ForcedStop(_)));
                self.plan(if stop { Vec::new() } else { vec![keep("start")] });
            } else if self.step.is_some() || self.kill.is_some() {
                self.step_ok();
            } else if self.state() == StateName::Backoff {
                let due = self.node.next_deadline().expect("a next try");
                self.pass_time(due.since(self.now));
            } else {
                self.all_pass();
            }
        }
        panic!("still {} after 200 events: {}", self.state(), self.view().reason);
    }

    /// From now on a look after a stop sees that this still runs, or nothing.
    pub(in crate::module::tests) fn lives_on(&mut self, what: Option<&str>) {
        self.alive = what.map(str::to_owned);
        self.blind = false;
    }

    /// A look after a stop does not come back.
    pub(in crate::module::tests) fn host_is_blind(&mut self) {
        self.blind = true;
    }
}
