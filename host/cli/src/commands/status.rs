//! `status`: shows the state of the modules, worst first.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::{CheckerStatus, ComponentKind, ComponentStatus, ModuleStatus, NodeStatus, NotifyStatus};
use bellwether_core::counting::{all_are, counted};
use bellwether_core::id::ModuleName;
use bellwether_core::record::short;
use bellwether_core::snapshot::ON_PROBATION;
use clap::Args;

use crate::client::Client;
use crate::commands::{farm, top};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, Output, Tone};
use crate::root::RootArg;
use crate::terminal;
use crate::when::TimeFormat;

/// Show the state of the modules, worst first
///
/// In a farm it shows all nodes first. With a module's name, also its checkers and processes.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this module, in detail
    module: Option<ModuleName>,

    /// Print a JSON object with `modules`
    #[arg(long)]
    json: bool,

    /// Show it again at every change, until Ctrl-C; on a terminal like `top`
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(args: &StatusArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    if args.watch && !args.json && top::possible(output) {
        return terminal::run(&client, args.module.clone(), output.colored()).await;
    }
    if args.watch {
        return watch(args, &client, output).await;
    }
    let status = only(client.get("/status").await?, args.module.as_ref())?;
    if args.json {
        output.json(&status)?;
    } else {
        let when = TimeFormat::here();
        if args.module.is_none() && root.node().is_none() {
            print_farm(&client, &when, output).await?;
        }
        print(&status, args.module.is_some(), &when, output)?;
    }
    Ok(Exit::Done)
}

/// All nodes, if there are others.
async fn print_farm(client: &Client, when: &TimeFormat, output: &mut Output) -> Result<(), Failure> {
    // A daemon of an earlier version has no farm, and answers that there is no such page.
    let Ok(farm) = farm::fetch(client, FARM_WITHIN).await else { return Ok(()) };
    if !farm.has_others() {
        return Ok(());
    }
    writeln!(output, "Farm: {}\n", farm.headline)?;
    farm::table::print(&farm, when, output)?;
    writeln!(output)?;
    Ok(())
}

/// How long to wait for the status of the other nodes.
const FARM_WITHIN: Duration = Duration::from_millis(500);

/// The delay before reconnecting to a daemon that is gone.
const RETRY: Duration = Duration::from_secs(1);

/// Ends with Ctrl-C, or when the first attempt fails.
async fn watch(args: &StatusArgs, client: &Client, output: &mut Output) -> Outcome {
    let mut lines = client.lines("/status/stream").await?;
    let mut latest: Option<NodeStatus> = None;
    loop {
        if let Ok(Some(line)) = lines.next().await {
            if !line.is_empty() {
                let status: NodeStatus =
                    serde_json::from_str(&line).context("the daemon's answer is invalid")?;
                lines.keep_fresh(&status);
                let status = only(status, args.module.as_ref())?;
                if args.json {
                    output.json_line(&status)?;
                }
                latest = Some(status);
            } else if !output.terminal {
                continue;
            }
            redraw(args, latest.as_ref(), None, output)?;
            continue;
        }
        // An outdated status must not look like a present one.
        let lost = jiff::Timestamp::now().to_string();
        lines = loop {
            redraw(args, latest.as_ref(), Some(&lost), output)?;
            tokio::time::sleep(RETRY).await;
            if let Ok(lines) = client.lines("/status/stream").await {
                break lines;
            }
        };
    }
}

fn redraw(
    args: &StatusArgs,
    status: Option<&NodeStatus>,
    lost: Option<&str>,
    output: &mut Output,
) -> std::io::Result<()> {
    let Some(status) = status.filter(|_| !args.json) else { return Ok(()) };
    if lost.is_some() && !output.terminal {
        return Ok(());
    }
    let when = TimeFormat::here();
    output.clear()?;
    if let Some(lost) = lost {
        let text = format!("no data since {}: the daemon does not answer", when.both(lost));
        writeln!(output, "{}\n", output.paint(Tone::Bad, &text))?;
    }
    print(status, args.module.is_some(), &when, output)?;
    if !output.terminal {
        writeln!(output)?;
    }
    output.flush()
}

