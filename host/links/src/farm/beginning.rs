//! How the membership begins: at the start of the daemon, or after a join.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_farm::dialing::Dialing;
use bellwether_farm::membership::{Beginning, Membership};
use bellwether_farm::roster::Member;
use bellwether_os::address as os_address;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::upkeep::Upkeep;
use super::{EXCHANGES, Farm};
use crate::asking::Requests;
use crate::authority::{self, Authority};
use crate::connections::Connections;
use crate::folder::{AUTHORITY_KEY, CERTIFICATE, Damaged, NODE_KEY, Stored};
use crate::identity::Identity;
use crate::keeper::Keeper;
use crate::node::Node;
use crate::settings::{Settings, Tuning};
use crate::tls::Tls;
use crate::wall::Wall;
use crate::{address, listener};

/// The number of messages that wait for the actor. Connections are read no faster.
const WAITING: usize = 256;
/// A port that cannot be opened is tried again after this time.
const OPEN_AGAIN: Duration = Duration::from_secs(2);
pub(crate) const WHO: &str = "farm port";

impl Farm {
    /// Begins with what is stored. `listener`: the node port, if it is open already.
    pub(crate) fn begin(
        settings: &Arc<Settings>,
        tuning: Tuning,
        stored: Stored,
        listener: Option<TcpListener>,
    ) -> Result<Self, Damaged> {
        let damaged = |name: &str, why: String| Damaged { file: settings.folder.join(name), why };
        let wall = Wall::new(settings.clock, &tuning.wall_off_ms);
        let bundle = authority::certificates(&stored.authorities)
            .map_err(|why| damaged(crate::folder::AUTHORITIES, why.to_string()))?;
        let farm = stored.roster.farm();
        let identity = Identity::new(&stored.node_key, &stored.certificate, &bundle, farm)
            .map_err(|why| damaged(CERTIFICATE, why.to_string()))?;
        let me = identity.id;
        let key = stored.authority_key.as_deref().map(|key| Authority::load(key, &bundle)).transpose();
        let authority = key.map_err(|why| damaged(AUTHORITY_KEY, why.to_string()))?;
        let tls = Tls::new(identity, &bundle, &wall).map_err(|why| damaged(NODE_KEY, why.to_string()))?;
        let (sender, messages) = mpsc::channel(WAITING);
        let node = Arc::new(Node {
            farm,
            me,
            name: settings.node.clone(),
            version: settings.version.clone(),
            tls,
            wall,
            roster: ArcSwap::from_pointee(stored.roster.clone()),
            connections: Connections::default(),
            requests: Requests::default(),
            messages: sender,
            serve: Arc::clone(&settings.serve),
            #[cfg(test)]
            streams_until: std::sync::atomic::AtomicI64::default(),
        });
        let now = settings.clock.now();
        let listening =
            listener.as_ref().and_then(|listener| listener.local_addr().ok()).unwrap_or(settings.listen);
        let beginning = Beginning {
            me,
            generation: stored.generation,
            roster: stored.roster.clone(),
            seed: fastrand::u64(..),
            now,
        };
        let (membership, actions) = Membership::new(beginning);
        let keeper = Keeper::new(settings.folder.clone(), settings.problems.clone());
        let accepting = tokio::spawn(accept(listener, Arc::clone(settings), Arc::clone(&node)));
        let mut this = Self {
            settings: Arc::clone(settings),
            tuning,
            node,
            membership,
            roster: stored.roster,
            invitations: stored.invitations,
            authority,
            authorities: stored.authorities,
            bundle,
            keeper,
            dialing: Dialing::new(me, fastrand::u64(..)),
            streams: BTreeMap::new(),
            not_dialled: BTreeMap::new(),
            exchanging: BTreeSet::new(),
            exchanges: Arc::new(Semaphore::new(EXCHANGES)),
            removed: None,
            upkeep: Upkeep::new(now),
            messages,
            work: JoinSet::new(),
            listener: accepting.abort_handle(),
            publish_at: Some(now),
        };
        this.act(actions);
        this.present(listening);
        this.roster_changed();
        Ok(this)
    }

    /// The entry of this node in the roster follows its settings.
    fn present(&mut self, listening: SocketAddr) {
        let Some(before) = self.roster.members().get(&self.node.me).cloned() else { return };
        let own = address::own(self.settings.address.as_deref(), listening);
        let address = own.or_else(|| address::with_port(&before.address, listening.port()));
        let wanted = self.settings.node.clone();
        let is_free = self.roster.id_of(&wanted).is_none_or(|id| id == self.node.me);
        let after = Member {
            name: if is_free { wanted } else { before.name.clone() },
            address: address.unwrap_or_else(|| before.address.clone()),
            zone: self.settings.zone.clone(),
            holds_ca_key: self.authority.is_some(),
            counter: before.counter,
        };
        if after != before {
            self.roster.update(self.node.me, |member| *member = Member { counter: member.counter, ..after });
        }
    }
}

/// Opens the node port, and accepts other nodes until it is dropped.
async fn accept(listener: Option<TcpListener>, settings: Arc<Settings>, node: Arc<Node>) {
    let mut open = listener;
    let listener = loop {
        if let Some(listener) = open {
            break listener;
        }
        open = match os_address::listen(settings.listen) {
            Ok(listener) => Some(listener),
            Err(error) => {
                let address = settings.listen;
                let problem = format!(
                    "the node port {address} cannot be opened: {error}; other nodes cannot connect to this one until \
                     it is free"
                );
                settings.problems.set(WHO, &[problem]);
                sleep(OPEN_AGAIN).await;
                None
            }
        };
    };
    settings.problems.set(WHO, &[]);
    listener::serve(listener, node).await;
}
