//! What the actor is told by the connections.

use std::net::IpAddr;

use bellwether_farm::dialing::Connection;
use bellwether_farm::id::NodeId;
use bellwether_farm::roster::Roster;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::connections::Closing;
use crate::dial::NotDialled;
use crate::frames::Frames;
use crate::tls::Peer;
use crate::wire::{JoinAnswer, JoinRequest, Problem};

/// A membership stream that is open.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Different for all streams of one membership.
    pub(crate) number: u64,
    pub(crate) peer: Peer,
    pub(crate) dialled_here: bool,
    pub(crate) frames: Frames,
    /// Closes its connection.
    pub(crate) closing: Closing,
    /// Which certificate of this node it was made with: the end of its validity.
    pub(crate) made_with: i64,
    /// When it was opened, in seconds since 1970.
    pub(crate) opened: i64,
}

impl Stream {
    /// What is decided by, if there are several.
    pub(crate) fn connection(&self) -> Connection {
        let certificates = self.made_with.saturating_add(self.peer.until);
        Connection { dialled_here: self.dialled_here, certificates }
    }
}

/// A message for the actor.
pub(crate) enum Message {
    /// A stream was opened.
    Opened(Stream),
    /// A stream has ended.
    Closed { number: u64, peer: NodeId },
    /// A frame was received from an authenticated member.
    Frame { from: NodeId, bytes: Bytes },
    /// An attempt to dial has failed.
    NotDialled { peer: NodeId, why: NotDialled },
    /// A member sends its roster, and gets the merged one.
    Exchange { roster: Roster, reply: oneshot::Sender<Roster> },
    /// Another member was sent the roster. It has merged and returned it, unless that failed.
    Exchanged { with: NodeId, roster: Option<Roster> },
    /// A node wants to become a member.
    Admit { request: Box<JoinRequest>, from: IpAddr, reply: oneshot::Sender<Result<JoinAnswer, Problem>> },
    /// A member wants another certificate.
    Renew { peer: NodeId, request: String, reply: oneshot::Sender<Result<String, Problem>> },
    /// A member wants to hold the key of the authority.
    GiveKey { peer: NodeId, reply: oneshot::Sender<Result<String, Problem>> },
    /// This node has another certificate, or has not got one.
    Renewed(Result<String, String>),
    /// This node has got the key of the authority, or not.
    GotKey(Result<String, String>),
}
