//! Authenticated connections between the nodes of a farm, and how a node joins.
//!
//! ```text
//!   daemon ──Links──▶ actor: owns the roster and the membership ──▶ Picture (published)
//!                       ▲  │ frames, rosters
//!                       │  ▼
//!                connections: TLS 1.3, HTTP/2 ◀──▶ other nodes
//! ```
//! What is decided (who is a member, who hears whom, who dials, when a certificate is renewed) is in the crate
//! `farm`; this crate does it. Every connection is authenticated by both sides with certificates of the farm's own
//! authority, and the roster is asked in addition: a node that was removed has a valid certificate and no access.

mod actor;
mod address;
mod answer;
mod asking;
mod authority;
mod body;
mod connections;
mod dial;
mod error;
mod farm;
mod folder;
mod frames;
mod identity;
mod joining;
mod keeper;
mod listener;
mod message;
mod node;
mod picture;
mod pin;
mod record;
mod serve;
mod settings;
mod stream;
mod tied;
mod tls;
mod wall;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bellwether_core::id::NodeName;
use bellwether_farm::membership::{Facts, Hearing};
use bellwether_os::at_most;
use http::header::HeaderValue;
use http::{Request, Response, Uri};
use tokio::sync::{mpsc, oneshot, watch};

use self::actor::{Actor, Command, Published, Reply};
use self::asking::{AUTHORITY, NotAnswered, pass_on};
use self::dial::NotDialled;
use self::settings::Tuning;
use self::wire::{FORWARDED, ROLE, USER};

pub use self::error::{FarmError, FarmErrorKind, Invited, NotAsked, NotOpened};
pub use self::picture::{LinkState, NodePicture, Picture};
pub use self::serve::{Body, BoxError, Caller, ForwardedCaller, Serve};
pub use self::settings::Settings;

/// The number of commands that wait. A person gives one at a time.
const COMMANDS: usize = 64;
/// A command is answered by then: a join makes two requests to another node.
const ANSWERED_WITHIN: Duration = at_most!(Duration::from_secs(60));
/// The head of the answer to a forwarded request must have come by then: some wait for what they have started.
const ASKED_WITHIN: Duration = Duration::from_mins(2);

/// The handle to the farm. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Links {
    commands: mpsc::Sender<Command>,
    published: Arc<Published>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

/// What has to run for the links to work.
pub struct Task(Actor);

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task")
    }
}

impl Task {
    /// Runs until `shutdown` is done. Then it closes all connections: other nodes see at once that this one is gone.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        self.0.run(shutdown).await;
    }
}

impl Links {
    /// Reads the folder, and makes what is needed to run. Waits for the disk.
    pub async fn open(settings: Settings) -> Result<(Self, Task), NotOpened> {
        Self::open_tuned(settings, Tuning::default()).await
    }

    pub(crate) async fn open_tuned(settings: Settings, tuning: Tuning) -> Result<(Self, Task), NotOpened> {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let published = Arc::new(Published {
            picture: ArcSwap::from_pointee(Picture::alone(settings.node.clone())),
            changes: watch::Sender::new(0),
            node: ArcSwapOption::empty(),
        });
        let folder = settings.folder.clone();
        let read = tokio::task::spawn_blocking(move || {
            folder::clean(&folder)?;
            Ok::<_, std::io::Error>(folder::start(&folder))
        });
        let file = settings.folder.clone();
        let not_opened = |why: String| NotOpened::File { file, why };
        let read = read
            .await
            .map_err(|error| error.to_string())
            .and_then(|read| read.map_err(|error| error.to_string()));
        let found = read.map_err(not_opened)?;
        let mut actor = Actor::new(Arc::new(settings), tuning, receiver, Arc::clone(&published));
        actor.begin(found);
        Ok((Self { commands, published }, Task(actor)))
    }

    /// What this node knows of the farm at present.
    pub fn picture(&self) -> Arc<Picture> {
        self.published.picture.load_full()
    }

