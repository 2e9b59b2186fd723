//! One run of a checker or of a restart script: its input and its result.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::grant::{GrantKind, Grants, Refusal};
use bellwether_core::id::{CheckerName, ModuleName, NodeName};
use bellwether_core::moment::Moment;
use bellwether_core::observation::{Measurement, Observation, Status};
use bellwether_core::plan::{Plan, PlanRequest};
use bellwether_core::text::one_line;

use super::Sandbox;
use super::bindings::{check as wit, types};
use super::component::{Component, Guest, MAX_ENTRIES, attributes};
use super::facilities::Facilities;
use super::failure::Failure;
use super::imports::state::StateHandle;
use super::output::{LogLevel, LogLine, Output};
use super::plan::{self, DeclaredCommand};
use super::share::Share;
use super::store::Allowance;
use super::usage::Usage;
use bellwether_config::spec::RunLimits;
use bellwether_os::clock::Clock;

/// One run of a checker.
#[derive(Debug, Clone)]
pub struct CheckRun {
    pub node: NodeName,
    pub module: ModuleName,
    pub checker: CheckerName,
    /// The number of the run, from 1.
    pub run: u64,
    /// Its configuration, a JSON document.
    pub config: Arc<str>,
    /// Its time limit, from the moment it has a place to run.
    pub time: Duration,
    pub limits: RunLimits,
    /// What it is allowed to do.
    pub grants: Arc<Grants>,
    /// The commands and processes of its module, where they are granted.
    pub facilities: Arc<dyn Facilities>,
    /// The state that earlier runs have stored.
    pub state: StateHandle,
}

/// The result of a checker's run.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckReport {
    /// Its observation, or why there is none.
    pub result: Result<Seen, Failure>,
    /// The duration of the run.
    pub took: Duration,
    /// The resources that it used.
    pub usage: Usage,
    /// Its first log lines.
    pub log: Vec<LogLine>,
    /// The end of its standard output and error.
    pub written: String,
    /// What it asked for and was not granted.
    pub refusals: Vec<Refusal>,
    /// The grants that it used, in the notation of grants.
    pub used: Vec<(GrantKind, String)>,
}

/// A checker's own answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Pass, warn, fail or unknown.
    pub status: Status,
    /// One sentence for an on-call engineer.
    pub summary: String,
    /// The values that it measured.
    pub measurements: Vec<Measurement>,
    /// Further details, as key and value.
    pub attributes: Vec<(String, String)>,
}

/// One request to a restart script.
#[derive(Debug, Clone)]
pub struct PlanRun {
    pub node: NodeName,
    pub module: ModuleName,
    /// Its configuration, a JSON document.
    pub config: Arc<str>,
    /// Why a plan is requested.
    pub request: PlanRequest,
    /// The module's commands, and which of them are running.
    pub commands: Vec<DeclaredCommand>,
    pub time: Duration,
    pub limits: RunLimits,
    /// The commands and processes of its module, where they are granted.
    pub facilities: Arc<dyn Facilities>,
    /// What it is allowed to do.
    pub grants: Arc<Grants>,
    /// The state that earlier runs have stored.
    pub state: StateHandle,
    /// Converts moments to wall-clock time for the guest.
    pub clock: Clock,
}

/// The result of a request for a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanReport {
    /// The plan, or why there is none.
    pub plan: Result<Plan, NoPlan>,
    /// The duration of the run.
    pub took: Duration,
    /// The resources that it used.
    pub usage: Usage,
    /// What it asked for and was not granted.
    pub refusals: Vec<Refusal>,
    /// The grants that it used, in the notation of grants.
    pub used: Vec<(GrantKind, String)>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    /// The component is a checker.
    #[error("it is a checker, not a restart script")]
    NotAScript,
    /// The run returned no answer.
    #[error("the restart script gave no plan: {0}")]
    Failed(#[source] Failure),
    /// The script declined, with its reason.
    #[error("{0}")]
    Declined(String),
    /// The plan was rejected.
    #[error("the restart script's plan is refused: {0}")]
    Refused(String),
}

const MAX_SUMMARY: usize = 500;

