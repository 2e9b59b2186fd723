//! Sends notifications: carries out what [`bellwether_core::notify`] decides.
//!
//! ```text
//!   journal ──records──▶ notifier ──▶ state/notifications.json ──▶ one try for each target at a time
//!                           ▲                                          │ delivered, or not
//!                           └──────────────────────────────────────────┘
//! ```
//! A separate task, which nothing waits for. It follows the journal by the numbers of the records, so the next
//! daemon continues after the last one that is stored; and nothing is sent before it is stored, so a notification
//! that is sent twice because of that has the same key.

mod board;
mod body;
mod command;
mod email;
mod outlet;
pub(crate) mod secret;
mod store;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_bus::recorder::Recorder;
use bellwether_core::id::{NodeName, TargetName};
use bellwether_core::moment::{Moment, plain};
use bellwether_core::notify::{Action, Event, Notification, Notifier};
use bellwether_core::record::Record;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};

use bellwether_api::notifications::Tested;
use bellwether_bus::refused_files::RefusedFiles;
use bellwether_bus::{Entry, Message, Published};
use bellwether_config::notify::NotifySpec;
use bellwether_config::spec::HttpSpec;
use bellwether_journal::{Journal, RecordQuery};
use bellwether_os::clock::Clock;
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::gate::Launcher;

pub use self::board::{Board, TargetCounts};
use self::outlet::Outlet;
pub use self::outlet::{Delivery, NotDelivered};
use self::store::Store;
pub(crate) use self::webhook::Connector;

/// The interval at which the present state is checked, for alerts that no record has ended.
const LOOK: Duration = Duration::from_secs(30);
/// The longest time until handled records are stored.
const STORE: Duration = Duration::from_secs(1);
/// The number of missed records that are read at once.
const MISSED: usize = 1_000;
/// The maximum number of such reads: a daemon does not miss more than that.
const MISSED_BATCHES: usize = 1_000;
/// The number of records that are handled before anything else is done.
const BATCH: usize = 1024;
/// The number of tests that may wait.
const TESTS: usize = 4;

/// The dependencies of the notifications.
#[derive(Debug)]
pub struct Settings {
    /// The folder of the daemon.
    pub root: PathBuf,
    /// The name of the node.
    pub node: NodeName,
    /// The daemon's time line.
    pub clock: Clock,
    /// The configured notification targets.
    pub targets: Vec<NotifySpec>,
    /// How requests are made: with which proxy, and which authorities.
    pub http: HttpSpec,
    /// The console's address for users, if it is known.
    pub console: Option<String>,
    /// The journal, which this daemon has not written to yet.
    pub journal: Journal,
    /// The published snapshot of all modules.
    pub published: Published,
    /// Files that are not active.
    pub refused: RefusedFiles,
    /// The core, for records of discarded notifications.
    pub events: mpsc::Sender<Message>,
}

/// A user requests a test notification.
#[derive(Debug)]
pub struct Test {
    /// To one target, or to all of them.
    target: Option<String>,
    by: String,
    answer: oneshot::Sender<Vec<Tested>>,
}

/// For showing the state of notifications, and for tests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    board: Board,
    tests: mpsc::Sender<Test>,
}

impl Desk {
    /// The state of all notification targets.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Sends a test, and returns its outcome. Empty if the target does not exist.
    pub async fn test(&self, target: Option<String>, by: String) -> Vec<Tested> {
        let (answer, answered) = oneshot::channel();
        if self.tests.send(Test { target, by, answer }).await.is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }
}

/// The task that sends notifications.
#[derive(Debug)]
pub struct Notify {
    settings: Settings,
    outlets: BTreeMap<TargetName, Arc<Outlet>>,
    notifier: Notifier,
    store: Store,
    board: Board,
    tests: mpsc::Receiver<Test>,
    testing: JoinSet<()>,
    trying: JoinSet<Delivery>,
    tried: HashMap<Id, TargetName>,
    /// Actions to carry out once the state is stored.
    due: Vec<Action>,
    /// Since when the state has differed from the stored one.
    changed: Option<Moment>,
    /// The state that must be stored before anything else happens.
    urgent: bool,
    looked: Moment,
}

