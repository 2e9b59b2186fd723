//! `start`, `stop`, `restart`, `suspend`, `resume`, `reset`, `confirm`: commands for a module.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::{CommandWord, ModuleStatus, NodeStatus};
use bellwether_core::command::{Command, LASTS_AT_MOST};
use bellwether_core::id::ModuleName;
use bellwether_core::moment::plain;
use bellwether_core::state::StateName;
use clap::{ArgGroup, Args, Subcommand};

use super::confirmation::{Confirmation, ask};
use super::events::escaped;
use crate::client::{Client, Given};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::{self, TimeFormat};

mod all;
mod walk;

#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// Start the application of a module, and keep it running
    ///
    /// Resets the count of restarts.
    Start(OrderArgs),
    /// Take the node out of the load balancer, then stop the application, and keep it stopped
    ///
    /// It stays stopped when the daemon or the server restarts. If this node serves the module, the command must be
    /// confirmed: on a terminal by typing the module's name, elsewhere with --yes. A script without a terminal that
    /// uses the local socket needs no confirmation; one that is started from a terminal is asked: it passes --yes.
    ///
    /// Resets the count of restarts.
    Stop(TakingOutArgs),
    /// Take the node out of the load balancer, stop the application and start it again
    ///
    /// Does not count against the restart budget. Must be confirmed in the same way as `stop`.
    ///
    /// Resets the count of restarts.
    Restart(TakingOutArgs),
    /// Keep monitoring, but take no automatic action (maintenance)
    ///
    /// With --for, automatic actions resume when that time is over.
    Suspend(SuspendArgs),
    /// Resume automatic actions after a suspend
    Resume(OrderArgs),
    /// Clear a failure and the count of restarts
    Reset(OrderArgs),
    /// End the probation of checkers
    ///
    /// A checker that was added or changed while the application was up has no effect until it has
    /// been up once. This command confirms that it is correct.
    Confirm(OrderArgs),
}

/// The module, and whether to wait for the result.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("waits").args(["wait", "all"]).multiple(true))]
pub(crate) struct OrderArgs {
    /// The module: the name of its file in modules/
    module: ModuleName,

    /// Wait until it is done, and print each change
    #[arg(long)]
    wait: bool,

    /// On all nodes of the farm, one after the other: wait until it is done on one before the next, and stop at the
    /// first failure
    #[arg(long)]
    all: bool,

    /// Wait no longer than this, for each node
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "waits", value_parser = when::duration)]
    timeout: Duration,

    /// The reason: one line, which is recorded together with the user
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Print the answer as a JSON object
    #[arg(long)]
    json: bool,
}

/// The module, and whether the command is confirmed.
#[derive(Debug, Args)]
pub(crate) struct TakingOutArgs {
    #[command(flatten)]
    order: OrderArgs,

    /// Do it although this node serves the module, and do not ask
    #[arg(long)]
    yes: bool,
}

/// The module, and the duration.
#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    #[command(flatten)]
    order: OrderArgs,

    /// For this long, such as 30m. Default: until `resume`
    #[arg(long = "for", value_name = "TIME", value_parser = suspended_for)]
    lasts: Option<Duration>,
}

impl Order {
    fn parts(self) -> Parts {
        let (command, args, lasts, yes) = match self {
            Self::Start(args) => (Command::Start, args, None, false),
            Self::Stop(args) => (Command::Stop, args.order, None, args.yes),
            Self::Restart(args) => (Command::Restart, args.order, None, args.yes),
            Self::Suspend(args) => (Command::Suspend, args.order, args.lasts, false),
            Self::Resume(args) => (Command::Resume, args, None, false),
            Self::Reset(args) => (Command::Reset, args, None, false),
            Self::Confirm(args) => (Command::Confirm, args, None, false),
        };
        Parts { command, args, lasts, yes }
    }
}

/// The parts of the command line.
struct Parts {
    command: Command,
    args: OrderArgs,
    lasts: Option<Duration>,
    yes: bool,
}

/// The parser of `--for` for clap.
fn suspended_for(text: &str) -> Result<Duration, String> {
    let lasts = when::duration(text).map_err(|error| error.to_string())?;
    if lasts.is_zero() || lasts > LASTS_AT_MOST {
        let days = LASTS_AT_MOST.as_secs() / 86_400;
        return Err(format!("expected a time of at most {days}d; without --for it lasts until `resume`"));
    }
    Ok(lasts)
}

