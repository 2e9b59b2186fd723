//! What stands around every page: where one is, who one is, how fresh it is.

use bellwether_core::access::Role;
use bellwether_core::moment::Moment;

use super::{Handle, assets};
use crate::api::Caller;
use crate::api::status::counts;
use bellwether_api::time_format::TimeFormat;
use bellwether_os::clock::Clock;

/// Around every page.
#[derive(Debug)]
pub(super) struct Frame {
    /// With the count of what is down.
    pub(super) title: String,
    /// Which node made it.
    pub(super) node: String,
    /// The snapshot it was made of.
    pub(super) generation: u64,
    /// When that was taken.
    pub(super) at: Time,
    /// The core does not turn: all of it may be old.
    pub(super) stalled: bool,
    /// Who looks; nobody on the page to sign in.
    pub(super) person: Option<Caller>,
    /// Whether there is something to sign out of.
    pub(super) signed_in: bool,
    /// Whether it keeps itself fresh.
    pub(super) live: bool,
    /// Which module it is about, if about one: others do not concern it.
    pub(super) about: Option<String>,
    /// So many modules are down, or were never loaded.
    pub(super) down: usize,
    /// Of the daemon.
    pub(super) version: &'static str,
    /// Of style sheet and scripts.
    pub(super) assets: &'static str,
    here: Page,
}

/// Around a page for those who are not signed in: it tells nothing of the node.
#[derive(Debug)]
pub(crate) struct Bare {
    pub(crate) title: String,
    pub(crate) assets: &'static str,
}

impl Bare {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: format!("{title} · Bellwether"), assets: assets::version() }
    }
}

/// What can be gone to from everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// Nodes by modules.
    Farm,
    /// What happened.
    Events,
    /// Checkers and restart scripts.
    Components,
    /// The files.
    Configuration,
    /// Users and tokens.
    Users,
    /// Something that has no entry of its own.
    Elsewhere,
}

/// One entry of the bar.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) word: &'static str,
    pub(super) href: &'static str,
    pub(super) here: bool,
}

impl Frame {
    /// Around a page about what is now.
    pub(super) fn new(daemon: &Handle, caller: Caller, here: Page, title: &str) -> Self {
        let snapshot = daemon.snapshot();
        let counts = counts(&**daemon, &snapshot);
        let (stalled, down) = (counts.stalled, counts.all_down());
        let count = if down == 0 { String::new() } else { format!("({down} down) ") };
        Self {
            title: format!("{count}{title} · {} · Bellwether", snapshot.node),
            node: snapshot.node.to_string(),
            generation: snapshot.generation,
            // A page is as old as the core that answers for it, which turns several times a second,
            // or else has stalled.
            at: Times::new(daemon.clock()).of(if stalled { snapshot.at } else { daemon.clock().now() }),
            stalled,
            signed_in: caller.signed_in,
            person: Some(caller),
            live: true,
            about: None,
            down,
            version: env!("CARGO_PKG_VERSION"),
            assets: assets::version(),
            here,
        }
    }

    /// What the bar leads to.
    pub(super) fn pages(&self) -> Vec<Entry> {
        let entry = |word, href, page| Entry { word, href, here: self.here == page };
        let mut pages = vec![
            entry("Node", "/", Page::Farm),
            entry("Events", "/events", Page::Events),
            entry("Components", "/components", Page::Components),
            entry("Configuration", "/configuration", Page::Configuration),
        ];
        // Others are refused there.
        if self.person.as_ref().is_some_and(|person| person.role.may(Role::Admin)) {
            pages.push(entry("Users", "/users", Page::Users));
        }
        pages
    }
}

/// A moment, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// RFC 3339 in UTC, for the browser.
    pub(super) utc: String,
    /// On the node's own clock, with its zone.
    pub(super) clock: String,
    /// `3m ago`.
    pub(super) ago: String,
}

/// Makes moments readable.
#[derive(Debug)]
pub(super) struct Times {
    when: TimeFormat,
    clock: Clock,
}

impl Times {
    pub(super) fn new(clock: Clock) -> Self {
        Self { when: TimeFormat::here(), clock }
    }

    /// A moment of the daemon's time line.
    pub(super) fn of(&self, moment: Moment) -> Time {
        self.told(self.clock.timestamp(moment))
    }

    /// A moment that something is awaited at.
    pub(super) fn due(&self, moment: Moment) -> Time {
        let time = self.of(moment);
        // Whatever is late, or less than a second away, is now for whoever reads.
        let near = !time.ago.starts_with("in ") || time.ago.ends_with("ms") || time.ago.ends_with("µs");
        if near { Time { ago: "now".to_owned(), ..time } } else { time }
    }

    /// `Monday 23 November 2026`
    pub(super) fn day(&self, utc: &str) -> String {
        self.when.day(utc)
    }

    /// For an axis: in microseconds after the Unix epoch.
    pub(super) fn short(&self, wall: i64, with_day: bool) -> String {
        self.when.short(&bellwether_os::clock::timestamp(wall), with_day)
    }

    /// A moment as the API writes it.
    pub(super) fn told(&self, utc: String) -> Time {
        let ago = self.when.relative(&utc);
        // Nobody counts parts of a second here, and they are old when they are read.
        let ago =
            if ago.ends_with("ms ago") || ago.ends_with("µs ago") { "just now".to_owned() } else { ago };
        Time { clock: self.when.zoned(&utc), ago, utc }
    }
}