impl Notify {
    /// Continues where the previous daemon ended. The last value reports damage.
    pub fn open(settings: Settings) -> (Self, Desk, Option<String>) {
        let now = settings.clock.now();
        let mut store = Store::new(&settings.root);
        let (state, damaged) = store.read(settings.journal.last_seq(), now);
        if !settings.targets.is_empty() {
            store.begin(&state);
        }
        let policies = settings.targets.iter().map(|spec| (spec.name.clone(), spec.policy.clone())).collect();
        let notifier = Notifier::new(settings.node.clone(), policies, state, now);
        let connector = Connector::new(&settings.http);
        let home =
            Home { root: settings.root.clone(), node: settings.node.clone(), launcher: Launcher::Nobody };
        let console = settings.console.as_deref();
        let outlet =
            |spec: &NotifySpec| (spec.name.clone(), Arc::new(Outlet::new(spec, &home, &connector, console)));
        let outlets = settings.targets.iter().map(outlet).collect();
        let board = Board::new(settings.targets.iter().map(|spec| spec.name.clone()));
        let (sender, tests) = mpsc::channel(TESTS);
        let desk = Desk { board: board.clone(), tests: sender };
        let notify = Self {
            settings,
            outlets,
            notifier,
            store,
            board,
            tests,
            testing: JoinSet::new(),
            trying: JoinSet::new(),
            tried: HashMap::new(),
            due: Vec::new(),
            changed: None,
            urgent: false,
            looked: now,
        };
        (notify, desk, damaged)
    }

    /// Runs until the daemon shuts down. If it is dropped, deliveries are abandoned; the next daemon resumes them.
    pub async fn run(mut self) {
        if self.outlets.is_empty() {
            // A target that is added later gets only later events.
            self.store.forget();
            while let Some(test) = self.tests.recv().await {
                drop(test.answer.send(Vec::new()));
            }
            return;
        }
        let mut records = self.settings.journal.follow();
        self.catch_up().await;
        loop {
            self.settle().await;
            let wake = self.settings.clock.instant(self.wake());
            tokio::select! {
                record = records.recv() => match record {
                    Ok(record) => {
                        self.take(&record);
                        if self.take_waiting(&mut records) { self.catch_up().await; }
                    }
                    Err(RecvError::Lagged(_)) => self.catch_up().await,
                    Err(RecvError::Closed) => return,
                },
                Some(ended) = self.trying.join_next_with_id() => self.take_result(ended),
                Some(_) = self.testing.join_next() => {}
                Some(test) = self.tests.recv(), if self.testing.len() < TESTS => self.begin_test(test),
                () = tokio::time::sleep_until(wake) => self.look(),
            }
        }
    }

    /// When to check the time again.
    fn wake(&self) -> Moment {
        let due = self.notifier.next_deadline();
        let store = self.changed.map(|since| since + STORE);
        due.into_iter().chain(store).chain([self.looked + LOOK]).min().unwrap_or(Moment::NEVER)
    }

    fn take(&mut self, record: &Record) {
        self.handle(Event::Record(record));
    }

    /// Returns true if some were missed.
    fn take_waiting(&mut self, records: &mut tokio::sync::broadcast::Receiver<Entry>) -> bool {
        for _ in 0..BATCH {
            match records.try_recv() {
                Ok(record) => self.take(&record),
                Err(TryRecvError::Lagged(_)) => return true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
            }
        }
        false
    }

    /// The records after the last one that was handled.
    async fn catch_up(&mut self) {
        for _ in 0..MISSED_BATCHES {
            let after = self.notifier.state().record();
            let missed = missed(&self.settings.journal, after).await;
            for record in &missed {
                self.take(record);
            }
            if missed.len() < MISSED {
                return;
            }
        }
    }

