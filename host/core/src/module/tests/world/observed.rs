//! What checkers see.

use std::time::Duration;

use super::{World, module};
use crate::event::Event;
use crate::id::Generation;
use crate::observation::{Measurement, Observation, ProcessFact, Status};

impl World {
    pub(in crate::module::tests) fn see(&mut self, checker: &str, status: Status) {
        let generation = self.generation(checker);
        self.see_as(checker, generation, status);
    }

    pub(in crate::module::tests) fn see_as(&mut self, checker: &str, generation: Generation, status: Status) {
        let observation = Observation::new(status, format!("{checker} says {status}"), self.now);
        let checker = checker.parse().unwrap();
        self.tell(Event::Observed { module: module(), checker, generation, observation });
    }

    /// The kept process has ended.
    pub(in crate::module::tests) fn see_end(&mut self, checker: &str) {
        let seen = Observation::new(Status::Fail, format!("{checker} exited with 1"), self.now).of_an_end();
        self.see_this(checker, seen);
    }

    /// A process of this id, which has been running for so long.
    pub(in crate::module::tests) fn see_process(&mut self, checker: &str, pid: u32, uptime: Duration) {
        let measured =
            Measurement { name: "uptime".into(), value: uptime.as_secs_f64(), unit: "s".to_owned() };
        let observation = Observation {
            measurements: vec![measured],
            processes: vec![ProcessFact { pid, name: checker.to_owned() }],
            ..Observation::new(Status::Pass, "1 process runs".to_owned(), self.now)
        };
        self.see_this(checker, observation);
    }

    fn see_this(&mut self, checker: &str, observation: Observation) {
        let (generation, checker) = (self.generation(checker), checker.parse().unwrap());
        self.tell(Event::Observed { module: module(), checker, generation, observation });
    }

    /// A fail that says how far the start is.
    pub(in crate::module::tests) fn see_progress(&mut self, checker: &str, value: f64) {
        let measured = Measurement { name: "progress".into(), value, unit: String::new() };
        let summary = format!("{checker} says fail");
        let observation =
            Observation { measurements: vec![measured], ..Observation::new(Status::Fail, summary, self.now) };
        let (generation, checker) = (self.generation(checker), checker.parse().unwrap());
        self.tell(Event::Observed { module: module(), checker, generation, observation });
    }

    /// Every checker that is being run passes.
    pub(in crate::module::tests) fn all_pass(&mut self) {
        for (checker, generation) in self.watches.clone() {
            self.see_as(checker.as_str(), generation, Status::Pass);
        }
    }
}
