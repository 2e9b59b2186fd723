//! What one checker costs among many others: to read it from its module's file, and for the core to take in one run of
//! it and show it. `cargo bench --workspace --bench many_checkers`
//!
//! ```text
//!  modules  checkers of each    to read one    one run
//! ```
//! The figures of a column are about the same, however many checkers there are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_config::{AnyHost, parse_module};
use bellwether_core::action::Action;
use bellwether_core::event::Event;
use bellwether_core::id::{CheckerName, Generation, ModuleName};
use bellwether_core::moment::Moment;
use bellwether_core::node::{Beginning, Node};
use bellwether_core::observation::{Observation, Status};

/// So often each checker runs.
const ROUNDS: [Status; 6] =
    [Status::Pass, Status::Pass, Status::Pass, Status::Warn, Status::Pass, Status::Pass];

type Watches = BTreeMap<(ModuleName, CheckerName), Generation>;

fn main() -> Result<()> {
    // `cargo test --benches` wants to see that it runs, not how fast.
    let many = if std::env::args().any(|argument| argument == "--bench") { 8_000 } else { 80 };
    println!("{:>8} {:>17} {:>14} {:>10}", "modules", "checkers of each", "to read one", "one run");
    for (modules, checkers) in [(1, 8), (1, many / 10), (1, many), (many / 8, 8)] {
        let text = file(checkers)?;
        let read = each(10.max(800 / checkers), checkers, || {
            parse_module("m".parse()?, "modules/m.toml", &text, &AnyHost).context("the file is valid")?;
            Ok(())
        })?;
        let run = core(modules, &text)?;
        println!("{modules:>8} {checkers:>17} {read:>14.1?} {run:>10.1?}");
    }
    Ok(())
}

/// The time of one part of a repetition that has so many.
fn each(repetitions: usize, parts: usize, mut what: impl FnMut() -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..repetitions {
        what()?;
    }
    Ok(begun.elapsed() / u32::try_from(repetitions * parts)?)
}

fn file(checkers: usize) -> Result<String> {
    let mut text = "[commands]\nstart = { run = [\"/app\"], keep = true }\n".to_owned();
    for number in 0..checkers {
        let address = format!("127.0.0.1:{}", 1_024 + number);
        writeln!(text, "[[checker]]\nname = \"c{number}\"\ncomponent = \"tcp\"")?;
        writeln!(text, "config = {{ address = \"{address}\" }}\ngrant = {{ connect = [\"{address}\"] }}")?;
    }
    Ok(text)
}

/// The time of one run, while modules come up and stay up.
fn core(modules: usize, text: &str) -> Result<Duration> {
    let now = Moment::from_micros(1_000_000_000);
    let mut node = Node::new(Beginning { node: "bench".parse()?, last_record: 0, seed: 7, now });
    let mut watches = Watches::new();
    for number in 0..modules {
        let module: ModuleName = format!("m{number}").parse()?;
        let spec = parse_module(module.clone(), "modules/m.toml", text, &AnyHost)?.spec;
        let policy = Arc::new(spec.policy());
        follow(&mut watches, node.handle(Event::ModuleLoaded { module, policy, memory: None }, now));
    }
    let (mut at, begun, mut runs) = (now, Instant::now(), 0);
    for status in ROUNDS {
        for ((module, checker), generation) in watches.clone() {
            at = at + Duration::from_micros(1);
            let observation = Observation::new(status, "127.0.0.1:80 accepts connections", at);
            let event = Event::Observed { module, checker, generation, observation };
            follow(&mut watches, node.handle(event, at));
            runs += 1;
        }
    }
    Ok(begun.elapsed() / runs)
}

fn follow(watches: &mut Watches, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Watch { module, checker, generation, .. } => {
                watches.insert((module, checker), generation);
            }
            Action::Unwatch { module, checker } => {
                watches.remove(&(module, checker));
            }
            _ => {}
        }
    }
}