    /// Changes whenever a new picture is published.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.published.changes.subscribe()
    }

    /// Sets what this node says of itself to the others. Only the latest counts, so one that finds no room is lost
    /// without harm as long as others follow.
    pub fn facts(&self, facts: Facts) {
        drop(self.commands.try_send(Command::Facts(facts)));
    }

    /// Founds a farm of which this node is the only member. `by`: the person, for the record.
    pub async fn init(&self, by: &str) -> Result<Arc<Picture>, FarmError> {
        let by = by.to_owned();
        self.command(|reply| Command::Init { by, reply }).await
    }

    /// Issues an invitation: one line, for one node, for one hour.
    pub async fn invite(&self, by: &str) -> Result<Invited, FarmError> {
        let by = by.to_owned();
        self.command(|reply| Command::Invite { by, reply }).await
    }

    /// Makes this node a member of the farm that issued the invitation, in place of the member `replace` if one is
    /// given. A join that fails leaves nothing behind on this node.
    pub async fn join(
        &self,
        line: &str,
        replace: Option<&NodeName>,
        by: &str,
    ) -> Result<Arc<Picture>, FarmError> {
        let (line, replace, by) = (line.to_owned(), replace.cloned(), by.to_owned());
        self.command(|reply| Command::Join { line, replace, by, reply }).await
    }

    /// Removes another node from the farm, whether it is alive or not.
    pub async fn remove(&self, name: &NodeName, by: &str) -> Result<(), FarmError> {
        let (name, by) = (name.clone(), by.to_owned());
        self.command(|reply| Command::Remove { name, by, reply }).await
    }

    /// Takes this node out of its farm, and removes everything of the farm from it.
    pub async fn leave(&self, by: &str) -> Result<(), FarmError> {
        let by = by.to_owned();
        self.command(|reply| Command::Leave { by, reply }).await
    }

    /// The key of the farm's authority with its certificate, in PEM: a secret.
    pub async fn backup(&self) -> Result<String, FarmError> {
        self.command(|reply| Command::Backup { reply }).await
    }

    /// Makes this node a holder of the key of the farm's authority. `pem` is what [`backup`](Self::backup) returned.
    pub async fn restore(&self, pem: &str, by: &str) -> Result<(), FarmError> {
        let (pem, by) = (pem.to_owned(), by.to_owned());
        self.command(|reply| Command::Restore { pem, by, reply }).await
    }

    async fn command<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, FarmError> {
        let (reply, answer) = oneshot::channel();
        let failed = |kind, detail: &str| FarmError { kind, detail: detail.to_owned() };
        let ending = || failed(FarmErrorKind::Failed, "the daemon shuts down");
        self.commands.send(command(reply)).await.map_err(|_| ending())?;
        match tokio::time::timeout(ANSWERED_WITHIN, answer).await {
            Ok(answer) => answer.map_err(|_| ending())?,
            Err(_) => Err(failed(
                FarmErrorKind::Overdue,
                "it has not ended in time and may still do so: see `bellwether farm status`",
            )),
        }
    }

    /// Sends an API request to another node, which answers it as if `caller` had made it there. The path of the
    /// request is that of the API, such as `/api/v1/status`. The body of the answer may be a stream without an end.
    pub async fn ask(
        &self,
        node: &NodeName,
        request: Request<Body>,
        caller: Caller,
    ) -> Result<Response<Body>, NotAsked> {
        let this = self.published.node.load_full().ok_or(NotAsked::NoFarm)?;
        let roster = this.roster.load_full();
        let id = roster.id_of(node).ok_or_else(|| {
            let mut nodes: Vec<_> = roster.members().values().map(|member| member.name.clone()).collect();
            nodes.sort();
            NotAsked::NoSuchNode { name: node.clone(), nodes }
        })?;
        let not_heard = |why: String| {
            let picture = self.picture();
            let view = picture.nodes.iter().find(|other| other.id == id).map(|other| &other.view);
            let since = view.and_then(|view| match view.hearing {
                Hearing::NotHeard { since } => Some(since),
                Hearing::Never | Hearing::Heard { .. } => None,
            });
            NotAsked::NotHeard { node: node.clone(), since, why }
        };
        if let Some(removal) = &self.picture().removed {
            return Err(not_heard(format!("this node was removed from the farm by {}", removal.by)));
        }
        let request = forwarded(request, &caller).map_err(&not_heard)?;
        let asked = pass_on(&this, id, request, ASKED_WITHIN).await;
        asked.map_err(|error| match error {
            NotAnswered::NotDialled(NotDialled::CannotAuthenticate(why)) => {
                NotAsked::CannotAuthenticate { node: node.clone(), why }
            }
            NotAnswered::NotDialled(_) => not_heard(error.why()),
            NotAnswered::Overdue => NotAsked::Overdue { node: node.clone() },
            NotAnswered::Lost(why) => NotAsked::Lost { node: node.clone(), why },
        })
    }
}

/// The request as it goes out to the node port. The error is the end of a sentence.
fn forwarded(request: Request<Body>, caller: &Caller) -> Result<Request<Body>, String> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri =
        Uri::builder().scheme("https").authority(AUTHORITY).path_and_query(format!("{FORWARDED}{path}"));
    parts.uri = uri.build().map_err(|error| format!("its path cannot be forwarded: {error}"))?;
    // Of one connection only (RFC 9110, section 7.6.1), or of another host.
    for name in ["connection", "host", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"]
    {
        parts.headers.remove(name);
    }
    let user =
        HeaderValue::from_str(&caller.name).map_err(|_| "the name of the user cannot be sent".to_owned())?;
    parts.headers.insert(USER, user);
    parts.headers.insert(ROLE, HeaderValue::from_static(caller.role.word()));
    parts.version = http::Version::HTTP_2;
    Ok(Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests;