/// The worst problem of the node, in one sentence.
pub(crate) fn headline(status: &NodeStatus) -> String {
    if !status.headline.is_empty() {
        return status.headline.clone();
    }
    // A daemon of an earlier version sends none.
    let ready = status.modules.iter().filter(|module| module.ready).count();
    match status.modules.len() {
        0 => "There are no modules yet".to_owned(),
        all if ready == all => format!("{} ready", all_are(all, "module", "modules")),
        1 => "The module is not ready".to_owned(),
        all => format!("{ready} of {all} modules ready"),
    }
}

/// The node, with only that module if one is named.
pub(crate) fn only(mut status: NodeStatus, module: Option<&ModuleName>) -> Result<NodeStatus, Failure> {
    let Some(name) = module else { return Ok(status) };
    let names: Vec<String> = status.modules.iter().map(|module| module.name.to_string()).collect();
    status.modules.retain(|module| module.name == *name);
    if status.modules.is_empty() {
        let refused =
            status.problems.iter().find(|problem| problem.starts_with(&format!("modules/{name}.toml:")));
        if let Some(problem) = refused {
            let what = format!("module `{name}` has not been loaded: {problem}");
            let next =
                "correct the file, and check it with `bellwether validate`; it takes effect automatically";
            return Err(Failure::new(Exit::NoSuch, what, next));
        }
        let what = format!("there is no module `{name}` on this node");
        let next = match names.as_slice() {
            [] => "it has none: add a file to modules/".to_owned(),
            names => format!("its modules are: {}", names.join(", ")),
        };
        return Err(Failure::new(Exit::NoSuch, what, next));
    }
    Ok(status)
}

fn print(status: &NodeStatus, detail: bool, when: &TimeFormat, output: &mut Output) -> std::io::Result<()> {
    if detail {
        for module in &status.modules {
            print_module(module, when, output)?;
        }
        return Ok(());
    }
    writeln!(output, "{} at {}: {}\n", status.node, when.now(), headline(status))?;
    if status.modules.is_empty() {
        writeln!(output, "There are no modules yet: add a file to modules/.")?;
    } else {
        print_modules(&status.modules, when, output)?;
    }
    for component in &status.components {
        print_component(component, when, output)?;
    }
    // Problems of a component are shown there, with the remedy.
    let said: Vec<String> = status
        .components
        .iter()
        .filter(|component| component.error.is_some())
        .map(|component| format!("{}: ", file(component)))
        .collect();
    let others = status.problems.iter().filter(|problem| !said.iter().any(|file| problem.starts_with(file)));
    for problem in others {
        let head = if problem.starts_with("notify") { "✗" } else { "✗ problem:" };
        writeln!(output, "\n{} {problem}", output.paint(Tone::Bad, head))?;
        if problem.starts_with("modules/") {
            writeln!(output, "  a corrected file takes effect automatically; next: bellwether validate")?;
        }
    }
    for target in status.notifications.iter().filter(|target| target.failing > 0) {
        print_not_notified(target, when, output)?;
    }
    Ok(())
}

/// A notification target that cannot be reached at present.
fn print_not_notified(target: &NotifyStatus, when: &TimeFormat, output: &mut Output) -> std::io::Result<()> {
    let why = target.why.as_deref().unwrap_or("no attempt has ended yet");
    let head = output.paint(Tone::Bad, "✗ not notified:");
    writeln!(output, "\n{head} {}: {why}", target.target)?;
    let next = target
        .next
        .as_ref()
        .map_or("an attempt is in progress".to_owned(), |next| format!("next attempt {}", when.both(next)));
    let failed = counted(target.failing, "failed attempt", "failed attempts");
    writeln!(output, "  {} waiting, {failed}; {next}", target.waiting)
}

