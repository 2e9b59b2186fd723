//! The frames between nodes: a byte for the version, one for the kind, and what belongs to the kind.
//!
//! A later daemon can add kinds, and append to what belongs to one: both are ignored by this one. Anything else needs
//! the next version.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::MAX_FRAME;
use super::engine::Identity;
use crate::id::NodeId;

/// The version of the frames of this daemon.
pub(super) const VERSION: u8 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message of foca.
    Swim(Bytes),
    /// The identity of the sender, and whether it wants the same in return.
    Hello { identity: Identity, wants_answer: bool },
    /// The sender takes this identity of the receiver for down. The receiver needs another one.
    Renew(Identity),
    /// The receiver is to expect another beat soon, unless this is the last one.
    Beat { is_last: bool },
    /// The sender has missed a frame of this node.
    Doubt(NodeId),
    /// What the sender says of itself: an encoded summary.
    Summary(Bytes),
    /// What this node says of itself, from the sender, because the receiver does not hear that node.
    Relayed { of: NodeId, summary: Bytes },
}

/// Why a frame cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotUnderstood {
    /// It has another version.
    Version(u8),
    /// It is damaged, or of a kind that is not known.
    Content,
}

const SWIM: u8 = 0;
const HELLO: u8 = 1;
const RENEW: u8 = 2;
const BEAT: u8 = 3;
const DOUBT: u8 = 4;
const SUMMARY: u8 = 5;
const RELAYED: u8 = 6;

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Swim(message) => raw(SWIM, &[message]),
            Self::Hello { identity, wants_answer } => packed(HELLO, &(identity, wants_answer)),
            Self::Renew(identity) => packed(RENEW, identity),
            Self::Beat { is_last } => raw(BEAT, &[&[u8::from(*is_last)]]),
            Self::Doubt(node) => raw(DOUBT, &[node.as_bytes()]),
            Self::Summary(summary) => raw(SUMMARY, &[summary]),
            Self::Relayed { of, summary } => raw(RELAYED, &[of.as_bytes(), summary]),
        }
    }

    pub(super) fn decode(bytes: &Bytes) -> Result<Self, NotUnderstood> {
        let (&[version, kind], content) = bytes.split_first_chunk().ok_or(NotUnderstood::Content)?;
        if version != VERSION {
            return Err(NotUnderstood::Version(version));
        }
        if bytes.len() > MAX_FRAME {
            return Err(NotUnderstood::Content);
        }
        Ok(match kind {
            SWIM => Self::Swim(bytes.slice(2..)),
            HELLO => {
                let (identity, wants_answer) = unpacked(content)?;
                Self::Hello { identity, wants_answer }
            }
            RENEW => Self::Renew(unpacked(content)?),
            BEAT => Self::Beat { is_last: *content.first().ok_or(NotUnderstood::Content)? != 0 },
            DOUBT => Self::Doubt(node(content)?),
            SUMMARY => Self::Summary(bytes.slice(2..)),
            RELAYED => Self::Relayed { of: node(content)?, summary: bytes.slice(2 + 16..) },
            _ => return Err(NotUnderstood::Content),
        })
    }
}

fn node(content: &[u8]) -> Result<NodeId, NotUnderstood> {
    content.first_chunk().map(|bytes| NodeId::from_bytes(*bytes)).ok_or(NotUnderstood::Content)
}

fn raw(kind: u8, parts: &[&[u8]]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(2 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.put_slice(&[VERSION, kind]);
    for part in parts {
        bytes.put_slice(part);
    }
    bytes.freeze()
}

fn packed(kind: u8, content: &impl Serialize) -> Bytes {
    // Encoding into a growing buffer does not fail for these types.
    let bytes = postcard::to_extend(content, vec![VERSION, kind]).unwrap_or_default();
    Bytes::from(bytes)
}

fn unpacked<T: serde::de::DeserializeOwned>(content: &[u8]) -> Result<T, NotUnderstood> {
    postcard::take_from_bytes(content).map(|(content, _)| content).map_err(|_| NotUnderstood::Content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 16])
    }

    #[test]
    fn a_frame_comes_back_as_it_went() {
        let identity = Identity::new(id(1), 7);
        for frame in [
            Frame::Swim(Bytes::from_static(b"abc")),
            Frame::Hello { identity, wants_answer: true },
            Frame::Renew(identity),
            Frame::Beat { is_last: false },
            Frame::Beat { is_last: true },
            Frame::Doubt(id(2)),
            Frame::Summary(Bytes::from_static(b"s")),
            Frame::Relayed { of: id(3), summary: Bytes::from_static(b"s") },
        ] {
            assert_eq!(Frame::decode(&frame.encode()), Ok(frame.clone()));
        }
    }

    #[test]
    fn what_a_later_daemon_appends_is_ignored_and_its_kinds_are_not_understood() {
        let hello = Frame::Hello { identity: Identity::new(id(1), 7), wants_answer: false };
        let longer = [&hello.encode()[..], b"more"].concat();
        assert_eq!(Frame::decode(&Bytes::from(longer)), Ok(hello));
        assert_eq!(Frame::decode(&Bytes::from_static(&[VERSION, 250, 1])), Err(NotUnderstood::Content));
        assert_eq!(Frame::decode(&Bytes::from_static(&[9, 0, 1])), Err(NotUnderstood::Version(9)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Frame::decode(&Bytes::from(bytes));
        }

        #[test]
        fn no_bytes_of_a_known_kind_make_it_panic(kind in 0..8_u8, bytes: Vec<u8>) {
            let _ = Frame::decode(&Bytes::from([&[VERSION, kind][..], &bytes].concat()));
        }
    }
}
