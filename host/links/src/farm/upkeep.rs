//! What is looked at every second: certificates, the age of connections, and who holds the key of the authority.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_farm::admission::{key_holders, may_give_key, should_hold_key};
use bellwether_farm::id::NodeId;
use bellwether_farm::renewal;

use super::Farm;
use crate::asking::call;
use crate::authority::{Authority, SigningRequest};
use crate::folder::{AUTHORITY_KEY, CERTIFICATE};
use crate::message::{Message, Stream};
use crate::wall::shown;
use crate::wire::{self, AuthorityKey, RenewAnswer, RenewRequest};

/// After the key could not be had, the next attempt follows after this time.
const KEY_AGAIN: Duration = Duration::from_secs(10);
/// People are warned when a certificate is valid for fewer seconds: it is renewed long before, unless that fails.
const WARN: i64 = 60 * 86_400;
pub(crate) const WHO: &str = "farm certificate";

/// What is under way, and when it is looked at next.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) next: Moment,
    renews: bool,
    /// When the last renewal failed, in seconds since 1970, and why.
    renewal_failed: Option<(i64, String)>,
    gets_key: bool,
    key_again: Moment,
    /// The node that was given the key with its admission last, and when. It says itself when it holds it.
    key_given: Option<(NodeId, Moment)>,
}

impl Upkeep {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            next: now,
            renews: false,
            renewal_failed: None,
            gets_key: false,
            key_again: now,
            key_given: None,
        }
    }
}

impl Farm {
    /// Whether a node that is being admitted gets the key of the authority. If so, it counts as given.
    pub(super) fn gives_key(&mut self, to: NodeId) -> bool {
        let now = self.now();
        let gives = self.authority.is_some() && may_give_key(&self.roster, self.upkeep.key_given, now);
        if gives {
            self.upkeep.key_given = Some((to, now));
        }
        gives
    }

    pub(super) fn look_after(&mut self) {
        if self.removed.is_some() {
            return;
        }
        self.renew_certificate();
        self.renew_connections();
        self.want_key();
        self.warn();
    }

    fn renew_certificate(&mut self) {
        let identity = self.node.tls.identity();
        let failed = self.upkeep.renewal_failed.as_ref().map(|(at, _)| *at);
        let is_due = renewal::is_due(identity.validity, identity.id, self.node.wall.now(), failed);
        if self.upkeep.renews || !is_due {
            return;
        }
        let request = match identity.signing_request() {
            Ok(request) => request,
            Err(why) => return self.renewed(Err(why.to_string())),
        };
        if self.authority.is_some() {
            let issued = self.issue_again(identity.id, &request).map_err(|problem| problem.detail);
            return self.renewed(issued);
        }
        let Some(holder) = self.connected_holder() else {
            return self
                .renewed(Err("no node that holds the key of the farm's authority is connected".to_owned()));
        };
        self.upkeep.renews = true;
        let node = Arc::clone(&self.node);
        self.work.spawn(async move {
            let answer = call(&node, holder, wire::RENEW, Some(&RenewRequest { request })).await;
            let answer = answer.map(|answer: RenewAnswer| answer.certificate).map_err(|error| error.why());
            Some(Message::Renewed(answer))
        });
    }

    /// A member that holds the key of the authority and is connected.
    pub(super) fn connected_holder(&self) -> Option<NodeId> {
        let members = self.roster.members();
        let holds = |id: &&NodeId| members.get(id).is_some_and(|member| member.holds_ca_key);
        self.streams.keys().find(holds).copied()
    }

    pub(super) fn renewed(&mut self, result: Result<String, String>) {
        self.upkeep.renews = false;
        let now = self.node.wall.now();
        let certificate = match result {
            Ok(certificate) => certificate,
            Err(why) => {
                self.upkeep.renewal_failed = Some((now, why));
                return;
            }
        };
        match self.node.tls.identity().renewed(&certificate, &self.bundle) {
            Ok(identity) if !identity.validity.includes(now) => {
                let why = "the new certificate is not valid now by the clock of this node: compare it with the clock \
                           of the node that has issued it";
                self.upkeep.renewal_failed = Some((now, why.to_owned()));
            }
            Ok(identity) => {
                let until = shown(identity.validity.until);
                self.keeper.put(CERTIFICATE, certificate.into_bytes());
                self.node.tls.renew(identity);
                self.upkeep.renewal_failed = None;
                self.record(format!(
                    "the certificate of this node for the farm was renewed; it ends at {until}"
                ));
                self.change();
                self.renew_connections();
            }
            Err(why) => self.upkeep.renewal_failed = Some((now, format!("the new certificate {why}"))),
        }
    }

