//! The one task that owns what this node is in a farm.
//!
//! ```text
//!   alone ──init, join──▶ changing ──made──▶ member ──leave──▶ changing ──▶ alone
//!     ▲                      └─ failed ─▶ alone │
//!     └─────────────── leave ── damaged ◀───────┘ at a start, if a file cannot be used
//! ```
//! What takes long (the network, the disk) runs beside it; meanwhile it answers.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bellwether_core::id::NodeName;
use bellwether_farm::membership::Facts;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::error::{FarmError, FarmErrorKind, Invited};
use crate::farm::{Farm, Turn, beginning, upkeep};
use crate::folder::{self, Damaged};
use crate::joining::{self, Prepared};
use crate::keeper;
use crate::node::Node;
use crate::picture::Picture;
use crate::record::note;
use crate::settings::{Settings, Tuning};

const WHO: &str = "farm";

/// What the actor publishes. Reading it waits for nothing.
pub(crate) struct Published {
    pub(crate) picture: ArcSwap<Picture>,
    pub(crate) changes: watch::Sender<u64>,
    /// For requests to other nodes.
    pub(crate) node: ArcSwapOption<Node>,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, FarmError>>;

/// A command of a person, or of the daemon.
pub(crate) enum Command {
    Init { by: String, reply: Reply<Arc<Picture>> },
    Invite { by: String, reply: Reply<Invited> },
    Join { line: String, replace: Option<NodeName>, by: String, reply: Reply<Arc<Picture>> },
    Remove { name: NodeName, by: String, reply: Reply<()> },
    Leave { by: String, reply: Reply<()> },
    Backup { reply: Reply<String> },
    Restore { pem: String, by: String, reply: Reply<()> },
    Facts(Facts),
}

enum State {
    Alone,
    /// Something is under way, which the text names.
    Changing(&'static str),
    Member(Box<Farm>),
    Damaged(Damaged),
}

/// What has ended beside the actor.
enum Done {
    /// This node was made a member, or not.
    Prepared { prepared: Box<Result<Prepared, FarmError>>, record: String, reply: Reply<Arc<Picture>> },
    /// The folder was removed, or not.
    Left { removed: Result<(), String>, reply: Reply<()> },
    /// An answer has gone out.
    Answered,
}

pub(crate) struct Actor {
    settings: Arc<Settings>,
    tuning: Tuning,
    state: State,
    facts: Option<Facts>,
    commands: mpsc::Receiver<Command>,
    beside: JoinSet<Done>,
    published: Arc<Published>,
}

fn refuse(kind: FarmErrorKind, detail: impl Into<String>) -> FarmError {
    FarmError { kind, detail: detail.into() }
}

impl Actor {
    pub(crate) fn new(
        settings: Arc<Settings>,
        tuning: Tuning,
        commands: mpsc::Receiver<Command>,
        published: Arc<Published>,
    ) -> Self {
        let beside = JoinSet::new();
        Self { settings, tuning, state: State::Alone, facts: None, commands, beside, published }
    }

    /// Begins with what the folder has.
    pub(crate) fn begin(&mut self, found: folder::Found) {
        match found {
            folder::Found::Nothing => {}
            folder::Found::Member(stored, problems) => {
                self.settings.problems.set(WHO, &problems);
                // If it cannot be opened now, it is tried again.
                let listener = joining::listen(&self.settings).ok();
                match Farm::begin(&self.settings, self.tuning.clone(), *stored, listener) {
                    Ok(farm) => self.is_member(farm),
                    Err(damaged) => self.is_damaged(damaged),
                }
            }
            folder::Found::Damaged(damaged) => self.is_damaged(damaged),
        }
    }

    fn is_member(&mut self, mut farm: Farm) {
        if let Some(facts) = self.facts.clone() {
            farm.set_facts(facts);
        }
        self.published.node.store(Some(Arc::clone(farm.node())));
        self.publish(farm.picture());
        self.state = State::Member(Box::new(farm));
    }

    fn is_damaged(&mut self, damaged: Damaged) {
        tracing::error!("{damaged}");
        self.settings.problems.set(WHO, &[damaged.to_string()]);
        self.state = State::Damaged(damaged);
    }

