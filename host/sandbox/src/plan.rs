//! Converts plans and requests for them between the core's types and the interface's.

use std::time::Duration;

use bellwether_core::id::{CheckerName, CommandName, NameError};
use bellwether_core::moment::{Moment, plain};
use bellwether_core::observation::Status;
use bellwether_core::plan::{
    Incident, MAX_STEP_TIME, MAX_STEPS, Occasion, OnFailure, PastObservation, Plan, Signal, Step, StepAction,
    StepFailure, Target,
};
use bellwether_core::text::one_line;
use bellwether_core::verdict::Verdict;

use super::bindings::{plan as wit, types};
use super::run::PlanRun;
use super::scrub::Scrubber;
use bellwether_os::clock::Clock;

/// One of the module's commands, as a restart script sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredCommand {
    pub name: CommandName,
    /// The long-running application itself.
    pub keep: bool,
    /// For a kept command: whether it is running.
    pub running: bool,
    /// Its time limit; for a kept command, the time limit of its exit.
    pub timeout: Duration,
}

/// Why a plan is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// It has more steps than a reader could follow.
    #[error("it has {0} steps; a plan has at most {MAX_STEPS}")]
    TooLong(usize),
    /// A step refers to an invalid name.
    #[error("step {step} names `{name}`: {error}")]
    BadName {
        /// The index of the step, from 0.
        step: usize,
        name: String,
        /// Why the name is invalid.
        error: NameError,
    },
    /// A step of a later version of the interface.
    #[error("step {step} is of the kind `{kind}`, which this version of Bellwether does not know")]
    UnknownStep {
        /// The index of the step, from 0.
        step: usize,
        kind: String,
    },
    /// A signal of a later version, or an invalid one.
    #[error("step {step} sends the signal `{name}`, which this version of Bellwether does not know")]
    UnknownSignal {
        /// The index of the step, from 0.
        step: usize,
        name: String,
    },
    /// A pause that would certainly exceed the time limit of its step.
    #[error("step {step} pauses for {}; a step takes at most {}", plain(*.pause), plain(MAX_STEP_TIME))]
    LongPause {
        /// The index of the step, from 0.
        step: usize,
        /// The length of the pause.
        pause: Duration,
    },
    /// The arguments are longer than the limit.
    #[error("step {step} adds too many or too long arguments; at most {MAX_ARGUMENTS} bytes are allowed")]
    LongArguments {
        /// The index of the step, from 0.
        step: usize,
    },
    /// Plans are recorded and shown, and so are the arguments of processes.
    #[error(
        "step {step} adds an argument with a secret in it, which all users could read; a command reads its \
         secrets itself"
    )]
    Secret {
        /// The index of the step, from 0.
        step: usize,
    },
    /// A program would see the argument end at the zero byte (execve(2)).
    #[error("step {step} adds an argument that holds a zero byte")]
    ZeroByte {
        /// The index of the step, from 0.
        step: usize,
    },
}

/// The limit of all arguments that one step adds, in bytes.
const MAX_ARGUMENTS: usize = 16 << 10;
/// The kind of step for a signal that the interface's `signal` does not have.
const SIGNAL: &str = "signal";
const MAX_SUMMARY: usize = 200;

/// The request in the guest's types.
pub(super) fn request(run: PlanRun) -> wit::PlanRequest {
    let PlanRun { node, module, config, request, commands, clock, .. } = run;
    let history = request.history;
    wit::PlanRequest {
        node: node.into(),
        module: module.into(),
        config: config.as_ref().to_owned(),
        occasion: match request.occasion {
            Occasion::Start => wit::Occasion::Start,
            Occasion::Stop => wit::Occasion::Stop,
            Occasion::ForcedStop(failed) => wit::Occasion::ForcedStop(failed.map(step_failure)),
            Occasion::Restart => wit::Occasion::Restart,
            Occasion::Incident(incident) => wit::Occasion::Incident(told(incident, history, clock)),
        },
        commands: commands.into_iter().map(declared).collect(),
        restarts: request.restarts,
        restarts_allowed: request.restarts_allowed,
        attributes: Vec::new(),
    }
}

/// Converts the guest's plan, if it is valid, and removes secrets.
pub(super) fn read(plan: wit::MadePlan, scrubber: &Scrubber) -> Result<Plan, PlanRefusal> {
    if plan.steps.len() > MAX_STEPS {
        return Err(PlanRefusal::TooLong(plan.steps.len()));
    }
    let tells = |step: &wit::Step| match &step.action {
        wit::StepAction::Run(run) => run.arguments.iter().any(|argument| scrubber.finds_in(argument)),
        _ => false,
    };
    if let Some(step) = plan.steps.iter().position(tells) {
        return Err(PlanRefusal::Secret { step });
    }
    let steps = plan.steps.into_iter().enumerate().map(|(n, step)| read_step(n, step));
    Ok(Plan {
        steps: steps.collect::<Result<_, _>>()?,
        summary: one_line(&scrubber.scrub(&plan.summary), MAX_SUMMARY),
    })
}

