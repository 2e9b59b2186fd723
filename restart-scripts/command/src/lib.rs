//! The standard restart script: starts, stops and restarts an application with
//! the commands that its module file declares.
//!
//! | declared | what it is |
//! |---|---|
//! | any command with `keep = true` | the application itself: kept running by the host |
//! | `before-start` | run to completion before anything is started; if it fails, the start has failed |
//! | `start` without `keep` | run to completion to start an application that daemonizes |
//! | `stop` | run to stop; without it kept commands get a signal, or several with a wait behind each |
//! | `forced-stop` | run before kept commands are killed |
//!
//! ```text
//!  start        run `before-start`, run `start`, keep each kept command
//!  stop         run `stop`, or signal what runs; wait until what runs has ended; the next signal if it has not
//!  forced stop  run `forced-stop`, kill what is kept, wait until it is gone
//!  restart,     the stop, forced where it does not work, and then the start;
//!  incident     of a kept application that is already dead only the start
//! ```

use std::time::Duration;

use bellwether_guest::prelude::*;

use self::stop::Stage;

mod stop;

/// A separate program is running as soon as it has been started.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Sending a signal does not wait.
const SIGNAL_TIMEOUT: Duration = Duration::from_secs(1);
/// A process that SIGKILL does not end within this time hangs in the kernel.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings in `[restart] config`.
#[bellwether_guest::config]
#[derive(Debug, Default)]
pub struct Config {
    /// The signal that asks a kept command to exit, if no `stop` is declared. Default: `term`.
    #[serde(default)]
    stop_signal: Option<Signal>,
    /// Signals that ask kept commands to exit, one after the other, each with a time to exit:
    /// `[{ signal = "int", wait = "20s" }, { signal = "quit" }]`. After the last one they are killed. This
    /// replaces `stop-signal`; if a command `stop` is declared, it is run first.
    #[serde(default)]
    #[schemars(length(min = 1, max = 5))]
    stop: Option<Vec<Stage>>,
}

impl Config {
    fn series(&self) -> Vec<Stage> {
        let signal = self.stop_signal.unwrap_or(Signal::Term);
        self.stop.clone().unwrap_or_else(|| vec![Stage { signal, wait: None }])
    }
}

/// Starts, stops and restarts the application with the module's declared commands.
#[bellwether_guest::restart_script]
pub fn plan(config: Config, request: &PlanRequest) -> Result<Plan, String> {
    let application = Application::of(request)?;
    let module = &request.module;
    let made = match &request.occasion {
        Occasion::Start => Plan::new(format!("start {module}")).then_all(application.start()),
        Occasion::Stop => match application.stop(&config)? {
            steps if steps.is_empty() => Plan::new("nothing to stop"),
            steps => Plan::new(format!("stop {module}")).then_all(steps),
        },
        Occasion::ForcedStop(_) => {
            Plan::new(format!("force {module} to stop")).then_all(application.forced_stop()?)
        }
        Occasion::Restart | Occasion::Incident(_) => {
            let stop = application.stop(&config)?.into_iter().map(forced_if_it_fails);
            Plan::new(format!("restart {module}")).then_all(stop).then_all(application.start())
        }
    };
    Ok(made)
}

/// The module's commands by their purpose.
struct Application<'a> {
    module: &'a str,
    kept: Vec<&'a DeclaredCommand>,
    before_start: Option<&'a DeclaredCommand>,
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
            before_start: once("before-start"),
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
        let once = self.before_start.into_iter().chain(self.start);
        let once = once.map(|command| Step::run(&command.name).timeout(command.timeout));
        let kept = self.kept.iter().map(|command| Step::keep(&command.name).timeout(START_TIMEOUT));
        once.chain(kept).collect()
    }

    /// No steps: nothing is running that could be stopped.
    fn stop(&self, config: &Config) -> Result<Vec<Step>, String> {
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
        // The step that asks for the exit, and its time limit.
        let mut parts: Vec<(Vec<Step>, Option<Duration>)> = Vec::new();
        parts.extend(self.stop.map(|stop| (vec![Step::run(&stop.name).timeout(stop.timeout)], None)));
        // Signals can be sent only to kept commands; an application that `stop` ends needs none unless the file
        // says so.
        if self.stop.is_none() || (config.stop.is_some() && !running.is_empty()) {
            parts.extend(config.series().iter().map(|stage| {
                let ask = running.iter().map(|command| ask_to_end(command, stage.signal)).collect();
                (ask, stage.wait.map(|wait| wait.0))
            }));
        }
        let last = parts.len().saturating_sub(1);
        let steps = parts.into_iter().enumerate().flat_map(|(index, (ask, wait))| {
            let gone = running.iter().map(move |command| {
                Step::await_exit(Target::command(&command.name)).timeout(wait.unwrap_or(command.timeout))
            });
            // Processes that do not exit after one signal get the next.
            let goes_on = move |step: Step| if index < last { step.or_go_on() } else { step };
            ask.into_iter().chain(gone).map(goes_on)
        });
        Ok(steps.collect())
    }

    /// Every kept command is killed, even one whose own process has ended: processes that it started may remain.
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

/// Steps that may fail do not end the plan.
fn forced_if_it_fails(step: Step) -> Step {
    if step.on_failure == OnFailure::Fail { step.or_force_stop() } else { step }
}

fn ask_to_end(command: &DeclaredCommand, signal: Signal) -> Step {
    Step::signal(Target::command(&command.name), signal).timeout(SIGNAL_TIMEOUT)
}

#[cfg(test)]
mod tests;
