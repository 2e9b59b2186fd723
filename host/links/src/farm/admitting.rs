//! What this node does for others and for people: admits nodes, issues certificates, invites, removes.

use std::net::IpAddr;

use bellwether_core::id::NodeName;
use bellwether_farm::admission::{may_be_replaced, may_have_key};
use bellwether_farm::id::NodeId;
use bellwether_farm::invitation::Invitation;
use bellwether_farm::roster::{Candidate, NotAdmitted, Roster};
use jiff::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::oneshot;

use super::Farm;
use crate::address;
use crate::authority::{Authority, SigningRequest, certificates, sha256};
use crate::error::{FarmError, FarmErrorKind, Invited};
use crate::message::Message;
use crate::wall::shown;
use crate::wire::{JoinAnswer, JoinRequest, Problem};

/// The random part of an invitation, in bytes.
const SECRET: usize = 16;

fn refused(detail: impl Into<String>) -> Problem {
    Problem { detail: detail.into(), removal: None }
}

fn conflict(detail: impl Into<String>) -> FarmError {
    FarmError { kind: FarmErrorKind::Conflict, detail: detail.into() }
}

impl Farm {
    /// A sentence, if this node was removed.
    fn membership_conflict(&self) -> Result<(), FarmError> {
        let Some(removal) = &self.removed else { return Ok(()) };
        let at = shown(i64::try_from(removal.at).unwrap_or(i64::MAX));
        Err(conflict(format!(
            "this node was removed from the farm by {} at {at}: `bellwether farm leave` clears that away, and then it \
             can join again",
            removal.by
        )))
    }

    fn authority(&self) -> Result<&Authority, FarmError> {
        self.membership_conflict()?;
        self.authority.as_ref().ok_or_else(|| {
            let holders = self.roster.members().values().filter(|member| member.holds_ca_key);
            let mut holders: Vec<&str> = holders.map(|member| member.name.as_str()).collect();
            holders.sort_unstable();
            let where_to = match holders.as_slice() {
                [] => "no node does: `bellwether farm restore` brings it back from a backup".to_owned(),
                holders => format!("do this on {}", holders.join(" or ")),
            };
            conflict(format!("this node does not hold the key of the farm's authority; {where_to}"))
        })
    }

    /// Issues an invitation. It counts once it is on the disk.
    pub(crate) fn invite(
        &mut self,
        by: &str,
    ) -> Result<impl Future<Output = Result<Invited, FarmError>> + Send + use<>, FarmError> {
        let authority = sha256(self.authority()?.certificate());
        let address = self.roster.members().get(&self.node.me).map(|member| member.address.clone());
        let address = address.ok_or_else(|| conflict("this node is not in its own roster"))?;
        let secret = secret().ok_or_else(|| FarmError {
            kind: FarmErrorKind::Failed,
            detail: "the system gives no random numbers".to_owned(),
        })?;
        let expires = self.node.wall.now().saturating_add(self.tuning.invitation_life);
        let now = u64::try_from(self.node.wall.now()).unwrap_or(0);
        self.invitations.issue(sha256(secret.as_bytes()), u64::try_from(expires).unwrap_or(0), now);
        self.store_invitations();
        self.record(format!("{by} has invited a node into the farm"));
        let line = Invitation { address, authority, secret }.to_string();
        let written = self.keeper.written();
        Ok(async move {
            stored(written.await)?;
            let expires = Timestamp::from_second(expires).unwrap_or(Timestamp::MAX);
            Ok(Invited { line, expires })
        })
    }

    /// Admits a node that has an invitation. It is answered once the roster is on the disk.
    pub(super) fn admit(
        &mut self,
        request: &JoinRequest,
        from: IpAddr,
        reply: oneshot::Sender<Result<JoinAnswer, Problem>>,
    ) {
        let answer = match self.admitted(request, from) {
            Ok(answer) => answer,
            Err(problem) => return drop(reply.send(Err(problem))),
        };
        let written = self.keeper.written();
        self.work.spawn(async move {
            let answer = match written.await {
                Ok(()) => Ok(answer),
                Err(why) => Err(refused(format!("the roster cannot be stored on the other node: {why}"))),
            };
            drop(reply.send(answer));
            None::<Message>
        });
    }

