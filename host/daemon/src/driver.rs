//! The loop that owns the core.
//!
//! ```text
//!   events, commands, time ──▶ core ──▶ actions ──▶ observers, actors, journal
//!                                └────▶ snapshot ──▶ all who show it
//! ```
//! The loop waits for nothing but its channel and its timer, so an iteration begins at least every
//! [`Heartbeat::BEAT`], with a beat of the heartbeat.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use bellwether_core::action::Action;
use bellwether_core::command::{CommandOutcome, DeniedReason, with_reason};
use bellwether_core::event::Event;
use bellwether_core::id::{ModuleName, RequestId};
use bellwether_core::moment::Moment;
use bellwether_core::node::Node;
use bellwether_core::permission::Permission;
use bellwether_core::record::RecordKind;
use bellwether_core::text;
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use bellwether_bus::inbox::Inbox;
use bellwether_bus::metrics::Metrics;
use bellwether_bus::{Message, Published};
use bellwether_health::Opening;
use bellwether_journal::Journal;
use bellwether_journal::input_log::InputLog;
use bellwether_os::clock::Clock;
use bellwether_os::fault;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_supervisor::act::Actors;
use bellwether_supervisor::observe::Observers;
use bellwether_supervisor::persisted_state::PersistedState;

/// The number of messages that are handled before the time is checked again.
const BATCH: usize = 64;
/// The time after which it is checked again in any case: an event of a module with many checkers takes longer.
const TURN: Duration = Duration::from_millis(50);
/// Between two pictures that only show what checkers saw: a picture takes as long as there are modules.
const QUIET: Duration = Duration::from_millis(25);

/// The loop, and everything that it drives.
#[derive(Debug)]
pub struct Driver {
    /// The state machine of the node.
    pub node: Node,
    /// The daemon's time line.
    pub clock: Clock,
    /// Beats in each iteration of the loop.
    pub heartbeat: Heartbeat,
    /// Where the snapshot is published.
    pub published: Published,
    /// Runs the checkers of all modules.
    pub observers: Observers,
    pub actors: Actors,
    pub journal: Journal,
    /// Records the core's input.
    pub input_log: InputLog,
    /// Persists the state that outlives the daemon.
    pub persisted_state: PersistedState,
    /// Commands that wait for their answer.
    pub asking: Asking,
    /// Counts events and records.
    pub metrics: Metrics,
    /// The progress of the daemon's start.
    pub opening: Opening,
    /// When a picture was made last for nothing but what checkers saw.
    pub shown: Moment,
}

/// Commands that wait for their answer.
#[derive(Debug, Default)]
pub struct Asking {
    last: RequestId,
    waiting: HashMap<RequestId, (ModuleName, oneshot::Sender<CommandOutcome>)>,
}

impl Asking {
    fn admit(&mut self, module: ModuleName, answer: oneshot::Sender<CommandOutcome>) -> RequestId {
        self.last = self.last.next();
        self.waiting.insert(self.last, (module, answer));
        self.last
    }
}