fn step_failure(failure: StepFailure) -> wit::StepFailure {
    let step = u32::try_from(failure.step).unwrap_or(u32::MAX);
    wit::StepFailure { plan: failure.plan, step, reason: failure.reason }
}

fn told(incident: Incident, history: Vec<Incident>, clock: Clock) -> wit::Incident {
    wit::Incident {
        checker: incident.checker.into(),
        summary: incident.summary,
        observations: incident.observations.into_iter().map(|past| past_observation(past, clock)).collect(),
        history: history.into_iter().map(|past| past_incident(past, clock)).collect(),
    }
}

fn past_observation(past: PastObservation, clock: Clock) -> wit::PastObservation {
    let status = match past.status {
        Status::Pass => types::Status::Pass,
        Status::Warn => types::Status::Warn,
        Status::Fail => types::Status::Fail,
        Status::Unknown => types::Status::Unknown,
    };
    wit::PastObservation { at_ms: wall_ms(past.at, clock), status, summary: past.summary }
}

fn past_incident(past: Incident, clock: Clock) -> wit::PastIncident {
    wit::PastIncident { at_ms: wall_ms(past.at, clock), checker: past.checker.into(), summary: past.summary }
}

fn wall_ms(moment: Moment, clock: Clock) -> u64 {
    u64::try_from(clock.wall_micros(moment) / 1000).unwrap_or(0)
}

