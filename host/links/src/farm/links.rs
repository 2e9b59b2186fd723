//! The membership streams with the other nodes.

use bellwether_core::moment::Moment;
use bellwether_farm::dialing::{Connection, superfluous};
use bellwether_farm::id::NodeId;
use bellwether_farm::membership::Event;
use std::sync::Arc;

use super::Farm;
use crate::dial::NotDialled;
use crate::message::Stream;
use crate::picture::LinkState;
use crate::stream;

impl Farm {
    /// Begins the attempts that are due.
    pub(super) fn dial_due(&mut self, now: Moment) {
        for peer in self.dialing.due(now) {
            let node = Arc::clone(&self.node);
            self.work.spawn(async move {
                stream::open(&node, peer).await;
                None
            });
        }
    }

    pub(super) fn opened(&mut self, stream: Stream) {
        let peer = stream.peer.id;
        if self.removed.is_some() || !self.roster.members().contains_key(&peer) {
            return stream.closing.close();
        }
        if stream.dialled_here {
            self.dialing.opened(peer);
        } else {
            self.dialing.accepted(peer);
        }
        self.not_dialled.remove(&peer);
        self.change();
        let streams = self.streams.entry(peer).or_default();
        let is_first = streams.is_empty();
        streams.push(stream);
        let connections: Vec<Connection> = streams.iter().map(Stream::connection).collect();
        for place in superfluous(self.node.me, peer, &connections).into_iter().rev() {
            streams.remove(place).closing.close();
        }
        if is_first {
            self.tell_membership(Event::LinkOpened { with: peer });
        }
    }

    pub(super) fn closed(&mut self, peer: NodeId, number: u64) {
        let Some(streams) = self.streams.get_mut(&peer) else { return };
        streams.retain(|stream| stream.number != number);
        if streams.is_empty() {
            self.streams.remove(&peer);
            self.change();
            let now = self.now();
            self.dialing.closed(peer, now);
            self.tell_membership(Event::LinkClosed { with: peer });
        }
    }

    pub(super) fn not_dialled(&mut self, peer: NodeId, why: NotDialled) {
        let now = self.now();
        self.dialing.failed(peer, now);
        tracing::debug!(%peer, ?why, "a node was not dialled");
        if let NotDialled::Removed(removal) = why {
            // As if the roster of the other node had been merged: it is remembered.
            drop(self.roster.remove(self.node.me, &removal.by, removal.at));
            return self.roster_changed();
        }
        if self.roster.members().contains_key(&peer) && self.not_dialled.get(&peer) != Some(&why) {
            self.not_dialled.insert(peer, why);
            self.change();
        }
    }

    pub(super) fn link_state(&self, peer: NodeId) -> LinkState {
        if self.streams.contains_key(&peer) {
            return LinkState::Open;
        }
        match self.not_dialled.get(&peer) {
            Some(NotDialled::CannotAuthenticate(why)) => LinkState::CannotAuthenticate { why: why.clone() },
            Some(NotDialled::Unreachable(why) | NotDialled::Refused(why)) => {
                LinkState::Closed { why: Some(why.clone()) }
            }
            Some(NotDialled::Removed(_)) | None => LinkState::Closed { why: None },
        }
    }
}
