//! This node as a member: owns the roster and the membership, and is handled by one task.
//!
//! ```text
//!   frames, streams, rosters, joins ──Message──▶ handle ──▶ Membership ──Action──▶ frames, records
//!                                                  │
//!                                                  ├──▶ roster changed: stored, shared, strangers' connections closed
//!                                                  └──▶ dialling, renewal (upkeep.rs), admission (admitting.rs)
//! ```

mod admitting;
pub(crate) mod beginning;
mod links;
pub(crate) mod upkeep;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_farm::dialing::Dialing;
use bellwether_farm::id::NodeId;
use bellwether_farm::invitation::Invitations;
use bellwether_farm::membership::{Action, Event, Facts, Membership};
use bellwether_farm::roster::{Removal, Roster};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep_until;

use crate::asking::call;
use crate::authority::Authority;
use crate::dial::NotDialled;
use crate::folder::{INVITATIONS, ROSTER};
use crate::keeper::Keeper;
use crate::message::{Message, Stream};
use crate::node::Node;
use crate::record::note;
use crate::settings::{Settings, Tuning};
use crate::wire;

/// The number of messages that are handled before the picture is published.
const AT_ONCE: usize = 64;
/// The interval of what is only looked at now and then: certificates, the age of connections.
const UPKEEP: Duration = Duration::from_secs(1);
/// A change of what others say is published after this time: they say something all the time.
const PUBLISHED_WITHIN: Duration = Duration::from_millis(250);
/// How long a node that leaves waits for the others.
const GOODBYE_WITHIN: Duration = Duration::from_secs(3);
/// How many members are sent the roster at the same time.
const EXCHANGES: usize = 16;

/// This node as a member of a farm.
pub(crate) struct Farm {
    settings: Arc<Settings>,
    tuning: Tuning,
    node: Arc<Node>,
    membership: Membership,
    roster: Roster,
    invitations: Invitations,
    /// The key of the authority, if this node holds it.
    authority: Option<Authority>,
    /// The certificates of the farm's authorities, in PEM and as TLS needs them.
    authorities: String,
    bundle: Vec<CertificateDer<'static>>,
    keeper: Keeper,
    dialing: Dialing,
    /// The membership streams with each node, in the order in which they were opened.
    streams: BTreeMap<NodeId, Vec<Stream>>,
    /// Why the last attempt to dial a node has failed.
    not_dialled: BTreeMap<NodeId, NotDialled>,
    /// The nodes that are being sent the roster.
    exchanging: BTreeSet<NodeId>,
    exchanges: Arc<Semaphore>,
    /// That this node was removed, by its own roster or as another node says.
    removed: Option<Removal>,
    upkeep: upkeep::Upkeep,
    messages: mpsc::Receiver<Message>,
    /// What is under way. Its results are messages.
    work: JoinSet<Option<Message>>,
    listener: AbortHandle,
    /// When the picture is to be published next, if anything in it has changed.
    publish_at: Option<Moment>,
}

/// Why the actor turns.
pub(crate) enum Turn {
    Message(Message),
    Due,
}

