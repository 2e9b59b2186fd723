//! The farm as it is shown: every node in words.

use bellwether_api::NodeStatus;
use bellwether_api::farm::{FarmNode, FarmStatus, Hearing as Word, NodeSummary, NotHearing};
use bellwether_core::attention::Attention;
use bellwether_core::counting::counted;
use bellwether_core::id::NodeName;
use bellwether_farm::id::NodeId;
use bellwether_farm::membership::{Facts, Hearing, ReceivedSummary};
use bellwether_farm::roster::Member;
use bellwether_links::{LinkState, NodePicture, Picture};
use bellwether_os::clock::Clock;

use super::clocks::Clocks;
use super::pictures::Known;
use super::story::heard_by;

/// What a status is made of.
pub(super) struct Sources<'s> {
    pub(super) picture: &'s Picture,
    /// The status of each of the others.
    pub(super) known: &'s Known,
    pub(super) clocks: &'s Clocks,
    /// The status of this node.
    pub(super) own: Option<NodeStatus>,
    pub(super) clock: Clock,
    pub(super) problems: Vec<String>,
}

impl Sources<'_> {
    /// The farm, ordered by the names of its nodes.
    pub(super) fn status(self) -> FarmStatus {
        let Picture { farm, name, .. } = self.picture;
        let others = self.picture.nodes.iter().map(|node| self.other(node));
        let mut nodes: Vec<FarmNode> = [self.this()].into_iter().chain(others).collect();
        nodes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        FarmStatus {
            farm: farm.as_ref().map(ToString::to_string),
            node: name.clone(),
            headline: headline(self.picture, self.own.as_ref()),
            nodes,
            problems: self.problems,
        }
    }

    /// This node, whether it is in a farm or not.
    fn this(&self) -> FarmNode {
        let Picture { name, me, this, certificate_ends, nodes, .. } = self.picture;
        let not_hearing = nodes.iter().filter_map(|node| {
            let since = match node.view.hearing {
                Hearing::Heard { .. } => return None,
                Hearing::NotHeard { since } => Some(self.clock.timestamp(since)),
                Hearing::Never => None,
            };
            Some(NotHearing { node: node.member.name.clone(), since })
        });
        let now = self.clock.timestamp(self.clock.now());
        FarmNode {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            hearing: Word::This,
            heard_by: me.map(|me| self.who_hear(me)).unwrap_or_default(),
            not_hearing: not_hearing.collect(),
            certificate_ends: certificate_ends.map(|ends| ends.to_string()),
            status_at: self.own.as_ref().map(|_| now),
            status: self.own.clone(),
            ..node(name, *me, this.as_ref())
        }
    }

    /// The others that say they hear this node.
    fn who_hear(&self, me: NodeId) -> Vec<NodeName> {
        let hears = |node: &&NodePicture| {
            let view = &node.view;
            view.hearing.is_heard() && view.summary.is_some() && !view.not_hearing.contains_key(&me)
        };
        self.picture.nodes.iter().filter(hears).map(|node| node.member.name.clone()).collect()
    }

    fn other(&self, other: &NodePicture) -> FarmNode {
        let NodePicture { id, member, view, link } = other;
        let last = view.summary.as_ref();
        let facts = last.map(|last| &last.summary.facts);
        let (hearing, since) = match (&view.hearing, link) {
            (Hearing::Heard { since }, _) => (Word::Heard, Some(*since)),
            (Hearing::NotHeard { since }, LinkState::CannotAuthenticate { .. }) => {
                (Word::CannotAuthenticate, Some(*since))
            }
            (Hearing::Never, LinkState::CannotAuthenticate { .. }) => (Word::CannotAuthenticate, None),
            (Hearing::NotHeard { since }, _) => (Word::Unknown, Some(*since)),
            (Hearing::Never, _) => (Word::Never, None),
        };
        let known = self.known.get(id);
        let ends =
            facts.and_then(|facts| i64::try_from(facts.certificate_ends).ok()).filter(|ends| *ends != 0);
        let ends = ends.and_then(|ends| jiff::Timestamp::from_second(ends).ok());
        FarmNode {
            version: facts.map(|facts| facts.version.clone()),
            hearing,
            since: since.map(|since| self.clock.timestamp(since)),
            heard_by: names(&heard_by(other, self.picture)),
            not_hearing: self.not_hearing(other),
            explanation: self.explanation(other),
            certificate_ends: ends.map(|ends| ends.to_string()),
            clock_offset_s: self.clocks.ahead(*id),
            status: known.map(|known| known.status.clone()),
            status_at: known.map(|known| self.clock.timestamp(known.at)),
            summary: last.map(|last| self.summary(last)),
            ..node(&member.name, Some(*id), Some(member))
        }
    }

    fn summary(&self, last: &ReceivedSummary) -> NodeSummary {
        let Facts { headline, attention, modules, ready, .. } = &last.summary.facts;
        NodeSummary {
            headline: headline.clone(),
            attention: *attention,
            modules: *modules,
            ready: *ready,
            at: self.clock.timestamp(last.received),
        }
    }

    /// Whom another node does not hear, as it says. What it said before it fell silent is of no use.
    fn not_hearing(&self, other: &NodePicture) -> Vec<NotHearing> {
        if !other.view.hearing.is_heard() {
            return Vec::new();
        }
        let not = other.view.not_hearing.iter().filter_map(|(id, since)| {
            let since = since.map(|since| self.clock.timestamp(since));
            Some(NotHearing { node: self.name_of(*id)?, since })
        });
        not.collect()
    }

    fn name_of(&self, id: NodeId) -> Option<NodeName> {
        let Picture { name, me, nodes, .. } = self.picture;
        if *me == Some(id) {
            return Some(name.clone());
        }
        nodes.iter().find(|node| node.id == id).map(|node| node.member.name.clone())
    }

    /// Why a node is not heard and what to do, in one sentence; empty if it is heard.
    fn explanation(&self, other: &NodePicture) -> String {
        let name = &other.member.name;
        let Some(lost) = lost(other, self.clock) else { return String::new() };
        let said = other.view.summary.as_ref().map(|last| last.summary.facts.headline.as_str());
        let report = said.map(|said| format!("; the last that it said: {said}")).unwrap_or_default();
        let others = heard_by(other, self.picture);
        if let LinkState::CannotAuthenticate { why } = &other.link {
            return format!("{lost}: the two nodes cannot authenticate each other: {why}{report}");
        }
        let why = match &other.link {
            LinkState::Closed { why: Some(why) } => format!(" ({why})"),
            _ => String::new(),
        };
        match others.as_slice() {
            [] => format!(
                "{lost}{why}, and no other node hears it{report}. If its server is gone for good: bellwether farm remove {name}"
            ),
            [one] => {
                format!("{lost}{why}, {one} still hears it{report}. Check the network between the two nodes")
            }
            several => format!(
                "{lost}{why}, {} still hear it{report}. Check the network between the two nodes",
                several.join(", ")
            ),
        }
    }
}

