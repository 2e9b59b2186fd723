//! Tells load balancers that never ask: runs `[health] on-yes` and `on-no` of a module when its answer changes.
//!
//! ```text
//!   snapshot (ready, or not) ──▶ core::announcement ──▶ the declared command ──▶ a record, and a problem while it fails
//! ```
//! When which word is said is decided in [`bellwether_core::announcement`].

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::announcement::Announcement;
use bellwether_core::event::Event;
use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::moment::{Moment, plain};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::act::captured::{self, CaptureError, Captured};
use crate::act::child::{Home, Launch};
use crate::clock::Clock;
use crate::config::spec::HealthSpec;
use crate::driver::{Message, Published};
use crate::problems::Problems;
use crate::process::ending::Ending;
use crate::pulse::Pulse;
use crate::roster::Roster;

/// It looks at least this often, also when nothing changes.
const LOOK: Duration = Duration::from_secs(5);
/// So many commands run at once; the words of further modules wait.
const AT_ONCE: usize = 16;
/// Of what a command that failed said, so many characters are shown.
const MAX_SAID: usize = 200;

/// What is needed to tell them.
#[derive(Debug)]
pub(crate) struct Announcer {
    /// Starts the commands.
    pub(crate) home: Home,
    /// Which commands there are.
    pub(crate) roster: Roster,
    /// The health answers.
    pub(crate) published: Published,
    /// The daemon's time line.
    pub(crate) clock: Clock,
    /// To the core, which writes down what was said.
    pub(crate) messages: mpsc::Sender<Message>,
    /// Where it is shown that a load balancer could not be told.
    pub(crate) problems: Problems,
}

/// A command that has ended.
struct Told {
    module: ModuleName,
    command: CommandName,
    word: bool,
    /// In words, well or not.
    result: Result<String, String>,
}

impl Announcer {
    /// Until dropped, or until the core takes nothing more.
    pub(crate) async fn run(self, pulse: Pulse) {
        let mut announcements = BTreeMap::<ModuleName, Announcement>::new();
        let mut failing = BTreeMap::<ModuleName, String>::new();
        let mut telling = JoinSet::new();
        let mut generation = self.published.generation.subscribe();
        loop {
            pulse.beat(self.clock);
            let snapshot = self.published.snapshot.load_full();
            self.begin(&snapshot, &mut announcements, &mut telling);
            failing.retain(|module, _| announcements.get(module).is_some_and(Announcement::is_failing));
            self.problems.set("announcer", &failing.values().cloned().collect::<Vec<_>>());
            let wake = announcements.values().filter_map(Announcement::next).min().unwrap_or(Moment::NEVER);
            let wake = wake.min(self.clock.now() + LOOK);
            tokio::select! {
                changed = generation.changed() => if changed.is_err() { return },
                Some(told) = telling.join_next() => match told {
                    Ok(told) => {
                        if !self.take(told, &mut announcements, &mut failing).await { return }
                    }
                    Err(error) => tracing::error!(%error, "telling a load balancer has failed"),
                },
                () = tokio::time::sleep_until(self.clock.instant(wake)) => {}
            }
        }
    }

    /// Starts what is due.
    fn begin(
        &self,
        snapshot: &Snapshot,
        announcements: &mut BTreeMap<ModuleName, Announcement>,
        telling: &mut JoinSet<Told>,
    ) {
        announcements.retain(|module, _| snapshot.module(module.as_str()).is_some());
        for view in &snapshot.modules {
            if telling.len() >= AT_ONCE || snapshot.looking.contains(&view.name) {
                continue;
            }
            let Some(member) = self.roster.get(&view.name) else { continue };
            let announcement = announcements.entry(view.name.clone()).or_default();
            let Some(word) = announcement.due(view.ready, self.clock.now()) else { continue };
            announcement.began(word);
            let Some(command) = command_of(&member.spec.health, word).cloned() else {
                // There is nothing to say, and that is said.
                announcement.ended(true, self.clock.now());
                continue;
            };
            let (home, module) = (self.home.clone(), view.name.clone());
            telling.spawn(async move {
                let result = match member.spec.commands.get(&command) {
                    Some(spec) => {
                        let launch = Launch { module: &module, command: &command, spec, arguments: &[] };
                        in_words(captured::run(&home, &launch, None, spec.timeout).await)
                    }
                    None => Err("it is not declared".to_owned()),
                };
                Told { module, command, word, result }
            });
        }
    }

    /// Returns whether the core still takes anything.
    async fn take(
        &self,
        told: Told,
        announcements: &mut BTreeMap<ModuleName, Announcement>,
        failing: &mut BTreeMap<ModuleName, String>,
    ) -> bool {
        let Told { module, command, word, result } = told;
        let Some(announcement) = announcements.get_mut(&module) else { return true };
        let is_news = announcement.ended(result.is_ok(), self.clock.now());
        let (answer, ok) = (if word { "yes" } else { "no" }, result.is_ok());
        if let Err(why) = &result {
            tracing::warn!(%module, %command, "the load balancer was not told {answer}: {why}");
            let problem = format!(
                "module `{module}`: the load balancer was not told {answer}: command `{command}` {why}. It is tried again; \
                 see to it that the command works, or tell the load balancer by hand"
            );
            failing.insert(module.clone(), problem);
        }
        if !is_news {
            return true;
        }
        let result = result.unwrap_or_else(|why| why);
        let kind =
            RecordKind::Step { step: format!("tell the load balancer {answer}: `{command}`"), ok, result };
        self.messages.send(Message::Event(Event::Noted { module: Some(module), kind })).await.is_ok()
    }
}

fn command_of(health: &HealthSpec, word: bool) -> Option<&CommandName> {
    if word { health.on_yes.as_ref() } else { health.on_no.as_ref() }
}

fn in_words(outcome: Result<Captured, CaptureError>) -> Result<String, String> {
    let ended = outcome.map_err(|error| error.to_string())?;
    if ended.ending == Ending::Exited(0) {
        return Ok(format!("done in {}", plain(ended.took)));
    }
    let said = if ended.stderr.is_empty() { &ended.stdout } else { &ended.stderr };
    let said = String::from_utf8_lossy(said);
    let line = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line: String = line.trim().chars().filter(|c| !c.is_control()).take(MAX_SAID).collect();
    let colon = if line.is_empty() { "" } else { ": " };
    Err(format!("{}{colon}{line}", ended.ending))
}
