//! What a restart script is told.

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
    /// For a kept command: it runs now.
    pub running: bool,
    /// How long it may take. For a kept command, how long its end may take.
    pub timeout: Duration,
}

/// One earlier run of the checker in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastObservation {
    /// When it ended.
    pub at: SystemTime,
    /// What it saw.
    pub status: Status,
    /// Its reason.
    pub summary: String,
}

/// An earlier incident of this module, within the restart budget's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastIncident {
    /// When the verdict turned.
    pub at: SystemTime,
    /// Whose verdict.
    pub checker: String,
    /// The reason, in one sentence.
    pub summary: String,
}

/// A verdict that turned down, with what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Whose verdict.
    pub checker: String,
    /// The reason, in one sentence.
    pub summary: String,
    /// The checker's last runs, the latest last.
    pub observations: Vec<PastObservation>,
    /// Earlier incidents, the latest last.
    pub history: Vec<PastIncident>,
}

/// A step that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// The plan's summary.
    pub plan: String,
    /// Which step, from 0.
    pub step: u32,
    /// What went wrong.
    pub reason: String,
}

/// Why a plan is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// The application should start.
    Start,
    /// The application should stop.
    Stop,
    /// A stop failed or took too long: end the application for certain. With
    /// the step that failed, if one did.
    ForcedStop(Option<StepFailure>),
    /// The application should be restarted, because a person said so or
    /// because something that it was stopped for is over.
    Restart,
    /// A checker went down: mend it. When the plan has ended well, the host
    /// waits for the checkers to come up.
    Incident(Incident),
}

/// What a restart script is told.
#[derive(Debug)]
pub struct PlanRequest {
    /// The node this runs on.
    pub node: String,
    /// The module to make a plan for.
    pub module: String,
    /// Why a plan is wanted.
    pub occasion: Occasion,
    /// What the operator declared.
    pub commands: Vec<DeclaredCommand>,
    /// Automatic restarts within the budget's window, this one included.
    pub restarts: u32,
    /// How many the operator allows.
    pub restarts_allowed: u32,
    /// What else the host says, by name. Ignore names you do not know.
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

    /// A secret that the operator has granted under this name, as text, without one line end at
    /// its end. Whatever else is said with the plan, the host replaces it by `***`.
    pub fn secret(&self, name: &str) -> Result<String, HostError> {
        secret_text(name, self.host.secret(name)?)
    }

    /// The same as the file has it, byte by byte.
    pub fn secret_bytes(&self, name: &str) -> Result<Vec<u8>, HostError> {
        self.host.secret(name)
    }

    /// A command that the module declares and the operator has granted, to be run now and not as
    /// a step of the plan: for a look at what there is to mend.
    pub fn run_command(&self, name: &str) -> Command<'_> {
        Command::new(&self.host, name)
    }

    /// The living processes of the module, if the operator has granted that: its kept commands
    /// with all they have started, and those that its process checkers find.
    pub fn processes(&self) -> Result<Vec<Process>, HostError> {
        self.host.processes()
    }

    /// Whether a host answers within so long, if the operator has granted that.
    pub fn ping(&self, host: &str, within: Duration) -> Result<PingReply, HostError> {
        self.host.ping(host, within)
    }

    /// Says something for the restart script's author.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.host.log(Level::Debug, message.as_ref());
    }

    /// Says something for whoever looks.
    pub fn info(&self, message: impl AsRef<str>) {
        self.host.log(Level::Info, message.as_ref());
    }

    /// Says something that somebody should look at.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.host.log(Level::Warn, message.as_ref());
    }

    /// Says that the restart script cannot do its work.
    pub fn error(&self, message: impl AsRef<str>) {
        self.host.log(Level::Error, message.as_ref());
    }
}

/// For native tests.
#[cfg(not(target_arch = "wasm32"))]
impl PlanRequest {
    /// A first request for a module without commands. The fields are public: fill in what matters.
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

    /// The same with a secret granted.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.host.granted.secrets.insert(name.into(), value.into());
        self
    }

    /// The same with a command granted, which always ends like this.
    #[must_use]
    pub fn with_command_output(mut self, name: impl Into<String>, output: CommandOutput) -> Self {
        self.host.granted.commands.insert(name.into(), output);
        self
    }

    /// The same with facts about processes granted, which are these.
    #[must_use]
    pub fn with_processes(mut self, processes: Vec<Process>) -> Self {
        self.host.granted.processes = Some(processes);
        self
    }

    /// The same with a host that may be asked, and answers after so long.
    #[must_use]
    pub fn with_ping(mut self, host: impl Into<String>, round_trip: Duration) -> Self {
        self.host.granted.pings.insert(host.into(), Ok(round_trip));
        self
    }

    /// The commands that were run so far.
    pub fn commands_run(&self) -> Vec<CommandOrder> {
        self.host.commands_run()
    }

    /// What was said so far.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.host.logged()
    }
}
