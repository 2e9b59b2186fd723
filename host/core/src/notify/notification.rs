//! The content of a notification, in words.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::news::Topic;
use crate::id::{ModuleName, NodeName, TargetName};
use crate::moment::{Moment, plain};

/// A notification for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The same whenever the same notification is sent again, and unique otherwise.
    pub key: String,
    pub node: NodeName,
    pub target: TargetName,
    /// The module, if it is about one: otherwise it is about the node, or about several modules.
    pub module: Option<ModuleName>,
    /// The status of the notification as a whole.
    pub standing: Standing,
    /// It was sent before, and still lasts.
    pub reminder: bool,
    /// When it was created.
    pub at: Moment,
    /// Its items, in the order in which they began.
    pub items: Vec<Item>,
    /// The number of items that had no room.
    pub left_out: u32,
    /// Modules that only the omitted items concern.
    #[serde(default)]
    pub modules_left_out: usize,
    /// The number of older notifications that had no room in the queue.
    pub more: u64,
}

/// The data for a notification.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) items: Vec<Item>,
    pub(super) left_out: u32,
    pub(super) reminder: bool,
}

/// The maximum number of items in one notification; further ones are counted.
const MAX_ITEMS: usize = 200;
/// The maximum number of modules in a title.
const NAMED: usize = 5;

/// The status of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// An alert is active.
    Firing,
    /// All alerts are over.
    Resolved,
    /// It reports a single event.
    Happened,
    /// A test by a user.
    Test,
}

/// One item of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The module; `None` if it concerns the node.
    #[serde(default)]
    pub module: Option<ModuleName>,
    /// The topic of the item.
    pub topic: Topic,
    /// The checker, file or command; empty if it is about the module itself. `NAME (cannot tell)`: a checker that
    /// can no longer determine its status.
    pub about: String,
    /// The state of the item.
    pub state: ItemState,
    /// A summary in one sentence.
    pub summary: String,
    /// When it began the first time.
    pub since: Moment,
    /// When it ended, and why.
    pub until: Option<(Moment, String)>,
    /// How often it began.
    pub times: u32,
}

/// The state of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// The alert is active.
    Lasts,
    /// The alert is flapping. At present it is clear.
    Flapping,
    /// The alert is over.
    Over,
    /// It was a single event.
    Happened,
}

impl Standing {
    /// The status that follows from all items.
    pub(super) fn of(items: &[Item]) -> Self {
        let some = |state| items.iter().any(|item| item.state == state);
        if some(ItemState::Lasts) || some(ItemState::Flapping) {
            Self::Firing
        } else if some(ItemState::Over) {
            Self::Resolved
        } else {
            Self::Happened
        }
    }

    /// The word in JSON.
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
    /// The word in JSON.
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
    /// A test notification for a user.
    pub fn test(key: String, node: NodeName, target: TargetName, by: &str, at: Moment) -> Self {
        let item = Item {
            module: None,
            topic: Topic::Daemon,
            about: String::new(),
            state: ItemState::Happened,
            summary: format!("{by} requested this test: nothing is wrong"),
            since: at,
            until: None,
            times: 1,
        };
        let (module, standing, items) = (None, Standing::Test, vec![item]);
        let (reminder, left_out, modules_left_out, more) = (false, 0, 0, 0);
        Self { key, node, target, module, standing, reminder, at, items, left_out, modules_left_out, more }
    }

    pub(super) fn new(
        key: String,
        node: NodeName,
        target: TargetName,
        contents: Contents,
        at: Moment,
    ) -> Self {
        let Contents { items, left_out, reminder } = contents;
        let (standing, module, modules_left_out, more) = (Standing::of(&items), None, 0, 0);
        let mut new = Self {
            key,
            node,
            target,
            module,
            standing,
            reminder,
            at,
            items,
            left_out,
            modules_left_out,
            more,
        };
        new.round_off();
        new
    }

    /// The modules it concerns, each once; for the node, none.
    pub fn modules(&self) -> BTreeSet<Option<&ModuleName>> {
        if self.items.is_empty() {
            return BTreeSet::from([self.module.as_ref()]);
        }
        self.items.iter().map(|item| self.module_of(item)).collect()
    }