impl Driver {
    /// Runs until `shutdown` completes or all senders are dropped.
    pub async fn run(mut self, mut messages: Inbox, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let now = self.clock.now();
            self.heartbeat.beat(self.clock);
            fault::stall("core");
            let due = self.node.next_deadline().unwrap_or(Moment::NEVER).min(now + Heartbeat::BEAT);
            let due = if self.node.is_shown() { due } else { due.min(self.shown + QUIET) };
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    // Records from before the end are still written.
                    messages.close();
                    while let Some(message) = messages.try_recv() {
                        self.take(message);
                    }
                    self.input_log.finish(self.clock.now());
                    return;
                }
                message = messages.recv() => match message {
                    None => return,
                    Some(message) => self.take(message),
                },
                () = tokio::time::sleep_until(self.clock.instant(due)) => {
                    self.metrics.late(self.clock.now().since(due));
                    if self.node.next_deadline().is_some_and(|due| due <= self.clock.now()) {
                        self.handle(Event::Tick);
                    }
                }
            }
            self.take_waiting(&mut messages);
        }
    }

    fn take_waiting(&mut self, messages: &mut Inbox) {
        let begun = Instant::now();
        for _ in 0..BATCH {
            if begun.elapsed() >= TURN {
                break;
            }
            let Some(message) = messages.try_recv() else { break };
            self.take(message);
        }
        // What came together is shown together.
        if !self.node.is_shown() && self.clock.now().since(self.shown) >= QUIET {
            self.show();
        } else {
            // A command may have brought it up to date.
            self.published.publish(self.node.snapshot());
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Event(mut event) => {
                event.texts().into_iter().for_each(text::tidy);
                if let Event::Observed { module, checker, observation, .. } = &event {
                    self.journal.measure(module, checker, observation);
                }
                self.handle(event);
            }
            Message::Command { module, command, lasts, authorization, mut by, mut reason, answer } => {
                [&mut by].into_iter().chain(&mut reason).for_each(text::tidy);
                self.node.refresh();
                let snapshot = self.node.snapshot();
                let permission = Permission::on(&snapshot, module.as_str(), command, &authorization);
                if let Some(denied) = permission.and_then(Permission::denial) {
                    let moved = matches!(denied, DeniedReason::Moved(_));
                    let outcome = CommandOutcome::Denied(denied);
                    // A command without the role or its confirmation is rejected, and does not count as given.
                    if moved {
                        let by = with_reason(&by, reason.as_deref());
                        let kind = RecordKind::Command { command, by, outcome: outcome.clone() };
                        self.handle(Event::Noted { module: Some(module), kind });
                    }
                    // The caller may have given up.
                    let _ = answer.send(outcome);
                    return;
                }
                let request = self.asking.admit(module.clone(), answer);
                self.handle(Event::Commanded { request, module, command, lasts, by, reason });
            }
            Message::Loaded => {
                self.show();
                self.opening.loaded();
            }
            Message::Ending(shutdown, taken) => {
                self.handle(Event::Ending(shutdown));
                self.show();
                // The caller may have been told to hurry.
                let _ = taken.send(());
            }
        }
    }

    fn show(&mut self) {
        self.node.refresh();
        self.published.publish(self.node.snapshot());
        self.shown = self.clock.now();
    }

    fn handle(&mut self, event: Event) {
        let begun = Instant::now();
        self.metrics.told(&event);
        let now = self.clock.now();
        let inputs = self.input_log.take(&self.node, &event, now);
        let mut actions = self.node.take(event, now);
        // The state is being written before any action for it begins.
        actions.sort_by_key(|action| !matches!(action, Action::Remember { .. }));
        // The health answer is updated first of all.
        self.published.publish(self.node.snapshot());
        for action in actions {
            self.dispatch(action);
        }
        self.input_log.keep(&inputs, &self.node, now);
        self.metrics.turned(begun.elapsed());
    }

    fn dispatch(&mut self, action: Action) {
        match action {
            Action::Watch { module, checker, generation, eager } => {
                self.observers.watch(module, checker, generation, eager);
            }
            Action::Unwatch { module, checker } => self.observers.unwatch(module, checker),
            Action::MakePlan { module, attempt, request, timeout } => {
                let first = self.persisted_state.settled().boxed();
                self.actors.make_plan(module, attempt, request, timeout, first);
            }
            Action::RunStep { module, attempt, step, action, timeout } => {
                let first = self.persisted_state.settled().boxed();
                self.actors.run_step((module, attempt, step), action, timeout, first);
            }
            Action::CancelStep { module, attempt, step } => self.actors.cancel_step(module, attempt, step),
            Action::KillKept { module, attempt } => self.actors.kill_kept(module, attempt),
            Action::LookStopped { module, attempt, within } => {
                self.actors.look_stopped(module, attempt, within);
            }
            Action::Remember { module, memory } => self.persisted_state.remember(module, memory),
            Action::Record(record) => {
                self.metrics.recorded(&record);
                self.journal.write(record);
            }
            Action::Answer { request, outcome } => {
                if let Some((module, answer)) = self.asking.waiting.remove(&request) {
                    self.persisted_state.answer(module, answer, outcome);
                }
            }
        }
    }
}