/// That a node is not heard, if it is not.
fn lost(other: &NodePicture, clock: Clock) -> Option<String> {
    match other.view.hearing {
        Hearing::Heard { .. } => None,
        Hearing::NotHeard { since } => Some(format!("not heard since {}", clock.timestamp(since))),
        Hearing::Never => Some("not heard since the daemon of this node started".to_owned()),
    }
}

fn node(name: &NodeName, id: Option<NodeId>, member: Option<&Member>) -> FarmNode {
    FarmNode {
        name: name.clone(),
        id: id.map(|id| id.to_string()),
        zone: member.and_then(|member| member.zone.clone()),
        address: member.map(|member| member.address.clone()),
        version: None,
        hearing: Word::Never,
        since: None,
        heard_by: Vec::new(),
        not_hearing: Vec::new(),
        explanation: String::new(),
        holds_authority_key: member.is_some_and(|member| member.holds_ca_key),
        certificate_ends: None,
        clock_offset_s: None,
        summary: None,
        status: None,
        status_at: None,
    }
}

fn names(names: &[&str]) -> Vec<NodeName> {
    names.iter().filter_map(|name| NodeName::new(name).ok()).collect()
}

/// One sentence about the farm, without a full stop; about this node while it is in none.
fn headline(picture: &Picture, own: Option<&NodeStatus>) -> String {
    if picture.removed.is_some() {
        return "This node was removed from the farm".to_owned();
    }
    if picture.this.is_none() {
        return own.map(|own| own.headline.clone()).unwrap_or_default();
    }
    let is_heard = |node: &&NodePicture| node.view.hearing.is_heard();
    let all = picture.nodes.len() + 1;
    let lost: Vec<&NodePicture> = picture.nodes.iter().filter(|node| !is_heard(node)).collect();
    let hearing = match (all, lost.as_slice()) {
        (1, _) => "This node is the only one of its farm".to_owned(),
        (2, []) => "Both nodes are heard".to_owned(),
        (_, []) => format!("All {} are heard", counted(all as u64, "node", "nodes")),
        (_, [one]) => format!("{} is not heard", one.member.name),
        (_, several) => format!("{} of {all} nodes are not heard", several.len()),
    };
    let down = picture.nodes.iter().filter(is_heard).find_map(|node| {
        let facts = &node.view.summary.as_ref()?.summary.facts;
        (facts.attention == Attention::Down)
            .then(|| format!(", and on {}: {}", node.member.name, facts.headline))
    });
    format!("{hearing}{}", down.unwrap_or_default())
}
