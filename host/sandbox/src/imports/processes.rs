//! `bellwether:guest/processes`: facts about the processes of this module.

use std::time::UNIX_EPOCH;

use bellwether_core::grant::Grant;

use super::{error, refused};
use crate::bindings::errors::Error;
use crate::bindings::processes::{Host, Process};
use crate::facilities::ProcessFacts;
use crate::store::Run;

/// The maximum number of processes in one list.
const MAX_PROCESSES: usize = 1000;

impl Host for Run {
    async fn all(&mut self) -> wasmtime::Result<Result<Vec<Process>, Error>> {
        if let Err(refusal) = self.grants.may_see_processes() {
            return Ok(Err(refused(self, refusal)));
        }
        self.output.has_used(Grant::Processes);
        let looked = tokio::time::timeout(self.time_left(), self.facilities.processes()).await;
        Ok(match looked {
            Ok(Ok(processes)) => Ok(processes.into_iter().take(MAX_PROCESSES).map(Process::from).collect()),
            Ok(Err(why)) => {
                Err(error("unavailable", &format!("cannot look at the module's processes: {why}")))
            }
            Err(_) => Err(error("unavailable", "the look at the module's processes takes too long")),
        })
    }
}

impl From<ProcessFacts> for Process {
    fn from(facts: ProcessFacts) -> Self {
        let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let few = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            pid: facts.pid,
            name: facts.name,
            commands: facts.commands,
            checkers: facts.checkers,
            started_at_ms: millis(facts.started_at.duration_since(UNIX_EPOCH).unwrap_or_default()),
            cpu_ms: millis(facts.cpu),
            resident_bytes: facts.resident,
            threads: few(facts.threads),
            open_files: facts.open_files.map(few),
            state: facts.state.to_owned(),
            attributes: Vec::new(),
        }
    }
}
