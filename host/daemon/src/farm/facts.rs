//! What this node says of itself to the others.
//!
//! ```text
//!   snapshot ──▶ facts ──changed in what people decide by──▶ said at once
//!                  └────changed otherwise, or a while ago───▶ said once a second, or every five
//! ```
//! The others show them as they are, and ask for the whole status when they are to show more.

use std::time::Duration;

use bellwether_bus::Published;
use bellwether_core::attention::Attention;
use bellwether_core::headline::{Headline, NodeCounts};
use bellwether_core::moment::Moment;
use bellwether_core::snapshot::Snapshot;
use bellwether_farm::membership::{Facts, MAX_HEADLINE};
use bellwether_links::{Links, Picture};
use bellwether_os::clock::Clock;

/// Unimportant changes are said this often at most.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// The facts are said this often at least: they carry the wall clock, by which others compare theirs.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// Says the facts until it is dropped.
pub(super) async fn say_forever(published: Published, links: Links, clock: Clock) {
    let mut generations = published.generation.subscribe();
    let mut changes = links.changes();
    let mut said: Option<Said> = None;
    loop {
        let picture = links.picture();
        if picture.this.is_none() {
            // In no farm there is nobody to say it to.
            said = None;
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        generations.borrow_and_update();
        let now = clock.now();
        let facts = facts(&published.snapshot.load(), &picture, seconds(clock.wall_micros(now)));
        let due = said.as_ref().map_or(now, |said| said.due(&facts));
        if due <= now {
            links.facts(facts.clone());
            said = Some(Said { facts, at: now });
            continue;
        }
        tokio::select! {
            moved = generations.changed() => if moved.is_err() { return },
            () = tokio::time::sleep_until(clock.instant(due)) => {}
        }
    }
}

/// The facts that were said last.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) facts: Facts,
    pub(super) at: Moment,
}

impl Said {
    /// When the present facts are to be said.
    pub(super) fn due(&self, now: &Facts) -> Moment {
        if decided_by(&self.facts) != decided_by(now) {
            // At once.
            self.at
        } else if self.facts.snapshot == now.snapshot && self.facts.certificate_ends == now.certificate_ends {
            self.at + AT_LEAST_EVERY
        } else {
            self.at + AT_MOST_EVERY
        }
    }
}

/// The part of the facts by which people decide.
fn decided_by(facts: &Facts) -> (&str, Attention, u32, u32) {
    (&facts.headline, facts.attention, facts.modules, facts.ready)
}

fn facts(snapshot: &Snapshot, picture: &Picture, wall: u64) -> Facts {
    let counts = NodeCounts::of(snapshot.modules.iter().map(AsRef::as_ref));
    let Headline { sentence, worst } = counts.headline();
    let ends = picture.certificate_ends.map_or(0, |ends| u64::try_from(ends.as_second()).unwrap_or(0));
    Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        snapshot: snapshot.generation,
        headline: cut(&sentence),
        attention: worst,
        modules: u32::try_from(counts.modules).unwrap_or(u32::MAX),
        ready: u32::try_from(counts.ready).unwrap_or(u32::MAX),
        certificate_ends: ends,
        wall,
    }
}

/// The sentence, at most as long as the facts may be.
fn cut(sentence: &str) -> String {
    bellwether_core::text::one_line(sentence, MAX_HEADLINE)
}

/// From microseconds since the Unix epoch; there are none before it.
pub(super) fn seconds(micros: i64) -> u64 {
    u64::try_from(micros / 1_000_000).unwrap_or_default()
}
