//! Notifies load balancers that do not probe: runs `[health] on-yes` and `on-no` of a module when its answer
//! changes.
//!
//! ```text
//!   snapshot (ready, or not) ──▶ core::announcement ──▶ the declared command ──▶ a record, and a problem while it fails
//! ```
//! When each command runs is decided in [`bellwether_core::announcement`].

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use bellwether_bus::recorder::Recorder;
use bellwether_core::announcement::Announcement;
use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::moment::{Moment, plain};
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::Snapshot;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::loaded_modules::LoadedModules;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::{Message, Published};
use bellwether_config::spec::ModuleSpec;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::ending::Ending;
use bellwether_os::spawn::captured::{self, CaptureError, Captured};
use bellwether_os::spawn::child::{Home, Launch};
use bellwether_os::spawn::command::CommandSpec;

/// The longest interval between two checks, even when nothing changes.
const LOOK: Duration = Duration::from_secs(5);
/// The number of commands that run at the same time; those of other modules wait.
const AT_ONCE: usize = 16;

/// Runs the commands of all modules.
#[derive(Debug)]
pub struct Announcer {
    /// Settings for starting commands.
    pub home: Home,
    /// The declared commands of each module.
    pub loaded_modules: LoadedModules,
    /// The published health answers.
    pub published: Published,
    /// The daemon's time line.
    pub clock: Clock,
    /// The journal, through the core.
    pub messages: mpsc::Sender<Message>,
    /// Shows load balancers that could not be notified.
    pub problems: Diagnostics,
}

/// The last answer that one module's load balancer was notified of, and the commands for it.
#[derive(Default)]
struct Line {
    announcement: Announcement,
    on_yes: Option<Order>,
    on_no: Option<Order>,
    /// Why the last command has failed.
    problem: Option<String>,
}

/// A command that is to be run.
#[derive(Clone, PartialEq)]
struct Order {
    name: CommandName,
    spec: CommandSpec,
}

/// A command that has ended.
struct Told {
    module: ModuleName,
    command: CommandName,
    word: bool,
    /// The outcome in words.
    result: Result<String, NotTold>,
}

/// Why a load balancer was not notified. Follows the name of the command in a sentence.
#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error("has panicked")]
    Panicked,
    #[error(transparent)]
    Cut(#[from] CaptureError),
    #[error("{ending}{}", .last_words.as_ref().map(|line| format!(": {line}")).unwrap_or_default())]
    Failed { ending: Ending, last_words: Option<String> },
}

impl Line {
    /// Applies the module's file. Changed commands have not notified anything yet; one that is running ends first.
    fn follow(&mut self, module: &ModuleSpec) {
        let order = |name: &Option<CommandName>| {
            let name = name.clone()?;
            Some(Order { spec: module.commands.get(&name)?.clone(), name })
        };
        let (on_yes, on_no) = (order(&module.health.on_yes), order(&module.health.on_no));
        if !self.announcement.is_telling() && (&on_yes, &on_no) != (&self.on_yes, &self.on_no) {
            *self = Self { on_yes, on_no, ..Self::default() };
        }
    }

    fn order(&self, word: bool) -> Option<&Order> {
        if word { self.on_yes.as_ref() } else { self.on_no.as_ref() }
    }
}

