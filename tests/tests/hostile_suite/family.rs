//! A family of guests on one daemon: all of them beside a good checker and a module that serves.
//!
//! ```text
//!   quiet ──all act──▶ warm ──rest──▶ measured ──all act again──▶ rest ──▶ measured again
//! ```

use std::time::{Duration, Instant};

use bellwether_tests::answers::{Module, Observation, Outcome, State, Verdict};
use bellwether_tests::composed::{WITNESS, witness};
use bellwether_tests::control;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually, within};
use bellwether_tests::long;
use bellwether_tests::probe::Probe;
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use bellwether_tests::web::Web;

use super::act::{Act, Becomes};

/// A guest that computes is ended at a tick.
const TICK: Duration = Duration::from_millis(10);
/// In addition: the time that a machine with few processors needs until the guest is scheduled.
const TURN_OF_THE_GUEST: Duration = Duration::from_secs(1);
/// The maximum growth over the warm daemon's memory, in KiB.
const GROWTH: u64 = 24 << 10;
/// The number of threads and descriptors that fluctuate.
const LOOSE: usize = 3;

/// Runs a family, twice.
pub(super) fn run(name: &str, acts: Vec<Act>) {
    let begun = Instant::now();
    let acts = long::one_of_each(acts, |act| act.becomes);
    let family = Family::begin(&acts);
    let quiet = family.usage();
    let control = Probe::begin(control::server(), "/", 100);
    let probe = Probe::begin(family.root.health, "/health/web", 100);

    let first = family.act();
    let warm = family.rest(quiet, None);
    let again = family.act();
    let end = family.rest(quiet, Some(warm.memory + GROWTH));
    let latest = first.max(again);

    let (answers, control) = (probe.finish(), control.finish());
    let (p99, control_p99) = (answers.percentile(99), control.percentile(99));
    let gap = no_run_missed(&family.daemon);
    println!(
        "{name}: {} guests in {:?}; latest end {latest:?} after its deadline; longest gap of the witness {gap:?}; \
         {} answers, p99 {p99:?} (control {control_p99:?}); quiet {quiet:?}, warm {warm:?}, at the end {end:?}",
        acts.len(),
        begun.elapsed(),
        answers.count(),
    );
    // When the machine stood still, every process did.
    let still = 3 * control.percentile(100);
    assert!(latest <= TICK + TURN_OF_THE_GUEST + still, "{latest:?}, and the control {still:?}");
    assert_eq!(answers.statuses.keys().collect::<Vec<_>>(), [&200], "{:?}", answers.statuses);
    answers.were_as_fast_as(&control);
    assert!(gap < Duration::from_secs(2) + still, "{gap:?}, and the control {still:?}");
    family.undisturbed();
}

/// Fields are dropped in this order.
struct Family<'a> {
    daemon: Daemon,
    acts: &'a [Act],
    root: Root,
    web: Web,
    ready: Module,
}

impl<'a> Family<'a> {
    fn begin(acts: &'a [Act]) -> Self {
        let root = Root::default();
        root.write("checkers/witness.wasm", witness(1));
        let web = Web::lay_out(&root);
        web.write(&root, WITNESS);
        let daemon = Daemon::run(root.path(), root.health);
        daemon.until_ready("web");
        daemon.until_verdict("web", "witness", Verdict::Up);
        let ready = daemon.until_ready("web");
        for act in acts {
            root.write(&format!("checkers/{}.wasm", act.name), &act.component);
        }
        let family = Self { daemon, acts, root, web, ready };
        family.loaded();
        family
    }

    /// Every component is active or rejected, as expected.
    fn loaded(&self) {
        for act in self.acts {
            let what = format!("{} is loaded or refused", act.name);
            let found = within(2 * PATIENCE, &what, || self.daemon.component(act.name));
            match act.becomes {
                Becomes::Refused(why) => {
                    println!("{}: {:?}", act.name, found.error);
                    let refused = found.error.as_ref().is_some_and(|error| error.contains(why));
                    assert!(refused, "{}: {found:?}", act.name);
                }
                _ => assert_eq!(found.error, None, "{}", act.name),
            }
        }
    }