    fn is_alone(&mut self) {
        for part in [WHO, beginning::WHO, upkeep::WHO, keeper::WHO] {
            self.settings.problems.set(part, &[]);
        }
        self.published.node.store(None);
        self.publish(Picture::alone(self.settings.node.clone()));
        self.state = State::Alone;
    }

    fn publish(&self, picture: Picture) {
        self.published.picture.store(Arc::new(picture));
        self.published.changes.send_modify(|number| *number += 1);
    }

    /// Runs until `shutdown` is done, or the last handle is dropped.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        tokio::pin!(shutdown);
        loop {
            let member = async {
                match &mut self.state {
                    State::Member(farm) => farm.next().await,
                    State::Alone | State::Changing(_) | State::Damaged(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut shutdown => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => break,
                },
                Some(done) = self.beside.join_next(), if !self.beside.is_empty() => {
                    if let Ok(done) = done {
                        self.done(done);
                    }
                }
                turn = member => self.turn(turn),
            }
            self.publish_changes();
        }
        self.published.node.store(None);
        if let State::Member(farm) = self.state {
            farm.end().await;
        }
    }

    fn turn(&mut self, turn: Turn) {
        if let State::Member(farm) = &mut self.state {
            farm.turn(turn);
        }
    }

    fn publish_changes(&mut self) {
        let State::Member(farm) = &mut self.state else { return };
        if farm.takes_picture() {
            let picture = farm.picture();
            self.publish(picture);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Facts(facts) => {
                if let State::Member(farm) = &mut self.state {
                    farm.set_facts(facts.clone());
                }
                self.facts = Some(facts);
            }
            Command::Init { by, reply } => self.init(by, reply),
            Command::Join { line, replace, by, reply } => self.join(line, replace, by, reply),
            Command::Leave { by, reply } => self.leave(&by, reply),
            Command::Invite { by, reply } => self.answer(reply, |farm| farm.invite(&by)),
            Command::Remove { name, by, reply } => self.answer(reply, |farm| farm.remove(&name, &by)),
            Command::Restore { pem, by, reply } => self.answer(reply, |farm| farm.restore(&pem, &by)),
            Command::Backup { reply } => {
                let backup = self.member().and_then(|farm| farm.backup());
                drop(reply.send(backup));
            }
        }
    }

