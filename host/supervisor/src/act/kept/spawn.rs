//! Starts a command that is kept.

use std::sync::Arc;

use anyhow::Context as _;

use super::notify_socket::{Listening, NotifySocket};
use super::{Inner, Launched, Slot};
use bellwether_os::exhaustion::with_reserve;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::notified::Notified;
use bellwether_os::spawn::child::Launch;
use bellwether_os::spawn::command::CommandSpec;

impl Inner {
    pub(super) fn spawn(self: &Arc<Self>, slot: &Arc<Slot>, spec: &CommandSpec) -> anyhow::Result<ProcessId> {
        let (module, command) = &slot.key;
        let launch = Launch { module, command, spec, arguments: &[] };
        let notifies = spec.execution.notifies;
        let (waiting, before, socket) = with_reserve(|| {
            let (streams, before) = self.home.streams(module, command)?;
            let mark = spec.keep.then(|| self.mark(slot)).flatten();
            let socket = notifies.map(|_| NotifySocket::new()).transpose();
            let socket = socket.context("cannot make the socket by which an application says how it is")?;
            let address = socket.as_ref().map(NotifySocket::address);
            let waiting = self.home.spawn_waiting(&launch, streams, mark, address)?;
            Ok::<_, anyhow::Error>((waiting, before, socket))
        })?;
        let id = waiting.leader.id();
        self.enter(slot, id.pid);
        // Recorded before it becomes the application: a daemon that is killed between the two leaves nothing
        // behind.
        slot.set_launched(Some(Launched::by(spec)));
        slot.set_log_from(before);
        let watchdog = notifies.and_then(|notifies| notifies.watchdog);
        let listening = socket.map(|socket| self.listen(slot, socket, id, Notified::nothing(watchdog)));
        slot.set_waiting(Some(id), listening.as_ref().map(Listening::state));
        self.write_ledger();
        let through = self.home.let_through(&launch, waiting);
        if let Ok(leader) = through {
            tracing::info!(%module, %command, pid = id.pid, "started a kept process");
            let listens = listening.is_some();
            self.hold(slot, Arc::new(leader), listening);
            slot.set_waiting(None, None);
            // It may have sent a message since the list was written.
            if listens {
                self.write_ledger();
            }
            return Ok(id);
        }
        slot.set_waiting(None, None);
        self.write_ledger();
        through.map(|leader| leader.id())
    }
}