/// The path of the API.
fn path(command: Command, args: &OrderArgs, lasts: Option<Duration>, seen: Option<u64>) -> String {
    let mut asked = Vec::new();
    asked.extend(seen.map(|seen| format!("seen={seen}")));
    // A fraction of a second is rounded up: zero seconds would have no effect.
    asked.extend(
        lasts.map(|lasts| format!("for_s={}", lasts.as_secs() + u64::from(lasts.subsec_nanos() > 0))),
    );
    asked.extend(args.reason.as_ref().map(|reason| format!("reason={}", escaped(reason))));
    let mark = if asked.is_empty() { "" } else { "?" };
    format!("/modules/{}/{command}{mark}{}", args.module, asked.join("&"))
}

pub(crate) async fn run(order: Order, root: &RootArg, output: &mut Output) -> Outcome {
    let parts = order.parts();
    if parts.args.all {
        return all::run(&parts, root, output).await;
    }
    let Parts { command, args, lasts, yes } = parts;
    let client = root.client()?;
    // The state before the command, to recognise changes.
    let before = if args.wait { Some(module(client.get("/status").await?, &args.module)?) } else { None };
    let answer = match client.give(&path(command, &args, lasts, None)).await? {
        Given::Answered(answer) => answer,
        Given::Unconfirmed(failure) => {
            let seen = match Confirmation::find(yes, &client) {
                Confirmation::Given => None,
                Confirmation::Asked => Some(ask(&client, command, &args.module).await?),
                Confirmation::Missing => return Err(failure),
            };
            client.give_confirmed(&path(command, &args, lasts, seen), &args.module).await?
        }
    };
    if args.json {
        output.json(&answer)?;
    } else {
        let nothing = if answer.outcome == CommandWord::AlreadySo { "nothing to do: " } else { "" };
        writeln!(output, "{}: {nothing}{}", args.module, answer.detail)?;
    }
    output.flush()?;
    match before {
        None => Ok(Exit::Done),
        Some(before) => {
            let mut waiting = Waiting { command, last: progress(&before), before, node: String::new() };
            let done = waiting.wait(&client, args.json, output);
            let Ok(outcome) = tokio::time::timeout(args.timeout, done).await else {
                return Err(waiting.overdue(args.timeout));
            };
            outcome
        }
    }
}

/// A command that was given, until it is done.
struct Waiting {
    command: Command,
    before: ModuleStatus,
    /// What was last seen of the module.
    last: String,
    /// Precedes each line, with two spaces; empty for a single node.
    node: String,
}

impl Waiting {
    async fn wait(&mut self, client: &Client, quiet: bool, output: &mut Output) -> Outcome {
        let mut shown = String::new();
        let mut lines = client.lines("/status/stream").await?;
        while let Some(line) = lines.next_said().await? {
            let status: NodeStatus = serde_json::from_str(&line).context("the daemon's answer is invalid")?;
            let now = module(status, &self.before.name)?;
            self.last = progress(&now);
            if self.last != shown && !quiet {
                let at = output.paint(Tone::Quiet, &TimeFormat::here().clock(&now.since));
                writeln!(output, "{at}  {}{}", self.node, self.last)?;
                output.flush()?;
            }
            shown.clone_from(&self.last);
            match done(self.command, &self.before, &now) {
                None => {}
                Some(true) => return Ok(Exit::Done),
                Some(false) => return Err(self.failed(&now)),
            }
        }
        Err(self.ended())
    }

    fn said(&self) -> String {
        format!("`{} {}`", self.command, self.before.name)
    }

    fn overdue(&self, within: Duration) -> Failure {
        let what =
            format!("{} is not done after {}; the module is {}", self.said(), plain(within), self.last);
        let next = format!(
            "the daemon goes on with it: see `bellwether why {}`, or wait longer with --timeout",
            self.before.name
        );
        Failure::new(Exit::Denied, what, next)
    }

    fn failed(&self, now: &ModuleStatus) -> Failure {
        let name = &now.name;
        let next = format!("see `bellwether why {name}`; when the cause is fixed: bellwether start {name}");
        Failure::new(Exit::Denied, format!("{} has failed: {}", self.said(), now.reason), next)
    }

    fn ended(&self) -> Failure {
        let what = format!(
            "the daemon exited before {} was done; when last seen, the module was {}",
            self.said(),
            self.last
        );
        let next = "the command is carried out when the next daemon runs: see `bellwether status`";
        Failure::new(Exit::NoDaemon, what, next)
    }
}

fn progress(module: &ModuleStatus) -> String {
    match &module.plan {
        Some(plan) => {
            let step = plan.steps.get(plan.step).map_or("done", String::as_str);
            format!("{}: {}: {step}", module.state, plan.summary)
        }
        None if module.reason.is_empty() => module.state.to_string(),
        None => format!("{}: {}", module.state, module.reason),
    }
}