    /// Lets the member decide at once, and answers when that is done.
    fn answer<T, Later>(
        &mut self,
        reply: Reply<T>,
        decide: impl FnOnce(&mut Farm) -> Result<Later, FarmError>,
    ) where
        T: Send + 'static,
        Later: Future<Output = Result<T, FarmError>> + Send + 'static,
    {
        match self.member().and_then(decide) {
            Ok(later) => {
                self.beside.spawn(async move {
                    drop(reply.send(later.await));
                    Done::Answered
                });
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn member(&mut self) -> Result<&mut Farm, FarmError> {
        match &mut self.state {
            State::Member(farm) => Ok(farm),
            State::Alone => Err(refuse(
                FarmErrorKind::Conflict,
                "this node is in no farm: `bellwether farm init` founds one, `bellwether farm join LINE` joins one",
            )),
            State::Changing(what) => Err(under_way(what)),
            State::Damaged(damaged) => Err(refuse(FarmErrorKind::Conflict, damaged.to_string())),
        }
    }

    /// Whether this node can become a member.
    fn alone(&self) -> Result<(), FarmError> {
        match &self.state {
            State::Alone => Ok(()),
            State::Changing(what) => Err(under_way(what)),
            State::Member(_) => Err(refuse(
                FarmErrorKind::Conflict,
                "this node is in a farm already: `bellwether farm leave` takes it out, `bellwether farm status` shows it",
            )),
            State::Damaged(damaged) => Err(refuse(FarmErrorKind::Conflict, damaged.to_string())),
        }
    }

    fn init(&mut self, by: String, reply: Reply<Arc<Picture>>) {
        if let Err(error) = self.alone() {
            return drop(reply.send(Err(error)));
        }
        self.state = State::Changing("a farm is being founded");
        let (settings, tuning) = (Arc::clone(&self.settings), self.tuning.clone());
        self.beside.spawn(async move {
            let prepared = Box::new(joining::found(&settings, &tuning, &by).await);
            Done::Prepared { prepared, record: format!("{by} has founded a farm with this node"), reply }
        });
    }

    fn join(&mut self, line: String, replace: Option<NodeName>, by: String, reply: Reply<Arc<Picture>>) {
        if let Err(error) = self.alone() {
            return drop(reply.send(Err(error)));
        }
        self.state = State::Changing("this node is joining a farm");
        let (settings, tuning) = (Arc::clone(&self.settings), self.tuning.clone());
        self.beside.spawn(async move {
            let prepared = Box::new(joining::join(&settings, &tuning, &line, replace).await);
            Done::Prepared { prepared, record: format!("{by} has made this node a member of a farm"), reply }
        });
    }

    fn leave(&mut self, by: &str, reply: Reply<()>) {
        let settings = Arc::clone(&self.settings);
        let goodbye = match &mut self.state {
            State::Member(farm) => match farm.say_goodbye(by) {
                Ok(goodbye) => Some(goodbye),
                Err(error) => return drop(reply.send(Err(error))),
            },
            State::Damaged(_) => None,
            State::Alone | State::Changing(_) => {
                let error = self.member().map(drop);
                return drop(reply.send(error));
            }
        };
        let before = std::mem::replace(&mut self.state, State::Changing("this node is leaving its farm"));
        self.published.node.store(None);
        self.settings.recorder.try_record(note(format!("{by} has taken this node out of its farm")));
        self.beside.spawn(async move {
            if let Some(goodbye) = goodbye {
                goodbye.await;
            }
            let is_damaged = matches!(before, State::Damaged(_));
            if let State::Member(farm) = before {
                farm.end().await;
            }
            let folder = settings.folder.clone();
            let remove = move || {
                let rescued = if is_damaged { folder::rescue_authority_key(&folder)? } else { None };
                folder::remove(&folder).map(|()| rescued)
            };
            let removed = match tokio::task::spawn_blocking(remove).await {
                Ok(removed) => removed.map_err(|error| error.to_string()),
                Err(_) => Err("the daemon shuts down".to_owned()),
            };
            let removed = removed.map(|rescued| {
                let Some(rescued) = rescued else { return };
                let kept = format!("the key of the farm's authority is kept in {}", rescued.display());
                tracing::warn!("{kept}");
                settings.recorder.try_record(note(kept));
            });
            Done::Left { removed, reply }
        });
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Answered => {}
            Done::Prepared { prepared, record, reply } => {
                let result = self.prepared(*prepared, record);
                drop(reply.send(result));
            }
            Done::Left { removed, reply } => {
                self.is_alone();
                drop(reply.send(removed.map_err(|why| {
                    let folder = self.settings.folder.display();
                    refuse(
                        FarmErrorKind::Failed,
                        format!(
                            "this node has left, but {folder} could not be removed: {why}; remove it by hand"
                        ),
                    )
                })));
            }
        }
    }

    fn prepared(
        &mut self,
        prepared: Result<Prepared, FarmError>,
        record: String,
    ) -> Result<Arc<Picture>, FarmError> {
        let begun = prepared.and_then(|Prepared { stored, listener }| {
            let farm = Farm::begin(&self.settings, self.tuning.clone(), stored, Some(listener));
            farm.map_err(|damaged| {
                // Nothing is left behind. If it cannot be removed, it is damaged at the next start.
                drop(folder::remove(&self.settings.folder));
                refuse(FarmErrorKind::Failed, damaged.to_string())
            })
        });
        match begun {
            Ok(farm) => {
                self.settings.recorder.try_record(note(record));
                self.is_member(farm);
                Ok(self.published.picture.load_full())
            }
            Err(error) => {
                self.is_alone();
                Err(error)
            }
        }
    }
}

fn under_way(what: &str) -> FarmError {
    refuse(FarmErrorKind::Conflict, format!("{what}: wait until that has ended"))
}
