//! Sends records to the journal from outside the core.
//!
//! ```text
//!   Recorder ──▶ the core: numbers the record ──▶ journal, followers
//! ```
//! The core numbers all records, so that a record is in the right order with those of the core's decisions.

use bellwether_core::event::Event;
use bellwether_core::id::ModuleName;
use bellwether_core::record::RecordKind;
use tokio::sync::mpsc;

use crate::Message;

/// Sends records to the core. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder(mpsc::Sender<Message>);

impl Recorder {
    /// Sends to the core that takes these messages.
    pub fn new(core: mpsc::Sender<Message>) -> Self {
        Self(core)
    }

    /// Sends a record, of a module or of the daemon itself, and waits as long as the core has too much to do. Returns
    /// `false` if the core has ended; that is reported by the part that waits for its end.
    pub async fn record(&self, module: Option<ModuleName>, kind: RecordKind) -> bool {
        self.0.send(message(module, kind)).await.is_ok()
    }

    /// Sends a record without making the caller wait; the record is sent in its turn by a task of its own.
    pub fn record_later(&self, module: Option<ModuleName>, kind: RecordKind) {
        let recorder = self.clone();
        tokio::spawn(async move { recorder.record(module, kind).await });
    }

    /// Records a sentence about the daemon itself.
    pub async fn say(&self, message: String) {
        self.record(None, RecordKind::Daemon { message }).await;
    }

    /// Records a sentence about the daemon itself without waiting, for threads that do not wait for the core. Returns
    /// `false` if the core has ended or has too much to do.
    pub fn try_say(&self, sentence: String) -> bool {
        self.try_record(RecordKind::Daemon { message: sentence })
    }

    /// Records something about the node as a whole without waiting. Returns `false` as [`try_say`](Self::try_say) does.
    pub fn try_record(&self, kind: RecordKind) -> bool {
        self.0.try_send(message(None, kind)).is_ok()
    }
}

fn message(module: Option<ModuleName>, kind: RecordKind) -> Message {
    Message::Event(Event::Noted { module, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(message: Option<Message>) -> String {
        let Some(Message::Event(Event::Noted { module: None, kind: RecordKind::Daemon { message } })) =
            message
        else {
            panic!("expected a record of the daemon, found {message:?}");
        };
        message
    }

    #[tokio::test]
    async fn records_come_in_their_turn_and_a_core_that_has_no_room_or_has_ended_is_told() {
        let (core, mut messages) = mpsc::channel(1);
        let recorder = Recorder::new(core);
        recorder.say("one".to_owned()).await;
        assert!(!recorder.try_say("lost".to_owned()), "there is no room");
        recorder.record_later(None, RecordKind::Daemon { message: "two".to_owned() });
        assert_eq!(sentence(messages.recv().await), "one");
        assert_eq!(sentence(messages.recv().await), "two");
        assert!(recorder.try_say("three".to_owned()));
        assert_eq!(sentence(messages.recv().await), "three");
        drop(messages);
        assert!(!recorder.record(None, RecordKind::Daemon { message: "four".to_owned() }).await);
        assert!(!recorder.try_say("five".to_owned()));
    }
}