/// Whether the requested state has been reached, or never will be.
fn done(command: Command, before: &ModuleStatus, now: &ModuleStatus) -> Option<bool> {
    let changed = now.since != before.since || now.state != before.state;
    let gave_up = now.state == StateName::Failed && changed;
    let reached = match command {
        Command::Start => now.state == StateName::Up && now.ready,
        Command::Restart => now.state == StateName::Up && now.ready && changed,
        Command::Stop => now.state == StateName::Stopped,
        Command::Suspend => now.suspended,
        Command::Resume => !now.suspended,
        Command::Reset | Command::Confirm => true,
    };
    if reached { Some(true) } else { gave_up.then_some(false) }
}

/// One module of a node.
fn module(status: NodeStatus, name: &ModuleName) -> Result<ModuleStatus, Failure> {
    status.modules.into_iter().find(|module| module.name == *name).ok_or_else(|| {
        let what = format!("there is no module `{name}` on this node");
        Failure::new(Exit::NoSuch, what, "`bellwether status` lists the modules")
    })
}

#[cfg(test)]
mod tests {
    use bellwether_api::{BudgetStatus, Wanted};

    use super::*;

    fn at(state: StateName, since: &str) -> ModuleStatus {
        ModuleStatus {
            name: ModuleName::new("web").unwrap(),
            changed: 1,
            attention: bellwether_core::attention::Attention::Well,
            state,
            ready: state == StateName::Up,
            since: since.into(),
            ready_since: String::new(),
            reason: String::new(),
            suspended: false,
            suspended_until: None,
            wanted: Wanted::Started,
            next: None,
            restarts: 0,
            budget: BudgetStatus { restarts: 3, within: "1d".into(), within_s: 86_400 },
            drain_s: 0.0,
            probed_every_s: None,
            drain_needed_s: None,
            plan: None,
            processes: Vec::new(),
            checkers: Vec::new(),
        }
    }

    #[test]
    fn what_is_said_beside_a_command_goes_with_it() {
        let args = |reason: Option<&str>| OrderArgs {
            module: ModuleName::new("web").unwrap(),
            wait: false,
            all: false,
            timeout: Duration::from_secs(1),
            reason: reason.map(str::to_owned),
            json: false,
        };
        assert_eq!(path(Command::Stop, &args(None), None, None), "/modules/web/stop");
        assert_eq!(path(Command::Stop, &args(None), None, Some(7)), "/modules/web/stop?seen=7");
        let half_an_hour = Some(Duration::from_mins(30));
        assert_eq!(
            path(Command::Suspend, &args(Some("new version & more")), half_an_hour, None),
            "/modules/web/suspend?for_s=1800&reason=new%20version%20%26%20more"
        );
    }

    #[test]
    fn a_suspension_for_a_time_lasts_for_thirty_days_at_most() {
        assert_eq!(suspended_for("30d"), Ok(Duration::from_hours(30 * 24)));
        assert!(suspended_for("90d").is_err_and(|why| why.contains("at most 30d")));
        assert!(suspended_for("0s").is_err());
    }

    #[test]
    fn a_restart_is_done_when_the_module_is_up_again_and_not_before_it_went_down() {
        let before = at(StateName::Up, "1");
        assert_eq!(done(Command::Restart, &before, &at(StateName::Up, "1")), None);
        assert_eq!(done(Command::Restart, &before, &at(StateName::Draining, "2")), None);
        assert_eq!(done(Command::Restart, &before, &at(StateName::Up, "3")), Some(true));
    }

    #[test]
    fn what_was_waited_for_how_long_and_what_is_so_now_are_told() {
        let starting =
            ModuleStatus { reason: "checker `home` is down".into(), ..at(StateName::Starting, "2") };
        let waiting = Waiting {
            node: String::new(),
            command: Command::Restart,
            before: at(StateName::Up, "1"),
            last: progress(&starting),
        };
        assert_eq!(
            waiting.overdue(Duration::from_mins(5)).to_string(),
            "error: `restart web` is not done after 5m; the module is starting: checker `home` is down\n  next: the \
             daemon goes on with it: see `bellwether why web`, or wait longer with --timeout"
        );
        let failed = ModuleStatus { reason: "no restarts are left".into(), ..at(StateName::Failed, "3") };
        assert_eq!(
            waiting.failed(&failed).to_string(),
            "error: `restart web` has failed: no restarts are left\n  next: see `bellwether why web`; when the cause \
             is fixed: bellwether start web"
        );
        let ended = waiting.ended().to_string();
        assert!(
            ended.contains("exited before `restart web` was done; when last seen, the module was starting: "),
            "{ended}"
        );
    }

    #[test]
    fn a_start_that_fails_is_told_from_the_failure_before_it() {
        let before = at(StateName::Failed, "1");
        assert_eq!(done(Command::Start, &before, &before), None);
        assert_eq!(done(Command::Start, &before, &at(StateName::Failed, "2")), Some(false));
        assert_eq!(done(Command::Start, &before, &at(StateName::Up, "2")), Some(true));
    }
}
