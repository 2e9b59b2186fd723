//! The maximum number of clients at the same time, in total and from one address.
//!
//! ```text
//!   room in all ──▶ accepted ──▶ not too many from there ──▶ a slot, until it is dropped
//!        └ others wait in the queue of the socket  └ closed at once
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_os::exhaustion::most_open_files;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::access::neighbourhood;

/// For clients of any host. Every browser keeps one connection for events, and opens a few more for pages.
const MAX_CLIENTS: usize = 1024;
/// The console uses at most this fraction of the files that the daemon may open: checks and the health endpoint
/// need them as well.
const PART_OF_FILES: u64 = 4;

/// Counts connections. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimit {
    room: Arc<Semaphore>,
    by_address: Option<ByAddress>,
}

/// Keeps one address from taking all the room.
#[derive(Debug, Clone)]
struct ByAddress {
    most: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The slot of one client; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _room: OwnedSemaphorePermit,
    _counted: Option<Counted>,
}

/// A connection that counts for its address.
#[derive(Debug)]
struct Counted {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl ConnectionLimit {
    /// So many connections in all, wherever they come from.
    pub(crate) fn new(most: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(most)), by_address: None }
    }

    /// For clients of any host: as many as the descriptors that the daemon may have allow, and half of them from
    /// one address.
    pub(crate) fn for_any_host() -> Self {
        let files = most_open_files().unwrap_or(u64::MAX) / PART_OF_FILES;
        Self::shared(usize::try_from(files).unwrap_or(usize::MAX).clamp(8, MAX_CLIENTS))
    }

    fn shared(most: usize) -> Self {
        // One proxy may stand for many users; but it must not exclude all others.
        let by_address = ByAddress { most: most / 2, counts: Arc::default() };
        Self { by_address: Some(by_address), ..Self::new(most) }
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.room).acquire_owned().await
    }

    /// A slot for a client with this address, unless it has the maximum already.
    pub(super) fn admit(&self, room: OwnedSemaphorePermit, address: Option<IpAddr>) -> Option<Slot> {
        let counted = match (&self.by_address, address) {
            (Some(by_address), Some(address)) => Some(by_address.count(neighbourhood(address))?),
            _ => None,
        };
        Some(Slot { _room: room, _counted: counted })
    }
}

impl ByAddress {
    fn count(&self, address: IpAddr) -> Option<Counted> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= self.most {
            tracing::debug!(%address, "a client is turned away: there are too many from there");
            return None;
        }
        *count += 1;
        if *count == self.most {
            let count = *count;
            tracing::warn!(%address, count, "no more clients from there are answered at once");
        }
        Some(Counted { counts: Arc::clone(&self.counts), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_does_not_take_all_and_gives_back_what_it_took() {
        let limit = ConnectionLimit::shared(4);
        let [one, other]: [Option<IpAddr>; 2] = ["192.0.2.1".parse().ok(), "192.0.2.2".parse().ok()];
        let first = limit.admit(limit.room().await.unwrap(), one).unwrap();
        let _second = limit.admit(limit.room().await.unwrap(), one).unwrap();
        assert!(limit.admit(limit.room().await.unwrap(), one).is_none());
        let _third = limit.admit(limit.room().await.unwrap(), other).unwrap();
        drop(first);
        assert!(limit.admit(limit.room().await.unwrap(), one).is_some());
        let _fourth = limit.admit(limit.room().await.unwrap(), other).unwrap();
        let counts = limit.by_address.as_ref().unwrap().counts.lock().unwrap();
        assert_eq!((limit.room.available_permits(), counts[&one.unwrap()]), (1, 1));
    }

    #[tokio::test]
    async fn without_a_limit_for_each_address_one_may_take_all() {
        let limit = ConnectionLimit::new(2);
        let address = "192.0.2.1".parse().ok();
        let _first = limit.admit(limit.room().await.unwrap(), address).unwrap();
        let _second = limit.admit(limit.room().await.unwrap(), address).unwrap();
        assert_eq!(limit.room.available_permits(), 0);
    }

    #[test]
    fn addresses_of_one_network_are_one_and_mapped_ones_are_what_they_stand_for() {
        let of = |text: &str| neighbourhood(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