    fn look(&mut self) {
        let now = self.settings.clock.now();
        if now.since(self.looked) >= LOOK {
            self.looked = now;
            let snapshot = self.settings.published.snapshot.load_full();
            let refused: BTreeSet<String> = self.settings.refused.files();
            self.handle(Event::Seen { snapshot: &snapshot, refused: &refused });
        } else {
            self.handle(Event::Time);
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        let now = self.settings.clock.now();
        let actions = self.notifier.handle(event, now);
        self.urgent |= !actions.is_empty();
        self.due.extend(actions);
        self.changed.get_or_insert(now);
    }

    /// Stores what has changed, then does what is due.
    async fn settle(&mut self) {
        let now = self.settings.clock.now();
        if self.urgent || self.changed.is_some_and(|since| now.since(since) >= STORE) {
            (self.urgent, self.changed) = (false, None);
            self.store.write(self.notifier.state()).await;
        }
        for action in std::mem::take(&mut self.due) {
            match action {
                Action::Deliver { target, notification } => self.try_to(target, *notification),
                Action::GaveUp { target, title, why } => self.gave_up(&target, &title, &why).await,
            }
        }
        self.board.show(&self.notifier, self.store.problem());
    }

    fn try_to(&mut self, target: TargetName, notification: Notification) {
        let Some(outlet) = self.outlets.get(&target).cloned() else { return };
        let clock = self.settings.clock;
        let handle = self.trying.spawn(async move { outlet.deliver(&notification, clock).await });
        self.tried.insert(handle.id(), target);
    }

    fn take_result(&mut self, ended: Result<(Id, Delivery), JoinError>) {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(NotDelivered::new(format!("the daemon itself failed: {error}")))),
        };
        let Some(target) = self.tried.remove(&id) else { return };
        self.board.count(&target, result.is_ok());
        // The result is stored before the next attempt.
        self.urgent = true;
        match result {
            Ok(partly) => {
                match &partly {
                    None => tracing::info!(%target, "notified"),
                    Some(why) => tracing::warn!(%target, "delivered, except to some recipients: {why}"),
                }
                self.board.not_all(&target, partly);
                self.handle(Event::Delivered { target: &target });
            }
            Err(NotDelivered { why, partly: true, .. }) => {
                tracing::warn!(%target, "delivered, and retried for some recipients: {why}");
                let jitter = fastrand::f64();
                self.handle(Event::Deferred { target: &target, why, jitter });
            }
            Err(NotDelivered { why, retry_after, .. }) => {
                tracing::warn!(%target, "not delivered, and retried: {why}");
                let jitter = fastrand::f64();
                self.handle(Event::Failed { target: &target, why, retry_after, jitter });
            }
        }
    }

    async fn gave_up(&mut self, target: &TargetName, title: &str, why: &str) {
        self.board.count_given_up(target);
        let spec = self.settings.targets.iter().find(|spec| spec.name == *target);
        let after = spec.map_or_else(String::new, |spec| plain(spec.policy.give_up));
        let message = format!("`{target}` could not be reached for {after}, abandoned: {title} ({why})");
        Recorder::new(self.settings.events.clone()).say(message).await;
    }

    fn begin_test(&mut self, test: Test) {
        let Test { target, by, answer } = test;
        let (clock, node) = (self.settings.clock, self.settings.node.clone());
        let chosen = self
            .outlets
            .iter()
            .filter(|(name, _)| target.as_deref().is_none_or(|wanted| wanted == name.as_str()));
        let mut tries = JoinSet::new();
        for (index, (name, outlet)) in chosen.enumerate() {
            let (name, outlet, at) = (name.clone(), Arc::clone(outlet), clock.now());
            let key = format!("{node}-test-{:x}-{index}", at.as_micros());
            let notification = Notification::test(key.clone(), node.clone(), name.clone(), &by, at);
            tries.spawn(async move {
                let result = outlet.deliver(&notification, clock).await.map_err(|error| error.why);
                Tested { target: name, key, result, took: clock.now().since(at) }
            });
        }
        self.testing.spawn(async move {
            let mut tested = tries.join_all().await;
            tested.sort_by(|a, b| a.target.cmp(&b.target));
            // The caller may have given up.
            drop(answer.send(tested));
        });
    }
}

/// The only place that reads the journal.
async fn missed(journal: &Journal, after: u64) -> Vec<Entry> {
    let query = RecordQuery { after: Some(after), limit: MISSED, ..RecordQuery::default() };
    journal.records(query).await.unwrap_or_else(|error| {
        tracing::error!(%error, "events in the meantime cannot be read: notifications of them may be missing");
        Vec::new()
    })
}