    fn admitted(&mut self, request: &JoinRequest, from: IpAddr) -> Result<JoinAnswer, Problem> {
        if self.removed.is_some() {
            return Err(refused(format!(
                "{} is no longer in the farm: ask another node for an invitation",
                self.node.name
            )));
        }
        // An invitation is used up only by a join that succeeds: after a name that is taken, the same line serves again.
        let now = u64::try_from(self.node.wall.now()).unwrap_or(0);
        let mut invitations = self.invitations.clone();
        invitations.redeem(sha256(request.secret.as_bytes()), now).map_err(|why| {
            refused(format!("{why}: `bellwether farm invite` on {} makes a new one", self.node.name))
        })?;
        let signing = SigningRequest::read(&request.request)
            .map_err(|why| refused(format!("the request for a certificate {why}")))?;
        let certificate = self.issue(&signing).map_err(refused)?;
        let address = request.address.clone().unwrap_or_else(|| address::seen(from, request.port));
        if address::split(&address).is_none() {
            return Err(refused(format!(
                "`{address}` is not an address for other nodes: expected HOST:PORT"
            )));
        }
        if let Some(name) = &request.replace {
            self.refuse_if_running(name)?;
        }
        let mut roster = self.roster.clone();
        let (name, zone, replace) = (request.name.clone(), request.zone.clone(), request.replace.clone());
        let candidate = Candidate { id: signing.id(), name, address, zone, replace };
        let by = format!("{}, which takes its place", request.name);
        roster.admit(candidate, &by, now).map_err(|why| refused(not_admitted(&why)))?;
        // The new node says itself that it holds the key, once it is on its disk: its answer may be lost.
        let gives_key = self.gives_key(signing.id());
        let authority_key = self.authority.as_ref().filter(|_| gives_key).map(Authority::key_pem);
        self.invitations = invitations;
        self.store_invitations();
        self.roster = roster;
        self.roster_changed();
        self.spread_roster();
        let authorities = self.authorities.clone();
        Ok(JoinAnswer { certificate, authorities, roster: self.roster.clone(), authority_key })
    }

    /// A node that is running is not replaced: the name was taken by mistake.
    fn refuse_if_running(&self, name: &NodeName) -> Result<(), Problem> {
        let view = self.membership.view();
        let is_heard = |id| view.nodes.get(&id).is_some_and(|peer| peer.hearing.is_heard());
        if may_be_replaced(&self.roster, self.node.me, name, is_heard) {
            return Ok(());
        }
        Err(refused(format!(
            "{name} is running: set another `name` in bellwether.toml of this node; if it is to take the place of \
             {name} nevertheless, remove that one first with `bellwether farm remove {name}`, and join without \
             `--replace`"
        )))
    }

    /// Another certificate for a member, for the same key.
    pub(super) fn issue_again(&self, peer: NodeId, request: &str) -> Result<String, Problem> {
        let request = SigningRequest::read(request)
            .map_err(|why| refused(format!("the request for a certificate {why}")))?;
        if request.id() != peer {
            return Err(refused("the request is for the certificate of another node"));
        }
        self.issue(&request).map_err(refused)
    }

    pub(super) fn give_key(&self, peer: NodeId) -> Result<String, Problem> {
        if !may_have_key(&self.roster, peer) {
            return Err(refused("enough nodes hold the key of the authority"));
        }
        let authority = self.authority.as_ref();
        authority
            .map(Authority::key_pem)
            .ok_or_else(|| refused("this node does not hold the key of the authority"))
    }

    /// Removes another node. It counts at once, and is answered when it is on the disk.
    pub(crate) fn remove(
        &mut self,
        name: &NodeName,
        by: &str,
    ) -> Result<impl Future<Output = Result<(), FarmError>> + Send + use<>, FarmError> {
        self.membership_conflict()?;
        let Some(id) = self.roster.id_of(name) else {
            let mut names: Vec<&str> =
                self.roster.members().values().map(|member| member.name.as_str()).collect();
            names.sort_unstable();
            let detail =
                format!("no node of the farm is called `{name}`; the nodes are {}", names.join(", "));
            return Err(FarmError { kind: FarmErrorKind::NoSuchNode, detail });
        };
        if id == self.node.me {
            return Err(conflict(format!(
                "{name} is this node: `bellwether farm leave` takes it out of the farm"
            )));
        }
        let at = u64::try_from(self.node.wall.now()).unwrap_or(0);
        self.roster.remove(id, by, at).map_err(|why| conflict(why.to_string()))?;
        self.record(format!("{by} has removed node {name} from the farm"));
        // The node itself learns it from this connection's end, or when it connects next.
        self.roster_changed();
        self.spread_roster();
        let written = self.keeper.written();
        Ok(async move { stored(written.await) })
    }

