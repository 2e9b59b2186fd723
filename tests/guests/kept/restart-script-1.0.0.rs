//! A restart script of the interface 1.0.0 that makes a plan with every kind of step. Stored as a compiled
//! component, see README.md.

use std::time::Duration;

use bellwether_guest::prelude::*;

/// The configuration of the script.
#[bellwether_guest::config]
pub struct Config {
    /// The kept command to start.
    application: String,
}

/// Answers every occasion with a plan that repeats the request.
#[bellwether_guest::restart_script(name = "kept")]
pub fn plan(config: Config, request: &PlanRequest) -> Result<Plan, String> {
    let state = request.state();
    let plans = state.get::<u64>("plans").map_err(|error| error.to_string())?.unwrap_or(0) + 1;
    state.set("plans", &plans).map_err(|error| error.to_string())?;
    request.info(format!("plan {plans}"));
    let occasion = match &request.occasion {
        Occasion::Start => "start".to_owned(),
        Occasion::Stop => return Err("this one never stops".to_owned()),
        Occasion::ForcedStop(failed) => format!("forced stop after {failed:?}"),
        Occasion::Restart => "restart".to_owned(),
        Occasion::Incident(incident) => format!(
            "incident of {}: {} ({} observations, {} before)",
            incident.checker,
            incident.summary,
            incident.observations.len(),
            incident.history.len()
        ),
    };
    let commands: Vec<_> = request
        .commands
        .iter()
        .map(|command| format!("{} {} {} {:?}", command.name, command.keep, command.running, command.timeout))
        .collect();
    let summary = format!(
        "{plans}: {occasion} on {}/{}, {} of {}, [{}]",
        request.node,
        request.module,
        request.restarts,
        request.restarts_allowed,
        commands.join(", ")
    );
    Ok(Plan::new(summary)
        .then(Step::signal(Target::command(&config.application), Signal::Term).or_go_on())
        .then(Step::await_exit(Target::checker("processes")).timeout(Duration::from_secs(7)).or_force_stop())
        .then(Step {
            action: StepAction::Run { command: "prepare".into(), arguments: vec!["--fast".into()] },
            ..Step::run("prepare")
        })
        .then(Step::keep(&config.application))
        .then(Step::await_checker("home-page", Verdict::Up))
        .then(Step::pause(Duration::from_millis(20))))
}
