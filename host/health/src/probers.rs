//! The clients that probe the health endpoint, as recorded by its thread, and what follows for the core.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_core::event::Event;
use bellwether_core::health::{Agent, Question, Subject};
use bellwether_core::id::ModuleName;
use bellwether_core::moment::Moment;
use bellwether_core::probers;
use bellwether_core::snapshot::Snapshot;
use tokio::sync::mpsc;

use bellwether_bus::{Message, Published};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;

/// The interval at which the core is informed of changes.
const LOOK: Duration = Duration::from_secs(1);
/// A smaller relative change is ignored: no interval is quite constant.
const NEWS: u32 = 5;

/// All clients that probe. The health thread writes without waiting: while the data is read, a probe is not
/// counted.
#[derive(Debug, Clone, Default)]
pub struct Probers(Arc<Mutex<probers::Probers>>);

impl Probers {
    /// Counts a probe by HTTP. One for a module that does not exist does not count, because it would use up an
    /// entry.
    pub fn asked(&self, from: IpAddr, question: Question<'_>, snapshot: &Snapshot, now: Moment) {
        let about = match question {
            Question::Health(subject) | Question::Report(subject) | Question::DisableOn404(subject) => {
                match subject {
                    Subject::All => None,
                    Subject::Module(name) => Some(name),
                }
            }
            Question::ReadyFile(name) => Some(name),
            Question::Elsewhere => return,
        };
        if about.is_none_or(|name| snapshot.module(name).is_some()) {
            self.count(from, about, false, now);
        }
    }

    /// Counts a check of an agent by `HAProxy`.
    pub(crate) fn agent_asked(&self, from: IpAddr, agent: &Agent, now: Moment) {
        self.count(from, agent.module.as_ref().map(ModuleName::as_str), true, now);
    }

    fn count(&self, from: IpAddr, about: Option<&str>, agent: bool, now: Moment) {
        if let Ok(mut probers) = self.0.try_lock() {
            probers.asked(from, about, agent, now);
        }
    }

    /// The interval of the slowest client that probes this module regularly.
    pub fn slowest(&self, module: &ModuleName, now: Moment) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).slowest(module.as_str(), now)
    }
}

/// The task that informs the core.
#[derive(Debug)]
pub struct Watch {
    pub probers: Probers,
    /// Shows which modules exist.
    pub published: Published,
    /// The daemon's time line.
    pub clock: Clock,
    /// The core's message queue.
    pub messages: mpsc::Sender<Message>,
}

impl Watch {
    /// Checks periodically, until it is dropped or until the core ends.
    pub async fn run(self, heartbeat: Heartbeat) {
        let mut told = BTreeMap::<ModuleName, Option<Duration>>::new();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            heartbeat.beat(self.clock);
            let snapshot = self.published.snapshot.load_full();
            told.retain(|module, _| snapshot.module(module.as_str()).is_some());
            for module in snapshot.modules.iter().map(|view| view.name.clone()) {
                let every = self.probers.slowest(&module, self.clock.now());
                let before = told.get(&module).copied().flatten();
                if !is_news(before, every) {
                    continue;
                }
                told.insert(module.clone(), every);
                if self.messages.send(Message::Event(Event::Probed { module, every })).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn is_news(before: Option<Duration>, every: Option<Duration>) -> bool {
    match (before, every) {
        (Some(before), Some(every)) => before.abs_diff(every) > before / NEWS,
        (before, every) => before != every,
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::id::NodeName;
    use bellwether_core::snapshot::ModuleView;
    use bellwether_core::state::StateName;

    use super::*;

    #[test]
    fn a_pace_that_is_a_little_uneven_is_no_news() {
        let time = |milliseconds| Some(Duration::from_millis(milliseconds));
        for (before, every, news) in [
            (None, None, false),
            (None, time(2000), true),
            (time(2000), time(2390), false),
            (time(2000), time(1610), false),
            (time(2000), time(2410), true),
            (time(2000), None, true),
        ] {
            assert_eq!(is_news(before, every), news, "{before:?} {every:?}");
        }
    }

    #[test]
    fn questions_about_nothing_do_not_count_and_agents_do() {
        let probers = Probers::default();
        let from = IpAddr::from([10, 0, 0, 5]);
        let web = ModuleName::new("web").unwrap();
        let agent = Agent { module: Some(web.clone()), owns: false };
        let at = |second: i64| Moment::from_micros(second * 1_000_000);
        let empty = Snapshot::empty(NodeName::new("n").unwrap(), at(0));
        for second in 0..4 {
            for question in [Question::Elsewhere, Question::Health(Subject::Module("web"))] {
                probers.asked(from, question, &empty, at(second));
                assert_eq!(probers.slowest(&web, at(second)), None);
            }
        }
        for second in 0..4 {
            probers.agent_asked(from, &agent, at(second * 2));
        }
        assert_eq!(probers.slowest(&web, at(7)), Some(Duration::from_secs(2)));
        assert_eq!(probers.slowest(&ModuleName::new("mail").unwrap(), at(7)), None);
        let module = Arc::new(ModuleView::empty(web.clone(), StateName::Up));
        let snapshot = Snapshot { modules: vec![module], ..empty };
        for second in 10..13 {
            probers.asked(from, Question::Health(Subject::Module("web")), &snapshot, at(second * 5));
        }
        assert_eq!(probers.slowest(&web, at(61)), Some(Duration::from_secs(5)));
    }
}
