//! When a certificate is renewed, and when a connection is.
//!
//! ```text
//!   issued ─────────────────── two thirds ───────▶ expired
//!             in use               renewed, retried until it is
//! ```
//! All times here are of the wall clock, in seconds since 1970, because certificates are made for those.

use crate::id::NodeId;

/// Certificates are valid from this long before they are issued, in seconds: clocks of other nodes may be slow.
pub const BACKDATED: i64 = 86_400;
/// A connection is renewed after this time, in seconds, even if its certificates are not.
const CONNECTION_LIFE: i64 = 86_400;
/// After a renewal that failed, the next attempt follows after this part of the certificate's life, or after an hour.
const RETRY_PART: i64 = 100;
const RETRY_AT_MOST: i64 = 3_600;

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its `notBefore`.
    pub from: i64,
    /// Its `notAfter`.
    pub until: i64,
}

impl Validity {
    /// That of a certificate which is issued now, to be used for `life` seconds.
    pub fn issued(now: i64, life: i64) -> Self {
        Self { from: now.saturating_sub(BACKDATED), until: now.saturating_add(life) }
    }

    /// Whether the certificate is valid now.
    pub fn includes(self, now: i64) -> bool {
        (self.from..=self.until).contains(&now)
    }

    /// The time that is closest to `now` and at which the certificate is valid.
    pub fn closest(self, now: i64) -> i64 {
        now.min(self.until).max(self.from)
    }

    /// How long the certificate is to be used, in seconds.
    fn life(self) -> i64 {
        self.until.saturating_sub(self.from).saturating_sub(BACKDATED).max(0)
    }
}

/// Whether the certificate of this node is to be renewed: at two thirds of its life, and a little later at some nodes
/// than at others, so that not all of them ask at the same moment. `failed`: when the last attempt failed, if one did.
pub fn is_due(validity: Validity, node: NodeId, now: i64, failed: Option<i64>) -> bool {
    let life = validity.life();
    let later = life / 24 * i64::from(node.as_bytes()[0]) / 256;
    // It is not valid yet if it was issued while a clock was wrong.
    let is_time = now < validity.from || now >= validity.until.saturating_sub(life / 3).saturating_add(later);
    let pause = (life / RETRY_PART).clamp(1, RETRY_AT_MOST);
    is_time && failed.is_none_or(|failed| now < failed || now >= failed.saturating_add(pause))
}

/// Whether a connection that this node dialled, this many seconds ago, is to be renewed. `is_current`: it was made with
/// the certificate that this node has now.
pub fn connection_is_due(age: u64, is_current: bool) -> bool {
    !is_current || i64::try_from(age).is_ok_and(|age| age >= CONNECTION_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn node(first: u8) -> NodeId {
        NodeId::from_bytes([first; 16])
    }

    #[test]
    fn a_certificate_of_a_year_is_renewed_at_two_thirds_and_not_by_all_nodes_at_once() {
        let validity = Validity::issued(0, 360 * DAY);
        for (first, day, expected) in [
            (0, -2, true),
            (0, -1, false),
            (0, 239, false),
            (0, 240, true),
            (0, 361, true),
            (255, 240, false),
            (255, 254, false),
            (255, 255, true),
        ] {
            assert_eq!(is_due(validity, node(first), day * DAY, None), expected, "{first} on day {day}");
        }
    }

    #[test]
    fn what_failed_is_retried_in_proportion_to_the_life() {
        let year = Validity::issued(0, 360 * DAY);
        let failed = Some(250 * DAY);
        for (seconds, expected) in [(0, false), (3_599, false), (3_600, true), (-1, true)] {
            assert_eq!(is_due(year, node(0), 250 * DAY + seconds, failed), expected, "{seconds} s later");
        }
        let short = Validity::issued(0, 30);
        assert!(!is_due(short, node(0), 19, None));
        assert!(is_due(short, node(0), 20, None));
        assert!(!is_due(short, node(0), 20, Some(20)));
        assert!(is_due(short, node(0), 21, Some(20)));
    }

    #[test]
    fn a_time_within_the_validity_is_found_for_any_clock() {
        let validity = Validity { from: 100, until: 200 };
        for (now, closest, includes) in
            [(0, 100, false), (100, 100, true), (150, 150, true), (200, 200, true), (9_999, 200, false)]
        {
            assert_eq!((validity.closest(now), validity.includes(now)), (closest, includes), "{now}");
        }
    }

    #[test]
    fn a_connection_is_renewed_daily_and_with_the_certificate() {
        for (age, is_current, expected) in [
            (0, true, false),
            (86_399, true, false),
            (86_400, true, true),
            (0, false, true),
            (u64::MAX, true, false),
        ] {
            assert_eq!(connection_is_due(age, is_current), expected, "{age} {is_current}");
        }
    }
}