/// The problem of a component's file, if there is one.
fn print_component(
    component: &ComponentStatus,
    when: &TimeFormat,
    output: &mut Output,
) -> std::io::Result<()> {
    let Some(error) = &component.error else { return Ok(()) };
    let file = file(component);
    let in_force = match &component.version {
        Some(version) => format!("version {version} ({}) stays active", short(&component.digest)),
        None => "no version is active".to_owned(),
    };
    if let Some(case) = &component.quarantine {
        let head = output.paint(Tone::Bad, "✗ quarantine:");
        writeln!(output, "\n{head} {file} ({}): {}", short(&case.digest), case.why)?;
        let tried = if case.tries == 1 { "once".to_owned() } else { format!("{} times", case.tries) };
        let next = when.both(&case.next);
        return writeln!(
            output,
            "  {in_force}; tried {tried}, next attempt {next}; next: replace the file with one that works"
        );
    }
    if let Some(waiting) = &component.waiting {
        let head = output.paint(Tone::Busy, "‖ waits for approval:");
        let version = format!("version {} ({})", waiting.version, short(&waiting.digest));
        writeln!(output, "\n{head} {file}, {version}, requests {}", waiting.asks.join(", "))?;
        let name = file.trim_end_matches(".wasm");
        return writeln!(output, "  {in_force}; next: bellwether approve {name}, or grant what it requests");
    }
    let head = output.paint(Tone::Bad, "✗ refused:");
    writeln!(output, "\n{head} {file}: {error}\n  {in_force}; next: replace the file with one that runs")
}

/// Relative to the root: `checkers/http.wasm`.
fn file(component: &ComponentStatus) -> String {
    let folder = match component.kind {
        ComponentKind::Checker => "checkers",
        ComponentKind::RestartScript => "restart-scripts",
    };
    format!("{folder}/{}.wasm", component.name)
}

fn print_modules(modules: &[ModuleStatus], when: &TimeFormat, output: &mut Output) -> std::io::Result<()> {
    let mut modules: Vec<&ModuleStatus> = modules.iter().collect();
    modules.sort_by(|a, b| (a.attention, &a.name).cmp(&(b.attention, &b.name)));
    // On a narrow terminal there is room for the reason only without the columns that `status MODULE` shows.
    let roomy = output.width().is_none_or(|width| width >= ROOMY);
    let row = |module: &ModuleStatus| {
        let since = module.shown_since();
        let since = if roomy { when.both(since) } else { when.relative(since) };
        let mut row = vec![
            (Tone::Plain, module.name.to_string()),
            state(module),
            readiness(module),
            (Tone::Plain, since),
            restarts(module),
        ];
        row.extend(roomy.then(|| (Tone::Plain, processes(module))));
        row.push((Tone::Plain, module.reason.clone()));
        row
    };
    let rows = modules.into_iter().map(row).collect();
    let mut header = vec!["MODULE", "STATE", "READY", "SINCE", "RESTARTS", "PROCESSES", "WHY"];
    header.retain(|title| roomy || *title != "PROCESSES");
    output.table(&header, rows)
}

/// With this many columns there is room for everything.
const ROOMY: u16 = 160;

