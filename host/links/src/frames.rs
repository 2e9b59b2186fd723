//! Frames of the membership on a long HTTP/2 stream: the length in four bytes, then the frame.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// The longest frame, in bytes.
pub(crate) const LONGEST: usize = 64 << 10;
/// The number of frames that wait for the connection. When there are more, frames are dropped: the membership expects
/// that, and asks again.
const WAITING: usize = 64;

const LENGTH: usize = 4;

/// What the other side sends is not frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes is longer than {LONGEST}")]
pub(crate) struct TooLong(usize);

/// Puts frames together from what is received.
#[derive(Debug, Default)]
pub(crate) struct Decoder(BytesMut);

impl Decoder {
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next frame, once it is complete. What waits is at most one frame and what was received at once.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(length) = self.0.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(TooLong(length));
        }
        if self.0.len() < LENGTH + length {
            return Ok(None);
        }
        self.0.advance(LENGTH);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

/// A frame with its length; `None` if it is too long.
fn encoded(frame: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= LONGEST)?;
    let mut bytes = BytesMut::with_capacity(LENGTH + frame.len());
    bytes.put_u32(length);
    bytes.put_slice(frame);
    Some(bytes.freeze())
}

/// The sending end of a stream. The stream ends when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Frames(mpsc::Sender<Bytes>);

impl Frames {
    /// Sends a frame, unless too many are waiting.
    pub(crate) fn send(&self, frame: &[u8]) {
        if let Some(bytes) = encoded(frame) {
            // The membership copes with frames that are lost.
            drop(self.0.try_send(bytes));
        }
    }
}

/// A body that consists of the frames which are sent.
#[derive(Debug)]
pub(crate) struct FrameBody(mpsc::Receiver<Bytes>);

/// Both ends.
pub(crate) fn channel() -> (Frames, FrameBody) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Frames(sender), FrameBody(receiver))
}

impl Body for FrameBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent_however_they_are_cut() {
        let sent: Vec<Vec<u8>> = vec![vec![], vec![7], vec![8; LONGEST], vec![9; 300]];
        let (frames, body) = channel();
        for frame in &sent {
            frames.send(frame);
        }
        frames.send(&vec![0; LONGEST + 1]);
        drop(frames);
        let bytes = body.collect().await.unwrap().to_bytes();
        for size in [1, 3, 1_000, bytes.len()] {
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            for part in bytes.chunks(size) {
                decoder.received(part);
                while let Some(frame) = decoder.next().unwrap() {
                    found.push(frame.to_vec());
                }
            }
            assert_eq!(found, sent, "{size} bytes at once");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_ends_the_stream() {
        let mut decoder = Decoder::default();
        decoder.received(&[0xff; 4]);
        assert_eq!(decoder.next(), Err(TooLong(0xffff_ffff)));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_makes_nothing_grow() {
        let (frames, body) = channel();
        for _ in 0..10 * WAITING {
            frames.send(b"x");
        }
        drop(frames);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), WAITING * (LENGTH + 1));
    }
}
