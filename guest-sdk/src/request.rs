//! The request to a restart script.

use std::time::{Duration, SystemTime};

use crate::command::Command;
#[cfg(not(target_arch = "wasm32"))]
use crate::command::{CommandOrder, CommandOutput};
use crate::granted::HostError;
use crate::host::{Host, Level};
use crate::observation::Status;
use crate::ping::PingReply;
use crate::process::Process;
use crate::run::secret_text;
use crate::state::State;

/// One of the module's commands, as the operator declared it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredCommand {
    /// Its name in `[commands]`.
    pub name: String,
    /// The long-running application itself, which the host keeps.
    pub keep: bool,
    /// For a kept command: whether it is running.
    pub running: bool,
    /// Its time limit. For a kept command, the time limit of its exit.
    pub timeout: Duration,
}

/// One earlier run of the checker in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastObservation {
    /// When the run ended.
    pub at: SystemTime,
    /// The status of the run's observation.
    pub status: Status,
    /// The summary of the run's observation.
    pub summary: String,
}

/// An earlier incident of this module, within the restart budget's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastIncident {
    /// When the checker went down.
    pub at: SystemTime,
    /// The name of the checker that went down.
    pub checker: String,
    /// The reason, in one sentence.
    pub summary: String,
}

/// A checker that went down, and the runs that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The name of the checker that went down.
    pub checker: String,
    /// The reason, in one sentence.
    pub summary: String,
    /// The checker's last runs, the latest last.
    pub observations: Vec<PastObservation>,
    /// Earlier incidents, the latest last.
    pub history: Vec<PastIncident>,
}

/// A step that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// The summary of the step's plan.
    pub plan: String,
    /// The index of the step, from 0.
    pub step: u32,
    /// Why the step failed, in words.
    pub reason: String,
}

/// Why a plan is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// The application should start.
    Start,
    /// The application should stop.
    Stop,
    /// A stop failed or took too long: end the application for certain. With
    /// the step that failed, if one did.
    ForcedStop(Option<StepFailure>),
    /// The application should be restarted, because a user requested it or because the cause of a stop is over.
    Restart,
    /// A checker went down: restore the service. After the plan has completed successfully, the host waits for the
    /// checkers to come up.
    Incident(Incident),
}

/// The request to a restart script.
#[derive(Debug)]
pub struct PlanRequest {
    /// The node this runs on.
    pub node: String,
    /// The module to make a plan for.
    pub module: String,
    /// Why a plan is requested.
    pub occasion: Occasion,
    /// The commands that the operator declared.
    pub commands: Vec<DeclaredCommand>,
    /// Automatic restarts within the budget's window, including this one.
    pub restarts: u32,
    /// The number of restarts that the operator allows.
    pub restarts_allowed: u32,
    /// Further information from the host, by name. Ignore unknown names.
    pub attributes: Vec<(String, String)>,
    pub(crate) host: Host,
}

impl PlanRequest {
    /// A declared command by its name.
    pub fn command(&self, name: &str) -> Option<&DeclaredCommand> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// The commands that the host keeps, in the host's order.
    pub fn kept(&self) -> impl Iterator<Item = &DeclaredCommand> {
        self.commands.iter().filter(|command| command.keep)
    }

    /// The small store that survives from plan to plan and across reloads.
    pub fn state(&self) -> State<'_> {
        State::new(&self.host)
    }

    /// A secret that the operator has granted under this name, as text, without one line end at its end. The host
    /// replaces it by `***` in all other output of the plan.
    pub fn secret(&self, name: &str) -> Result<String, HostError> {
        secret_text(name, self.host.secret(name)?)
    }

    /// The same, with exactly the bytes of the file.
    pub fn secret_bytes(&self, name: &str) -> Result<Vec<u8>, HostError> {
        self.host.secret(name)
    }

    /// A command that the module declares and the operator has granted, to be run now and not as a step of the
    /// plan: to examine the problem.
    pub fn run_command(&self, name: &str) -> Command<'_> {
        Command::new(&self.host, name)
    }

    /// The running processes of the module, if the operator has granted that: its kept commands with everything
    /// they have started, and those that its process checkers find.
    pub fn processes(&self) -> Result<Vec<Process>, HostError> {
        self.host.processes()
    }

    /// Pings a host with this time limit, if the operator has granted that.
    pub fn ping(&self, host: &str, within: Duration) -> Result<PingReply, HostError> {
        self.host.ping(host, within)
    }

    /// Logs a message for the restart script's author.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.host.log(Level::Debug, message.as_ref());
    }

    /// Logs a message for information.
    pub fn info(&self, message: impl AsRef<str>) {
        self.host.log(Level::Info, message.as_ref());
    }

    /// Logs a warning that needs attention.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.host.log(Level::Warn, message.as_ref());
    }

    /// Logs that the restart script cannot do its work.
    pub fn error(&self, message: impl AsRef<str>) {
        self.host.log(Level::Error, message.as_ref());
    }
}

/// Constructors and inspection for native tests.
#[cfg(not(target_arch = "wasm32"))]
impl PlanRequest {
    /// A first request for a module without commands. The fields are public: set those that matter.
    pub fn for_test(occasion: Occasion) -> Self {
        Self {
            node: "node".into(),
            module: "module".into(),
            occasion,
            commands: Vec::new(),
            restarts: 1,
            restarts_allowed: 3,
            attributes: Vec::new(),
            host: Host::default(),
        }
    }

    /// The same with one more command.
    #[must_use]
    pub fn with_command(mut self, command: DeclaredCommand) -> Self {
        self.commands.push(command);
        self
    }

    /// Grants a secret to the request.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.host.granted.secrets.insert(name.into(), value.into());
        self
    }

    /// Grants a command, which always has this result.
    #[must_use]
    pub fn with_command_output(mut self, name: impl Into<String>, output: CommandOutput) -> Self {
        self.host.granted.commands.insert(name.into(), output);
        self
    }

    /// Grants the facts about processes, which are these.
    #[must_use]
    pub fn with_processes(mut self, processes: Vec<Process>) -> Self {
        self.host.granted.processes = Some(processes);
        self
    }

    /// Grants a ping of a host, which answers after this time.
    #[must_use]
    pub fn with_ping(mut self, host: impl Into<String>, round_trip: Duration) -> Self {
        self.host.granted.pings.insert(host.into(), Ok(round_trip));
        self
    }

    /// The commands that were run so far.
    pub fn commands_run(&self) -> Vec<CommandOrder> {
        self.host.commands_run()
    }

    /// The log lines so far.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.host.logged()
    }
}
