//! The picture that is published.

use bellwether_core::moment::Moment;
use std::collections::BTreeMap;

use bellwether_farm::membership::{Hearing, PeerView};
use jiff::Timestamp;

use super::Farm;
use crate::authority;
use crate::picture::{NodePicture, Picture};

impl Farm {
    /// What this node knows of the farm now.
    pub(crate) fn picture(&self) -> Picture {
        let identity = self.node.tls.identity();
        let view = self.membership.view();
        let since = self.now();
        let mut nodes: Vec<NodePicture> = self
            .roster
            .members()
            .iter()
            .filter(|(id, _)| **id != self.node.me)
            .map(|(id, member)| NodePicture {
                id: *id,
                member: member.clone(),
                view: self.seen(view.nodes.get(id).cloned(), since),
                link: self.link_state(*id),
            })
            .collect();
        nodes.sort_by(|one, other| one.member.name.cmp(&other.member.name));
        let ends =
            self.bundle.iter().filter_map(|certificate| Some(authority::validity(certificate)?.until)).max();
        Picture {
            farm: Some(self.node.farm),
            me: Some(self.node.me),
            name: self.settings.node.clone(),
            this: self.roster.members().get(&self.node.me).cloned(),
            nodes,
            removed: self.removed.clone(),
            certificate_ends: Timestamp::from_second(identity.validity.until).ok(),
            authority_ends: ends.and_then(|ends| Timestamp::from_second(ends).ok()),
            conflicts: self.roster.conflicts().into_iter().collect(),
        }
    }

    /// A node that was removed hears nobody.
    fn seen(&self, view: Option<PeerView>, now: Moment) -> PeerView {
        let unknown = || PeerView {
            hearing: Hearing::Never,
            summary: None,
            heard_by: Vec::new(),
            not_hearing: BTreeMap::new(),
            other_version: None,
        };
        let mut view = view.unwrap_or_else(unknown);
        if self.removed.is_some() && view.hearing.is_heard() {
            view.hearing = Hearing::NotHeard { since: now };
        }
        view
    }
}
