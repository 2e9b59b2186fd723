//! The frame of every page: navigation, user, and freshness.

use bellwether_core::access::Role;
use bellwether_core::moment::Moment;

use super::{Handle, assets};
use crate::api::Caller;
use crate::api::status::counts;
use bellwether_api::time_format::TimeFormat;
use bellwether_os::clock::Clock;

/// The data for the frame of a page.
#[derive(Debug)]
pub(super) struct Frame {
    /// The title with the number of modules that are down.
    pub(super) title: String,
    /// The node that rendered it.
    pub(super) node: String,
    /// The generation of its snapshot.
    pub(super) generation: u64,
    /// The time of the snapshot.
    pub(super) at: Time,
    /// Whether the core is stalled: everything may be outdated.
    pub(super) stalled: bool,
    /// The user; `None` on the sign-in page.
    pub(super) person: Option<Caller>,
    /// Whether there is a session to sign out of.
    pub(super) signed_in: bool,
    /// Whether it updates itself.
    pub(super) live: bool,
    /// The module that it is about, if it is about one: changes of other modules do not concern it.
    pub(super) about: Option<String>,
    /// Whether there are other nodes, and whether the page shows them.
    pub(super) others: Others,
    /// The number of modules that are down, or were never loaded.
    pub(super) down: usize,
    /// The version of the daemon.
    pub(super) version: &'static str,
    /// The version of style sheet and scripts.
    pub(super) assets: &'static str,
    here: Page,
}

/// The frame of a page for visitors who are not signed in: it reveals nothing about the node.
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

/// The entries of the navigation bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// The overview of all nodes, or of the only one.
    Overview,
    /// The records of the journal.
    Events,
    /// Checkers and restart scripts.
    Components,
    /// The page of the operator's files.
    Configuration,
    /// The page of users and tokens.
    Users,
    /// A page without an entry.
    Elsewhere,
}

/// Other nodes of the farm, as far as a page is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// There are none.
    None,
    /// Other pages show them.
    Elsewhere,
    /// This page shows them.
    Here,
}

/// One entry of the navigation bar.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) word: &'static str,
    pub(super) href: &'static str,
    pub(super) here: bool,
}

impl Frame {
    /// The frame of a page about the present state.
    pub(super) fn new(daemon: &Handle, caller: Caller, here: Page, title: &str) -> Self {
        let snapshot = daemon.snapshot();
        let counts = counts(&**daemon, &snapshot);
        let (stalled, down) = (counts.stalled, counts.all_down());
        let count = if down == 0 { String::new() } else { format!("({down} down) ") };
        Self {
            title: format!("{count}{title} · {} · Bellwether", snapshot.node),
            node: snapshot.node.to_string(),
            generation: snapshot.generation,
            // A page is as fresh as the core, which runs several times a second, or else is stalled.
            at: Times::new(daemon.clock()).of(if stalled { snapshot.at } else { daemon.clock().now() }),
            stalled,
            signed_in: caller.signed_in,
            person: Some(caller),
            live: true,
            about: None,
            others: match daemon.farm() {
                Some(farm) if farm.size() > 1 => Others::Elsewhere,
                _ => Others::None,
            },
            down,
            version: env!("CARGO_PKG_VERSION"),
            assets: assets::version(),
            here,
        }
    }

    /// A frame for tests of pages.
    #[cfg(test)]
    pub(super) fn sample() -> Self {
        let clock = Clock::start();
        Self {
            title: "Farm".to_owned(),
            node: "node-001".to_owned(),
            generation: 1,
            at: Times::new(clock).of(clock.now()),
            stalled: false,
            person: None,
            signed_in: false,
            live: true,
            about: None,
            others: Others::Here,
            down: 0,
            version: "0",
            assets: "0",
            here: Page::Overview,
        }
    }

    /// Whether the page is also updated when another node changes.
    pub(super) fn shows_others(&self) -> bool {
        self.others == Others::Here
    }

    /// The entries of the navigation bar.
    pub(super) fn pages(&self) -> Vec<Entry> {
        let entry = |word, href, page| Entry { word, href, here: self.here == page };
        let mut pages = vec![
            entry(if self.others == Others::None { "Node" } else { "Farm" }, "/", Page::Overview),
            entry("Events", "/events", Page::Events),
            entry("Components", "/components", Page::Components),
            entry("Configuration", "/configuration", Page::Configuration),
        ];
        // Other roles are rejected there.
        if self.person.as_ref().is_some_and(|person| person.role.may(Role::Admin)) {
            pages.push(entry("Users", "/users", Page::Users));
        }
        pages
    }
}

/// A moment in the forms that a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Time {
    /// RFC 3339 in UTC, for the browser.
    pub(super) utc: String,
    /// The time on the node's own clock, with its zone.
    pub(super) clock: String,
    /// The age: `3m ago`.
    pub(super) ago: String,
}

/// Formats moments for a page.
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

    /// A moment in the future.
    pub(super) fn due(&self, moment: Moment) -> Time {
        let time = self.of(moment);
        // A moment that is overdue, or less than a second away, is shown as now.
        let near = !time.ago.starts_with("in ") || time.ago.ends_with("ms") || time.ago.ends_with("µs");
        if near { Time { ago: "now".to_owned(), ..time } } else { time }
    }

    /// `Monday 23 November 2026`
    pub(super) fn day(&self, utc: &str) -> String {
        self.when.day(utc)
    }

    /// For an axis: in microseconds since the Unix epoch.
    pub(super) fn short(&self, wall: i64, with_day: bool) -> String {
        self.when.short(&bellwether_os::clock::timestamp(wall), with_day)
    }

    /// A moment in the form of the API.
    pub(super) fn told(&self, utc: String) -> Time {
        let ago = self.when.relative(&utc);
        // Fractions of a second are omitted: they are outdated when the page is read.
        let ago =
            if ago.ends_with("ms ago") || ago.ends_with("µs ago") { "just now".to_owned() } else { ago };
        Time { clock: self.when.zoned(&utc), ago, utc }
    }
}
