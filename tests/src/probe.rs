//! Sends requests to the health endpoint continuously, like a busy load balancer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http;

/// A test that hangs must not send requests forever.
const LONGEST: Duration = Duration::from_mins(5);
/// How much later than any other server on this machine the daemon may answer: load balancers wait for two seconds
/// and more, and a delay inside the daemon is longer.
const LATER: Duration = Duration::from_millis(500);

/// A running prober, on its own thread. Each request has its own connection.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Answers>,
}

/// The answers to the prober.
#[derive(Debug, Default)]
pub struct Answers {
    /// The number of answers with each status; 0 stands for no answer at all.
    pub statuses: BTreeMap<u16, usize>,
    /// The times from the moment a request was due to its answer, in ascending order. A request that had to wait
    /// for the previous one includes that wait (no coordinated omission).
    latencies: Vec<Duration>,
}

impl Probe {
    /// `GET path`, this many times a second, until [`finish`](Self::finish) and for five minutes at most.
    pub fn begin(address: SocketAddr, path: &str, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, stopped) = (path.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || ask(address, &path, per_second, &stopped));
        Self { stop, thread }
    }

    /// Stops, and returns the answers; there is at least one.
    ///
    /// # Panics
    /// If the prober has panicked.
    pub fn finish(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the prober does not panic")
    }
}

fn ask(address: SocketAddr, path: &str, per_second: u32, stop: &AtomicBool) -> Answers {
    let (begun, pause) = (Instant::now(), Duration::from_secs(1) / per_second);
    let mut answers = Answers::default();
    let mut due = begun;
    // At least once: on a busy machine it may be stopped before it has begun.
    loop {
        let status = http::get(address, path).map_or(0, |answer| answer.status);
        answers.latencies.push(due.elapsed());
        *answers.statuses.entry(status).or_default() += 1;
        if stop.load(Ordering::Relaxed) || begun.elapsed() > LONGEST {
            break;
        }
        due += pause;
        // This is the interval of the requests, not a wait for an event.
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    answers.latencies.sort_unstable();
    answers
}

impl Answers {
    /// The number of requests.
    pub fn count(&self) -> usize {
        self.latencies.len()
    }

    /// Ninety-nine of a hundred answers came about as soon as those of another server on this machine: delays of a
    /// machine that is busy with something else do not count against the daemon.
    ///
    /// # Panics
    /// If they came later.
    pub fn were_as_fast_as(&self, control: &Self) {
        let (p99, control) = (self.percentile(99), control.percentile(99));
        assert!(p99 < 3 * control + LATER, "p99 {p99:?}, and the control {control:?}");
    }

    /// The percentage of answers within this time; zero if there were none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(rank).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_smallest_value_that_covers_so_many() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let answers = Answers { statuses: BTreeMap::new(), latencies };
        assert_eq!(answers.percentile(99), Duration::from_millis(198));
        assert_eq!(answers.percentile(100), Duration::from_millis(200));
        assert_eq!(Answers::default().percentile(99), Duration::ZERO);
    }
}