    /// A connection has been verified at its beginning only.
    fn renew_connections(&mut self) {
        let (now, wall) = (self.now(), self.node.wall.now());
        let until = self.node.tls.identity().validity.until;
        #[cfg(test)]
        self.tell_until();
        for (peer, streams) in &self.streams {
            for stream in streams.iter().filter(|stream| stream.peer.until < wall) {
                stream.closing.close();
            }
            let is_due = |stream: &Stream| {
                let age = u64::try_from(wall.saturating_sub(stream.opened)).unwrap_or(0);
                // The other node renews for its age what it has dialled.
                let age = if stream.dialled_here { age } else { 0 };
                renewal::connection_is_due(age, stream.made_with == until)
            };
            if streams.iter().all(is_due) {
                self.dialing.renew(*peer, now);
            }
        }
    }

    #[cfg(test)]
    fn tell_until(&self) {
        let all = self.streams.values().flatten().map(|stream| stream.peer.until.min(stream.made_with));
        let first = all.min().unwrap_or(i64::MAX);
        self.node.streams_until.store(first, std::sync::atomic::Ordering::Relaxed);
    }

    /// The key of the authority is to lie on two nodes.
    fn want_key(&mut self) {
        let now = self.now();
        let may_try = self.authority.is_none() && !self.upkeep.gets_key && self.upkeep.key_again <= now;
        let is_heard = |id| self.streams.contains_key(&id);
        if !may_try || !should_hold_key(&self.roster, self.node.me, is_heard) {
            return;
        }
        let Some(holder) = self.connected_holder() else { return };
        self.upkeep.gets_key = true;
        let node = Arc::clone(&self.node);
        self.work.spawn(async move {
            let answer = call(&node, holder, wire::AUTHORITY_KEY, None::<&()>).await;
            Some(Message::GotKey(answer.map(|answer: AuthorityKey| answer.key).map_err(|error| error.why())))
        });
    }

    pub(super) fn got_key(&mut self, result: Result<String, String>) {
        self.upkeep.gets_key = false;
        self.upkeep.key_again = self.now() + KEY_AGAIN;
        let taken = result.and_then(|key| self.take_key(&key));
        match taken {
            Ok(()) => self.record("this node now holds the key of the farm's authority".to_owned()),
            Err(why) => {
                tracing::warn!("this node should hold the key of the farm's authority, and does not: {why}");
            }
        }
    }

    /// This node holds the key from now on.
    pub(super) fn take_key(&mut self, key: &str) -> Result<(), String> {
        let authority = Authority::load(key, &self.bundle).map_err(|why| format!("what was given {why}"))?;
        self.keeper.put(AUTHORITY_KEY, authority.key_pem().into_bytes());
        self.authority = Some(authority);
        self.roster.update(self.node.me, |member| member.holds_ca_key = true);
        self.roster_changed();
        self.spread_roster();
        Ok(())
    }

    /// A certificate for a member's present key, in PEM.
    pub(super) fn issue(&self, request: &SigningRequest) -> Result<String, String> {
        let Some(authority) = &self.authority else {
            return Err("this node does not hold the key of the farm's authority".to_owned());
        };
        let validity = renewal::Validity::issued(self.node.wall.now(), self.tuning.certificate_life);
        authority.issue(request, self.node.farm, validity).map_err(|why| format!("the certificate {why}"))
    }

    fn warn(&self) {
        let identity = self.node.tls.identity();
        let left = identity.validity.until.saturating_sub(self.node.wall.now());
        let mut problems = Vec::new();
        let life = self.tuning.certificate_life;
        if let Some((_, why)) = self.upkeep.renewal_failed.as_ref().filter(|_| left < WARN.min(life / 3)) {
            let verb = if left < 0 { "expired at" } else { "expires at" };
            problems.push(format!(
                "the farm certificate of this node {verb} {} and cannot be renewed: {why}",
                shown(identity.validity.until)
            ));
        }
        if key_holders(&self.roster) == 0 {
            problems.push(
                "no node of the farm holds the key of its authority, so no node can join and no certificate is \
                 renewed: `bellwether farm restore` brings it back from a backup"
                    .to_owned(),
            );
        }
        self.settings.problems.set(WHO, &problems);
    }
}