    /// All of them act until each has shown its result twice. Returns the longest time after a deadline.
    fn act(&self) -> Duration {
        let tables: String = self.running().map(Act::table).collect();
        self.web.write(&self.root, &format!("{WITNESS}{tables}"));
        let mut latest = Duration::ZERO;
        let mut at = vec![Vec::<String>::new(); self.acts.len()];
        let mut others = vec![Vec::<String>::new(); self.acts.len()];
        within(2 * PATIENCE, "each has run twice, as it should", || {
            let module = self.daemon.module("web");
            for ((seen, others), act) in at.iter_mut().zip(&mut others).zip(self.acts) {
                let Some(last) = last(&module, act.name) else { continue };
                if seen.contains(&last.at) || others.contains(&last.at) {
                    continue;
                }
                let took = Duration::from_micros(last.took_us);
                latest = latest.max(took.saturating_sub(Duration::from_millis(act.timeout)));
                // It may not do the same each time, and this may be the run before the one in question.
                if act.is_as_it_should(last) {
                    seen.push(last.at.clone());
                } else {
                    others.push(last.at.clone());
                    assert!(others.len() < 5 || !seen.is_empty(), "{}: {last:?}", act.name);
                }
            }
            let all = self.acts.iter().zip(&at).all(|(act, seen)| !act.runs() || seen.len() >= 2);
            all.then_some(())
        });
        latest
    }

    fn running(&self) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(|act| act.runs())
    }

    /// All guests are removed. Returns the resources of the daemon once it is as quiet as before, and has no more
    /// memory than `most` (KiB): pending runs of removed checkers end only at their deadlines, and hold their
    /// resources until then.
    fn rest(&self, quiet: Usage, most: Option<u64>) -> Usage {
        self.web.write(&self.root, WITNESS);
        eventually("the acts are gone", || {
            let module = self.daemon.module("web");
            self.acts.iter().all(|act| last(&module, act.name).is_none()).then_some(())
        });
        let now = self.usage();
        let wanted =
            format!("all is back: it was {quiet:?}, with most {most:?} KiB, and is at first {now:?}");
        eventually(&wanted, || {
            let now = self.usage();
            let back = now.threads <= quiet.threads + LOOSE
                && now.descriptors <= quiet.descriptors + LOOSE
                && most.is_none_or(|most| now.memory <= most);
            back.then_some(now)
        })
    }

    fn usage(&self) -> Usage {
        Usage::of(self.daemon.pid())
    }

    fn undisturbed(&self) {
        let now = self.daemon.module("web");
        assert_eq!((now.state, now.ready, now.restarts), (State::Up, true, 0), "{now:?}");
        assert_eq!((&now.since, now.pids()), (&self.ready.since, self.ready.pids()), "{now:?}");
        let fails = self.acts.iter().filter(|act| matches!(act.becomes, Becomes::Told(Outcome::Fail, _)));
        let may_fail: Vec<&str> = fails.map(|act| act.name).collect();
        for event in self.daemon.events() {
            let checker = event.checker.as_deref().unwrap_or_default();
            assert!(!event.is_down() || may_fail.contains(&checker), "{event:?}");
        }
    }
}

impl Act {
    fn runs(&self) -> bool {
        !matches!(self.becomes, Becomes::Refused(_))
    }

    fn is_as_it_should(&self, last: &Observation) -> bool {
        match self.becomes {
            Becomes::Unknown(why) => last.status == Outcome::Unknown && last.summary.contains(why),
            Becomes::Told(outcome, words) => last.status == outcome && last.summary.contains(words),
            Becomes::Refused(_) => false,
        }
    }
}

fn last<'m>(module: &'m Module, checker: &str) -> Option<&'m Observation> {
    module.checker(checker)?.last.as_ref()
}

/// The good checker itself reports that no run was skipped. Returns the longest time between two runs.
pub(super) fn no_run_missed(daemon: &Daemon) -> Duration {
    let witness = daemon.until_checker("web", "witness", "run often enough to tell", |witness| {
        let run = witness.last.as_ref().and_then(|last| last.measured("run"));
        run.is_some_and(|run| run >= 10.0)
    });
    let last = witness.last.as_ref().expect("it has run");
    assert_eq!((witness.verdict, last.status), (Verdict::Up, Outcome::Pass), "{witness:?}");
    Duration::from_secs_f64(last.measured("longest-gap").expect("it measures that") / 1000.0)
}
