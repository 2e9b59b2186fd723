//! The last command of a user, and its outcome: shown at the top for a while.

use bellwether_core::command::CommandOutcome;
use bellwether_core::record::RecordKind;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::state::StateName;

use crate::console::frame::{Time, Times};
use crate::console::look::Look;
use bellwether_bus::Entry;

/// Older ones are only in the history, unless they are still in progress.
const SHOWN_FOR: i64 = 10 * 60 * 1_000_000;

/// A user's command, and its outcome.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) command: &'static str,
    pub(super) by: String,
    pub(super) at: Time,
    pub(super) look: Look,
    /// The outcome in words.
    pub(super) outcome: String,
    /// The end of the drain that it began.
    pub(super) drained: Option<Time>,
}

/// The latest of these records, which are ordered by time. `now` is in microseconds since the Unix epoch.
pub(super) fn given(module: &ModuleView, story: &[Entry], now: i64, times: &Times) -> Option<Given> {
    let (entry, command, by, outcome) = story.iter().rev().find_map(|entry| match &entry.kind {
        RecordKind::Command { command, by, outcome } => Some((entry, command, by, outcome)),
        _ => None,
    })?;
    let drains = module.state == StateName::Draining;
    if now - entry.wall > SHOWN_FOR && !drains {
        return None;
    }
    let (look, outcome) = match outcome {
        CommandOutcome::Accepted(what) => {
            (Look { glyph: "yes", word: "accepted", tone: "move" }, what.clone())
        }
        CommandOutcome::AlreadySo(why) => {
            (Look { glyph: "no", word: "nothing to do", tone: "idle" }, format!("nothing to do, {why}"))
        }
        CommandOutcome::Denied(why) => {
            (Look { glyph: "out", word: "not carried out", tone: "bad" }, format!("not carried out: {why}"))
        }
    };
    Some(Given {
        command: command.word(),
        by: by.clone(),
        at: times.told(entry.timestamp(entry.at)),
        look,
        outcome,
        drained: module.next.filter(|_| drains).map(|due| times.of(due)),
    })
}

#[cfg(test)]
mod tests {
    use bellwether_core::command::Command;
    use bellwether_core::id::NodeName;
    use bellwether_core::moment::Moment;
    use bellwether_core::record::Record;

    use super::*;
    use bellwether_os::clock::Clock;

    fn command(wall: i64, command: Command, outcome: CommandOutcome) -> Entry {
        let node = NodeName::new("n1").unwrap();
        let kind = RecordKind::Command { command, by: "anna".into(), outcome };
        Entry { record: Record { seq: 1, at: Moment::default(), node, module: None, kind }, wall }
    }

    fn module(state: StateName) -> ModuleView {
        ModuleView { next: Some(Moment::from_micros(5)), ..ModuleView::empty("web".parse().unwrap(), state) }
    }

    #[test]
    fn the_last_command_is_shown_for_a_while_and_as_long_as_it_drains() {
        let times = Times::new(Clock::start());
        let accepted = || CommandOutcome::Accepted("the application stops in 45s".into());
        let story = [
            command(0, Command::Start, CommandOutcome::AlreadySo("it is up".into())),
            command(1_000, Command::Stop, accepted()),
        ];
        let at = |state, now| given(&module(state), &story, now, &times);
        let stopped = at(StateName::Stopped, 2_000).unwrap();
        assert_eq!((stopped.command, stopped.by.as_str()), ("stop", "anna"));
        assert_eq!(stopped.outcome, "the application stops in 45s");
        assert!(stopped.drained.is_none(), "nothing drains any more");
        assert!(at(StateName::Stopped, 2 * SHOWN_FOR).is_none());
        assert!(at(StateName::Draining, 2 * SHOWN_FOR).unwrap().drained.is_some());
        assert!(given(&module(StateName::Up), &[], 0, &times).is_none());
    }
}
