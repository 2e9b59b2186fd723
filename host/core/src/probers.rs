//! Which clients probe the health endpoint regularly, and how often.
//!
//! A load balancer probes at an even interval, all day long. Its interval determines how long a drain must be for
//! it to notice ([`Drain`](crate::drain::Drain)). Clients that ask now and then (a user, a script) have no
//! interval.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use crate::moment::Moment;

/// The maximum number of clients. When there are more, the one whose last probe is oldest is forgotten.
const MAX_PROBERS: usize = 64;
/// The number of latest probes that are remembered for each: enough for three clients at one address.
const MOMENTS: usize = 8;
/// The maximum number of load balancers, or processes of one, that probe from the same address at the same
/// interval.
const AT_ONE_ADDRESS: usize = 3;
/// An interval is even if the longest one exceeds the others by at most this fraction.
const UNEVEN: u32 = 3;
/// A client that has not probed for this many intervals has stopped probing.
const MISSED: u32 = 3;

/// A client and what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    from: IpAddr,
    /// The module's name; `None` for all modules together.
    about: Option<String>,
    /// Whether it is an agent-check.
    agent: bool,
}

/// One client that probes.
#[derive(Debug, Clone)]
struct Prober {
    key: Key,
    moments: VecDeque<Moment>,
}

/// All clients that probe.
#[derive(Debug, Clone, Default)]
pub struct Probers {
    known: Vec<Prober>,
}

impl Probers {
    /// Records a probe for a module, or for all of them.
    pub fn asked(&mut self, from: IpAddr, about: Option<&str>, agent: bool, now: Moment) {
        let is_it = |prober: &Prober| {
            prober.key.from == from && prober.key.agent == agent && prober.key.about.as_deref() == about
        };
        if let Some(prober) = self.known.iter_mut().find(|prober| is_it(prober)) {
            if prober.moments.len() == MOMENTS {
                prober.moments.pop_front();
            }
            prober.moments.push_back(now);
            return;
        }
        let key = Key { from, about: about.map(str::to_owned), agent };
        let prober = Prober { key, moments: VecDeque::from([now]) };
        if self.known.len() < MAX_PROBERS {
            self.known.push(prober);
        } else if let Some(latest) = self.known.iter_mut().min_by_key(|prober| prober.moments.back().copied())
        {
            *latest = prober;
        }
    }

    /// The interval of the slowest client that probes this module regularly.
    pub fn slowest(&self, module: &str, now: Moment) -> Option<Duration> {
        let concerned = |prober: &&Prober| prober.key.about.as_deref().is_none_or(|about| about == module);
        self.known.iter().filter(concerned).filter_map(|prober| prober.pace(now)).max()
    }
}

impl Prober {
    fn pace(&self, now: Moment) -> Option<Duration> {
        let pace = (1..=AT_ONE_ADDRESS).find_map(|probers| self.pace_of(probers))?;
        let last = self.moments.back()?;
        (now.since(*last) <= pace.saturating_mul(MISSED)).then_some(pace)
    }

    /// The interval of this many clients that probe in turn, if each of them has probed three times and the
    /// intervals are even.
    fn pace_of(&self, probers: usize) -> Option<Duration> {
        let newest_first: Vec<Moment> = self.moments.iter().rev().copied().collect();
        let paces = newest_first.iter().zip(newest_first.get(probers..)?);
        let paces: Vec<Duration> =
            paces.take(probers + 1).map(|(later, earlier)| later.since(*earlier)).collect();
        if paces.len() <= probers {
            return None;
        }
        let (shortest, longest) = (paces.iter().min()?, paces.iter().max()?);
        (longest.saturating_sub(*shortest) <= *longest / UNEVEN).then_some(*longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BALANCER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 6));

    fn at(milliseconds: i64) -> Moment {
        Moment::from_micros(milliseconds * 1000)
    }

    fn asked_at(moments: &[i64]) -> Probers {
        let mut probers = Probers::default();
        for moment in moments {
            probers.asked(BALANCER, Some("web"), false, at(*moment));
        }
        probers
    }

    fn pace(moments: &[i64]) -> Option<u128> {
        let last = moments.last().copied().unwrap_or_default();
        asked_at(moments).slowest("web", at(last + 1)).map(|pace| pace.as_millis())
    }

    #[test]
    fn a_pace_is_what_three_questions_have() {
        for (moments, expected) in [
            (&[][..], None),
            (&[0, 5000], None),
            (&[0, 5000, 10_000], Some(5000)),
            // Jitter of a tenth, as with balancers that spread their checks.
            (&[0, 5000, 10_500], Some(5500)),
            // A user with irregular requests.
            (&[0, 1000, 9000], None),
            (&[0, 9000, 9500, 30_000, 31_000], None),
            // Its interval was shortened.
            (&[0, 10_000, 20_000, 22_000, 24_000], Some(2000)),
            // Two at one address, each every ten seconds.
            (&[0, 3000, 10_000, 13_000, 20_000], Some(10_000)),
            // Three.
            (&[0, 1000, 4000, 9000, 10_000, 13_000, 18_000], Some(9000)),
        ] {
            assert_eq!(pace(moments), expected, "{moments:?}");
        }
    }

    #[test]
    fn the_slowest_counts_of_those_that_still_ask_about_the_module_or_about_all() {
        let mut probers = Probers::default();
        for second in 0..=40 {
            probers.asked(BALANCER, Some("web"), false, at(second * 1000));
            if second % 10 == 0 {
                probers.asked(OTHER, None, false, at(second * 1000));
                probers.asked(OTHER, Some("mail"), true, at(second * 1000));
            }
            if second % 4 == 0 && second < 20 {
                probers.asked(OTHER, Some("shop"), true, at(second * 1000));
            }
        }
        let slowest = |module| probers.slowest(module, at(41_000)).map(|pace| pace.as_secs());
        assert_eq!(slowest("web"), Some(10));
        assert_eq!(slowest("mail"), Some(10));
        let only = asked_at(&[0, 2000, 4000]);
        assert_eq!(only.slowest("web", at(10_000)), Some(Duration::from_secs(2)));
        assert_eq!(only.slowest("web", at(10_001)), None, "it asks no more");
        assert_eq!(only.slowest("mail", at(5000)), None);
    }

    #[test]
    fn many_addresses_take_no_more_than_so_much_memory() {
        let mut probers = asked_at(&[0, 1000, 2000]);
        for host in 0..1000_u32 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x7f00_0000 + host));
            probers.asked(address, None, false, at(i64::from(host)));
        }
        assert_eq!(probers.known.len(), MAX_PROBERS);
        // Its last probe was latest, although the others came later.
        assert_eq!(probers.slowest("web", at(2000)), Some(Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn a_balancer_with_jitter_has_about_its_pace(every in 50_i64..60_000, jitter in prop::collection::vec(0_i64..100, 3..20)) {
            let moments: Vec<i64> = jitter.iter().zip(0..).map(|(part, nth)| nth * every + part * every / 1000).collect();
            let found = pace(&moments);
            prop_assert!(found.is_some_and(|found| {
                let every = u128::try_from(every).unwrap();
                found >= every * 8 / 10 && found <= every * 12 / 10 + 1
            }), "{found:?}");
        }

        #[test]
        fn any_questions_are_survived(moments in prop::collection::vec(any::<i32>(), 0..40)) {
            let moments: Vec<i64> = moments.into_iter().map(i64::from).collect();
            let _ = asked_at(&moments).slowest("web", at(0));
        }
    }
}