impl Sandbox {
    /// Runs a checker once, on a fresh instance. Takes at most about twice the run's time: once for a place to run
    /// and once for the run.
    pub async fn check(&self, component: &Component, run: CheckRun) -> CheckReport {
        let output = Output::new(&run.limits);
        let (result, took, usage) = match component.guest() {
            Guest::Checker(pre) => {
                let state = run.state.clone();
                let share = self.shares.of(&run.module, Some(run.checker.as_str()));
                let (request, allowance) = prepare(run, output.clone(), share);
                let pre = pre.clone();
                let outcome = self.guests.run(allowance, move |mut store| async move {
                    let seen = async {
                        let guest = pre.instantiate_async(&mut store).await?;
                        guest.bellwether_guest_check().call_check(&mut store, &request).await
                    };
                    let seen = seen.await;
                    (store, seen)
                });
                let outcome = outcome.await;
                let seen = outcome.result.map(|mut answer| {
                    state.commit(answer.state);
                    output.scrubber().scrub_observation(&mut answer.value);
                    for name in no_numbers(&answer.value.measurements) {
                        let line = format!("the measurement `{name}` is not a number: it is left out");
                        // The run is over, so there is nothing left to end.
                        let _over = output.log(LogLevel::Warn, &line);
                    }
                    answer.value.into()
                });
                (seen, outcome.took, outcome.usage)
            }
            Guest::RestartScript(_) => (
                Err(Failure::Incompatible("it is a restart script, not a checker".to_owned())),
                Duration::ZERO,
                Usage::default(),
            ),
        };
        let used = output.take_used();
        let (log, written, refusals) = output.take();
        CheckReport { result, took, usage, log, written, refusals, used }
    }

    /// Asks a restart script for a plan.
    pub async fn plan(&self, component: &Component, run: PlanRun) -> Result<Plan, NoPlan> {
        self.plan_report(component, run).await.plan
    }

    /// The same, with its cost.
    pub async fn plan_report(&self, component: &Component, run: PlanRun) -> PlanReport {
        let Guest::RestartScript(pre) = component.guest() else {
            return PlanReport::not_run(NoPlan::NotAScript);
        };
        let output = Output::new(&run.limits);
        let allowance = Allowance {
            time: run.time,
            limits: run.limits,
            facilities: Arc::clone(&run.facilities),
            grants: Arc::clone(&run.grants),
            state: run.state.draft(run.limits.state),
            output: output.clone(),
            share: self.shares.of(&run.module, None),
        };
        let state = run.state.clone();
        let request = plan::request(run);
        let pre = pre.clone();
        let outcome = self.guests.run_urgently(allowance, move |mut store| async move {
            let plan = async {
                let guest = pre.instantiate_async(&mut store).await?;
                guest.bellwether_guest_plan().call_plan(&mut store, &request).await
            };
            let plan = plan.await;
            (store, plan)
        });
        let outcome = outcome.await;
        let scrubber = output.scrubber();
        let used = output.take_used();
        let (log, _, refusals) = output.take();
        for line in log {
            tracing::info!(component = component.about().name, level = ?line.level, "{}", line.text);
        }
        let plan = outcome.result.map_err(NoPlan::Failed).and_then(|answer| {
            state.commit(answer.state);
            let declined = |reason: String| NoPlan::Declined(one_line(&scrubber.scrub(&reason), MAX_SUMMARY));
            plan::read(answer.value.map_err(declined)?, &scrubber)
                .map_err(|refusal| NoPlan::Refused(scrubber.scrub(&refusal.to_string()).to_string()))
        });
        PlanReport { plan, took: outcome.took, usage: outcome.usage, refusals, used }
    }
}

impl PlanReport {
    fn not_run(why: NoPlan) -> Self {
        Self {
            plan: Err(why),
            took: Duration::ZERO,
            usage: Usage::default(),
            refusals: Vec::new(),
            used: Vec::new(),
        }
    }
}

fn prepare(run: CheckRun, output: Output, share: Arc<Share>) -> (wit::CheckRequest, Allowance) {
    let request = wit::CheckRequest {
        node: run.node.into(),
        module: run.module.into(),
        checker: run.checker.into(),
        run: run.run,
        config: run.config.as_ref().to_owned(),
        time_limit_ms: u32::try_from(told(run.time).as_millis()).unwrap_or(u32::MAX),
        attributes: Vec::new(),
    };
    let allowance = Allowance {
        time: run.time,
        limits: run.limits,
        grants: run.grants,
        facilities: run.facilities,
        state: run.state.draft(run.limits.state),
        output,
        share,
    };
    (request, allowance)
}

/// The time limit that the guest is given: shorter than its own, so that it can answer `fail` itself when a
/// resource does not reply in time, before it is ended.
pub(super) fn told(time: Duration) -> Duration {
    let in_hand = (time / 10).max(Duration::from_millis(20)).min(time / 2);
    time.saturating_sub(in_hand)
}

