//! The host of native tests: everything stays in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use super::Level;
use crate::command::{CommandOrder, CommandOutput};
use crate::granted::HostError;
use crate::http::{Request, Response};
use crate::net::Acceptance;
use crate::ping::PingReply;
use crate::process::Process;

/// The limit of a real host for one component: keys and values together.
const STATE_LIMIT_BYTES: usize = 64 << 10;

/// Log lines and state, for inspection by a test, and the test's grants.
#[derive(Debug, Default)]
pub(crate) struct Host {
    lines: RefCell<Vec<(Level, String)>>,
    state: RefCell<BTreeMap<String, Vec<u8>>>,
    commands_run: RefCell<Vec<CommandOrder>>,
    pub(crate) granted: Granted,
}

/// The test's grants. As with a real host, nothing is granted by default.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    pub(crate) secrets: BTreeMap<String, Vec<u8>>,
    pub(crate) commands: BTreeMap<String, CommandOutput>,
    pub(crate) processes: Option<Vec<Process>>,
    pub(crate) pings: BTreeMap<String, Result<Duration, HostError>>,
    pub(crate) answers: BTreeMap<String, Result<Response, HostError>>,
    pub(crate) acceptances: BTreeMap<String, Acceptance>,
}

impl Host {
    pub(crate) fn log(&self, level: Level, message: &str) {
        self.lines.borrow_mut().push((level, message.to_owned()));
    }

    pub(crate) fn logged(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().get(key).cloned()
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        let mut state = self.state.borrow_mut();
        let others: usize = state.iter().filter(|(k, _)| *k != key).map(|(k, v)| k.len() + v.len()).sum();
        let size = others + key.len() + value.len();
        if size > STATE_LIMIT_BYTES {
            return Err(format!("the state would be {size} bytes: at most {STATE_LIMIT_BYTES} are kept"));
        }
        state.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(crate) fn accepted(
        &self,
        _local: &str,
        peer: &str,
        _within: Duration,
    ) -> Result<Acceptance, HostError> {
        let known = self.granted.acceptances.get(peer).cloned();
        known.ok_or_else(|| HostError::new("elsewhere", "the test does not say whether it is accepted"))
    }

    pub(crate) fn remove(&self, key: &str) {
        self.state.borrow_mut().remove(key);
    }

    pub(crate) fn secret(&self, name: &str) -> Result<Vec<u8>, HostError> {
        self.granted.secrets.get(name).cloned().ok_or_else(|| {
            let wanted = format!("read the secret `{name}`");
            HostError::not_granted(&wanted, &format!("secrets = {{ {name} = \"FILE\" }}"))
        })
    }

    pub(crate) fn run_command(&self, order: CommandOrder) -> Result<CommandOutput, HostError> {
        let output = self.granted.commands.get(&order.name).cloned().ok_or_else(|| {
            let wanted = format!("run the command `{}`", order.name);
            HostError::not_granted(&wanted, &format!("commands = [\"{}\"]", order.name))
        });
        self.commands_run.borrow_mut().push(order);
        output
    }

    pub(crate) fn commands_run(&self) -> Vec<CommandOrder> {
        self.commands_run.borrow().clone()
    }

    pub(crate) fn processes(&self) -> Result<Vec<Process>, HostError> {
        let refused = || HostError::not_granted("see the module's processes", "processes = true");
        self.granted.processes.clone().ok_or_else(refused)
    }

    pub(crate) fn ping(&self, host: &str, within: Duration) -> Result<PingReply, HostError> {
        let round_trip = self.granted.pings.get(host).cloned().ok_or_else(|| {
            HostError::not_granted(&format!("ping {host}"), &format!("ping = [\"{host}\"]"))
        })??;
        if round_trip > within {
            return Err(HostError::new("no-answer", format!("no answer from {host} within {within:?}")));
        }
        Ok(PingReply { round_trip, address: host.to_owned() })
    }
    pub(crate) fn fetch(&self, request: &Request, _within: Duration) -> Result<Response, HostError> {
        self.granted.answers.get(&request.url).cloned().unwrap_or_else(|| {
            let asked = request.to_string();
            let value = asked.strip_prefix("GET ").unwrap_or(&asked);
            Err(HostError::not_granted(&asked, &format!("http = [\"{value}\"]")))
        })
    }
}