    /// An item that was stored by an older daemon belongs to the notification's module.
    fn module_of<'n>(&'n self, item: &'n Item) -> Option<&'n ModuleName> {
        item.module.as_ref().or(self.module.as_ref())
    }

    /// Whether both concern some module, or both the node.
    pub(super) fn is_about_the_same(&self, other: &Self) -> bool {
        !self.modules().is_disjoint(&other.modules())
    }

    /// Replaces an older one, and includes its content.
    pub(super) fn takes_over(&mut self, older: Self) {
        for item in self.items.iter_mut().filter(|item| item.module.is_none()) {
            item.module.clone_from(&self.module);
        }
        let retold: BTreeSet<Option<ModuleName>> =
            self.modules().into_iter().map(Option::<&ModuleName>::cloned).collect();
        for (at, mut item) in older.items.into_iter().enumerate() {
            item.module = item.module.or_else(|| older.module.clone());
            let known = self.items.iter_mut().find(|new| new.is_same(&item));
            if let Some(known) = known {
                known.since = known.since.min(item.since);
                continue;
            }
            // What continues is included in every later one about its module.
            if matches!(item.state, ItemState::Lasts | ItemState::Flapping) && retold.contains(&item.module) {
                item.state = ItemState::Over;
            }
            self.items.insert(at.min(self.items.len()), item);
        }
        if Standing::of(&self.items) == Standing::Firing {
            self.standing = Standing::Firing;
        } else if self.standing == Standing::Happened && self.items.iter().any(|item| item.topic.lasts()) {
            self.standing = Standing::Resolved;
        }
        self.reminder &= older.reminder;
        self.left_out = self.left_out.max(older.left_out);
        self.modules_left_out = self.modules_left_out.max(older.modules_left_out);
        self.more = self.more.saturating_add(older.more);
        self.round_off();
    }

    /// Omits what a later one reports as well.
    pub(super) fn leave_to(&mut self, later: &Self) {
        let only = self.module.clone();
        self.items.retain(|item| {
            let told = (item.topic, &item.about, item.module.as_ref().or(only.as_ref()));
            !later.items.iter().any(|other| (other.topic, &other.about, later.module_of(other)) == told)
        });
    }

