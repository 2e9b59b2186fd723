//! The host, seen from inside a component.

use std::time::{Duration, SystemTime};

use super::Level;
use crate::bindings::component::bellwether::guest::{log, state};
use crate::bindings::granted::bellwether::guest::{commands, connections, errors, ping, processes, secrets};
use crate::command::{CommandOrder, CommandOutput};
use crate::granted::HostError;
use crate::http::{Request, Response};
use crate::net::Acceptance;
use crate::ping::PingReply;
use crate::process::Process;

/// Calls the imports of the host.
#[derive(Debug, Default)]
pub(crate) struct Host;

impl Host {
    #[expect(clippy::unused_self, reason = "the native host keeps the lines")]
    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::log(level, message);
    }

    #[expect(clippy::unused_self, reason = "the native host keeps the state")]
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        state::get(key)
    }

    #[expect(clippy::unused_self, reason = "the native host keeps the state")]
    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        state::set(key, value)
    }

    #[expect(clippy::unused_self, reason = "the native host keeps the state")]
    pub(crate) fn remove(&self, key: &str) {
        state::remove(key);
    }

    #[expect(clippy::unused_self, reason = "the native host knows the secrets")]
    pub(crate) fn secret(&self, name: &str) -> Result<Vec<u8>, HostError> {
        secrets::get(name).map_err(HostError::from)
    }

    #[expect(clippy::unused_self, reason = "the native host knows the commands")]
    pub(crate) fn run_command(&self, order: CommandOrder) -> Result<CommandOutput, HostError> {
        let CommandOrder { name, arguments, stdin } = order;
        let outcome = commands::run(&name, &arguments, stdin.as_deref())?;
        let signal = outcome.attributes.iter().find(|(name, _)| name == "signal");
        Ok(CommandOutput {
            exit: outcome.exit,
            signal: signal.and_then(|(_, number)| number.parse().ok()),
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            truncated: outcome.truncated,
            took: Duration::from_millis(outcome.took_ms),
        })
    }

    #[expect(clippy::unused_self, reason = "the native host knows the processes")]
    pub(crate) fn processes(&self) -> Result<Vec<Process>, HostError> {
        Ok(processes::all()?.into_iter().map(Process::from).collect())
    }

    #[expect(clippy::unused_self, reason = "the native host knows who answers")]
    pub(crate) fn ping(&self, host: &str, within: Duration) -> Result<PingReply, HostError> {
        let within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let reply = ping::echo(host, within_ms)?;
        Ok(PingReply { round_trip: Duration::from_micros(reply.round_trip_us), address: reply.address })
    }

    #[expect(clippy::unused_self, reason = "the native host knows who accepts")]
    pub(crate) fn accepted(
        &self,
        local: &str,
        peer: &str,
        within: Duration,
    ) -> Result<Acceptance, HostError> {
        let within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let told = connections::accepted(local, peer, within_ms)?;
        let held_by = told.attributes.into_iter().find(|(name, _)| name == "held-by");
        Ok(Acceptance { accepted: told.accepted, held_by: held_by.map(|(_, holders)| holders) })
    }

    #[expect(clippy::unused_self, reason = "the native host knows who answers")]
    pub(crate) fn fetch(&self, request: &Request, within: Duration) -> Result<Response, HostError> {
        super::requests::fetch(request, within)
    }
}

impl From<errors::Error> for HostError {
    fn from(error: errors::Error) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<processes::Process> for Process {
    fn from(process: processes::Process) -> Self {
        let started_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(process.started_at_ms));
        Self {
            pid: process.pid,
            name: process.name,
            commands: process.commands,
            checkers: process.checkers,
            started_at: started_at.unwrap_or(SystemTime::UNIX_EPOCH),
            cpu: Duration::from_millis(process.cpu_ms),
            resident_bytes: process.resident_bytes,
            threads: process.threads,
            open_files: process.open_files,
            state: process.state,
        }
    }
}
