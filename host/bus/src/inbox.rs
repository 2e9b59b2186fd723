//! The core's queues: commands of users do not wait behind observations.
//!
//! ```text
//!   observers, actors, reload ──events──┐
//!                                       ├──▶ Inbox ──▶ driver
//!   API ─────────────────────commands───┘     a command first, if one waits
//! ```

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::Message;

/// The number of events that can wait for the core. A sender with one more waits for room.
const EVENTS: usize = 1024;
/// The number of commands that can wait for the core: more than users give at once.
const COMMANDS: usize = 64;

/// The receiving side of both queues.
#[derive(Debug)]
pub struct Inbox {
    events: Receiver<Message>,
    commands: Receiver<Message>,
}

/// The senders to an [`Inbox`].
#[derive(Debug, Clone)]
pub struct Senders {
    /// For everything except commands.
    pub events: Sender<Message>,
    /// For commands of users.
    pub commands: Sender<Message>,
}

impl Inbox {
    pub fn new() -> (Senders, Self) {
        let (events, waiting_events) = mpsc::channel(EVENTS);
        let (commands, waiting_commands) = mpsc::channel(COMMANDS);
        (Senders { events, commands }, Self { events: waiting_events, commands: waiting_commands })
    }

    /// Waits for the next message. Returns `None` once all senders of events are dropped. No message is lost if the
    /// future is dropped.
    pub async fn recv(&mut self) -> Option<Message> {
        tokio::select! {
            biased;
            Some(command) = self.commands.recv() => Some(command),
            event = self.events.recv() => event,
        }
    }

    /// The next message, if one is waiting.
    pub fn try_recv(&mut self) -> Option<Message> {
        self.commands.try_recv().or_else(|_| self.events.try_recv()).ok()
    }

    /// Accepts no further messages. Those that wait can still be received.
    pub fn close(&mut self) {
        self.events.close();
        self.commands.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_core::shutdown::Shutdown;
    use tokio::sync::oneshot;

    fn ending() -> Message {
        Message::Ending(Shutdown::Drain, oneshot::channel().0)
    }

    #[tokio::test]
    async fn a_command_does_not_wait_behind_events() {
        let (senders, mut inbox) = Inbox::new();
        for _ in 0..EVENTS {
            senders.events.try_send(Message::Loaded).unwrap();
        }
        assert!(senders.events.try_send(Message::Loaded).is_err(), "it is full");
        senders.commands.try_send(ending()).unwrap();
        assert!(matches!(inbox.recv().await, Some(Message::Ending(..))));
        senders.commands.try_send(ending()).unwrap();
        assert!(matches!(inbox.try_recv(), Some(Message::Ending(..))));
        assert!(matches!(inbox.try_recv(), Some(Message::Loaded)));
    }

    #[tokio::test]
    async fn what_waits_is_received_after_the_end_of_the_senders_and_of_the_inbox() {
        let (senders, mut inbox) = Inbox::new();
        senders.events.try_send(Message::Loaded).unwrap();
        senders.commands.try_send(ending()).unwrap();
        inbox.close();
        assert!(senders.events.is_closed() && senders.commands.is_closed());
        drop(senders);
        assert!(matches!(inbox.try_recv(), Some(Message::Ending(..))));
        assert!(matches!(inbox.recv().await, Some(Message::Loaded)));
        assert!(inbox.recv().await.is_none() && inbox.try_recv().is_none());
    }

    #[tokio::test]
    async fn the_driver_ends_with_the_last_sender_of_events() {
        let (Senders { events, commands }, mut inbox) = Inbox::new();
        drop(events);
        assert!(inbox.recv().await.is_none());
        drop(commands);
    }
}
