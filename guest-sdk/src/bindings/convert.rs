//! Conversions between the types of the interface and those for authors.

use std::time::{Duration, SystemTime};

use super::checker::exports::bellwether::guest::check;
use super::component::bellwether::guest::types;
use super::component::exports::bellwether::guest::describe;
use super::restart_script::exports::bellwether::guest::plan;
use crate::component::{Checker, Component, RestartScript};
use crate::host::Host;
use crate::{
    DeclaredCommand, Incident, Observation, Occasion, OnFailure, PastIncident, PastObservation, Plan,
    PlanRequest, Run, Signal, Status, Step, StepAction, StepFailure, Target, Verdict, config_schema,
    parse_config,
};

impl<T: Component> describe::Guest for T {
    fn describe() -> types::About {
        about::<T>()
    }
}

impl<T: Checker> check::Guest for T {
    fn check(request: check::CheckRequest) -> types::Observation {
        let run = Run {
            node: request.node,
            module: request.module,
            checker: request.checker,
            number: request.run,
            attributes: request.attributes,
            ..Run::begin(Duration::from_millis(request.time_limit_ms.into()))
        };
        observation(match parse_config(&request.config) {
            Ok(config) => T::check(config, &run),
            Err(reason) => Observation::unknown(reason),
        })
    }
}

impl<T: RestartScript> plan::Guest for T {
    fn plan(request: plan::PlanRequest) -> Result<plan::MadePlan, String> {
        let config = parse_config(&request.config)?;
        T::plan(config, &plan_request(request)).map(made_plan)
    }
}

fn about<T: Component>() -> types::About {
    let manifest = T::MANIFEST;
    let grant = |(kind, value, reason): &(&str, &str, &str)| types::GrantRequest {
        kind: (*kind).into(),
        value: (*value).into(),
        reason: (*reason).into(),
    };
    types::About {
        name: manifest.name.into(),
        version: manifest.version.into(),
        summary: manifest.summary.into(),
        config_schema: config_schema::<T::Config>(),
        grants: manifest.grants.iter().map(grant).collect(),
        attributes: vec![("sdk".into(), concat!("rust ", env!("CARGO_PKG_VERSION")).into())],
    }
}

fn observation(seen: Observation) -> types::Observation {
    types::Observation {
        status: match seen.status {
            Status::Pass => types::Status::Pass,
            Status::Warn => types::Status::Warn,
            Status::Fail => types::Status::Fail,
            Status::Unknown => types::Status::Unknown,
        },
        summary: seen.summary,
        measurements: seen
            .measurements
            .into_iter()
            .map(|m| types::Measurement { name: m.name, value: m.value, unit: m.unit })
            .collect(),
        attributes: seen.attributes,
    }
}

fn plan_request(request: plan::PlanRequest) -> PlanRequest {
    let command = |c: plan::DeclaredCommand| DeclaredCommand {
        name: c.name,
        keep: c.keep,
        running: c.running,
        timeout: Duration::from_millis(c.timeout_ms),
    };
    PlanRequest {
        node: request.node,
        module: request.module,
        occasion: occasion(request.occasion),
        commands: request.commands.into_iter().map(command).collect(),
        restarts: request.restarts,
        restarts_allowed: request.restarts_allowed,
        attributes: request.attributes,
        host: Host::default(),
    }
}

fn occasion(occasion: plan::Occasion) -> Occasion {
    match occasion {
        plan::Occasion::Start => Occasion::Start,
        plan::Occasion::Stop => Occasion::Stop,
        plan::Occasion::ForcedStop(failure) => Occasion::ForcedStop(failure.map(|f| StepFailure {
            plan: f.plan,
            step: f.step,
            reason: f.reason,
        })),
        plan::Occasion::Restart => Occasion::Restart,
        plan::Occasion::Incident(i) => Occasion::Incident(incident(i)),
    }
}

fn incident(incident: plan::Incident) -> Incident {
    let observation = |o: plan::PastObservation| PastObservation {
        at: moment(o.at_ms),
        status: match o.status {
            types::Status::Pass => Status::Pass,
            types::Status::Warn => Status::Warn,
            types::Status::Fail => Status::Fail,
            types::Status::Unknown => Status::Unknown,
        },
        summary: o.summary,
    };
    let past =
        |i: plan::PastIncident| PastIncident { at: moment(i.at_ms), checker: i.checker, summary: i.summary };
    Incident {
        checker: incident.checker,
        summary: incident.summary,
        observations: incident.observations.into_iter().map(observation).collect(),
        history: incident.history.into_iter().map(past).collect(),
    }
}

/// A moment that the clock cannot express becomes the epoch.
fn moment(at_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at_ms)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn made_plan(made: Plan) -> plan::MadePlan {
    plan::MadePlan {
        summary: made.summary,
        steps: made.steps.into_iter().map(step).collect(),
        attributes: made.attributes,
    }
}

fn step(step: Step) -> plan::Step {
    let action = match step.action {
        StepAction::Run { command, arguments } => plan::StepAction::Run(plan::RunStep { command, arguments }),
        StepAction::Keep(command) => plan::StepAction::Keep(command),
        StepAction::Signal(to, signal) => match known(signal) {
            Ok(signal) => plan::StepAction::Signal(plan::SignalStep { target: target(to), signal }),
            Err(name) => plan::StepAction::Other(other_signal(to, name)),
        },
        StepAction::AwaitExit(of) => plan::StepAction::AwaitExit(target(of)),
        StepAction::AwaitChecker(checker, verdict) => {
            let verdict = match verdict {
                Verdict::Up => plan::Verdict::Up,
                Verdict::Down => plan::Verdict::Down,
            };
            plan::StepAction::AwaitChecker(plan::AwaitCheckerStep { checker, verdict })
        }
        StepAction::Pause(duration) => plan::StepAction::Pause(millis(duration)),
    };
    let on_failure = match step.on_failure {
        OnFailure::Fail => plan::OnFailure::Fail,
        OnFailure::GoOn => plan::OnFailure::GoOn,
        OnFailure::ForceStop => plan::OnFailure::ForceStop,
    };
    plan::Step { action, timeout_ms: millis(step.timeout), on_failure }
}

fn target(target: Target) -> plan::Target {
    match target {
        Target::Command(name) => plan::Target::Command(name),
        Target::Checker(name) => plan::Target::Checker(name),
    }
}

/// The name of a signal that the interface has no case for: adding a case would make all previously compiled
/// components incompatible with the host.
fn known(signal: Signal) -> Result<plan::Signal, &'static str> {
    Ok(match signal {
        Signal::Hup => plan::Signal::Hup,
        Signal::Int => plan::Signal::Int,
        Signal::Quit => plan::Signal::Quit,
        Signal::Kill => plan::Signal::Kill,
        Signal::Usr1 => plan::Signal::Usr1,
        Signal::Usr2 => plan::Signal::Usr2,
        Signal::Term => plan::Signal::Term,
        Signal::Abrt => return Err("abrt"),
        Signal::Alrm => return Err("alrm"),
        Signal::Cont => return Err("cont"),
        Signal::Ttin => return Err("ttin"),
        Signal::Ttou => return Err("ttou"),
        Signal::Winch => return Err("winch"),
        Signal::Pwr => return Err("pwr"),
    })
}

fn other_signal(to: Target, signal: &str) -> plan::OtherStep {
    let (key, name) = match to {
        Target::Command(name) => ("command", name),
        Target::Checker(name) => ("checker", name),
    };
    let attributes = vec![(key.to_owned(), name), ("signal".to_owned(), signal.to_owned())];
    plan::OtherStep { kind: "signal".to_owned(), attributes }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