impl CheckReport {
    /// Converts to the core's type. A failure becomes `unknown`.
    pub fn into_observation(self, at: Moment) -> Observation {
        let mut observation = match self.result {
            Ok(seen) => Observation {
                measurements: seen.measurements,
                attributes: seen.attributes,
                ..Observation::new(seen.status, seen.summary, at)
            },
            Err(failure) => Observation::new(Status::Unknown, failure.to_string(), at),
        };
        observation.took = self.took;
        // It is irrelevant if the result is good; otherwise it is most likely the reason.
        if !matches!(observation.status, Status::Pass)
            && let Some(refusal) = self.refusals.first()
            && !refusal.is_told_in(&observation.summary)
        {
            observation.summary = format!("{} ({refusal})", observation.summary);
        }
        let refused = |refusal: &Refusal| ("refused".to_owned(), refusal.to_string());
        observation.attributes.extend(self.refusals.iter().map(refused));
        observation
    }
}

impl From<types::Observation> for Seen {
    fn from(seen: types::Observation) -> Self {
        Self {
            status: match seen.status {
                types::Status::Pass => Status::Pass,
                types::Status::Warn => Status::Warn,
                types::Status::Fail => Status::Fail,
                types::Status::Unknown => Status::Unknown,
            },
            summary: one_line(&seen.summary, MAX_SUMMARY),
            measurements: measurements(seen.measurements),
            attributes: attributes(seen.attributes),
        }
    }
}

/// The names of measurements that are not numbers.
fn no_numbers(given: &[types::Measurement]) -> Vec<String> {
    let wrong = given.iter().filter(|measurement| !measurement.value.is_finite());
    wrong.take(MAX_ENTRIES).map(|measurement| one_line(&measurement.name, 100)).collect()
}

/// Without values that are not numbers: JSON cannot represent them.
fn measurements(given: Vec<types::Measurement>) -> Vec<Measurement> {
    let numbers = given.into_iter().filter(|measurement| measurement.value.is_finite());
    let fit = |measurement: types::Measurement| Measurement {
        name: one_line(&measurement.name, 100),
        value: measurement.value,
        unit: one_line(&measurement.unit, 20),
    };
    numbers.take(MAX_ENTRIES).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_core::grant::Protocol;

    fn report(result: Result<Seen, Failure>) -> CheckReport {
        let grants = Grants::default();
        let refused = grants.may_connect(Protocol::Tcp, "1.2.3.4:80".parse().unwrap(), |_, _| false);
        CheckReport {
            result,
            took: Duration::from_millis(3),
            usage: Usage::default(),
            log: Vec::new(),
            written: String::new(),
            refusals: vec![refused.unwrap_err()],
            used: Vec::new(),
        }
    }

    #[test]
    fn the_guest_is_told_less_time_than_it_has() {
        for (time, hint) in [(10_000, 9_000), (1_000, 900), (100, 80), (20, 10)] {
            assert_eq!(told(Duration::from_millis(time)), Duration::from_millis(hint));
        }
    }

    #[test]
    fn a_failure_is_unknown_and_a_refusal_is_explained() {
        let at = Moment::from_micros(5);
        let failure = Failure::Panic("no such key".to_owned());
        let observation = report(Err(failure)).into_observation(at);
        assert_eq!(observation.status, Status::Unknown);
        assert_eq!(
            observation.summary,
            "panicked: no such key (refused: connect to 1.2.3.4:80; to allow it add grant = { connect = [\"1.2.3.4:80\"] })"
        );
        assert_eq!((observation.at, observation.took), (at, Duration::from_millis(3)));
        assert_eq!(observation.attributes[0].0, "refused");
    }

    #[test]
    fn an_answer_is_made_fit_to_be_shown() {
        let measured = |value| types::Measurement { name: "x".to_owned(), value, unit: String::new() };
        let seen = Seen::from(types::Observation {
            status: types::Status::Pass,
            summary: format!("two\nlines {}", "x".repeat(1000)),
            measurements: vec![measured(1.0), measured(f64::NAN), measured(f64::INFINITY)],
            attributes: vec![("a".to_owned(), "\u{1b}[1mb".to_owned()); 1000],
        });
        assert!(seen.summary.starts_with("two lines x") && seen.summary.len() == MAX_SUMMARY);
        assert_eq!(seen.measurements.len(), 1);
        assert_eq!(no_numbers(&[measured(1.0), measured(f64::NAN), measured(f64::INFINITY)]), ["x", "x"]);
        assert_eq!(seen.attributes.len(), MAX_ENTRIES);
        assert_eq!(seen.attributes[0].1, "b");
        // The result is good, so the refusal is not part of the sentence.
        let observation = report(Ok(seen.clone())).into_observation(Moment::default());
        assert_eq!(observation.summary, seen.summary);
    }
}
