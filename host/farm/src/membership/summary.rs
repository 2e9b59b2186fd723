//! What a node says of itself to all others, in at most 1 KB.

use bellwether_core::attention::Attention;
use bellwether_core::text;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest headline, in bytes. A longer one is cut.
pub const MAX_HEADLINE: usize = 160;

/// The largest encoded summary, in bytes.
pub const MAX_SUMMARY: usize = 1024;

/// The longest version of a daemon, in bytes. A longer one is cut.
const MAX_VERSION: usize = 64;

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of the daemon. At most 64 bytes; a longer one is cut.
    pub version: String,
    /// The generation of the node's snapshot.
    pub snapshot: u64,
    /// The one sentence about the node. At most [`MAX_HEADLINE`] bytes; a longer one is cut.
    pub headline: String,
    /// The urgency of its worst module.
    #[serde(with = "attention")]
    pub attention: Attention,
    /// How many modules it has.
    pub modules: u32,
    /// How many of them are ready.
    pub ready: u32,
    /// When its certificate ends, in seconds since 1970; 0 if it has none.
    pub certificate_ends: u64,
    /// Its clock when it said so, in seconds since 1970.
    pub wall: u64,
}

/// What a node says of itself, and whom it hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of the node's start.
    pub generation: u64,
    /// Counts the node's summaries since its start.
    pub sequence: u64,
    pub facts: Facts,
    /// The digest of its roster.
    pub roster: u64,
    /// The members that it hears directly: a bit for each member of that roster, in its order; the lowest bit of the
    /// first byte is the first member.
    pub hears: Vec<u8>,
    /// Those that it has heard but no longer hears, the latest first, as far as there is room.
    pub not_hearing: Vec<NotHearing>,
}

/// A member that a node no longer hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotHearing {
    /// Its index in the roster.
    pub index: u16,
    /// For how long, in milliseconds, when the summary was made.
    pub for_ms: u64,
}

impl Summary {
    /// As it is sent. Later versions may append to it.
    pub(super) fn encode(&mut self) -> Bytes {
        self.facts.shorten();
        loop {
            // Encoding into a growing buffer does not fail for these types.
            let bytes = postcard::to_extend(self, Vec::with_capacity(MAX_SUMMARY)).unwrap_or_default();
            if bytes.len() <= MAX_SUMMARY || self.not_hearing.pop().is_none() {
                return Bytes::from(bytes);
            }
        }
    }

    /// A summary that came from another node, with texts that can be shown; `None` if it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_SUMMARY {
            return None;
        }
        let (mut summary, _appended): (Self, _) = postcard::take_from_bytes(bytes).ok()?;
        summary.facts.shorten();
        Some(summary)
    }

    /// Whether it is newer than the other one of the same node.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        (self.generation, self.sequence) > (other.generation, other.sequence)
    }

    /// Whether the node hears the member with this index in its roster.
    pub fn hears(&self, index: usize) -> bool {
        self.hears.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }
}

impl Facts {
    fn shorten(&mut self) {
        self.version = text::one_line(&self.version, MAX_VERSION);
        self.headline = text::one_line(&self.headline, MAX_HEADLINE);
    }
}

/// A bit for each of so many members, set for those with these indices.
pub(super) fn bits(count: usize, set: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut bytes = vec![0; count.div_ceil(8)];
    for index in set {
        if let Some(byte) = bytes.get_mut(index / 8) {
            *byte |= 1 << (index % 8);
        }
    }
    bytes
}

/// The urgency as a number that stays the same when a later version adds another one.
mod attention {
    use bellwether_core::attention::Attention;
    use serde::{Deserialize, Deserializer, Serializer};

    const NUMBERS: [(u8, Attention); 5] = [
        (0, Attention::Well),
        (1, Attention::Warned),
        (2, Attention::Held),
        (3, Attention::Moving),
        (4, Attention::Down),
    ];

    // The signature is that of serde.
    #[expect(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(attention: &Attention, serializer: S) -> Result<S::Ok, S::Error> {
        let number = NUMBERS.iter().find(|(_, known)| known == attention).map_or(1, |(number, _)| *number);
        serializer.serialize_u8(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attention, D::Error> {
        let number = u8::deserialize(deserializer)?;
        // One that only a later version knows is shown as something to look at.
        let known = NUMBERS.iter().find(|(known, _)| *known == number);
        Ok(known.map_or(Attention::Warned, |(_, attention)| *attention))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary(not_hearing: Vec<NotHearing>) -> Summary {
        Summary {
            generation: 3,
            sequence: 9,
            facts: Facts {
                version: "1.2.0".into(),
                headline: "All 3 modules are ready.".into(),
                ..Facts::default()
            },
            roster: u64::MAX,
            hears: bits(200, 0..200),
            not_hearing,
        }
    }

    #[test]
    fn a_summary_comes_back_as_it_went_and_what_is_appended_is_ignored() {
        for attention in Attention::ALL {
            let mut sent = summary(vec![NotHearing { index: 5, for_ms: 1_234 }]);
            sent.facts.attention = attention;
            let bytes = [&sent.encode()[..], b"of a later version"].concat();
            assert_eq!(Summary::decode(&bytes), Some(sent));
        }
    }

    #[test]
    fn a_summary_of_200_nodes_has_at_most_a_kilobyte_and_keeps_the_latest_exceptions() {
        let exceptions: Vec<_> =
            (0..200).map(|index| NotHearing { index, for_ms: u64::from(index) << 20 }).collect();
        let mut sent = summary(exceptions.clone());
        sent.facts.headline = "é".repeat(500);
        sent.facts.version = "v".repeat(500);
        let bytes = sent.encode();
        assert!(bytes.len() <= MAX_SUMMARY, "{} bytes", bytes.len());
        let came = Summary::decode(&bytes).unwrap();
        assert!(came.facts.headline.len() <= MAX_HEADLINE, "{}", came.facts.headline);
        assert!(came.not_hearing.len() > 80, "{} exceptions", came.not_hearing.len());
        assert!(exceptions.starts_with(&came.not_hearing));
    }

    #[test]
    fn a_summary_without_exceptions_is_small() {
        let bytes = summary(Vec::new()).encode();
        assert!(bytes.len() <= 100, "{} bytes", bytes.len());
    }

    #[test]
    fn a_text_from_another_node_can_be_shown() {
        let mut sent = summary(Vec::new());
        sent.facts.headline = "web is \u{1b}[31mdown\n".into();
        // Another daemon might not shorten its texts.
        let bytes = postcard::to_extend(&sent, Vec::new()).unwrap();
        let came = Summary::decode(&bytes).unwrap();
        assert!(text::is_plain(&came.facts.headline), "{:?}", came.facts.headline);
    }

    #[test]
    fn a_bit_is_set_for_each_member_that_is_heard() {
        let mut some = summary(Vec::new());
        some.hears = bits(12, [0, 9, 11, 500].into_iter());
        let heard: Vec<_> = (0..600).filter(|index| some.hears(*index)).collect();
        assert_eq!(heard, [0, 9, 11]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Summary::decode(&bytes);
        }
    }
}