    /// Counts an item without room, and its module if it has one.
    fn round_off(&mut self) {
        let modules = self.modules();
        let count = modules.len();
        let is_one = count == 1 && self.modules_left_out == 0;
        let only = modules.first().copied().flatten().filter(|_| is_one).cloned();
        if let Some(beyond) = self.items.len().checked_sub(MAX_ITEMS).filter(|beyond| *beyond > 0) {
            // The worst items stay.
            self.items.sort_by_key(Item::weight);
            self.items.truncate(MAX_ITEMS);
            self.left_out = self.left_out.saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX));
            self.modules_left_out += count - self.modules().len();
        }
        self.module = only;
    }

    /// One line: `web on node-1: checker `home` is down: connection refused`. Of several items, the worst.
    pub fn title(&self) -> String {
        let still = if self.reminder { "still: " } else { "" };
        format!("{}: {still}{}", self.place(), self.what())
    }

    /// The number of modules that it concerns, including those of omitted items.
    fn module_count(&self) -> usize {
        self.modules().len() + self.modules_left_out
    }

    fn place(&self) -> String {
        let node = &self.node;
        match (&self.module, self.module_count()) {
            (Some(module), _) => format!("{module} on {node}"),
            (None, 0 | 1) => node.to_string(),
            (None, modules) => format!("{modules} modules on {node}"),
        }
    }

    fn what(&self) -> String {
        let several = self.module_count() > 1;
        match self.standing {
            Standing::Test => "this is a test".to_owned(),
            Standing::Resolved if several => format!("recovered: {}", self.names()),
            Standing::Resolved => "recovered".to_owned(),
            Standing::Happened => match self.items.as_slice() {
                [only] => only.summary.clone(),
                items => format!("{} events", items.len()),
            },
            Standing::Firing => {
                let worst = self.items.iter().min_by_key(|item| item.weight());
                let worst = worst.filter(|item| item.state == ItemState::Lasts);
                let Some(worst) = worst else { return "it is flapping".to_owned() };
                let module = self.module_of(worst).filter(|_| several);
                let module = module.map_or_else(String::new, |module| format!("{module}: "));
                let others = self.items.iter().filter(|item| item.state == ItemState::Lasts).count() - 1;
                let others = if others > 0 { format!(" (and {others} more)") } else { String::new() };
                format!("{module}{}{others}", worst.summary)
            }
        }
    }

    /// The first modules, ordered by name.
    fn names(&self) -> String {
        let modules = self.modules();
        let names = modules.iter().flatten().map(|module| module.as_str());
        let shown = names.take(NAMED).collect::<Vec<_>>().join(", ");
        match self.module_count() - modules.len().min(NAMED) {
            0 => shown,
            others => format!("{shown} and {others} more"),
        }
    }

    /// The text for people: the title, and a line for each item.
    pub fn text(&self) -> String {
        let mut text = format!("[{}] {}", self.standing.word().to_uppercase(), self.title());
        for item in &self.items {
            // Writing to a string cannot fail.
            let module = self.module_of(item).filter(|_| self.module.is_none());
            let module = module.map_or_else(String::new, |module| format!("{module}: "));
            let _ = write!(text, "\n- {module}{}", item.line(self.at));
        }
        if self.left_out > 0 {
            let _ = write!(text, "\n- and {} more", self.left_out);
        }
        if self.more > 0 {
            let _ =
                write!(text, "\n- and {} more: older notifications that had no room in the queue", self.more);
        }
        text
    }
}

impl Item {
    fn is_same(&self, other: &Self) -> bool {
        (self.topic, &self.about, &self.module) == (other.topic, &other.about, &other.module)
    }

    /// The worst first: active alerts before others, then by their effect on the application's users.
    fn weight(&self) -> (ItemState, u8) {
        let of_topic = match self.topic {
            Topic::Failed => 0,
            Topic::Incident => 1,
            Topic::Waiting => 2,
            Topic::Farm => 3,
            Topic::Quarantine => 4,
            Topic::Refused => 5,
            Topic::Suspended => 6,
            Topic::Approval => 7,
            Topic::Restart => 8,
            Topic::Daemon => 9,
            Topic::Command => 10,
            Topic::Recovered => 11,
        };
        (self.state, of_topic)
    }

    fn line(&self, now: Moment) -> String {
        let Self { topic, summary, .. } = self;
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        match (self.state, &self.until) {
            (ItemState::Lasts, _) => {
                format!("{topic}: {summary} (for {}{times})", plain(now.since(self.since)))
            }
            (ItemState::Flapping, _) => {
                format!("{topic}: {summary} (flapping for {}{times})", plain(now.since(self.since)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests::world::{at, name};

    #[test]
    fn modules_that_have_no_room_are_counted() {
        let node: NodeName = "n1".parse().unwrap();
        let test = Notification::test("1".to_owned(), node.clone(), name("mail"), "root", at(0));
        let item =
            |n: usize| Item { module: ModuleName::new(&format!("m{n}")).ok(), ..test.items[0].clone() };
        let contents = |items| Contents { items, left_out: 0, reminder: false };
        let told =
            |items| Notification::new("2".to_owned(), node.clone(), name("mail"), contents(items), at(0));
        let many = told((0..300).map(item).collect());
        assert_eq!((many.items.len(), many.left_out), (MAX_ITEMS, 100));
        assert!(many.title().starts_with("300 modules on n1: "), "{}", many.title());
        // The remaining items are of one module, and there is another one.
        let mostly = told((0..300).map(|n| item(usize::from(n >= MAX_ITEMS))).collect());
        assert_eq!(mostly.module, None);
        assert!(mostly.title().starts_with("2 modules on n1: "), "{}", mostly.title());
    }
}
