//! Which node is in contact with which, as each of them says.

use bellwether_api::farm::{FarmNode, FarmStatus, Hearing};

use crate::console::frame::{Time, Times};
use crate::console::look::Look;

/// With more nodes, only the lost connections are listed.
const MAX_TABLE: usize = 12;
/// This many lost connections are listed.
const MAX_LISTED: usize = 100;

/// The contacts between all nodes.
#[derive(Debug)]
pub(super) struct Contact {
    /// Whether there is a lost connection: then it is shown without being asked for.
    pub(super) open: bool,
    pub(super) summary: String,
    pub(super) names: Vec<String>,
    /// From each node to each; empty if there are too many nodes.
    pub(super) rows: Vec<(String, Vec<Look>)>,
    pub(super) lost: Vec<Lost>,
    /// The number of lost connections that are not listed.
    pub(super) more: usize,
}

/// A connection that one node says is lost.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) since: Option<Time>,
}

/// Whether `from` is in contact with `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hears<'a> {
    Itself,
    Yes,
    No(Option<&'a str>),
    /// `from` cannot be asked.
    NotKnown,
}

impl Contact {
    pub(super) fn new(farm: &FarmStatus, times: &Times) -> Self {
        let mut lost = Vec::new();
        let (mut count, mut unknown) = (0_usize, 0_usize);
        let mut rows = Vec::new();
        let tabled = farm.nodes.len() <= MAX_TABLE;
        for from in &farm.nodes {
            let mut looks = Vec::new();
            for to in &farm.nodes {
                let hears = hears(from, to);
                if let Hears::No(since) = &hears {
                    count += 1;
                    if lost.len() < MAX_LISTED {
                        let since = since.map(|since| times.told(since.to_owned()));
                        lost.push(Lost { from: from.name.to_string(), to: to.name.to_string(), since });
                    }
                }
                unknown += usize::from(hears == Hears::NotKnown);
                if tabled {
                    looks.push(look(&hears));
                }
            }
            if tabled {
                rows.push((from.name.to_string(), looks));
            }
        }
        let summary = match (count, unknown) {
            (0, 0) => "All nodes are in contact with each other".to_owned(),
            (0, _) => "No lost connection is known".to_owned(),
            (1, _) => "1 connection between nodes is lost".to_owned(),
            (count, _) => format!("{count} connections between nodes are lost"),
        };
        Self {
            open: count > 0,
            summary,
            names: farm.nodes.iter().map(|node| node.name.to_string()).collect(),
            rows,
            more: count - lost.len(),
            lost,
        }
    }
}

fn hears<'a>(from: &'a FarmNode, to: &'a FarmNode) -> Hears<'a> {
    if from.name == to.name {
        return Hears::Itself;
    }
    match from.hearing {
        // This node knows it first hand.
        Hearing::This if to.hearing == Hearing::Heard => Hears::Yes,
        Hearing::This => Hears::No(to.since.as_deref()),
        // What a node without contact last said is outdated.
        Hearing::Unknown | Hearing::Never | Hearing::CannotAuthenticate => Hears::NotKnown,
        Hearing::Heard => match from.not_hearing.iter().find(|lost| lost.node == to.name) {
            Some(lost) => Hears::No(lost.since.as_deref()),
            None if to.heard_by.contains(&from.name) => Hears::Yes,
            None => Hears::NotKnown,
        },
    }
}

fn look(hears: &Hears<'_>) -> Look {
    match hears {
        Hears::Itself => Look { glyph: "unwatched", word: "itself", tone: "idle" },
        Hears::Yes => Look { glyph: "yes", word: "yes", tone: "ok" },
        Hears::No(_) => Look { glyph: "down", word: "no", tone: "bad" },
        Hears::NotKnown => Look { glyph: "undecided", word: "not known", tone: "idle" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::farm::tests::{farm, lose};
    use bellwether_api::farm::NotHearing;
    use bellwether_os::clock::Clock;

    fn contact(farm: &FarmStatus) -> Contact {
        Contact::new(farm, &Times::new(Clock::start()))
    }

    #[test]
    fn a_connection_that_is_lost_in_one_direction_is_shown_in_that_one() {
        let mut farm = farm(3, 1);
        assert_eq!(
            (contact(&farm).open, contact(&farm).summary.as_str()),
            (false, "All nodes are in contact with each other")
        );
        let (two, three) = (farm.nodes[1].name.clone(), farm.nodes[2].name.clone());
        farm.nodes[1].not_hearing.push(NotHearing { node: three, since: None });
        farm.nodes[2].heard_by.retain(|name| *name != two);
        let contact = contact(&farm);
        assert!(contact.open);
        assert_eq!(contact.summary, "1 connection between nodes is lost");
        let words = |row: usize| -> Vec<&str> { contact.rows[row].1.iter().map(|look| look.word).collect() };
        assert_eq!(words(1), ["yes", "itself", "no"]);
        assert_eq!(words(2), ["yes", "yes", "itself"]);
    }

    #[test]
    fn what_a_node_without_contact_last_said_is_not_known_now() {
        let mut farm = farm(3, 1);
        lose(&mut farm, 2);
        let contact = contact(&farm);
        let words = |row: usize| -> Vec<&str> { contact.rows[row].1.iter().map(|look| look.word).collect() };
        assert_eq!(words(0), ["itself", "yes", "no"]);
        assert_eq!(words(2), ["not known", "not known", "itself"]);
    }

    #[test]
    fn many_nodes_have_a_list_and_no_table() {
        let mut farm = farm(200, 1);
        lose(&mut farm, 7);
        let contact = contact(&farm);
        assert!(contact.rows.is_empty());
        assert_eq!((contact.lost.len(), contact.more), (1, 0));
        assert_eq!((contact.lost[0].from.as_str(), contact.lost[0].to.as_str()), ("node-001", "node-008"));
    }
}
