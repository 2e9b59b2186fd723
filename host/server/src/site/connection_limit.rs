//! The maximum number of clients at the same time, in total and from one address.
//!
//! ```text
//!   room in all ──▶ accepted ──▶ not too many from there ──▶ a place, until it is dropped
//!        └ others wait in the queue of the socket  └ closed at once
//! ```

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::neighbourhood;

/// In total. Every browser keeps one connection for events, and opens a few more for pages.
const MAX_CLIENTS: usize = 1024;
/// The console uses at most this fraction of the files that the daemon may open: checks and the health endpoint
/// need them as well.
const PART_OF_FILES: u64 = 4;

/// Counts the present clients.
#[derive(Debug, Clone)]
pub(super) struct ConnectionLimit {
    room: Arc<Semaphore>,
    from: Arc<Mutex<HashMap<IpAddr, usize>>>,
    most_from_one: usize,
}

impl Default for ConnectionLimit {
    fn default() -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / PART_OF_FILES;
        Self::new(usize::try_from(files).unwrap_or(usize::MAX).clamp(8, MAX_CLIENTS))
    }
}

/// The place of one client; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _room: OwnedSemaphorePermit,
    from: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl ConnectionLimit {
    fn new(most: usize) -> Self {
        // One proxy may stand for many users; but it must not exclude all others.
        let most_from_one = most / 2;
        Self { room: Arc::new(Semaphore::new(most)), from: Arc::default(), most_from_one }
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// A place for a client with this address, unless it has the maximum already.
    pub(super) fn admit(&self, room: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let address = neighbourhood(address);
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let count = from.entry(address).or_insert(0);
        if *count >= self.most_from_one {
            tracing::debug!(%address, "a client of the console is turned away: there are too many from there");
            return None;
        }
        *count += 1;
        if *count == self.most_from_one {
            let count = *count;
            tracing::warn!(%address, count, "the console answers no more clients from there at once");
        }
        drop(from);
        Some(Place { _room: room, from: Arc::clone(&self.from), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = from.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                from.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_does_not_take_all_and_gives_back_what_it_took() {
        let crowd = ConnectionLimit::new(4);
        let [one, other]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let first = crowd.admit(crowd.room().await.unwrap(), one).unwrap();
        let _second = crowd.admit(crowd.room().await.unwrap(), one).unwrap();
        assert!(crowd.admit(crowd.room().await.unwrap(), one).is_none());
        let _third = crowd.admit(crowd.room().await.unwrap(), other).unwrap();
        drop(first);
        assert!(crowd.admit(crowd.room().await.unwrap(), one).is_some());
        let _fourth = crowd.admit(crowd.room().await.unwrap(), other).unwrap();
        assert_eq!((crowd.room.available_permits(), crowd.from.lock().unwrap()[&one]), (1, 1));
    }

    #[test]
    fn addresses_of_one_network_are_one_and_mapped_ones_are_what_they_stand_for() {
        let of = |text: &str| neighbourhood(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