impl Announcer {
    /// Runs until it is dropped, or until the core ends.
    pub async fn run(self, heartbeat: Heartbeat) {
        let mut lines = BTreeMap::<ModuleName, Line>::new();
        let mut telling = JoinSet::new();
        let mut generation = self.published.generation.subscribe();
        let mut handled = self.published.snapshot.load_full();
        let mut wake = self.clock.now();
        loop {
            heartbeat.beat(self.clock);
            let snapshot = self.published.snapshot.load_full();
            // Most pictures only show that checkers have run: no line is looked at for that.
            if self.clock.now() >= wake || !snapshot.answers_like(&handled) {
                self.begin(&snapshot, &mut lines, &mut telling);
                let problems = lines.values().filter_map(|line| line.problem.clone());
                self.problems.set("announcer", &problems.collect::<Vec<_>>());
                let now = self.clock.now();
                // What is due and has no place waits for the end of another.
                let next =
                    lines.values().filter_map(|line| line.announcement.next()).filter(|next| *next > now);
                wake = next.min().unwrap_or(Moment::NEVER).min(now + LOOK);
            }
            handled = snapshot;
            tokio::select! {
                changed = generation.changed() => if changed.is_err() { return },
                Some(told) = telling.join_next() => {
                    match told {
                        Ok(told) => if !self.take(told, &mut lines).await { return },
                        Err(error) => tracing::error!(%error, "telling a load balancer was cut short"),
                    }
                    wake = self.clock.now();
                }
                () = tokio::time::sleep_until(self.clock.instant(wake)) => {}
            }
        }
    }

    /// Starts the commands that are due.
    fn begin(
        &self,
        snapshot: &Snapshot,
        lines: &mut BTreeMap<ModuleName, Line>,
        telling: &mut JoinSet<Told>,
    ) {
        for view in &snapshot.modules {
            if let Some(member) = self.loaded_modules.get(&view.name) {
                lines.entry(view.name.clone()).or_default().follow(&member.spec);
            }
        }
        let now = self.clock.now();
        lines.retain(|module, line| {
            let view = snapshot.module(module.as_str());
            // A module that is gone is not ready: that is announced as well, with the commands of its last file.
            let ready = view.is_some_and(|view| view.ready);
            if !snapshot.looking.contains(module) && telling.len() < AT_ONCE {
                self.begin_one(module, line, ready, telling);
            }
            view.is_some()
                || line.announcement.is_telling()
                || line.announcement.due(false, now).is_some()
                || line.problem.is_some()
        });
    }

    fn begin_one(&self, module: &ModuleName, line: &mut Line, ready: bool, telling: &mut JoinSet<Told>) {
        let Some(word) = line.announcement.due(ready, self.clock.now()) else { return };
        line.announcement.began(word);
        let Some(Order { name, spec }) = line.order(word).cloned() else {
            // No command is declared for this answer, which counts as announced.
            line.announcement.ended(true, self.clock.now());
            line.problem = None;
            return;
        };
        let (home, module) = (self.home.clone(), module.clone());
        telling.spawn(async move {
            let launch = Launch { module: &module, command: &name, spec: &spec, arguments: &[] };
            let run = AssertUnwindSafe(captured::run(&home, &launch, None, spec.timeout));
            let result = run.catch_unwind().await.map_or_else(|_| Err(NotTold::Panicked), in_words);
            Told { module, command: name, word, result }
        });
    }

    /// Returns whether the core still receives messages.
    async fn take(&self, told: Told, lines: &mut BTreeMap<ModuleName, Line>) -> bool {
        let Told { module, command, word, result } = told;
        let Some(line) = lines.get_mut(&module) else { return true };
        let is_news = line.announcement.ended(result.is_ok(), self.clock.now());
        let (answer, ok) = (if word { "yes" } else { "no" }, result.is_ok());
        line.problem = result.as_ref().err().map(|why| {
            tracing::warn!(%module, %command, "the load balancer was not told {answer}: {why}");
            format!(
                "module `{module}`: the load balancer was not told {answer}: command `{command}` {why}. It is tried again; \
                 see to it that the command works, or tell the load balancer by hand"
            )
        });
        if !is_news {
            return true;
        }
        let result = result.unwrap_or_else(|why| why.to_string());
        let kind =
            RecordKind::Step { step: format!("tell the load balancer {answer}: `{command}`"), ok, result };
        Recorder::new(self.messages.clone()).record(Some(module), kind).await
    }
}

fn in_words(outcome: Result<Captured, CaptureError>) -> Result<String, NotTold> {
    let ended = outcome?;
    if ended.ending == Ending::Exited(0) {
        return Ok(format!("done in {}", plain(ended.took)));
    }
    Err(NotTold::Failed { last_words: ended.last_words(), ending: ended.ending })
}