fn declared(command: DeclaredCommand) -> wit::DeclaredCommand {
    wit::DeclaredCommand {
        name: command.name.into(),
        keep: command.keep,
        running: command.running,
        timeout_ms: u64::try_from(command.timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

fn read_step(n: usize, step: wit::Step) -> Result<Step, PlanRefusal> {
    Ok(Step {
        action: read_action(n, step.action)?,
        timeout: Duration::from_millis(step.timeout_ms).min(MAX_STEP_TIME),
        on_failure: match step.on_failure {
            wit::OnFailure::Fail => OnFailure::Fail,
            wit::OnFailure::GoOn => OnFailure::GoOn,
            wit::OnFailure::ForceStop => OnFailure::ForceStop,
        },
    })
}

fn read_action(n: usize, action: wit::StepAction) -> Result<StepAction, PlanRefusal> {
    Ok(match action {
        wit::StepAction::Run(run) => {
            StepAction::Run { command: command(n, &run.command)?, arguments: arguments(n, run.arguments)? }
        }
        wit::StepAction::Keep(name) => StepAction::Keep(command(n, &name)?),
        wit::StepAction::Signal(step) => StepAction::Signal(target(n, step.target)?, signal(step.signal)),
        wit::StepAction::AwaitExit(of) => StepAction::AwaitExit(target(n, of)?),
        wit::StepAction::AwaitChecker(step) => {
            let verdict = match step.verdict {
                wit::Verdict::Up => Verdict::Up,
                wit::Verdict::Down => Verdict::Down,
            };
            StepAction::AwaitChecker(checker(n, &step.checker)?, verdict)
        }
        wit::StepAction::Pause(ms) => {
            let pause = Duration::from_millis(ms);
            if pause > MAX_STEP_TIME {
                return Err(PlanRefusal::LongPause { step: n, pause });
            }
            StepAction::Pause(pause)
        }
        wit::StepAction::Other(other) => read_other(n, &other)?,
    })
}

/// An attribute, for what the interface has no field for.
fn read_other(n: usize, other: &wit::OtherStep) -> Result<StepAction, PlanRefusal> {
    if other.kind != SIGNAL {
        return Err(PlanRefusal::UnknownStep { step: n, kind: one_line(&other.kind, 100) });
    }
    let attribute = |name: &str| other.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let name = attribute("signal").map_or("", String::as_str);
    let signal = Signal::named(name)
        .ok_or_else(|| PlanRefusal::UnknownSignal { step: n, name: one_line(name, 100) })?;
    let target = match (attribute("command"), attribute("checker")) {
        (None, Some(name)) => Target::Checker(checker(n, name)?),
        (name, _) => Target::Command(command(n, name.map_or("", String::as_str))?),
    };
    Ok(StepAction::Signal(target, signal))
}

fn target(n: usize, target: wit::Target) -> Result<Target, PlanRefusal> {
    Ok(match target {
        wit::Target::Command(name) => Target::Command(command(n, &name)?),
        wit::Target::Checker(name) => Target::Checker(checker(n, &name)?),
    })
}

fn signal(signal: wit::Signal) -> Signal {
    match signal {
        wit::Signal::Hup => Signal::Hup,
        wit::Signal::Int => Signal::Int,
        wit::Signal::Quit => Signal::Quit,
        wit::Signal::Kill => Signal::Kill,
        wit::Signal::Usr1 => Signal::Usr1,
        wit::Signal::Usr2 => Signal::Usr2,
        wit::Signal::Term => Signal::Term,
    }
}

fn command(n: usize, name: &str) -> Result<CommandName, PlanRefusal> {
    CommandName::new(name).map_err(|error| bad_name(n, name, error))
}

fn checker(n: usize, name: &str) -> Result<CheckerName, PlanRefusal> {
    CheckerName::new(name).map_err(|error| bad_name(n, name, error))
}

fn bad_name(step: usize, name: &str, error: NameError) -> PlanRefusal {
    PlanRefusal::BadName { step, name: one_line(name, 100), error }
}

fn arguments(n: usize, arguments: Vec<String>) -> Result<Vec<String>, PlanRefusal> {
    let total: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
    if total > MAX_ARGUMENTS {
        return Err(PlanRefusal::LongArguments { step: n });
    }
    if arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(PlanRefusal::ZeroByte { step: n });
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: wit::StepAction) -> wit::Step {
        wit::Step { action, timeout_ms: 5_000, on_failure: wit::OnFailure::GoOn }
    }

    fn plan(steps: Vec<wit::Step>) -> wit::MadePlan {
        wit::MadePlan { summary: "stop\nweb".to_owned(), steps, attributes: Vec::new() }
    }

    #[test]
    fn a_plan_is_read_step_by_step() {
        let long = wit::Step { timeout_ms: u64::MAX, ..step(wit::StepAction::Keep("start".to_owned())) };
        let signal =
            wit::SignalStep { target: wit::Target::Command("start".to_owned()), signal: wit::Signal::Term };
        let steps = vec![step(wit::StepAction::Signal(signal)), long];
        let read = read(plan(steps), &Scrubber::default()).unwrap();
        assert_eq!(read.summary, "stop web");
        let name = CommandName::new("start").unwrap();
        assert_eq!(read.steps[0].action, StepAction::Signal(Target::Command(name), Signal::Term));
        assert_eq!(read.steps[0].timeout, Duration::from_secs(5));
        assert_eq!(read.steps[0].on_failure, OnFailure::GoOn);
        assert_eq!(read.steps[1].timeout, MAX_STEP_TIME);
    }

    #[test]
    fn a_signal_that_the_interface_has_no_word_for_is_one_of_another_kind_of_step() {
        let other = |attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let other = wit::OtherStep { kind: "signal".to_owned(), attributes: attributes.collect() };
            read(plan(vec![step(wit::StepAction::Other(other))]), &Scrubber::default())
        };
        let start = Target::Command(CommandName::new("start").unwrap());
        for signal in Signal::ALL {
            let made = other(&[("later", "x"), ("command", "start"), ("signal", signal.name())]).unwrap();
            assert_eq!(made.steps[0].action, StepAction::Signal(start.clone(), signal));
        }
        let page = Target::Checker(CheckerName::new("page").unwrap());
        let made = other(&[("signal", "winch"), ("checker", "page")]).unwrap();
        assert_eq!(made.steps[0].action, StepAction::Signal(page, Signal::Winch));
        for (attributes, reason) in [
            (&[("command", "start"), ("signal", "rtmin")][..], "step 0 sends the signal `rtmin`, which this"),
            (&[("command", "start")], "step 0 sends the signal ``"),
            (&[("signal", "winch")], "step 0 names ``"),
            (&[("signal", "winch"), ("command", "../x")], "step 0 names `../x`"),
        ] {
            let refusal = other(attributes).unwrap_err().to_string();
            assert!(refusal.starts_with(reason), "{refusal}");
        }
    }

    #[test]
    fn a_plan_that_cannot_be_carried_out_is_refused_with_the_reason() {
        let other = wit::OtherStep { kind: "reboot".to_owned(), attributes: Vec::new() };
        let mut scrubber = Scrubber::default();
        scrubber.add(b"hunter2");
        let run = |argument: String| wit::RunStep { command: "stop".to_owned(), arguments: vec![argument] };
        for (action, reason) in [
            (wit::StepAction::Keep("../x".to_owned()), "step 0 names `../x`: `.` does not belong in a name"),
            (wit::StepAction::Other(other), "step 0 is of the kind `reboot`, which this version"),
            (wit::StepAction::Pause(3_600_001), "step 0 pauses for 1h; a step takes at most 1h"),
            (wit::StepAction::Run(run("x".repeat(MAX_ARGUMENTS))), "step 0 adds too many or too long"),
            (wit::StepAction::Run(run("a\0b".to_owned())), "step 0 adds an argument that holds a zero"),
            (
                wit::StepAction::Run(run("-phunter2".to_owned())),
                "step 0 adds an argument with a secret in it",
            ),
        ] {
            let refusal = read(plan(vec![step(action)]), &scrubber).unwrap_err().to_string();
            assert!(refusal.starts_with(reason), "{refusal}");
        }
        let many = vec![step(wit::StepAction::Pause(1)); MAX_STEPS + 1];
        assert_eq!(read(plan(many), &scrubber), Err(PlanRefusal::TooLong(65)));
    }
}