fn print_module(module: &ModuleStatus, when: &TimeFormat, output: &mut Output) -> std::io::Result<()> {
    let (tone, state) = state(module);
    let (ready_tone, ready) = readiness(module);
    let ready = output.paint(ready_tone, &format!("ready: {ready}"));
    writeln!(
        output,
        "{}  {}  {ready}  since {}",
        module.name,
        output.paint(tone, &state),
        when.both(module.shown_since())
    )?;
    if !module.reason.is_empty() {
        writeln!(output, "  {}", module.reason)?;
    }
    if let Some(next) = &module.next {
        writeln!(output, "  next automatic step: {}", when.both(next))?;
    }
    if let Some(plan) = &module.plan {
        writeln!(output, "  plan: {}", plan.summary)?;
        for (index, step) in plan.steps.iter().enumerate() {
            let mark = match index.cmp(&plan.step) {
                std::cmp::Ordering::Less => "✓",
                std::cmp::Ordering::Equal => "▸",
                std::cmp::Ordering::Greater => "·",
            };
            writeln!(output, "    {mark} {step}")?;
        }
    }
    writeln!(output, "  restarts: {}", restarts(module).1)?;
    writeln!(output, "  processes: {}\n", processes(module))?;
    let mut checkers: Vec<&CheckerStatus> = module.checkers.iter().collect();
    checkers.sort_by_key(|checker| checker.verdict == bellwether_core::verdict::Verdict::Up);
    let rows = checkers
        .into_iter()
        .map(|checker| {
            let (saw, took) = last(checker, when);
            let since = (Tone::Plain, when.both(&checker.since));
            let on_down = (Tone::Plain, checker.on_down.word().to_owned());
            vec![(Tone::Plain, checker.name.to_string()), verdict(checker), since, saw, took, on_down]
        })
        .collect();
    output.table(&["CHECKER", "VERDICT", "SINCE", "LAST RUN", "TOOK", "ON DOWN"], rows)?;
    writeln!(output, "\nmore: bellwether why {}", module.name)
}

pub(crate) fn state(module: &ModuleStatus) -> (Tone, String) {
    let (tone, text) = output::state(module.state, module.ready);
    if module.suspended { (Tone::Busy, format!("{text} ‖ suspended")) } else { (tone, text) }
}

fn readiness(module: &ModuleStatus) -> (Tone, String) {
    if module.ready { (Tone::Good, "yes".into()) } else { (Tone::Bad, "NO".into()) }
}

pub(crate) fn restarts(module: &ModuleStatus) -> (Tone, String) {
    let (spent, budget) = (module.restarts, &module.budget);
    let tone = if spent > 0 && spent >= budget.restarts { Tone::Bad } else { Tone::Plain };
    (tone, format!("{spent} of {} in {}", budget.restarts, budget.within))
}

/// Further ones are counted and not listed.
const MAX_LISTED: usize = 4;

pub(crate) fn processes(module: &ModuleStatus) -> String {
    if module.processes.is_empty() {
        return "none".into();
    }
    let listed = module.processes.iter().take(MAX_LISTED).map(|p| format!("{} {}", p.name, p.pid));
    let more = module.processes.len().saturating_sub(MAX_LISTED);
    let rest = (more > 0).then(|| format!("and {more} more"));
    listed.chain(rest).collect::<Vec<_>>().join(", ")
}

pub(crate) fn verdict(checker: &CheckerStatus) -> (Tone, String) {
    if !checker.watched {
        return (Tone::Quiet, "- not monitored".into());
    }
    let (tone, word) = output::verdict(checker.verdict);
    if checker.on_probation { (Tone::Busy, format!("{word}, {ON_PROBATION}")) } else { (tone, word) }
}

fn last(checker: &CheckerStatus, when: &TimeFormat) -> ((Tone, String), (Tone, String)) {
    let Some(last) = &checker.last else {
        return ((Tone::Quiet, "none yet".into()), (Tone::Quiet, "-".into()));
    };
    let (tone, status) = output::status(last.status);
    let saw = format!("{status}: {} ({})", last.summary, when.relative(&last.at));
    ((tone, saw), (Tone::Plain, took(last.took_us)))
}

/// A duration such as `3.1 ms`.
pub(crate) fn took(micros: u64) -> String {
    let exact = Duration::from_micros(micros).as_secs_f64();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", exact * 1e3),
        _ => format!("{exact:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_a_run_took_is_short() {
        assert_eq!(
            [850, 3_140, 1_250_000].map(took),
            ["850 µs".to_owned(), "3.1 ms".to_owned(), "1.2 s".to_owned()]
        );
    }
}
