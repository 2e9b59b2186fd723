//! What a target is told, in words.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::news::Topic;
use crate::id::{ModuleName, NodeName, TargetName};
use crate::moment::{Moment, plain};

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same whenever the same is sent again, and never that of another.
    pub key: String,
    /// Of which node.
    pub node: NodeName,
    /// To whom.
    pub target: TargetName,
    /// About which module; if about none, about the node.
    pub module: Option<ModuleName>,
    /// All of it in one word.
    pub standing: Standing,
    /// It was told before, and still lasts.
    pub reminder: bool,
    /// When it was made.
    pub at: Moment,
    /// What it tells, in the order in which it began.
    pub items: Vec<Item>,
    /// What there is besides, and had no room.
    pub left_out: u32,
    /// Older notifications that had no room in the queue.
    pub more: u64,
}

/// A notification in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Something is wrong.
    Firing,
    /// All of it is over.
    Resolved,
    /// Something happened.
    Happened,
    /// A person wants to see whether it arrives.
    Test,
}

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What kind of thing.
    pub topic: Topic,
    /// About which checker, file or command; empty if about the module itself.
    pub about: String,
    /// How it stands.
    pub state: ItemState,
    /// In one sentence.
    pub summary: String,
    /// When it began the first time.
    pub since: Moment,
    /// When it was over, and why.
    pub until: Option<(Moment, String)>,
    /// How often it began.
    pub times: u32,
}

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// It goes on.
    Lasts,
    /// It goes up and down. At present it is up.
    Flapping,
    /// It is over.
    Over,
    /// It happened.
    Happened,
}

impl Standing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Happened => "happened",
            Self::Test => "test",
        }
    }
}

impl ItemState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lasts => "lasts",
            Self::Flapping => "flapping",
            Self::Over => "over",
            Self::Happened => "happened",
        }
    }
}

impl Notification {
    /// One for a person who wants to see whether it arrives.
    pub fn test(key: String, node: NodeName, target: TargetName, by: &str, at: Moment) -> Self {
        let item = Item {
            topic: Topic::Daemon,
            about: String::new(),
            state: ItemState::Happened,
            summary: format!("{by} asked for this test: nothing is wrong"),
            since: at,
            until: None,
            times: 1,
        };
        let (module, standing, items) = (None, Standing::Test, vec![item]);
        Self { key, node, target, module, standing, reminder: false, at, items, left_out: 0, more: 0 }
    }

    /// Whether both are about the same module, or both about the node.
    pub(super) fn is_about_the_same(&self, other: &Self) -> bool {
        self.module == other.module
    }

    /// Takes the place of an older one, and says what that one would have said.
    pub(super) fn takes_over(&mut self, older: Self) {
        for (at, mut item) in older.items.into_iter().enumerate() {
            let known = self.items.iter_mut().find(|new| new.topic == item.topic && new.about == item.about);
            if let Some(known) = known {
                known.since = known.since.min(item.since);
                continue;
            }
            // What goes on is in every later one.
            if matches!(item.state, ItemState::Lasts | ItemState::Flapping) {
                item.state = ItemState::Over;
            }
            self.items.insert(at.min(self.items.len()), item);
        }
        if self.standing == Standing::Happened && self.items.iter().any(|item| item.topic.lasts()) {
            self.standing = Standing::Resolved;
        }
        self.reminder &= older.reminder;
        self.left_out = self.left_out.max(older.left_out);
        self.more = self.more.saturating_add(older.more);
    }

    /// One line: `web on node-1: checker `home` is down: connection refused`.
    pub fn title(&self) -> String {
        let node = &self.node;
        let place = match &self.module {
            Some(module) => format!("{module} on {node}"),
            None => node.to_string(),
        };
        let of_weight = |state: ItemState| self.items.iter().filter(move |item| item.state == state);
        let mut lasting = of_weight(ItemState::Lasts);
        let what = match (self.standing, self.items.as_slice()) {
            (Standing::Test, _) => "this is a test".to_owned(),
            (Standing::Resolved, _) => "well again".to_owned(),
            (Standing::Firing, [only]) if only.state == ItemState::Flapping => {
                "it goes up and down".to_owned()
            }
            (_, [only]) => only.summary.clone(),
            (Standing::Happened, items) => format!("{} things happened", items.len()),
            (Standing::Firing, _) => match (lasting.next(), lasting.count()) {
                (None, _) => "it goes up and down".to_owned(),
                (Some(only), 0) => only.summary.clone(),
                (Some(first), others) => format!("{} (and {others} more)", first.summary),
            },
        };
        let still = if self.reminder { "still: " } else { "" };
        format!("{place}: {still}{what}")
    }

    /// For people: the title, and a line for each thing.
    pub fn text(&self) -> String {
        let mut text = format!("[{}] {}", self.standing.word().to_uppercase(), self.title());
        for item in &self.items {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n- {}", item.line(self.at));
        }
        if self.left_out > 0 {
            let _ = write!(text, "\n- and {} more of this module", self.left_out);
        }
        if self.more > 0 {
            let _ =
                write!(text, "\n- and {} more: older notifications that had no room in the queue", self.more);
        }
        text
    }
}

impl Item {
    fn line(&self, now: Moment) -> String {
        let Self { topic, summary, .. } = self;
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        match (self.state, &self.until) {
            (ItemState::Lasts, _) => {
                format!("{topic}: {summary} (for {}{times})", plain(now.since(self.since)))
            }
            (ItemState::Flapping, _) => {
                format!("{topic}: {summary} (up and down for {}{times})", plain(now.since(self.since)))
            }
            (ItemState::Over, Some((until, why))) => {
                format!("{topic}: {summary} (over after {}{times}: {why})", plain(until.since(self.since)))
            }
            (ItemState::Over, None) => format!("{topic}: {summary} (over{times})"),
            (ItemState::Happened, _) => {
                format!("{topic}: {summary} ({} ago{times})", plain(now.since(self.since)))
            }
        }
    }
}
