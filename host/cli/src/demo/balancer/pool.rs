//! Decides which nodes take requests, and which of them takes the next.
//!
//! ```text
//!              200 on its health address
//!    out ────────────────────────────────────▶ in
//!     ▲                                         │
//!     └── any other status, or no answer ───────┘
//! ```
//! One answer is enough in both directions. A node that was not asked yet is out.

use std::fmt;

/// What came of asking a node's health address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Probe {
    /// The status of the answer.
    Answered(u16),
    /// Nothing listens there, or the connection was broken.
    Refused,
    /// No answer came in time.
    Overdue,
}

impl Probe {
    /// Whether the node takes requests.
    fn is_ready(self) -> bool {
        self == Self::Answered(200)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "{status}"),
            Self::Refused => f.write_str("connection refused"),
            Self::Overdue => f.write_str("no answer in time"),
        }
    }
}

/// The nodes behind the load balancer, in their order.
#[derive(Debug)]
pub(in crate::demo) struct Pool {
    nodes: Vec<Node>,
    /// Where the search for the next node begins.
    next: usize,
}

#[derive(Debug)]
struct Node {
    name: String,
    is_in: bool,
}

/// A node that has come in or gone out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo) struct Change {
    pub(in crate::demo) node: String,
    pub(in crate::demo) probe: Probe,
    /// The nodes that take requests from now on.
    pub(in crate::demo) serving: Vec<String>,
}

impl Pool {
    /// All of them are out.
    pub(in crate::demo) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let nodes = names.into_iter().map(|name| Node { name, is_in: false }).collect();
        Self { nodes, next: 0 }
    }

    /// Takes in the answer of a node. Returns the change, if there is one.
    pub(in crate::demo) fn probed(&mut self, node: usize, probe: Probe) -> Option<Change> {
        let found = self.nodes.get_mut(node)?;
        if std::mem::replace(&mut found.is_in, probe.is_ready()) == probe.is_ready() {
            return None;
        }
        let node = found.name.clone();
        Some(Change { node, probe, serving: self.serving().map(str::to_owned).collect() })
    }

    /// The next node in turn that takes requests and is not among those `tried`.
    pub(in crate::demo) fn pick(&mut self, tried: &[usize]) -> Option<usize> {
        let count = self.nodes.len();
        let in_turn = (self.next..count).chain(0..self.next);
        let takes = |node: &usize| self.nodes.get(*node).is_some_and(|node| node.is_in);
        let picked = in_turn.into_iter().find(|node| takes(node) && !tried.contains(node))?;
        self.next = (picked + 1) % count;
        Some(picked)
    }

    /// Whether every node takes requests.
    pub(in crate::demo) fn is_complete(&self) -> bool {
        self.nodes.iter().all(|node| node.is_in)
    }

    fn serving(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| node.is_in).map(|node| node.name.as_str())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, probe, serving } = self;
        let now = if probe.is_ready() { "in" } else { "out" };
        write!(f, "{node} is {now} ({probe}), ")?;
        match serving.as_slice() {
            [] => f.write_str("no node takes traffic: requests are answered with 503"),
            [one] => write!(f, "traffic goes to {one}"),
            [most @ .., last] => write!(f, "traffic goes to {} and {last}", most.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const READY: Probe = Probe::Answered(200);
    const NOT_READY: Probe = Probe::Answered(503);

    fn pool(nodes: usize) -> Pool {
        Pool::new((1..=nodes).map(|number| format!("node-{number}")))
    }

    #[test]
    fn a_change_is_told_once_in_a_sentence() {
        let mut pool = pool(3);
        for (node, probe, told) in [
            (0, NOT_READY, None),
            (0, READY, Some("node-1 is in (200), traffic goes to node-1")),
            (0, READY, None),
            (1, READY, Some("node-2 is in (200), traffic goes to node-1 and node-2")),
            (2, READY, Some("node-3 is in (200), traffic goes to node-1, node-2 and node-3")),
            (0, NOT_READY, Some("node-1 is out (503), traffic goes to node-2 and node-3")),
            // Only the reason is another.
            (0, Probe::Refused, None),
            (1, Probe::Overdue, Some("node-2 is out (no answer in time), traffic goes to node-3")),
            (
                2,
                Probe::Refused,
                Some(
                    "node-3 is out (connection refused), no node takes traffic: requests are answered with 503",
                ),
            ),
            (9, READY, None),
        ] {
            let change = pool.probed(node, probe).map(|change| change.to_string());
            assert_eq!(change.as_deref(), told, "{node} {probe:?}");
        }
    }

    #[test]
    fn only_200_is_a_yes() {
        for status in [100, 201, 204, 301, 404, 500, 503] {
            assert!(pool(1).probed(0, Probe::Answered(status)).is_none(), "{status}");
        }
    }

    #[test]
    fn nodes_take_turns_and_one_that_was_tried_is_passed_over() {
        let mut pool = pool(3);
        assert_eq!(pool.pick(&[]), None);
        for node in 0..3 {
            pool.probed(node, READY);
        }
        assert!(pool.is_complete());
        assert_eq!([(); 4].map(|()| pool.pick(&[])), [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(pool.pick(&[1]), Some(2));
        pool.probed(2, NOT_READY);
        assert!(!pool.is_complete());
        assert_eq!([(); 3].map(|()| pool.pick(&[])), [Some(0), Some(1), Some(0)]);
        assert_eq!(pool.pick(&[0, 1]), None);
        assert_eq!(Pool::new([]).pick(&[]), None);
    }

    proptest! {
        #[test]
        fn whatever_was_answered_each_node_that_is_in_gets_its_share(
            nodes in 1usize..6,
            probes in prop::collection::vec((0usize..6, prop_oneof![Just(200u16), Just(503)]), 0..40),
            turns in 1usize..5,
        ) {
            let mut pool = pool(nodes);
            let mut ready = vec![false; nodes];
            for (node, status) in probes {
                pool.probed(node, Probe::Answered(status));
                if let Some(ready) = ready.get_mut(node) {
                    *ready = status == 200;
                }
            }
            let serving = ready.iter().filter(|ready| **ready).count();
            let mut taken = vec![0; nodes];
            for _ in 0..serving * turns {
                taken[pool.pick(&[]).unwrap()] += 1;
            }
            for (node, ready) in ready.iter().enumerate() {
                prop_assert_eq!(taken[node], if *ready { turns } else { 0 });
            }
            if serving == 0 {
                prop_assert_eq!(pool.pick(&[]), None);
            }
        }
    }
}