    /// Says to the others that this node leaves. Completes when they have been told, or could not be.
    pub(crate) fn say_goodbye(
        &mut self,
        by: &str,
    ) -> Result<impl Future<Output = ()> + Send + use<>, FarmError> {
        let others = self.roster.members().len().saturating_sub(1);
        let another_holds_it = self.connected_holder().is_some();
        if self.removed.is_none() && self.authority.is_some() && !another_holds_it && others > 0 {
            return Err(conflict(
                "no other node that is connected holds the key of the farm's authority. Another one gets it as soon as \
                 one is connected: wait for that, or remove the nodes that are gone with `bellwether farm remove NAME` \
                 first",
            ));
        }
        let mut goodbyes = tokio::task::JoinSet::new();
        if self.removed.is_none() {
            let at = u64::try_from(self.node.wall.now()).unwrap_or(0);
            let mut roster = self.roster.clone();
            // Its own entry is there, or it would have been removed.
            drop(roster.remove(self.node.me, by, at));
            let roster = std::sync::Arc::new(roster);
            for peer in self.streams.keys().copied() {
                let (node, roster) = (std::sync::Arc::clone(&self.node), std::sync::Arc::clone(&roster));
                goodbyes.spawn(async move {
                    let told =
                        crate::asking::call::<Roster>(&node, peer, crate::wire::ROSTER, Some(&*roster));
                    drop(told.await);
                });
            }
            let now = self.now();
            let actions = self.membership.leave(now);
            self.act(actions);
        }
        Ok(async move {
            let all = async { while goodbyes.join_next().await.is_some() {} };
            drop(tokio::time::timeout(super::GOODBYE_WITHIN, all).await);
        })
    }

    /// The key of the authority with its certificate, in PEM.
    pub(crate) fn backup(&self) -> Result<String, FarmError> {
        let key = self.authority()?.key_pem();
        Ok(format!("{}{key}", self.authorities))
    }

    /// Takes the key of the authority from a backup.
    pub(crate) fn restore(
        &mut self,
        pem: &str,
        by: &str,
    ) -> Result<impl Future<Output = Result<(), FarmError>> + Send + use<>, FarmError> {
        self.membership_conflict()?;
        let invalid = |detail: String| FarmError { kind: FarmErrorKind::Invalid, detail };
        let begin = pem.find("-----BEGIN PRIVATE KEY-----");
        let key = begin.and_then(|begin| pem.get(begin..)).ok_or_else(|| {
            invalid("this is no backup of a farm: it has no line `-----BEGIN PRIVATE KEY-----`".to_owned())
        })?;
        let of_other =
            certificates(pem).is_ok_and(|found| !found.iter().any(|one| self.bundle.contains(one)));
        if of_other {
            return Err(invalid("this is the backup of another farm".to_owned()));
        }
        self.take_key(key).map_err(invalid)?;
        self.record(format!("{by} has brought the key of the farm's authority back from a backup"));
        let written = self.keeper.written();
        Ok(async move { stored(written.await) })
    }
}

/// A sentence, with what to do about it.
fn not_admitted(why: &NotAdmitted) -> String {
    match why {
        NotAdmitted::NameTaken { name } => format!(
            "{why}: set another `name` in bellwether.toml of this node, or join with `--replace {name}` if {name} is gone \
             for good and this node takes its place"
        ),
        NotAdmitted::Removed(_) | NotAdmitted::Full | NotAdmitted::NothingToReplace { .. } => why.to_string(),
    }
}

fn stored(written: Result<(), String>) -> Result<(), FarmError> {
    written.map_err(|why| FarmError {
        kind: FarmErrorKind::Failed,
        detail: format!(
            "it counts, but could not be stored yet: {why}; that is tried again, so free space on the disk"
        ),
    })
}

/// Something that nobody can guess, as hexadecimal digits.
fn secret() -> Option<String> {
    let mut bytes = [0; SECRET];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bytes)))
}