impl Farm {
    /// Waits for the next reason to turn. Nothing is lost if it is dropped before.
    pub(crate) async fn next(&mut self) -> Turn {
        let deadline = self.next_deadline();
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => return Turn::Message(message),
                    // The node holds a sender, so there always is one.
                    None => return Turn::Due,
                },
                Some(done) = self.work.join_next(), if !self.work.is_empty() => {
                    if let Ok(Some(message)) = done {
                        return Turn::Message(message);
                    }
                }
                () = sleep_until(self.settings.clock.instant(deadline)) => return Turn::Due,
            }
        }
    }

    fn next_deadline(&self) -> Moment {
        let publish = self.publish_at.unwrap_or(Moment::NEVER);
        let membership = if self.removed.is_some() { Moment::NEVER } else { self.membership.next_deadline() };
        membership.min(self.dialing.next_deadline()).min(self.upkeep.next).min(publish)
    }

    /// Handles it, and what waits as well.
    pub(crate) fn turn(&mut self, turn: Turn) {
        if let Turn::Message(message) = turn {
            self.handle(message);
        }
        for _ in 0..AT_ONCE {
            let Ok(message) = self.messages.try_recv() else { break };
            self.handle(message);
        }
        let now = self.now();
        if self.removed.is_none() && self.membership.next_deadline() <= now {
            self.tell_membership(Event::Due);
        }
        self.dial_due(now);
        if self.upkeep.next <= now {
            self.upkeep.next = now + UPKEEP;
            self.look_after();
        }
    }

    fn now(&self) -> Moment {
        self.settings.clock.now()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Opened(stream) => self.opened(stream),
            Message::Closed { number, peer } => self.closed(peer, number),
            Message::Frame { from, bytes } => {
                self.tell_membership(Event::Frame { from, bytes });
            }
            Message::NotDialled { peer, why } => self.not_dialled(peer, why),
            Message::Exchange { roster, reply } => {
                self.merge(&roster);
                drop(reply.send(self.roster.clone()));
            }
            Message::Exchanged { with, roster } => {
                self.exchanging.remove(&with);
                if let Some(roster) = roster {
                    self.merge(&roster);
                }
            }
            Message::Admit { request, from, reply } => self.admit(&request, from, reply),
            Message::Renew { peer, request, reply } => drop(reply.send(self.issue_again(peer, &request))),
            Message::GiveKey { peer, reply } => drop(reply.send(self.give_key(peer))),
            Message::Renewed(result) => self.renewed(result),
            Message::GotKey(result) => self.got_key(result),
        }
    }

    /// What this node says of itself has changed.
    pub(crate) fn set_facts(&mut self, facts: Facts) {
        self.tell_membership(Event::Facts(facts));
    }

    fn tell_membership(&mut self, event: Event) {
        if self.removed.is_none() {
            let now = self.now();
            let before = self.membership.changes();
            let actions = self.membership.handle(event, now);
            if self.membership.changes() != before {
                self.change_soon();
            }
            self.act(actions);
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { to, bytes } => {
                    if let Some(stream) = self.streams.get(&to).and_then(|streams| streams.last()) {
                        stream.frames.send(&bytes);
                    }
                }
                Action::PullRoster { from } => self.exchange(from),
                Action::Slept { for_ } => {
                    let slept = bellwether_core::moment::plain(for_);
                    self.record(format!(
                        "this node did not run for {slept}: it suspects no other node for that"
                    ));
                }
                Action::Heard { node } => self.heard(node, true),
                Action::NotHeard { node } => self.heard(node, false),
            }
        }
    }

    fn heard(&mut self, node: NodeId, is_heard: bool) {
        // It is recorded by whoever looks at the picture, which also says who else hears it.
        self.change();
        if let Some(member) = self.roster.members().get(&node) {
            tracing::info!(node = %member.name, is_heard, "a node is heard, or not any more");
        }
    }

    fn record(&self, sentence: String) {
        tracing::info!("{sentence}");
        // The actor does not wait; the record is only for people.
        self.settings.recorder.try_record(note(sentence));
    }

    /// Another member's roster, or one that a person has changed here.
    fn merge(&mut self, other: &Roster) {
        if self.roster.merge(other) {
            self.roster_changed();
        }
    }

    /// Everything follows the roster.
    fn roster_changed(&mut self) {
        self.change();
        match serde_json::to_vec(&self.roster) {
            Ok(text) => self.keeper.put(ROSTER, text),
            Err(error) => tracing::error!(%error, "the roster cannot be written"),
        }
        self.node.roster.store(Arc::new(self.roster.clone()));
        if let Some(removal) = self.roster.removal(self.node.me).cloned() {
            return self.end_removed(removal);
        }
        self.tell_membership(Event::Roster(self.roster.clone()));
        let now = self.now();
        let members: BTreeSet<NodeId> = self.roster.members().keys().copied().collect();
        self.dialing.set_peers(members.iter().copied(), now);
        self.node.requests.keep(|id| members.contains(&id));
        self.node.connections.close_unless(|id| members.contains(&id));
        self.not_dialled.retain(|id, _| members.contains(id));
        let gone: Vec<NodeId> = self.streams.keys().filter(|id| !members.contains(id)).copied().collect();
        for id in gone {
            self.streams.remove(&id);
        }
    }

    /// This node is no longer a member: it shows who has removed it, and speaks with nobody.
    fn end_removed(&mut self, removal: Removal) {
        self.removed = Some(removal);
        self.change();
        let now = self.now();
        self.dialing.set_peers([], now);
        self.streams.clear();
        self.node.connections.end();
        self.listener.abort();
    }

    /// Sends the roster to a member, and merges what it returns.
    fn exchange(&mut self, with: NodeId) {
        if !self.exchanging.insert(with) {
            return;
        }
        let (node, exchanges) = (Arc::clone(&self.node), Arc::clone(&self.exchanges));
        self.work.spawn(async move {
            let _permit = exchanges.acquire_owned().await.ok()?;
            // As it is now, and not when the exchange was wanted.
            let mine = node.roster.load_full();
            let roster = call(&node, with, wire::ROSTER, Some(&*mine)).await;
            let roster =
                roster.inspect_err(|error| tracing::debug!(%with, why = error.why(), "no exchange")).ok();
            Some(Message::Exchanged { with, roster })
        });
    }

    /// Sends the roster to all members that are connected.
    fn spread_roster(&mut self) {
        let connected: Vec<NodeId> = self.streams.keys().copied().collect();
        for peer in connected {
            self.exchange(peer);
        }
    }

    fn store_invitations(&self) {
        match serde_json::to_vec(&self.invitations) {
            Ok(text) => self.keeper.put(INVITATIONS, text),
            Err(error) => tracing::error!(%error, "the invitations cannot be written"),
        }
    }

    fn change(&mut self) {
        self.publish_at = Some(self.now());
    }

    fn change_soon(&mut self) {
        let soon = self.now() + PUBLISHED_WITHIN;
        self.publish_at.get_or_insert(soon);
    }

    /// Whether the picture is to be published now.
    pub(crate) fn takes_picture(&mut self) -> bool {
        let is_due = self.publish_at.is_some_and(|at| at <= self.now());
        if is_due {
            self.publish_at = None;
        }
        is_due
    }

    /// Closes everything, and writes what is left.
    pub(crate) async fn end(mut self) {
        self.listener.abort();
        self.node.connections.end();
        self.work.shutdown().await;
        self.keeper.finish().await;
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}
