//! The standard restart script: starts, stops and restarts an application by
//! the commands that its module file declares.
//!
//! | declared | what it is |
//! |---|---|
//! | any command with `keep = true` | the application itself: kept running by the host |
//! | `start` without `keep` | run to its end to start an application that goes into the background |
//! | `stop` | run to stop; without it kept commands get a signal |
//! | `forced-stop` | run before kept commands are killed |
//!
//! ```text
//!  start        run `start`, keep each kept command
//!  stop         run `stop`, or signal what runs; wait until what runs has ended
//!  forced stop  run `forced-stop`, kill what is kept, wait until it is gone
//!  restart,     the stop, forced where it does not work, and then the start;
//!  incident     of a kept application that is already dead only the start
//! ```

use std::time::Duration;

use bellwether_guest::prelude::*;

/// A program of its own is there as soon as it has been started.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Sending a signal waits for nobody.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(1);
/// What SIGKILL does not end within this is stuck in the kernel.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// `[restart] config`
#[bellwether_guest::config]
#[derive(Debug, Default)]
pub struct Config {
    /// What asks a kept command to end, where no `stop` is declared: `term` unless it says otherwise.
    #[serde(default)]
    stop_signal: Option<Signal>,
}

/// Starts, stops and restarts the application by the module's declared commands.
#[bellwether_guest::restart_script]
pub fn plan(config: Config, request: &PlanRequest) -> Result<Plan, String> {
    let signal = config.stop_signal.unwrap_or(Signal::Term);
    let application = Application::of(request)?;
    let module = &request.module;
    let made = match &request.occasion {
        Occasion::Start => Plan::new(format!("start {module}")).then_all(application.start()),
        Occasion::Stop => match application.stop(signal)? {
            steps if steps.is_empty() => Plan::new("nothing to stop"),
            steps => Plan::new(format!("stop {module}")).then_all(steps),
        },
        Occasion::ForcedStop(_) => {
            Plan::new(format!("force {module} to stop")).then_all(application.forced_stop()?)
        }
        Occasion::Restart | Occasion::Incident(_) => {
            let stop = application.stop(signal)?.into_iter().map(Step::or_force_stop);
            Plan::new(format!("restart {module}")).then_all(stop).then_all(application.start())
        }
    };
    Ok(made)
}

/// The module's commands by what they are for.
struct Application<'a> {
    module: &'a str,
    kept: Vec<&'a DeclaredCommand>,
    start: Option<&'a DeclaredCommand>,
    stop: Option<&'a DeclaredCommand>,
    forced_stop: Option<&'a DeclaredCommand>,
}

impl<'a> Application<'a> {
    fn of(request: &'a PlanRequest) -> Result<Self, String> {
        let once = |name| request.command(name).filter(|command| !command.keep);
        let application = Self {
            module: &request.module,
            kept: request.kept().collect(),
            start: once("start"),
            stop: once("stop"),
            forced_stop: once("forced-stop"),
        };
        if application.kept.is_empty() && application.start.is_none() {
            return Err(format!(
                "module `{}` declares nothing to start: add a command with `keep = true`, or one named `start`, \
                 to its [commands]",
                request.module
            ));
        }
        Ok(application)
    }

    fn start(&self) -> Vec<Step> {
        let once = self.start.map(|start| Step::run(&start.name).timeout(start.timeout));
        let kept = self.kept.iter().map(|command| Step::keep(&command.name).timeout(START_TIMEOUT));
        once.into_iter().chain(kept).collect()
    }

    /// No steps: what there is to stop does not run.
    fn stop(&self, signal: Signal) -> Result<Vec<Step>, String> {
        // Whether an application in the background runs, only its own `stop` can tell.
        if self.start.is_some() && self.stop.is_none() {
            return Err(format!(
                "module `{}` declares how to start into the background, and not how to stop: add a command \
                 named `stop` to its [commands]",
                self.module
            ));
        }
        let running: Vec<_> = self.kept.iter().filter(|command| command.running).collect();
        if running.is_empty() && self.start.is_none() {
            return Ok(Vec::new());
        }
        let ask = match self.stop {
            Some(stop) => vec![Step::run(&stop.name).timeout(stop.timeout)],
            None => running.iter().map(|command| ask_to_end(command, signal)).collect(),
        };
        let gone = running
            .iter()
            .map(|command| Step::await_exit(Target::command(&command.name)).timeout(command.timeout));
        Ok(ask.into_iter().chain(gone).collect())
    }

    /// Every kept command is killed, also one whose own process has ended: what
    /// it started may be left.
    fn forced_stop(&self) -> Result<Vec<Step>, String> {
        if self.kept.is_empty() && self.forced_stop.is_none() {
            return Err(format!(
                "module `{}` keeps no command that could be killed: add a command named `forced-stop` to its \
                 [commands]",
                self.module
            ));
        }
        let once =
            self.forced_stop.map(|command| Step::run(&command.name).timeout(command.timeout).or_go_on());
        let kill = self.kept.iter().map(|command| ask_to_end(command, Signal::Kill).or_go_on());
        let gone = self
            .kept
            .iter()
            .map(|command| Step::await_exit(Target::command(&command.name)).timeout(KILL_TIMEOUT));
        Ok(once.into_iter().chain(kill).chain(gone).collect())
    }
}

fn ask_to_end(command: &DeclaredCommand, signal: Signal) -> Step {
    Step::signal(Target::command(&command.name), signal).timeout(SIGNAL_TIMEOUT)
}

#[cfg(test)]
mod tests;
